"""Progress: what the hosts had sent and acknowledged by a row, as rules ask for it.

Computed for all connections at once when first asked for, and looked up by direction
(``2 * connection + role``) afterwards. All numbers are relative: the first octet has DSN 1.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mptcp_oracle.analysis.coverage import coverage
from mptcp_oracle.analysis.ordering import grouped, highest
from mptcp_oracle.analysis.parts import has_bit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mptcp_oracle.rules.context import Context

    Array = NDArray[Any]

__all__ = ["FAR", "Progress"]

FAR = 1 << 40
"""Numbers farther than this from the IDSN are garbage, and say nothing."""


class _Lane(NamedTuple):
    """Values in order of rows, grouped: group ``g`` has the places ``first[g]`` to ``first[g+1]``.

    Attributes:
        first: Where groups begin. row: Row of each. value: What it says. top: The highest so far.
    """

    first: memoryview
    row: memoryview
    value: memoryview
    top: memoryview


class Progress:
    """Data and DATA_ACKs of every direction, in order.

    Attributes:
        context: What is judged. trace: Its trace. directions: How many directions there are.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.trace = context.trace
        self.directions = len(context.trace.plane.base)

    # Data

    @cached_property
    def _carried(self) -> tuple[Array, Array, Array, Array, Array]:
        """By direction, then by row: direction, row, the DSNs ``[low, high)``, DSN minus SSN."""
        import numpy as np

        ground = self.trace.ground
        parts = ground.parts
        mine = ground.carries & (ground.direction[parts.row] >= 0)
        mine &= (parts.start + parts.delta > -FAR) & (parts.end + parts.delta < FAR)
        row, start, end, delta = (
            each[mine] for each in (parts.row, parts.start, parts.end, parts.delta)
        )
        direction = ground.direction[row].astype(np.int64)
        order = grouped(direction, self.directions)
        columns = (direction, row, start + delta, end + delta, delta)
        return tuple(each[order] for each in columns)  # type: ignore[return-value]

    @cached_property
    def _sent(self) -> _Lane:
        direction, row, _, high, _ = self._carried
        return _lane(direction, row, high, self.directions)

    def sent(self, direction: int, row: int) -> int:
        """One past the highest DSN that was carried before a row; 1 if none was."""
        return _before(self._sent, direction, row)

    def carriers(self, direction: int, low: int, high: int, until: int | None = None) -> list[int]:
        """Rows that carried any of the DSNs ``[low, high)``, before row ``until``, in order."""
        import numpy as np

        rows, _ = self._carrying(direction, low, high, until)
        found: list[int] = np.unique(rows).tolist()
        return found

    def copies(self, direction: int, dsn: int, until: int) -> int:
        """In how many places, of whichever subflow, an octet was carried before a row.

        What TCP sends again is in the same place.
        """
        rows, delta = self._carrying(direction, dsn, dsn + 1, until)
        half = self.trace.ground.column("half")[rows]
        return len(set(zip(half.tolist(), delta.tolist(), strict=True)))

    def _carrying(
        self, direction: int, low: int, high: int, until: int | None
    ) -> tuple[Array, Array]:
        first, row = self._sent.first, self._sent.row
        begin, end = first[direction], first[direction + 1]
        if until is not None:
            end = bisect_left(row, until, begin, end)
        _, rows, lows, highs, delta = (each[begin:end] for each in self._carried)
        mine = (lows < high) & (highs > low)
        return rows[mine], delta[mine]

    def solid(self, direction: int) -> int:
        """One past the last octet before the first hole in a direction's data.

        What mappings of unknown place cover counts as there.
        """
        top = max(self.trace.plane.dsn_top[direction], 1)
        return min(int(coverage(self.trace.ground).whole[direction]), top)

    # DATA_ACKs

    @cached_property
    def _acks(self) -> _Lane:
        import numpy as np

        ground = self.trace.ground
        number = ground.column("data_ack")
        mine = has_bit(ground.column("dss"), 1) & (ground.direction >= 0) & ~ground.duplicate
        mine &= (number > -FAR) & (number < FAR)
        rows = np.flatnonzero(mine)
        rows = rows[grouped(ground.direction[rows] ^ 1, self.directions)]
        return _lane(ground.direction[rows] ^ 1, rows, number[rows], self.directions)

    def acked(self, direction: int, row: int) -> int:
        """The highest DATA_ACK for a direction before a row; 1 if there was none."""
        return _before(self._acks, direction, row)

    def acked_by(self, direction: int, row: int, time: int) -> int:
        """The highest DATA_ACK before a row, or after it and captured not later than a time."""
        acks, times = self._acks, self.trace.wire.segments["time"]
        at, end = acks.first[direction], acks.first[direction + 1]
        at = bisect_left(acks.row, row, at, end)
        while at < end and times[acks.row[at]] <= time:
            at += 1
        return max(acks.top[at - 1], 1) if at > acks.first[direction] else 1

    def ack_of(self, direction: int, dsn: int) -> int | None:
        """The first row whose DATA_ACK covers a DSN."""
        acks = self._acks
        end = acks.first[direction + 1]
        at = bisect_right(acks.top, dsn, acks.first[direction], end)
        return acks.row[at] if at < end else None

    def acks(self, direction: int, after: int) -> list[tuple[int, int]]:
        """Rows after a row that have a DATA_ACK for a direction, and what it is."""
        acks = self._acks
        end = acks.first[direction + 1]
        begin = bisect_right(acks.row, after, acks.first[direction], end)
        return [(acks.row[at], acks.value[at]) for at in range(begin, end)]

    def last_ack(self, direction: int) -> tuple[int, int] | None:
        """The last row that has a DATA_ACK for a direction, and what it is."""
        acks = self._acks
        begin, end = acks.first[direction], acks.first[direction + 1]
        return (acks.row[end - 1], acks.value[end - 1]) if end > begin else None

    # Segments

    def rows(self, half: int, after: int = -1, until: int | None = None) -> Array:
        """Rows of a half of a subflow, after one row and before another, in order."""
        mine = self.context.sent(half)
        end = len(mine) if until is None else mine.searchsorted(until)
        return mine[mine.searchsorted(after, side="right") : end]

    def last(self, half: int) -> int | None:
        """The last row of a half."""
        mine = self.context.sent(half)
        return int(mine[-1]) if len(mine) else None

    def end(self, half: int, until: int) -> int:
        """One past the highest subflow sequence number of a half's payload before a row."""
        rows, ground = self.rows(half, until=until), self.trace.ground
        ends = (ground.column("sequence")[rows] + ground.column("length")[rows])[
            ground.column("length")[rows] > 0
        ]
        return int(ends.max()) if len(ends) else 0

    def confirmed(self, half: int, until: int) -> int:
        """The highest acknowledgment of a half's octets before a row; -1 if not known."""
        found = self.trace.ground.relative_ack[self.rows(half ^ 1, until=until)]
        return int(found.max()) if len(found) else -1


def _lane(group: Array, row: Array, value: Array, groups: int) -> _Lane:
    """A lane of values that are sorted by group, then by row."""
    import numpy as np

    first = np.searchsorted(group, np.arange(groups + 1)).astype(np.int64)
    return _Lane(*(_view(each) for each in (first, row, value, highest(group, value, groups))))


def _view(values: Array) -> memoryview:
    """The values for quick single looks."""
    import numpy as np

    return np.ascontiguousarray(values, dtype=np.int64).data


def _before(lane: _Lane, group: int, row: int) -> int:
    begin = lane.first[group]
    at = bisect_left(lane.row, row, begin, lane.first[group + 1])
    return max(lane.top[at - 1], 1) if at > begin else 1
