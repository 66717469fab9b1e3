"""What triggers foresee against what a dissector says, counted over captures.

A *place* is a field of a frame of a capture. For each entry with a trigger:

- *predicted*: places of its fields where the trigger holds, also where neither side says anything;
- *right*: those of them where the two sides differ as the entry's condition says;
- *actual*: differences that it explains, and those that no entry explains, if they are of a field
  and a kind of which it explains some: a trigger or a condition that is too narrow, or an entry
  that is missing, costs recall wherever it looks alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import combinations

from mptcp_oracle.diff import cases
from mptcp_oracle.dissectors.case import Case, Place
from mptcp_oracle.dissectors.dissector import Dissector, Field, Words
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.view import View

__all__ = ["ENOUGH", "Score", "Tally", "compare"]

ENOUGH = 0.95
"""Precision and recall that a trigger has to reach."""
ALIKE = 0.9
"""Share of common places above which two entries count as one."""
EXAMPLES = 3


@dataclass(slots=True)
class Score:
    """How often a trigger is right.

    Attributes:
        predicted, actual: How many. right: Predicted, and there. caught: Actual, and predicted.
    """

    predicted: int = 0
    actual: int = 0
    right: int = 0
    caught: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, each.name) + getattr(other, each.name)
                       for each in fields(Score)))  # fmt: skip

    def whole(self) -> Score:
        """One of each that is not 0: a capture instead of its places."""
        return Score(*(min(1, getattr(self, each.name)) for each in fields(Score)))

    @property
    def precision(self) -> float:
        """Share of what was predicted that is there."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of what is there that was predicted."""
        return self.caught / self.actual if self.actual else 1.0

    @property
    def enough(self) -> bool:
        """Whether it occurs, and both shares reach :data:`ENOUGH`."""
        return self.actual > 0 and min(self.precision, self.recall) >= ENOUGH


@dataclass(slots=True)
class Tally:
    """Sums over captures.

    Attributes:
        captures: How many. crashes: Those whose dissector crashed. failures: What went wrong.
        places, wholes: Scores by entry: per place, and per capture, where any new difference of a
            field of an entry that explains nothing in the capture counts as missed.
        kinds: By entry, the fields and kinds of the differences that it explains.
        common: Places that the triggers of two entries have in common, by pair.
        new: Differences that no entry explains, by field and how. shown: Some of them. wrong: Some
            places where an entry's trigger foresees a difference that is not there.
    """

    captures: int = 0
    crashes: int = 0
    failures: list[str] = field(default_factory=list)
    places: dict[str, Score] = field(default_factory=dict)
    wholes: dict[str, Score] = field(default_factory=dict)
    kinds: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    common: Counter[tuple[str, str]] = field(default_factory=Counter)
    new: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def merge(self, other: Tally) -> None:
        """Count another tally's captures too."""
        self.captures += other.captures
        self.crashes += other.crashes
        self.failures += other.failures
        for mine, theirs in ((self.places, other.places), (self.wholes, other.wholes)):
            for key, score in theirs.items():
                mine[key] = mine.get(key, Score()) + score
        for key, kinds in other.kinds.items():
            self.kinds.setdefault(key, Counter()).update(kinds)
        self.common += other.common
        self.new += other.new
        for key, lines in other.shown.items():
            self.shown[key] = (self.shown.get(key, []) + lines)[:EXAMPLES]
        for name, lines in other.wrong.items():
            self.wrong[name] = (self.wrong.get(name, []) + lines)[:EXAMPLES]

    def count(self, case: Case, known: Sequence[Known], name: str) -> None:
        """Count one difference."""
        key = (case.field, case.kind)
        cause = next((each for each in known if each.explains(case)), None)
        if cause is not None:
            self.kinds.setdefault(cause.id, Counter())[key] += 1
        else:
            self.new[key] += 1
            self.shown.setdefault(key, []).append(f"{name}, {case}")

    def close(self, known: Sequence[Known]) -> None:
        """Score the captures so far as one."""
        for each in known:
            if each.trigger:
                score = self.places[each.id].whole()
                new = any(each.about(name) for name, _ in self.new)
                score.caught = int(bool(self.kinds.get(each.id)))
                score.actual = int(score.caught or new)
                self.wholes[each.id] = score

    def score(self, entry: str) -> Score:
        """How often an entry's trigger is right, place by place."""
        found, kinds = self.places.get(entry, Score()), self.kinds.get(entry, Counter())
        caught = kinds.total()
        missed = sum(count for key, count in self.new.items() if key in kinds)
        return Score(found.predicted, caught + missed, found.right, caught)

    def missed(self, known: Sequence[Known]) -> list[str]:
        """Entries with a trigger that occur and do not reach :data:`ENOUGH`."""
        return [
            each.id
            for each in known
            if each.trigger
            and (score := self.score(each.id)).predicted + score.actual
            and not score.enough
        ]

    def alike(self) -> Iterator[tuple[str, str, float]]:
        """Pairs of entries whose triggers have most places in common."""
        for (one, other), both in sorted(self.common.items()):
            every = self.places[one].predicted + self.places[other].predicted - both
            if both > ALIKE * every:
                yield one, other, both / every

    def causes(self, known: Sequence[Known]) -> dict[str, list[str]]:
        """Kinds: by cause, the entries that reach :data:`ENOUGH`; what is alike counts once."""
        found: dict[str, list[str]] = {}
        same = {other: one for one, other, _ in self.alike()}
        causes = {each.id: each.cause for each in known}
        for each in known:
            if each.trigger and self.score(each.id).enough:
                cause = causes[same[each.id]] if each.id in same else each.cause
                found.setdefault(cause, []).append(each.id)
        return found

    def lines(self, known: Sequence[Known]) -> Iterator[str]:
        """The tally as text."""
        yield f"{self.captures} captures, the dissector crashed on {self.crashes}"
        yield from self.failures
        width = max((len(each.id) for each in known if each.trigger), default=5)
        yield f"{'entry':{width}} predicted  actual    both precision recall | captures: p  recall"
        for each in known:
            if not each.trigger:
                continue
            place, whole = self.score(each.id), self.wholes.get(each.id, Score())
            yield (
                f"{each.id:{width}} {place.predicted:9} {place.actual:7} {place.right:7} "
                f"{place.precision:9.3f} {place.recall:6.3f} | {whole.predicted:8} "
                f"{whole.precision:.3f} {whole.recall:.3f}{'' if place.enough else '  <--'}"
            )
            yield from (f"    not there: {line}" for line in self.wrong.get(each.id, ()))
        yield from (f"{share:.0%} alike: {one}, {other}" for one, other, share in self.alike())
        causes = self.causes(known)
        yield f"kinds by cause that reach {ENOUGH:.0%}: {len(causes)}"
        yield from (f"  {cause}: {', '.join(ids)}" for cause, ids in causes.items())
        yield f"differences that no entry explains: {self.new.total()}"
        for key, count in sorted(self.new.items()):
            yield f"  {' '.join(key)}: {count}"
            yield from (f"      {line}" for line in self.shown[key])


def compare(
    dissector: Dissector,
    said: Mapping[int, Words],
    view: View,
    known: Sequence[Known],
    name: str,
    until: int | None = None,
) -> Tally:
    """What triggers foresee of one capture, and what is there.

    Args:
        dissector: The dissector.
        said: Its words, by frame.
        view: Our facts.
        known: Its known differences, in order.
        name: What the capture is called in examples.
        until: The last frame of which it spoke, if it crashed.
    """
    tally, claims = Tally(captures=1), dissector.claims()
    triggered = [each for each in known if each.trigger]
    tally.places = {each.id: Score() for each in triggered}
    met: dict[str, set[tuple[int, str]]] = {each.id: set() for each in triggered}
    last = max([*said, *view.segments], default=0) if until is None else until
    for row in (each for each in dissector.fields if each.name in claims):
        spoken = [
            frame
            for frame in sorted(said.keys() | view.segments.keys())
            if frame <= last and (dissector.silent or row.name in said.get(frame, {}))
        ]
        different = {case.frame: case for case in cases(row, said, view)
                     if case.theirs != case.ours}  # fmt: skip
        about = [each for each in triggered if each.about(row.name)]
        for frame in spoken if about else ():
            case = different.get(frame)
            place = case or _place(row, frame, view)
            for each in about:
                if each.foresees(place):
                    met[each.id].add((frame, row.name))
                    fits = case is not None and each.holds(case)
                    tally.places[each.id].right += fits
                    if not fits:
                        words = case or f"frame {frame}: {row.name}: both sides agree"
                        tally.wrong.setdefault(each.id, []).append(f"{name}, {words}")
        for frame in different.keys() & set(spoken):
            tally.count(different[frame], known, name)
    for key, found in met.items():
        tally.places[key].predicted = len(found)
    tally.close(known)
    for one, other in combinations(met, 2):
        tally.common[one, other] = len(met[one] & met[other])
    return tally


def _place(row: Field, frame: int, view: View) -> Place:
    segment = view.segments.get(frame)
    ours = () if segment is None else tuple(row.ours(view, segment))
    return Place(frame=frame, field=row.name, ours=ours, segment=segment, view=view)
