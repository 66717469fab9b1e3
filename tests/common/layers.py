"""A naive dissector: from a frame to its TCP segment, in slices of octets and one recursion.

It knows the same formats as the packet loop and none of its code. What the loop has as offsets
into a capture is a pair here: the octets that were captured, and how many there were on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Found", "Refused", "dissect"]

VLANS = {0x8100, 0x88A8, 0x9100, 0x9200}
EXTENSIONS = {0, 43, 44, 51, 60, 135, 139, 140}
DEEPEST = 32


@dataclass
class Found:
    """A segment: its captured octets, its length on the wire, and what came on the way."""

    octets: bytes
    length: int
    facts: dict[str, Any]


class Refused(Exception):  # noqa: N818
    """There is no segment; ``args[0]`` is the reason, empty if it is none of our business."""


@dataclass
class _Packet:
    """What is left of a frame: captured octets, octets on the wire, and the facts so far."""

    held: bytes
    wire: int
    facts: dict[str, Any] = field(default_factory=dict)
    layers: int = 0
    beyond: bool = False

    def need(self, size: int, reason: str) -> None:
        if len(self.held) < size:
            raise Refused(reason)

    def skip(self, size: int) -> None:
        self.held, self.wire = self.held[size:], self.wire - size

    def cut_to(self, size: int) -> None:
        """An IP length says that so much belongs to the packet."""
        if size > self.wire and not self.facts.get("fragment"):
            self.beyond = True
        self.held, self.wire = self.held[: max(0, size)], size

    def name(self, width: int, value: int) -> None:
        """An identifier of a network on the way; within 63 bits."""
        self.facts["domain"] = self.facts.get("domain", 0) << width | value

    def number(self, at: int, size: int = 2) -> int:
        return int.from_bytes(self.held[at : at + size], "big")


def dissect(linktype: int, octets: bytes, wire: int) -> tuple[Found | str, bool]:
    """What a frame holds.

    Args:
        linktype: Of the capture file.
        octets: What was captured of it.
        wire: Its octets on the wire.

    Returns:
        The segment, or the reason why there is none (empty if nothing is wrong); and whether an
        IP length reached beyond what encloses it.
    """
    packet = _Packet(octets[:wire], wire)
    packet.facts = {"domain": 0, "direction": 0, "fragment": 0, "ifindex": 0}
    try:
        _link(packet, linktype)
    except Refused as refused:
        return refused.args[0], packet.beyond
    return Found(packet.held, packet.wire, packet.facts), packet.beyond


def _link(packet: _Packet, linktype: int) -> None:
    if linktype == 1:
        _tagged(packet, 14, 12)
    elif linktype == 113:
        packet.need(16, "link-header-cut")
        _sent(packet, packet.number(0))
        _tagged(packet, 16, 14)
    elif linktype == 276:
        packet.need(20, "link-header-cut")
        _sent(packet, packet.held[10])
        packet.facts["ifindex"] = packet.number(4, 4)
        _tagged(packet, 20, 0)
    elif linktype == 101:
        _raw(packet)
    elif linktype in (0, 108):
        packet.need(4, "link-header-cut")
        family = packet.number(2) if packet.number(0) == 0 else packet.held[0]
        packet.skip(4)
        if family not in {2, 10, 23, 24, 28, 30}:
            raise Refused("")
        _raw(packet)
    elif linktype in (9, 50):
        _ppp(packet)
    else:
        raise Refused("unknown-linktype")


def _sent(packet: _Packet, kind: int) -> None:
    packet.facts["direction"] = {0: 1, 1: 1, 2: 1, 4: 2}.get(kind, 0)


def _tagged(packet: _Packet, size: int, place: int) -> None:
    packet.need(size, "link-header-cut")
    kind = packet.number(place)
    packet.skip(size)
    _ethertype(packet, kind)


def _ethertype(packet: _Packet, kind: int) -> None:
    packet.layers += 1
    if packet.layers > DEEPEST:
        raise Refused("too-many-headers")
    if kind == 0x0800:
        _ipv4(packet)
    elif kind == 0x86DD:
        _ipv6(packet)
    elif kind in VLANS:
        tag = packet.number(0) & 0x0FFF
        if len(packet.held) >= 4 and tag:
            packet.name(12, tag)
        _tagged(packet, 4, 2)
    elif kind == 0x6558:
        _tagged(packet, 14, 12)
    elif kind == 0x880B:
        _ppp(packet)
    else:
        raise Refused("")


def _ppp(packet: _Packet) -> None:
    packet.need(2, "link-header-cut")
    if packet.number(0) in (0x0F00, 0x8F00):
        _tagged(packet, 4, 2)
        return
    if packet.number(0) == 0xFF03:
        packet.skip(2)
        packet.need(2, "link-header-cut")
    short = packet.held[0] % 2 == 1
    kind = packet.held[0] if short else packet.number(0)
    packet.skip(1 if short else 2)
    if kind not in (0x21, 0x57):
        raise Refused("")
    _raw(packet)


def _raw(packet: _Packet) -> None:
    packet.need(1, "link-header-cut")
    if packet.held[0] >> 4 == 6:
        _ipv6(packet)
    else:
        _ipv4(packet)


def _room(packet: _Packet, size: int) -> None:
    if len(packet.held) < size:
        raise Refused("ip-header-cut" if packet.wire >= size else "bad-ip-length")


def _ipv4(packet: _Packet) -> None:
    _room(packet, 20)
    header = packet.held
    if header[0] >> 4 != 4:
        raise Refused("bad-ip-version")
    size, total = header[0] % 16 * 4, packet.number(2) or packet.wire
    if size < 20 or total < size:
        raise Refused("bad-ip-length")
    packet.cut_to(total)
    place = int.from_bytes(header[6:8], "big")
    packet.facts |= {
        "fragment": int(bool(place & 0x2000)), "family": 4, "source": header[12:16],
        "destination": header[16:20], "ttl": header[8],
        "ip_id": int.from_bytes(header[4:6], "big"),
    }  # fmt: skip
    packet.skip(size)
    _protocol(packet, header[9], bool(place & 0x1FFF), jumbo=None)


def _ipv6(packet: _Packet) -> None:
    _room(packet, 40)
    header = packet.held
    if header[0] >> 4 != 6:
        raise Refused("bad-ip-version")
    payload = packet.number(4)
    if payload:
        packet.cut_to(40 + payload)
    packet.facts |= {
        "fragment": 0, "family": 6, "source": header[8:24], "destination": header[24:40],
        "ttl": header[7], "ip_id": -1,
    }  # fmt: skip
    packet.skip(40)
    _protocol(packet, header[6], later=False, jumbo=None if payload else packet.wire)


def _protocol(packet: _Packet, kind: int, later: bool, jumbo: int | None) -> None:
    """``jumbo``: octets behind the IPv6 header, if this follows it and its length was 0."""
    packet.layers += 1
    known = kind in {4, 6, 41, 47, 51} or (packet.facts["family"] == 6 and kind in EXTENSIONS)
    if later:
        raise Refused("non-first-fragment" if known else "")
    if kind == 6:
        if packet.wire < 20:
            raise Refused("bad-tcp-length")
        packet.need(20, "tcp-header-cut")
        return
    if packet.layers > DEEPEST:
        raise Refused("too-many-headers")
    if kind == 17:
        _udp(packet)
    elif kind == 47:
        _gre(packet)
    elif kind == 4:
        _ipv4(packet)
    elif kind == 41:
        _ipv6(packet)
    elif known:
        _extension(packet, kind, jumbo)
    else:
        raise Refused("")


def _extension(packet: _Packet, kind: int, jumbo: int | None) -> None:
    _room(packet, 8)
    header, place = packet.held, 0
    size = (header[1] + 2) * 4 if kind == 51 else (header[1] + 1) * 8
    if kind == 44:
        size, place = 8, int.from_bytes(header[2:4], "big")
        packet.facts["fragment"] = place % 2
    if size > packet.wire:
        raise Refused("bad-ip-length")
    if kind == 0 and jumbo is not None:
        _jumbo(packet, header[2:size], size)
    if kind == 43 and header[3] and size >= 24 and header[2] in {0, 2, 4}:
        last = header[size - 16 : size] if header[2] == 0 else header[8:24]
        if len(last) == 16:
            packet.facts["destination"] = last
    packet.skip(size)
    _protocol(packet, header[0], later=place >= 8, jumbo=None)


def _jumbo(packet: _Packet, options: bytes, size: int) -> None:
    while len(options) >= 2:
        length = 1 if options[0] == 0 else 2 + options[1]
        if options[0] == 0xC2 and length == 6 and len(options) >= 6:
            total = int.from_bytes(options[2:6], "big")
            if total < 65536 or total < size:
                raise Refused("bad-ip-length")
            packet.cut_to(total)
            return
        options = options[length:]


def _gre(packet: _Packet) -> None:
    packet.need(4, "tunnel-header-cut")
    flags, kind = packet.number(0), packet.number(2)
    if flags % 8:
        raise Refused("")
    size = 8 if flags & 0xC000 else 4
    size += 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    more = flags & 0x4000
    while more:
        if len(packet.held) - size < 4:
            raise Refused("tunnel-header-cut")
        more = packet.held[size + 3]
        size += 4 + packet.held[size + 3]
    packet.need(size, "tunnel-header-cut")
    packet.skip(size)
    _ethertype(packet, kind)


def _udp(packet: _Packet) -> None:
    packet.need(8, "")
    if packet.number(2) not in (4789, 8472):
        raise Refused("")
    size = packet.number(4)
    if 8 <= size < packet.wire:
        packet.cut_to(size)
    packet.need(16, "tunnel-header-cut")
    if not packet.held[8] & 8:
        raise Refused("")
    packet.name(25, packet.number(12, 3) | 1 << 24)
    packet.skip(16)
    _ethertype(packet, 0x6558)
