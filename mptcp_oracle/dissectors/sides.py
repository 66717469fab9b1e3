"""Both sides of a comparison: a dissector's values and ours, frame by frame.

A capture is gone through in stretches, and in each of them field by field: where all values of a
field are the same, as nearly everywhere they are, no frame is looked at on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import compress
from operator import ne
from typing import TypeAlias

from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.columns import UNSURE, Chunk
from mptcp_oracle.dissectors.dissector import Field, OfOptions, Value, Words
from mptcp_oracle.dissectors.lines import BETWEEN, Line, packed, unpacked
from mptcp_oracle.dissectors.rows import TraceView
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.facts import Fact

__all__ = [
    "Names",
    "Side",
    "Stretch",
    "Values",
    "beginnings",
    "read",
    "settled",
    "sides",
    "stretches",
]

Values: TypeAlias = dict[int, tuple[Value, ...]]
"""By frame what a side says, if it says anything."""

Side: TypeAlias = tuple[int, tuple[Value, ...], tuple[Value, ...]]
"""A frame, the dissector's values of it, and ours."""


class Stretch:
    """Some frames in a row."""

    def __init__(
        self,
        said: Mapping[int, Words],
        segments: Mapping[int, Segment],
        view: View,
        part: tuple[Chunk, slice] | None = None,
    ) -> None:
        """Take what there is.

        Args:
            said: What the dissector says of the frames.
            segments: Our segments among them.
            view: All facts.
            part: Where the segments stand in the tables of a trace, if the facts are of one.
        """
        self._said, self._segments, self._view = said, segments, view
        self._cells = _columns(said)
        every = () if self._cells else said.values()
        self._named = {name for words in every for name in words}
        self._part = part if self._cells or not said else None

    # ---- quickly ---------------------------------------------------------------------------

    def quick(
        self,
        row: Field,
        names: Names | None,
        pairs: dict[tuple[str, Hashable], tuple[bool, int]],
        begins: Callable[[], Mapping[str, int]],
    ) -> tuple[int, list[int] | None, Values]:
        """Compare a field's texts with those that are expected.

        Args:
            row: The field.
            names: Learns the names, if it has only names.
            pairs: Of a field with a key: whether a text and a key agree, found before, and how
                many values that are.
            begins: Gives the first frame of each TCP stream.

        Returns:
            How many values agree; the frames that have to be looked at, ``None`` for all; and of
            those of them where a text was expected, our values.
        """
        if self._part is None:
            return 0, None, {}
        cells = self._cells.get(row.name)
        chunk, part = self._part
        if row.key is not None:
            keys = chunk.keys(row.key)[part]
            return *self._by_key(row, cells, keys, names, pairs, begins), {}
        if row.column is not None:
            expected = chunk.texts(row.column)[part]
        elif isinstance(row.ours, OfOptions) and "dss" not in row.ours.options:
            expected = [""] * len(self._frames)
        else:
            return 0, None, {}
        holders = self._holders(row)
        if cells is None and not any(expected):
            return 0, holders, {}
        mine, foreign = self._aligned(cells)
        count = len(mine) - expected.count("")
        held = {self._index[frame] for frame in holders}
        rest = list(compress(range(len(mine)), map(ne, mine, expected))) if mine != expected else []
        frames, told = self._frames, Values()
        for at in rest:
            if expected[at] != UNSURE and at not in held:
                told[frames[at]] = (row.read(expected[at]),) if expected[at] else ()
        if held:
            rest = sorted(held.union(rest))
        if rest:
            count -= sum(1 for at in rest if expected[at])
        looked = [frames[at] for at in rest]
        return count, sorted([*looked, *foreign]) if foreign else looked, told

    def _by_key(
        self,
        row: Field,
        cells: Sequence[str] | None,
        keys: Sequence[Hashable],
        names: Names | None,
        pairs: dict[tuple[str, Hashable], tuple[bool, int]],
        begins: Callable[[], Mapping[str, int]],
    ) -> tuple[int, list[int]]:
        mine, rest = self._aligned(cells)
        both = list(zip(mine, keys, strict=True))
        count, bad = 0, set()
        # In the order in which they come up first, in which names are learnt.
        for pair, often in Counter(both).items():
            if pair not in pairs or not pairs[pair][0]:
                frame = self._frames[both.index(pair)]
                theirs = self.theirs(row, begins, (frame,)).get(frame, ())
                ours = self.ours(row, (frame,)).get(frame, ())
                same = theirs == ours if names is None else names.learn((frame, theirs, ours))
                pairs[pair] = same, len(ours)
            same, values = pairs[pair]
            if same:
                count += often * values
            else:
                bad.add(pair)
        if bad:
            rest += [self._frames[at] for at, pair in enumerate(both) if pair in bad]
        return count, sorted(rest)

    @cached_property
    def _frames(self) -> list[int]:
        """The frames of our segments."""
        return list(self._segments)

    @cached_property
    def _index(self) -> dict[int, int]:
        """Where each of them stands among ours."""
        return {frame: at for at, frame in enumerate(self._frames)}

    @cached_property
    def _places(self) -> tuple[list[int | None], list[int]] | None:
        """Where in the table our frames stand, and where others do; ``None``: they are the same."""
        if list(self._said) == self._frames:
            return None
        place, ours = self._place, self._segments
        return [place.get(frame) for frame in ours], [
            at for frame, at in place.items() if frame not in ours
        ]

    def _aligned(self, cells: Sequence[str] | None) -> tuple[list[str], list[int]]:
        """The texts of our frames, and other frames that have one."""
        if cells is None:
            return [""] * len(self._frames), []
        if self._places is None:
            return list(cells), []
        ours, others = self._places
        said = list(self._said)
        return [
            "" if at is None else cells[at] for at in ours
        ], [said[at] for at in others if cells[at]]  # fmt: skip

    def _holders(self, row: Field) -> list[int]:
        """The frames with any of the options whose values a field has, other than a lone DSS."""
        ours = row.ours
        if not isinstance(ours, OfOptions):
            return []
        return sorted({frame for name in ours.options for frame in self._special.get(name, ())})

    @cached_property
    def _special(self) -> dict[str, dict[int, list[Fact]]]:
        """Options by name and frame, of frames that have others than one ordinary DSS."""
        assert self._part is not None
        chunk, part = self._part
        frames = chunk.of("frame")[part][chunk.special[part]].tolist()
        return self._options_of({frame: self._segments[frame] for frame in frames})

    def _options_of(self, segments: Mapping[int, Segment]) -> dict[str, dict[int, list[Fact]]]:
        found: dict[str, dict[int, list[Fact]]] = {}
        for frame, segment in segments.items():
            for told in segment.options():
                found.setdefault(told["option"], {}).setdefault(frame, []).append(told)
        return found

    # ---- value by value --------------------------------------------------------------------

    def theirs(
        self,
        row: Field,
        begins: Callable[[], Mapping[str, int]],
        only: Collection[int] | None = None,
    ) -> Values:
        """The dissector's values of a field.

        Args:
            row: The field.
            begins: Gives the first frame of each TCP stream.
            only: Frames in order, if not all.
        """
        texts = self._texts(row.name, only)
        found = {frame: read(row, every, begins) for frame, every in texts}
        return settled(row, self._view, found) if row.unordered else found

    def _texts(
        self, name: str, only: Collection[int] | None
    ) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The frames in which the dissector says something of a field, and what."""
        said = self._said
        if name in self._cells:
            cells: Iterable[tuple[int, str]] = zip(said, self._cells[name], strict=True)
            if only is not None:
                place, column = self._place, self._cells[name]
                cells = ((frame, column[place[frame]]) for frame in only if frame in place)
            for frame, cell in cells:
                if cell:
                    yield frame, tuple(cell.split(BETWEEN)) if BETWEEN in cell else (cell,)
        elif name in self._named:
            for frame in said if only is None else only:
                if frame in said and (texts := said[frame].get(name)):
                    yield frame, texts

    @cached_property
    def _place(self) -> dict[int, int]:
        """Where in the table each frame stands."""
        return {frame: at for at, frame in enumerate(self._said)}

    def ours(
        self, row: Field, only: Collection[int] | None = None, told: Values | None = None
    ) -> Values:
        """Our values of a field.

        Args:
            row: The field.
            only: Frames in order, if not all.
            told: The values of some of these, if they are known.
        """
        ours, segments, told = row.ours, self._segments, told or {}
        if only is not None:
            segments = {
                frame: segments[frame] for frame in only if frame in segments and frame not in told
            }
        elif isinstance(ours, OfOptions):
            having = [self._every[name] for name in ours.options if name in self._every]
            if ours.value is not None and len(having) == 1:
                return _told(ours.value, having[0])
            segments = {frame: segments[frame] for each in having for frame in each}
        if isinstance(ours, OfOptions):
            ours = ours.ours
        view = self._view
        found: Values = {
            frame: values
            for frame, segment in segments.items()
            if (values := tuple(ours(view, segment)))
        }
        found |= told
        return settled(row, self._view, found) if row.unordered else found

    @cached_property
    def _every(self) -> dict[str, dict[int, list[Fact]]]:
        """All options by name and frame."""
        return self._options_of(self._segments)


def read(
    row: Field, texts: Sequence[str], begins: Callable[[], Mapping[str, int]]
) -> tuple[Value, ...]:
    """A dissector's texts as values.

    Raises:
        AdapterError: One cannot be read.
    """
    if row.streams:
        first = begins()
        return tuple(first.get(name, name) for text in texts for name in text.split())
    try:
        return tuple(map(row.read, texts))
    except ValueError as error:
        cause = ", ".join(repr(text[:80]) for text in texts[:4])
        raise AdapterError(f"what is said of {row.name} is no value of it", cause=cause) from error


def settled(row: Field, view: View, values: Values) -> Values:
    """Values that are sets: in order, numbers before texts, and what means the same once."""
    if row.same is not None:
        same = row.same(view)
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
            part = view.chunk(number) if isinstance(view, TraceView) else None
            yield Stretch(words, segments, view, part)
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
