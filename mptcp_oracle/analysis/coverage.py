"""Coverage: what of each direction's data was new, and up to where nothing of it was missing.

A DATA_ACK is cumulative (RFC 8684 section 3.3.2), so that the first octet which nothing carried is
the highest one that a host can send. All numbers are relative; the octet of a DATA_FIN counts,
probes of closed windows do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.ground import Ground
from mptcp_oracle.analysis.ordering import FAR, blocks, grouped, highest, tally
from mptcp_oracle.analysis.parts import column, has_bit, probes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Coverage", "Pieces", "Runs", "coverage"]

FIRST_SEEN = CLASSES.index("first_seen")
RESENT = CLASSES.index("tcp_retransmission")
DATA_ACK, DATA_FIN = 0x01, 0x10


class Pieces(NamedTuple):
    """Ranges of data: who carried them, and which they are.

    Attributes:
        row: Row that carried each. half: Its half. start: Sequence number of its first octet.
        low, high: DSNs ``[low, high)``.
    """

    row: Array
    half: Array
    start: Array
    low: Array
    high: Array

    def where(self, chosen: Any) -> Pieces:
        """Those that a mask, a slice or an index array chooses."""
        return Pieces(*(each[chosen] for each in self))

    def sound(self) -> Pieces:
        """Those without absurd DSNs."""
        good = (self.low > 0) & (self.high < FAR)
        return self if good.all() else self.where(good)

    @staticmethod
    def joined(several: Iterable[Pieces]) -> Pieces:
        """All of several."""
        import numpy as np

        return Pieces(*(np.concatenate(each) for each in zip(*several, strict=True)))


class Coverage:
    """What of each direction's data was carried, and when.

    Attributes:
        ground: What it is computed from. directions: How many directions there are.
        carried: By block of rows: where data was carried first, half by half, in capture order.
        top: By direction: one past the highest DSN that anything carried or mapped to a DATA_FIN.
        whole: By direction: one past the last octet before the first one that nothing carried.
        exact: By direction: whether it is known when everything was carried, and not only whether.
    """

    def __init__(self, ground: Ground) -> None:
        import numpy as np

        self.ground = ground
        self.directions = len(ground.plane.base)
        self.carried = [self._carried(block) for block in blocks(ground.wire.segments.rows)]
        self.top = np.ones(self.directions, np.int64)
        self.whole = np.ones(self.directions, np.int64)
        self.exact = np.ones(self.directions, np.bool_)
        self._at = self._by_row()

    @cached_property
    def first(self) -> Pieces:
        """All of ``carried``."""
        return Pieces.joined(self.carried)

    @cached_property
    def acked(self) -> Array:
        """By direction: the highest DATA_ACK for it; 1 if there is none."""
        import numpy as np

        ground = self.ground
        rows = np.flatnonzero(has_bit(ground.column("dss"), DATA_ACK) & (ground.direction >= 0))
        rows = rows[~ground.duplicate[rows]]
        found = np.ones(self.directions, np.int64)
        np.maximum.at(found, ground.direction[rows] ^ 1, ground.column("data_ack")[rows])
        return found

    def _carried(self, block: slice) -> Pieces:
        """What the rows of a block carried first."""
        import numpy as np

        ground, plane = self.ground, self.ground.plane
        kind, half = ground.column("kind"), ground.column("half")
        rows = block.start + np.flatnonzero(kind[block] & (1 << FIRST_SEEN))
        rows = rows[grouped(half[rows], ground.wire.halves.rows)]
        low, high = column(plane.pieces["start"]), column(plane.pieces["end"])
        piece = ground.column("piece")[rows]
        start = ground.column("sequence")[rows]
        end = start + ground.column("length")[rows]
        whole = (low[piece] <= start) & (end <= high[piece]) & (kind[rows] == 1 << FIRST_SEEN)
        delta = self._delta[piece]
        small = rows.astype(np.int32)
        plain = Pieces(small, half[rows], start, start + delta, end + delta)
        if whole.all():
            return plain.sound()
        parts = ground.parts_of(np.sort(rows[~whole]))
        parts = parts.where(parts.kind == FIRST_SEEN)
        low, high = parts.start + parts.delta, parts.end + parts.delta
        cut = Pieces(parts.row.astype(np.int32), half[parts.row], parts.start, low, high)
        both = Pieces.joined((plain.where(whole), cut))
        order = np.argsort(both.half.astype(np.int64) * len(half) + both.row, kind="stable")
        return both.where(order).sound()

    @cached_property
    def _delta(self) -> Array:
        """By piece of mappings: DSN less subflow sequence number."""
        ground = self.ground
        of = column(ground.plane.pieces["map"])
        found: Array = (ground.mapping("dsn") - ground.mapping("start"))[of]
        return found

    def _declared(self, at: Array, low: Array, high: Array) -> Pieces:
        """DSNs where mappings were declared."""
        import numpy as np

        row = self.ground.mapping("row")[at].astype(np.int32)
        start = np.zeros(len(at), np.int64)
        return Pieces(row, self.ground.mapping("half")[at], start, low, high).sound()

    def _fins(self) -> Pieces:
        """The octets of DATA_FINs, each where it was mapped first."""
        import numpy as np

        ground = self.ground
        length, half = ground.mapping("length").astype(np.int64), ground.mapping("half")
        fins = has_bit(ground.mapping("flags"), DATA_FIN) & (length > 0)
        at = np.flatnonzero(fins & (ground.half_direction[half] >= 0))
        last = ground.mapping("dsn")[at] + length[at] - 1
        found = self._declared(at, last, last + 1)
        key = ground.half_direction[found.half].astype(np.int64) * FAR + found.low
        return found.where(np.unique(key, return_index=True)[1])

    def _unplaced(self) -> Pieces:
        """What mappings cover of whose octets nobody knows which they are: as if it was carried."""
        import numpy as np

        ground = self.ground
        half, flags = ground.mapping("half"), ground.mapping("flags")
        placed = column(ground.plane.placed)[half] > 0
        at = np.flatnonzero(~placed & (ground.half_direction[half] >= 0))
        octets = ground.mapping("length")[at].astype(np.int64)
        octets -= has_bit(flags[at], DATA_FIN) & (octets > 0)
        at, octets = at[octets > 0], octets[octets > 0]
        low = ground.mapping("dsn")[at]
        return self._declared(at, low, low + octets)

    def _others(self, directions: Array) -> Pieces:
        """All else that some directions carried, as if it had been there from the beginning.

        Of segments with very many ranges nobody noted which octets they carried first.
        """
        import numpy as np

        ground = self.ground
        rows = np.flatnonzero(ground.column("kind") & ~np.uint8(1 << FIRST_SEEN))
        parts = ground.parts_of(rows[np.isin(ground.direction[rows], directions)])
        some = (parts.mapping >= 0) & ~probes(ground.plane, parts)
        parts = parts.where(some & ((parts.kind == RESENT) | (parts.kind < 0)))
        low, high = parts.start + parts.delta, parts.end + parts.delta
        row = np.zeros(len(low), np.int32)
        return Pieces(row, ground.column("half")[parts.row], parts.start, low, high).sound()

    def _by_row(self) -> tuple[Array, Array]:
        """By role of the sender and row: how far everything was carried by then."""
        import numpy as np

        pieces = [*self.carried, self._fins(), self._unplaced()]
        runs = Runs(self.ground, pieces)
        if len(broken := np.flatnonzero(tally(runs.direction[runs.gap], self.directions))):
            pieces.append(self._others(broken))
            runs = Runs(self.ground, pieces)
        for vague in pieces[len(self.carried) + 1 :]:
            self.exact[self.ground.half_direction[vague.half]] = False
        first = np.searchsorted(runs.direction, np.arange(self.directions + 1))
        some = first[1:] > first[:-1]
        self.top[some] = runs.reached[first[1:][some] - 1]
        # Nothing of a direction counts from its first gap on.
        gap = np.append(np.flatnonzero(runs.gap), len(runs.gap))
        stop = np.minimum(gap[np.searchsorted(gap, first[:-1])], first[1:])
        some = stop > first[:-1]
        self.whole[some] = runs.reached[stop[some] - 1]
        counts = np.arange(len(runs.gap)) < np.repeat(stop, np.diff(first))
        return self._spread(pieces, runs, counts)

    def _spread(self, pieces: list[Pieces], runs: Runs, counts: Array) -> tuple[Array, Array]:
        """Say for every row how far its connection's data reached, by role of the sender."""
        import numpy as np

        ground, rows = self.ground, self.ground.wire.segments.rows
        counts, latest = runs.by_place(counts), runs.by_place(runs.latest)
        both = np.ones(rows, np.int64), np.ones(rows, np.int64)
        for some, run in zip(pieces, runs.of, strict=True):
            row = np.maximum(some.row, latest[run])
            role = np.where(counts[run], ground.half_direction[some.half] & 1, -1)
            for each, value in enumerate(both):
                mine = role == each
                np.maximum.at(value, row[mine], some.high[mine])
        for value in both:
            highest(self._connection, value, self._groups, out=value)
        return both

    @property
    def _groups(self) -> int:
        """How many connections there are, and one for what is outside MPTCP."""
        return self.directions // 2 + 1

    @cached_property
    def _connection(self) -> Array:
        """By row: the place of its connection, from 1; 0 outside MPTCP."""
        found: Array = (self.ground.direction >> 1) + 1
        return found

    @cached_property
    def _order(self) -> Array:
        """Rows by connection."""
        return grouped(self._connection, self._groups)

    def at(self, direction: Array, row: Array) -> Array:
        """How far everything of a direction was carried when a row had passed.

        The row must be of the direction's connection.
        """
        import numpy as np

        found: Array = np.where(direction & 1, self._at[1][row], self._at[0][row])
        return found

    def since(self, direction: int, dsn: int) -> int | None:
        """The row by which everything below a DSN was carried; ``None`` if it never was."""
        import numpy as np

        if dsn > self.whole[direction]:
            return None
        own = (direction >> 1) + 1
        bounds = np.searchsorted(self._connection, (own, own + 1), sorter=self._order)
        rows = self._order[slice(*bounds)]
        return int(rows[np.searchsorted(self._at[direction & 1][rows], dsn)])


class Runs:
    """Pieces that continue each other on one half, made one; by direction and DSN.

    Attributes:
        of: By piece: the place of its run, in order of pieces; as they were given.
        place: The place of each. first, last: By place: its pieces.
        direction: Direction of each run. low, high: DSNs. reached: The highest DSN so far in the
            direction. gap: Whether something is missing before it. latest: The latest row of all
            runs of the direction before it.
    """

    def __init__(self, ground: Ground, pieces: list[Pieces]) -> None:
        import numpy as np

        self.of: list[Array] = []
        ends: list[tuple[Array, ...]] = []
        begin = runs = 0
        for row, half, _, low, high in pieces:
            new = np.ones(len(half), np.bool_)
            new[1:] = (half[1:] != half[:-1]) | (low[1:] != high[:-1]) | (row[1:] < row[:-1])
            first = np.flatnonzero(new)
            last = np.append(first[1:], len(half))[: len(first)] - 1
            found = (first + begin, last + begin, half[first], low[first], high[last], row[last])
            ends.append(found)
            self.of.append(np.cumsum(new, dtype=np.int32) + np.int32(runs - 1))
            begin, runs = begin + len(half), runs + len(first)
        self.first, self.last, half, low, high, row = (
            np.concatenate(each) for each in zip(*ends, strict=True)
        )
        direction = ground.half_direction[half].astype(np.int64)
        directions = len(ground.plane.base)
        self.place = np.argsort(direction * FAR + low, kind="stable")
        self.direction = direction = direction[self.place]
        self.low, self.high = low[self.place], high[self.place]
        self.reached = highest(direction, self.high, directions)
        self.gap = self.low > _earlier(direction, self.reached, 1)
        self.latest = _earlier(direction, highest(direction, row[self.place], directions), 0)

    def by_place(self, values: Array) -> Array:
        """What holds for the runs, by their places in order of pieces."""
        import numpy as np

        found = np.empty_like(values)
        found[self.place] = values
        return found


def _earlier(group: Array, values: Array, nothing: int) -> Array:
    """For each place the value of the place before it in its group."""
    import numpy as np

    found = np.full(len(values), nothing, np.int64)
    found[1:] = np.where(group[1:] == group[:-1], values[:-1], nothing)
    return found


def coverage(ground: Ground) -> Coverage:
    """The coverage of a trace, computed once."""
    found: Coverage | None = ground.__dict__.get("_coverage")
    if found is None:
        found = ground.__dict__["_coverage"] = Coverage(ground)
    return found
