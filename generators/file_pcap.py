"""Classic pcap files: one file header, then records."""

from __future__ import annotations

import struct

from mptcp_oracle.model.capture import Layout

__all__ = ["Pcap"]

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
BILLION = 1_000_000_000


class Pcap:
    """The parts of a classic pcap file.

    Args:
        layout: Says byte order, unit of time, and snap length.
        link: Link type number.
    """

    def __init__(self, layout: Layout, link: int) -> None:
        order = ">" if layout.big_endian else "<"
        magic = NANOSECONDS if layout.nanoseconds else MICROSECONDS
        fields = magic, 2, 4, 0, 0, layout.snap_length, link
        self.opening = struct.pack(f"{order}IHHiIII", *fields)
        self._unit = 1 if layout.nanoseconds else 1_000
        self._snap = layout.snap_length
        self._pack = struct.Struct(f"{order}IIII").pack

    def record(self, time: int, octets: bytes, interface: int, outgoing: bool | None) -> bytes:
        """One packet; a pcap record has no place for the last two.

        Args:
            time: Nanoseconds since the epoch.
            octets: The whole packet.
            interface: Index of its interface.
            outgoing: Whether the capturing host sent it.
        """
        seconds, rest = divmod(time, BILLION)
        kept = octets[: self._snap]
        return self._pack(seconds, rest // self._unit, len(kept), len(octets)) + kept
