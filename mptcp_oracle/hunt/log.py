"""The log of a hunt: what it found and how far it came, in a folder that it can go on from."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mptcp_oracle.errors import UsageError
from mptcp_oracle.hunt.finding import RECORD, Finding
from mptcp_oracle.hunt.kind import Kind
from mptcp_oracle.hunt.search import Sighting

__all__ = ["PRIVATE", "STATE", "Log"]

SCHEMA = 1
STATE = "hunt.json"
PRIVATE = "private"
"""Folder for what may be a security problem of the dissector; it ignores itself to git."""

UNTRACKED = "# Crashes may be security problems: report them before anybody else sees them.\n*\n"


@dataclass(slots=True)
class Log:
    """What a hunt has found so far.

    Attributes:
        folder: Where it is kept.
        settings: What the hunt is: dissector, version, passes, seed. A hunt goes on only as what
            it was.
        captures: How many were compared. frames: Their frames.
        names: Names of findings in the order in which they came, with their outlines.
        kinds: Every kind that a finding shows, and its name.
        given_up: Kinds that no capture showed alone.
        waiting: Kinds that were seen and not yet made small.
    """

    folder: Path
    settings: dict[str, Any]
    captures: int = 0
    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[Kind, str] = field(default_factory=dict)
    given_up: set[Kind] = field(default_factory=set)
    waiting: dict[Kind, Sighting] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path, settings: dict[str, Any]) -> Log:
        """The log in a folder, or a new one.

        Raises:
            UsageError: The folder holds another hunt, or something else.
        """
        log = cls(folder, settings)
        path = folder / STATE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                if any(folder.iterdir()):
                    raise UsageError(
                        "the folder holds something else than a hunt",
                        hint="choose a new one with -o",
                        file=folder,
                    )
                return log
            held = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise UsageError(
                "the folder cannot be used", cause=error.strerror, file=folder
            ) from error
        except ValueError as error:
            raise UsageError("this is no log of a hunt", cause=str(error), file=path) from error
        log._take(held, path)
        return log

    def _take(self, held: Any, path: Path) -> None:
        if not isinstance(held, dict) or held.get("schema") != SCHEMA:
            raise UsageError("this is no log of a hunt", file=path)
        other = {
            name: value
            for name, value in held["settings"].items()
            if self.settings.get(name, value) != value
        }
        if other:
            said = ", ".join(f"{name} {value!r}" for name, value in other.items())
            raise UsageError(
                f"the folder holds another hunt: {said}",
                hint="give the same settings to go on, or choose a new folder with -o",
                file=path,
            )
        self.captures = int(held["captures"])
        self.names = dict(held["findings"])
        self.kinds = {Kind.from_json(each["kind"]): each["finding"] for each in held["kinds"]}
        self.given_up = {Kind.from_json(each) for each in held["given_up"]}
        for each in held["waiting"]:
            self.see(Sighting.from_json(each))

    def save(self) -> None:
        """Write how far it came; a reader sees the old state or the new one."""
        body = {
            "schema": SCHEMA,
            "settings": self.settings,
            "captures": self.captures,
            "findings": self.names,
            "kinds": [
                {"kind": kind.to_json(), "finding": name}
                for kind, name in sorted(self.kinds.items())
            ],
            "given_up": [kind.to_json() for kind in sorted(self.given_up)],
            "waiting": [each.to_json() for _, each in sorted(self.waiting.items())],
        }
        path = self.folder / STATE
        part = path.with_suffix(".part")
        part.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        os.replace(part, path)

    def see(self, sighting: Sighting) -> None:
        """Note a kind that was seen, unless it need not be looked for any more."""
        kind = sighting.kind
        if kind not in self.kinds and kind not in self.given_up:
            before = self.waiting.get(kind)
            self.waiting[kind] = sighting if before is None else before.with_more(sighting)

    def promising(self, most: int) -> list[Sighting]:
        """Kinds to make small next: such as have least in common with what was found."""
        fields = Counter((kind.field, kind.how) for kind in self.kinds)
        around = Counter(kind.around for kind in self.kinds)
        ranked = sorted(
            self.waiting.values(),
            key=lambda each: (
                fields[each.kind.field, each.kind.how],
                around[each.kind.around],
                each.depth,
                each.kind,
            ),
        )
        chosen: dict[tuple[str, str], Sighting] = {}
        for each in ranked:
            chosen.setdefault((each.kind.field, each.kind.how), each)
        return list(chosen.values())[:most]

    def give_up(self, kind: Kind) -> None:
        """No capture shows a kind alone."""
        self.given_up.add(kind)
        self.waiting.pop(kind, None)

    def add(self, finding: Finding) -> str | None:
        """Keep a finding; its name, or ``None`` if an earlier one shows the same.

        Findings of one outline show the same mistake in several fields.
        """
        for name, outline in self.names.items():
            if outline == finding.outline:
                self._show(finding.kinds, name)
                return None
        name = f"{len(self.names) + 1:03}-{finding.name}"
        self.names[name] = finding.outline
        self._show(finding.kinds, name)
        finding.write(self.place(name, private=finding.private))
        return name

    def place(self, name: str, *, private: bool) -> Path:
        """The folder of a finding."""
        if not private:
            return self.folder / name
        folder = self.folder / PRIVATE
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text(UNTRACKED, encoding="utf-8")
        return folder / name

    def publish(self, name: str) -> Path:
        """Move a private finding to the others, because it was reported.

        Raises:
            UsageError: There is none of this name.
        """
        source, target = self.folder / PRIVATE / name, self.folder / name
        if not (source / RECORD).is_file():
            raise UsageError(f"there is no private finding {name!r}", file=self.folder)
        source.rename(target)
        return target

    def records(self) -> list[dict[str, Any]]:
        """The findings that are not private, as they were written."""
        paths = (self.folder / name / RECORD for name in self.names)
        return [json.loads(path.read_text("utf-8")) for path in paths if path.is_file()]

    def _show(self, kinds: Iterable[Kind], name: str) -> None:
        for kind in kinds:
            self.kinds.setdefault(kind, name)
            self.waiting.pop(kind, None)
