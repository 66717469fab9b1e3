"""Pictures as xplot files, for those who use tcptrace and its tools.

The first line names the types of both coordinates, every other line draws: a mark or a line with
its coordinates, a text on the line after them, a colour for what follows. Times are seconds since
the epoch with six digits, as tcptrace writes them; vertical values are floating point, because
xplot's integers have 32 bits and DSNs do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.errors import UsageError
from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.dsn import Drawn, drawn, thin_line
from mptcp_oracle.pictures.flows import COPIES, copies
from mptcp_oracle.pictures.rates import FIRST_SEEN, binned
from mptcp_oracle.pictures.series import Direction, Line
from mptcp_oracle.pictures.view import View
from mptcp_oracle.report.layout import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["KINDS", "lines"]

#: The colours that xplot knows, for subflows in order; the seventh begins again.
COLOURS = ("blue", "orange", "green", "magenta", "yellow", "purple")
#: Colours of the line of DATA_ACKs, of the window's edge, of events.
DATA_ACK, WINDOW, EVENT = "white", "pink", "red"


def lines(view: View, role: int, kind: str, name: str) -> Iterator[str]:
    """An xplot file of what one host sends, line by line.

    Args:
        view: The connection.
        role: Whose data, 0 or 1.
        kind: A key of :data:`KINDS`.
        name: What the title says besides.

    Raises:
        UsageError: There is no such picture in this format.
    """
    if kind not in KINDS:
        raise UsageError(
            f"there is no xplot file of kind {kind}",
            hint=f"xplot files are of kind {', '.join(KINDS)}; SVG and PNG of all",
        )
    direction = view.directions[role]
    unit, draw = KINDS[kind]
    yield "timeval double"
    yield "title"
    pair = f"{view.roles[role]} to {view.roles[1 - role]}"
    yield printable(f"connection {view.group.id}, {pair}: {kind} ({name})")
    yield "xlabel"
    yield "time"
    yield "ylabel"
    yield unit
    yield from draw(view, direction)
    yield "go"


def _dsn(view: View, direction: Direction) -> Iterator[str]:
    found = drawn(view, direction)
    yield from _window(direction)
    yield from _transmissions(view, direction, found)
    for moment in view.moments:
        if moment.label:
            yield EVENT
            yield f"atext {_stamp(moment.time)} 1"
            yield printable(f"{moment.label} (frame {moment.frame})")


def _window(direction: Direction) -> Iterator[str]:
    yield DATA_ACK
    yield from _stairs(direction, thin_line(direction.data_ack))
    yield WINDOW
    yield from _stairs(direction, thin_line(direction.window))


def _stairs(direction: Direction, line: Line) -> Iterator[str]:
    """A line of steps: along, then up."""
    stamps = _stamps(direction, line.time)
    values = line.value.tolist()
    for at in range(1, len(stamps)):
        yield f"line {stamps[at - 1]} {values[at - 1]} {stamps[at]} {values[at - 1]}"
        if values[at] != values[at - 1]:
            yield f"line {stamps[at]} {values[at - 1]} {stamps[at]} {values[at]}"


def _transmissions(view: View, direction: Direction, found: Drawn) -> Iterator[str]:
    """Each as a line over its DSNs between two arrows, and a mark if it is a copy."""
    for (subflow, name), rows in found.chosen.items():
        mark = palette.MARKS[name].xplot
        yield COLOURS[view.places[subflow] % len(COLOURS)]
        sent = direction.sent.where(rows)
        stamps = _stamps(direction, sent.time)
        for stamp, low, high in zip(stamps, sent.dsn.tolist(), sent.dsn_end.tolist(), strict=True):
            yield f"darrow {stamp} {low}"
            yield f"uarrow {stamp} {high}"
            yield f"line {stamp} {low} {stamp} {high}"
            if name != "first_seen":
                yield f"{mark} {stamp} {low}"


def _share(view: View, direction: Direction) -> Iterator[str]:
    """Goodput of each subflow in bits a second."""
    sent, parts = direction.sent, view.bins
    for flow in view.shown:
        mine = (sent.subflow == flow.id) & (sent.kind == FIRST_SEEN)
        rate = binned(sent, parts, mine) * 8 / parts.width
        yield COLOURS[view.places[flow.id] % len(COLOURS)]
        yield from _curve(direction, parts.middles, rate)


def _reinjection(view: View, direction: Direction) -> Iterator[str]:
    """Shares of what was sent again, in percent of all payload octets."""
    parts = view.bins
    for (name, *_), colour in zip(COPIES, ("orange", "blue", "white", "green"), strict=True):
        yield colour
        yield from _curve(direction, parts.middles, copies(direction.sent, parts)[name])


def _curve(direction: Direction, times: Array, values: Iterable[float]) -> Iterator[str]:
    stamps, heights = _stamps(direction, times), [f"{value:.6g}" for value in values]
    for at in range(1, len(stamps)):
        yield f"line {stamps[at - 1]} {heights[at - 1]} {stamps[at]} {heights[at]}"


def _stamps(direction: Direction, times: Array) -> list[str]:
    return [_stamp(direction.origin + round(time * 1e9)) for time in times.tolist()]


def _stamp(time: int) -> str:
    """Nanoseconds since the epoch as xplot reads times."""
    return f"{time // 10**9}.{time % 10**9 // 1000:06d}"


KINDS = {
    "dsn": ("relative DSN", _dsn),
    "share": ("goodput in bit/s", _share),
    "reinjection": ("sent again, in % of all payload octets", _reinjection),
}
"""Kinds of pictures that xplot files can be: what the vertical axis is, and who draws."""
