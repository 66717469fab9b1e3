"""The encoder: exact octets, refusals, padding."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.encode import encode, pad
from mptcp_oracle.errors import UsageError
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Experimental,
    Flaw,
    Malformed,
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
from mptcp_oracle.wire.mptcp import decode_option
from tests.common.layouts import LAYOUTS, Layout, Segment, placed_options

V4 = IPv4Address("192.0.2.10")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_octets_are_those_of_the_figures(layout: Layout) -> None:
    """Each value of the table of layouts encodes to its hand-written octets."""
    assert encode(layout.option) == bytes.fromhex(layout.octets)


@given(placed_options())
def test_round_trip(drawn: tuple[Option, Segment, int]) -> None:
    """Any lawfully placed option decodes to itself, and that encodes to the same octets."""
    option, segment, version = drawn
    octets = encode(option)
    decoded = decode_option(
        octets,
        syn=segment.syn,
        ack=segment.ack,
        payload=segment.payload,
        version=version,
    )
    assert decoded == option
    assert decoded.raw == octets
    assert encode(decoded) == octets


REFUSED: list[tuple[str, Option]] = [
    ("version over 4 bits", MpCapable(version=16)),
    ("flags over 8 bits", MpCapable(version=1, flags=256)),
    ("negative key", MpCapable(version=1, sender_key=-1)),
    ("key over 64 bits", MpCapable(version=1, sender_key=2**64)),
    ("receiver's key without sender's", MpCapable(version=1, receiver_key=1)),
    ("data without keys", MpCapable(version=1, data_length=1)),
    ("checksum without data", MpCapable(version=1, sender_key=1, receiver_key=1, checksum=1)),
    ("token over 32 bits", MpJoinSyn(address_id=1, token=2**32, nonce=1)),
    ("nonce over 32 bits", MpJoinSyn(address_id=1, token=1, nonce=2**32)),
    ("Address ID over 8 bits", MpJoinSyn(address_id=256, token=1, nonce=1)),
    ("reserved over 3 bits", MpJoinSyn(address_id=1, token=1, nonce=1, reserved=8)),
    ("short SYN/ACK HMAC", MpJoinSynAck(address_id=1, hmac=bytes(7), nonce=1)),
    ("long SYN/ACK HMAC", MpJoinSynAck(address_id=1, hmac=bytes(20), nonce=1)),
    ("whole SHA-256 on the ACK", MpJoinAck(hmac=bytes(32))),
    ("reserved over 12 bits", MpJoinAck(hmac=bytes(20), reserved=4096)),
    ("DATA_ACK without flag A", Dss(flags=0, data_ack=1)),
    ("flag A without DATA_ACK", Dss(flags=1)),
    ("flag M without mapping", Dss(flags=4)),
    ("mapping without flag M", Dss(flags=0, dsn=1, ssn=1, dll=1)),
    ("mapping without SSN", Dss(flags=4, dsn=1, dll=1)),
    ("checksum without mapping", Dss(flags=0, checksum=1)),
    ("DATA_ACK over 4 octets", Dss(flags=1, data_ack=2**32)),
    ("DSN over 4 octets", Dss(flags=4, dsn=2**32, ssn=1, dll=1)),
    ("length over 16 bits", Dss.of(dsn=1, ssn=1, dll=2**16)),
    ("DSS flags over 5 bits", Dss(flags=0x20)),
    ("DSS reserved over 7 bits", Dss(flags=0, reserved=128)),
    ("version 0 echo", AddAddr(version=0, echo=True, address_id=1, address=V4)),
    ("version 0 HMAC", AddAddr(version=0, address_id=1, address=V4, hmac=bytes(8))),
    ("version 0 reserved bits", AddAddr(version=0, address_id=1, address=V4, reserved=1)),
    ("version 2 ADD_ADDR", AddAddr(version=2, address_id=1, address=V4)),
    ("port over 16 bits", AddAddr(address_id=1, address=V4, port=65536)),
    ("HMAC of 32 octets", AddAddr(address_id=1, address=V4, hmac=bytes(32))),
    ("no Address ID", RemoveAddr(address_ids=())),
    ("list longer than a Length", RemoveAddr(address_ids=(1,) * 253)),
    ("Address ID in list over 8 bits", RemoveAddr(address_ids=(1, 256))),
    ("priority reserved over 3 bits", MpPrio(backup=True, reserved=8)),
    ("DSN over 64 bits", MpFail(dsn=2**64)),
    ("fast close reserved bits", MpFastclose(key=1, reserved=4096)),
    ("reset flags over 4 bits", MpTcprst(flags=16, reason=1)),
    ("reason over 8 bits", MpTcprst(reason=256)),
    ("experiment of another subtype", Experimental(raw=b"\x1e\x03\x90")),
    ("unknown of another subtype", Unknown(subtype=9, raw=b"\x1e\x03\xa0")),
    ("unknown of another Kind", Unknown(subtype=9, raw=b"\x1d\x03\x90")),
    ("unknown with a wrong Length", Unknown(subtype=9, raw=b"\x1e\x04\x90")),
    ("unknown without octets", Unknown(subtype=9, raw=b"")),
]


@pytest.mark.parametrize("option", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_no_octets_can_say_is_refused(option: Option) -> None:
    """A value that does not fit its field, or fields that fit no layout, raise UsageError."""
    with pytest.raises(UsageError):
        encode(option)


@given(placed_options(), st.data())
def test_overflow_of_any_number_is_refused(
    drawn: tuple[Option, Segment, int], data: st.DataObject
) -> None:
    """No number of any option can grow beyond 64 bits, or below zero, and still be encoded."""
    option: Any = drawn[0]
    numbers = [
        field.name
        for field in dataclasses.fields(option)
        if type(getattr(option, field.name)) is int
    ]
    if numbers:
        name = data.draw(st.sampled_from(numbers))
        for bad in (-1, 2**64):
            broken = dataclasses.replace(option, **{name: bad})
            with pytest.raises(UsageError):
                encode(broken)


@pytest.mark.parametrize(
    ("option", "octets"),
    [
        (MpCapable(version=1, sender_key=1), "1e0c01010000000000000001"),
        (MpCapable(version=0), "1e040001"),
        (
            AddAddr(echo=True, address_id=5, address=V4, hmac=bytes(8)),
            "1e103105c000020a" + "00" * 8,
        ),
        (AddAddr(address_id=5, address=V4), "1e083005c000020a"),
        (Malformed(reason=Flaw.LENGTH_OCTET, raw=b"\x1e\x00"), "1e00"),
        (Malformed(reason=Flaw.CUT_OFF, raw=b""), ""),
    ],
    ids=["key-on-syn", "v0-without-key", "echo-with-hmac", "no-hmac", "zero-length", "nothing"],
)
def test_faults_can_be_written(option: Option, octets: str) -> None:
    """What breaks a rule but has octets is encoded, so that faults can be planted."""
    assert encode(option) == bytes.fromhex(octets)


def test_raw_of_an_understood_option_is_not_looked_at() -> None:
    """Changing a field of a decoded option changes its octets."""
    assert encode(MpPrio(backup=False, raw=b"\x1e\x03\x51")) == b"\x1e\x03\x50"


@given(st.lists(st.binary(max_size=12), max_size=3))
def test_padding(options: list[bytes]) -> None:
    """Padding adds fewer than 4 NOPs, at the end, up to a multiple of 4 octets."""
    octets = b"".join(options)
    padded = pad(options)
    assert padded.startswith(octets)
    assert len(padded) % 4 == 0
    assert padded[len(octets) :] in (b"", b"\1", b"\1\1", b"\1\1\1")


def test_padding_keeps_to_the_option_space() -> None:
    """A TCP header has 40 octets for options and not one more."""
    ack = encode(Dss.of(data_ack=1))
    address = encode(AddAddr(address_id=1, address=IPv6Address("::1"), hmac=bytes(8)))
    assert len(pad([ack, address])) == 40
    with pytest.raises(UsageError, match="do not fit"):
        pad([ack, address, b"\1"])
