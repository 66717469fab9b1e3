"""Columns: growable typed arrays, the form in which the data plane passes from loop to loop."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator, Mapping
from typing import TypeAlias

__all__ = ["FLAG_BITS", "Column", "Columns"]

#: Bits of the ``flags`` column above TCP's own nine (FIN 0x001 ... NS/AE 0x100).
FLAG_BITS = {
    "duplicate": 0x0200,
    "options_cut": 0x0400,
    "payload_cut": 0x0800,
    "fragment": 0x1000,
    "sent": 0x2000,
    "received": 0x4000,
    "mptcp": 0x8000,
}

#: What a column is to its readers: integers by index, a buffer for the engine and NumPy.
Column: TypeAlias = "array[int] | memoryview[int]"

_FIRST_ROOM = 1024


class Columns:
    """A table of equally long columns of integers.

    Each column is anonymous memory of its own, which the operating system provides page by page
    as it is written: room that is never used costs nothing, and growing copies nothing.
    """

    __slots__ = ("_codes", "_fill", "_memory", "_views", "room", "rows")

    def __init__(self, layout: Mapping[str, str], fill: Mapping[str, int] | None = None) -> None:
        """Make an empty table.

        Args:
            layout: Column name to type code, as in :mod:`array`.
            fill: Value of new cells where it is not 0.
        """
        self._codes = dict(layout)
        self._fill = dict(fill or {})
        self._memory: dict[str, mmap.mmap] = {}
        self._views: dict[str, memoryview[int]] = {
            name: memoryview(array(code)) for name, code in layout.items()
        }
        self.room = 0
        self.rows = 0

    def __getitem__(self, name: str) -> memoryview[int]:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return self.rows

    def of(self, *names: str) -> tuple[memoryview[int], ...]:
        """Several columns at once, in the order asked for."""
        return tuple(self._views[name] for name in names)

    def reserve(self, more: int) -> None:
        """Make room for ``more`` rows after the present ones; nobody may hold a column now."""
        need = self.rows + more
        if need <= self.room:
            return
        before, self.room = self.room, max(need, 2 * self.room, _FIRST_ROOM)
        for name in self._views:
            self._grow(name, before)

    def _grow(self, name: str, before: int) -> None:
        """Give one column the table's room, ``before`` of it being there already."""
        code = self._codes[name]
        size = self.room * array(code).itemsize
        self._views[name].release()
        memory = self._memory.get(name)
        if memory is None:
            memory = _anonymous(size)
        else:
            try:
                memory.resize(size)
            except (OSError, SystemError, ValueError):  # no mremap here
                old, memory = memory, _anonymous(size)
                memory[: len(old)] = old[:]
                old.close()
        self._memory[name] = memory
        view: memoryview[int] = memoryview(memory).cast("B").cast(code)  # type: ignore[call-overload]
        value = self._fill.get(name, 0)
        if value:
            view[before:] = memoryview(array(code, [value]) * (self.room - before))
        self._views[name] = view

    def trim(self) -> None:
        """End the columns at the last row."""
        for name, view in self._views.items():
            self._views[name] = view[: self.rows]
        self.room = self.rows

    def add(self, name: str, code: str) -> memoryview[int]:
        """Add a column of zeros to a trimmed table."""
        self._codes[name] = code
        self._views[name] = memoryview(array(code))
        if self.room:
            self._grow(name, 0)
        return self._views[name]


def _anonymous(size: int) -> mmap.mmap:
    """Private memory: a shared one would not grow with its mapping."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
