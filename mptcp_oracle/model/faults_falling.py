"""Faults of infinite mappings and of fallback (RFC 8684 section 3.7, RFC 6824 section 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Fault, Find
from mptcp_oracle.model.faults_announcements import told_until
from mptcp_oracle.model.faults_edit import Draft, Place, fits
from mptcp_oracle.model.faults_flow import (
    acknowledgment,
    checked,
    data_places,
    fresh,
    living,
    next_sequence,
    plain_dss,
    said,
)
from mptcp_oracle.model.faults_places import (
    Test,
    connection_of,
    is_syn,
    new_join,
    subflow_of,
)
from mptcp_oracle.model.trace import ACK, PSH, RST, Mapping, Range, Sent, Trace
from mptcp_oracle.model.world import Spans, added
from mptcp_oracle.options import Dss

__all__ = ["FAULTS"]

WIDE = (1 << 64) - 1


def _infinite(sent: Sent) -> bool:
    return sent.mapping is not None and sent.mapping.infinite


def _declared(trace: Trace) -> Iterator[Sent]:
    """The first infinite mapping of each host in each connection."""
    seen: set[tuple[int, int]] = set()
    for sent in trace.segments:
        key = subflow_of(trace, sent).connection, sent.host
        if key not in seen and _infinite(sent):
            seen.add(key)
            yield sent


def _after(where: Test) -> Find:
    """Segments that a host sends after its infinite mapping, on the same subflow."""

    def find(trace: Trace) -> Iterator[Place]:
        for first in _declared(trace):
            for sent in trace.segments[first.number + 1 :]:
                if (sent.subflow, sent.host) == (first.subflow, first.host) and where(trace, sent):
                    yield Place(host=sent.host, segments=(sent.number,))

    return find


def _all_infinite(trace: Trace) -> Iterator[Place]:
    """All infinite mappings of a host, which had been DATA_ACKed before and needs them."""
    for first in _declared(trace):
        found = tuple(
            sent.number
            for sent in trace.segments
            if (sent.subflow, sent.host) == (first.subflow, first.host) and _infinite(sent)
        )
        yield Place(host=first.host, segments=found)


def _silent(draft: Draft, place: Place) -> None:
    """The segments have no options; of what only the infinite mapping covered nothing is known."""
    first = draft.sent(place.segments[0])
    covered: Spans = ()
    for sent in draft.trace.segments:
        mapping = sent.mapping
        if (sent.subflow, sent.host) == (first.subflow, first.host) and mapping is not None:
            covered = added(covered, mapping.sequence, mapping.sequence + mapping.octets)
    for sent in draft.trace.segments:
        if (sent.subflow, sent.host) == (first.subflow, first.host) and sent.ranges:
            parts = tuple(piece for part in sent.ranges for piece in _cut(part, covered))
            if parts != sent.ranges:
                draft.set(sent.number, ranges=parts)
    for key in place.segments:
        draft.set(key, options=(), mapping=None, data_ack=None)
        draft.blame(key)
    truth = draft.connection_of(place.segments[0])
    shown = tuple(each for each in truth.fallback_shown if not each & set(place.segments))
    if not shown:
        shown = tuple(
            frozenset({key})
            for key in draft.order
            if (draft.sent(key).subflow, draft.sent(key).host) == (first.subflow, first.host)
            and key >= place.segments[0]
            and any(part.dsn is None for part in draft.sent(key).ranges)
        )
        draft.connection(truth.number, fallback="no_mapping")
    draft.connection(truth.number, fallback_shown=shown)


def _cut(part: Range, covered: Spans) -> Iterator[Range]:
    """A range in pieces: those that finite mappings cover, and the others, without DSN."""
    at, end = part.sequence, part.sequence + part.octets
    while at < end:
        inside = next((high for low, high in covered if low <= at < high), None)
        stop = min([end, *(low for low, _ in covered if low > at)] if inside is None else
                   [end, inside])  # fmt: skip
        if inside is None or part.dsn is None:
            yield Range(sequence=at, octets=stop - at, dsn=None, cause="unmapped")
        else:
            dsn = part.dsn + at - part.sequence
            yield replace(part, sequence=at, octets=stop - at, dsn=dsn)
        at = stop


def _after_infinite(trace: Trace) -> Iterator[Place]:
    """Pure ACKs without options, after the peer's infinite mapping had arrived."""
    for first in _declared(trace):
        arrived = [each.time for each in trace.deliveries if each.segment.number == first.number]
        for sent in trace.segments:
            if (
                arrived
                and sent.time > arrived[0]
                and (sent.subflow, sent.host) == (first.subflow, 1 - first.host)
                and sent.flags == ACK
                and not sent.payload
                and not sent.options
            ):
                yield Place(host=sent.host, segments=(sent.number,))


def _still_acked(draft: Draft, place: Place) -> None:
    """The ACK has a DATA_ACK, as high as any before."""
    key = place.segments[0]
    connection = draft.connection_of(key)
    relative = said(draft, connection.number, place.host)
    peer = connection.hosts[1 - place.host]
    draft.add(key, Dss.of(data_ack=(peer.base + relative) & WIDE))
    draft.set(key, data_ack=relative)
    draft.blame(key)


def _plain_data(_trace: Trace, sent: Sent) -> bool:
    """Whether a segment has data without options whose DSNs all follow each other."""
    return (
        bool(sent.payload)
        and not sent.options
        and not sent.copied
        and len(sent.ranges) == 1
        and sent.ranges[0].dsn is not None
        and sent.ranges[0].cause == "new"
        and fits(sent, Dss.of(dsn=0, checksum=0))
    )


def _mapped_again(draft: Draft, place: Place) -> None:
    """The data gets a mapping of its own, which agrees with the infinite one."""
    key = place.segments[0]
    sent = draft.sent(key)
    connection = draft.connection_of(key)
    part = sent.ranges[0]
    assert part.dsn is not None
    own = connection.hosts[sent.host]
    dsn = (own.base + part.dsn) & WIDE
    total = None
    if checked(connection):
        total = crypto.dss_checksum(dsn, part.sequence, part.octets, sent.payload)
    draft.add(key, Dss.of(dsn=dsn, ssn=part.sequence, dll=part.octets, checksum=total))
    mapping = Mapping(
        sequence=part.sequence,
        dsn=part.dsn,
        octets=part.octets,
        checksum=None if total is None else True,
    )
    draft.set(key, mapping=mapping)
    draft.blame(key)


def _may_join(trace: Trace, sent: Sent) -> bool:
    peer = connection_of(trace, sent).hosts[1 - sent.host]
    return not is_syn(sent) and not sent.flags & RST and not peer.c_flag


def _join_again(draft: Draft, place: Place) -> None:
    """A join, after the fallback."""
    key = place.segments[0]
    ends = draft.subflows[draft.sent(key).subflow].ends
    truth = draft.subflows[draft.sent(key).subflow]
    taken = {end.port for each in draft.subflows for end in each.ends}
    port = next(port for port in range(50_400, 60_000) if port not in taken)
    draft.blame(
        new_join(
            draft,
            key,
            opener=place.host,
            target=ends[1 - place.host],
            source=replace(ends[place.host], port=port),
            address_id=truth.address_ids[place.host],
        )
    )


def _announced(trace: Trace) -> Iterator[Place]:
    """Data under an earlier mapping of another segment, of a sender with another subflow."""
    last = max((place.segments[0] for place in data_places()(trace)), default=0)
    for sent in trace.segments[:last]:
        connection = connection_of(trace, sent)
        if (
            sent.payload
            and sent.mapping is None
            and connection.fallback is None
            and all(part.cause == "new" and part.dsn is not None for part in sent.ranges)
        ):
            open_ = living(trace, connection.number, sent.host, sent.number - 1)
            if sent.subflow in open_ and len(open_) > 1 and told_until(trace, sent):
                yield Place(host=sent.host, segments=(sent.number,))


def _both(draft: Draft, place: Place) -> None:
    """An infinite mapping on another subflow right before data; the trace ends with that."""
    key = place.segments[0]
    sent, connection = draft.sent(key), draft.connection_of(key)
    open_ = living(draft.trace, connection.number, sent.host, key - 1)
    other = next(number for number in open_ if number != sent.subflow)
    draft.cut(key)
    draft.remove(key)
    data = fresh(draft, other, sent.host, draft.choices.integer(2, 60))
    mapping = data.mapping
    assert mapping is not None
    forever = replace(
        mapping, octets=0, infinite=True, checksum=True if checked(connection) else None
    )

    def endless(option: Dss) -> Dss:
        return replace(option, dll=0, checksum=0 if checked(connection) else None)

    options = tuple(plain_dss(endless)(each) or each for each in data.options)
    first = draft.append(replace(data, options=options, mapping=forever))
    base = acknowledgment(draft, sent.subflow, sent.host)
    second = draft.append(
        replace(
            base,
            flags=ACK | PSH,
            sequence=next_sequence(draft, sent.subflow, sent.host),
            options=(),
            data_ack=None,
            payload=sent.payload,
            ranges=sent.ranges,
        )
    )
    draft.connection(
        connection.number, fallback="infinite_mapping", fallback_shown=(frozenset({first}),)
    )
    draft.blame(first, second)


FAULTS = (
    Fault(
        name="falls-back-silently",
        meaning="A host falls back without an infinite mapping.",
        v1=("8684-3.7-06",),
        needs=("infinite",),
        find=_all_infinite,
        edit=_silent,
        arranges=True,
    ),
    Fault(
        name="data-ack-after-infinite-mapping",
        meaning="A host that got an infinite mapping goes on to send DATA_ACKs.",
        v1=("8684-3.7-18",),
        v0=("6824-3.6-18",),
        needs=("infinite",),
        find=_after_infinite,
        edit=_still_acked,
    ),
    Fault(
        name="data-beside-infinite-mapping",
        meaning="After an infinite mapping its sender has data on another subflow.",
        v1=("8684-3.7-19",),
        v0=("6824-3.6-19",),
        needs=("join", "ahead"),
        find=_announced,
        edit=_both,
        arranges=True,
    ),
    Fault(
        name="mapping-after-infinite-mapping",
        meaning="A host maps data again after its infinite mapping.",
        v1=("8684-3.7-20",),
        v0=("6824-3.6-20",),
        needs=("infinite",),
        find=_after(_plain_data),
        edit=_mapped_again,
    ),
    Fault(
        name="join-after-fallback",
        meaning="A host joins a connection that it took back to plain TCP.",
        v1=("8684-3.7-20",),
        v0=("6824-3.6-20",),
        needs=("infinite",),
        find=_after(_may_join),
        edit=_join_again,
        at_sender=True,
    ),
)
