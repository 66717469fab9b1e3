"""The comparison: every field of every frame, what a dissector says against the oracle's facts.

Connections and streams are matched by the frames that they consist of, never by number. Differences
are grouped: by field, and by the known difference that explains them or by how they differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.case import Case, kind
from mptcp_oracle.dissectors.dissector import CrashError, Dissector, Field, Words
from mptcp_oracle.dissectors.explaining import Ahead, Answer, Beside, Explainer, Here, case_of
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.lines import packed, unpacked
from mptcp_oracle.dissectors.sides import Names, Side, beginnings, merged, sides, stretches
from mptcp_oracle.dissectors.view import View

__all__ = ["Comparison", "Group", "asked", "cases", "compare", "heard", "judged"]

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

    def add(self, frame: int) -> None:
        """Count one more."""
        self.count += 1
        if len(self.frames) < SHOWN:
            self.frames.append(frame)


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

    def add(self, row: Field, side: Side, known: Known | None, case: Callable[[], Case]) -> None:
        """Count a difference, and what explains it."""
        frame, theirs, ours = side
        key = (row.name, kind(theirs, ours) if known is None else known.id)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(row=row, known=known, first=case())
        group.add(frame)

    def sort(self, fields: Sequence[Field]) -> None:
        """Put the groups in the order of fields and frames, and leave out counts of 0."""
        order = {row.name: at for at, row in enumerate(fields)}
        self.groups = dict(
            sorted(self.groups.items(), key=lambda item: (order[item[0][0]], item[1].frames[0]))
        )
        self.equal, self.no_claim = +self.equal, +self.no_claim


Watch: TypeAlias = Callable[[Field, Case, Known | None], None]


def asked(
    dissector: Dissector,
    capture: Path,
    view: View,
    known: Sequence[Known],
    watch: Watch | None = None,
) -> tuple[Comparison, CrashError | None]:
    """What a dissector says of a capture, compared with our facts; and its crash, if it crashed.

    Args:
        dissector: The dissector.
        capture: A file that it can read.
        view: Our facts of it.
        known: Known differences of its version.
        watch: Told of every difference and what explains it.

    Raises:
        AdapterError: It does not run, fails, or takes too long.
    """
    said, crash = heard(dissector, capture)
    return judged(dissector, said, crash, view, known, watch), crash


def heard(dissector: Dissector, capture: Path) -> tuple[Blocks[Words], CrashError | None]:
    """What a dissector says of a capture, and its crash, if it crashed.

    Raises:
        AdapterError: It does not run, fails, or takes too long.
    """
    said: Blocks[Words] = Blocks(pack=packed, unpack=unpacked)
    try:
        for frame, words in dissector.frames(capture):
            said.put(frame, words)
    except CrashError as error:
        return said, error
    return said, None


def judged(
    dissector: Dissector,
    said: Mapping[int, Words],
    crash: CrashError | None,
    view: View,
    known: Sequence[Known],
    watch: Watch | None = None,
    ahead: Ahead | None = None,
) -> Comparison:
    """What a dissector has said, and whether it crashed, compared with our facts."""
    return compare(
        dissector.fields,
        said,
        view,
        known,
        claims=dissector.claims(),
        silent=dissector.silent,
        until=None if crash is None else max(said, default=0),
        watch=watch,
        ahead=ahead,
    )


def compare(
    fields: Sequence[Field],
    said: Mapping[int, Words],
    view: View,
    known: Sequence[Known],
    claims: Collection[str] | None = None,
    silent: bool = True,
    until: int | None = None,
    watch: Watch | None = None,
    ahead: Ahead | None = None,
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
        watch: Told of every difference and what explains it.
        ahead: A process that has begun with explaining.
    """
    result = Comparison()
    rows = [row for row in fields if claims is None or row.name in claims]
    others = [row for row in fields if row not in rows]
    names = {row.name: Names() for row in rows if row.names}
    pairs: dict[str, dict[tuple[str, Hashable], tuple[bool, int]]] = {row.name: {} for row in rows}
    unnamed: dict[str, list[Side]] = {name: [] for name in names}
    begins = cache(lambda: beginnings(said))
    found: list[tuple[Field, list[Side], Answer]] = []
    here = Here(known, view, said)
    explainer: Explainer = here if ahead is None else Beside(ahead, here)

    def settled(row: Field, side: Side) -> bool:
        """Whether the sides do not differ, or one says nothing at all; that is counted."""
        frame, theirs, ours = side
        if theirs == ours:
            result.equal[row.name] += len(ours)
        elif not (silent or theirs or row.name in said.get(frame, {})):
            result.no_claim[row.name] += len(ours)
        else:
            return False
        return True

    def judge(row: Field, sides: Iterable[Side]) -> None:
        """Count what is settled, and have the rest explained."""
        different = [side for side in sides if not settled(row, side)]
        if different:
            found.append((row, different, explainer.submit(row.name, different)))

    for stretch in stretches(said, view, until):
        for row in rows:
            learnt = names.get(row.name)
            count, rest, told = stretch.quick(row, learnt, pairs[row.name], begins)
            result.equal[row.name] += count
            if rest is not None and not rest:
                continue
            theirs, ours = stretch.theirs(row, begins, rest), stretch.ours(row, rest, told)
            if row.names:
                both, learn = list(merged(theirs, ours)), names[row.name].learn
                unknown = [side for side in both if not learn(side)]
                unnamed[row.name] += unknown
                result.equal[row.name] += len(both) - len(unknown)
            elif theirs == ours:
                result.equal[row.name] += sum(map(len, theirs.values()))
            else:
                judge(row, merged(theirs, ours))
        for row in others:
            result.no_claim[row.name] += sum(map(len, stretch.ours(row).values()))
    for row in rows:
        if row.names:
            judge(row, map(names[row.name].named, unnamed[row.name]))
    for row, different, answer in found:
        for side, at in zip(different, answer(), strict=True):
            case = partial(case_of, row.name, side, view, said)
            cause = None if at is None else known[at]
            result.add(row, side, cause, case)
            if watch is not None:
                watch(row, case(), cause)
    result.sort(fields)
    return result


def cases(row: Field, said: Mapping[int, Words], view: View) -> Iterator[Case]:
    """One case, equal or not, for each frame where a side has any value of the field."""
    return (case_of(row.name, side, view, said) for side in sides(row, said, view))
