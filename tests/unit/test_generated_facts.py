"""Generated captures and their truth, as files: the analyzer against what is known by construction.

The captures are few and small, chosen so that together they reach much of the analysis
(``python -m tests.mutation.generated`` chooses them anew, and keeps only captures in which facts
and truth agree; ``tests/property/test_equal.py`` compares far more that are made on the spot).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from mptcp_oracle import analyze
from tests.common.agreement import differences
from tests.common.checkout import ROOT

FOLDER = ROOT / "tests" / "data" / "generated"
CAPTURES = sorted(FOLDER.glob("*.pcap*"))


def truth(capture: Path) -> list[dict[str, object]]:
    """What the generator knows of a capture, as facts."""
    packed = (FOLDER / f"{capture.stem}.truth.jsonl.gz").read_bytes()
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_facts_of_a_generated_capture_are_its_truth(capture: Path) -> None:
    """Connections, subflows, segments and transmissions are those that were generated."""
    with analyze(capture) as trace:
        facts = list(trace.facts())
    assert differences(facts, truth(capture)) == []


def test_there_are_generated_captures() -> None:
    """The folder was not lost, and each capture has its truth."""
    assert len(CAPTURES) >= 20
    assert len(list(FOLDER.glob("*.truth.jsonl.gz"))) == len(CAPTURES)
