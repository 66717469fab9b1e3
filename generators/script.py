"""Scripts: hosts that do what was written down for them, event by event.

A script is a policy like any other: the network still decides when a segment arrives and whether
it does. While a script waits, both hosts acknowledge what they owe, as any host would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Agent, Policy, Turn
from mptcp_oracle.model.enabling import acts
from mptcp_oracle.model.events import Acknowledge, Deliver, Event
from mptcp_oracle.model.network import Network
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.world import World

__all__ = ["QUIET", "REST", "Item", "Pause", "Rest", "Script", "Until", "Write"]

MS = 1_000_000
#: Acknowledgments in one pause; more would be a conversation that never ends.
MOST_ACKS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Wait until nothing is in flight.

    Attributes:
        acks: Whether hosts acknowledge meanwhile what they owe.
    """

    acks: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many milliseconds; what arrives meanwhile is acknowledged."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until so many milliseconds of the virtual clock; likewise."""

    milliseconds: int


Item: TypeAlias = Event | Rest | Pause | Until | Callable[[World], Event | None]
"""A line of a script: an event, a wait, or what to do as the world is then."""

Write: TypeAlias = Callable[[Choices, Settings], Sequence[Item]]
"""What writes a script: it may draw sizes."""

REST, QUIET = Rest(), Rest(acks=False)


USUAL = Deliver(number=0, data_ack=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Policy):
    """Hosts that follow a script.

    Attributes:
        write: Gives the lines.
        answer: How hosts answer what arrives: parameters of every
            :class:`~mptcp_oracle.model.events.Deliver`.
    """

    write: Write
    answer: Deliver = USUAL

    def start(self, settings: Settings, network: Network) -> Agent:
        """The script, from its first line."""
        return _Reading(self, settings)


class _Reading(Agent):
    """A script at work on one connection."""

    def __init__(self, script: Script, settings: Settings) -> None:
        self.script, self.settings = script, settings
        self.lines: Sequence[Item] | None = None
        self.at = 0
        self.until: int | None = None
        self.acks = 0

    def turn(self, world: World, now: int, idle: bool, choices: Choices) -> Turn:
        """What the next line says, or an acknowledgment before."""
        if self.lines is None:
            self.lines = self.script.write(choices, self.settings)
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if isinstance(line, Rest | Pause | Until):
                if not isinstance(line, Rest) or line.acks:
                    due = self._due(world)
                    if due is not None:
                        return due, None
                if not isinstance(line, Rest):
                    if self.until is None:
                        begin = now if isinstance(line, Pause) else 0
                        self.until = begin + line.milliseconds * MS
                    if now < self.until:
                        return None, self.until
                elif not idle:
                    return None, None
                self._next()
                continue
            self._next()
            event = line(world) if callable(line) else line
            if event is not None:
                return event, None
        return None, None

    def _next(self) -> None:
        self.at += 1
        self.until, self.acks = None, 0

    def _due(self, world: World) -> Event | None:
        """An acknowledgment that a host owes."""
        if self.acks >= MOST_ACKS or not world.subflows:
            return None
        for event in acts(world):
            if isinstance(event, Acknowledge):
                self.acks += 1
                return event
        return None

    def shape(self, world: World, event: Deliver, choices: Choices) -> Event:
        """A delivery that is answered as the script says."""
        return replace(self.script.answer, number=event.number)
