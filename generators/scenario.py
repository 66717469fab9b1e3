"""Scenarios: what a named kind of connection is, and how its lines are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from mptcp_oracle.generators.script import REST, Item, Pause, Until

from mptcp_oracle.model.capture import Layout
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Limits, Policy
from mptcp_oracle.model.events import Close, Connect, Finish, Join, Send
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.settings import Settings

__all__ = ["CALM", "PLAIN", "Change", "Play", "Scenario", "calm", "having"]

MS = 1_000_000

PLAIN = Layout(timestamps=True, directions=True)
"""The layout of scenarios that are not about layouts."""


def calm(*delays: int) -> Network:
    """Paths that lose nothing, with so many milliseconds one way."""
    return Network(paths=tuple(Path(delay=delay * MS) for delay in delays))


CALM = calm(10, 25, 15, 40)


Change: TypeAlias = Callable[[Settings, int], Settings]
"""What a scenario makes of plain settings; the number is the connection's place in its file."""


def having(**changes: object) -> Change:
    """What gives settings these values."""
    return lambda settings, _: replace(settings, **changes)  # type: ignore[arg-type]


AS_THEY_ARE = having()
ENOUGH = Limits(segments=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named kind of connection.

    Attributes:
        name: Words with hyphens. why: What one learns or tests with it, in a paragraph.
        behaviour: What the hosts do.
        settings: What it makes of the plain settings; ``None`` to draw settings of all kinds.
        network: The paths; ``None`` to draw them.
        vantage: Where the tap is; empty to draw it.
        layout: How captures are written; ``None`` to draw it.
        defects: Names of the capture's defects; ``None`` to draw them.
        versions: Versions that it makes sense in, the usual one first.
        others: Packets of other traffic beside it; ``None`` to draw that.
        connections: Weights of one, two ... connections in a capture.
        limits: When to stop, whatever the hosts want.
    """

    name: str
    why: str
    behaviour: Policy
    settings: Change | None = AS_THEY_ARE
    network: Network | None = CALM
    vantage: str = "initiator"
    layout: Layout | None = PLAIN
    defects: tuple[str, ...] | None = ()
    versions: tuple[int, ...] = (1, 0)
    others: int | None = 0
    connections: tuple[int, ...] = (1,)
    limits: Limits = ENOUGH


class Play:
    """Lines of a script in the making, and which DSN each host sends next.

    Args:
        pick: Where sizes come from.
    """

    def __init__(self, pick: Choices) -> None:
        self.pick = pick
        self.lines: list[Item] = []
        self.next = [1, 1]

    def do(self, *lines: Item) -> Play:
        """Add lines."""
        self.lines += lines
        return self

    def size(self, low: int = 100, high: int = 1400) -> int:
        """A number of octets."""
        return self.pick.integer(low, high)

    def say(
        self, host: int, subflow: int = 0, octets: int = 0, *, rest: bool = True, **shape: object
    ) -> int:
        """New data; gives the DSN of its first octet.

        Args:
            host: Who sends.
            subflow: Where.
            octets: How many; a size is drawn for 0.
            rest: Whether to wait for what follows.
            shape: Further parameters of :class:`~mptcp_oracle.model.events.Send`.
        """
        octets = octets or self.size()
        first = self.next[host]
        event = Send(host=host, subflow=subflow, octets=octets)
        event = replace(event, **shape)  # type: ignore[arg-type]
        self.next[host] += octets + event.ahead + event.fin
        self.lines.append(event)
        if rest:
            self.lines.append(REST)
        return first

    def open(self) -> Play:
        """The initial subflow, and data on it each way."""
        self.do(Connect(), REST)
        self.say(0)
        self.say(1)
        return self

    def join(
        self, local: int = 1, remote: int = 0, *, host: int = 0, port: int | None = None,
        backup: bool = False,
    ) -> Play:  # fmt: skip
        """A further subflow."""
        event = Join(host=host, local=local, remote=remote, port=port, backup=backup)
        return self.do(event, REST)

    def talk(self, turns: int, *subflows: int) -> Play:
        """So many segments of data from both hosts, on these subflows in turn."""
        for turn in range(turns):
            self.say(turn & 1, subflows[turn // 2 % len(subflows)] if subflows else 0)
        return self

    def end(self, *subflows: int) -> Play:
        """DATA_FINs of both hosts on the first of these subflows, then FINs on all."""
        numbers = subflows or (0,)
        for host in (0, 1):
            self.do(Finish(host=host, subflow=numbers[0]), REST)
        return self.leave(*numbers)

    def leave(self, *subflows: int) -> Play:
        """FINs of both hosts."""
        for number in subflows:
            for host in (0, 1):
                self.do(Close(host=host, subflow=number), REST)
        return self

    def wait(self, milliseconds: int) -> Play:
        """A pause."""
        return self.do(Pause(milliseconds))

    def until(self, milliseconds: int) -> Play:
        """A pause until this time of the virtual clock."""
        return self.do(Until(milliseconds))
