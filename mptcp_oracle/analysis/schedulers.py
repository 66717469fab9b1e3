"""What a capture shows of each host's scheduler: an observation with its evidence.

A scheduler is called redundant only at the sender's vantage, where the order of sending is what
was captured, and only if octets were copied to another subflow before anything could be known
about the original. Reinjections answer an event and do not count. A scheduler is called not
redundant if nothing was copied, or, at the sender, if nothing was copied without a reason.
"""

from __future__ import annotations

from mptcp_oracle.analysis.dataplane import CLASSES, DataPlane
from mptcp_oracle.analysis.entities import Connection, Host, Scheduler

__all__ = ["observe"]

#: Part of the new octets that must have been copied proactively to call a scheduler redundant:
#: a slow path that skips what is DATA_ACKed carries only a few hundredths.
REDUNDANT_SHARE = 0.02
#: Octets that must have been copied proactively, lest one segment decides.
REDUNDANT_OCTETS = 4_000
#: Octets below which nothing is said.
LEAST_OCTETS = 10_000


def observe(plane: DataPlane, connection: Connection) -> None:
    """Fill in transmissions by class, octets and the scheduler observation of both hosts."""
    index = plane.direction[connection.subflows[0].halves[0]] >> 1
    for role, host in enumerate(connection.hosts):
        direction = 2 * index + role
        sums = dict.fromkeys(CLASSES, 0)
        for subflow in connection.subflows:
            half = subflow.halves[role]
            for at, name in enumerate(CLASSES):
                sums[name] += plane.octets[8 * half + at]
        host.transmissions = sums
        host.octets = sums["first_seen"]
        if connection.state == "fallback":
            host.octets += sums["unmapped"]
        host.scheduler = _scheduler(plane, connection, host, role, direction)
    for subflow in connection.subflows:
        first, second = (_carried(plane, half) for half in subflow.halves)
        subflow.octets = (first, second)


def _carried(plane: DataPlane, half: int) -> int:
    """Payload octets of a half, TCP retransmissions and zero-window probes aside."""
    skipped = ("tcp_retransmission", "zero_window_probe")
    return sum(
        plane.octets[8 * half + at] for at, name in enumerate(CLASSES) if name not in skipped
    )


def _scheduler(
    plane: DataPlane, connection: Connection, host: Host, role: int, direction: int
) -> Scheduler:
    sums = host.transmissions
    new = sums["first_seen"]
    if not new:
        return Scheduler(redundant=None, share=None, why="no data under a mapping")
    shared, behind, on_backup, _ = plane.totals[4 * direction : 4 * direction + 4]
    share = min(1.0, shared / new)
    lags = tuple(
        (1 << bucket if bucket else 0, octets)
        for bucket, octets in enumerate(plane.lags[32 * direction : 32 * direction + 32])
        if octets
    )
    used = [subflow for subflow in connection.subflows if subflow.established]
    at_sender = all(subflow.captured_at(role) for subflow in used)
    proactive, doubtful = sums["redundant"], sums["unclassified"]
    carried = f"{share:.1%} of {new} octets were carried by two subflows or more"
    redundant: bool | None = None
    if len(used) < 2:
        redundant, why = False, "one subflow only"
    elif new < LEAST_OCTETS:
        why = f"{new} octets are too few to tell"
    elif not shared:
        redundant, why = False, carried
    elif not at_sender:
        why = f"{carried}; which copy was sent first shows only at the sender"
    elif proactive >= max(REDUNDANT_OCTETS, REDUNDANT_SHARE * new):
        redundant = True
        why = (
            f"{proactive / new:.1%} of {new} octets were copied to another subflow within one "
            "round trip, before anything was known about the first copy"
        )
    elif proactive:
        why = f"{proactive} octets were copied before anything was known about the first copy"
    elif doubtful * 2 <= sums["reinjection"]:
        redundant = False
        why = (
            f"{carried}, {sums['reinjection']} of them after a loss, a time-out or a subflow's end"
        )
    else:
        why = f"{doubtful} octets were copied without a visible reason"
    return Scheduler(
        redundant=redundant,
        share=share,
        why=why,
        lags=lags,
        reordered=behind / new,
        on_backup=on_backup,
    )
