"""Choices drawn from Hypothesis: what it finds with them, it also makes smaller.

Every choice is one draw, so that the shrinker can take away or lower each of them alone. A draw
through a strategy costs some 25 microseconds and a trace needs hundreds, so where Hypothesis
offers its typed draws underneath, those are taken; without them the result is the same, slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from mptcp_oracle.model.choices import Choices

__all__ = ["Drawn", "drawn"]

T = TypeVar("T")
#: A number of more bits is put together of parts, since Hypothesis prefers small large numbers.
UNIFORM_BITS = 24


class Drawn(Choices):
    """Choices that Hypothesis makes.

    Args:
        draw: As a ``composite`` strategy gets it.
        typed: Whether to use Hypothesis' typed draws where this version has them.
    """

    def __init__(self, draw: DrawFn, *, typed: bool = True) -> None:
        data: Any = getattr(draw, "__self__", None) if typed else None
        integer = getattr(data, "draw_integer", None)
        boolean = getattr(data, "draw_boolean", None)
        self._integer: Callable[[int, int], int] = integer or _by_strategy(draw)
        self._boolean: Callable[[float], bool] | None = boolean

    def integer(self, low: int, high: int) -> int:
        """A number in ``[low, high]``; it shrinks towards ``low``."""
        if low == high:
            return low
        return low + self._integer(0, high - low)

    def chance(self, parts: int, whole: int) -> bool:
        """``True`` in ``parts`` of ``whole`` cases; never if ``parts`` is 0."""
        if parts <= 0:
            return False
        if self._boolean is None or parts >= whole:
            return super().chance(parts, whole)
        return self._boolean(parts / whole)

    def bits(self, count: int) -> int:
        """Any number of so many bits, all equally likely; it shrinks towards 0."""
        value = 0
        while count > 0:
            part = min(count, UNIFORM_BITS)
            value = value << part | self._integer(0, (1 << part) - 1)
            count -= part
        return value


def _by_strategy(draw: DrawFn) -> Callable[[int, int], int]:
    return lambda low, high: draw(st.integers(low, high))


def drawn(make: Callable[[Choices], T]) -> SearchStrategy[T]:
    """A strategy of what a function makes of choices."""

    @st.composite
    def made(draw: DrawFn) -> T:
        return make(Drawn(draw))

    return made()
