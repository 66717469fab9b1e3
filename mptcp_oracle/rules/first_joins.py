"""When a host may open its first joins, and where to (RFC 8684 and 6824, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.constants import CAPABLE_ADDRESS_CLOSED
from mptcp_oracle.options import AddAddr, MpCapable, MpJoinSyn
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.context import JITTER
from mptcp_oracle.rules.hearing import first_dss, heard_before
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

AFTER_DSS = {1: "8684-3.1-no-join-before-dss", 0: "6824-3.1-no-join-before-dss"}
NOT_CLOSED = "8684-3.1-flag-c-no-join"


def _joins(case: Case) -> Iterator[tuple[Subflow, int, int]]:
    """The joins whose SYN is in the capture: subflow, role of its opener, row of the SYN."""
    for subflow in case.subflows:
        shake = case.shake(subflow)
        if subflow.kind != "joined" or subflow.opener is None or shake.syn_row is None:
            continue
        if shake.syn is not None and isinstance(shake.syn[1], MpJoinSyn):
            yield subflow, subflow.opener, shake.syn_row


def after_dss(case: Case) -> None:
    """A host joins only when a DSS has reached it over the initial subflow."""
    requirement, initial = AFTER_DSS[case.version or 0], case.initial
    heard: dict[int, int | None] = {}
    for subflow, role, syn in _joins(case):
        if initial is None or not _from_start(case.shake(initial)):
            why = "the initial subflow's beginning is not in the capture"
            case.unseen(requirement, role, syn, why=why)
            continue
        if role not in heard:
            heard[role] = first_dss(case, initial, 1 - role)
        first, peer = heard[role], ROLES[1 - role]
        here = case.sent_here(initial, role) and case.sent_here(subflow, role)
        if first is not None and first < syn and not (here or _long_ago(case, initial, first, syn)):
            why = f"whether the {peer}'s DSS arrived before the join is not known"
            case.unseen(requirement, role, first, syn, why=why)
            continue
        before = first is not None and heard_before(case, first, syn)
        if before:
            case.right(requirement, role)
            continue
        when = "" if first is None else f", the first one came in frame {case.frame(first)}"
        why = f"a join, and no DSS of the {peer} had come over the initial subflow{when}"
        if before is None:
            why = f"{why}; both passed at the same time"
        elif not (here and case.witnessed(initial, role)):
            why = f"{why}; {INCOMPLETE}"
        else:
            case.wrong(requirement, role, syn, why=why, subflow=subflow)
            continue
        case.doubt(requirement, role, syn, why=why, subflow=subflow)


def _long_ago(case: Case, initial: Subflow, first: int, syn: int) -> bool:
    """Whether a segment was certainly received before another passed, wherever the tap is."""
    trip = initial.round_trip
    return trip > 0 and case.time(syn) - case.time(first) > trip + JITTER


def _from_start(shake: Handshake) -> bool:
    """Whether the capture has a subflow from its SYN on."""
    return shake.syn_row is not None


def not_closed(case: Case) -> None:
    """Nobody joins the address and port of a host that set flag C there."""
    initial = case.initial
    closed = _closed(case, initial)
    if initial is None or not any(closed):
        return
    announced = {
        (signal.role, str(option.address)): signal.row
        for signal, option in reversed(list(case.of(AddAddr)))
        if not option.echo
    }
    for subflow, role, syn in _joins(case):
        # The token of a join comes from a key, and that from an MP_CAPABLE with its flags.
        said = next((each for each in closed[1 - role] if each.row < syn), None)
        if said is None:
            continue
        target = subflow.destination
        if target != (initial.destination if role == initial.source_role else initial.source):
            case.right(NOT_CLOSED, role)
            continue
        why = f"a join to {target}, where flag C of frame {case.frame(said.row)} asks for none"
        again = announced.get((1 - role, target.address), syn)
        if again < syn:
            why = f"{why}; but an ADD_ADDR announces that address in frame {case.frame(again)}"
            case.doubt(NOT_CLOSED, role, said.row, syn, why=why, subflow=subflow)
        else:
            case.wrong(NOT_CLOSED, role, said.row, syn, why=why, subflow=subflow)


def _closed(case: Case, initial: Subflow | None) -> tuple[list[Signal], list[Signal]]:
    """The MP_CAPABLEs with flag C by role, in capture order."""
    found: tuple[list[Signal], list[Signal]] = ([], [])
    for signal, option in case.of(MpCapable):
        if signal.subflow is initial and option.version and option.flags & CAPABLE_ADDRESS_CLOSED:
            found[signal.role].append(signal)
    return found


RULES = (
    Rule(requirements=tuple(AFTER_DSS.values()), judge=after_dss, on=("join",)),
    Rule(requirements=(NOT_CLOSED,), judge=not_closed, versions=(1,), on=("join",)),
)
