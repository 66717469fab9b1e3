"""Pcapng files: a section header, a description of each interface, enhanced packet blocks."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from mptcp_oracle.model.capture import Layout

__all__ = ["Pcapng"]

SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
OPT_COMMENT, SHB_USERAPPL = 1, 4
IF_NAME, IF_TSRESOL = 2, 9
EPB_FLAGS = 2
INBOUND, OUTBOUND = 1, 2
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class Pcapng:
    """The parts of a pcapng file with one section.

    Args:
        layout: Says byte order, unit of time, snap length, and whether packets have directions.
        link: Link type number.
        interfaces: How many interfaces there are; they are named ``tap0``, ``tap1`` ...
        program: What wrote the file.
        comments: Of the section, in order.
    """

    def __init__(
        self, layout: Layout, link: int, *, interfaces: int, program: str, comments: Sequence[str]
    ) -> None:
        self._order = order = ">" if layout.big_endian else "<"
        section = struct.pack(f"{order}IHHq", BYTE_ORDER, 1, 0, -1) + self._options(
            *((OPT_COMMENT, each.encode()) for each in comments),
            (SHB_USERAPPL, program.encode()),
        )
        blocks = [self._block(SECTION, section)]
        for index in range(interfaces):
            described = struct.pack(f"{order}HHI", link, 0, layout.snap_length) + self._options(
                (IF_NAME, f"tap{index}".encode()),
                (IF_TSRESOL, b"\x09" if layout.nanoseconds else b"\x06"),
            )
            blocks.append(self._block(INTERFACE, described))
        self.opening = b"".join(blocks)
        self._unit = 1 if layout.nanoseconds else 1_000
        self._snap = layout.snap_length
        self._head = struct.Struct(f"{order}IIIIIII").pack
        self._end = struct.Struct(f"{order}I").pack
        self._flags = {
            outgoing: self._options((EPB_FLAGS, struct.pack(f"{order}I", flag)))
            for outgoing, flag in ((False, INBOUND), (True, OUTBOUND))
            if layout.directions
        }

    def record(self, time: int, octets: bytes, interface: int, outgoing: bool | None) -> bytes:
        """One packet.

        Args:
            time: Nanoseconds since the epoch.
            octets: The whole packet.
            interface: Index of its interface.
            outgoing: Whether the capturing host sent it, if known.
        """
        units = time // self._unit
        kept = octets[: self._snap]
        length = len(kept)
        rest = PADDING[length & 3] + (b"" if outgoing is None else self._flags.get(outgoing, b""))
        size = 32 + length + len(rest)
        head = self._head(
            ENHANCED, size, interface, units >> 32, units & 0xFFFF_FFFF, length, len(octets)
        )
        return head + kept + rest + self._end(size)

    def _options(self, *options: tuple[int, bytes]) -> bytes:
        """An option list with its end mark, each value padded to four octets."""
        head = struct.Struct(f"{self._order}HH")
        parts = [
            head.pack(code, len(value)) + value + PADDING[len(value) & 3] for code, value in options
        ]
        return b"".join(parts) + head.pack(0, 0)

    def _block(self, kind: int, body: bytes) -> bytes:
        length = struct.pack(f"{self._order}I", 12 + len(body))
        return struct.pack(f"{self._order}I", kind) + length + body + length
