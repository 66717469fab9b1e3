"""The smallest useful capture, made without any of the project's own code."""

from __future__ import annotations

import struct

__all__ = ["SYN_PCAP"]


def _syn_pcap() -> bytes:
    """A classic pcap of raw IP (link type 101) with one SYN that carries MP_CAPABLE v1."""
    options = bytes.fromhex("1e040181")
    tcp = struct.pack("!HHIIBBHHH", 40_000, 80, 1, 0, 6 << 4, 2, 65_535, 0, 0) + options
    addresses = bytes([192, 0, 2, 1, 192, 0, 2, 2])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + addresses
    packet = ip + tcp
    file_header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    return file_header + struct.pack("<IIII", 1, 0, len(packet), len(packet)) + packet


SYN_PCAP = _syn_pcap()
