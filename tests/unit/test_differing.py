"""Octets that were sent again, against a naive account of who sent each octet first."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.analysis import differing
from mptcp_oracle.analysis.coverage import FIRST_SEEN, RESENT
from mptcp_oracle.analysis.differing import AGAIN, by_dsn, by_sequence, difference, sent_again
from mptcp_oracle.analysis.parts import probes
from mptcp_oracle.analysis.trace import Trace, analyze
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import compose
from tests.common.conversation import Conversation
from tests.common.joinery import cut

DATA = bytes(range(40))


@cache
def octets(seed: int) -> bytes:
    """A generated capture."""
    return emit(compose(Counted(seed, "octets that differ")))


class Naive:
    """Each octet that was sent again: its number, its row, and the row that sent it first."""

    def __init__(self, trace: Trace) -> None:
        ground = trace.ground
        self.rows, self.data = trace.wire.segments, trace.capture.data
        self.again: list[dict[tuple[int, int], int]] = [{}, {}]
        sent: dict[tuple[int, int], int] = {}
        carried: dict[tuple[int, int], tuple[int, int]] = {}
        self.place: dict[tuple[int, int, int], int] = {}
        parts, probing = ground.parts, probes(trace.plane, ground.parts)
        for at in range(len(parts)):
            row, kind, delta = (int(each[at]) for each in (parts.row, parts.kind, parts.delta))
            half = self.rows["half"][row]
            direction = int(ground.direction[row])
            mapped = parts.mapping[at] >= 0
            for number in range(int(parts.start[at]), int(parts.end[at])):
                if kind == RESENT:
                    self.again[0][row, number] = sent[half, number]
                elif kind >= 0:
                    sent.setdefault((half, number), row)
                if kind == FIRST_SEEN:
                    carried.setdefault((direction, number + delta), (row, number))
                elif kind in AGAIN and mapped and not probing[at]:
                    first = carried.get((direction, number + delta))
                    if first is not None:
                        self.again[1][row, number] = first[0]
                        self.place[row, number, first[0]] = first[1]

    def octet(self, row: int, number: int) -> int | None:
        """An octet of a row; ``None`` if it was not captured."""
        far = number - self.rows["sequence"][row]
        return (
            self.data[self.rows["offset"][row] + far] if far < self.rows["captured"][row] else None
        )


def holds(trace: Trace) -> tuple[int, int]:
    """Check what a trace says of octets that were sent again; how many, and how many differ."""
    naive, parts = Naive(trace), sent_again(trace.ground)
    total = wrong = 0
    for which, found in enumerate((by_sequence(trace.ground, parts), by_dsn(trace.ground, parts))):
        seen = {}
        for at in range(len(found.row)):
            row, first, start, origin, octets_, compared = (
                int(each[at])
                for each in (
                    found.row, found.first, found.start, found.origin, found.octets, found.compared,
                )
            )  # fmt: skip
            assert 0 <= compared <= octets_ > 0
            unlike = []
            for far in range(octets_):
                seen[row, start + far] = first
                if which:
                    assert naive.place[row, start + far, first] == origin + far
                pair = naive.octet(row, start + far), naive.octet(first, origin + far)
                assert (None not in pair) == (far < compared)
                if far < compared and pair[0] != pair[1]:
                    unlike.append((far, *pair))
            assert found.differs[at] == bool(unlike)
            if unlike:
                wrong += 1
                assert difference(trace.ground, found, at) == unlike[0]
        assert seen == naive.again[which]
        total += len(seen)
    return total, wrong


@pytest.mark.parametrize("seed", range(10))
def test_generated(seed: int) -> None:
    """In generated captures, whole and damaged."""
    with analyze(octets(seed)) as trace:
        holds(trace)


SENT = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 30), st.integers(1, 30), st.integers(1, 12),
              st.integers(0, 2)),
    min_size=2, max_size=14,
)  # fmt: skip


@settings(max_examples=120)
@given(sent=SENT, block=st.sampled_from([1, 16, 1 << 20]), snap=st.sampled_from([0, 3]))
def test_drawn(sent: list[tuple[int, int, int, int, int]], block: int, snap: int) -> None:
    """Whatever is sent under whichever numbers, with whatever octets."""
    talk = Conversation()
    flows = [talk.opened(), talk.joined()]
    flows[0].data(1, DATA)
    for which, sequence, dsn, size, value in sent:
        payload = bytes(value * (at % 5 == 3) for at in range(size))
        flows[which].data(0, payload, seq=sequence, dsn=dsn)
    capture = cut(talk, talk.tape.last, min(snap, sent[-1][3])) if snap else talk.tape.pcap()
    with pytest.MonkeyPatch.context() as patch, analyze(capture) as trace:
        patch.setattr(differing, "BLOCK", block)
        holds(trace)


def test_many_first_carriers() -> None:
    """What many segments carried first is compared with each of them, up to a limit."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    for at in range(30):
        flow.data(0, DATA[at : at + 1])
    flow.data(0, DATA[:29] + b"!", seq=1, dsn=1)
    flow.data(0, DATA[:29] + b"!", dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert holds(trace) == (90, 3)
    with pytest.MonkeyPatch.context() as patch, analyze(talk.tape.pcap()) as trace:
        patch.setattr(differing, "MOST_STEPS", 29)
        found = by_dsn(trace.ground, sent_again(trace.ground))
        assert found.row.tolist().count(talk.tape.last - 1) == 29
        assert found.differs.sum() == 1


def test_nothing_was_sent_again() -> None:
    """Then there is nothing to compare."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    flow.data(0, DATA)
    with analyze(talk.tape.pcap()) as trace:
        assert len(sent_again(trace.ground)) == 0
        assert holds(trace) == (0, 0)


def test_first_carrier_that_was_not_captured() -> None:
    """What is sent again for the first time in the capture has no first carrier there."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    with talk.lost():
        flow.data(0, DATA)
    flow.data(0, DATA)
    flow.data(0, DATA, seq=1, dsn=1)
    flow.data(0, DATA + DATA, seq=1, mapping=talk.mapping(0, DATA + DATA, dsn=1, ssn=1))
    with analyze(talk.tape.pcap()) as trace:
        assert holds(trace) == (160, 0)


def test_everything_in_one_segment() -> None:
    """A segment may map one data octet twice: the first is the carrier of the second."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    flow.segment(0, 0x10, talk.dss(0, talk.mapping(0, DATA[:20], dsn=1, ssn=1), dack=1))
    flow.data(0, DATA, mapping=talk.mapping(0, DATA[20:], dsn=1, ssn=21))
    with analyze(talk.tape.pcap()) as trace:
        assert holds(trace) == (20, 1)
