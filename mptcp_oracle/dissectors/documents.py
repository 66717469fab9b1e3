"""Documents of facts as dissectors: the door for programs of any language.

``facts:FILE`` compares a document that is there; ``cmd:COMMAND`` runs a program on each capture,
which prints one. What a document does not state is no claim: a key that its objects lack, frames
that it does not mention.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mptcp_oracle import facts
from mptcp_oracle.dissectors.dissector import Field, Words
from mptcp_oracle.dissectors.facts_fields import FIELDS, stated
from mptcp_oracle.dissectors.program import PATIENCE, Program
from mptcp_oracle.errors import AdapterError, TruthError, UsageError

__all__ = ["Command", "FactsFile"]

PLACE = "{}"
"""Where a command has the path of the capture; at its end by default."""


@dataclass(kw_only=True)
class FactsFile:
    """A document of facts about one capture.

    Attributes:
        path: The document. name: What the command line calls it. fields: What is compared.
        silent: Whether a field that is not there says that there is none; here it says nothing.
    """

    path: str
    name: str = "facts"
    fields: tuple[Field, ...] = FIELDS
    silent: bool = False

    def version(self) -> str:
        """The tool that wrote it, and its version."""
        try:
            header = next(facts.stream(self.path))
        except TruthError as error:
            raise _unread(error) from error
        return f"{header.get('tool', '?')} {header.get('version', '?')}"

    def claims(self) -> frozenset[str]:
        """All fields; each frame has some."""
        return frozenset(each.name for each in self.fields)

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees a field of a capture: there is nothing to run, but a document."""
        return shlex.join(["grep", f'"{field.rpartition(".")[2]}"', self.path])

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it states of each frame."""
        try:
            document = facts.read(self.path)
        except TruthError as error:
            raise _unread(error) from error
        return _frames(document, capture)


@dataclass(kw_only=True)
class Command:
    """A program that prints a document of facts about a capture.

    Attributes:
        command: Its command line; ``{}`` in it is the capture's path, which else is its end.
        patience: Seconds until a run is given up.
        name: What the command line calls it. fields: What is compared. silent: As above.
    """

    command: str
    patience: float = PATIENCE
    name: str = "cmd"
    fields: tuple[Field, ...] = FIELDS
    silent: bool = False
    _version: str = field(default="", repr=False)

    def version(self) -> str:
        """What the last document said of its tool; the command before the first one."""
        return self._version or self.command

    def claims(self) -> frozenset[str]:
        """All fields; each frame has some."""
        return frozenset(each.name for each in self.fields)

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees the document about a capture."""
        if PLACE in self.command:
            return self.command.replace(PLACE, shlex.quote(capture))
        return f"{self.command} {shlex.quote(capture)}"

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it states of each frame."""
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise UsageError(f"{self.command!r} is no command", cause=str(error)) from error
        if not words or shutil.which(words[0]) is None:
            raise AdapterError(f"{words[0] if words else 'nothing'} is not there")
        if not any(PLACE in each for each in words):
            words.append(PLACE)
        words = [each.replace(PLACE, str(capture)) for each in words]
        program = Program(command=(words[0],), patience=self.patience)
        # A crash counts before what it left unfinished.
        lines = list(program.lines(*words[1:]))
        try:
            document = facts.read(lines, name=words[0])
        except TruthError as error:
            raise _unread(error) from error
        self._version = f"{document.header.get('tool', '?')} {document.header.get('version', '?')}"
        return _frames(document, capture)


def _frames(document: facts.Document, capture: Path) -> Iterator[tuple[int, Words]]:
    """The document's words, if it is about the capture."""
    with capture.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    said = document.footer["sha256"]
    if said != found:
        raise AdapterError(
            "the facts are about another capture",
            cause=f"their footer has the SHA-256 {said[:16]}..., the capture's is {found[:16]}...",
        )
    return iter(stated(document.facts).items())


def _unread(error: TruthError) -> AdapterError:
    """A document that is none, as an error of the dissector."""
    return AdapterError(f"what it says is no document of facts: {error}")
