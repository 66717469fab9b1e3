"""A place and a case: one field of one frame, without and with what a dissector says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mptcp_oracle.dissectors.dissector import Value, Words
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["KINDS", "Case", "Caused", "Place", "kind", "told"]

KINDS = ("missing", "invented", "other")
"""How a dissector differs: it says nothing where the oracle has a value, it says something where
the oracle has none, or it says something else."""


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """One field of one frame, as our facts have it.

    Attributes:
        frame: Where. field: Name of the field. ours: Its values by our facts; of a field that only
            names groups the names themselves say nothing.
        segment: Our facts of the frame; ``None`` if it is of no MPTCP subflow by them.
        view: All our facts.
    """

    frame: int
    field: str
    ours: tuple[Value, ...]
    segment: Segment | None
    view: View


@dataclass(slots=True, kw_only=True, eq=False)
class Case(Place):
    """A place and what a dissector says there.

    Attributes:
        theirs: Its values of the field. said: All that it says, by frame.
    """

    theirs: tuple[Value, ...]
    said: Mapping[int, Words]

    @property
    def kind(self) -> str:
        """How the dissector differs, one of :data:`KINDS`."""
        return kind(self.theirs, self.ours)

    def __str__(self) -> str:
        theirs, ours = (told(each, "says nothing") for each in (self.theirs, self.ours))
        return f"frame {self.frame}: {self.field}: the dissector {theirs}, facts {ours}"


@dataclass(frozen=True, slots=True)
class Caused:
    """Foresees a difference at places where there is one that has a certain cause.

    Attributes:
        cause: The cause. find: Gives the cause of the difference at a place, if there is one; such
            functions are the same for all causes of a dissector.
    """

    cause: str
    find: Callable[[Place], str | None]

    def __call__(self, place: Place) -> bool:
        """Whether a difference with this cause has to be there."""
        return self.find(place) == self.cause


def kind(theirs: Sequence[Value], ours: Sequence[Value]) -> str:
    """How a dissector differs, one of :data:`KINDS`."""
    if not theirs:
        return "missing"
    return "other" if ours else "invented"


def told(values: Sequence[Value], none: str = "nothing") -> str:
    """Values in a row, or that there are none."""
    return ", ".join(map(str, values)) if values else none
