"""The path manager's events, read from the kernel's netlink group.

These are the events that ``ip mptcp monitor`` prints. They are truth that does not come from
packets: tokens, addresses and Address IDs of subflows as the host itself knows them. Reading
the group directly means that nothing is lost between "started" and "listening".
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.namespaces import Namespace

__all__ = ["EVENTS", "Event", "EventLog", "parse_event"]

NETLINK_GENERIC = 16
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID = 1
CTRL_ATTR_FAMILY_NAME = 2
CTRL_ATTR_MCAST_GROUPS = 7
NLM_F_REQUEST = 1
HEADER = struct.Struct("=IHHII")
FAMILY = "mptcp_pm"
GROUP = "mptcp_pm_events"

# enum mptcp_event_type of <linux/mptcp.h>; the names are those of ``ip mptcp monitor``.
EVENTS: dict[int, str] = {
    1: "CREATED",
    2: "ESTABLISHED",
    3: "CLOSED",
    6: "ANNOUNCED",
    7: "REMOVED",
    10: "SF_ESTABLISHED",
    11: "SF_CLOSED",
    13: "SF_PRIO",
    15: "LISTENER_CREATED",
    16: "LISTENER_CLOSED",
}

# enum mptcp_event_attr: number -> (key, how its octets read).
ATTRIBUTES: dict[int, tuple[str, str]] = {
    1: ("token", "token"),
    2: ("family", "host"),
    3: ("local_id", "host"),
    4: ("remote_id", "host"),
    5: ("local_address", "address"),
    6: ("local_address", "address"),
    7: ("remote_address", "address"),
    8: ("remote_address", "address"),
    9: ("local_port", "network"),
    10: ("remote_port", "network"),
    11: ("backup", "host"),
    12: ("error", "host"),
    13: ("flags", "host"),
    14: ("timeout", "host"),
    15: ("interface_index", "host"),
    16: ("reset_reason", "host"),
    17: ("reset_flags", "host"),
    18: ("server_side", "host"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        time: When it was read, in nanoseconds since the epoch (a little later than it happened).
        kind: Value of :data:`EVENTS`.
        values: Attributes by key of :data:`ATTRIBUTES`; the token as 8 hex digits.
    """

    time: int
    kind: str
    values: dict[str, int | str]

    @property
    def token(self) -> str | None:
        """The token that names the connection at the reporting host."""
        value = self.values.get("token")
        return value if isinstance(value, str) else None

    @property
    def pair(self) -> tuple[object, object, object, object]:
        """Local address and port, remote address and port."""
        get = self.values.get
        return get("local_address"), get("local_port"), get("remote_address"), get("remote_port")

    def to_json(self) -> dict[str, object]:
        """JSON form, flat."""
        return {"time_ns": self.time, "event": self.kind, **self.values}


class EventLog:
    """Listens to the path-manager events of one namespace; non-blocking."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.events: list[Event] = []
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        try:
            self._socket.settimeout(2.0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            group = self._find_group()
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening; the events stay."""
        self._socket.close()

    def read(self) -> int:
        """Take in everything that waits; return how many events came."""
        before = len(self.events)
        while True:
            try:
                datagram = self._socket.recv(1 << 16)
            except BlockingIOError:
                return len(self.events) - before
            now = time.time_ns()
            for kind, body in _messages(datagram):
                if kind == self._family:
                    event = parse_event(body, now)
                    if event is not None:
                        self.events.append(event)

    def of(self, token: str) -> list[Event]:
        """The events of one connection, in order."""
        return [event for event in self.events if event.token == token]

    def alive(self, token: str) -> int:
        """How many established subflows of a connection have not been reported closed."""
        live: set[tuple[object, ...]] = set()
        for event in self.of(token):
            if event.kind in ("ESTABLISHED", "SF_ESTABLISHED"):
                live.add(event.pair)
            elif event.kind == "SF_CLOSED":
                live.discard(event.pair)
        return len(live)

    def _find_group(self) -> int:
        """Ask the generic netlink controller for the numbers of family and group."""
        name = FAMILY.encode() + b"\0"
        attribute = struct.pack("=HH", 4 + len(name), CTRL_ATTR_FAMILY_NAME) + name
        attribute += b"\0" * (-len(attribute) % 4)
        body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute
        self._socket.bind((0, 0))
        self._socket.send(
            HEADER.pack(HEADER.size + len(body), GENL_ID_CTRL, NLM_F_REQUEST, 1, 0) + body
        )
        for kind, answer in _messages(self._socket.recv(1 << 16)):
            if kind != GENL_ID_CTRL:
                continue
            found = dict(_attributes(answer[4:]))
            self._family = int.from_bytes(found[CTRL_ATTR_FAMILY_ID], sys.byteorder)
            for _, group in _attributes(found.get(CTRL_ATTR_MCAST_GROUPS, b"")):
                parts = dict(_attributes(group))
                if parts.get(1, b"").rstrip(b"\0") == GROUP.encode():
                    return struct.unpack("=I", parts[2])[0]  # type: ignore[no-any-return]
        raise AdapterError(
            "the kernel reports no MPTCP path-manager events",
            cause=f"no netlink group {GROUP}",
            hint="Linux 5.12 or later has them",
        )


def parse_event(body: bytes, now: int) -> Event | None:
    """One generic netlink message (without its netlink header) as an event.

    Args:
        body: The genl header (4 octets) and the attributes.
        now: Time of reading, in nanoseconds since the epoch.

    Returns:
        The event, or ``None`` for a command that is not an event of :data:`EVENTS`.
    """
    kind = EVENTS.get(body[0]) if body else None
    if kind is None:
        return None
    values: dict[str, int | str] = {}
    for number, octets in _attributes(body[4:]):
        known = ATTRIBUTES.get(number)
        if known is None:
            continue
        key, reading = known
        if reading == "address":
            values[key] = str(ipaddress.ip_address(octets))
        elif reading == "token":
            values[key] = f"{struct.unpack('=I', octets)[0]:08x}"
        elif reading == "network":
            values[key] = int.from_bytes(octets, "big")
        else:
            values[key] = int.from_bytes(octets, sys.byteorder)
    return Event(time=now, kind=kind, values=values)


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    """The netlink messages in a datagram: type and body."""
    offset = 0
    while offset + HEADER.size <= len(datagram):
        length, kind, _, _, _ = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size:
            return
        yield kind, datagram[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """The netlink attributes in a run of octets: type (without flag bits) and value."""
    offset = 0
    while offset + 4 <= len(octets):
        length, kind = struct.unpack_from("=HH", octets, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, octets[offset + 4 : offset + length]
        offset += (length + 3) & ~3
