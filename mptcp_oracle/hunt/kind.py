"""Kinds of differences: what tells one from another before anybody knows the cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import Field, Value
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["Kind", "Witnesses", "outline", "witnesses"]

FLAGS = ((0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"))


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A kind: the field, how it differs, and what the segment is by our facts.

    Attributes:
        field: The field. how: One of :data:`~mptcp_oracle.dissectors.case.KINDS`.
        around: Version, flags, options and data of the segment, in a few words.
    """

    field: str
    how: str
    around: str

    @classmethod
    def of(cls, case: Case) -> Self:
        """The kind of a difference; a frame of which nothing at all is said is like any other."""
        around = _around(case.segment) if case.said.get(case.frame) else "nothing is said of it"
        return cls(case.field, case.kind, around)

    def to_json(self) -> dict[str, str]:
        """The kind as JSON has it."""
        return {"field": self.field, "how": self.how, "around": self.around}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """The kind of which :meth:`to_json` speaks."""
        return cls(str(found["field"]), str(found["how"]), str(found["around"]))

    def __str__(self) -> str:
        return f"{self.field} {self.how} ({self.around})"


def _around(segment: Segment | None) -> str:
    if segment is None:
        return "no segment of a subflow"
    version = segment.connection["version"]
    words = ["MPTCP" if version is None else f"v{version}"]
    words += _flags(segment)
    words += dict.fromkeys(_options(segment))
    return " ".join([*words, *(["data"] if segment.payload else [])])


def _flags(segment: Segment) -> list[str]:
    return [name for mask, name in FLAGS if segment.flags & mask]


def _options(segment: Segment) -> Iterator[str]:
    """Its options by name; of a DSS also what it holds."""
    for option in segment.listed:
        name = str(option["option"])
        if name != "dss":
            yield name
            continue
        ack, dsn = option["data_ack_size"], option["dsn_size"]
        fin = " fin" if option["data_fin"] else ""
        yield f"dss({f'ack{ack} ' if ack else ''}{f'dsn{dsn}' if dsn else ''}{fin})"


Witnesses = tuple[tuple[Value, ...], tuple[Value, ...]]
"""What the dissector says, and what we say."""


def witnesses(row: Field, case: Case, frames: Sequence[int] | None = None) -> Witnesses:
    """The values of both sides, so that those of a part of a capture compare with the whole's.

    Args:
        row: The field.
        case: The difference.
        frames: Which frames of the whole capture the part holds; by default it is the whole.

    Returns:
        The values; of a field that names groups or streams, how many there are, since groups are
        named by their first frames, which a part may lack.
    """
    sides = (case.theirs, case.ours)
    if row.names or row.streams:
        return (len(sides[0]),), (len(sides[1]),)
    if row.frames and frames is not None:
        theirs, ours = (tuple(_number(value, frames) for value in side) for side in sides)
        return theirs, ours
    return sides


def _number(value: Value, frames: Sequence[int]) -> Value:
    if isinstance(value, int) and 0 < value <= len(frames):
        return frames[value - 1]
    return value


def outline(view: View, count: int, guilty: int, around: str) -> str:
    """What a capture looks like, whatever its numbers are: two of one outline show one thing.

    Args:
        view: Our facts.
        count: Frames of the capture.
        guilty: The frame that differs.
        around: What its kind says of it.
    """
    subflows: dict[int, str] = {}
    frames = ((_place(view.segments.get(frame), subflows), frame) for frame in range(1, count + 1))
    return "; ".join(
        f"!{place} {around}" if frame == guilty else f"{place} {_around(view.segments.get(frame))}"
        for place, frame in frames
    )


def _place(segment: Segment | None, subflows: dict[int, str]) -> str:
    """The subflow, numbered in the order in which they come, and the direction."""
    if segment is None:
        return "-"
    name = subflows.setdefault(segment.subflow["subflow"], f"s{len(subflows)}")
    return f"{name}{'>' if segment.fact['from'] == 'source' else '<'}"
