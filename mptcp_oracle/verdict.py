"""Verdicts: what the oracle says of one requirement, one host and one connection.

Four outcomes, no more: *pass* and *fail* need evidence; doubt is *inconclusive*; and where nothing
in a capture touches a requirement it is *not exercised*. Neither of the last two is ever a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["COUNTS", "SEVERITIES", "Outcome", "Verdict", "counted"]

SEVERITIES = ("violation", "warning", "note")
"""What a broken requirement is: of a MUST or of the wire format; of a SHOULD or of described
behaviour; of what the RFC permits or leaves open."""

COUNTS = ("pass", "fail", "warn", "note", "inconclusive", "not_exercised")
"""What verdicts are counted under: *fail*, *warn* and *note* are failures of the three
severities."""


class Outcome(StrEnum):
    """What is known of a requirement."""

    PASS = "pass"
    """Looked at, and always kept."""
    FAIL = "fail"
    """Broken, beyond doubt."""
    INCONCLUSIVE = "inconclusive"
    """Perhaps broken, or nothing that it is about could be looked at."""
    NOT_EXERCISED = "not_exercised"
    """Nothing that it is about is in the capture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One requirement, judged for one host of one connection.

    Attributes:
        requirement: Its id. outcome: See :class:`Outcome`.
        severity: One of :data:`SEVERITIES`; of a failure, what it amounts to.
        host: Who is accused or praised: ``initiator`` or ``listener``.
        connection: Id of the connection. subflow: Id of the subflow it shows on, if on one.
        frames: The evidence: the smallest set of frames that shows it, none for a pass.
        why: The argument, for people.
        seen: How often the requirement was looked at and kept; ``unseen``: how often not looked at.
        waived: Why the failure is expected, if it is.
    """

    requirement: str
    outcome: Outcome
    severity: str
    host: str
    connection: int
    subflow: int | None = None
    frames: tuple[int, ...] = ()
    why: str = ""
    seen: int = 0
    unseen: int = 0
    waived: str | None = None

    @property
    def count(self) -> str:
        """What it is counted under, one of :data:`COUNTS`."""
        if self.outcome is not Outcome.FAIL:
            return str(self.outcome)
        return {"violation": "fail", "warning": "warn", "note": "note"}[self.severity]


def counted(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many verdicts there are under each of :data:`COUNTS`; waived ones are left out."""
    counts = Counter(verdict.count for verdict in verdicts if verdict.waived is None)
    return {name: counts[name] for name in COUNTS}
