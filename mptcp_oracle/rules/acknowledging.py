"""DATA_ACKs (RFC 8684 section 3.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.coverage import coverage
from mptcp_oracle.analysis.ordering import Tops, span
from mptcp_oracle.analysis.parts import column, has_bit
from mptcp_oracle.analysis.widths import LongData
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.context import JITTER, Context
from mptcp_oracle.rules.receding import AT_ONCE, receding
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import sender
from mptcp_oracle.rules.weighing import Weighing, acknowledging, either, missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES"]

UNMAPPED = "8684-3.3.1-unmapped-never-data-acked"
CUMULATIVE = "8684-3.3.2-data-ack-cumulative"
DECREASES = "8684-3.3.2-data-ack-never-decreases"
LONG = "8684-3.3.2-long-dsn-long-data-ack"

#: Bits of the ``dss`` column: a DATA_ACK of 8 octets, and which of them says so.
LONG_ACK, WIDE = 0x03, 0x02

NO_KEY = "the key from which the data sequence numbers count is not known"
UNCERTAIN = "the rest is mapped, and may have been there all the same"
IN_FLIGHT = "the rest may have been sent before, and have been on its way"
UNORDERED = "a longer one was sent at about the same time on another subflow"


def cumulative(context: Context) -> None:
    """Everything below a DATA_ACK was mapped and sent, and has arrived."""
    import numpy as np

    ground = context.trace.ground
    number = ground.column("data_ack")
    keyed = np.array([each == "key" for each in context.trace.plane.base_from], np.bool_)
    weighing = Weighing(context, UNMAPPED, CUMULATIVE, judge=_beyond)
    for rows in acknowledging(context):
        data = ground.direction[span(rows)] ^ 1
        if not keyed.all():
            known = keyed[data]
            weighing.never(rows[~known], NO_KEY)
            rows, data = rows[known], data[known]
        told, reached = number[span(rows)], coverage(ground).at(data, span(rows))
        weighing.add(rows, told > reached, told, reached)
    weighing.end()


def _beyond(case: Case, role: int, row: int, number: int, reached: int) -> None:
    """A DATA_ACK beyond the data that had come without a hole when it was sent."""
    data = 2 * case.number + 1 - role
    reach = coverage(case.context.trace.ground)
    later = reach.since(data, number)
    soon = JITTER + 1 if later is None else case.time(later) - case.time(row)
    fin = case.hosts[1 - role].data_fin
    if soon <= AT_ONCE:
        for requirement in (UNMAPPED, CUMULATIVE):
            case.right(requirement, role)
        return
    if fin is not None and reach.top[data] == fin.dsn + 1 and number > fin.dsn + 1:
        # There is nothing beyond a DATA_FIN, whatever else may have been sent.
        unmapped = early = ""
        why = f"DATA_ACK {number} (relative) is beyond the peer's DATA_FIN, which has DSN {fin.dsn}"
    else:
        received = missing(case, role, data=data, up_to=number)
        sent = missing(case, 1 - role, data=data, up_to=number)
        unmapped = early = either(received, sent)
        vague = later is not None and not reach.exact[data]
        if soon <= JITTER or vague or (not early and _unclear(case, 1 - role, row, number)):
            unmapped = early = UNCERTAIN
        elif later is not None and sent:
            unmapped = received or IN_FLIGHT
        why = f"DATA_ACK {number} (relative), while all data up to {reached} had been sent, no more"
    for requirement, lacks in ((UNMAPPED, unmapped), (CUMULATIVE, early)):
        if lacks:
            case.doubt(requirement, role, row, why=f"{why}; {lacks}")
        else:
            case.wrong(requirement, role, row, why=why)


def _unclear(case: Case, role: int, row: int, high: int) -> bool:
    """Whether data of a host, up to a DSN, may have been there all the same.

    It may if a mapping gives octets other DSNs than they had; and if it is mapped, and the capture
    ends before the last parts of a segment that offload cut.
    """
    trace = case.context.trace
    table, order, first = trace.mappings, trace.plane.map_order, trace.plane.map_first
    last = int(trace.ground.column("time")[-1]) - case.time(row) <= JITTER
    for subflow in case.subflows:
        half = subflow.halves[role]
        # By their first subflow sequence numbers.
        mine = column(order)[first[half] : first[half + 1]]
        if _contradicted(table.start[mine], table.octets[mine], table.dsn[mine]):
            return True
        if last and ((table.dsn[mine] < high) & (table.dsn_end[mine] >= high)).any():
            return True
    return False


def _contradicted(start: Array, octets: Array, dsn: Array) -> bool:
    """Whether any of some mappings, by their starts, gives an octet another DSN than another."""
    import numpy as np

    some = octets > 0
    start, octets, delta = start[some], octets[some], (dsn - start)[some]
    top = np.maximum.accumulate(start + octets)
    return bool(((start[1:] < top[:-1]) & (delta[1:] != delta[:-1])).any())


def decreasing(context: Context) -> None:
    """No DATA_ACK is lower than an earlier one on its subflow."""
    import numpy as np

    number = context.trace.ground.column("data_ack")

    def why(_half: int, before: int, now: int) -> str:
        return f"DATA_ACK {now} (relative) after DATA_ACK {before} on the same subflow"

    slack = np.zeros(context.trace.wire.halves.rows, np.int64)
    receding(context, DECREASES, lambda rows: number[span(rows)], slack, why)


def widths(context: Context) -> None:
    """What came with DSNs of 8 octets is acknowledged with DATA_ACKs of 8 octets."""
    import numpy as np

    ground = context.trace.ground
    number, dss = ground.column("data_ack"), ground.column("dss")
    long, tops = LongData(ground), Tops(len(context.trace.plane.base))
    weighing = Weighing(context, LONG, judge=_short)
    for rows in acknowledging(context):
        data, told = ground.direction[span(rows)] ^ 1, number[span(rows)]
        # The first octet of data has DSN 1.
        before = np.maximum(tops.before(data, told), 1)
        news = (told > before) & (told > long.lowest[data]) & (before < long.highest[data])
        rows, data, told, before = rows[news], data[news], told[news], before[news]
        short = ~has_bit(dss[rows], WIDE)
        covers = np.ones(len(rows), np.bool_)
        covers[short] = long.between(data[short], before[short], told[short]) > 0
        weighing.add(rows[covers], short[covers], before[covers], told[covers])
    weighing.end()


def _short(case: Case, role: int, row: int, before: int, number: int) -> None:
    """A DATA_ACK of 4 octets, the first for data that came with DSNs of 8 octets only."""
    subflow, _ = sender(case.context, case.context.half(row))
    why = (
        f"DATA_ACK {number} (relative) has 4 octets, and is the first for data from {before} on, "
        "which came with DSNs of 8 octets"
    )
    lacks = missing(case, role)
    if not lacks and _beside(case, role, row, before):
        lacks = UNORDERED
    if lacks:
        case.doubt(LONG, role, row, why=f"{why}; {lacks}", subflow=subflow)
    else:
        case.wrong(LONG, role, row, why=why, subflow=subflow)


def _beside(case: Case, role: int, row: int, before: int) -> bool:
    """Whether a long DATA_ACK for the same data left on another subflow at about the same time."""
    ground = case.context.trace.ground
    for subflow in case.subflows:
        if subflow.halves[role] != case.context.half(row):
            rows = case.context.sent(subflow.halves[role])
            rows = rows[abs(ground.column("time")[rows] - case.time(row)) <= JITTER]
            rows = rows[ground.column("dss")[rows] & LONG_ACK == LONG_ACK]
            if (ground.column("data_ack")[rows] > before).any():
                return True
    return False


RULES: tuple[Rule, ...] = (
    Rule(requirements=(UNMAPPED, CUMULATIVE), sweep=cumulative),
    Rule(requirements=(DECREASES,), sweep=decreasing),
    Rule(requirements=(LONG,), sweep=widths),
)
