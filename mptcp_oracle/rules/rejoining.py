"""Joins that are tried again after they failed (RFC 8684 sections 3.4.1, 3.6 and 3.9.3)."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import RST
from mptcp_oracle.options import AddAddr, MpFail, MpFastclose, MpTcprst
from mptcp_oracle.rules.attempts import Attempt, View, attempts, between, end_of, plain
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.refusing import Failure, failures, reset_rows
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.segments import Endpoint

__all__ = ["RULES"]

AGAIN = "8684-3.4.1-no-join-after-failure"
PERMANENT = "8684-3.6-permanent-error-no-retry"

#: What is missing where the receiver of a RST is not the host that captured.
UNHEARD = "whether the host had received it, and all that came later, is not known"


class Refreshed:
    """The ADD_ADDRs of a connection: rows by who sent them, and for which address and port.

    Attributes:
        view: What the capture shows of the hosts.
    """

    def __init__(self, case: Case, view: View) -> None:
        self.case, self.view = case, view
        self.rows: dict[tuple[int, str, int | None], list[int]] = {}
        for signal, option in case.of(AddAddr):
            if not option.echo:
                # Where addresses in headers are others, each may be meant.
                address = "" if view.renamed else plain(str(option.address))
                self.rows.setdefault((signal.role, address, option.port), []).append(signal.row)

    def after(self, role: int, first: int, last: int) -> bool:
        """Whether a host had certainly got one row when it sent another.

        Where the host captured, the order of frames says so.
        """
        return first < last if self.view.witnessed(role) else self.case.before(first, last)

    def between(self, role: int, target: Endpoint, first: int, last: int) -> bool:
        """Whether a host may have heard of an end of its peer between two rows."""
        address = "" if self.view.renamed else plain(target.address)
        announced = [self.rows.get((1 - role, address, port), []) for port in (target.port, None)]
        if self.view.witnessed(role):
            return any(bisect_right(rows, first) < bisect_right(rows, last) for rows in announced)
        return any(between(self.case, rows, first, last) for rows in announced)


def refused_again(case: Case) -> None:
    """An address and port where a join failed is not tried again (sections 3.4.1 and 3.9.3)."""
    view = View(case)
    refreshed = Refreshed(case, view)
    entries: list[tuple[int, Attempt, Failure | None]] = []
    for attempt in attempts(case):
        entries.append((attempt.signal.row, attempt, None))
        for found in failures(case, attempt.subflow)[:1]:
            case.right(AGAIN, attempt.role)
            if not found.transient:
                entries.append((found.row, attempt, found))
    # By role and target, and by role, target and source: the newest failure.
    failed: dict[tuple[int, str, str], tuple[Attempt, Failure]] = {}
    for row, attempt, fell in sorted(entries, key=lambda entry: entry[0]):
        role = attempt.role
        source, target = end_of(attempt.subflow, role), end_of(attempt.subflow, 1 - role)
        keys = (role, str(target), source.address), (role, str(target), "")
        if fell is not None:
            failed |= dict.fromkeys(keys, (attempt, fell))
            continue
        before = failed.get(keys[0]) or failed.get(keys[1])
        if before is None or not refreshed.after(role, before[1].row, row):
            continue
        if not refreshed.between(role, target, before[1].row, row):
            _retried(case, *before, attempt, here=view.witnessed(role))


def _retried(case: Case, earlier: Attempt, found: Failure, attempt: Attempt, *, here: bool) -> None:
    """A join to where a join has failed before."""
    role, row = attempt.role, attempt.signal.row
    source, old = (end_of(each.subflow, role).address for each in (attempt, earlier))
    why = (
        f"a join to {end_of(attempt.subflow, 1 - role)}, though frame {case.frame(found.row)} "
        "ended the one before, and no ADD_ADDR has come since"
    )
    rows = earlier.signal.row, found.row, row
    if source != old:
        why += f"; but it comes from {source}, not from {old}"
    elif not here:
        why += f"; {UNHEARD}"
    else:
        case.wrong(AGAIN, role, *rows, why=why, subflow=attempt.subflow)
        return
    case.doubt(AGAIN, role, *rows, why=why, subflow=attempt.subflow)


class Reset(NamedTuple):
    """A RST that says that a subflow is gone for good: its row, and the half of its receiver."""

    row: int
    half: int


def permanent(case: Case) -> None:
    """A path whose subflow was reset for good is not joined again (section 3.6)."""
    view = View(case)
    refreshed = Refreshed(case, view)
    entries: list[tuple[int, Subflow, int, Reset | None]] = [
        (each.signal.row, each.subflow, each.role, None) for each in attempts(case)
    ]
    for subflow, role, reset in _resets(case):
        case.right(PERMANENT, role)
        entries.append((reset.row, subflow, role, reset))
    over: dict[tuple[int, str, str], Reset] = {}
    for row, subflow, role, found in sorted(entries, key=lambda entry: entry[0]):
        source, target = end_of(subflow, role), end_of(subflow, 1 - role)
        key = role, source.address, target.address
        if found is not None:
            over[key] = found
            continue
        before = over.get(key)
        if before is None or not refreshed.after(role, before.row, row):
            continue
        at = before.row
        if refreshed.between(role, target, at, row):
            continue
        why = (
            f"a join between {source.address} and {target.address}, though frame {case.frame(at)} "
            "reset a subflow there for good (MP_TCPRST with T=0), and no ADD_ADDR has come since"
        )
        if not view.witnessed(role):
            case.doubt(PERMANENT, role, at, row, why=f"{why}; {UNHEARD}", subflow=subflow)
        elif _went_on(case, before):
            why += "; but the host went on with that subflow: the RST may not have been accepted"
            case.doubt(PERMANENT, role, at, row, why=why, subflow=subflow)
        else:
            case.wrong(PERMANENT, role, at, row, why=why, subflow=subflow)


def _resets(case: Case) -> list[tuple[Subflow, int, Reset]]:
    """The first RST of each subflow, if it says that the error is permanent; its receiver.

    Not one with MP_FAIL, after which the host may join again (section 3.7), nor an abort.
    """
    others = (MpFastclose, MpFail)
    excepted = {each.row for each in case.signals if isinstance(each.option, others)}
    lasting = {signal.row: signal.role for signal, each in case.of(MpTcprst) if not each.transient}
    return [
        (flow, 1 - lasting[row], Reset(row, flow.halves[1 - lasting[row]]))
        for flow in case.subflows
        for row in reset_rows(case, flow)[:1]
        if row in lasting and row not in excepted
    ]


def _went_on(case: Case, reset: Reset) -> bool:
    """Whether the receiver of a RST sent anything but a RST on the subflow afterwards."""
    last = case.context.trace.wire.halves["last_row"][reset.half]
    return last > reset.row and not case.columns["flags"][last] & RST


RULES: tuple[Rule, ...] = (
    Rule(requirements=(AGAIN,), judge=refused_again, on=("rst",)),
    Rule(requirements=(PERMANENT,), judge=permanent, versions=(1,), on=(MpTcprst,)),
)
