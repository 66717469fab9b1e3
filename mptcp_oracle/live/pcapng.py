"""Turns the capture program's pcap into pcapng, which can say where it comes from.

Frames, lengths and nanosecond time stamps stay exactly as they were; added are the interface's
name, what the file shows, and how many frames the kernel dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mptcp_oracle.errors import CaptureError

__all__ = ["to_pcapng"]

_MAGICS = {b"\xd4\xc3\xb2\xa1": ("<", 1_000), b"\xa1\xb2\xc3\xd4": (">", 1_000)}
_MAGICS |= {b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1)}
SECTION, INTERFACE, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 5, 6
OPT_COMMENT, SHB_OS, SHB_USERAPPL = 1, 3, 4
IF_NAME, IF_TSRESOL, IF_FILTER = 2, 9, 11
ISB_IFRECV, ISB_IFDROP = 4, 5
NANOSECONDS = b"\x09"


def to_pcapng(
    pcap: bytes,
    *,
    interface: str,
    packet_filter: str,
    system: str,
    program: str,
    comment: str,
    received: int | None,
    dropped: int | None,
) -> bytes:
    """One pcapng section with the frames of a pcap file.

    Args:
        pcap: The capture program's file.
        interface: Name of the captured interface.
        packet_filter: The capture filter.
        system: The operating system, for the section header.
        program: The capture program, for the section header.
        comment: What the capture shows, for the section header.
        received: Frames that passed the filter, if the capture program told.
        dropped: Frames that the kernel dropped, if the capture program told.

    Raises:
        CaptureError: Not a pcap file, or cut.
    """
    if pcap[:4] not in _MAGICS or len(pcap) < 24:
        raise CaptureError("the capture program wrote no pcap file")
    order, unit = _MAGICS[pcap[:4]]
    snaplen, link = struct.unpack_from(f"{order}II", pcap, 16)
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options(
        (OPT_COMMENT, comment.encode()),
        (SHB_OS, system.encode()),
        (SHB_USERAPPL, program.encode()),
    )
    described = struct.pack("<HHI", link & 0xFFFF, 0, snaplen) + _options(
        (IF_NAME, interface.encode()),
        (IF_TSRESOL, NANOSECONDS),
        (IF_FILTER, b"\0" + packet_filter.encode()),
    )
    blocks = [_block(SECTION, section), _block(INTERFACE, described)]
    last = 0
    for time, kept, length in _records(pcap, order, unit):
        last = max(last, time)
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFF_FFFF, len(kept), length)
        blocks.append(_block(ENHANCED, head + kept + b"\0" * (-len(kept) % 4)))
    counts = [
        (code, struct.pack("<Q", value))
        for code, value in ((ISB_IFRECV, received), (ISB_IFDROP, dropped))
        if value is not None
    ]
    blocks.append(
        _block(
            STATISTICS,
            struct.pack("<III", 0, last >> 32, last & 0xFFFF_FFFF) + _options(*counts),
        )
    )
    return b"".join(blocks)


def _records(pcap: bytes, order: str, unit: int) -> Iterator[tuple[int, bytes, int]]:
    """Time (ns), captured octets and original length of each frame."""
    offset, number = 24, 0
    while offset < len(pcap):
        number += 1
        if offset + 16 > len(pcap):
            raise CaptureError("the capture program's file is cut", frame=number)
        seconds, fraction, kept, length = struct.unpack_from(f"{order}IIII", pcap, offset)
        offset += 16
        if offset + kept > len(pcap):
            raise CaptureError("the capture program's file is cut", frame=number)
        yield seconds * 1_000_000_000 + fraction * unit, pcap[offset : offset + kept], length
        offset += kept


def _options(*options: tuple[int, bytes]) -> bytes:
    """Option list with its end mark, each value padded to four octets."""
    if not options:
        return b""
    body = b"".join(
        struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)
        for code, value in options
    )
    return body + struct.pack("<HH", 0, 0)


def _block(kind: int, body: bytes) -> bytes:
    """A block with its length before and after (``body`` is a multiple of four octets)."""
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length
