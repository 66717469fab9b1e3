"""Faults of DSS mappings and their checksums (RFC 8684 and 6824, sections 3.3 and 3.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Edit, Fault
from mptcp_oracle.model.faults_edit import Draft, Place, fits
from mptcp_oracle.model.faults_flow import (
    LATER,
    acknowledgment,
    data_places,
    mptcp_only,
    plain_dss,
    remapped,
)
from mptcp_oracle.model.faults_places import (
    carriers,
    connection_of,
    mapped,
    option_of,
    subflow_of,
)
from mptcp_oracle.model.settings import Deviations, Settings
from mptcp_oracle.model.trace import ACK, Mapping, Sent, Trace
from mptcp_oracle.options import Dss

__all__ = ["FAULTS"]

WIDE, NARROW = (1 << 64) - 1, (1 << 32) - 1
FARTHEST = 1 << 30
"""Relative numbers of mappings below this can be told from those that wrapped."""

Total = Callable[[Draft, Sent, Mapping, Dss], int]


def _has_checksum(_trace: Trace, sent: Sent) -> bool:
    dss = option_of(sent, Dss)
    return dss is not None and dss.checksum is not None


def _no_checksum(trace: Trace, sent: Sent) -> bool:
    dss = option_of(sent, Dss)
    bare = dss is not None and dss.dsn is not None and dss.checksum is None
    return bare and dss is not None and fits(sent, replace(dss, checksum=0))


def _sum(draft: Draft, sent: Sent, mapping: Mapping, dss: Dss) -> int:
    """The right checksum."""
    own = draft.connections[draft.subflows[sent.subflow].connection].hosts[sent.host]
    dsn, dll = (own.base + mapping.dsn) & WIDE, mapping.octets + mapping.fin
    return crypto.dss_checksum(dsn, dss.ssn or 0, dll, mapped(draft.trace, sent) or b"")


def _summed(total: Total | None, *, right: bool = False) -> Edit:
    """Give the mapping of a segment another checksum, or none; with it the trace ends."""

    def edit(draft: Draft, place: Place) -> None:
        key = place.segments[0]
        sent = draft.sent(key)
        mapping = sent.mapping
        assert mapping is not None

        def change(option: Dss) -> Dss:
            value = None if total is None else total(draft, sent, mapping, option)
            return replace(option, checksum=value)

        draft.cut(key)
        draft.options(key, plain_dss(change))
        draft.set(key, mapping=replace(mapping, checksum=None if total is None else right))
        draft.blame(key)

    return edit


def _off(draft: Draft, sent: Sent, mapping: Mapping, dss: Dss) -> int:
    """A wrong checksum, as an error of the program or of the data makes it."""
    own = draft.connections[draft.subflows[sent.subflow].connection].hosts[sent.host]
    octets, dll = mapped(draft.trace, sent) or b"", mapping.octets + mapping.fin
    dsn, ssn, right = (own.base + mapping.dsn) & WIDE, dss.ssn or 0, dss.checksum or 0
    wrong = [
        crypto.dss_checksum(0, 0, 0, octets),
        right ^ 0xFFFF,
        right ^ 1 << draft.choices.integer(0, 15),
        (right & 0xFF) << 8 | right >> 8,
        crypto.dss_checksum(dsn, ssn + draft.subflows[sent.subflow].isns[sent.host] & NARROW, dll,
                            octets),
        0,
    ]  # fmt: skip
    return draft.choices.pick([each for each in wrong if not _same(each, right)])


def _same(one: int, other: int) -> bool:
    """Whether two checksums are equal as ones' complement numbers: 0 and 0xFFFF are both 0."""
    return one % 0xFFFF == other % 0xFFFF


def _narrow(draft: Draft, sent: Sent, mapping: Mapping, dss: Dss) -> int:
    """The checksum over a DSN of 4 octets."""
    dll = mapping.octets + mapping.fin
    octets = mapped(draft.trace, sent) or b""
    return crypto.dss_checksum(dss.dsn or 0, dss.ssn or 0, dll, octets)


def _narrow_differs(trace: Trace, sent: Sent) -> bool:
    """Whether the upper half of a mapping's DSN counts, and is not on the wire."""
    dss, mapping = option_of(sent, Dss), sent.mapping
    if dss is None or mapping is None or dss.checksum is None or dss.dsn_size != 4:
        return False
    base = connection_of(trace, sent).hosts[sent.host].base
    return not _same((base + mapping.dsn & WIDE) >> 32, 0) and mapped(trace, sent) is not None


def _wrong_possible(trace: Trace, sent: Sent) -> bool:
    return _has_checksum(trace, sent) and mapped(trace, sent) is not None


def _arrived_data(trace: Trace) -> Iterator[Place]:
    """Data that arrived, and whose mapping could have been another one."""
    arrived = {each.segment.number for each in trace.deliveries}
    for place in data_places()(trace):
        if place.segments[0] in arrived:
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
        if _heard(trace, first) and _in_order(trace, first) and not _announced(trace, first):
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


def _announced(trace: Trace, sent: Sent) -> bool:
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
    """Segments that repeat a mapping which an earlier one announced, none being DATA_ACKed."""
    seen: dict[tuple[int, int], list[Sent]] = {}
    for sent in trace.segments:
        half = seen.setdefault((sent.subflow, sent.host), [])
        if (
            sent.payload
            and sent.mapping is not None
            and option_of(sent, Dss) is not None
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


def _infinite(_trace: Trace, sent: Sent) -> bool:
    dss = option_of(sent, Dss)
    infinite = sent.mapping is not None and sent.mapping.infinite
    return infinite and dss is not None and dss.checksum is not None


def _infinite_sum(draft: Draft, place: Place) -> None:
    value = draft.choices.integer(1, 0xFFFE)
    for key in place.segments:
        mapping = draft.sent(key).mapping
        assert mapping is not None
        draft.options(key, plain_dss(lambda each: replace(each, checksum=value)))
        draft.set(key, mapping=replace(mapping, checksum=False))
        draft.blame(key)


def _never_right(_settings: Settings, _host: int) -> Deviations:
    return Deviations(checksum_flip=0x2F81)


def _first_wrong(trace: Trace) -> Iterator[Place]:
    """The first mapping of a host whose checksum it got wrong, alone on its segment.

    Hosts that send a DATA_FIN without data get its checksum wrong, too: that is another fault.
    """
    seen = {
        (subflow_of(trace, sent).connection, sent.host)
        for sent in trace.segments
        if sent.mapping is not None and sent.mapping.fin and not sent.mapping.octets
    }
    for sent in trace.segments:
        key = subflow_of(trace, sent).connection, sent.host
        mapping = sent.mapping
        if mapping is not None and mapping.checksum is False and not mapping.infinite:
            if key not in seen and mapped(trace, sent) is not None:
                yield Place(host=sent.host, segments=(sent.number,))
            seen.add(key)


FAULTS = (
    Fault(
        name="checksum-missing",
        meaning="A mapping has no checksum although the hosts agreed on checksums.",
        v1=("8684-3.3-06", "8684-3.1-35", "8684-3.3-01"),
        v0=("6824-3.3-12", "6824-3.1-13", "6824-3.3-10"),
        needs=("data", "checksum"),
        find=data_places(_has_checksum),
        edit=_summed(None),
    ),
    Fault(
        name="mapping-with-unasked-checksum",
        meaning="A mapping has a checksum although the hosts agreed on none.",
        v1=("8684-3.3-06", "8684-3.3-01"),
        v0=("6824-3.3-12", "6824-3.3-10"),
        needs=("data", "no_checksum"),
        find=data_places(_no_checksum),
        edit=_summed(_sum, right=True),
    ),
    Fault(
        name="checksum-wrong",
        meaning="The checksum of a mapping is wrong.",
        v1=("8684-3.3.1-05",),
        v0=("6824-3.3.1-13",),
        needs=("data", "checksum"),
        find=data_places(_wrong_possible),
        edit=_summed(_off),
    ),
    Fault(
        name="checksum-never-right",
        meaning="All checksums of a host are wrong.",
        v1=("8684-3.3.1-05",),
        v0=("6824-3.3.1-13",),
        needs=("data", "checksum"),
        find=_first_wrong,
        deviate=_never_right,
    ),
    Fault(
        name="checksum-of-short-number",
        meaning="The checksum of a mapping covers only the lower half of its DSN.",
        v1=("8684-3.3.1-06", "8684-3.3.1-05"),
        v0=("6824-3.3.1-14", "6824-3.3.1-13"),
        needs=("data", "checksum", "short_dsn"),
        find=data_places(_narrow_differs),
        edit=_summed(_narrow),
    ),
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
    Fault(
        name="infinite-mapping-with-checksum",
        meaning="An infinite mapping has a checksum that is not 0.",
        v1=("8684-3.3.1-22",),
        v0=("6824-3.3.1-25",),
        needs=("infinite", "checksum"),
        find=carriers(Dss, where=_infinite),
        edit=_infinite_sum,
    ),
)
