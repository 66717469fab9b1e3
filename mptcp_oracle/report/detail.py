"""The text of ``mptcp-oracle analyze --connection``: everything about one connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.entities import AddressEvent, Connection, Host, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.report.layout import Cell, Page, Table, number
from mptcp_oracle.report.text import connection_table, heading, unattached_table
from mptcp_oracle.report.timeline import timeline

__all__ = ["detail", "details"]


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
    yield from page.wrapped(_checksums(connection), "checksums: ")
    yield ""
    yield from timeline(connection, page, whole=all_events)


def _hosts(connection: Connection, page: Page) -> Iterator[str]:
    """Both hosts side by side."""
    table = Table([Cell("host", "dim"), *(Cell(host.role, "dim") for host in connection.hosts)])
    for name, texts in _host_rows(connection.hosts):
        table.rows.append([Cell(name, "dim"), *(Cell(text) for text in texts)])
    yield from table.lines(page)


def _host_rows(hosts: tuple[Host, Host]) -> Iterator[tuple[str, list[str]]]:
    yield "key", [_or_why(host, "key", "016x") for host in hosts]
    yield "token", [_or_why(host, "token", "08x") for host in hosts]
    yield "IDSN", [_or_why(host, "idsn", "d") for host in hosts]
    yield "wants no joins to this address (C)", [_yes_no(host.c_flag) for host in hosts]
    yield "application octets", [number(host.octets) for host in hosts]
    for name in CLASSES:
        counts = [host.transmissions.get(name, 0) for host in hosts]
        if any(counts):
            yield f"  {name.replace('_', ' ')}", [number(count) for count in counts]
    yield "DATA_FIN", [_data_fin(host) for host in hosts]
    yield (
        "acknowledged up to DSN",
        [
            "not known" if host.acknowledged is None else f"{host.acknowledged} (relative)"
            for host in hosts
        ],
    )


def _or_why(host: Host, name: str, form: str) -> str:
    value = getattr(host, name)
    if value is None:
        return f"not known ({host.unknown.get(name, 'not in the capture')})"
    return format(value, form)


def _yes_no(value: bool | None) -> str:
    return "not known" if value is None else "yes" if value else "no"


def _data_fin(host: Host) -> str:
    fin = host.data_fin
    if fin is None:
        return "none in the capture"
    state = "acknowledged" if fin.acknowledged else "not acknowledged"
    return f"frame {fin.frame}, relative DSN {fin.dsn}, {state}"


def _checksums(connection: Connection) -> str:
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
