"""What the raw peer's packets go through, and the log of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Frame", "Link", "Log"]

LINK_RAW = 101
MOST_OCTETS = 262_144


class Link(Protocol):
    """A way for IP packets to an implementation and back."""

    def send(self, packet: bytes) -> None:
        """Send a packet to the implementation."""

    def receive(self, within: float) -> bytes | None:
        """The implementation's next packet, or ``None`` if none comes within some seconds."""

    def now(self) -> float:
        """Seconds on the link's clock, which need not be the world's."""

    def close(self) -> None:
        """Release what the link holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One packet on a link.

    Attributes:
        time: Seconds on the link's clock. packet: From the IP header on.
        outgoing: Whether the raw peer sent it.
    """

    time: float
    packet: bytes
    outgoing: bool


@dataclass(slots=True)
class Log:
    """Every packet of a link in order, and what a script said between them.

    Attributes:
        frames: The packets; frame numbers count from 1.
        lines: The same for people, in packetdrill's manner, with the script's remarks.
    """

    frames: list[Frame] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def note(self, frame: Frame) -> int:
        """Keep a packet and return its frame number."""
        self.frames.append(frame)
        return len(self.frames)

    def pcap(self, started: float = 0.0) -> bytes:
        """All of it as a classic pcap file (raw IP, nanoseconds).

        Args:
            started: The time of the first packet, in seconds since 1970.
        """
        pieces = [bytes.fromhex("4d3cb2a1"), b"\x02\x00\x04\x00", bytes(8)]
        pieces += [MOST_OCTETS.to_bytes(4, "little"), LINK_RAW.to_bytes(4, "little")]
        first = self.frames[0].time if self.frames else 0.0
        for each in self.frames:
            time = round((started + each.time - first) * 1e9)
            size = len(each.packet)
            for number in (*divmod(time, 1_000_000_000), size, size):
                pieces.append(number.to_bytes(4, "little"))
            pieces.append(each.packet)
        return b"".join(pieces)
