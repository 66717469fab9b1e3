"""Choices: the one door through which anything undetermined enters the model.

A source of choices answers :meth:`Choices.integer`; everything else follows from it. 0, the
first option and ``False`` are always the simplest choice, so that a source that shrinks (such as
Hypothesis) shrinks towards plain traces. :class:`Counted` is the source that gives the same
answers for the same seed on every machine, for ever: a hash in counter mode, no library's
random numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

__all__ = ["Choices", "Counted"]

T = TypeVar("T")
WORD = 1 << 64
EIGHT = Struct(">8Q")


class Choices(ABC):
    """A source of choices."""

    @abstractmethod
    def integer(self, low: int, high: int) -> int:
        """A number in ``[low, high]``; both ends are possible, ``low`` is the simplest."""

    def chance(self, parts: int, whole: int) -> bool:
        """``True`` in ``parts`` of ``whole`` cases; never if ``parts`` is 0."""
        return parts > 0 and self.integer(0, whole - 1) >= whole - parts

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, which must not be empty; the first is the simplest."""
        return options[0 if len(options) == 1 else self.integer(0, len(options) - 1)]

    def weighted(self, options: Sequence[tuple[int, T]]) -> T:
        """One of ``(weight, option)``; weights are positive integers, the first is simplest."""
        at = self.integer(0, sum(weight for weight, _ in options) - 1)
        for weight, option in options:
            if at < weight:
                return option
            at -= weight
        raise AssertionError("a source gave a number out of its range")

    def bits(self, count: int) -> int:
        """Any number of so many bits."""
        return self.integer(0, (1 << count) - 1)


class Counted(Choices):
    """Choices made by a hash of a seed and a counter.

    Args:
        seed: Any integer; the choices are a function of it alone.
        name: Separates streams of one seed, such as the case's number or the stage's name.
    """

    def __init__(self, seed: int, name: str = "") -> None:
        text = f"mptcp-oracle choices 1 {seed} {name}".encode()
        self._key = blake2b(text, digest_size=32).digest()
        self._block = 0
        self._words: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """A number in ``[low, high]``, each with the same probability."""
        span = high - low + 1
        if span <= 0:
            raise ValueError(f"no number in [{low}, {high}]")
        if span == 1:
            return low
        if span <= WORD:
            # The usual case, by the same rule as below.
            limit = WORD - WORD % span
            value = self._word()
            while value >= limit:
                value = self._word()
            return low + value % span
        words = -(-span.bit_length() // 64)
        whole = 1 << 64 * words
        limit = whole - whole % span
        while True:
            value = 0
            for _ in range(words):
                value = value << 64 | self._word()
            if value < limit:
                return low + value % span

    def _word(self) -> int:
        if not self._words:
            block = blake2b(self._block.to_bytes(8, "big"), key=self._key).digest()
            self._block += 1
            self._words = list(EIGHT.unpack(block))
        return self._words.pop()
