"""The pictures of rates: goodput, shares and copies, and of waiting octets and round trips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.facts import CLASSES
from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.packing import packed
from mptcp_oracle.pictures.rates import FIRST_SEEN, Bins, binned, round_trips, waiting
from mptcp_oracle.pictures.series import Direction, Sent
from mptcp_oracle.pictures.sheet import Sheet
from mptcp_oracle.pictures.thinning import kept
from mptcp_oracle.pictures.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["COPIES", "copies", "delays", "rates", "trip_kind"]

Json = dict[str, Any]
PANEL = 150
MOST_POINTS = 4_000

#: Lines of copies: name, classes, colour, dash.
COPIES = (
    ("reinjected", ("reinjection",), "#d55e00", "solid"),
    ("redundant", ("redundant",), "#0072b2", "dash"),
    ("TCP retransmissions", ("tcp_retransmission",), "#7f7f7f", "dot"),
    ("other copies", ("remap", "unclassified"), "#009e73", "dashdot"),
)


def rates(view: View) -> Json:
    """Goodput, share of octets, and share of copies over time; a column for each direction.

    The figure has ``width``: the length of a bin in seconds.
    """
    busy = view.busy
    sheet = Sheet([PANEL, PANEL, PANEL], view.span, columns=max(len(busy), 1))
    parts = view.bins
    for column, direction in enumerate(busy):
        title = f"{view.roles[direction.role]} → {view.roles[1 - direction.role]}"
        _goodput(view, direction, sheet, column, title, parts)
        _shares(view, direction, sheet, column, parts)
        _copies(direction, sheet, column, parts)
    return {**sheet.figure(), "width": parts.width}


def _curve(parts: Bins, values: Array) -> Json:
    """A value for each bin: where the first one is, how far the next, and the values."""
    import numpy as np

    return {"x0": parts.width / 2, "dx": parts.width, "y": packed(values.astype(np.float32))}


def _goodput(
    view: View, direction: Direction, sheet: Sheet, column: int, title: str, parts: Bins
) -> None:
    sent = direction.sent
    panel = sheet.panel(
        0, column, f"{title}: goodput", "bit/s", rangemode="tozero",
        tickformat="~s",
    )  # fmt: skip
    for flow in view.shown:
        mine = (sent.subflow == flow.id) & (sent.kind == FIRST_SEEN)
        if mine.any():
            rate = binned(sent, parts, mine) * 8 / parts.width
            sheet.add(
                panel, type="scatter", mode="lines", **_curve(parts, rate),
                line={"shape": "hvh", "width": 1.6, "color": _colour(view, flow.id)},
                meta={"subflow": flow.id},
                hovertemplate=f"{view.name(flow)}: %{{y:.3s}}bit/s<br>%{{x:.6f}} s<extra></extra>",
            )  # fmt: skip


def _shares(view: View, direction: Direction, sheet: Sheet, column: int, parts: Bins) -> None:
    sent = direction.sent
    panel = sheet.panel(1, column, "share of all payload octets", "%", range=[0, 100])
    for flow in view.shown:
        mine = sent.subflow == flow.id
        if mine.any():
            colour = _colour(view, flow.id)
            sheet.add(
                panel, type="scatter", mode="lines", stackgroup=f"share{column}",
                groupnorm="percent", **_curve(parts, binned(sent, parts, mine)),
                line={"shape": "hvh", "width": 0.8, "color": colour}, fillcolor=colour,
                opacity=0.6, meta={"subflow": flow.id},
                hovertemplate=f"{view.name(flow)}: %{{y:.1f}} %<br>%{{x:.6f}} s<extra></extra>",
            )  # fmt: skip


def copies(sent: Sent, parts: Bins) -> dict[str, Array]:
    """Shares of what was sent again, by name of :data:`COPIES`: percent of all payload octets."""
    import numpy as np

    whole = np.maximum(binned(sent, parts, np.ones(len(sent), np.bool_)), 1)
    found = {}
    for name, classes, *_ in COPIES:
        mine = np.isin(sent.kind, [CLASSES.index(each) for each in classes])
        found[name] = 100 * binned(sent, parts, mine) / whole
    return found


def _copies(direction: Direction, sheet: Sheet, column: int, parts: Bins) -> None:
    panel = sheet.panel(2, column, "sent again, share of all payload octets", "%", range=[0, 100])
    shares = copies(direction.sent, parts)
    for name, _, colour, dash in COPIES:
        sheet.add(
            panel, type="scatter", mode="lines", **_curve(parts, shares[name]),
            line={"shape": "hvh", "width": 1.6, "color": colour, "dash": dash},
            name=name, showlegend=column == 0, legendgroup=name,
            hovertemplate=f"{name}: %{{y:.1f}} %<br>%{{x:.6f}} s<extra></extra>",
        )  # fmt: skip


def delays(view: View) -> Json:
    """Octets behind a gap, and round trips; a column for each direction."""
    busy = view.busy
    sheet = Sheet([PANEL, PANEL], view.span, columns=max(len(busy), 1))
    for column, direction in enumerate(busy):
        title = f"{view.roles[direction.role]} → {view.roles[1 - direction.role]}"
        _waiting(direction, sheet, column, title)
        _trips(view, direction, sheet, column)
    return sheet.figure()


def _waiting(direction: Direction, sheet: Sheet, column: int, title: str) -> None:
    sent = direction.sent
    sent = sent.where((sent.kind == FIRST_SEEN) & (sent.dsn >= 0))
    held = waiting(sent)
    title = f"{title}: octets that wait behind a gap"
    if not held.any():
        sheet.panel(0, column, f"{title}: none", "octets", range=[0, 1], tickvals=[0])
        return
    panel = sheet.panel(0, column, title, "octets", rangemode="tozero", tickformat="~s")
    at = kept(sent.time, held, held, most=MOST_POINTS, slots=MOST_POINTS // 4)
    sheet.add(
        panel, type="scatter", mode="lines", x=packed(sent.time[at]), y=packed(held[at]),
        customdata=packed(sent.frame[at]), fill="tozeroy",
        line={"shape": "hv", "width": 1.2, "color": "#56b4e9"},
        hovertemplate=(
            "<b>frame %{customdata}</b>: %{y:d} octets wait<br>%{x:.6f} s<extra></extra>"
        ),
    )  # fmt: skip


def trip_kind(view: View, role: int) -> str:
    """What the round trips of a host's data are, as far as the vantage point allows."""
    places = {
        "whole" if flow.captured_at(role) else "none" if flow.captured_at(1 - role) else "part"
        for flow in view.flows
    }
    if places == {"whole"}:
        return "round trips"
    if places == {"none"}:
        return "round trips: not seen at the receiver"
    return "round trips, from where it was captured on"


def _trips(view: View, direction: Direction, sheet: Sheet, column: int) -> None:
    panel = sheet.panel(
        1, column, trip_kind(view, direction.role), "seconds", rangemode="tozero", tickformat="~s"
    )
    for flow in view.shown:
        trips = round_trips(direction, flow)
        if trips is None or not len(trips.time):
            continue
        at = kept(
            trips.time, trips.seconds, trips.seconds, most=MOST_POINTS, slots=MOST_POINTS // 8
        )
        sheet.add(
            panel, type="scatter", mode="markers", x=packed(trips.time[at]),
            y=packed(trips.seconds[at]), customdata=packed(trips.frame[at]),
            marker={"size": 4, "color": _colour(view, flow.id)}, meta={"subflow": flow.id},
            hovertemplate=(
                f"<b>frame %{{customdata}}</b>, subflow {flow.id}: %{{y:.6f}} s<extra></extra>"
            ),
        )  # fmt: skip


def _colour(view: View, subflow: int) -> str:
    return palette.colour(view.places[subflow])
