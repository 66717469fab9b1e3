"""Overview: a capture and its connections as HTML tables, in the words that the text uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.entities import Connection, Host, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.errors import CaptureError
from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.markup import Markup, joined, rows, tag
from mptcp_oracle.pictures.view import View
from mptcp_oracle.report import words
from mptcp_oracle.report.detail import checksums
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.report.layout import number, plural

__all__ = ["MOST_ROWS", "capture_facts", "connection_facts", "connection_table", "strays"]

#: Connections, and unattached subflows, that the tables list.
MOST_ROWS = 1_000
#: Subflows of one connection, and mismatches.
MOST_FLOWS, MOST_ODD = 100, 20


def capture_facts(trace: Trace) -> Markup:
    """Sizes of the capture, its digest, and what was odd about it."""
    wire, capture = trace.wire, trace.capture
    facts = [
        ("format", capture.format),
        ("frames", number(wire.frames)),
        ("TCP segments", number(wire.segments.rows)),
        ("MPTCP connections", number(len(trace.connections))),
    ]
    if trace.unattached:
        facts.append(("unattached subflows", number(len(trace.unattached))))
    if wire.segments.rows:
        times = trace.ground.column("time")
        facts.append(("duration", f"{(int(times.max()) - int(times.min())) * 1e-9:.6f} s"))
    facts.append(("SHA-256", _digest(trace)))
    listed = [tag("div", tag("dt", name), tag("dd", text)) for name, text in facts]
    notes = [tag("li", words.note(note)) for note in trace.notes]
    return joined(
        [
            tag("dl", *listed, class_="facts"),
            tag("ul", *notes, class_="odd") if notes else None,
        ]
    )


def _digest(trace: Trace) -> str:
    try:
        return trace.capture.sha256()
    except CaptureError as error:
        return f"not known ({error.cause or error.message})"


def connection_table(trace: Trace, failed: Mapping[int, int], anchors: Mapping[int, str]) -> Markup:
    """Every connection on a line.

    Args:
        trace: What was found.
        failed: By connection: how many violations it has.
        anchors: By connection: where the page tells of it, if it does.
    """
    body = []
    for item in trace.connections[:MOST_ROWS]:
        initiator, listener = item.hosts
        target = anchors.get(item.id)
        name = f"connection {item.id}"
        body.append(
            [
                tag("a", name, href=f"#{target}") if target else Markup(tag("span", name)),
                "?" if item.version is None else str(item.version),
                f"{initiator.endpoint or '?'} → {listener.endpoint or '?'}",
                str(len(item.subflows)),
                number(initiator.octets),
                number(listener.octets),
                *(number(_sum(item, name)) for name in ("reinjection", "redundant")),
                words.outcome(item),
                _failed(failed.get(item.id, 0)),
            ]
        )
    heads = (
        "", "v", "initiator → listener", "#subflows", "#octets →", "#← octets", "#reinjected",
        "#redundant", "state", "violations",
    )  # fmt: skip
    left = len(trace.connections) - len(body)
    more = f"{plural(left, 'more connection')}: mptcp-oracle analyze --limit 0 lists all"
    return joined([rows(heads, body), tag("p", more, class_="dim") if left else None])


def _failed(count: int) -> Markup | str:
    return tag("span", number(count), class_="badge fail") if count else "none"


def _sum(item: Connection, name: str) -> int:
    return sum(host.transmissions.get(name, 0) for host in item.hosts)


def strays(trace: Trace, filters: Filters) -> Markup | None:
    """Subflows whose connection is not in the capture."""
    if not trace.unattached:
        return None
    body = [
        [
            f"subflow {flow.id}", words.pair(flow), *map(number, flow.octets),
            words.unattached_remark(flow), tag("code", filters.subflow(flow), class_="filter"),
        ]
        for flow in trace.unattached[:MOST_ROWS]
    ]  # fmt: skip
    heads = (
        "", "source → destination", "#octets →", "#← octets", "how it ended", "Wireshark filter",
    )  # fmt: skip
    left = len(trace.unattached) - len(body)
    more = tag("p", f"{number(left)} more", class_="dim") if left else None
    title = tag("h3", "Subflows whose connection is not in the capture")
    return joined([title, rows(heads, body), more])


def connection_facts(view: View, filters: Filters) -> Markup:
    """Subflows, oddities and hosts of a connection."""
    group = view.group
    code = tag("code", filters.connection(group), class_="filter")
    parts = [_flows(view, filters), *_oddities(group)]
    if view.attached:
        head = tag("summary", "Hosts: keys, tokens, octets by class, schedulers, checksums")
        parts.insert(0, tag("p", f"State: {words.outcome(group)}."))
        sums = tag("p", f"DSS checksums: {checksums(group)}.")
        parts.append(tag("details", head, _hosts(group), sums))
    if len(view.flows) > 1:
        parts.append(tag("p", "Wireshark: ", code))
    return joined(parts)


def _hosts(group: Connection) -> Markup:
    def row(name: str, told: Callable[[Host], str]) -> list[str]:
        return [name, *map(told, group.hosts)]

    body = [
        row("endpoint", lambda host: str(host.endpoint or "not known")),
        row("key", lambda host: _known(host.key, "016x")),
        row("token", lambda host: _known(host.token, "08x")),
        row("IDSN", lambda host: _known(host.idsn, "d")),
        row("application octets", lambda host: number(host.octets)),
    ]
    for name in CLASSES:
        if any(host.transmissions.get(name) for host in group.hosts):
            label = palette.MARKS[name].name if name in palette.MARKS else name
            body.append([f"… {label}", *(_octets(host, name) for host in group.hosts)])
    body.append([
        "DATA_FIN",
        *(f"frame {fin.frame}, DSN {fin.dsn}" if (fin := host.data_fin) else "none"
          for host in group.hosts),
    ])  # fmt: skip
    body.append(["scheduler", *(_scheduler(host) for host in group.hosts)])
    return rows(("", "initiator", "listener"), body, class_="hosts")


def _octets(host: Host, name: str) -> str:
    return number(host.transmissions.get(name, 0))


def _known(value: int | None, form: str) -> str:
    return "not known" if value is None else format(value, form)


def _scheduler(host: Host) -> str:
    return words.scheduler(host).partition(": ")[2]


def _flows(view: View, filters: Filters) -> Markup:
    body = []
    for flow in view.flows[:MOST_FLOWS]:
        swatch = tag("i", "", class_=f"swatch s{view.places[flow.id] % len(palette.COLOURS)}")
        body.append(
            [
                joined([swatch, f" {words.label(flow).strip().removeprefix('*')}"]),
                words.pair(flow), *map(number, flow.octets), _vantage(view, flow),
                words.subflow_remark(flow),
                tag("code", filters.subflow(flow), class_="filter"),
            ]
        )  # fmt: skip
    pair = " → ".join(view.roles)
    heads = (
        "subflow", pair, "#octets →", "#← octets", "captured at", "how it ended",
        "Wireshark filter",
    )  # fmt: skip
    left = len(view.flows) - len(body)
    more = tag("p", f"{plural(left, 'more subflow')}", class_="dim") if left else None
    return joined([rows(heads, body), more])


def _vantage(view: View, flow: Subflow) -> str:
    end, stated = flow.vantage
    if end is None:
        return "not known"
    role = flow.source_role if end == "source" else 1 - flow.source_role
    return view.roles[role] if stated else f"{view.roles[role]}, it seems"


def _oddities(group: Connection) -> Iterator[Markup]:
    found: Sequence[str] = [
        *(words.mismatch(each) for each in group.mismatches[:MOST_ODD]),
        *(words.note(each) for each in group.notes),
        *(
            f"subflow {flow.id}: {words.note(each)}"
            for flow in group.subflows[:MOST_FLOWS]
            for each in flow.notes
        ),
    ]
    left = len(group.mismatches) - MOST_ODD
    if left > 0:
        found = [*found, plural(left, "more mismatch", "more mismatches")]
    if found:
        yield tag("ul", *(tag("li", text) for text in found), class_="odd")
