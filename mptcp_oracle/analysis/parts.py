"""Parts: the payload of every segment, cut where another mapping or another class begins.

This is the vectorised ground under tables and lookups. A *part* is a range of one segment's
payload under one mapping (or none), a *range* a part of one class only. Rows are rows of the
segment columns; all numbers are relative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.dataplane import CLASSES, NO_DATA, DataPlane

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

__all__ = ["DUPLICATE", "Parts", "column", "cut_by_class", "cut_by_mapping", "has_bit", "probes"]

#: Bit of the ``flags`` column: the capture holds this segment twice.
DUPLICATE = 0x0200
#: Mappings that the classifier looks at in one segment, and ranges that it notes.
MOST_PIECES, MOST_SPLITS = 256, 64
#: DSNs farther than this from the IDSN are garbage: octets under them count as unmapped.
FAR = 1 << 61


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Ranges of payload, in order of rows, then of sequence numbers.

    Attributes:
        row: Row of the segment. start, end: Subflow sequence numbers ``[start, end)``.
        mapping: Row of the mapping that covers it, -1 for none.
        delta: DSN minus subflow sequence number; 0 where nothing is mapped.
        kind: Index into :data:`CLASSES`; -1 if the segment is a duplicate made by the capture, or
            had too many ranges to note. Filled by :func:`cut_by_class`.
    """

    row: Longs
    start: Longs
    end: Longs
    mapping: Longs
    delta: Longs
    kind: Longs

    def __len__(self) -> int:
        return len(self.row)

    def where(self, chosen: Any) -> Parts:
        """The parts that a mask, a slice or an index array chooses."""
        return Parts(
            row=self.row[chosen],
            start=self.start[chosen],
            end=self.end[chosen],
            mapping=self.mapping[chosen],
            delta=self.delta[chosen],
            kind=self.kind[chosen],
        )

    def of_row(self, row: int) -> Parts:
        """The parts of one segment."""
        low, high = self.row.searchsorted([row, row + 1])
        return self.where(slice(low, high))


def column(array: Any) -> NDArray[Any]:
    """A column of the engine as a NumPy array that shares its memory and cannot be written."""
    import numpy as np

    code = {"B": np.uint8, "H": np.uint16, "I": np.uint32, "i": np.int32, "q": np.int64}
    found: NDArray[Any] = np.frombuffer(array, dtype=code[memoryview(array).format])
    found.flags.writeable = False
    return found


def has_bit(values: Any, bit: int) -> NDArray[np.bool_]:
    """Where a column of bit sets has a bit."""
    found: NDArray[np.bool_] = (values & bit) != 0
    return found


def cut_by_mapping(plane: DataPlane, rows: Longs | None = None) -> Parts:
    """The payload of every segment of an MPTCP subflow, or of some of them, cut by mappings.

    Octets outside every mapping are parts too. Takes one vectorised step for each mapping of the
    segment with the most of them, each over those segments only that have so many.
    """
    import numpy as np

    segments, maps = plane.wire.segments, plane.wire.mappings
    half, piece = column(segments["half"]), column(segments["piece"])
    sequence, length = column(segments["sequence"]), column(segments["length"])
    low, high, of = (column(values) for values in plane.pieces.of("start", "end", "map"))
    starts, dsns = column(maps["start"]), column(maps["dsn"])
    stop_of = column(plane.piece_first)[1:].astype(np.int64)
    if rows is None:
        member = column(plane.direction)[half] >= 0
        rows = np.flatnonzero(member & (length > 0))
    x = sequence[rows]
    end = x + length[rows]
    at = piece[rows].astype(np.int64)
    found: list[tuple[Any, ...]] = []

    def add(chosen: Any, row: Any, start: Any, stop: Any, mapping: Any) -> None:
        found.append((row[chosen], start[chosen], stop[chosen], mapping[chosen]))

    far = (dsns >= FAR) | (dsns <= -FAR)

    def mapping_of(at: Any) -> Any:
        mapping = of[at].astype(np.int64)
        if far.any():
            mapping[far[mapping]] = -1
        return mapping

    if len(low):
        # Most segments lie in one piece.
        near = np.clip(at, 0, len(low) - 1)
        inside = (at >= 0) & (at < stop_of[half[rows]]) & (low[near] <= x) & (end <= high[near])
        add(inside, rows, x, end, mapping_of(near))
        rows, x, end, at = rows[~inside], x[~inside], end[~inside], at[~inside]
    none = np.full(len(rows), -1, dtype=np.int64)
    for _ in range(MOST_PIECES):
        live = (at >= 0) & (x < end)
        live[live] = at[live] < stop_of[half[rows[live]]]
        live[live] = low[at[live]] < end[live]
        add(~live & (x < end), rows, x, end, none)
        rows, x, end, at, none = rows[live], x[live], end[live], at[live], none[live]
        if not len(rows):
            break
        begin = np.maximum(low[at], x)
        stop = np.minimum(high[at], end)
        add(begin > x, rows, x, begin, none)
        add(slice(None), rows, begin, stop, mapping_of(at))
        x, at = stop, at + 1
    add(x < end, rows, x, end, none)
    row, start, stop, mapping = (np.concatenate(columns) for columns in zip(*found, strict=True))
    if (row[1:] < row[:-1]).any():
        # The parts of one segment were found in their order.
        order = np.argsort(row, kind="stable")
        row, start, stop, mapping = row[order], start[order], stop[order], mapping[order]
    delta = np.where(mapping >= 0, (dsns - starts)[mapping], 0) if len(dsns) else 0 * mapping
    return Parts(
        row=row,
        start=start,
        end=stop,
        mapping=mapping,
        delta=delta,
        kind=np.full(len(row), -1, dtype=np.int64),
    )


def cut_by_class(plane: DataPlane, parts: Parts) -> Parts:
    """Cut parts further where the class changes, and say which it is.

    The classifier notes the ranges of a segment in the order of its octets, so their lengths say
    where they are.
    """
    import numpy as np

    kinds = column(plane.wire.segments["kind"])
    single = np.full(256, -1, dtype=np.int64)
    for kind in range(len(CLASSES)):
        single[1 << kind] = kind
    of_row, low, high, of_split = (
        column(values) for values in plane.splits.of("row", "start", "end", "kind")
    )
    asked, noted = np.zeros(len(kinds), np.bool_), np.zeros(len(kinds), np.bool_)
    asked[parts.row] = True
    mine = asked[of_row]
    of_row, low, high, of_split = of_row[mine], low[mine], high[mine], of_split[mine]
    noted[of_row] = True
    split = noted[parts.row]
    plain = parts.where(~split)
    plain = Parts(
        row=plain.row, start=plain.start, end=plain.end, mapping=plain.mapping, delta=plain.delta,
        kind=single[kinds[plain.row]],
    )  # fmt: skip
    if not split.any():
        return plain
    fine = _refine(plane, parts.where(split), of_row.astype(np.int64), high - low, of_split)
    return _merged(plain, fine)


def _refine(plane: DataPlane, parts: Parts, rows: Any, lengths: Any, kinds: Any) -> Parts:
    """The common refinement of parts and of the noted ranges of their segments."""
    import numpy as np

    sequence = column(plane.wire.segments["sequence"])
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    counts = np.diff(first, append=len(rows))
    before = np.cumsum(lengths) - lengths
    starts = sequence[rows] + before - np.repeat(before[first], counts)
    ends = starts + lengths
    # With too many ranges the last one noted may have a gap before it.
    place = np.arange(len(rows)) - np.repeat(first, counts)
    keep = place < MOST_SPLITS - 1
    rows, starts, ends, kinds = rows[keep], starts[keep], ends[keep], kinds[keep]
    edges_row = np.concatenate([parts.row, parts.row, rows, rows])
    edges = np.concatenate([parts.start, parts.end, starts, ends])
    order = np.lexsort((edges, edges_row))
    edges_row, edges = edges_row[order], edges[order]
    real = (edges_row[1:] == edges_row[:-1]) & (edges[1:] > edges[:-1])
    row, start, end = edges_row[:-1][real], edges[:-1][real], edges[1:][real]
    inside = _last_before(parts.row, parts.start, row, start)
    noted = _last_before(rows, starts, row, start)
    known = (noted >= 0) & (rows[noted] == row) & (end <= ends[noted])
    return Parts(
        row=row, start=start, end=end, mapping=parts.mapping[inside], delta=parts.delta[inside],
        kind=np.where(known, kinds[noted].astype(np.int64), -1),
    )  # fmt: skip


def _last_before(rows: Any, starts: Any, row: Any, start: Any) -> Any:
    """For each (row, start), the last entry of a sorted table at or before it."""
    import numpy as np

    both_row = np.concatenate([rows, row])
    both_start = np.concatenate([starts, start])
    asked = np.concatenate([np.zeros(len(rows), np.int8), np.ones(len(row), np.int8)])
    order = np.lexsort((asked, both_start, both_row))
    entries = np.cumsum(order < len(rows)) - 1
    found = np.empty(len(row), dtype=np.int64)
    queries = order >= len(rows)
    found[order[queries] - len(rows)] = entries[queries]
    return found


def _merged(one: Parts, other: Parts) -> Parts:
    """Two lists of parts in one order."""
    import numpy as np

    fields = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("row", "start", "end", "mapping", "delta", "kind")
    }
    order = np.lexsort((fields["start"], fields["row"]))
    return Parts(**{name: values[order] for name, values in fields.items()})


def probes(plane: DataPlane, parts: Parts) -> NDArray[np.bool_]:
    """Which parts only probe a closed window, TCP's retransmissions of probes included.

    The octet of a probe need not have the value that belongs to its DSN: it carries no data.
    """
    import numpy as np

    probe: NDArray[np.bool_] = parts.kind == CLASSES.index("zero_window_probe")
    again = np.flatnonzero(
        (parts.kind == CLASSES.index("tcp_retransmission")) & (parts.end - parts.start == 1)
    )
    # What is sent again alone while the window is closed is no carrier for the classifier either,
    # and has none before it.
    again = again[column(plane.wire.segments["previous"])[parts.row[again]] == 0]
    if len(again):
        probe[again] = _shut(plane, parts.row[again])
    return probe


def _shut(plane: DataPlane, rows: Longs) -> NDArray[np.bool_]:
    """Whether the senders of some rows had a closed window.

    It stays closed, whatever updates say, until more data is DATA_ACKed.
    """
    import numpy as np

    half, flags, window, dss, acks = (
        column(values)
        for values in plane.wire.segments.of("half", "flags", "window", "dss", "data_ack")
    )
    to = np.append(column(plane.direction), -2).astype(np.int64)[half] ^ 1
    heard = (to >= 0) & ~has_bit(flags, DUPLICATE)
    found = np.zeros(len(rows), np.bool_)
    mine = column(plane.direction)[half[rows]]
    for direction in np.unique(mine).tolist():
        said = np.flatnonzero(heard & (to == direction))
        closing = said[(window[said] == 0) & ((flags[said] & NO_DATA) == 0)]
        told = said[has_bit(dss[said], 1)]
        top = np.maximum.accumulate(np.concatenate([[1], acks[told]]))
        opening = told[top[1:] > top[:-1]]
        asked = np.flatnonzero(mine == direction)
        last = [
            np.concatenate([[-1], each])[each.searchsorted(rows[asked])]
            for each in (closing, opening)
        ]
        found[asked] = (last[0] >= 0) & (last[0] >= last[1])
    return found
