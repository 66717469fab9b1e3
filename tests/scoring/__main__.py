"""``python -m tests.scoring``: how well schedulers and copies are recognised, as tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from multiprocessing import get_context

from tests.scoring.tables import copies, schedulers
from tests.scoring.trials import KINDS, SETS, Result, score, trials


def main() -> int:
    """Run a set of trials and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.scoring", description=__doc__)
    parser.add_argument("--set", choices=SETS, default="scoring", dest="name")
    parser.add_argument("--policy", choices=KINDS, action="append")
    parser.add_argument("--length", type=int, action="append", help="only these many segments")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--wrong", action="store_true", help="list every wrong answer")
    asked = parser.parse_args()
    wanted = [
        trial
        for trial in trials(SETS[asked.name], tuple(asked.policy or KINDS))
        if not asked.length or trial.length in asked.length
    ]
    results: list[Result] = []
    with get_context("fork").Pool(asked.jobs) as pool:
        for done, found in enumerate(pool.imap_unordered(score, wanted, chunksize=4), start=1):
            results += found
            if sys.stderr.isatty():
                print(f"\r{done}/{len(wanted)} trials ", end="", file=sys.stderr)
    print(f"{len(wanted)} trials of the set {asked.name}, {len(results)} captures\n")
    print(schedulers(results))
    print()
    print(copies(results))
    if asked.wrong:
        _list(results)
    return 0


def _list(results: Iterable[Result]) -> None:
    for result in results:
        positive = KINDS[result.trial.policy] != "negative"
        if result.redundant is not None and result.redundant is not positive:
            print(result.trial, result.vantage, result.why)
    reasons = Counter(
        (result.trial.policy, result.why[-50:]) for result in results if result.redundant is None
    )
    print(json.dumps([[*key, count] for key, count in reasons.most_common(30)], indent=1))


if __name__ == "__main__":
    sys.exit(main())
