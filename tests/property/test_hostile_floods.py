"""Captures with very many of one thing end in bounded time and memory, whatever it is.

Each flood runs in a process of its own under a limit of address space. How time grows is measured
by hand (docs/robustness.md); here the work that could grow faster is counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mptcp_oracle.analysis import owners
from mptcp_oracle.analysis.joins import owner_by_hmac
from mptcp_oracle.analysis.trace import analyze
from tests.common import floods
from tests.common.hostile import examine
from tests.fuzz.growth import FLOODS as SMALL_FLOODS

MANY = 100_000
SMALL = 600
SECONDS = 240
MEMORY = 3 << 30

#: Analyze a file, write its JSON to nowhere, and tell sizes.
PROGRAM = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.report.json import document
from mptcp_oracle.report.layout import Page
from mptcp_oracle.report.text import overview
with analyze(sys.argv[1]) as trace:
    octets = sum(map(len, document(trace)))
    lines = sum(1 for _ in overview(trace, Page(), 50))
    print(json.dumps({
        "connections": len(trace.connections), "unattached": len(trace.unattached),
        "subflows": len(trace.subflows), "frames": trace.wire.frames, "json": octets,
        "lines": lines, "addresses": sum(len(each.addresses) for each in trace.connections),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))
"""

FLOODS = {
    "connections": (floods.connections, {"connections": MANY, "frames": 3 * MANY}),
    "joins of a known token": (
        lambda count: floods.joins(count, known=True),
        {"connections": 1, "unattached": 0, "subflows": MANY + 1},
    ),
    "joins of unknown tokens": (
        lambda count: floods.joins(count, known=False),
        {"connections": 1, "unattached": MANY, "subflows": MANY + 1},
    ),
    "removals": (floods.removals, {"connections": 1, "subflows": 1, "addresses": MANY}),
}


def in_process(path: Path) -> dict[str, Any]:
    """What the program finds in a capture, in a process that can do no harm."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(MEMORY)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_a_hundred_thousand_is_analyzed_whole(flood: str, tmp_path: Path) -> None:
    """All of it is found, in a process that may not take more than 3 GiB of address space."""
    make, expected = FLOODS[flood]
    path = tmp_path / "flood.pcap"
    path.write_bytes(make(MANY))
    found = in_process(path)
    assert {name: found[name] for name in expected} == expected
    print(f"{flood}: peak memory {found['peak'] / 1e6:.0f} MB")


@pytest.mark.parametrize("flood", SMALL_FLOODS)
def test_a_small_flood_is_total_and_alike(flood: str) -> None:
    """Everything that a trace offers works on floods, and both engines agree."""
    octets = SMALL_FLOODS[flood](SMALL)
    plain = examine(octets, "plain", derived=False)
    assert plain.connections >= 1
    assert plain.parts == examine(octets, "", derived=True).parts


def test_joins_to_a_token_of_many_try_a_bounded_number_of_hmacs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twice as many connections with one token and joins to it take no more HMACs a join."""
    monkeypatch.setattr(owners, "MOST_EQUAL", 2_000)
    monkeypatch.setattr(owners, "MOST_TRIALS", 2_000)
    tried = []

    def counted(*given: Any) -> bool | None:
        tried.append(1)
        return owner_by_hmac(*given)

    monkeypatch.setattr(owners, "owner_by_hmac", counted)
    counts = []
    for count in (200, 400):
        tried.clear()
        with analyze(floods.equal_tokens(count)) as trace:
            assert len(trace.connections) == count
        counts.append(len(tried))
    each = 2 * owners.NEAREST
    assert counts[0] <= 2 * (2_000 + owners.MOST_TRIED) + 200 * each
    assert counts[1] - counts[0] <= 200 * each
