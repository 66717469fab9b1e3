"""Whose counters they are: the host at which a capture was made, and how much of it is there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.errors import UsageError
from mptcp_oracle.rules.context import Network
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["Host", "host_of", "roles_of"]

#: Link types of captures on all interfaces at once: Linux cooked, in both versions.
COOKED = (113, 276)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The host of a capture.

    Attributes:
        roles: Its role in each of its subflows, by the subflow's id.
        addresses: Those it has there, sorted.
        gaps: Why the capture may lack some of what the host sent or received; empty if it has all.
    """

    roles: dict[int, int]
    addresses: tuple[str, ...]
    gaps: tuple[str, ...]


def host_of(trace: Trace, *, local: tuple[Network, ...] = (), whole: bool | None = None) -> Host:
    """The host at which a capture was made.

    Args:
        trace: The trace.
        local: Its networks, if somebody said so; else packet types tell.
        whole: Whether somebody said that the capture lacks nothing.

    Raises:
        UsageError: Neither tells, or the capture was not made at an end.
    """
    roles, addresses, strange = {}, set(), 0
    for subflow in trace.subflows:
        role = _role(subflow, local)
        if role is None:
            strange += 1
            continue
        roles[subflow.id] = role
        own = subflow.source if role == subflow.source_role else subflow.destination
        addresses.add(own.address)
    if trace.subflows and not roles:
        raise UsageError(
            "nobody knows whose counters these are",
            cause="the capture does not say at which host it was made",
            hint="give the addresses of that host with --local",
        )
    gaps = []
    if strange:
        gaps.append(f"{strange} subflows are not this host's, or have it at both ends")
    if trace.ground.column("flags").size and _cut(trace):
        gaps.append("TCP options are cut off")
    if not whole:
        if any(each.linktype not in COOKED for each in trace.capture.interfaces):
            gaps.append("it may not be of all interfaces")
        if not trace.capture.whole:
            gaps.append("the file does not say that no frame was dropped")
    return Host(roles=roles, addresses=tuple(sorted(addresses)), gaps=tuple(gaps))


def roles_of(trace: Trace, addresses: frozenset[str]) -> dict[int, int]:
    """The role of the host with these addresses in each of its subflows, by the subflow's id."""
    roles = {}
    for subflow in trace.subflows:
        source, destination = subflow.source.address, subflow.destination.address
        if (source in addresses) != (destination in addresses):
            role = subflow.source_role
            roles[subflow.id] = role if source in addresses else 1 - role
    return roles


def _role(subflow: Subflow, local: tuple[Network, ...]) -> int | None:
    end, known = subflow.vantage
    at_source: bool | None = end == "source" if known and end is not None else None
    if at_source is None and local:
        source, destination = (
            any(ipaddress.ip_address(each.address) in network for network in local)
            for each in (subflow.source, subflow.destination)
        )
        at_source = source if source != destination else None
    if at_source is None:
        return None
    return subflow.source_role if at_source else 1 - subflow.source_role


def _cut(trace: Trace) -> bool:
    return bool((trace.ground.column("flags") & FLAG_BITS["options_cut"]).any())
