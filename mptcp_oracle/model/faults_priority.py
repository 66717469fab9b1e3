"""Faults of priorities (RFC 8684 section 3.3.8) and of the ports of joins (section 3.9.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    acknowledgment,
    dss_heard,
    early,
    fresh,
    living,
    mapped_ahead,
    room_after,
)
from mptcp_oracle.model.faults_places import (
    connection_of,
    has,
    lacks,
    new_join,
    quiet,
    standing,
    subflow_of,
)
from mptcp_oracle.model.trace import (
    Endpoint,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import (
    AddAddr,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    Option,
    RemoveAddr,
)

__all__ = ["FAULTS"]

APART = 60_000_000
"""Nanoseconds after which something is clearly later."""
OCTETS = 8
PRIO = MpPrio(backup=True)


def _all_there(trace: Trace, subflow: int, host: int, until: int) -> bool:
    """Whether all data that a host sent on a subflow up to a segment arrives."""
    arrived = {each.segment.number for each in trace.deliveries}
    return all(
        sent.number in arrived
        for sent in trace.segments[: until + 1]
        if (sent.subflow, sent.host) == (subflow, host) and sent.payload
    )


def _room(trace: Trace, subflow: int, host: int, until: int) -> int:
    """Octets of new data that a host may send on a subflow after a segment."""
    connection = trace.subflows[subflow].connection
    own = [
        sent
        for sent in trace.segments[: until + 1]
        if sent.host == host and subflow_of(trace, sent).connection == connection
    ]
    last = [sent.number for sent in own if sent.subflow == subflow][-1]
    return min(room_after(trace, last).subflow, room_after(trace, own[-1].number).data)


def _usable(trace: Trace, host: int, until: int, connection: int) -> list[int]:
    """The subflows that both hosts can send on, and that have all data of one host so far."""
    both = [set(living(trace, connection, each, until)) for each in (0, 1)]
    return [
        number for number in sorted(both[0] & both[1]) if _all_there(trace, number, host, until)
    ]


def _regular(trace: Trace, ack: Sent) -> list[int]:
    """The subflows for new data of a segment's receiver, beside its own; none is a backup."""
    connection = subflow_of(trace, ack).connection
    found = []
    for number in _usable(trace, 1 - ack.host, ack.number, connection):
        flags = [
            standing(trace, each.number)
            for each in trace.segments[: ack.number]
            if (each.subflow, each.host) == (number, ack.host)
        ]
        if number != ack.subflow and not flags[-1]:
            found.append(number)
    return found


def _choices(trace: Trace) -> Iterator[Place]:
    """Pure ACKs after which the peer can send new data on that subflow, and on a regular one."""
    for place in quiet(_plain, option=PRIO)(trace):
        ack = trace.segments[place.segments[0]]
        peer, connection = 1 - ack.host, subflow_of(trace, ack).connection
        if (
            ack.subflow in _usable(trace, peer, ack.number, connection)
            and not mapped_ahead(trace, ack.subflow, peer, ack.number)
            and _room(trace, ack.subflow, peer, ack.number) >= OCTETS
            and _regular(trace, ack)
        ):
            yield Place(host=peer, segments=(ack.number,))


def _plain(trace: Trace, sent: Sent) -> bool:
    """Whether no data on the SYN, no announcement and no MP_PRIO makes a connection special."""
    return not early(trace, sent) and lacks(trace, sent, AddAddr, RemoveAddr, MpPrio)


def _goes_on(draft: Draft, key: int, *, request: MpPrio | None = None) -> None:
    """The trace ends with new data on the subflow of a pure ACK, though another one is there.

    Args:
        draft: The trace.
        key: The ACK.
        request: Asks for that not to be, if nothing did before.
    """
    ack = draft.sent(key)
    regular, host = _regular(draft.trace, draft.trace.segments[key])[0], ack.host
    draft.cut(key)
    if request is not None:
        asked = draft.append(acknowledgment(draft, ack.subflow, host, request), gap=APART)
        draft.blame(asked)
    for each in (1 - host, host):
        draft.append(acknowledgment(draft, ack.subflow, each), gap=APART)
    for each in (1 - host, host):
        draft.append(acknowledgment(draft, regular, each), gap=APART)
    draft.blame(draft.append(fresh(draft, ack.subflow, 1 - host, OCTETS), gap=APART))
    for subflow in (ack.subflow, regular):
        draft.append(acknowledgment(draft, subflow, host), gap=APART)


def _unheeded(draft: Draft, place: Place) -> None:
    """The peer says in time that the subflow is a backup."""
    _goes_on(draft, place.segments[0], request=PRIO)


def _joins(trace: Trace) -> Iterator[Place]:
    """Such ACKs on joins that their sender opened, or answered, for the peer to use."""
    for place in _choices(trace):
        ack = trace.segments[place.segments[0]]
        said = [
            sent
            for sent in trace.segments
            if (sent.subflow, sent.host) == (ack.subflow, ack.host)
            and has(sent, MpJoinSyn, MpJoinSynAck)
        ]
        if said and not any(standing(trace, sent.number) for sent in said):
            yield replace(place, segments=(ack.number, *(sent.number for sent in said)))


def _backup_join(draft: Draft, place: Place) -> None:
    """The peer set flag B when the subflow was opened."""

    def backup(option: Option) -> Option:
        if isinstance(option, MpJoinSyn | MpJoinSynAck):
            return replace(option, backup=True)
        return option

    key, *said = place.segments
    for each in said:
        draft.options(each, backup)
        draft.blame(each)
    _goes_on(draft, key)


def _addresses(trace: Trace, sent: Sent) -> bool:
    """Whether the sender may join the peer's initial address by now."""
    return not connection_of(trace, sent).hosts[1 - sent.host].c_flag and dss_heard(trace, sent)


def _from_that_port(trace: Trace, sent: Sent) -> bool:
    """Whether, besides, the sender has joined from the port of its initial subflow only."""
    host, connection = sent.host, subflow_of(trace, sent).connection
    ports = {
        each.ends[host].port
        for each in trace.subflows
        if each.connection == connection and (each.initial or each.opener == host)
    }
    return len(ports) == 1 and _addresses(trace, sent)


def _initial(draft: Draft, key: int) -> SubflowTruth:
    connection = draft.connection_of(key).number
    return next(each for each in draft.subflows if each.initial and each.connection == connection)


def _unused_port(draft: Draft, first: int) -> int:
    """A port that no end of the trace has, and no ADD_ADDR."""
    taken = {end.port for each in draft.subflows for end in each.ends}
    for sent in draft.trace.segments:
        taken |= {option.port or 0 for option in sent.options if isinstance(option, AddAddr)}
    return next(port for port in range(first, 65_536) if port not in taken)


def _to_other_port(draft: Draft, place: Place) -> None:
    """A join to a port that is neither that of the initial subflow nor announced."""
    key, host = place.segments[0], place.host
    ends = _initial(draft, key).ends
    target = replace(ends[1 - host], port=_unused_port(draft, 7_000))
    source = replace(ends[host], port=_unused_port(draft, 50_500))
    draft.blame(new_join(draft, key, opener=host, target=target, source=source, address_id=0))


def _from_other_port(draft: Draft, place: Place) -> None:
    """A join from an address whose port of the initial subflow is free, and is not taken."""
    key, host = place.segments[0], place.host
    ends = _initial(draft, key).ends
    known = {end.address for each in draft.subflows for end in each.ends}
    ids = {each.address_ids[host] for each in draft.subflows}
    for sent in draft.trace.segments:
        for option in sent.options:
            if isinstance(option, AddAddr):
                known.add(option.address)
                ids.add(option.address_id)
    base = ends[host].address
    address = next(
        each
        for each in (ip_address(int(base) ^ 0x80 << more) for more in range(6))
        if each not in known
    )
    source = Endpoint(address=address, port=_unused_port(draft, 50_500))
    number = next(each for each in range(1, 256) if each not in ids)
    target = ends[1 - host]
    draft.blame(new_join(draft, key, opener=host, target=target, source=source, address_id=number))


FAULTS = (
    Fault(
        name="backup-of-join-ignored",
        meaning="New data goes over a subflow that the peer opened as a backup, without need.",
        v1=("8684-3.2-08", "8684-3.3.8-01"),
        v0=("6824-3.2-17", "6824-3.3.8-10"),
        needs=("join", "data", "silent"),
        find=_joins,
        edit=_backup_join,
        arranges=True,
    ),
    Fault(
        name="prio-ignored",
        meaning="New data goes over a subflow that the peer made a backup, without need.",
        v1=("8684-3.3.8-05", "8684-3.3.8-01"),
        v0=("6824-3.3.8-11", "6824-3.3.8-10"),
        needs=("pure_ack", "join", "data", "silent"),
        find=_choices,
        edit=_unheeded,
        arranges=True,
    ),
    Fault(
        name="join-to-other-port",
        meaning="A join goes to a port that nobody announced.",
        v1=("8684-3.9.1-01",),
        v0=("6824-3.8.1-10",),
        needs=("pure_ack",),
        find=quiet(_addresses),
        edit=_to_other_port,
        at_sender=True,
    ),
    Fault(
        name="join-from-other-port",
        meaning="A join from a new address has not the port of the initial subflow.",
        v1=("8684-3.9.1-02",),
        v0=("6824-3.8.1-11",),
        needs=("pure_ack",),
        find=quiet(_from_that_port),
        edit=_from_other_port,
        at_sender=True,
    ),
)
