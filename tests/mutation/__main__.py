"""Draw mutants, try them against the tier, and gate the share that is noticed.

    python -m tests.mutation --sample 1500 --seed 1
    python -m tests.mutation --gate rules --sample 1500 --seed 1
    python -m tests.mutation --mutant mptcp_oracle/crypto.py:core/NumberReplacer:3

Exit status: 0 if the lower 95 % bound of the score, of all and of each stratum, is at least the
floor, and every function has mutants; 1 if not; 2 if the tier fails without a mutant.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.campaign import BrokenTierError, Campaign
from tests.mutation.child import Outcome
from tests.mutation.population import GATES, Module, Mutant, population
from tests.mutation.report import difference, judge, lines, to_json
from tests.mutation.sample import draw
from tests.mutation.tier import SETTINGS, TIERS

EVERY = 20.0


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gate", choices=GATES, default="facts", help="what is mutated, and its tests (facts)"
    )
    parser.add_argument("--sample", type=int, default=1500, help="mutants to try (1500)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--floor", type=float, default=0.85, help="least lower bound (0.85)")
    parser.add_argument("--only", default="", help="sites whose path:function contain this text")
    parser.add_argument("--mutant", nargs="+", help="try these, and show what they are")
    parser.add_argument(
        "--tier", nargs="*", default=None, metavar="FILE", help="other tests than the tier's"
    )
    parser.add_argument(
        "--despite",
        action="store_true",
        help="leave out tests that fail without a mutant; the gate fails in any case",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("build/mutation"), help="folder (build/mutation)"
    )
    return parser


def chosen(modules: dict[str, list[Module]], text: str) -> None:
    """Leave only the sites whose path and function contain a text."""
    for held in modules.values():
        for module in held:
            module.sites = [s for s in module.sites if text in f"{s.path}:{s.function}"]
            module.functions = [f for f in module.functions if text in f"{f.path}:{f.name}"]


def named(modules: dict[str, list[Module]], names: Sequence[str]) -> dict[str, list[Mutant]]:
    """The mutants of some names."""
    return {
        stratum: [
            mutant
            for module in held
            for site in module.sites
            for mutant in site.mutants
            if mutant.name in names
        ]
        for stratum, held in modules.items()
    }


class Progress:
    """A line on standard error now and then, and each survivor in a file at once."""

    def __init__(self, wanted: int, file: Path) -> None:
        self.wanted, self.file, self.began = wanted, file, time.monotonic()
        self.said = self.began
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")

    def __call__(self, done: int, mutant: Mutant, outcome: Outcome) -> None:
        """A mutant was tried."""
        now = time.monotonic()
        if not outcome.killed:
            with self.file.open("a") as file:
                file.write(_shown(mutant, outcome))
        if now - self.said >= EVERY:
            self.said = now
            rest = (now - self.began) / done * (self.wanted - done)
            print(
                f"{done} of {self.wanted}, {rest / 60:.0f} min to go", file=sys.stderr, flush=True
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    given = options().parse_args(arguments)
    began = time.monotonic()
    modules = population(given.gate)
    paths = [module.path for held in modules.values() for module in held]
    chosen(modules, given.only)
    if given.mutant:
        sample = named(modules, given.mutant)
    else:
        sample = draw(modules, given.sample, given.seed)
    tests = list(TIERS[given.gate]) if given.tier is None else given.tier
    wanted = sum(map(len, sample.values()))
    broken: list[str] = []
    results: dict[str, list[tuple[Mutant, Outcome]]]
    if not tests:
        results = {name: [(m, Outcome(status="survived")) for m in sample[name]] for name in sample}
        seconds = 0.0
    else:
        try:
            campaign = Campaign(tests, paths, given.jobs, given.despite)
        except BrokenTierError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        seconds = campaign.seconds
        broken = [f"left out: {each.splitlines()[0]}" for each in campaign.broken]
        print(f"{len(campaign.seen)} tests, {seconds:.1f} s; {wanted} mutants", file=sys.stderr)
        progress = Progress(wanted, given.output / "survivors.txt")
        found = campaign.run(_mixed(sample), progress)
        campaign.close()
        results = {name: [(m, found[m]) for m in sample[name]] for name in sample}
    if given.mutant:
        for held in results.values():
            for mutant, outcome in held:
                print(difference(mutant), outcome, sep="\n")
        return int(wanted < len(given.mutant))
    wrong = judge(modules, results, wanted=given.sample, floor=given.floor)
    wrong += broken
    elapsed = time.monotonic() - began
    settings = {name: getattr(given, name) for name in ("gate", "sample", "seed", "floor")}
    body = to_json(modules, results, wrong, **settings, tests=tests, seconds=round(elapsed, 1))
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "report.json").write_text(json.dumps(body, indent=1) + "\n")
    text = lines(modules, results, wrong)
    print("\n".join(text))
    print(f"{elapsed:.0f} s with {given.jobs} processes; survivors: {given.output}/survivors.txt")
    return int(bool(wrong))


def _shown(mutant: Mutant, outcome: Outcome) -> str:
    where = mutant.function or "the module"
    return f"# {mutant.name}: {outcome.status}\n# in {where}\n{difference(mutant)}\n\n"


def _mixed(sample: dict[str, list[Mutant]]) -> list[Mutant]:
    """All mutants, neighbours far apart, so that what the tests can do is learnt early."""
    every = [mutant for held in sample.values() for mutant in held]
    return [every[at] for start in range(37) for at in range(start, len(every), 37)]


def again() -> None:
    """Start the interpreter again if its environment is not the tier's."""
    if any(os.environ.get(name) != value for name, value in SETTINGS.items()):
        command = [sys.executable, "-m", "tests.mutation", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | SETTINGS)


if __name__ == "__main__":
    again()
    sys.exit(main())
