"""How long things last: from when to when a subflow can be used, and how long to wait for one."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import FIN, RST
from mptcp_oracle.rules.case import Case, Signal

__all__ = ["SECOND", "begun", "ended", "grace", "heard_all", "last_row", "while_mptcp"]

SECOND = 1_000_000_000
#: Nanoseconds of a round trip where no handshake shows one.
UNKNOWN_TRIP = SECOND


def grace(case: Case, subflow: Subflow) -> int:
    """Nanoseconds after which a host would have done what it had to: a second, three round trips.

    Where the subflow's handshake does not show its round trip, the longest of the others counts.
    """
    trip = subflow.round_trip or max(each.round_trip for each in case.subflows)
    return SECOND + 3 * (trip or UNKNOWN_TRIP)


def begun(case: Case, subflow: Subflow, role: int) -> int | None:
    """The row from which on a host can send data on a subflow, as far as the capture shows it.

    The initial subflow is established by its third packet. So is a join for its answerer; for its
    joiner by the answerer's ACK to that (RFC 8684 section 3.2).
    """
    opener = subflow.opener
    if not subflow.established or opener is None:
        return None
    waits = subflow.kind == "joined" and role == opener
    sender = 1 - opener if waits else opener
    row = case.context.trace.plane.first_rows()[subflow.halves[sender]]
    return None if row < 0 else row


def ended(case: Case, subflow: Subflow) -> int | None:
    """The row of a subflow's first FIN or RST."""
    for raw in case.events(subflow):
        if raw.flags & (FIN | RST):
            return raw.row
    return None


def while_mptcp(case: Case) -> Iterator[Signal]:
    """The options of a connection until it is plain TCP."""
    for signal in case.signals:
        if case.over is not None and signal.row >= case.over:
            return
        yield signal


def heard_all(case: Case, role: int) -> bool:
    """Whether all that a host sent and received is in the capture, from the first SYN on."""
    initial = case.connection.initial
    begun_with = None if initial is None else case.shake(initial).syn_row
    return begun_with is not None and case.witnessed_all(role)


def last_row(case: Case) -> int:
    """The row of a connection's last frame."""
    last = case.context.trace.wire.halves["last_row"]
    return max(last[half] for subflow in case.subflows for half in subflow.halves)
