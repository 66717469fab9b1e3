"""The driver: lets a policy and a network act on the model, in the time of a virtual clock.

The loop is a discrete-event simulation. A policy says what the hosts do beside what the protocol
makes them do at once; the network says when each segment arrives; the model says what follows.
Time passes only in the driver: a trace is a function of :func:`drive`'s arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.events import Alter, Deliver, Event, Lose, Repeat
from mptcp_oracle.model.network import CLEAR, Direction, Network, fate
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.step import step, truths
from mptcp_oracle.model.trace import Delivery, Sent, Trace
from mptcp_oracle.model.world import World, opening

__all__ = ["Agent", "Limits", "Policy", "Turn", "drive"]

Turn: TypeAlias = tuple[Event | None, int | None]
"""An event to take now; or ``None`` and a time of the virtual clock to be asked again at, if no
segment arrives before; or ``None`` twice: to be asked after the next arrival."""

#: Nanoseconds that a host takes for anything.
EFFORT = 1_000
#: Segments that may still be sent while those in flight arrive, after a limit was reached.
TAIL = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop asking the policy; what is in flight then still arrives.

    Attributes:
        segments: Segments sent. time: Nanoseconds of the virtual clock. events: Events taken.
    """

    segments: int = 120
    time: int = 120_000_000_000
    events: int = 4_000


class Agent(ABC):
    """A policy at work on one connection; it may keep notes."""

    @abstractmethod
    def turn(self, world: World, now: int, idle: bool, choices: Choices) -> Turn:
        """What to do next; the simulation ends if there is nothing and nothing is in flight.

        Args:
            world: The world as it is.
            now: Nanoseconds of the virtual clock.
            idle: Whether no segment is in flight.
            choices: Where chance comes from.
        """

    def shape(self, world: World, event: Deliver, choices: Choices) -> Event:
        """The delivery with its parameters (what its receiver does with it) as they shall be."""
        return event


class Policy(ABC):
    """How the hosts behave where the protocol leaves them the choice: a value."""

    @abstractmethod
    def start(self, settings: Settings, network: Network) -> Agent:
        """The policy at work on one connection."""


class _Run:
    """One simulation: the world, the clock, what is on its way, and what was recorded."""

    def __init__(self, settings: Settings, network: Network, choices: Choices) -> None:
        self.world = opening(settings)
        self.network = network
        self.choices = choices
        self.now = 0
        self.events = 0
        self.arrivals: list[tuple[int, int, int, bool, str]] = []
        self.order = 0
        self.altered: set[int] = set()
        self.directions: dict[tuple[int, int], Direction] = {}
        self.segments: list[Sent] = []
        self.deliveries: list[Delivery] = []
        self.transitions: list[str] = []

    def take(self, event: Event) -> None:
        """Let an event happen now, and hand to the network what it makes the hosts send."""
        self.events += 1
        after = step(self.world, event, now=self.now)
        self.world = after.world
        if after.transitions:
            self.transitions += after.transitions
        for segment in after.sent:
            self.segments.append(segment)
            self._convey(segment)
        self.now += EFFORT

    def _convey(self, segment: Sent) -> None:
        """Ask the network for the fate of a segment that was just sent."""
        way = (segment.subflow, segment.host)
        what, self.directions[way] = fate(
            self.network.path(segment.subflow),
            self.directions.get(way, CLEAR),
            segment.time,
            len(segment.payload),
            self.choices,
            segment.host,
        )
        if not what.arrivals:
            after = step(self.world, Lose(number=segment.number), now=self.now)
            self.world = after.world
            self.transitions += after.transitions
        last = len(what.arrivals) - 1
        for turn, arrival in enumerate(what.arrivals):
            self.order += 1
            entry = (arrival, self.order, segment.number, turn < last, what.alteration)
            heappush(self.arrivals, entry)

    def arrive(self, agent: Agent) -> None:
        """Let the next segment arrive."""
        time, _, number, stays, alteration = heappop(self.arrivals)
        self.now = max(self.now, time)
        segment = self._flying(number)
        if alteration and segment is not None and number not in self.altered:
            self._alter(segment, alteration)
            segment = self._flying(number)
        if segment is None:
            return
        self.deliveries.append(Delivery(time=self.now, segment=segment))
        if stays:
            self.take(Repeat(number=number))
        else:
            self.take(agent.shape(self.world, Deliver(number=number), self.choices))

    def _flying(self, number: int) -> Sent | None:
        """The segment of this number as it is in flight, if it is."""
        return next((one for one in self.world.flight if one.number == number), None)

    def _alter(self, segment: Sent, alteration: str) -> None:
        """Let a middlebox change a segment before it arrives, if there is anything to change."""
        number, length = segment.number, len(segment.payload)
        self.altered.add(number)
        if alteration == "strip" and segment.options:
            self.take(Alter(number=number))
        elif alteration == "corrupt" and length:
            octet = self.choices.integer(0, length - 1)
            flip = self.choices.integer(1, 255)
            self.take(Alter(number=number, octet=octet, flip=flip))

    def trace(self) -> Trace:
        """What was recorded."""
        connection, subflows = truths(self.world)
        return Trace(
            connections=(connection,),
            subflows=subflows,
            segments=tuple(self.segments),
            deliveries=tuple(self.deliveries),
            transitions=tuple(self.transitions),
        )


def drive(
    settings: Settings,
    policy: Policy,
    network: Network,
    choices: Choices,
    limits: Limits = Limits(),
) -> Trace:
    """Simulate one connection.

    Args:
        settings: The connection before its first event.
        policy: What the hosts do by themselves.
        network: What becomes of their segments.
        choices: Where chance comes from; policy and network ask it in turn.
        limits: When to stop.
    """
    run = _Run(settings, network, choices)
    agent = policy.start(settings, network)
    while (
        len(run.segments) < limits.segments and run.now < limits.time and run.events < limits.events
    ):
        event, until = agent.turn(run.world, run.now, not run.arrivals, choices)
        if event is not None:
            run.take(event)
        elif run.arrivals and (until is None or run.arrivals[0][0] <= until):
            run.arrive(agent)
        elif until is not None:
            run.now = max(until, run.now)
        else:
            break
    most = len(run.segments) + TAIL
    while run.arrivals and len(run.segments) < most:
        run.arrive(agent)
    return run.trace()
