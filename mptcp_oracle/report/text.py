"""The text of ``mptcp-oracle analyze``: what a capture shows, at one glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.report import words
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.report.layout import Cell, Page, Table, number, plural, printable

__all__ = ["connection_table", "heading", "oddities", "overview", "unattached_table"]

#: Up to so many connections are told with tokens, schedulers and display filter.
FEW = 5
#: Mismatches that the overview shows of one connection.
MOST_ODD = 5
#: Columns that the remarks at the end of a row need.
REMARK = 24
#: Numbers of connections that are named in one line.
NAMED = 12

_AGAIN = (
    ("reinj.", ("reinjection",)),
    ("redund.", ("redundant",)),
    ("retrans.", ("tcp_retransmission",)),
    ("other", ("remap", "unclassified", "zero_window_probe")),
)
_PLACES = {name: at for at, name in enumerate(CLASSES)}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row: what it is called, who talks to whom, its counts, a remark, lines below it."""

    label: str
    pair: str
    counts: tuple[int, ...]
    remark: str
    style: str | None = None
    below: tuple[str, ...] = ()


def overview(trace: Trace, page: Page, limit: int = 0) -> Iterator[str]:
    """The report on one capture, line by line.

    Args:
        trace: What was found.
        page: Where it goes.
        limit: Show so many connections and unattached subflows; 0 shows all.
    """
    yield from heading(trace, page)
    if not trace.connections and not trace.unattached:
        return
    shown = trace.connections[: limit or None]
    filters = Filters(trace) if len(trace.connections) <= FEW else None
    if shown:
        yield ""
        yield from connection_table(trace, shown, page, filters)
        yield from _left_out(trace.connections[len(shown) :], page)
    strays = trace.unattached[: limit or None]
    if strays:
        yield ""
        yield from unattached_table(trace, strays, page, filters)
        if len(strays) < len(trace.unattached):
            yield f"... {number(len(trace.unattached) - len(strays))} more; --limit 0 shows all"
    if filters is None:
        hint = "--connection N tells one of them in detail, with a Wireshark display filter"
        yield ""
        for line in page.wrapped(hint):
            yield page.styled(line, "dim")


def heading(trace: Trace, page: Page) -> Iterator[str]:
    """Name and sizes of the capture, and what was odd about it."""
    name = printable(trace.capture.name)
    wire = trace.wire
    sizes = f"{plural(wire.frames, 'frame')}, {plural(wire.segments.rows, 'TCP segment')}"
    if not trace.connections and not trace.unattached:
        yield page.styled(f"no MPTCP in {name}", "title") + f" ({sizes})"
    else:
        found = [sizes, plural(len(trace.connections), "MPTCP connection") + _states(trace)]
        if trace.unattached:
            found.append(plural(len(trace.unattached), "unattached subflow"))
        first, *rest = page.wrapped(f"{name}: {', '.join(found)}", "", "  ")
        yield page.styled(name, "title") + first[len(name) :] if first.startswith(name) else first
        yield from rest
    for note in trace.notes:
        yield from _odd(words.note(note), page, "odd")


def _states(trace: Trace) -> str:
    if len(trace.connections) < 2:
        return ""
    counts = Counter(connection.state for connection in trace.connections)
    texts = [f"{number(counts[s])} {text}" for s, text in words.STATES.items() if counts[s]]
    return f" ({', '.join(texts)})"


def connection_table(
    trace: Trace, connections: list[Connection], page: Page, filters: Filters | None
) -> Iterator[str]:
    """Connections, their subflows below each, and what was odd.

    With ``filters`` also tokens, schedulers and a Wireshark display filter.
    """
    entries = []
    for connection in connections:
        entries.append(_connection_entry(trace, connection))
        below = tuple(_below(connection, page, filters))
        *flows, last = connection.subflows
        entries += [_subflow_entry(trace, flow) for flow in flows]
        entries.append(_subflow_entry(trace, last, below))
    heads = ("connection", "initiator -> listener", "octets ->", "<- octets")
    yield from _table(heads, entries, page)


def unattached_table(
    trace: Trace, flows: list[Subflow], page: Page, filters: Filters | None
) -> Iterator[str]:
    """Subflows whose connection is not in the capture."""
    entries = []
    for flow in flows:
        below = tuple(_filter_line(filters.subflow(flow), page)) if filters else ()
        entry = _subflow_entry(trace, flow, below)
        entries.append(
            _Entry(
                label=words.label(flow),
                pair=entry.pair,
                counts=entry.counts,
                remark=words.unattached_remark(flow),
                below=below,
            )
        )
    heads = ("unattached", "source -> destination", "octets ->", "<- octets")
    yield from _table(heads, entries, page)


def _connection_entry(trace: Trace, connection: Connection) -> _Entry:
    initiator, listener = connection.hosts
    sums = Counter(initiator.transmissions)
    sums.update(listener.transmissions)
    version = "v?" if connection.version is None else f"v{connection.version}"
    odd = bool(connection.mismatches)
    return _Entry(
        label=f"{connection.id} {version}, {plural(len(connection.subflows), 'subflow')}",
        pair=f"{initiator.endpoint or '?'} -> {listener.endpoint or '?'}",
        counts=(initiator.octets, listener.octets, *_again(sums)),
        remark=words.outcome(connection),
        style="bad" if odd else "title",
    )


def _subflow_entry(trace: Trace, flow: Subflow, below: tuple[str, ...] = ()) -> _Entry:
    octets = trace.plane.octets
    sums = {
        name: sum(octets[8 * half + at] for half in flow.halves) for name, at in _PLACES.items()
    }
    return _Entry(
        label=f" {words.label(flow)}",
        pair=words.pair(flow),
        counts=(*flow.octets, *_again(sums)),
        remark=words.subflow_remark(flow),
        style="bad" if flow.join is not None and flow.join.result == "invalid" else None,
        below=below,
    )


def _again(sums: dict[str, int]) -> tuple[int, ...]:
    """Octets sent again, by column."""
    return tuple(sum(sums.get(name, 0) for name in names) for _, names in _AGAIN)


def _table(heads: tuple[str, ...], entries: list[_Entry], page: Page) -> Iterator[str]:
    """One line an entry if the page is wide enough; else words below numbers, or words only."""
    columns = len(heads) - 2 + len(_AGAIN)
    if not any(entry.counts[-1] for entry in entries):
        columns -= 1
    names = [*heads[2:], *(name for name, _ in _AGAIN)][:columns]
    tops = [Cell(heads[0], "dim"), Cell(heads[1], "dim")]
    tops += [Cell(name, "dim", right=True) for name in names]
    wide = Table([*tops, Cell("how it ended", "dim")])
    narrow = Table([tops[0], *tops[2:]])
    words_only: list[str] = []
    for entry in entries:
        counts = [
            Cell(number(count), _count_style(at, count), right=True)
            for at, count in enumerate(entry.counts[:columns])
        ]
        label = Cell(entry.label, entry.style)
        wide.rows += [[label, Cell(entry.pair), *counts, Cell(entry.remark)], *entry.below]
        text = f"{entry.pair}; {entry.remark}"
        narrow.rows += [[label, *counts], *page.wrapped(text, " " * 6), *entry.below]
        told = [
            f"{name} {cell.text}"
            for at, (name, cell) in enumerate(zip(names, counts, strict=True))
            if at < 2 or entry.counts[at]
        ]
        words_only.append(page.styled(entry.label, entry.style))
        words_only += page.wrapped("; ".join([text, *told]), " " * 6)
        words_only += entry.below
    if wide.fits(page.width, REMARK):
        yield from wide.lines(page)
    elif narrow.fits(page.width):
        yield from narrow.lines(page)
    else:
        yield from words_only


def _count_style(column: int, count: int) -> str | None:
    """Zeros step back; what was sent again stands out."""
    if not count:
        return "dim"
    return "odd" if column >= 2 else None


def _below(connection: Connection, page: Page, filters: Filters | None) -> Iterator[str]:
    """What stands under a connection's subflows."""
    yield from oddities(connection, page, MOST_ODD)
    for host in connection.hosts:
        others = words.other_octets(connection, host)
        if others:
            yield from page.wrapped(others, "    ", " " * 6)
    for host in connection.hosts:
        seen = host.scheduler
        telling = filters is not None and len(connection.subflows) > 1 and host.octets
        if seen is not None and (seen.redundant or telling):
            yield from page.wrapped(words.scheduler(host), "    ", " " * 6)
    if filters is not None:
        tokens = [
            f"{host.role} {host.token:08x}" for host in connection.hosts if host.token is not None
        ]
        if tokens:
            yield from page.wrapped(f"tokens: {', '.join(tokens)}", "    ", " " * 6)
        yield from _filter_line(filters.connection(connection), page)


def _filter_line(text: str, page: Page) -> Iterator[str]:
    """A display filter on a line of its own, never wrapped: it is there to be pasted."""
    yield "    " + page.styled(f"filter: {text}", "dim")


def oddities(connection: Connection, page: Page, most: int | None = None) -> Iterator[str]:
    """Mismatches and notes of a connection and its subflows; at most ``most`` mismatches."""
    for found in islice(connection.mismatches, most):
        yield from _odd(words.mismatch(found), page, "bad")
    left = len(connection.mismatches) - (most or len(connection.mismatches))
    if left > 0:
        yield from _odd(f"{plural(left, 'more mismatch', 'more mismatches')}", page, "bad")
    for note in connection.notes:
        yield from _odd(words.note(note), page, "odd")
    for flow in connection.subflows:
        for note in flow.notes:
            yield from _odd(f"subflow {flow.id}: {words.note(note)}", page, "odd")


def _odd(text: str, page: Page, style: str) -> Iterator[str]:
    for line in page.wrapped(text, "  ! ", " " * 6):
        yield page.styled(line, style)


def _left_out(connections: list[Connection], page: Page) -> Iterator[str]:
    """How many connections are not shown, and which of them deserve a look."""
    if not connections:
        return
    yield f"... {plural(len(connections), 'more connection')}; --limit 0 shows all"
    odd = [item.id for item in connections if item.mismatches or item.notes]
    if odd:
        named = ", ".join(map(str, odd[:NAMED])) + (", ..." if len(odd) > NAMED else "")
        yield from _odd(f"{number(len(odd))} of them odd: {named}", page, "odd")
