"""TCP segments in IP packets: values to octets and back.

Nothing is refused that octets can say; checksums are always right. Only what the raw peer needs:
no IP options, no fragments, no extension headers.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

from mptcp_oracle import crypto, encode
from mptcp_oracle.constants import KIND_MPTCP
from mptcp_oracle.options import Address, Option, notation
from mptcp_oracle.wire.mptcp import decode_option, walk

__all__ = ["ACK", "FIN", "MASK_32", "PSH", "RST", "SYN", "URG", "Segment", "packed", "parsed"]

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
MASK_32 = (1 << 32) - 1
HOPS = 64
VERSION = 1
_LETTERS = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (URG, "U"), (ACK, "."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One TCP segment.

    Attributes:
        source, destination: Addresses. source_port, destination_port: Ports.
        sequence, acknowledgment: As on the wire, 32 bits.
        flags: The TCP flags as a mask. window: As on the wire, not scaled. urgent: The pointer.
        options: The MPTCP options, in order.
        others: The octets of the other TCP options; they stand before the MPTCP options.
        payload: The octets of data.
        frame: Its number in the log, from 1; 0 if it never was on a link.
    """

    source: Address
    destination: Address
    source_port: int
    destination_port: int
    sequence: int
    acknowledgment: int = 0
    flags: int = ACK
    window: int = 65_535
    urgent: int = 0
    options: tuple[Option, ...] = ()
    others: bytes = b""
    payload: bytes = b""
    frame: int = 0

    @property
    def space(self) -> int:
        """How much of the sequence number space it takes: payload, SYN and FIN."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def end(self) -> int:
        """The sequence number after its last one."""
        return (self.sequence + self.space) & MASK_32

    @property
    def syn(self) -> bool:
        """Whether flag SYN is set."""
        return bool(self.flags & SYN)

    @property
    def ack(self) -> bool:
        """Whether flag ACK is set."""
        return bool(self.flags & ACK)

    @property
    def fin(self) -> bool:
        """Whether flag FIN is set."""
        return bool(self.flags & FIN)

    @property
    def rst(self) -> bool:
        """Whether flag RST is set."""
        return bool(self.flags & RST)

    @property
    def letters(self) -> str:
        """Its flags as packetdrill writes them."""
        return "".join(letter for bit, letter in _LETTERS if self.flags & bit) or "none"

    def text(self, first: int = 0, acknowledged: int = 0) -> str:
        """The segment in packetdrill's manner.

        Args:
            first: The sequence number that is written as 0.
            acknowledged: The acknowledgment number that is written as 0.
        """
        start = (self.sequence - first) & MASK_32
        words = [f"{self.letters} {start}:{start + self.space}({len(self.payload)})"]
        if self.ack:
            words.append(f"ack {(self.acknowledgment - acknowledged) & MASK_32}")
        words.append(f"win {self.window}")
        if self.urgent:
            words.append(f"urg {self.urgent}")
        if self.options:
            words.append(f"<{','.join(map(notation, self.options))}>")
        return " ".join(words)


def packed(segment: Segment) -> bytes:
    """The IP packet of a segment, its checksums filled in.

    Raises:
        UsageError: Its options do not fit.
    """
    space = segment.others + b"".join(encode.encode(each) for each in segment.options)
    space = encode.pad([space])
    head = struct.pack(
        "!HHIIBBHHH",
        segment.source_port,
        segment.destination_port,
        segment.sequence,
        segment.acknowledgment,
        (20 + len(space)) // 4 << 4,
        segment.flags,
        segment.window,
        0,
        segment.urgent,
    )
    body = head + space + segment.payload
    pair = segment.source.packed + segment.destination.packed
    # The sum does not depend on the widths of length and protocol, so one form does for both.
    pseudo = pair + struct.pack("!II", len(body), socket.IPPROTO_TCP)
    body = body[:16] + struct.pack("!H", _checksum(pseudo + body)) + body[18:]
    if segment.source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_TCP, HOPS) + pair + body
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, HOPS, 6, 0) + pair
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + body


def parsed(packet: bytes, frame: int = 0) -> Segment | None:
    """The segment in an IP packet; ``None`` if it is no whole TCP segment.

    Args:
        packet: From the IP header on.
        frame: Its number in the log.
    """
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        head, protocol = (packet[0] & 0x0F) * 4, packet[9]
        source, destination = packet[12:16], packet[16:20]
        packet = packet[: int.from_bytes(packet[2:4], "big")]
    elif packet[0] >> 4 == 6 and len(packet) >= 40:
        head, protocol = 40, packet[6]
        source, destination = packet[8:24], packet[24:40]
        packet = packet[: 40 + int.from_bytes(packet[4:6], "big")]
    else:
        return None
    if protocol != socket.IPPROTO_TCP or len(packet) < head + 20:
        return None
    fields = struct.unpack_from("!HHIIBBHHH", packet, head)
    data, flags = head + (fields[4] >> 4) * 4, fields[5]
    if not head + 20 <= data <= len(packet):
        return None
    found, others = [], b""
    for each in walk(packet[head + 20 : data]):
        if each.kind == KIND_MPTCP:
            found.append(
                decode_option(
                    each.raw,
                    syn=bool(flags & SYN),
                    ack=bool(flags & ACK),
                    payload=len(packet) - data,
                    version=VERSION,
                )
            )
        else:
            others += each.raw
    return Segment(
        source=ip_address(source),
        destination=ip_address(destination),
        source_port=fields[0],
        destination_port=fields[1],
        sequence=fields[2],
        acknowledgment=fields[3],
        flags=flags,
        window=fields[6],
        urgent=fields[8],
        options=tuple(found),
        others=others,
        payload=packet[data:],
        frame=frame,
    )


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    return ~crypto.ones_sum(octets) & 0xFFFF
