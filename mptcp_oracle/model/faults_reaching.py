"""Faults of joins to addresses that were announced, refused or removed (section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import STEP, Draft, Place
from mptcp_oracle.model.faults_flow import acknowledgment
from mptcp_oracle.model.faults_places import (
    ack_only,
    again,
    arrivals,
    connection_of,
    has,
    lacks,
    new_join,
    option_of,
    quiet,
    subflow_of,
)
from mptcp_oracle.model.trace import FIN, RST, SYN, Endpoint, Sent, SubflowTruth, Trace
from mptcp_oracle.options import (
    AddAddr,
    MpFastclose,
    MpJoinSyn,
    MpJoinSynAck,
    MpTcprst,
    RemoveAddr,
)

__all__ = ["FAULTS"]

APART = 50_000_000
"""Nanoseconds after which something is clearly later."""
LONG = 5_000_000_000
"""Nanoseconds in which a host would have done what it had to."""


def _announced(trace: Trace, truth: SubflowTruth) -> list[tuple[Sent, AddAddr]]:
    """The ADD_ADDRs for the address that a join goes to."""
    target = truth.ends[1 - truth.opener].address
    return [
        (sent, option)
        for sent in trace.segments
        if trace.subflows[sent.subflow].connection == truth.connection and sent.host != truth.opener
        for option in sent.options
        if isinstance(option, AddAddr) and not option.echo and option.address == target
    ]


def _first(trace: Trace, connection: int) -> SubflowTruth:
    return next(each for each in trace.subflows if each.initial and each.connection == connection)


def _joins_announced(trace: Trace) -> Iterator[Place]:
    """The SYNs of each join to an address that was announced without a port alone."""
    arrived = arrivals(trace)
    for truth in trace.subflows:
        if truth.initial or truth.outcome != "established":
            continue
        announced = _announced(trace, truth)
        options = [option for _, option in announced]
        first = _first(trace, truth.connection).ends[1 - truth.opener]
        if not options or any(option.port is not None for option in options):
            continue
        if truth.ends[1 - truth.opener].address == first.address:
            continue
        found = tuple(
            sent.number
            for sent in trace.segments
            if sent.subflow == truth.number and has(sent, MpJoinSyn)
        )
        heard = [arrived[sent.number] for sent, _ in announced if sent.number in arrived]
        if found and any(time < trace.segments[found[0]].time for time in heard):
            yield Place(host=truth.opener, segments=found)


def _other_port(draft: Draft, place: Place) -> None:
    """The join goes to another port than that of the subflow on which the ADD_ADDR came."""
    subflow = draft.sent(place.segments[0]).subflow
    ends = list(draft.subflows[subflow].ends)
    used = {end.port for truth in draft.subflows for end in truth.ends}
    port = next(port for port in range(20_000, 65_536) if port not in used)
    ends[1 - place.host] = replace(ends[1 - place.host], port=port)
    draft.subflow(subflow, ends=(ends[0], ends[1]))
    draft.blame(*place.segments)


def _refusals(trace: Trace) -> Iterator[Place]:
    """The SYN of a join to an announced address, and a segment of the joiner after its refusal."""
    arrived = arrivals(trace)
    for truth in trace.subflows:
        if truth.initial or truth.outcome != "refused" or not _announced(trace, truth):
            continue
        if _insists(trace, truth.connection, truth.opener):
            continue
        flow = [sent for sent in trace.segments if sent.subflow == truth.number]
        refused = [
            sent
            for sent in flow
            if sent.host != truth.opener and sent.flags & RST and sent.number in arrived
        ]
        if not refused or not has(flow[0], MpJoinSyn):
            continue
        reason = option_of(refused[0], MpTcprst)
        lasting = reason is not None and not reason.transient
        if trace.connections[truth.connection].version and not lasting:
            continue
        over = arrived[refused[0].number]
        announced = {sent.number for sent, _ in _announced(trace, truth)}
        renewed = min(
            (each.time for each in trace.deliveries
             if each.time >= over and each.segment.number in announced),
            default=None,
        )  # fmt: skip
        for sent in trace.segments[refused[0].number :]:
            if renewed is not None and sent.time + STEP >= renewed:
                break
            if (
                sent.host == truth.opener
                and sent.time > over
                and trace.subflows[sent.subflow].connection == truth.connection
                and sent.number in arrived
            ):
                yield Place(host=truth.opener, segments=(sent.number, flow[0].number))
                break


def _insists(trace: Trace, connection: int, host: int) -> bool:
    """Whether a host joins an address, anyway, at which a subflow of it was reset before."""
    joins = [
        (sent.time, subflow_of(trace, sent).ends[1 - host].address)
        for sent in trace.segments
        if sent.host == host
        and has(sent, MpJoinSyn)
        and subflow_of(trace, sent).connection == connection
    ]
    return any(
        each.segment.flags & RST
        and each.segment.host != host
        and subflow_of(trace, each.segment).connection == connection
        and each.time <= time
        and subflow_of(trace, each.segment).ends[1 - host].address == address
        for each in trace.deliveries
        for time, address in joins
    )


def _again_refused(draft: Draft, place: Place) -> None:
    """A second attempt to join an address that has refused one."""
    after, syn = place.segments
    truth = draft.subflows[draft.sent(syn).subflow]
    source = replace(truth.ends[truth.opener], port=_free_port(draft))
    draft.blame(
        new_join(
            draft,
            after,
            opener=truth.opener,
            target=truth.ends[1 - truth.opener],
            source=source,
            address_id=truth.address_ids[truth.opener],
        )
    )


def _free_port(draft: Draft) -> int:
    used = {end.port for truth in draft.subflows for end in truth.ends}
    return next(port for port in range(50_100, 65_536) if port not in used)


def _removals(trace: Trace) -> Iterator[Place]:
    """A segment of the peer after it got a REMOVE_ADDR for an address that it could join."""
    arrived = arrivals(trace)
    for sent in trace.segments:
        option = option_of(sent, RemoveAddr)
        if option is None or sent.number not in arrived:
            continue
        connection = connection_of(trace, sent)
        target = _removed(trace, sent, option)
        if connection.fallback is not None or target is None:
            continue
        if not _sources(trace.subflows, connection.number, 1 - sent.host, target):
            continue
        renewed = min(
            (each.time for each in trace.deliveries
             if each.time >= sent.time and _renews(trace, sent, each.segment)),
            default=None,
        )  # fmt: skip
        fins = {each.host for each in trace.segments[: sent.number] if _ends_data(each)}
        for each in trace.segments[sent.number :]:
            fins |= {each.host} if _ends_data(each) else set()
            if each.flags & (FIN | RST) or len(fins) == 2:
                break
            if renewed is not None and each.time + STEP >= renewed:
                break
            if (
                each.host != sent.host
                and each.time > arrived[sent.number]
                and connection_of(trace, each) is connection
                and not _ends_data(each)
            ):
                yield Place(host=each.host, segments=(each.number, sent.number))
                break


def _ends_data(sent: Sent) -> bool:
    return sent.mapping is not None and sent.mapping.fin


def _renews(trace: Trace, removal: Sent, later: Sent) -> bool:
    """Whether a segment may bring a removed address back."""
    return (
        later.host == removal.host
        and connection_of(trace, later) is connection_of(trace, removal)
        and has(later, AddAddr, MpJoinSyn, MpJoinSynAck)
    )


def _removed(trace: Trace, sent: Sent, option: RemoveAddr) -> Endpoint | None:
    """An end that a REMOVE_ADDR takes back: one of an established subflow, or an announced one.

    Its receiver had heard of it by then, from the handshake or by an ADD_ADDR.
    """
    connection = trace.subflows[sent.subflow].connection
    first = _first(trace, connection).ends[sent.host]
    arrived = arrivals(trace)
    heard = [
        each
        for each in trace.segments[: sent.number]
        if each.host == sent.host
        and trace.subflows[each.subflow].connection == connection
        and arrived.get(each.number, arrived[sent.number]) < arrived[sent.number]
    ]
    for truth in trace.subflows:
        if (
            not truth.initial
            and truth.outcome == "established"
            and any(each.subflow == truth.number for each in heard)
            and truth.address_ids[sent.host] in option.address_ids
            and truth.ends[sent.host].address != first.address
        ):
            return replace(truth.ends[sent.host], port=first.port)
    for each in heard:
        said = option_of(each, AddAddr)
        if (
            said is not None
            and not said.echo
            and said.address_id in option.address_ids
            and said.address != first.address
        ):
            return Endpoint(address=said.address, port=said.port or first.port)
    return None


def _sources(
    subflows: Sequence[SubflowTruth], connection: int, host: int, target: Endpoint
) -> list[tuple[Endpoint, int]]:
    """Ends that a host has, with their Address IDs, of the family of a target."""
    return [
        (truth.ends[host], truth.address_ids[host])
        for truth in subflows
        if truth.connection == connection
        and truth.ends[host].address.version == target.address.version
    ]


def _join_removed(draft: Draft, place: Place) -> None:
    after, removal = place.segments
    sent = draft.sent(removal)
    option = option_of(sent, RemoveAddr)
    target = None if option is None else _removed(draft.trace, sent, option)
    if target is None:
        return
    # Between subflows only what is clearly apart has an order.
    draft.pause(draft.arrived(removal) or sent.time, APART)
    draft.pause(sent.time - 1, APART)
    opener = place.host
    connection = draft.connection_of(after).number
    end, name = _sources(draft.subflows, connection, opener, target)[0]
    source = replace(end, port=_free_port(draft))
    join = new_join(draft, after, opener=opener, target=target, source=source, address_id=name)
    draft.pause(draft.sent(join).time, APART)
    draft.blame(join)


def _in_use(trace: Trace) -> Iterator[Place]:
    """Pure ACKs on joined subflows that carry traffic both ways, and that the host never ends."""
    for place in quiet(ack_only, option=RemoveAddr(address_ids=(1,)))(trace):
        sent = trace.segments[place.segments[0]]
        if not lacks(trace, sent, AddAddr, RemoveAddr, MpFastclose):
            continue
        truth = subflow_of(trace, sent)
        name = truth.address_ids[sent.host]
        users = [
            each.number
            for each in trace.subflows
            if each.connection == truth.connection and each.address_ids[sent.host] == name
        ]
        near = trace.segments[max(0, sent.number - 12) : sent.number]
        recent = {
            each.host for each in near if each.subflow == truth.number and not each.flags & SYN
        }
        ended = any(
            each.subflow == truth.number
            and (each.flags & RST or (each.host == sent.host and each.flags & FIN))
            for each in trace.segments
        )
        joined = any(
            each.opener != sent.host
            and each.ends[sent.host].address == truth.ends[sent.host].address
            and has(late, MpJoinSyn)
            for late in trace.segments[sent.number :]
            for each in (trace.subflows[late.subflow],)
        )
        if (
            not joined
            and not truth.initial
            and name
            and users == [truth.number]
            and len(recent) == 2
            and not ended
        ):
            yield place


def _removed_in_use(draft: Draft, place: Place) -> None:
    sent = draft.sent(place.segments[0])
    name = draft.subflows[sent.subflow].address_ids[sent.host]
    draft.blame(again(draft, place, RemoveAddr(address_ids=(name,))))
    for host in (sent.host, 1 - sent.host):
        draft.append(acknowledgment(draft, sent.subflow, host), gap=LONG)


FAULTS = (
    Fault(
        name="join-to-unannounced-port",
        meaning="A join to an address that was announced without port goes to another port.",
        v1=("8684-3.4.1-06", "8684-3.9.1-01"),
        v0=("6824-3.4.1-13", "6824-3.8.1-10"),
        needs=("join_announced",),
        find=_joins_announced,
        edit=_other_port,
        arranges=True,
    ),
    Fault(
        name="join-refused-again",
        meaning="A host joins an announced address again, though that refused it.",
        v1=("8684-3.4.1-14", "8684-3.6-06"),
        v0=("6824-3.4.1-14",),
        needs=("add_addr", "refused_syn"),
        find=_refusals,
        edit=_again_refused,
        at_sender=True,
    ),
    Fault(
        name="join-to-removed-address",
        meaning="A host joins an address that the peer has removed.",
        v1=("8684-3.4.2-04",),
        needs=("remove_addr",),
        find=_removals,
        edit=_join_removed,
        at_sender=True,
    ),
    Fault(
        name="removed-in-use",
        meaning="A host removes the address of a subflow that works, and never ends it.",
        v1=("8684-3.4.2-09",),
        v0=("6824-3.4.2-15",),
        needs=("join_data", "open", "silent"),
        find=_in_use,
        edit=_removed_in_use,
        arranges=True,
    ),
)
