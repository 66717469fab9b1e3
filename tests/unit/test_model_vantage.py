"""Vantage points: which packets each tap sees, when, and in which form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mptcp_oracle.model.capture import VANTAGES
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.trace import Delivery, Trace
from mptcp_oracle.model.vantage import ID_STEP, Tap, tap
from tests.common.traces import MS, exchange, trace

CHOICES = Counted(0)


def seen(source: Trace, where: Tap) -> list[tuple[int, int, bool]]:
    """Number, milliseconds and ``again`` of each frame."""
    frames = tap(source, where, Counted(1))
    return [(f.segment.number, f.time // MS, f.again) for f in frames]


def test_the_initiator_sees_its_own_at_once() -> None:
    """At the initiator its segments are exact in time, the peer's come with their delay."""
    assert seen(exchange(), Tap(vantage="initiator")) == [
        (0, 1, False), (1, 2, False), (2, 3, False), (3, 22, False), (4, 23, False), (5, 24, False)
    ]  # fmt: skip


def test_the_listener_sees_the_data_late() -> None:
    """At the listener the data comes on arrival, its own acknowledgments when sent."""
    assert seen(exchange(), Tap(vantage="listener", epoch=1000 * MS)) == [
        (0, 1011, False), (1, 1012, False), (3, 1012, False),
        (2, 1013, False), (4, 1013, False), (5, 1014, False),
    ]  # fmt: skip


def test_the_middle_sees_between() -> None:
    """Between the hosts a segment is seen on its way, by the tap's distance."""
    frames = tap(exchange(), Tap(vantage="middle", position=200), CHOICES)
    assert {frame.segment.number: frame.time // MS for frame in frames} == {
        0: 3, 1: 4, 2: 5, 3: 20, 4: 21, 5: 22
    }  # fmt: skip
    assert {(frame.segment.host, frame.hops, frame.outgoing) for frame in frames} == {
        (0, 1, None),
        (1, 1, None),
    }


def test_two_taps_see_all_twice() -> None:
    """With taps at both hosts every packet is there twice, the later time marked."""
    frames = tap(exchange(), Tap(vantage="both"), CHOICES)
    assert len(frames) == 12
    for number in range(6):
        first, second = [frame for frame in frames if frame.segment.number == number]
        assert (first.again, second.again) == (False, True)
        assert (first.outgoing, second.outgoing) == (True, False)
        assert (first.interface, second.interface) == (number // 3, 1 - number // 3)
        assert first.ip_id == second.ip_id
        assert first.hops < second.hops


@pytest.mark.parametrize("vantage", ["initiator", "listener", "both"])
def test_what_is_lost_never_arrives(vantage: str) -> None:
    """A lost segment is seen by its sender's tap only."""
    whole = exchange()
    broken = trace(*whole.segments, lost=(1,))
    numbers = [number for number, _, _ in seen(broken, Tap(vantage=vantage))]
    assert numbers.count(1) == {"initiator": 1, "listener": 0, "both": 1}[vantage]


@pytest.mark.parametrize(("share", "count"), [(0, 0), (1000, 1)])
def test_the_middle_sees_what_is_lost_beyond(share: int, count: int) -> None:
    """Between the hosts a lost segment is seen if it was lost behind the tap."""
    broken = trace(*exchange().segments, lost=(1,))
    numbers = [number for number, _, _ in seen(broken, Tap(lost_beyond=share))]
    assert numbers.count(1) == count


def altered() -> Trace:
    """An exchange in which a middlebox strips the options of the segment in the middle."""
    whole = exchange()
    stripped = replace(whole.segments[1], options=())
    deliveries = tuple(
        Delivery(time=one.time, segment=stripped) if one.segment.number == 1 else one
        for one in whole.deliveries
    )
    return replace(whole, deliveries=deliveries)


@pytest.mark.parametrize(
    ("where", "bare"),
    [
        (Tap(vantage="initiator"), [False]),
        (Tap(vantage="listener"), [True]),
        (Tap(vantage="middle", box_first=True), [True]),
        (Tap(vantage="middle", box_first=False), [False]),
        (Tap(vantage="both"), [False, True]),
    ],
)
def test_a_middlebox_shows_behind_it(where: Tap, bare: list[bool]) -> None:
    """Only a tap behind the middlebox sees what it changed, and both forms are no copies."""
    frames = [frame for frame in tap(altered(), where, CHOICES) if frame.segment.number == 1]
    assert [not frame.segment.options for frame in frames] == bare
    assert not any(frame.again for frame in frames)


def test_changed_payload_does_not_make_another_packet() -> None:
    """A packet of which a middlebox changed an octet is still that packet: its header says so."""
    whole = exchange()
    first = whole.deliveries[0]
    changed = replace(
        first, segment=replace(first.segment, payload=b"!" + first.segment.payload[1:])
    )
    frames = tap(replace(whole, deliveries=(changed,)), Tap(vantage="both"), CHOICES)
    assert [frame.again for frame in frames if frame.segment.number == 0] == [False, True]


def test_a_doubled_packet_is_marked() -> None:
    """The second copy of a packet that the network doubled is the same packet, by another way."""
    whole = exchange()
    twice = replace(whole.deliveries[0], time=whole.deliveries[0].time + 1)
    doubled = replace(whole, deliveries=(whole.deliveries[0], twice, *whole.deliveries[1:]))
    frames = tap(doubled, Tap(vantage="listener"), CHOICES)[:2]
    assert [(frame.segment.number, frame.again, frame.hops) for frame in frames] == [
        (0, False, 2),
        (0, True, 3),
    ]


def test_identifications_differ() -> None:
    """Packets of one host differ in their identification and never have the number 0."""
    frames = tap(exchange(), Tap(vantage="middle", ids=(0xFFF8 - ID_STEP, None)), CHOICES)
    ids = [frame.ip_id for frame in frames]
    assert ids[3:] == [None] * 3
    numbers = {number for number in ids if number is not None}
    assert len(numbers) == 3
    assert min(numbers) > 0
    assert max(numbers) + ID_STEP - 1 <= 0xFFFF


@pytest.mark.parametrize("vantage", VANTAGES)
def test_subflows_may_have_interfaces(vantage: str) -> None:
    """A host with an interface for each subflow captures each on its own."""
    frames = tap(exchange(subflow=1), Tap(vantage=vantage, apart=True), CHOICES)
    expected = {1, 3} if vantage == "both" else {1}
    assert {frame.interface for frame in frames} == expected
