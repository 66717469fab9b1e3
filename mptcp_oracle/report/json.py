"""The JSON of ``mptcp-oracle analyze --json``, as :mod:`mptcp_oracle.report.schema` describes it.

One capture is one line. IDSNs are decimal strings (JSON readers lose 64-bit integers), keys are 16
hexadecimal digits, tokens 8; relative numbers, octets and frame numbers are integers. ``null``
means not known if ``unknown`` in the same object names the key; else there is no such thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, TypeAlias

from mptcp_oracle.analysis.entities import (
    ROLES,
    AddressEvent,
    Connection,
    Event,
    Host,
    Mismatch,
    Scheduler,
    Subflow,
)
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.errors import CaptureError
from mptcp_oracle.report.filters import Filters
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.segments import Endpoint

__all__ = ["SCHEMA", "capture", "connection", "document", "unattached", "write"]

#: Version of the layout: keys may be added under the same number, none renamed or removed.
SCHEMA = 1

Json: TypeAlias = dict[str, object]

_compact = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def write(
    trace: Trace,
    file: IO[str],
    connections: Iterable[Connection] | None = None,
    strays: Iterable[Subflow] | None = None,
) -> None:
    """Write one capture as one line of JSON, connection by connection, never whole in memory.

    Args:
        trace: What was found, still open.
        file: A text file.
        connections: Only these, with their events; by default all, without.
        strays: Only these unattached subflows; by default all.
    """
    for piece in document(trace, connections, strays):
        file.write(piece)


def document(
    trace: Trace,
    connections: Iterable[Connection] | None = None,
    strays: Iterable[Subflow] | None = None,
) -> Iterator[str]:
    """The pieces of the line that :func:`write` writes, its end included."""
    filters = Filters(trace)
    events = connections is not None
    chosen = trace.connections if connections is None else connections
    yield f'{{"schema":{SCHEMA},"capture":{_compact(capture(trace))},"connections":['
    yield from _listed(_compact(connection(item, filters, events=events)) for item in chosen)
    yield '],"unattached":['
    flows = trace.unattached if strays is None else strays
    yield from _listed(_compact(unattached(flow, filters)) for flow in flows)
    yield "]}\n"


def _listed(texts: Iterable[str]) -> Iterator[str]:
    for at, text in enumerate(texts):
        yield f",{text}" if at else text


def capture(trace: Trace) -> Json:
    """The object ``capture``: name, sizes, the file's digest, what was odd about it."""
    digest, reason = None, None
    try:
        digest = trace.capture.sha256()
    except CaptureError as error:
        reason = error.cause or error.message
    return _known(
        {
            "name": trace.capture.name,
            "format": trace.capture.format,
            "frames": trace.wire.frames,
            "segments": trace.wire.segments.rows,
            "sha256": digest,
            "notes": [_note(note) for note in trace.notes],
        },
        {"sha256": reason},
    )


def connection(item: Connection, filters: Filters, *, events: bool = False) -> Json:
    """One connection; ``events`` adds its time line."""
    right, wrong, incomplete = item.checksums
    version = "the handshake is not in the capture"
    found: Json = {
        "id": item.id,
        "version": item.version,
        "state": item.state,
        "why": item.why,
        "state_frame": item.state_frame,
        "fallback": item.fallback,
        "checksum": item.checksum,
        "checksums": {"right": right, "wrong": wrong, "incomplete": incomplete},
        **{host.role: _host(host, item.version) for host in item.hosts},
        "subflows": [_subflow(flow, ROLES, filters) for flow in item.subflows],
        "addresses": [_address(event) for event in item.addresses],
        "mismatches": [_mismatch(mismatch) for mismatch in item.mismatches],
        "notes": [_note(note) for note in item.notes],
        "filter": filters.connection(item),
    }
    if events:
        found["events"] = [_event(event) for event in item.events]
    return _known(found, {"version": version, **item.unknown})


def unattached(flow: Subflow, filters: Filters) -> Json:
    """A subflow whose connection is not in the capture.

    Nobody knows which of its ends is the initiator: pairs are by ``source`` (who sent the SYN, or
    the first segment that was captured) and ``destination`` instead.
    """
    found = _subflow(flow, ("source", "destination"), filters)
    token = flow.join.token if flow.join is not None else None
    found["token"] = None if token is None else f"{token:08x}"
    if token is None:
        _unknown(found)["token"] = "no SYN with MP_JOIN in the capture"
    if flow.connection is not None:
        found["transmissions"] = {
            name: _transmissions(host)
            for name, host in zip(("source", "destination"), flow.connection.hosts, strict=True)
        }
    return found


def _host(host: Host, version: int | None) -> Json:
    fin = host.data_fin
    found: Json = {
        "address": host.endpoint.address if host.endpoint is not None else None,
        "port": host.endpoint.port if host.endpoint is not None else None,
        "key": None if host.key is None else f"{host.key:016x}",
        "token": None if host.token is None else f"{host.token:08x}",
        "idsn": None if host.idsn is None else str(host.idsn),
        "octets": host.octets,
        "c_flag": host.c_flag,
        "transmissions": _transmissions(host),
        "scheduler": _scheduler(host.scheduler),
        "data_fin": None
        if fin is None
        else {"frame": fin.frame, "dsn": fin.dsn, "acknowledged": fin.acknowledged},
        "acknowledged": host.acknowledged,
    }
    endpoint = "the initial subflow is not in the capture"
    reasons: dict[str, str | None] = {"address": endpoint, "port": endpoint, **host.unknown}
    if version != 0:  # version 0 has no such flag
        reasons["c_flag"] = "no MP_CAPABLE of this host in the capture"
    return _known(found, reasons)


def _transmissions(host: Host) -> dict[str, int]:
    return dict(host.transmissions)


def _scheduler(seen: Scheduler | None) -> Json:
    if seen is None:
        seen = Scheduler(redundant=None, share=None, why="not looked at")
    found: Json = {
        "redundant": seen.redundant,
        "share": seen.share,
        "why": seen.why,
        "reordered": seen.reordered,
        "on_backup": seen.on_backup,
    }
    return _known(found, dict.fromkeys(("redundant", "share", "reordered"), seen.why))


def _subflow(flow: Subflow, names: tuple[str, str], filters: Filters) -> Json:
    """A subflow whose two ends are called ``names``."""
    called = dict(zip((*ROLES, None), (*names, None), strict=True))
    end = flow.end
    found: Json = {
        "id": flow.id,
        "kind": flow.kind,
        "opened_by": None if flow.opener is None else names[flow.opener],
        "source": _endpoint(flow.source),
        "destination": _endpoint(flow.destination),
        "first_frame": flow.first_frame,
        "last_frame": flow.last_frame,
        "frames": flow.frames,
        "octets": dict(zip(names, flow.octets, strict=True)),
        "address_ids": _pair(names, flow.address_ids, "no handshake with this ID in the capture"),
        "backup": _pair(names, flow.backup, _no_backup(flow)),
        "join": None if flow.join is None else flow.join.result,
        "end": None,
        "notes": [_note(note) for note in flow.notes],
        "filter": filters.subflow(flow),
    }
    if end is not None:
        by = called[end.by]
        found["end"] = _known(
            {"how": end.how, "by": by, "reason": end.reason, "frame": end.frame},
            {"by": "who opened the subflow is not in the capture"},
        )
    handshake = "its handshake is not in the capture"
    return _known(found, {"kind": handshake, "opened_by": handshake})


def _no_backup(flow: Subflow) -> str | None:
    """Why a host's B flag is not known; an initial subflow has none until an MP_PRIO."""
    return None if flow.kind == "initial" else "no MP_JOIN or MP_PRIO of this host in the capture"


def _endpoint(end: Endpoint) -> Json:
    return {"address": end.address, "port": end.port}


def _pair(names: tuple[str, str], values: Iterable[object], reason: str | None) -> Json:
    found: Json = dict(zip(names, values, strict=True))
    return _known(found, dict.fromkeys(names, reason))


def _address(event: AddressEvent) -> Json:
    return {
        "frame": event.frame,
        "subflow": event.subflow,
        "host": event.host,
        "what": event.what,
        "address_id": event.address_id,
        "address": event.address,
        "port": event.port,
        "hmac": event.hmac,
    }


def _mismatch(found: Mismatch) -> Json:
    return {
        "what": found.what,
        "host": found.host,
        "frame": found.frame,
        "expected": found.expected,
        "seen": found.seen,
        "why": found.why,
        "section": found.section,
    }


def _event(event: Event) -> Json:
    return {
        "frame": event.frame,
        "time": str(event.time),
        "subflow": event.subflow,
        "host": event.host,
        "what": event.what,
    }


def _note(note: Note) -> Json:
    return {"code": note.code, "text": note.text, "count": note.count, "frame": note.frame}


def _known(found: Json, reasons: dict[str, str | None]) -> Json:
    """Add ``unknown`` with the reasons of those keys that are ``None``."""
    missing = {name: why for name, why in reasons.items() if why and found.get(name, 0) is None}
    if missing:
        found["unknown"] = missing
    return found


def _unknown(found: Json) -> dict[str, str]:
    reasons = found.setdefault("unknown", {})
    assert isinstance(reasons, dict)
    return reasons
