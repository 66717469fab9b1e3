"""Facts do not depend on names: of addresses, ports, numbers, times, links, and of neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis.strategies import DrawFn, SearchStrategy, composite
from mptcp_oracle.generators import Drawn, Sample

from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.compose import SMALL, Plan, compose
from tests.common.profiles import examples, profile, shares
from tests.common.renaming import (
    RENAMINGS,
    Renaming,
    comparable,
    merged,
    other_ends,
    returned,
)
from tests.proof.equal import facts_of, plan_of

MERGED = "other connections"
NAMES = (*RENAMINGS, MERGED)


def beside(capture: Capture, choices: Choices, plan: Plan) -> Renaming | None:
    """The capture among the frames of another one with other ends; ``None`` for equal keys."""
    other = compose(choices, replace(plan, connections=(1,), noise=False))
    stranger = other_ends(other, choices).capture
    keys = [host.key for each in capture.trace.connections for host in each.hosts]
    if any(host.key in keys for each in stranger.trace.connections for host in each.hosts):
        return None
    return merged(capture, stranger, choices)


@composite
def renamed(draw: DrawFn, plan: Plan) -> tuple[str, Sample, Renaming]:
    """A capture, and the same one renamed in one way."""
    choices = Drawn(draw)
    sample = Sample(compose(choices, plan))
    name = choices.pick(NAMES)
    if name == MERGED:
        found = beside(sample.capture, choices, SMALL)
        return (name, sample, found) if found is not None else reject()
    return name, sample, RENAMINGS[name](sample.capture, choices)


def both(sample: Sample, renaming: Renaming) -> tuple[list[object], list[object]]:
    """The facts of a capture, and those of its renaming in the same names."""
    facts = facts_of(sample.octets)
    other = facts_of(Sample(renaming.capture).octets)
    return list(comparable(facts)), list(returned(renaming, other, facts))


def cases(plan: Plan) -> SearchStrategy[tuple[str, Sample, Renaming]]:
    """Captures with a renaming of each."""
    return renamed(plan)


@pytest.mark.parametrize("share", shares("invariant"))
@settings(max_examples=examples("invariant"), suppress_health_check=list(HealthCheck))
@given(case=cases(plan_of(profile())))
def test_facts_do_not_depend_on_names(share: int, case: tuple[str, Sample, Renaming]) -> None:
    """Renamed, shifted, written otherwise or among strangers, a capture has the same facts."""
    name, sample, renaming = case
    before, after = both(sample, renaming)
    assert after == before, name


@pytest.mark.parametrize("name", NAMES)
def test_each_renaming_changes_the_file(name: str) -> None:
    """No renaming is idle: nearly every capture becomes other octets, with facts of its own."""
    different = 0
    for number in range(12):
        choices = Counted(21, f"{name} {number}")
        sample = Sample(compose(choices, replace(SMALL, noise=False)))
        renaming = (
            beside(sample.capture, choices, SMALL)
            if name == MERGED
            else RENAMINGS[name](sample.capture, choices)
        )
        assert renaming is not None
        different += Sample(renaming.capture).octets != sample.octets
    assert different >= 10


def plain(seed: int) -> Sample:
    """A perfect capture of one connection with a good many MPTCP segments."""
    plan = replace(SMALL, damaged=False, noise=False, connections=(1,))
    samples = (Sample(compose(Counted(seed, str(number)), plan)) for number in range(50))
    return next(each for each in samples if len(facts_of(each.octets)) > 40)


@pytest.mark.parametrize("name", ["addresses and ports", "initial sequence numbers", "times"])
def test_a_renaming_that_is_not_undone_is_noticed(name: str) -> None:
    """The property can fail: without the way back the facts differ."""
    sample = plain(22)
    renaming = RENAMINGS[name](sample.capture, Counted(23))
    before, after = both(sample, Renaming(renaming.capture))
    assert after != before


def test_a_wrong_renaming_is_noticed() -> None:
    """The property can fail: a frame moved to another place, or one host renamed alone, shows."""
    sample = plain(24)
    moved = Renaming(replace(sample.capture, frames=sample.capture.frames[::-1]))
    before, after = both(sample, moved)
    assert after != before
    trace = sample.capture.trace
    first, *others = trace.subflows
    alone = replace(first, isns=(first.isns[0] + 1, first.isns[1]))
    wrong = replace(sample.capture, trace=replace(trace, subflows=(alone, *others)))
    before, after = both(sample, Renaming(wrong))
    assert after != before
