"""Finds every octet of a recording that tells its connection from another one.

For :mod:`benchmarks.repeat`: a repetition must have keys of its own, and with them tokens, IDSNs,
all data sequence numbers and DATA_ACKs, and the joins' HMACs. This module says where they are.
It knows only what the local kernel sends in a bulk transfer without DSS checksums, and refuses
everything else.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.pcap import COOKED_2, RECORD_HEADER, records
from mptcp_oracle.constants import (
    DSS_ACK,
    DSS_ACK8,
    DSS_DSN8,
    DSS_MAP,
    KIND_END,
    KIND_MPTCP,
    KIND_NOP,
    Subtype,
)

__all__ = ["CLIENT", "Join", "Numbers", "find_numbers"]

COOKED_SIZE = 20
IPV4 = b"\x08\x00"
TCP = 6
CAPABLE_LENGTHS = {4, 12, 20, 22}
#: The recorder's clients are 10.1.<lane>.1, its servers 10.2.<lane>.1.
CLIENT = b"\x0a\x01"


@dataclass(slots=True, kw_only=True)
class Join:
    """One joined subflow: its nonces by role, and where its numbers are in the file.

    Attributes:
        nonces: Of the client and of the server.
        tokens: Offsets of the server's token, on SYNs.
        answers: Offsets of the server's 8-octet HMAC.
        proofs: Offsets of the client's 20-octet HMAC.
    """

    nonces: list[int] = field(default_factory=lambda: [0, 0])
    tokens: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    proofs: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Numbers:
    """Offsets in the file, all of them absolute. Role 0 is the client, role 1 the server.

    Attributes:
        records: Of the record headers.
        addresses: Of the client's IPv4 address, one a frame.
        networks: Of the IPv4 headers, one a frame.
        dsns: Of numbers that count a role's octets (its DSNs and its peer's DATA_ACKs), by
            ``(role, width in octets)``.
        keys: Of each role's keys.
        values: Each role's key.
        joins: By the client's address and port.
    """

    records: array[int] = field(default_factory=lambda: array("q"))
    addresses: array[int] = field(default_factory=lambda: array("q"))
    networks: array[int] = field(default_factory=lambda: array("q"))
    dsns: dict[tuple[int, int], array[int]] = field(
        default_factory=lambda: {(role, width): array("q") for role in (0, 1) for width in (4, 8)}
    )
    keys: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    values: list[int | None] = field(default_factory=lambda: [None, None])
    joins: dict[bytes, Join] = field(default_factory=dict)


def find_numbers(data: bytes, name: Path) -> Numbers:
    """Walk a pcap file that the recorder's capture program wrote.

    Args:
        data: The whole file: Linux cooked v2 frames with one connection's TCP segments.
        name: What to call it in errors.

    Raises:
        ValueError: It holds something that could not be renumbered.
    """
    numbers = Numbers()
    for record in records(data, COOKED_2, name):
        frame = record + RECORD_HEADER.size
        network = frame + COOKED_SIZE
        if data[frame : frame + 2] != IPV4 or data[network + 9] != TCP:
            raise ValueError(f"{name} has a frame that is no TCP over IPv4, at offset {record}")
        sent_by_client = data[network + 12 : network + 14] == CLIENT
        address = network + (12 if sent_by_client else 16)
        if data[address : address + 2] != CLIENT:
            raise ValueError(f"{name} has a frame without client, at offset {record}")
        numbers.records.append(record)
        numbers.networks.append(network)
        numbers.addresses.append(address)
        tcp = network + 4 * (data[network] & 0x0F)
        role = 0 if sent_by_client else 1
        _options(data, tcp, address, role, numbers, name)
    if None in numbers.values:
        raise ValueError(f"{name} does not show both keys")
    return numbers


def _options(data: bytes, tcp: int, address: int, role: int, numbers: Numbers, name: Path) -> None:
    """Find the MPTCP options of one segment."""
    at, end = tcp + 20, tcp + 4 * (data[tcp + 12] >> 4)
    while at < end and data[at] != KIND_END:
        if data[at] == KIND_NOP:
            at += 1
            continue
        size = data[at + 1]
        if data[at] == KIND_MPTCP:
            port = tcp + 2 * role
            client = data[address : address + 4] + data[port : port + 2]
            _option(data, at, size, client, role, numbers, name)
        at += max(size, 2)


def _option(
    data: bytes, at: int, size: int, client: bytes, role: int, numbers: Numbers, name: Path
) -> None:
    subtype = data[at + 2] >> 4
    if subtype == Subtype.DSS:
        flags, place = data[at + 3], at + 4
        if flags & DSS_ACK:
            width = 8 if flags & DSS_ACK8 else 4
            numbers.dsns[1 - role, width].append(place)
            place += width
        if flags & DSS_MAP:
            width = 8 if flags & DSS_DSN8 else 4
            numbers.dsns[role, width].append(place)
            place += width + 6
        if place == at + size:
            return
    elif subtype == Subtype.MP_CAPABLE and size in CAPABLE_LENGTHS:
        for place, owner in ((at + 4, role), (at + 12, 1 - role)):
            if place + 8 <= at + size:
                numbers.keys[owner].append(place)
                numbers.values[owner] = int.from_bytes(data[place : place + 8], "big")
        return
    elif subtype == Subtype.MP_JOIN and size in (12, 16, 24):
        join = numbers.joins.setdefault(client, Join())
        if size == 12:
            join.tokens.append(at + 4)
            (join.nonces[0],) = struct.unpack_from(">I", data, at + 8)
        elif size == 16:
            join.answers.append(at + 4)
            (join.nonces[1],) = struct.unpack_from(">I", data, at + 12)
        else:
            join.proofs.append(at + 4)
        return
    elif subtype in (Subtype.MP_PRIO, Subtype.REMOVE_ADDR, Subtype.MP_TCPRST):
        return
    raise ValueError(
        f"{name} has an option that cannot be renumbered (subtype {subtype}, {size} octets), "
        f"at offset {at}"
    )
