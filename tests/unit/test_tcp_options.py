"""Option spaces: what stands in them, in which order, and what is left out for want of room."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import Layout
from mptcp_oracle.model.tcp_options import OptionSpace
from mptcp_oracle.model.trace import ACK, SYN, Delivery, Sent
from mptcp_oracle.options import AddAddr, Dss, MpCapable, MpJoinAck, MpJoinSynAck, Option
from tests.common.plain_captures import trace_of

KEY = 0x0102030405060708
MILLISECOND = 1_000_000
SACK = bytes.fromhex("01010402")
SCALE = bytes.fromhex("01030300")
SIZE = bytes.fromhex("020405b4")
ISNS = (1000, 2000)
BASES = tuple(each ^ 0xA5A55A5A for each in ISNS)


def segment(
    *options: Option, flags: int = ACK, host: int = 0, time: int = 0, payload: bytes = b""
) -> Sent:
    """A segment of which only what matters here is chosen."""
    return Sent(
        number=0, time=time, subflow=0, host=host, sequence=1, ack=1, flags=flags, window=1,
        options=options, payload=payload,
    )  # fmt: skip


def space(sent: Sent, *, version: int = 4, first: bool = True, stamps: bool = False) -> bytes:
    """Its option space, checked for size."""
    trace = trace_of([sent], version=version, isns=ISNS)
    octets = OptionSpace(trace, Layout(timestamps=stamps, timestamp_first=first)).octets(sent)
    assert len(octets) <= 40
    assert len(octets) % 4 == 0
    return octets


def stamp(own: int, echo: int = 0) -> bytes:
    """A timestamp option."""
    return b"\x08\x0a" + own.to_bytes(4, "big") + echo.to_bytes(4, "big")


def test_without_timestamps_there_is_mptcp_alone() -> None:
    """A segment that is no SYN has its MPTCP options and padding, or nothing."""
    assert space(segment()) == b""
    assert space(segment(Dss.of(data_ack=1, data_ack_size=4))).hex() == "1e08200100000001"
    prefix = MpCapable(version=1, sender_key=KEY, receiver_key=KEY, data_length=1)
    assert space(segment(prefix, payload=b"x"))[22:] == b"\x01\x01"


@pytest.mark.parametrize(("version", "size"), [(4, 1460), (6, 1440)])
def test_a_syn_has_what_syns_have(version: int, size: int) -> None:
    """Maximum segment size, SACK-permitted and window scale stand before MPTCP's option."""
    found = space(segment(MpCapable(version=1), flags=SYN), version=version)
    assert found == b"\x02\x04" + size.to_bytes(2, "big") + SACK + SCALE + b"\x1e\x04\x01\x01"
    assert space(segment(flags=SYN | ACK)) == SIZE + SACK + SCALE


def test_other_options_may_stand_behind() -> None:
    """If the layout says so, MPTCP's options come first."""
    option = MpCapable(version=1)
    assert space(segment(option, flags=SYN), first=False).startswith(b"\x1e\x04")
    mapping = Dss.of(data_ack=1, dsn=1, ssn=1, dll=1)
    assert space(segment(mapping), first=False, stamps=True)[26:] == stamp(BASES[0])
    found = space(segment(Dss.of(data_ack=1)), first=False, stamps=True)
    assert found[12:] == stamp(BASES[0]) + b"\x01\x01"
    assert space(segment(Dss.of(data_ack=1)), stamps=True)[:12] == b"\x01\x01" + stamp(BASES[0])


def test_a_syn_with_timestamps_shares_a_word() -> None:
    """On a SYN the timestamp stands beside SACK-permitted, where two NOPs would be."""
    join = MpJoinSynAck(address_id=1, hmac=bytes(8), nonce=5)
    found = space(segment(join, flags=SYN | ACK), stamps=True)
    assert found[:20] == SIZE + b"\x04\x02" + stamp(BASES[0]) + SCALE
    assert len(found) == 36


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (20, SIZE + b"\x04\x02" + stamp(BASES[0]) + SCALE),
        (24, SIZE + SACK + SCALE),
        (28, SIZE + SACK + SCALE),
        (32, SIZE + SCALE),
        (36, SIZE),
        (40, b""),
    ],
)
def test_a_crowded_syn_leaves_out_what_matters_least(octets: int, expected: bytes) -> None:
    """With little room a SYN loses its timestamp, then SACK-permitted, scale and segment size."""
    crowd = [Dss(flags=0)] * (octets // 4)
    assert space(segment(*crowd, flags=SYN), stamps=True) == expected + b"\x1e\x04\x20\x00" * (
        octets // 4
    )


@pytest.mark.parametrize(
    ("option", "room"),
    [
        (Dss.of(data_ack=1, dsn=1, ssn=1, dll=1, checksum=1), True),
        (MpJoinAck(hmac=bytes(20)), True),
        (AddAddr(address_id=1, address=ip_address("2001:db8::1"), hmac=bytes(8)), True),
        (AddAddr(address_id=1, address=ip_address("2001:db8::1"), port=1, hmac=bytes(8)), False),
    ],
)
def test_a_timestamp_is_left_out_for_want_of_room(option: Option, room: bool) -> None:
    """A segment whose MPTCP options leave less than 12 octets has no timestamp."""
    for first in (False, True):
        assert (stamp(BASES[0]) in space(segment(option), first=first, stamps=True)) is room


def test_too_many_mptcp_options_are_refused() -> None:
    """More than 40 octets of MPTCP options fit in no header."""
    with pytest.raises(UsageError, match="do not fit"):
        space(segment(MpJoinAck(hmac=bytes(20)), MpJoinAck(hmac=bytes(20))))


def test_a_timestamp_echoes_what_had_arrived() -> None:
    """Values count milliseconds; the echo is the newest value that had arrived, 0 before any."""
    sent = [
        segment(flags=SYN, time=0),
        segment(host=1, time=7 * MILLISECOND),
        segment(host=1, time=9 * MILLISECOND),
        segment(time=12 * MILLISECOND - 1),
        segment(time=12 * MILLISECOND),
        segment(time=20 * MILLISECOND),
    ]
    trace = trace_of(sent, isns=ISNS)
    # The second of the listener's segments overtakes the first.
    arrivals = tuple(
        Delivery(time=time * MILLISECOND, segment=trace.segments[number])
        for number, time in ((0, 5), (2, 12), (1, 14))
    )
    spaces = OptionSpace(replace(trace, deliveries=arrivals), Layout(timestamps=True))
    mine, theirs = BASES
    found = [spaces.octets(each)[-10:] for each in trace.segments[1:]]
    assert spaces.octets(trace.segments[0])[6:16] == stamp(mine)
    assert found == [
        stamp(theirs + 7, mine),
        stamp(theirs + 9, mine),
        stamp(mine + 11),
        stamp(mine + 12, theirs + 9),
        stamp(mine + 20, theirs + 9),
    ]


def test_the_clock_wraps() -> None:
    """A timestamp is 32 bits of a clock that goes on for ever."""
    late = segment(time=(1 << 33) * MILLISECOND)
    assert space(late, stamps=True) == b"\x01\x01" + stamp(BASES[0])


def test_mptcp_options_are_found_where_they_begin() -> None:
    """The place of the first MPTCP option is known, whatever stands before it."""
    option = Dss.of(data_ack=1)
    for sent in (segment(option), segment(option, flags=SYN), segment(), segment(flags=SYN)):
        for first in (False, True):
            for stamps in (False, True):
                layout = Layout(timestamps=stamps, timestamp_first=first)
                spaces = OptionSpace(trace_of([sent]), layout)
                at = spaces.mptcp_at(sent)
                assert spaces.octets(sent)[at : at + 1] == b"\x1e" if sent.options else at == 0
