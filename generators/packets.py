"""Segments into packets: the changing fields of a packet that was built once.

A flow is one direction of one subflow as one tap sees it. All its packets have the same octets
except for lengths, IP identification, checksums, and what TCP says, so each is the flow's first
packet with those fields patched. Checksums are sums of the constant words, taken once, and of
what changes (RFC 1071): modulo 65535 a number equals the sum of its 16-bit words.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.trace import Endpoint, Sent

__all__ = ["OUTER", "Build", "Template", "Way", "filled", "flow", "hardware_address", "packet_type"]

Build: TypeAlias = Callable[[Sent, bytes, int], bytes]
"""Segment, its option space, and IP identification, to the octets of its packet."""

OUTER = (bytes((198, 18, 0, 1)), bytes((198, 18, 0, 2)))
"""Addresses of the tunnel's ends on the initiator's and on the listener's side (RFC 2544)."""

MASK_32 = 0xFFFF_FFFF
MOST = 0xFFFF
ADDRESSES = {4: (12, 16), 6: (8, 24)}
LIFETIME = {4: 8, 6: 7}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What the packets of a flow have in common.

    Attributes:
        source, destination: Ends of the subflow. isns: Initial sequence numbers of both.
        host: Role of the source, which decides the direction of a tunnel.
        lifetime: TTL or hop limit. outgoing: Whether the capturing host sends them, if known.
        interface: Index of the capture interface.
    """

    source: Endpoint
    destination: Endpoint
    isns: tuple[int, int] = (0, 0)
    host: int = 0
    lifetime: int = 64
    outgoing: bool | None = None
    interface: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A packet without payload and options, and where in it what stands.

    Attributes:
        octets: Link header to TCP header, its checksums not to be relied upon.
        version: IP version of the innermost IP header. ip: Its offset.
        macs: Offsets of hardware addresses: (address, whether it is the source's, whether it is
            that of a tunnel's end).
        vlans: Offsets of VLAN tags (the id's, not the EtherType's).
        kind: Offset of a cooked packet type (its last octet). index: Offset of a cooked
            interface index.
        outer: Offset of a tunnel's IPv4 header. udp: Offset of a tunnel's UDP header.
    """

    octets: bytes
    version: int
    ip: int
    macs: tuple[tuple[int, bool, bool], ...] = ()
    vlans: tuple[int, ...] = ()
    kind: int | None = None
    index: int | None = None
    outer: int | None = None
    udp: int | None = None


def hardware_address(packed: bytes) -> bytes:
    """The locally administered MAC address of whoever has an IP address, given in octets."""
    return (b"\x02\x04" if len(packed) == 4 else b"\x02\x06") + packed[-4:]


def packet_type(outgoing: bool | None) -> int:
    """Cooked packet type: 4 sent by us, 0 to us, 3 between others."""
    return 3 if outgoing is None else 4 if outgoing else 0


def flow(template: Template, way: Way, vlans: tuple[int, ...]) -> Build:
    """What makes the packets of a flow.

    Args:
        template: A packet of this shape.
        way: What the flow's packets have in common.
        vlans: Ids for the template's VLAN tags.
    """
    octets = filled(template, way, vlans)
    around = None if template.outer is None else _tunnel(octets, template, template.outer)
    inside = _ipv4 if template.version == 4 else _ipv6
    return inside(octets, template.ip, way.isns, around)


def filled(template: Template, way: Way, vlans: tuple[int, ...]) -> bytes:
    """The template with everything that stays the same in a flow."""
    octets = bytearray(template.octets)
    ends = way.source.address.packed, way.destination.address.packed
    tunnel = OUTER if way.host == 0 else OUTER[::-1]
    for at, of_source, of_tunnel in template.macs:
        pair = tunnel if of_tunnel else ends
        octets[at : at + 6] = hardware_address(pair[0 if of_source else 1])
    for at, vlan in zip(template.vlans, vlans, strict=True):
        octets[at : at + 2] = vlan.to_bytes(2, "big")
    if template.kind is not None:
        octets[template.kind] = packet_type(way.outgoing)
    if template.index is not None:
        octets[template.index : template.index + 4] = (way.interface + 1).to_bytes(4, "big")
    if template.outer is not None:
        at = template.outer + 12
        octets[at : at + 8] = tunnel[0] + tunnel[1]
    size = len(ends[0])
    for at, packed in zip(ADDRESSES[template.version], ends, strict=True):
        octets[template.ip + at : template.ip + at + size] = packed
    octets[template.ip + LIFETIME[template.version]] = way.lifetime
    ports = len(octets) - 20
    octets[ports : ports + 4] = struct.pack(">HH", way.source.port, way.destination.port)
    return bytes(octets)


def _sum(octets: bytes) -> int:
    """Sum of 16-bit words modulo 65535, an odd last octet padded."""
    total = int.from_bytes(octets, "big") % MOST
    return total << 8 if len(octets) & 1 else total


def _tunnel(octets: bytes, template: Template, at: int) -> Callable[[int], bytes]:
    """What stands before the innermost IP header, by the length of the packet from there on."""
    before, until = octets[: at + 2], octets[at + 12 : template.ip]
    middle = octets[at + 4 : at + 10]
    inside = template.ip - at
    words = _sum(octets[at : at + 2] + middle + octets[at + 12 : at + 20])
    udp = None if template.udp is None else template.udp - at - 12
    pack = struct.Struct(f">{len(before)}sH6sH").pack

    def around(size: int) -> bytes:
        total = inside + size
        if total > MOST:
            raise _too_long(total)
        rest = until
        if udp is not None:
            length = (total - 20).to_bytes(2, "big")
            rest = until[: udp + 4] + length + until[udp + 6 :]
        return pack(before, total, middle, -(words + total) % MOST) + rest

    return around


def _ipv4(
    octets: bytes, ip: int, isns: tuple[int, int], around: Callable[[int], bytes] | None
) -> Build:
    """Packets with an innermost IPv4 header (RFC 791)."""
    link, begin = octets[:ip], octets[ip : ip + 2]
    middle, ends = octets[ip + 6 : ip + 10], octets[ip + 12 : ip + 24]
    ip_words = _sum(begin + middle + ends[:8])
    tcp_words = _sum(ends) + 6
    mine, peers = isns
    pack = struct.Struct(">2sHH4sH12sIIHHHH").pack

    def build(segment: Sent, options: bytes, ip_id: int) -> bytes:
        body = options + segment.payload
        size = 20 + len(body)
        total = 20 + size
        if total > MOST:
            raise _too_long(total)
        sequence = (mine + segment.sequence) & MASK_32
        ack = 0 if segment.ack is None else (peers + segment.ack) & MASK_32
        if segment.flags >> 12:
            raise UsageError(f"{segment.flags:#x} are no TCP flags")
        state = 0x5000 + (len(options) << 10) + segment.flags
        words = tcp_words + size + sequence + ack + state + segment.window + segment.urgent
        words += _sum(body)
        packet = pack(
            begin, total, ip_id, middle, -(ip_words + total + ip_id) % MOST, ends,
            sequence, ack, state, segment.window, -words % MOST, segment.urgent,
        )  # fmt: skip
        return (link if around is None else around(total)) + packet + body

    return build


def _ipv6(
    octets: bytes, ip: int, isns: tuple[int, int], around: Callable[[int], bytes] | None
) -> Build:
    """Packets with an innermost IPv6 header (RFC 8200)."""
    link, begin = octets[:ip], octets[ip : ip + 4]
    ends = octets[ip + 6 : ip + 44]
    tcp_words = _sum(ends[2:]) + 6
    mine, peers = isns
    pack = struct.Struct(">4sH38sIIHHHH").pack

    def build(segment: Sent, options: bytes, ip_id: int) -> bytes:
        body = options + segment.payload
        size = 20 + len(body)
        if size > MOST:
            raise _too_long(size)
        sequence = (mine + segment.sequence) & MASK_32
        ack = 0 if segment.ack is None else (peers + segment.ack) & MASK_32
        if segment.flags >> 12:
            raise UsageError(f"{segment.flags:#x} are no TCP flags")
        state = 0x5000 + (len(options) << 10) + segment.flags
        words = tcp_words + size + sequence + ack + state + segment.window + segment.urgent
        words += _sum(body)
        packet = pack(
            begin, size, ends, sequence, ack, state, segment.window, -words % MOST, segment.urgent
        )  # fmt: skip
        return (link if around is None else around(40 + size)) + packet + body

    return build


def _too_long(octets: int) -> UsageError:
    return UsageError(
        f"a packet of {octets} octets is longer than an IP header can say",
        hint="merge fewer segments into one",
    )
