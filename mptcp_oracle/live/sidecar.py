"""The provenance sidecar of a recording: everything about it that packets do not tell.

Layout: ``corpus/schema.json``. DSNs are decimal strings, tokens 8 hex digits as
``ip mptcp monitor`` prints them, times nanoseconds since the epoch by the clock that also
stamps the frames.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from mptcp_oracle import __version__
from mptcp_oracle.live.events import Event, EventLog
from mptcp_oracle.live.namespaces import Namespace
from mptcp_oracle.live.peers import Conversation, Side
from mptcp_oracle.live.sockets import plain_address

__all__ = [
    "SCHEMA",
    "counter_changes",
    "describe_connection",
    "describe_host",
    "header",
    "stream_faults",
]

# Version of the sidecar's layout.
SCHEMA = 1
# Counter groups that say something about an MPTCP connection.
GROUPS = ("MPTcpExt", "TcpExt", "Tcp")
TCP_COUNTERS = frozenset({"RetransSegs", "OutRsts", "EstabResets", "InErrs", "InCsumErrors"})
SYSCTLS = (
    "net.core.default_qdisc",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fastopen",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
)
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


def header(start: int, end: int) -> dict[str, object]:
    """Schema, tool, kernel and times (nanoseconds since the epoch)."""
    system = platform.uname()
    return {
        "schema": SCHEMA,
        "tool": {"name": "mptcp-oracle", "version": __version__},
        "kernel": {
            "system": system.system,
            "release": system.release,
            "version": system.version,
            "machine": system.machine,
        },
        "time": {
            "start": _iso(start),
            "end": _iso(end),
            "start_ns": start,
            "end_ns": end,
        },
    }


def counter_changes(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """Counters that moved, group by group; of plain TCP only those that matter here."""
    changes: dict[str, dict[str, int]] = {}
    for group in GROUPS:
        moved = {
            name: value - before.get(group, {}).get(name, 0)
            for name, value in after.get(group, {}).items()
            if value != before.get(group, {}).get(name, 0)
        }
        if group == "Tcp":
            moved = {name: value for name, value in moved.items() if name in TCP_COUNTERS}
        changes[group] = moved
    return changes


def describe_host(namespace: Namespace, changes: dict[str, dict[str, int]]) -> dict[str, object]:
    """One namespace: its name, kernel parameters and what its counters did."""
    if namespace.role == "router":
        names = list(FORWARDING)
    else:
        names = [*namespace.mptcp_sysctl_names(), *SYSCTLS]
    return {
        "namespace": namespace.name,
        "sysctls": namespace.sysctls(names),
        "counters": changes,
    }


def describe_connection(
    talk: Conversation, client: EventLog, server: EventLog
) -> dict[str, object]:
    """One connection: both ends, their subflows by the events, and both streams."""
    initiator, listener = talk.client, talk.server
    return {
        "ordinal": talk.ordinal,
        "initiator": initiator.to_json(),
        "listener": listener.to_json(),
        "subflows": {
            "initiator": _subflows(initiator, client),
            "listener": _subflows(listener, server),
        },
        "streams": {
            "initiator_to_listener": _stream(initiator, listener),
            "listener_to_initiator": _stream(listener, initiator),
        },
    }


def stream_faults(wanted: str, talks: Sequence[Conversation]) -> list[str]:
    """What is wrong with the streams of some connections, as their scenario wants them.

    Args:
        wanted: As :attr:`mptcp_oracle.live.scenario.Scenario.streams`.
        talks: The connections.
    """
    faults, odd = [], 0
    for talk in talks:
        for writer, reader in ((talk.client, talk.server), (talk.server, talk.client)):
            if writer.tester or reader.tester:
                odd += 1
                continue
            if reader.read.to_json() == writer.written.to_json():
                continue
            odd += 1
            beginning = writer.beginning(reader.read.octets) == reader.read.to_json()
            if wanted == "whole" or beginning != (wanted == "cut"):
                faults.append(
                    f"connection {talk.ordinal}: of {writer.written.octets} octets of the "
                    f"{writer.role}, {reader.read.octets} were read"
                    + ("" if beginning else ", not the same ones")
                )
    if wanted != "whole" and not odd:
        faults.append(f"a stream that is {wanted}")
    return faults


def _stream(writer: Side, reader: Side) -> dict[str, object]:
    """Whether the reader got exactly, or a beginning of, what the writer wrote."""
    return {
        "written_octets": writer.written.octets,
        "read_octets": reader.read.octets,
        "complete": writer.written.to_json() == reader.read.to_json(),
        "end_was_read": reader.eof,
    }


def _subflows(side: Side, log: EventLog) -> list[dict[str, object]]:
    """The subflows of one end, from its own path manager's events."""
    if side.token_text is None:
        return []
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for event in log.of(side.token_text):
        if event.kind in ("CREATED", "ESTABLISHED", "SF_ESTABLISHED", "SF_CLOSED"):
            entry = found.get(event.pair)
            # A closed pair that is established again is a new subflow.
            if entry is None or (event.kind == "SF_ESTABLISHED" and entry["closed_ns"] is not None):
                entry = found[event.pair] = _new_subflow(event)
            if event.kind in ("ESTABLISHED", "SF_ESTABLISHED"):
                entry["established_ns"] = event.time
            if event.kind == "SF_CLOSED":
                entry["closed_ns"] = event.time
            for key in ("backup", "error", "reset_reason", "reset_flags"):
                if key in event.values:
                    entry[key] = event.values[key]
            for key in ("local_id", "remote_id"):
                entry[key] = event.values.get(key, entry[key])
    return list(found.values())


def _new_subflow(event: Event) -> dict[str, object]:
    local_address, local_port, remote_address, remote_port = event.pair
    return {
        "initial": event.kind in ("CREATED", "ESTABLISHED"),
        "local": {"address": plain_address(str(local_address)), "port": local_port},
        "remote": {"address": plain_address(str(remote_address)), "port": remote_port},
        "local_id": event.values.get("local_id"),
        "remote_id": event.values.get("remote_id"),
        "established_ns": None,
        "closed_ns": None,
    }


def _iso(time: int) -> str:
    """A time in nanoseconds as UTC text, to the microsecond."""
    return datetime.fromtimestamp(time // 1000 / 1e6, UTC).isoformat(timespec="microseconds")
