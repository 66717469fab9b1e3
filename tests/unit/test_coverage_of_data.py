"""Coverage: what was carried first, and how far without a hole, held against a naive account."""

from __future__ import annotations

from functools import cache

import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.analysis import ordering
from mptcp_oracle.analysis.coverage import FIRST_SEEN, RESENT, Coverage, coverage
from mptcp_oracle.analysis.trace import Trace, analyze
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import compose
from tests.common.conversation import Conversation, Mapping

SEEDS = range(8)
DATA = bytes(range(40))


@cache
def octets(seed: int) -> bytes:
    """A generated capture."""
    return emit(compose(Counted(seed, "coverage of data")))


class Naive:
    """What each direction carried, one entry an octet: the row that carried it first."""

    def __init__(self, trace: Trace) -> None:
        ground, plane, table = trace.ground, trace.plane, trace.mappings
        self.new: list[tuple[int, int, int, int]] = []
        self.first: list[dict[int, int]] = [{} for _ in plane.base]
        self.rest: list[dict[int, int]] = [{} for _ in plane.base]
        parts = ground.parts
        for at in range(len(parts)):
            if not ground.carries[at]:
                continue
            row, delta = int(parts.row[at]), int(parts.delta[at])
            direction = int(ground.direction[row])
            start, end = int(parts.start[at]), int(parts.end[at])
            if parts.kind[at] == FIRST_SEEN:
                self.new.append((row, start, start + delta, end + delta))
                self._add(self.first[direction], row, start + delta, end + delta)
            elif parts.kind[at] in (RESENT, -1):
                self._add(self.rest[direction], 0, start + delta, end + delta)
        vague = set()
        half = ground.mapping("half")
        for at in range(len(half)):
            direction = int(ground.half_direction[half[at]])
            if direction < 0:
                continue
            row, low, high = int(ground.mapping("row")[at]), table.dsn[at], table.dsn_end[at]
            if table.data_fin[at] and table.length[at]:
                self._add(self.first[direction], row, int(high), int(high) + 1)
            if not plane.placed[half[at]] and high > low:
                self._add(self.rest[direction], row, int(low), int(high))
                vague.add(direction)
        # What nobody knows the place or the time of counts where something is missing.
        self.exact = []
        for direction, found in enumerate(self.first):
            gap = len(found) < max(found, default=0)
            self.exact.append(direction not in vague and not (gap and self.rest[direction]))
            if self.exact[direction]:
                self.rest[direction] = {}

    @staticmethod
    def _add(into: dict[int, int], row: int, low: int, high: int) -> None:
        for dsn in range(low, high):
            if dsn > 0:
                into[dsn] = min(into.get(dsn, row), row)

    def reached(
        self, direction: int, row: int | None = None, *, begin: int = 1, everything: bool = True
    ) -> int:
        """The first octet from ``begin`` on that was missing when a row had passed, or at all."""
        first, rest = self.first[direction], self.rest[direction] if everything else {}
        end = 1 << 60 if row is None else row
        while min(first.get(begin, 1 << 61), rest.get(begin, 1 << 61)) <= end:
            begin += 1
        return begin


def holds(trace: Trace) -> Coverage:
    """Check a trace's coverage."""
    naive, reach = Naive(trace), coverage(trace.ground)
    first = zip(*(each.tolist() for each in reach.first), strict=True)
    told = [(row, start, low, high) for row, _, start, low, high in first]
    assert sorted(told) == sorted(each for each in naive.new if each[2] > 0)
    direction = trace.ground.direction
    rows = [row for row in range(len(direction)) if direction[row] >= 0]
    assert reach.exact.tolist() == naive.exact
    for role in range(len(trace.plane.base)):
        assert reach.top[role] == max([0, *naive.first[role], *naive.rest[role]]) + 1
        assert reach.whole[role] == naive.reached(role)
        last = low = high = 1
        mine = [row for row in rows if direction[row] >> 1 == role >> 1]
        for row in mine:
            now = int(reach.at(direction[[row]] * 0 + role, row)[0])
            low = naive.reached(role, row, begin=low, everything=False)
            high = naive.reached(role, row, begin=high)
            assert low <= now <= high
            assert now == high or not naive.exact[role]
            if now > last:
                assert reach.since(role, now) == row
            last = now
        if mine:
            assert reach.since(role, 1) == mine[0]
        assert reach.since(role, int(reach.whole[role]) + 1) is None
    return reach


@pytest.mark.parametrize("block", [7, 1 << 16])
@pytest.mark.parametrize("seed", SEEDS)
def test_generated(seed: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage is what a naive account says, in however small blocks it is computed."""
    monkeypatch.setattr(ordering, "BLOCK", block)
    with analyze(octets(seed)) as trace:
        holds(trace)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_highest_data_acks(seed: int) -> None:
    """Of each direction the highest DATA_ACK is known, 1 if there is none."""
    with analyze(octets(seed)) as trace:
        reach, table = coverage(trace.ground), trace.segments
        direction = trace.ground.direction[trace.ground.rows]
        for role in range(len(trace.plane.base)):
            mine = table.has_data_ack & ~table.duplicate & (direction == role ^ 1)
            assert reach.acked[role] == max([1, *table.data_ack[mine].tolist()])


def test_computed_once() -> None:
    """A trace has one coverage."""
    with analyze(octets(0)) as trace:
        assert coverage(trace.ground) is coverage(trace.ground)


def test_hole_and_its_filler() -> None:
    """Data behind a hole counts when the hole is filled, by whichever subflow."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.joined()
    flow.data(0, DATA, dsn=1)
    flow.data(0, DATA, dsn=81)
    flow.data(0, DATA, dsn=121)
    other.data(0, DATA, dsn=41)
    flow.data(1, DATA)
    with analyze(talk.tape.pcap()) as trace:
        reach = holds(trace)
        assert [int(reach.at(trace.ground.direction[[0]], row)[0]) for row in range(6, 12)] == [
            1, 41, 41, 41, 161, 161,
        ]  # fmt: skip


def test_data_fins() -> None:
    """The octet of a DATA_FIN counts from where it was mapped first, on its own or behind data."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.joined()
    flow.data(0, DATA)
    flow.data_fin(0)
    other.data_fin(0)
    flow.data(1, DATA, fin=True)
    with analyze(talk.tape.pcap()) as trace:
        reach = holds(trace)
        assert reach.whole.tolist() == [42, 42]
        assert reach.since(0, 42) == 8
        assert reach.since(1, 42) == 10


def test_absurd_numbers() -> None:
    """What lies far away, or before the first octet, is no data."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, dsn=-60)
    flow.data(0, DATA, dsn=1)
    flow.data(0, DATA, dsn=(1 << 40) - 40)
    flow.data(0, DATA, dsn=(1 << 40) - 200)
    with analyze(talk.tape.pcap()) as trace:
        reach = coverage(trace.ground)
        assert reach.top.tolist() == [(1 << 40) - 160, 1]
        assert reach.whole.tolist() == [41, 1]


def test_mappings_whose_place_is_not_known() -> None:
    """What they cover counts as carried where they are declared, and no more."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(10))
    flow.next[0] = 6
    flow.synack(ack=6)
    flow.third()
    flow.data(0, DATA[:10], mapping=Mapping(dsn=1, ssn=3, dll=30))
    with analyze(talk.tape.pcap()) as trace:
        assert not trace.plane.placed[trace.connections[0].subflows[0].halves[0]]
        reach = holds(trace)
        assert reach.whole.tolist() == [31, 1]
        assert reach.since(0, 31) == 3


def test_segments_under_several_mappings() -> None:
    """A segment that mappings cut carries its pieces each at its own place."""
    talk = Conversation()
    flow = talk.opened()
    early = talk.mapping(0, DATA[:10], dsn=31, ssn=1)
    flow.ack(0)
    flow.segment(0, 0x10, talk.dss(0, early, dack=1))
    flow.data(0, DATA, mapping=talk.mapping(0, DATA[10:], dsn=1, ssn=11))
    with analyze(talk.tape.pcap()) as trace:
        reach = holds(trace)
        assert reach.whole.tolist() == [41, 1]
        assert len(reach.first.row) == 2


def test_many_ranges_in_one_segment() -> None:
    """What nobody noted of a segment with very many ranges counts from the beginning."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    for dsn in range(2, 142, 2):
        flow.data(0, b"x", dsn=dsn)
    flow.data(0, bytes(140), dsn=1)
    flow.data(0, bytes(2), dsn=141)
    with analyze(talk.tape.pcap()) as trace:
        reach = coverage(trace.ground)
        assert reach.whole.tolist() == [143, 41]
