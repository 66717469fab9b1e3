"""Sheet: panels of one picture under one another, as a figure of the plotting library.

A figure is plain JSON (``data`` and ``layout`` as plotly.js documents them) that names colours of
the light palette; the page exchanges them for its theme.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Panel", "Sheet"]

Json = dict[str, Any]
#: Pixels above, below and between panels, and beside them.
TOP, BOTTOM, GAP, LEFT, RIGHT, BETWEEN = 46, 84, 34, 76, 18, 76
#: A sheet of two columns is so wide in pixels when gaps are computed; plotly stretches it.
WIDTH = 1100


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair of axes. ``x`` and ``y`` are what traces call them."""

    x: str
    y: str


@dataclass(slots=True)
class Sheet:
    """A figure while it is made.

    Attributes:
        heights: Of its rows, in pixels. span: Of its time axes, in seconds.
        columns: How many; all share their time axis.
        data, annotations, shapes: As plotly.js has them.
    """

    heights: list[int]
    span: list[float]
    columns: int = 1
    data: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    shapes: list[Json] = field(default_factory=list)
    _axes: Json = field(default_factory=dict)
    _panels: list[Panel] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Pixels in all."""
        return TOP + BOTTOM + sum(self.heights) + GAP * (len(self.heights) - 1)

    def panel(self, row: int, column: int, title: str, unit: str, **axis: Any) -> Panel:
        """Axes in a row and a column.

        Args:
            row: From 0, the top one.
            column: From 0, the left one.
            title: Stands above.
            unit: What the vertical axis shows.
            axis: Further settings of the vertical axis.
        """
        inner = self.height - TOP - BOTTOM
        begin = sum(self.heights[:row]) + GAP * row
        top, bottom = 1 - begin / inner, 1 - (begin + self.heights[row]) / inner
        number = row * self.columns + column
        y, x = _name("y", number), _name("x", column)
        left, right = self._span(column)
        self._axes[_axis(y)] = {
            "domain": [max(bottom, 0.0), min(top, 1.0)], "anchor": x, "title": {"text": unit},
            "zeroline": False, "automargin": False, **axis,
        }  # fmt: skip
        last = row == len(self.heights) - 1
        if last:
            self._axes[_axis(x)] = {
                "domain": [left, right], "anchor": y, "zeroline": False,
                "title": {"text": "seconds since the connection's first frame", "standoff": 8},
                "hoverformat": ".6f", "range": self.span,
                **({"matches": "x"} if column else {}),
            }  # fmt: skip
        if title:
            self.annotations.append(
                {
                    "text": title,
                    "xref": "paper",
                    "yref": "paper",
                    "x": left,
                    "y": top,
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "showarrow": False,
                    "yshift": 3,
                    "font": {"size": 13},
                }
            )
        self._panels.append(Panel(x, y))
        return self._panels[-1]

    def _span(self, column: int) -> tuple[float, float]:
        gap = BETWEEN / WIDTH if self.columns > 1 else 0.0
        width = (1 - gap * (self.columns - 1)) / self.columns
        return column * (width + gap), column * (width + gap) + width

    def add(self, panel: Panel, **trace: Any) -> None:
        """Add a trace to a panel."""
        self.data.append({"xaxis": panel.x, "yaxis": panel.y, "showlegend": False, **trace})

    def remark(self, text: str) -> None:
        """A small line below everything: what the picture leaves out."""
        self.annotations.append(
            {
                "text": text,
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "yshift": -44,
                "showarrow": False,
                "font": {"size": 11},
                "align": "left",
            }
        )

    def line(self, time: float, rows: int) -> None:
        """A thin upright line through the lower panels of the first column."""
        inner = self.height - TOP - BOTTOM
        top = 1 - (sum(self.heights[: len(self.heights) - rows]) + GAP) / inner if rows else 1.0
        self.shapes.append(
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": time,
                "x1": time,
                "y0": 0,
                "y1": min(top, 1.0),
                "layer": "below",
                "line": {"color": "#7f7f7f", "width": 1, "dash": "dot"},
            }
        )

    def figure(self, **more: Any) -> Json:
        """The figure as plotly.js takes it; panels without a trace get one that shows nothing."""
        used = {(trace["xaxis"], trace["yaxis"]) for trace in self.data}
        for panel in self._panels:
            if (panel.x, panel.y) not in used:
                self.add(panel, type="scatter", x=[None], y=[None], hoverinfo="skip")
        layout: Json = {
            "height": self.height, "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
            "hovermode": "closest", "dragmode": "zoom",
            "showlegend": any(trace["showlegend"] for trace in self.data),
            "legend": {
                "orientation": "h", "x": 0, "xanchor": "left", "yanchor": "top",
                "y": -54 / (self.height - TOP - BOTTOM), "bgcolor": "rgba(0,0,0,0)",
            },
            "annotations": self.annotations, "shapes": self.shapes, **self._axes, **more,
        }  # fmt: skip
        return {"data": self.data, "layout": layout}


def _name(letter: str, number: int) -> str:
    return letter if number == 0 else f"{letter}{number + 1}"


def _axis(name: str) -> str:
    return f"{name[0]}axis{name[1:]}"
