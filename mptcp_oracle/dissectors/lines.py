"""What is said of a frame, as it was printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mptcp_oracle.dissectors.dissector import Words

__all__ = ["BETWEEN", "Line", "packed", "unpacked"]

BETWEEN = ";"
"""Stands between the values of a field; no value of a field that is asked for has it."""


class Line(Mapping[str, tuple[str, ...]]):
    """The fields of a frame as a line of cells with tabs between them, taken apart when asked for.

    Attributes:
        names: The fields, one a cell. text: The line; an empty cell says nothing.
    """

    __slots__ = ("names", "text")

    def __init__(self, names: tuple[str, ...], text: str) -> None:
        """Take a line of as many cells as names."""
        self.names, self.text = names, text

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """The fields that say something, each with all of its values."""
        cells = zip(self.names, self.text.split("\t"), strict=True)
        return {name: tuple(cell.split(BETWEEN)) for name, cell in cells if cell}

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self.words[name]

    def get(self, name: str, default: Any = None) -> Any:
        """What a field says, or what stands for nothing."""
        if name not in self.names:
            return default
        at = self.names.index(name)
        cell = self.text.split("\t", at + 1)[at]
        return tuple(cell.split(BETWEEN)) if cell else default

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __len__(self) -> int:
        return len(self.words)


def packed(words: Words) -> Any:
    """The words of a frame as numbers, texts and what holds them."""
    return (words.names, words.text) if isinstance(words, Line) else dict(words)


def unpacked(plain: Any) -> Words:
    """The way back from :func:`packed`."""
    return Line(*plain) if isinstance(plain, tuple) else plain
