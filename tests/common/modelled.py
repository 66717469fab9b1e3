"""A modelled connection that a test plays event by event."""

from __future__ import annotations

from mptcp_oracle.model.events import Acknowledge, Connect, Deliver, Event, Join, Send
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.step import step
from mptcp_oracle.model.trace import Sent
from mptcp_oracle.model.world import Half, Host, World, opening

__all__ = ["Play"]


class Play:
    """A world and what led to it.

    Attributes:
        world: Now. sent: All segments so far, by number. transitions: Those taken so far.
    """

    def __init__(self, **settings: object) -> None:
        self.world: World = opening(Settings(**settings))  # type: ignore[arg-type]
        self.sent: list[Sent] = []
        self.transitions: list[str] = []

    def do(self, event: Event) -> tuple[Sent, ...]:
        """One event; gives what was sent."""
        outcome = step(self.world, event, now=len(self.sent))
        self.world = outcome.world
        self.sent += outcome.sent
        self.transitions += outcome.transitions
        return outcome.sent

    def arrive(self, **reply: object) -> None:
        """Everything in flight arrives in order, and what is sent because of it too."""
        while self.world.flight:
            self.do(Deliver(number=self.world.flight[0].number, **reply))  # type: ignore[arg-type]

    def open(self) -> Play:
        """The initial subflow, over which a DSS has gone both ways."""
        self.do(Connect())
        self.arrive()
        self.do(Send(host=0, subflow=0, octets=10))
        self.arrive()
        self.do(Acknowledge(host=1, subflow=0))
        self.arrive()
        return self

    def join(self, host: int = 0) -> int:
        """One more subflow; gives its number."""
        number = len(self.world.subflows)
        self.do(Join(host=host, local=1, remote=0))
        self.arrive()
        return number

    def host(self, role: int) -> Host:
        """A host now."""
        return self.world.hosts[role]

    def half(self, subflow: int, role: int) -> Half:
        """A half of a subflow now."""
        return self.world.subflows[subflow].halves[role]
