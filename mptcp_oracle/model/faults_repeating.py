"""Faults of data that is sent again, on its own subflow or another (section 3.3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    LATER,
    acknowledgment,
    alive,
    checked,
    early,
    ends,
    mptcp_only,
    remapped,
    said,
    whole,
)
from mptcp_oracle.model.faults_places import connection_of, has, lacks, subflow_of
from mptcp_oracle.model.trace import SYN, Range, Sent, Trace
from mptcp_oracle.model.world import added
from mptcp_oracle.options import AddAddr, RemoveAddr

__all__ = ["FAULTS"]


def _reinjected(trace: Trace) -> Iterator[Place]:
    """Lost data and its reinjection, which arrived, while both subflows live."""
    arrived = {each.segment.number for each in trace.deliveries}
    over: set[int] = set()
    for sent in trace.segments:
        connection = subflow_of(trace, sent).connection
        if ends(sent):
            over.add(connection)
        if (
            connection in over
            or sent.number not in arrived
            or not mptcp_only(trace, sent)
            or early(trace, sent)
            or not lacks(trace, sent, AddAddr)
            or not sent.ranges
            or any(part.cause != "reinjection" for part in sent.ranges)
        ):
            continue
        lost = _lost_original(trace, sent, arrived)
        if lost is not None:
            yield Place(host=sent.host, segments=(lost, sent.number))


def _lost_original(trace: Trace, copy: Sent, arrived: set[int]) -> int | None:
    """Data of which a segment on another subflow has a copy, if it was sent once, and lost."""
    first = copy.ranges[0].dsn
    found = [
        sent
        for sent in trace.segments[: copy.number]
        if sent.host == copy.host
        and sent.subflow != copy.subflow
        and connection_of(trace, sent) is connection_of(trace, copy)
        and any(_holds(part, first) for part in sent.ranges)
    ]
    if len(found) != 1 or found[0].number in arrived or not mptcp_only(trace, found[0]):
        return None
    if not _waited_for(trace, found[0], copy, arrived):
        return None
    return None if _others_wait(trace, found[0], copy, arrived) else found[0].number


def _missing(trace: Trace, subflow: int, copy: Sent, arrived: set[int]) -> list[int]:
    """Sequence numbers of data of a copy's sender on a subflow that has not arrived before it."""
    spans: tuple[tuple[int, int], ...] = ()
    same = [
        sent
        for sent in trace.segments[: copy.number]
        if (sent.subflow, sent.host) == (subflow, copy.host) and sent.payload
    ]
    for sent in same:
        if sent.number in arrived:
            spans = added(spans, sent.sequence, sent.sequence + len(sent.payload))
    return [
        sent.sequence
        for sent in same
        if not any(
            low <= sent.sequence and sent.sequence + len(sent.payload) <= high
            for low, high in spans
        )
    ]


def _others_wait(trace: Trace, lost: Sent, copy: Sent, arrived: set[int]) -> bool:
    """Whether data is missing on yet another subflow, and may never be sent again there, either."""
    return any(
        _missing(trace, each.number, copy, arrived)
        for each in trace.subflows
        if each.connection == subflow_of(trace, lost).connection and each.number != lost.subflow
    )


def _waited_for(trace: Trace, lost: Sent, copy: Sent, arrived: set[int]) -> bool:
    """Whether lost data is the first that is missing on a subflow which the peer has used, too.

    What is behind other missing data waits for its turn; nobody has withdrawn an address.
    """
    before = trace.segments[: copy.number]
    same = [sent for sent in before if sent.subflow == lost.subflow]
    return (
        min(_missing(trace, lost.subflow, copy, arrived)) == lost.sequence
        and any(sent.host != lost.host and not sent.flags & SYN for sent in same)
        and not any(
            has(sent, RemoveAddr)
            for sent in before
            if connection_of(trace, sent) is connection_of(trace, lost)
        )
    )


def _holds(part: Range, dsn: int | None) -> bool:
    return part.dsn is not None and dsn is not None and part.dsn <= dsn < part.dsn + part.octets


def _never_again(draft: Draft, place: Place) -> None:
    """The trace goes on for minutes without the retransmission on the first subflow."""
    lost, copy = place.segments
    second = draft.sent(copy)
    draft.cut(copy)
    peer = 1 - second.host
    reached = said(draft, draft.connection_of(copy).number, peer)
    for part in second.ranges:
        if part.dsn is not None and _holds(part, reached):
            reached = part.dsn + part.octets
    draft.append(acknowledgment(draft, second.subflow, peer, data_ack=reached), gap=LATER)
    draft.append(acknowledgment(draft, second.subflow, second.host), gap=75 * LATER)
    for number, truth in enumerate(draft.subflows):
        if truth.connection == draft.connection_of(copy).number and alive(draft, number, peer):
            draft.append(acknowledgment(draft, number, peer, data_ack=reached), gap=LATER)
    draft.blame(lost, copy)


def _second_copies(trace: Trace) -> Iterator[Place]:
    """Data under a second mapping, sent only once under it."""
    for sent in trace.segments:
        if (
            len(sent.payload) > 1
            and mptcp_only(trace, sent)
            and not early(trace, sent)
            and whole(trace, sent)
            and all(part.cause in ("reinjection", "redundant", "remap") for part in sent.ranges)
            and not any(
                (each.subflow, each.host) == (sent.subflow, sent.host)
                and each.number != sent.number
                and each.sequence < sent.sequence + len(sent.payload)
                and sent.sequence < each.sequence + len(each.payload)
                for each in trace.segments
            )
        ):
            yield Place(host=sent.host, segments=(sent.number,))


def _resent(trace: Trace) -> Iterator[Place]:
    """TCP's retransmissions of mapped data; a single octet may be a probe, whose value is free."""
    for sent in trace.segments:
        if (
            len(sent.payload) > 1
            and mptcp_only(trace, sent)
            and not early(trace, sent)
            and sent.ranges
            and all(part.cause == "retransmission" and part.dsn is not None for part in sent.ranges)
            and (not checked(connection_of(trace, sent)) or _spurious(trace, sent))
        ):
            yield Place(host=sent.host, segments=(sent.number,))


def _spurious(trace: Trace, copy: Sent) -> bool:
    """Whether all octets of a retransmission had arrived before, so that they are not judged."""
    spans: tuple[tuple[int, int], ...] = ()
    arrived = {each.segment.number for each in trace.deliveries}
    for sent in trace.segments[: copy.number]:
        if (sent.subflow, sent.host) == (copy.subflow, copy.host) and sent.number in arrived:
            spans = added(spans, sent.sequence, sent.sequence + len(sent.payload))
    last = copy.sequence + len(copy.payload)
    return any(low <= copy.sequence and last <= high for low, high in spans)


def _other_octets(draft: Draft, place: Place) -> None:
    """The payload differs from what was sent before; a checksum of its own is right for it."""
    key = place.segments[0]
    sent = draft.sent(key)
    octets = bytearray(sent.payload)
    at = draft.choices.integer(0, len(octets) - 1)
    for number in range(at, len(octets)):
        octets[number] ^= 0x5A
    payload, mapping = bytes(octets), sent.mapping
    own = all(part.cause != "retransmission" for part in sent.ranges)

    def changed(each: Sent) -> Sent:
        new = replace(each, payload=payload, copied=False)
        if mapping is None or not own:
            return new
        return remapped(draft, new, mapping, payload=payload)

    draft.change(key, changed)
    draft.blame(key)


FAULTS = (
    Fault(
        name="lost-data-only-reinjected",
        meaning="Data that was reinjected is never sent again on the subflow that lost it.",
        v1=("8684-3.3.6-01",),
        v0=("6824-3.3.6-10",),
        needs=("reinjection", "lost"),
        find=_reinjected,
        edit=_never_again,
        arranges=True,
        at_sender=True,
    ),
    Fault(
        name="copy-of-other-octets",
        meaning="Data that is mapped a second time has other octets than the first time.",
        v1=("8684-3.3.6-02",),
        v0=("6824-3.3.6-11",),
        needs=("reinjection",),
        find=_second_copies,
        edit=_other_octets,
        at_sender=True,
    ),
    Fault(
        name="retransmission-of-other-octets",
        meaning="A retransmission by TCP has other octets than the segment before.",
        v1=("8684-3.3.6-04", "8684-3.3.6-02"),
        v0=("6824-3.3.6-13", "6824-3.3.6-11"),
        needs=("retransmission",),
        find=_resent,
        edit=_other_octets,
        at_sender=True,
    ),
)
