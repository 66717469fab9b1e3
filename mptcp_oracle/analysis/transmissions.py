"""Transmissions as a table: which octets each segment sent, of which class, and if it had to.

The classes are those of :data:`mptcp_oracle.facts.CLASSES` (RFC 8684 section 3.3.6 calls copies on
another subflow connection-level retransmissions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.ground import Ground
from mptcp_oracle.analysis.parts import Parts, has_bit
from mptcp_oracle.analysis.tables import Table, computed
from mptcp_oracle.facts import CLASSES, COPIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["NEEDED", "NO_COPY", "SPURIOUS", "UNKNOWN", "TransmissionTable"]

#: Values of the column ``needed``.
NEEDED, SPURIOUS, UNKNOWN, NO_COPY = 1, 0, -1, -2
ACK = 0x10


class TransmissionTable(Table):
    """One row a range of one class in a segment, in capture order.

    Duplicates made by the capture are left out, and so are the ranges of a segment beyond the
    63rd class change.
    """

    @property
    def runs(self) -> tuple[Array, Array]:
        """Index of the first and of the last part of each transmission."""
        found = self.__dict__.get("_runs")
        if found is None:
            found = self.__dict__["_runs"] = _runs(self.ground.parts)
        return found

    def _first(self, values: Array) -> Array:
        return values[self.runs[0]]

    def _last(self, values: Array) -> Array:
        return values[self.runs[1]]

    @property
    def row(self) -> Array:
        """Row of the segment columns of each transmission."""
        return self._first(self.ground.parts.row)

    def _of_half(self, name: str) -> Array:
        return self.ground.of_half[name][self.ground.column("half")[self.row]]

    @computed("uint32")
    def frame(self) -> Array:
        """Frame number, 1-based."""
        return self.ground.column("frame")[self.row]

    @computed("int32")
    def connection(self) -> Array:
        """Id of the connection; negative: stands for that of an unattached subflow."""
        return self._of_half("connection")

    @computed("int32")
    def subflow(self) -> Array:
        """Id of the subflow."""
        return self._of_half("subflow")

    @computed("int8", "-1: roles not known")
    def sender(self) -> Array:
        """Who sent it: 0 the initiator, 1 the listener."""
        return self._of_half("sender")

    @computed("bool")
    def from_source(self) -> Array:
        """Whether the end that is the subflow's ``source`` sent it."""
        return self._of_half("from_source")

    @computed("int64")
    def sequence(self) -> Array:
        """Subflow sequence number of its first octet."""
        return self._first(self.ground.parts.start)

    @computed("int64")
    def octets(self) -> Array:
        """How many octets."""
        return self._last(self.ground.parts.end) - self.sequence

    @computed("bool")
    def mapped(self) -> Array:
        """Whether mappings cover it."""
        found: Array = self._first(self.ground.parts.mapping) >= 0
        return found

    @computed("int64", "-1 where ``mapped`` is false")
    def dsn(self) -> Array:
        """Relative DSN of its first octet."""
        import numpy as np

        delta = self._first(self.ground.parts.delta)
        return np.where(self.mapped, self.sequence + delta, -1)

    @computed("int64", "-1 where ``mapped`` is false")
    def dsn_end(self) -> Array:
        """One past the relative DSN of its last octet."""
        import numpy as np

        return np.where(self.mapped, self.dsn + self.octets, -1)

    @computed("uint8")
    def kind(self) -> Array:
        """Its class, an index into ``facts.CLASSES``."""
        return self._first(self.ground.parts.kind)

    @computed("int8", "-1: not known, -2: not a copy")
    def needed(self) -> Array:
        """Whether a copy was needed: 1 yes, 0 no, it was spurious."""
        return judge(self)

    def absolute_dsn(self) -> NDArray[np.uint64]:
        """Absolute 64-bit DSN of the first octet of each; 0 where ``mapped`` is false."""
        import numpy as np

        base = self.ground.base[self.ground.direction[self.row]]
        return np.where(self.mapped, base + self.dsn.astype(np.uint64), np.uint64(0))


def _runs(parts: Parts) -> tuple[Array, Array]:
    """Consecutive parts of one segment and class with consecutive DSNs, as first and last."""
    import numpy as np

    same = (
        (parts.row[1:] == parts.row[:-1])
        & (parts.kind[1:] == parts.kind[:-1])
        & (parts.delta[1:] == parts.delta[:-1])
        & ((parts.mapping[1:] < 0) == (parts.mapping[:-1] < 0))
    )
    first = np.flatnonzero(np.concatenate([[True], ~same])[: len(parts)])
    last = np.flatnonzero(np.concatenate([~same, [True]])[: len(parts)])
    known = parts.kind[first] >= 0
    return first[known], last[known]


def judge(table: TransmissionTable) -> Array:
    """Whether each copy was needed.

    It was not if, at the sender's vantage, a DATA_ACK for all of it came before it was sent; or
    if the subflow that carried the octets first acknowledged them though they were never
    retransmitted on it, so that the first copy arrived by itself. It was if that subflow never
    acknowledged any of them, although acknowledgments of it are in the capture, and a DATA_ACK
    for all of them came later.
    """
    import numpy as np

    ground = table.ground
    is_copy = np.isin(table.kind, [CLASSES.index(name) for name in COPIES]) & table.mapped
    result = np.where(is_copy, UNKNOWN, NO_COPY)
    at = np.flatnonzero(is_copy)
    if not len(at):
        return result
    row, start, end = table.row[at], table.dsn[at], table.dsn_end[at]
    direction = ground.direction[row]
    before, finally_ = _data_acked(ground, direction, row)
    found, arrived, silent = _originals(table, direction, start, end)
    whole = found == end - start
    late = before >= end
    spurious = (late & _at_sender(ground)[ground.column("half")[row]]) | (
        whole & (arrived == found)
    )
    needed = whole & (silent == found) & ~late & (finally_ >= end)
    result[at] = np.where(spurious, SPURIOUS, np.where(needed, NEEDED, UNKNOWN))
    return result


def _at_sender(ground: Ground) -> Array:
    """By half: whether the capture was made where its sender is."""
    import numpy as np

    found = np.zeros(ground.wire.halves.rows, np.bool_)
    for group in ground.trace.groups():
        for subflow in group.subflows:
            for role, half in subflow.sides():
                found[half] = subflow.captured_at(role)
    return found


def _data_acked(ground: Ground, direction: Array, row: Array) -> tuple[Array, Array]:
    """Highest relative DATA_ACK for a direction before a row, and at the end of the capture."""
    import numpy as np

    acks = has_bit(ground.column("dss"), 1) & ~ground.duplicate & (ground.direction >= 0)
    before, finally_ = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    for wanted in np.unique(direction):
        rows = np.flatnonzero(acks & (ground.direction == wanted ^ 1))
        top = np.maximum.accumulate(np.concatenate([[1], ground.column("data_ack")[rows]]))
        mine = direction == wanted
        before[mine] = top[rows.searchsorted(row[mine])]
        finally_[mine] = top[-1]
    return before, finally_


def _originals(
    table: TransmissionTable, direction: Array, start: Array, end: Array
) -> tuple[Array, Array, Array]:
    """What became of the first transmission of the octets ``[start, end)`` of each copy.

    Returns:
        Three counts of octets for each copy: those whose first transmission is in the capture;
        of these, those that their subflow acknowledged without retransmitting them; and those
        that it never acknowledged.
    """
    import numpy as np

    ground = table.ground
    fresh = np.flatnonzero((table.kind == CLASSES.index("first_seen")) & table.mapped)
    fresh_row = table.row[fresh]
    order = np.lexsort((table.dsn[fresh], ground.direction[fresh_row]))
    fresh, fresh_row = fresh[order], fresh_row[order]
    spaces, low, high = ground.direction[fresh_row], table.dsn[fresh], table.dsn_end[fresh]
    place = _Places(spaces, low, high)
    first, last = place.overlapping(direction, start, end)
    owner = np.repeat(np.arange(len(start)), last - first)
    skipped = np.cumsum(last - first) - (last - first)
    piece = np.arange(len(owner)) - skipped[owner] + first[owner]
    begin = np.maximum(start[owner], low[piece])
    stop = np.minimum(end[owner], high[piece])
    delta = table.dsn[fresh] - table.sequence[fresh]
    half = ground.column("half")[fresh_row][piece]
    begin, stop = begin - delta[piece], stop - delta[piece]

    acked = np.clip(_acked(ground)[half], begin, stop)
    again = _Retransmitted(table)
    arrived = acked - begin - (again.below(half, acked) - again.below(half, begin))
    silent = np.where(_acked(ground)[half] > 0, stop - acked, 0)

    def total(values: Array) -> Array:
        return np.bincount(owner, weights=values, minlength=len(start)).astype(np.int64)

    return total(stop - begin), total(arrived), total(silent)


def _acked(ground: Ground) -> Array:
    """By half: the highest acknowledgment number for it, 0 if none is in the capture."""
    import numpy as np

    found = np.zeros(ground.wire.halves.rows, np.int64)
    rows = np.flatnonzero((ground.relative_ack > 0) & ~ground.duplicate)
    np.maximum.at(found, ground.column("half")[rows] ^ 1, ground.relative_ack[rows])
    return found


class _Places:
    """Disjoint half-open intervals of several spaces, sorted by space and place."""

    def __init__(self, space: Array, low: Array, high: Array) -> None:
        import numpy as np

        self.low, self.high = low, high
        names, first = np.unique(space, return_index=True)
        self.names, self.bounds = names, np.append(first, len(space))

    def overlapping(self, space: Array, start: Array, end: Array) -> tuple[Array, Array]:
        """The intervals ``[first, last)`` that overlap ``[start, end)`` of a space."""
        import numpy as np

        first, last = np.zeros(len(space), np.int64), np.zeros(len(space), np.int64)
        for at, name in enumerate(self.names):
            mine = np.flatnonzero(space == name)
            low, high = self.bounds[at], self.bounds[at + 1]
            first[mine] = low + self.high[low:high].searchsorted(start[mine], side="right")
            last[mine] = low + self.low[low:high].searchsorted(end[mine])
        return first, np.maximum(first, last)


class _Retransmitted:
    """The octets that TCP retransmitted on each half, for counting."""

    def __init__(self, table: TransmissionTable) -> None:
        import numpy as np

        rows = np.flatnonzero(table.kind == CLASSES.index("tcp_retransmission"))
        half = table.ground.column("half")[table.row[rows]]
        start = table.sequence[rows]
        end = start + table.octets[rows]
        order = np.lexsort((start, half))
        half, start, end = half[order], start[order], end[order]
        self.unions: dict[int, tuple[Array, Array, Array]] = {}
        for name in np.unique(half):
            mine = half == name
            low, top = start[mine], np.maximum.accumulate(end[mine])
            first = np.flatnonzero(np.concatenate([[True], low[1:] > top[:-1]]))
            lows, highs = low[first], top[np.append(first[1:], len(low)) - 1]
            self.unions[int(name)] = (lows, highs, np.cumsum(highs - lows) - (highs - lows))

    def below(self, half: Array, place: Array) -> Array:
        """How many of them lie below a sequence number of a half."""
        import numpy as np

        found = np.zeros(len(half), np.int64)
        for name, (lows, highs, before) in self.unions.items():
            mine = np.flatnonzero(half == name)
            at = lows.searchsorted(place[mine], side="right") - 1
            inside = np.minimum(place[mine], highs[at]) - lows[at]
            found[mine] = np.where(at >= 0, before[at] + inside, 0)
        return found
