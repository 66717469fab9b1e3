"""Where the layers of a frame are: a small parser of right frames, independent of the reader's."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from tests.common import captures as c

__all__ = ["Place", "locate", "with_options"]

#: Link type to the size of its header and the place of the EtherType in it.
LINKS = {c.ETHERNET: (14, 12), c.COOKED: (16, 14), c.COOKED_2: (20, 0), c.RAW: (0, -1)}


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets in a frame with a TCP segment.

    Attributes:
        ip, tcp, payload: Where each begins. family: 4 or 6.
        options: Offset, kind and size of each TCP option but padding.
    """

    ip: int
    tcp: int
    payload: int
    family: int
    options: tuple[tuple[int, int, int], ...]


def locate(linktype: int, frame: bytes) -> Place | None:
    """The layers of a right frame; ``None`` for anything unusual."""
    if linktype not in LINKS:
        return None
    ip, kind = LINKS[linktype]
    if linktype == c.ETHERNET and frame[12:14] == b"\x81\x00":
        ip, kind = 18, 16
    if len(frame) < ip + 40:
        return None
    family = frame[ip] >> 4
    if kind >= 0 and frame[kind : kind + 2] != {4: b"\x08\x00", 6: b"\x86\xdd"}.get(family):
        return None
    if family == 4 and frame[ip + 9] == c.TCP:
        tcp = ip + (frame[ip] & 15) * 4
    elif family == 6 and frame[ip + 6] == c.TCP:
        tcp = ip + 40
    else:
        return None
    if len(frame) < tcp + 20:
        return None
    payload = tcp + (frame[tcp + 12] >> 4) * 4
    if payload < tcp + 20:
        return None
    return Place(ip, tcp, payload, family, tuple(_options(frame, tcp + 20, payload)))


def _options(frame: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    found = []
    while at + 1 < min(end, len(frame)) and frame[at] != 0:
        if frame[at] == 1:
            at += 1
            continue
        size = frame[at + 1]
        if size < 2 or at + size > end:
            break
        found.append((at, frame[at], size))
        at += size
    return found


def with_options(record: c.Record, place: Place, options: bytes) -> c.Record:
    """The record with other TCP options, all lengths right again."""
    frame = record.octets
    options = (options + bytes(-len(options) % 4))[:40]
    payload = frame[place.payload :]
    words = (20 + len(options)) // 4
    tcp = bytearray(frame[place.tcp : place.tcp + 20])
    tcp[12] = words << 4 | tcp[12] & 15
    head = bytearray(frame[place.ip : place.tcp])
    grown = len(options) - (place.payload - place.tcp - 20)
    held = len(frame) + grown
    wire = held if record.wire is None else max(0, record.wire + grown)
    length = max(0, wire - place.ip - (0 if place.family == 4 else 40))
    struct.pack_into("!H", head, 2 if place.family == 4 else 4, length & 0xFFFF)
    octets = frame[: place.ip] + bytes(head) + bytes(tcp) + options + payload
    return replace(record, octets=octets, wire=wire & 0xFFFFFFFF)
