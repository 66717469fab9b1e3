"""Connections, hosts and subflows as facts: plain objects, ready for JSON.

See :mod:`mptcp_oracle.facts` for the vocabulary. Nothing is inferred here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import (
    ROLES,
    AddressEvent,
    Connection,
    Event,
    Host,
    Mismatch,
    Subflow,
)
from mptcp_oracle.analysis.schedulers import LEAST_OCTETS, REDUNDANT_OCTETS, REDUNDANT_SHARE
from mptcp_oracle.facts import Fact
from mptcp_oracle.wire.notes import Note

if TYPE_CHECKING:
    from mptcp_oracle.analysis.trace import Trace

__all__ = ["connection", "observations", "subflow", "unknown"]

MASK = 0xFFFFFFFFFFFFFFFF
#: How a half's initial sequence number is known.
ISN_FROM = (None, "handshake", "handshake", "handshake", "mappings")

#: Why the base of a direction is not known: some data sequence numbers were seen, or none.
NO_BASE = (
    "only 4-octet numbers in the capture",
    "neither key nor data sequence number in the capture",
)

#: Why nothing tells who is who.
NO_ROLE = "neither a SYN nor the connection in the capture"


def unknown(fact: Fact, **reasons: str) -> Fact:
    """Say why keys of a fact that are ``None`` are not known, and give the fact."""
    fact["unknown"] = {key: why for key, why in reasons.items() if fact[key] is None}
    return fact


def connection(trace: Trace, item: Connection, *, events: bool = True) -> Fact:
    """A connection, or what stands for the connection of an unattached subflow.

    Args:
        trace: An open trace.
        item: The connection.
        events: Whether to tell its events, which takes longer than all the rest.
    """
    right, wrong, incomplete = item.checksums
    fact: Fact = {
        "fact": "connection",
        "connection": item.id,
        "version": item.version,
        "checksum": item.checksum,
        "state": item.state,
        "state_frame": item.state_frame,
        "why": item.why,
        "fallback": item.fallback,
        "initiator": _host(trace, item, 0),
        "listener": _host(trace, item, 1),
        "subflows": [flow.id for flow in item.subflows],
        "checksums": {"right": right, "wrong": wrong, "incomplete": incomplete},
        "events": [_event(event) for event in item.events] if events else [],
        "addresses": [_address_event(event) for event in item.addresses],
        "mismatches": [_mismatch(mismatch) for mismatch in item.mismatches],
        "notes": _notes(item.notes),
    }
    return unknown(
        fact,
        version="no MP_CAPABLE in the capture",
        checksum=item.unknown.get("checksum", "no MP_CAPABLE in the capture"),
    )


def _host(trace: Trace, item: Connection, role: int) -> Fact:
    host, direction = item.hosts[role], trace.direction(item, role)
    plane = trace.plane
    fin, end = host.data_fin, host.endpoint
    based = bool(plane.base_from[direction]) and plane.high_known[direction]
    fact: Fact = {
        "role": host.role,
        "address": end.address if end is not None else None,
        "port": end.port if end is not None else None,
        "key": _hex(host.key, 16),
        "token": _hex(host.token, 8),
        "idsn": _decimal(host.idsn),
        "base": str(host.base & MASK) if based else None,
        "c_flag": host.c_flag,
        "octets": host.octets,
        "transmissions": dict(host.transmissions),
        "data_fin": None if fin is None else _flat(fin),
        "acknowledged": host.acknowledged,
    }
    no_key = "no key in the capture"
    fact = unknown(
        fact,
        key=host.unknown.get("key", no_key),
        token=host.unknown.get("token", no_key),
        idsn=host.unknown.get("idsn", no_key),
        base=NO_BASE[not plane.base_from[direction]],
        acknowledged="no DATA_ACK beyond the first octet in the capture",
    )
    if host.c_flag is None and item.version != 0:
        fact["unknown"]["c_flag"] = "no MP_CAPABLE of this host in the capture"
    return fact


def subflow(trace: Trace, item: Subflow, number: int) -> Fact:
    """A subflow of connection ``number``."""
    end, join = item.end, item.join
    fact: Fact = {
        "fact": "subflow",
        "subflow": item.id,
        "connection": number,
        "stream": item.stream,
        "kind": item.kind,
        "version": item.version,
        "opened_by": None if item.opener is None else ROLES[item.opener],
        "source": _end(trace, item, item.source_role),
        "destination": _end(trace, item, 1 - item.source_role),
        "first_frame": item.first_frame,
        "last_frame": item.last_frame,
        "frames": item.frames,
        "round_trip": item.round_trip / 1e9 if item.round_trip else None,
        "vantage": item.vantage[0],
        "vantage_known": item.vantage[1],
        "established": item.established,
        "join": None if join is None else {**_flat(join), "token": _hex(join.token, 8)},
        "end": None if end is None else _flat(end),
        "notes": _notes(item.notes),
    }
    no_handshake = "no MPTCP handshake in the capture"
    return unknown(
        fact,
        kind=no_handshake,
        version="no MP_CAPABLE in the capture",
        opened_by="no SYN in the capture",
        round_trip="no complete handshake in the capture",
        vantage="neither packet types nor the handshake's timing show it",
    )


def _end(trace: Trace, item: Subflow, side: int) -> Fact:
    """One end of a subflow: ``side`` is the index of its role and of its half."""
    half = item.halves[side]
    endpoint = item.source if side == item.source_role else item.destination
    isn_from = ISN_FROM[trace.plane.isn_from[half]]
    fact: Fact = {
        "role": item.role_name(side),
        "address": endpoint.address,
        "port": endpoint.port,
        "address_id": item.address_ids[side],
        "backup": item.backup[side],
        "isn": None if isn_from is None else trace.wire.halves["isn"][half],
        "isn_from": isn_from,
        "syn_data": item.syn_data[side],
        "octets": item.octets[side],
    }
    join = "not in the capture's part of the handshake"
    return unknown(
        fact,
        role=NO_ROLE,
        address_id=join,
        backup="never stated in the capture",
        isn="mappings do not prove it" if trace.plane.vague[half] else "no SYN in the capture",
    )


def observations(trace: Trace, item: Connection) -> Iterator[Fact]:
    """What was observed of the schedulers of a connection's hosts."""
    for role, host in enumerate(item.hosts):
        yield from _observed(trace, item, role, host)


def _observed(trace: Trace, item: Connection, role: int, host: Host) -> Iterator[Fact]:
    seen = host.scheduler
    if seen is None:
        return
    new = host.transmissions["first_seen"]
    no_data = "no data under a mapping"

    def fact(what: str, value: bool | None, octets: int, share: float | None, why: str) -> Fact:
        return {
            "fact": "observation",
            "connection": item.id,
            "host": ROLES[role],
            "what": what,
            "value": value,
            "octets": octets,
            "share": share,
            "why": why,
        }

    at = 4 * trace.direction(item, role)
    shared, behind, backup = trace.plane.totals[at : at + 3]
    scheduler = fact("scheduler", seen.redundant, shared, seen.share, seen.why)
    scheduler["lags"] = [list(lag) for lag in seen.lags]
    scheduler["thresholds"] = {
        "redundant_share": REDUNDANT_SHARE,
        "redundant_octets": REDUNDANT_OCTETS,
        "least_octets": LEAST_OCTETS,
    }
    yield unknown(scheduler, value=seen.why, share=no_data)
    again = host.transmissions["reinjection"]
    share = again / new if new else None
    why = f"{again} of {new} octets were sent again after a loss, a time-out or a subflow's end"
    yield unknown(fact("reinjection", again > 0, again, share, why), share=no_data)
    why = f"{behind} of {new} new octets were sent below the highest DSN so far"
    yield unknown(fact("reordering", behind > 0, behind, seen.reordered, why), share=no_data)
    share = backup / new if new else None
    why = f"{backup} of {new} new octets went to a backup subflow while a regular one was alive"
    yield unknown(fact("backup", backup > 0, backup, share, why), share=no_data)


def _event(event: Event) -> Fact:
    return {
        "frame": event.frame,
        "time": seconds(event.time),
        "subflow": event.subflow,
        "host": event.host,
        "what": event.what,
    }


def _address_event(event: AddressEvent) -> Fact:
    return _flat(event)


def _mismatch(mismatch: Mismatch) -> Fact:
    return _flat(mismatch)


def _notes(notes: Iterable[Note]) -> list[Fact]:
    return [_flat(note) for note in notes]


def seconds(time: int) -> str:
    """A time in nanoseconds since the epoch as seconds with nine decimals."""
    whole, part = divmod(time, 1_000_000_000)
    return f"{whole}.{part:09d}"


def _flat(item: Any) -> Fact:
    """A value's fields, none of which is a value with fields."""
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def _hex(number: int | None, digits: int) -> str | None:
    return None if number is None else f"{number:0{digits}x}"


def _decimal(number: int | None) -> str | None:
    return None if number is None else str(number)
