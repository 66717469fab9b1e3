"""The network: what becomes of each segment between the hosts.

A path is described by plain numbers; :func:`fate` says when a segment arrives, how often, and
what a middlebox does to it. Nothing here knows MPTCP: an alteration is a name, for the driver to
turn into an event of the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mptcp_oracle.model.choices import Choices

__all__ = ["CLEAR", "HEADERS", "MIDDLEBOXES", "Direction", "Fate", "Network", "Path", "fate"]

#: What middleboxes do: take all MPTCP options off segments, or change an octet of payload.
MIDDLEBOXES = ("strip", "corrupt")

#: Octets that every segment has on the wire beside its payload: IP and TCP headers, options.
HEADERS = 72
#: Nanoseconds by which the second copy of a doubled segment is later.
DOUBLE_GAP = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One path, the same in both directions.

    Attributes:
        delay: Nanoseconds one way.
        jitter: Most nanoseconds that are added to it; the order of segments stays.
        loss, duplication, reordering: Parts of a thousand segments that are lost, arrive twice,
            or are held back so that later ones overtake them.
        rate: Octets a second, after which segments queue; 0 for no limit.
        queue: Nanoseconds of queueing from which on segments are dropped; 0 for no limit.
        middlebox: What it does to segments: one of :data:`MIDDLEBOXES`, or ``""`` for nothing.
        altered: Parts of a thousand segments that the middlebox alters.
        one_way: Role of the host whose segments it alters; ``None`` for both.
        from_segment: How many segments of each direction pass before the middlebox begins.
        outages: Spans of the virtual clock (ns, half-open) in which all that is sent is lost.
    """

    delay: int = 10_000_000
    jitter: int = 0
    loss: int = 0
    duplication: int = 0
    reordering: int = 0
    rate: int = 0
    queue: int = 0
    middlebox: str = ""
    altered: int = 1000
    one_way: int | None = None
    from_segment: int = 0
    outages: tuple[tuple[int, int], ...] = ()

    @property
    def round_trip(self) -> int:
        """Nanoseconds there and back, without queues and jitter."""
        return 2 * self.delay


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A path for each subflow: subflow ``n`` takes path ``n``, later ones the last path."""

    paths: tuple[Path, ...] = field(default=(Path(),))

    def path(self, subflow: int) -> Path:
        """The path of a subflow."""
        return self.paths[min(subflow, len(self.paths) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """What one direction of a path remembers.

    Attributes:
        busy: Until when its link is busy. last: When its last segment arrives.
        passed: How many segments have passed.
    """

    busy: int = 0
    last: int = 0
    passed: int = 0


#: A direction that nothing has passed yet.
CLEAR = Direction()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a segment.

    Attributes:
        arrivals: When it arrives, in nanoseconds of the virtual clock; none if it is lost.
        alteration: What a middlebox does to it, if it arrives: one of :data:`MIDDLEBOXES`;
            empty for nothing.
    """

    arrivals: tuple[int, ...]
    alteration: str = ""


def fate(
    path: Path, direction: Direction, now: int, octets: int, choices: Choices, host: int = 0
) -> tuple[Fate, Direction]:
    """What becomes of a segment that is sent now, and what the direction remembers of it.

    At most one number is drawn for loss, duplication and reordering together, one for the
    jitter and one for the middlebox; none for a path that has none of these.

    Args:
        path: The path.
        direction: What this direction of it remembers.
        now: When the segment is sent, in nanoseconds of the virtual clock.
        octets: Its payload.
        choices: Where luck comes from.
        host: Role of the sender.
    """
    start = max(now, direction.busy) if path.rate else now
    busy = start + (octets + HEADERS) * 1_000_000_000 // path.rate if path.rate else now
    alteration = ""
    if (
        path.middlebox
        and direction.passed >= path.from_segment
        and path.one_way in (None, host)
        and (path.altered >= 1000 or choices.chance(path.altered, 1000))
    ):
        alteration = path.middlebox
    cut = path.outages and any(first <= now < last for first, last in path.outages)
    if cut or (path.queue and start - now > path.queue):
        after = Direction(busy=direction.busy, last=direction.last, passed=direction.passed + 1)
        return Fate(arrivals=()), after
    arrival = busy + path.delay
    if path.jitter:
        arrival += choices.integer(0, path.jitter)
    arrival = max(arrival, direction.last + 1)
    last = arrival
    arrivals: tuple[int, ...] = (arrival,)
    if path.loss or path.duplication or path.reordering:
        luck = 999 - choices.integer(0, 999)
        if luck < path.loss:
            arrivals, last = (), direction.last
        elif luck < path.loss + path.duplication:
            last = arrival + DOUBLE_GAP
            arrivals = (arrival, last)
        elif luck < path.loss + path.duplication + path.reordering:
            arrivals, last = (arrival + path.delay // 2 + 1_000_000,), direction.last
    after = Direction(busy=busy, last=last, passed=direction.passed + 1)
    return Fate(arrivals=arrivals, alteration=alteration), after
