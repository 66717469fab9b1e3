"""Option values: what they say about themselves, and their text form."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given

from mptcp_oracle.constants import NAMES, RESET_REASONS, Subtype
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
    notation,
)
from tests.common.layouts import LAYOUTS, Segment, placed_options

NOTATIONS: list[tuple[Option, str]] = [
    (MpCapable(version=1), "mp_capable v1 flags [H]"),
    (
        MpCapable(version=1, flags=0xA1, sender_key=1, receiver_key=0xAB),
        "mp_capable v1 flags [A C H] sender_key=0000000000000001 receiver_key=00000000000000ab",
    ),
    (
        MpCapable(version=1, sender_key=1, receiver_key=2, data_length=5, checksum=0xA1),
        "mp_capable v1 flags [H] sender_key=0000000000000001 receiver_key=0000000000000002"
        " dll=5 csum=0x00a1",
    ),
    (
        MpJoinSyn(backup=True, address_id=2, token=0x3F8A286A, nonce=0x11223344),
        "mp_join syn backup address_id=2 token=3f8a286a nonce=11223344",
    ),
    (
        MpJoinSynAck(address_id=0, hmac=bytes(8), nonce=1, reserved=5),
        "mp_join synack address_id=0 hmac=0000000000000000 nonce=00000001 reserved=0x5",
    ),
    (MpJoinAck(hmac=bytes(range(20))), f"mp_join ack hmac={bytes(range(20)).hex()}"),
    (Dss(flags=0), "dss"),
    (
        Dss.of(data_ack=9, dsn=2**63, ssn=1, dll=5, checksum=0x82A1, data_fin=True),
        f"dss dack8=9 dsn8={2**63} ssn=1 dll=5 csum=0x82a1 fin",
    ),
    (
        Dss.of(data_ack=9, data_ack_size=4, dsn=8, dsn_size=4, ssn=1, dll=5),
        "dss dack4=9 dsn4=8 ssn=1 dll=5",
    ),
    (
        AddAddr(address_id=5, address=IPv4Address("192.0.2.10"), port=443, hmac=bytes(8)),
        "add_addr v1 address_id=5 addr=192.0.2.10 port=443 hmac=0000000000000000",
    ),
    (
        AddAddr(echo=True, address_id=5, address=IPv6Address("2001:db8::10")),
        "add_addr v1 echo address_id=5 addr=2001:db8::10",
    ),
    (RemoveAddr(address_ids=(5, 6)), "remove_addr address_id=5,6"),
    (MpPrio(backup=True), "mp_prio backup"),
    (MpPrio(backup=False, address_id=3), "mp_prio address_id=3"),
    (MpFail(dsn=77, reserved=0xABC), "mp_fail dsn8=77 reserved=0xabc"),
    (MpFastclose(key=0xDEADBEEFCAFEBABE), "mp_fastclose key=deadbeefcafebabe"),
    (MpTcprst(reason=6), "mp_tcprst reason=6"),
    (MpTcprst(flags=0b1101, reason=2), "mp_tcprst U V T reason=2"),
    (Experimental(raw=b"\x1e\x03\xf0"), "mp_experimental 1e03f0"),
    (Unknown(subtype=9, raw=b"\x1e\x03\x90"), "subtype 0x9 1e0390"),
    (Malformed(reason=Flaw.CUT_OFF, raw=b"\x1e\x04"), "malformed (cut-off) 1e04"),
]


@pytest.mark.parametrize(("option", "text"), NOTATIONS, ids=[text for _, text in NOTATIONS])
def test_notation(option: Option, text: str) -> None:
    """Each option has one compact line of text."""
    assert notation(option) == text


@given(placed_options())
def test_notation_tells_options_apart(drawn: tuple[Option, Segment, int]) -> None:
    """Changing any one field of an option changes its text, so text loses nothing."""
    option = drawn[0]
    for field in dataclasses.fields(option):
        value = getattr(option, field.name)
        if field.name == "raw" or type(value) not in (int, bool):
            continue
        if isinstance(option, Dss) and field.name == "flags":
            continue
        changed = dataclasses.replace(option, **{field.name: value ^ 1})
        assert notation(changed) != notation(option), field.name


def test_values_are_frozen_and_slotted() -> None:
    """No option value can be changed or given further attributes."""
    for layout in LAYOUTS:
        with pytest.raises(dataclasses.FrozenInstanceError):
            layout.option.raw = b""  # type: ignore[misc]
        assert not hasattr(layout.option, "__dict__")


def test_raw_octets_do_not_take_part_in_comparisons() -> None:
    """A decoded option equals the same option made by hand."""
    assert MpPrio(backup=True, raw=b"\x1e\x03\x51") == MpPrio(backup=True)
    assert hash(MpFail(dsn=1, raw=b"x")) == hash(MpFail(dsn=1))
    assert Unknown(subtype=9, raw=b"a") != Unknown(subtype=9, raw=b"b")


def test_capable_flags() -> None:
    """Flag C is an address restriction in version 1 and a crypto bit in version 0."""
    every = MpCapable(version=1, flags=0xFF)
    assert (every.checksum_required, every.extension, every.address_closed) == (True, True, True)
    assert every.crypto == 0x1F
    none = MpCapable(version=1, flags=0)
    assert (none.checksum_required, none.extension, none.address_closed) == (False, False, False)
    assert none.crypto == 0
    old = MpCapable(version=0, flags=0x20)
    assert not old.address_closed
    assert old.crypto == 0x20


@pytest.mark.parametrize("data_ack_size", [4, 8])
@pytest.mark.parametrize("dsn_size", [4, 8])
def test_dss_of_sets_the_flags_that_its_fields_need(data_ack_size: int, dsn_size: int) -> None:
    """Widths given to Dss.of come back from the flags, and absent fields have width 0."""
    full = Dss.of(data_ack=1, data_ack_size=data_ack_size, dsn=2, dsn_size=dsn_size, data_fin=True)
    assert (full.data_ack_size, full.dsn_size, full.data_fin) == (data_ack_size, dsn_size, True)
    only_ack = Dss.of(data_ack=1, data_ack_size=data_ack_size, dll=9)
    assert (only_ack.data_ack_size, only_ack.dsn_size, only_ack.dll) == (data_ack_size, 0, None)
    only_map = Dss.of(dsn=2, dsn_size=dsn_size)
    assert (only_map.data_ack_size, only_map.dsn_size, only_map.data_fin) == (0, dsn_size, False)


@pytest.mark.parametrize("size", [0, 1, 2, 7, 16])
def test_dss_of_refuses_widths_that_do_not_exist(size: int) -> None:
    """A DATA_ACK or DSN has 4 or 8 octets."""
    with pytest.raises(UsageError):
        Dss.of(data_ack=1, data_ack_size=size)
    with pytest.raises(UsageError):
        Dss.of(dsn=1, dsn_size=size)


def test_transient_reset() -> None:
    """Flag T is the lowest bit of the MP_TCPRST nibble."""
    assert MpTcprst(flags=1, reason=0).transient
    assert not MpTcprst(flags=14, reason=0).transient


def test_every_subtype_and_reason_has_a_name() -> None:
    """Each assigned subtype and each registered reset reason has a name for people."""
    assert set(NAMES) == set(Subtype)
    assert sorted(RESET_REASONS) == list(range(7))
