"""Generated runs under watch: every step of the model is checked against every invariant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mptcp_oracle.model import driver
from mptcp_oracle.model.events import Event
from mptcp_oracle.model.invariants import violations
from mptcp_oracle.model.step import Step
from mptcp_oracle.model.world import World

__all__ = ["BrokenInvariantError", "watched"]


class BrokenInvariantError(AssertionError):
    """A step of the model broke an invariant."""


@contextmanager
def watched() -> Iterator[None]:
    """Inside, every simulated step that breaks an invariant raises.

    Raises:
        BrokenInvariantError: With the invariants, what is violated, and the event.
    """
    unwatched = driver.step

    def step(world: World, event: Event, now: int = 0) -> Step:
        outcome = unwatched(world, event, now=now)
        broken = violations(world, outcome)
        if broken:
            raise BrokenInvariantError("; ".join([*broken, str(event)]))
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "step", step)
        yield
