"""Classic pcap files (draft-ietf-opsawg-pcap), in either byte order and time resolution."""

from __future__ import annotations

import struct

from mptcp_oracle.errors import CaptureError
from mptcp_oracle.wire.batches import Frames
from mptcp_oracle.wire.interfaces import Interface
from mptcp_oracle.wire.reader import SPAN, Reader
from mptcp_oracle.wire.tally import Tally

__all__ = ["MAGICS", "PcapReader"]

_KINDS = {
    0xA1B2C3D4: (1000, 16),
    0xA1B23C4D: (1, 16),
    0xA1B2CD34: (1000, 24),
}
"""Magic number -> nanoseconds in a unit of the fraction, octets of a record header."""

MAGICS = {
    struct.pack(order + "I", magic): (order, *kind)
    for magic, kind in _KINDS.items()
    for order in "<>"
}
"""First four octets of a file -> byte order, nanoseconds in a unit, octets of a record header."""

_HEADER = "IHHiIII"
_HEADER_SIZE = 24
_FCS_PRESENT = 0x04000000


class PcapReader(Reader):
    """Frames of a pcap file."""

    format = "pcap"

    def __init__(self, data: memoryview, tally: Tally, name: str) -> None:
        """Read the file header.

        Args:
            data: The file, beginning with one of :data:`MAGICS`.
            tally: Takes what is odd.
            name: The file, for errors.

        Raises:
            CaptureError: The file ends inside its header.
        """
        super().__init__(data, tally)
        if len(data) < _HEADER_SIZE:
            raise CaptureError(
                "the file ends inside the pcap header",
                cause=f"{len(data)} of {_HEADER_SIZE} octets are there",
                file=name,
                offset=len(data),
            )
        order, self._scale, self._record = MAGICS[bytes(data[:4])]
        self._big = order == ">"
        *_, snaplen, link = struct.unpack_from(order + _HEADER, data)
        # The upper half of the link type may state the length of a frame check sequence.
        fcs = (link >> 28) * 2 if link & _FCS_PRESENT else 0
        self.add_interface(
            Interface(
                linktype=link & 0xFFFF,
                snaplen=snaplen,
                ticks=1_000_000_000 // self._scale,
                fcs=fcs,
            )
        )
        self.position = _HEADER_SIZE

    def fill(self, frames: Frames, end: int) -> int:
        """Read the next batch, see :meth:`Reader.fill`."""
        count: int = self._loop.pcap_records(
            self.data,
            end,
            self.position + SPAN,
            frames.size,
            self._big,
            self._scale,
            self._record,
            self._state,
            frames.offset,
            frames.captured,
            frames.wire,
            frames.time,
            frames.interface,
            frames.direction,
            frames.ifindex,
            frames.marks,
        )
        self.frames += count
        status = self.status
        self.done = status != self._codes["FULL"]
        if status == self._codes["CUT"]:
            self._stopped("truncated-file", "the file ends inside frame {}")
        elif status == self._codes["DAMAGED"]:
            self._stopped(
                "bad-record",
                "the length of frame {} is impossible; nothing behind it can be read",
            )
        return count

    def _stopped(self, code: str, text: str) -> None:
        frame = self.frames + 1
        self.tally.count(code, frame, text=text.format(frame) + f" (offset {self.position})")
