"""Signals: the control plane's options and the SYN, FIN and RST segments, stream by stream."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.options import Option
from mptcp_oracle.wire.mptcp import decode_option
from mptcp_oracle.wire.segments import Wire

__all__ = ["ACK", "FIN", "RST", "SYN", "Raw", "Signals"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

#: MP_CAPABLE, MP_JOIN and DSS say or show themselves what they are.
SAME_IN_ALL_VERSIONS = (0, 1, 2)


class Raw:
    """One option of kind 30 where it stands, or an event (FIN, SYN, RST) if ``raw`` is empty.

    Attributes:
        row: Row of its segment. half: Who sent it. flags: TCP flags. payload: Octets.
        raw: The option's octets. subtype: The MPTCP subtype, or -1 if there is none.
    """

    __slots__ = ("_option", "_version", "flags", "half", "payload", "raw", "row", "subtype")

    def __init__(self, row: int, half: int, flags: int, payload: int, raw: bytes) -> None:
        self.row = row
        self.half = half
        self.flags = flags
        self.payload = payload
        self.raw = raw
        self.subtype = raw[2] >> 4 if len(raw) > 2 else -1
        self._option: Option | None = None
        self._version: int | None = None

    def decode(self, version: int | None) -> Option:
        """The option's value under a protocol version (``None``: not known); made once."""
        if self.subtype in SAME_IN_ALL_VERSIONS:
            version = None
        if self._option is None or self._version != version:
            self._version = version
            self._option = decode_option(
                self.raw,
                syn=bool(self.flags & SYN),
                ack=bool(self.flags & ACK),
                payload=self.payload,
                version=version,
            )
        return self._option


class Signals:
    """Everything people-sized of a capture, grouped by stream, each group in capture order."""

    def __init__(self, wire: Wire) -> None:
        self.options: dict[int, list[Raw]] = {}
        self.events: dict[int, list[Raw]] = {}
        data, rows = wire.capture.data, wire.segments
        half, flags, length = rows.of("half", "flags", "length")
        for row, at, size in zip(*wire.controls.of("row", "offset", "size"), strict=True):
            raw = Raw(row, half[row], flags[row] & 0x1FF, length[row], bytes(data[at : at + size]))
            self.options.setdefault(half[row] >> 1, []).append(raw)
        for row in wire.events:
            raw = Raw(row, half[row], flags[row] & 0x1FF, length[row], b"")
            self.events.setdefault(half[row] >> 1, []).append(raw)

    def of(self, stream: int, subtype: int) -> Iterator[Raw]:
        """The options of one subtype in a stream."""
        return (raw for raw in self.options.get(stream, ()) if raw.subtype == subtype)
