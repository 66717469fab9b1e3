"""The frames of a capture as octets, and what stands before the TCP header in each.

Facts begin at TCP. What a dissector makes of link layers and tunnels cannot be told from them, so
adapters and triggers look here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike

from mptcp_oracle.wire.batches import Frames
from mptcp_oracle.wire.capture import BATCH, open_capture
from mptcp_oracle.wire.formats import reader_for
from mptcp_oracle.wire.tally import Tally

__all__ = ["COOKED", "COOKED_V2", "Packet", "packets"]

ETHERNET, COOKED, COOKED_V2 = 1, 113, 276
LOOPBACK, RAW = (0, 108), (12, 14, 101, 228, 229)
#: Link type: octets of its header, and where in it the Ethernet type of what follows stands.
TYPED = {ETHERNET: (14, 12), COOKED: (16, 14), COOKED_V2: (20, 0)}
IPV4, IPV6 = 0x0800, 0x86DD
TAGS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
GRE, TCP, UDP, IP_IN_IP, IPV6_IN_IP = 47, 6, 17, 4, 41
VXLAN = 4789


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One frame.

    Attributes:
        frame: Its number. link: Number of its link type. octets: What was captured of it.
        wire: How many octets it had.
    """

    frame: int
    link: int
    octets: bytes
    wire: int

    @property
    def layers(self) -> tuple[str, ...]:
        """What stands between the link header and the innermost IP header, from the outside in.

        VLAN tags are ``802.1Q`` and ``802.1ad``; tunnels ``gre``, ``ipip`` and ``vxlan``, the
        last with the source port of its datagram behind a colon.
        """
        return _walk(self.octets, self.link)[0]

    @property
    def header(self) -> bytes:
        """The TCP header, as far as it was captured; nothing if IP carries something else."""
        at = _walk(self.octets, self.link)[1]
        size = 4 * (_number(self.octets, at + 12, 1) >> 4)
        return b"" if at < 0 else self.octets[at : at + size]


def packets(source: str | PathLike[str]) -> Iterator[Packet]:
    """The frames of a capture in order; of what has no known interface the link type is -1.

    Raises:
        CaptureError: It cannot be read.
    """
    with open_capture(source) as capture:
        data = capture.data
        reader = reader_for(data, Tally(), capture.name)
        batch = Frames(BATCH)
        while not reader.done:
            before = reader.frames
            count = reader.fill(batch, len(data))
            for i in range(count):
                known = batch.interface[i] < len(reader.interfaces)
                begin = batch.offset[i]
                yield Packet(
                    frame=before + i + 1,
                    link=reader.interfaces[batch.interface[i]].linktype if known else -1,
                    octets=bytes(data[begin : begin + batch.captured[i]]),
                    wire=batch.wire[i],
                )


def _walk(data: bytes, link: int) -> tuple[tuple[str, ...], int]:
    """The layers, as far as the octets go, and where a TCP header begins, or -1."""
    at, kind = 0, 0
    if link in TYPED:
        at, where = TYPED[link]
        kind = _number(data, where)
    elif link in LOOPBACK or link in RAW:
        at = 4 if link in LOOPBACK else 0
        kind = _version(data, at)
    layers: list[str] = []
    while True:
        while kind in TAGS:
            layers.append(TAGS[kind])
            kind, at = _number(data, at + 2), at + 4
        if kind == IPV4:
            size = max(20, 4 * (_number(data, at, 1) & 0x0F))
            protocol, at = _number(data, at + 9, 1), at + size
        elif kind == IPV6:
            protocol, at = _number(data, at + 6, 1), at + 40
        else:
            return tuple(layers), -1
        if protocol == GRE:
            layers.append("gre")
            # Checksum, key and sequence number have four octets each.
            extra = (_number(data, at) & 0xB000).bit_count()
            kind, at = _number(data, at + 2), at + 4 + 4 * extra
        elif protocol in (IP_IN_IP, IPV6_IN_IP):
            layers.append("ipip")
            kind = IPV4 if protocol == IP_IN_IP else IPV6
        elif protocol == UDP and _number(data, at + 2) == VXLAN:
            layers.append(f"vxlan:{_number(data, at)}")
            kind, at = _number(data, at + 16 + 12), at + 16 + 14
        else:
            return tuple(layers), at if protocol == TCP else -1


def _version(data: bytes, at: int) -> int:
    """The Ethernet type that fits the version of an IP header."""
    return {4: IPV4, 6: IPV6}.get(_number(data, at, 1) >> 4, 0)


def _number(data: bytes, at: int, size: int = 2) -> int:
    """A number of a header; beyond the octets there are only zeros."""
    return int.from_bytes(data[at : at + size].ljust(size, b"\0"), "big")
