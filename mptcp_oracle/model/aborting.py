"""Fast close: MP_FASTCLOSE and what answers it (RFC 8684 and 6824 section 3.5)."""

from __future__ import annotations

from mptcp_oracle.model.events import FastClose
from mptcp_oracle.model.trace import ACK, RST, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import ALIVE
from mptcp_oracle.options import MpFastclose, MpTcprst

__all__ = ["ABORTS", "fast_close", "fast_close_arrives", "key_of"]

ABORTS = frozenset(
    ("M_ESTAB", "M_FIN_WAIT_1", "M_FIN_WAIT_2", "M_CLOSING", "M_CLOSE_WAIT", "M_LAST_ACK")
)
"""States in which a host may abort the connection."""

ANSWERS = frozenset(("M_ESTAB_NEW", "M_TIME_WAIT", "M_CLOSED", "M_FAIL_SENT"))
"""Other states in which a host whose subflows live is aborted by its peer."""


def fast_close(turn: Turn, event: FastClose) -> None:
    """A host aborts the connection, or repeats that it did."""
    role, number = event.host, event.subflow
    host, half = turn.hosts[role], turn.halves[number][role]
    waits = host.state == "M_FASTCLOSE_WAIT"
    if not waits and host.state not in ABORTS:
        raise IllegalEvent(f"nothing is aborted in state {host.state}")
    if half.state not in ALIVE or half.state == "PRE_ESTABLISHED":
        raise IllegalEvent(f"no MP_FASTCLOSE is sent in state {half.state}")
    if event.reset and not turn.version:
        raise IllegalEvent("MP_FASTCLOSE on a RST is of version 1")
    flip = turn.settings.deviations[role].fastclose_key_flip
    option = MpFastclose(key=turn.settings.keys[1 - role] ^ flip)
    why = MpTcprst(reason=event.reason) if event.reason is not None and event.reset else None
    if event.reset:
        for other in _living(turn, role):
            turn.send(other, role, RST | ACK, option, why)
        turn.took("C29" if waits else "C26")
        _close_all(turn, role, "M_CLOSED")
        return
    turn.send(number, role, ACK, option)
    if waits:
        turn.took("C29")
        return
    for other in _living(turn, role):
        if other != number:
            turn.send(other, role, RST | ACK)
    turn.took("C25")
    _close_all(turn, role, "M_FASTCLOSE_WAIT", keep=number)


def _living(turn: Turn, role: int) -> list[int]:
    """Subflows of which the peer may know."""
    return [
        number
        for number, halves in enumerate(turn.halves)
        if halves[role].state in ALIVE or halves[role].state == "SYN_RCVD"
    ]


def _close_all(turn: Turn, role: int, state: str, keep: int | None = None) -> None:
    """All halves of a host end, except perhaps one."""
    for number, halves in enumerate(turn.halves):
        half = halves[role]
        if number != keep and half.state not in ("CLOSED", "GONE", "LISTEN"):
            if turn.paths[number].outcome == "unanswered":
                turn.path(number, outcome="refused")
            turn.half(number, role, state="CLOSED", ahead=None, records=(), owed=False)
            turn.took("S17")
    turn.host(role, state=state, aborted=True, owed=False, orphans=(), echoes=())


def key_of(segment: Sent) -> int | None:
    """The key of a segment's MP_FASTCLOSE."""
    for option in segment.options:
        if isinstance(option, MpFastclose):
            return option.key
    return None


def fast_close_arrives(turn: Turn, segment: Sent) -> bool:
    """A host gets an MP_FASTCLOSE; whether that ended its connection.

    One with a wrong key has no effect. The subflow on which a RST came needs no answer.
    """
    subflow, role = segment.subflow, 1 - segment.host
    state = turn.hosts[role].state
    waits = state == "M_FASTCLOSE_WAIT"
    if key_of(segment) != turn.settings.keys[role]:
        return False
    if not waits and state not in ABORTS and state not in ANSWERS:
        return False
    reset = bool(segment.flags & RST)
    for other in _living(turn, role):
        if not (reset and other == subflow):
            turn.send(other, role, RST | ACK)
    turn.took("C28" if waits else "C31" if reset else "C30")
    _close_all(turn, role, "M_CLOSED")
    return True
