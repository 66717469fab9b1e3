"""Captures written again as pcapng, with comments: packets stay as they are, octet for octet.

A pcapng file keeps its blocks; comments are added to packet blocks and to the section header. A
pcap file becomes one section with one interface. Where a file is damaged, what is behind the damage
is copied as it is, unless only some frames are wanted.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping

from mptcp_oracle.wire.pcap import MAGICS
from mptcp_oracle.wire.pcapng import MAGIC

__all__ = ["commented"]

SECTION, INTERFACE, SIMPLE, OBSOLETE, ENHANCED = 0x0A0D0D0A, 1, 3, 2, 6
#: Blocks without packets that have frame numbers in Wireshark: journal entries, custom blocks.
NUMBERED = (9, 0xBAD, 0x40000BAD)
COMMENT, IF_TSRESOL, IF_FCSLEN = 1, 9, 13
ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
#: Octets before the options of a section header, and before the packet of a packet block.
SECTION_HEAD, PACKET_HEAD = 24, 28
#: A section of unknown length: its header says so by -1.
UNKNOWN_LENGTH = b"\xff" * 8
MOST_COMMENT = 0xFFF0


def commented(
    data: memoryview,
    comments: Mapping[int, str],
    summary: str,
    only: Collection[int] | None = None,
) -> Iterator[bytes]:
    """The capture as pcapng, piece by piece.

    Args:
        data: A pcap or pcapng file, not compressed.
        comments: Comments by frame number (1-based).
        summary: A comment on the file.
        only: The frames that are wanted; all by default.
    """
    write = _blocks if bytes(data[:4]) == MAGIC else _records
    yield from write(data, comments, summary, only)


def _option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def _comment(order: str, text: str) -> bytes:
    return _option(order, COMMENT, text.encode()[:MOST_COMMENT])


def _block(order: str, kind: int, body: bytes) -> bytes:
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def _blocks(
    data: memoryview, comments: Mapping[int, str], summary: str, only: Collection[int] | None
) -> Iterator[bytes]:
    """A pcapng file, with comments in front of the options that blocks have."""
    at, frame, order = 0, 0, "<"
    while len(data) - at >= 12:
        if bytes(data[at : at + 4]) == MAGIC:
            order = ORDERS.get(bytes(data[at + 8 : at + 12]), order)
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or size % 4 or size > len(data) - at:
            break
        block = data[at : at + size]
        at += size
        if kind == SECTION and size >= SECTION_HEAD + 4:
            options = bytes(block[SECTION_HEAD:-4])
            options = _with(order, options, summary) if summary else options
            summary = ""
            yield _block(order, kind, bytes(block[8:16]) + UNKNOWN_LENGTH + options)
            continue
        if kind in (ENHANCED, OBSOLETE, SIMPLE, *NUMBERED):
            frame += 1
            if only is not None and frame not in only:
                continue
        text = comments.get(frame) if kind in (ENHANCED, OBSOLETE) else None
        if text is None or size < PACKET_HEAD + 4:
            yield bytes(block)
            continue
        (captured,) = struct.unpack_from(order + "I", block, 20)
        end = PACKET_HEAD + captured + -captured % 4
        if end > size - 4:
            yield bytes(block)
            continue
        options = _with(order, bytes(block[end:-4]), text)
        yield _block(order, kind, bytes(block[8:end]) + options)
    if only is None:
        yield bytes(data[at:])


def _with(order: str, options: bytes, text: str) -> bytes:
    """Options with a comment in front."""
    return _comment(order, text) + (options or bytes(4))


def _records(
    data: memoryview, comments: Mapping[int, str], summary: str, only: Collection[int] | None
) -> Iterator[bytes]:
    """A pcap file as one section."""
    order, unit, head = MAGICS[bytes(data[:4])]
    *_, snap, link = struct.unpack_from(order + "IHHiIII", data)
    magic = struct.pack(order + "IHH", 0x1A2B3C4D, 1, 0) + UNKNOWN_LENGTH
    yield _block(order, SECTION, magic + _with(order, b"", summary))
    options = _option(order, IF_TSRESOL, bytes([9 if unit == 1 else 6]))
    if link & 0x04000000:
        options += _option(order, IF_FCSLEN, bytes([16 * (link >> 28)]))
    start = struct.pack(order + "HHI", link & 0xFFFF, 0, snap)
    yield _block(order, INTERFACE, start + options + bytes(4))
    at, frame, ticks = 24, 0, 1_000_000_000 // unit
    while len(data) - at >= head:
        seconds, fraction, captured, whole = struct.unpack_from(order + "IIII", data, at)
        at += head
        if captured > len(data) - at:
            break
        frame += 1
        time = seconds * ticks + fraction
        body = struct.pack(order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, captured, whole)
        body += bytes(data[at : at + captured]) + bytes(-captured % 4)
        at += captured
        if only is not None and frame not in only:
            continue
        text = comments.get(frame)
        yield _block(order, ENHANCED, body + (b"" if text is None else _with(order, b"", text)))
