"""Counters and facts side by side: which of them contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mptcp_oracle.counters.table import TABLE, Row
from mptcp_oracle.counters.tally import side

__all__ = ["Contradiction", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A counter that cannot be what it is if the capture is right, or the other way round.

    Attributes:
        row: The row of the table. counted: The counter. fact: The fact that bounds it.
        shown: What the capture shows. proven: Whether frames alone prove it; else it may be that
            the capture lacks something.
    """

    row: Row
    counted: int
    fact: str
    shown: int
    proven: bool

    @property
    def why(self) -> str:
        """One sentence for people."""
        bound = "at least" if self.proven else "at most"
        return f"{self.row.counter} is {self.counted}, and by the capture {bound} {self.shown}"


def compare(
    counters: Mapping[str, int], facts: Mapping[str, int], *, far: bool = False
) -> list[Contradiction]:
    """What is contradictory; row by row of the table.

    A counter that is not given is not looked at.

    Args:
        counters: Changes of MPTcpExt counters of one host, by name.
        facts: What a capture shows of the same host (:func:`mptcp_oracle.counters.tally.tally`).
        far: The capture was not made at that host: of what it sent, some may be missing, and what
            was on its way to it may not have come.
    """
    found = []
    for row in TABLE:
        counted = counters.get(row.counter)
        if counted is None:
            continue
        for fact, proven in ((row.least, True), (row.most, False)):
            if fact is None or (far and side(fact) != ("sent" if proven else "received")):
                continue
            shown = facts[fact]
            if counted < shown if proven else counted > shown:
                found.append(
                    Contradiction(row=row, counted=counted, fact=fact, shown=shown, proven=proven)
                )
    return found
