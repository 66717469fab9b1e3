"""Captures of traces: which packets a tap saw, when, and how they are laid out in a file.

A capture is made of frames in the order of the file. It holds no truth of its own: the truth of
a frame is that of the segment in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mptcp_oracle.model.trace import Sent, Trace

__all__ = ["FORMATS", "LINKS", "VANTAGES", "Capture", "Frame", "Layout", "Noise"]

LINKS = ("ethernet", "raw", "sll", "sll2", "null", "loop")
"""Link types that captures are written with."""

FORMATS = ("pcapng", "pcap")
"""File formats."""

VANTAGES = ("initiator", "listener", "middle", "both")
"""Where the tap is: at one host, between them, or at both hosts into one file."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One packet in a capture.

    Attributes:
        segment: The segment in it. A stage that merges or cuts segments (offload) makes a new
            one, with labels that are true of it.
        time: Capture time, in nanoseconds since the epoch.
        ip_id: The packet's IP identification; packets of one host differ in it, frames of the
            same packet do not. ``None`` if the host sets it to 0 (Linux with DF).
        again: Whether an earlier frame of the capture holds the same packet.
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
    """A packet of other traffic: an IP packet's octets, without a link header."""

    packet: bytes
    time: int
    interface: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Frames in the order of the file; frame ``n`` of the file is ``frames[n - 1]``.

    Attributes:
        trace: Where the segments come from; several connections may be interleaved.
        frames: What the tap saw. layout: How it is written.
        vantage: One of :data:`VANTAGES`. defects: Names of the capture's defects.
    """

    trace: Trace
    frames: tuple[Frame | Noise, ...]
    layout: Layout
    vantage: str = "middle"
    defects: tuple[str, ...] = ()
