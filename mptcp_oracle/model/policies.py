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
from mptcp_oracle.model.closing import may_combine
from mptcp_oracle.model.driver import Agent, Policy, Turn
from mptcp_oracle.model.enabling import acts
from mptcp_oracle.model.events import (
    Acknowledge,
    Close,
    Deliver,
    Event,
    FastClose,
    Finish,
    Join,
    Read,
    Reset,
    Retransmit,
)
from mptcp_oracle.model.network import Network
from mptcp_oracle.model.sending import elsewhere
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.varying import vary
from mptcp_oracle.model.world import CAN_SEND, DATA_OUT, MPTCP, World

__all__ = ["Profile", "Wanderer"]

MS = 1_000_000
#: Nanoseconds after which a time-out strikes.
TIMEOUT = 210 * MS
#: What weights are multiplied with, to be shared; where they are less than the second together,
#: waiting for an arrival has the rest.
SCALE, LEAST_HASTE = 8, 160

DATA: Mapping[str, int] = MappingProxyType(
    {
        "Send": 40,
        "Acknowledge": 14,
        "Join": 14,
        "Echo": 10,
        "Probe": 10,
        "Read": 2,
        "Copy": 5,
        "Announce": 4,
        "Prioritise": 3,
        "Stall": 3,
        "Withdraw": 1,
        "Remap": 1,
        "Retransmit": 1,
        "KeepAlive": 1,
        "Close": 1,
        "Reset": 1,
        "FastClose": 0,
    }
)
"""Weights while the connection lives, by classes of events; of others :data:`OTHER`."""

ENDING: Mapping[str, int] = MappingProxyType(
    {
        "Finish": 30,
        "Acknowledge": 20,
        "Close": 20,
        "Read": 20,
        "Echo": 4,
        "Send": 3,
        "Reset": 2,
        "Copy": 2,
        "Probe": 2,
        "Remap": 1,
        "FastClose": 0,
        "Retransmit": 1,
        "Prioritise": 1,
        "Withdraw": 1,
        "KeepAlive": 1,
        "Announce": 0,
        "Stall": 0,
        "Join": 0,
    }
)
"""Weights when it is to end; of others :data:`OTHER`."""

OTHER = 2

#: States in which both DATA_FINs were acknowledged, or there are none.
DONE = ("M_TIME_WAIT", "M_CLOSED", "TCP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a wanderer likes.

    Attributes:
        length: Least and most segments after which the connection is to end.
        brief: One trace of so many is shorter than that, so that all can shrink; 0 for none.
        ends: How traces end, by weight: ``close``, ``abort``, or ``stop`` (they stay open).
        patience: How many arrivals it waits for before it acts again, if anything is in
            flight; one of these numbers.
        subflows: How many subflows it opens soon; one of these numbers.
        data, ending: Weights of events by class.
    """

    length: tuple[int, int] = (30, 70)
    brief: int = 0
    ends: tuple[tuple[int, str], ...] = ((13, "close"), (3, "abort"), (4, "stop"))
    patience: tuple[int, ...] = (1, 0, 1, 2, 0, 3, 1, 6)
    subflows: tuple[int, ...] = (3, 1, 2, 4, 2, 5)
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
        self.end = ""  # how
        self.subflows = 1
        self.waits = 0  # for how many arrivals
        self.role = 0  # who acts next
        self.due: Event | None = None  # what a time-out is going to do

    def turn(self, world: World, now: int, idle: bool, choices: Choices) -> Turn:
        """An event, or a pause until the next arrival."""
        if self.limit is None:
            low, high = self.profile.length
            if self.profile.brief and not choices.integer(0, self.profile.brief - 1):
                low, high = 0, low
            self.limit = choices.integer(low, high)
            self.end = choices.weighted(self.profile.ends)
            self.subflows = choices.pick(self.profile.subflows)
        if self.waits and not idle:
            self.waits -= 1
            return None, None
        if self.due is not None and idle:
            event, self.due = self.due, None
            return vary(world, event, choices), None
        ending = world.number >= self.limit
        if ending and self.end == "stop":
            return None, None
        # With nothing in flight both hosts are asked, so that no time-out strikes for nothing.
        roles = (0, 1) if idle else (self.role,)
        options = self._options(world, roles, idle, ending)
        total = sum(weight for weight, _ in options)
        if not total:
            self.role = 1 - self.role
            return None, None
        # Where there is little to do, rather wait for what is in flight.
        rest = 0 if idle else max(0, LEAST_HASTE - total)
        at = choices.integer(0, total + rest - 1) - rest
        chosen = None
        for weight, events in options if at >= 0 else ():
            if at < weight:
                # A class shares its weight among its events.
                chosen = events[at * len(events) // weight]
                break
            at -= weight
        if chosen is None:
            return None, None
        patience = self.profile.patience
        self.role, at = divmod(choices.integer(0, 2 * len(patience) - 1), len(patience))
        self.waits = patience[at]
        if idle and isinstance(chosen, Retransmit):
            self.due = chosen
            return None, now + TIMEOUT
        return vary(world, chosen, choices), None

    def _options(
        self, world: World, roles: tuple[int, ...], idle: bool, ending: bool
    ) -> list[tuple[int, list[Event]]]:
        """The apt events, by class, each class with its weight."""
        weights = self.profile.ending if ending else self.profile.data
        groups: dict[type[Event], list[Event]] = {}
        for event in (*acts(world, roles), *_extras(world, roles, ending)):
            kind = type(event)
            if kind in groups:
                groups[kind].append(event)
            else:
                groups[kind] = [event]
        options = []
        for kind, events in groups.items():
            weight = weights.get(kind.__name__, OTHER)
            if kind is Retransmit:
                # What is in flight may still arrive: sending again is rare then, else urgent.
                weight = 12 if idle else weight
            elif kind is Join and len(world.subflows) >= self.subflows:
                continue
            elif kind is Read and idle:
                weight = 6
            elif kind is FastClose and ending and self.end == "abort":
                weight = 40
            elif kind is Finish:
                first = [one for one in events if world.hosts[one.host].fin is None]  # type: ignore[union-attr]
                if first and ending:
                    events = first
                elif len(first) == len(events):
                    continue
                else:
                    weight = 8 if idle else 1
                    events = [one for one in events if one not in first]
            elif ending and kind in (Close, Reset):
                # First the DATA_FINs, mostly.
                done = [one for one in events if world.hosts[one.host].state in DONE]  # type: ignore[union-attr]
                events, weight = (done, weight) if done else (events, kind is Close and 1)
            elif kind in (Close, Reset):
                # Data needs subflows: leave two to each host.
                events = [one for one in events if _alive(world, one.host) > 2]  # type: ignore[union-attr]
                if not events:
                    continue
            if weight:
                options.append((SCALE * weight, events))
        if ending:
            # What ends the trace is the simplest choice.
            options.sort(key=_weight, reverse=True)
        return options

    def shape(self, world: World, event: Deliver, choices: Choices) -> Event:
        """A delivery with what its receiver does at once."""
        return vary(world, event, choices)


def _extras(world: World, roles: tuple[int, ...], ending: bool) -> list[Event]:
    """Legal events that the model does not offer by itself, because they are never needed.

    An acknowledgment of nothing new, a mapping announced on an ACK (version 0), and a DATA_FIN on
    the FIN of the last subflow in use.
    """
    extras: list[Event] = []
    for role in roles:
        host = world.hosts[role]
        if host.state not in MPTCP:
            continue
        halves = [subflow.halves[role] for subflow in world.subflows]
        announced = any(subflow.halves[role].ahead for subflow in world.subflows)
        for number, subflow in enumerate(world.subflows):
            half = subflow.halves[role]
            if half.state not in CAN_SEND:
                continue
            if not ending:
                if not half.owed:
                    extras.append(Acknowledge(host=role, subflow=number))
                octets = min(world.settings.unit, host.limit - host.snd_nxt)
                plain = half.ahead is None and not host.orphans
                plain = plain and not elsewhere(world, role, number)
                if not world.version and host.state in DATA_OUT and plain and octets > 0:
                    extras.append(Acknowledge(host=role, subflow=number, announce=octets))
            elif (
                may_combine(host, halves, number)
                and not announced
                and not host.orphans
                and (host.state in DATA_OUT if host.fin is None else host.snd_una <= host.fin)
            ):
                extras.append(Finish(host=role, subflow=number, fin=True))
            break
    return extras


def _weight(option: tuple[int, list[Event]]) -> int:
    return option[0]


def _alive(world: World, role: int) -> int:
    """On how many subflows a host may send data."""
    return sum(subflow.halves[role].state in CAN_SEND for subflow in world.subflows)
