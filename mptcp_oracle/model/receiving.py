"""Receiving: what a host does at once with a segment that reached it."""

from __future__ import annotations

from mptcp_oracle.model import aborting, closing, falling, handshake, joining, signalling
from mptcp_oracle.model.events import Deliver, Lose, Repeat
from mptcp_oracle.model.trace import FIN, RST, SYN, Mapping, Sent
from mptcp_oracle.model.turn import Turn
from mptcp_oracle.model.world import DATA_OUT, ENDED, JOINING, MPTCP, PLAIN, Half, added, changed
from mptcp_oracle.options import Dss, MpCapable, MpFail, MpJoinAck

__all__ = ["deliver", "lose", "repeat"]


def deliver(turn: Turn, event: Deliver) -> None:
    """A segment arrives."""
    _arrive(turn, turn.take(event.number), event)


def repeat(turn: Turn, event: Repeat) -> None:
    """A segment arrives, and another copy of it stays on its way."""
    segment = turn.take(event.number)
    turn.flight.append(segment)
    turn.took("N01")
    _arrive(turn, segment, Deliver(number=event.number))


def lose(turn: Turn, event: Lose) -> None:
    """A segment is lost."""
    turn.take(event.number)
    turn.took("N02")


def _arrive(turn: Turn, segment: Sent, event: Deliver) -> None:
    subflow, role, flags = segment.subflow, 1 - segment.host, segment.flags
    state = turn.halves[subflow][role].state
    if state == "LISTEN":
        if flags & SYN:
            if subflow:
                joining.syn_arrives(turn, segment, event)
            else:
                handshake.syn_arrives(turn, segment)
    elif state in ENDED:
        if state == "CLOSED":
            closing.stray(turn, segment)
    elif aborting.key_of(segment) is not None and aborting.fast_close_arrives(turn, segment):
        pass
    elif flags & RST:
        closing.reset_arrives(turn, segment)
    elif turn.hosts[role].state == "M_FASTCLOSE_WAIT":
        turn.took("D27")
    elif state == "SYN_SENT":
        if flags & SYN and segment.ack is not None:
            if subflow:
                joining.synack_arrives(turn, segment)
            else:
                handshake.synack_arrives(turn, segment, event)
    elif flags & SYN:
        _syn_again(turn, segment)
    else:
        arrives = True
        if state == "SYN_RCVD" and subflow:
            arrives = joining.third_arrives(turn, segment, event)
        elif state == "SYN_RCVD":
            arrives = handshake.third_arrives(turn, segment)
        if arrives:
            _established(turn, segment, event, state)


def _syn_again(turn: Turn, segment: Sent) -> None:
    """A SYN or SYN/ACK that was answered before."""
    subflow, role = segment.subflow, 1 - segment.host
    state = turn.halves[subflow][role].state
    if subflow and state in JOINING and turn.hosts[role].state in PLAIN:
        return  # a connection that fell back is not joined any more
    if segment.ack is None:
        if state == "SYN_RCVD" and subflow:
            joining.synack(turn, subflow)
        elif state == "SYN_RCVD":
            handshake.syn_again(turn, segment)
        else:
            turn.half(subflow, role, owed=True)
    elif state == "PRE_ESTABLISHED":
        joining.third(turn, subflow)
    elif not subflow:
        handshake.synack_again(turn)
    else:
        turn.half(subflow, role, owed=True)


def _established(turn: Turn, segment: Sent, event: Deliver, before: str) -> None:
    subflow, role = segment.subflow, 1 - segment.host
    if before == "PRE_ESTABLISHED":
        turn.half(subflow, role, state="ESTABLISHED")
        turn.took("S09")
    elif before == "ESTABLISHED" and any(isinstance(each, MpJoinAck) for each in segment.options):
        turn.ack(subflow, role, width=event.data_ack)
    _acknowledged(turn, segment)
    if turn.halves[subflow][role].state == "CLOSED":
        return
    if turn.hosts[role].state in MPTCP:
        _signals(turn, segment)
    half = turn.halves[subflow][role]
    end = segment.sequence + len(segment.payload)
    if segment.payload:
        _payload(turn, segment, half, end)
    elif segment.sequence < half.rcv_nxt:
        turn.half(subflow, role, owed=True)
    if segment.flags & FIN:
        closing.fin_arrives(turn, subflow, role, end)
    closing.fin_reached(turn, subflow, role)
    closing.data_fin_reached(turn, role)


def _acknowledged(turn: Turn, segment: Sent) -> None:
    """What the peer acknowledges, on the subflow and of the whole stream."""
    subflow, role = segment.subflow, 1 - segment.host
    half, host, ack, data_ack = (
        turn.halves[subflow][role], turn.hosts[role], segment.ack, segment.data_ack,
    )  # fmt: skip
    if ack is None:
        return
    changes: dict[str, object] = {}
    if ack >= half.snd_una:
        if ack > half.snd_una:
            changes["snd_una"] = ack
        if ack + segment.window != half.limit:
            changes["limit"] = ack + segment.window
    if data_ack is not None and not half.confirmed and half.records:
        first = half.records[0].ranges[0]
        if ack > first.sequence and first.dsn is not None and data_ack > first.dsn:
            changes["confirmed"] = True
    lacks = (
        data_ack is None
        and not half.confirmed
        and not segment.options
        and bool(half.records)
        and host.state in DATA_OUT
        and ack > half.records[0].sequence
        and (half.records[0].ranges[0].dsn or 0) >= host.snd_una
    )
    if changes:
        half = turn.half(subflow, role, **changes)
    if data_ack is not None and host.state in MPTCP:
        limit = max(host.limit, data_ack + segment.window)
        if data_ack > host.snd_una or limit > host.limit:
            turn.host(role, snd_una=max(data_ack, host.snd_una), limit=limit)
        _drop_records(turn, role)
    elif ack == half.snd_una and half.records and "snd_una" in changes:
        _drop_records(turn, role)
    closing.fin_acknowledged(turn, subflow, role)
    if lacks:
        falling.unacknowledged(turn, subflow, role)


def _drop_records(turn: Turn, role: int) -> None:
    """Forget what both levels acknowledged (RFC 8684 section 3.3.6)."""
    una = turn.hosts[role].snd_una
    for number, halves in enumerate(turn.halves):
        half = halves[role]
        if not half.records:
            continue
        plain = turn.hosts[role].state not in MPTCP
        closed = half.state in ENDED
        kept = tuple(
            record
            for record in half.records
            if (record.end > half.snd_una and not closed)
            or (
                not plain
                and any(
                    each.dsn is not None and each.dsn + each.octets > una for each in record.ranges
                )
            )
        )
        if len(kept) != len(half.records):
            last = half.records[len(half.records) - len(kept) - 1]
            intact = half.intact
            if not plain and last.ranges[0].dsn is not None and last.payload is None:
                intact = (last.sequence, last.ranges[0].dsn)
            turn.half(number, role, records=kept, intact=intact)


def _signals(turn: Turn, segment: Sent) -> None:
    """DSS and MP_CAPABLE with data, as far as the whole connection is concerned."""
    subflow, role = segment.subflow, 1 - segment.host
    for option in segment.options:
        if isinstance(option, Dss):
            _heard(turn, segment, wide=option.dsn_size == 8)
        elif isinstance(option, MpCapable) and option.data_length is not None:
            _heard(turn, segment, wide=True)
        elif isinstance(option, MpFail):
            falling.fail_arrives(turn, segment)
        else:
            signalling.signals_arrive(turn, segment, option)
    mapping = segment.mapping
    if mapping is None or turn.hosts[role].state not in MPTCP:
        return
    if mapping.infinite:
        falling.infinite_arrives(turn, subflow, role)
    else:
        _learn(turn, subflow, role, mapping)


def _heard(turn: Turn, segment: Sent, *, wide: bool) -> None:
    subflow, role = segment.subflow, 1 - segment.host
    host = turn.hosts[role]
    changes: dict[str, object] = {}
    if not subflow and not host.heard:
        changes["heard"] = True
    if segment.data_ack is not None and not host.peer_knows:
        changes["peer_knows"] = True
    if host.state == "M_ESTAB_NEW" and (segment.data_ack is not None or segment.payload):
        changes["state"] = "M_ESTAB"
        turn.took("C08" if segment.data_ack is not None else "C09")
    if segment.mapping is not None and wide != host.wide and (wide or _all_said(turn, role)):
        changes["wide"] = wide
    if changes:
        turn.host(role, **changes)


def _all_said(turn: Turn, role: int) -> bool:
    """Whether a host has DATA_ACKed all that reached it, and waits for no more of any mapping."""
    host = turn.hosts[role]
    return (
        host.said == host.rcv_nxt
        and not host.received
        and not any(halves[role].received or halves[role].maps for halves in turn.halves)
    )


def _learn(turn: Turn, subflow: int, role: int, mapping: Mapping) -> None:
    """Keep a mapping of the peer, and where its data ends."""
    host = turn.hosts[role]
    if mapping.fin:
        end = mapping.dsn + mapping.octets
        if host.fin_heard is None:
            turn.host(role, fin_heard=end, owed=True)
        else:
            turn.host(role, owed=True)
            turn.took("C23")
    if not mapping.octets:
        turn.half(subflow, role, owed=True)
        return
    maps = turn.halves[subflow][role].maps
    if any(mapping.sequence == each.sequence for each in maps):
        return
    if mapping.sequence + mapping.octets > turn.halves[subflow][role].rcv_nxt:
        turn.half(subflow, role, maps=(*maps, mapping))


def _payload(turn: Turn, segment: Sent, half: Half, end: int) -> None:
    """Put payload in its place on the subflow; hand on what is in order."""
    subflow, role, start = segment.subflow, 1 - segment.host, segment.sequence
    old = half.rcv_nxt
    if turn.checksum and end > old and falling.corrupted(turn, segment):
        half = turn.half(subflow, role, bad=added(half.bad, max(start, old), end))
    if end <= old:
        turn.half(subflow, role, owed=True)
        turn.took("D21")
        return
    if start > old:
        turn.half(subflow, role, owed=True, received=added(half.received, start, end))
        turn.took("D20")
        return
    received = half.received
    while received and received[0][0] <= end:
        end = max(end, received[0][1])
        received = received[1:]
    half = turn.half(subflow, role, rcv_nxt=end, received=received, owed=True)
    state = turn.hosts[role].state
    if state == "M_FAIL_SENT":
        turn.took("D29")
    elif state in MPTCP and (_mapped(half, old, end) or falling.unmapped_arrives(turn, segment)):
        _hand_on(turn, subflow, role, half, old, end)


def _mapped(half: Half, first: int, last: int) -> bool:
    """Whether mappings cover all of some octets."""
    covered = sum(
        max(0, min(each.sequence + each.octets, last) - max(each.sequence, first))
        for each in half.maps
    )
    return covered == last - first


def _hand_on(turn: Turn, subflow: int, role: int, half: Half, old: int, new: int) -> None:
    """Data in order on the subflow goes to its place in the stream.

    With checksums a mapping counts when all of it has arrived, for only then it can be checked.
    """
    kept = []
    if turn.hosts[role].state not in MPTCP:
        return
    for mapping in half.maps:
        first, last = mapping.sequence, mapping.sequence + mapping.octets
        if last > new:
            kept.append(mapping)
        if turn.checksum:
            if last > new:
                continue
            if any(low < last and first < high for low, high in half.bad):
                falling.checksum_fails(turn, subflow, role, mapping)
                return
        else:
            first, last = max(first, old), min(last, new)
        if first < last:
            dsn = mapping.dsn + first - mapping.sequence
            _accept(turn, role, dsn, dsn + last - first)
    if len(kept) != len(half.maps):
        turn.half(subflow, role, maps=tuple(kept))


def _accept(turn: Turn, role: int, first: int, last: int) -> None:
    """Data gets its place in the stream; what was there already is ignored."""
    host = turn.hosts[role]
    nxt, received = host.rcv_nxt, host.received
    if last <= nxt or any(low <= first and last <= high for low, high in received):
        turn.took("D19")
        host = turn.host(role, owed=True)
        return
    if first > nxt:
        turn.took("D18")
        turn.host(role, received=added(received, first, last), owed=True)
        return
    nxt = last
    while received and received[0][0] <= nxt:
        nxt = max(nxt, received[0][1])
        received = received[1:]
    edge = host.edge if host.stalled else max(host.edge, nxt + turn.settings.buffers[role])
    turn.hosts[role] = changed(host, rcv_nxt=nxt, received=received, edge=edge, owed=True)
