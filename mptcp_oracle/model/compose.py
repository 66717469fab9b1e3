"""Compositions: whole captures out of choices.

The one function that Hypothesis and the command for generating captures share. The same choices
give the same capture, on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mptcp_oracle.model.capture import Capture, Frame, Layout, Noise
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.defects import damage, tellable
from mptcp_oracle.model.drawing import (
    defect_names,
    layout_of,
    network_of,
    settings_of,
    tap_of,
)
from mptcp_oracle.model.driver import Limits, drive
from mptcp_oracle.model.interleave import interleave, noise
from mptcp_oracle.model.misleading import honest
from mptcp_oracle.model.policies import Profile, Wanderer
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.model.vantage import Tap, tap

__all__ = ["DEEP", "ENDS", "SMALL", "Plan", "capture_of", "compose", "traced"]

MS = 1_000_000
#: Octets of the longest TCP header.
LONGEST_HEADER = 60
#: Defects that leave nothing out.
COMPLETE = ("merge", "cut", "second_interface", "router_hop", "coarse_clock")
#: How connections end, by weight; the simplest is that they do not.
ENDS = ((4, "stop"), (13, "close"), (3, "abort"))


LOW_32 = 0xFFFFFFFF
STEP = 0x1000_0000
"""Sequence numbers between the beginnings of subflows between the same ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What captures to compose.

    Attributes:
        profile: How the hosts behave. limits: When to stop.
        connections: Weights of one, two ... connections in a capture.
        versions: Versions to offer; the first is the simplest.
        vantages: Weights of vantage points.
        damaged: Whether captures may have defects.
        boxes: Whether middleboxes may alter segments.
        noise: Whether there may be other traffic.
    """

    profile: Profile = field(default_factory=lambda: Profile(brief=16, ends=ENDS))
    limits: Limits = field(default_factory=lambda: Limits(segments=110))
    connections: tuple[int, ...] = (8, 2, 1)
    versions: tuple[int, ...] = (1, 0)
    vantages: tuple[tuple[int, str], ...] = (
        (3, "middle"),
        (3, "initiator"),
        (3, "listener"),
        (2, "both"),
    )
    damaged: bool = True
    boxes: bool = True
    noise: bool = True


#: Captures of 40 segments and more that visit everything.
DEEP = Plan()
#: Short ones, for many examples in little time.
SMALL = Plan(
    profile=Profile(length=(10, 40), brief=8, ends=ENDS),
    limits=Limits(segments=50),
    connections=(8, 1),
)


def compose(choices: Choices, plan: Plan = DEEP, first: int = 0) -> Capture:
    """A capture.

    Args:
        choices: Where all that is undetermined comes from.
        plan: What captures to compose.
        first: Place of the first connection among those of captures that are to be kept apart.
    """
    count = choices.weighted([(weight, at) for at, weight in enumerate(plan.connections, 1)])
    reused = count > 1 and choices.chance(1, 6)
    traces = [
        traced(choices, plan, first + index, like=first if reused else None)
        for index in range(count)
    ]
    if reused:
        traces = _renumbered(traces)
    offsets = [0]
    for before in traces[:-1]:
        later = choices.integer(0, 400) * MS
        offsets.append(offsets[-1] + _end(before) + later + MS if reused else later)
    trace = interleave(traces, offsets)
    where = tap_of(choices, plan.vantages)
    layout = layout_of(choices)
    names = defect_names(choices, where.vantage) if plan.damaged else ()
    if reused:
        # Without its SYN nobody could tell the second connection from the first.
        names = tuple(name for name in names if name in COMPLETE)
    others = choices.weighted(((7, 0), (1, 5))) if plan.noise else 0
    return capture_of(trace, where, names, layout, choices, others=others)


def _renumbered(traces: list[Trace]) -> list[Trace]:
    """The traces, with other initial sequence numbers where ports are in use again (RFC 6528)."""
    used: set[tuple[object, int]] = set()
    found = []
    for trace in traces:
        subflows = []
        for subflow in trace.subflows:
            isns = list(subflow.isns)
            for role in (0, 1):
                while (subflow.ends, isns[role]) in used:
                    isns[role] = (isns[role] + STEP) & LOW_32
            used |= {(subflow.ends, isn) for isn in isns}
            subflows.append(replace(subflow, isns=(isns[0], isns[1])))
        found.append(replace(trace, subflows=tuple(subflows)))
    return found


def _end(trace: Trace) -> int:
    """When the last segment was sent or arrived."""
    times = [one.time for one in trace.segments[-1:]] + [one.time for one in trace.deliveries[-1:]]
    return max(times, default=0)


def traced(choices: Choices, plan: Plan, index: int = 0, *, like: int | None = None) -> Trace:
    """One connection.

    Args:
        choices: Where all that is undetermined comes from.
        plan: What captures to compose.
        index: Its place among the connections of a capture.
        like: Place of the connection whose addresses and ports it has; its own by default.
    """
    settings = settings_of(choices, index, plan.versions, place=like)
    network = network_of(choices, boxes=plan.boxes)
    profile = plan.profile
    if any(path.middlebox == "corrupt" for path in network.paths):
        # What is changed on the way is to be noticed, also while there is one subflow only.
        settings = replace(settings, checksum=(True, True))
        profile = replace(profile, subflows=(1, 1, 2, 1, 3))
    return drive(settings, Wanderer(profile=profile), network, choices, plan.limits)


def capture_of(
    trace: Trace,
    where: Tap,
    defects: tuple[str, ...],
    layout: Layout,
    choices: Choices,
    *,
    others: int = 0,
) -> Capture:
    """What a tap sees of a trace, with defects and other traffic, as a capture.

    Frames of which nobody could tell whether they are copies are left out
    (:func:`~mptcp_oracle.model.defects.tellable`), and so are those whose mappings seem to lie
    where they do not (:func:`~mptcp_oracle.model.misleading.honest`).

    Args:
        trace: The trace.
        where: The tap.
        defects: Names of defects.
        layout: How the capture is written.
        choices: Where defects and noise come from.
        others: Packets of other traffic.
    """
    frames = damage(defects, tap(trace, where, choices), choices)
    nameless = [subflow.ends[0].address.version == 6 for subflow in trace.subflows]
    seen = _segments(frames)
    frames = tellable(
        frames,
        nameless,
        interfaces=layout.file == "pcapng",
        options=layout.snap_length >= layout.before_tcp(6) + LONGEST_HEADER,
    )
    mixed: tuple[Frame | Noise, ...] = frames
    if others and frames:
        packets = noise(choices, others, frames[0].time, frames[-1].time)
        mixed = _mixed(frames, packets)
    capture = honest(
        Capture(trace=trace, frames=mixed, layout=layout, vantage=where.vantage, defects=defects)
    )
    return replace(capture, withheld=_segments(capture.frames) != seen)


def _segments(frames: Iterable[Frame | Noise]) -> set[int]:
    """Numbers of the segments that frames hold."""
    return {frame.segment.number for frame in frames if isinstance(frame, Frame)}


def _mixed(frames: tuple[Frame, ...], packets: tuple[Noise, ...]) -> tuple[Frame | Noise, ...]:
    """Frames with packets in between by time; the frames keep their own order."""
    mixed: list[Frame | Noise] = []
    at = 0
    for frame in frames:
        while at < len(packets) and packets[at].time <= frame.time:
            mixed.append(packets[at])
            at += 1
        mixed.append(frame)
    return (*mixed, *packets[at:])
