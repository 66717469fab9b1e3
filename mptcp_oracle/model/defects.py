"""Defects of captures: holes, copies, disorder, coarse clocks, offload; each a pure function.

A defect takes the frames of a capture in order and gives those of a worse one. They compose in
the order of :data:`DEFECTS`; :func:`damage` applies several and puts ``again`` right at the end
(a frame whose earlier copy fell into a hole is no copy any more).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

from mptcp_oracle.model.capture import Frame
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.offload import cut, merge
from mptcp_oracle.model.trace import SYN
from mptcp_oracle.model.vantage import mark, same_packet

__all__ = ["DEFECTS", "Defect", "damage", "tellable"]

Defect: TypeAlias = Callable[[Sequence[Frame], Choices], tuple[Frame, ...]]

#: Nanoseconds of the clocks that a coarse capture may have.
CLOCKS = (1_000, 1_000_000, 10_000_000)
#: Nanoseconds within which equal packets look like one: at one place, at two; and within which
#: packets with the same IP identification do.
AT_ONCE, LONG_AFTER, SOON = 1_000_000, 1_000_000_000, 150_000_000


def single_holes(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """One to four frames are missing, each somewhere."""
    gone = {_somewhere(frames, choices) for _ in range(choices.integer(1, 4)) if frames}
    return tuple(frame for at, frame in enumerate(frames) if at not in gone)


def burst(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """A run of frames is missing, up to a third of all."""
    if not frames:
        return ()
    start = _somewhere(frames, choices)
    end = start + choices.integer(1, max(1, len(frames) // 3))
    return (*frames[:start], *frames[end:])


def deaf(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """One direction of one subflow, or of all, is missing."""
    host = choices.integer(0, 1)
    flows = _subflows(frames)
    flow = choices.pick((*flows[::-1], None))
    return tuple(
        frame
        for frame in frames
        if frame.segment.host != host or flow not in (None, frame.segment.subflow)
    )


def blind(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """One subflow is missing, unless it is the only one."""
    flows = _subflows(frames)
    if len(flows) < 2:
        return tuple(frames)
    flow = choices.pick(flows[::-1])
    return tuple(frame for frame in frames if frame.segment.subflow != flow)


def unplugged(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """All frames of one capture interface are missing, unless there is only one."""
    places = sorted({frame.interface for frame in frames})
    if len(places) < 2:
        return tuple(frames)
    gone = choices.pick(places[::-1])
    return tuple(frame for frame in frames if frame.interface != gone)


def no_handshake(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Frames of a handshake are missing: SYNs, SYN/ACKs, third packets, one or all of them."""
    flow = choices.pick(_subflows(frames) or (0,))
    parts: list[int] = []
    for at, frame in enumerate(frames):
        if frame.segment.subflow != flow:
            continue
        if frame.segment.flags & SYN:
            parts.append(at)
        elif parts:
            parts.append(at)
            break
    parts = parts or [0]
    gone = set(parts) if choices.chance(1, 3) else {choices.pick(parts)}
    return tuple(frame for at, frame in enumerate(frames) if at not in gone)


def late_start(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """The capture begins after up to half of the frames."""
    return tuple(frames[choices.integer(1, max(1, len(frames) // 2)) :])


def early_end(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """The capture ends before up to half of the frames."""
    return tuple(frames[: len(frames) - choices.integer(1, max(1, len(frames) // 2))])


def second_interface(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Frames are there twice, at once on another interface, as with ``-i any``."""
    other = 1 + max((frame.interface for frame in frames), default=0)
    copies = ((frame, replace(frame, interface=other)) for frame in frames)
    return _doubled(copies, 3_000, choices)


def router_hop(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Frames are there twice, before and behind a router that the tap is on both sides of."""
    copies = ((frame, replace(frame, hops=frame.hops + 1)) for frame in frames)
    return _doubled(copies, 20_000, choices)


def disorder(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Frames of different interfaces stand in the file in another order than that of time."""
    mixed = list(frames)
    for _ in range(choices.integer(1, 6)):
        if len(mixed) < 2:
            break
        at = choices.integer(0, len(mixed) - 2)
        far = min(len(mixed) - 1, at + choices.integer(1, 4))
        while at < far and mixed[at].interface != mixed[at + 1].interface:
            mixed[at], mixed[at + 1] = mixed[at + 1], mixed[at]
            at += 1
    return tuple(mixed)


def coarse_clock(frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """The clock of the capture moves in steps."""
    step = choices.pick(CLOCKS)
    return tuple(replace(frame, time=frame.time - frame.time % step) for frame in frames)


#: By name, in the order in which they compose.
DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        "merge": merge,
        "cut": cut,
        "second_interface": second_interface,
        "router_hop": router_hop,
        "disorder": disorder,
        "single_holes": single_holes,
        "burst": burst,
        "deaf": deaf,
        "blind": blind,
        "unplugged": unplugged,
        "no_handshake": no_handshake,
        "late_start": late_start,
        "early_end": early_end,
        "coarse_clock": coarse_clock,
    }
)


def damage(names: Iterable[str], frames: Sequence[Frame], choices: Choices) -> tuple[Frame, ...]:
    """Apply the named defects, in the order of :data:`DEFECTS`."""
    chosen = set(names)
    unknown = chosen - set(DEFECTS)
    if unknown:
        raise ValueError(f"no such defects: {sorted(unknown)}")
    worse = tuple(frames)
    for name, defect in DEFECTS.items():
        if name in chosen:
            worse = defect(worse, choices)
    return mark(worse)


def tellable(
    frames: Sequence[Frame], nameless: Sequence[bool], *, interfaces: bool, options: bool = True
) -> tuple[Frame, ...]:
    """The frames without those of which nobody could tell whether they are copies.

    TCP may send the same header again (a second duplicate ACK, a retransmission), and a capture
    may hold one packet twice. Within a second at two places, or at once at one place, and without
    IP identifications, the two look alike. The later one of such a pair is left out, as a hole
    in the capture; so is a copy that comes so late that it looks like a packet of its own.

    Args:
        frames: The frames of a capture, with ``again`` right.
        nameless: By subflow: whether it runs over IPv6, which has no IP identification.
        interfaces: Whether the file tells its interfaces apart.
        options: Whether it holds whole TCP headers, so that options tell segments apart.
    """
    kept: list[Frame] = []
    past: dict[tuple[object, ...], Frame] = {}
    seen: dict[int, list[Frame]] = {}
    for frame in frames:
        segment = frame.segment
        # What was left out may have been the original, so that ``again`` is to be found anew.
        first = _earlier(seen, frame)
        again = first is not None
        if frame.ip_id is not None and not nameless[segment.subflow]:
            if first is not None and abs(frame.time - first.time) >= SOON:
                continue
        else:
            key = (
                segment.subflow,
                segment.host,
                segment.sequence,
                segment.ack,
                segment.flags,
                segment.window,
                len(segment.payload),
                segment.options if options else None,
            )
            before = past.get(key)
            if before is not None:
                apart = abs(frame.time - before.time)
                place = frame.interface, frame.hops, frame.outgoing
                moved = (before.interface, before.hops, before.outgoing) != place
                surely = before.hops != frame.hops
                surely = surely or (interfaces and before.interface != frame.interface)
                if again:
                    if not surely or apart >= LONG_AFTER:
                        continue
                elif apart < (LONG_AFTER if moved else AT_ONCE):
                    continue
            if before is None or not again:
                past[key] = frame
        if first is None:
            seen.setdefault(segment.number, []).append(frame)
        kept.append(frame if frame.again is again else replace(frame, again=again))
    return tuple(kept)


def _earlier(seen: dict[int, list[Frame]], frame: Frame) -> Frame | None:
    """The first frame that holds the same packet."""
    segment = frame.segment
    for other in seen.get(segment.number, ()):
        if other.segment is segment or same_packet(other.segment, segment):
            return other
    return None


def _somewhere(frames: Sequence[Frame], choices: Choices) -> int:
    return choices.integer(0, len(frames) - 1)


def _subflows(frames: Sequence[Frame]) -> tuple[int, ...]:
    return tuple(sorted({frame.segment.subflow for frame in frames}))


def _doubled(
    pairs: Iterable[tuple[Frame, Frame]], later: int, choices: Choices
) -> tuple[Frame, ...]:
    """All frames, or every so many of them, followed by their copies somewhat later."""
    every = choices.pick((1, 1, 2, 3))
    doubled: list[Frame] = []
    for at, (frame, copy) in enumerate(pairs):
        doubled.append(frame)
        if at % every == 0 and not frame.again:
            doubled.append(replace(copy, time=frame.time + later, again=True))
    doubled.sort(key=_time)
    return tuple(doubled)


def _time(frame: Frame) -> int:
    return frame.time
