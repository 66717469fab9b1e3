"""Random walks through the model."""

from __future__ import annotations

import pytest

from mptcp_oracle.encode import encode, pad
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.enabling import enabled
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.step import step, truths
from mptcp_oracle.model.tables import TRANSITIONS
from mptcp_oracle.model.varying import vary
from mptcp_oracle.model.world import opening


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("seed", range(10))
def test_what_is_offered_is_legal_and_can_be_written(version: int, seed: int) -> None:
    """Every event that is offered, varied or not, can be taken, and its options have octets."""
    choices = Counted(seed, "walk")
    world = opening(Settings(version=version, checksum=(seed % 2 == 0, False), seed=seed))
    for now in range(80):
        events = enabled(world)
        if not events:
            break
        event = vary(world, choices.pick(events), choices)
        outcome = step(world, event, now)
        assert set(outcome.transitions) <= TRANSITIONS.keys()
        for segment in outcome.sent:
            pad(encode(option) for option in segment.options)
            assert sum(each.octets for each in segment.ranges) == len(segment.payload)
        world = outcome.world
        hash(world)
    truths(world)
