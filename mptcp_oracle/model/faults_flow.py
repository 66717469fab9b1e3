"""Where a draft stands: what its hosts would send next, for faults that go on from there.

An edit that cuts a draft after some segment and then goes on by itself asks here for the numbers:
next sequence number, what was received, the next DSN, the last DATA_ACK; and for whole segments
that carry on lawfully, to be bent by the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mptcp_oracle import crypto
from mptcp_oracle.constants import DSS_DATA_FIN
from mptcp_oracle.model.fault import Find
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_places import (
    HANDSHAKE,
    Test,
    anything,
    connection_of,
    has,
    standing,
    subflow_of,
)
from mptcp_oracle.model.settings import content
from mptcp_oracle.model.trace import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    ConnectionTruth,
    Mapping,
    Range,
    Sent,
    Trace,
)
from mptcp_oracle.model.world import added
from mptcp_oracle.options import Dss, MpFail, MpFastclose, Option

__all__ = [
    "LATER",
    "Room",
    "acknowledgment",
    "alive",
    "checked",
    "data_places",
    "dss",
    "dss_heard",
    "early",
    "ends",
    "fin_alone",
    "free",
    "fresh",
    "heard",
    "in_order",
    "living",
    "mapped_ahead",
    "mptcp_only",
    "next_dsn",
    "next_sequence",
    "plain_dss",
    "remapped",
    "room_after",
    "said",
    "whole",
]

LATER = 2_000_000_000
"""Nanoseconds after which whatever a host had to do would have been done."""

WIDE = (1 << 64) - 1


def mptcp_only(trace: Trace, sent: Sent) -> bool:
    """Whether a segment is of a connection without fallback, on an established subflow."""
    return (
        subflow_of(trace, sent).outcome == "established"
        and connection_of(trace, sent).fallback is None
        and not has(sent, *HANDSHAKE)
    )


def whole(_trace: Trace, sent: Sent) -> bool:
    """Whether a segment has a DSS whose mapping is of its payload, no more and no less."""
    mapping = sent.mapping
    return (
        mapping is not None
        and has(sent, Dss)
        and not mapping.infinite
        and mapping.octets == len(sent.payload) > 0
        and mapping.sequence == sent.sequence
    )


def data_places(where: Test = anything, *, cause: str = "new") -> Find:
    """Segments of data that are alone in their mapping and sent for one cause, before any end.

    Nothing of the connection is at its end: neither DATA_FIN nor FIN, RST, MP_FAIL or
    MP_FASTCLOSE was sent.
    """

    def find(trace: Trace) -> Iterator[Place]:
        over: set[int] = set()
        for sent in trace.segments:
            connection = subflow_of(trace, sent).connection
            if ends(sent):
                over.add(connection)
            if (
                connection not in over
                and mptcp_only(trace, sent)
                and whole(trace, sent)
                and all(part.cause == cause for part in sent.ranges)
                and where(trace, sent)
            ):
                yield Place(host=sent.host, segments=(sent.number,))

    return find


def in_order(trace: Trace, sent: Sent, arrived: dict[int, int]) -> bool:
    """Whether all data before a segment had arrived on its subflow when that arrived."""
    return all(
        each.number in arrived and arrived[each.number] <= arrived[sent.number]
        for each in trace.segments[: sent.number]
        if (each.subflow, each.host) == (sent.subflow, sent.host) and each.payload
    )


def dss_heard(trace: Trace, sent: Sent) -> bool:
    """Whether a DSS of the peer had come over the initial subflow to the sender of a segment."""
    connection = subflow_of(trace, sent).connection
    return any(
        delivery.time < sent.time
        and has(delivery.segment, Dss)
        and delivery.segment.host != sent.host
        and subflow_of(trace, delivery.segment).initial
        and subflow_of(trace, delivery.segment).connection == connection
        for delivery in trace.deliveries
    )


def early(trace: Trace, sent: Sent) -> bool:
    """Whether a connection had data on its SYN: mappings need not say what they cover then."""
    own = connection_of(trace, sent)
    return bool(next(each for each in trace.segments if connection_of(trace, each) is own).payload)


def mapped_ahead(trace: Trace, subflow: int, host: int, until: int) -> bool:
    """Whether a host has announced mappings for octets of a subflow that it has yet to send."""
    sent, mapped = 0, 0
    for each in trace.segments[: until + 1]:
        if (each.subflow, each.host) == (subflow, host):
            sent = max(sent, _end(each))
            if each.mapping is not None:
                mapped = max(mapped, each.mapping.sequence + each.mapping.octets)
    return mapped > sent


@dataclass(frozen=True, slots=True)
class Room:
    """Octets that a host may still send, by the subflow's window and by the connection's.

    ``data_end`` is one past the last DSN that it may send.
    """

    subflow: int
    data: int
    data_end: int


def room_after(trace: Trace, number: int, lost: frozenset[int] = frozenset()) -> Room:
    """The room right after a segment, by whatever its peer has said until then.

    What it said in segments that were ``lost`` does not count.
    """
    last = trace.segments[number]
    connection = subflow_of(trace, last).connection
    edge, limit, sequence, dsn = 0, 0, 0, 1
    for sent in trace.segments[: number + 1]:
        if subflow_of(trace, sent).connection != connection:
            continue
        if sent.host == last.host:
            if sent.mapping is not None:
                end = sent.mapping.dsn + sent.mapping.octets + sent.mapping.fin
                dsn = max(dsn, end)
            if sent.subflow == last.subflow:
                end = sent.sequence + len(sent.payload) + bool(sent.flags & SYN)
                sequence = max(sequence, end)
        elif sent.ack is not None and sent.number not in lost:
            limit = max(limit, (sent.data_ack or 1) + sent.window)
            if sent.subflow == last.subflow:
                edge = max(edge, sent.ack + sent.window)
    return Room(edge - sequence, limit - dsn, limit)


def free(trace: Trace, sent: Sent, octets: int) -> bool:
    """Whether so much new data may follow a segment on its subflow, as far as nothing is over.

    There is room in the windows that its sender has heard of, no mapping was announced in advance,
    nor was there data on the SYN, and the peer did not ask for other subflows.
    """
    told = {each.segment.number for each in trace.deliveries if each.time <= sent.time}
    unheard = frozenset(range(len(trace.segments))) - told
    room = room_after(trace, sent.number, unheard)
    asked = any(
        standing(trace, each.number)
        for each in trace.segments[: sent.number]
        if (each.subflow, each.host) == (sent.subflow, 1 - sent.host)
    )
    return (
        min(room.subflow, room.data) >= octets
        and not asked
        and not mapped_ahead(trace, sent.subflow, sent.host, sent.number)
        and not early(trace, sent)
    )


def ends(sent: Sent) -> bool:
    """Whether a segment begins the end of a subflow, of a stream, or of MPTCP."""
    if sent.flags & (FIN | RST) or has(sent, MpFail, MpFastclose):
        return True
    return sent.mapping is not None and (sent.mapping.fin or sent.mapping.infinite)


def _half(draft: Draft, subflow: int, host: int) -> Iterator[Sent]:
    for key in draft.order:
        sent = draft.sent(key)
        if (sent.subflow, sent.host) == (subflow, host):
            yield sent


def _of(draft: Draft, connection: int, host: int) -> Iterator[Sent]:
    for key in draft.order:
        sent = draft.sent(key)
        if sent.host == host and draft.subflows[sent.subflow].connection == connection:
            yield sent


def _end(sent: Sent) -> int:
    """The sequence number after a segment."""
    return sent.sequence + len(sent.payload) + bool(sent.flags & SYN) + bool(sent.flags & FIN)


def next_sequence(draft: Draft, subflow: int, host: int) -> int:
    """The sequence number that a host uses next on a subflow."""
    return max(_end(sent) for sent in _half(draft, subflow, host))


def heard(draft: Draft, subflow: int, host: int) -> int:
    """The sequence number that a host waits for next on a subflow."""
    spans: tuple[tuple[int, int], ...] = ()
    for key in draft.order:
        sent = draft.sent(key)
        if (sent.subflow, sent.host) == (subflow, 1 - host) and draft.arrived(key) is not None:
            spans = added(spans, sent.sequence, _end(sent))
    return spans[0][1] if spans and spans[0][0] == 0 else 0


def said(draft: Draft, connection: int, host: int) -> int:
    """The highest DATA_ACK that a host sent in a connection; 1 if none."""
    return max((sent.data_ack or 1 for sent in _of(draft, connection, host)), default=1)


def next_dsn(draft: Draft, connection: int, host: int) -> int:
    """The DSN after all that a host ever mapped, DATA_FIN included."""
    ends = [
        sent.mapping.dsn + sent.mapping.octets + sent.mapping.fin
        for sent in _of(draft, connection, host)
        if sent.mapping is not None
    ]
    return max(ends, default=1)


def alive(draft: Draft, subflow: int, host: int) -> bool:
    """Whether a host can still send on a subflow."""
    if draft.subflows[subflow].outcome != "established":
        return False
    for key in draft.order:
        sent = draft.sent(key)
        if sent.subflow == subflow and (
            sent.flags & RST or (sent.host == host and sent.flags & FIN)
        ):
            return False
    return any(True for sent in _half(draft, subflow, host) if not sent.flags & SYN)


def living(trace: Trace, connection: int, host: int, until: int) -> tuple[int, ...]:
    """The subflows on which a host can still send, and has sent, after segment ``until``."""
    begun: dict[int, bool] = {}
    for sent in trace.segments[: until + 1]:
        subflow = trace.subflows[sent.subflow]
        if subflow.connection != connection or subflow.outcome != "established":
            continue
        if sent.flags & RST or (sent.host == host and sent.flags & FIN):
            begun[sent.subflow] = False
        elif sent.host == host and not sent.flags & SYN and not has(sent, *HANDSHAKE):
            begun.setdefault(sent.subflow, True)
    return tuple(number for number, open_ in begun.items() if open_)


def checked(connection: ConnectionTruth) -> bool:
    """Whether a connection uses DSS checksums."""
    return any(host.checksum for host in connection.hosts)


def dss(
    draft: Draft,
    host: int,
    connection: ConnectionTruth,
    mapping: Mapping | None,
    *,
    data_ack: int | None,
    payload: bytes = b"",
    ssn: int | None = None,
) -> Dss:
    """A DSS with numbers of 8 octets, and a right checksum if the connection uses them."""
    own, peer = connection.hosts[host], connection.hosts[1 - host]
    ack = None if data_ack is None else (peer.base + data_ack) & WIDE
    if mapping is None:
        return Dss.of(data_ack=ack)
    dsn = (own.base + mapping.dsn) & WIDE
    dll = mapping.octets + mapping.fin
    ssn = mapping.sequence if ssn is None else ssn
    total = crypto.dss_checksum(dsn, ssn, dll, payload) if mapping.checksum is not None else None
    return Dss.of(data_ack=ack, dsn=dsn, ssn=ssn, dll=dll, checksum=total, data_fin=mapping.fin)


def acknowledgment(
    draft: Draft, subflow: int, host: int, *options: Option, data_ack: int | None = None
) -> Sent:
    """A pure ACK of all that a host received on a subflow, to be sent next.

    Args:
        draft: The draft, at its end.
        subflow: The subflow.
        host: The sender.
        options: Options after its DSS.
        data_ack: Its DATA_ACK; by default the highest that the host sent.
    """
    connection = draft.connections[draft.subflows[subflow].connection]
    relative = said(draft, connection.number, host) if data_ack is None else data_ack
    last = list(_half(draft, subflow, host))[-1]
    # The right edge of the window stays where it was.
    edges = [
        sent.data_ack + sent.window
        for sent in _of(draft, connection.number, host)
        if sent.data_ack is not None
    ]
    return replace(
        last,
        sequence=next_sequence(draft, subflow, host),
        ack=heard(draft, subflow, host),
        window=min(65_535, max([last.window, *(edge - relative for edge in edges)])),
        flags=ACK,
        options=(dss(draft, host, connection, None, data_ack=relative), *options),
        payload=b"",
        mapping=None,
        data_ack=relative,
        ranges=(),
        copied=False,
    )


def fresh(draft: Draft, subflow: int, host: int, octets: int, *, dsn: int | None = None) -> Sent:
    """New data that a host sends next on a subflow, under a mapping of its own.

    Args:
        draft: The draft, at its end.
        subflow: The subflow.
        host: The sender.
        octets: Payload.
        dsn: Its first DSN; by default the next one.
    """
    connection = draft.connections[draft.subflows[subflow].connection]
    first = next_dsn(draft, connection.number, host) if dsn is None else dsn
    sequence = next_sequence(draft, subflow, host)
    payload = content(draft.choices.bits(32), host, first, octets)
    mapping = Mapping(
        sequence=sequence, dsn=first, octets=octets, checksum=checked(connection) or None
    )
    data_ack = said(draft, connection.number, host)
    option = dss(draft, host, connection, mapping, data_ack=data_ack, payload=payload)
    return replace(
        acknowledgment(draft, subflow, host),
        flags=ACK | PSH,
        options=(option,),
        payload=payload,
        mapping=mapping,
        ranges=(Range(sequence=sequence, octets=octets, dsn=first),),
    )


def fin_alone(draft: Draft, subflow: int, host: int, dsn: int) -> Sent:
    """A DATA_FIN without data that a host sends next on a subflow."""
    connection = draft.connections[draft.subflows[subflow].connection]
    mapping = Mapping(sequence=0, dsn=dsn, octets=0, fin=True, checksum=checked(connection) or None)
    data_ack = said(draft, connection.number, host)
    option = dss(draft, host, connection, mapping, data_ack=data_ack)
    return replace(acknowledgment(draft, subflow, host), options=(option,), mapping=mapping)


def plain_dss(change: Callable[[Dss], Dss | None]) -> Callable[[Option], Option | None]:
    """A change of the DSS among options."""
    return lambda option: change(option) if isinstance(option, Dss) else option


def remapped(
    draft: Draft, sent: Sent, mapping: Mapping, *, payload: bytes, ssn: int | None = None
) -> Sent:
    """A segment whose DSS announces another mapping, with a right checksum if it has one.

    Args:
        draft: The draft.
        sent: A segment with a DSS that has a mapping.
        mapping: The other mapping; its ``checksum`` is set here.
        payload: The octets under it.
        ssn: The subflow sequence number on the wire, if not that of the mapping.
    """
    connection = draft.connections[draft.subflows[sent.subflow].connection]
    base = connection.hosts[sent.host].base
    ssn = (mapping.sequence if ssn is None else ssn) & 0xFFFF_FFFF
    dll, absolute = mapping.octets + mapping.fin, (base + mapping.dsn) & WIDE

    def change(option: Dss) -> Dss:
        if option.dsn is None:
            return option
        total = option.checksum
        if total is not None:
            total = crypto.dss_checksum(absolute, ssn, dll, payload)
        return replace(
            option,
            flags=option.flags & ~DSS_DATA_FIN | (DSS_DATA_FIN if mapping.fin else 0),
            dsn=absolute & (1 << 8 * option.dsn_size) - 1,
            ssn=ssn,
            dll=dll,
            checksum=total,
        )

    options = tuple(change(each) if isinstance(each, Dss) else each for each in sent.options)
    had = any(isinstance(each, Dss) and each.checksum is not None for each in options)
    return replace(sent, options=options, mapping=replace(mapping, checksum=had or None))
