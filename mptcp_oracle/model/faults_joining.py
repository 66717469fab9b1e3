"""Faults of joining a connection: MP_JOIN (RFC 8684 and 6824, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Edit, Fault
from mptcp_oracle.model.faults_announcements import told_until
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import LATER, room_after
from mptcp_oracle.model.faults_places import (
    gathered,
    has,
    lacks,
    option_of,
    rewrite,
    subflow_of,
)
from mptcp_oracle.model.trace import ACK, PSH, RST, SYN, Range, Sent, Trace
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpTcprst,
    Option,
    RemoveAddr,
)

__all__ = ["FAULTS", "join_before", "second_joins", "syns"]


def opened_by(trace: Trace, host: int, connection: int) -> list[int]:
    """Established joined subflows that a host opened, in order."""
    return [
        each.number
        for each in trace.subflows
        if not each.initial
        and each.connection == connection
        and each.opener == host
        and each.outcome == "established"
    ]


def syns(trace: Trace, subflow: int, flags: int = SYN) -> tuple[int, ...]:
    """Numbers of the SYNs of a subflow (or of other segments, by their flags SYN and ACK)."""
    return tuple(
        sent.number
        for sent in trace.segments
        if sent.subflow == subflow and sent.flags & (SYN | ACK) == flags
    )


def second_joins(trace: Trace) -> Iterator[Place]:
    """Of each two joins of a host, the SYNs of the later one."""
    for connection in trace.connections:
        for host in (0, 1):
            joins = opened_by(trace, host, connection.number)
            for subflow in joins[1:]:
                yield Place(host=host, segments=syns(trace, subflow))


def join_before(trace: Trace, subflow: int) -> int:
    """The join of the same host before a join."""
    truth = trace.subflows[subflow]
    joins = opened_by(trace, truth.opener, truth.connection)
    return joins[joins.index(subflow) - 1]


def _named(trace: Trace, connection: int, host: int) -> set[int]:
    """Address IDs that a host's ADD_ADDRs and REMOVE_ADDRs name."""
    found: set[int] = set()
    for sent in trace.segments:
        if sent.host == host and trace.subflows[sent.subflow].connection == connection:
            for option in sent.options:
                if isinstance(option, AddAddr) and not option.echo:
                    found.add(option.address_id)
                elif isinstance(option, RemoveAddr):
                    found.update(option.address_ids)
    return found


def _elsewhere(trace: Trace) -> Iterator[Place]:
    """Later joins of a host from another address than its join before; both have free IDs."""
    for place in second_joins(trace):
        sent = trace.segments[place.segments[0]]
        truth, earlier = subflow_of(trace, sent), trace.subflows[join_before(trace, sent.subflow)]
        ids = {truth.address_ids[place.host], earlier.address_ids[place.host]}
        if 0 in ids or ids & _named(trace, truth.connection, place.host):
            continue
        if truth.ends[place.host].address != earlier.ends[place.host].address:
            yield place


def _renamed(draft: Draft, place: Place, address_id: int) -> None:
    """Put another Address ID into the SYNs of a join."""
    subflow = draft.sent(place.segments[0]).subflow
    ids = draft.subflows[subflow].address_ids
    draft.subflow(
        subflow,
        address_ids=(address_id, ids[1]) if place.host == 0 else (ids[0], address_id),
    )
    for key in place.segments:
        draft.options(
            key,
            lambda option: (
                replace(option, address_id=address_id) if isinstance(option, MpJoinSyn) else option
            ),
        )


def _id_again(draft: Draft, place: Place) -> None:
    """A join from a second address has the Address ID of the first."""
    earlier = join_before(draft.trace, draft.sent(place.segments[0]).subflow)
    _renamed(draft, place, draft.subflows[earlier].address_ids[place.host])
    draft.blame(*place.segments, *syns(draft.trace, earlier))


def _from_new_address(trace: Trace) -> Iterator[Place]:
    """The SYNs of joins from another address than the initial one, where no other join has ID 0."""
    for truth in trace.subflows:
        flows = [each for each in trace.subflows if each.connection == truth.connection]
        first = next((each for each in flows if each.initial), truth)
        host = truth.opener
        ids = [each.address_ids[host] for each in flows if not each.initial]
        named = _named(trace, truth.connection, host)
        if truth.initial or 0 in ids or named & {0, truth.address_ids[host]}:
            continue
        if truth.ends[host].address == first.ends[host].address:
            continue
        found = syns(trace, truth.number)
        if found and has(trace.segments[found[0]], MpJoinSyn):
            yield Place(host=host, segments=found)


def _id_zero(draft: Draft, place: Place) -> None:
    _renamed(draft, place, 0)
    draft.blame(*place.segments)


def _early_data(*, on_third: bool) -> Edit:
    """The first data of a join is sent before the fourth packet can arrive, and lost."""

    def edit(draft: Draft, place: Place) -> None:
        third, data = place.segments
        early, like = draft.sent(data), draft.sent(third)
        mapping = early.mapping
        size = min(len(early.payload), 1 + draft.choices.integer(0, len(early.payload) - 1))
        parts: list[Range] = []
        for part in early.ranges:
            left = size - sum(each.octets for each in parts)
            if left > 0:
                parts.append(replace(part, octets=min(part.octets, left)))
        fields = replace(
            like,
            flags=ACK | PSH,
            payload=early.payload[:size],
            ranges=tuple(parts),
            sequence=early.sequence,
        )
        if not on_third and mapping is not None:
            dss = option_of(early, Dss)
            bare = [dss] if dss is not None else []
            options = tuple(_without_ack(each) for each in bare)
            fields = replace(fields, options=options, mapping=mapping)
        draft.blame(draft.insert(third, fields, lost=True))
        again = tuple(replace(part, cause="retransmission", trigger="") for part in early.ranges)
        draft.set(data, ranges=again, copied=not on_third and size == len(early.payload))

    return edit


def _without_ack(dss: Dss) -> Dss:
    return Dss(
        flags=dss.flags & ~0x03,
        dsn=dss.dsn,
        ssn=dss.ssn,
        dll=dss.dll,
        checksum=dss.checksum,
        reserved=dss.reserved,
    )


def _third_then_data(trace: Trace) -> Iterator[Place]:
    """The third packet of each join, and the joiner's first data, which has its own mapping."""
    for truth in trace.subflows:
        if truth.initial or truth.outcome != "established":
            continue
        flow = [
            sent
            for sent in trace.segments
            if sent.subflow == truth.number and sent.host == truth.opener
        ]
        third = next((sent for sent in flow if has(sent, MpJoinAck)), None)
        data = next((sent for sent in flow if sent.payload), None)
        if third is None or data is None or not has(data, Dss) or data.mapping is None:
            continue
        copies = [sent for sent in flow if sent.payload and sent.sequence == data.sequence]
        plain = data.mapping.sequence == data.sequence and len(data.ranges) == 1
        room = room_after(trace, third.number)
        fits = room.subflow >= len(data.payload) and room.data_end >= data.mapping.dsn + len(
            data.payload
        )
        if plain and fits and len(copies) == 1 and data.ranges[0].cause == "new":
            yield Place(host=truth.opener, segments=(third.number, data.number))


def _answered_joins(trace: Trace) -> Iterator[Place]:
    """SYN/ACK and third packet of each join that nothing came between, with no other under way."""
    for truth in trace.subflows:
        flow = [sent for sent in trace.segments if sent.subflow == truth.number]
        if truth.initial or len(flow) < 3 or not has(flow[2], MpJoinAck):
            continue
        if not has(flow[1], MpJoinSynAck):
            continue
        under_way = any(
            each.number != truth.number
            and any(
                has(sent, MpJoinSyn, MpJoinSynAck, MpJoinAck)
                and flow[0].time <= sent.time <= flow[2].time
                for sent in trace.segments
                if sent.subflow == each.number
            )
            for each in trace.subflows
        )
        if not under_way and told_until(trace, flow[2]):
            segments = (flow[2].number, flow[1].number)
            yield Place(host=truth.opener, segments=segments)


def _goes_on_plain(draft: Draft, place: Place) -> None:
    """The SYN/ACK has no MP_JOIN; the joiner answers with a plain ACK, and time passes."""
    third, synack = place.segments
    subflow = draft.sent(third).subflow
    draft.cut(third)
    draft.set(synack, options=())
    draft.set(third, options=())
    draft.subflow(subflow, outcome="refused")
    later = draft.insert(third, draft.sent(third), gap=10 * LATER)
    draft.blame(third, later)


def _ends_join(trace: Trace, sent: Sent) -> bool:
    """Whether a segment is a RST that ends a join before it is established."""
    truth = subflow_of(trace, sent)
    return bool(sent.flags & RST) and truth.outcome in ("refused", "invalid")


def _ends_join_where_heard(trace: Trace, sent: Sent) -> bool:
    """Likewise, but of no SYN to a port at which the host may not listen: it answered one there."""
    if not _ends_join(trace, sent):
        return False
    truth = subflow_of(trace, sent)
    port = truth.ends[sent.host].port
    return truth.opener == sent.host or any(
        each.host == sent.host
        and each.flags & (SYN | ACK) == SYN | ACK
        and subflow_of(trace, each).ends[sent.host].port == port
        and subflow_of(trace, each).connection == truth.connection
        for each in trace.segments
    )


def _other_reason(option: MpTcprst, draft: Draft) -> Option | None:
    return replace(option, reason=draft.choices.pick((2, 4, 5, 6)))


def _silent(_option: MpTcprst, _draft: Draft) -> None:
    return None


def _v0_resets(trace: Trace) -> Iterator[Place]:
    for sent in trace.segments:
        if _ends_join(trace, sent) and not sent.options and lacks(trace, sent, MpFastclose):
            yield Place(host=sent.host, segments=(sent.number,))


def _reset_option(draft: Draft, place: Place) -> None:
    draft.add(place.segments[0], MpTcprst(reason=draft.choices.pick((1, 3))))
    draft.blame(place.segments[0])


FAULTS = (
    Fault(
        name="address-id-again",
        meaning="A host joins from two addresses under one Address ID.",
        v1=("8684-3.2-03", "8684-3.4.1-17"),
        v0=("6824-3.2-12", "6824-3.4.1-15"),
        needs=("two_joins",),
        find=_elsewhere,
        edit=_id_again,
    ),
    Fault(
        name="address-id-zero",
        meaning="A host joins from another address than its initial one under Address ID 0.",
        v1=("8684-3.2-04",),
        v0=("6824-3.2-13",),
        needs=("join",),
        find=_from_new_address,
        edit=_id_zero,
    ),
    Fault(
        name="join-syn-reserved-bits",
        meaning="The MP_JOIN of a SYN has reserved bits set.",
        v1=("8684-3.2-06",),
        v0=("6824-3.2-15",),
        needs=("join",),
        find=gathered(MpJoinSyn),
        edit=rewrite(
            MpJoinSyn, lambda option, draft: replace(option, reserved=draft.choices.integer(1, 7))
        ),
    ),
    Fault(
        name="join-synack-reserved-bits",
        meaning="The MP_JOIN of a SYN/ACK has reserved bits set.",
        v1=("8684-3.2-06",),
        v0=("6824-3.2-15",),
        needs=("join",),
        find=gathered(MpJoinSynAck),
        edit=rewrite(
            MpJoinSynAck,
            lambda option, draft: replace(option, reserved=draft.choices.integer(1, 7)),
        ),
    ),
    Fault(
        name="join-ack-reserved-bits",
        meaning="The MP_JOIN of the third packet has reserved bits set.",
        v1=("8684-3.2-07",),
        v0=("6824-3.2-16",),
        needs=("join",),
        find=gathered(MpJoinAck),
        edit=rewrite(
            MpJoinAck,
            lambda option, draft: replace(option, reserved=draft.choices.integer(1, 0xFFF)),
        ),
    ),
    Fault(
        name="join-data-before-fourth",
        meaning="The joiner sends data before the fourth packet can have arrived.",
        v1=("8684-3.2-16",),
        v0=("6824-3.2-22",),
        needs=("join_data",),
        find=_third_then_data,
        edit=_early_data(on_third=False),
        arranges=True,
        at_sender=True,
    ),
    Fault(
        name="join-data-on-third",
        meaning="A third packet with MP_JOIN has data, too.",
        v1=("8684-3.2-24", "8684-3.2-16", "8684-3.7-02"),
        v0=("6824-3.2-28", "6824-3.2-22", "6824-3.6-01"),
        needs=("join_data",),
        find=_third_then_data,
        edit=_early_data(on_third=True),
        arranges=True,
        at_sender=True,
    ),
    Fault(
        name="join-goes-on-plain",
        meaning="The joiner gets a SYN/ACK without MP_JOIN and does not reset the subflow.",
        v1=("8684-3.2-19", "8684-3.7-21"),
        v0=("6824-3.2-25",),
        needs=("join",),
        find=_answered_joins,
        edit=_goes_on_plain,
        arranges=True,
    ),
    Fault(
        name="join-reset-silent",
        meaning="The RST that ends a join does not say why.",
        v1=("8684-3.2-20",),
        needs=("refused_join_reset",),
        find=gathered(MpTcprst, where=_ends_join_where_heard),
        edit=rewrite(MpTcprst, _silent),
    ),
    Fault(
        name="join-reset-reason",
        meaning="The RST that ends a join gives a reason that has nothing to do with it.",
        v1=("8684-3.2-20",),
        needs=("refused_join_reset",),
        find=gathered(MpTcprst, where=_ends_join),
        edit=rewrite(MpTcprst, _other_reason),
    ),
    Fault(
        name="reset-option-in-version-0",
        meaning="The RST that ends a version 0 join carries MP_TCPRST.",
        v0=("6824-3.2-03", "6824-8-01"),
        needs=("refused_join_reset",),
        find=_v0_resets,
        edit=_reset_option,
    ),
)
