"""Faults of two connections of one host: keys and tokens used twice (section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle import crypto
from mptcp_oracle.model.fault import Fault, Find
from mptcp_oracle.model.faults_edit import Place
from mptcp_oracle.model.faults_flow import ends
from mptcp_oracle.model.faults_keys import spoken
from mptcp_oracle.model.faults_places import connection_of, has, option_of, subflow_of
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import ConnectionTruth, Sent, Trace
from mptcp_oracle.options import MpCapable

__all__ = ["COLLIDING", "FAULTS"]

COLLIDING = {1: (0xC66F, 0xE658), 0: (0xEE60, 0x140E5)}
"""For each version, two keys with the same token."""


def _with_key(settings: Settings, key: int, host: int) -> Settings:
    keys = (key, settings.keys[1]) if host == 0 else (settings.keys[0], key)
    return replace(settings, keys=keys)


def _beside(first: Settings, second: Settings) -> Settings:
    """The second connection between the same addresses as the first."""
    ports = (first.ports[0] + 1_000, first.ports[1])
    return replace(
        second,
        version=first.version,
        answers=first.answers,
        addresses=first.addresses,
        ports=ports,
    )


def _same_key(first: Settings, second: Settings, host: int) -> tuple[Settings, Settings]:
    return first, _with_key(_beside(first, second), first.keys[host], host)


def _apart(first: Settings, second: Settings, _host: int) -> tuple[Settings, Settings]:
    """Two connections between the same addresses, each with keys of its own."""
    return first, _beside(first, second)


def _colliding_keys(first: Settings, second: Settings, host: int) -> tuple[Settings, Settings]:
    one, other = COLLIDING[spoken(first)]
    return _with_key(first, one, host), _with_key(_beside(first, second), other, host)


def _shows_key(trace: Trace, connection: ConnectionTruth, host: int) -> Sent | None:
    """The first segment in which a host shows its key."""
    for sent in trace.segments:
        option = option_of(sent, MpCapable)
        if (
            option is not None
            and sent.host == host
            and option.sender_key is not None
            and connection_of(trace, sent) is connection
        ):
            return sent
    return None


def _twins(same: Callable[[int, int, int], bool]) -> Find:
    """Where a host shows a key while another of its connections has one that it must differ from.

    ``same`` compares two keys in a version.
    """

    def find(trace: Trace) -> Iterator[Place]:
        places = {tuple(sorted(map(str, each.ends))) for each in trace.subflows}
        if len(trace.connections) < 2 or len(places) < len(trace.subflows):
            return
        last = {
            connection.number: max(
                sent.time
                for sent in trace.segments
                if trace.subflows[sent.subflow].connection == connection.number
            )
            for connection in trace.connections
        }
        for host in (0, 1):
            for second in trace.connections:
                for first in trace.connections[: second.number]:
                    shown = _shows_key(trace, first, host), _shows_key(trace, second, host)
                    fell = first.fallback is not None or second.fallback is not None
                    if fell or None in shown or first.version != second.version:
                        continue
                    if any(
                        not each.initial and each.opener != host and each.outcome != "established"
                        for each in trace.subflows
                    ):
                        # Whose join it is, a token that two connections have does not say.
                        continue
                    early, late = sorted(
                        (sent for sent in shown if sent is not None), key=lambda sent: sent.number
                    )
                    one, other = (connection_of(trace, sent) for sent in (early, late))
                    hosts = (trace.subflows[sent.subflow].ends[host] for sent in (early, late))
                    told = [
                        sent.number
                        for sent in trace.segments
                        if sent.subflow == late.subflow and has(sent, MpCapable)
                    ]
                    alive = one.closed is None or last[one.number] > late.time
                    alive = alive and not any(
                        subflow_of(trace, sent).connection == one.number and ends(sent)
                        for sent in trace.segments[: max(told)]
                    )
                    isns = {trace.subflows[sent.subflow].isns[host] for sent in (early, late)}
                    if (
                        len({end.address for end in hosts}) == 1
                        and len(isns) == 2  # else they look like one, seen on both sides of a NAT
                        and alive
                        and same(one.hosts[host].key, other.hosts[host].key, first.version)
                    ):
                        yield Place(host=host, segments=(early.number, late.number))

    return find


def _equal(one: int, other: int, _version: int) -> bool:
    return one == other


def _collide(one: int, other: int, version: int) -> bool:
    return one != other and crypto.token(one, version) == crypto.token(other, version)


FAULTS = (
    Fault(
        name="key-used-twice",
        meaning="Two connections of a host that exist at the same time have the same key.",
        v1=("8684-3.1-13",),
        v0=("6824-3.1-21",),
        needs=("two_connections",),
        find=_twins(_equal),
        pair=_same_key,
        lawful_pair=_apart,
    ),
    Fault(
        name="token-collision",
        meaning="Two connections of a listener that exist at the same time have the same token.",
        v1=("8684-3.1-14",),
        v0=("6824-3.1-06", "6824-B-01"),
        needs=("two_connections",),
        find=_twins(_collide),
        pair=_colliding_keys,
        lawful_pair=_apart,
        hosts=(1,),
    ),
)
