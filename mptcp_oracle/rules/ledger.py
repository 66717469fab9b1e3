"""The ledger: what the rules found, by requirement and by direction, until it becomes verdicts.

A rule looks at instances: an option, a segment, a subflow. Of each it says that the requirement was
kept (*right*), that it was broken (*wrong*), that it looks broken and a proof is lacking (*doubt*),
or that it could not be looked at (*unseen*). One verdict comes of all instances of a direction: one
that is wrong makes it fail, one in doubt makes it inconclusive, else one that is right makes it
pass; if all are unseen, it is inconclusive, too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mptcp_oracle.verdict import SEVERITIES, Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

__all__ = ["MOST_KEPT", "Finding", "Ledger", "Outcome"]

MOST_KEPT = 8
"""Findings of one kind that are kept for one requirement and direction; more are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One instance that is not right.

    Attributes:
        rows: Rows of the segments that show it. why: The argument.
        subflow: Id of the subflow, if it shows on one. severity: If it is less than the
            requirement's own.
    """

    rows: tuple[int, ...]
    why: str
    subflow: int | None = None
    severity: str | None = None


class Ledger:
    """Findings by requirement and direction (two per connection: ``2 * connection + role``).

    Attributes:
        directions: How many directions there are.
    """

    def __init__(self, requirements: Iterable[str], directions: int) -> None:
        self.directions = directions
        empty = bytes(4 * directions)
        self._right = {each: array("I", empty) for each in requirements}
        self._unseen = {each: array("I", empty) for each in self._right}
        self._wrong: dict[str, dict[int, list[Finding]]] = {each: {} for each in self._right}
        self._doubt: dict[str, dict[int, list[Finding]]] = {each: {} for each in self._right}
        self._reason: dict[tuple[str, int], Finding] = {}

    def right(self, requirement: str, direction: int, count: int = 1) -> None:
        """A requirement was kept, so many times."""
        self._right[requirement][direction] += count

    def unseen(
        self, requirement: str, direction: int, why: str, count: int = 1, rows: tuple[int, ...] = ()
    ) -> None:
        """It could not be looked at; the first reason is kept."""
        self._unseen[requirement][direction] += count
        if (requirement, direction) not in self._reason:
            self._reason[requirement, direction] = Finding(rows, why)

    def wrong(self, requirement: str, direction: int, finding: Finding) -> None:
        """It was broken."""
        _keep(self._wrong[requirement], direction, finding)

    def doubt(self, requirement: str, direction: int, finding: Finding) -> None:
        """It looks broken, and a proof is lacking."""
        _keep(self._doubt[requirement], direction, finding)

    def exercised(self, requirement: str) -> Mask:
        """By direction: whether there is anything to say about a requirement."""
        found: Mask = (_counts(self._right[requirement]) | _counts(self._unseen[requirement])) > 0
        found[[*self._wrong[requirement], *self._doubt[requirement]]] = True
        return found

    def passed(self, requirement: str) -> Mask:
        """By direction: whether a requirement was kept, beyond doubt."""
        found: Mask = _counts(self._right[requirement]) > 0
        found[[*self._wrong[requirement], *self._doubt[requirement]]] = False
        return found

    def requirements(self) -> Iterable[str]:
        """The ids of the requirements that the rules judge."""
        return self._right.keys()

    def outcome(self, requirement: str, direction: int) -> Outcome:
        """What all instances together amount to."""
        if direction in self._wrong[requirement]:
            return Outcome.FAIL
        if direction in self._doubt[requirement]:
            return Outcome.INCONCLUSIVE
        if self._right[requirement][direction]:
            return Outcome.PASS
        return (
            Outcome.INCONCLUSIVE if self._unseen[requirement][direction] else Outcome.NOT_EXERCISED
        )

    def counts(self, requirement: str, direction: int) -> tuple[int, int]:
        """How many instances are right, and how many could not be looked at."""
        return self._right[requirement][direction], self._unseen[requirement][direction]

    def findings(self, requirement: str, direction: int) -> list[Finding]:
        """Those that decide the outcome: the wrong ones, else those in doubt, else the reason."""
        found = self._wrong[requirement].get(direction) or self._doubt[requirement].get(direction)
        if found:
            return found
        reason = self._reason.get((requirement, direction))
        return [] if self._right[requirement][direction] or reason is None else [reason]

    def severity(self, requirement: str, direction: int, own: str) -> str:
        """The gravest severity among the wrong findings; ``own`` is the requirement's."""
        found = {each.severity or own for each in self._wrong[requirement].get(direction, ())}
        return min(found, key=SEVERITIES.index, default=own)


def _counts(column: array[int]) -> NDArray[np.uint32]:
    import numpy as np

    return np.frombuffer(column, np.uint32) if len(column) else np.zeros(0, np.uint32)


def _keep(into: dict[int, list[Finding]], direction: int, finding: Finding) -> None:
    kept = into.setdefault(direction, [])
    if len(kept) < MOST_KEPT:
        kept.append(finding)
