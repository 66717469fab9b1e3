"""Rows by groups that they belong to, and what was highest in each group so far.

Whoever goes over all rows does so block by block, each small enough for a processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.engine import loops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["BLOCK", "FAR", "Tops", "blocks", "grouped", "highest", "span", "tally"]

FAR = 1 << 40
"""No number of a group is as high: what is counts as this."""

BLOCK = 1 << 16
"""Rows of a block."""

#: With so few groups each is picked out by itself; with so many at most a radix sort is enough.
FEW, MANY = 8, 1 << 16


def blocks(rows: int) -> Iterator[slice]:
    """All rows, block by block."""
    for begin in range(0, rows, BLOCK):
        yield slice(begin, min(begin + BLOCK, rows))


def span(rows: Array) -> Any:
    """Ascending rows as an index: as a slice, which copies nothing, if none between is missing."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def grouped(group: Array, groups: int) -> Array:
    """Indices in order of their group, and in their own order within each.

    Args:
        group: The group of each, from 0.
        groups: How many there may be.
    """
    import numpy as np

    if groups <= FEW:
        return np.concatenate([np.flatnonzero(group == each) for each in range(max(groups, 1))])
    small = group.astype(np.uint16) if groups <= MANY else group
    return np.argsort(small, kind="stable")


def tally(group: Array, groups: int) -> Array:
    """By group: how many are of it.

    Args:
        group: The group of each; those of no group are below 0, or not below ``groups``.
        groups: How many there may be.
    """
    import numpy as np

    if groups <= FEW:
        return np.array([np.count_nonzero(group == each) for each in range(groups)], np.int64)
    known = (group >= 0) & (group < groups)
    return np.bincount(group if known.all() else group[known], minlength=groups)


def highest(group: Array, values: Array) -> Array:
    """The highest value so far in each group, itself included.

    Args:
        group: Groups, sorted.
        values: Their values; below 0 counts as 0, and from :data:`FAR` on as that.
    """
    import numpy as np

    shift = group.astype(np.int64) * (FAR + 1)
    found = np.clip(values.astype(np.int64, copy=False), 0, FAR)
    found += shift
    np.maximum.accumulate(found, out=found)
    found -= shift
    return found


class Tops:
    """The highest value of each group so far, block by block.

    Attributes:
        top: By group; 0 before there is any.
    """

    def __init__(self, groups: int) -> None:
        import numpy as np

        self.top = np.zeros(groups, np.int64)

    def before(self, group: Array, values: Array, *, beside: bool = False) -> Array:
        """The highest value of its group before each, in the order given.

        Args:
            group: The group of each.
            values: Their values; below 0 counts as 0, and from :data:`FAR` on as that.
            beside: Tell of the other group of a pair instead, which differs in the last bit: of
                the other half of a subflow, the other direction of a connection.
        """
        import numpy as np

        found = np.empty(len(group), np.int64)
        # The loop takes no array that cannot be written, as columns of the engine are.
        groups = np.require(group, np.int32, "CW")
        longs = np.require(values, np.int64, "CW")
        loops().tops.before(len(group), groups, longs, beside, FAR, self.top, found)
        return found
