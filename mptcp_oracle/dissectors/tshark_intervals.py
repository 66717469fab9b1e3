"""Intervals as tshark keeps them: which one it finds first depends on the shape of its tree.

It is a red-black tree by the intervals' beginnings. A second interval with the same beginning takes
over the first one's place, and its end. Every node notes the highest end below it, by which a
search decides where to look; after a rotation that is brought up to date only for the nodes below
the one that was lowered, so that a search may pass over what it looks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Intervals"]

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Node(Generic[T]):
    """An interval ``[low, high]`` and what is known of it.

    ``edge`` is the noted highest end of it and what is below, ``top`` the true one.
    """

    low: int
    high: int
    value: T
    above: _Node[T] | None = None
    left: _Node[T] | None = None
    right: _Node[T] | None = None
    red: bool = True
    edge: int = 0
    top: int = 0


class Intervals(Generic[T]):
    """Intervals of integers with a value each.

    Attributes:
        lost: How often a search has passed over nodes with an interval that overlaps.
    """

    def __init__(self) -> None:
        self._root: _Node[T] | None = None
        self.lost = 0

    def insert(self, low: int, high: int, value: T) -> None:
        """Add ``[low, high]``, or change the value of the interval that begins at ``low``."""
        path: list[_Node[T]] = []
        node = self._root
        while node is not None:
            if node.low == low:
                node.value = value
                _note(node)
                return
            path.append(node)
            node = node.left if low < node.low else node.right
        above = path[-1] if path else None
        node = _Node(low, high, value, above, top=high)
        if above is None:
            self._root = node
        elif low < above.low:
            above.left = node
        else:
            above.right = node
        for each in path:
            if each.top < high:
                each.top = high
        self._balance(node)
        _note(node)

    def within(self, low: int, high: int) -> list[T]:
        """The values of intervals that overlap ``[low, high]``, from the root downwards."""
        found: list[T] = []
        waiting: list[_Node[T] | None] = [self._root]
        while waiting:
            node = waiting.pop()
            if node is None:
                continue
            if low > node.edge:
                if low <= node.top:
                    self.lost += _overlaps(node, low, high)
                continue
            # Where a node begins behind the range, all on its right do so, too.
            if node.low <= high:
                if low <= node.high:
                    found.append(node.value)
                waiting.append(node.right)
            left = node.left
            if left is not None and low <= left.top:
                waiting.append(left)
        return found

    def _balance(self, node: _Node[T]) -> None:
        """Restore the colours above a new node."""
        while (above := node.above) is not None and above.red:
            top = above.above
            if top is None:
                return
            aunt = top.right if above is top.left else top.left
            if aunt is not None and aunt.red:
                above.red = aunt.red = False
                top.red = True
                node = top
                continue
            if (node is above.right) != (above is top.right):
                self._raise(node)
                above = node
            above.red, top.red = False, True
            self._raise(above)
            return
        if above is None:
            node.red = False

    def _raise(self, node: _Node[T]) -> None:
        """Put a node in the place of the one above it, which goes to its other side."""
        above = node.above
        assert above is not None
        top = above.above
        if node is above.left:
            above.left, node.right, inner = node.right, above, node.right
        else:
            above.right, node.left, inner = node.left, above, node.left
        if inner is not None:
            inner.above = above
        above.above, node.above = node, top
        if top is None:
            self._root = node
        elif top.left is above:
            top.left = node
        else:
            top.right = node
        for each in (above, node):
            each.top = each.high
            for below in (each.left, each.right):
                if below is not None and below.top > each.top:
                    each.top = below.top
        for below in (above.left, above.right):
            if below is not None:
                _note(below)


def _overlaps(node: _Node[T], low: int, high: int) -> bool:
    """Whether an interval of a node or below it overlaps ``[low, high]``."""
    waiting: list[_Node[T] | None] = [node]
    while waiting:
        each = waiting.pop()
        if each is not None and low <= each.top:
            if each.low <= high and low <= each.high:
                return True
            waiting += [each.left, each.right]
    return False


def _note(node: _Node[T]) -> None:
    """Bring the noted end of a node up to date, and of those above as long as it changes."""
    climb: _Node[T] | None = node
    while climb is not None:
        edge = climb.high
        left, right = climb.left, climb.right
        if left is not None and left.edge > edge:
            edge = left.edge
        if right is not None and right.edge > edge:
            edge = right.edge
        if edge == climb.edge:
            return
        climb.edge = edge
        climb = climb.above
