"""A naive account of transmissions: who carried each octet, one entry an octet, and all else.

Everything that the classifier of the engine says of a scene of rows and mapped pieces is found
here again from its description: sets of sequence numbers, a dictionary of data sequence numbers,
lists. :mod:`tests.common.scenes` makes scenes and hands them to the loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.common.numbers import signed
from tests.common.scenery import ACK, DUPLICATE, MPTCP, RST, SYN, Row, Scene, Told

__all__ = ["Account"]

FIRST, AGAIN, REMAP, REINJECTION, REDUNDANT, UNCLASSIFIED, PROBE, UNMAPPED = range(8)
MILLISECOND = 1_000_000
#: The least time-out, the time in which no timer strikes, and bounds of numbers.
SILENCE, AT_ONCE = 200 * MILLISECOND, MILLISECOND
ABSURD, PLAUSIBLE = 1 << 40, 1 << 61
MOST_PIECES, MOST_SPLITS = 256, 64


#: A half's run of new data (``"run"`` and the half) or one row of it, and its DSN offset.
Carrier = tuple[str, int, int]


@dataclass(slots=True)
class Octet:
    """A data octet: rows that carried it, the last one's half and offset, and its part of it.

    ``alone`` is the half that carried it if no other did, else -1. ``content`` is who carried it
    first (a half's run of new data, or a row) and with which offset.
    """

    rows: list[int]
    delta: int
    part: int
    alone: int
    content: Carrier
    first: int


class Account:
    """The account of a scene; :meth:`told` gives it.

    Attributes:
        doubtful: Whether the scene has what the loop does not count right: a copy of octets that
            their subflow had mapped again in order.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        halves, directions = len(scene.direction), scene.directions
        self.kinds = [0] * len(scene.rows)
        self.previous = [0] * len(scene.rows)
        self.splits: list[tuple[int, int, int, int]] = []
        self.fillers: list[int] = []
        self.spilled = 0
        self.octets = [0] * (8 * halves)
        self.sent: list[set[int]] = [set() for _ in range(halves)]
        self.fresh: list[list[int]] = [[] for _ in range(halves)]
        self.tops, self.acked = [0] * halves, [0] * halves
        self.loss, self.ended = [-(1 << 62)] * halves, [-1] * halves
        self.backup, self.regular = [0] * halves, [0] * halves
        self.unmapped, self.options = [-1] * halves, [-1] * halves
        self.timed: list[tuple[int, int] | None] = [None] * halves
        self.answer = [0] * halves
        self.newest, self.reached = [-1] * halves, [-(1 << 62)] * halves
        self.plain, self.plains = [(0, False)] * halves, -1
        self.doubtful = False
        self.dsn_top, self.dack_top = [1] * directions, [1] * directions
        self.shut, self.shown = [0] * directions, [0] * directions
        self.quick = list(scene.quick)
        self.totals, self.lags = [0] * (4 * directions), [0] * (32 * directions)
        self.carried: dict[tuple[int, int], Octet] = {}
        self.parts: dict[int, tuple[Carrier, int, Carrier]] = {}
        self.triggers = list(scene.triggers)
        for number in range(len(scene.rows)):
            self._row(number)

    def told(self) -> Told:
        """All of it."""
        regulars = [0] * self.scene.directions
        for half, regular in enumerate(self.regular):
            if self.scene.direction[half] >= 0:
                regulars[self.scene.direction[half]] += regular
        return Told(
            kinds=self.kinds, previous=self.previous, splits=self.splits, fillers=self.fillers,
            spilled=self.spilled, octets=self.octets, runs=list(map(self._run, self.sent)),
            fresh=self.fresh, tops=self.tops, acked=self.acked, loss=self.loss, ended=self.ended,
            backup=self.backup, unmapped=self.unmapped, options=self.options,
            dsn_top=self.dsn_top, dack_top=self.dack_top, shut=self.shut, regulars=regulars,
            quick=self.quick, totals=self.totals, lags=self.lags,
            intervals=self._intervals(),
            carried={
                place: (each.rows[-1], each.delta, each.alone, each.first, each.content[2])
                for place, each in self.carried.items()
            },
        )  # fmt: skip

    def _intervals(self) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        part = -1
        for (space, at), each in sorted(self.carried.items()):
            if found and (space, at, part) == (*found[-1][::2], each.part):
                found[-1] = (space, found[-1][1], at + 1)
            else:
                found.append((space, at, at + 1))
            part = each.part
        return found

    @staticmethod
    def _run(sent: set[int]) -> tuple[int, int]:
        """The highest run of numbers."""
        if not sent:
            return 0, 0
        low = high = max(sent) + 1
        while low - 1 in sent:
            low -= 1
        return low, high

    def _heed(self, number: int) -> None:
        while self.triggers and self.triggers[0][0] <= number:
            row, half, kind = self.triggers.pop(0)
            if kind == 0:
                if self.ended[half] < 0:
                    self.ended[half] = self.scene.rows[row].time
                    self.regular[half] = 0
            else:
                self.backup[half] = kind - 1
                if self.ended[half] < 0:
                    self.regular[half] = 2 - kind

    def _row(self, number: int) -> None:
        row = self.scene.rows[number]
        self._heed(number)
        half = row.half
        if half < 0 or row.flags & DUPLICATE or self.scene.direction[half] < 0:
            return
        if row.flags & MPTCP:
            self.options[half], self.unmapped[half] = number, -1
        self._acknowledge(row)
        if row.length == 0 or row.flags & RST:
            return
        end = row.sequence + row.length
        top = self.tops[half]
        if end > top:
            self.tops[half] = end
            self.fresh[half].append(number)
            if self.timed[half] is None and row.sequence >= top:
                self.timed[half] = (end, row.time)
        self.number, self.row, self.top = number, row, top
        self.said: list[tuple[int, int, int]] = []
        self.fills = False
        for start, stop, which in self._parts(half, row.sequence, end):
            self._part(start, stop, which)
        self.sent[half].update(range(row.sequence, end))
        if self.fills:
            self.fillers.append(number)
        if len(self.said) > 1:
            self.splits += [(number, *each) for each in self.said]

    def _acknowledge(self, row: Row) -> None:
        """What a segment says about the other half's data."""
        other = row.half ^ 1
        direction = self.scene.direction[row.half] ^ 1
        if row.flags & (ACK | RST) == ACK:
            ahead = signed(row.ack - self.scene.isn[other] - self.acked[other], 32)
            if ahead > 0:
                self.acked[other] += ahead
                timed = self.timed[other]
                if timed is not None and timed[0] <= self.acked[other]:
                    self.timed[other] = None
                    took = row.time - timed[1]
                    if self.scene.at_sender[other] and took > 0:
                        known = self.quick[direction]
                        self.quick[direction] = min(took, known) if known else took
        if row.data_ack is not None and 0 < row.data_ack - self.dack_top[direction] < ABSURD:
            self.dack_top[direction] = row.data_ack
            self.shut[direction] = 0
        if row.window == 0 and not row.flags & (SYN | RST):
            self.shut[direction] = 1

    def _parts(self, half: int, x: int, end: int) -> list[tuple[int, int, int]]:
        """The payload by mapping, -1 for none; pieces beyond the most are not looked at."""
        touching = [
            piece for piece in self.scene.pieces.get(half, []) if piece[1] > x and piece[0] < end
        ]
        parts = []
        for start, stop, which in touching[:MOST_PIECES]:
            if start > x:
                parts.append((x, start, -1))
            plausible = abs(self.scene.maps[which].dsn) < PLAUSIBLE
            parts.append((max(x, start), min(stop, end), which if plausible else -1))
            x = min(stop, end)
        if x < end:
            self.spilled += len(touching) > MOST_PIECES
            parts.append((x, end, -1))
        return parts

    def _book(self, kind: int, x: int, octets: int, dsn: int) -> None:
        half = self.row.half
        if kind == UNMAPPED and self.unmapped[half] < 0:
            self.unmapped[half] = self.number
        self.octets[8 * half + kind] += octets
        self.kinds[self.number] |= 1 << kind
        if self.said and self.said[-1][1:] == (dsn, kind):
            self.said[-1] = (self.said[-1][0], dsn + octets, kind)
        elif len(self.said) < MOST_SPLITS:
            self.said.append((dsn, dsn + octets, kind))

    def _part(self, x: int, end: int, which: int) -> None:
        """Octets ``[x, end)`` under one mapping, in pieces that were all sent before or not."""
        half, sent = self.row.half, self.sent[self.row.half]
        direction = self.scene.direction[half]
        delta = 0
        if which >= 0:
            mapping = self.scene.maps[which]
            delta = mapping.dsn - mapping.start
            old = x + delta < self.dack_top[direction]
            if end - x == 1 and mapping.length == 1 and old and self.shut[direction]:
                self.fills |= x not in sent and x < self.top
                self._book(AGAIN if x in sent else PROBE, x, 1, x + delta)
                return
        while x < end:
            again, y = x in sent, x + 1
            while y < end and (y in sent) == again:
                y += 1
            if again:
                self.loss[half], self.timed[half] = self.row.time, None
            elif x < self.top:
                self.fills = True
            if which < 0:
                self._book(AGAIN if again else UNMAPPED, x, y - x, x)
                if not again:
                    self._plainly(x, y)
            else:
                self._carry(x, y, delta, again)
            x = y

    def _plainly(self, x: int, y: int) -> None:
        half = self.row.half
        space = self.scene.directions + half
        before = self.carried.get((space, x - 1))
        part, ran = self.plain[half]
        runs = x >= self.top
        if not (runs and ran and before is not None and before.part == part):
            self.plains -= 1
            part = self.plains
        self.plain[half] = part, runs
        for at in range(x, y):
            self.carried[space, at] = Octet(
                [self.number], 0, part, half, ("row", 0, 0), self.number
            )

    def _carry(self, x: int, end: int, delta: int, again: bool) -> None:
        half = self.row.half
        direction = self.scene.direction[half]
        a = x + delta
        while a < end + delta:
            old = self.carried.get((direction, a))
            y = a + 1
            while y < end + delta and self._same(self.carried.get((direction, y)), old):
                y += 1
            before = self.carried.get((direction, a - 1))
            joins = before is not None and before.part == self.newest[half] != -1
            joins = joins and (old is None or old.part != self.newest[half])
            self._carry_part(a, y, delta, again, old, joins)
            self.reached[half] = a = y

    @staticmethod
    def _same(one: Octet | None, two: Octet | None) -> bool:
        if one is None or two is None:
            return one is two
        return one.part == two.part

    def _carry_part(
        self, a: int, y: int, delta: int, again: bool, old: Octet | None, joins: bool
    ) -> None:
        half, number = self.row.half, self.number
        direction = self.scene.direction[half]
        runs = a - delta >= self.top
        own = ("run", half, delta) if runs else ("row", number, delta)
        content, alone = own, half
        if old is None:
            kind = AGAIN if again else FIRST
            if not again:
                self.totals[4 * direction + 1] += (y - a) * (a < self.dsn_top[direction])
                regulars = sum(
                    self.regular[each] for each, its in enumerate(self.scene.direction)
                    if its == direction
                )  # fmt: skip
                self.totals[4 * direction + 2] += (y - a) * bool(self.backup[half] and regulars)
        else:
            octets = [self.carried[direction, at] for at in range(a, y)]
            earlier = [row for each in octets for row in each.rows if row < number]
            self.previous[number] = max(self.previous[number], *(row + 1 for row in earlier), 0)
            content = old.content
            if again:
                kind = AGAIN
            elif old.alone == half:
                kind = REMAP
            else:
                lately = [each.rows[-1] for each in octets]
                before = max((row for row in lately if row < number), default=number)
                last = octets[-1]
                first = last.first if last.first < number else before
                self._doubt(old, last.first, before)
                follows = self.reached[half] == a
                kind = self._judge(before, first, y - 1 - last.delta, a, y, follows, runs)
            if old.alone != half:
                alone = -1
                if old.alone >= 0 and not again:
                    self.totals[4 * direction] += y - a
        self._book(kind, a - delta, y - a, a)
        self.dsn_top[direction] = max(self.dsn_top[direction], y)
        self._cut(direction, a, y)
        what = (own, alone, content)
        if not (joins and runs and self.parts[self.newest[half]] == what):
            self.newest[half] = len(self.parts)
            self.parts[self.newest[half]] = what
        for at in range(a, y):
            each = self.carried.setdefault(
                (direction, at), Octet([], delta, 0, half, content, number)
            )
            each.rows.append(number)
            each.delta, each.part, each.alone = delta, self.newest[half], alone

    def _cut(self, direction: int, a: int, y: int) -> None:
        """What is left behind a hole in a part is a part of its own."""
        before, behind = (self.carried.get((direction, at)) for at in (a - 1, y))
        if before is None or behind is None or before.part != behind.part:
            return
        old, new = before.part, len(self.parts)
        self.parts[new] = self.parts[old]
        while behind is not None and behind.part == old:
            behind.part, y = new, y + 1
            behind = self.carried.get((direction, y))

    def _doubt(self, old: Octet, first: int, before: int) -> None:
        """Note what the loop may get wrong: which row was first."""
        half, rows = self.row.half, self.scene.rows
        direction = self.scene.direction[half]
        of, _, start = self.parts[old.part]
        if of != start and of[:2] == start[:2] == ("run", old.alone):
            bounds = (0, AT_ONCE, self.quick[direction])
            one, two = (self.row.time - rows[each].time for each in (first, before))
            self.doubtful |= any((one < bound) != (two < bound) for bound in bounds)

    def _judge(
        self, before: int, first: int, at: int, a: int, b: int, follows: bool, runs: bool
    ) -> int:
        rows, half, octets = self.scene.rows, self.row.half, b - a
        direction, other = self.scene.direction[half], rows[before].half
        now, sender = self.row.time, self.scene.at_sender[half]
        lag, age = now - rows[before].time, now - rows[first].time
        micro = max(lag, 0) // 1000
        self.lags[32 * direction + min(31, max(0, micro.bit_length() - 1))] += octets
        self.totals[4 * direction + 3] += octets
        if lag < 0 or age < 0:
            return UNCLASSIFIED
        heard = now if sender else now - self.scene.rtt[half]
        reason = (
            0 <= self.ended[other] <= heard
            or rows[before].time <= self.loss[other] <= heard
            or (
                lag >= SILENCE and lag // 2 >= self.scene.rtt[other] and self.acked[other] <= at
            )
        )  # fmt: skip
        if not sender:
            if reason and runs and not self.shown[direction]:
                return REINJECTION
            self.shown[direction] += octets
            return UNCLASSIFIED
        quick, oldest = self.quick[direction], self.dack_top[direction]
        newest = b == self.dsn_top[direction]
        if not reason and quick:
            if age >= quick:
                reason = a == oldest and len(self.fresh[half]) > 1
            elif (follows and a > oldest and a != self.answer[half]) or (newest and age < AT_ONCE):
                self.shown[direction] += octets
                return REDUNDANT
        if newest:
            self.answer[half] = 0
        elif age >= AT_ONCE or a == self.answer[half] or not (follows or a == oldest):
            self.answer[half] = b
        return REINJECTION if reason and not self.shown[direction] else UNCLASSIFIED
