"""Check verdicts over faults or volumes.

    python -m tests.verdicts faults --only 8684-3.2 --seeds 3
    python -m tests.verdicts faults --fault join-ack-hmac-wrong --show
    python -m tests.verdicts sound --count 500 --seed 1
    python -m tests.verdicts honest --count 200

Exit status: 0 if all is well, 1 if not.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mptcp_oracle.generators.emit import emit
from mptcp_oracle.generators.notation import text

from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.rules.judging import RULES
from mptcp_oracle.spec import by_id, catalogue, counterpart
from tests.verdicts.checking import composed, dishonest, number, planted, wrongs


def judged() -> set[str]:
    """Numbers of all requirements that rules judge, aliases too."""
    names = {each for rule in RULES for each in rule.requirements}
    found = {counterpart(each, version) for each in names for version in (0, 1)}
    return {catalogue()[each].number for each in found if each}


def faults(given: argparse.Namespace) -> int:
    """Plant faults and compare what fails with what should; each has a place in most traces."""
    known = {
        each for each in judged() if each.startswith(given.only) or given.only in by_id(each).id
    }
    bad, tried, rare = 0, 0, 0
    bare: Counter[tuple[str, int]] = Counter()
    for name, fault in FAULTS.items():
        if given.fault and name != given.fault:
            continue
        for version in fault.versions:
            mine = set(fault.requirements(version)) & known
            if not mine and not given.fault and not given.extra:
                continue
            for seed in range(given.seed, given.seed + given.seeds):
                shown = planted(fault, version, seed)
                if shown is None:
                    bare[name, version] += 1
                    continue
                tried += 1
                problems = list(shown.problems(known))
                bad += bool(problems)
                for problem in problems:
                    print(f"{name} v{version} seed {seed}: {problem}")
                if given.show:
                    _show(shown.capture)
                    print(f"expected {sorted(shown.expected)} of {shown.host}; {shown.at}")
    for (name, version), seeds in bare.items():
        rare += few_places(seeds, given.seeds)
        verdict = ", too many" if few_places(seeds, given.seeds) else ""
        print(f"{name} v{version}: no place in {seeds} of {given.seeds} seeds{verdict}")
    print(f"{tried} faults planted, {bad} with problems, {rare} with too few places")
    return int(bool(bad or rare))


def few_places(without: int, seeds: int) -> bool:
    """Whether a fault that found no place in so many of its seeds has one in too few of them."""
    return 2 * (seeds - without) < seeds


def sound(given: argparse.Namespace) -> int:
    """Judge lawful captures."""
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(given.seed, given.seed + given.count):
        capture = composed(seed)
        for verdict in wrongs(capture):
            key = (number(verdict), verdict.severity)
            seen[key] += 1
            if seen[key] <= given.most and (verdict.severity == "violation" or given.all):
                print(
                    f"seed {seed} ({capture.vantage}, {capture.defects}): {verdict.severity} "
                    f"{key[0]} {verdict.requirement} of the {verdict.host} in {verdict.frames}: "
                    f"{verdict.why}"
                )
            if given.show:
                _show(capture)
                return 1
    for key, count in sorted(seen.items()):
        print(*key, count)
    print(f"{given.count} captures")
    return int(any(severity == "violation" for _, severity in seen))


def honest(given: argparse.Namespace) -> int:
    """Remove frames, and see whether a pass becomes a failure."""
    bad = 0
    for seed in range(given.seed, given.seed + given.count):
        for verdict in dishonest(composed(seed), Counted(seed, "honest")):
            bad += 1
            print(f"seed {seed}: {verdict}")
    print(f"{given.count} captures, {bad} failures that came of holes")
    return int(bool(bad))


def _show(capture: Capture) -> None:
    """A capture as text, and as a file for Wireshark."""
    folder = Path("build/verdicts")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shown.pcapng").write_bytes(emit(capture))
    print(text(capture), f"the capture is {folder}/shown.pcapng", sep="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.verdicts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("faults")
    one.add_argument("--only", default="", help="prefix of requirement numbers, or part of an id")
    one.add_argument("--fault", default="", help="this fault alone")
    one.add_argument("--seed", type=int, default=0, help="the first seed of each fault")
    one.add_argument("--seeds", type=int, default=2, help="how many seeds for each fault")
    one.add_argument("--extra", action="store_true", help="also faults of other requirements")
    one.add_argument("--show", action="store_true", help="show frames, and write them to a file")
    one.set_defaults(run=faults)
    two = commands.add_parser("sound")
    two.add_argument("--most", type=int, default=3, help="shown of each requirement")
    two.add_argument("--all", action="store_true", help="show warnings and notes, too")
    two.add_argument("--show", action="store_true", help="stop at the first; show its frames")
    two.set_defaults(run=sound)
    three = commands.add_parser("honest")
    three.set_defaults(run=honest)
    for each in (two, three):
        each.add_argument("--count", type=int, default=200)
        each.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
