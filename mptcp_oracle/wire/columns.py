"""Columns: growable typed arrays, the form in which the data plane passes from loop to loop."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

__all__ = ["FLAG_BITS", "Columns"]

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


class Columns:
    """A table of equally long columns, each an :class:`array.array`.

    Reserving room grows every column by an eighth at least, so that a table costs little more
    memory than what it holds; ``trim`` gives the rest back.
    """

    __slots__ = ("_arrays", "_fill", "room", "rows")

    def __init__(self, layout: Mapping[str, str], fill: Mapping[str, int] | None = None) -> None:
        """Make an empty table.

        Args:
            layout: Column name to array type code.
            fill: Value of new cells where it is not 0.
        """
        self._arrays = {name: array(code) for name, code in layout.items()}
        self._fill = dict(fill or {})
        self.room = 0
        self.rows = 0

    def __getitem__(self, name: str) -> array[int]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return self.rows

    def of(self, *names: str) -> tuple[array[int], ...]:
        """Several columns at once, in the order asked for."""
        return tuple(self._arrays[name] for name in names)

    def reserve(self, more: int) -> None:
        """Make room for ``more`` rows after the present ones."""
        if self.rows + more <= self.room:
            return
        grow = max(self.rows + more - self.room, self.room >> 3)
        for name, column in self._arrays.items():
            value = self._fill.get(name, 0)
            if value:
                column.extend(array(column.typecode, [value]) * grow)
            else:
                column.frombytes(bytes(grow * column.itemsize))
        self.room += grow

    def trim(self) -> None:
        """Give back the room beyond the last row."""
        for column in self._arrays.values():
            del column[self.rows :]
        self.room = self.rows

    def drop(self, name: str) -> None:
        """Forget a column that nothing needs any more."""
        del self._arrays[name]

    def add(self, name: str, code: str, fill: int = 0) -> array[int]:
        """Add a column to a finished table, each cell ``fill``."""
        column = array(code, [fill]) * self.room if fill else array(code, bytes(0))
        if not fill:
            column.frombytes(bytes(self.room * column.itemsize))
        self._arrays[name] = column
        return column
