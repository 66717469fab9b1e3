"""Counting what triggers foresee: what is right, what is missed, and what looks alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mptcp_oracle.dissectors.case import Place
from mptcp_oracle.dissectors.dissector import Field, Words
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.view import View
from tests.triggers.tally import Tally, compare

Foresees = Callable[[Place], bool]


@dataclass(frozen=True)
class Says:
    """A dissector that has said what it says."""

    fields: tuple[Field, ...]
    name: str = "says"
    silent: bool = True

    def version(self) -> str:
        """None."""
        return ""

    def claims(self) -> frozenset[str]:
        """All fields."""
        return frozenset(each.name for each in self.fields)

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """Nothing: what it says is given."""
        raise NotImplementedError


FIELD = Field(name="n", section="", fact="", read=int, ours=lambda view, segment: ())
#: Frames 1 to 4 have a number that facts have not, frames 5 and 6 have none.
SAID: dict[int, Words] = {at: {"n": ("7",)} if at < 5 else {} for at in range(1, 7)}


def entry(name: str, foresees: Foresees, **more: str) -> Known:
    """An entry that explains an invented number, where a trigger foresees it."""
    return Known(
        id=name, title="", fields=("n",), condition="", holds=lambda case: case.theirs == (7,),
        right="facts", section="", why="", trigger="t", foresees=foresees,
        **{"cause": name, **more},
    )  # fmt: skip


def tally(*known: Known) -> Tally:
    """The count of two captures."""
    found = Tally()
    for _ in range(2):
        found.merge(compare(Says((FIELD,)), SAID, View(()), known, "a capture"))
    return found


def test_a_trigger_that_is_right() -> None:
    """It foresees every difference and nothing else: a kind."""
    found = tally(right := entry("right", lambda place: place.frame < 5))
    score = found.score("right")
    assert (score.predicted, score.actual, score.right, score.caught) == (8, 8, 8, 8)
    assert (found.missed([right]), found.causes([right])) == ([], {"right": ["right"]})
    assert not found.new
    assert "kinds by cause that reach 95%: 1" in "\n".join(found.lines([right]))


@pytest.mark.parametrize(
    ("foresees", "precision", "recall", "new"),
    [
        (lambda place: True, 4 / 6, 1, 0),
        (lambda place: place.frame < 4, 1, 3 / 4, 2),
        (lambda place: 1 < place.frame < 6, 3 / 4, 3 / 4, 2),
    ],
    ids=["too wide", "too narrow", "elsewhere"],
)
def test_a_trigger_that_is_wrong(
    foresees: Foresees, precision: float, recall: float, new: int
) -> None:
    """What it foresees in vain, and what it misses, counts, also where both are silent."""
    found = tally(wrong := entry("wrong", foresees))
    score = found.score("wrong")
    assert (score.precision, score.recall) == (precision, recall)
    assert found.new.total() == new
    assert found.missed([wrong]) == ["wrong"]
    assert not found.causes([wrong])


def test_what_another_entry_explains_is_not_missed() -> None:
    """Two triggers share the differences of one field; each is asked about its own."""
    low = entry("low", lambda place: place.frame < 3)
    high = entry("high", lambda place: 2 < place.frame < 5)
    found = tally(low, high)
    assert not found.missed([low, high])
    assert len(found.causes([low, high])) == 2


def test_what_is_alike_counts_once() -> None:
    """Entries with the same places are one kind, as are entries with one cause."""
    one, other = (entry(name, lambda place: place.frame < 5) for name in ("one", "other"))
    found = tally(one, other)
    assert [pair[:2] for pair in found.alike()] == [("one", "other")]
    assert found.score("other").actual == 0
    low = entry("low", lambda place: place.frame < 3, cause="common")
    high = entry("high", lambda place: 2 < place.frame < 5, cause="common")
    assert tally(low, high).causes([low, high]) == {"common": ["low", "high"]}


def test_what_never_occurs_is_no_kind() -> None:
    """An entry without places is neither missed nor counted."""
    idle = entry("idle", lambda place: False)
    found = compare(Says((FIELD,)), {1: {}}, View(()), [idle], "a capture")
    assert (found.missed([idle]), found.causes([idle])) == ([], {})
