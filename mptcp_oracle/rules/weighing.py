"""Weighing: what a finding about all segments needs before it is proven.

The rules about acknowledgments, windows and repeated data look at all segments, block by block, and
find few that look wrong. Each of those is weighed by itself, as a
:class:`~mptcp_oracle.rules.case.Case`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.coverage import coverage
from mptcp_oracle.analysis.ordering import blocks, span, tally
from mptcp_oracle.analysis.parts import has_bit
from mptcp_oracle.analysis.signals import RST
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.context import Context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["DATA_ACK", "Weighing", "acknowledging", "either", "missing", "used"]

MOST = 64
"""Findings of one rule and direction that are weighed; more of the same change nothing."""

DATA_ACK = 0x01
"""Bit of the ``dss`` column: a DATA_ACK."""

LATE = "the capture does not begin with the connection"
ELSEWHERE = "some of the connection's data may have gone over a subflow that is not captured"
CROWDED = "segments under very many mappings were not followed to the end"


def used(context: Context) -> Array:
    """Rows of judged connections that still use MPTCP, without capture duplicates and RSTs."""
    import numpy as np

    found: Array | None = context.__dict__.get("_used")
    if found is None:
        flags = context.trace.ground.column("flags")
        found = np.flatnonzero(context.in_use & ~has_bit(flags, RST))
        context.__dict__["_used"] = found
    return found


def acknowledging(context: Context) -> Iterator[Array]:
    """Those of them that have a DATA_ACK, block by block."""
    found: Array | None = context.__dict__.get("_acknowledging")
    if found is None:
        rows = used(context)
        found = rows[has_bit(context.trace.ground.column("dss")[span(rows)], DATA_ACK)]
        context.__dict__["_acknowledging"] = found
    for block in blocks(len(found)):
        yield found[block]


class Weighing:
    """What is found of some requirements, counted until all rows have been looked at.

    Attributes:
        context: The context. requirements: What the right ones kept.
    """

    def __init__(self, context: Context, *requirements: str, judge: Callable[..., None]) -> None:
        """Begin.

        Args:
            context: The context.
            requirements: What the right ones kept.
            judge: Called for each segment that looks wrong: with the case, the role of its sender,
                its row, and what else was given of it.
        """
        import numpy as np

        self.context, self.requirements, self._judge = context, requirements, judge
        self._good = np.zeros(2 * len(context.connections), np.int64)
        self._unseen: dict[str, Array] = {}
        self._taken: dict[int, int] = {}
        self._cases: dict[int, Case] = {}

    def add(self, rows: Array, bad: Mask, *numbers: Array) -> None:
        """Segments of judged connections, whose senders are judged, and which of them look wrong.

        Args:
            rows: Their rows.
            bad: Which look wrong.
            numbers: What else there is to say of each.
        """
        import numpy as np

        directions = self.context.trace.ground.direction[rows]
        wrong = np.flatnonzero(bad)
        self._good += tally(directions[~bad] if len(wrong) else directions, len(self._good))
        for at in wrong.tolist():
            direction = int(directions[at])
            number, role = divmod(direction, 2)
            self._taken[direction] = self._taken.get(direction, 0) + 1
            if self._taken[direction] > MOST:
                continue
            if number not in self._cases:
                connection = self.context.connections[number]
                self._cases[number] = Case(self.context, number, connection)
            told = (int(each[at]) for each in numbers)
            self._judge(self._cases[number], role, int(rows[at]), *told)

    def never(self, rows: Array, why: str) -> None:
        """Segments that could not be looked at, and why."""
        import numpy as np

        if len(rows):
            count = self._unseen.setdefault(why, np.zeros_like(self._good))
            count += tally(self.context.trace.ground.direction[rows], len(count))

    def end(self) -> None:
        """Enter what was counted."""
        import numpy as np

        ledger = self.context.ledger
        for requirement in self.requirements:
            for direction in np.flatnonzero(self._good).tolist():
                ledger.right(requirement, direction, int(self._good[direction]))
            for why, count in self._unseen.items():
                for direction in np.flatnonzero(count).tolist():
                    ledger.unseen(requirement, direction, why, int(count[direction]))


def missing(case: Case, role: int, *, data: int | None = None, up_to: int = 0) -> str:
    """What may be missing of all that a host sent or received; empty if nothing is.

    Nothing is only if the capture was made at that host and is whole, begins with the connection,
    and shows no trace of a subflow beside those that it has.

    Args:
        case: The connection.
        role: The host.
        data: A direction about whose DATA_ACKs the question is.
        up_to: The DATA_ACK; nobody can tell whether what is missing below it was ever sent, if
            what is above was.
    """
    context = case.context
    if not case.witnessed_all(role):
        return INCOMPLETE
    initial = case.connection.initial
    if initial is None or case.shake(initial).syn_row is None:
        return LATE
    if context.trace.unattached:
        return ELSEWHERE
    if context.trace.plane.spilled:
        return CROWDED
    reach = coverage(context.trace.ground)
    for direction in (2 * case.number, 2 * case.number + 1):
        beyond = reach.top[direction] >= up_to if direction == data else True
        if beyond and reach.acked[direction] > reach.whole[direction]:
            return ELSEWHERE
    return ""


def either(first: str, second: str) -> str:
    """What is missing of both of two proofs; empty if one is complete."""
    if not (first and second):
        return ""
    return second if first == INCOMPLETE else first
