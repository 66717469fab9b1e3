"""What tests ask of a trace again and again, in one word each."""

from __future__ import annotations

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.analysis.trace import Trace

__all__ = ["kinds", "previous", "state", "sums", "text"]


def text(trace: Trace, direction: str = "initiator", connection: Connection | int = 0) -> bytes:
    """The application octets of a direction, all of them."""
    return b"".join(map(bytes, trace.stream(connection, direction)))


def state(trace: Trace) -> tuple[str, str | None]:
    """State and kind of fallback of the first connection."""
    connection = trace.connections[0]
    return connection.state, connection.fallback


def sums(trace: Trace, role: int = 0) -> dict[str, int]:
    """Octets of a host of the first connection by class, empty classes left out."""
    transmissions = trace.connections[0].hosts[role].transmissions
    return {name: octets for name, octets in transmissions.items() if octets}


def kinds(trace: Trace, frame: int) -> set[str]:
    """The classes of a frame's octets."""
    bits = trace.wire.segments["kind"][_row(trace, frame)]
    return {name for at, name in enumerate(CLASSES) if bits >> at & 1}


def previous(trace: Trace, frame: int) -> int | None:
    """The frame of the nearest earlier carrier of any of a frame's octets."""
    rows = trace.wire.segments
    before: int = rows["previous"][_row(trace, frame)]
    return rows["frame"][before - 1] if before else None


def _row(trace: Trace, frame: int) -> int:
    return list(trace.wire.segments["frame"]).index(frame)
