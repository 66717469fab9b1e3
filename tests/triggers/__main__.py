"""Measure the triggers of a dissector's known differences over fresh captures.

    python -m tests.triggers --with tshark --count 2000 --seed 7 --jobs 2

Captures are those of ``mptcp-oracle generate``, every eighth with malformed options. For each entry
with a trigger the table says how many places it foresees, how many differences there are, and how
many of either are the other too. What no entry explains is listed below.
Exit status: 0 if every entry with a trigger reaches 95 % of precision and of recall, else 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.triggers.campaign import campaign, entries
from tests.triggers.tally import Tally


def main() -> int:
    """The command line; returns the exit status."""
    options = argparse.ArgumentParser(
        prog="python -m tests.triggers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--with", default="tshark", dest="name", help="the dissector (tshark)")
    options.add_argument("--count", type=int, default=2_000, help="captures (2000)")
    options.add_argument("--seed", type=int, default=1, help="what they follow from (1)")
    options.add_argument("--jobs", type=int, default=1, help="processes (1)")
    options.add_argument("--passes", type=int, choices=(1, 2), default=1, help="of tshark (1)")
    options.add_argument("--only", action="append", metavar="ID", help="list only these entries")
    given = options.parse_args()
    known = entries(given.name, given.passes)
    shown = [each for each in known if not given.only or each.id in given.only]
    began = said = time.monotonic()
    tally = Tally()
    work = campaign(
        given.name, count=given.count, seed=given.seed, jobs=given.jobs, passes=given.passes
    )
    for each in work:
        tally.merge(each)
        if time.monotonic() - said > 20:
            said = time.monotonic()
            seconds = said - began
            print(f"{tally.captures} of {given.count} captures, {seconds:.0f} s",
                  file=sys.stderr, flush=True)  # fmt: skip
    print(f"{given.name}, seed {given.seed}, passes {given.passes}")
    for line in tally.lines(shown):
        print(line)
    missed = tally.missed(shown)
    if missed:
        print(f"below what a trigger has to reach: {', '.join(missed)}")
    return 1 if missed or tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
