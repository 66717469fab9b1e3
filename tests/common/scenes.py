"""Scenes for the classifier of the engine: made at random, and handed to the loop."""

from __future__ import annotations

import random
from array import array
from types import SimpleNamespace
from typing import Any

from tests.common.scenery import ACK, DUPLICATE, MPTCP, RST, SYN, Map, Row, Scene, Told

__all__ = ["classified", "column", "scene"]

#: What passes between two rows, in nanoseconds: at once, in a round trip, after a time-out.
GAPS = (
    *(0, 1, 999, 1_000, 1_001, 2_000, 3_999, 4_000, 65_536_000, 499_999, 500_000),
    *(999_999, 1_000_000, 1_000_001, 2_000_000, 10_000_000, 99_999_999, 100_000_000),
    *(199_999_999, 200_000_000, 200_000_001, 400_000_000, 5_000_000_000, -1, -2_000_000),
)
SOON = (0, 1, 1_000, 2_000, 400_000, 500_000, 999_999, 1_000_000, 1_000_001)
TRIPS = (0, 1_000_000, 2_000_000, 10_000_000, 99_999_999, 100_000_000, 100_000_001, 200_000_000)
FAR = 1 << 40
ENDLESS = 1 << 61


def column(code: str, values: list[Any]) -> array[Any]:
    """A column of these values."""
    return array(code, values)


class Maker:
    """A scene that grows by a row at a time."""

    def __init__(self, generator: random.Random) -> None:
        self.any = generator
        same, other = generator.choice(((0, 2), (2, 0)))
        self.direction = []
        for base in generator.choice(((same, same, same), (same, same, other))):
            role = int(generator.random() < 0.2)
            self.direction += [base + role, base + 1 - role]
        self.direction += [-1, -1]
        # How often a window is shut, a segment is one octet, an octet is mapped.
        self.shut = generator.choice((0.02, 0.1, 0.5))
        self.tiny = generator.choice((0.05, 0.15, 0.6))
        self.bare = generator.choice((0.0, 0.05, 0.3))
        # How often a segment is out of order, and how often it leaves a gap.
        self.loose = generator.choice((0.1, 0.1, 0.4))
        # How often data is mapped to one of few places, which are carried again and again.
        self.narrow = generator.choice((0.0, 0.0, 0.7))
        self.sender = generator.random() < 0.7
        self.quiet = generator.random() < 0.5
        halves = range(len(self.direction))
        self.scene = Scene(
            direction=self.direction,
            rtt=[generator.choice(TRIPS) for _ in halves],
            at_sender=[
                self.sender if generator.random() < 0.8 else not self.sender for _ in halves
            ],
            isn=[generator.choice((0, 1_000, 2**31, 2**32 - 5)) for _ in halves],
            quick=[generator.choice((0, *TRIPS)) for _ in range(4)],
        )
        self.now = 10**12
        self.next = [1] * len(self.direction)
        self.mapped = [1] * len(self.direction)
        self.dsn = [1] * 4
        self.carried: list[list[tuple[int, int, int]]] = [[] for _ in range(4)]
        self.dack = [1] * 4

    def time(self) -> int:
        """Time goes on, mostly forward."""
        self.now += self.any.choice(SOON if self.quiet and self.any.random() < 0.8 else GAPS)
        return self.now

    def row(self, half: int, **fields: Any) -> None:
        """A row with an acknowledgment of something, and what is given."""
        there = self.any
        flags = ACK
        if there.random() < 0.12:
            flags = there.choice((0, ACK | 1, RST | ACK, RST, SYN | ACK, SYN, ACK | DUPLICATE))
        if there.random() < 0.3:
            flags |= MPTCP
        upto = self.next[half ^ 1] + there.choice((0, 0, 0, 0, -1, -3, -8, 2, -100, 2**31 - 900))
        direction = self.direction[half]
        data_ack = None
        if direction >= 0 and there.random() < 0.25:
            other = direction ^ 1
            edges = [edge for part in self.carried[other][-6:] for edge in part[:2]]
            data_ack = there.choice((*edges, self.dsn[other], self.dack[other] + 1, 1))
            self.dack[other] = max(data_ack, self.dack[other])
            if there.random() < 0.04:
                data_ack = self.dack[other] + there.choice((FAR, FAR + 1, 3 * FAR))
        self.scene.rows.append(
            Row(
                time=self.time(), half=half, flags=flags,
                ack=(self.scene.isn[half ^ 1] + max(0, upto)) % 2**32,
                window=0 if there.random() < self.shut else 500, data_ack=data_ack, **fields,
            )
        )  # fmt: skip

    def data(self, half: int) -> None:
        """New octets of a half, or old ones again, mapped in some way or not at all."""
        there = self.any
        start, octets = self.next[half], there.randint(1, 10)
        shape = there.random()
        if shape < self.loose:
            start = there.randint(max(1, start - 30), start)
        elif shape < 2 * self.loose:
            start += there.randint(1, 6)
        if there.random() < self.tiny:
            octets = 1
        self.next[half] = max(self.next[half], start + octets)
        while self.mapped[half] < start + octets and there.random() >= self.bare:
            self.map(half, max(start, self.mapped[half]), start + octets)
        self.row(half, sequence=start, length=octets)

    def map(self, half: int, start: int, end: int) -> None:
        """One more mapping, from ``start`` on, mostly to the end of the segment."""
        there = self.any
        direction = self.direction[half]
        octets = end - start
        if there.random() < 0.3:
            octets = there.randint(1, octets + 6)
        dsn = self.choose(half, octets)
        length = there.choice((octets, octets, octets, octets + 1, 1))
        if there.random() < 0.02:
            dsn = there.choice((-1, 1)) * (ENDLESS - there.choice((-1, 0, 1)))
        elif direction >= 0:
            self.dsn[direction] = max(self.dsn[direction], dsn + octets)
            self.carried[direction].append((dsn, dsn + octets, half))
        lead = there.choice((0, 0, 2))
        self.scene.pieces.setdefault(half, []).append((start, start + octets, len(self.scene.maps)))
        self.scene.maps.append(Map(start - lead, dsn - lead, length))
        self.mapped[half] = start + octets

    def choose(self, half: int, octets: int) -> int:
        """A data sequence number: new, or of something that was carried."""
        there, direction = self.any, self.direction[half]
        if direction < 0:
            return 1
        if there.random() < self.narrow:
            return there.choice((1, 1, 4, 8))
        own = [part for part in self.carried[direction] if part[2] == half]
        others = [part for part in self.carried[direction] if part[2] != half]
        shape = there.random()
        if shape < 0.35 or not self.carried[direction]:
            return self.dsn[direction] + (there.random() < 0.1) * there.randint(1, 4)
        if shape < 0.5 and own:
            return own[-1][1]
        if shape < 0.62 and others:
            return others[-1][0]
        if shape < 0.72 and others:
            return max(1, others[-1][1] - octets)
        if shape < 0.82:
            return self.dack[direction]
        if shape < 0.9 and others:
            return there.choice(others[-5:])[0]
        return max(1, there.randint(self.dsn[direction] - 40, self.dsn[direction]))

    def trigger(self) -> None:
        """The control plane says something of a half."""
        half = self.any.randrange(len(self.direction))
        kind = self.any.choice((0, 1, 1, 2, 2))
        self.scene.triggers.append((len(self.scene.rows), half, kind))


def scene(generator: random.Random, rows: int) -> Scene:
    """A scene of so many rows; most of them are data of one direction."""
    maker = Maker(generator)
    if generator.random() < 0.5:
        maker.scene.triggers += [(0, half, generator.choice((1, 2))) for half in range(6)]
    while len(maker.scene.rows) < rows:
        if generator.random() < 0.06:
            maker.trigger()
        if generator.random() < 0.03:
            maker.row(-1)
        elif generator.random() < 0.75:
            maker.data(generator.choice((0, 0, 0, 2, 2, 2, 4, 4, 1, 3, 5, 6)))
        else:
            maker.row(generator.choice((1, 1, 3, 3, 5, 5, 0, 7)))
    maker.scene.triggers = [each for each in maker.scene.triggers if each[0] < rows]
    return maker.scene


def _first_piece(given: Scene, starts: list[int], row: Row) -> int:
    for at, (start, end, _) in enumerate(given.pieces.get(row.half, [])):
        if end > row.sequence and start < row.sequence + row.length:
            return starts[row.half] + at
    return -1


def classified(
    loops: SimpleNamespace,
    given: Scene,
    *,
    room: int = 4096,
    step: int = 0,
    stops: list[int] | None = None,
) -> Told:
    """What the loop says of a scene, with a table of so many splits, so many rows at a time.

    Where a pass stopped is added to ``stops``; a pass that handles nothing is the last one.
    """
    rows, halves, count = given.rows, len(given.direction), len(given.rows)
    starts = [0]
    for half in range(halves):
        starts.append(starts[-1] + len(given.pieces.get(half, [])))
    pieces = [piece for half in range(halves) for piece in given.pieces.get(half, [])]
    classifier = loops.transmissions.Classifier()
    previous, kinds = column("I", [0] * count), column("B", [0] * count)
    classifier.bind_rows(
        column("q", [row.time for row in rows]),
        column("i", [row.half for row in rows]),
        column("H", [row.flags for row in rows]),
        column("q", [row.sequence for row in rows]),
        column("I", [row.ack for row in rows]),
        column("H", [row.window for row in rows]),
        column("I", [row.length for row in rows]),
        column("B", [row.data_ack is not None for row in rows]),
        column("q", [row.data_ack or 0 for row in rows]),
        column("i", [_first_piece(given, starts, row) for row in rows]),
        previous, kinds,
    )  # fmt: skip
    classifier.bind_pieces(
        column("I", starts),
        *(column(code, [piece[at] for piece in pieces]) for at, code in enumerate("qqI")),
        column("q", [each.start for each in given.maps]),
        column("q", [each.dsn for each in given.maps]),
        column("H", [each.length for each in given.maps]),
    )
    half = {
        name: column(code, [value] * halves)
        for name, code, value in (
            ("fresh_count", "I", 0), ("tops", "q", 0), ("low", "q", 0), ("high", "q", 0),
            ("seek", "I", 0), ("finger", "I", 0), ("acked", "q", 0), ("loss", "q", -(1 << 62)),
            ("ended", "q", -1), ("backup", "B", 0), ("regular", "B", 0),
        )
    }  # fmt: skip
    octets, fresh = column("q", [0] * (8 * halves)), column("I", [0] * (count * halves))
    unmapped, options = column("i", [-1] * halves), column("i", [-1] * halves)
    names = [*half]
    classifier.bind_halves(
        column("i", given.direction), column("I", given.isn), column("q", given.rtt),
        column("B", [int(each) for each in given.at_sender]),
        column("I", [count * each for each in range(halves)]),
        half["fresh_count"], fresh, *(half[name] for name in names[1:]),
        octets, unmapped, options,
    )  # fmt: skip
    directions = given.directions
    dsn_top, dack_top = column("q", [1] * directions), column("q", [1] * directions)
    shut, regulars = column("B", [0] * directions), column("i", [0] * directions)
    quick = column("q", given.quick)
    totals, lags = column("q", [0] * (4 * directions)), column("q", [0] * (32 * directions))
    classifier.bind_directions(dsn_top, dack_top, shut, regulars, quick, totals, lags)
    if given.triggers:
        classifier.bind_triggers(
            *(column(code, [each[at] for each in given.triggers]) for at, code in enumerate("IiB"))
        )
    splits: list[tuple[int, int, int, int]] = []
    done, spilled = 0, 0
    while done < count:
        table = [column(code, [0] * room) for code in "IqqB"]
        classifier.bind_splits(*table)
        stop = min(count, done + step) if step else count
        before, done = done, classifier.run(done, stop)
        assert before <= done <= stop
        if before == done:
            break
        if stops is not None:
            stops.append(done)
        found, spilled = classifier.counts()
        splits += zip(*(part[:found] for part in table), strict=True)
    told = Told(
        kinds=[*kinds], previous=[*previous], splits=splits, fillers=classifier.gap_fillers(),
        spilled=spilled, octets=[*octets],
        runs=[*zip(half["low"], half["high"], strict=True)],
        fresh=[
            [*fresh[count * each : count * each + half["fresh_count"][each]]]
            for each in range(halves)
        ],
        tops=[*half["tops"]], acked=[*half["acked"]], loss=[*half["loss"]],
        ended=[*half["ended"]], backup=[*half["backup"]], unmapped=[*unmapped],
        options=[*options], dsn_top=[*dsn_top], dack_top=[*dack_top], shut=[*shut],
        regulars=[*regulars], quick=[*quick], totals=[*totals], lags=[*lags],
        intervals=[], carried={},
    )  # fmt: skip
    _carried(classifier.carriers(), given, told)
    return told


def _carried(intervals: Any, given: Scene, told: Told) -> None:
    """The interval map octet by octet; each octet is in one interval, and found by its number."""

    def row(owner: int, at: int) -> int:
        if owner < 0:
            return -1 - owner
        for each in told.fresh[owner]:
            if given.rows[each].sequence + given.rows[each].length > at:
                return each
        raise AssertionError(f"nobody carried {at}")

    for space in range(given.directions + len(given.direction)):
        node, behind = intervals.first_of(space), None
        while node:
            start, end, owner, delta, sole = intervals.get(node)
            assert intervals.source(node)[:2] == (start, end)
            content, shift = intervals.source(node)[2:]
            assert start < end
            told.intervals.append((space, start, end))
            assert behind is None or behind <= start
            for at in (start, end - 1):
                assert intervals.at(space, at) == node
            for at in range(start, end):
                told.carried[space, at] = (
                    row(owner, at - delta), delta, sole, row(content, at - shift), shift
                )  # fmt: skip
            node, behind = intervals.next_of(node), end
