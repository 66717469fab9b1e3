"""Several traces as one, and other traffic beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.interleave import interleave, noise
from mptcp_oracle.model.trace import Planted
from tests.common.traces import MS, exchange, trace


def test_one_trace_stays() -> None:
    """A single trace without offset is itself."""
    only = exchange()
    assert interleave([only], [0]) is only


def test_numbers_are_those_of_the_whole() -> None:
    """Segments are numbered in order of time, connections and subflows by trace."""
    one, two = exchange(), exchange()
    both = interleave([one, two], [0, 500_000])
    assert [segment.number for segment in both.segments] == list(range(12))
    assert [segment.time for segment in both.segments] == sorted(
        segment.time + offset for source, offset in ((one, 0), (two, 500_000))
        for segment in source.segments
    )  # fmt: skip
    assert [connection.number for connection in both.connections] == [0, 1]
    assert [(flow.number, flow.connection) for flow in both.subflows] == [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
    ]
    assert {segment.subflow for segment in both.segments} == {0, 2}
    assert both.transitions == ("C01", "C01")


def test_deliveries_follow_their_segments() -> None:
    """What arrives unchanged is the very segment that was sent, with its new number."""
    both = interleave([exchange(), exchange()], [3 * MS, 0])
    times = [delivery.time for delivery in both.deliveries]
    assert times == sorted(times)
    for delivery in both.deliveries:
        assert delivery.segment is both.segments[delivery.segment.number]


def test_altered_deliveries_stay_altered() -> None:
    """What a middlebox changed keeps its change under its new number."""
    whole = exchange()
    first = whole.deliveries[0]
    changed = replace(first, segment=replace(first.segment, options=()))
    both = interleave(
        [exchange(), replace(whole, deliveries=(changed, *whole.deliveries[1:]))], [0, MS]
    )
    bare = [
        one.segment for one in both.deliveries if one.segment.host == 0 and not one.segment.options
    ]
    assert [(segment.number, segment.subflow) for segment in bare] == [(2, 2)]
    assert both.segments[2].options


def test_evidence_is_renumbered() -> None:
    """Numbers of segments in the truth follow the segments."""
    fault = Planted(name="x", requirements=("R",), host=0, segments=(2,))
    second = replace(exchange(), planted=(fault,))
    both = interleave([exchange(), second], [0, 100 * MS])
    assert both.connections[1].fallback_shown == (frozenset({6}), frozenset({7, 8}))
    assert both.planted[0].segments == (8,)


def test_offsets_must_fit() -> None:
    """Each trace has its own offset."""
    with pytest.raises(UsageError, match="offset"):
        interleave([trace()], [])


def test_noise_is_other_traffic() -> None:
    """Noise is IP packets between two times, in order, with streams of its own."""
    found = noise(Counted(3), 60, 1000, 2000)
    assert [one.time for one in found] == sorted(one.time for one in found)
    assert all(1000 < one.time < 2000 for one in found)
    assert {one.packet[0] >> 4 for one in found} == {4, 6}
    assert {one.stream for one in found} == {None, 0, 1}
    for one in found:
        if one.packet[0] == 0x45:
            words = [int.from_bytes(one.packet[at : at + 2], "big") for at in range(0, 20, 2)]
            assert sum(words) % 0xFFFF == 0
            assert words[1] == len(one.packet)
