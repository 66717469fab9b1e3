"""Sequences as values: events with a number each, played to an implementation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mptcp_oracle.live.peer.link import Log
from mptcp_oracle.live.peer.peer import Peer, StalledError
from mptcp_oracle.live.peer.target import Target
from mptcp_oracle.live.stateful import falling, illegal, legal
from mptcp_oracle.live.stateful.play import FindingError, Play

__all__ = ["EVENTS", "Plan", "Played", "drawn", "play", "reductions"]

EVENTS = {**legal.EVENTS, **illegal.EVENTS, **falling.EVENTS}
"""Name of every event to its condition and its script."""


OFTEN = ("join",) * 6 + ("announce",) * 3 + ("write",) * 2
"""Events that are drawn oftener: those after which more can happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sequence.

    Attributes:
        steps: Names of events, each with a number from 0 to 255 that decides its details. One
            whose condition does not hold when its turn comes is left out.
        calls: Whether the implementation is the initiator.
        checksum: Whether checksums are in use.
    """

    steps: tuple[tuple[str, int], ...]
    calls: bool = False
    checksum: bool = False


@dataclass(slots=True, kw_only=True)
class Played:
    """What playing a sequence gave.

    Attributes:
        plan: The sequence. finding: What was wrong, if anything. log: Its packets.
        taken: Transitions of the model by state. events: Those that were played.
        calls: What the application called, in packetdrill's words, and the frame before it.
    """

    plan: Plan
    finding: str | None = None
    log: Log = field(default_factory=Log)
    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    calls: list[tuple[int, str]] = field(default_factory=list)


def drawn(octets: bytes) -> Plan:
    """The sequence that some octets stand for: the settings, then two for each step."""
    names = [*sorted(EVENTS), *OFTEN]
    steps = zip(octets[1::2], octets[2::2], strict=False)
    return Plan(
        steps=tuple((names[first % len(names)], number) for first, number in steps),
        calls=bool(octets[0] & 1),
        checksum=bool(octets[0] & 2),
    )


def play(plan: Plan, target: Target, seed: str, *, telling: bool = False) -> Played:
    """Play a sequence to an implementation that listens.

    Args:
        plan: The sequence.
        target: The implementation.
        seed: Decides keys, numbers and ports.
        telling: Whether the log has lines for people.
    """
    peer = Peer(target.link, target.settings.family, seed, telling=telling)
    done = Played(plan=plan, log=peer.log)
    stage = Play(peer, target)
    try:
        stage.begin(calls=plan.calls, checksum=plan.checksum)
        try:
            for name, number in plan.steps:
                condition, script = EVENTS[name]
                if condition(stage):
                    peer.say(f"{name} {number}")
                    done.events[name] += 1
                    script(stage, number)
                    stage.check()
        finally:
            stage.end()
    except FindingError as error:
        done.finding = error.kind
    except StalledError as error:
        done.finding = error.message
    done.taken, done.calls = stage.tracker.taken, stage.called
    return done


def reductions(plan: Plan) -> Sequence[Plan]:
    """Smaller plans, the boldest first: fewer steps, smaller numbers, simpler settings."""
    steps, found = plan.steps, []
    size = len(steps) // 2
    while size:
        found += [
            replace(plan, steps=steps[:at] + steps[at + size :])
            for at in range(0, len(steps), size)
        ]
        size //= 2
    found += [replace(plan, calls=False)] if plan.calls else []
    found += [replace(plan, checksum=False)] if plan.checksum else []
    for at, (name, number) in enumerate(steps):
        for smaller in (0, 1, number // 2, number - 1):
            if 0 <= smaller < number:
                found.append(replace(plan, steps=(*steps[:at], (name, smaller), *steps[at + 1 :])))
    return found
