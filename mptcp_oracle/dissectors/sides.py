"""Both sides of a comparison of one field: a dissector's values and ours, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mptcp_oracle.dissectors.dissector import Field, Value, Words
from mptcp_oracle.dissectors.view import View

__all__ = ["Side", "sides"]

Side = tuple[int, tuple[Value, ...], tuple[Value, ...]]
"""A frame, the dissector's values of it, and ours."""


def sides(row: Field, said: Mapping[int, Words], view: View) -> Iterator[Side]:
    """The values of both sides, in every frame where a side has any."""
    sides: list[Side] = []
    begins: dict[str, int] = {}
    if row.streams:
        for frame, words in said.items():
            for stream in words.get("tcp.stream", ()):
                begins.setdefault(stream, frame)
    for frame in sorted(said.keys() | view.segments.keys()):
        segment = view.segments.get(frame)
        texts = said.get(frame, {}).get(row.name, ())
        theirs: tuple[Value, ...]
        if row.streams:
            theirs = tuple(begins.get(each, each) for text in texts for each in text.split())
        else:
            theirs = tuple(row.read(text) for text in texts)
        ours = tuple(row.ours(view, segment)) if segment is not None else ()
        if row.unordered:
            theirs, ours = _sorted(theirs), _sorted(ours)
        if theirs or ours:
            sides.append((frame, theirs, ours))
    return iter(_renamed(sides) if row.names else sides)


def _sorted(values: tuple[Value, ...]) -> tuple[Value, ...]:
    """Different values in order; numbers before texts."""
    return tuple(sorted(set(values), key=lambda each: (isinstance(each, str), each)))


def _renamed(sides: list[Side]) -> Iterator[Side]:
    """Groups named after the first frame in which both sides name a group."""
    first: tuple[dict[Value, int], dict[Value, int]] = ({}, {})
    for frame, theirs, ours in sides:
        if theirs and ours:
            first[0].setdefault(theirs[0], frame)
            first[1].setdefault(ours[0], frame)
    for frame, theirs, ours in sides:
        yield (
            frame,
            tuple(first[0].get(name, frame) for name in theirs),
            tuple(first[1].get(name, frame) for name in ours),
        )
