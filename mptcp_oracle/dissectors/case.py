"""A case: what two witnesses say of one field of one frame, and all that is needed to judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mptcp_oracle.dissectors.dissector import Value, Words
from mptcp_oracle.dissectors.view import Segment, View

__all__ = ["KINDS", "Case"]

KINDS = ("missing", "invented", "other")
"""How a dissector differs: it says nothing where the oracle has a value, it says something where
the oracle has none, or it says something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One field of one frame.

    Attributes:
        frame: Where. field: Name of the field. theirs, ours: The values of both sides.
        segment: Our facts of the frame; ``None`` if it is of no MPTCP subflow by them.
        view: All our facts. said: All that the dissector says, by frame.
    """

    frame: int
    field: str
    theirs: tuple[Value, ...]
    ours: tuple[Value, ...]
    segment: Segment | None
    view: View
    said: Mapping[int, Words]

    @property
    def kind(self) -> str:
        """How the dissector differs, one of :data:`KINDS`."""
        if not self.theirs:
            return "missing"
        return "other" if self.ours else "invented"

    def __str__(self) -> str:
        theirs, ours = listed(self.theirs), listed(self.ours)
        return f"frame {self.frame}: {self.field}: the dissector {theirs}, facts {ours}"


def listed(values: Sequence[Value]) -> str:
    """Values in a row, or that there are none."""
    return ", ".join(map(str, values)) if values else "says nothing"
