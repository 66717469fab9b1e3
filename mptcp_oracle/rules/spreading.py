"""How version 0 makes up for lost ADD_ADDRs and REMOVE_ADDRs (RFC 6824 section 3.4.1)."""

from __future__ import annotations

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.signals import FIN, RST, SYN
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import AddAddr, Option, RemoveAddr, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.context import JITTER
from mptcp_oracle.rules.lives import begun, ended, grace, last_row, while_mptcp
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

EVERYWHERE = "6824-3.4.1-address-options-all-subflows"
ONE_A_TRIP = "6824-3.4.1-address-options-one-rtt"

RESENT = 1 << CLASSES.index("tcp_retransmission")


def told(case: Case, role: int) -> list[Signal]:
    """The address options of a host in capture order, but for what TCP sends again."""
    kinds = case.columns["kind"]
    return [
        signal
        for signal in while_mptcp(case)
        if signal.role == role
        and isinstance(signal.option, AddAddr | RemoveAddr)
        and not (signal.payload and kinds[signal.row] & RESENT)
    ]


def spread(case: Case) -> None:
    """Each address option goes out on all subflows that there are."""
    for role in (0, 1):
        copies: dict[Option, list[Signal]] = {}
        for signal in told(case, role):
            # After a withdrawal nobody knows which subflows are left to its sender.
            if isinstance(signal.option, RemoveAddr):
                continue
            copies.setdefault(signal.option, []).append(signal)
        for signals in copies.values():
            _everywhere(case, role, signals)


def _everywhere(case: Case, role: int, signals: list[Signal]) -> None:
    """One option, and all signals that carry it."""
    first = signals[0]
    used = {signal.subflow.id for signal in signals}
    others = [
        each
        for each in case.subflows
        if each is not first.subflow and _available(case, each, role, first)
    ]
    left = [each for each in others if each.id not in used]
    if not others:
        return
    if not left:
        case.right(EVERYWHERE, role)
        return
    why = (
        f"{notation(first.option)} is not sent on subflow {left[0].id}, which the {ROLES[role]} "
        "has, too"
    )
    passed = [each for each in left if _passed(case, each, role, first)]
    if not passed:
        case.unseen(EVERYWHERE, role, first.row, why=f"{why}, but may still be")
    elif case.witnessed_all(role):
        case.wrong(EVERYWHERE, role, first.row, why=why, subflow=first.subflow)
    else:
        case.unseen(EVERYWHERE, role, first.row, why=f"{why}; {INCOMPLETE}")


def _available(case: Case, subflow: Subflow, role: int, signal: Signal) -> bool:
    """Whether a host could send on a subflow when it sent an option."""
    start, end = begun(case, subflow, role), ended(case, subflow)
    if start is None or start > signal.row or (end is not None and end < signal.row):
        return False
    return not any(
        subflow.address_ids[removal.role] in (None, *option.address_ids)
        for removal, option in case.of(RemoveAddr)
        if removal.row <= signal.row
    )


def _passed(case: Case, subflow: Subflow, role: int, signal: Signal) -> bool:
    """Whether a host let an occasion pass to send an option on another subflow, too.

    That is a pure ACK, which has room for it, or so much time that nothing more is to come.
    """
    rows, now = case.columns, case.time(signal.row)
    sent = case.context.sent(subflow.halves[role])
    for row in sent[sent.searchsorted(signal.row) :].tolist():
        late = case.time(row) > now + JITTER
        if late and not rows["length"][row] and not rows["flags"][row] & (SYN | FIN | RST):
            return True
    end = ended(case, subflow)
    until = case.time(last_row(case) if end is None else end)
    return until > now + grace(case, subflow)


def hasty(case: Case) -> None:
    """Different address options do not go out within one round trip."""
    for role in (0, 1):
        signals = told(case, role)
        for at, signal in enumerate(signals):
            earlier = [
                each
                for each in signals[:at]
                if each.row != signal.row and _differs(each.option, signal.option)
            ]
            if earlier:
                _apart(case, role, earlier[-1], signal)


def _differs(first: Option, second: Option) -> bool:
    """Whether the order of two options may matter: of two addresses, or of one coming and going.

    An Address ID that is announced again is no matter of order.
    """
    if isinstance(first, AddAddr) and isinstance(second, AddAddr):
        return first.address_id != second.address_id
    if isinstance(first, AddAddr):
        first, second = second, first
    if not isinstance(first, RemoveAddr) or not isinstance(second, AddAddr):
        return False
    return second.address_id in first.address_ids


def _apart(case: Case, role: int, first: Signal, second: Signal) -> None:
    """Two different options, one after the other."""
    trips = [_least_trip(case, each.subflow, role) for each in (first, second)]
    gap = case.time(second.row) - case.time(first.row)
    if not all(trips):
        case.unseen(
            ONE_A_TRIP, role, first.row, second.row,
            why="when they were sent, or the round trip, is not in the capture",
        )  # fmt: skip
    elif gap < min(trips):
        case.wrong(
            ONE_A_TRIP, role, first.row, second.row, subflow=second.subflow,
            why=f"{notation(second.option)} follows {notation(first.option)} after {gap / 1e6:.3f} "
            f"ms; a round trip takes {min(trips) / 1e6:.3f} ms or more",
        )  # fmt: skip
    else:
        case.right(ONE_A_TRIP, role)


def _least_trip(case: Case, subflow: Subflow, role: int) -> int:
    """A lower bound of the round trip that the handshake shows to a host, in nanoseconds.

    From its last SYN or SYN/ACK before the answer; 0 if the capture was not made at the host, or
    may lack one of them.
    """
    if not case.witnessed(subflow, role):
        return 0
    shake, own = case.shake(subflow), subflow.halves[role]
    answer = shake.synack_row
    if role != subflow.opener:
        answer = None if shake.ack is None else shake.ack[0].row
    asked = [
        raw.row
        for raw in case.events(subflow)
        if raw.half == own and raw.flags & SYN and answer is not None and raw.row < answer
    ]
    return case.time(answer) - case.time(asked[-1]) if asked and answer is not None else 0


RULES = (
    Rule(requirements=(EVERYWHERE,), judge=spread, versions=(0,), on=(AddAddr, RemoveAddr)),
    Rule(requirements=(ONE_A_TRIP,), judge=hasty, versions=(0,), on=(AddAddr, RemoveAddr)),
)
