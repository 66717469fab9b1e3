"""Markup: HTML in which text from captures, files and users can never become an element.

Elements are made by :func:`tag` alone, which escapes whatever is not :class:`Markup` already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mptcp_oracle.report.layout import printable

__all__ = ["Markup", "joined", "rows", "tag"]

#: Elements without content.
_VOID = {"br", "input", "meta"}


class Markup(str):
    """HTML that needs no escaping, because :func:`tag` made it."""

    __slots__ = ()


def tag(
    name: str, /, *content: str | Markup | None, **attributes: str | int | bool | None
) -> Markup:
    """An element.

    Args:
        name: Its name.
        content: Text, which is escaped, and elements; ``None`` is left out.
        attributes: Python names: ``class_`` is ``class``, ``data_frame`` is ``data-frame``;
            ``True`` has no value, ``None`` and ``False`` are left out.
    """
    found = f"<{name}"
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        found += f" {key.rstrip('_').replace('_', '-')}"
        if value is not True:
            found += f'="{escape(printable(str(value)))}"'
    found += ">"
    if name in _VOID:
        return Markup(found)
    return Markup(f"{found}{joined(content)}</{name}>")


def joined(content: Iterable[str | Markup | None], between: str = "") -> Markup:
    """Text and elements one after another, with some text between them."""
    return Markup(
        escape(between).join(
            each if isinstance(each, Markup) else escape(printable(each))
            for each in content
            if each is not None
        )
    )


def rows(
    heads: Sequence[str], body: Iterable[Sequence[str | Markup | None]], **attributes: str
) -> Markup:
    """A table; columns whose head begins with ``#`` hold numbers."""
    right = [head.startswith("#") for head in heads]
    top = [
        tag("th", head.removeprefix("#"), scope="col", class_="n" if number else None)
        for head, number in zip(heads, right, strict=True)
    ]
    lines = [
        tag(
            "tr",
            *(
                tag("td", cell or "", class_="n" if number else None)
                for cell, number in zip(cells, right, strict=True)
            ),
        )
        for cells in body
    ]
    table = tag("table", tag("thead", tag("tr", *top)), tag("tbody", *lines), **attributes)
    return tag("div", table, class_="wide")
