"""Rates: octets over time, what waits for a gap to be filled, and round trips, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.pictures.series import Direction, Sent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Bins", "RoundTrips", "binned", "bins", "round_trips", "waiting"]

FIRST_SEEN = CLASSES.index("first_seen")
RETRANSMISSION = CLASSES.index("tcp_retransmission")
ACK = 0x10
#: A picture has at most so many bins.
MOST_BINS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Equal parts of time from 0 on. ``width`` is one part's length in seconds."""

    width: float
    count: int

    @property
    def middles(self) -> Array:
        """The middle of each."""
        import numpy as np

        found: Array = (np.arange(self.count) + 0.5) * self.width
        return found

    def of(self, time: Array) -> Array:
        """The bin of each time."""
        import numpy as np

        found: Array = np.clip((time / self.width).astype(np.int64), 0, self.count - 1)
        return found


def bins(duration: float, most: int = MOST_BINS) -> Bins:
    """Bins of a round width (1, 2 or 5 times a power of ten) that cover a duration.

    Args:
        duration: In seconds.
        most: There are no more than these, and at least two fifths of them.
    """
    least = max(duration, 1e-6) / most
    power = 10.0 ** floor(log10(least))
    width = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
    return Bins(width=width, count=max(1, ceil(duration / width)))


def binned(sent: Sent, parts: Bins, chosen: Array) -> Array:
    """Octets of the chosen transmissions in each bin.

    Args:
        sent: Transmissions.
        parts: The bins.
        chosen: A mask.
    """
    import numpy as np

    found: Array = np.bincount(
        parts.of(sent.time[chosen]), weights=sent.octets[chosen], minlength=parts.count
    )
    return found


def waiting(sent: Sent) -> Array:
    """Octets that a receiver holds behind a gap, after each transmission that is first seen.

    Counted in the order of the capture. Octets that the capture shows nowhere count as there.

    Args:
        sent: Mapped transmissions that are first seen, in capture order.
    """
    import numpy as np

    order = np.argsort(sent.dsn, kind="stable")
    # A range can be passed on once it and all below it have arrived.
    ready = np.maximum.accumulate(order)
    left = np.bincount(ready, weights=sent.octets[order], minlength=len(sent))
    found: Array = np.cumsum(sent.octets - left).astype(np.int64)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrips:
    """Times between data and the acknowledgment that covers it.

    Attributes:
        time: When the data was captured. seconds: How long it took. frame: The frame of the data.
        whole: Whether it is a whole round trip, because the capture was made at the sender; else
            it is the way from where it was made to the receiver and back.
    """

    time: Array
    seconds: Array
    frame: Array
    whole: bool


def round_trips(direction: Direction, subflow: Subflow) -> RoundTrips | None:
    """The round trips of a subflow, of data that was sent once only (Karn's rule).

    Args:
        direction: Whose data.
        subflow: Which subflow.

    Returns:
        ``None`` where the capture was made at the receiver, who sees no round trip of this data.
    """
    import numpy as np

    role = direction.role
    if subflow.captured_at(1 - role):
        return None
    readings = direction.readings
    ground = readings.trace.ground
    halves, rows = ground.column("half"), readings.segment_rows(direction.number)
    rows = rows[halves[rows] == subflow.halves[role]]
    rows = rows[ground.column("length")[rows] > 0]
    start = ground.column("sequence")[rows]
    end = start + ground.column("length")[rows]
    fresh = end > np.concatenate([[0], np.maximum.accumulate(end)[:-1]])[: len(end)]
    again = (ground.column("kind")[rows] & (1 << RETRANSMISSION)) != 0
    clean = fresh & ~again & ~_touched(start, end, start[again], end[again])
    rows, end = rows[clean], end[clean]
    acks = readings.segment_rows(direction.number ^ 1)
    acks = acks[halves[acks] == subflow.halves[1 - role]]
    acks = acks[(ground.column("flags")[acks] & ACK) != 0]
    top = np.maximum.accumulate(ground.relative_ack[acks])
    place = top.searchsorted(end)
    found = place < len(acks)
    rows, answer = rows[found], acks[place[found]]
    took = (readings.times[answer] - readings.times[rows]) * 1e-9
    real = took > 0
    rows = rows[real]
    return RoundTrips(
        time=direction.seconds(rows), seconds=took[real], frame=ground.column("frame")[rows],
        whole=subflow.captured_at(role),
    )  # fmt: skip


def _touched(start: Array, end: Array, low: Array, high: Array) -> Array:
    """Which ranges overlap any of some others."""
    import numpy as np

    if not len(low):
        return np.zeros(len(start), np.bool_)
    order = np.argsort(low, kind="stable")
    low, top = low[order], np.maximum.accumulate(high[order])
    before = low.searchsorted(end) - 1  # the last one that begins below the end
    found: Array = (before >= 0) & (top[np.maximum(before, 0)] > start)
    return found
