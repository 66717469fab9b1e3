"""Faults of connection initiation beyond the handshake: first data, first joins (section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.constants import (
    CAPABLE_ADDRESS_CLOSED,
)
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_capable import (
    after_synack,
    flagged,
    going_on,
    on_syn,
    other_key,
)
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_places import (
    again,
    carriers,
    connection_of,
    gathered,
    has,
    mapped,
    new_join,
    option_of,
    quiet,
    rewrite,
    subflow_of,
)
from mptcp_oracle.model.trace import ACK, SYN, Mapping, Sent, Trace
from mptcp_oracle.options import AddAddr, Dss, MpCapable, Option

__all__ = ["FAULTS"]

UNKNOWN_CRYPTO = (0x02, 0x04, 0x08, 0x10)
"""Flags D to G, of algorithms that do not exist."""

Change = Callable[[MpCapable, Draft], Option | None]


def _first_data(_trace: Trace, sent: Sent) -> bool:
    return sent.mapping is not None and sent.mapping.by_capable


def _heard_third(trace: Trace) -> Iterator[Place]:
    """First data under an MP_CAPABLE, if the third packet had brought the listener the keys."""
    arrived = {each.segment.number for each in trace.deliveries}
    for place in gathered(MpCapable, where=_first_data)(trace):
        first = trace.segments[place.segments[0]]
        if any(
            sent.subflow == first.subflow
            and sent.number in arrived
            and has(sent, MpCapable)
            and not sent.flags & SYN
            for sent in trace.segments[: first.number]
        ):
            yield place


def _plain_first_data(draft: Draft, place: Place) -> None:
    """A DSS instead of the MP_CAPABLE of the first data, with the same mapping."""
    for key in place.segments:
        sent = draft.sent(key)
        option, mapping = option_of(sent, MpCapable), sent.mapping
        if option is None or mapping is None:
            continue
        dss = _dss(draft, key, mapping, option.checksum, 8)
        options = tuple(dss if each is option else each for each in sent.options)
        draft.set(key, options=options, mapping=replace(mapping, by_capable=False))
        draft.blame(key)


def _dss(draft: Draft, key: int, mapping: Mapping, checksum: int | None, size: int) -> Dss:
    """A DSS with a mapping of a whole first data, DSN in 4 or 8 octets."""
    own, _ = draft.hosts_of(key)
    dsn = (own.base + mapping.dsn) & (1 << 8 * size) - 1
    return Dss.of(
        dsn=dsn, dsn_size=size, ssn=mapping.sequence, dll=mapping.octets, checksum=checksum
    )


def _doubled(draft: Draft, place: Place) -> None:
    """A DSS beside the MP_CAPABLE of the first data, with the same mapping."""
    for key in place.segments:
        sent = draft.sent(key)
        option, mapping = option_of(sent, MpCapable), sent.mapping
        if option is not None and mapping is not None:
            draft.add(key, _dss(draft, key, mapping, option.checksum, 4))
            draft.blame(key)


def _checksum_turned(draft: Draft, place: Place) -> None:
    """First data with a checksum where none is negotiated, or without where one is."""
    for key in place.segments:
        sent = draft.sent(key)
        option, mapping = option_of(sent, MpCapable), sent.mapping
        if option is None or mapping is None:
            continue
        value = None
        if option.checksum is None:
            own, _ = draft.hosts_of(key)
            octets = mapped(draft.trace, sent) or b""
            dsn = (own.base + mapping.dsn) & (1 << 64) - 1
            value = crypto.dss_checksum(dsn, mapping.sequence, mapping.octets, octets)
        changed = replace(option, checksum=value)
        options = tuple(changed if each is option else each for each in sent.options)
        label = replace(mapping, checksum=None if value is None else True)
        draft.set(key, options=options, mapping=label)
        draft.blame(key)


def _whole(trace: Trace, sent: Sent) -> bool:
    """Whether a segment announces first data whose octets were all sent."""
    return _first_data(trace, sent) and mapped(trace, sent) is not None


def _joins_initial(trace: Trace) -> Iterator[Place]:
    """All SYNs together by which a host joins the peer's initial address and port."""
    for connection in trace.connections:
        flows = [each for each in trace.subflows if each.connection == connection.number]
        first = next((each for each in flows if each.initial), None)
        if connection.version != 1 or first is None:
            continue
        for host in (0, 1):
            end = first.ends[1 - host]
            announced = {
                option.address
                for sent in trace.segments
                if connection_of(trace, sent) is connection and sent.host != host
                for option in sent.options
                if isinstance(option, AddAddr)
            }
            joins = {
                each.number
                for each in flows
                if not each.initial and each.opener == host and each.ends[1 - host] == end
            }
            syns = [
                sent.number
                for sent in trace.segments
                if sent.subflow in joins and on_syn(trace, sent)
            ]
            if syns and end.address not in announced:
                yield Place(host=host, segments=tuple(syns))


def _closed_address(draft: Draft, place: Place) -> None:
    """The peer had set flag C, so that its initial address takes no joins."""
    connection = draft.connection_of(place.segments[0])
    for sent in draft.trace.segments:
        if sent.host != place.host and connection_of(draft.trace, sent) is connection:
            draft.options(
                sent.number,
                lambda option: (
                    flagged(CAPABLE_ADDRESS_CLOSED)(option, draft)
                    if isinstance(option, MpCapable)
                    else option
                ),
            )
    draft.host(connection.number, 1 - place.host, c_flag=True)
    draft.blame(*place.segments)


def _third_heard_by_nobody_else(trace: Trace) -> Iterator[Place]:
    """The first packet after a SYN/ACK, where the initiator has not heard a DSS yet."""
    for subflow in trace.subflows:
        connection = trace.connections[subflow.connection]
        if not subflow.initial or connection.fallback or connection.hosts[1].c_flag:
            continue
        for sent in trace.segments:
            if sent.subflow == subflow.number and sent.host == 0 and after_synack(trace, sent):
                if has(sent, MpCapable):
                    yield Place(host=0, segments=(sent.number,))
                break


def _early_join(draft: Draft, place: Place) -> None:
    after = place.segments[0]
    ends = draft.subflows[draft.sent(after).subflow].ends
    taken = {each.ends[0].port for each in draft.subflows}
    port = next(port for port in range(50_100, 60_000) if port not in taken)
    source = replace(ends[0], port=port)
    draft.blame(new_join(draft, after, opener=0, target=ends[1], source=source, address_id=0))


def _on_joined(trace: Trace, sent: Sent) -> bool:
    return not subflow_of(trace, sent).initial


def _capable_late(draft: Draft, place: Place) -> None:
    own, peer = draft.hosts_of(place.segments[0])
    option = MpCapable(
        version=draft.connection_of(place.segments[0]).version,
        sender_key=own.key,
        receiver_key=peer.key,
    )
    draft.blame(again(draft, place, option, plain=True))


def _first_data_ack(trace: Trace) -> Iterator[Place]:
    """The first DATA_ACK of each host, if it acknowledges no data."""
    for connection in trace.connections:
        for host in (0, 1):
            for sent in trace.segments:
                if (
                    sent.host == host
                    and sent.data_ack is not None
                    and connection_of(trace, sent) is connection
                ):
                    if sent.data_ack == 1:
                        yield Place(host=host, segments=(sent.number,))
                    break


def _idsn_acked(draft: Draft, place: Place) -> None:
    """A DATA_ACK of the peer's IDSN itself, which is one less than the smallest that is valid."""
    draft.acknowledge(place.segments[0], 0)
    draft.blame(place.segments[0])


def _first_data_acked(trace: Trace) -> Iterator[Place]:
    """The listener's first pure ACK of first data, if nothing else has happened before it."""
    for place in gathered(MpCapable, where=_first_data)(trace):
        first = trace.segments[place.segments[0]]
        mapping = first.mapping
        if mapping is None or subflow_of(trace, first).connection or first.subflow:
            continue
        if subflow_of(trace, first).syn_data[0]:
            continue  # what its checksum counts from is not settled
        end = mapping.dsn + mapping.octets
        for sent in trace.segments[first.number :]:
            if sent.subflow != first.subflow or (sent.host == 0 and sent.mapping != mapping):
                break
            if sent.host == 1 and sent.flags == ACK and not sent.payload and sent.data_ack == end:
                yield Place(host=1, segments=(sent.number,))
                break


def _never_acked(draft: Draft, place: Place) -> None:
    """The listener's DATA_ACK stays where it was, seconds after the subflow's ACK has moved on."""
    last = place.segments[0]
    draft.cut(last)
    for key in draft.order:
        if draft.sent(key).host == 1 and (draft.sent(key).data_ack or 0) > 1:
            draft.acknowledge(key, 1)
            draft.blame(key)
    draft.blame(draft.insert(last, draft.sent(last), gap=5_000_000_000))


def _early_data_ack(draft: Draft, place: Place) -> None:
    """A DATA_ACK from a listener that has not heard the initiator's key."""
    key = place.segments[-1]
    synack = draft.sent(key)
    peer = draft.connection_of(key).hosts[0]
    early = replace(
        synack,
        sequence=1,
        flags=ACK,
        options=(Dss.of(data_ack=(peer.base + 1) & (1 << 64) - 1),),
        payload=b"",
        ranges=(),
        data_ack=1,
    )
    draft.blame(draft.insert(key, early, lost=True))


def _without_mapping(trace: Trace) -> Iterator[Place]:
    """The third packet, and the first data, if data of the SYN was not all accepted."""
    for truth in trace.subflows:
        flow = [sent for sent in trace.segments if sent.subflow == truth.number and sent.host == 0]
        data = [sent for sent in flow if sent.payload and not sent.flags & SYN]
        syns = [sent for sent in flow if sent.flags & SYN and sent.payload]
        thirds = [sent for sent in flow if not sent.flags & SYN and not sent.payload]
        if not truth.initial or not syns or not data or data[0].mapping is None:
            continue
        if not thirds or thirds[0].number > data[0].number:
            continue
        again = data[0].ranges[0].cause == "retransmission"
        # A single octet that is sent again may be a probe.
        if again and data[0].ranges[0].octets > 1 and len(syns[0].payload) > truth.syn_data[0]:
            yield Place(host=0, segments=(thirds[0].number, data[0].number))


def _sent_unmapped(draft: Draft, place: Place) -> None:
    """What was not accepted is sent again without a mapping, and lost; then with one."""
    third, key = place.segments
    data = draft.sent(key)
    part = data.ranges[0]
    early = replace(
        data,
        options=(),
        mapping=None,
        data_ack=None,
        payload=data.payload[: part.octets],
        ranges=(part,),
    )
    draft.blame(draft.insert(third, early, lost=True))


FAULTS = (
    Fault(
        name="syn-data-resent-unmapped",
        meaning="Data of the SYN that was not accepted is sent again without a mapping.",
        v1=("8684-B-03", "8684-3.7-02"),
        needs=("syn_data",),
        find=_without_mapping,
        edit=_sent_unmapped,
        at_sender=True,
    ),
    Fault(
        name="first-data-checksum",
        meaning="The first data has a checksum that was not negotiated, or lacks one that was.",
        v1=("8684-3.1-09",),
        needs=("capable_data",),
        find=gathered(MpCapable, where=_whole),
        edit=_checksum_turned,
    ),
    Fault(
        name="key-changed",
        meaning="The first data has another key of the initiator's than the third packet.",
        v1=("8684-3.1-11",),
        needs=("third_ack", "capable_data"),
        find=_heard_third,
        edit=rewrite(MpCapable, other_key),
    ),
    Fault(
        name="first-data-under-dss",
        meaning="The first data has a DSS where it must have an MP_CAPABLE.",
        v1=("8684-3.1-17",),
        needs=("third_ack", "capable_data"),
        find=_heard_third,
        edit=_plain_first_data,
    ),
    Fault(
        name="first-data-doubly-mapped",
        meaning="The first data has an MP_CAPABLE and a DSS that map it.",
        v1=("8684-3.1-18",),
        needs=("capable_data",),
        find=gathered(MpCapable, where=_first_data),
        edit=_doubled,
    ),
    Fault(
        name="first-data-never-acknowledged",
        meaning="Data that an MP_CAPABLE maps gets no DATA_ACK.",
        v1=("8684-3.1-19",),
        needs=("capable_data",),
        find=_first_data_acked,
        edit=_never_acked,
    ),
    Fault(
        name="join-before-dss",
        meaning="A host joins before a DSS has crossed the initial subflow.",
        v1=("8684-3.1-23",),
        v0=("6824-3.1-15",),
        find=_third_heard_by_nobody_else,
        edit=_early_join,
        at_sender=True,
    ),
    Fault(
        name="join-to-closed-address",
        meaning="A host joins the peer's initial address and port although the peer set flag C.",
        v1=("8684-3.1-27",),
        needs=("join_initial",),
        find=_joins_initial,
        edit=_closed_address,
        arranges=True,
    ),
    Fault(
        name="capable-on-joined-subflow",
        meaning="An MP_CAPABLE stands on a joined subflow.",
        v1=("8684-3.1-40",),
        v0=("6824-3.1-26",),
        needs=("join", "pure_ack"),
        find=quiet(_on_joined),
        edit=_capable_late,
    ),
    Fault(
        name="idsn-acknowledged",
        meaning="The first DATA_ACK of a host is the peer's IDSN, not the DSN after it.",
        v1=("8684-3.1-45",),
        v0=("6824-3.1-30",),
        needs=("data",),
        find=_first_data_ack,
        edit=_idsn_acked,
    ),
    Fault(
        name="data-ack-before-key",
        meaning="The listener sends a DATA_ACK before it can know the initiator's key.",
        v1=("8684-B-04",),
        find=carriers(MpCapable, where=going_on),
        edit=_early_data_ack,
        at_sender=True,
    ),
)
