"""How many earlier segments carried any of a segment's data sequence numbers, exactly.

Most segments carry one run of DSNs. Among those, the earlier ones that overlap ``[a, b)`` are all
that begin below ``b`` less all that end at or below ``a``, and both are counted for all segments at
once, in O(n log² n). The few with several runs are compared with the segments near them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

__all__ = ["count_copies", "earlier_below"]


def count_copies(row: Longs, space: Longs, start: Longs, end: Longs, rows: int) -> Longs:
    """Count, for each row, the earlier rows of its space that carried any of its octets.

    Args:
        row: Row of each run of octets; rows count upwards in time.
        space: Its space; runs of different spaces never overlap.
        start: Its first octet.
        end: One past its last octet.
        rows: How many rows there are.

    Returns:
        A count for each row, 0 where it carried nothing.
    """
    import numpy as np

    result = np.zeros(rows, dtype=np.int64)
    if not len(row):
        return result
    # One number for space and place, so that one line holds all spaces, end to end.
    places = np.unique(np.concatenate([start, end]))
    _, compact = np.unique(space, return_inverse=True)
    begin = compact * len(places) + places.searchsorted(start)
    stop = compact * len(places) + places.searchsorted(end)

    order = np.lexsort((begin, row))
    row, begin, stop = row[order], begin[order], stop[order]
    fresh = np.ones(len(row), dtype=np.bool_)
    fresh[1:] = (row[1:] != row[:-1]) | (begin[1:] > stop[:-1])
    first = np.flatnonzero(fresh)
    row, begin, stop = row[first], begin[first], np.maximum.reduceat(stop, first)

    met = ~_alone(begin, stop)
    row, begin, stop = row[met], begin[met], stop[met]
    several = np.isin(row, row[1:][row[1:] == row[:-1]])
    one = ~several
    result[row[one]] = earlier_below(begin[one], stop[one]) - earlier_below(
        stop[one], begin[one] + 1
    )
    if several.any():
        _add_several(result, row, begin, stop, several)
    return result


def _alone(begin: Longs, stop: Longs) -> Any:
    """Which runs overlap no other run: mostly nearly all of them."""
    import numpy as np

    order = np.argsort(begin, kind="stable")
    begins, stops = begin[order], stop[order]
    alone = np.ones(len(order), dtype=np.bool_)
    if len(order) > 1:
        alone[1:] &= np.maximum.accumulate(stops)[:-1] <= begins[1:]
        alone[:-1] &= stops[:-1] <= begins[1:]
    result = np.empty_like(alone)
    result[order] = alone
    return result


def earlier_below(points: Longs, bounds: Longs) -> Longs:
    """For each ``i``, how many ``j < i`` have ``points[j] < bounds[i]``.

    Blocks of doubling size: at each size, every entry of an odd block is counted against the
    sorted points of the even block before it.
    """
    import numpy as np

    count = len(points)
    values = np.unique(points)
    point, bound = values.searchsorted(points), values.searchsorted(bounds)
    width = len(values) + 1
    index = np.arange(count)
    result = np.zeros(count, dtype=np.int64)
    size = 1
    while size < count:
        block = index // size
        left = block & 1 == 0
        held = np.sort(block[left] * width + point[left])
        asks = np.flatnonzero(~left)
        base = (block[asks] - 1) * width
        # Every even block before an odd one is full, so its place in ``held`` is known.
        before = (block[asks] >> 1) * size
        result[asks] += held.searchsorted(base + bound[asks]) - before
        size *= 2
    return result


def _add_several(result: Longs, row: Longs, begin: Longs, stop: Longs, several: Any) -> None:
    """Count the rows with several runs, as the earlier and as the later one of each pair."""
    import numpy as np

    order = np.argsort(begin, kind="stable")
    begins, stops, owners, is_several = begin[order], stop[order], row[order], several[order]
    tops = np.maximum.accumulate(stops)
    for number in np.unique(row[several]):
        near = []
        for run in range(*row.searchsorted([number, number + 1])):
            # No run before ``low`` reaches this one, and none from ``high`` on begins below it.
            low = tops.searchsorted(begin[run], side="right")
            inside = np.arange(low, begins.searchsorted(stop[run]))
            near.append(inside[stops[inside] > begin[run]])
        touched = np.concatenate(near)
        others = owners[touched]
        result[number] += len(np.unique(others[others < number]))
        later = touched[(others > number) & ~is_several[touched]]
        result[np.unique(owners[later])] += 1
