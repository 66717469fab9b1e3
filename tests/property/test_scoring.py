"""Schedulers and copies on a small set of trials that no threshold was chosen on.

``python -m tests.scoring`` runs the large set; docs/schedulers.md has its tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from mptcp_oracle.analysis import schedulers
from mptcp_oracle.analysis.entities import Scheduler
from tests.scoring.tables import precision
from tests.scoring.trials import KINDS, SETS, Grid, Result, score, trials

#: Policies of the small set: every kind, and the negatives that copy most.
POLICIES = (
    "redundant",
    "redundant_unacked",
    "aggressive_timeout",
    "opportunistic",
    "after_loss",
    "lowest_rtt",
)


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """The small set, scored."""
    return [result for trial in trials(SETS["sample"], POLICIES) for result in score(trial)]


def wrong(results: Iterable[Result]) -> Iterator[str]:
    """What is not as it has to be, one sentence each."""
    results = list(results)
    for result in results:
        positive = KINDS[result.trial.policy] != "negative"
        if result.redundant and not positive:
            yield f"{result.vantage}: {result.trial} is called redundant: {result.why}"
        if result.vantage != "sender" and result.redundant not in (None, positive):
            yield f"{result.vantage}: {result.trial} is called wrong: {result.why}"
    full = [
        result
        for result in results
        if KINDS[result.trial.policy] == "full"
        and result.vantage == "sender"
        and result.trial.length >= 100
        and result.both
    ]
    found = sum(result.redundant is True for result in full)
    if not full or found < 0.99 * len(full):
        yield f"{found} of {len(full)} schedulers that copy all are recognised"
    for given in ("reinjection", "redundant"):
        right, whole = precision(results, "sender", given)
        if not whole or right < 0.999 * whole:
            yield f"{right} of {whole} octets called {given} are"


def test_no_scheduler_is_called_redundant_wrongly(results: list[Result]) -> None:
    """No false positive, nearly every full copier recognised, copies called what they are."""
    assert list(wrong(results)) == []


def test_most_copies_are_told_apart_at_the_sender(results: list[Result]) -> None:
    """At the sender at most half of the octets of copies stay unclassified."""
    given = {name: precision(results, "sender", name)[1] for name in (
        "reinjection", "redundant", "unclassified"
    )}  # fmt: skip
    assert 2 * given["unclassified"] <= sum(given.values())


def no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls whoever copied anything redundant, whatever showed a reason."""
    observe = schedulers._scheduler

    def hasty(*args: object) -> object:
        seen = observe(*args)  # type: ignore[arg-type]
        return Scheduler(redundant=bool(seen.share), share=seen.share, why="copied", lags=seen.lags)

    monkeypatch.setattr(schedulers, "_scheduler", hasty)


def high_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks for more octets than these transfers have."""
    monkeypatch.setattr(schedulers, "REDUNDANT_OCTETS", 1 << 40)


@pytest.mark.parametrize("spoil", [no_bar, high_bar])
def test_a_wrong_judge_is_caught(
    spoil: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a judge with its thresholds off fails the very same check."""
    spoil(monkeypatch)
    grid = SETS["sample"]
    small = Grid(
        seeds=grid.seeds, losses=(50,), ratios=grid.ratios, delays=grid.delays,
        sizes=grid.sizes, lengths=(100,), timeout=grid.timeout, rate=grid.rate,
    )  # fmt: skip
    some = [
        result
        for trial in trials(small, ("redundant", "aggressive_timeout"))
        for result in score(trial)
    ]
    assert any("called" in fault or "recognised" in fault for fault in wrong(some))


def test_reasons_mistaken_for_none_are_caught(results: list[Result]) -> None:
    """Negative control: classes of copies that are swapped fail the check of their precision."""
    swapped = {"reinjection": "redundant", "redundant": "reinjection"}
    spoilt = [
        Result(
            trial=result.trial,
            vantage=result.vantage,
            redundant=result.redundant,
            both=result.both,
            why=result.why,
            octets=type(result.octets)(
                {(cause, swapped.get(name, name)): n for (cause, name), n in result.octets.items()}
            ),
        )
        for result in results
    ]
    assert sum("octets called" in fault for fault in wrong(spoilt)) == 2
