"""Write frames and capture files by hand, independently of the code that reads them.

Frames are built from the inside out: ``ethernet(ipv4(tcp(b"payload")))``.  Every builder takes
the fields that a test may want to set wrongly.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

CLIENT4, SERVER4 = "192.0.2.1", "198.51.100.2"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
ETHERNET, NULL, PPP, RAW, PPP_HDLC, LOOP, COOKED, COOKED_2 = 1, 0, 9, 101, 50, 108, 113, 276
TCP, UDP, GRE, ICMP, IP4, IP6 = 6, 17, 47, 1, 4, 41


# --- frames ---------------------------------------------------------------------------------


def tcp(
    payload: bytes = b"",
    *,
    source: int = 40000,
    destination: int = 80,
    sequence: int = 1000,
    ack: int = 2000,
    flags: int = 0x10,
    options: bytes = b"",
) -> bytes:
    """A TCP segment; ``options`` is padded to a multiple of four octets."""
    options += bytes(-len(options) % 4)
    offset = (20 + len(options)) // 4
    ports = struct.pack(
        "!HHIIBBHHH", source, destination, sequence, ack, offset << 4, flags, 99, 0, 0
    )
    return ports + options + payload


def udp(payload: bytes, *, destination: int = 4789, length: int | None = None) -> bytes:
    """A UDP datagram."""
    size = 8 + len(payload) if length is None else length
    return struct.pack("!HHHH", 50000, destination, size, 0) + payload


def ipv4(
    payload: bytes,
    *,
    protocol: int = TCP,
    source: str = CLIENT4,
    destination: str = SERVER4,
    options: bytes = b"",
    total: int | None = None,
    identification: int = 7,
    offset: int = 0,
    more: bool = False,
    ttl: int = 61,
    version: int = 4,
    words: int | None = None,
) -> bytes:
    """An IPv4 packet; ``offset`` in octets, ``words`` the header length field."""
    size = 20 + len(options)
    return (
        struct.pack(
            "!BBHHHBBH",
            version << 4 | (size // 4 if words is None else words),
            0,
            size + len(payload) if total is None else total,
            identification,
            offset // 8 | more << 13,
            ttl,
            protocol,
            0,
        )
        + ip_address(source).packed
        + ip_address(destination).packed
        + options
        + payload
    )


def ipv6(
    payload: bytes,
    *,
    header: int = TCP,
    source: str = CLIENT6,
    destination: str = SERVER6,
    length: int | None = None,
    hops: int = 62,
    version: int = 6,
) -> bytes:
    """An IPv6 packet; ``header`` is the next header's number."""
    size = len(payload) if length is None else length
    start = struct.pack("!IHBB", version << 28, size, header, hops)
    return start + ip_address(source).packed + ip_address(destination).packed + payload


def extension(payload: bytes, *, following: int = TCP, body: bytes = bytes(6)) -> bytes:
    """An IPv6 extension header with a length in units of 8 octets, before ``payload``."""
    assert (len(body) + 2) % 8 == 0
    return bytes([following, (len(body) + 2) // 8 - 1]) + body + payload


def fragment6(payload: bytes, *, following: int = TCP, offset: int = 0, more: bool = True) -> bytes:
    """An IPv6 fragment header, ``offset`` in octets."""
    return struct.pack("!BBHI", following, 0, offset | more, 5) + payload


def authentication(payload: bytes, *, following: int = TCP) -> bytes:
    """An IP authentication header with 12 octets of check value."""
    return struct.pack("!BBHII", following, 4, 0, 1, 2) + bytes(12) + payload


def gre(
    payload: bytes,
    *,
    kind: int = 0x0800,
    checksum: bool = False,
    routing: bytes | None = None,
    key: bool = False,
    sequence: bool = False,
    version: int = 0,
) -> bytes:
    """A GRE header; ``routing`` is the list of source route entries with its end."""
    flags = checksum << 15 | (routing is not None) << 14 | key << 13 | sequence << 12 | version
    head = struct.pack("!HH", flags, kind)
    if checksum or routing is not None:
        head += b"\x11\x22\x33\x44"
    if key:
        head += b"\x08\x00\x45\x00"
    if sequence:
        head += b"\x08\x00\x86\xdd"
    return head + (routing or b"") + payload


def vxlan(frame: bytes, *, number: int = 42, flags: int = 0x08) -> bytes:
    """A VXLAN header before an Ethernet frame."""
    return struct.pack("!B3xI", flags, number << 8) + frame


def ethernet(
    payload: bytes,
    kind: int = 0x0800,
    *,
    tags: Iterable[tuple[int, int]] = (),
    trailer: bytes = b"",
) -> bytes:
    """An Ethernet frame; ``tags`` are (EtherType of the tag, tag control information)."""
    stack = b"".join(struct.pack("!HH", tag, control) for tag, control in tags)
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02" + stack + struct.pack("!H", kind) + payload + trailer


def cooked(payload: bytes, kind: int = 0x0800, *, direction: int = 0) -> bytes:
    """A Linux cooked header, version 1."""
    return struct.pack("!HHH8sH", direction, 1, 6, b"\x02\0\0\0\0\x01", kind) + payload


def cooked_2(payload: bytes, kind: int = 0x0800, *, direction: int = 0, ifindex: int = 3) -> bytes:
    """A Linux cooked header, version 2."""
    head = struct.pack("!HHIHBB8s", kind, 0, ifindex, 1, direction, 6, b"\x02\0\0\0\0\x01")
    return head + payload


# --- pcap -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Record:
    """One frame of a file: octets in the file, time in nanoseconds, octets on the wire."""

    octets: bytes
    time: int = 1_700_000_000_123_456_789
    wire: int | None = None
    interface: int = 0
    options: bytes = b""


def records(*frames: bytes, start: int = 1_700_000_000_000_000_000) -> list[Record]:
    """Frames one millisecond apart."""
    return [Record(octets=each, time=start + i * 1_000_000) for i, each in enumerate(frames)]


def cut(record: Record, size: int) -> Record:
    """The record as a snap length of ``size`` octets leaves it."""
    return replace(record, octets=record.octets[:size], wire=len(record.octets))


def pcap(
    frames: Iterable[Record],
    *,
    linktype: int = ETHERNET,
    order: str = "<",
    nano: bool = False,
    modified: bool = False,
    snaplen: int = 262144,
) -> bytes:
    """A pcap file; ``modified`` gives the form whose records name interface 5 and 'sent'."""
    magic = 0xA1B2CD34 if modified else 0xA1B23C4D if nano else 0xA1B2C3D4
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype)
    for each in frames:
        seconds, rest = divmod(each.time, 1_000_000_000)
        wire = len(each.octets) if each.wire is None else each.wire
        fraction = rest if nano else rest // 1000
        file += struct.pack(order + "IIII", seconds, fraction, len(each.octets), wire)
        if modified:
            file += struct.pack(order + "IHBB", 5, 0x0800, 4, 0)
        file += each.octets
    return file


# --- pcapng ---------------------------------------------------------------------------------


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """A pcapng option with its padding."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(
    kind: int, body: bytes, order: str = "<", *, length: int | None = None, again: int | None = None
) -> bytes:
    """A pcapng block; ``length`` and ``again`` are its two length fields."""
    body += bytes(-len(body) % 4)
    size = len(body) + 12 if length is None else length
    tail = size if again is None else again
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", tail)


def section(order: str = "<", options: bytes = b"", *, major: int = 1) -> bytes:
    """A section header block."""
    body = struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1) + options
    return block(0x0A0D0D0A, body, order)


def interface(
    linktype: int = ETHERNET, order: str = "<", *, snaplen: int = 0, options: bytes = b""
) -> bytes:
    """An interface description block."""
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(
    record: Record, order: str = "<", *, ticks: int | None = None, captured: int | None = None
) -> bytes:
    """An enhanced packet block; time in microseconds unless ``ticks`` are given."""
    moment = record.time // 1000 if ticks is None else ticks
    size = len(record.octets) if captured is None else captured
    body = struct.pack(
        order + "IIIII",
        record.interface,
        moment >> 32,
        moment & 0xFFFFFFFF,
        size,
        len(record.octets) if record.wire is None else record.wire,
    )
    return block(6, body + _padded(record.octets) + record.options, order)


def simple(record: Record, order: str = "<") -> bytes:
    """A simple packet block, which has no time."""
    wire = len(record.octets) if record.wire is None else record.wire
    return block(3, struct.pack(order + "I", wire) + record.octets, order)


def obsolete(record: Record, order: str = "<") -> bytes:
    """The packet block of early files, with its 16-bit interface and drop count."""
    moment = record.time // 1000
    body = struct.pack(
        order + "HHIIII",
        record.interface,
        9,
        moment >> 32,
        moment & 0xFFFFFFFF,
        len(record.octets),
        len(record.octets) if record.wire is None else record.wire,
    )
    return block(2, body + _padded(record.octets) + record.options, order)


def pcapng(frames: Iterable[Record], *, linktype: int = ETHERNET, order: str = "<") -> bytes:
    """A pcapng file of one section and one interface."""
    blocks = b"".join(enhanced(each, order) for each in frames)
    return section(order) + interface(linktype, order) + blocks


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def gzipped(*members: bytes) -> bytes:
    """The members one behind the other, each compressed by itself."""
    return b"".join(gzip.compress(member, mtime=0) for member in members)
