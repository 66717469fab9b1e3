"""Series: what a connection's pictures show, as arrays taken from the trace's tables.

Times are seconds since the connection's first frame. DSNs are relative to the IDSN (the first
octet of a direction is 1), ranges are half-open, frame numbers are 1-based. A *direction* is what
one host sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.announced import scales, windows
from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.analysis.ordering import grouped
from mptcp_oracle.analysis.parts import has_bit
from mptcp_oracle.analysis.trace import Trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["MOST_FLOWS", "Direction", "Line", "Readings", "Sent"]

#: Subflows of a connection that are told apart; the others are drawn as the last one of these.
MOST_FLOWS = 24
NANO = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Transmissions, in capture order: a range of octets of one class in one segment.

    Attributes:
        time, frame, subflow: When, where, on which subflow.
        dsn, dsn_end: Relative DSNs; -1 where nothing is mapped.
        octets: How many. kind: Index into :data:`mptcp_oracle.facts.CLASSES`.
    """

    time: Array
    frame: Array
    subflow: Array
    dsn: Array
    dsn_end: Array
    octets: Array
    kind: Array

    def __len__(self) -> int:
        return len(self.time)

    def where(self, chosen: Array) -> Sent:
        """Those that a mask or an index array chooses."""
        return Sent(
            time=self.time[chosen], frame=self.frame[chosen], subflow=self.subflow[chosen],
            dsn=self.dsn[chosen], dsn_end=self.dsn_end[chosen], octets=self.octets[chosen],
            kind=self.kind[chosen],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of steps: from each time on, a value, and the frame that brought it."""

    time: Array
    value: Array
    frame: Array

    def __len__(self) -> int:
        return len(self.time)


class Readings:
    """A trace's tables, sorted once by direction, so that each connection's rows are at hand.

    Attributes:
        trace: The trace, still open.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    @cached_property
    def times(self) -> Array:
        """By row of the segment columns: nanoseconds since the epoch."""
        return self.trace.ground.column("time")

    @cached_property
    def _sent(self) -> _Sorted:
        table = self.trace.transmissions
        return _Sorted(self.trace.ground.direction[table.row], self._directions)

    @cached_property
    def _segments(self) -> _Sorted:
        import numpy as np

        ground = self.trace.ground
        rows = np.flatnonzero((ground.direction >= 0) & ~ground.duplicate)
        return _Sorted(ground.direction[rows], self._directions, rows)

    @property
    def _directions(self) -> int:
        return len(self.trace.ground.base)

    def origin(self, group: Connection) -> int:
        """When a connection's first segment was captured, in nanoseconds since the epoch."""
        first = min(flow.first_frame for flow in group.subflows)
        return int(self.times[self.row(first)])

    def row(self, frame: int) -> int:
        """The row of the segment columns that a frame number belongs to, or follows."""
        frames = self.trace.ground.column("frame")
        return min(int(frames.searchsorted(frame)), len(frames) - 1)

    def direction(self, group: Connection, role: int) -> Direction:
        """What a host of a connection (or of what stands for one) sends.

        Args:
            group: The connection.
            role: 0 for the initiator, 1 for the listener.
        """
        return Direction(self, group, role)

    def sent_rows(self, direction: int) -> Array:
        """Rows of the table of transmissions."""
        return self._sent.of(direction)

    def segment_rows(self, direction: int) -> Array:
        """Rows of the segment columns, duplicates made by the capture left out."""
        return self._segments.of(direction)


class Direction:
    """What one host sends in one connection, and what the other one acknowledges of it.

    Attributes:
        readings: What it is taken from. group: The connection. role: 0 initiator, 1 listener.
        number: Its index in the data plane's tables. origin: Nanoseconds that times count from.
    """

    def __init__(self, readings: Readings, group: Connection, role: int) -> None:
        self.readings = readings
        self.group = group
        self.role = role
        self.number = readings.trace.direction(group, role)
        self.origin = readings.origin(group)

    def seconds(self, rows: Array) -> Array:
        """Times of rows of the segment columns."""
        found: Array = (self.readings.times[rows] - self.origin) * NANO
        return found

    @cached_property
    def sent(self) -> Sent:
        """All transmissions; subflows beyond :data:`MOST_FLOWS` count as the last one of these."""
        import numpy as np

        table = self.readings.trace.transmissions
        rows = self.readings.sent_rows(self.number)
        last = self.group.subflows[:MOST_FLOWS][-1].id
        return Sent(
            time=self.seconds(table.row[rows]), frame=table.frame[rows],
            subflow=np.minimum(table.subflow[rows], last), dsn=table.dsn[rows],
            dsn_end=table.dsn_end[rows], octets=table.octets[rows], kind=table.kind[rows],
        )  # fmt: skip

    @cached_property
    def _acks(self) -> Array:
        """Rows of the other host's segments that carry a DATA_ACK."""
        rows = self.readings.segment_rows(self.number ^ 1)
        return rows[has_bit(self.readings.trace.ground.column("dss")[rows], 1)]

    @cached_property
    def data_ack(self) -> Line:
        """The highest DATA_ACK so far."""
        ground = self.readings.trace.ground
        return self._highest(self._acks, ground.column("data_ack")[self._acks])

    @cached_property
    def window(self) -> Line:
        """The right edge of the receive window: the highest DATA_ACK plus window so far.

        Segments whose window scale is not known are left out (RFC 8684 section 3.3.4).
        """
        trace = self.readings.trace
        ground, rows = trace.ground, self._acks
        rows = rows[scales(trace)[ground.column("half")[rows]] >= 0]
        edge = ground.column("data_ack")[rows] + windows(trace)[rows]
        return self._highest(rows, edge)

    def _highest(self, rows: Array, values: Array) -> Line:
        import numpy as np

        from mptcp_oracle.pictures.thinning import changes

        top = np.maximum.accumulate(values)
        at = changes(top)
        frame = self.readings.trace.ground.column("frame")[rows[at]]
        return Line(time=self.seconds(rows[at]), value=top[at], frame=frame)


class _Sorted:
    """Rows in order of their group, and where each group begins."""

    def __init__(self, group: Array, groups: int, rows: Array | None = None) -> None:
        import numpy as np

        self.order = grouped(group, groups)
        if rows is not None:
            self.order = rows[self.order]
        self.bounds = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))])

    def of(self, group: int) -> Array:
        """The rows of one group, ascending."""
        found: Array = self.order[self.bounds[group] : self.bounds[group + 1]]
        return found
