"""Payload: under which mapping each octet went, and who had carried it before.

Mappings, copies and classes follow from the labels of the frames that are left, in the order of
the capture: an octet belongs to the first mapping in the capture that covers it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from mptcp_oracle.model.observed_frames import Seen
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_handshakes import Handshake
from mptcp_oracle.model.observed_spans import Spans
from mptcp_oracle.model.trace import RST, SYN, Mapping

__all__ = ["COPY", "Announced", "Half", "Part", "Payload"]

#: Classes of what another subflow carried before, by what its sender meant.
COPY = {"reinjection": "reinjection", "redundant": "redundant"}
UNTOLD = "unclassified"
ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Announced:
    """A mapping in the capture: the frame that announced it first, and what it says."""

    frame: int
    mapping: Mapping

    @property
    def delta(self) -> int:
        """DSN minus subflow sequence number, as labels."""
        return self.mapping.dsn - self.mapping.sequence


@dataclass(frozen=True, slots=True)
class Part:
    """Payload of one segment with one class: labels ``[low, high)``, and what maps it."""

    low: int
    high: int
    under: Announced | None
    name: str


@dataclass(slots=True, eq=False)
class Half:
    """What one host sent on one subflow.

    Attributes:
        placed: Whether mappings have a place, the initial sequence number being known.
        maps: Mappings by octets. sent: Octets that went by. octets: Payload by class.
    """

    placed: bool
    maps: Spans[Announced] = field(default_factory=Spans)
    sent: Spans[bool] = field(default_factory=Spans)
    octets: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Payload:
    """The payload of a group.

    Attributes:
        halves: By flow id and true role. parts: By frame number, for all but copies made by the
            capture and resets. previous, copies: By frame number, if any.
        acknowledged: By true role: the highest DATA_ACK for its data, as label.
    """

    def __init__(self, group: Group, frames: list[Seen], shakes: dict[int, Handshake]) -> None:
        self.group = group
        self.halves = {
            (flow.id, role): Half(shakes[flow.id].placed[role])
            for flow in group.flows
            for role in (0, 1)
        }
        self.parts: dict[int, list[Part]] = {}
        self.previous: dict[int, int] = {}
        self.copies: dict[int, int] = {}
        self.acknowledged = [1 + (shift or 0) for shift in group.shift]
        self._shut = [False, False]
        self._carriers: tuple[Spans[tuple[Seen, ...]], ...] = (Spans(), Spans())
        for seen in frames:
            if not seen.again:
                self._announce(seen)
        for seen in frames:
            if not seen.again:
                self._hear(seen)
                if seen.segment.payload and not seen.segment.flags & RST:
                    self._carry(seen)

    def ranges(self, seen: Seen) -> list[tuple[int, int, Announced | None]]:
        """The payload of a segment by mapping, as labels."""
        half = self.halves[seen.flow.id, seen.segment.host]
        start = seen.start
        return list(half.maps.parts(start, start + len(seen.segment.payload)))

    def _announce(self, seen: Seen) -> None:
        """Give a mapping to the octets that have none yet."""
        mapping, half = seen.mapping, self.halves[seen.flow.id, seen.segment.host]
        if mapping is None or not half.placed:
            return
        size = ENDLESS if mapping.infinite else mapping.octets
        if size:
            low = mapping.sequence
            half.maps.fill(low, low + size, Announced(seen.number, mapping))

    def _hear(self, seen: Seen) -> None:
        """What a segment says of the other host's data."""
        segment = seen.segment
        other = 1 - segment.host
        if seen.data_ack is not None and seen.data_ack > self.acknowledged[other]:
            self.acknowledged[other] = seen.data_ack
            self._shut[other] = False
        if segment.window == 0 and not segment.flags & (SYN | RST):
            self._shut[other] = True

    def _carry(self, seen: Seen) -> None:
        """Class and carriers of the payload of one segment."""
        role = seen.segment.host
        half = self.halves[seen.flow.id, role]
        carriers = self._carriers[role]
        parts: list[Part] = []
        before: set[Seen] = set()
        latest: Seen | None = None
        for low, high, under in self.ranges(seen):
            probe = under is not None and self._probes(under, low, high, role)
            for start, end, again in list(half.sent.parts(low, high)):
                if under is None or probe:
                    name = "zero_window_probe" if probe else "unmapped"
                    parts.append(Part(start, end, under, "tcp_retransmission" if again else name))
                    continue
                delta = under.delta
                for first, last, who in list(carriers.parts(start + delta, end + delta)):
                    others = [each for each in who or () if each is not seen]
                    if others:
                        before.update(others)
                        if latest is None or others[-1].number > latest.number:
                            latest = others[-1]
                    carriers.put(first, last, (*others, seen))
                    name = "tcp_retransmission" if again else _class(seen, who)
                    parts += [
                        Part(begin, stop, under, meant)
                        for begin, stop, meant in _by_cause(seen, first - delta, last - delta, name)
                    ]
        half.sent.put(seen.start, seen.start + len(seen.segment.payload), True)
        for part in parts:
            half.octets[part.name] += part.high - part.low
        self.parts[seen.number] = parts
        if latest is not None:
            self.previous[seen.number] = latest.number
            self.copies[seen.number] = len(before)

    def _probes(self, under: Announced, low: int, high: int, role: int) -> bool:
        """Whether octets only probe a window (docs/decisions/0004-transmissions.md).

        One octet, alone in its mapping and DATA_ACKed before, while nothing new has been
        DATA_ACKed since a window of 0.
        """
        mapping = under.mapping
        alone = high - low == 1 and mapping.octets == 1 and not mapping.fin
        return alone and low + under.delta < self.acknowledged[role] and self._shut[role]


def _class(seen: Seen, who: tuple[Seen, ...] | None) -> str:
    """The class of octets that their subflow has not sent before, by their earlier carriers."""
    if who is None:
        return "first_seen"
    if all(earlier.flow is seen.flow for earlier in who):
        return "remap"
    return ""


def _by_cause(seen: Seen, low: int, high: int, name: str) -> list[tuple[int, int, str]]:
    """Copies of another subflow's octets, cut by what their sender meant; else one piece."""
    if name:
        return [(low, high, name)]
    found: list[tuple[int, int, str]] = []
    for part in seen.segment.ranges:
        start = max(low, part.sequence)
        end = min(high, part.sequence + part.octets)
        if start < end:
            name = COPY.get(part.cause, UNTOLD)
            if found and found[-1][2] == name:
                found[-1] = (found[-1][0], end, name)
            else:
                found.append((start, end, name))
    return found
