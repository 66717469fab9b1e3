"""Every MPTCP option layout of both RFCs once: its octets, its value, and where it belongs.

The octets are written out by hand from the figures of RFC 8684 section 3 and RFC 6824 section 3,
so that a mistake shared by encoder and decoder does not pass. :func:`placed_options` draws any
value in a lawful place.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from mptcp_oracle.constants import DSS_ACK8, DSS_DSN8
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Experimental,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
    Unknown,
)

__all__ = ["ACK", "DATA", "LAYOUTS", "SYN", "SYNACK", "Layout", "Segment", "placed_options"]


@dataclass(frozen=True, slots=True)
class Segment:
    """The kind of segment that carries an option; payload in octets."""

    syn: bool
    ack: bool
    payload: int


SYN = Segment(True, False, 0)
SYNACK = Segment(True, True, 0)
ACK = Segment(False, True, 0)
DATA = Segment(False, True, 5)


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout: its name, an option in it, the octets in hex, and a lawful place."""

    name: str
    option: Option
    octets: str
    segment: Segment = ACK
    version: int = 1


KEY_A, KEY_B = 0x0102030405060708, 0xDEADBEEFCAFEBABE
A, B = "0102030405060708", "deadbeefcafebabe"
MAC8, MAC20 = bytes(range(0x50, 0x58)), bytes(range(0x60, 0x74))
V4, V6 = IPv4Address("192.0.2.10"), IPv6Address("2001:db8::10")
V6_HEX = "20010db8000000000000000000000010"
DSN8, DSN4 = 0xF5A101D3D29D6F73, 0xD29D6F73


def _dss(name: str, octets: str, option: Dss) -> Layout:
    return Layout(name, option, octets, DATA)


LAYOUTS = (
    Layout("capable-v1-syn", MpCapable(version=1), "1e04 0101", SYN),
    Layout("capable-v1-syn-flags", MpCapable(version=1, flags=0b1010_0101), "1e04 01a5", SYN),
    Layout("capable-v1-synack", MpCapable(version=1, sender_key=KEY_B), f"1e0c 0101 {B}", SYNACK),
    Layout(
        "capable-v1-ack",
        MpCapable(version=1, sender_key=KEY_A, receiver_key=KEY_B),
        f"1e14 0101 {A} {B}",
    ),
    Layout(
        "capable-v1-data",
        MpCapable(version=1, sender_key=KEY_A, receiver_key=KEY_B, data_length=0x1234),
        f"1e16 0101 {A} {B} 1234",
        DATA,
    ),
    Layout(
        "capable-v1-data-checksum",
        MpCapable(
            version=1,
            flags=0x81,
            sender_key=KEY_A,
            receiver_key=KEY_B,
            data_length=5,
            checksum=0x82A1,
        ),
        f"1e18 0181 {A} {B} 0005 82a1",
        DATA,
    ),
    Layout("capable-v2-syn", MpCapable(version=2, flags=0x0F), "1e04 020f", SYN),
    Layout(
        "capable-v0-syn",
        MpCapable(version=0, flags=0x81, sender_key=KEY_A),
        f"1e0c 0081 {A}",
        SYN,
        version=0,
    ),
    Layout(
        "capable-v0-synack",
        MpCapable(version=0, flags=0xBF, sender_key=KEY_B),
        f"1e0c 00bf {B}",
        SYNACK,
        version=0,
    ),
    Layout(
        "capable-v0-ack",
        MpCapable(version=0, sender_key=KEY_A, receiver_key=KEY_B),
        f"1e14 0001 {A} {B}",
        version=0,
    ),
    Layout(
        "join-syn",
        MpJoinSyn(address_id=2, token=0x3F8A286A, nonce=0x11223344),
        "1e0c 10 02 3f8a286a 11223344",
        SYN,
    ),
    Layout(
        "join-syn-backup-reserved",
        MpJoinSyn(backup=True, address_id=255, token=1, nonce=2, reserved=5),
        "1e0c 1b ff 00000001 00000002",
        SYN,
    ),
    Layout(
        "join-synack",
        MpJoinSynAck(backup=True, address_id=7, hmac=MAC8, nonce=0xAABBCCDD, reserved=4),
        f"1e10 19 07 {MAC8.hex()} aabbccdd",
        SYNACK,
    ),
    Layout("join-ack", MpJoinAck(hmac=MAC20), f"1e18 1000 {MAC20.hex()}"),
    Layout("join-ack-reserved", MpJoinAck(hmac=MAC20, reserved=0xABC), f"1e18 1abc {MAC20.hex()}"),
    _dss("dss-nothing", "1e04 20 00", Dss(flags=0)),
    _dss("dss-fin-alone", "1e04 20 10", Dss.of(data_fin=True)),
    _dss("dss-ack4", "1e08 20 01 61d417f9", Dss.of(data_ack=0x61D417F9, data_ack_size=4)),
    _dss("dss-ack8", "1e0c 20 03 33a8062a61d417f9", Dss.of(data_ack=0x33A8062A61D417F9)),
    _dss(
        "dss-map4",
        "1e0e 20 04 d29d6f73 01020304 1234",
        Dss.of(dsn=DSN4, dsn_size=4, ssn=0x01020304, dll=0x1234),
    ),
    _dss(
        "dss-map4-checksum",
        "1e10 20 04 d29d6f73 00000001 0005 82a1",
        Dss.of(dsn=DSN4, dsn_size=4, ssn=1, dll=5, checksum=0x82A1),
    ),
    _dss(
        "dss-map8",
        "1e12 20 0c f5a101d3d29d6f73 00000001 0005",
        Dss.of(dsn=DSN8, ssn=1, dll=5),
    ),
    _dss(
        "dss-map8-checksum",
        "1e14 20 0c f5a101d3d29d6f73 00000001 0005 0000",
        Dss.of(dsn=DSN8, ssn=1, dll=5, checksum=0),
    ),
    _dss(
        "dss-ack4-map4",
        "1e12 20 05 61d417f9 d29d6f73 00000001 0005",
        Dss.of(data_ack=0x61D417F9, data_ack_size=4, dsn=DSN4, dsn_size=4, ssn=1, dll=5),
    ),
    _dss(
        "dss-ack4-map4-checksum",
        "1e14 20 05 61d417f9 d29d6f73 00000001 0005 82a1",
        Dss.of(
            data_ack=0x61D417F9,
            data_ack_size=4,
            dsn=DSN4,
            dsn_size=4,
            ssn=1,
            dll=5,
            checksum=0x82A1,
        ),
    ),
    _dss(
        "dss-ack4-map8",
        "1e16 20 0d 61d417f9 f5a101d3d29d6f73 00000001 0005",
        Dss.of(data_ack=0x61D417F9, data_ack_size=4, dsn=DSN8, ssn=1, dll=5),
    ),
    _dss(
        "dss-ack8-map4",
        "1e16 20 07 33a8062a61d417f9 d29d6f73 00000001 0005",
        Dss.of(data_ack=0x33A8062A61D417F9, dsn=DSN4, dsn_size=4, ssn=1, dll=5),
    ),
    _dss(
        "dss-ack4-map8-checksum",
        "1e18 20 0d 61d417f9 f5a101d3d29d6f73 00000001 0005 82a1",
        Dss.of(data_ack=0x61D417F9, data_ack_size=4, dsn=DSN8, ssn=1, dll=5, checksum=0x82A1),
    ),
    _dss(
        "dss-ack8-map8-fin",
        "1e1a 20 1f 33a8062a61d417f9 f5a101d3d29d6f78 00000000 0001",
        Dss.of(data_ack=0x33A8062A61D417F9, dsn=DSN8 + 5, dll=1, data_fin=True),
    ),
    _dss(
        "dss-ack8-map8-checksum",
        "1e1c 20 0f 33a8062a61d417f9 f5a101d3d29d6f73 00000001 0005 82a1",
        Dss.of(data_ack=0x33A8062A61D417F9, dsn=DSN8, ssn=1, dll=5, checksum=0x82A1),
    ),
    _dss(
        "dss-width-flags-without-fields",
        "1e04 20 0a",
        Dss(flags=DSS_ACK8 | DSS_DSN8),
    ),
    _dss("dss-reserved", "1e08 2a a1 00000001", Dss(flags=1, data_ack=1, reserved=0b1010101)),
    Layout(
        "add-addr-v1-ipv4",
        AddAddr(address_id=5, address=V4, hmac=MAC8),
        f"1e10 30 05 c000020a {MAC8.hex()}",
    ),
    Layout(
        "add-addr-v1-ipv4-port",
        AddAddr(address_id=5, address=V4, port=8080, hmac=MAC8),
        f"1e12 30 05 c000020a 1f90 {MAC8.hex()}",
    ),
    Layout(
        "add-addr-v1-ipv6-reserved",
        AddAddr(address_id=5, address=V6, hmac=MAC8, reserved=3),
        f"1e1c 36 05 {V6_HEX} {MAC8.hex()}",
    ),
    Layout(
        "add-addr-v1-ipv6-port",
        AddAddr(address_id=5, address=V6, port=443, hmac=MAC8),
        f"1e1e 30 05 {V6_HEX} 01bb {MAC8.hex()}",
    ),
    Layout(
        "add-addr-v1-echo-ipv4",
        AddAddr(echo=True, address_id=5, address=V4),
        "1e08 31 05 c000020a",
    ),
    Layout(
        "add-addr-v1-echo-ipv4-port-reserved",
        AddAddr(echo=True, address_id=5, address=V4, port=8080, reserved=7),
        "1e0a 3f 05 c000020a 1f90",
    ),
    Layout(
        "add-addr-v1-echo-ipv6",
        AddAddr(echo=True, address_id=5, address=V6),
        f"1e14 31 05 {V6_HEX}",
    ),
    Layout(
        "add-addr-v1-echo-ipv6-port",
        AddAddr(echo=True, address_id=5, address=V6, port=443),
        f"1e16 31 05 {V6_HEX} 01bb",
    ),
    Layout(
        "add-addr-v0-ipv4",
        AddAddr(version=0, address_id=5, address=V4),
        "1e08 34 05 c000020a",
        version=0,
    ),
    Layout(
        "add-addr-v0-ipv4-port",
        AddAddr(version=0, address_id=5, address=V4, port=8080),
        "1e0a 34 05 c000020a 1f90",
        version=0,
    ),
    Layout(
        "add-addr-v0-ipv6",
        AddAddr(version=0, address_id=5, address=V6),
        f"1e14 36 05 {V6_HEX}",
        version=0,
    ),
    Layout(
        "add-addr-v0-ipv6-port",
        AddAddr(version=0, address_id=5, address=V6, port=443),
        f"1e16 36 05 {V6_HEX} 01bb",
        version=0,
    ),
    Layout("remove-addr", RemoveAddr(address_ids=(5,)), "1e04 40 05"),
    Layout("remove-addr-list", RemoveAddr(address_ids=(5, 6, 0), reserved=9), "1e06 49 05 06 00"),
    Layout("prio", MpPrio(backup=True), "1e03 51"),
    Layout("prio-reserved", MpPrio(backup=False, reserved=7), "1e03 5e"),
    Layout("prio-v0-address", MpPrio(backup=True, address_id=5), "1e04 51 05", version=0),
    Layout("fail", MpFail(dsn=DSN8), "1e0c 6000 f5a101d3d29d6f73"),
    Layout("fail-reserved", MpFail(dsn=1, reserved=0xFED), "1e0c 6fed 0000000000000001"),
    Layout("fastclose", MpFastclose(key=KEY_B), f"1e0c 7000 {B}"),
    Layout("fastclose-reserved", MpFastclose(key=KEY_B, reserved=1), f"1e0c 7001 {B}"),
    Layout("tcprst", MpTcprst(reason=6), "1e04 80 06"),
    Layout("tcprst-flags", MpTcprst(flags=0b1011, reason=255), "1e04 8b ff"),
    Layout("unassigned", Unknown(subtype=9, raw=bytes.fromhex("1e0591aabb")), "1e05 91 aabb"),
    Layout("experiment", Experimental(raw=bytes.fromhex("1e04ff00")), "1e04 ff 00"),
)


def _uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def _maybe(bits: int) -> st.SearchStrategy[int | None]:
    return st.none() | _uint(bits)


@st.composite
def placed_options(draw: st.DrawFn) -> tuple[Option, Segment, int]:
    """Any lawfully laid out option with a segment and an MPTCP version that it fits."""
    kind = draw(st.sampled_from(tuple(_DRAWN)))
    version = draw(st.sampled_from((0, 1)))
    segment = draw(st.sampled_from((ACK, DATA)))
    if kind is MpCapable:
        return _draw_capable(draw, version)
    if kind is MpJoinSyn:
        return draw(_JOIN_SYN), SYN, version
    if kind is MpJoinSynAck:
        return draw(_JOIN_SYNACK), SYNACK, version
    if kind is Dss:
        return _draw_dss(draw), segment, version
    if kind is AddAddr:
        return _draw_add_addr(draw, version), segment, version
    if kind is MpPrio:
        address_id = draw(_maybe(8)) if version == 0 else None
        prio = MpPrio(backup=draw(st.booleans()), address_id=address_id, reserved=draw(_uint(3)))
        return prio, segment, version
    return draw(_DRAWN[kind]), segment, version


def _draw_capable(draw: st.DrawFn, version: int) -> tuple[Option, Segment, int]:
    segment = draw(st.sampled_from((SYN, SYNACK, ACK, DATA) if version else (SYN, SYNACK, ACK)))
    first_data = segment is DATA
    option = MpCapable(
        version=version,
        flags=draw(_uint(8)),
        sender_key=None if segment is SYN and version else draw(_uint(64)),
        receiver_key=None if segment.syn else draw(_uint(64)),
        data_length=draw(_uint(16)) if first_data else None,
        checksum=draw(_maybe(16)) if first_data else None,
    )
    return option, segment, version


def _draw_dss(draw: st.DrawFn) -> Dss:
    flags = draw(_uint(5))
    shape = Dss(flags=flags)
    has_map = shape.dsn_size > 0
    return Dss(
        flags=flags,
        data_ack=draw(_uint(8 * shape.data_ack_size)) if shape.data_ack_size else None,
        dsn=draw(_uint(8 * shape.dsn_size)) if has_map else None,
        ssn=draw(_uint(32)) if has_map else None,
        dll=draw(_uint(16)) if has_map else None,
        checksum=draw(_maybe(16)) if has_map else None,
        reserved=draw(_uint(7)),
    )


def _draw_add_addr(draw: st.DrawFn, version: int) -> AddAddr:
    echo = version == 1 and draw(st.booleans())
    return AddAddr(
        version=version,
        echo=echo,
        address_id=draw(_uint(8)),
        address=draw(st.ip_addresses()),
        port=draw(_maybe(16)),
        hmac=draw(st.binary(min_size=8, max_size=8)) if version == 1 and not echo else None,
        reserved=draw(_uint(3)) if version else 0,
    )


_JOIN_SYN = st.builds(
    MpJoinSyn,
    backup=st.booleans(),
    address_id=_uint(8),
    token=_uint(32),
    nonce=_uint(32),
    reserved=_uint(3),
    raw=st.just(b""),
)
_JOIN_SYNACK = st.builds(
    MpJoinSynAck,
    backup=st.booleans(),
    address_id=_uint(8),
    hmac=st.binary(min_size=8, max_size=8),
    nonce=_uint(32),
    reserved=_uint(3),
    raw=st.just(b""),
)
_DRAWN: dict[type, st.SearchStrategy[Option]] = {
    MpCapable: st.nothing(),
    MpJoinSyn: _JOIN_SYN,
    MpJoinSynAck: _JOIN_SYNACK,
    MpJoinAck: st.builds(
        MpJoinAck, hmac=st.binary(min_size=20, max_size=20), reserved=_uint(12), raw=st.just(b"")
    ),
    Dss: st.nothing(),
    AddAddr: st.nothing(),
    RemoveAddr: st.builds(
        RemoveAddr,
        address_ids=st.lists(_uint(8), min_size=1, max_size=37).map(tuple),
        reserved=_uint(4),
        raw=st.just(b""),
    ),
    MpPrio: st.nothing(),
    MpFail: st.builds(MpFail, dsn=_uint(64), reserved=_uint(12), raw=st.just(b"")),
    MpFastclose: st.builds(MpFastclose, key=_uint(64), reserved=_uint(12), raw=st.just(b"")),
    MpTcprst: st.builds(MpTcprst, flags=_uint(4), reason=_uint(8), raw=st.just(b"")),
}
