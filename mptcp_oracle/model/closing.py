"""Closing: DATA_FIN, and FIN and RST of subflows (RFC 8684 section 3.3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from mptcp_oracle.model import plain, sending
from mptcp_oracle.model.events import Close, Finish, Reset, Send
from mptcp_oracle.model.sending import announced
from mptcp_oracle.model.trace import ACK, FIN, RST, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import (
    ALIVE,
    BOTH_ENDED,
    CAN_SEND,
    DATA_OUT,
    ENDED,
    MPTCP,
    PLAIN,
    Half,
    Host,
    added,
)
from mptcp_oracle.options import MpTcprst

__all__ = ["close", "data_fin_reached", "end", "fin", "fin_acknowledged", "fin_arrives",
           "fin_reached", "finish", "may_combine", "may_end", "may_reset", "reset",
           "reset_arrives", "send", "stray"]  # fmt: skip

DONE = frozenset(("M_TIME_WAIT", "M_CLOSED"))
"""States in which the subflows are no longer needed."""

OVER = frozenset(("CLOSED", "GONE", "TIME_WAIT", "LISTEN"))
"""States of halves that hold no connection open."""

_SENT = {"M_ESTAB_NEW": ("C12", "M_FIN_WAIT_1"), "M_ESTAB": ("C12", "M_FIN_WAIT_1"),
         "M_CLOSE_WAIT": ("C19", "M_LAST_ACK")}  # fmt: skip
_HEARD = {"M_ESTAB_NEW": ("C13", "M_CLOSE_WAIT"), "M_ESTAB": ("C13", "M_CLOSE_WAIT"),
          "M_FIN_WAIT_1": ("C15", "M_CLOSING"), "M_FIN_WAIT_2": ("C17", "M_TIME_WAIT")}  # fmt: skip
_ACKED = {"M_FIN_WAIT_1": ("C14", "M_FIN_WAIT_2"), "M_CLOSING": ("C18", "M_TIME_WAIT"),
          "M_LAST_ACK": ("C20", "M_CLOSED")}  # fmt: skip
_FIN_SENT = {"ESTABLISHED": "FIN_WAIT_1", "CLOSE_WAIT": "LAST_ACK"}
_FIN_HEARD = {"ESTABLISHED": "CLOSE_WAIT", "FIN_WAIT_1": "CLOSING", "FIN_WAIT_2": "TIME_WAIT"}
_FIN_ACKED = {"FIN_WAIT_1": "FIN_WAIT_2", "CLOSING": "TIME_WAIT", "LAST_ACK": "CLOSED"}


def finish(turn: Turn, event: Finish) -> None:
    """A DATA_FIN alone: the first, or once more, on any subflow that lives."""
    role, number = event.host, event.subflow
    host, half = turn.hosts[role], turn.halves[number][role]
    if half.state not in ALIVE or half.state in ("PRE_ESTABLISHED", "TIME_WAIT"):
        raise IllegalEvent(f"no DATA_FIN is sent in state {half.state}")
    if host.fin is None:
        if host.state not in DATA_OUT or host.orphans or announced(turn, role):
            raise IllegalEvent("data before the DATA_FIN was not sent yet")
        transition, state = _SENT[host.state]
        turn.took(transition)
        host = turn.host(role, state=state, fin=host.snd_nxt, snd_nxt=host.snd_nxt + 1)
    elif host.state not in MPTCP or host.snd_una > host.fin:
        raise IllegalEvent("the DATA_FIN was acknowledged")
    else:
        turn.took("C22")
    flags = ACK
    if event.fin:
        halves = [each[role] for each in turn.halves]
        if half.state not in CAN_SEND or not may_combine(host, halves, number):
            raise IllegalEvent("a DATA_FIN goes with a FIN only if nothing else is outstanding")
        flags |= FIN
    assert host.fin is not None
    mapping = turn.mapping(role, sequence=0, dsn=host.fin, octets=0, fin=True)
    width = turn.width(number, role, event.data_ack, mapped=True)
    option, relative = turn.dss(role, width, mapping, event.dsn, number)
    turn.send(number, role, flags, option, mapping=mapping, data_ack=relative)
    if event.fin:
        turn.took("D09")
        _fin_sent(turn, number, role)


def may_combine(host: Host, halves: Sequence[Half], number: int) -> bool:
    """Whether a DATA_FIN may go with the FIN of a subflow (3.3.3).

    Nothing may be outstanding on the host's other subflows; and nothing at all but the segment
    itself, if no other one is left.
    """
    una, others = host.snd_una, [half for at, half in enumerate(halves) if at != number]
    if any(_outstanding(half, una) for half in others):
        return False
    left = any(half.state in CAN_SEND for half in others)
    return left or una >= (host.snd_nxt if host.fin is None else host.fin)


def _outstanding(half: Half, una: int) -> bool:
    if half.state not in ENDED:
        return bool(half.records)
    return any(
        each.dsn is not None and each.dsn + each.octets > una
        for record in half.records
        for each in record.ranges
    )


def may_end(host: Host, others: bool) -> bool:
    """Whether a host may end a subflow, if it has others that work or not (3.3.3)."""
    if others or host.state in DONE or host.state not in MPTCP:
        return True
    done = host.fin if host.fin is not None else host.snd_nxt
    return host.snd_una >= done and not host.orphans


def may_reset(host: Host, half: Half) -> bool:
    """Whether a host may reset a subflow rather than close it by FIN, as far as DATA_FINs go.

    After them only what has leftover data may be reset (3.3.3).
    """
    return (
        host.state not in BOTH_ENDED
        or half.state == "PRE_ESTABLISHED"
        or any(each.end > half.snd_una for each in half.records)
    )


def send(turn: Turn, event: Send) -> None:
    """New data, perhaps on the FIN of its subflow."""
    if event.last:
        role, number = event.host, event.subflow
        if event.fin:
            halves = [each[role] for each in turn.halves]
            ends = may_combine(turn.hosts[role], halves, number)
        else:
            ends = turn.others(number, role, CAN_SEND)
        if event.ahead or not (ends or turn.hosts[role].state in PLAIN):
            raise IllegalEvent("this is the last subflow, and its data would be outstanding")
    (plain.send if turn.hosts[event.host].state in PLAIN else sending.send)(turn, event)
    if event.last:
        if turn.halves[event.subflow][event.host].ahead is not None:
            raise IllegalEvent("octets that were announced would be left")
        _fin_sent(turn, event.subflow, event.host)
        turn.took("S40")


def close(turn: Turn, event: Close) -> None:
    """A FIN ends a host's half of a subflow."""
    role, number = event.host, event.subflow
    half = turn.halves[number][role]
    if half.state not in CAN_SEND or half.ahead is not None:
        raise IllegalEvent(f"no FIN is sent in state {half.state}, or before announced data")
    if not may_end(turn.hosts[role], turn.others(number, role, CAN_SEND)):
        raise IllegalEvent("data is outstanding, and this is the last subflow")
    fin(turn, number, role, event.data_ack)
    _fin_sent(turn, number, role)


def fin(turn: Turn, subflow: int, role: int, data_ack: int) -> None:
    """The FIN, for the first time or again."""
    half = turn.halves[subflow][role]
    width = turn.width(subflow, role, data_ack)
    option, relative = turn.dss(role, width)
    sequence = half.snd_nxt if half.fin is None else half.fin
    again = half.fin is not None
    turn.send(subflow, role, FIN | ACK, option, sequence=sequence, data_ack=relative, copied=again)


def _fin_sent(turn: Turn, subflow: int, role: int) -> None:
    half = turn.halves[subflow][role]
    turn.half(
        subflow, role, state=_FIN_SENT[half.state], fin=half.snd_nxt, snd_nxt=half.snd_nxt + 1
    )
    turn.took("S15")


def fin_arrives(turn: Turn, subflow: int, role: int, sequence: int) -> None:
    """The peer's FIN is on record; it counts once everything before it came."""
    half = turn.halves[subflow][role]
    if half.fin_heard is None:
        turn.half(subflow, role, fin_heard=sequence, owed=True)
    else:
        turn.half(subflow, role, owed=True)


def fin_reached(turn: Turn, subflow: int, role: int) -> None:
    """The peer's half ends once everything before its FIN came."""
    half = turn.halves[subflow][role]
    if half.fin_heard is None or half.rcv_nxt != half.fin_heard:
        return
    state = _FIN_HEARD.get(half.state, half.state)
    turn.half(subflow, role, rcv_nxt=half.rcv_nxt + 1, state=state, owed=True)
    turn.took("S21")
    ended(turn, role)


def fin_acknowledged(turn: Turn, subflow: int, role: int) -> None:
    """The own FIN was acknowledged."""
    half = turn.halves[subflow][role]
    if half.fin is None or half.snd_una <= half.fin or half.state not in _FIN_ACKED:
        return
    turn.half(subflow, role, state=_FIN_ACKED[half.state])
    turn.took("S38")
    ended(turn, role)


def data_fin_reached(turn: Turn, role: int) -> None:
    """DATA_FINs that were acknowledged, or that nothing is missing before (C13 to C20)."""
    host = turn.hosts[role]
    if host.state not in MPTCP:
        return
    acked = host.fin is not None and host.snd_una > host.fin
    first = acked and host.state in _ACKED
    heard = host.fin_heard is not None and host.rcv_nxt == host.fin_heard
    if heard:
        edge = host.edge if host.stalled else host.edge + 1
        host = turn.host(role, rcv_nxt=host.rcv_nxt + 1, owed=True, edge=edge)
    if first and heard and host.state == "M_FIN_WAIT_1":
        turn.took("C16")
        turn.host(role, state="M_TIME_WAIT")
    else:
        if first:
            transition, state = _ACKED[host.state]
            turn.took(transition)
            host = turn.host(role, state=state)
        if heard and host.state in _HEARD:
            transition, state = _HEARD[host.state]
            turn.took(transition)
            turn.host(role, state=state)
    if first or heard:
        ended(turn, role)


def ended(turn: Turn, role: int) -> None:
    """What follows for a connection when a subflow of its host may have been the last."""
    if any(halves[role].state not in OVER for halves in turn.halves):
        return
    state = turn.hosts[role].state
    if state == "M_TIME_WAIT":
        turn.took("C21")
        turn.host(role, state="M_CLOSED")
    elif state in MPTCP:
        turn.took("C24")


def end(turn: Turn, subflow: int, role: int, state: str = "CLOSED") -> None:
    """A half is closed, or gone; what it announced and did not send is free for other subflows."""
    half, host = turn.halves[subflow][role], turn.hosts[role]
    if half.ahead is not None:
        first = half.ahead.dsn + half.snd_nxt - half.ahead.sequence
        last = half.ahead.dsn + half.ahead.octets
        turn.host(role, orphans=added(host.orphans, first, last))
    turn.half(subflow, role, state=state, ahead=None, owed=False)
    ended(turn, role)


def reset(turn: Turn, event: Reset) -> None:
    """A host resets a subflow."""
    role, number = event.host, event.subflow
    state = turn.halves[number][role].state
    if state not in ALIVE:
        raise IllegalEvent("there is nothing to reset")
    others = state == "PRE_ESTABLISHED" or turn.others(number, role, CAN_SEND)
    if not may_end(turn.hosts[role], others):
        raise IllegalEvent("data is outstanding, and this is the last subflow")
    if not may_reset(turn.hosts[role], turn.halves[number][role]):
        raise IllegalEvent("once the DATA_FINs were exchanged, FINs end what has no data left")
    why = None
    if event.reason is not None:
        if not turn.version or turn.hosts[role].state in PLAIN:
            raise IllegalEvent("MP_TCPRST is an option of MPTCP version 1")
        why = MpTcprst(reason=event.reason, flags=int(event.transient))
    turn.send(number, role, RST | ACK, why)
    turn.took("S18")
    end(turn, number, role)


def reset_arrives(turn: Turn, segment: Sent) -> None:
    """A RST that lies in the window ends the subflow (S14)."""
    subflow, role = segment.subflow, 1 - segment.host
    half = turn.halves[subflow][role]
    if half.state == "SYN_SENT":
        if segment.ack != half.snd_nxt:
            return
        turn.path(subflow, outcome=_refused(turn, subflow))
        turn.took("S22")
    elif not half.rcv_nxt <= segment.sequence <= half.rcv_nxt + 65_535:
        return
    else:
        if half.state in ("SYN_RCVD", "PRE_ESTABLISHED"):
            turn.path(subflow, outcome=_refused(turn, subflow))
        turn.took("S14")
    end(turn, subflow, role)
    if turn.hosts[role].state == "M_FASTCLOSE_WAIT":
        turn.took("C27")
        turn.host(role, state="M_CLOSED")


def _refused(turn: Turn, subflow: int) -> str:
    outcome = turn.paths[subflow].outcome
    return outcome if outcome == "invalid" else "refused"


def stray(turn: Turn, segment: Sent) -> None:
    """A segment for a half that is closed is answered by a RST (RFC 9293)."""
    subflow, role = segment.subflow, 1 - segment.host
    if segment.flags & RST:
        return
    turn.took("S23")
    if segment.ack is None:
        turn.send(subflow, role, RST | ACK, sequence=0)
        return
    turn.send(subflow, role, RST, sequence=segment.ack)
