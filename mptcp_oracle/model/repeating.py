"""TCP retransmission: SYN, SYN/ACK, third packet, payload, FIN (RFC 8684 section 3.3.6)."""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.model import closing, handshake, joining
from mptcp_oracle.model.events import Retransmit
from mptcp_oracle.model.sending import emit
from mptcp_oracle.model.trace import Mapping, Range
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import JOINING, PLAIN, Half, Record

__all__ = ["retransmit"]

AGAIN = frozenset(("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING", "LAST_ACK"))


def retransmit(turn: Turn, event: Retransmit) -> None:
    """What a host sent last and got no answer for, or payload."""
    role, number = event.host, event.subflow
    half = turn.halves[number][role]
    if number and half.state in JOINING and turn.hosts[role].state in PLAIN:
        raise IllegalEvent("a connection that fell back is not joined any more")
    if half.state == "SYN_SENT":
        if event.plain:
            if number or turn.hosts[0].state == "TCP":
                raise IllegalEvent("only the initial SYN can do without MP_CAPABLE, and once")
            handshake.give_up(turn)
        (joining.syn(turn, number) if number else handshake.syn(turn))
        turn.took("S24")
    elif half.state == "SYN_RCVD":
        (joining.synack(turn, number) if number else handshake.synack(turn))
        turn.took("S25")
    elif half.state == "PRE_ESTABLISHED":
        joining.third(turn, number)
        turn.took("S08")
    elif half.state not in AGAIN:
        raise IllegalEvent(f"nothing is sent again in state {half.state}")
    elif event.sequence == half.fin:
        if half.snd_una > half.fin:
            raise IllegalEvent("the FIN was acknowledged")
        closing.fin(turn, number, role, event.data_ack)
        turn.took("S26")
    else:
        _payload(turn, event, half)


def _payload(turn: Turn, event: Retransmit, half: Half) -> None:
    records = [each for each in half.records if each.end > event.sequence]
    if not records or records[0].sequence > event.sequence:
        raise IllegalEvent("there is no such payload to send again")
    end = records[0].end if event.octets is None else event.sequence + event.octets
    records = [each for each in records if each.sequence < end]
    if end <= half.snd_una or end <= event.sequence or records[-1].end < end:
        raise IllegalEvent("it was acknowledged, or never sent")
    octets = records[0].payload
    if any(each.payload is not None for each in records) and end - event.sequence > 1:
        raise IllegalEvent("a window probe is sent again alone")
    mapping = _mapping(half, records, event.sequence, end)
    if event.fin:
        if records[0].last and not (mapping and mapping.fin):
            raise IllegalEvent("the FIN went without the DATA_FIN")
        mapping = _with_fin(turn, event, mapping)
    ranges = tuple(
        _cut(each, event.sequence, end)
        for record in records
        for each in record.ranges
        if each.sequence < end and each.sequence + each.octets > event.sequence
    )
    whole = len(records) == 1 and (records[0].sequence, records[0].end) == (event.sequence, end)
    turn.took("D10" if len(records) > 1 else "D23" if whole else "D11")
    emit(
        turn, event.subflow, event.host, _joined(ranges), mapping, dsn=event.dsn,
        data_ack=event.data_ack, again=True, copied=whole, octets=octets,
        last=whole and records[0].last,
    )  # fmt: skip


def _mapping(half: Half, records: list[Record], first: int, last: int) -> Mapping | None:
    """The mapping that goes with octets that are sent again.

    That of the segment they were on, if it applies to any of them; several segments are merged
    only under one mapping.
    """
    mapping = records[0].mapping
    if mapping is not None and not _applies(mapping, first, last):
        mapping = None
    if len(records) > 1:
        mapping = mapping or next((each.mapping for each in records if each.mapping), None)
        if mapping is None or not (
            mapping.sequence <= first and last <= mapping.sequence + mapping.octets
        ):
            raise IllegalEvent("one segment cannot carry the mappings of both")
    elif mapping is None and not half.confirmed:
        for other in (each for one in half.records for each in (one.mapping, one.before)):
            if other is not None and not other.infinite and _applies(other, first, last):
                mapping = other
    return mapping


def _applies(mapping: Mapping, first: int, last: int) -> bool:
    if mapping.infinite:
        return mapping.sequence < last
    return mapping.sequence < last and first < mapping.sequence + mapping.octets


def _with_fin(turn: Turn, event: Retransmit, mapping: Mapping | None) -> Mapping:
    """The mapping with the DATA_FIN that was sent since it was announced."""
    host = turn.hosts[event.host]
    if (
        mapping is None
        or host.fin != mapping.dsn + mapping.octets
        or (mapping.by_capable and not host.peer_knows)
    ):
        raise IllegalEvent("the DATA_FIN does not follow this mapping")
    if not mapping.fin:
        turn.took("D22")
    return replace(mapping, fin=True, by_capable=False)


def _cut(each: Range, first: int, last: int) -> Range:
    start, end = max(each.sequence, first), min(each.sequence + each.octets, last)
    dsn = None if each.dsn is None else each.dsn + start - each.sequence
    return Range(sequence=start, octets=end - start, dsn=dsn, cause="retransmission")


def _joined(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Ranges with those merged that go on in both number spaces."""
    merged: list[Range] = []
    for each in ranges:
        last = merged[-1] if merged else None
        if last is not None and last.dsn is not None and each.dsn == last.dsn + last.octets:
            merged[-1] = replace(last, octets=last.octets + each.octets)
        else:
            merged.append(each)
    return tuple(merged)
