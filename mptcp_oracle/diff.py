"""The comparison: every field of every frame, what a dissector says against the oracle's facts.

Connections and streams are matched by the frames that they consist of, never by number. Differences
are grouped: by field, and by the known difference that explains them or by how they differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mptcp_oracle.dissectors.case import Case
from mptcp_oracle.dissectors.dissector import CrashError, Dissector, Field, Words
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.sides import sides
from mptcp_oracle.dissectors.view import View

__all__ = ["Comparison", "Group", "asked", "cases", "compare", "explain"]

SHOWN = 16
"""Frames of a group that are kept."""


@dataclass(slots=True, kw_only=True)
class Group:
    """Differences of one field that have one cause, as far as that is known.

    Attributes:
        row: The field. known: What explains them; ``None`` if nothing does.
        first: The first of them. count: How many there are. frames: The first frames.
    """

    row: Field
    known: Known | None
    first: Case
    count: int = 0
    frames: list[int] = field(default_factory=list)

    @property
    def cause(self) -> str:
        """The known difference's id, or how the values differ."""
        return self.known.id if self.known else self.first.kind

    def add(self, case: Case) -> None:
        """Count one more."""
        self.count += 1
        if len(self.frames) < SHOWN:
            self.frames.append(case.frame)


@dataclass(slots=True)
class Comparison:
    """The result for one capture.

    Attributes:
        equal: Values on which both agree, by field.
        no_claim: Values of ours of which the dissector's version does not speak, by field.
        groups: The differences, by field and cause, in the order of the fields.
    """

    equal: Counter[str] = field(default_factory=Counter)
    no_claim: Counter[str] = field(default_factory=Counter)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)

    @property
    def new(self) -> list[Group]:
        """The differences that nothing explains."""
        return [each for each in self.groups.values() if each.known is None]

    @property
    def explained(self) -> list[Group]:
        """Those that the catalogue explains."""
        return [each for each in self.groups.values() if each.known is not None]


def asked(
    dissector: Dissector, capture: Path, view: View, known: Sequence[Known]
) -> tuple[Comparison, CrashError | None]:
    """What a dissector says of a capture, compared with our facts; and its crash, if it crashed.

    Args:
        dissector: The dissector.
        capture: A file that it can read.
        view: Our facts of it.
        known: Known differences of its version.

    Raises:
        AdapterError: It does not run, fails, or takes too long.
    """
    said: dict[int, Words] = {}
    crash = None
    try:
        said.update(dissector.frames(capture))
    except CrashError as error:
        crash = error
    until = None if crash is None else max(said, default=0)
    result = compare(
        dissector.fields,
        said,
        view,
        known,
        claims=dissector.claims(),
        silent=dissector.silent,
        until=until,
    )
    return result, crash


def compare(
    fields: Sequence[Field],
    said: Mapping[int, Words],
    view: View,
    known: Sequence[Known],
    claims: Collection[str] | None = None,
    silent: bool = True,
    until: int | None = None,
) -> Comparison:
    """Compare a dissector's words with our facts.

    Args:
        fields: What is compared.
        said: The dissector's words, by frame.
        view: Our facts of the same capture.
        known: Known differences of its version, tried in order.
        claims: The fields of which it speaks; all by default.
        silent: Whether a field that is not mentioned in a frame says that there is none.
        until: The last frame of which it spoke before it broke down; by default it spoke of all.
    """
    result = Comparison()
    for row in fields:
        if claims is not None and row.name not in claims:
            unsaid = sum(len(tuple(row.ours(view, each))) for each in view.segments.values())
            if unsaid:
                result.no_claim[row.name] = unsaid
            continue
        about = [each for each in known if each.about(row.name)]
        for case in cases(row, said, view):
            if until is not None and case.frame > until:
                continue
            if not (silent or case.theirs or row.name in said.get(case.frame, {})):
                result.no_claim[row.name] += len(case.ours)
                continue
            if case.theirs == case.ours:
                result.equal[row.name] += len(case.theirs)
                continue
            found = explain(case, about)
            key = (row.name, found.id if found else case.kind)
            if key not in result.groups:
                result.groups[key] = Group(row=row, known=found, first=case)
            result.groups[key].add(case)
    return result


def explain(case: Case, known: Iterable[Known]) -> Known | None:
    """The first known difference that holds, or ``None``."""
    return next((each for each in known if each.explains(case)), None)


def cases(row: Field, said: Mapping[int, Words], view: View) -> Iterator[Case]:
    """One case, equal or not, for each frame where a side has any value of the field."""
    for frame, theirs, ours in sides(row, said, view):
        yield Case(
            frame=frame,
            field=row.name,
            theirs=theirs,
            ours=ours,
            segment=view.segments.get(frame),
            view=view,
            said=said,
        )
