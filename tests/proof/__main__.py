"""Hold the analyzer's facts against the truth of very many generated captures.

    python -m tests.proof --count 100000 --seed 1 --jobs 2

Captures are made in batches with seeds of their own, through Hypothesis or quicker. A batch ends
at its first failure; the first batch that failed is run again to make its capture small (at most
five minutes, and through Hypothesis alone).
Failing captures are files in MPTCP_ORACLE_FAILURES or build/failures.
Exit status: 0 if all agree and so many were tried, else 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from mptcp_oracle import engine
from tests.proof.volume import Tally, batch, sizing, volume


def main() -> int:
    """The command line; returns the exit status."""
    options = argparse.ArgumentParser(
        prog="python -m tests.proof",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--count", type=int, default=2_000, help="captures (2000)")
    options.add_argument("--seed", type=int, default=1, help="of the run (1)")
    options.add_argument("--jobs", type=int, default=2, help="processes (2)")
    options.add_argument(
        "--profile", choices=("quick", "deep"), default="deep",
        help="short captures, or such of 40 segments and more (deep)",
    )  # fmt: skip
    options.add_argument(
        "--choices", choices=("drawn", "counted"), default="drawn",
        help="drawn by Hypothesis, which makes failures small, or by a hash, which is quicker",
    )  # fmt: skip
    options.add_argument("--batch", type=int, help="only the batch of this seed, in this process")
    given = options.parse_args()
    if not engine.available():
        print("error: the compiled engine is not installed", file=sys.stderr)
        return 1
    began = time.monotonic()
    tally = Tally()
    if given.batch is not None:
        tally = batch(given.batch, given.count, given.profile, given.choices)
    else:
        for tally in volume(given.seed, given.count, given.jobs, given.profile, given.choices):
            seconds = time.monotonic() - began
            failed = f", {len(tally.failures)} failed" if tally.failures else ""
            said = f"{tally.captures} of {given.count} captures, {seconds:.0f} s{failed}"
            print(said, file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    print(f"run {given.seed}, profile {given.profile}, choices {given.choices}, "
          f"{given.jobs} processes: {seconds:.0f} s")  # fmt: skip
    for line in tally.lines():
        print(line)
    size = given.count if given.batch is not None else sizing(given.count, given.jobs)[1]
    if tally.failures and given.batch is None:
        tally.failures |= batch(min(tally.failures), size, given.profile, given.choices).failures
    settings = f"--profile {given.profile} --choices {given.choices} --count {size}"
    again = f"python -m tests.proof {settings} --batch"
    for seed, text in sorted(tally.failures.items())[:5]:
        print(f"\n{again} {seed}:\n{text}")
    return 0 if tally.captures >= given.count and not tally.failures else 1


if __name__ == "__main__":
    sys.exit(main())
