"""``python -m tests.exploration``: explore every bound of the model, and print what was found.

With ``--renew`` the page docs/model.md is written anew, which takes minutes; the test of that page
explores only the small bounds again.
"""

from __future__ import annotations

import argparse
import sys
import time

from mptcp_oracle.model.exploration import BOUNDS, SMALL, Bound, explore
from tests.exploration.page import PAGE, Row, written


def _row(bound: Bound) -> Row:
    begun = time.monotonic()

    def progress(reached: int, waiting: int) -> None:
        print(f"\r{bound.name}: {reached:,} states, {waiting:,} waiting ", end="", file=sys.stderr)

    found = explore(bound.settings, progress=progress if sys.stderr.isatty() else None)
    seconds = time.monotonic() - begun
    for sentence, way in found.broken[:5]:
        print(f"{bound.name}: {sentence}\n    " + "\n    ".join(map(str, way)))
    row = Row.of(bound, found)
    print(f"{bound.name}: {row.states:,} states, {row.steps:,} steps, {seconds:.1f} s", flush=True)
    return row


def main() -> int:
    """Explore, and say whether every invariant held everywhere."""
    parser = argparse.ArgumentParser(prog="python -m tests.exploration", description=__doc__)
    parser.add_argument("--small", action="store_true", help="only the bounds that take seconds")
    parser.add_argument("--renew", action="store_true", help=f"write {PAGE.name} anew")
    asked = parser.parse_args()
    if asked.small and asked.renew:
        parser.error("the page has the figures of all bounds")
    rows = [_row(bound) for bound in (SMALL if asked.small else BOUNDS)]
    if asked.renew:
        PAGE.write_text(written(rows), encoding="utf-8")
    return 1 if any(row.broken or not row.complete for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
