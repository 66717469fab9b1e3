"""Windows and probes: an application that does not read, and hosts that ask (3.3.4, 3.3.5)."""

from __future__ import annotations

from mptcp_oracle.model.events import KeepAlive, Probe, Read, Stall
from mptcp_oracle.model.sending import bound, emit
from mptcp_oracle.model.settings import content
from mptcp_oracle.model.signalling import SPEAKS
from mptcp_oracle.model.trace import ACK, Range
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import CAN_SEND, DATA_OUT, Half, Host

__all__ = ["keep_alive", "may_keep_alive", "may_probe", "probe", "read", "stall"]


def stall(turn: Turn, event: Stall) -> None:
    """The application stops reading."""
    if turn.hosts[event.host].stalled:
        raise IllegalEvent("it does not read anyway")
    turn.host(event.host, stalled=True)
    turn.took("D24")


def read(turn: Turn, event: Read) -> None:
    """The application reads all there is, and the peer is told."""
    role, number = event.host, event.subflow
    host = turn.hosts[role]
    if not host.stalled or turn.halves[number][role].state not in SPEAKS:
        raise IllegalEvent("there is no window to open, or no subflow to say so")
    turn.host(role, stalled=event.stays, edge=host.rcv_nxt + turn.settings.buffers[role])
    turn.ack(number, role, width=event.data_ack)
    turn.took("D25")


def may_probe(host: Host, half: Half) -> bool:
    """Whether a host may probe a closed window on a half."""
    return (
        host.limit <= host.snd_nxt
        and host.snd_una == host.snd_nxt > 1
        and host.state in DATA_OUT
        and half.state in CAN_SEND
        and half.ahead is None
    )


def probe(turn: Turn, event: Probe) -> None:
    """One octet under an old DSN, with the value of the next one (as Linux does)."""
    role, number = event.host, event.subflow
    host, half = turn.hosts[role], turn.halves[number][role]
    if not may_probe(host, half) or (role == number == 0 and bound(turn)):
        raise IllegalEvent("the window is not closed, or data is outstanding")
    dsn = host.snd_una - 1
    mapping = turn.mapping(role, sequence=half.snd_nxt, dsn=dsn, octets=1)
    piece = Range(sequence=half.snd_nxt, octets=1, dsn=dsn, cause="probe")
    octets = content(turn.settings.seed, role, host.snd_nxt, 1)
    emit(
        turn, number, role, (piece,), mapping, dsn=event.dsn, data_ack=event.data_ack,
        octets=octets,
    )  # fmt: skip
    turn.took("D26")


def may_keep_alive(half: Half) -> bool:
    """Whether a host may send a keep-alive probe on a half."""
    return half.state in CAN_SEND and half.snd_una == half.snd_nxt


def keep_alive(turn: Turn, event: KeepAlive) -> None:
    """An ACK with an old sequence number, which has to be answered."""
    role, number = event.host, event.subflow
    half = turn.halves[number][role]
    if not may_keep_alive(half):
        raise IllegalEvent("the subflow is not idle")
    width = turn.width(number, role, event.data_ack)
    option, relative = turn.dss(role, width)
    turn.send(number, role, ACK, option, sequence=half.snd_nxt - 1, data_ack=relative)
    turn.took("S27")
