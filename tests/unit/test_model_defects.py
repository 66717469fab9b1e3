"""Defects of captures: each does what its name says, and the labels stay true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mptcp_oracle.model.capture import Frame
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.defects import DEFECTS, damage, tellable
from mptcp_oracle.model.offload import cut, merge
from mptcp_oracle.model.trace import ACK, FIN, PSH, SYN, Range, Sent, Trace
from mptcp_oracle.model.vantage import Tap, tap
from mptcp_oracle.options import MpPrio
from tests.common.traces import MS, ack, data, exchange, trace

SEEDS = range(20)


def frames(source: Trace, **where: object) -> tuple[Frame, ...]:
    """What a tap sees."""
    return tap(source, replace(Tap(), **where), Counted(0))  # type: ignore[arg-type]


def numbers(found: Sequence[Frame]) -> list[int]:
    """The numbers of the segments in frames."""
    return [frame.segment.number for frame in found]


def train(count: int = 6, octets: int = 10, **changes: object) -> Trace:
    """Segments that all repeat one mapping, nothing between them."""
    whole = (1, count * octets)
    segments = [
        data(at, (1 + at) * MS, 1 + at * octets, octets, whole=whole) for at in range(count)
    ]
    segments[2] = replace(segments[2], **changes)  # type: ignore[arg-type]
    return trace(*segments)


def covered(segments: Sequence[Sent]) -> None:
    """The ranges of each segment are its payload, without gaps."""
    for segment in segments:
        at = segment.sequence
        for part in segment.ranges:
            assert part.sequence == at
            at += part.octets
        assert at == segment.sequence + len(segment.payload)


def test_merging_joins_what_continues() -> None:
    """Segments with the same options merge into one whose labels say all of them."""
    found = [merge(frames(train()), Counted(seed)) for seed in SEEDS]
    assert min(map(len, found)) < 4
    for merged in found:
        assert b"".join(frame.segment.payload for frame in merged) == bytes(range(10)) * 6
        covered([frame.segment for frame in merged])
        for frame in merged:
            assert frame.segment.ranges == (
                Range(
                    sequence=frame.segment.sequence,
                    octets=len(frame.segment.payload),
                    dsn=frame.segment.sequence,
                ),
            )


def test_merging_keeps_different_causes_apart() -> None:
    """A merged segment says which of its octets were sent for which reason."""
    again = (Range(sequence=21, octets=10, dsn=21, cause="redundant"),)
    merged = next(
        merged
        for seed in SEEDS
        if len(merged := merge(frames(train(ranges=again)), Counted(seed))) == 1
    )
    assert [part.cause for part in merged[0].segment.ranges] == ["new", "redundant", "new"]


@pytest.mark.parametrize(
    "changes", [{"options": ()}, {"window": 7}, {"ack": 9}, {"flags": ACK | SYN}, {"copied": True}]
)
def test_merging_needs_equal_headers(changes: dict[str, object]) -> None:
    """A segment that differs in more than its place is never merged."""
    for seed in SEEDS:
        assert 2 in numbers(merge(frames(train(**changes)), Counted(seed)))


def test_nothing_merges_across_an_answer() -> None:
    """A segment of the other host in between ends a merged run."""
    whole = (1, 20)
    source = trace(
        data(0, MS, 1, 10, whole=whole), ack(1, 2 * MS, 5), data(2, 3 * MS, 11, 10, whole=whole)
    )
    found = frames(source, vantage="middle", position=0)
    found = tuple(sorted(found, key=lambda frame: frame.segment.number))
    for seed in SEEDS:
        assert len(merge(found, Counted(seed))) == 3


def test_cutting_repeats_options() -> None:
    """The pieces of a segment together are the segment, each with its options and mapping."""
    source = exchange()
    whole = source.segments[1]
    whole = replace(
        whole,
        flags=ACK | PSH | FIN,
        ranges=(
            Range(sequence=101, octets=30, dsn=101),
            Range(sequence=131, octets=70, dsn=131, cause="redundant"),
        ),
    )
    source = trace(source.segments[0], whole)
    found = [cut(frames(source), Counted(seed)) for seed in SEEDS]
    several = [one for one in found if numbers(one).count(1) > 1]
    assert several
    for result in several:
        pieces = [frame for frame in result if frame.segment.number == 1]
        covered([frame.segment for frame in pieces])
        assert b"".join(frame.segment.payload for frame in pieces) == whole.payload
        assert {frame.segment.options for frame in pieces} == {whole.options}
        assert {frame.segment.mapping for frame in pieces} == {whole.mapping}
        assert len({frame.ip_id for frame in pieces}) == len(pieces)
        assert [frame.segment.flags for frame in pieces] == [ACK] * (len(pieces) - 1) + [
            whole.flags
        ]
        assert (
            sum(
                part.octets
                for frame in pieces
                for part in frame.segment.ranges
                if part.cause == "redundant"
            )
            == 70
        )


def test_a_hole_makes_the_copy_an_original() -> None:
    """If the first copy of a packet is missing, the other one counts."""
    found = frames(exchange(), vantage="both")
    gone = next(frame for frame in found if not frame.again)
    left = damage((), [frame for frame in found if frame is not gone], Counted(0))
    assert [frame.again for frame in left if frame.segment.number == gone.segment.number] == [False]


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_are_functions_of_their_choices(name: str) -> None:
    """The same choices give the same frames, no frame is invented, and ``again`` is right."""
    source = frames(exchange(), vantage="both", apart=True)
    for seed in SEEDS:
        found = damage((name,), source, Counted(seed))
        assert found == damage((name,), source, Counted(seed))
        assert set(numbers(found)) <= set(numbers(source))
        seen: list[Sent] = []
        for frame in found:
            assert frame.again is (frame.segment in seen)
            seen.append(frame.segment)


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_take_anything(name: str) -> None:
    """A defect of no frames is no frames, and one frame is enough for each."""
    one = frames(trace(data(0, MS, 1, 10)))
    for seed in SEEDS:
        assert damage((name,), (), Counted(seed)) == ()
        damage((name,), one, Counted(seed))


@pytest.mark.parametrize(
    "name",
    ["single_holes", "burst", "deaf", "late_start", "early_end", "no_handshake"],
)
def test_holes_take_frames_away(name: str) -> None:
    """Holes leave fewer frames, in their old order."""
    source = frames(exchange())
    for seed in SEEDS:
        found = damage((name,), source, Counted(seed))
        assert len(found) < len(source)
        assert [frame for frame in source if frame in found] == list(found)


def test_whole_parts_may_be_missing() -> None:
    """One direction, one subflow, one interface can be missing, and nothing else is."""
    two = trace(data(0, MS, 1, 10), data(1, 2 * MS, 1, 10, subflow=1, dsn=11), ack(2, 20 * MS, 11))
    source = frames(two, apart=True)
    for seed in SEEDS:
        assert numbers(damage(("blind",), source, Counted(seed))) in ([1], [0, 2])
        assert numbers(damage(("unplugged",), source, Counted(seed))) in ([1], [0, 2])
        assert numbers(damage(("deaf",), source, Counted(seed))) in (
            [2],
            [0, 2],
            [0, 1],
            [1, 2],
            [0, 1, 2],
        )


@pytest.mark.parametrize(("name", "hops"), [("second_interface", 0), ("router_hop", 1)])
def test_copies_stand_elsewhere(name: str, hops: int) -> None:
    """Each copy differs from its original by the interface, or by a router."""
    source = frames(exchange())
    for seed in SEEDS:
        found = damage((name,), source, Counted(seed))
        assert len(found) > len(source)
        for copy in found:
            if copy.again:
                first = next(frame for frame in found if frame.segment == copy.segment)
                assert copy.hops - first.hops == hops
                assert (copy.interface == first.interface) is bool(hops)
                assert first.time < copy.time < first.time + MS


def test_disorder_needs_interfaces() -> None:
    """Frames of different interfaces change places in the file, with their times; others do not."""
    source = exchange()
    assert all(
        damage(("disorder",), frames(source), Counted(seed)) == frames(source) for seed in SEEDS
    )
    both = frames(source, vantage="both")
    found = [damage(("disorder",), both, Counted(seed)) for seed in SEEDS]
    assert any(numbers(one) != numbers(both) for one in found)
    for one in found:
        assert sorted(frame.time for frame in one) == [frame.time for frame in both]


def test_coarse_clocks_round_down() -> None:
    """With a coarse clock times are multiples of its step, never later."""
    source = frames(exchange(), epoch=123_456_789)
    for seed in SEEDS:
        for frame, before in zip(
            damage(("coarse_clock",), source, Counted(seed)), source, strict=True
        ):
            assert frame.time % 1000 == 0
            assert 0 <= before.time - frame.time < 10 * MS


def test_unknown_defects_are_refused() -> None:
    """A name that no defect has is an error."""
    with pytest.raises(ValueError, match="nonsense"):
        damage(("nonsense",), (), Counted(0))


def alike(gap: int) -> Trace:
    """Two acknowledgments with the same header on each subflow."""
    return trace(
        ack(0, MS, 5), ack(1, MS + gap, 5), ack(2, 9 * MS, 5, subflow=1),
        ack(3, 9 * MS + gap, 5, subflow=1),
    )  # fmt: skip


@pytest.mark.parametrize(("gap", "kept"), [(1000, [0, 1, 2]), (2 * MS, [0, 1, 2, 3])])
def test_packets_that_look_like_copies_are_left_out(gap: int, kept: list[int]) -> None:
    """Without identification an equal packet at once is left out, a later one is not."""
    assert numbers(tellable(frames(alike(gap)), (False, True), interfaces=True)) == kept


def test_options_tell_packets_apart_if_they_are_there() -> None:
    """Without the options in the file two packets may look alike that do not with them."""
    one = ack(0, MS, 5, subflow=1)
    other = replace(ack(1, MS + 1000, 5, subflow=1), options=(MpPrio(backup=True),))
    found = frames(trace(one, other))
    assert numbers(tellable(found, (False, True), interfaces=True)) == [0, 1]
    assert numbers(tellable(found, (False, True), interfaces=True, options=False)) == [0]


def test_copies_that_look_like_packets_are_left_out() -> None:
    """A copy at the same place, or in a file without interfaces, counts as a hole."""
    source = trace(ack(0, MS, 5, subflow=1))
    copied = damage(("second_interface",), frames(source), Counted(0))
    assert len(tellable(copied, (False, True), interfaces=True)) == 2
    assert len(tellable(copied, (False, True), interfaces=False)) == 1
    late = frames(trace(ack(0, MS, 5), delay=200 * MS), vantage="both")
    assert len(late) == 2
    assert len(tellable(late, (False, True), interfaces=True)) == 1
