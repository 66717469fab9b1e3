"""Fallback to plain TCP, and what a middlebox does to bring it about (RFC 8684 section 3.7)."""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.model import closing, joining, sending
from mptcp_oracle.model.events import Alter
from mptcp_oracle.model.trace import ACK, RST, Mapping, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import ALIVE, MPTCP
from mptcp_oracle.options import MpFail, MpTcprst

__all__ = ["alter", "checksum_fails", "corrupted", "fail_arrives", "infinite_arrives",
           "unacknowledged", "unmapped_arrives"]  # fmt: skip


def alter(turn: Turn, event: Alter) -> None:
    """A middlebox changes a segment in flight; what the labels say changes with it."""
    for at, segment in enumerate(turn.flight):
        if segment.number == event.number:
            turn.flight[at] = _altered(segment, event)
            turn.took("N03" if event.octet is None else "N04")
            return
    raise IllegalEvent(f"no segment {event.number} is in flight")


def _altered(segment: Sent, event: Alter) -> Sent:
    if event.octet is None:
        if not segment.options:
            raise IllegalEvent("the segment has no option to strip")
        return replace(segment, options=(), mapping=None, data_ack=None)
    if not 0 <= event.octet < len(segment.payload):
        raise IllegalEvent("the segment has no such octet of payload")
    octets = bytearray(segment.payload)
    octets[event.octet] ^= event.flip or 1
    mapping, place = segment.mapping, segment.sequence + event.octet
    if mapping is not None and mapping.checksum and _covers(mapping, place):
        mapping = replace(mapping, checksum=False)
    return replace(segment, payload=bytes(octets), mapping=mapping)


def _covers(mapping: Mapping, sequence: int) -> bool:
    return mapping.sequence <= sequence < mapping.sequence + mapping.octets


def lone(turn: Turn, subflow: int) -> bool:
    """Whether this is the initial subflow, and there never was another."""
    return subflow == 0 and all(path.outcome != "established" for path in turn.paths[1:])


def fell(turn: Turn, role: int, state: str) -> None:
    """A host leaves MPTCP: ``M_INF`` while it still has to say so, else ``TCP``."""
    turn.host(role, state=state, owed=False, echoes=())


def unacknowledged(turn: Turn, subflow: int, role: int) -> None:
    """Own data was acknowledged without a DATA_ACK, before any DATA_ACK (C10, S10)."""
    if lone(turn, subflow):
        turn.took("C10")
        fell(turn, role, "M_INF")
    else:
        turn.took("S10")
        joining.reset(turn, subflow, role, 6)
        closing.end(turn, subflow, role)


def unmapped_arrives(turn: Turn, segment: Sent) -> bool:
    """Payload in order that no mapping covers (C11, S11); whether the subflow lives on."""
    subflow, role = segment.subflow, 1 - segment.host
    if lone(turn, subflow) and turn.hosts[role].state == "M_ESTAB_NEW":
        turn.took("C11")
        turn.shows("no_mapping", segment.number)
        fell(turn, role, "TCP")
        return True
    turn.took("S11")
    joining.reset(turn, subflow, role, 6)
    closing.end(turn, subflow, role)
    return False


def corrupted(turn: Turn, segment: Sent) -> bool:
    """Whether the payload is not what its sender sent."""
    dsn = segment.ranges[0].dsn
    if len(segment.payload) == 1 and dsn and dsn < turn.hosts[1 - segment.host].rcv_nxt:
        return False  # perhaps a window probe, whose value is another octet's
    own = sending.payload(turn, segment.subflow, segment.host, segment.ranges)
    return own != segment.payload


def checksum_fails(turn: Turn, subflow: int, role: int, mapping: Mapping) -> None:
    """A mapping whose checksum is wrong: MP_FAIL (C32, S13)."""
    host = turn.hosts[role]
    option = MpFail(dsn=turn.absolute(1 - role, mapping.dsn))
    alive = sum(halves[role].state in ALIVE for halves in turn.halves)
    contiguous = not host.received and mapping.dsn == host.rcv_nxt
    if alive == 1 and contiguous and host.state in ("M_ESTAB_NEW", "M_ESTAB"):
        turn.took("C32")
        turn.host(role, state="M_FAIL_SENT", failed=mapping.dsn)
        turn.ack(subflow, role, option, width=4)
        return
    turn.took("S13")
    why = MpTcprst(reason=6) if turn.version else None
    turn.send(subflow, role, RST | ACK, option, why)
    closing.end(turn, subflow, role)


def fail_arrives(turn: Turn, segment: Sent) -> None:
    """An MP_FAIL on an ACK (C33, C38)."""
    subflow, role = segment.subflow, 1 - segment.host
    host = turn.hosts[role]
    if segment.flags & RST or host.state not in MPTCP:
        return
    if host.state == "M_FAIL_SENT":
        turn.took("C38")
        fell(turn, role, "M_INF")
        return
    if sum(halves[role].state in ALIVE for halves in turn.halves) != 1:
        return
    turn.took("C33")
    if turn.version:
        option = MpFail(dsn=turn.absolute(1 - role, host.rcv_nxt))
        turn.ack(subflow, role, option, width=4)
    fell(turn, role, "M_INF")


def infinite_arrives(turn: Turn, subflow: int, role: int) -> None:
    """An infinite mapping: no DATA_ACK from now on (C34, C36)."""
    state = turn.hosts[role].state
    if state not in MPTCP:
        return
    turn.took("C34" if state == "M_FAIL_SENT" else "C36")
    turn.half(subflow, role, owed=True)
    fell(turn, role, "M_INF")
