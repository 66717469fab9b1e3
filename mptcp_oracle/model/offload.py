"""Segmentation offload: how network cards and stacks merge and cut segments before a tap.

Both keep the options: segments merge only if theirs are identical, and each piece of a cut one
repeats them (which makes one mapping span several segments). The labels stay true of what the
capture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mptcp_oracle.model.capture import Frame
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.trace import ACK, FIN, PSH, Range, Sent
from mptcp_oracle.model.vantage import ID_STEP
from mptcp_oracle.options import Dss

__all__ = ["cut", "merge"]

#: Most payload of a merged segment, so that its IP packet stays below 64 KiB.
MOST_OCTETS = 64_000


def merge(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Merge runs of segments that continue each other, as receive offload does.

    The merged segment has the number, time and IP identification of its first part. One draw
    decides for each pair that may merge.
    """
    merged: list[Frame] = []
    last: dict[tuple[int, int, int], int] = {}
    for frame in frames:
        segment = frame.segment
        key = (segment.subflow, segment.host, frame.interface)
        at = last.get(key)
        if at is not None and _continues(merged[at], frame) and choices.chance(3, 4):
            first = merged[at]
            merged[at] = replace(first, segment=_joined(first.segment, segment))
            continue
        last[key] = len(merged)
        # Anything from the other side makes the stack hand up what it holds.
        last.pop((segment.subflow, 1 - segment.host, frame.interface), None)
        merged.append(frame)
    return tuple(merged)


def _continues(first: Frame, second: Frame) -> bool:
    """Whether offload could merge two segments of one direction, nothing between them."""
    one, two = first.segment, second.segment
    return (
        bool(one.payload)
        and bool(two.payload)
        and two.sequence == one.sequence + len(one.payload)
        and (one.flags | PSH) == ACK | PSH
        and (two.flags | PSH | FIN) == ACK | PSH | FIN
        and one.ack == two.ack
        and one.window == two.window
        and bool(one.options)
        and one.options == two.options
        and one.mapping == two.mapping
        and one.copied == two.copied
        and first.hops == second.hops
        and not (first.again or second.again)
        and len(one.payload) + len(two.payload) <= MOST_OCTETS
    )


def _joined(one: Sent, two: Sent) -> Sent:
    return replace(
        one,
        flags=one.flags | two.flags,
        payload=one.payload + two.payload,
        ranges=_chained(one.ranges + two.ranges),
    )


def _chained(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """The ranges, those that continue each other in every respect made one."""
    chained: list[Range] = []
    for part in ranges:
        if chained:
            last = chained[-1]
            dsn = None if last.dsn is None else last.dsn + last.octets
            if (dsn, last.cause, last.trigger) == (part.dsn, part.cause, part.trigger):
                chained[-1] = replace(last, octets=last.octets + part.octets)
                continue
        chained.append(part)
    return tuple(chained)


def cut(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Cut segments with payload into pieces, as segmentation offload does, a microsecond apart.

    Only the last piece keeps FIN and PSH. One draw decides for each segment that may be cut,
    another one the size of the pieces.
    """
    pieces: list[Frame] = []
    for frame in frames:
        segment = frame.segment
        if (
            len(segment.payload) < 2
            or frame.again
            or (segment.flags | PSH | FIN) != ACK | PSH | FIN
            or not segment.options
            or not all(isinstance(option, Dss) for option in segment.options)
            or not choices.chance(1, 2)
        ):
            pieces.append(frame)
            continue
        size = -(-len(segment.payload) // choices.integer(2, min(4, len(segment.payload))))
        for turn, start in enumerate(range(0, len(segment.payload), size)):
            ip_id = frame.ip_id
            assert turn < ID_STEP
            pieces.append(
                replace(
                    frame,
                    segment=_piece(segment, start, size),
                    time=frame.time + 1000 * turn,
                    ip_id=None if ip_id is None else (ip_id + turn),
                )
            )
    pieces.sort(key=_time)
    return tuple(pieces)


def _time(frame: Frame) -> int:
    return frame.time


def _piece(segment: Sent, start: int, size: int) -> Sent:
    """Octets ``[start, start + size)`` of a segment's payload as a segment."""
    end = min(start + size, len(segment.payload))
    low, high = segment.sequence + start, segment.sequence + end
    parts = []
    for part in segment.ranges:
        first, last = max(part.sequence, low), min(part.sequence + part.octets, high)
        if first < last:
            dsn = None if part.dsn is None else part.dsn + first - part.sequence
            parts.append(replace(part, sequence=first, octets=last - first, dsn=dsn))
    flags = segment.flags if end == len(segment.payload) else segment.flags & ~(FIN | PSH)
    return replace(
        segment,
        sequence=low,
        flags=flags,
        payload=segment.payload[start:end],
        ranges=tuple(parts),
    )
