"""One process of a run: it works through every n-th case and reports each of them."""

from __future__ import annotations

import faulthandler
import resource
import traceback
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from tests.common.hostile import TooSlow, compare
from tests.common.mutate import mutated

__all__ = ["MEMORY", "Result", "peak", "try_case", "work"]

#: Address space of a process: what needs more has no bound.
MEMORY = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one case gave.

    Attributes:
        index: Its number. connections, mappings, copies: Whether any were found.
        error: Kind of the clean error, or ``""``. seconds: By engine.
        failure: What was wrong, or ``""``. peak: Octets of memory that the process had at most.
        done: What was done to the capture.
    """

    index: int
    connections: bool = False
    mappings: bool = False
    copies: bool = False
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    peak: int = 0
    done: tuple[str, ...] = ()


def peak() -> int:
    """Octets of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def try_case(seed: int, index: int) -> Result:
    """Run one case; nothing escapes."""
    case = mutated(seed, index)
    try:
        outcomes, different = compare(case.octets)
    except (Exception, TooSlow):
        text = traceback.format_exc()
        return Result(index=index, failure=text, peak=peak(), done=case.done)
    found = outcomes["compiled"]
    return Result(
        index=index,
        connections=found.connections > 0,
        mappings=found.mappings > 0,
        copies=found.copies > 0,
        error=found.error,
        seconds={kind: outcome.seconds for kind, outcome in outcomes.items()},
        failure="\n".join(["plain != compiled", *different]) if different else "",
        peak=peak(),
        done=case.done,
    )


def work(pipe: Connection, current: Any, seed: int, cases: range) -> None:
    """Run cases and send their results.

    Args:
        pipe: Takes a :class:`Result` a case.
        current: A shared integer that tells the case in progress, for when this process dies.
        seed: The run's seed.
        cases: Numbers of the cases.
    """
    faulthandler.enable()
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for index in cases:
        current.value = index
        pipe.send(try_case(seed, index))
    pipe.close()
