"""Palette: colours of subflows and marks of classes, told apart also without seeing colours.

The colours are those of Okabe and Ito for colour-blind readers; the page has a lighter twin of each
for dark screens. What a transmission is, is told by its mark; on which subflow, by its colour.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALARM", "COLOURS", "DARK", "LINES", "MARKS", "Mark", "colour"]

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#111111", "#7f7f7f",
)  # fmt: skip
"""Of subflows in order; the ninth begins again."""

LINES = {"data_ack": "#444444", "window": "#8a6d00"}
"""Of the line of DATA_ACKs and of the edge of the receive window."""

ALARM = "#b00020"
"""Of violations."""

DARK = {
    "#0072b2": "#4ba3e3", "#d55e00": "#ff8a4c", "#009e73": "#2fc79a", "#cc79a7": "#eaa6cb",
    "#e69f00": "#f5bd4f", "#56b4e9": "#9bdcff", "#111111": "#ffffff", "#7f7f7f": "#a9a9a9",
    "#444444": "#c8c8c8", "#8a6d00": "#d8c36a", "#b00020": "#ff6b81",
}  # fmt: skip
"""The same on dark ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How a class of transmissions is drawn.

    Attributes:
        name: What legends call it. symbol: Plotly's name. glyph: The same in text.
        size: In pixels. pen: Matplotlib's marker; hollow: whether it has no filling.
        xplot: The mark in xplot files.
    """

    name: str
    symbol: str
    glyph: str
    size: int
    pen: str
    xplot: str
    hollow: bool = False


MARKS = {
    "first_seen": Mark(
        name="first transmission", symbol="circle", glyph="●", size=4, pen=".", xplot="dot"
    ),
    "tcp_retransmission": Mark(
        name="TCP retransmission", symbol="triangle-up", glyph="▲", size=8, pen="^",
        xplot="utick",
    ),
    "remap": Mark(name="remap", symbol="pentagon", glyph="⬟", size=8, pen="p", xplot="rtick"),
    "reinjection": Mark(
        name="reinjection", symbol="diamond", glyph="◆", size=9, pen="D", xplot="diamond"
    ),
    "redundant": Mark(
        name="redundant copy", symbol="square-open", glyph="□", size=8, pen="s", xplot="box",
        hollow=True,
    ),
    "unclassified": Mark(
        name="unclassified copy", symbol="x-thin-open", glyph="✕", size=8, pen="x", xplot="x",
        hollow=True,
    ),
    "zero_window_probe": Mark(
        name="zero-window probe", symbol="star", glyph="★", size=9, pen="*", xplot="plus"
    ),
}  # fmt: skip
"""Marks by class, see :data:`mptcp_oracle.facts.CLASSES`; unmapped octets have no DSN to draw."""


def colour(place: int) -> str:
    """The colour of a connection's subflow by its place, from 0."""
    return COLOURS[place % len(COLOURS)]
