"""Generated files, compared octet by octet (as SHA-256) with those that were accepted.

The same seed has to give the same files on every machine and under every version of Python and of
the libraries. After a change of the model or of what is written that is meant, renew::

    MPTCP_ORACLE_RENEW=1 python -m pytest tests/snapshots; git diff tests/snapshots
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mptcp_oracle.generators import case_files, emit
from mptcp_oracle.generators.batch import generate

PATH = Path(__file__).parent / "generated.json"
RENEW = bool(os.environ.get("MPTCP_ORACLE_RENEW"))

WISHES: dict[str, tuple[dict[str, Any], int, bool]] = {
    "anything": ({"seed": 1}, 6, False),
    "another-seed": ({"seed": -(1 << 70)}, 2, False),
    "scripts": ({"seed": 2, "scenarios": ["join-announced", "path-cut", "fast-close"]}, 3, False),
    "schedulers": ({"seed": 3, "schedulers": ["redundant_unacked", "opportunistic"]}, 2, False),
    "one-file": ({"seed": 4, "scenarios": ["endings", "bulk"], "file": "pcap"}, 6, True),
    "malformed": ({"seed": 5, "malformed": True, "versions": [0]}, 2, False),
}
"""What is generated: an order, how many cases, whether into one file."""


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", WISHES)
def test_the_same_seed_gives_the_same_octets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of an order has the digest that was accepted, whatever this release is called."""
    monkeypatch.setattr(emit, "__version__", "0")
    monkeypatch.setattr(case_files, "__version__", "0")
    wish, count, one_file = WISHES[name]
    generate(wish, count, tmp_path, one_file=one_file)
    found = digests(tmp_path)
    accepted = json.loads(PATH.read_text()) if PATH.exists() else {}
    if RENEW:
        accepted[name] = found
        kept = {each: accepted[each] for each in WISHES if each in accepted}
        PATH.write_text(json.dumps(kept, indent=1) + "\n")
    assert found == accepted[name]


def test_nothing_depends_on_the_order_of_sets(tmp_path: Path) -> None:
    """Other hash seeds of Python, and so other orders of sets, give the same octets."""
    command = "import sys, pathlib; from mptcp_oracle.generators.batch import generate; " \
        "generate({'seed': 1}, 3, pathlib.Path(sys.argv[1]))"  # fmt: skip
    found = []
    for seed in ("0", "1"):
        folder = tmp_path / seed
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", command, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            timeout=60,
        )
        found.append(digests(folder))
    assert found[0] == found[1]
