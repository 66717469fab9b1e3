"""Which mutants there are, which are drawn, and what their score says."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("cosmic_ray", reason="needs the optional dependencies `mutation`")

from tests.common.checkout import ROOT
from tests.mutation import __main__ as command
from tests.mutation.child import Outcome
from tests.mutation.population import GATES, STRATA, Module, Mutant, files, mutate, population, read
from tests.mutation.report import judge, scores, wilson
from tests.mutation.sample import allocate, draw


@pytest.fixture(scope="module")
def crypto() -> Module:
    """The population of one file."""
    return read("mptcp_oracle/crypto.py")


def test_every_function_of_the_strata_has_a_mutant() -> None:
    """Each function that has any statement at all can be mutated, decorated or not."""
    for gate in GATES:
        for held in population(gate).values():
            for module in held:
                assert module.without_mutants() == []


def test_the_strata_are_the_files_they_name() -> None:
    """Engine, analysis, option decoding and cryptography; no file is in two strata."""
    every = [path for stratum in STRATA for path in files(stratum)]
    assert len(every) == len(set(every))
    for path in (
        "mptcp_oracle/engine/transmissions.py",
        "mptcp_oracle/analysis/closing.py",
        "mptcp_oracle/wire/mptcp.py",
        "mptcp_oracle/crypto.py",
    ):
        assert path in every


def test_each_mutant_of_a_site_is_another_text(crypto: Module) -> None:
    """No two mutants of a place are the same, and none is the original."""
    original = (ROOT / crypto.path).read_text()
    for site in crypto.sites[::5]:
        texts = [mutate(mutant) for mutant in site.mutants]
        assert original not in texts
        assert len(set(texts)) == len(texts)


def test_annotations_are_not_mutated(crypto: Module) -> None:
    """``int | None`` in a signature is no operator."""
    text = (ROOT / crypto.path).read_text().splitlines()
    for site in crypto.sites:
        if site.family == "ReplaceBinaryOperator":
            line = text[site.start[0] - 1]
            assert not line.strip().startswith("def ")
            assert line[site.start[1]] in "+-*/%&|^<>"


@pytest.mark.parametrize("wanted", [10, 100, 1500, 9000])
def test_a_sample_is_divided_among_the_strata(wanted: int) -> None:
    """Numbers add up, none exceeds its stratum, and small strata get their least share."""
    sites = {"engine": 4400, "analysis": 3800, "options": 640, "crypto": 100}
    numbers = allocate(sites, wanted)
    assert sum(numbers.values()) == min(wanted, sum(sites.values()))
    for name, number in numbers.items():
        assert min(sites[name], round(0.12 * wanted)) <= number <= sites[name]


def test_equal_seeds_draw_equal_samples(crypto: Module) -> None:
    """A seed means one sample; another seed another one."""
    one, two, three = (draw({"crypto": [crypto]}, 30, seed) for seed in (1, 1, 2))
    assert one == two != three
    assert len(set(one["crypto"])) == 30


def test_wilson_bounds_are_those_of_the_book() -> None:
    """The bound is the smaller root of the quadratic equation that defines it."""
    for killed, number in ((0, 10), (85, 100), (1350, 1500), (7, 7)):
        bound, share = wilson(killed / number, number), killed / number
        if killed:
            deviation = 1.959963984540054 * math.sqrt(bound * (1 - bound) / number)
            assert share - bound == pytest.approx(deviation)
        else:
            assert bound == 0
    assert wilson(0.9, 1500) == pytest.approx(0.8838, abs=0.0001)


def test_the_score_of_all_weighs_the_strata(crypto: Module) -> None:
    """A stratum that is sampled more densely does not count for more."""
    small = Module("small", [], crypto.sites[:10])
    large = Module("large", [], crypto.sites[:90])
    mutant = crypto.sites[0].mutants[0]
    dead, alive = Outcome(status="killed"), Outcome(status="survived")
    results = {"small": [(mutant, dead)] * 10, "large": [(mutant, alive)] * 10}
    found = scores({"small": [small], "large": [large]}, results)
    assert found["all"].share == pytest.approx(0.1)
    assert found["all"].bound < 0.1


def test_the_gate_names_what_is_wrong(crypto: Module) -> None:
    """Survivors, too few mutants, functions without mutants and failures each fail the gate."""
    mutant = crypto.sites[0].mutants[0]
    modules = {"crypto": [crypto]}
    dead, error = Outcome(status="killed"), Outcome(status="error", why="no memory")
    good = {"crypto": [(mutant, dead)] * 100}
    assert judge(modules, good, wanted=100, floor=0.85) == []
    assert "only 100 of 101" in judge(modules, good, wanted=101, floor=0.85)[0]
    bad = {"crypto": [(mutant, Outcome(status="survived"))] * 100}
    assert "below 85%" in judge(modules, bad, wanted=100, floor=0.85)[0]
    failed = {"crypto": [*good["crypto"], (mutant, error)]}
    assert any("no memory" in each for each in judge(modules, failed, wanted=100, floor=0.85))
    bare = Module(crypto.path, crypto.functions, [])
    found = judge({"crypto": [bare]}, good, wanted=100, floor=0.85)
    assert sum("has no mutant" in each for each in found) == len(crypto.functions)


def test_an_empty_tier_kills_nothing_and_fails_the_gate(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without tests the score is 0 and the exit status is not."""
    folder = str(tmp_path_factory.mktemp("mutation"))
    assert command.main(["--sample", "40", "--tier", "--output", folder]) == 1
    shown = capsys.readouterr().out
    assert "FAILED: all: the lower bound 0.0% is below 85%" in shown


def test_a_mutant_has_one_name(crypto: Module) -> None:
    """Names tell all mutants of a file apart."""
    mutants: list[Mutant] = [mutant for site in crypto.sites for mutant in site.mutants]
    assert len({mutant.name for mutant in mutants}) == len(mutants)
