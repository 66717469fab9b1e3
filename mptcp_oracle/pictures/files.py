"""Pictures as SVG and PNG files for papers, drawn by matplotlib.

They show the same arrays as the page. Text of captures is drawn as it is, never taken for a
formula, and the same capture gives the same file.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.dsn import Drawn, drawn, remark, thin_line
from mptcp_oracle.pictures.flows import COPIES, copies
from mptcp_oracle.pictures.moments import KINDS as EVENTS
from mptcp_oracle.pictures.moments import ends
from mptcp_oracle.pictures.rates import FIRST_SEEN, binned
from mptcp_oracle.pictures.series import Direction
from mptcp_oracle.pictures.view import View
from mptcp_oracle.report.layout import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["KINDS", "drawing"]

#: Inches: of a figure and of a panel for DSNs, around panels, and between them.
WIDTH, PANEL, TOP, LEFT, RIGHT, GAP, BETWEEN = 8.0, 2.4, 0.55, 0.95, 0.15, 0.32, 0.65
LEGEND_COLUMNS = 5
#: Resolution of PNG files, in dots an inch.
DOTS = 150
#: Events of a sequence diagram: more do not fit on a sheet.
MOST_EVENTS = 80
#: Events that have a mark above a picture.
MOST_MARKS = 400
#: Letters of an option's text in a sequence diagram.
MOST_LETTERS = 110
#: Inches of a sequence diagram: between its lanes, of an arrow, of a line of text, of its length.
LANE, ARROW, ROW, LETTERS = 1.7, 1.2, 0.2, 5.6
MOST_LANES = 8
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def drawing(view: View, kind: str, name: str, form: str) -> bytes:
    """A picture as the content of a file.

    Args:
        view: The connection.
        kind: A key of :data:`KINDS`.
        name: The capture's, for the title.
        form: ``svg`` or ``png``.
    """
    import matplotlib as mpl

    settings: Any = {
        "svg.hashsalt": "mptcp-oracle", "svg.fonttype": "path", "font.size": 9,
        "axes.grid": True, "grid.color": "#dddddd", "axes.axisbelow": True,
        "axes.spines.top": False, "axes.spines.right": False, "text.usetex": False,
        "text.parse_math": False, "legend.frameon": False, "legend.fontsize": 8,
    }  # fmt: skip
    with mpl.rc_context(settings):
        figure = KINDS[kind](view)
        title = printable(f"{name}, connection {view.group.id}")
        figure.suptitle(title, fontsize=10, y=1 - 0.1 / figure.get_figheight())
        target = io.BytesIO()
        # Without a date and versions in it, the same capture gives the same file.
        empty = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(target, format=form, dpi=DOTS, metadata=empty)
    return target.getvalue()


def _sheet(view: View, heights: list[float], columns: int = 1) -> tuple[Figure, list[list[Axes]]]:
    """A figure of panels that share their time axis, with room for legend and remark below.

    Every place is computed here: a layout that is solved for gives another file now and then.
    """
    from matplotlib.figure import Figure

    lines = ceil((len(palette.MARKS) + 2 + len(view.shown)) / LEGEND_COLUMNS)
    foot = 0.75 + 0.19 * lines
    height = TOP + sum(heights) + GAP * (len(heights) - 1) + foot
    figure = Figure(figsize=(WIDTH, height))
    wide = (WIDTH - LEFT - RIGHT - BETWEEN * (columns - 1)) / columns
    axes: list[list[Axes]] = []
    bottom = height - TOP
    for tall in heights:
        bottom -= tall
        row: list[Axes] = []
        for column in range(columns):
            left = LEFT + column * (wide + BETWEEN)
            place = (left / WIDTH, bottom / height, wide / WIDTH, tall / height)
            shared = axes[0][0] if axes else row[0] if row else None
            row.append(figure.add_axes(place, sharex=shared))
            row[-1].tick_params(labelbottom=len(axes) == len(heights) - 1)
        axes.append(row)
        bottom -= GAP
    axes[0][0].set_xlim(*view.span)
    for ax in axes[-1]:
        ax.set_xlabel("seconds since the connection's first frame")
    return figure, axes


def _pair(view: View, direction: Direction) -> str:
    return f"{view.roles[direction.role]} → {view.roles[1 - direction.role]}"


def _dsn(view: View) -> Figure:
    """Data sequence numbers over time, by subflow and class."""
    busy = [each for each in view.busy if (each.sent.dsn >= 0).any()]
    figure, axes = _sheet(view, [0.1 + 0.22 * len(view.shown), *[PANEL] * len(busy)])
    _lanes(view, axes[0][0])
    found = []
    for direction, ax in zip(busy, (row[0] for row in axes[1:]), strict=True):
        chosen = drawn(view, direction)
        found.append(chosen)
        _transmissions(view, direction, chosen, ax)
        ax.set_title(_pair(view, direction), fontsize=9, loc="left")
        ax.set_ylabel("relative DSN")
        _units(ax)
    _legend(view, figure, found)
    _say(figure, remark(found))
    return figure


def _units(ax: Axes) -> None:
    """Numbers of the vertical axis as 20k and 3M."""
    from matplotlib.ticker import EngFormatter

    ax.yaxis.set_major_formatter(EngFormatter(sep=""))


def _transmissions(view: View, direction: Direction, found: Drawn, ax: Axes) -> None:
    window, ack = thin_line(direction.window), thin_line(direction.data_ack)
    ax.step(window.time, window.value, where="post", lw=0.9, ls=":", color=palette.LINES["window"])
    ax.step(ack.time, ack.value, where="post", lw=0.9, color=palette.LINES["data_ack"])
    for (subflow, name), rows in found.chosen.items():
        sent, mark = direction.sent.where(rows), palette.MARKS[name]
        colour = palette.colour(view.places[subflow])
        ax.vlines(sent.time, sent.dsn, sent.dsn_end, color=colour, lw=0.8)
        ax.plot(sent.time, sent.dsn, **_pen(mark, colour))


def _pen(mark: palette.Mark, colour: str) -> dict[str, Any]:
    """Matplotlib's words for a mark."""
    return {
        "ls": "", "marker": mark.pen, "ms": mark.size * 0.55, "mec": colour, "mew": 0.8,
        "mfc": "none" if mark.hollow else colour,
    }  # fmt: skip


def _lanes(view: View, ax: Axes) -> None:
    """The lane of events above."""
    origin = view.readings.origin(view.group)
    last: dict[int, float] = {}
    first, _, later = ends(view.moments, MOST_MARKS)
    for each in (*first, *later):
        time, place = (each.time - origin) * 1e-9, -view.places[each.subflow]
        colour = palette.colour(view.places[each.subflow])
        ax.plot([time], [place], marker=EVENTS[each.kind].pen, ms=5, color=colour, ls="")
        room = 0.09 * (view.duration or 1)
        if each.label and time - last.get(place, -1e9) > room:
            last[place] = time
            late = time > 0.85 * view.duration
            ax.annotate(
                each.label, (time, place), xytext=(-4 if late else 4, 2),
                textcoords="offset points", fontsize=7, ha="right" if late else "left",
            )  # fmt: skip
    ax.set_yticks([-at for at in range(len(view.shown))])
    ax.set_yticklabels([view.name(flow) for flow in view.shown], fontsize=8)
    ax.set_ylim(-len(view.shown) + 0.4, 0.9)


def _legend(view: View, figure: Figure, found: list[Drawn], *, lines: bool = True) -> None:
    """Marks in grey, lines if there are any, then subflows by colour."""
    from matplotlib.lines import Line2D

    present = {name for each in found for _, name in each.chosen}
    entries = [
        Line2D([], [], **_pen(mark, "#444444"), label=mark.name)
        for name, mark in palette.MARKS.items()
        if name in present
    ]
    if lines:
        looks = (("data_ack", "-", "DATA_ACK"), ("window", ":", "receive window's edge"))
        entries += [
            Line2D([], [], color=palette.LINES[name], lw=0.9, ls=dash, label=text)
            for name, dash, text in looks
        ]
    _key(figure, entries + _subflows(view))


def _key(figure: Figure, entries: list[Any]) -> None:
    """The legend, in the room below the panels."""
    at = (0.5, 0.2 / figure.get_figheight())
    figure.legend(handles=entries, loc="lower center", bbox_to_anchor=at, ncols=LEGEND_COLUMNS)


def _subflows(view: View) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=palette.colour(at), lw=3, label=view.name(flow))
        for at, flow in enumerate(view.shown)
    ]


def _say(figure: Figure, text: str) -> None:
    if text:
        figure.text(0.5, 0.08 / figure.get_figheight(), text, ha="center", fontsize=6.5)


def _share(view: View) -> Figure:
    """Goodput and share of octets of each subflow."""
    import numpy as np

    parts = view.bins
    figure, axes = _sheet(view, [1.8, 1.6], max(len(view.busy), 1))
    for column, direction in enumerate(view.busy):
        sent, rate, share = direction.sent, axes[0][column], axes[1][column]
        whole = np.maximum(binned(sent, parts, np.ones(len(sent), np.bool_)), 1)
        below = np.zeros(parts.count)
        for at, flow in enumerate(view.shown):
            mine, colour = sent.subflow == flow.id, palette.colour(at)
            goodput = binned(sent, parts, mine & (sent.kind == FIRST_SEEN)) * 8 / parts.width
            rate.step(parts.middles, goodput, where="mid", lw=1.1, color=colour)
            above = below + 100 * binned(sent, parts, mine) / whole
            share.fill_between(
                parts.middles, below, above, step="mid", color=colour, alpha=0.75, lw=0
            )
            below = above
        _units(rate)
        rate.set_title(_pair(view, direction), fontsize=9, loc="left")
        share.set_ylim(0, 100)
    axes[0][0].set_ylabel("goodput, bit/s")
    axes[1][0].set_ylabel("% of payload octets")
    _key(figure, _subflows(view))
    return figure


def _reinjection(view: View) -> Figure:
    """Copies alone, and which share of all octets they were."""
    parts = view.bins
    figure, axes = _sheet(view, [2.4, 1.4], max(len(view.busy), 1))
    found = []
    for column, direction in enumerate(view.busy):
        everything, ax, share = drawn(view, direction), axes[0][column], axes[1][column]
        found.append(everything)
        for (subflow, name), rows in everything.chosen.items():
            sent, mark = direction.sent.where(rows), palette.MARKS[name]
            fresh = name == "first_seen"
            colour = "#c9c9c9" if fresh else palette.colour(view.places[subflow])
            ax.vlines(
                sent.time, sent.dsn, sent.dsn_end, color=colour, lw=0.8, zorder=1 + (not fresh)
            )
            ax.plot(sent.time, sent.dsn, zorder=1 + (not fresh), **_pen(mark, colour))
        shares = copies(direction.sent, parts)
        for name, _, colour, dash in COPIES:
            share.step(
                parts.middles, shares[name], where="mid", lw=1.1, color=colour, ls=DASHES[dash],
                label=name,
            )  # fmt: skip
        _units(ax)
        ax.set_title(_pair(view, direction), fontsize=9, loc="left")
        share.set_ylim(0, 100)
    axes[0][0].set_ylabel("relative DSN")
    axes[1][0].set_ylabel("% of payload octets")
    if view.busy:
        axes[1][-1].legend(loc="upper right")
    _legend(view, figure, found, lines=False)
    _say(figure, remark(found))
    return figure


def _sequence(view: View) -> Figure:
    """Control events as arrows between the hosts, a pair of lines for each subflow."""
    from matplotlib.figure import Figure

    first, left_out, last = ends(view.moments, MOST_EVENTS)
    events, flows = [*first, *last], view.flows[:MOST_LANES]
    width = 1.6 + LANE * len(flows) + LETTERS
    height = ROW * (len(events) + 3)
    figure = Figure(figsize=(width, height + TOP))
    ax = figure.add_axes((0, 0, 1, height / (height + TOP)))
    ax.axis("off")
    bottom = -len(events) * ROW
    for lane, flow in enumerate(flows):
        left, right = LANE * lane, LANE * lane + ARROW
        ax.vlines([left, right], bottom, 0.5 * ROW, color="#999999", lw=0.8)
        for x, role in zip((left, right), view.roles, strict=True):
            ax.text(x, ROW, role, ha="center", fontsize=7)
        name = f"subflow {flow.id}" + (
            " and later" if len(view.flows) > lane + 1 == MOST_LANES else ""
        )
        ax.text((left + right) / 2, 2 * ROW, name, ha="center", color=palette.colour(lane))
    origin = view.readings.origin(view.group)
    for row, each in enumerate(events):
        lane, y = min(view.places[each.subflow], MOST_LANES - 1), -(row + 0.5) * ROW
        colour = palette.colour(lane)
        time = f"{each.frame}   {(each.time - origin) * 1e-9:.6f}"
        ax.text(-0.15, y, time, ha="right", va="center", fontsize=7)
        ends_ = (LANE * lane, y), (LANE * lane + ARROW, y)
        begin, end = ends_[::-1] if each.host == view.roles[1] else ends_
        if each.host is not None:
            style = {"arrowstyle": "-|>", "color": colour, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", end, begin, arrowprops=style)
        text = LANE * len(flows)
        ax.text(text, y, _cut(each.what), va="center", fontsize=7, color=colour, clip_on=False)
        if left_out and row == len(first) - 1:
            ax.text(text, y - 0.5 * ROW, f"… {left_out} events …", va="center", fontsize=6)
    ax.set_xlim(-1.5, width - 1.6)
    ax.set_ylim(bottom, 3 * ROW)
    return figure


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


KINDS: dict[str, Callable[[View], Figure]] = {
    "dsn": _dsn,
    "share": _share,
    "reinjection": _reinjection,
    "sequence": _sequence,
}
"""Kinds of pictures, and who draws them."""
