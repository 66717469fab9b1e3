"""The ends of subflows: not too early, and by FIN in the end (RFC 8684 section 3.3.3)."""

from __future__ import annotations

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.signals import FIN, RST
from mptcp_oracle.constants import Subtype
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import Malformed, MpFail, MpFastclose, MpTcprst, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.ending import (
    MOMENT,
    DataFin,
    End,
    Signs,
    ends_of,
    follows,
    nothing_hidden,
    remaining,
    started,
    usable,
)

__all__ = ["CLOSED", "FIN_ON_ALL", "KEPT_OPEN", "PATIENCE", "WITH_FIN", "finish"]

KEPT_OPEN = "8684-3.3.3-last-subflow-kept-open"
WITH_FIN = "8684-3.3.3-data-fin-with-fin"
CLOSED = "8684-3.3.3-subflows-closed-after-data-fin"
FIN_ON_ALL = "8684-3.3.3-fin-on-all-subflows"

PATIENCE = 60_000_000_000
"""Nanoseconds in which a host ends a subflow of a closed connection, and after which it may take a
silent peer for gone: the RFC names no limit; a minute is the longest time-out that TCP has to use
(RFC 6298 section 2.5)."""

#: Reasons of MP_TCPRST that say that a subflow had to be reset, and that it has data left.
FORCED, LEFTOVER = (1, 6), 4
#: DATA_FINs with FINs that are looked at.
MOST = 64
#: Place of unmapped octets among the counters of a half.
UNMAPPED = CLASSES.index("unmapped")
#: Bits of a half's ``mptcp``: a DATA_ACK of 8 octets, of 4.
DATA_ACKED = 0x14

Ends = dict[Subflow, tuple[End, End]]


def finish(case: Case, signs: Signs, acks: tuple[int, int] | None) -> None:
    """How hosts end their subflows.

    Args:
        case: A connection that is MPTCP to its end.
        signs: Its DATA_FINs.
        acks: The rows of the first DATA_ACKs of both hosts' DATA_FINs.
    """
    for fin in [each for each in signs.fins if each.signal.flags & FIN][:MOST]:
        _combined(case, fin)
    if MpFastclose in case.present or case.present.isdisjoint(("fin", "rst", "data_fin")):
        return
    ends = {each: ends_of(case, each) for each in case.subflows if each.established}
    for role in (0, 1):
        _last(case, role, ends, signs.placed[role])
    if acks is not None:
        _closed(case, ends, acks)


def _combined(case: Case, fin: DataFin) -> None:
    """A DATA_FIN goes with a FIN only if no data is outstanding on other subflows."""
    signal, progress = fin.signal, case.context.progress
    role, row, direction = signal.role, signal.row, 2 * case.number + signal.role
    acked, sent = _acked(case, direction, row), progress.sent(direction, row)
    half = case.columns["half"]
    rows = progress.carriers(direction, acked, sent, row) if sent > acked else []
    rows = [each for each in rows if half[each] != half[row]]
    if not rows:
        case.right(WITH_FIN, role)
        return
    why = (
        f"a DATA_FIN with a FIN, while the data of frame {case.frame(rows[-1])} on another "
        f"subflow is outstanding: the highest DATA_ACK is {acked}"
    )
    if case.witnessed_all(role) and started(case):
        case.wrong(WITH_FIN, role, rows[-1], row, why=why, subflow=signal.subflow)
    else:
        why = f"{why}; a DATA_ACK may have arrived that was not captured"
        case.doubt(WITH_FIN, role, rows[-1], row, why=why, subflow=signal.subflow)


def _acked(case: Case, direction: int, row: int) -> int:
    """The highest DATA_ACK for a direction that its sender may have had when it sent a row."""
    return case.context.progress.acked_by(direction, row, case.time(row) + MOMENT)


def _last(case: Case, role: int, ends: Ends, fins: list[DataFin]) -> None:
    """No host ends its last subflow while data is outstanding."""
    found = _last_end(role, ends)
    if found is None:
        return
    row, subflow = found
    direction, progress = 2 * case.number + role, case.context.progress
    acked = progress.acked(direction, row)
    if acked >= case.context.trace.plane.dsn_top[direction]:
        case.right(KEPT_OPEN, role)
        return
    sent, acked = progress.sent(direction, row + 1), _acked(case, direction, row)
    if acked >= sent or _alone(case, role, acked, sent, fins, row):
        case.right(KEPT_OPEN, role)
        return
    event = "FIN" if case.columns["flags"][row] & FIN else "RST"
    why = f"a {event} on the last subflow, while data from DSN {acked} to {sent - 1} is outstanding"
    if _forced(case, subflow, role, row):
        case.unseen(KEPT_OPEN, role, row, why=f"{why}; but it may have been forced to")
    elif _failed(case, subflow, role, row):
        case.unseen(KEPT_OPEN, role, row, why=f"{why}; but after an MP_FAIL it may be plain TCP")
    elif _gone(case, subflow, role, row):
        case.unseen(KEPT_OPEN, role, row, why=f"{why}; but the peer has been silent for long")
    elif case.witnessed_all(role) and nothing_hidden(case, role):
        case.wrong(KEPT_OPEN, role, row, why=why, subflow=subflow)
    else:
        case.doubt(KEPT_OPEN, role, row, why=f"{why}; {INCOMPLETE}", subflow=subflow)


def _failed(case: Case, subflow: Subflow, role: int, row: int) -> bool:
    """Whether the peer sent an MP_FAIL without a RST before a row: on the only subflow, then."""
    raws = case.context.trace.signals.of(subflow.stream, Subtype.MP_FAIL)
    peer = subflow.halves[1 - role]
    return any(raw.half == peer and raw.row < row and not raw.flags & RST for raw in raws)


def _last_end(role: int, ends: Ends) -> tuple[int, Subflow] | None:
    """The FIN or RST by which a host ended its last subflow, if it was the host that did."""
    latest: tuple[int, Subflow] | None = None
    for subflow, both in ends.items():
        own, other = both[role].first, both[1 - role].rst
        rows = [row for row in (own, other) if row is not None]
        if not rows:
            return None
        row = min(rows)
        if latest is None or row > latest[0]:
            latest = row, subflow
    if latest is None or latest[0] != ends[latest[1]][role].first:
        return None
    return latest


def _alone(case: Case, role: int, acked: int, sent: int, fins: list[DataFin], until: int) -> bool:
    """Whether all that is outstanding is in one segment that has the DATA_FIN."""
    carriers = set(case.context.progress.carriers(2 * case.number + role, acked, sent, until + 1))
    with_fin = {fin.signal.row for fin in fins if fin.signal.payload}
    return bool(carriers) and carriers <= with_fin


def _forced(case: Case, subflow: Subflow, role: int, row: int) -> bool:
    """Whether something on a subflow may have forced a host to reset it."""
    if case.columns["flags"][row] & FIN:
        return False
    for raw in case.context.trace.signals.options.get(subflow.stream, ()):
        if raw.row > row:
            break
        option = raw.decode(case.version)
        if raw.row == row:
            if isinstance(option, MpFail):
                return True
            if isinstance(option, MpTcprst):
                return option.reason in FORCED
        elif raw.half != subflow.halves[role] and isinstance(option, Malformed):
            return True
    trace, (own, peer) = case.context.trace, (subflow.halves[role], subflow.halves[1 - role])
    spoke = trace.wire.halves["mptcp"][peer] & DATA_ACKED
    unconfirmed = not spoke and case.context.progress.confirmed(own, row) > 1
    unmapped = trace.plane.octets[len(CLASSES) * peer + UNMAPPED]
    return bool(unmapped or unconfirmed or case.connection.checksums[1])


def _gone(case: Case, subflow: Subflow, role: int, row: int) -> bool:
    """Whether the peer has been silent for so long that a host may give a subflow up."""
    rows = case.context.progress.rows(subflow.halves[1 - role], until=row)
    return not len(rows) or case.time(row) - case.time(int(rows[-1])) > PATIENCE


def _closed(case: Case, ends: Ends, acks: tuple[int, int]) -> None:
    """After both DATA_FINs were acknowledged, subflows end by FIN, and by FINs of both hosts."""
    known = max(acks)
    for subflow, both in ends.items():
        opened = usable(case, subflow)
        if opened is None or opened > known:
            continue
        for role in (0, 1):
            own, theirs = both[role], both[1 - role]
            if own.first is None:
                if theirs.rst is None:
                    _open(case, subflow, role, known, neither=theirs.fin is None)
                continue
            case.right(FIN_ON_ALL, role)
            if own.fin == own.first:
                case.right(CLOSED, role)
            elif (theirs.first is None or theirs.first > own.first) and all(
                follows(case, ack, own.first) for ack in acks
            ):
                _reset(case, subflow, role, own.first, known)


def _reset(case: Case, subflow: Subflow, role: int, row: int, known: int) -> None:
    """A RST where a FIN has to be, unless the subflow has data left."""
    progress, half = case.context.progress, subflow.halves[role]
    if _forced(case, subflow, role, row):
        return
    if progress.end(half, row) > progress.confirmed(half, row):
        case.right(CLOSED, role)
        return
    why = "a RST on a subflow with no data left, after both DATA_FINs were acknowledged"
    told = _reason(case, subflow, row)
    if told is not None and told.reason == LEFTOVER:
        why = f"{why}; but it says that there is: {notation(told)}"
        case.doubt(CLOSED, role, known, row, why=why, subflow=subflow)
    elif case.witnessed_all(role):
        case.wrong(CLOSED, role, known, row, why=why, subflow=subflow)
    else:
        why = f"{why}; the {ROLES[role]} may not have known that yet, or have had data left"
        case.doubt(CLOSED, role, known, row, why=why, subflow=subflow)


def _reason(case: Case, subflow: Subflow, row: int) -> MpTcprst | None:
    """The MP_TCPRST of a RST."""
    for raw in case.context.trace.signals.of(subflow.stream, Subtype.MP_TCPRST):
        option = raw.decode(case.version)
        if raw.row == row and isinstance(option, MpTcprst):
            return option
    return None


def _open(case: Case, subflow: Subflow, role: int, known: int, *, neither: bool) -> None:
    """A subflow that a host has not ended although the connection is closed."""
    ids = (CLOSED, FIN_ON_ALL) if neither else (FIN_ON_ALL,)
    last = case.context.progress.last(subflow.halves[role])
    if last is None or remaining(case, known) < PATIENCE or not case.witnessed(subflow, role):
        why = f"the capture may lack the {ROLES[role]}'s FIN on subflow {subflow.id}"
        for each in ids:
            case.unseen(each, role, known, why=why)
        return
    why = (
        f"both DATA_FINs were acknowledged by frame {case.frame(known)}, and a minute later there "
        f"is no FIN of the {ROLES[role]} on subflow {subflow.id}"
    )
    alive = last > known and case.time(last) - case.time(known) >= PATIENCE
    proven = alive and case.witnessed_all(role) and started(case)
    for each in ids:
        if proven:
            case.wrong(each, role, known, last, why=why, subflow=subflow)
        else:
            lacks = f"whether the {ROLES[role]} is still there is not known"
            case.doubt(each, role, known, last, why=f"{why}; {lacks}", subflow=subflow)
