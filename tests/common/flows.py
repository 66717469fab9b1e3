"""A naive account of TCP streams: which one each segment belongs to, and where its numbers begin.

Streams are kept in lists by their endpoints and numbers are Python's. :class:`Flows` takes one
segment after the other; :mod:`tests.unit.test_streams_account` holds the loop against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.common.numbers import signed

__all__ = ["Flow", "Flows", "Segment"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
#: How an initial sequence number is known.
UNKNOWN, OWN_SYN, SYNACK, THIRD, DOUBTFUL = range(5)
#: How far a segment may be from another of its stream; how much data a SYN may have.
NEAR, ON_A_SYN, WINDOW = 1 << 20, 1 << 16, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment; endpoints are ``(address, port)``; ``join`` is whether it ends a join."""

    source: tuple[int, int]
    destination: tuple[int, int]
    family: int = 4
    realm: int = 0
    flags: int = ACK
    seq: int = 0
    ack: int = 0
    payload: int = 0
    key: int | None = None
    join: bool = False
    possible: bool = True


@dataclass(slots=True)
class Flow:
    """A stream; lists are by half: the lower endpoint's, the higher one's."""

    ends: tuple[tuple[int, int], tuple[int, int]]
    family: int
    realm: int
    number: int
    older: Flow | None
    key: int = 0
    stands: bool = False
    replaced: bool = False
    base: list[int] = field(default_factory=lambda: [0, 0])
    top: list[int] = field(default_factory=lambda: [0, 0])
    seen: list[bool] = field(default_factory=lambda: [False, False])
    isn: list[int] = field(default_factory=lambda: [0, 0])
    isn_from: list[int] = field(default_factory=lambda: [UNKNOWN, UNKNOWN])


def _apart(one: int, two: int) -> int:
    """How far a sequence number is ahead of another."""
    return signed(one - two, 32)


class Flows:
    """All streams so far; :meth:`put` says which half a segment is of, and its number.

    Attributes:
        passed_over: Whether a stream began behind one older than the newest: the loop does not
            mark the newest as replaced then, and a hash table that is made anew holds both.
    """

    def __init__(self) -> None:
        self.passed_over = False
        self.all: list[Flow] = []
        self.newest: dict[object, Flow] = {}

    def put(self, given: Segment) -> tuple[int, int]:
        """One segment more."""
        if not given.possible:
            return -1, 0
        ends = (given.source, given.destination)
        side = int(ends[0] > ends[1])
        name = (tuple(sorted(ends)), given.family, given.realm)
        flow = self.newest.get(name)
        if flow is not None and not given.flags & SYN and not flow.stands and flow.older:
            flow = self._stray(flow, given, side)
        if flow is None or self._another(flow, given, side):
            older, flow = flow, Flow(*name, len(self.all), flow)  # type: ignore[arg-type]
            if older is not None:
                older.replaced = True
                self.passed_over |= self.newest[name] is not older
            self.all.append(flow)
            self.newest[name] = flow
        if given.key and not flow.key and not given.flags & SYN:
            flow.key = given.key
        self._learn(flow, given, side)
        return 2 * flow.number + side, self._place(flow, given, side)

    @staticmethod
    def _stray(flow: Flow, given: Segment, side: int) -> Flow:
        """After a SYN that came to nothing: the older stream, if the segment goes on there."""
        older = flow.older
        assert older is not None
        behind = _apart(given.seq, older.base[side] + older.top[side])
        other = 1 - side
        answers = (
            bool(given.flags & ACK)
            and flow.isn_from[other] == OWN_SYN
            and 0 < _apart(given.ack, flow.isn[other]) <= flow.top[other]
        )
        of_older = older.seen[other] and (
            0 < _apart(given.ack, older.base[other]) <= older.top[other]
        )
        if older.seen[side] and abs(behind) < NEAR and (of_older or not answers):
            return older
        flow.stands = True
        return flow

    @staticmethod
    def _another(flow: Flow, given: Segment, side: int) -> bool:
        """Whether a segment cannot be of this stream and begins another one."""
        other = 1 - side
        # A SYN captured a little after what it began, or its retransmission.
        late = flow.seen[side] and 0 <= _apart(flow.base[side], given.seq) < NEAR
        same = flow.isn_from[side] == OWN_SYN and flow.isn[side] == given.seq
        if given.flags & SYN and given.flags & ACK:
            if flow.isn_from[other] == OWN_SYN:
                answers = 0 <= _apart(given.ack, flow.isn[other] + 1) < ON_A_SYN
                return not answers and not same
            if flow.isn_from[side] == OWN_SYN:
                return not same
            if flow.seen[side]:
                return not late
            if flow.seen[other]:
                return not abs(_apart(flow.base[other] + 1, given.ack)) < NEAR
            return False
        if given.flags & SYN:
            if flow.isn_from[side] == OWN_SYN:
                return not same
            if flow.seen[side]:
                return not late
            if flow.isn_from[other] == OWN_SYN and flow.isn_from[side] == SYNACK:
                # What the SYN/ACK took of it: the SYN, and none or some or all of its data.
                return not 0 <= _apart(flow.isn[side], given.seq) <= given.payload
            return False
        if given.key and flow.key and given.key != flow.key:
            again = 0 <= _apart(given.seq, flow.base[side]) < ON_A_SYN
            return not (flow.seen[side] and again)
        return False

    @staticmethod
    def _learn(flow: Flow, given: Segment, side: int) -> None:
        """What a segment tells of initial sequence numbers."""
        other = 1 - side
        open_ = flow.isn_from[other] in (UNKNOWN, DOUBTFUL)
        if given.flags & SYN:
            flow.isn[side], flow.isn_from[side] = given.seq, OWN_SYN
            if given.flags & ACK:
                if flow.isn_from[other] == OWN_SYN:
                    flow.stands |= 0 <= _apart(given.ack, flow.isn[other] + 1) < ON_A_SYN
                elif open_:
                    flow.isn[other], flow.isn_from[other] = (given.ack - 1) % 2**32, SYNACK
        elif (given.key or given.join) and given.flags & (ACK | RST) == ACK and not given.payload:
            if flow.isn_from[side] == UNKNOWN:
                flow.isn[side] = (given.seq - 1) % 2**32
                flow.isn_from[side] = THIRD if given.join else DOUBTFUL
            if open_:
                flow.isn[other], flow.isn_from[other] = (given.ack - 1) % 2**32, THIRD

    @staticmethod
    def _place(flow: Flow, given: Segment, side: int) -> int:
        """The number of the first payload octet, the nearest to what was sent so far."""
        if not flow.seen[side]:
            flow.seen[side], flow.top[side] = True, 0
            known = flow.isn_from[side] != UNKNOWN
            flow.base[side] = flow.isn[side] if known else (given.seq - 1) % 2**32
        top = flow.top[side]
        number = top + _apart(given.seq, flow.base[side] + top)
        ends = given.payload + bool(given.flags & (SYN | FIN))
        if ends and not given.flags & RST and top < number + ends < top + WINDOW:
            flow.top[side] = number + ends
        return number + bool(given.flags & SYN and given.payload)
