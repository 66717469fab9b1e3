"""Data of hosts that have left MPTCP (RFC 8684 section 3.7)."""

from __future__ import annotations

from mptcp_oracle.model.events import Send
from mptcp_oracle.model.sending import emit, offered
from mptcp_oracle.model.trace import Mapping, Range
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import CAN_SEND, Half, Host

__all__ = ["send"]


def send(turn: Turn, event: Send) -> None:
    """Data of a host that has left MPTCP; the first says so by an infinite mapping (C35)."""
    role, number = event.host, event.subflow
    host, half = turn.hosts[role], turn.halves[number][role]
    if half.state not in CAN_SEND or host.fin is not None or event.fin or event.ahead:
        raise IllegalEvent("nothing can be sent, or not in plain TCP")
    if event.octets < 1 or half.snd_nxt + event.octets > half.limit:
        raise IllegalEvent("the peer's window does not allow it, or there is no payload")
    mapping = None
    if host.state == "M_INF":
        mapping = _infinite(turn, event, host, half)
        half = turn.half(number, role, infinite=mapping, ahead=None)
        host = turn.host(role, state="TCP")
        turn.took("C35")
    ranges = _plain_ranges(half, event.octets)
    last = ranges[-1]
    if last.dsn is not None and last.dsn + last.octets > host.snd_nxt:
        turn.host(role, snd_nxt=last.dsn + last.octets)
    if half.ahead is not None:
        left = half.ahead.sequence + half.ahead.octets - half.snd_nxt
        turn.half(number, role, ahead=half.ahead if event.octets < left else None)
    turn.took("D28")
    segment = emit(
        turn, number, role, offered(turn, number, role, ranges), mapping, dsn=event.dsn,
        data_ack=0, push=event.push, last=event.last,
    )  # fmt: skip
    if mapping is not None:
        turn.shows("infinite_mapping", segment.number)


def _plain_ranges(half: Half, octets: int) -> tuple[Range, ...]:
    """Payload after a fallback: under the infinite mapping, one announced before it, or none."""
    start, under = half.snd_nxt, half.infinite or half.ahead
    if under is None:
        return (Range(sequence=start, octets=octets, dsn=None, cause="unmapped"),)
    covered = octets
    if not under.infinite:
        covered = min(octets, under.sequence + under.octets - start)
    first = Range(sequence=start, octets=covered, dsn=under.dsn + start - under.sequence)
    if covered == octets:
        return (first,)
    rest = octets - covered
    return (
        first,
        Range(sequence=start + covered, octets=rest, dsn=None, cause="unmapped"),
    )


def _infinite(turn: Turn, event: Send, host: Host, half: Half) -> Mapping:
    """The infinite mapping of a host: from the last data that arrived intact, or from here on."""
    sequence, dsn = half.snd_nxt, host.snd_nxt
    if half.ahead is not None:
        dsn = half.ahead.dsn + sequence - half.ahead.sequence
    intact = half.intact
    if event.repeat and intact is not None and intact[1] - intact[0] == dsn - sequence:
        sequence, dsn = intact
    return Mapping(
        sequence=sequence,
        dsn=dsn,
        octets=0,
        infinite=True,
        checksum=True if turn.checksum else None,
    )
