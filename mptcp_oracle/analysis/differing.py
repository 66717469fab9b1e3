"""Differing: whether octets that were sent again are those that were sent first (RFC 8684, 3.3.6).

Two questions: has a subflow sequence number always the same octet, and has a data sequence number?
Only what was sent again is compared, each octet once, with the segment that carried it first, and
only as far as both were captured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mptcp_oracle.analysis.coverage import Runs, coverage
from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.ground import Ground
from mptcp_oracle.analysis.ordering import FAR, tally
from mptcp_oracle.analysis.parts import Parts, column, probes
from mptcp_oracle.facts import COPIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Find = Callable[[Array, Array], tuple[Array, Array, Array]]

__all__ = ["Repeats", "by_dsn", "by_sequence", "difference", "sent_again"]

RESENT = CLASSES.index("tcp_retransmission")
AGAIN = (RESENT, *(CLASSES.index(name) for name in COPIES))
#: Segments that carried octets of one range first; what is beyond so many stays unknown.
MOST_STEPS = 256
#: Octets that are compared at a time.
BLOCK = 1 << 20


class Repeats(NamedTuple):
    """Ranges of octets that were sent again, each with the one segment that carried it first.

    Attributes:
        number: What is the same of both: sequence number or DSN of the first octet.
        row: Row that sent it again. start: The first octet's sequence number there.
        first: Row that carried it first. origin: The first octet's sequence number there.
        octets: How many. compared: How many of them are in the capture both times.
        differs: Whether any of these are not the same.
    """

    number: Array
    row: Array
    start: Array
    first: Array
    origin: Array
    octets: Array
    compared: Array
    differs: Array


def sent_again(ground: Ground) -> Parts:
    """The parts of segments that repeat octets: by TCP, or under another mapping."""
    import numpy as np

    bits = sum(1 << each for each in AGAIN)
    rows = np.flatnonzero(ground.column("kind") & bits)
    if not len(rows):
        empty = np.zeros(0, np.int64)
        return Parts(row=empty, start=empty, end=empty, mapping=empty, delta=empty, kind=empty)
    parts = ground.parts_of(rows)
    return parts.where(np.isin(parts.kind, AGAIN))


def by_sequence(ground: Ground, parts: Parts) -> Repeats:
    """What TCP sent again, beside what was sent first under the same sequence numbers."""
    again = parts.where(parts.kind == RESENT)
    return _told(ground, again, 0 * again.delta, _Sent(ground).find)


def by_dsn(ground: Ground, parts: Parts) -> Repeats:
    """What was sent again, beside what was sent first with the same data sequence numbers.

    The octet of a probe of a closed window need not have the value that belongs to its DSN.
    """
    again = parts.where((parts.mapping >= 0) & ~probes(ground.plane, parts))
    return _told(ground, again, again.delta, _Carried(ground).find)


def difference(ground: Ground, found: Repeats, at: int) -> tuple[int, int, int]:
    """Where a range first differs: how far from its begin, the octet sent again, the first one."""
    import numpy as np

    data, size = np.frombuffer(ground.wire.capture.data, np.uint8), int(found.compared[at])
    one = int(_offset(ground, found.row[at], found.start[at]))
    other = int(_offset(ground, found.first[at], found.origin[at]))
    far = int(np.flatnonzero(data[one : one + size] != data[other : other + size])[0])
    return far, int(data[one + far]), int(data[other + far])


class _Carried:
    """Who carried each data sequence number first."""

    def __init__(self, ground: Ground) -> None:
        reach = coverage(ground)
        self._direction, self._pieces = ground.direction, reach.first
        self._runs = Runs(ground, reach.carried)
        self._key = self._runs.direction * FAR + self._runs.low

    def find(self, row: Array, number: Array) -> tuple[Array, Array, Array]:
        """Who carried a number first of those that the sender of a row has sent.

        Returns:
            The rows, -1 where there is none; the sequence number there; where the range ends that
            this row carried first.
        """
        import numpy as np

        runs, pieces = self._runs, self._pieces
        if not len(self._key):
            return np.full(len(row), -1, np.int64), number, number
        group = self._direction[row].astype(np.int64) * FAR
        run = np.searchsorted(self._key, group + number, side="right") - 1
        known = (run >= 0) & (self._key[run] >= group) & (number > 0) & (number < runs.high[run])
        place = runs.place[run]
        at = _bisect(pieces.high.__getitem__, runs.first[place], runs.last[place], number)
        first, _, start, low, high = pieces.where(at)
        return np.where(known, first, -1), start + number - low, high


class _Sent:
    """Who sent each subflow sequence number first."""

    def __init__(self, ground: Ground) -> None:
        import numpy as np

        self._ground = ground
        self._fresh = column(ground.plane.fresh)
        rows = sorted({row for rows in ground.plane.gap_fillers().values() for row in rows})
        parts = ground.parts_of(np.array(rows, np.int64))
        parts = parts.where((parts.kind >= 0) & (parts.kind != RESENT))
        key = ground.column("half")[parts.row].astype(np.int64) * FAR + parts.start
        order = np.argsort(key, kind="stable")
        self._fillers, self._key = parts.where(order), key[order]

    def find(self, row: Array, number: Array) -> tuple[Array, Array, Array]:
        """Who sent a number first on the half of a row; as of :class:`_Carried`."""
        import numpy as np

        ground, fresh = self._ground, self._fresh
        half, sequence = ground.column("half")[row], ground.column("sequence")
        low = column(ground.plane.fresh_first)[half].astype(np.int64)
        count = column(ground.plane.fresh_count)[half].astype(np.int64)
        length = ground.column("length")

        def end(at: Array) -> Array:
            found: Array = sequence[fresh[at]] + length[fresh[at]]
            return found

        at = _bisect(end, low, low + np.maximum(count, 1) - 1, number)
        first, stop = fresh[at].astype(np.int64), end(at)
        # What is in a gap of those was sent by another segment later on.
        gap = (count == 0) | (number >= stop) | (number < sequence[first])
        first[gap] = -1
        if gap.any() and len(self._key):
            group = half[gap].astype(np.int64) * FAR
            place = np.searchsorted(self._key, group + number[gap], side="right") - 1
            known = (place >= 0) & (self._key[place] >= group)
            known &= number[gap] < self._fillers.end[place]
            first[gap] = np.where(known, self._fillers.row[place], -1)
            stop[gap] = self._fillers.end[place]
        return first, number, stop


def _bisect(end: Callable[[Array], Array], low: Array, high: Array, number: Array) -> Array:
    """The first place in ``[low, high]`` that ends after a number, ``high`` if none does."""
    import numpy as np

    while (low < high).any():
        middle = (low + high) >> 1
        after = end(middle) > number
        low = np.where(after, low, np.minimum(middle + 1, high))
        high = np.where(after, middle, high)
    return high


def _told(ground: Ground, again: Parts, delta: Array, find: Find) -> Repeats:
    """Cut parts where another segment carried them first, and compare."""
    import numpy as np

    at, left = again.start + delta, np.arange(len(again))
    end = again.end + delta
    found: list[tuple[Array, ...]] = []
    room = 4 * len(again) + BLOCK
    for _ in range(MOST_STEPS):
        first, origin, stop = find(again.row[left], at[left])
        known = first >= 0
        left, first, origin, stop = left[known], first[known], origin[known], stop[known]
        room -= len(left)
        if not len(left) or room < 0:
            break
        octets = np.minimum(stop, end[left]) - at[left]
        start = at[left] - delta[left]
        found.append((at[left], again.row[left], start, first, origin, octets))
        at[left] += octets
        left = left[at[left] < end[left]]
    if not found:
        found = [(at[:0],) * 6]
    ranges = [np.concatenate(each) for each in zip(*found, strict=True)]
    return _compared(ground, *ranges)


def _offset(ground: Ground, row: Array, number: Array) -> Array:
    """Where octets are in the capture that a row carried under some sequence numbers."""
    inside = number - ground.column("sequence")[row]
    found: Array = ground.column("offset")[row] + inside
    return found


def _compared(
    ground: Ground,
    number: Array,
    row: Array,
    start: Array,
    first: Array,
    origin: Array,
    octets: Array,
) -> Repeats:
    """Compare each range with what its first carrier has."""
    import numpy as np

    size = octets
    for which, begin in ((row, start), (first, origin)):
        held = ground.column("captured")[which] - (begin - ground.column("sequence")[which])
        size = np.minimum(size, np.maximum(held, 0))
    one, other = _offset(ground, row, start), _offset(ground, first, origin)
    differs = _differ(np.frombuffer(ground.wire.capture.data, np.uint8), one, other, size)
    return Repeats(number, row, start, first, origin, octets, size, differs)


def _differ(data: Array, one: Array, other: Array, size: Array) -> Array:
    """Whether ``size`` octets at two places differ.

    The first and the last 2**k octets together are all octets of a range, if 2**k is the highest
    power of two that is not longer.
    """
    import numpy as np

    found = np.zeros(len(size), np.bool_)
    power = np.where(size > 0, np.frexp(size)[1] - 1, -1)
    for exponent in np.flatnonzero(tally(power, 64)).tolist():
        width = 1 << exponent
        windows = np.lib.stride_tricks.sliding_window_view(data, width)
        word = np.uint64 if width >= 8 else np.uint8
        mine = np.flatnonzero(power == exponent)
        for begin in range(0, len(mine), max(1, BLOCK // width)):
            block = mine[begin : begin + max(1, BLOCK // width)]
            for skip in (0, size[block] - width):
                again = windows[one[block] + skip].view(word)
                found[block] |= (again != windows[other[block] + skip].view(word)).any(axis=1)
    return found
