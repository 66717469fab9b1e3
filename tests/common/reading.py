"""Read a capture into values that tests compare."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from mptcp_oracle.wire.capture import Capture, Packets, open_capture


@dataclass(frozen=True)
class Segment:
    """What the columns say of one segment, with its addresses and captured octets in full."""

    frame: int
    time: int
    octets: bytes
    length: int
    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    domain: int
    ttl: int
    ip_id: int
    direction: int
    interface: int
    ifindex: int
    fragment: int


@dataclass(frozen=True)
class Reading:
    """A capture read to its end."""

    segments: list[Segment]
    frames: int
    format: str
    notes: dict[str, tuple[int, int | None]]
    texts: dict[str, str]
    interfaces: list[Any]
    comments: list[tuple[str, int | None, str]]

    @property
    def payloads(self) -> list[bytes]:
        """The captured octets behind each segment's TCP header."""
        return [each.octets[(each.octets[12] >> 4) * 4 :] for each in self.segments]


def segments_of(capture: Capture, packets: Packets) -> list[Segment]:
    """The rows of one batch."""
    data = capture.data
    found = []
    for i in range(packets.n):
        size = 4 if packets.family[i] == 4 else 16
        source, destination = packets.source[i], packets.destination[i]
        found.append(
            Segment(
                frame=packets.frame[i],
                time=packets.time[i],
                octets=bytes(data[packets.tcp[i] : packets.tcp[i] + packets.captured[i]]),
                length=packets.length[i],
                source=ip_address(bytes(data[source : source + size])),
                destination=ip_address(bytes(data[destination : destination + size])),
                domain=packets.domain[i],
                ttl=packets.ttl[i],
                ip_id=packets.ip_id[i],
                direction=packets.direction[i],
                interface=packets.interface[i],
                ifindex=packets.ifindex[i],
                fragment=packets.fragment[i],
            )
        )
    return found


def read(source: Any, *, batch: int = 8192, **given: Any) -> Reading:
    """Open a source, read all of it, close it."""
    with open_capture(source, **given) as capture:
        segments = [
            each for packets in capture.packets(batch) for each in segments_of(capture, packets)
        ]
        notes = capture.notes
        return Reading(
            segments=segments,
            frames=capture.frames,
            format=capture.format,
            notes={note.code: (note.count, note.frame) for note in notes},
            texts={note.code: note.text for note in notes},
            interfaces=list(capture.interfaces),
            comments=[(each.scope, each.frame, each.text) for each in capture.comments],
        )
