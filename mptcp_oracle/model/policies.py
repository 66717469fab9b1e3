"""The wanderer: random legal behaviour that visits all of the protocol evenly.

It asks the model what the hosts may do, and draws one of that by weights which depend on how far
the trace is: first the connection and its joins, then data and signals, at last the end. Each
decision takes one number, and an event's parameters a few more, so that a source that shrinks
finds small traces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Agent, Policy, Turn
from mptcp_oracle.model.enabling import acts
from mptcp_oracle.model.events import (
    Acknowledge,
    Close,
    Deliver,
    Event,
    Finish,
    Join,
    Reset,
    Retransmit,
)
from mptcp_oracle.model.network import Network
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.varying import vary
from mptcp_oracle.model.world import CAN_SEND, World

__all__ = ["Profile", "Wanderer"]

MS = 1_000_000
#: Nanoseconds after which a time-out strikes.
TIMEOUT = 210 * MS
#: What weights are multiplied with, to be shared; the least weight of waiting for an arrival.
SCALE, LEAST_PATIENCE = 8, 200

DATA: Mapping[str, int] = MappingProxyType(
    {
        "Send": 30,
        "Acknowledge": 12,
        "Join": 12,
        "Copy": 4,
        "Remap": 1,
        "Retransmit": 1,
        "Close": 1,
        "Reset": 1,
    }
)
"""Weights while the connection lives; of events with other names 4."""

ENDING: Mapping[str, int] = MappingProxyType(
    {
        "Send": 3,
        "Acknowledge": 20,
        "Finish": 30,
        "Close": 20,
        "Reset": 2,
        "Retransmit": 1,
        "Copy": 2,
        "Remap": 1,
        "Join": 0,
    }
)
"""Weights when it is to end; of events with other names 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a wanderer likes.

    Attributes:
        length: Least and most segments after which the connection is to end.
        ends: Parts of a hundred traces in which it does end; the others stay open.
        patience: Parts of a hundred turns in which it lets the network go on, if anything is in
            flight.
        subflows: How many subflows it opens soon; one of these numbers.
        data, ending: Weights of events by class.
    """

    length: tuple[int, int] = (36, 90)
    ends: int = 75
    patience: int = 45
    subflows: tuple[int, ...] = (3, 1, 2, 4)
    data: Mapping[str, int] = field(default_factory=lambda: DATA)
    ending: Mapping[str, int] = field(default_factory=lambda: ENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanderer(Policy):
    """Random legal behaviour of both hosts."""

    profile: Profile = Profile()

    def start(self, settings: Settings, network: Network) -> Agent:
        """The wanderer at work."""
        return _Wandering(self.profile)


class _Wandering(Agent):
    """A wanderer at work on one connection."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.limit: int | None = None  # segments after which the connection is to end
        self.stops = False  # whether it then just stops
        self.subflows = 1
        self.due: Event | None = None  # what a time-out is going to do

    def turn(self, world: World, now: int, idle: bool, choices: Choices) -> Turn:
        """An event, or a pause until the next arrival."""
        if self.limit is None:
            low, high = self.profile.length
            self.limit = low + choices.integer(0, high - low)
            self.stops = not choices.chance(self.profile.ends, 100)
            self.subflows = choices.pick(self.profile.subflows)
        if self.due is not None and idle:
            event, self.due = self.due, None
            return vary(world, event, choices), None
        ending = world.number >= self.limit
        if ending and self.stops:
            return None, None
        weights = self.profile.ending if ending else self.profile.data
        other = 2 if ending else 4
        options: list[tuple[int, Event | None]] = []
        total = 0
        offered = acts(world)
        counts: dict[str, int] = {}
        for event in offered:
            name = type(event).__name__
            counts[name] = counts.get(name, 0) + 1
        for event in offered:
            name = type(event).__name__
            weight = self._weight(world, event, weights.get(name, other), idle, ending)
            if weight:
                # A class shares its weight among what it offers.
                weight = max(1, SCALE * weight // counts[name])
                options.append((weight, event))
                total += weight
        if not idle:
            patience = self.profile.patience
            options.append((max(LEAST_PATIENCE, total * patience // (100 - patience)), None))
        if not options:
            return None, None
        chosen = choices.weighted(options)
        if chosen is None:
            return None, None
        if idle and isinstance(chosen, Retransmit):
            self.due = chosen
            return None, now + TIMEOUT
        return vary(world, chosen, choices), None

    def _weight(self, world: World, event: Event, weight: int, idle: bool, ending: bool) -> int:
        """The weight of an event, if it is apt now."""
        if isinstance(event, Retransmit):
            # In flight it may still arrive: sending again is rare then, and urgent otherwise.
            return 12 if idle else weight
        if isinstance(event, Acknowledge):
            half = world.subflows[event.subflow].halves[event.host]
            return weight if half.owed else weight // 3
        if isinstance(event, Join):
            return weight if len(world.subflows) < self.subflows else weight // 6
        if isinstance(event, Finish) and (not ending or world.hosts[event.host].fin is not None):
            sent = world.hosts[event.host].fin is not None
            return (8 if idle else 1) if sent else 0
        if isinstance(event, Close | Reset) and not ending:
            alive = sum(subflow.halves[event.host].state in CAN_SEND for subflow in world.subflows)
            return weight if alive > 2 else 0
        return weight

    def shape(self, world: World, event: Deliver, choices: Choices) -> Event:
        """A delivery with what its receiver does at once."""
        return vary(world, event, choices)
