"""Run damaged captures through both engines, and tell what came out.

    python -m tests.fuzz --cases 20000 --seed 1 --jobs 2
    python -m tests.fuzz --seed 1 --case 4711        one case again, with all that is wrong

Exit status: 0 if every case gave a result or a clean error, the same under both engines; else 1,
and the captures that failed are files in the output folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from mptcp_oracle.engine import available
from tests.fuzz.campaign import Report, run
from tests.fuzz.worker import try_case

EVERY = 20.0


class _Progress:
    """A line on standard error now and then."""

    def __init__(self, cases: int) -> None:
        self.cases, self.said = cases, time.monotonic()

    def __call__(self, report: Report) -> None:
        if time.monotonic() - self.said >= EVERY:
            self.said = time.monotonic()
            failed = f", {len(report.failures)} failed" if report.failures else ""
            print(f"{report.cases} of {self.cases} cases{failed}", file=sys.stderr, flush=True)


def main() -> int:
    """The command line; returns the exit status."""
    options = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--cases", type=int, default=20_000, help="how many (20000)")
    options.add_argument("--seed", type=int, default=1, help="of their sequence (1)")
    options.add_argument("--jobs", type=int, default=2, help="processes (2)")
    options.add_argument("--case", type=int, help="only this one, in this process")
    options.add_argument(
        "--output", type=Path, default=Path("build/fuzz"), help="folder for captures (build/fuzz)"
    )
    given = options.parse_args()
    if not available():
        print("error: the compiled engine is not installed", file=sys.stderr)
        return 1
    if given.case is not None:
        result = try_case(given.seed, given.case)
        print(f"{', '.join(result.done)}\n{result.failure or 'nothing is wrong'}")
        return int(bool(result.failure))
    began = time.monotonic()
    report = run(given.seed, given.cases, given.jobs, _Progress(given.cases))
    print("\n".join(report.lines()))
    print(f"{time.monotonic() - began:.0f} s with {given.jobs} processes")
    kept = report.keep(given.output)
    for path in kept:
        print(f"kept: {path}")
    for index, text in list(report.failures.items())[:10]:
        print(f"\ncase {index}, python -m tests.fuzz --seed {given.seed} --case {index}:\n{text}")
    complete = report.cases == given.cases
    return 0 if complete and not report.failures else 1


if __name__ == "__main__":
    sys.exit(main())
