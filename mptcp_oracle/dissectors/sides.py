"""Both sides of a comparison: a dissector's values and ours, frame by frame.

A capture is gone through in stretches, and in each of them field by field: where all values of a
field are the same, as nearly everywhere they are, no frame is looked at on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TypeAlias

from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.dissector import Field, OfOptions, Value, Words
from mptcp_oracle.dissectors.lines import BETWEEN, Line, packed, unpacked
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import Fact

__all__ = ["Names", "Side", "Stretch", "Values", "beginnings", "sides", "stretches"]

Values: TypeAlias = dict[int, tuple[Value, ...]]
"""By frame what a side says, if it says anything."""

Side: TypeAlias = tuple[int, tuple[Value, ...], tuple[Value, ...]]
"""A frame, the dissector's values of it, and ours."""


class Stretch:
    """Some frames in a row."""

    def __init__(
        self, said: Mapping[int, Words], segments: Mapping[int, Segment], view: View
    ) -> None:
        """Take what the dissector says of the frames, our segments among them, and all facts."""
        self._said, self._segments, self._view = said, segments, view
        self._cells = _columns(said)
        every = () if self._cells else said.values()
        self._named = {name for words in every for name in words}
        self._options: dict[str, dict[int, list[Fact]]] = {}
        for frame, segment in segments.items():
            for option in segment.fact["options"]:
                told = option.get("reading") or option
                self._options.setdefault(told["option"], {}).setdefault(frame, []).append(told)

    def theirs(self, row: Field, begins: Callable[[], Mapping[str, int]]) -> Values:
        """The dissector's values of a field.

        Args:
            row: The field.
            begins: Gives the first frame of each TCP stream.
        """
        read, cells = row.read, self._cells.get(row.name)
        if row.streams:
            first = begins()
            found: Values = {
                frame: tuple(first.get(name, name) for text in texts for name in text.split())
                for frame, texts in self._texts(row.name)
            }
        elif cells is not None:
            found = {
                frame: tuple(map(read, cell.split(BETWEEN))) if BETWEEN in cell else (read(cell),)
                for frame, cell in zip(self._said, cells, strict=True)
                if cell
            }
        else:
            found = {frame: tuple(map(read, texts)) for frame, texts in self._texts(row.name)}
        return self._settled(row, found) if row.unordered else found

    def _texts(self, name: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The frames in which the dissector says something of a field, and what."""
        if name in self._cells:
            for frame, cell in zip(self._said, self._cells[name], strict=True):
                if cell:
                    yield frame, tuple(cell.split(BETWEEN))
        elif name in self._named:
            for frame, words in self._said.items():
                if texts := words.get(name):
                    yield frame, texts

    def ours(self, row: Field) -> Values:
        """Our values of a field."""
        ours, segments = row.ours, self._segments
        if isinstance(ours, OfOptions):
            having = [self._options[name] for name in ours.options if name in self._options]
            if ours.value is not None and len(having) == 1:
                return _told(ours.value, having[0])
            segments = {frame: segments[frame] for each in having for frame in each}
            ours = ours.ours
        view = self._view
        found = {
            frame: values
            for frame, segment in segments.items()
            if (values := tuple(ours(view, segment)))
        }
        return self._settled(row, found) if row.unordered else found

    def _settled(self, row: Field, values: Values) -> Values:
        """Values that are sets: in order, numbers before texts, and what means the same once."""
        if row.same is not None:
            same = row.same(self._view)
            values = {frame: tuple(same.get(x, x) for x in each) for frame, each in values.items()}
        return {
            frame: each if len(each) == 1 else tuple(sorted(set(each), key=_order))
            for frame, each in values.items()
            if each
        }


def _columns(said: Mapping[int, Words]) -> dict[str, tuple[str, ...]]:
    """By field what is printed of each frame, if there are lines of one table."""
    lines = [words for words in said.values() if isinstance(words, Line)]
    names = lines[0].names if lines else ()
    if len(lines) < len(said) or any(line.names is not names for line in lines):
        return {}
    columns = zip(*(line.text.split("\t") for line in lines), strict=True)
    table = zip(names, columns, strict=bool(lines))
    return {name: column for name, column in table if any(column)}


def _told(value: Callable[[Fact], Value | None], options: Mapping[int, list[Fact]]) -> Values:
    """The values of options, by frame."""
    found: Values = {}
    for frame, each in options.items():
        if len(each) == 1:
            if (one := value(each[0])) is not None:
                found[frame] = (one,)
        elif values := tuple(one for told in each if (one := value(told)) is not None):
            found[frame] = values
    return found


def _order(value: Value) -> tuple[bool, Value]:
    return isinstance(value, str), value


def stretches(said: Mapping[int, Words], view: View, until: int | None = None) -> Iterator[Stretch]:
    """A capture in stretches, up to and with a frame ``until``, or all of it."""
    if not isinstance(said, Blocks):
        mine: Blocks[Words] = Blocks(pack=packed, unpack=unpacked)
        for frame in sorted(said):
            mine.put(frame, said[frame])
        said = mine
    for number in sorted(said.numbers | view.segments.numbers):
        words, segments = said.block(number), view.segments.block(number)
        if until is None:
            yield Stretch(words, segments, view)
        else:
            yield Stretch(
                {frame: each for frame, each in words.items() if frame <= until},
                {frame: each for frame, each in segments.items() if frame <= until},
                view,
            )


def beginnings(said: Mapping[int, Words]) -> Mapping[str, int]:
    """The first frame of each TCP stream."""
    begins: dict[str, int] = {}
    for frame, words in said.items():
        for stream in words.get("tcp.stream", ()):
            begins.setdefault(stream, frame)
    return begins


def sides(row: Field, said: Mapping[int, Words], view: View) -> Iterator[Side]:
    """The values of both sides of one field, in every frame where a side has any."""
    begins, names = cache(lambda: beginnings(said)), Names()
    kept: list[Side] = []
    for stretch in stretches(said, view):
        for side in merged(stretch.theirs(row, begins), stretch.ours(row)):
            if row.names:
                names.learn(side)
                kept.append(side)
            else:
                yield side
    yield from map(names.named, kept)


def merged(theirs: Values, ours: Values) -> Iterator[Side]:
    """Both sides in the order of frames."""
    for frame in sorted(theirs.keys() | ours.keys()):
        yield frame, theirs.get(frame, ()), ours.get(frame, ())


class Names:
    """Values that only name groups of frames.

    A group is named anew, after the first frame in which both sides name a group; so groups of the
    same frames have the same name.
    """

    def __init__(self) -> None:
        """Begin without names."""
        self._theirs: dict[Value, int] = {}
        self._ours: dict[Value, int] = {}

    def learn(self, side: Side) -> bool:
        """Learn the names of a frame, in the order of frames.

        Returns:
            Whether both sides are found to name the same group.
        """
        frame, theirs, ours = side
        if not (theirs and ours):
            return False
        one = self._theirs.setdefault(theirs[0], frame)
        other = self._ours.setdefault(ours[0], frame)
        return one == other and len(theirs) == len(ours) == 1

    def named(self, side: Side) -> Side:
        """A frame with the new names, once those of all frames are learnt."""
        frame, theirs, ours = side
        return (
            frame,
            tuple(self._theirs.get(name, frame) for name in theirs),
            tuple(self._ours.get(name, frame) for name in ours),
        )
