"""A section of the page: one connection with its pictures, legend and sequence diagram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.dsn import picture
from mptcp_oracle.pictures.flows import delays, rates
from mptcp_oracle.pictures.markup import Markup, tag
from mptcp_oracle.pictures.moments import KINDS
from mptcp_oracle.pictures.packing import script_json
from mptcp_oracle.pictures.sequence import sequence
from mptcp_oracle.pictures.view import View
from mptcp_oracle.report import words
from mptcp_oracle.report.layout import plural

__all__ = ["connection_data", "pictures", "title"]

Json = dict[str, Any]
CAPTIONS = {
    "dsn": (
        "Data sequence numbers over time",
        "Each mark is the first octet that a segment carried, the bar above it reaches to the "
        "last; colour is the subflow, shape is what was sent. Drag to zoom, double-click to see "
        "all.",
    ),
    "rates": (
        "Octets over time",
        "Octets count when they were captured, in bins of {width:g} s; goodput counts those of "
        "first transmissions.",
    ),
    "delays": (
        "Reordering and round trips",
        "Octets wait while octets below them, which the capture shows later, are missing: counted "
        "in the order of the capture. Round trips are of data that was sent once.",
    ),
}
KEYS = (
    "Keys, with a picture in focus: arrows move, + and - zoom, 0 shows all, n and p step through "
    "copies, events and violations."
)


def pictures(view: View) -> Iterator[Markup]:
    """Legend, pictures and sequence diagram of a connection, and the data they are made from."""
    data = connection_data(view)
    yield _legend(view, data)
    yield from _figures(data)
    yield _sequence(data)
    yield Markup(f'<script type="application/json">{script_json(data)}</script>')


def title(view: View) -> Iterator[Markup | str]:
    """What its summary says."""
    group = view.group
    if not view.attached:
        yield tag("h3", f"Subflow {view.flows[0].id}, whose connection is not in the capture")
        yield words.pair(view.flows[0])
        return
    yield tag("h3", f"Connection {group.id}")
    ends = " → ".join(str(host.endpoint or "?") for host in group.hosts)
    version = "version not known" if group.version is None else f"MPTCP v{group.version}"
    yield f"{ends}, {version}, {plural(len(view.flows), 'subflow')}, {words.STATES[group.state]} "
    failures = Counter(each.count for each in view.verdicts if each.waived is None)
    if failures["fail"]:
        yield tag("span", plural(failures["fail"], "violation"), class_="badge fail")


def connection_data(view: View) -> Json:
    """What the page knows of a connection: its figures, its sequence diagram, its sums."""
    figures = {"dsn": picture(view)}
    if view.busy:
        figures |= {"rates": rates(view), "delays": delays(view)}
    return {
        "connection": view.group.id,
        "duration": view.duration,
        "figures": figures,
        "sequence": sequence(view),
        "octets": {
            view.roles[each.role]: {str(key): value for key, value in view.totals(each).items()}
            for each in view.directions
        },
    }


def _figures(data: Json) -> Iterator[Markup]:
    for name, figure in data["figures"].items():
        title, caption = CAPTIONS[name]
        plot = tag(
            "div", class_="plot", tabindex="0", role="application", aria_label=f"{title}. {KEYS}"
        )
        yield tag(
            "figure",
            tag("h4", title),
            plot,
            tag("div", class_="status", role="status", aria_live="polite"),
            tag(
                "figcaption", caption.format(**figure), " ",
                tag("span", KEYS, class_="keys") if name == "dsn" else None,
            ),
            data_figure=name,
        )  # fmt: skip


def _legend(view: View, data: Json) -> Markup:
    """Boxes to tick: subflows by colour, marks by shape; events are named beside them."""
    flows = [
        _box(f"subflow {flow.id}", view.name(flow), tag("i", "", class_=f"swatch s{at % 8}"))
        for at, flow in enumerate(view.shown)
    ]
    traces = data["figures"]["dsn"]["data"]
    present = {trace["meta"]["mark"] for trace in traces if "mark" in trace.get("meta", {})}
    marks = [
        _box(f"mark {name}", mark.name, tag("i", mark.glyph, class_="glyph"))
        for name, mark in palette.MARKS.items()
        if name in present
    ]
    for name, text, kind in (
        ("data_ack", "DATA_ACK", "stroke"),
        ("window", "receive window's edge", "stroke window"),
        ("violation", "violation, warning", "ring"),
        ("note", "note, expected failure", "ring note"),
    ):  # fmt: skip
        if name in present:
            marks.append(_box(f"mark {name}", text, tag("i", "", class_=kind)))
    kinds = {each.kind for each in view.moments}
    events = [
        tag("span", tag("i", kind.glyph, class_="glyph"), f" {kind.name}", class_="plain")
        for name, kind in KINDS.items()
        if name in kinds
    ]
    return tag(
        "div", _fieldset("subflows", flows), _fieldset("marks", marks),
        _fieldset("events", events), class_="legend",
    )  # fmt: skip


def _fieldset(name: str, items: list[Markup]) -> Markup | None:
    return tag("fieldset", tag("legend", name), *items) if items else None


def _box(value: str, text: str, sign: Markup) -> Markup:
    box = tag("input", type="checkbox", checked=True, value=value, data_name=text)
    return tag("label", box, " ", sign, f" {text}")


def _sequence(data: Json) -> Markup:
    events = len(data["sequence"]["rows"]) + data["sequence"]["left_out"]
    head = tag("summary", f"Sequence diagram of its {plural(events, 'control event')}")
    place = tag("div", class_="scroll", tabindex="0")
    return tag("details", head, place, class_="sequence")
