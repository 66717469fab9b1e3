"""Make the generated captures that the analyzer is compared with the truth on.

    python -m tests.mutation.generated --seeds 600 --most 48

Captures are composed from the seeds in order; of those, the ones are kept that reach a branch of
the analysis or of the plain engine that none before reached, the most useful first. Each is
written with its truth, and only if the facts of the analyzer equal it: what differs is shown, and
is a defect of one of the two.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from pathlib import Path

import coverage

FOLDER = Path(__file__).resolve().parents[1] / "data" / "generated"
#: Octets of the largest capture.
LARGEST = 24_000

Reached = frozenset[tuple[str, int, int]]


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.generated")
    parser.add_argument("--seeds", type=int, default=600, help="captures to choose from (600)")
    parser.add_argument("--most", type=int, default=48, help="captures to keep (48)")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    os.environ["MPTCP_ORACLE_ENGINE"] = "plain"
    cover = coverage.Coverage(
        data_file=None, branch=True, source=["mptcp_oracle/analysis", "mptcp_oracle/engine"],
        config_file=False,
    )  # fmt: skip
    found = dict(_candidates(given.seeds, cover))
    kept = _choose({name: reached for name, (_, _, reached) in found.items()}, given.most)
    given.folder.mkdir(parents=True, exist_ok=True)
    for old in given.folder.glob("seed-*"):
        old.unlink()
    for name in kept:
        octets, truth, _ = found[name]
        kind = "pcapng" if octets[:4] == b"\n\r\r\n" else "pcap"
        (given.folder / f"{name}.{kind}").write_bytes(octets)
        text = "".join(json.dumps(fact, separators=(",", ":")) + "\n" for fact in truth)
        (given.folder / f"{name}.truth.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(kept)} of {len(found)} captures kept: {' '.join(kept)}")
    return 0


def _candidates(seeds, cover):  # type: ignore[no-untyped-def]
    from mptcp_oracle.generators import Sample

    from mptcp_oracle.analysis.trace import analyze
    from mptcp_oracle.model.choices import Counted
    from mptcp_oracle.model.compose import DEEP, SMALL, compose
    from tests.common.agreement import differences

    for number in range(seeds):
        sample = Sample(compose(Counted(7, str(number)), DEEP if number % 2 else SMALL))
        octets = sample.octets
        if len(octets) > LARGEST:
            continue
        cover.erase()
        cover.start()
        with analyze(octets, name=f"seed-{number}") as trace:
            facts = list(trace.facts())
        cover.stop()
        data = cover.get_data()
        reached = frozenset(
            (Path(file).name, *arc)
            for file in data.measured_files()
            for arc in data.arcs(file) or ()
        )
        truth = list(sample.truth)
        if differing := differences(facts, truth):
            print(f"seed {number}: {differing[0]}", file=sys.stderr)
            continue
        yield f"seed-{number:04}", (octets, truth, reached)


def _choose(reached: dict[str, Reached], most: int) -> list[str]:
    """Greedily the captures that reach most of what none before reached; then of it once more."""
    left, kept = dict(reached), []
    seen: set[tuple[str, int, int]] = set()
    while left and len(kept) < most:
        name = max(left, key=lambda each: (len(left[each] - seen), each))
        if not left[name] - seen:
            if not seen:
                break
            seen = set()
            continue
        seen |= left.pop(name)
        kept.append(name)
    return sorted(kept)


if __name__ == "__main__":
    sys.exit(main())
