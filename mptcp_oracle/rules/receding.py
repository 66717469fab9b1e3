"""Receding: numbers that a host never lowers from one segment of a subflow to a later one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.ordering import FAR, Tops, span
from mptcp_oracle.analysis.parts import has_bit
from mptcp_oracle.analysis.signals import FIN, RST
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.senders import sender
from mptcp_oracle.rules.weighing import DATA_ACK, Weighing, acknowledging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["AT_ONCE", "NO_SCALE", "receding"]

RESENT = 1 << CLASSES.index("tcp_retransmission")

AT_ONCE = 1_000_000
"""Nanoseconds within which the pieces leave that offload cuts a segment into, all with its options:
the later ones may stand behind an ACK that was sent meanwhile."""

REORDERED = "it was not captured where it was sent, and the network may have changed the order"
AGAIN = "it may have been sent before, or captured before, in a frame that is missing"
NO_SCALE = "the window scale is not known: not both SYNs are in the capture"


def receding(
    context: Context,
    requirement: str,
    value: Callable[[Array], Array],
    slack: Array,
    why: Callable[[int, int, int], str],
) -> None:
    """On each subflow no value is lower, by more than some slack, than an earlier one.

    What TCP sends again may have the options that it had before.

    Args:
        context: The context.
        requirement: What says so.
        value: The values of rows that have a DATA_ACK.
        slack: By half: by how much its values may be lower; -1 if they cannot be told.
        why: The argument, from a half, an earlier value and a later one.
    """
    import numpy as np

    ground = context.trace.ground
    half, kind = ground.column("half"), ground.column("kind")
    tops, untold = Tops(context.trace.wire.halves.rows), bool((slack < 0).any())
    climbs: dict[int, tuple[Array, Array]] = {}

    def judge(case: Case, role: int, row: int, number: int) -> None:
        own, number = int(half[row]), min(max(number, 0), FAR)
        if own not in climbs:
            climbs[own] = _climb(context, own, value)
        rows, top = climbs[own]
        before = int(rows[top.searchsorted(number + int(slack[own]), side="right")])
        if _left_before(case, before, row) or _fin_again(case, row):
            case.right(requirement, role)
            return
        subflow, _ = sender(context, own)
        text = why(own, int(value(np.array([before]))[0]), number)
        if not case.sent_here(subflow, role):
            case.doubt(requirement, role, before, row, why=f"{text}; {REORDERED}", subflow=subflow)
        elif not context.whole and (case.columns["length"][row] or own >> 1 in context.doubled):
            case.doubt(requirement, role, before, row, why=f"{text}; {AGAIN}", subflow=subflow)
        else:
            case.wrong(requirement, role, before, row, why=text, subflow=subflow)

    weighing = Weighing(context, requirement, judge=judge)
    for rows in acknowledging(context):
        own = half[span(rows)]
        if untold:
            known = slack[own] >= 0
            weighing.never(rows[~known], NO_SCALE)
            rows, own = rows[known], own[known]
        values = value(rows)
        top = tops.before(own, values)
        low = values < top
        # Few are lower than before at all, and worth a closer look.
        low[low] = np.clip(values[low], 0, FAR) + slack[own[low]] < top[low]
        low[low] = ~has_bit(kind[rows[low]], RESENT)
        weighing.add(rows, low, values)
    weighing.end()


def _climb(context: Context, half: int, value: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Segments of a half that have a DATA_ACK, and the highest value up to each."""
    import numpy as np

    ground, rows = context.trace.ground, context.sent(half)
    rows = rows[has_bit(ground.column("dss")[rows], DATA_ACK)]
    rows = rows[~has_bit(ground.column("flags")[rows], RST)]
    return rows, np.maximum.accumulate(value(rows))


def _left_before(case: Case, before: int, row: int) -> bool:
    """Whether a segment may be the last part of one that left before the other."""
    return bool(case.columns["length"][row]) and case.time(row) - case.time(before) < AT_ONCE


def _fin_again(case: Case, row: int) -> bool:
    """Whether a segment is a FIN that was sent before."""
    half = case.context.half(row)
    events = case.context.trace.signals.events.get(half >> 1, ())
    fins = [raw.row for raw in events if raw.half == half and raw.flags & FIN]
    return row in fins[1:]
