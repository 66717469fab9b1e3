"""Facts: the one vocabulary of truth files, the analyzer and every other dissector.

A fact is a flat JSON object whose ``fact`` names its kind. A document of facts is JSON lines: a
header, the facts, and a footer with their counts and the capture's SHA-256, so that facts can
stream and a file that was cut short is recognised.

Conventions: frame numbers are 1-based; ranges are half-open; absolute 64-bit numbers are decimal
text, because many JSON readers lose the low bits of large integers; keys are 16 hexadecimal
digits, tokens and nonces 8; relative numbers, octets and frames are integers. ``null`` means not
known if ``unknown`` in the same object gives a reason for the key, else that there is no such
thing.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv6Address
from typing import IO, Any, TypeAlias

from mptcp_oracle.errors import TruthError
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Experimental,
    Malformed,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
    Unknown,
)

__all__ = [
    "CLASSES",
    "COPIES",
    "ENDS",
    "FALLBACKS",
    "FORMS",
    "JOINS",
    "KEYS",
    "KINDS",
    "OBSERVATIONS",
    "OPTIONS",
    "ROLES",
    "SCHEMA",
    "STATES",
    "Document",
    "Fact",
    "of_option",
    "read",
    "stream",
    "write",
]

SCHEMA = 1
"""Version of the vocabulary; keys may be added under it, none is renamed or removed."""

Fact: TypeAlias = dict[str, Any]
"""One fact as JSON has it."""

KINDS = ("connection", "subflow", "segment", "transmission", "observation")
"""Kinds of facts."""

ROLES = ("initiator", "listener")
"""The hosts of a connection: who sent the first SYN, and who answered."""

STATES = ("open", "closed", "fast_closed", "fallback", "timed_out")
"""States of a connection at the end of the capture."""

FALLBACKS = ("syn", "synack", "third_packet", "infinite_mapping", "no_mapping")
"""Where a connection became plain TCP (RFC 8684 section 3.7)."""

ENDS = ("fin", "half_fin", "reset")
"""How a subflow ended."""

JOINS = ("valid", "invalid", "refused", "unknown")
"""Results of a join (RFC 8684 section 3.2)."""

CLASSES = (
    "first_seen",
    "tcp_retransmission",
    "remap",
    "reinjection",
    "redundant",
    "unclassified",
    "zero_window_probe",
    "unmapped",
)
"""Classes of transmissions, in the order of the bits of the ``kind`` column."""

COPIES = ("remap", "reinjection", "redundant", "unclassified")
"""The classes of data that was mapped again: on the same subflow, then on another one."""

OBSERVATIONS = ("scheduler", "reinjection", "reordering", "backup")
"""What is observed of each host."""

FORMS = {
    "id": "integer", "frame": "integer", "octets": "integer", "count": "integer",
    "dsn": "integer", "sequence": "integer", "bits": "integer", "port": "integer",
    "number": "integer", "seconds": "number", "share": "number", "boolean": "boolean",
    "absolute": "text", "key": "text", "token": "text", "hex": "text", "time": "text",
    "word": "text", "text": "text", "address": "text",
}  # fmt: skip
"""Forms of values, and what each is in JSON."""

KEYS: dict[str, dict[str, str]] = {
    "header": {
        "fact": "word", "schema": "number", "tool": "text", "version": "text", "capture": "text",
    },
    "footer": {"fact": "word", "counts": "counts", "sha256": "hex"},
    "connection": {
        "fact": "word", "connection": "id", "version": "number*", "checksum": "boolean*",
        "state": "word", "state_frame": "frame?", "why": "text", "fallback": "word?",
        "initiator": "host", "listener": "host", "subflows": "[id]", "checksums": "checksums",
        "events": "[event]", "addresses": "[address_event]", "mismatches": "[mismatch]",
        "notes": "[note]", "unknown": "unknown",
    },
    "host": {
        "role": "word", "address": "address?", "port": "port?", "key": "key*", "token": "token*",
        "idsn": "absolute*", "base": "absolute*", "c_flag": "boolean*", "octets": "octets",
        "transmissions": "transmissions", "data_fin": "data_fin?", "acknowledged": "dsn*",
        "unknown": "unknown",
    },
    "data_fin": {"frame": "frame", "dsn": "dsn", "acknowledged": "boolean"},
    "checksums": {"right": "count", "wrong": "count", "incomplete": "count"},
    "event": {
        "frame": "frame", "time": "time", "subflow": "id", "host": "word?", "what": "text",
    },
    "address_event": {
        "frame": "frame", "subflow": "id", "host": "word", "what": "word", "address_id": "number",
        "address": "address?", "port": "port?", "hmac": "boolean?",
    },
    "mismatch": {
        "what": "word", "host": "word?", "frame": "frame", "expected": "hex", "seen": "hex",
        "why": "text", "section": "text",
    },
    "note": {"code": "word", "text": "text", "count": "count", "frame": "frame?"},
    "subflow": {
        "fact": "word", "subflow": "id", "connection": "id", "stream": "id", "kind": "word*",
        "version": "number*", "opened_by": "word*", "source": "end", "destination": "end",
        "first_frame": "frame", "last_frame": "frame", "frames": "count",
        "round_trip": "seconds*", "vantage": "word*", "vantage_known": "boolean",
        "established": "boolean", "join": "join?", "end": "subflow_end?", "notes": "[note]",
        "unknown": "unknown",
    },
    "end": {
        "role": "word*", "address": "address", "port": "port", "address_id": "number*",
        "backup": "boolean*", "isn": "number*", "isn_from": "word?", "syn_data": "octets",
        "octets": "octets", "unknown": "unknown",
    },
    "join": {
        "token": "token?", "token_right": "boolean?", "synack_hmac": "boolean?",
        "ack_hmac": "boolean?", "result": "word",
    },
    "subflow_end": {"how": "word", "by": "word?", "reason": "number?", "frame": "frame"},
    "segment": {
        "fact": "word", "frame": "frame", "time": "time", "connection": "id", "subflow": "id",
        "sender": "word*", "from": "word", "duplicate": "boolean", "outgoing": "boolean*",
        "flags": "bits", "sequence": "sequence*", "sequence_raw": "number", "ack": "sequence*",
        "ack_raw": "number?", "window": "number", "payload": "octets", "captured": "octets",
        "options": "[option]", "options_cut": "boolean", "data_ack": "dsn?",
        "data_ack_absolute": "absolute*", "ranges": "[range]", "previous": "frame?",
        "copies": "count", "unknown": "unknown",
    },
    "range": {
        "sequence": "sequence*", "octets": "octets", "dsn": "dsn*", "dsn_end": "dsn?",
        "absolute": "absolute*", "announced": "frame?",
    },
    "transmission": {
        "fact": "word", "frame": "frame", "connection": "id", "subflow": "id", "sender": "word*",
        "from": "word", "class": "word", "sequence": "sequence*", "octets": "octets",
        "dsn": "dsn*", "dsn_end": "dsn?", "absolute": "absolute*", "needed": "boolean*",
        "unknown": "unknown",
    },
    "observation": {
        "fact": "word", "connection": "id", "host": "word", "what": "word", "value": "boolean*",
        "octets": "octets", "share": "share*", "why": "text", "lags": "[lag]",
        "thresholds": "thresholds", "unknown": "unknown",
    },
    "thresholds": {
        "redundant_share": "share", "redundant_octets": "octets", "least_octets": "octets",
    },
}  # fmt: skip
"""The keys of every object and the forms of their values: one of :data:`FORMS` or an object.

``?`` says that it may be ``null``, there being no such thing; ``*`` that it may be ``null``, not
being known or there being no such thing; ``[...]`` that it is a list. ``counts`` and
``transmissions`` have a count or octets for each of :data:`KINDS` or :data:`CLASSES`, ``unknown``
has reasons by key, a ``lag`` is a pair of microseconds and octets, and the keys of an ``option``
are the fields of its value (see :func:`of_option`).
"""

OPTIONS: dict[type, str] = {
    MpCapable: "mp_capable",
    MpJoinSyn: "mp_join_syn",
    MpJoinSynAck: "mp_join_synack",
    MpJoinAck: "mp_join_ack",
    Dss: "dss",
    AddAddr: "add_addr",
    RemoveAddr: "remove_addr",
    MpPrio: "mp_prio",
    MpFail: "mp_fail",
    MpFastclose: "mp_fastclose",
    MpTcprst: "mp_tcprst",
    Experimental: "mp_experimental",
    Unknown: "unknown",
    Malformed: "malformed",
}
"""Option value to its name in facts."""

_KEYS = {"key", "sender_key", "receiver_key"}
_SHORT = {"token", "nonce"}
_LONG = {"dsn", "data_ack"}


def of_option(option: Option) -> Fact:
    """An option as facts show it: its name and every field of its value.

    Keys are 16 hexadecimal digits, tokens and nonces 8, HMACs and ``raw`` as many as they have;
    DSNs and DATA_ACKs are decimal text, as wide as on the wire. A DSS has the sizes of its
    numbers in octets beside them, and a malformed option the reading that its length allows.
    """
    if isinstance(option, Dss):
        return _of_dss(option)
    fact: Fact = {"option": OPTIONS[type(option)]}
    for field in fields(option):
        value = getattr(option, field.name)
        fact[field.name] = None if value is None else _plain(field.name, value)
    return fact


def _of_dss(option: Dss) -> Fact:
    """A DSS, written out, for nearly every segment has one."""
    data_ack, dsn = option.data_ack, option.dsn
    return {
        "option": "dss",
        "flags": option.flags,
        "data_ack": None if data_ack is None else str(data_ack),
        "dsn": None if dsn is None else str(dsn),
        "ssn": option.ssn,
        "dll": option.dll,
        "checksum": option.checksum,
        "reserved": option.reserved,
        "raw": option.raw.hex(),
        "data_ack_size": option.data_ack_size,
        "dsn_size": option.dsn_size,
        "data_fin": option.data_fin,
    }


def _plain(name: str, value: Any) -> Any:
    """One field of an option as JSON has it."""
    if name in _KEYS:
        return f"{value:016x}"
    if name in _SHORT:
        return f"{value:08x}"
    if name in _LONG:
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    if type(value) in OPTIONS:
        return of_option(value)
    return str(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document of facts in memory.

    Attributes:
        header: Its first line: ``schema``, ``tool``, ``version``, ``capture`` (a name).
        facts: Its facts, in order.
        footer: Its last line: ``counts`` of facts by kind, and ``sha256`` of the capture.
    """

    header: Fact
    facts: list[Fact]
    footer: Fact

    def of(self, kind: str) -> Iterator[Fact]:
        """The facts of one kind."""
        return (fact for fact in self.facts if fact["fact"] == kind)


def write(
    file: IO[str],
    facts: Iterable[Mapping[str, Any]],
    *,
    capture: str,
    sha256: str | Callable[[], str],
    version: str,
    tool: str = "mptcp-oracle",
    generated: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Write a document of facts, one line each, as they come.

    Args:
        file: An open text file.
        facts: The facts; they are not kept.
        capture: The capture's name.
        sha256: Hexadecimal SHA-256 of the capture, or a function that gives it; it is called
            after the last fact, so that a digest may be computed meanwhile.
        version: Version of the program that found the facts.
        tool: Its name.
        generated: For the truth of a generated capture: where it comes from, as JSON values;
            the header then has it under this key.

    Returns:
        How many facts of each kind were written; all kinds are there.

    Raises:
        TruthError: A fact has no known kind.
    """
    header: Fact = {"schema": SCHEMA, "tool": tool, "version": version, "capture": capture}
    if generated is not None:
        header["generated"] = dict(generated)
    file.write(_line({"fact": "header", **header}))
    counts = dict.fromkeys(KINDS, 0)
    for fact in facts:
        kind = fact.get("fact")
        if kind not in counts:
            raise TruthError(f"there is no fact of kind {kind!r}", hint=f"kinds: {_listed(KINDS)}")
        counts[kind] += 1
        file.write(_line(fact))
    digest = sha256 if isinstance(sha256, str) else sha256()
    file.write(_line({"fact": "footer", "counts": counts, "sha256": digest}))
    return counts


def _line(fact: Mapping[str, Any]) -> str:
    return json.dumps(fact, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def read(source: str | os.PathLike[str] | Iterable[str], *, name: str | None = None) -> Document:
    """Read a whole document of facts.

    Args:
        source: A path, an open text file, or lines.
        name: What to call it in errors; by default its path.

    Raises:
        TruthError: As :func:`stream`.
    """
    header, *facts, footer = stream(source, name=name)
    return Document(header=header, facts=facts, footer=footer)


def stream(
    source: str | os.PathLike[str] | Iterable[str], *, name: str | None = None
) -> Iterator[Fact]:
    """Read a document line by line: the header, each fact, and last the footer.

    Args:
        source: A path, an open text file, or lines.
        name: What to call it in errors; by default its path.

    Yields:
        The lines as objects. Nothing is proven before the footer came.

    Raises:
        TruthError: The file cannot be opened; a line is no JSON object or no known kind; the
            schema is unknown; the footer is missing, its counts are wrong, or lines follow it.
            Its ``data`` have ``file`` and ``line`` (1-based).
    """
    if not isinstance(source, str | os.PathLike):
        yield from _checked(source, name or "facts")
        return
    label = name or os.fspath(source)
    try:
        with open(source, encoding="utf-8") as file:
            yield from _checked(file, label)
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise TruthError("the facts cannot be read", cause=cause, file=label) from error


def _checked(lines: Iterable[str], name: str) -> Iterator[Fact]:
    counts: Counter[str] = Counter()
    footer: Fact | None = None
    number = 0
    for number, line in enumerate(lines, start=1):
        fact = _parsed(line, name, number)
        kind = fact.get("fact")
        if footer is not None:
            raise _wrong("a line follows the footer", name, number)
        if (kind == "header") != (number == 1):
            raise _wrong("the first line, and no other, is the header", name, number)
        if kind == "header":
            _check_schema(fact, name)
        elif kind == "footer":
            _check_footer(fact, counts, name, number)
            footer = fact
        elif kind in KINDS:
            counts[kind] += 1
        else:
            raise _wrong(f"there is no fact of kind {kind!r}", name, number)
        yield fact
    if footer is None:
        hint = "the program that wrote it was probably stopped"
        raise _wrong("the file ends without a footer", name, number, hint)


def _parsed(line: str, name: str, number: int) -> Fact:
    try:
        fact = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _wrong("no JSON", name, number, cause=str(error)) from error
    if not isinstance(fact, dict):
        raise _wrong("no JSON object", name, number)
    return fact


def _check_schema(header: Fact, name: str) -> None:
    schema = header.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        hint = f"this version reads schema {SCHEMA}"
        raise _wrong(f"unknown schema {schema!r}", name, 1, hint)


def _check_footer(footer: Fact, counts: Mapping[str, int], name: str, number: int) -> None:
    found = {kind: counts.get(kind, 0) for kind in KINDS}
    if footer.get("counts") != found:
        cause = f"it says {footer.get('counts')}, there are {found}"
        raise _wrong("the footer's counts are wrong", name, number, cause=cause)
    if not isinstance(footer.get("sha256"), str):
        raise _wrong("the footer has no SHA-256 of the capture", name, number)


def _wrong(
    message: str, name: str, line: int, hint: str | None = None, *, cause: str | None = None
) -> TruthError:
    return TruthError(f"line {line}: {message}", cause=cause, hint=hint, file=name, line=line)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
