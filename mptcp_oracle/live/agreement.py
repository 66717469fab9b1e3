"""A recording's capture against its sidecar: the oracle knows packets, the sidecar everything else.

Tokens and subflows come from the path manager's events, streams from the applications, octets of
subflows and write_seq from ``getsockopt``, counters from ``/proc``. What a capture point cannot
show, by the sidecar's own words, is not asked of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mptcp_oracle.analysis.entities import ROLES, Connection
from mptcp_oracle.analysis.trace import Trace, analyze
from mptcp_oracle.counters.comparing import compare
from mptcp_oracle.counters.host import roles_of
from mptcp_oracle.counters.table import TABLE
from mptcp_oracle.counters.tally import meaning, tally
from mptcp_oracle.errors import UsageError
from mptcp_oracle.live.octets import octet_complaints

__all__ = ["CHECKS", "Counted", "Recorded", "counted", "disagreements", "recorded"]

MASK = (1 << 64) - 1
#: Octets of a frame that hold all headers and options: Linux cooked, IPv6, 60 of TCP.
HEADERS = 120
HOSTS = dict(zip(ROLES, ("client", "server"), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recording: what its sidecar says, and what the oracle finds in its capture.

    Attributes:
        sidecar: The sidecar. trace: The capture's trace.
    """

    sidecar: dict[str, Any]
    trace: Trace

    @property
    def capture(self) -> dict[str, Any]:
        """What the sidecar says of the capture."""
        found: dict[str, Any] = self.sidecar["capture"]
        return found

    @property
    def connections(self) -> list[dict[str, Any]]:
        """What it says of the connections."""
        found: list[dict[str, Any]] = self.sidecar["connections"]
        return found

    @property
    def lane(self) -> int | None:
        """The only path that was captured; ``None`` if all were."""
        interface: str = self.capture["interface"]
        plan = self.sidecar["scenario"]["plan"]
        alone = plan["lanes"] == 1 or plan["shared_server_link"]
        return None if interface == "any" or alone else int(interface.lstrip("crs"))

    @property
    def headers(self) -> bool:
        """Whether every frame has all its TCP options."""
        return bool(self.capture["snaplen"] >= HEADERS)

    @property
    def translated(self) -> bool:
        """Whether the router rewrites addresses, so that each end has its own view of them."""
        return any(
            each["chain"].startswith("type nat") for each in self.sidecar["scenario"]["filters"]
        )

    @property
    def late(self) -> bool:
        """Whether the capture began after the first connection did."""
        return bool(self.sidecar["scenario"]["vantage"].get("late", False))

    @property
    def corrupted(self) -> bool:
        """Whether payload is changed behind the capture point, on its way to the server."""
        rules = [rule for each in self.sidecar["scenario"]["filters"] for rule in each["rules"]]
        return self.capture["host"] == "client" and any("@ih" in rule for rule in rules)

    @property
    def rejected(self) -> bool:
        """Whether the capture has payload that its receiver threw away, on one of two paths."""
        rules = [rule for each in self.sidecar["scenario"]["filters"] for rule in each["rules"]]
        several = self.sidecar["scenario"]["plan"]["lanes"] > 1
        return self.capture["host"] != "client" and several and any("@ih" in rule for rule in rules)

    @property
    def unplugged(self) -> bool:
        """Whether an interface of the client was down for a while, and swallowed what was sent."""
        return any(each["step"] == "Link" for each in self.sidecar["scenario"]["script"])

    def expected(self, said: dict[str, Any]) -> bool:
        """Whether the capture can show the handshake of a connection."""
        at = {host: role for role, host in HOSTS.items()}.get(self.capture["host"])
        if not self.headers or self.lane not in (None, 1) or (self.late and said["ordinal"] == 0):
            return False
        # An end that never got MP_CAPABLE has no token, and its packets have no MPTCP option.
        plain = at == "listener" and self.counters("server").get("MPCapableSYNRX", 0) == 0
        return not plain

    def has_tokens(self, said: dict[str, Any]) -> bool:
        """Whether both kernels took the connection for MPTCP, so that both keys are on the wire."""
        return all(said[role]["token"] or said[role].get("tester") for role in ROLES)

    def counters(self, host: str) -> dict[str, int]:
        """How much each MPTcpExt counter of a host grew, where it did."""
        found: dict[str, int] = self.sidecar["hosts"][host]["counters"]["MPTcpExt"]
        return found

    def find(self, said: dict[str, Any]) -> Connection | None:
        """The analysed connection that a sidecar's connection is."""
        tokens = {int(said[role]["token"], 16) for role in ROLES if said[role]["token"]}
        if self.has_tokens(said):
            for connection in self.trace.connections:
                if tokens <= {host.token for host in connection.hosts}:
                    return connection
            return None
        ends = [(said[role]["address"], said[role]["port"]) for role in ROLES]
        for connection in self.trace.connections:
            for host, end in zip(connection.hosts, ends, strict=True):
                if host.endpoint and (host.endpoint.address, host.endpoint.port) == end:
                    return connection
        return None

    def pairs(self) -> Iterator[tuple[dict[str, Any], Connection]]:
        """Each connection of the sidecar with what the oracle found of it, where it did."""
        for said in self.connections:
            connection = self.find(said) if self.expected(said) else None
            if connection is not None:
                yield said, connection

    def counter_complaints(self) -> Iterator[str]:
        """Counters that no capture like this one can come with."""
        for each in counted(self):
            for found in compare(each.counters, each.facts, far=each.far):
                yield f"{each.host}: {found.why}: {meaning(found.fact)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One host's counters and what the capture shows of it.

    Attributes:
        host: ``client`` or ``server``. far: Whether the capture was made elsewhere.
        counters: Every counter of the table. facts: See :func:`mptcp_oracle.counters.tally.tally`.
    """

    host: str
    far: bool
    counters: dict[str, int]
    facts: dict[str, int]


@contextmanager
def recorded(sidecar: Path) -> Iterator[Recorded]:
    """A recording by its sidecar, analysed.

    Raises:
        UsageError: It is no sidecar of a recording.
        CaptureError: The capture cannot be read.
    """
    try:
        body = json.loads(sidecar.read_text("utf-8"))
        capture = sidecar.with_name(body["capture"]["file"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"{sidecar}: this is no sidecar of a recording", cause=str(error)
        ) from error
    with analyze(capture) as trace:
        yield Recorded(sidecar=body, trace=trace)


def counted(case: Recorded) -> Iterator[Counted]:
    """The hosts whose counters the capture can bound: kernels all of whose packets it has."""
    if not case.headers or case.lane is not None or case.late:
        return
    if case.translated and case.capture["host"] == "router":
        return  # each segment is there twice, under other addresses
    for role, host in HOSTS.items():
        if any(each[role].get("tester") for each in case.connections):
            continue
        yield Counted(
            host=host,
            far=case.capture["host"] != host,
            counters={row.counter: 0 for row in TABLE} | case.counters(host),
            facts=tally(case.trace, roles_of(case.trace, _addresses(case, role))),
        )


def _addresses(case: Recorded, role: str) -> frozenset[str]:
    """Every address that a host has in its network."""
    plan, side = case.sidecar["scenario"]["plan"], 1 if role == "initiator" else 2
    lanes = range(1, plan["lanes"] + 1)
    return frozenset(
        f"10.{side}.{lane}.1" if family == 4 else f"fd00:{side}:{lane}::1"
        for family in plan["families"]
        for lane in lanes
    )


# --- the checks ------------------------------------------------------------------------------


def connections(case: Recorded) -> Iterator[str]:
    """Every connection is found by its tokens, and there is no other one."""
    expected = [said for said in case.connections if case.expected(said)]
    copies = 2 if case.translated and case.capture["host"] == "router" else 1
    if len(case.trace.connections) != copies * len(expected):
        yield f"{len(case.trace.connections)} connections were found, not {copies * len(expected)}"
    taken = set()
    for said in expected:
        connection = case.find(said)
        if connection is None:
            yield f"connection {said['ordinal']} was not found"
        else:
            taken.add(connection.id)
    if len(taken) < len(expected):
        yield f"{len(expected)} connections are {len(taken)} of the oracle's"
    for said, connection in case.pairs():
        if not case.has_tokens(said):
            if connection.state != "fallback":
                yield f"connection {said['ordinal']} has no tokens, and is {connection.state}"
            continue
        for role, host in zip(ROLES, connection.hosts, strict=True):
            token, found = said[role]["token"], host.token
            if token and (found is None or f"{found:08x}" != token):
                yield f"the {role} of connection {said['ordinal']} has another token than {token}"
        honest = not any(said[role].get("tester") for role in ROLES)
        for each in connection.mismatches if honest else ():
            if each.what in ("token", "idsn", "echoed_key", "join_hmac", "add_addr_hmac"):
                yield f"connection {said['ordinal']}, frame {each.frame}: {each.why}"


def subflows(case: Recorded) -> Iterator[str]:
    """Established subflows, their ends and which is the initial one are those of the events."""
    for said, connection in case.pairs():
        kernels = [role for role in ROLES if not said[role].get("tester")]
        if not case.has_tokens(said):
            continue
        views = [_ends(said, role) for role in kernels]
        expected = views[0] if case.translated else set.intersection(*views)
        if case.lane is not None:
            expected = {flow for flow in expected if flow[2] == (case.lane == 1)}
        shown = _shown(connection)
        for word, left in (("no", expected - shown), ("a", shown - expected)):
            for source, destination, _ in sorted(left):
                pair = f"{source[0]}:{source[1]} and {destination[0]}:{destination[1]}"
                yield f"connection {said['ordinal']}: there is {word} subflow between {pair}"


def streams(case: Recorded) -> Iterator[str]:
    """Octets by DSN begin with what was read, and are what was written if DATA_FIN closed it."""
    if case.lane is not None or case.capture["snaplen"] < 1514:
        return
    for said, connection in case.pairs():
        for index, role in enumerate(ROLES):
            got, sent = said[ROLES[1 - index]]["read"], said[role]["written"]
            if said[role].get("tester") or said[ROLES[1 - index]].get("tester"):
                continue
            prefix, whole, count = hashlib.sha256(), hashlib.sha256(), 0
            for octets in case.trace.stream(connection, role):
                prefix.update(octets[: max(0, got["octets"] - count)])
                whole.update(octets)
                count += len(octets)
            where = f"connection {said['ordinal']}, what the {role} sent"
            if case.rejected and role == "initiator":
                continue
            if case.corrupted and role == "initiator":
                if count == sent["octets"] and whole.hexdigest() != sent["sha256"]:
                    yield f"{where}: the stream is not what was written"
                continue
            if count < got["octets"] or prefix.hexdigest() != got["sha256"]:
                yield f"{where}: the stream does not begin with the {got['octets']} octets read"
            if connection.state == "closed" and (count, whole.hexdigest()) != (
                sent["octets"],
                sent["sha256"],
            ):
                yield f"{where}: the stream is not the {sent['octets']} octets written"


def numbers(case: Recorded) -> Iterator[str]:
    """``write_seq`` is IDSN + 1 + octets written, and the DATA_FIN stands there."""
    for said, connection in case.pairs():
        if not case.has_tokens(said) or connection.state != "closed":
            continue
        for role, host in zip(ROLES, connection.hosts, strict=True):
            info = said[role]["mptcp_info"]
            if not info or host.idsn is None or _outdated(said, role):
                continue
            octets = said[role]["written"]["octets"] - said[role]["syn_octets"]
            where = f"connection {said['ordinal']}, {role}"
            if int(info["write_seq"]) != (host.idsn + 1 + octets) & MASK:
                yield f"{where}: write_seq is {info['write_seq']}, not IDSN + 1 + {octets}"
            if host.data_fin is not None and host.data_fin.dsn != 1 + octets:
                yield f"{where}: the DATA_FIN has DSN {host.data_fin.dsn}, not {1 + octets}"
            full = case.lane is None and case.capture["snaplen"] >= 1514
            if full and host.octets != octets:
                yield f"{where}: {host.octets} octets were found, {octets} were written"


def _outdated(said: dict[str, Any], role: str) -> bool:
    """Whether an end wrote more after the other end had closed, when its kernel was last asked."""
    own, other = (said[each]["close"] for each in (role, ROLES[1 - ROLES.index(role)]))
    closed = [each["time_ns"] for each in other if each["call"] == "close()"]
    first = bool(closed) and (not own or min(closed) < own[0]["time_ns"])
    octets = said[role]["written"]["octets"] - said[role]["syn_octets"]
    return first and said[role]["mptcp_info"].get("bytes_sent", octets) < octets


def octets(case: Recorded) -> Iterator[str]:
    """What each subflow carried is what both its sockets counted."""
    if case.translated and case.capture["host"] == "router":
        return
    for said, connection in case.pairs():
        at = "" if case.unplugged else case.capture["host"]
        yield from octet_complaints(case.trace, said, connection, at=at)


def counters(case: Recorded) -> Iterator[str]:
    """No counter of either kernel is beyond what the capture shows of it."""
    yield from case.counter_complaints()


CHECKS: dict[str, Callable[[Recorded], Iterator[str]]] = {
    "connections": connections,
    "subflows": subflows,
    "streams": streams,
    "numbers": numbers,
    "octets": octets,
    "counters": counters,
}
"""What is compared, by name."""


def disagreements(sidecar: Path) -> dict[str, tuple[str, ...]]:
    """What the oracle and a sidecar do not agree on, by the name of each check.

    Raises:
        UsageError: It is no sidecar of a recording.
        CaptureError: The capture cannot be read.
    """
    with recorded(sidecar) as case:
        return {name: tuple(check(case)) for name, check in CHECKS.items()}


def _ends(said: dict[str, Any], view: str) -> set[tuple[Any, ...]]:
    """One end's established subflows: initiator's end, listener's end, whether initial."""
    ends = set()
    for flow in said["subflows"][view]:
        if flow["established_ns"] is None:
            continue
        local = (flow["local"]["address"], flow["local"]["port"])
        remote = (flow["remote"]["address"], flow["remote"]["port"])
        pair = (local, remote) if view == "initiator" else (remote, local)
        ends.add((*pair, flow["initial"]))
    return ends


def _shown(connection: Connection) -> set[tuple[Any, ...]]:
    """The valid subflows of an analysed connection, in the same form."""
    shown = set()
    for subflow in connection.subflows:
        if subflow.join is not None and subflow.join.result != "valid":
            continue
        source = (subflow.source.address, subflow.source.port)
        destination = (subflow.destination.address, subflow.destination.port)
        ends = (source, destination) if subflow.opener == 0 else (destination, source)
        shown.add((*ends, subflow.kind == "initial"))
    return shown
