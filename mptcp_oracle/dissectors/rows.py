"""The facts of a capture at hand as a trace: made frame by frame, where somebody asks for them.

To compare a long capture needs the facts of few segments; what is read of all of them stands in the
trace's tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis import described
from mptcp_oracle.analysis.serialise import SegmentFacts, options_of
from mptcp_oracle.dissectors.blocks import BITS, Blocked
from mptcp_oracle.dissectors.columns import Chunk
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import CLASSES, OPTIONS, ROLES, Fact
from mptcp_oracle.options import Dss, Malformed
from mptcp_oracle.wire.columns import FLAG_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mptcp_oracle.analysis.trace import Trace

    Array = NDArray[Any]
    Progress = Callable[[int, int], None]

__all__ = ["Rows", "TraceView", "gathered"]

ACK = 0x10
#: Blocks of segments that are kept.
LIVE = 64
#: Blocks of a part of the table, as a power of two.
PARTS = 4


class Rows(Blocked[Segment]):
    """The segments of a trace by frame number, in blocks of frames that are made when needed."""

    def __init__(
        self, trace: Trace, subflows: Mapping[int, Fact], connections: Mapping[int, Fact]
    ) -> None:
        """Take an open trace, and the facts of its subflows and connections by id."""
        self._trace, self._subflows, self._connections = trace, subflows, connections
        self._frame = trace.segments.frame
        self._live: dict[int, dict[int, Segment]] = {}
        self._latest: tuple[int, dict[int, Segment]] = (-1, {})
        self._facts = SegmentFacts(trace)

    @cached_property
    def numbers(self) -> set[int]:
        """The numbers of all blocks."""
        import numpy as np

        return set(np.unique(self._frame >> BITS).tolist())

    def bounds(self, number: int) -> tuple[int, int]:
        """A block's part ``[low, high)`` of the table of segments."""
        import numpy as np

        last = int(self._frame[-1]) >> BITS if len(self._frame) else -1
        if not 0 <= number <= last:
            place = 0 if number < 0 else len(self._frame)
            return place, place
        # Of the column's own type, or the whole column is converted.
        low = self._frame.searchsorted(np.array(number << BITS, self._frame.dtype))
        if number == last:
            return int(low), len(self._frame)
        high = self._frame.searchsorted(np.array((number + 1) << BITS, self._frame.dtype))
        return int(low), int(high)

    def block(self, number: int) -> Mapping[int, Segment]:
        """The segments in frames with this number, once it is shifted right by ``BITS``."""
        if number == self._latest[0]:
            return self._latest[1]
        found = self._live.pop(number, None)
        if found is None:
            found = dict(self._made(*self.bounds(number)))
        self._live[number] = found
        self._latest = number, found
        if len(self._live) > LIVE:
            del self._live[next(iter(self._live))]
        return found

    def __len__(self) -> int:
        return len(self._frame)

    def _made(self, low: int, high: int) -> Iterator[tuple[int, Segment]]:
        """The segments of a part of the table."""
        table, ground = self._trace.segments, self._trace.ground
        rows = ground.rows[low:high]
        some = slice(low, high)
        columns = [
            *(each[some] for each in (table.frame, table.time, table.flags)),
            *(ground.column(name)[rows] for name in ("ack", "flags", "offset", "header")),
            *(each[some] for each in (table.window, table.payload, table.sender)),
            *(each[some] for each in (table.from_source, table.subflow, table.connection)),
        ]
        data, cut = self._trace.capture.data, FLAG_BITS["options_cut"]
        subflows, connections = self._subflows, self._connections
        for at, (
            frame, time, flags, ack, marks, offset, header, window, payload, sender, source,
            subflow, connection,
        ) in enumerate(zip(*(each.tolist() for each in columns), strict=True), low):  # fmt: skip
            number = offset - header + 4
            yield (
                frame,
                Segment(
                    frame,
                    time,
                    flags,
                    int.from_bytes(data[number : number + 4], "big"),
                    ack if flags & ACK else None,
                    window,
                    payload,
                    None if sender < 0 else ROLES[sender],
                    "source" if source else "destination",
                    subflows[subflow],
                    connections[connection],
                    self._facts,
                    at,
                    options_cut=bool(marks & cut),
                ),
            )


class TraceView(View):
    """All facts of a capture, made as they are asked for; the events of connections are left out.

    Attributes:
        trace: The trace that they are of, which must stay open.
    """

    def __init__(
        self,
        trace: Trace,
        capture: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Take an open trace.

        Args:
            trace: The trace.
            capture: The file that it is of.
            progress: Told now and then how many connections are described, and of how many.
        """
        super().__init__((), capture)
        self.trace = trace
        groups = list(trace.groups())
        for done, group in enumerate(groups):
            if progress is not None and done % 1024 == 0:
                progress(done, len(groups))
            self.connections[group.id] = described.connection(trace, group, events=False)
            for flow in group.subflows:
                self.subflows[flow.id] = described.subflow(trace, flow, group.id)
        self.segments: Rows = Rows(trace, self.subflows, self.connections)
        self._chunks: dict[int, Chunk] = {}
        self.again = self._again()
        self.signals = self._signals()

    def _again(self) -> dict[str, set[int]]:
        """Frames by the class of a transmission in them, without what was first seen."""
        moves = self.trace.transmissions
        found = {}
        for number, name in enumerate(CLASSES):
            frames = moves.frame[moves.kind == number]
            if name != "first_seen" and len(frames):
                found[name] = set(frames.tolist())
        return found

    def _signals(self) -> dict[str, list[int]]:
        """Frames by the name of an option that they have, a DSS aside."""
        import numpy as np

        trace, found = self.trace, dict[str, list[int]]()
        copies = np.flatnonzero(trace.ground.duplicate)
        rows = np.unique(np.concatenate([copies, trace.wire.controls["row"]]))
        index = trace.ground.rows.searchsorted(rows)
        mine = index < len(trace.ground.rows)
        mine[mine] = trace.ground.rows[index[mine]] == rows[mine]
        for row, at in zip(rows[mine].tolist(), index[mine].tolist(), strict=True):
            frame = int(trace.segments.frame[at])
            version = self.subflows[int(trace.segments.subflow[at])]["version"]
            for option in options_of(trace, row, version):
                reading = option.reading if isinstance(option, Malformed) else None
                told = option if reading is None else reading
                if not isinstance(told, Dss):
                    found.setdefault(OPTIONS[type(told)], []).append(frame)
        return found

    def facts(self) -> Iterator[Fact]:
        """The facts of connections, subflows, segments and transmissions."""
        return (fact for fact in self.trace.facts() if fact["fact"] != "observation")

    def chunk(self, number: int) -> tuple[Chunk, slice]:
        """A part of the table of segments, and where in it a block of frames is.

        A part has several blocks, since much of what is found out of it takes as long for one.
        """
        rows, whole = self.segments, number >> PARTS
        if whole not in self._chunks:
            first = whole << PARTS
            low, _ = rows.bounds(first)
            _, high = rows.bounds(first + (1 << PARTS) - 1)
            self._chunks = {whole: Chunk(self, low, high)}
        chunk = self._chunks[whole]
        low, high = rows.bounds(number)
        return chunk, slice(low - chunk.low, high - chunk.low)

    @cached_property
    def firsts(self) -> Array:
        """By declared mapping: the first frame that declares it."""
        return _firsts(self.trace)

    @cached_property
    def several(self) -> Array:
        """By segment: whether its payload lies under mappings that differ."""
        import numpy as np

        parts, rows = self.trace.ground.parts, self.trace.ground.rows
        mapped = np.flatnonzero(parts.mapping >= 0)
        row, first = parts.row[mapped], self.firsts[parts.mapping[mapped]]
        both = (row[1:] == row[:-1]) & (first[1:] != first[:-1])
        found = np.zeros(len(rows), np.bool_)
        found[rows.searchsorted(row[1:][both])] = True
        return found

    def first_declaring(self) -> Mapping[int | str, int | str]:
        """By frame: the first one that declares its mapping, if it is an earlier one."""
        return _first_declaring(self.trace, self.firsts)

    def carried(self) -> dict[tuple[Any, ...], list[tuple[int, int, int, int]]]:
        """What carried data, by direction: DSNs ``[start, end)``, frame and subflow."""
        trace, parts = self.trace, self.trace.ground.parts
        mapped = parts.where(parts.mapping >= 0)
        at = trace.ground.rows.searchsorted(mapped.row)
        table, found = trace.segments, dict[tuple[Any, ...], list[tuple[int, int, int, int]]]()
        columns = (table.connection, table.sender, table.from_source, table.frame, table.subflow)
        for start, end, connection, sender, source, frame, subflow in zip(
            *((each + mapped.delta).tolist() for each in (mapped.start, mapped.end)),
            *(each[at].tolist() for each in columns),
            strict=True,
        ):
            whose = ("source" if source else "destination") if sender < 0 else ROLES[sender]
            found.setdefault((connection, whose), []).append((start, end, frame, subflow))
        return found


def gathered(trace: Trace, capture: str | PathLike[str] | None = None) -> View:
    """All facts of an open trace, for use when it is closed; for captures that are not long."""
    return View(trace.facts(), capture, _first_declaring(trace, _firsts(trace)))


def _firsts(trace: Trace) -> Array:
    """By declared mapping: the first frame that declares it.

    RFC 8684 section 3.3.1: a mapping may be declared on several segments; it is the same if
    subflow, DSN, subflow sequence number and length are.
    """
    import numpy as np

    table = trace.mappings
    columns = (trace.ground.mapping("half"), table.dsn, table.ssn, table.length)
    order = np.lexsort(columns[::-1])
    new = np.ones(len(order), np.bool_)
    if len(order):
        new[1:] = np.any([np.diff(each[order].astype(np.int64)) != 0 for each in columns], 0)
    # Equal ones stay in the order of frames.
    first = table.frame[order][np.flatnonzero(new)]
    found = np.zeros(len(order), np.int64)
    found[order] = first[np.cumsum(new) - 1]
    return found


def _first_declaring(trace: Trace, firsts: Array) -> dict[int | str, int | str]:
    """By frame: the first one that declares its mapping, if it is an earlier one."""
    table = trace.segments
    some = (table.declares >= 0).nonzero()[0]
    frame, first = table.frame[some], firsts[table.declares[some]]
    later = first != frame
    return dict(zip(frame[later].tolist(), first[later].tolist(), strict=True))
