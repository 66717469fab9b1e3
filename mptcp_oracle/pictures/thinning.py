"""Thinning: fewer points that look the same, chosen so that nothing exceptional gets lost.

A picture is a few thousand dots wide. Where a series has more points than that, each of many equal
slots of time keeps its first, its last, its lowest and its highest point; whoever thins says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["SLOTS", "changes", "kept", "slots_of"]

#: Slots of time in a series that is thinned.
SLOTS = 1000


def slots_of(time: Array, slots: int) -> Array:
    """The slot of each point: equal parts of the time that the points span, from 0."""
    import numpy as np

    first, last = time.min(), time.max()
    if last <= first:
        return np.zeros(len(time), np.int64)
    found = ((time - first) * (slots / (last - first))).astype(np.int64)
    result: Array = np.minimum(found, slots - 1)
    return result


def kept(time: Array, low: Array, high: Array, *, most: int, slots: int = SLOTS) -> Array:
    """Indices of the points to draw, ascending: all, if they are no more than ``most``.

    Args:
        time: When each is.
        low: Where it begins.
        high: Where it ends; for a plain point the same array.
        most: So many points need no thinning.
        slots: Else the slots of time, each of which keeps first, last, lowest and highest.
    """
    import numpy as np

    count = len(time)
    if count <= most:
        return np.arange(count)
    slot = slots_of(time, slots)
    order = None
    if (slot[1:] < slot[:-1]).any():
        order = np.argsort(slot, kind="stable")
        slot, low, high = slot[order], low[order], high[order]
    begins = np.flatnonzero(np.diff(slot, prepend=-1))
    ends = np.append(begins[1:], count)
    rank = np.repeat(np.arange(len(begins)), ends - begins)
    lowest = np.flatnonzero(low == np.minimum.reduceat(low, begins)[rank])
    highest = np.flatnonzero(high == np.maximum.reduceat(high, begins)[rank])
    chosen = np.concatenate([begins, ends - 1, _firsts(rank, lowest), _firsts(rank, highest)])
    if order is not None:
        chosen = order[chosen]
    return np.unique(chosen)


def _firsts(rank: Array, rows: Array) -> Array:
    """Of ascending rows the first one of each rank."""
    import numpy as np

    found: Array = rows[np.flatnonzero(np.diff(rank[rows], prepend=-1))]
    return found


def changes(values: Array) -> Array:
    """Indices at which a line of steps changes, and its last point."""
    import numpy as np

    if not len(values):
        return np.zeros(0, np.int64)
    found = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    return found if found[-1] == len(values) - 1 else np.append(found, len(values) - 1)
