"""The ledger: what the rules found, by requirement and by direction, until it becomes verdicts.

A rule looks at instances: an option, a segment, a subflow. Of each it says that the requirement was
kept (*right*), that it was broken (*wrong*), that it looks broken and a proof is lacking (*doubt*), or
that it could not be looked at (*unseen*). One verdict comes of all instances of a direction: one that
is wrong makes it fail, one in doubt makes it inconclusive, else one that is right makes it pass;
if all are unseen, it is inconclusive, too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from mptcp_oracle.verdict import SEVERITIES, Outcome

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
        self._wrong: dict[tuple[str, int], list[Finding]] = {}
        self._doubt: dict[tuple[str, int], list[Finding]] = {}
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
        _keep(self._wrong, self._right, requirement, direction, finding)

    def doubt(self, requirement: str, direction: int, finding: Finding) -> None:
        """It looks broken, and a proof is lacking."""
        _keep(self._doubt, self._right, requirement, direction, finding)

    def exercised(self, connection: int) -> list[tuple[str, int]]:
        """The requirements and directions of a connection of which there is anything to say."""
        return [
            (requirement, direction)
            for requirement in self._right
            for direction in (2 * connection, 2 * connection + 1)
            if self.outcome(requirement, direction) is not Outcome.NOT_EXERCISED
        ]

    def requirements(self) -> Iterable[str]:
        """The ids of the requirements that the rules judge."""
        return self._right.keys()

    def outcome(self, requirement: str, direction: int) -> Outcome:
        """What all instances together amount to."""
        if (requirement, direction) in self._wrong:
            return Outcome.FAIL
        if (requirement, direction) in self._doubt:
            return Outcome.INCONCLUSIVE
        if self._right[requirement][direction]:
            return Outcome.PASS
        return (
            Outcome.INCONCLUSIVE
            if self._unseen[requirement][direction]
            else Outcome.NOT_EXERCISED
        )

    def counts(self, requirement: str, direction: int) -> tuple[int, int]:
        """How many instances are right, and how many could not be looked at."""
        return self._right[requirement][direction], self._unseen[requirement][direction]

    def findings(self, requirement: str, direction: int) -> list[Finding]:
        """Those that decide the outcome: the wrong ones, else those in doubt, else the reason."""
        key = (requirement, direction)
        found = self._wrong.get(key) or self._doubt.get(key)
        if found:
            return found
        right = self._right[requirement][direction]
        return [] if right or key not in self._reason else [self._reason[key]]

    def severity(self, requirement: str, direction: int, own: str) -> str:
        """The gravest severity among the wrong findings; ``own`` is the requirement's."""
        found = {each.severity or own for each in self._wrong.get((requirement, direction), ())}
        return min(found, key=SEVERITIES.index, default=own)


def _keep(
    into: dict[tuple[str, int], list[Finding]],
    known: dict[str, array[int]],
    requirement: str,
    direction: int,
    finding: Finding,
) -> None:
    if requirement not in known:
        raise KeyError(requirement)
    kept = into.setdefault((requirement, direction), [])
    if len(kept) < MOST_KEPT:
        kept.append(finding)
