"""What a dissector is to a comparison: a program that says things of frames, field by field.

An adapter runs the program and gives its words frame by frame, unchanged. A table of
:class:`Field` says what each of its fields means: how its words are read, and what the same value
is by the oracle's facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from mptcp_oracle.dissectors.columns import Column, Key
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.facts import Fact

__all__ = [
    "CrashError",
    "Dissector",
    "Field",
    "OfOptions",
    "Ours",
    "Quick",
    "Read",
    "Running",
    "Value",
    "Words",
]

Value: TypeAlias = int | str
Words: TypeAlias = Mapping[str, tuple[str, ...]]
"""What is said of one frame: by field its values, in the order of their octets."""

Read: TypeAlias = Callable[[str], Value]
Ours: TypeAlias = Callable[[View, Segment], Iterable[Value]]


@dataclass(frozen=True, slots=True)
class OfOptions:
    """A function from a segment to values that has none unless the segment has certain options.

    Attributes:
        options: The options' names, any of which will do. ours: The function.
        value: If it gives one value an option: the value of an option, or ``None``.
    """

    options: tuple[str, ...]
    ours: Ours
    value: Callable[[Fact], Value | None] | None = None

    def __call__(self, view: View, segment: Segment) -> Iterable[Value]:
        """The values."""
        return self.ours(view, segment)


class CrashError(AdapterError):
    """A dissector ended by a signal or by a sanitizer, so that what it says is not complete.

    Its ``data`` have ``status``, the exit status as :mod:`subprocess` gives it, and ``said``, the
    end of what it wrote to standard error.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a dissector and its counterpart.

    Attributes:
        name: The field, as its users write it.
        section: Section of RFC 8684 that says what the value is, or another RFC and section.
        fact: Where it stands in our facts.
        read: The dissector's text as a value.
        ours: The values by our facts.
        unordered: The values are a set; their order says nothing.
        same: Of a set: by value another one that means the same, for those that have one.
        names: The values only name groups of frames: partitions are compared, not names.
        streams: The values are numbers of TCP streams; their first frames are compared.
        frames: The values are numbers of frames.
        column: The texts that are expected of a part of a trace, to be quick.
        key: Of a field whose texts cannot be expected: what its values follow from.
    """

    name: str
    section: str
    fact: str
    read: Read
    ours: Ours
    unordered: bool = False
    names: bool = False
    streams: bool = False
    frames: bool = False
    same: Callable[[View], Mapping[Value, Value]] | None = None
    column: Column | None = None
    key: Key | None = None


class Dissector(Protocol):
    """A dissector, as a comparison uses it."""

    @property
    def name(self) -> str:
        """What the command line calls it; its known differences are in ``known/<name>.toml``."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """All that an adapter can compare, whatever version runs."""

    @property
    def silent(self) -> bool:
        """Whether its silence speaks: what it does not mention in a frame is not there.

        Else that is no claim.
        """

    def version(self) -> str:
        """The version that runs, as short as it is told from others.

        Raises:
            AdapterError: It does not run, or does not say.
        """

    def claims(self) -> frozenset[str]:
        """The names of fields that this version speaks of; of others its silence says nothing.

        Raises:
            AdapterError: It does not run.
        """

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees a field of a capture with the dissector alone, as for a shell."""

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame of a capture, in order of frames.

        Raises:
            CrashError: It crashed; the frames before may have been given.
            AdapterError: It failed, took too long, or printed what the adapter cannot read.
        """


class Running(Dissector, Protocol):
    """A dissector that goes on running between captures."""

    def close(self) -> None:
        """End what runs; the next capture starts it again."""


@runtime_checkable
class Quick(Protocol):
    """A dissector of which there is a quicker form, whose words are a hint about its own."""

    def quicker(self) -> Running | None:
        """The quicker form, for many small captures; ``None`` if it is not installed.

        Raises:
            AdapterError: The dissector does not run.
        """
