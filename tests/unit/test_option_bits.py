"""Every bit of every option stands where the figures of the RFCs have it.

The reference reads an option as one long binary number and cuts fields out of it by the bit
positions in the figures of RFC 8684 section 3 and RFC 6824 section 3. It shares nothing with the
decoder, which works with octets and masks.
"""

from __future__ import annotations

from dataclasses import fields
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from mptcp_oracle.errors import UsageError
from mptcp_oracle.options import (
    AddAddr,
    Dss,
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
    notation,
)
from mptcp_oracle.wire.mptcp import RawOption, decode_option, walk

#: SYN, SYN/ACK, ACK without data, data: flags SYN and ACK, octets of payload.
PLACES = ((True, False, 0), (True, True, 0), (False, True, 0), (False, True, 1))
VERSIONS = (None, 0, 1)


def bits(raw: bytes, first: int, count: int) -> int:
    """The number in ``count`` bits from bit ``first`` on; bit 0 is the Kind's highest."""
    return int.from_bytes(raw, "big") >> 8 * len(raw) - first - count & (1 << count) - 1


def octets(raw: bytes, first: int, count: int) -> bytes:
    """The same bits as octets."""
    return bits(raw, first, count).to_bytes(count // 8)


def option(subtype: int, size: int, nibble: int, octet: int) -> bytes:
    """An option of a size whose octets from the fifth on are all different."""
    return (bytes([30, size, subtype << 4 | nibble, octet]) + bytes(range(0xA1, 0xD0)))[:size]


def shown(value: Option | None) -> dict[str, Any]:
    """What an option says, its octets aside."""
    assert value is not None
    return {each.name: getattr(value, each.name) for each in fields(value) if each.name != "raw"}


def read(raw: bytes, place: tuple[bool, bool, int], version: int | None) -> Option:
    """What the decoder makes of octets at a place; the octets are kept in any case."""
    syn, ack, payload = place
    value = decode_option(raw, syn=syn, ack=ack, payload=payload, version=version)
    assert value.raw == raw
    if isinstance(value, Malformed):
        assert value.subtype == bits(raw, 16, 4)
        assert value.reading is None or value.reading.raw == raw
    return value


def test_capable_in_every_version_with_every_flag() -> None:
    """Version, flags, keys, length and checksum of MP_CAPABLE are the figure's bits."""
    for size in range(4, 41):
        for version in range(16):
            for octet in range(256) if size == 12 else (0x00, 0x81, 0xFF):
                raw = option(0, size, version, octet)
                for place in PLACES if octet == 0x81 else PLACES[:1]:
                    found = read(raw, place, None)
                    if size not in (4, 12, 20, 22, 24):
                        assert isinstance(found, Malformed) == (version < 2)
                        assert isinstance(found, Unknown) == (version > 1)
                        continue
                    value = found.reading if isinstance(found, Malformed) else found
                    assert isinstance(value, MpCapable)
                    assert shown(value) == {
                        "version": bits(raw, 20, 4),
                        "flags": bits(raw, 24, 8),
                        "sender_key": bits(raw, 32, 64) if size >= 12 else None,
                        "receiver_key": bits(raw, 96, 64) if size >= 20 else None,
                        "data_length": bits(raw, 160, 16) if size >= 22 else None,
                        "checksum": bits(raw, 176, 16) if size == 24 else None,
                    }


def test_flags_of_capable_are_bits_of_the_fourth_octet() -> None:
    """A is bit 24, B bit 25, C bit 26; C is a crypto bit in version 0, as RFC 6824 has it."""
    for version in (0, 1, 2, 15):
        for octet in range(256):
            raw = option(0, 4, version, octet)
            value = MpCapable(version=version, flags=octet)
            assert value.checksum_required is bool(bits(raw, 24, 1))
            assert value.extension is bool(bits(raw, 25, 1))
            assert value.address_closed is (version > 0 and bool(bits(raw, 26, 1)))
            assert value.crypto == (bits(raw, 27, 5) if version else bits(raw, 26, 6))


@pytest.mark.parametrize(
    ("version", "sizes"),
    [(0, ((12,), (12,), (20,), (20,))), (1, ((4,), (12,), (20,), (22, 24)))],
)
def test_where_capable_of_each_size_belongs(
    version: int, sizes: tuple[tuple[int, ...], ...]
) -> None:
    """In each version each of the three packets, and the first data, has Lengths of its own."""
    known = {size for each in sizes for size in each}
    for place, lawful in zip(PLACES, sizes, strict=True):
        for size in range(4, 41):
            found = read(option(0, size, version, 1), place, 1 - version)
            if size in lawful:
                assert isinstance(found, MpCapable)
                continue
            assert isinstance(found, Malformed)
            assert found.reason is (Flaw.MISPLACED if size in known else Flaw.LAYOUT)
            assert (found.reading is not None) == (size in (4, 12, 20, 22, 24))


def test_join_messages() -> None:
    """The three MP_JOINs have their fields, reserved bits included, where the figures do."""
    for nibble in range(16):
        for octet in (0x01, 0xFE):
            raws = {size: option(1, size, nibble, octet) for size in range(4, 41)}
            expected: dict[int, tuple[type, dict[str, Any]]] = {
                12: (MpJoinSyn, {
                    "token": bits(raws[12], 32, 32), "nonce": bits(raws[12], 64, 32),
                }),
                16: (MpJoinSynAck, {
                    "hmac": octets(raws[16], 32, 64), "nonce": bits(raws[16], 96, 32),
                }),
                24: (MpJoinAck, {
                    "hmac": octets(raws[24], 32, 160), "reserved": bits(raws[24], 20, 12),
                }),
            }  # fmt: skip
            for size in (12, 16):
                expected[size][1].update(
                    backup=bool(bits(raws[size], 23, 1)),
                    address_id=bits(raws[size], 24, 8),
                    reserved=bits(raws[size], 20, 3),
                )
            lawful = {PLACES[0]: 12, PLACES[1]: 16, PLACES[2]: 24, PLACES[3]: 24}
            for place in PLACES:
                for size, raw in raws.items():
                    found = read(raw, place, None)
                    if size != lawful[place]:
                        assert isinstance(found, Malformed)
                        assert found.reason is (Flaw.MISPLACED if size in expected else Flaw.LAYOUT)
                    if size in expected:
                        value = found.reading if isinstance(found, Malformed) else found
                        assert type(value) is expected[size][0]
                        assert shown(value) == expected[size][1]


def test_dss_with_every_flag() -> None:
    """DATA_ACK, DSN, SSN, length and checksum follow from the flags, at either width."""
    for octet in range(256):
        ack = (0, 4, 0, 8)[octet & 3]
        dsn = (0, 4, 0, 8)[octet >> 2 & 3]
        after_ack = 4 + ack
        whole = after_ack + (dsn + 6 if dsn else 0)
        for nibble in (0x0, 0x1, 0x8, 0xF):
            for size in range(4, 41) if nibble == 1 else (whole, whole + 2):
                raw = option(2, size, nibble, octet)
                found = read(raw, PLACES[3], 1)
                if size != whole and not (dsn and size == whole + 2):
                    assert isinstance(found, Malformed)
                    assert (found.reason, found.reading) == (Flaw.LAYOUT, None)
                    continue
                assert isinstance(found, Dss)
                at = 8 * (after_ack + dsn)
                assert shown(found) == {
                    "flags": bits(raw, 27, 5),
                    "data_ack": bits(raw, 32, 8 * ack) if ack else None,
                    "dsn": bits(raw, 8 * after_ack, 8 * dsn) if dsn else None,
                    "ssn": bits(raw, at, 32) if dsn else None,
                    "dll": bits(raw, at + 32, 16) if dsn else None,
                    "checksum": bits(raw, at + 48, 16) if size == whole + 2 else None,
                    "reserved": bits(raw, 20, 7),
                }
                assert (found.data_ack_size, found.dsn_size) == (ack, dsn)
                assert found.data_fin is bool(bits(raw, 27, 1))


def test_add_addr_with_every_nibble_and_size() -> None:
    """Address, port and HMAC follow from Length; E, or IPVer in version 0, says which layout."""
    for size in range(4, 41):
        for nibble in range(16):
            raw = option(3, size, nibble, 0xC3)
            forms = {
                8: (32, 0, 0), 10: (32, 16, 0), 16: (32, 0, 64), 18: (32, 16, 64),
                20: (128, 0, 0), 22: (128, 16, 0), 28: (128, 0, 64), 30: (128, 16, 64),
            }  # fmt: skip
            for version in VERSIONS:
                found = read(raw, PLACES[2], version)
                value = found.reading if isinstance(found, Malformed) else found
                if size not in forms:
                    assert value is None
                    continue
                address, port, hmac = forms[size]
                old = nibble in (4, 6) and not hmac
                if old and {4: 32, 6: 128}[nibble] != address:
                    assert isinstance(found, Malformed)
                    assert (found.reason, value) == (Flaw.LAYOUT, None)
                    continue
                # bits 0 to 31 are Kind, Length, subtype, nibble and Address ID
                number = bits(raw, 32, address)
                assert isinstance(value, AddAddr)
                assert shown(value) == {
                    "version": 0 if old else 1,
                    "echo": not old and bool(bits(raw, 23, 1)),
                    "address_id": bits(raw, 24, 8),
                    "address": IPv4Address(number) if address == 32 else IPv6Address(number),
                    "port": bits(raw, 32 + address, 16) if port else None,
                    "hmac": octets(raw, 32 + address + port, 64) if hmac else None,
                    "reserved": 0 if old else bits(raw, 20, 3),
                }
                # An echo has no HMAC, an announcement has one (RFC 8684 section 3.4.1).
                fits = old or bool(bits(raw, 23, 1)) != bool(hmac)
                spoken = version in (None, 0 if old else 1)
                assert isinstance(found, AddAddr) == (fits and spoken)
                if isinstance(found, Malformed):
                    assert found.reason is (Flaw.WRONG_VERSION if fits else Flaw.LAYOUT)


def test_the_short_options() -> None:
    """REMOVE_ADDR, MP_PRIO, MP_FAIL, MP_FASTCLOSE and MP_TCPRST in every size."""
    for size in range(3, 41):
        for nibble in range(16):
            for octet in (0x00, 0x01, 0x7F, 0x80, 0xFF) if size in (4, 12) else (0x5A,):
                raws = [option(subtype, size, nibble, octet) for subtype in range(9)]
                for version in VERSIONS:
                    found = [read(raw, PLACES[2], version) for raw in raws]
                    if size == 3:
                        assert [type(each) for each in found[6:]] == [Malformed] * 3
                        assert isinstance(found[4], Malformed)
                    else:
                        assert isinstance(found[4], RemoveAddr)
                        assert shown(found[4]) == {
                            "address_ids": tuple(raws[4])[3:], "reserved": bits(raws[4], 20, 4),
                        }  # fmt: skip
                    prio = found[5]
                    value = prio.reading if isinstance(prio, Malformed) else prio
                    if size > 4:
                        assert isinstance(prio, Malformed)
                        assert (prio.reason, value) == (Flaw.LAYOUT, None)
                    else:
                        assert isinstance(value, MpPrio)
                        assert shown(value) == {
                            "backup": bool(bits(raws[5], 23, 1)),
                            "address_id": bits(raws[5], 24, 8) if size == 4 else None,
                            "reserved": bits(raws[5], 20, 3),
                        }
                        wrong = isinstance(prio, Malformed)
                        assert wrong == (size == 4 and version == 1)
                        assert not wrong or prio.reason is Flaw.WRONG_VERSION
                    for at, kind, name in ((6, MpFail, "dsn"), (7, MpFastclose, "key")):
                        assert isinstance(found[at], kind) == (size == 12)
                        if size == 12:
                            assert shown(found[at]) == {
                                name: bits(raws[at], 32, 64), "reserved": bits(raws[at], 20, 12),
                            }  # fmt: skip
                    assert isinstance(found[8], MpTcprst) == (size == 4)
                    if size == 4:
                        assert shown(found[8]) == {
                            "flags": bits(raws[8], 20, 4), "reason": bits(raws[8], 24, 8),
                        }  # fmt: skip
                        assert found[8].transient is bool(bits(raws[8], 23, 1))


def test_two_octets_of_an_option_of_kind_30() -> None:
    """Length and number of octets must agree, and there must be a subtype."""
    for size in range(5):
        for length in range(256):
            raw = bytes([30, length, 0x51, 0xFF])[:size]
            found = decode_option(raw, syn=False, ack=True, payload=0, version=0)
            if size == 0:
                expected = Malformed(reason=Flaw.NOT_MPTCP)
            elif size == 1 or length > size:
                subtype = 5 if size > 2 else None
                expected = Malformed(reason=Flaw.CUT_OFF, subtype=subtype, raw=raw)
            elif length != size or size < 3:
                subtype = 5 if size > 2 else None
                expected = Malformed(reason=Flaw.LENGTH_OCTET, subtype=subtype, raw=raw)
            else:
                assert isinstance(found, MpPrio)
                continue
            assert found == expected


def test_octets_of_another_kind_are_no_option_of_ours() -> None:
    """Only Kind 30 is MPTCP, however sound the rest of the option is."""
    for kind in range(256):
        raw = bytes([kind, 3, 0x51])
        found = decode_option(raw, syn=False, ack=True, payload=0, version=1)
        assert isinstance(found, MpPrio) == (kind == 30)
        assert kind == 30 or found == Malformed(reason=Flaw.NOT_MPTCP, raw=raw)


def test_raw_options_say_whether_their_length_is_good() -> None:
    """The Length counts Kind and Length octets too; Kinds 0 and 1 have none."""
    for kind in (0, 1, 2, 30, 255):
        for length in range(6):
            for size in range(1, 5):
                raw = bytes([kind, length, 7, 7])[:size]
                bad = kind > 1 and (size < 2 or length != size)
                assert RawOption(0, kind, raw).malformed is bad


def test_the_walk_goes_by_the_lengths() -> None:
    """Options follow each other by their Lengths; one that is no good takes all the rest."""
    for length in range(256):
        area = bytes([1, 30, length, 0x51, 0x01, 8, 2, 1])
        found = [(each.offset, each.kind, each.raw) for each in walk(area)]
        # behind a Length of 2 to 7: what stands at octet 1 + length
        rest = {
            2: [(3, 0x51, area[3:])],
            3: [(4, 1, b"\1"), (5, 8, b"\10\2"), (7, 1, b"\1")],
            4: [(5, 8, b"\10\2"), (7, 1, b"\1")],
            5: [(6, 2, b"\2\1")],
            6: [(7, 1, b"\1")],
            7: [],
        }
        size = length if length in rest else 7
        assert found == [(0, 1, b"\1"), (1, 30, area[1 : 1 + size]), *rest.get(length, [])]


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ({}, 0x00),
        ({"data_fin": True}, 0x10),
        ({"data_ack": 1}, 0x03),
        ({"data_ack": 1, "data_ack_size": 4}, 0x01),
        ({"dsn": 1}, 0x0C),
        ({"dsn": 1, "dsn_size": 4}, 0x04),
        ({"dsn": 0, "data_ack": 0, "data_fin": True}, 0x1F),
    ],
)
def test_dss_of_some_fields(given: dict[str, Any], flags: int) -> None:
    """Flags m, M, a, A and F say what was given; a mapping is eight octets wide and empty."""
    made = Dss.of(**given)
    mapped = "dsn" in given
    assert shown(made) == {
        "flags": flags,
        "data_ack": given.get("data_ack"),
        "dsn": given.get("dsn"),
        "ssn": 0 if mapped else None,
        "dll": 0 if mapped else None,
        "checksum": None,
        "reserved": 0,
    }


def test_every_wrong_width_is_refused_wherever_it_is_given() -> None:
    """Numbers of the data level have 4 or 8 octets, also where none is given."""
    for size in range(-1, 20):
        for name in ("data_ack_size", "dsn_size"):
            if size in (4, 8):
                Dss.of(**{name: size})
            else:
                with pytest.raises(UsageError, match="4 or 8 octets"):
                    Dss.of(**{name: size})


def test_values_that_say_nothing_of_a_field() -> None:
    """What is not given is absent, false or zero; MP_CAPABLE asks for HMACs by itself."""
    assert shown(MpCapable(version=1)) == {
        "version": 1, "flags": 0x01, "sender_key": None, "receiver_key": None,
        "data_length": None, "checksum": None,
    }  # fmt: skip
    for made in (
        MpJoinSyn(address_id=1, token=2, nonce=3),
        MpJoinSynAck(address_id=1, hmac=b"", nonce=3),
    ):
        assert (made.backup, made.reserved, made.raw) == (False, 0, b"")
    assert shown(AddAddr(address_id=1, address=IPv4Address(1))) == {
        "version": 1, "echo": False, "address_id": 1, "address": IPv4Address(1), "port": None,
        "hmac": None, "reserved": 0,
    }  # fmt: skip
    for value in (
        MpJoinAck(hmac=b""), RemoveAddr(address_ids=()), MpPrio(backup=False), MpFail(dsn=1),
        MpFastclose(key=1), Dss(flags=0),
    ):  # fmt: skip
        assert value.reserved == 0
        assert value.raw == b""
    assert shown(MpTcprst(reason=1)) == {"flags": 0, "reason": 1}
    assert Malformed(reason=Flaw.LAYOUT) == Malformed(
        reason=Flaw.LAYOUT, subtype=None, reading=None, raw=b""
    )


def test_representations_leave_out_the_octets() -> None:
    """The text of a value is what it says; its octets show only where they are all there is."""
    assert "raw" not in repr(MpPrio(backup=True, raw=b"\x1e\x03\x51"))
    assert "raw" in repr(Unknown(subtype=9, raw=b"\x1e\x03\x90"))


def test_letters_of_flags() -> None:
    """Flags have letters from the highest bit on: A to H in MP_CAPABLE, U V W T in MP_TCPRST."""
    for octet in range(256):
        letters = [each for at, each in enumerate("ABCDEFGH") if octet >> 7 - at & 1]
        text = notation(MpCapable(version=1, flags=octet))
        assert text == f"mp_capable v1 flags [{' '.join(letters)}]"
    for nibble in range(16):
        letters = [each for at, each in enumerate("UVWT") if nibble >> 3 - at & 1]
        text = notation(MpTcprst(flags=nibble, reason=3))
        assert text == " ".join(["mp_tcprst", *letters, "reason=3"])


def test_absent_and_zero_fields_read_differently() -> None:
    """A field that is 0 is shown, one that is absent is not; reserved bits only if one is set."""
    assert notation(Dss(flags=0x05, data_ack=0, dsn=0, ssn=0, dll=0, checksum=0)) == (
        "dss dack4=0 dsn4=0 ssn=0 dll=0 csum=0x0000"
    )
    assert notation(MpPrio(backup=False, address_id=0)) == "mp_prio address_id=0"
    assert notation(AddAddr(address_id=0, address=IPv4Address(0), port=0, hmac=b"")) == (
        "add_addr v1 address_id=0 addr=0.0.0.0 port=0 hmac="
    )
    assert notation(MpJoinAck(hmac=b"\1", reserved=1)) == "mp_join ack hmac=01 reserved=0x1"
    assert notation(RemoveAddr(address_ids=(1,), reserved=0xF)) == (
        "remove_addr address_id=1 reserved=0xf"
    )
