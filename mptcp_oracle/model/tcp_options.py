"""What stands in the option space of a segment: its MPTCP options and what TCP itself adds.

A function of the segment, the trace and the layout alone, so that every frame of one packet
holds the same octets, and so that one can tell how much of a segment a snap length leaves.

- Every segment has its MPTCP options one after the other, without padding in between; NOPs fill
  the last word.
- A SYN (with or without ACK) also has, as far as 40 octets reach and in this order of
  preference: a maximum segment size of 1460 octets (IPv6: 1440), a window scale of 0 (windows
  on the wire are the model's), and SACK-permitted, together with a timestamp if the layout
  wants timestamps.
- Any other segment has a timestamp if the layout wants timestamps and its MPTCP options leave 12
  octets (RFC 7323).

A timestamp is the virtual clock in milliseconds from a beginning that the initial sequence number
decides; it echoes the newest one of the peer that had arrived when the segment was sent.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from functools import lru_cache

from mptcp_oracle.constants import OPTION_SPACE
from mptcp_oracle.encode import encode, pad
from mptcp_oracle.model.capture import Layout
from mptcp_oracle.model.trace import SYN, Sent, Trace
from mptcp_oracle.options import Option

__all__ = ["OptionSpace"]

MAXIMUM_SEGMENT_SIZE = {4: b"\x02\x04\x05\xb4", 6: b"\x02\x04\x05\xa0"}
SACK_PERMITTED = b"\x04\x02"
WINDOW_SCALE = b"\x01\x03\x03\x00"
TIMESTAMP = struct.Struct(">BBII")
NOPS = b"\x01\x01"
MILLISECOND = 1_000_000
MASK_32 = 0xFFFF_FFFF
SCRAMBLE = 0xA5A5_5A5A


class OptionSpace:
    """The option space of every segment of a trace, as a layout has it.

    Args:
        trace: The trace; its deliveries decide what timestamps echo.
        layout: The layout.
    """

    def __init__(self, trace: Trace, layout: Layout) -> None:
        self._subflows = trace.subflows
        self._timestamps = layout.timestamps
        self._first = layout.timestamp_first
        # For each subflow and receiving role: when segments arrived, and when the newest of
        # those that had arrived by then was sent.
        self._arrivals: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        if layout.timestamps:
            for each in sorted(trace.deliveries, key=lambda delivery: delivery.time):
                key = each.segment.subflow, 1 - each.segment.host
                times, newest = self._arrivals.setdefault(key, ([], []))
                times.append(each.time)
                newest.append(max(each.segment.time, newest[-1] if newest else 0))

    def octets(self, segment: Sent) -> bytes:
        """The option space of a segment: at most 40 octets, a multiple of four.

        Raises:
            UsageError: Its MPTCP options alone need more, or one cannot be encoded.
        """
        mptcp, size = _encoded(segment.options) if segment.options else (b"", 0)
        if segment.flags & SYN:
            others = self._of_syn(segment, OPTION_SPACE - len(mptcp))
        elif self._timestamps and len(mptcp) <= OPTION_SPACE - 12:
            stamp = self._timestamp(segment)
            # As Linux writes it, or padded once: four NOPs in a row look like a blanked option.
            return NOPS + stamp + mptcp if self._first else pad([mptcp[:size], stamp])
        else:
            return mptcp
        return others + mptcp if self._first else mptcp + others

    def mptcp_at(self, segment: Sent) -> int:
        """Where in the option space the first MPTCP option begins."""
        if not self._first or not segment.options:
            return 0
        return len(self.octets(segment)) - len(_encoded(segment.options)[0])

    def _of_syn(self, segment: Sent, room: int) -> bytes:
        version = self._subflows[segment.subflow].ends[segment.host].address.version
        size = MAXIMUM_SEGMENT_SIZE[version] if room >= 4 else b""
        scale = WINDOW_SCALE if room >= 8 else b""
        if self._timestamps and room >= 20:
            return size + SACK_PERMITTED + self._timestamp(segment) + scale
        return size + (NOPS + SACK_PERMITTED if room >= 12 else b"") + scale

    def _timestamp(self, segment: Sent) -> bytes:
        """A timestamp option, 10 octets."""
        isns, host = self._subflows[segment.subflow].isns, segment.host
        echo = 0
        times, newest = self._arrivals.get((segment.subflow, host), ((), ()))
        count = bisect_right(times, segment.time)
        if count:
            echo = _clock(newest[count - 1], isns[1 - host])
        return TIMESTAMP.pack(8, 10, _clock(segment.time, isns[host]), echo)


def _clock(time: int, isn: int) -> int:
    return ((isn ^ SCRAMBLE) + time // MILLISECOND) & MASK_32


@lru_cache(maxsize=1024)
def _encoded(options: tuple[Option, ...]) -> tuple[bytes, int]:
    """The options, padded, and their octets without; retransmissions and others repeat them."""
    octets = b"".join([encode(each) for each in options])
    return pad([octets]), len(octets)
