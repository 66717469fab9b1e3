"""Verdicts are sound, complete and honest, on captures whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mptcp_oracle.conformance.coverage import prove
from mptcp_oracle.generators import Sample
from mptcp_oracle.generators.drawn import drawn

from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.compose import compose
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.rules import general
from mptcp_oracle.rules.judging import AREAS, RULES
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.spec import catalogue
from tests.common.profiles import examples, profile, shares
from tests.proof.equal import plan_of
from tests.verdicts.checking import dishonest, planted, wrongs

JUDGED = {each.number for each in catalogue().values()}
#: One fault of so many is planted here; `mptcp-oracle coverage --check` plants all.
SHARE = 1 if profile() in ("deep", "hunting") else 12


def _composed(choices: Choices) -> Sample:
    return Sample(compose(choices, plan_of(profile())))


SAMPLES = drawn(_composed)


@pytest.mark.parametrize("share", shares("sound"))
def test_lawful_traces_break_nothing(share: int) -> None:
    """No violation is found where there is none, whatever the capture lacks or claims."""

    @settings(max_examples=examples("sound"))
    @given(sample=SAMPLES)
    def holds(sample: Sample) -> None:
        found = [each for each in wrongs(sample.capture) if each.severity == "violation"]
        assert not found, found

    holds()


@pytest.mark.parametrize("share", shares("honest"))
def test_missing_frames_break_nothing(share: int) -> None:
    """Frames that are taken out of a capture turn no pass into a failure of any severity."""

    @settings(max_examples=examples("honest"))
    @given(sample=SAMPLES, seed=st.integers(0, 1 << 32))
    def holds(sample: Sample, seed: int) -> None:
        found = list(dishonest(sample.capture, Counted(seed, "honest")))
        assert not found, found

    holds()


PLANTED = [
    (fault, version)
    for at, fault in enumerate(FAULTS.values())
    if at % SHARE == 0
    for version in fault.versions
]


@pytest.mark.parametrize(
    ("fault", "version"), PLANTED, ids=[f"{fault.name}-v{version}" for fault, version in PLANTED]
)
def test_a_fault_fails_what_it_breaks(fault, version: int) -> None:  # type: ignore[no-untyped-def]
    """A planted fault makes exactly its requirements fail, for its host, at its frame."""
    for seed in range(examples("complete")):
        shown = planted(fault, version, seed)
        if shown is not None:
            assert list(shown.problems(JUDGED)) == []


def test_a_rule_that_sees_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof can fail: a blind rule misses its requirement, an eager one adds another."""
    shown = planted(FAULTS["reset-flags"], 1, 0)
    assert shown is not None
    blind = replace(shown, found=frozenset())
    assert [each.split()[0] for each in blind.problems(JUDGED)] == ["MISSING"]
    eager = replace(
        shown,
        found=shown.found | {("8684-3.6-01", shown.host)},
        at=shown.at | {("8684-3.6-01", shown.host): ((1,), "eager")},
    )
    assert [each.split()[0] for each in eager.problems(JUDGED)] == ["EXTRA"]
    astray = replace(shown, evidence=frozenset({9_999}))
    assert [each.split()[0] for each in astray.problems(JUDGED)] == ["ELSEWHERE"]


def test_an_unproven_requirement_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coverage check can fail: without its fault a requirement lacks a proof."""
    monkeypatch.setattr("mptcp_oracle.conformance.coverage.FAULTS", {})
    missing = list(prove().missing())
    assert any(line.startswith("8684-3.6-03 ") and "no fault" in line for line in missing)
    assert any(line.startswith("8684-3.6-03 ") and "no clean trace" in line for line in missing)


def test_a_wrong_rule_is_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search can fail: a rule that calls every option wrong is found on the first captures."""

    def harsh(case) -> None:  # type: ignore[no-untyped-def]
        for signal in case.signals:
            case.judge("8684-3-option-layout", signal, False, "all options are wrong")

    rule = Rule(requirements=("8684-3-option-layout",), judge=harsh)
    monkeypatch.setattr("mptcp_oracle.rules.judging.judge.__kwdefaults__", {
        "local": (), "whole": None, "rules": (rule,),
    })  # fmt: skip

    @settings(max_examples=20, database=None, phases=[Phase.generate])
    @given(sample=SAMPLES)
    def holds(sample: Sample) -> None:
        assert not list(wrongs(sample.capture))

    with pytest.raises(AssertionError):
        holds()


def test_every_rule_is_in_the_table() -> None:
    """The rules of the areas are all rules, and each says what it judges."""
    assert sum(len(area) for area in AREAS.values()) == len(RULES)
    assert general.RULES[0] in RULES
    for rule in RULES:
        assert rule.requirements
        assert (rule.judge is None) != (rule.sweep is None)
        assert set(rule.versions) <= {0, 1}
