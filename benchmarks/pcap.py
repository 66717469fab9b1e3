"""Classic pcap files, as far as the benchmark writes and repeats them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "BILLION",
    "COOKED_2",
    "ETHERNET",
    "FILE_HEADER",
    "RECORD_HEADER",
    "SNAPLEN",
    "Writer",
    "records",
]

ETHERNET = 1
COOKED_2 = 276
#: Octets kept of each frame in every capture that a budget is about.
SNAPLEN = 120
BILLION = 1_000_000_000

NANOSECOND_MAGIC = 0xA1B23C4D
FILE_HEADER = struct.Struct("<IHHiIII")
#: Seconds, nanoseconds, octets captured, octets on the wire.
RECORD_HEADER = struct.Struct("<IIII")


class Writer:
    """Writes frames to a pcap file with nanosecond times, each cut to the snap length.

    Args:
        file: An open binary file; stays open.
        linktype: Link type number of every frame.
        snaplen: Octets kept of a frame.

    Attributes:
        frames: Frames written so far.
    """

    def __init__(self, file: BinaryIO, linktype: int, snaplen: int = SNAPLEN) -> None:
        self.frames = 0
        self._write = file.write
        self._snaplen = snaplen
        self._write(FILE_HEADER.pack(NANOSECOND_MAGIC, 2, 4, 0, 0, snaplen, linktype))

    def add(self, time: int, frame: bytes, length: int) -> None:
        """Write one frame.

        Args:
            time: Nanoseconds since the epoch.
            frame: Its octets, or as many of them as the caller has.
            length: Octets that it had on the wire.
        """
        kept = frame[: self._snaplen]
        seconds, rest = divmod(time, BILLION)
        self._write(RECORD_HEADER.pack(seconds, rest, len(kept), length) + kept)
        self.frames += 1


def records(data: bytes, linktype: int, name: Path) -> Iterator[int]:
    """The offset of each record header in a pcap file with nanosecond times.

    Args:
        data: The whole file.
        linktype: The link type that it must have.
        name: What to call it in errors.

    Raises:
        ValueError: It is another format or link type, or damaged.
    """
    if len(data) < FILE_HEADER.size:
        raise ValueError(f"{name} is no pcap file")
    magic, *_, found = FILE_HEADER.unpack_from(data)
    if magic != NANOSECOND_MAGIC or found != linktype:
        raise ValueError(f"{name} is not a nanosecond pcap file of link type {linktype}")
    at, end = FILE_HEADER.size, len(data)
    while at < end:
        follows = at + RECORD_HEADER.size
        if follows <= end:
            follows += RECORD_HEADER.unpack_from(data, at)[2]
        if follows > end:
            raise ValueError(f"{name} ends inside the record at offset {at}")
        yield at
        at = follows
