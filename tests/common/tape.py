"""A capture written by hand: link, IP and TCP headers around given segments, as a classic pcap.

Independent of the reader and of scapy; :mod:`tests.common.conversation` says what is inside the
segments. Times are nanoseconds and go on by a millisecond a frame unless told otherwise.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address

__all__ = ["ACK", "FIN", "PSH", "RST", "SYN", "Segment", "Tape"]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
MILLISECOND = 1_000_000
NANOSECOND_MAGIC = 0xA1B23C4D
LINK_TYPES = {"ethernet": 1, "raw": 101, "sll": 113, "sll2": 276}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One TCP segment as it leaves a host; numbers are absolute, 32 bits.

    ``ip_id`` None gives each new packet the next number of a counter; ``vlan`` is a tag, or
    ``None``. ``direction`` is the cooked packet type: 0 to us, 4 from us.
    """

    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    acknowledgment: int
    flags: int
    options: bytes = b""
    payload: bytes = b""
    window: int = 502
    ttl: int = 64
    ip_id: int | None = None
    vlan: int | None = None
    direction: int = 0
    interface: int = 1


class Tape:
    """Frames in capture order.

    Attributes:
        link: ``ethernet``, ``raw``, ``sll`` or ``sll2``. now: The clock, in nanoseconds.
        frames: ``(time, octets)``; frame ``n`` of the capture is ``frames[n - 1]``.
    """

    def __init__(self, link: str = "ethernet") -> None:
        self.link = link
        self.now = 1_700_000_000_000_000_000
        self.step = MILLISECOND
        self.frames: list[tuple[int, bytes]] = []
        self.muted = False
        self._ids = 100
        self._last: Segment | None = None

    @property
    def last(self) -> int:
        """Number of the newest frame."""
        return len(self.frames)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1_000_000_000)

    def put(self, segment: Segment) -> int:
        """Capture a segment (unless muted) and return its frame number."""
        if segment.ip_id is None:
            self._ids = (self._ids + 1) & 0xFFFF
            segment = replace(segment, ip_id=self._ids)
        self._last = segment
        if not self.muted:
            self.frames.append((self.now, self._frame(segment)))
        self.now += self.step
        return self.last

    def again(self, *, hops: int = 0, direction: int = 0, interface: int = 2) -> int:
        """Capture the newest packet once more, as a capture on all interfaces does.

        Args:
            hops: Routers in between: what the TTL is lower by.
            direction: Cooked packet type of the copy.
            interface: Its cooked interface index.
        """
        assert self._last is not None
        copy = replace(
            self._last, ttl=self._last.ttl - hops, direction=direction, interface=interface
        )
        now, self.now = self.now, self.now - self.step + 2_000
        self.put(copy)
        self.now = now
        return self.last

    def pcap(self, *, snap_length: int = 262_144) -> bytes:
        """The capture's octets."""
        link = LINK_TYPES[self.link]
        parts = [struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, snap_length, link)]
        for time, octets in self.frames:
            held = octets[:snap_length]
            parts.append(struct.pack("<II", *divmod(time, 1_000_000_000)))
            parts.append(struct.pack("<II", len(held), len(octets)) + held)
        return b"".join(parts)

    def _frame(self, segment: Segment) -> bytes:
        packet = _ip(segment)
        kind = 0x86DD if ":" in segment.source[0] else 0x0800
        if self.link == "raw":
            return packet
        if self.link == "sll":
            return struct.pack("!HHH8sH", segment.direction, 1, 6, bytes(8), kind) + packet
        if self.link == "sll2":
            fields = (kind, 0, segment.interface, 1, segment.direction, 6, bytes(8))
            return struct.pack("!HHIHBB8s", *fields) + packet
        tag = b"" if segment.vlan is None else struct.pack("!HH", 0x8100, segment.vlan)
        return bytes(12) + tag + struct.pack("!H", kind) + packet


def _ip(segment: Segment) -> bytes:
    """The packet: IPv4 or IPv6 by the notation of its source address."""
    source = ip_address(segment.source[0]).packed
    destination = ip_address(segment.destination[0]).packed
    tcp = _tcp(segment, source + destination)
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(tcp), 6, segment.ttl) + source + destination + tcp
    header = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + len(tcp), segment.ip_id or 0, 0x4000, segment.ttl, 6, 0
    )
    return header + source + destination + tcp


def _tcp(segment: Segment, addresses: bytes) -> bytes:
    """Header, options and payload, with a right checksum."""
    size = 20 + len(segment.options)
    assert size in range(20, 64, 4), "options do not fit"
    octets = struct.pack(
        "!HHIIBBHHH",
        segment.source[1],
        segment.destination[1],
        segment.sequence & 0xFFFFFFFF,
        segment.acknowledgment & 0xFFFFFFFF,
        size << 2,
        segment.flags,
        segment.window,
        0,
        0,
    )
    octets += segment.options + segment.payload
    pseudo = addresses + struct.pack("!II", len(octets), 6)
    data = pseudo + octets
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return octets[:16] + struct.pack("!H", 0xFFFF - total) + octets[18:]
