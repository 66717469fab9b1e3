"""Captures of traces: which packets a tap saw, when, and how they are laid out in a file.

A capture is made of frames in the order of the file. It holds no truth of its own: the truth of
a frame is that of the segment in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.trace import Sent, Trace

__all__ = ["FORMATS", "LINKS", "VANTAGES", "Capture", "Frame", "Layout", "Noise"]

LINKS = ("ethernet", "raw", "sll", "sll2", "null", "loop")
"""Link types that captures are written with."""

FORMATS = ("pcapng", "pcap")
"""File formats."""

VANTAGES = ("initiator", "listener", "middle", "both")
"""Where the tap is: at one host, between them, or at both hosts into one file."""

_LINK_OCTETS = {"ethernet": 14, "raw": 0, "sll": 16, "sll2": 20, "null": 4, "loop": 4}
_TUNNEL_OCTETS = {"": 0, "gre": 20 + 4, "vxlan": 20 + 8 + 8 + 14, "ipip": 20}
_IP_OCTETS = {4: 20, 6: 40}
_TAGGABLE = ("ethernet", "sll", "sll2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a capture is written.

    Attributes:
        file: One of :data:`FORMATS`. link: One of :data:`LINKS`.
        nanoseconds: Whether times have nanoseconds; else microseconds.
        big_endian: Byte order of the file's own fields.
        snap_length: Most octets of a packet that are kept, link header included.
        vlans: VLAN tags, outermost first. tunnel: ``""``, ``gre``, ``vxlan`` or ``ipip``.
        timestamps: Whether segments carry a TCP timestamp option beside MPTCP's.
        directions: Whether the file says which packets the capturing host sent, as cooked packet
            types or pcapng flags.
        timestamp_first: Whether other TCP options stand before MPTCP's.
    """

    file: str = "pcapng"
    link: str = "ethernet"
    nanoseconds: bool = True
    big_endian: bool = False
    snap_length: int = 262_144
    vlans: tuple[int, ...] = ()
    tunnel: str = ""
    timestamps: bool = False
    directions: bool = False
    timestamp_first: bool = True

    def check(self) -> None:
        """Refuse what cannot be written.

        Raises:
            UsageError: An unknown format, link or tunnel; VLAN tags on a link that has no place
                for them, or no VLAN ids; no snap length.
        """
        if self.file not in FORMATS or self.link not in LINKS or self.tunnel not in _TUNNEL_OCTETS:
            raise UsageError(
                f"no capture can be written as {self.file!r} with link {self.link!r} and tunnel "
                f"{self.tunnel!r}"
            )
        if self.vlans and self.link not in _TAGGABLE:
            raise UsageError(f"link {self.link!r} has no place for a VLAN tag")
        if any(not 0 <= each < 4096 for each in self.vlans):
            raise UsageError(f"{self.vlans} are no VLAN ids")
        if not 0 < self.snap_length < 1 << 31:
            raise UsageError(f"{self.snap_length} octets are no snap length")

    def stamped(self, time: int) -> int:
        """What the file says of a time (ns): cut to a microsecond unless it has nanoseconds."""
        return time if self.nanoseconds else time - time % 1_000

    def direction(self, outgoing: bool | None) -> bool | None:
        """What the file says of who sent a packet: whether the capturing host did, or nothing.

        A cooked packet type always says what is known; pcapng flags are there with
        :attr:`directions` only; elsewhere is no place for it.
        """
        if self.link in ("sll", "sll2") or (self.file == "pcapng" and self.directions):
            return outgoing
        return None

    def before_tcp(self, version: int) -> int:
        """Octets in front of the TCP header, with an IP header of this version right before it."""
        outside = _LINK_OCTETS[self.link] + 4 * len(self.vlans) + _TUNNEL_OCTETS[self.tunnel]
        return outside + _IP_OCTETS[version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One packet in a capture.

    Attributes:
        segment: The segment in it. A stage that merges or cuts segments (offload) makes a new
            one, with labels that are true of it.
        time: Capture time, in nanoseconds since the epoch.
        ip_id: The packet's IP identification; packets of one host differ in it, frames of the
            same packet do not. ``None`` if the host sets it to 0 (Linux with DF).
        again: Whether an earlier frame of the capture holds the same packet: the same header and
            length, though a middlebox may have changed octets of payload in between.
        hops: Routers between the sender and the tap: what its TTL is lower by.
        interface: Index of the capture interface.
        outgoing: Whether the capturing host sent it; ``None`` between the hosts.
    """

    segment: Sent
    time: int
    ip_id: int | None
    again: bool = False
    hops: int = 0
    interface: int = 0
    outgoing: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A packet of other traffic: an IP packet's octets, without a link header.

    Attributes:
        packet: The octets. time: As in a frame. interface: As in a frame.
        stream: Which of the noise's own TCP connections it belongs to; ``None`` if it is not
            TCP.
    """

    packet: bytes
    time: int
    interface: int = 0
    stream: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Frames in the order of the file; frame ``n`` of the file is ``frames[n - 1]``.

    Attributes:
        trace: Where the segments come from; several connections may be interleaved.
        frames: What the tap saw. layout: How it is written.
        vantage: One of :data:`VANTAGES`. defects: Names of the capture's defects.
        withheld: Whether segments are missing that the tap saw, beside those that defects took.
    """

    trace: Trace
    frames: tuple[Frame | Noise, ...]
    layout: Layout
    vantage: str = "middle"
    defects: tuple[str, ...] = ()
    withheld: bool = False
