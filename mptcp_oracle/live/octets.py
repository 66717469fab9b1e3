"""What each subflow carried, by the oracle and by both of its sockets.

Just before an end begins to close, its kernel says of each live subflow how many octets it sent at
least, how many were acknowledged, and how many it received in order. What the capture shows is at
least what was received and, if nothing is left to send, at most what was acknowledged: where the
two are equal, so must the capture be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mptcp_oracle.analysis.entities import ROLES, Connection, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.facts import CLASSES

__all__ = ["octet_complaints"]

PROBE = CLASSES.index("zero_window_probe")
HOSTS = dict(zip(ROLES, ("client", "server"), strict=True))


def octet_complaints(
    trace: Trace, said: dict[str, Any], connection: Connection, *, at: str
) -> Iterator[str]:
    """Subflows whose octets are not what their sockets counted.

    Args:
        trace: The capture's trace.
        said: What the sidecar says of the connection.
        connection: What the oracle found of it.
        at: The host whose every packet is in the capture: ``client``, ``server``, or another word.
    """
    for subflow in connection.subflows:
        for index, role in enumerate(ROLES):
            sent = _told(said, role, subflow, "octets_sent")
            acknowledged = _told(said, role, subflow, "octets_acknowledged")
            received = _told(said, ROLES[1 - index], subflow, "octets_received")
            shown = subflow.octets[index] + _probes(trace, subflow, index)
            where = f"connection {said['ordinal']}, subflow {subflow.id}, {role}"
            if received is not None and shown < received:
                yield f"{where}: {received} octets were received, {shown} are in the capture"
            # At the sender the capture has all that was sent, lost later or not.
            if sent is not None and shown < sent and at == HOSTS[role]:
                yield f"{where}: {sent} octets were sent, only {shown} are in the capture"
            if acknowledged is not None and _done(said[role]):
                most = acknowledged - (subflow.opener == index)
                if shown > most:
                    yield f"{where}: {most} octets were acknowledged, {shown} are in the capture"


def _told(said: dict[str, Any], role: str, subflow: Subflow, key: str) -> int | None:
    """What an end's socket counted on a subflow; ``None`` if it did not tell."""
    role_end, far_end = subflow.source, subflow.destination
    if subflow.source_role != ROLES.index(role):
        role_end, far_end = far_end, role_end
    for each in said[role]["subflows_before_close"]:
        ends = [(each[end]["address"], each[end]["port"]) for end in ("local", "remote")]
        if ends == [(role_end.address, role_end.port), (far_end.address, far_end.port)]:
            value = each.get(key)
            return value if isinstance(value, int) else None
    return None


def _done(end: dict[str, Any]) -> bool:
    """Whether an end's whole stream was acknowledged when its kernel was asked."""
    info = end["mptcp_info"]
    if not info or info.get("write_seq") != info.get("snd_una"):
        return False
    octets = info.get("bytes_sent")
    return octets is None or octets + end["syn_octets"] >= end["written"]["octets"]


def _probes(trace: Trace, subflow: Subflow, index: int) -> int:
    """Octets of probes of a closed window, which a socket counts and the oracle does not."""
    table = trace.transmissions
    mine = (table.subflow == subflow.id) & (table.sender == index) & (table.kind == PROBE)
    return int(table.octets[mine].sum())
