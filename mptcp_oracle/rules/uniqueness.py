"""Keys and tokens that no two connections of a host may share (RFC 8684 and 6824, section 3.1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.options import MpCapable
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.ledger import Finding
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

KEYS_UNIQUE = "8684-3.1-key-unique-per-host"
TOKEN_CHECKED = "8684-3.1-token-collision-checked"
SYNACK_TOKEN = "6824-3.1-token-collision-check"
TOKEN_UNIQUE = "6824-B.1.1-token-unique"
#: By version and role: what a token is not to be used twice by.
TOKENS = {
    (1, 0): (TOKEN_CHECKED,),
    (1, 1): (TOKEN_CHECKED,),
    (0, 0): (TOKEN_UNIQUE,),
    (0, 1): (SYNACK_TOKEN, TOKEN_UNIQUE),
}

#: Nanoseconds that a connection which nothing has ended is certainly still there after its last
#: segment at the host.
LINGERS = 60_000_000_000
#: Earlier connections with the same token that a new one is compared with.
MOST_COMPARED = 8

OTHER_HOST = "the capture was not made at that host, and several may share its address"
GONE = "the other connection may have ended before"


class Holder(NamedTuple):
    """A connection that has a key.

    Attributes:
        row: Where the host first shows it. number: Of the connection. role: Of the host.
        key, token: The key and its token.
    """

    row: int
    number: int
    role: int
    key: int
    token: int


def unique(context: Context) -> None:
    """No host has two connections with one key, or with one token, at the same time."""
    if len(context.connections) < 2:
        return
    clashing: set[tuple[int, int]] = set()
    for (_, version, _), places in _shared(context).items():
        holders = sorted(_holders(context, places))
        for at, holder in enumerate(holders):
            for other in holders[max(0, at - MOST_COMPARED) : at]:
                if _compare(context, version, other, holder):
                    clashing.add((holder.number, holder.role))
    for number, role in _beside(context):
        if (number, role) not in clashing:
            version = context.connections[number].version or 0
            for requirement in (KEYS_UNIQUE, *TOKENS[version, role]):
                context.ledger.right(requirement, 2 * number + role)


def _shared(context: Context) -> dict[tuple[str, int, int], list[tuple[int, int]]]:
    """What several connections of one host share: address, version, token; and who they are."""
    found: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    for number, connection in enumerate(context.connections):
        version = connection.version
        if version not in (0, 1):
            continue
        for role, host in enumerate(connection.hosts):
            if host.token is not None and host.endpoint is not None:
                place = (host.endpoint.address, version, host.token)
                found.setdefault(place, []).append((number, role))
    return {place: each for place, each in found.items() if len(each) > 1}


def _holders(context: Context, places: list[tuple[int, int]]) -> Iterator[Holder]:
    """Those of some hosts that show their keys."""
    for number, role in places:
        connection = context.connections[number]
        host, row = connection.hosts[role], _shown(context, connection, role)
        if row is not None and host.key is not None and host.token is not None:
            yield Holder(row, number, role, host.key, host.token)


def _beside(context: Context) -> Iterator[tuple[int, int]]:
    """Connections with known keys that began while another one of the same host was there."""
    end: dict[str, int] = {}
    for number, connection in enumerate(context.connections):
        if connection.version not in (0, 1):
            continue
        begin = connection.subflows[0].first_frame
        last = max(flow.last_frame for flow in connection.subflows)
        ends = [host.endpoint.address for host in connection.hosts if host.endpoint is not None]
        for role, (host, address) in enumerate(zip(connection.hosts, ends, strict=False)):
            if host.key is not None and end.get(address, 0) > begin:
                yield number, role
        for address in ends:
            end[address] = max(end.get(address, 0), last)


def _shown(context: Context, connection: Connection, role: int) -> int | None:
    """The row in which a host first shows its key."""
    initial = connection.initial
    if initial is None:
        return None
    shake, key = context.trace.shakes[initial.stream], connection.hosts[role].key
    messages = shake.synacks if role else [each for each in (shake.syn, shake.ack) if each]
    for raw, option in messages:
        if isinstance(option, MpCapable) and option.sender_key == key:
            return raw.row
    return None


def _compare(context: Context, version: int, other: Holder, holder: Holder) -> bool:
    """Whether a connection has a key or token of an earlier one that may be open still."""
    if other.number == holder.number:
        return False
    earlier, later = (context.connections[each.number] for each in (other, holder))
    still = _open_at(context, earlier, other, holder.row)
    if (not still and _over(earlier)) or _same_isn(context, (earlier, other), (later, holder)):
        return False
    names, text = TOKENS[version, holder.role], f"token {holder.token:08x}"
    if other.key == holder.key:
        names, text = (KEYS_UNIQUE,), f"key {holder.key:016x}"
    frame = context.frame(other.row)
    why = f"{text} is that of connection {earlier.id}, which showed it in frame {frame}"
    rows, direction = (other.row, holder.row), 2 * holder.number + holder.role
    taps = [
        each.initial is not None and context.tap(each.initial) == one.role
        for each, one in ((earlier, other), (later, holder))
    ]
    lacks = "" if all(taps) and still else GONE if all(taps) else OTHER_HOST
    for requirement in names:
        if lacks:
            context.ledger.doubt(requirement, direction, Finding(rows, f"{why}; {lacks}"))
        else:
            context.wrong(requirement, direction, rows, why)
    return True


def _same_isn(
    context: Context, one: tuple[Connection, Holder], two: tuple[Connection, Holder]
) -> bool:
    """Whether two connections are one that the capture shows on both sides of a translator."""
    isn = context.trace.wire.halves["isn"]
    halves = [
        connection.initial.halves[holder.role]
        for connection, holder in (one, two)
        if connection.initial is not None
    ]
    return isn[halves[0]] == isn[halves[-1]]


def _over(connection: Connection) -> bool:
    """Whether the capture shows that a connection, or MPTCP on it, has ended."""
    if connection.state in ("closed", "fast_closed", "fallback", "timed_out"):
        return True
    return all(flow.end is not None for flow in connection.subflows)


def _open_at(context: Context, connection: Connection, holder: Holder, row: int) -> bool:
    """Whether a connection was certainly open at the host when a segment passed."""
    rows = context.trace.wire.segments
    if _over(connection):
        ends = [flow.end.frame for flow in connection.subflows if flow.end is not None]
        frame = connection.state_frame or max(ends, default=0)
        return row <= bisect_left(rows["frame"], frame)
    last = context.trace.wire.halves["last_row"]
    own = max(last[flow.halves[holder.role]] for flow in connection.subflows)
    return row <= own or (context.whole and rows["time"][row] - rows["time"][own] <= LINGERS)


RULES = (
    Rule(
        requirements=(KEYS_UNIQUE, TOKEN_CHECKED, SYNACK_TOKEN, TOKEN_UNIQUE),
        sweep=unique,
    ),
)
