"""Plain text for terminals and files: widths, wrapping, tables and a little colour.

All output is ASCII apart from what a capture's name brings along, so that no locale can break it.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

__all__ = ["WIDTH", "Cell", "Page", "Table", "number", "page", "plural", "printable"]

#: Columns of output that goes to no terminal, unless ``COLUMNS`` says otherwise.
WIDTH = 140
#: Columns that wrapped text gets at least, however narrow the page.
LEAST = 24

_STYLES = {"title": "1", "good": "32", "odd": "33", "bad": "1;31", "dim": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where text goes.

    Attributes:
        width: Columns that a line should not exceed. colour: Whether escape codes are wanted.
    """

    width: int = WIDTH
    colour: bool = False

    def styled(self, text: str, style: str | None) -> str:
        """The text in a style of ``title``, ``good``, ``odd``, ``bad``, ``dim``, or in none."""
        if style is None or not self.colour or not text:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def wrapped(self, text: str, first: str = "", rest: str | None = None) -> list[str]:
        """A sentence as lines.

        Args:
            text: The sentence.
            first: What the first line begins with.
            rest: What the others begin with; by default as many blanks.
        """
        rest = " " * len(first) if rest is None else rest
        return textwrap.wrap(
            text,
            max(self.width, len(rest) + LEAST),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first.rstrip()]


def page(file: IO[str]) -> Page:
    """What a file wants: colour and its real width if it is a terminal.

    ``NO_COLOR`` (if not empty) and ``TERM=dumb`` switch colour off; ``COLUMNS`` sets the width.
    """
    if file.isatty():
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return Page(width=shutil.get_terminal_size().columns, colour=not plain)
    columns = os.environ.get("COLUMNS", "")
    return Page(width=int(columns) if columns.isdecimal() and int(columns) else WIDTH)


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table in a style; ``right`` aligns it there."""

    text: str
    style: str | None = None
    right: bool = False


@dataclass(slots=True)
class Table:
    """Rows with aligned columns, of which the last one may wrap.

    Attributes:
        heads: Column heads. rows: Cells, as many as heads; or lines that stand across the table.
        gap: Blanks between columns.
    """

    heads: Sequence[Cell]
    rows: list[Sequence[Cell] | str] = field(default_factory=list)
    gap: int = 2

    def widths(self) -> list[int]:
        """The columns that each column's longest cell takes."""
        cells = [self.heads, *(row for row in self.rows if not isinstance(row, str))]
        return [max(map(len, texts)) for texts in zip(*map(_texts, cells), strict=True)]

    def fits(self, width: int, last: int = 0) -> bool:
        """Whether the table fits, if ``last`` columns are enough for the last one."""
        widths = self.widths()
        if last:
            widths[-1] = min(last, widths[-1])
        return sum(widths) + self.gap * (len(widths) - 1) <= width

    def lines(self, page: Page) -> Iterator[str]:
        """The table as lines for a page."""
        widths = self.widths()
        left = sum(widths[:-1]) + self.gap * (len(widths) - 1)
        yield from self._row(self.heads, widths, left, page)
        for row in self.rows:
            if isinstance(row, str):
                yield row
            else:
                yield from self._row(row, widths, left, page)

    def _row(
        self, row: Sequence[Cell], widths: Sequence[int], left: int, page: Page
    ) -> Iterator[str]:
        texts = []
        for cell, width in zip(row[:-1], widths, strict=False):
            blanks = " " * (width - len(cell.text))
            text = page.styled(cell.text, cell.style)
            texts.append(blanks + text if cell.right else text + blanks)
        last = row[-1]
        if last.right:
            texts.append(" " * (widths[-1] - len(last.text)) + page.styled(last.text, last.style))
            yield (" " * self.gap).join(texts).rstrip()
            return
        ends = Page(width=page.width - left).wrapped(last.text)
        for at, end in enumerate(ends):
            start = (" " * self.gap).join([*texts, ""]) if at == 0 else " " * left
            yield (start + page.styled(end, last.style)).rstrip()


def _texts(row: Sequence[Cell]) -> list[str]:
    return [cell.text for cell in row]


def number(value: int) -> str:
    """A count of octets for people; frame numbers are never written so, they are pasted."""
    return f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 frame``, ``2 frames``; a count of thousands has commas."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    """A file's name without what could confuse a terminal or cannot be encoded."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
