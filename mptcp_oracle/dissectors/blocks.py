"""Values by frame number, for captures of any length.

As objects, what is said of a million frames takes gigabytes; packed, a tenth of that. Whoever goes
through frames in order, or looks at what is near, seldom waits for anything to be unpacked.
"""

from __future__ import annotations

import marshal
from abc import abstractmethod
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Any, Generic, TypeVar

__all__ = ["BITS", "Blocked", "Blocks"]

T = TypeVar("T")

BITS = 8
"""Frames of a block as a power of two."""

#: How many blocks are kept as objects.
LIVE = 64


class Blocked(Mapping[int, T], Generic[T]):
    """Values by frame number that are had a block of frames at a time."""

    @property
    @abstractmethod
    def numbers(self) -> set[int]:
        """The numbers of all blocks."""

    @abstractmethod
    def block(self, number: int) -> Mapping[int, T]:
        """The frames with this number, once it is shifted right by :data:`BITS`, and their values.

        They are in order if they were added so.
        """

    def __getitem__(self, frame: int) -> T:
        return self.block(frame >> BITS)[frame]

    def get(self, frame: int, default: Any = None) -> Any:
        """The value of a frame, or what stands for none."""
        return self.block(frame >> BITS).get(frame, default)

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and frame in self.block(frame >> BITS)

    def __iter__(self) -> Iterator[int]:
        for number in sorted(self.numbers):
            yield from sorted(self.block(number))

    def items(self) -> ItemsView[int, T]:
        """Frames and values, in the order of frames."""
        return _Items(self)

    def values(self) -> ValuesView[T]:
        """The values, in the order of frames."""
        return _Values(self)


class Blocks(Blocked[T]):
    """Values by frame number, in blocks of frames; those not read of late are kept packed."""

    def __init__(
        self,
        pack: Callable[[T], Any] = lambda value: value,
        unpack: Callable[[Any], T] = lambda value: value,
    ) -> None:
        """Begin without values.

        Args:
            pack: Makes a value one of numbers, texts, ``None``, lists, tuples and dictionaries.
            unpack: The way back.
        """
        self._pack, self._unpack = pack, unpack
        self._live: dict[int, dict[int, T]] = {}
        self._packed: dict[int, bytes] = {}
        self._count = 0

    def put(self, frame: int, value: T) -> None:
        """Set the value of a frame; quick if frames come in order."""
        number = frame >> BITS
        block = self._live.get(number)
        if block is None:
            block = self._load(number)
        self._packed.pop(number, None)
        self._count += frame not in block
        block[frame] = value

    @property
    def numbers(self) -> set[int]:
        """The numbers of all blocks."""
        return self._live.keys() | self._packed.keys()

    def block(self, number: int) -> Mapping[int, T]:
        """The frames with this number, and their values; nothing if there are none."""
        found = self._live.get(number)
        if found is not None:
            return found
        return self._load(number) if number in self._packed else {}

    def __len__(self) -> int:
        return self._count

    def _load(self, number: int) -> dict[int, T]:
        """A block, from now on as objects; what has been so for the longest time is packed."""
        packed = self._packed.get(number)
        plain = {} if packed is None else marshal.loads(packed)
        found = {frame: self._unpack(value) for frame, value in plain.items()}
        self._live[number] = found
        if len(self._live) > LIVE:
            oldest = next(iter(self._live))
            block = self._live.pop(oldest)
            if oldest not in self._packed:
                plain = {frame: self._pack(value) for frame, value in block.items()}
                self._packed[oldest] = marshal.dumps(plain)
        return found


class _Items(ItemsView[int, T]):
    def __init__(self, blocks: Blocked[T]) -> None:
        super().__init__(blocks)
        self._blocks = blocks

    def __iter__(self) -> Iterator[tuple[int, T]]:
        for number in sorted(self._blocks.numbers):
            block = self._blocks.block(number)
            yield from ((frame, block[frame]) for frame in sorted(block))


class _Values(ValuesView[T]):
    def __init__(self, blocks: Blocked[T]) -> None:
        super().__init__(blocks)
        self._blocks = blocks

    def __iter__(self) -> Iterator[T]:
        return (value for _, value in self._blocks.items())
