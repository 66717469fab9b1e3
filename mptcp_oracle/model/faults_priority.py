"""Faults of priorities (RFC 8684 section 3.3.8) and of the ports of joins (section 3.9.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    living,
)
from mptcp_oracle.model.faults_places import (
    again,
    connection_of,
    has,
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
)

__all__ = ["FAULTS"]

SECOND = 1_000_000_000
PRIO = MpPrio(backup=True)


def _regular(trace: Trace, sent: Sent) -> bool:
    """Whether the sender of data has a subflow for it that its peer did not call backup.

    The peer has been heard on it in the last second.
    """
    connection = subflow_of(trace, sent).connection
    for number in living(trace, connection, sent.host, sent.number):
        if number == sent.subflow or number not in living(
            trace, connection, 1 - sent.host, sent.number
        ):
            continue
        theirs = [
            each
            for each in trace.segments[: sent.number]
            if (each.subflow, each.host) == (number, 1 - sent.host)
        ]
        if (
            theirs
            and sent.time - theirs[-1].time < SECOND
            and not standing(trace, theirs[-1].number)
        ):
            return True
    return False


def _new_data(trace: Trace, subflow: int, host: int) -> list[Sent]:
    return [
        sent
        for sent in trace.segments
        if (sent.subflow, sent.host) == (subflow, host)
        and sent.ranges
        and all(part.cause == "new" for part in sent.ranges)
        and _regular(trace, sent)
    ]


def _prios(trace: Trace) -> Iterator[Place]:
    """Pure ACKs after which the peer sends data on the subflow, which is no backup yet."""
    arrived = {each.segment.number: each.time for each in trace.deliveries}
    cache: dict[tuple[int, int], list[Sent]] = {}
    for place in quiet(option=PRIO)(trace):
        ack = trace.segments[place.segments[0]]
        truth = subflow_of(trace, ack)
        last = [
            each.number
            for each in trace.segments
            if each.host == ack.host and connection_of(trace, each).number == truth.connection
            and has(each, MpPrio)
        ]  # fmt: skip
        if ack.number not in arrived or standing(trace, ack.number):
            continue
        if any(number > ack.number for number in last):
            continue
        key = ack.subflow, 1 - ack.host
        if key not in cache:
            cache[key] = _new_data(trace, *key)
        data = tuple(sent.number for sent in cache[key] if sent.time > arrived[ack.number])
        if data:
            yield Place(host=1 - ack.host, segments=(ack.number, *data))


def _unheeded(draft: Draft, place: Place) -> None:
    """The peer says in time that the subflow is a backup."""
    number, *data = place.segments
    draft.blame(again(draft, Place(host=1 - place.host, segments=(number,)), PRIO), *data)


def _joins(trace: Trace) -> Iterator[Place]:
    """The join options of a host for which the subflow is no backup, and the peer's data on it."""
    for truth in trace.subflows:
        if truth.initial or truth.outcome != "established":
            continue
        for host in (0, 1):
            said = [
                sent
                for sent in trace.segments
                if (sent.subflow, sent.host) == (truth.number, host)
                and has(sent, MpJoinSyn, MpJoinSynAck, MpPrio)
            ]
            if not said or any(has(sent, MpPrio) or standing(trace, sent.number) for sent in said):
                continue
            data = _new_data(trace, truth.number, 1 - host)
            if data:
                numbers = tuple(sent.number for sent in (*said, *data))
                yield Place(host=1 - host, segments=numbers)


def _backup_join(draft: Draft, place: Place) -> None:
    """The peer set flag B when the subflow was opened."""

    def backup(option: Option) -> Option:
        if isinstance(option, MpJoinSyn | MpJoinSynAck):
            return replace(option, backup=True)
        return option

    for key in place.segments:
        draft.options(key, backup)
        draft.blame(key)


def _addresses(trace: Trace, sent: Sent) -> bool:
    """Whether the sender may join the peer's initial address."""
    return not connection_of(trace, sent).hosts[1 - sent.host].c_flag


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
        needs=("join", "data"),
        find=_joins,
        edit=_backup_join,
    ),
    Fault(
        name="prio-ignored",
        meaning="New data goes over a subflow that the peer made a backup, without need.",
        v1=("8684-3.3.8-05", "8684-3.3.8-01"),
        v0=("6824-3.3.8-11", "6824-3.3.8-10"),
        needs=("pure_ack", "join", "data"),
        find=_prios,
        edit=_unheeded,
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
        find=quiet(_addresses),
        edit=_from_other_port,
        at_sender=True,
    ),
)
