"""Joins: forms, nonces and ports (RFC 8684 sections 3.2, 3.9.1 and 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mptcp_oracle.options import (
    AddAddr,
    Flaw,
    Malformed,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    notation,
)
from mptcp_oracle.rules.attempts import Attempt, View, attempts, end_of
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.segments import Endpoint

__all__ = ["RULES"]

LENGTHS = "8684-3.2-join-lengths"
RESERVED = {MpJoinSyn: "8684-3.2-join-syn-reserved-zero"} | {
    MpJoinSynAck: "8684-3.2-join-syn-reserved-zero",
    MpJoinAck: "8684-3.2-join-ack-reserved-zero",
}
PAYLOAD = "8684-3.2-join-ack-without-payload"
NONCE = "8684-3.2-nonce-fresh"
SINGLE_USE = "8684-5-nonces-single-use"
TO_PORT = "8684-3.9.1-join-destination-port"
FROM_PORT = "8684-3.9.1-join-source-port"

MP_JOIN = 1
#: Where each form belongs, for people.
PLACES = "it has Length 12 on a SYN, 16 on a SYN/ACK, 24 on an ACK"


# --------------------------------------------------------------------------- forms


def forms(case: Case) -> None:
    """Each MP_JOIN has the Length of its place, zeros in reserved bits, and no data beside it."""
    for signal in case.signals:
        option, role = signal.option, signal.role
        if isinstance(option, MpJoinSyn | MpJoinSynAck | MpJoinAck):
            case.right(LENGTHS, role)
            if option.reserved:
                case.judge(RESERVED[type(option)], signal, False, notation(option))
            else:
                case.right(RESERVED[type(option)], role)
            if isinstance(option, MpJoinAck):
                _payload(case, signal, option)
        elif (
            isinstance(option, Malformed)
            and option.subtype == MP_JOIN
            and option.reason in (Flaw.LAYOUT, Flaw.MISPLACED)
        ):
            case.judge(LENGTHS, signal, False, f"{notation(option)}: {PLACES}")


def _payload(case: Case, signal: Signal, option: MpJoinAck) -> None:
    """The third packet has no data; one into which a receiver merged the next may show some."""
    if not signal.payload:
        case.right(PAYLOAD, signal.role)
        return
    why = f"{notation(option)} beside {signal.payload} octets of data"
    if case.sent_here(signal.subflow, signal.role):
        case.judge(PAYLOAD, signal, False, why)
    else:
        why += "; a receiver may have merged it with a segment of data behind it"
        case.doubt(PAYLOAD, signal.role, signal.row, why=why, subflow=signal.subflow)


# -------------------------------------------------------------------------- nonces


def nonces(case: Case, found: list[Attempt]) -> None:
    """Each attempt to join has a fresh nonce, from either host (sections 3.2 and 5)."""
    for role in (0, 1):
        mine = [each for each in found if each.role == role]
        first: dict[int, Attempt] = {}
        for attempt in mine:
            earlier = first.setdefault(attempt.option.nonce, attempt)
            if earlier is not attempt:
                _joined_again(case, earlier, attempt)
            elif len(mine) > 1:
                case.right(NONCE, role)
        answers = [answer for each in mine for answer in _answer(case, each)]
        answered: dict[int, Answer] = {}
        for answer in answers:
            before = answered.setdefault(answer.option.nonce, answer)
            if before is not answer:
                _answered_again(case, before, answer)
            elif len(answers) > 1:
                case.right(SINGLE_USE, role)
                case.right(SINGLE_USE, 1 - role)


class Answer(NamedTuple):
    """The first captured SYN/ACK of a join: its row, and its option."""

    attempt: Attempt
    row: int
    option: MpJoinSynAck


def _answer(case: Case, attempt: Attempt) -> Iterator[Answer]:
    """The answer to an attempt, if it was captured."""
    for raw, option in case.shake(attempt.subflow).synacks[:1]:
        if isinstance(option, MpJoinSynAck):
            yield Answer(attempt, raw.row, option)


def _twice(case: Case, earlier: Attempt, later: Attempt) -> str | None:
    """Why two joins may be one, captured at two places on its way: empty if they are two.

    ``None`` if they are one for certain.
    """
    halves, role = case.context.trace.wire.halves, later.role
    one, other = earlier.subflow, later.subflow
    same = halves["isn"][one.halves[role]] == halves["isn"][other.halves[role]]
    if same and (one.source, one.destination) == (other.source, other.destination):
        return None
    if all(case.sent_here(each, role) for each in (one, other)):
        return ""
    answer = case.shake(one).synack_row
    if not same and answer is not None and case.before(answer, later.signal.row):
        return ""
    return "it may be the same SYN, captured on both sides of a translator"


def _joined_again(case: Case, earlier: Attempt, later: Attempt) -> None:
    """Two joins of a host with one nonce of its own."""
    lacking = _twice(case, earlier, later)
    if lacking is None:
        return
    rows = earlier.signal.row, later.signal.row
    first = case.frame(rows[0])
    why = f"{notation(later.option)}: the join in frame {first} has the same nonce"
    if lacking:
        case.doubt(NONCE, later.role, *rows, why=f"{why}; {lacking}", subflow=later.subflow)
    else:
        case.wrong(NONCE, later.role, *rows, why=why, subflow=later.subflow)


def _answered_again(case: Case, before: Answer, after: Answer) -> None:
    """Two joins in which the answering host has the same nonce."""
    earlier, later = before.attempt, after.attempt
    lacking = _twice(case, earlier, later)
    if lacking is None:
        return
    owner, rows = 1 - later.role, (before.row, after.row)
    why = f"{notation(after.option)}: frame {case.frame(before.row)} has the same nonce"
    if lacking:
        case.doubt(SINGLE_USE, owner, *rows, why=f"{why}; {lacking}", subflow=later.subflow)
    elif earlier.option.nonce != later.option.nonce:
        case.wrong(SINGLE_USE, owner, *rows, why=why, subflow=later.subflow, severity="warning")
    else:
        # An answering host may make its nonce of the joiner's: who joins is to blame.
        why = f"{notation(after.option)}: both nonces, and so all HMACs, are those of another join"
        syns = earlier.signal.row, later.signal.row
        case.wrong(SINGLE_USE, later.role, *syns, *rows, why=why, subflow=later.subflow)
        why += "; its nonce may follow from that of the joiner, who came with an old one"
        case.doubt(SINGLE_USE, owner, *rows, why=why, subflow=later.subflow)


# --------------------------------------------------------------------------- ports


def targets(case: Case, found: list[Attempt]) -> None:
    """A join goes to the port of the first subflow, or to one that was announced (3.9.1)."""
    initial = case.connection.initial
    if initial is None:
        return
    announced: dict[tuple[int, int | None], int] = {}
    for signal, option in case.of(AddAddr):
        announced.setdefault((signal.role ^ option.echo, option.port), signal.row)
    view = View(case)
    for attempt in found:
        role, row, subflow = attempt.role, attempt.signal.row, attempt.subflow
        target, first = end_of(subflow, 1 - role), end_of(initial, 1 - role)
        told = announced.get((1 - role, target.port))
        if target.port == first.port or (told is not None and not case.before(row, told)):
            case.right(TO_PORT, role)
            continue
        why = (
            f"the SYN of a join goes to {target}; the first subflow has port {first.port} there, "
            "and no ADD_ADDR names another"
        )
        if view.witnessed(role):
            case.wrong(TO_PORT, role, row, why=why, subflow=subflow)
        else:
            case.doubt(TO_PORT, role, row, why=f"{why}; {INCOMPLETE}", subflow=subflow)


def sources(case: Case, found: list[Attempt]) -> None:
    """A join comes from the port that its host has on the first subflow, if it is free (3.9.1)."""
    initial = case.connection.initial
    if initial is None:
        return
    used = {initial.source, initial.destination}
    for attempt in found:
        role, subflow = attempt.role, attempt.subflow
        source, first = end_of(subflow, role), end_of(initial, role)
        if source.port == first.port:
            case.right(FROM_PORT, role)
        elif Endpoint(source.address, first.port) not in used:
            why = f"the SYN of a join comes from {source}; the first subflow has port {first.port}"
            if case.witnessed(subflow, role) and case.witnessed(initial, role):
                case.wrong(FROM_PORT, role, attempt.signal.row, why=why, subflow=subflow)
            elif case.sent_here(subflow, role) and case.sent_here(initial, role):
                why += f"; a subflow from that port may have been missed: {INCOMPLETE}"
                case.doubt(FROM_PORT, role, attempt.signal.row, why=why, subflow=subflow)
            else:
                why += "; the port may have been translated before the capture"
                case.doubt(FROM_PORT, role, attempt.signal.row, why=why, subflow=subflow)
        used |= {subflow.source, subflow.destination}


def tried(case: Case) -> None:
    """What each attempt to join brings with it: nonces and ports."""
    found = attempts(case)
    nonces(case, found)
    targets(case, found)
    sources(case, found)


ANY_FORM = (MpJoinSyn, MpJoinSynAck, MpJoinAck)

RULES: tuple[Rule, ...] = (
    Rule(
        requirements=(LENGTHS, *dict.fromkeys(RESERVED.values()), PAYLOAD),
        judge=forms,
        on=(*ANY_FORM, Malformed),
    ),
    Rule(requirements=(NONCE, SINGLE_USE, TO_PORT, FROM_PORT), judge=tried, on=(MpJoinSyn,)),
)
