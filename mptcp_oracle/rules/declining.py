"""Declining: connections that are plain TCP since a packet of the handshake had no MP_CAPABLE.

RFC 8684 sections 3.1 and 3.7, RFC 6824 sections 3.1 and 3.6.
"""

from __future__ import annotations

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import ACK, RST, SYN
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.greeting import is_capable
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["RULES"]

BY_SYNACK = "8684-3.1-synack-without-capable"
UNASKED = "8684-3.1-capable-not-unasked"
BY_THIRD = "8684-3.1-ack-without-capable"
FALLS_BACK = "8684-3.7-handshake-fallback"

NO_OPTIONS = FLAG_BITS["mptcp"] | FLAG_BITS["options_cut"]
LATER_CAPABLE = (
    "a later packet of the initiator has an MP_CAPABLE, and it may be the one that counts"
)


def handshake(case: Case) -> None:
    """Who goes on with MPTCP although a packet of the handshake says no."""
    initial = case.initial
    if initial is None or initial.opener is None:
        return
    _synack_declines(case, initial)
    _syn_asks(case, initial)
    _third_declines(case, initial)


def _verdict(
    case: Case, requirement: str, role: int, subflow: Subflow, rows: tuple[int, ...], why: str,
    lacks: str = "",
) -> None:  # fmt: skip
    """A host went on; it is proven if no packet is missing that may have had the MP_CAPABLE."""
    if not lacks and not (case.context.whole and case.shake(subflow).syn_row is not None):
        lacks = INCOMPLETE
    for each in (requirement, FALLS_BACK):
        if lacks:
            case.doubt(each, role, *rows, why=f"{why}; {lacks}", subflow=subflow)
        else:
            case.wrong(each, role, *rows, why=why, subflow=subflow)


def _kept(case: Case, requirement: str, role: int) -> None:
    for each in (requirement, FALLS_BACK):
        case.right(each, role)


def _goes_on(case: Case, subflow: Subflow, role: int, after: int) -> int | None:
    """The row of a host's first MPTCP option behind a row, SYNs aside."""
    for signal in case.signals:
        mine = signal.subflow is subflow and signal.role == role
        if mine and signal.row > after and not signal.flags & SYN:
            return signal.row
    last = case.context.trace.plane.mptcp_row[subflow.halves[role]]
    return last if last > after and not case.columns["flags"][last] & SYN else None


def _capables(case: Case, subflow: Subflow, role: int, kind: int) -> list[int]:
    """Rows with an MP_CAPABLE, however odd: of SYNs, of SYN/ACKs, or of neither (``ACK``)."""
    return [
        signal.row
        for signal in case.signals
        if signal.subflow is subflow
        and signal.role == role
        and (signal.flags & (SYN | ACK) == kind if kind & SYN else not signal.flags & SYN)
        and is_capable(signal)
    ]


def _synack_declines(case: Case, initial: Subflow) -> None:
    """After a SYN/ACK without MP_CAPABLE the initiator sends no MPTCP option."""
    shake = case.shake(initial)
    plain = shake.plain_synack
    if plain is None or shake.syn is None or _capables(case, initial, 1, SYN | ACK):
        return
    later = _goes_on(case, initial, 0, plain)
    if later is None:
        if shake.begun:
            _kept(case, BY_SYNACK, 0)
        return
    why = f"an MPTCP option after the SYN/ACK of frame {case.frame(plain)}, which has no MP_CAPABLE"
    _verdict(case, BY_SYNACK, 0, initial, (plain, later), why)


def _syn_asks(case: Case, initial: Subflow) -> None:
    """The SYN/ACK has an MP_CAPABLE only if the SYN has one."""
    shake = case.shake(initial)
    if shake.synack is None:
        return
    if shake.syn is not None or _capables(case, initial, 0, SYN):
        _kept(case, UNASKED, 1)
        return
    answer = shake.synacks[0][0].row
    if shake.plain_syn is None or shake.plain_syn > answer:
        case.unseen(UNASKED, 1, answer, why="the SYN, or its options, is not in the capture")
        return
    why = f"an MP_CAPABLE, and the SYN of frame {case.frame(shake.plain_syn)} has none"
    _verdict(case, UNASKED, 1, initial, (shake.plain_syn, answer), why)


def _third_declines(case: Case, initial: Subflow) -> None:
    """After a third packet without MP_CAPABLE the listener sends no MPTCP option.

    A listener that accepted data of the SYN may send before the third packet.
    """
    shake, columns = case.shake(initial), case.columns
    if shake.synack is None or initial.syn_data != (0, 0) or shake.synack_row is None:
        return
    third = case.context.trace.plane.first_rows()[initial.halves[0]]
    if third < shake.synack_row or columns["flags"][third] & (NO_OPTIONS | RST):
        return
    if not _acknowledges_syn(case, initial, third):
        return
    later = _goes_on(case, initial, 1, third)
    if later is None:
        if shake.answered:
            _kept(case, BY_THIRD, 1)
        return
    why = f"an MPTCP option after the third packet, frame {case.frame(third)}, had no MP_CAPABLE"
    offered = [row for row in _capables(case, initial, 0, ACK) if row < later]
    lacks = LATER_CAPABLE if offered else ""
    _verdict(case, BY_THIRD, 1, initial, (third, later), why, lacks)


def _acknowledges_syn(case: Case, initial: Subflow, row: int) -> bool:
    """Whether an undamaged segment of the initiator acknowledges the listener's SYN."""
    columns, halves = case.columns, case.context.trace.wire.halves
    if not columns["flags"][row] & ACK or case.context.integrity.damaged(row):
        return False
    ahead = (columns["ack"][row] - halves["isn"][initial.halves[1]] - 1) & 0xFFFFFFFF
    return ahead < 1 << 31


RULES = (Rule(requirements=(BY_SYNACK, UNASKED, BY_THIRD, FALLS_BACK), judge=handshake),)
