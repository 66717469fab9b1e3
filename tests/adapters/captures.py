"""Choose the capture of each known difference from what hunts have found.

    mptcp-oracle hunt --with tshark --no-known --time 30m -o hunt
    python -m tests.adapters.captures hunt [hunt...]

Of the findings that an entry of a catalogue explains, the one with the fewest frames goes into
corpus/dissectors, unless a smaller one is there. At the end it says which entries have none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mptcp_oracle.generators.corpus import add, read_index

from mptcp_oracle.dissectors.known import CONDITIONS, Known, catalogue
from mptcp_oracle.hunt.finding import MINIMAL, RECORD
from tests.common.checkout import ROOT

__all__ = ["CORPUS", "FAMILY", "captured", "entries"]

CORPUS, FAMILY = ROOT / "corpus", "dissectors"


def entries() -> Iterator[tuple[str, Known]]:
    """Every entry of every catalogue, with its dissector's name."""
    for name in CONDITIONS:
        yield from ((name, each) for each in catalogue(name))


def captured() -> dict[str, Path]:
    """Slug to file of all captures of known differences."""
    return {each.slug: CORPUS / each.file for each in read_index(CORPUS) if each.family == FAMILY}


def main(hunts: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    titles = {f"{name}-{each.id}": each.title for name, each in entries()}
    frames = {each.slug: each.frames for each in read_index(CORPUS) if each.family == FAMILY}
    for record in sorted(path for hunt in hunts for path in Path(hunt).glob(f"*/{RECORD}")):
        found = json.loads(record.read_text())
        slug = f"{found['dissector']['name']}-{found['known']}"
        if slug not in titles or found["frames"] >= frames.get(slug, sys.maxsize):
            continue
        with TemporaryDirectory() as folder:
            capture, sidecar = Path(folder, f"{slug}.pcapng"), Path(folder, f"{slug}.finding.json")
            capture.write_bytes(record.with_name(MINIMAL).read_bytes())
            sidecar.write_bytes(record.read_bytes())
            add(CORPUS, capture, sidecar, slug=slug, why=f"{titles[slug]}.", family=FAMILY)
        frames[slug] = found["frames"]
        print(f"{slug}: {frames[slug]} frames")
    for slug in titles:
        if slug not in frames:
            print(f"{slug}: no capture")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
