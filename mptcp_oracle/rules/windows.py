"""Receive windows of connection and subflow (RFC 8684 sections 3.3.4 and 3.3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.announced import scales, windows
from mptcp_oracle.analysis.coverage import coverage
from mptcp_oracle.analysis.ordering import Tops, blocks, span
from mptcp_oracle.analysis.parts import has_bit
from mptcp_oracle.analysis.signals import SYN
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.context import JITTER, Context
from mptcp_oracle.rules.receding import NO_SCALE, receding
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import sender
from mptcp_oracle.rules.weighing import DATA_ACK, Weighing, either, missing, used

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES"]

SHRINKS = "8684-3.3.4-right-edge-never-shrinks"
SUBFLOW = "8684-3.3.5-subflow-window-obeyed"
CONNECTION = "8684-3.3.5-connection-window-obeyed"

NO_WINDOW = "no window was seen before"
UNORDERED = "a larger window came at about the same time on another subflow"


def shrinking(context: Context) -> None:
    """The right edge of a receive window never moves left, but for the rounding of its scale."""
    import numpy as np

    trace = context.trace
    scale, number = scales(trace), trace.ground.column("data_ack")

    def edge(rows: Array) -> Array:
        found: Array = number[span(rows)] + windows(trace)[span(rows)]
        return found

    def why(half: int, before: int, now: int) -> str:
        return (
            f"the right edge moves from DSN {before} (relative) back to {now}, by more than one "
            f"unit of the window scale ({1 << int(scale[half])})"
        )

    receding(context, SHRINKS, edge, np.where(scale < 0, -1, 1 << np.maximum(scale, 0)), why)


def subflows(context: Context) -> None:
    """Nothing is sent beyond the windows that the peer announced on the subflow."""
    import numpy as np

    trace, ground = context.trace, context.trace.ground
    half, flags, length, sequence = (
        ground.column(name) for name in ("half", "flags", "length", "sequence")
    )
    scale, limits = scales(trace), Tops(trace.wire.halves.rows)
    vague = bool((scale < 0).any())
    weighing = Weighing(context, SUBFLOW, judge=_outside)
    every = used(context)
    for block in blocks(len(every)):
        rows = every[block]
        at = span(rows)
        ack = ground.relative_ack[at]
        edge = np.where(ack >= 0, ack + windows(trace)[at], 0)
        limit = limits.before(half[at], edge, beside=True)
        data = (length[at] > 0) & ~has_bit(flags[at], SYN)
        rows, limit = rows[data], limit[data]
        if vague or not limit.all():
            unknown = scale[half[rows] ^ 1] < 0
            weighing.never(rows[unknown], NO_SCALE)
            weighing.never(rows[~unknown & (limit == 0)], NO_WINDOW)
            known = ~unknown & (limit > 0)
            rows, limit = rows[known], limit[known]
        end = sequence[rows] + length[rows]
        # One octet may probe a closed window.
        weighing.add(rows, (end > limit) & (length[rows] > 1), end, limit)
    weighing.end()


def _outside(case: Case, role: int, row: int, end: int, limit: int) -> None:
    """Payload beyond all windows of its subflow."""
    subflow, _ = sender(case.context, case.context.half(row))
    why = (
        f"payload up to subflow sequence number {end}, while the windows that the peer had "
        f"announced on the subflow end at {limit}"
    )
    if case.witnessed(subflow, role) or case.witnessed(subflow, 1 - role):
        case.wrong(SUBFLOW, role, row, why=why, subflow=subflow)
    else:
        case.doubt(SUBFLOW, role, row, why=f"{why}; {INCOMPLETE}", subflow=subflow)


def connections(context: Context) -> None:
    """No new data is sent beyond the windows that the peer announced on all subflows."""
    import numpy as np

    trace, ground = context.trace, context.trace.ground
    dss, number, length = (ground.column(name) for name in ("dss", "data_ack", "length"))
    scale, limits = scales(trace), Tops(len(trace.plane.base))
    vague = _vague(context, scale)
    reach = coverage(ground)
    weighing = Weighing(context, CONNECTION, judge=_past)
    every = used(context)
    for block, data in zip(blocks(trace.wire.segments.rows), reach.carried, strict=True):
        rows = every[slice(*np.searchsorted(every, (block.start, block.stop)))]
        # Before its first DATA_ACK, a host's windows count from the first octet of data.
        at = span(rows)
        ack = np.where(has_bit(dss[at], DATA_ACK), number[at], 1)
        edge = ack + windows(trace)[at]
        limit = np.full(block.stop - block.start, -1, np.int64)
        limit[rows - block.start] = limits.before(ground.direction[at], edge, beside=True)
        limit = limit[data.row - block.start]
        row, high, limit = (each[limit >= 0] for each in (data.row, data.high, limit))
        if vague.any() or not limit.all():
            unknown = vague[ground.direction[row] ^ 1]
            weighing.never(row[unknown], NO_SCALE)
            weighing.never(row[~unknown & (limit == 0)], NO_WINDOW)
            known = ~unknown & (limit > 0)
            row, high, limit = row[known], high[known], limit[known]
        weighing.add(row, (high > limit) & (length[row] > 1), high, limit)
    weighing.end()


def _vague(context: Context, scale: Array) -> Array:
    """By direction: whether a segment of it announces a window whose scale is not known."""
    import numpy as np

    ground = context.trace.ground
    half, flags = ground.column("half"), ground.column("flags")
    found = np.zeros(len(context.trace.plane.base), np.bool_)
    if (scale < 0).any():
        rows = used(context)
        rows = rows[(scale[half[rows]] < 0) & ~has_bit(flags[rows], SYN)]
        found[ground.direction[rows]] = True
    return found


def _past(case: Case, role: int, row: int, high: int, limit: int) -> None:
    """New data beyond all windows of the peer."""
    subflow, _ = sender(case.context, case.context.half(row))
    why = (
        f"new data up to DSN {high} (relative), while the windows that the peer had announced end "
        f"at {limit}"
    )
    lacks = either(missing(case, role), missing(case, 1 - role))
    if not lacks and _soon(case, role, row, high):
        lacks = UNORDERED
    if lacks:
        case.doubt(CONNECTION, role, row, why=f"{why}; {lacks}", subflow=subflow)
    else:
        case.wrong(CONNECTION, role, row, why=why, subflow=subflow)


def _soon(case: Case, role: int, row: int, high: int) -> bool:
    """Whether a window that is large enough came little later."""
    trace, ground = case.context.trace, case.context.trace.ground
    for subflow in case.subflows:
        rows = case.context.sent(subflow.halves[1 - role])
        rows = rows[rows.searchsorted(row) :]
        rows = rows[ground.column("time")[rows] <= case.time(row) + JITTER]
        rows = rows[has_bit(ground.column("dss")[rows], DATA_ACK)]
        edge = ground.column("data_ack")[rows] + windows(trace)[rows]
        if (edge >= high).any():
            return True
    return False


RULES: tuple[Rule, ...] = (
    Rule(requirements=(SHRINKS,), sweep=shrinking),
    Rule(requirements=(SUBFLOW,), sweep=subflows),
    Rule(requirements=(CONNECTION,), sweep=connections),
)
