"""What a capture holds of each segment: its frame, its payload, and those options that are whole.

Nothing is read from octets: sizes follow from the layout, meaning from the labels.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from mptcp_oracle.encode import encode
from mptcp_oracle.facts import Fact, of_option
from mptcp_oracle.model.capture import Capture, Frame, Noise
from mptcp_oracle.model.tcp_options import OptionSpace
from mptcp_oracle.model.trace import SYN, Mapping, Sent, SubflowTruth
from mptcp_oracle.options import Dss, MpCapable, Option

__all__ = ["Flow", "Seen", "look", "option_fact"]

#: Octets of a TCP header without options, and with as many as it can hold.
SHORTEST, LONGEST = 20, 60


@dataclass(slots=True, kw_only=True, eq=False)
class Seen:
    """A frame that holds a segment.

    Attributes:
        number: Frame number, from 1. time: Nanoseconds since the epoch, as the file has them.
        segment, flow: What is in it. again: A copy made by the capture, which counts for nothing.
        outgoing: Whether the file says that the capturing host sent it.
        captured: Octets of payload in the file. whole: MPTCP options that are whole in it.
        cut: Whether its TCP header is not. marked: Whether an MPTCP option shows at all.
        start: Label of the first octet of its payload: behind a SYN, which has number 0.
        mapping, data_ack: The labels of the DSS or MP_CAPABLE, if that is whole.
    """

    number: int
    time: int
    segment: Sent
    flow: Flow
    again: bool
    outgoing: bool | None
    captured: int
    whole: tuple[Option, ...]
    cut: bool
    marked: bool
    start: int
    mapping: Mapping | None
    data_ack: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class Flow:
    """A subflow in the capture.

    Attributes:
        truth: The whole truth of it. stream: Number of its TCP stream in the capture.
        id: Ordinal among the subflows that show MPTCP; -1 if it is none of them.
        seen: Its frames in order. fresh: Those that are no copies made by the capture.
    """

    truth: SubflowTruth
    stream: int
    id: int = -1
    seen: list[Seen] = field(default_factory=list)
    fresh: list[Seen] = field(default_factory=list)


def look(capture: Capture) -> tuple[list[Flow], list[Seen]]:
    """The subflows that show MPTCP, in order of their first frames, and all their frames."""
    streams: dict[object, int] = {}
    flows: dict[int, Flow] = {}
    every: list[Seen] = []
    sizes = _Sizes(capture)
    layout = capture.layout
    for number, frame in enumerate(capture.frames, start=1):
        if isinstance(frame, Noise):
            if frame.stream is not None and sizes.shows(frame):
                streams.setdefault(("noise", frame.stream), len(streams))
            continue
        segment = frame.segment
        held = sizes.of(frame)
        if held < SHORTEST:
            continue
        flow = flows.get(segment.subflow)
        if flow is None:
            truth = capture.trace.subflows[segment.subflow]
            stream = streams.setdefault(segment.subflow, len(streams))
            flow = flows[segment.subflow] = Flow(truth=truth, stream=stream)
        captured, whole, cut, marked = sizes.left(segment, held)
        seen = Seen(
            number=number,
            time=layout.stamped(frame.time),
            segment=segment,
            flow=flow,
            again=frame.again,
            outgoing=layout.direction(frame.outgoing),
            captured=captured,
            whole=whole,
            cut=cut,
            marked=marked,
            start=segment.sequence + (1 if segment.flags & SYN else 0),
            mapping=segment.mapping if not cut or any(map(_maps, whole)) else None,
            data_ack=segment.data_ack if not cut or any(map(_acknowledges, whole)) else None,
        )
        flow.seen.append(seen)
        if not seen.again:
            flow.fresh.append(seen)
        every.append(seen)
    shown = [flow for flow in flows.values() if any(seen.marked for seen in flow.seen)]
    for number, flow in enumerate(sorted(shown, key=lambda flow: flow.stream)):
        flow.id = number
    shown.sort(key=lambda flow: flow.id)
    return shown, [seen for seen in every if seen.flow.id >= 0]


class _Sizes:
    """How much of each packet of a capture is in its file."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.layout = capture.layout
        self.snap = capture.layout.snap_length
        self.before = {version: self.layout.before_tcp(version) for version in (4, 6)}
        self.bare = replace(self.layout, tunnel="")
        self.space: OptionSpace | None = None

    def of(self, frame: Frame) -> int:
        """Octets from the TCP header on for which the snap length has room."""
        flow = self.capture.trace.subflows[frame.segment.subflow]
        return self.snap - self.before[flow.ends[0].address.version]

    def shows(self, noise: Noise) -> bool:
        """Whether the whole fixed part of a TCP header of other traffic is in the file."""
        return self.snap >= self.bare.before_tcp(noise.packet[0] >> 4) + SHORTEST

    def left(self, segment: Sent, held: int) -> tuple[int, tuple[Option, ...], bool, bool]:
        """Octets of payload, whole options, whether the header is cut, whether MPTCP shows."""
        options, payload = segment.options, len(segment.payload)
        if held >= LONGEST + payload:
            return payload, options, False, bool(options)
        if self.space is None:
            self.space = OptionSpace(self.capture.trace, self.layout)
        header = SHORTEST + len(self.space.octets(segment))
        if held >= header:
            return min(payload, held - header), options, False, bool(options)
        at = SHORTEST + self.space.mptcp_at(segment)
        whole: list[Option] = []
        marked = False
        for option in options:
            # Kind and Length have to be there to see that it is one of MPTCP's.
            if at + 2 > held:
                break
            marked = True
            at += len(_octets(option))
            if at > held:
                break
            whole.append(option)
        return 0, tuple(whole), True, marked


def _maps(option: Option) -> bool:
    if isinstance(option, MpCapable):
        return option.data_length is not None
    return isinstance(option, Dss) and option.dsn is not None


def _acknowledges(option: Option) -> bool:
    return isinstance(option, Dss) and option.data_ack is not None


@lru_cache(maxsize=4096)
def _octets(option: Option) -> bytes:
    return encode(option)


@lru_cache(maxsize=4096)
def option_fact(option: Option) -> Fact:
    """An option as facts show it, with its octets; the same object each time."""
    return {**of_option(option), "raw": _octets(option).hex()}
