"""The comparison: every field of every frame, what tshark says against what our facts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mptcp_oracle.facts import Fact
from tests.adapters.fields import FIELDS, Field
from tests.adapters.values import Value
from tests.adapters.view import Segment, View
from tests.common.tshark import Values

__all__ = ["Case", "Comparison", "Explanation", "cases", "compare", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One difference.

    Attributes:
        frame: Where. field: Name of the field. theirs, ours: The values of both sides.
        segment: Our facts of the frame; ``None`` if it is of no MPTCP subflow by them.
        view: All our facts. said: All that tshark says, by frame.
    """

    frame: int
    field: str
    theirs: tuple[Value, ...]
    ours: tuple[Value, ...]
    segment: Segment | None
    view: View
    said: Mapping[int, Values]

    def __str__(self) -> str:
        theirs, ours = _list(self.theirs), _list(self.ours)
        return f"frame {self.frame}: {self.field}: tshark {theirs}, facts {ours}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a kind of difference is no mistake of ours.

    Attributes:
        name: Short, unique. fields: The fields that it may explain.
        holds: Whether it explains a difference; as narrow as the argument.
        right: Who is right: ``facts`` or ``both``.
        why: The argument. section: Section of RFC 8684 that it rests on.
    """

    name: str
    fields: frozenset[str]
    holds: Callable[[Case], bool]
    right: str
    why: str
    section: str


@dataclass(slots=True)
class Comparison:
    """The result for one capture.

    Attributes:
        equal: Values of tshark's that are also ours, by field.
        explained: Differences by field and by name of their explanation.
        unexplained: The rest.
    """

    equal: Counter[str] = field(default_factory=Counter)
    explained: Counter[tuple[str, str]] = field(default_factory=Counter)
    unexplained: list[Case] = field(default_factory=list)


def _list(values: Sequence[Value]) -> str:
    return ", ".join(map(str, values)) if values else "says nothing"


def compare(
    said: Mapping[int, Values], facts: Iterable[Fact], explanations: Sequence[Explanation]
) -> Comparison:
    """Compare tshark's words with our facts.

    Args:
        said: tshark's fields by frame.
        facts: Our facts of the same capture.
        explanations: Tried in order; the first that holds explains a difference.
    """
    view, result = View(facts), Comparison()
    for row in FIELDS:
        for case in cases(row, said, view):
            if case.theirs == case.ours:
                result.equal[row.name] += len(case.theirs)
                continue
            name = explain(case, explanations)
            if name is None:
                result.unexplained.append(case)
            else:
                result.explained[row.name, name] += 1
    return result


def explain(case: Case, explanations: Sequence[Explanation]) -> str | None:
    """The name of the first explanation that holds, or ``None``."""
    for explanation in explanations:
        if case.field in explanation.fields and explanation.holds(case):
            return explanation.name
    return None


def cases(row: Field, said: Mapping[int, Values], view: View) -> Iterator[Case]:
    """One case, equal or not, for each frame where a side has any value of the field."""
    for frame, theirs, ours in _sides(row, said, view):
        yield Case(
            frame=frame, field=row.name, theirs=theirs, ours=ours,
            segment=view.segments.get(frame), view=view, said=said,
        )  # fmt: skip


def _sides(
    row: Field, said: Mapping[int, Values], view: View
) -> Iterator[tuple[int, tuple[Value, ...], tuple[Value, ...]]]:
    """The values of both sides, in every frame where a side has any."""
    sides: list[tuple[int, tuple[Value, ...], tuple[Value, ...]]] = []
    begins: dict[Value, Value] = {}
    for frame, values in said.items():
        for stream in values.get("tcp.stream", ()):
            begins.setdefault(stream, frame)
    for frame, values in said.items():
        segment = view.segments.get(frame)
        texts = values.get(row.name, ())
        if row.streams:
            theirs = tuple(begins[stream] for text in texts for stream in text.split())
        else:
            theirs = tuple(row.read(text) for text in texts)
        ours = tuple(row.ours(view, segment)) if segment is not None else ()
        if row.unordered:
            theirs, ours = tuple(sorted(set(theirs))), tuple(sorted(set(ours)))
        if theirs or ours:
            sides.append((frame, theirs, ours))
    return iter(_renamed(sides) if row.names else sides)


def _renamed(
    sides: list[tuple[int, tuple[Value, ...], tuple[Value, ...]]],
) -> Iterator[tuple[int, tuple[Value, ...], tuple[Value, ...]]]:
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
