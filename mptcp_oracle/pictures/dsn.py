"""The picture of data sequence numbers over time, with a lane of events above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.ordering import grouped
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.moments import KINDS, Moment, ends
from mptcp_oracle.pictures.packing import packed
from mptcp_oracle.pictures.series import Direction, Line
from mptcp_oracle.pictures.sheet import Panel, Sheet
from mptcp_oracle.pictures.thinning import SLOTS, kept
from mptcp_oracle.pictures.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Drawn", "drawn", "picture", "remark", "thin_line"]

Json = dict[str, Any]
#: Points of one class on one subflow up to which all are drawn: first transmissions are what a
#: capture is full of, everything else is exceptional.
MOST_ORDINARY, MOST_EXCEPTIONAL = 3_000, 20_000
#: Points of a line of steps.
MOST_STEPS = 4_000
#: Points up to which the picture is made of vectors, which print and scale better.
MOST_VECTORS = 5_000
#: Events that have a mark, that have a line through the picture, and that have a name.
MOST_EVENTS, MOST_LINES, MOST_NAMES = 1_000, 60, 24
LANE, TALLEST_LANES, PANEL = 26, 182, 300


@dataclass(slots=True)
class Drawn:
    """Which transmissions of a direction are drawn.

    Attributes:
        chosen: Subflow id and class, with indices into the transmissions.
        mapped: How many there are with a DSN; ``shown`` of them are drawn.
        thinned: The classes of which some are not.
    """

    chosen: dict[tuple[int, str], Array] = field(default_factory=dict)
    mapped: int = 0
    shown: int = 0
    thinned: list[str] = field(default_factory=list)


def drawn(view: View, direction: Direction) -> Drawn:
    """Choose the transmissions to draw: all that are exceptional, and what shows the rest."""
    import numpy as np

    sent, found = direction.sent, Drawn()
    mapped = np.flatnonzero(sent.dsn >= 0)
    found.mapped = len(mapped)
    ids = np.array([flow.id for flow in view.shown])
    key = ids.searchsorted(sent.subflow[mapped]) * len(CLASSES) + sent.kind[mapped]
    groups = len(ids) * len(CLASSES)
    order = mapped[grouped(key, groups)]
    ends_ = np.cumsum(np.bincount(key, minlength=groups))
    for value in np.flatnonzero(np.diff(ends_, prepend=0)).tolist():
        place, kind = divmod(value, len(CLASSES))
        rows = order[ends_[value - 1] if value else 0 : ends_[value]]
        name = CLASSES[kind]
        most = MOST_ORDINARY if name == "first_seen" else MOST_EXCEPTIONAL
        at = kept(sent.time[rows], sent.dsn[rows], sent.dsn_end[rows], most=most)
        if len(at) < len(rows):
            named = np.flatnonzero(np.isin(sent.frame[rows], view.evidence))
            at = np.union1d(at, named)
            if name not in found.thinned:
                found.thinned.append(name)
        found.chosen[int(ids[place]), name] = rows[at]
        found.shown += len(at)
    return found


def thin_line(line: Line) -> Line:
    """The points of a line of steps to draw."""
    at = kept(line.time, line.value, line.value, most=MOST_STEPS)
    return Line(time=line.time[at], value=line.value[at], frame=line.frame[at])


def picture(view: View) -> Json:
    """The figure: events, then a panel for each direction that carries data.

    The figure has ``points``: by role how many transmissions there are and how many are drawn.
    """
    lanes = min(LANE * (len(view.shown) + 1), TALLEST_LANES)
    found = {each.role: drawn(view, each) for each in view.busy}
    busy = [each for each in view.busy if found[each.role].mapped]
    sheet = Sheet([lanes, *[PANEL] * len(busy)], view.span)
    _events(view, sheet, sheet.panel(0, 0, "events", "", **_lane_axis(view)))
    shown = sum(each.shown for each in found.values())
    kind = "scatter" if shown <= MOST_VECTORS else "scattergl"
    for row, direction in enumerate(busy, 1):
        title = f"{view.roles[direction.role]} → {view.roles[1 - direction.role]}"
        panel = sheet.panel(row, 0, title, "relative DSN", tickformat="~s", hoverformat="d")
        _lines(direction, sheet, panel)
        for (subflow, name), rows in found[direction.role].chosen.items():
            _points(view, direction, sheet, panel, kind, subflow, name, rows)
    text = remark(list(found.values()))
    if text:
        sheet.remark(text)
    figure = sheet.figure()
    figure["points"] = {
        view.roles[role]: {"all": each.mapped, "drawn": each.shown} for role, each in found.items()
    }
    return figure


def _lane_axis(view: View) -> Json:
    flows = view.shown
    names: Json = {"tickvals": [], "ticktext": []}
    if LANE * (len(flows) + 1) <= TALLEST_LANES:
        names = {
            "tickvals": [-at for at in range(len(flows))],
            "ticktext": [view.name(flow) for flow in flows],
        }
    return {
        "range": [-len(flows) + 0.4, 0.9], "fixedrange": True, "showgrid": True, **names
    }  # fmt: skip


def _points(
    view: View, direction: Direction, sheet: Sheet, panel: Panel, kind: str, subflow: int,
    name: str, rows: Array,
) -> None:  # fmt: skip
    """Transmissions of one class on one subflow: a mark at the first octet, a bar to the last."""
    import numpy as np

    sent, mark = direction.sent.where(rows), palette.MARKS[name]
    colour = palette.colour(view.places[subflow])
    thin: Json = {}
    size = mark.size
    if mark.hollow:
        # Copies that several subflows carry at once lie around each other.
        size += 3 * (view.places[subflow] % 4)
        thin = {"line": {"width": 2, "color": colour}}
    bars = {
        "type": "data", "symmetric": False, "array": packed(sent.dsn_end - sent.dsn),
        "arrayminus": packed(np.zeros(len(rows), np.uint8)), "width": 0, "thickness": 1.2,
        "color": colour,
    }  # fmt: skip
    sheet.add(
        panel, type=kind, mode="markers", x=packed(sent.time), y=packed(sent.dsn),
        **({"error_y": bars} if kind == "scatter" else {}),
        customdata=packed(np.stack([sent.frame.astype(np.int64), sent.dsn_end], axis=1)),
        marker={"symbol": mark.symbol, "size": size, "color": colour, **thin},
        hovertemplate=(
            f"<b>frame %{{customdata[0]}}</b>: {mark.name}, subflow {subflow}<br>"
            "DSN %{y:d} to %{customdata[1]:d}, the last not included<br>%{x:.6f} s<extra></extra>"
        ),
        meta={"subflow": subflow, "mark": name, "role": view.roles[direction.role]},
    )  # fmt: skip


def _lines(direction: Direction, sheet: Sheet, panel: Panel) -> None:
    for name, title, line, dash in (
        ("window", "right edge of the receive window", direction.window, "dot"),
        ("data_ack", "DATA_ACK", direction.data_ack, "solid"),
    ):
        if len(line):
            line = thin_line(line)
            sheet.add(
                panel, type="scatter", mode="lines", x=packed(line.time), y=packed(line.value),
                customdata=packed(line.frame), meta={"mark": name},
                line={"color": palette.LINES[name], "width": 1.4, "dash": dash, "shape": "hv"},
                hovertemplate=(
                    f"<b>frame %{{customdata}}</b>: {title}<br>DSN %{{y:d}}<br>%{{x:.6f}} s"
                    "<extra></extra>"
                ),
            )  # fmt: skip


def _events(view: View, sheet: Sheet, panel: Panel) -> None:
    """Marks of the control events and of the failures, lines through the panels below."""
    first, _, last = ends(view.moments, MOST_EVENTS)
    shown = [*first, *last]
    origin = view.readings.origin(view.group)
    rows = len(sheet.heights) - 1
    named: set[int] = set()
    room = _Room(view.duration)
    for each in [each for each in shown if each.label and KINDS[each.kind].line]:
        time = (each.time - origin) * 1e-9
        if len(sheet.shapes) < MOST_LINES and rows:
            sheet.line(time, rows)
        if len(named) < MOST_NAMES and room.free(each.subflow, time):
            named.add(each.frame)
    for kind, look in KINDS.items():
        mine = [each for each in shown if each.kind == kind]
        if mine:
            _event_marks(view, sheet, panel, mine, look.symbol, origin, named)
    for mark, colour in (("note", "#7f7f7f"), ("violation", palette.ALARM)):
        _failures(view, sheet, panel, mark, colour)


def _failures(view: View, sheet: Sheet, panel: Panel, mark: str, colour: str) -> None:
    """Rings where failures show: violations and warnings, or what is noted and expected."""
    mine = [each for each in view.failures(mark) if each.frames]
    if mine:
        sheet.add(
            panel, type="scatter", mode="markers", cliponaxis=False,
            x=[view.seconds(each.frames[-1]) for each in mine],
            y=[_lane(view, each.subflow) for each in mine],
            customdata=[each.frames[-1] for each in mine],
            text=[each.requirement for each in mine],
            marker={
                "symbol": "circle-open", "size": 17, "color": colour,
                "line": {"width": 2.5 if mark == "violation" else 1.5, "color": colour},
            },
            hovertemplate=f"<b>frame %{{customdata}}</b>: {mark}, %{{text}}<extra></extra>",
            meta={"mark": mark},
        )  # fmt: skip


def _lane(view: View, subflow: int | None) -> float:
    return -view.places.get(-1 if subflow is None else subflow, 0)


def _event_marks(
    view: View, sheet: Sheet, panel: Panel, mine: list[Moment], symbol: str, origin: int,
    named: set[int],
) -> None:  # fmt: skip
    colours = [palette.colour(view.places[each.subflow]) for each in mine]
    sheet.add(
        panel, type="scatter", mode="markers+text", cliponaxis=False,
        x=[(each.time - origin) * 1e-9 for each in mine],
        y=[-view.places[each.subflow] for each in mine],
        text=[each.label if each.frame in named else "" for each in mine],
        textposition=[
            "top left" if each.time - origin > 0.85e9 * view.duration else "top right"
            for each in mine
        ],
        textfont={"size": 11},
        customdata=[[each.frame, each.what, each.host or "a host"] for each in mine],
        marker={
            "symbol": symbol, "size": 10, "color": colours,
            "line": {"width": 1 if "-open" not in symbol else 2, "color": colours},
        },
        hovertemplate=(
            "<b>frame %{customdata[0]}</b> by %{customdata[2]}<br>%{customdata[1]}<br>%{x:.6f} s"
            "<extra></extra>"
        ),
        meta={"mark": "event"},
    )  # fmt: skip


class _Room:
    """Where a lane of events has room for a name: not too near to the one before."""

    def __init__(self, duration: float) -> None:
        self.least = duration * 0.11
        self.last: dict[int, float] = {}

    def free(self, lane: int, time: float) -> bool:
        """Whether there is room at a time; it is taken then."""
        if time - self.last.get(lane, -1e9) < self.least:
            return False
        self.last[lane] = time
        return True


def remark(found: list[Drawn]) -> str:
    """What is not drawn, in one sentence; ``""`` if everything is."""
    mapped, shown = sum(each.mapped for each in found), sum(each.shown for each in found)
    if shown == mapped:
        return ""
    thinned = {name for each in found for name in each.thinned}
    names = [f"{mark.name}s" for name, mark in palette.MARKS.items() if name in thinned]
    return (
        f"{shown:,} of {mapped:,} transmissions are drawn: of each subflow's "
        f"{' and '.join(names)} the first, last, lowest and highest of {SLOTS:,} time slots; "
        "all others are drawn."
    )
