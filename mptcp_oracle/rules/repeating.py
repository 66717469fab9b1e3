"""What is sent again: the same octets, and on the subflow that lost them (RFC 8684, 3.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.differing import Repeats, by_dsn, by_sequence, difference, sent_again
from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.ending import FROM_HANDSHAKE
from mptcp_oracle.rules.reinjecting import ORIGINAL, original
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import sender
from mptcp_oracle.rules.weighing import Weighing, missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES"]

SAME_DSN = "8684-3.3.6-same-dsn-same-octet"
SAME_SSN = "8684-3.3.6-same-ssn-same-octet"

NOT_CAPTURED = "none of its octets are in the capture both times"
ON_THE_WAY = "not captured where both were sent: they may have been changed on the way"
INFERRED = "which octets the mappings cover is inferred, because a handshake is not in the capture"
PROBE = "one octet may only ask for an answer, if it was acknowledged where nobody looked"
REWRITTEN = "the payload was probably rewritten after the capture"


def same(context: Context) -> None:
    """What is sent again has the octets that it had the first time."""
    parts = sent_again(context.trace.ground)
    parts = parts.where(context.in_use[parts.row])
    if len(parts):
        _same(context, SAME_SSN, by_sequence(context.trace.ground, parts))
        copies = by_dsn(context.trace.ground, parts)
        _same(context, SAME_DSN, copies)
        original(context, parts, copies)


def _same(context: Context, requirement: str, found: Repeats) -> None:
    """Judge the segments that have repeats, each as a whole."""
    import numpy as np

    rows, which = np.unique(found.row, return_inverse=True)
    compared = np.bincount(which, weights=found.compared, minlength=len(rows)) > 0
    differs = np.flatnonzero(found.differs)
    first = np.full(len(rows), -1, np.int64)
    first[which[differs][::-1]] = differs[::-1]

    def judge(case: Case, role: int, row: int, at: int) -> None:
        _other(case, role, requirement, found, at)

    weighing = Weighing(context, requirement, judge=judge)
    weighing.never(rows[~compared], NOT_CAPTURED)
    weighing.add(rows[compared], first[compared] >= 0, first[compared])
    weighing.end()


def _other(case: Case, role: int, requirement: str, found: Repeats, at: int) -> None:
    """A range that has other octets than before."""
    context = case.context
    row, first, number, start, octets = (
        int(each[at]) for each in (found.row, found.first, found.number, found.start, found.octets)
    )
    if _only_asks(case, role, row, octets, number, requirement == SAME_DSN):
        case.right(requirement, role)
        return
    flows = [sender(context, context.half(each))[0] for each in (row, first)]
    far, now, before = difference(context.trace.ground, found, at)
    name = "DSN (relative)" if requirement == SAME_DSN else "subflow sequence number"
    why = (
        f"the octet with {name} {number + far} is {now:02x}, and was {before:02x} in frame "
        f"{case.frame(first)}"
    )
    lacks = _doubtful(case, role, flows)
    # An octet with one sequence number has one DSN, whichever it is.
    same = flows[0] is flows[1] and start == int(found.origin[at])
    if lacks:
        pass
    elif same:
        if case.columns["length"][row] == 1 and not case.witnessed(flows[0], role):
            lacks = PROBE
    elif not all(_placed(case, role, *pair) for pair in zip(flows, (row, first), strict=True)):
        lacks = INFERRED
    elif octets == 1 and missing(case, role):
        lacks = PROBE
    if lacks:
        case.doubt(requirement, role, first, row, why=f"{why}; {lacks}", subflow=flows[0])
    else:
        case.wrong(requirement, role, first, row, why=why, subflow=flows[0])


def _only_asks(case: Case, role: int, row: int, octets: int, number: int, data: bool) -> bool:
    """Whether octets only ask for an answer: one that was acknowledged before, whatever it holds.

    Linux probes a closed window with the next octet in the place of the last acknowledged one.
    """
    progress = case.context.progress
    if octets == 1 and data and progress.acked(2 * case.number + role, row) > number:
        return True
    alone = bool(case.columns["length"][row] == 1)
    confirmed = progress.confirmed(case.context.half(row), row) if alone else 0
    return alone and confirmed > case.columns["sequence"][row]


def _doubtful(case: Case, role: int, flows: list[Subflow]) -> str:
    """Why the capture may not show what was sent; empty if it does."""
    if not all(case.sent_here(flow, role) for flow in flows):
        return ON_THE_WAY
    rewritten = any(note.code == "anonymised" for note in case.connection.notes)
    return REWRITTEN if rewritten else ""


def _placed(case: Case, role: int, subflow: Subflow, row: int) -> bool:
    """Whether it is certain which data octets a segment carries.

    Where data on the SYN was accepted, subflow sequence numbers may count it or not; then it is if
    a mapping of it is just as long as the segment that declares it.
    """
    plane, half = case.context.trace.plane, subflow.halves[role]
    if plane.isn_from[half] not in FROM_HANDSHAKE:
        return False
    if half not in plane.offered:
        return True
    import numpy as np

    ground, table = case.context.trace.ground, case.context.trace.mappings
    for mapping in ground.parts_of(np.array([row])).mapping.tolist():
        declared = int(ground.mapping("row")[mapping])
        filled = (case.columns["sequence"][declared], case.columns["length"][declared])
        if mapping >= 0 and (table.start[mapping], table.octets[mapping]) == filled:
            return True
    return False


RULES: tuple[Rule, ...] = (Rule(requirements=(SAME_SSN, SAME_DSN, ORIGINAL), sweep=same),)
