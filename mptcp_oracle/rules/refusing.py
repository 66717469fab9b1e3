"""Joins that wait for their fourth packet, or fail (RFC 8684 sections 3.2 and 3.7)."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import RST, SYN
from mptcp_oracle.options import (
    AddAddr,
    Malformed,
    MpFastclose,
    MpJoinSyn,
    MpTcprst,
    Option,
    Unknown,
    notation,
)
from mptcp_oracle.rules.attempts import end_of
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["PATIENCE", "RULES", "Failure", "failures", "reset_rows"]

EARLY = "8684-3.2-no-data-before-established"
PLAIN = ("8684-3.2-synack-without-join-reset", "8684-3.7-join-options-lost")
REASON = "8684-3.2-failed-join-reset-reason"
BARE = "6824-3.2-join-refusal-bare-rst"

#: Reasons of a RST that ends a join: an MPTCP-specific error, and, as the RFC also says of a
#: refusal, that it is administratively prohibited.
REASONS = (1, 3)
MP_TCPRST = 8
#: What is missing where frames may be.
UNSURE = "the join may have been established, and what shows that not have been captured"
#: Nanoseconds after which what has not followed will not follow; three round trips come on top.
PATIENCE = 1_000_000_000


def _half(subflow: Subflow, role: int) -> int:
    return subflow.halves[role]


def _joined(case: Case) -> list[Subflow]:
    """The joined subflows of which it is known who opened them."""
    return [flow for flow in case.subflows if flow.kind == "joined" and flow.opener is not None]


# ------------------------------------------------------------------- fourth packet


def early_data(case: Case) -> None:
    """The joiner sends no data before the fourth packet came (section 3.2)."""
    plane = case.context.trace.plane
    for subflow in _joined(case):
        role, shake = subflow.source_role, case.shake(subflow)
        half = _half(subflow, role)
        if not shake.synacks or shake.syn_row is None or not plane.fresh_count[half]:
            continue
        data = plane.fresh[plane.fresh_first[half]]
        fourth = plane.first_rows()[half ^ 1]
        if case.columns["flags"][data] & SYN:
            continue
        if 0 <= fourth < data:
            case.right(EARLY, role)
            continue
        why = f"{case.columns['length'][data]} octets of data before any answer to the third packet"
        # Where either host captures, whatever the other sent is there, too, once it was heard.
        if case.context.whole and case.context.tap(subflow) is not None:
            case.wrong(EARLY, role, data, why=why, subflow=subflow)
        else:
            why += "; the fourth packet may have passed elsewhere, or not have been captured"
            case.doubt(EARLY, role, data, why=why, subflow=subflow)


# --------------------------------------------------------------------- failed joins


class Failure(NamedTuple):
    """A RST that ended a join before it was established.

    Attributes:
        subflow: The subflow. row, role: The RST, and who sent it.
        answers: What it answers: ``syn``, ``synack`` or ``third``.
        options: Its options.
    """

    subflow: Subflow
    row: int
    role: int
    answers: str
    options: tuple[Option, ...]

    @property
    def transient(self) -> bool:
        """Whether it says that the join may be tried again."""
        return any(isinstance(each, MpTcprst) and each.transient for each in self.options)


def reset_rows(case: Case, subflow: Subflow) -> list[int]:
    """The rows of the RSTs of a subflow, capture duplicates aside."""
    flags = case.columns["flags"]
    return [
        raw.row
        for raw in case.events(subflow)
        if raw.flags & RST and not flags[raw.row] & FLAG_BITS["duplicate"]
    ]


def failures(case: Case, subflow: Subflow) -> list[Failure]:
    """How a join failed: the first RST, and all that its host sent after it; empty if it did not.

    A RST that answers a SYN may be there for each retransmission of that.
    """
    rows = reset_rows(case, subflow)
    shake, opener = case.shake(subflow), subflow.source_role
    if not rows or shake.syn is None or subflow.opener is None:
        return []
    first = rows[0]
    role = subflow.halves.index(case.columns["half"][first])
    sent = case.context.trace.plane.first_rows()
    third, fourth = (0 <= sent[_half(subflow, each)] < first for each in (opener, 1 - opener))
    answered = shake.synack_row is not None and shake.synack_row < first
    if role == opener:
        answers = "synack" if answered and not third else ""
    else:
        answers = "third" if third else "" if answered else "syn"
    if fourth or not answers:
        return []
    options: dict[int, list[Option]] = {row: [] for row in rows}
    for raw in case.context.trace.signals.options.get(subflow.stream, ()):
        if raw.row in options:
            options[raw.row].append(raw.decode(case.version))
    half = case.columns["half"]
    return [
        Failure(subflow, row, role, answers, tuple(options[row]))
        for row in rows
        if half[row] == half[first]
    ]


def _all_failures(case: Case) -> list[Failure]:
    return [each for subflow in _joined(case) for each in failures(case, subflow)]


def reasons(case: Case) -> None:
    """The RST that ends a failed join says that this is an error of MPTCP (section 3.2)."""
    told: set[int] = set()
    listening = Listening(case)
    for found in _all_failures(case):
        subflow, role, row = found.subflow, found.role, found.row
        # Another RST may come from a host that has forgotten the subflow.
        if subflow.id in told or _unrelated(case, found):
            continue
        told.add(subflow.id)
        said = [each for each in found.options if isinstance(each, MpTcprst)]
        if said:
            why = f"{notation(said[0])} on the RST that ends a join: the reason should be 1"
            if said[0].reason in REASONS:
                case.right(REASON, role)
            elif case.context.whole:
                case.wrong(REASON, role, row, why=why, subflow=subflow)
            else:
                case.doubt(REASON, role, row, why=f"{why}; {UNSURE}", subflow=subflow)
            continue
        if case.columns["flags"][row] & FLAG_BITS["options_cut"]:
            case.unseen(REASON, role, row, why="its options are not captured")
            continue
        why = "no MP_TCPRST on the RST that ends a join"
        lacking = _excuse(case, found, listening)
        if lacking:
            case.doubt(REASON, role, row, why=f"{why}; {lacking}", subflow=subflow)
        else:
            case.wrong(REASON, role, row, why=why, subflow=subflow)


def _unrelated(case: Case, found: Failure) -> bool:
    """Whether a RST has another cause than the join, or may have.

    Data on the third packet, an abort of the connection, or a SYN/ACK with which nothing is wrong.
    """
    if any(isinstance(option, MpFastclose) for option in found.options):
        return True
    if found.answers == "syn":
        return False
    ended = case.connection.state_frame
    if case.connection.state == "fast_closed" and ended is not None:
        return ended <= case.frame(found.row)
    third, check = case.shake(found.subflow).ack, found.subflow.join
    if found.answers == "third":
        return third is not None and third[0].payload > 0
    return check is not None and check.synack_hmac is True


def _excuse(case: Case, found: Failure, listening: Listening) -> str:
    """Why a bare RST may be right all the same; empty if nothing speaks for that."""
    subflow, role = found.subflow, found.role
    if not case.sent_here(subflow, role):
        return "a middlebox may have sent it, or taken the option out"
    if not case.context.whole:
        return UNSURE
    if found.answers == "syn":
        port = end_of(subflow, role).port
        return "" if (role, port) in listening.ports else "no socket may listen at this port"
    ended = case.connection.state_frame
    if ended is not None and ended < case.frame(found.row):
        return "the host may have forgotten the connection, which was over"
    return ""


class Listening:
    """Where the hosts of a connection listen, as far as that is known."""

    def __init__(self, case: Case) -> None:
        self.case = case

    @cached_property
    def ports(self) -> set[tuple[int, int | None]]:
        """Roles and ports: a host answered a SYN there, be it by a RST, or announced it."""
        case = self.case
        found: set[tuple[int, int | None]] = {
            (1 - flow.source_role, flow.destination.port)
            for flow in case.subflows
            if case.shake(flow).synack_row is not None
        }
        found |= {(signal.role, option.port) for signal, option in case.of(AddAddr)}
        resets = [signal for signal, _ in case.of(MpTcprst)]
        return found | {(each.role, end_of(each.subflow, each.role).port) for each in resets}


def bare(case: Case) -> None:
    """In version 0 the RST that refuses a join has no MP_TCPRST (RFC 6824 section 3.2)."""
    for found in _all_failures(case):
        subflow = found.subflow
        said = [
            each
            for each in found.options
            if isinstance(each, MpTcprst)
            or (isinstance(each, Unknown | Malformed) and each.subtype == MP_TCPRST)
        ]
        why = "; ".join(notation(each) for each in said)
        if not said:
            case.right(BARE, found.role)
        elif subflow.join is not None and subflow.join.token_right is False:
            why += ": an unknown token does not tell the host that the version is 0"
            case.doubt(BARE, found.role, found.row, why=why, subflow=subflow)
        elif not case.context.whole:
            case.doubt(BARE, found.role, found.row, why=f"{why}; {UNSURE}", subflow=subflow)
        else:
            case.wrong(BARE, found.role, found.row, why=why, subflow=subflow)


def plain_answers(case: Case) -> None:
    """A SYN/ACK without MP_JOIN is answered by a RST (sections 3.2 and 3.7)."""
    columns, plane = case.columns, case.context.trace.plane
    for subflow in _joined(case):
        shake, role = case.shake(subflow), subflow.source_role
        answer, half = shake.plain_synack, _half(subflow, role)
        if answer is None or shake.synacks or shake.plain_syn is not None or shake.syn is None:
            continue
        resets = [raw for raw in case.events(subflow) if raw.flags & RST]
        if any(raw.half == half for raw in resets):
            for each in PLAIN:
                case.right(each, role)
            continue
        went_on = plane.first_rows()[half]
        rest = columns["time"][len(columns) - 1] - case.time(max(answer, went_on))
        if resets or went_on < answer:
            lacking = "what the joiner did is not in the capture"
        elif rest < PATIENCE + 3 * _round_trip(case):
            lacking = "the capture ends too soon after the SYN/ACK"
        else:
            lacking = ""
        why = "the SYN/ACK of a join has no MP_JOIN, and the joiner goes on without a RST"
        for each in PLAIN:
            if lacking:
                case.unseen(each, role, answer, why=lacking)
            elif case.witnessed(subflow, role):
                case.wrong(each, role, answer, went_on, why=why, subflow=subflow)
            else:
                text = f"{why}; {INCOMPLETE}"
                case.doubt(each, role, answer, went_on, why=text, subflow=subflow)


def _round_trip(case: Case) -> int:
    """The longest round trip of any handshake of the connection, in nanoseconds."""
    return max(flow.round_trip for flow in case.subflows)


RULES: tuple[Rule, ...] = (
    Rule(requirements=(EARLY,), judge=early_data, on=("join",)),
    Rule(requirements=PLAIN, judge=plain_answers, on=(MpJoinSyn,)),
    Rule(requirements=(REASON,), judge=reasons, versions=(1,), on=("rst",)),
    Rule(requirements=(BARE,), judge=bare, versions=(0,), on=("rst",)),
)
