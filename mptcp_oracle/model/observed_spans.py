"""Spans: what is known of each octet of a line of numbers, kept range by range."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Spans"]

T = TypeVar("T")


class Spans(Generic[T]):
    """Half-open ranges that do not overlap, each with a value."""

    def __init__(self) -> None:
        self._low: list[int] = []
        self._high: list[int] = []
        self._value: list[T] = []

    def parts(self, low: int, high: int) -> Iterator[tuple[int, int, T | None]]:
        """Cut ``[low, high)`` by the ranges there are; ``None`` where there is none."""
        at = bisect_right(self._high, low)
        while low < high:
            if at == len(self._low) or self._low[at] >= high:
                yield low, high, None
                return
            if self._low[at] > low:
                yield low, self._low[at], None
                low = self._low[at]
            end = min(high, self._high[at])
            yield low, end, self._value[at]
            low, at = end, at + 1

    def put(self, low: int, high: int, value: T) -> None:
        """Give all of ``[low, high)`` a value."""
        first, last = bisect_right(self._high, low), bisect_left(self._low, high)
        lows, highs, values = [low], [high], [value]
        if first < last and self._low[first] < low:
            lows.insert(0, self._low[first])
            highs.insert(0, low)
            values.insert(0, self._value[first])
        if first < last and self._high[last - 1] > high:
            lows.append(high)
            highs.append(self._high[last - 1])
            values.append(self._value[last - 1])
        self._low[first:last] = lows
        self._high[first:last] = highs
        self._value[first:last] = values

    def fill(self, low: int, high: int, value: T) -> None:
        """Give a value to what has none in ``[low, high)``."""
        for start, end, held in list(self.parts(low, high)):
            if held is None:
                self.put(start, end, value)

    def holds(self, low: int, high: int) -> bool:
        """Whether all of ``[low, high)`` has values."""
        return all(held is not None for _, _, held in self.parts(low, high))
