"""The score of a sample, its lower bounds, and the survivors, as text and as JSON."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tests.mutation.child import Outcome
from tests.mutation.exclusions import EXCLUSIONS
from tests.mutation.population import ROOT, SAME, UNUSED, Module, Mutant, mutate

__all__ = ["Score", "judge", "lines", "scores", "to_json", "wilson"]

Results = Mapping[str, Sequence[tuple[Mutant, Outcome]]]

#: Two-sided 95 %.
Z = 1.959963984540054


def wilson(share: float, number: float) -> float:
    """The lower end of Wilson's 95 % interval of a share that was seen in so many draws."""
    if number <= 0:
        return 0.0
    middle = share + Z * Z / (2 * number)
    spread = Z * math.sqrt(share * (1 - share) / number + Z * Z / (4 * number * number))
    return max(0.0, (middle - spread) / (1 + Z * Z / number))


@dataclass(frozen=True, slots=True)
class Score:
    """Killed mutants of a stratum, or of all with each stratum's weight.

    Attributes:
        sites: Size of the population. tried, killed, late: Numbers of mutants; ``late`` are those
            of the killed that needed too much time.
        share: Killed of tried. bound: Lower 95 % bound of the share.
    """

    sites: int
    tried: int
    killed: int
    late: int
    share: float
    bound: float


def scores(modules: Mapping[str, Sequence[Module]], results: Results) -> dict[str, Score]:
    """A score for each stratum, and for ``all``.

    The strata have different shares of the sample than of the population. ``all`` weighs them by
    their sites; its bound is Wilson's for the effective number of draws, 1 / sum(weight^2 / n).
    """
    found = {}
    for name, tried in results.items():
        killed = sum(outcome.killed for _, outcome in tried)
        share = killed / len(tried) if tried else 0.0
        late = sum(outcome.status == "timeout" for _, outcome in tried)
        sites = sum(len(module.sites) for module in modules[name])
        bound = wilson(share, len(tried))
        found[name] = Score(sites, len(tried), killed, late, share, bound)
    total = max(1, sum(score.sites for score in found.values()))
    share = sum(score.sites / total * score.share for score in found.values())
    spread = sum((score.sites / total) ** 2 / max(1, score.tried) for score in found.values())
    found["all"] = Score(
        total,
        sum(score.tried for score in found.values()),
        sum(score.killed for score in found.values()),
        sum(score.late for score in found.values()),
        share,
        wilson(share, 1 / spread if spread else 0),
    )
    return found


def judge(
    modules: Mapping[str, Sequence[Module]],
    results: Results,
    *,
    wanted: int,
    floor: float,
) -> list[str]:
    """What is not as it must be, in sentences; none if the gate is passed."""
    wrong = []
    for name, score in scores(modules, results).items():
        if score.bound < floor:
            wrong.append(f"{name}: the lower bound {score.bound:.1%} is below {floor:.0%}")
    tried = sum(len(held) for held in results.values())
    if tried < wanted:
        wrong.append(f"only {tried} of {wanted} mutants were tried")
    for held in modules.values():
        for module in held:
            wrong += [
                f"{each.path}: {each.name} has no mutant" for each in module.without_mutants()
            ]
    for held in results.values():
        for mutant, outcome in held:
            if outcome.status == "error":
                wrong.append(f"{mutant.name} could not be tried: {outcome.why}")
    return wrong


def lines(
    modules: Mapping[str, Sequence[Module]], results: Results, wrong: Sequence[str]
) -> list[str]:
    """The report for people."""
    text = [f"{'stratum':10} {'functions':>9} {'sites':>6} {'tried':>6} {'killed':>6} "
            f"{'late':>5} {'score':>7} {'bound':>7}"]  # fmt: skip
    for name, score in scores(modules, results).items():
        held = modules.get(name) or [module for each in modules.values() for module in each]
        functions = sum(len(module.functions) for module in held)
        text.append(
            f"{name:10} {functions:9} {score.sites:6} {score.tried:6} {score.killed:6} "
            f"{score.late:5} {score.share:7.1%} {score.bound:7.1%}"
        )
    families: Counter[str] = Counter()
    alive: Counter[str] = Counter()
    for held in results.values():
        for mutant, outcome in held:
            families[_family(mutant)] += 1
            alive[_family(mutant)] += not outcome.killed
    text += ["", "survivors by operator:"]
    text += [f"  {name:28} {alive[name]:4} of {number}" for name, number in families.most_common()]
    text += ["", *(f"FAILED: {sentence}" for sentence in wrong)]
    return text


def _family(mutant: Mutant) -> str:
    return mutant.operator.partition("/")[2].partition("_")[0]


def difference(mutant: Mutant) -> str:
    """What a mutant changes, as a diff with no context."""
    before = (ROOT / mutant.path).read_text().splitlines()
    after = mutate(mutant).splitlines()
    found = difflib.unified_diff(before, after, mutant.path, mutant.path, lineterm="", n=1)
    return "\n".join(found)


def to_json(
    modules: Mapping[str, Sequence[Module]],
    results: Results,
    wrong: Sequence[str],
    **settings: Any,
) -> dict[str, Any]:
    """The report for programs."""
    excluded: Counter[str] = Counter()
    for held in modules.values():
        for module in held:
            excluded += module.excluded
    return {
        "settings": settings,
        "tool": {"name": "cosmic-ray", "version": version("cosmic-ray")},
        "failed": list(wrong),
        "scores": {
            name: {field: getattr(score, field) for field in Score.__slots__}
            for name, score in scores(modules, results).items()
        },
        "population": {
            name: [
                {
                    "path": module.path,
                    "functions": len(module.functions),
                    "sites": len(module.sites),
                    "mutants": sum(len(site.mutants) for site in module.sites),
                    "without_mutants": [each.name for each in module.without_mutants()],
                    "without_code": [each.name for each in module.functions if each.empty],
                }
                for module in held
            ]
            for name, held in modules.items()
        },
        "left_out": {
            "operators": UNUSED | SAME,
            "places": {
                name: {"mutants": excluded[name], "reason": reason}
                for name, (reason, _) in EXCLUSIONS.items()
            },
        },
        "mutants": [
            {
                "stratum": name,
                "name": mutant.name,
                "function": mutant.function,
                "line": mutant.line,
                "status": outcome.status,
                "by": outcome.by,
                "tests": outcome.tests,
                "seconds": round(outcome.seconds, 3),
            }
            | ({} if outcome.killed else {"diff": difference(mutant), "why": outcome.why})
            for name, held in results.items()
            for mutant, outcome in held
        ],
    }
