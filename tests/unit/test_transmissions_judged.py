"""Whether copies were needed, and what that rests on, against counting octet by octet.

Tables and ground are hand-made: each transmission is a range of one class, each acknowledgment a
row. The account counts every octet by itself, as the rule of :func:`judge` is worded.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mptcp_oracle.analysis import transmissions
from mptcp_oracle.analysis.copies import count_copies, earlier_below
from mptcp_oracle.analysis.parts import Parts
from mptcp_oracle.facts import CLASSES, COPIES

#: As the column ``needed`` describes itself: yes, no, not known, not a copy.
NEEDED, SPURIOUS, UNKNOWN, NO_COPY = 1, 0, -1, -2
NEW, AGAIN = CLASSES.index("first_seen"), CLASSES.index("tcp_retransmission")
COPY = CLASSES.index("reinjection")
#: Two connections: directions 0 and 1, 2 and 3. Halves 0 and 1, 2 and 3 are the first one's two
#: subflows, the second of which the listener's end comes first on; 4 and 5 are the second one's.
DIRECTIONS = [0, 1, 1, 0, 2, 3, -1, -1]


def array(values: Any, dtype: type = np.int64) -> Any:
    """A NumPy column."""
    return np.array(list(values), dtype=dtype)


class Ground:
    """What tables are computed from: a row for each segment.

    Args:
        halves: Who sent each row. acks: Its acknowledgment number, -1 for none.
        data_acks: Its DATA_ACK, or ``None``. duplicates: Rows that the capture holds twice.
        senders: Halves at whose sender the capture was made.
    """

    def __init__(
        self, halves: list[int], *, acks: dict[int, int] | None = None,
        data_acks: dict[int, int] | None = None, duplicates: tuple[int, ...] = (),
        senders: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        rows = range(len(halves))
        data = data_acks or {}
        self.half_direction = array(DIRECTIONS)
        self.direction = self.half_direction[array(halves)] if halves else array([])
        self.relative_ack = array((acks or {}).get(row, -1) for row in rows)
        self.duplicate = array((row in duplicates for row in rows), np.bool_)
        self._columns = {
            "half": array(halves), "dss": array(2 + (row in data) for row in rows),
            "data_ack": array(data.get(row, 0) for row in rows),
        }  # fmt: skip
        self.wire = SimpleNamespace(halves=SimpleNamespace(rows=len(DIRECTIONS)))
        flows = [
            SimpleNamespace(
                sides=lambda pair=pair: iter(enumerate(pair)),
                captured_at=lambda role, pair=pair: pair[role] in senders,
            )
            for pair in ((0, 1), (3, 2), (4, 5))
        ]
        groups = [SimpleNamespace(subflows=flows[:2]), SimpleNamespace(subflows=flows[2:])]
        self.trace = SimpleNamespace(groups=lambda: iter(groups))

    def column(self, name: str) -> Any:
        """A column of all rows."""
        return self._columns[name]


class Table:
    """Transmissions: row, class, subflow sequence number, octets, DSN (``None``: not mapped)."""

    def __init__(self, ground: Ground, *moves: tuple[int, int, int, int, int | None]) -> None:
        self.ground = ground
        self.row = array(move[0] for move in moves)
        self.kind = array((move[1] for move in moves), np.uint8)
        self.sequence = array(move[2] for move in moves)
        self.octets = array(move[3] for move in moves)
        self.mapped = array((move[4] is not None for move in moves), np.bool_)
        self.dsn = array(-1 if move[4] is None else move[4] for move in moves)
        self.dsn_end = array(-1 if move[4] is None else move[4] + move[3] for move in moves)


def counted(ground: Ground, moves: list[tuple[int, int, int, int, int | None]]) -> list[int]:
    """The verdict on each transmission, octet by octet."""
    half, direction = ground.column("half").tolist(), ground.direction.tolist()
    firsts: dict[tuple[int, int], tuple[int, int]] = {}
    again: set[tuple[int, int]] = set()
    for row, kind, sequence, octets, dsn in moves:
        for at in range(octets):
            if kind == NEW and dsn is not None:
                firsts[direction[row], dsn + at] = (half[row], sequence + at)
            elif kind == AGAIN:
                again.add((half[row], sequence + at))
    acked: dict[int, int] = {}
    for row, ack in enumerate(ground.relative_ack.tolist()):
        if ack > 0 and not ground.duplicate[row]:
            acked[half[row] ^ 1] = max(acked.get(half[row] ^ 1, 0), ack)
    here = {
        each
        for group in ground.trace.groups()
        for flow in group.subflows
        for role, each in flow.sides()
        if flow.captured_at(role)
    }
    found = []
    for row, kind, _, octets, dsn in moves:
        if CLASSES[kind] not in COPIES or dsn is None:
            found.append(NO_COPY)
            continue
        told = [
            (other, int(ground.column("data_ack")[other]))
            for other in range(len(half))
            if ground.column("dss")[other] & 1
            and not ground.duplicate[other]
            and direction[other] >= 0
            and direction[other] == direction[row] ^ 1
        ]
        before = max((ack for other, ack in told if other < row), default=1)
        finally_ = max((ack for _, ack in told), default=1)
        places = [firsts.get((direction[row], octet)) for octet in range(dsn, dsn + octets)]
        whole = None not in places
        known = [place for place in places if place is not None]
        arrived = whole and all(
            octet < acked.get(one, 0) and (one, octet) not in again for one, octet in known
        )
        silent = whole and all(0 < acked.get(one, 0) <= octet for one, octet in known)
        late = before >= dsn + octets
        verdict = UNKNOWN
        if (late and half[row] in here) or arrived:
            verdict = SPURIOUS
        elif silent and not late and finally_ >= dsn + octets:
            verdict = NEEDED
        found.append(verdict)
    return found


def verdicts(ground: Ground, moves: list[tuple[int, int, int, int, int | None]]) -> list[int]:
    """The verdicts of the analysis."""
    table: Any = Table(ground, *moves)
    found: list[int] = transmissions.judge(table).tolist()
    return found


@pytest.mark.parametrize("seed", range(40))
def test_copies_are_judged_as_counting_does(seed: int) -> None:
    """Transmissions, acknowledgments and DATA_ACKs of any kind, on three subflows."""
    draw = random.Random(seed)
    halves = [draw.choice((0, 0, 1, 2, 3, 3, 4, 5)) for _ in range(draw.choice((6, 20, 30)))]
    rows = range(len(halves))
    ground = Ground(
        halves,
        acks={row: draw.randrange(25) for row in rows if draw.random() < 0.4},
        data_acks={row: draw.randrange(30) for row in rows if draw.random() < 0.3},
        duplicates=tuple(row for row in rows if draw.random() < 0.1),
        senders=tuple(half for half in range(6) if draw.random() < 0.4),
    )
    # New octets go into disjoint places of a direction, in any order of rows.
    places = dict.fromkeys(range(4), 1)
    sequences = dict.fromkeys(range(8), 1)
    moves = []
    for row in draw.sample(list(rows), len(halves)):
        half, size = halves[row], draw.randrange(1, 6)
        direction = DIRECTIONS[half]
        what = draw.random()
        if what < 0.45:
            places[direction] += draw.choice((0, 0, 0, 2))
            moves.append((row, NEW, sequences[half], size, places[direction]))
            places[direction] += size
            sequences[half] += size
        elif what < 0.6:
            moves.append((row, AGAIN, draw.randrange(1, 12), size, draw.choice((None, 1, 2))))
        elif what < 0.95:
            kind = CLASSES.index(draw.choice(COPIES))
            moves.append((row, kind, draw.randrange(1, 20), size, draw.randrange(1, 16)))
        else:
            kind = draw.choice((CLASSES.index("unmapped"), COPY))
            moves.append((row, kind, draw.randrange(1, 20), size, None))
    moves.sort(key=lambda move: move[0])
    assert verdicts(ground, moves) == counted(ground, moves)


#: Ten octets on half 0 at sequence number 101, which are DSN 1 on; a copy of them on half 3.
SENT = (0, NEW, 101, 10, 1)
COPIED = (2, COPY, 501, 10, 1)


@pytest.mark.parametrize(
    ("ack", "again", "verdict"),
    [
        (-1, None, UNKNOWN), (0, None, UNKNOWN), (1, None, NEEDED), (101, None, NEEDED),
        (102, None, UNKNOWN), (110, None, UNKNOWN), (111, None, SPURIOUS), (500, None, SPURIOUS),
        (111, (101, 1), UNKNOWN), (111, (110, 1), UNKNOWN), (111, (111, 5), SPURIOUS),
        (111, (91, 10), SPURIOUS), (111, (91, 11), UNKNOWN), (101, (101, 10), NEEDED),
    ],
)  # fmt: skip
def test_what_the_first_subflow_acknowledged(
    ack: int, again: tuple[int, int] | None, verdict: int
) -> None:
    """All of it, and none sent again: the copy was spurious; none of it: the copy was needed."""
    ground = Ground([0, 0, 3, 1, 2], acks={3: ack}, data_acks={4: 11})
    moves = [SENT, *([(1, AGAIN, *again, None)] if again else []), COPIED]
    assert verdicts(ground, moves)[-1] == verdict
    assert counted(ground, moves)[-1] == verdict


@pytest.mark.parametrize(
    ("before", "after", "at_sender", "verdict"),
    [
        (None, None, False, UNKNOWN), (None, 10, False, UNKNOWN), (None, 11, False, NEEDED),
        (10, 11, True, NEEDED), (11, None, True, SPURIOUS), (11, None, False, UNKNOWN),
        (12, 5, True, SPURIOUS), (10, None, True, UNKNOWN),
    ],
)  # fmt: skip
def test_what_was_acknowledged_at_the_data_level(
    before: int | None, after: int | None, at_sender: bool, verdict: int
) -> None:
    """A DATA_ACK for all of it before the copy left: spurious; later: needed, if nothing else."""
    data = {0: before, 3: after}
    ground = Ground(
        [1, 0, 3, 2, 1], acks={4: 101}, senders=(3,) if at_sender else (0, 1, 2),
        data_acks={row: ack for row, ack in data.items() if ack is not None},
    )  # fmt: skip
    moves = [(1, *SENT[1:]), COPIED]
    assert verdicts(ground, moves) == [NO_COPY, verdict]


def test_a_copy_whose_first_transmission_is_not_in_the_capture_is_not_known() -> None:
    """All octets of it have to be accounted for."""
    ground = Ground([0, 1, 3, 2], acks={1: 200}, data_acks={3: 99})
    assert verdicts(ground, [(0, NEW, 101, 9, 1), COPIED])[1] == UNKNOWN
    assert verdicts(ground, [(0, NEW, 102, 9, 2), COPIED])[1] == UNKNOWN
    assert verdicts(ground, [(0, NEW, 101, 4, 1), (0, NEW, 106, 5, 6), COPIED])[2] == UNKNOWN
    assert verdicts(ground, [(0, NEW, 101, 5, 1), (0, NEW, 106, 5, 6), COPIED])[2] == SPURIOUS
    assert verdicts(ground, [COPIED]) == [UNKNOWN]
    assert verdicts(ground, [(0, NEW, 101, 10, None), COPIED])[1] == UNKNOWN


def test_without_copies_nothing_is_judged() -> None:
    """No transmissions, or none that is a copy under a mapping."""
    ground = Ground([0, 0, 3])
    assert verdicts(ground, []) == []
    assert verdicts(ground, [SENT, (1, AGAIN, 101, 10, 1)]) == [NO_COPY, NO_COPY]


@pytest.mark.parametrize("name", COPIES)
def test_every_kind_of_copy_is_judged(name: str) -> None:
    """Remapped, redundant, reinjected and unclassified octets alike."""
    ground = Ground([0, 0, 3, 1], acks={3: 300})
    copied = (2, CLASSES.index(name), 501, 10, 1)
    assert verdicts(ground, [SENT, copied]) == [NO_COPY, SPURIOUS]


# -------------------------------------------------------------------- what it rests on


@pytest.mark.parametrize("seed", range(8))
def test_disjoint_intervals_that_overlap_others(seed: int) -> None:
    """First and last of them, space by space, as looking at each finds."""
    draw = random.Random(seed)
    held = []
    for space in (0, 2, 3):
        at = draw.randrange(4)
        for _ in range(draw.randrange(1, 7)):
            end = at + draw.randrange(1, 5)
            held.append((space, at, end))
            at = end + draw.choice((0, 0, 1, 3))
    places = transmissions._Places(*(array(each[at] for each in held) for at in range(3)))
    asked = [(space, a, b) for space in range(5) for a in range(25) for b in range(a + 1, 26, 3)]
    columns = [array(each[at] for each in asked) for at in range(3)]
    first, last = places.overlapping(*columns)
    for at, (space, start, end) in enumerate(asked):
        inside = [
            number for number, (one, low, high) in enumerate(held)
            if one == space and low < end and high > start
        ]  # fmt: skip
        assert list(range(first[at], last[at])) == inside


@pytest.mark.parametrize("seed", range(8))
def test_octets_sent_again_below_a_place(seed: int) -> None:
    """Each octet counts once, however often and in whatever pieces it was sent again."""
    draw = random.Random(seed)
    ground = Ground([draw.choice((0, 3, 4)) for _ in range(20)])
    moves = [
        (row, draw.choice((AGAIN, AGAIN, NEW)), draw.randrange(1, 40), draw.randrange(1, 8), None)
        for row in range(20)
    ]
    table: Any = Table(ground, *moves)
    again = transmissions._Retransmitted(table)
    half = ground.column("half").tolist()
    for one in range(6):
        octets = {
            sequence + at for row, kind, sequence, size, _ in moves
            if kind == AGAIN and half[row] == one for at in range(size)
        }  # fmt: skip
        asked = list(range(-1, 50))
        found = again.below(array([one] * len(asked)), array(asked)).tolist()
        assert found == [sum(octet < place for octet in octets) for place in asked]


def test_pieces_sent_again_that_touch_and_contain_each_other() -> None:
    """They are one union: counted without gaps and without twice."""
    ground = Ground([0] * 6)
    moves = [(0, AGAIN, 10, 20, None), (1, AGAIN, 12, 3, None), (2, AGAIN, 30, 5, None),
             (3, AGAIN, 36, 1, None), (4, AGAIN, 11, 2, None), (5, AGAIN, 1, 1, None)]  # fmt: skip
    table: Any = Table(ground, *moves)
    again = transmissions._Retransmitted(table)
    lows, highs, before = again.unions[0]
    assert (lows.tolist(), highs.tolist(), before.tolist()) == (
        [1, 10, 36],
        [2, 35, 37],
        [0, 1, 26],
    )


def test_the_highest_acknowledgment_of_each_half() -> None:
    """What the other half of its stream acknowledged; 0, and copies by the capture, are none."""
    ground = Ground(
        [1, 1, 0, 3, 5, 5, 2], acks={0: 7, 1: 5, 2: 0, 3: 9, 4: 3, 5: 30, 6: 1}, duplicates=(5,)
    )
    one: Any = ground
    assert transmissions._acked(one).tolist() == [7, 0, 9, 1, 3, 0, 0, 0]


def test_data_acks_before_a_row_and_at_the_end() -> None:
    """Only those of the other direction, before the row itself, count; 1 if there are none."""
    ground = Ground(
        [1, 2, 0, 1, 0, 5, 6, 1], duplicates=(7,),
        data_acks={0: 5, 1: 9, 2: 99, 3: 7, 5: 40, 6: 80, 7: 70},
    )  # fmt: skip
    one: Any = ground
    direction, row = array([0, 0, 0, 0, 1, 2, 2, 3]), array([0, 1, 2, 7, 7, 5, 6, 7])
    before, finally_ = transmissions._data_acked(one, direction, row)
    assert before.tolist() == [1, 5, 9, 9, 99, 1, 40, 1]
    assert finally_.tolist() == [9, 9, 9, 9, 99, 40, 40, 1]
    half_of: Any = Ground([0], senders=(1, 3, 4))
    assert np.flatnonzero(transmissions._at_sender(half_of)).tolist() == [1, 3, 4]


def parts(*entries: tuple[int, int, int, int]) -> Parts:
    """Parts of one octet each: row, class, distance of DSN and sequence number, mapping."""
    return Parts(
        row=array(each[0] for each in entries), start=array(range(len(entries))),
        end=array(range(1, len(entries) + 1)), mapping=array(each[3] for each in entries),
        delta=array(each[2] for each in entries), kind=array(each[1] for each in entries),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "runs"),
    [
        ([], []),
        ([(0, -1, 0, 0)], []),
        ([(0, 1, 5, 0), (0, 1, 5, 0)], [(0, 1)]),
        # The mapping may change, if the numbers go on.
        ([(0, 1, 5, 0), (0, 1, 5, 7), (0, 1, 5, 2)], [(0, 2)]),
        # Another row, class or distance, or none mapped, begins anew.
        ([(0, 1, 5, 0), (1, 1, 5, 0)], [(0, 0), (1, 1)]),
        ([(0, 1, 5, 0), (0, 2, 5, 0)], [(0, 0), (1, 1)]),
        ([(0, 1, 5, 0), (0, 1, 4, 0)], [(0, 0), (1, 1)]),
        ([(0, 1, 0, 0), (0, 1, 0, -1)], [(0, 0), (1, 1)]),
        ([(0, 1, 0, -1), (0, 1, 0, -1), (0, 1, 0, 0)], [(0, 1), (2, 2)]),
        # What has no class is no transmission.
        ([(0, -1, 5, 0), (0, 0, 5, 0), (0, 0, 5, 0), (0, -1, 5, 0), (3, 7, 0, -1)],
         [(1, 2), (4, 4)]),
    ],
)  # fmt: skip
def test_parts_that_are_one_transmission(
    entries: list[tuple[int, int, int, int]], runs: list[tuple[int, int]]
) -> None:
    """Of one segment and class, with consecutive DSNs, or all without."""
    first, last = transmissions._runs(parts(*entries))
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == runs


# -------------------------------------------------------------------- counting copies


@pytest.mark.parametrize("seed", range(30))
def test_earlier_segments_with_any_of_the_octets(seed: int) -> None:
    """For any runs of octets their number is what comparing every two segments finds."""
    draw = random.Random(seed)
    rows, flat = [], []
    for row in range(draw.choice((1, 2, 9, 40))):
        space = draw.choice((0, 0, 3))
        runs = [
            (start := draw.randrange(-5, 30), start + draw.randrange(1, 7))
            for _ in range(draw.choice((0, 1, 1, 1, 2, 3)))
        ]
        rows.append((space, {octet for run in runs for octet in range(*run)}))
        flat += [(row, space, *run) for run in runs]
    expected = [
        sum(space == other and bool(octets & held) for other, held in rows[:at])
        for at, (space, octets) in enumerate(rows)
    ]
    columns = [array(each[at] for each in flat) for at in range(4)]
    assert count_copies(*columns, len(rows)).tolist() == expected


def test_segments_that_touch_are_no_copies() -> None:
    """An octet in common makes one; ends that meet do not, nor do other spaces."""

    def copies(*runs: tuple[int, int, int, int]) -> list[int]:
        found: list[int] = count_copies(*(array(each[at] for each in runs) for at in range(4)), 5)
        return np.asarray(found).tolist()

    assert copies((0, 0, 1, 5), (1, 0, 5, 9), (2, 0, 0, 1)) == [0, 0, 0, 0, 0]
    assert copies((0, 0, 1, 5), (1, 0, 4, 9), (2, 0, 0, 2)) == [0, 1, 1, 0, 0]
    assert copies((0, 0, 1, 5), (1, 1, 1, 5), (2, 0, 1, 5), (3, 1, 4, 6)) == [0, 0, 1, 1, 0]
    assert copies((0, 0, 1, 9), (0, 0, 20, 29), (2, 0, 5, 25), (4, 0, 8, 21)) == [0, 0, 1, 0, 2]
    assert copies((1, 0, 5, 25), (3, 0, 1, 9), (3, 0, 20, 29), (4, 0, 9, 20)) == [0, 0, 0, 1, 1]
    assert copies((0, 0, 5, 6)) == copies() == [0] * 5
    assert copies((0, 0, 1, 5), (1, 0, 4, 9)) == [0, 1, 0, 0, 0]
    assert copies((0, 0, 4, 9), (1, 0, 1, 5)) == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 31])
def test_earlier_points_below_bounds(count: int) -> None:
    """The count in doubling blocks is that of comparing each bound with each earlier point."""
    draw = random.Random(count)
    points = [draw.randrange(-9, 9) for _ in range(count)]
    bounds = [draw.randrange(-10, 11) for _ in range(count)]
    found = earlier_below(array(points), array(bounds)).tolist()
    assert found == [sum(point < bounds[at] for point in points[:at]) for at in range(count)]
