"""A finding: the fewest frames that show a difference, and a report of it for its authors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from mptcp_oracle.dissectors.case import told
from mptcp_oracle.dissectors.dissector import Value
from mptcp_oracle.hunt.kind import Kind
from mptcp_oracle.hunt.sentences import sentence
from mptcp_oracle.report.rewriting import commented
from mptcp_oracle.version import __version__

__all__ = ["MINIMAL", "Finding"]

SCHEMA = 1
MINIMAL, REPORT, RECORD = "minimal.pcapng", "finding.md", "finding.json"
HOW = {
    "missing": "says nothing",
    "invented": "says something, where there is nothing,",
    "other": "says something else",
    "crash": "crashes",
    "hang": "does not end",
    "fails": "fails",
}
"""What a dissector does, by kinds of differences and of breaking down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of difference, made small.

    Attributes:
        kind: What was made small. kinds: All that the guilty frame shows.
        frame: The guilty frame of the small capture; 0 if the dissector broke down.
        frames: How many frames it has.
        theirs, ours: What the dissector says, and the oracle.
        section: Of RFC 8684, or of another one. fact: Where the oracle's value stands in facts.
        options: The guilty segment's MPTCP options in hexadecimal digits.
        known: Id of the known difference that it is, if the catalogue has it. why: Its argument.
        outline: What the small capture looks like, whatever its numbers are.
        dissector, version: Who was asked. reproduce: A command that shows it.
        seed, number: Where it was seen first. octets: The small capture, as pcapng.
    """

    kind: Kind
    kinds: tuple[Kind, ...]
    frame: int
    frames: int
    theirs: tuple[Value, ...]
    ours: tuple[Value, ...]
    section: str
    fact: str
    options: tuple[str, ...]
    known: str | None
    why: str
    outline: str
    dissector: str
    version: str
    reproduce: str
    seed: int
    number: int
    octets: bytes

    @property
    def broken(self) -> bool:
        """Whether the dissector broke down, and said nothing of a frame that could be compared."""
        return not self.kind.field

    @property
    def private(self) -> bool:
        """Whether it may be a security problem: a crash, or a run without an end."""
        return self.kind.how in ("crash", "hang")

    @property
    def name(self) -> str:
        """Letters, digits and hyphens: the field and how it differs."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.kind.field} {self.kind.how}".lower()).strip("-")

    @property
    def sentence(self) -> str:
        """What is wrong, in one sentence."""
        if self.broken:
            return f"{self.dissector} {self.version} {HOW[self.kind.how]}: {self.kind.around}"
        return (
            f"{self.kind.field}: {self.dissector} {self.version} says {told(self.theirs)}, "
            f"the oracle {told(self.ours)}"
        )

    @property
    def commented(self) -> bytes:
        """The small capture, with comments that say what is wrong."""
        comments = {self.frame: self.sentence} if self.frame else {}
        return b"".join(commented(memoryview(self.octets), comments, self.sentence))

    def write(self, folder: Path) -> None:
        """Write capture, report and record into a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MINIMAL).write_bytes(self.commented)
        (folder / REPORT).write_text("\n".join(self.report()) + "\n", encoding="utf-8")
        (folder / RECORD).write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON has it; the capture is in a file beside."""
        return {
            "schema": SCHEMA,
            "dissector": {"name": self.dissector, "version": self.version},
            "kind": self.kind.to_json(),
            "kinds": [each.to_json() for each in self.kinds],
            "frame": self.frame,
            "frames": self.frames,
            "dissector_says": list(self.theirs),
            "oracle_says": list(self.ours),
            "section": self.section,
            "fact": self.fact,
            "options": list(self.options),
            "known": self.known,
            "outline": self.outline,
            "reproduce": self.reproduce,
            "seed": self.seed,
            "number": self.number,
            "sha256": sha256(self.commented).hexdigest(),
            "tool": f"mptcp-oracle {__version__}",
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], octets: bytes) -> Self:
        """The finding of which :meth:`to_json` speaks, and its capture."""
        same = ("frame", "frames", "section", "fact", "known", "outline", "reproduce", "seed")
        return cls(
            kind=Kind.from_json(found["kind"]),
            kinds=tuple(Kind.from_json(each) for each in found["kinds"]),
            theirs=tuple(found["dissector_says"]),
            ours=tuple(found["oracle_says"]),
            options=tuple(found["options"]),
            why="",
            dissector=found["dissector"]["name"],
            version=found["dissector"]["version"],
            number=found["number"],
            octets=octets,
            **{name: found[name] for name in same},
        )

    def report(self) -> Iterator[str]:
        """The lines of a report to the dissector's authors, in Markdown."""
        yield f"# {self._title()}"
        yield ""
        yield f"- Program: {self.dissector} {self.version}"
        yield f"- Capture: `{MINIMAL}`, {_frames(self.frames)}, synthetic, public domain (CC0-1.0)"
        yield f"- Found by mptcp-oracle {__version__}, seed {self.seed}, capture {self.number}"
        yield ""
        yield "## How to reproduce"
        yield ""
        yield "```sh"
        yield self.reproduce
        yield "```"
        yield ""
        yield "## What it says"
        yield ""
        if self.broken:
            yield "```"
            yield from str(self.theirs[0]).splitlines()
            yield "```"
            return
        yield f"Of frame {self.frame}, in `{self.kind.field}`: {told(self.theirs)}."
        yield ""
        yield "## What is expected"
        yield ""
        yield f"{told(self.ours)[:1].upper()}{told(self.ours)[1:]}."
        yield ""
        yield from self._argument()
        if len(self.kinds) > 1:
            yield ""
            yield "## What else the frame shows"
            yield ""
            for each in self.kinds:
                if each != self.kind:
                    yield f"- `{each.field}`: {self.dissector} {HOW[each.how].rstrip(',')}"

    def _title(self) -> str:
        if self.broken:
            return f"{self.dissector} {HOW[self.kind.how]}: {self.kind.around}"
        return f"{self.dissector} {HOW[self.kind.how]} of {self.kind.field} ({self.kind.around})"

    def _argument(self) -> Iterator[str]:
        """What the expected value rests on."""
        if self.options:
            yield f"MPTCP options of frame {self.frame}, kind and Length included:"
            yield ""
            yield from (f"    {each}" for each in self.options)
        else:
            yield f"Frame {self.frame} has no MPTCP option."
        yield ""
        yield f"In the words of `mptcp-oracle facts {MINIMAL}` the value is `{self.fact}`."
        if self.why:
            yield ""
            yield self.why.strip()
        quoted = sentence(self.kind.field, self.section)
        if quoted is not None:
            yield ""
            yield f"> {quoted[1]} (RFC 8684 section {quoted[0]})"
        elif self.section:
            yield ""
            yield f"See {self.section}."


def _frames(count: int) -> str:
    return f"{count} frame{'s' if count > 1 else ''}"
