"""Reports as a test reads them: the page's text, its elements, and its data unpacked."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from mptcp_oracle.oracle import judge
from mptcp_oracle.pictures.library import plotly_js
from mptcp_oracle.pictures.report import Report

__all__ = ["Parsed", "points", "report", "unpacked"]

Frames = Sequence[tuple[float, bytes]]
VOID = {"br", "input", "meta"}


class Parsed(HTMLParser):
    """A page's elements, texts and data, as an HTML parser sees them.

    Attributes:
        elements: Names with attributes, in order. text: What a reader sees, outside scripts.
        data: The data of each connection. open: Elements that are not closed, an error.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data: list[dict[str, Any]] = []
        self.open: list[str] = []
        self._scripts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            if self.elements[-1][1].get("type") == "application/json":
                found = json.loads(data)
                if "figures" in found:
                    self.data.append(found)
        elif inside != "style":
            self.text += data

    def names(self) -> set[str]:
        """The names of all elements."""
        return {name for name, _ in self.elements}


def report(*sources: Path | Frames, limit: int = 50, **settings: Any) -> str:
    """The page about some captures: files, or frames with their times."""
    page = Report(plotly_js(), limit=limit)
    for source in sources:
        given: Any = str(source) if isinstance(source, Path) else source
        with judge(given, **settings) as judgement:
            page.add(judgement)
    return page.html()


def unpacked(value: Any) -> Any:
    """The numbers of a figure's array, by NumPy rather than by what packed them."""
    if not isinstance(value, dict):
        return np.array(value)
    found = np.frombuffer(base64.b64decode(value["bdata"]), np.dtype("<" + value["dtype"]))
    shape = tuple(int(size) for size in value.get("shape", "-1").split(","))
    return found.reshape(shape)


def points(data: dict[str, Any], mark: str | None = None) -> list[tuple[float, int, int, int, str]]:
    """The transmissions that a connection's picture draws, in order of frames.

    Each is time, frame, first DSN, end of the DSNs, and class.
    """
    found = []
    for trace in data["figures"]["dsn"]["data"]:
        meta = trace.get("meta", {})
        if "role" in meta and mark in (None, meta["mark"]):
            both = unpacked(trace["customdata"]).astype(np.int64)
            times, low = unpacked(trace["x"]), unpacked(trace["y"])
            for time, dsn, (frame, end) in zip(times, low, both, strict=True):
                found.append((float(time), int(frame), int(dsn), int(end), meta["mark"]))
    return sorted(found, key=lambda each: each[1:4])
