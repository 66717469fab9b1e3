"""The triggers of each catalogue over a few fresh captures."""

from __future__ import annotations

import dataclasses

import pytest

from tests.common.machine import tool
from tests.triggers import campaign
from tests.triggers.tally import Tally

#: Captures, and what they follow from.
COUNT, SEED = 40, 1


def measured(name: str) -> Tally:
    """The tally of a few captures."""
    tool(name)
    found = Tally()
    for each in campaign.campaign(name, count=COUNT, seed=SEED):
        found.merge(each)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tshark", "tcpdump"])
def test_triggers_are_right(name: str) -> None:
    """Every trigger that occurs in these captures reaches what it has to."""
    found = measured(name)
    known = campaign.entries(name, 1)
    assert found.captures == COUNT
    assert not found.missed(known), "\n".join(found.lines(known))


def test_a_broken_trigger_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measurement fails for a trigger that says the opposite."""
    tool("tshark")
    right = next(each for each in campaign.entries("tshark", 1) if each.id == "no-flag-ack")
    wrong = dataclasses.replace(right, foresees=lambda place: not right.foresees(place))
    for entry, missed in ((right, []), (wrong, [right.id])):
        monkeypatch.setattr(campaign, "entries", lambda name, passes, entry=entry: (entry,))
        found = campaign.examined("tshark", 1, SEED, 0)
        assert found.missed([entry]) == missed
