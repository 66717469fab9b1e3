"""MP_FAIL: where the failed data begins, and what it entails (RFC 8684 section 3.7, 6824 3.6)."""

from __future__ import annotations

from itertools import islice

from mptcp_oracle.analysis.dataplane import signed64
from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.signals import RST
from mptcp_oracle.options import MpFail, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.ending import ends_of, follows, nothing_hidden, started, usable
from mptcp_oracle.rules.falling import endless
from mptcp_oracle.rules.lives import grace
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

FAIL_DSN = "8684-3.7-mp-fail-dsn"
NOT_ACKED = "8684-3.7-failed-data-not-acked"
FAIL_ANSWERED = "8684-3.7-mp-fail-answered"
NEW_SUBFLOW = "8684-3.7-new-subflow-infinite-mapping"

#: MP_FAILs of one connection that are looked at.
MOST = 64


def failures(case: Case) -> None:
    """MP_FAILs that no other one led to: the first of the connection, and those on RSTs."""
    for at, (signal, option) in enumerate(islice(case.of(MpFail), MOST)):
        reset = bool(signal.flags & RST)
        if at and not reset:
            continue
        plane, direction = case.context.trace.plane, 2 * case.number + 1 - signal.role
        if plane.high_known[direction]:
            dsn = signed64(option.dsn - plane.base[direction])
            _start(case, signal, option, dsn)
            _not_acked(case, signal, dsn)
        else:
            why = "the upper half of the DSNs is not known"
            case.unseen(FAIL_DSN, signal.role, signal.row, why=why)
        if reset:
            _new_subflow(case, signal)
        elif case.version == 1:
            _answered(case, signal)


def _start(case: Case, signal: Signal, option: MpFail, dsn: int) -> None:
    """The DSN is the start of a mapping that the peer had declared."""
    role = signal.role
    if _declared(case, 1 - role, dsn, signal.row):
        case.right(FAIL_DSN, role)
        return
    peer = ROLES[1 - role]
    why = f"{notation(option)} is relative DSN {dsn}, where no mapping of the {peer} starts"
    if case.witnessed_all(role) and started(case):
        case.wrong(FAIL_DSN, role, signal.row, why=why, subflow=signal.subflow)
    else:
        why = f"{why}; but one that was not captured may"
        case.doubt(FAIL_DSN, role, signal.row, why=why, subflow=signal.subflow)


def _declared(case: Case, role: int, dsn: int, until: int) -> bool:
    """Whether a host had declared a mapping that starts at a DSN before a row."""
    import numpy as np

    ground, plane = case.context.trace.ground, case.context.trace.plane
    for subflow in case.subflows:
        half = subflow.halves[role]
        first, last = plane.map_first[half], plane.map_first[half + 1]
        mine = np.frombuffer(plane.map_order, np.uint32)[first:last]
        if ((ground.mapping("dsn")[mine] == dsn) & (ground.mapping("row")[mine] < until)).any():
            return True
    return False


def _not_acked(case: Case, signal: Signal, dsn: int) -> None:
    """What failed is not acknowledged until it comes again."""
    role, row, progress = signal.role, signal.row, case.context.progress
    direction = 2 * case.number + 1 - role
    case.right(NOT_ACKED, role)
    until = endless(case)[1 - role]
    for late, value in progress.acks(direction, row):
        if value <= dsn or (until is not None and late > until.signal.row):
            continue
        if not follows(case, row, late):
            continue
        carriers = progress.carriers(direction, dsn, dsn + 1, late)
        copies = progress.copies(direction, dsn, late)
        why = (
            f"{notation(signal.option)} names DSN {dsn} (relative), and a later DATA_ACK is {value}"
        )
        rows = (row, late)
        once = copies == 1 and carriers[-1] < row
        if once and case.witnessed_all(role) and nothing_hidden(case, role):
            case.wrong(NOT_ACKED, role, *rows, why=why, subflow=signal.subflow)
        elif copies < 2 and (not carriers or carriers[-1] < row):
            why = f"{why}; but it may have come again, not captured"
            case.doubt(NOT_ACKED, role, *rows, why=why, subflow=signal.subflow)
        return


def _answered(case: Case, signal: Signal) -> None:
    """The receiver of an MP_FAIL on the only subflow answers with one."""
    role, subflow = 1 - signal.role, signal.subflow
    if any(each.role == role and each.subflow is subflow for each, _ in case.of(MpFail)):
        case.right(FAIL_ANSWERED, role)
        return
    if not _alone(case, subflow, signal.row) or ends_of(case, subflow)[role].rst is not None:
        return
    rows = case.context.progress.rows(subflow.halves[role], after=signal.row)
    mapping = endless(case)[role]
    spoke = mapping is not None and mapping.signal.row > signal.row
    waited = len(rows) and case.time(int(rows[-1])) - case.time(signal.row) > grace(case, subflow)
    if not spoke and not waited:
        why = "the capture ends, or the subflow does, before an answer has to be there"
        case.unseen(FAIL_ANSWERED, role, signal.row, why=why)
        return
    why = (
        f"{notation(signal.option)} is on no RST; the {ROLES[role]} goes on, and never sends "
        "MP_FAIL itself"
    )
    found = (signal.row, int(rows[0]))
    if case.witnessed(subflow, role):
        case.wrong(FAIL_ANSWERED, role, *found, why=why, subflow=subflow)
    else:
        case.doubt(FAIL_ANSWERED, role, *found, why=f"{why}; {INCOMPLETE}", subflow=subflow)


def _alone(case: Case, subflow: Subflow, row: int) -> bool:
    """Whether no other subflow could be used at a row, as far as the capture shows."""
    for other in case.subflows:
        opened = usable(case, other)
        if other is subflow or opened is None or follows(case, row, opened):
            continue
        one, two = ends_of(case, other)
        gone = [each.rst for each in (one, two) if each.rst is not None]
        if one.fin is not None and two.fin is not None:
            gone.append(max(one.fin, two.fin))
        if not any(follows(case, each, row) for each in gone):
            return False
    return True


def _new_subflow(case: Case, signal: Signal) -> None:
    """After a RST with MP_FAIL on the only subflow, a new one gets an infinite mapping at once."""
    role, row = 1 - signal.role, signal.row
    if not _alone(case, signal.subflow, row):
        return
    ground, progress = case.context.trace.ground, case.context.progress
    for subflow in case.subflows:
        syn = case.shake(subflow).syn_row
        if syn is None or subflow.opener != role or not follows(case, row, syn):
            continue
        rows = progress.rows(subflow.halves[role], after=syn)
        mapped = rows[(ground.column("mapping")[rows] >= 0) & (ground.column("length")[rows] > 0)]
        if not len(mapped):
            continue
        late = int(mapped[0])
        if not ground.mapping("length")[ground.column("mapping")[late]]:
            case.right(NEW_SUBFLOW, role)
            continue
        why = (
            f"the only subflow was reset with {notation(signal.option)}, and data on a new one "
            "goes under a mapping that ends"
        )
        if case.sent_here(subflow, role) and case.sent_here(signal.subflow, role):
            case.wrong(NEW_SUBFLOW, role, row, late, why=why, subflow=subflow)
        else:
            why = f"{why}; the {ROLES[role]} may have closed the first one for another reason"
            case.doubt(NEW_SUBFLOW, role, row, late, why=why, subflow=subflow)


RULES = (
    Rule(
        requirements=(FAIL_DSN, NOT_ACKED, FAIL_ANSWERED, NEW_SUBFLOW),
        judge=failures,
        on=(MpFail,),
    ),
)
