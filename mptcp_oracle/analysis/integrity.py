"""What single segments show of TCP itself: checksums, urgent pointers, window scales.

Computed when asked for, from the capture's octets: few segments are ever asked about.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mptcp_oracle import crypto
from mptcp_oracle.wire.columns import FLAG_BITS
from mptcp_oracle.wire.mptcp import walk

if TYPE_CHECKING:
    from mptcp_oracle.analysis.trace import Trace

__all__ = ["Integrity"]

TCP, URG, SYN = 6, 0x20, 0x02
#: Kind of the window scale option (RFC 7323 section 2.2), and the largest scale.
WINDOW_SCALE, MOST_SCALE = 3, 14
#: Flags of segments of which not all octets are there to be summed.
NOT_WHOLE = FLAG_BITS["options_cut"] | FLAG_BITS["payload_cut"] | FLAG_BITS["fragment"]


class Integrity:
    """What can be read of a segment beside its columns.

    Attributes:
        trace: The trace, still open.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._pseudo: dict[int, int] = {}
        self._scales: dict[int, int | None] = {}

    def damaged(self, row: int) -> bool:
        """Whether a segment's TCP checksum is wrong: octets were changed on its way.

        A checksum that a sending interface has still to fill in (it holds the sum of the
        pseudo-header alone, or nothing) is not wrong, nor is one that cannot be computed because
        the capture has only a part of the segment.
        """
        return self._summed(row) is False

    def intact(self, row: int) -> bool:
        """Whether a segment's TCP checksum is there, and right: it is as it was sent."""
        return self._summed(row) is True

    def _summed(self, row: int) -> bool | None:
        """Whether a segment's TCP checksum is right, if it is there and can be computed."""
        rows, data = self.trace.wire.segments, self.trace.capture.data
        if rows["flags"][row] & NOT_WHOLE or rows["captured"][row] != rows["length"][row]:
            return None
        begin = rows["offset"][row] - rows["header"][row]
        size = rows["header"][row] + rows["length"][row]
        if size > 0xFFFF:
            return None
        segment = data[begin : begin + size]
        field = int.from_bytes(segment[16:18], "big")
        pseudo = self._addresses(rows["half"][row]) + TCP + size
        unfilled = pseudo % 0xFFFF or 0xFFFF
        if field in (0, unfilled, unfilled ^ 0xFFFF):
            return None
        return (pseudo + crypto.ones_sum(segment)) % 0xFFFF == 0

    def octets(self, rows: Iterable[int], start: int, end: int) -> bytes | None:
        """The octets ``[start, end)`` of a half as the first of some of its segments have them.

        ``None`` if one of them is not in the capture.
        """
        columns = self.trace.wire.segments.of("sequence", "captured", "offset")
        data, found, missing = self.trace.capture.data, bytearray(end - start), [(start, end)]
        for row in rows:
            first, held, offset = (column[row] for column in columns)
            left = []
            for low, high in missing:
                begin, stop = max(low, first), min(high, first + held)
                if begin >= stop:
                    left.append((low, high))
                    continue
                at = offset + begin - first
                found[begin - start : stop - start] = data[at : at + stop - begin]
                left += [gap for gap in ((low, begin), (stop, high)) if gap[0] < gap[1]]
            missing = left
        return bytes(found) if not missing or start == end else None

    def _addresses(self, half: int) -> int:
        """The sum of both addresses of a stream."""
        found = self._pseudo.get(half >> 1)
        if found is None:
            ends = (self.trace.wire.endpoint(half), self.trace.wire.endpoint(half ^ 1))
            found = sum(crypto.ones_sum(ipaddress.ip_address(end.address).packed) for end in ends)
            self._pseudo[half >> 1] = found
        return found

    def urgent(self, row: int) -> int | None:
        """The urgent pointer of a segment with flag URG, in octets from its first, or ``None``."""
        rows = self.trace.wire.segments
        if not rows["flags"][row] & URG:
            return None
        begin = rows["offset"][row] - rows["header"][row]
        return int.from_bytes(self.trace.capture.data[begin + 18 : begin + 20], "big")

    def window_scale(self, half: int) -> int | None:
        """By how many bits windows that this half announces are shifted (RFC 7323 section 2).

        Both SYNs must have the option; ``None`` if one of them is not whole in the capture.
        """
        if half not in self._scales:
            own, peer = (self._offered(each) for each in (half, half ^ 1))
            if own is None or peer is None:
                self._scales[half] = None
            else:
                self._scales[half] = own if min(own, peer) >= 0 else 0
        return self._scales[half]

    def _offered(self, half: int) -> int | None:
        """The window scale on a half's SYN; -1 if the SYN has none, ``None`` if it is not there."""
        rows, data = self.trace.wire.segments, self.trace.capture.data
        for raw in self.trace.signals.events.get(half >> 1, ()):
            if raw.half != half or not raw.flags & SYN:
                continue
            if rows["flags"][raw.row] & FLAG_BITS["options_cut"]:
                return None
            begin = rows["offset"][raw.row] - rows["header"][raw.row] + 20
            for option in walk(bytes(data[begin : rows["offset"][raw.row]])):
                if option.kind == WINDOW_SCALE and len(option.raw) == 3:
                    return min(option.raw[2], MOST_SCALE)
            return -1
        return None
