"""Sending data: new, under mappings of all shapes, and again (RFC 8684 sections 3.3.1, 3.3.6)."""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.model.events import Acknowledge, Copy, Remap, Send
from mptcp_oracle.model.settings import content, syn_octets, unmapped
from mptcp_oracle.model.trace import ACK, Mapping, Range, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import (
    ALIVE,
    CAN_SEND,
    DATA_OUT,
    MPTCP,
    PLAIN,
    Half,
    Host,
    Record,
    Spans,
    World,
    added,
)
from mptcp_oracle.options import Option

__all__ = ["acknowledge", "announced", "bound", "carried", "copy", "early", "elsewhere", "emit",
           "first_data", "fresh", "offered", "payload", "remap", "send", "shown"]  # fmt: skip


def fresh(host: Host) -> tuple[int, int]:
    """DSN of the next data that nobody has sent, and how many octets of it may follow."""
    if host.orphans:
        first, last = host.orphans[0]
        return first, last - first
    return host.snd_nxt, host.limit - host.snd_nxt


def announced(turn: Turn, role: int) -> bool:
    """Whether a host owes octets that it announced on a subflow that still works."""
    return any(halves[role].ahead is not None for halves in turn.halves)


def payload(turn: Turn, subflow: int, role: int, ranges: tuple[Range, ...]) -> bytes:
    """The octets of ranges."""
    seed = turn.settings.seed
    pieces = [
        _unmapped(turn, subflow, role, each)
        if each.dsn is None
        else content(seed, role, each.dsn, each.octets)
        for each in ranges
    ]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _unmapped(turn: Turn, subflow: int, role: int, piece: Range) -> bytes:
    """Octets under no mapping; those of a SYN that was not accepted stay what they were."""
    path, sequence = turn.paths[subflow], piece.sequence
    again = b""
    if path.offered and role == path.opener and sequence <= path.offered:
        again = syn_octets(turn.settings, path.offered)[sequence - 1 :][: piece.octets]
    rest = piece.octets - len(again)
    return again + unmapped(turn.settings.seed, subflow, role, sequence + len(again), rest)


def shown(
    turn: Turn,
    subflow: int,
    role: int,
    mapping: Mapping | None,
    dsn: int,
    data_ack: int,
    octets: bytes | None = None,
) -> tuple[Option | None, Mapping | None, int | None]:
    """The option of a segment with payload, the mapping in it, and the relative DATA_ACK."""
    if turn.hosts[role].state in PLAIN and (mapping is None or not mapping.infinite):
        return None, None, None
    if mapping is not None and mapping.by_capable:
        if not turn.hosts[role].peer_knows and not mapping.fin:
            return turn.capable(role, "data", mapping), mapping, None
        mapping = replace(mapping, by_capable=False)
    width = turn.width(subflow, role, data_ack, mapped=mapping is not None)
    option, relative = turn.dss(role, width, mapping, dsn, subflow, octets)
    return option, mapping, relative


def emit(
    turn: Turn,
    subflow: int,
    role: int,
    ranges: tuple[Range, ...],
    mapping: Mapping | None,
    *,
    dsn: int,
    data_ack: int,
    push: bool = True,
    again: bool = False,
    copied: bool = False,
    octets: bytes | None = None,
    last: bool = False,
    before: Mapping | None = None,
) -> Sent:
    """Send payload; unless it is sent again, remember it and move on.

    ``octets`` are given where they do not follow from the ranges.
    """
    option, mapping, relative = shown(turn, subflow, role, mapping, dsn, data_ack, octets)
    sequence = ranges[0].sequence
    segment = turn.send(
        subflow,
        role,
        turn.segment_flags(push, last),
        option,
        sequence=sequence,
        payload=payload(turn, subflow, role, ranges) if octets is None else octets,
        mapping=mapping,
        data_ack=relative,
        ranges=ranges,
        copied=copied,
    )
    if not again:
        end = ranges[-1].sequence + ranges[-1].octets
        record = Record(
            sequence=sequence, end=end, ranges=ranges, mapping=mapping, payload=octets, last=last,
            before=before,
        )  # fmt: skip
        turn.half(subflow, role, snd_nxt=end, records=(*turn.halves[subflow][role].records, record))
    return segment


def first_data(turn: Turn, octets: int) -> None:
    """The initiator's first data rides on the third packet (RFC 8684 section 3.1)."""
    send(turn, Send(host=0, subflow=0, octets=octets))


def send(turn: Turn, event: Send) -> None:
    """New data, and data that was announced."""
    role, number = event.host, event.subflow
    host, half = _sender(turn, role, number)
    if event.octets < 1 or event.ahead < 0:
        raise IllegalEvent("a segment of data has payload")
    if half.snd_nxt + event.octets > half.limit:
        raise IllegalEvent("the peer's window on this subflow does not allow it")
    ahead, sequence = half.ahead, half.snd_nxt
    left = 0 if ahead is None else ahead.sequence + ahead.octets - sequence
    ranges: tuple[Range, ...] = ()
    if ahead is not None:
        under = min(left, event.octets)
        dsn = ahead.dsn + sequence - ahead.sequence
        ranges = (Range(sequence=sequence, octets=under, dsn=dsn),)
    if event.octets <= left:
        if event.fin or event.ahead:
            raise IllegalEvent("the mapping of these octets was announced before")
        known = half.confirmed and any(each.mapping == ahead for each in half.records)
        mapping = None if known and not event.repeat else ahead
        turn.took("D03" if mapping is None else "D04")
        if event.octets == left:
            turn.half(number, role, ahead=None)
    else:
        mapping = _mapped(turn, event, sequence + left, event.octets - left)
        piece = Range(sequence=mapping.sequence, octets=event.octets - left, dsn=mapping.dsn)
        ranges = (*ranges, piece)
        turn.half(number, role, ahead=mapping if event.ahead else None)
        if left:
            turn.took("D05")
        if host.state == "M_SYN_RCVD":
            turn.took("D30")
        turn.took("D07" if mapping.by_capable else "D02" if event.ahead else "D01")
    emit(
        turn, number, role, offered(turn, number, role, ranges), mapping, dsn=event.dsn,
        data_ack=event.data_ack, push=event.push, last=event.last,
        before=None if mapping is ahead else ahead,
    )  # fmt: skip


def offered(turn: Turn, number: int, role: int, ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Ranges with those octets told apart that the SYN carried in vain: they are sent again."""
    path = turn.paths[number]
    if not path.offered or role != path.opener or ranges[0].sequence > path.offered:
        return ranges
    told: list[Range] = []
    for each in ranges:
        old = min(each.octets, max(0, path.offered + 1 - each.sequence))
        if old:
            told.append(replace(each, octets=old, cause="retransmission"))
        if old < each.octets:
            dsn = None if each.dsn is None else each.dsn + old
            told.append(
                replace(each, sequence=each.sequence + old, octets=each.octets - old, dsn=dsn)
            )
    return tuple(told)


def early(world: World | Turn, role: int, number: int) -> bool:
    """Whether a host may send data on its SYN_RCVD half: in answer to data on the SYN.

    The listener does not know the initiator's key then, and sends no DATA_ACK (RFC 8684 appendix
    B and erratum 6609).
    """
    if role == 0 or number or world.version == 0 or world.hosts[1].state != "M_SYN_RCVD":
        return False
    path = world.paths[0] if isinstance(world, Turn) else world.subflows[0].path
    return path.syn_data[0] > 0


def elsewhere(world: World | Turn, role: int, number: int) -> bool:
    """Whether the next new data of a host has to go on another subflow, the initial one.

    So it is with the initiator's first data until it knows that its key arrived: that has
    MP_CAPABLE (RFC 8684 section 3.1), though the listener may have joined already. And so it is
    with what its SYN carried in vain.
    """
    if role or not number:
        return False
    host = world.hosts[0]
    return (world.version == 1 and host.snd_nxt == 1 and not host.peer_knows) or bound(world)


def bound(world: World | Turn) -> bool:
    """Whether the initiator's next octets on the initial subflow are those of its SYN.

    They were not accepted, and begin the stream (RFC 8684 appendix B).
    """
    if isinstance(world, Turn):
        path, half = world.paths[0], world.halves[0][0]
    else:
        path, half = world.subflows[0].path, world.subflows[0].halves[0]
    return half.snd_nxt <= path.offered and half.state in CAN_SEND


def _sender(turn: Turn, role: int, number: int) -> tuple[Host, Half]:
    host, half = turn.hosts[role], turn.halves[number][role]
    ready = half.state in CAN_SEND and host.state in MPTCP
    if not ready and not early(turn, role, number):
        raise IllegalEvent(f"no data can be sent in states {host.state}, {half.state}")
    return host, half


def _mapped(turn: Turn, event: Send, sequence: int, octets: int) -> Mapping:
    """A mapping for new data, from ``sequence`` on; its DSNs are taken."""
    role, host = event.host, turn.hosts[event.host]
    if host.state not in DATA_OUT and (event.fin or not early(turn, role, event.subflow)):
        raise IllegalEvent("no new data follows a DATA_FIN")
    if elsewhere(turn, role, event.subflow):
        raise IllegalEvent("the first data has MP_CAPABLE, which is of the initial subflow")
    dsn, room = fresh(host)
    whole = octets + event.ahead
    if whole > room:
        raise IllegalEvent("the peer's window, or the gap that is to be filled, is too small")
    capable = (
        turn.version == 1 and role == 0 and event.subflow == 0 and not host.peer_knows
        and dsn == 1
    )  # fmt: skip
    if event.fin and (capable or event.ahead or host.orphans or _others(turn, event)):
        raise IllegalEvent("data before the DATA_FIN was not sent yet")
    mapping = turn.mapping(role, sequence=sequence, dsn=dsn, octets=whole, fin=event.fin)
    if capable:
        mapping = replace(mapping, by_capable=True)
    if host.orphans:
        turn.host(role, orphans=_without(host.orphans, dsn + whole))
    else:
        turn.host(role, snd_nxt=dsn + whole + event.fin)
    if event.fin:
        turn.took("C19" if host.state == "M_CLOSE_WAIT" else "C12", "D08")
        state = "M_LAST_ACK" if host.state == "M_CLOSE_WAIT" else "M_FIN_WAIT_1"
        turn.host(role, state=state, fin=dsn + whole)
    return mapping


def _others(turn: Turn, event: Send) -> bool:
    return any(
        halves[event.host].ahead is not None
        for number, halves in enumerate(turn.halves)
        if number != event.subflow
    )


def _without(spans: Spans, below: int) -> Spans:
    """Ranges without all that is below a number."""
    return tuple((max(low, below), high) for low, high in spans if high > below)


def carried(world: World | Turn, number: int, role: int) -> Spans:
    """The DSNs that a host sent on a subflow and that are not fully acknowledged."""
    half = (
        world.halves[number][role]
        if isinstance(world, Turn)
        else world.subflows[number].halves[role]
    )
    found: list[tuple[int, int]] = []
    for record in half.records:
        if record.payload is not None:
            continue
        for each in record.ranges:
            if each.dsn is None:
                continue
            if found and found[-1][1] == each.dsn:
                found[-1] = found[-1][0], each.dsn + each.octets
            else:
                found.append((each.dsn, each.dsn + each.octets))
    if len(found) < 2:
        return tuple(found)
    spans: Spans = ()
    for first, last in sorted(found):
        spans = added(spans, first, last)
    return spans


def _holds(spans: Spans, first: int, last: int) -> bool:
    return any(low <= first and last <= high for low, high in spans)


def remap(turn: Turn, event: Remap) -> None:
    """Old data at new sequence numbers of the same subflow."""
    spans = carried(turn, event.subflow, event.host)
    if not _holds(spans, event.at, event.at + event.octets):
        raise IllegalEvent("this subflow has not carried this data")
    turn.took("D12")
    _again(turn, event, "remap", event.trigger)


def copy(turn: Turn, event: Copy) -> None:
    """Data that another subflow has carried: a reinjection, or a redundant copy."""
    spans: Spans = ()
    for number in range(len(turn.paths)):
        if number != event.subflow:
            for low, high in carried(turn, number, event.host):
                spans = added(spans, low, high)
    first, last = event.at, event.at + event.octets
    if not _holds(spans, first, last):
        raise IllegalEvent("no other subflow has carried this data")
    own = carried(turn, event.subflow, event.host)
    if any(low < last and first < high for low, high in own):
        raise IllegalEvent("this subflow has carried this data itself: that is a remap")
    cause = "reinjection" if event.trigger else "redundant"
    turn.took("D13" if event.trigger else "D14")
    _again(turn, event, cause, event.trigger)


def _again(turn: Turn, event: Remap | Copy, cause: str, trigger: str) -> None:
    role, number = event.host, event.subflow
    host, half = _sender(turn, role, number)
    if half.ahead is not None or (role == number == 0 and bound(turn)):
        raise IllegalEvent("the next sequence numbers belong to other data")
    if event.octets < 1 or event.at < host.snd_una:
        raise IllegalEvent("this data was DATA_ACKed")
    if half.snd_nxt + event.octets > half.limit:
        raise IllegalEvent("the peer's window on this subflow does not allow it")
    sequence = half.snd_nxt
    mapping = turn.mapping(role, sequence=sequence, dsn=event.at, octets=event.octets)
    piece = Range(
        sequence=sequence, octets=event.octets, dsn=event.at, cause=cause, trigger=trigger
    )
    emit(turn, number, role, (piece,), mapping, dsn=event.dsn, data_ack=event.data_ack)


def acknowledge(turn: Turn, event: Acknowledge) -> None:
    """An ACK without payload: due, or a duplicate; version 0 may announce a mapping on it."""
    role, number = event.host, event.subflow
    half = turn.halves[number][role]
    if half.state not in ALIVE or half.state == "PRE_ESTABLISHED":
        raise IllegalEvent(f"nothing is acknowledged in state {half.state}")
    owed = half.owed or turn.hosts[role].owed
    mapping = None
    if event.announce:
        mapping = _announce(turn, event)
    width = turn.width(number, role, event.data_ack)
    option, relative = turn.dss(role, width, mapping, 8, number)
    turn.send(number, role, ACK, option, mapping=mapping, data_ack=relative)
    turn.took("D06" if mapping else "D17" if not owed else "D15" if width else "D16")


def _announce(turn: Turn, event: Acknowledge) -> Mapping:
    """A mapping in advance, on an ACK (RFC 6824 section 3.3.1)."""
    role, number = event.host, event.subflow
    host, half = _sender(turn, role, number)
    if (
        turn.version or half.ahead or host.orphans or host.state not in DATA_OUT
        or elsewhere(turn, role, number)
    ):  # fmt: skip
        raise IllegalEvent("a mapping cannot be announced in advance here")
    if host.snd_nxt + event.announce > host.limit:
        raise IllegalEvent("the peer's window does not allow it")
    mapping = turn.mapping(role, sequence=half.snd_nxt, dsn=host.snd_nxt, octets=event.announce)
    turn.host(role, snd_nxt=host.snd_nxt + event.announce)
    turn.half(number, role, ahead=mapping)
    return mapping
