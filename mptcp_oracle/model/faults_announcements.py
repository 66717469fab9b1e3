"""What version 0 hosts still have to announce, for faults after which a trace goes on for long.

A version 0 host tells an address on all of its subflows (RFC 6824 section 3.4.1), and may take its
time. Where a fault ends a trace and lets time pass, one that had begun would be left undone.
"""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle.model.faults_places import connection_of
from mptcp_oracle.model.trace import Sent, Trace
from mptcp_oracle.options import AddAddr, Option

__all__ = ["all_told", "told_until"]


def all_told(trace: Trace, segments: Iterable[Sent]) -> bool:
    """Whether no version 0 host has told an address on some of its subflows only.

    Args:
        trace: The trace.
        segments: Those of its segments that count, in order.
    """
    begun: dict[int, set[int]] = {}
    due: dict[tuple[int, int, Option], set[int]] = {}
    for sent in segments:
        connection = connection_of(trace, sent)
        flows = begun.setdefault(connection.number, set())
        flows.add(sent.subflow)
        for option in sent.options:
            if isinstance(option, AddAddr) and not option.echo and connection.version == 0:
                key = connection.number, sent.host, option
                due.setdefault(key, set(flows)).discard(sent.subflow)
    return not any(due.values())


def told_until(trace: Trace, sent: Sent) -> bool:
    """Whether that holds when a segment is sent, in its connection or any other."""
    return all_told(trace, trace.segments[: sent.number + 1])
