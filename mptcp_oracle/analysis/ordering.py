"""Rows by groups that they belong to, and what was highest in each group so far.

Whoever goes over all rows does so block by block, each small enough for a processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.engine import loops

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["BLOCK", "FAR", "Tops", "blocks", "firsts", "grouped", "highest", "span", "tally"]

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


def firsts(group: Array, mine: Mask, last: Array) -> Array:
    """By group: the first of some rows; beyond all rows without one.

    Args:
        group: The group of each row.
        mine: Which rows are meant.
        last: By group: its last row.
    """
    import numpy as np

    never = len(group)
    found = np.full(len(last), never, np.int64)
    for block in blocks(never):
        if not ((found == never) & (last >= block.start)).any():
            break
        rows = block.start + np.flatnonzero(mine[block])
        rows = rows[found[group[rows]] == never][::-1]
        # Of several rows of a group the last one assigned counts.
        found[group[rows]] = rows
    return found


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


def highest(group: Array, values: Array, groups: int, out: Array | None = None) -> Array:
    """The highest value so far in each group, itself included, in the order given.

    Args:
        group: The group of each, from 0.
        values: Their values; below 0 counts as 0, and from :data:`FAR` on as that.
        groups: How many there may be.
        out: Where to put them; may be ``values``. By default a new array.
    """
    import numpy as np

    found = np.empty(len(group), np.int64) if out is None else out
    top = np.zeros(groups, np.int64)
    loops().tops.so_far(len(group), *_read(group, values), FAR, top, found)
    return found


def _read(group: Array, values: Array) -> tuple[Array, Array]:
    """Groups and values as the loops take them: in one piece, and not such as cannot be written."""
    import numpy as np

    return np.require(group, np.int32, ["C", "W"]), np.require(values, np.int64, ["C", "W"])


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
        loops().tops.before(len(group), *_read(group, values), beside, FAR, self.top, found)
        return found
