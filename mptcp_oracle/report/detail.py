"""The text of ``mptcp-oracle analyze --connection``: everything about one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.entities import AddressEvent, Connection, Host, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.report.layout import Cell, Page, Table, number
from mptcp_oracle.report.text import connection_table, heading, unattached_table
from mptcp_oracle.report.timeline import timeline

__all__ = ["checksums", "detail", "details"]


def details(
    trace: Trace,
    connections: Sequence[Connection],
    strays: Sequence[Subflow],
    page: Page,
    *,
    all_events: bool = False,
) -> Iterator[str]:
    """Connections and unattached subflows that were asked for, under the capture's heading.

    Args:
        trace: What was found.
        connections: Told one after the other.
        strays: Unattached subflows, in one table.
        page: Where it goes.
        all_events: Do not fold the time lines.
    """
    yield from heading(trace, page)
    for connection in connections:
        yield ""
        yield from detail(trace, connection, page, all_events=all_events)
    if strays:
        yield ""
        yield from unattached_table(trace, list(strays), page, Filters(trace))


def detail(
    trace: Trace, connection: Connection, page: Page, *, all_events: bool = False
) -> Iterator[str]:
    """One connection, line by line.

    Args:
        trace: What was found.
        connection: Which.
        page: Where it goes.
        all_events: Do not fold the time line.
    """
    yield from connection_table(trace, [connection], page, Filters(trace))
    yield ""
    yield from _hosts(connection, page)
    yield from _addresses(connection, page)
    yield ""
    yield from page.wrapped(checksums(connection), "checksums: ")
    yield ""
    yield from timeline(connection, page, whole=all_events)


def _hosts(connection: Connection, page: Page) -> Iterator[str]:
    """Both hosts side by side, and why something is not known."""
    table = Table([Cell("host", "dim"), *(Cell(host.role, "dim") for host in connection.hosts)])
    for name, texts in _host_rows(connection.hosts):
        table.rows.append([Cell(name, "dim"), *(Cell(text) for text in texts)])
    yield from table.lines(page)
    for host in connection.hosts:
        for why in dict.fromkeys(host.unknown.values()):
            names = ", ".join(name for name, reason in host.unknown.items() if reason == why)
            text = f"not known of the {host.role}: {names} ({why})"
            yield from page.wrapped(text, "  ! ", " " * 6)


def _host_rows(hosts: tuple[Host, Host]) -> Iterator[tuple[str, list[str]]]:
    def row(name: str, told: Callable[[Host], str]) -> tuple[str, list[str]]:
        return name, [told(host) for host in hosts]

    yield row("key", lambda host: _known(host.key, "016x"))
    yield row("token", lambda host: _known(host.token, "08x"))
    yield row("IDSN", lambda host: _known(host.idsn, "d"))
    yield row("C (no joins here)", lambda host: _yes_no(host.c_flag))
    yield row("application octets", lambda host: number(host.octets))
    for name in CLASSES:
        counts = [host.transmissions.get(name, 0) for host in hosts]
        if any(counts):
            label = name.replace("_", " ").replace("tcp", "TCP")
            yield f"  {label}", [number(count) for count in counts]
    fins = [host.data_fin for host in hosts]
    yield "DATA_FIN", ["none" if fin is None else f"frame {fin.frame}" for fin in fins]
    yield "  relative DSN", ["" if fin is None else str(fin.dsn) for fin in fins]
    yield "  acknowledged", ["" if fin is None else _yes_no(fin.acknowledged) for fin in fins]
    yield row("relative DATA_ACK", lambda host: _known(host.acknowledged, "d"))


def _known(value: int | None, form: str) -> str:
    return "not known" if value is None else format(value, form)


def _yes_no(value: bool | None) -> str:
    return "not known" if value is None else "yes" if value else "no"


def checksums(connection: Connection) -> str:
    """Whether DSS checksums are in use, and how many were right."""
    if connection.checksum is None:
        return f"not known ({connection.unknown.get('checksum', 'not in the capture')})"
    if not connection.checksum:
        return "not in use"
    right, wrong, incomplete = connection.checksums
    return (
        f"in use; of the mappings {number(right)} right, {number(wrong)} wrong, "
        f"{number(incomplete)} not fully captured"
    )


def _addresses(connection: Connection, page: Page) -> Iterator[str]:
    """Announcements and removals."""
    if not connection.addresses:
        return
    heads = ("addresses", "subflow", "sender", "Address ID", "")
    table = Table([Cell(head, "dim") for head in heads])
    for event in connection.addresses:
        texts = (f"frame {event.frame}", str(event.subflow), event.host, str(event.address_id))
        table.rows.append([*map(Cell, texts), Cell(_address(event))])
    yield ""
    yield from table.lines(page)


def _address(event: AddressEvent) -> str:
    if event.what == "remove":
        return "removed"
    port = "" if event.port is None else f" port {event.port}"
    hmac = {True: ", HMAC right", False: ", HMAC wrong", None: ""}[event.hmac]
    return f"{'echo of' if event.what == 'echo' else 'announces'} {event.address}{port}{hmac}"
