"""Exploration: every world that a bounded connection can reach, each checked.

Breadth first from the opening. Two worlds are the same if they differ only in the numbers of
their segments in flight. Visited worlds are kept as pairs of hashes, not as values: for a million
of them the chance that two were taken for one is below 10**-20.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from mptcp_oracle.model.enabling import enabled
from mptcp_oracle.model.events import EVENTS, Event
from mptcp_oracle.model.invariants import violations
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.step import IllegalEvent, Step, step
from mptcp_oracle.model.world import World, changed, opening

__all__ = ["BOUNDS", "SMALL", "Bound", "Explored", "explore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What is explored.

    Attributes:
        name: Its name. text: What it is about.
        settings: Of the connection; their ``bounds`` make it finite.
    """

    name: str
    text: str
    settings: Settings


@dataclass(slots=True)
class Explored:
    """What was found.

    Attributes:
        states: Worlds reached. steps: Steps between them. depth: Most steps from the opening.
        transitions: How often each transition of the tables was taken.
        ends: Worlds where nothing can happen any more, by the states of both hosts.
        broken: Violations and the events that lead to them, the shortest way; empty if all holds.
        complete: Whether nothing was left out for want of room.
    """

    states: int = 0
    steps: int = 0
    depth: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[tuple[str, tuple[Event, ...]]] = field(default_factory=list)
    complete: bool = True


Check = Callable[[World, Step], list[str]]
Way = tuple["Way | None", Event]


def _path(way: Way | None) -> tuple[Event, ...]:
    events: list[Event] = []
    while way is not None:
        way, event = way
        events.append(event)
    return tuple(reversed(events))


def _same(world: World) -> World:
    """The world with the segments in flight numbered from 0, however many there were before."""
    flight = tuple(
        segment if segment.number == at else replace(segment, number=at)
        for at, segment in enumerate(world.flight)
    )
    return changed(world, flight=flight, number=len(flight))


def _print(world: World) -> tuple[int, int]:
    rest = (world.version, world.checksum, world.taken)
    return hash((world.hosts, rest)), hash((world.subflows, world.flight))


def explore(
    settings: Settings,
    *,
    most: int = 1_000_000,
    check: Check = violations,
    progress: Callable[[int, int], None] | None = None,
) -> Explored:
    """Reach every world from the opening.

    Args:
        settings: Of the connection. Their ``bounds`` say how often events may happen.
        most: Worlds after which to stop; the result is then not complete.
        check: Gives the violations of a step.
        progress: Called with the worlds reached and those waiting, now and then.
    """
    found = Explored(states=1)
    first = _same(opening(settings))
    seen = {_print(first)}
    layer: list[tuple[World, Way | None]] = [(first, None)]
    while layer:
        following: list[tuple[World, Way | None]] = []
        for done, (world, way) in enumerate(layer):
            last = True
            for event, outcome in _steps(world, way, found):
                last = False
                found.steps += 1
                found.transitions.update(outcome.transitions)
                broken = check(world, outcome)
                here: Way = (way, event)
                if broken:
                    found.broken += [(sentence, _path(here)) for sentence in broken]
                after = _same(outcome.world)
                mark = _print(after)
                if mark in seen:
                    continue
                if found.states >= most:
                    found.complete = False
                    continue
                seen.add(mark)
                found.states += 1
                following.append((after, here))
            if last:
                found.ends[world.hosts[0].state, world.hosts[1].state] += 1
            if progress is not None and done % 1000 == 0:
                progress(found.states, len(layer) - done + len(following))
        found.depth += bool(following)
        layer = following
    return found


def _steps(world: World, way: Way | None, found: Explored) -> Iterator[tuple[Event, Step]]:
    """The outcomes of all that is enabled; what is enabled has to be legal."""
    for event in enabled(world):
        try:
            yield event, step(world, event)
        except IllegalEvent as error:
            sentence = f"enabled: {type(event).__name__} is offered, yet {error}"
            found.broken.append((sentence, _path((way, event))))


ALWAYS = ("Connect", "Deliver", "Acknowledge")
#: Events that happen only as often as a bound says; the others as often as they are due.
NOTHING = {kind.__name__: 0 for kind in EVENTS if kind.__name__ not in ALWAYS}


def _bound(name: str, text: str, settings: Settings | None = None, **counts: int) -> Bound:
    base = settings or Settings()
    return Bound(
        name=name, text=text, settings=replace(base, bounds=tuple({**NOTHING, **counts}.items()))
    )


UNITS = Settings(unit=2)
V0 = Settings(version=0, unit=2)
BOXED = Settings(unit=2, middlebox=True)
SUMMED = Settings(unit=2, middlebox=True, checksum=(True, False))

SMALL: tuple[Bound, ...] = (
    _bound("handshake", "a handshake over a network that loses, doubles and reorders",
           Lose=2, Repeat=1, Retransmit=2),
    _bound("handshake, version 0", "the same by RFC 6824", V0, Lose=2, Repeat=1, Retransmit=2),
    _bound("data", "two segments of data, one loss, one retransmission", UNITS,
           Send=2, Lose=1, Retransmit=1),
    _bound("join", "a join from either host", UNITS, Send=1, Join=1),
    _bound("closing", "DATA_FINs in any order, sent twice", UNITS, Finish=3),
    _bound("ends", "a DATA_FIN and the end of the subflow by FIN or RST", UNITS,
           Finish=2, Close=1, Reset=1),
    _bound("fast close", "MP_FASTCLOSE from one host or both", UNITS, Send=1, FastClose=2),
    _bound("addresses", "an address announced, echoed, withdrawn", UNITS,
           Send=1, Announce=1, Echo=1, Withdraw=1),
    _bound("stripped", "a middlebox takes the options from one segment", BOXED, Send=1, Alter=1),
    _bound("corrupted", "a middlebox changes data under checksums", SUMMED, Send=2, Alter=1),
)  # fmt: skip
"""Bounds that take seconds."""

BOUNDS: tuple[Bound, ...] = (
    *SMALL,
    _bound("data, doubled", "two segments of data, one of any doubled, lost and sent again", UNITS,
           Send=2, Lose=1, Repeat=1, Retransmit=1),
    _bound("data, version 0", "the same as data, by RFC 6824", V0, Send=2, Lose=1, Retransmit=1),
    _bound("two subflows", "a join, data on either subflow, a copy of it", UNITS,
           Join=1, Send=2, Copy=1),
    _bound("loss of a join", "a join over a network that loses", UNITS,
           Join=1, Send=1, Lose=1, Retransmit=1),
    _bound("closing with data", "data, DATA_FINs, losses", UNITS, Send=1, Finish=3, Lose=1),
    _bound("two subflows, closing", "a join, DATA_FINs on either subflow, FINs", UNITS,
           Join=1, Send=1, Finish=1, Close=1),
    _bound("break before make", "the only subflow ends, another one is opened", UNITS,
           Join=1, Reset=1, Send=2),
    _bound("fast close on two", "a join and MP_FASTCLOSE", UNITS, Join=1, Send=1, FastClose=1),
    _bound("priority", "a join and changed priorities", UNITS, Join=1, Prioritise=1, Send=1),
    _bound("window", "a closed window, probes", Settings(unit=2, buffers=(4, 4)),
           Send=2, Stall=1, Read=1, Probe=1),
    _bound("fast open", "data on the SYN, losses", Settings(unit=2, fast_open=2),
           Send=1, Lose=1, Retransmit=1),
    _bound("stripped, two subflows", "a join under a middlebox that takes options away", BOXED,
           Send=1, Join=1, Alter=1),
    _bound("corrupted, two subflows", "the same under one that changes data", SUMMED,
           Send=2, Join=1, Alter=1),
)  # fmt: skip
"""Bounds of the full exploration."""
