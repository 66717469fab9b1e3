"""Faults of DSS mappings and their checksums (RFC 8684 and 6824, sections 3.3 and 3.3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Edit, Fault
from mptcp_oracle.model.faults_announcements import told_until
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    LATER,
    acknowledgment,
    data_places,
    early,
    mptcp_only,
    plain_dss,
    remapped,
)
from mptcp_oracle.model.faults_places import (
    option_of,
    subflow_of,
)
from mptcp_oracle.model.trace import ACK, Sent, Trace
from mptcp_oracle.options import Dss

__all__ = ["FAULTS", "announced"]

WIDE, NARROW = (1 << 64) - 1, (1 << 32) - 1
FARTHEST = 1 << 30
"""Relative numbers of mappings below this can be told from those that wrapped."""


def _arrived_data(trace: Trace) -> Iterator[Place]:
    """Data that arrived, and whose mapping could have been another one.

    After data on the SYN nothing would prove which octets the mappings cover.
    """
    arrived = {each.segment.number for each in trace.deliveries}
    for place in data_places()(trace):
        number = place.segments[0]
        if number in arrived and not early(trace, trace.segments[number]):
            yield place


def _changed_mapping(draft: Draft, place: Place) -> None:
    """The segment once more at once, with another DSN."""
    key = place.segments[0]
    sent = draft.sent(key)
    mapping = sent.mapping
    assert mapping is not None
    first = mapping.dsn
    shifts = [each for each in (first - 1, first // 2, -first // 3) if each and first - each > 0]
    other = first - draft.choices.pick(shifts) if shifts else first + 1
    again = tuple(replace(part, cause="retransmission", trigger="") for part in sent.ranges)
    copy = remapped(draft, sent, replace(mapping, dsn=other), payload=sent.payload)
    draft.blame(draft.insert(key, replace(copy, ranges=again)))


def _near(trace: Trace, sent: Sent) -> bool:
    """Whether a mapping with absolute sequence number is clearly beyond all that was sent."""
    isn = subflow_of(trace, sent).isns[sent.host]
    return 1 << 20 <= isn + sent.sequence < FARTHEST


def _absolute(draft: Draft, place: Place) -> None:
    """The subflow sequence number as it is in the TCP header; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    mapping = sent.mapping
    assert mapping is not None
    draft.cut(key)
    moved = replace(mapping, sequence=draft.subflows[sent.subflow].isns[sent.host] + sent.sequence)
    nowhere = tuple(replace(part, dsn=None, cause="unmapped") for part in sent.ranges)
    draft.change(
        key,
        lambda each: replace(
            remapped(draft, each, moved, payload=each.payload), ranges=nowhere
        ),
    )  # fmt: skip
    draft.blame(key)


def _before_data(trace: Trace) -> Iterator[Place]:
    """Pure ACKs after which their sender's next segment on the subflow is new data."""
    data = {place.segments[0] for place in data_places()(trace)}
    before: dict[tuple[int, int], Sent] = {}
    for sent in trace.segments:
        half = sent.subflow, sent.host
        last = before.get(half)
        if (
            last is not None
            and sent.number in data
            and _bare_ack(last)
            and last.sequence == sent.sequence
            and mptcp_only(trace, last)
        ):
            yield Place(host=sent.host, segments=(last.number, sent.number))
        before[half] = sent


def _bare_ack(sent: Sent) -> bool:
    return (
        sent.flags == ACK
        and not sent.payload
        and sent.mapping is None
        and len(sent.options) == 1
        and isinstance(sent.options[0], Dss)
    )


def _in_advance(draft: Draft, place: Place) -> None:
    """The ACK once more, with the mapping of the data that follows."""
    ack, data = place.segments
    early, late = draft.sent(ack), draft.sent(data)
    theirs, ours = option_of(late, Dss), option_of(early, Dss)
    assert theirs is not None
    assert ours is not None
    both = replace(
        theirs,
        flags=theirs.flags & ~0x03 | ours.flags & 0x03,
        data_ack=ours.data_ack,
    )
    draft.blame(draft.insert(ack, replace(early, options=(both,), mapping=late.mapping)))


def _late_data(trace: Trace) -> Iterator[Place]:
    """Data that arrived, on a subflow whose earlier data was DATA_ACKed on it."""
    for place in _arrived_data(trace):
        first = trace.segments[place.segments[0]]
        covered = announced(trace, first)
        if (
            _heard(trace, first)
            and _in_order(trace, first)
            and not covered
            and told_until(trace, first)
        ):
            yield place


def _heard(trace: Trace, sent: Sent) -> bool:
    """Whether a DATA_ACK for data of the host arrived on a segment's subflow before it was sent."""
    return any(
        each.segment.subflow == sent.subflow
        and each.segment.host != sent.host
        and (each.segment.data_ack or 0) > 1
        and each.time < sent.time
        for each in trace.deliveries
    )


def announced(trace: Trace, sent: Sent) -> bool:
    """Whether an earlier segment of its half announced the mapping of a segment's data."""
    return any(
        each.mapping is not None
        and (each.subflow, each.host) == (sent.subflow, sent.host)
        and each.mapping.sequence < sent.sequence + len(sent.payload)
        and each.mapping.sequence + each.mapping.octets > sent.sequence
        for each in trace.segments[: sent.number]
    )


def _early_data(trace: Trace) -> Iterator[Place]:
    """Data that arrived, on a subflow of which nothing was DATA_ACKed yet."""
    for place in _arrived_data(trace):
        first = trace.segments[place.segments[0]]
        if first.data_ack is not None and not _confirmed(trace, first) and _in_order(trace, first):
            yield place


def _in_order(trace: Trace, sent: Sent) -> bool:
    """Whether a segment is the last of its half so far, and everything before it arrived."""
    before = [
        each.number
        for each in trace.segments[: sent.number]
        if (each.subflow, each.host) == (sent.subflow, sent.host) and each.payload
    ]
    arrived = {each.segment.number for each in trace.deliveries}
    return all(number in arrived for number in before)


def _confirmed(trace: Trace, sent: Sent) -> bool:
    """Whether any DATA_ACK for data of the host came back on a segment's subflow before it."""
    return any(
        each.subflow == sent.subflow and each.host != sent.host and (each.data_ack or 0) > 1
        for each in trace.segments[: sent.number]
    )


def _unmapped(*, waits: bool) -> Edit:
    """The DSS loses its mapping; the trace ends, if it ``waits`` only after a second ACK."""

    def edit(draft: Draft, place: Place) -> None:
        key = place.segments[0]
        sent = draft.sent(key)
        draft.cut(key)

        def bare(option: Dss) -> Dss | None:
            if option.data_ack is None:
                return None
            return Dss(flags=option.flags & 0x03, data_ack=option.data_ack)

        nowhere = tuple(replace(part, dsn=None, cause="unmapped") for part in sent.ranges)
        draft.options(key, plain_dss(bare))
        draft.set(key, mapping=None, ranges=nowhere)
        draft.blame(key)
        if waits:
            for gap in (LATER, 3 * LATER):
                answer = acknowledgment(draft, sent.subflow, 1 - sent.host)
                draft.append(answer, gap=gap)

    return edit


def _shared_mapping(trace: Trace) -> Iterator[Place]:
    """Segments that repeat a mapping which an earlier one announced, none being DATA_ACKed.

    Their own DATA_ACK shows that their sender is not plain TCP by then.
    """
    seen: dict[tuple[int, int], list[Sent]] = {}
    for sent in trace.segments:
        half = seen.setdefault((sent.subflow, sent.host), [])
        if (
            sent.payload
            and sent.mapping is not None
            and sent.data_ack is not None
            and mptcp_only(trace, sent)
            and not _confirmed(trace, sent)
            and all(part.cause == "new" for part in sent.ranges)
            and not sent.mapping.fin
            and any(each.mapping == sent.mapping and each.sequence < sent.sequence for each in half)
        ):
            yield Place(host=sent.host, segments=(sent.number,))
        half.append(sent)


def _unrepeated(draft: Draft, place: Place) -> None:
    """A segment loses its mapping, which stands on an earlier segment."""
    key = place.segments[0]
    draft.options(
        key,
        plain_dss(
            lambda each: (
                None
                if each.data_ack is None
                else Dss(flags=each.flags & 0x03, data_ack=each.data_ack)
            )
        ),
    )
    draft.set(key, mapping=None)
    draft.blame(key)


FAULTS = (
    Fault(
        name="mapping-changed",
        meaning="Octets that had a mapping are sent again on their subflow with another one.",
        v1=("8684-3.3.1-01",),
        v0=("6824-3.3.1-10",),
        needs=("data",),
        find=_arrived_data,
        edit=_changed_mapping,
    ),
    Fault(
        name="mapping-with-absolute-sequence",
        meaning="The subflow sequence number of a mapping counts from 0, not from the ISN.",
        v1=("8684-3.3.1-04", "8684-3.3.1-20"),
        v0=("6824-3.3.1-12",),
        needs=("data",),
        find=data_places(_near),
        edit=_absolute,
    ),
    Fault(
        name="mapping-in-advance",
        meaning="A pure ACK has the mapping of data that follows later, as in version 0.",
        v1=("8684-3.3.1-20",),
        needs=("data",),
        find=_before_data,
        edit=_in_advance,
    ),
    Fault(
        name="data-unmapped",
        meaning="Data that a subflow's ACK covers never gets a mapping.",
        v1=("8684-3.3.1-21",),
        v0=("6824-3.3.1-24",),
        needs=("data",),
        find=_late_data,
        edit=_unmapped(waits=True),
        arranges=True,
    ),
    Fault(
        name="first-data-unmapped",
        meaning="Data has no mapping before any data of the subflow was DATA_ACKed.",
        v1=("8684-3.7-02",),
        v0=("6824-3.6-01",),
        needs=("data",),
        find=_early_data,
        edit=_unmapped(waits=False),
    ),
    Fault(
        name="mapping-not-repeated",
        meaning="A segment relies on the mapping of an earlier one before a DATA_ACK came.",
        v1=("8684-3.7-02",),
        v0=("6824-3.6-01",),
        needs=("shared_mapping",),
        find=_shared_mapping,
        edit=_unrepeated,
    ),
)
