"""Enough of pcap and pcapng to count and to label: formats, link types, frames.

The corpus tool must know how many frames a file has and which link types, without the reader
whose tests the corpus feeds; so this is a second, much smaller reader of the same formats.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mptcp_oracle.errors import CaptureError

__all__ = ["LINKTYPES", "CaptureScan", "scan_capture"]

# The link types that recordings use (tcpdump.org/linktypes.html).
LINKTYPES: dict[int, str] = {
    0: "NULL",
    1: "EN10MB",
    9: "PPP",
    101: "RAW",
    108: "LOOP",
    113: "LINUX_SLL",
    228: "IPV4",
    229: "IPV6",
    276: "LINUX_SLL2",
}

_PCAP_MAGICS: dict[bytes, tuple[str, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_SECTION = 0x0A0D0D0A
_PACKET_BLOCKS = frozenset({2, 3, 6})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureScan:
    """What a capture file is, without its contents.

    Attributes:
        format: ``pcap`` or ``pcapng``.
        linktypes: Link type numbers in order of first appearance.
        snaplen: Largest stated snap length, in octets.
        frames: Number of complete frames.
    """

    format: str
    linktypes: tuple[int, ...]
    snaplen: int
    frames: int


def scan_capture(octets: bytes, name: str = "capture") -> CaptureScan:
    """Count the frames of a capture and name its link types.

    Raises:
        CaptureError: Neither pcap nor pcapng, or cut inside a frame.
    """
    if octets[:4] in _PCAP_MAGICS:
        return _scan_pcap(octets, name)
    if octets[:4] == struct.pack(">I", _SECTION):
        return _scan_pcapng(octets, name)
    raise CaptureError("neither pcap nor pcapng", file=name)


def _scan_pcap(octets: bytes, name: str) -> CaptureScan:
    order, _ = _PCAP_MAGICS[octets[:4]]
    if len(octets) < 24:
        raise CaptureError("the file header is cut", file=name, offset=len(octets))
    snaplen, link = struct.unpack_from(f"{order}II", octets, 16)
    frames, offset = 0, 24
    while offset < len(octets):
        if offset + 16 > len(octets):
            raise CaptureError("the file ends inside a frame", file=name, frame=frames + 1)
        (kept,) = struct.unpack_from(f"{order}I", octets, offset + 8)
        offset += 16 + kept
        if offset > len(octets):
            raise CaptureError("the file ends inside a frame", file=name, frame=frames + 1)
        frames += 1
    return CaptureScan(
        format="pcap", linktypes=(link & 0x0FFF_FFFF,), snaplen=snaplen, frames=frames
    )


def _scan_pcapng(octets: bytes, name: str) -> CaptureScan:
    order, frames, offset, snaplen = "<", 0, 0, 0
    links: dict[int, None] = {}
    while offset < len(octets):
        if offset + 12 > len(octets):
            raise CaptureError("the file ends inside a block", file=name, offset=offset)
        if octets[offset : offset + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if octets[offset + 8 : offset + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(f"{order}II", octets, offset)
        if length < 12 or length % 4 or offset + length > len(octets):
            raise CaptureError("a block has a wrong length", file=name, offset=offset)
        if kind == 1:
            link, _, limit = struct.unpack_from(f"{order}HHI", octets, offset + 8)
            links[link] = None
            snaplen = max(snaplen, limit)
        elif kind in _PACKET_BLOCKS:
            frames += 1
        offset += length
    return CaptureScan(format="pcapng", linktypes=tuple(links), snaplen=snaplen, frames=frames)
