"""Faults of the end of subflows and of what follows it (RFC 8684 and 6824, section 3.3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_announcements import all_told
from mptcp_oracle.model.faults_closing import fin_dsn
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    LATER,
    acknowledgment,
    data_places,
    early,
    fin_alone,
    living,
    next_dsn,
)
from mptcp_oracle.model.faults_places import (
    connection_of,
    is_syn,
    new_join,
    subflow_of,
)
from mptcp_oracle.model.trace import ACK, FIN, RST, SYN, ConnectionTruth, Sent, Trace
from mptcp_oracle.model.world import added

__all__ = ["FAULTS", "settled"]


def _only_path(trace: Trace, sent: Sent) -> bool:
    """Whether no other subflow of the connection has been begun that may still work.

    After data on the SYN nothing would prove which data is outstanding.
    """
    connection = subflow_of(trace, sent).connection
    before = trace.segments[: sent.number]
    begun = {each.subflow for each in before if subflow_of(trace, each).connection == connection}
    over = {each.subflow for each in before if each.flags & RST}
    return begun - over == {sent.subflow} and not early(trace, sent)


def _ends_early(draft: Draft, place: Place) -> None:
    """The only subflow ends while the data just sent is outstanding; so does the trace."""
    key = place.segments[0]
    sent = draft.sent(key)
    draft.cut(key)
    end = acknowledgment(draft, sent.subflow, sent.host)
    if draft.choices.chance(1, 2):
        end = replace(end, flags=RST | ACK, options=(), data_ack=None)
    else:
        end = replace(end, flags=FIN | ACK)
    draft.blame(draft.append(end))


def _all_sent(trace: Trace, sent: Sent) -> bool:
    """Whether, with this segment, a host has sent all that it ever mapped; else it is no end."""
    connection, last = subflow_of(trace, sent).connection, 1
    spans: tuple[tuple[int, int], ...] = ()
    for each in trace.segments[: sent.number + 1]:
        if each.host != sent.host or subflow_of(trace, each).connection != connection:
            continue
        if each.mapping is not None:
            last = max(last, each.mapping.dsn + each.mapping.octets)
        for part in each.ranges:
            if part.dsn is not None:
                spans = added(spans, part.dsn, part.dsn + part.octets)
    return spans == ((1, last),)


def _elsewhere(trace: Trace) -> Iterator[Place]:
    """Data on one subflow, while its sender has another one."""
    for place in data_places(_all_sent)(trace):
        sent = trace.segments[place.segments[0]]
        connection = subflow_of(trace, sent).connection
        if set(living(trace, connection, sent.host, sent.number)) - {sent.subflow}:
            yield place


def _with_subflow_fin(draft: Draft, place: Place) -> None:
    """A DATA_FIN on a FIN, while the data just sent on another subflow is outstanding."""
    key = place.segments[0]
    sent = draft.sent(key)
    connection = draft.connection_of(key).number
    other = next(
        number
        for number in living(draft.trace, connection, sent.host, key)
        if number != sent.subflow
    )
    draft.cut(key)
    end = fin_alone(draft, other, sent.host, next_dsn(draft, connection, sent.host))
    draft.blame(draft.append(replace(end, flags=FIN | ACK)))


def settled(trace: Trace, connection: ConnectionTruth) -> int | None:
    """When both hosts know that both DATA_FINs are acknowledged, as an index of a segment.

    Every segment from there on was sent after the DATA_ACKs of both had arrived.
    """
    if connection.fallback is not None:
        return None
    times = []
    for host in (0, 1):
        fin = fin_dsn(trace, connection.number, host)
        known = [
            each.time
            for each in trace.deliveries
            if fin is not None
            and each.segment.host != host
            and (each.segment.data_ack or 0) > fin
            and connection_of(trace, each.segment) is connection
        ]
        if not known:
            return None
        times.append(min(known))
    late = [sent.number for sent in trace.segments if sent.time > max(times)]
    return late[0] if late else None


def _in_use(trace: Trace, connection: ConnectionTruth) -> set[int]:
    """Subflows on which both hosts were heard before the later of their DATA_FINs' DATA_ACKs."""
    told = [
        min(
            sent.time
            for sent in trace.segments
            if sent.host != host
            and (sent.data_ack or 0) > (fin_dsn(trace, connection.number, host) or 0)
            and connection_of(trace, sent) is connection
        )
        for host in (0, 1)
    ]
    heard = {
        (each.segment.subflow, each.segment.host)
        for each in trace.deliveries
        if each.time < max(told) and not each.segment.flags & SYN
    }
    return {number for number, host in heard if host and (number, 0) in heard}


def _last_fins(trace: Trace, *, crossing: bool = False) -> Iterator[tuple[Sent, list[Sent]]]:
    """First FINs of a host on a subflow after the connection was closed, and all of it after.

    ``crossing`` asks for those that the peer's FIN, which arrived, does not acknowledge.
    """
    arrived = {each.segment.number for each in trace.deliveries}
    for connection in trace.connections:
        start = settled(trace, connection)
        used = _in_use(trace, connection) if start is not None else ()
        for subflow in trace.subflows:
            if subflow.number not in used or subflow.connection != connection.number:
                continue
            flow = [sent for sent in trace.segments if sent.subflow == subflow.number]
            if any(sent.flags & (FIN | RST) and sent.number < (start or 0) for sent in flow):
                continue
            for host in (0, 1):
                own = [sent for sent in flow if sent.host == host and sent.flags & FIN]
                theirs = [sent for sent in flow if sent.host != host and sent.flags & FIN]
                if not own or not own[0].flags & ACK or own[0].mapping is not None:
                    continue
                if crossing and not any(
                    sent.number in arrived and (sent.ack or 0) <= own[0].sequence for sent in theirs
                ):
                    continue
                yield own[0], [sent for sent in flow if sent.number >= own[0].number]


def _first_of_both(trace: Trace) -> Iterator[Place]:
    """The first FIN of a subflow that either host sends after the connection was closed."""
    for fin, rest in _last_fins(trace):
        numbers = tuple(sent.number for sent in rest)
        left = (sent for sent in trace.segments if sent.number not in numbers)
        if all_told(trace, left) and not any(
            sent.subflow == fin.subflow and sent.flags & FIN
            for sent in trace.segments[: fin.number]
        ):
            yield Place(host=fin.host, segments=numbers)


def _with_nothing_left(trace: Trace) -> Iterator[Place]:
    """Those before which all data of their sender on the subflow had been acknowledged to it.

    What has data left may be reset, and so may a subflow on which data was acknowledged without any
    DATA_ACK; after data on the SYN nothing would prove what is left.
    """
    for place in _first_of_both(trace):
        fin = trace.segments[place.segments[0]]
        if early(trace, fin):
            continue
        heard = [
            each.segment
            for each in trace.deliveries
            if each.time < fin.time
            and (each.segment.subflow, each.segment.host) == (fin.subflow, 1 - fin.host)
        ]
        acks = [sent.ack or 0 for sent in heard]
        ends = [
            sent.sequence + len(sent.payload)
            for sent in trace.segments[: fin.number]
            if (sent.subflow, sent.host) == (fin.subflow, fin.host) and sent.payload
        ]
        spoken = not ends or any(sent.data_ack for sent in heard)
        if spoken and max(ends, default=0) <= max(acks, default=0):
            yield place


def _reset_instead(draft: Draft, place: Place) -> None:
    """A RST instead of the FIN; nothing follows on the subflow."""
    first, *rest = place.segments
    draft.set(first, flags=RST | ACK, options=(), data_ack=None, mapping=None)
    for key in rest:
        draft.remove(key)
    draft.blame(first)


def _left_open(draft: Draft, place: Place) -> None:
    """No FIN at all; two minutes later the subflow is still there."""
    subflow = draft.sent(place.segments[0]).subflow
    for key in place.segments:
        draft.remove(key)
    draft.blame(draft.append(acknowledgment(draft, subflow, place.host), gap=60 * LATER))


def _crossing_fins(trace: Trace) -> Iterator[Place]:
    for fin, rest in _last_fins(trace, crossing=True):
        theirs = [sent for sent in rest if sent.host == fin.host or (sent.ack or 0) > fin.sequence]
        numbers = tuple(sent.number for sent in theirs)
        left = (sent for sent in trace.segments if sent.number not in numbers)
        if all_told(trace, left):
            yield Place(host=fin.host, segments=numbers)


def _half_open(draft: Draft, place: Place) -> None:
    """A host answers the peer's FIN by ACKs alone, for two minutes."""
    subflow = draft.sent(place.segments[0]).subflow
    for key in place.segments:
        draft.remove(key)
    for gap in (LATER, 60 * LATER):
        draft.blame(draft.append(acknowledgment(draft, subflow, place.host), gap=gap))


def _after_close(trace: Trace) -> Iterator[Place]:
    """Segments after the connection was closed, whose senders may join the peer."""
    for connection in trace.connections:
        start = settled(trace, connection)
        for sent in trace.segments[start:] if start is not None else ():
            if (
                connection_of(trace, sent) is connection
                and not connection.hosts[1 - sent.host].c_flag
                and not is_syn(sent)
                and not _refused(trace, sent)
            ):
                yield Place(host=sent.host, segments=(sent.number,))


def _refused(trace: Trace, sent: Sent) -> bool:
    """Whether a subflow of the connection was reset before, after which no join should be tried."""
    connection = connection_of(trace, sent)
    return any(
        each.flags & RST and connection_of(trace, each) is connection
        for each in trace.segments[: sent.number]
    )


def _late_join(draft: Draft, place: Place) -> None:
    key, host = place.segments[0], place.host
    connection = draft.connection_of(key).number
    first = next(each for each in draft.subflows if each.initial and each.connection == connection)
    taken = {end.port for each in draft.subflows for end in each.ends}
    port = next(port for port in range(50_200, 60_000) if port not in taken)
    source = replace(first.ends[host], port=port)
    target = first.ends[1 - host]
    draft.blame(new_join(draft, key, opener=host, target=target, source=source, address_id=0))


FAULTS = (
    Fault(
        name="last-subflow-ends-early",
        meaning="A host ends its only subflow while data of it is outstanding.",
        v1=("8684-3.3.3-07",),
        v0=("6824-3.3.3-16",),
        needs=("data",),
        find=data_places(_only_path),
        edit=_ends_early,
    ),
    Fault(
        name="data-fin-with-fin-too-early",
        meaning="DATA_FIN and FIN go together while another subflow has outstanding data.",
        v1=("8684-3.3.3-08",),
        v0=("6824-3.3.3-17",),
        needs=("join", "data"),
        find=_elsewhere,
        edit=_with_subflow_fin,
    ),
    Fault(
        name="reset-after-close",
        meaning="A subflow of a closed connection ends by RST.",
        v1=("8684-3.3.3-09",),
        v0=("6824-3.3.3-18",),
        needs=("closed", "unannounced"),
        find=_with_nothing_left,
        edit=_reset_instead,
        arranges=True,
    ),
    Fault(
        name="subflow-left-open",
        meaning="A subflow of a closed connection gets no FIN from either host.",
        v1=("8684-3.3.3-09", "8684-3.3.3-10"),
        v0=("6824-3.3.3-18", "6824-3.3.3-19"),
        needs=("closed", "unannounced"),
        find=_first_of_both,
        edit=_left_open,
        arranges=True,
    ),
    Fault(
        name="fin-left-out",
        meaning="A host of a closed connection never ends its half of a subflow.",
        v1=("8684-3.3.3-10",),
        v0=("6824-3.3.3-19",),
        needs=("closed", "unannounced"),
        find=_crossing_fins,
        edit=_half_open,
        arranges=True,
    ),
    Fault(
        name="join-after-close",
        meaning="A host joins a connection that is closed.",
        v1=("8684-3.3.3-12",),
        v0=("6824-3.3.3-20",),
        needs=("closed",),
        find=_after_close,
        edit=_late_join,
        at_sender=True,
    ),
)
