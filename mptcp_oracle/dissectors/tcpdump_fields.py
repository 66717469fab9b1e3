"""What tcpdump's words about TCP and MPTCP say, in our facts: a table, one row a field."""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle.dissectors.dissector import Field, Ours, Read, Value
from mptcp_oracle.dissectors.values import (
    address_ids,
    base16,
    hexadecimal,
    option,
    segment_fact,
    wide,
)
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import Fact

__all__ = ["FIELDS"]

#: Letters of the flags, by bit.
LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128, "e": 256}
#: tcpdump's names of options, by subtype.
NAMES = (
    "capable", "join", "dss", "add-addr", "rem-addr", "prio", "fail", "fast-close", "tcprst",
)  # fmt: skip
CAPABLE, DSS, ADD_ADDR = "mp_capable", "dss", "add_addr"
JOIN_SYN, JOIN_SYNACK, JOIN_ACK = "mp_join_syn", "mp_join_synack", "mp_join_ack"
NUMBERED = 0x07
"""Flags SYN, FIN and RST: with one of them, or with payload, tcpdump shows the sequence number."""


def _flags(text: str) -> Value:
    return sum(LETTERS.get(letter, 1 << 16) for letter in text) if text != "none" else 0


def _names(_: View, segment: Segment) -> Iterable[Value]:
    """The name of every option, also of those that mean nothing."""
    for item in segment.listed:
        raw = bytes.fromhex(item["raw"])
        if len(raw) > 2:
            subtype = raw[2] >> 4
            yield NAMES[subtype] if subtype < len(NAMES) else "unknown"


def _lengths(_: View, segment: Segment) -> Iterable[Value]:
    """The Length of every option."""
    return [int(item["raw"][2:4], 16) for item in segment.listed if len(item["raw"]) >= 6]


def _malformed(_: View, segment: Segment) -> Iterable[Value]:
    """Whether an option is malformed."""
    return ["bad" for item in segment.listed if item["option"] == "malformed"]


def _sequence(_: View, segment: Segment) -> Iterable[Value]:
    if segment.payload or segment.flags & NUMBERED:
        yield segment.number


def _acknowledgment(_: View, segment: Segment) -> Iterable[Value]:
    if segment.ack is not None:
        yield segment.ack


def _version(item: Fact) -> Value | None:
    version: Value | None = item["version"]
    return version


def _hmac(item: Fact) -> Value | None:
    return hexadecimal(item["hmac"])


def _address(item: Fact) -> Value:
    """An address as tcpdump writes it, its port behind a colon."""
    address = str(item["address"])
    return address if item["port"] is None else f"{address}:{item['port']}"


def _backup(_: View, segment: Segment) -> Iterable[Value]:
    """The B flag: of MP_PRIO in words either way, of MP_JOIN only if it is set."""
    for item in segment.options("mp_prio", JOIN_SYN, JOIN_SYNACK):
        if item["backup"]:
            yield "backup"
        elif item["option"] == "mp_prio":
            yield "non-backup"


def _row(name: str, section: str, fact: str, ours: Ours, read: Read = int) -> Field:
    return Field(name=name, section=section, fact=fact, ours=ours, read=read)


FIELDS: tuple[Field, ...] = (
    _row("tcp.flags", "RFC 9293 3.1", "segment.flags", segment_fact("flags"), _flags),
    _row("tcp.seq", "RFC 9293 3.1", "segment.sequence_raw", _sequence),
    _row("tcp.ack", "RFC 9293 3.1", "segment.ack_raw", _acknowledgment),
    _row("tcp.win", "RFC 9293 3.1", "segment.window", segment_fact("window")),
    _row("tcp.length", "RFC 9293 3.1", "segment.payload", segment_fact("payload")),
    _row("mptcp.option", "3", "segment.options[].raw", _names, str),
    _row("mptcp.length", "3", "segment.options[].raw", _lengths),
    _row("mptcp.bad", "3", "segment.options: malformed", _malformed, str),
    _row("mptcp.version", "3.1, 3.4.1", "version", option(CAPABLE, ADD_ADDR)(_version)),
    _row(
        "mptcp.csum",
        "3.1",
        "mp_capable.flags & 0x80",
        option(CAPABLE)(lambda item: "csum" if item["flags"] & 0x80 else None),
        str,
    ),
    _row(
        "mptcp.key",
        "3.1",
        "mp_capable.sender_key",
        option(CAPABLE)(lambda item: hexadecimal(item["sender_key"])),
        base16,
    ),
    _row(
        "mptcp.peer_key",
        "3.1",
        "mp_capable.receiver_key",
        option(CAPABLE)(lambda item: hexadecimal(item["receiver_key"])),
        base16,
    ),
    _row("mptcp.id", "3.2, 3.4", "address_id, address_ids", address_ids),
    _row(
        "mptcp.token",
        "3.2",
        "mp_join_syn.token",
        option(JOIN_SYN)(lambda item: hexadecimal(item["token"])),
        base16,
    ),
    _row(
        "mptcp.nonce",
        "3.2",
        "mp_join_syn.nonce, mp_join_synack.nonce",
        option(JOIN_SYN, JOIN_SYNACK)(lambda item: hexadecimal(item["nonce"])),
        base16,
    ),
    _row(
        "mptcp.hmac",
        "3.2, 3.4.1",
        "mp_join_synack.hmac, mp_join_ack.hmac, add_addr.hmac",
        option(JOIN_SYNACK, JOIN_ACK, ADD_ADDR)(_hmac),
        base16,
    ),
    _row(
        "mptcp.fin",
        "3.3.3",
        "dss.data_fin",
        option(DSS)(lambda item: "fin" if item["data_fin"] else None),
        str,
    ),
    _row("mptcp.ack", "3.3.2", "dss.data_ack", option(DSS)(wide("data_ack"))),
    _row("mptcp.seq", "3.3.1, 3.7", "dss.dsn, mp_fail.dsn", option(DSS, "mp_fail")(wide("dsn"))),
    _row("mptcp.subseq", "3.3.1", "dss.ssn", option(DSS)(lambda item: item["ssn"])),
    _row(
        "mptcp.len",
        "3.1, 3.3.1",
        "dss.dll, mp_capable.data_length",
        option(DSS, CAPABLE)(
            lambda item: item["dll"] if item["option"] == DSS else item["data_length"]
        ),
    ),
    _row(
        "mptcp.checksum",
        "3.1, 3.3.1",
        "dss.checksum, mp_capable.checksum",
        option(DSS, CAPABLE)(lambda item: item["checksum"]),
        base16,
    ),
    _row("mptcp.backup", "3.2, 3.3.8", "backup", _backup, str),
    _row(
        "mptcp.echo",
        "3.4.1",
        "add_addr.echo",
        option(ADD_ADDR)(lambda item: "echo" if item["echo"] else None),
        str,
    ),
    _row(
        "mptcp.address",
        "3.4.1",
        "add_addr.address, add_addr.port",
        option(ADD_ADDR)(_address),
        str,
    ),
    _row(
        "mptcp.fast_close_key",
        "3.5",
        "mp_fastclose.key",
        option("mp_fastclose")(lambda item: hexadecimal(item["key"])),
        base16,
    ),
)
