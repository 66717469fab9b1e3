"""Any octets give a result that can be used in full, or a clean error, the same in both engines.

``python -m tests.fuzz`` runs the same property for longer, and keeps what fails.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mptcp_oracle import engine
from tests.common.bases import bases
from tests.common.files import write_file
from tests.common.hostile import Outcome, compare, examine
from tests.common.machine import unavailable
from tests.common.mutate import FRAME_MUTATIONS, LIST_MUTATIONS, mutated, mutation
from tests.fuzz.campaign import run

SEED = 20_260
SHARE = 250
SHARES = 6


def outcome_of(octets: bytes) -> Outcome:
    """The outcome under both engines, which must be equal; of the plain one where it is alone."""
    if not engine.available():
        return examine(octets, "plain")
    outcomes, different = compare(octets)
    assert not different
    return outcomes["compiled"]


@pytest.mark.parametrize("share", range(SHARES))
def test_damaged_captures_give_a_result_or_a_clean_error(share: int) -> None:
    """Each case is total and alike, and most of them still get as far as connections and data."""
    found = Counter[str]()
    for index in range(share * SHARE, (share + 1) * SHARE):
        case = mutated(SEED, index)
        try:
            outcome = outcome_of(case.octets)
        except BaseException as error:
            error.add_note(f"seed {SEED} case {index}: {case.name}, {', '.join(case.done)}")
            raise
        found["connections"] += outcome.connections > 0
        found["mappings"] += outcome.mappings > 0
        found["copies"] += outcome.copies > 0
    assert found["connections"] >= 0.8 * SHARE
    assert found["mappings"] >= 0.75 * SHARE
    assert found["copies"] >= 0.01 * SHARE


@settings(max_examples=60)
@given(rng=st.randoms(use_true_random=False))
def test_chosen_damage_gives_a_result_or_a_clean_error(rng: Random) -> None:
    """The same, with damage that Hypothesis chooses and makes smaller when it finds something."""
    outcome_of(mutation(rng).octets)


@settings(max_examples=100)
@given(octets=st.binary(max_size=400))
@example(octets=b"")
@example(octets=b"\n\r\r\n")
@example(octets=b"\xa1\xb2\xc3\xd4")
@example(octets=b"#!/bin/sh\necho no capture\n")
def test_any_octets_give_a_result_or_a_clean_error(octets: bytes) -> None:
    """Octets that never were a capture are total and alike too."""
    outcome_of(octets)


def test_cases_depend_on_nothing_but_their_numbers() -> None:
    """A case found in one run can be made again in another, and seeds differ."""
    first = [mutated(7, index) for index in range(40)]
    again = [mutated(7, index) for index in reversed(range(40))][::-1]
    assert first == again
    assert first != [mutated(8, index) for index in range(40)]


def test_every_mutation_and_every_base_is_met() -> None:
    """No entry of the tables is dead: a thousand cases meet each mutation and each base."""
    cases = [mutated(1, index) for index in range(1_000)]
    done = {what for case in cases for what in case.done}
    assert {name for name, _ in (*FRAME_MUTATIONS, *LIST_MUTATIONS)} <= done
    assert {case.name for case in cases} == {base.name for base in bases()}


def test_undamaged_bases_are_read_whole() -> None:
    """Every base but those whose options are all cut has connections and no error."""
    without = set()
    for base in bases():
        octets, _ = write_file(Random(base.name), list(base.records), base.linktype)
        outcome = outcome_of(octets)
        assert not outcome.error
        if not outcome.connections:
            without.add(base.name)
    assert without <= {"options-cut", "fallback-syn-stripped"}


@pytest.mark.slow
def test_a_run_of_processes_reports_and_keeps_what_it_did(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The long run's machinery counts every case once, and writes its longest ones to files."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    report = run(5, 60, 2)
    assert report.cases == 60
    assert not report.failures
    assert set(report.longest) == set(engine.KINDS)
    assert report.peak > 10_000_000
    kept = report.keep(tmp_path_factory.mktemp("fuzz"))
    assert [path.name.split("-")[0] for path in kept] == ["longest", "longest"]
    (index,) = {report.longest["plain"][1]}
    assert any(path.read_bytes() == mutated(5, index).octets for path in kept)
