"""Renew the regression corpus: write the capture and the truth of every case, and list them.

    python -m tests.regression

For a change of the vocabulary of facts, or a new case. What changes is to be read like any other
change of the repository: a truth that is new is a claim about the capture.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mptcp_oracle.generators import corpus
from mptcp_oracle.generators.corpus_sidecars import TRUTH
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.facts import write
from mptcp_oracle.model.observable import observable
from mptcp_oracle.version import __version__
from tests.common.checkout import ROOT
from tests.regression.cases import CASES, Case

__all__ = ["main", "renew"]

FAMILY = "regression"


def renew(folder: Path, slug: str, build: Case) -> None:
    """Put a case into a corpus, in place of what it has under this name.

    Args:
        folder: The corpus.
        slug: Name of the case.
        build: The case.
    """
    capture, why = build(), " ".join((build.__doc__ or "").split())
    octets = emit(capture)
    with TemporaryDirectory() as made:
        file = Path(made, f"{slug}.{capture.layout.file}")
        file.write_bytes(octets)
        beside = Path(made, f"{slug}{TRUTH}")
        with beside.open("w", encoding="utf-8", newline="\n") as truth:
            write(
                truth, observable(capture), capture=file.name, version=__version__,
                sha256=hashlib.sha256(octets).hexdigest(), tool="mptcp-oracle generators",
                generated={"name": slug, "why": why, "license": corpus.LICENCE},
            )  # fmt: skip
        corpus.add(folder, file, beside, slug=slug, why=why, family=FAMILY)


def main() -> int:
    """Renew all cases; returns the exit status."""
    folder = ROOT / "corpus"
    for entry in corpus.read_index(folder):
        if entry.family == FAMILY and entry.slug not in CASES:
            corpus.remove(folder, entry.slug, FAMILY)
    for slug, build in CASES.items():
        renew(folder, slug, build)
    print(f"{len(CASES)} cases are in {folder / FAMILY}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
