"""Infinite mappings, and plain TCP afterwards (RFC 8684 section 3.7, RFC 6824 section 3.6)."""

from __future__ import annotations

from typing import NamedTuple

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.fallback import lone_subflow
from mptcp_oracle.analysis.signals import RST
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import AddAddr, Dss, MpFail, MpPrio, RemoveAddr, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.ending import follows
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["RULES", "Endless", "endless"]

LAST_MAPPING = "8684-3.7-final-infinite-mapping"
NO_DATA_ACKS = "8684-3.7-infinite-mapping-no-data-acks"
ONE_SUBFLOW = "8684-3.7-infinite-mapping-one-subflow"
NO_RETURN = "8684-3.7-no-return-to-mptcp"

#: Bits of a segment's ``kind`` for octets that TCP sends again, and that probe a window.
AGAIN = 1 << CLASSES.index("tcp_retransmission") | 1 << CLASSES.index("zero_window_probe")
#: The others.
FRESH = AGAIN ^ 0xFF
#: Bits of a half's ``mptcp`` for a DATA_ACK of 8 octets, of 4.
DATA_ACKED = 0x14
#: Fallbacks after the handshake.
LATE_FALLBACKS = (None, "infinite_mapping", "no_mapping")


class Endless(NamedTuple):
    """The first infinite mapping of a host.

    Attributes:
        signal: Its option. end: One past the subflow sequence number of its segment's payload.
        fresh: Whether that has payload, and TCP sent none of it before.
    """

    signal: Signal
    end: int
    fresh: bool


def endless(case: Case) -> list[Endless | None]:
    """The first infinite mapping of either host."""
    found: list[Endless | None] = [None, None]
    for signal, option in case.of(Dss):
        if option.dll == 0 and not option.data_fin and found[signal.role] is None:
            end = case.columns["sequence"][signal.row] + signal.payload
            fresh = signal.payload > 0 and not case.columns["kind"][signal.row] & AGAIN
            found[signal.role] = Endless(signal, end, fresh)
    return found


def fallen(case: Case) -> None:
    """What an infinite mapping means for its sender, and for its receiver."""
    for role, mapping in enumerate(endless(case)):
        if mapping is not None:
            _data_acks(case, 1 - role, mapping)
            _one_subflow(case, role, mapping)
            _no_return(case, role, mapping)
            if case.version == 1:
                case.right(LAST_MAPPING, role)


def _data_acks(case: Case, role: int, mapping: Endless) -> None:
    """The receiver of an infinite mapping sends no DATA_ACK any more."""
    signal, columns = mapping.signal, case.columns
    half, subflow = signal.subflow.halves[1 - role], signal.subflow
    ground, progress = case.context.trace.ground, case.context.progress
    rows = progress.rows(half ^ 1, after=signal.row)
    if len(rows):
        case.right(NO_DATA_ACKS, role)
    flags, kinds = ground.column("dss")[rows], ground.column("kind")[rows]
    resent = (ground.column("length")[rows] > 0) & (kinds & AGAIN > 0)
    rows = rows[(flags & 1 > 0) & ~resent]
    if not len(rows):
        return
    # What is acknowledged for the first time now came with the option, or after it.
    news = mapping.fresh and progress.confirmed(half, signal.row) < mapping.end
    heard = rows[ground.relative_ack[rows] >= mapping.end] if news else rows[:0]
    row = int(heard[0] if len(heard) else rows[0])
    why = (
        f"frame {case.frame(row)} has a DATA_ACK of {columns['data_ack'][row]}, after the "
        f"infinite mapping of frame {case.frame(signal.row)}"
    )
    if len(heard):
        case.wrong(NO_DATA_ACKS, role, signal.row, row, why=why, subflow=subflow)
    else:
        why = f"{why}, which may not have arrived"
        case.doubt(NO_DATA_ACKS, role, signal.row, row, why=why, subflow=subflow)


def _one_subflow(case: Case, role: int, mapping: Endless) -> None:
    """After an infinite mapping its sender has data on that subflow alone."""
    progress, row = case.context.progress, mapping.signal.row
    case.right(ONE_SUBFLOW, role)
    for other in case.subflows:
        if other is mapping.signal.subflow:
            continue
        ground = case.context.trace.ground
        rows = progress.rows(other.halves[role], after=row)
        for late in rows[ground.column("kind")[rows] & FRESH > 0].tolist():
            if follows(case, row, late):
                here = case.sent_here(other, role) and case.sent_here(mapping.signal.subflow, role)
                why = (
                    f"data on subflow {other.id}, after the infinite mapping on subflow "
                    f"{mapping.signal.subflow.id} in frame {case.frame(row)}"
                )
                if here:
                    case.wrong(ONE_SUBFLOW, role, row, late, why=why, subflow=other)
                else:
                    why = f"{why}; it may have been on its way before"
                    case.doubt(ONE_SUBFLOW, role, row, late, why=why, subflow=other)
                break


def _no_return(case: Case, role: int, mapping: Endless) -> None:
    """After its infinite mapping a host uses no MPTCP any more."""
    subflow, row = mapping.signal.subflow, mapping.signal.row
    begun = f"the infinite mapping of frame {case.frame(row)}"
    case.right(NO_RETURN, role)
    for late in _finite(case, role, mapping):
        why = f"new data in frame {case.frame(late)} under a mapping that ends, after {begun}"
        if mapping.fresh or case.sent_here(subflow, role):
            case.wrong(NO_RETURN, role, row, late, why=why, subflow=subflow)
        else:
            why = f"{why}; it may have been on its way before"
            case.doubt(NO_RETURN, role, row, late, why=why, subflow=subflow)
        return
    for what, where, late in _signs(case, role):
        if late <= row or not follows(case, row, late):
            continue
        why = f"{what} after {begun}"
        if case.sent_here(where, role) and case.sent_here(subflow, role):
            case.wrong(NO_RETURN, role, row, late, why=why, subflow=where)
        else:
            why = f"{why}; it may have been on its way before"
            case.doubt(NO_RETURN, role, row, late, why=why, subflow=where)
        return


def _finite(case: Case, role: int, mapping: Endless) -> list[int]:
    """Rows with new data of a host behind its infinite mapping that have a finite one."""
    trace, half = case.context.trace, mapping.signal.subflow.halves[role]
    ground = trace.ground
    rows = case.context.progress.rows(half, after=mapping.signal.row)
    at = ground.column("mapping")[rows]
    own = (at >= 0) & (ground.column("dss")[rows] & 0x04 > 0) & (ground.column("length")[rows] > 0)
    rows, at = rows[own], at[own]
    new = ground.column("kind")[rows] & AGAIN == 0
    new &= ground.column("sequence")[rows] >= mapping.end
    found: list[int] = rows[new & (ground.mapping("length")[at] > 0)].tolist()
    return found


def _signs(case: Case, role: int) -> list[tuple[str, Subflow, int]]:
    """What a host that speaks plain TCP does not send: what, where, and its row."""
    found: list[tuple[str, Subflow, int]] = []
    for subflow in case.subflows:
        row = case.shake(subflow).syn_row
        if subflow.kind == "joined" and subflow.opener == role and row is not None:
            found.append(("a join", subflow, row))
    for signal in case.signals:
        option = signal.option
        echo = isinstance(option, AddAddr) and option.echo
        ends = isinstance(option, Dss) and option.data_fin
        named = isinstance(option, AddAddr | RemoveAddr | MpPrio) and not echo
        if signal.role == role and (ends or named):
            found.append((notation(option), signal.subflow, signal.row))
    return found


def last_mapping(case: Case) -> None:
    """A host that falls back on the first subflow says so by an infinite mapping."""
    subflow = case.connection.initial
    if subflow is None or case.connection.fallback not in LATE_FALLBACKS:
        return
    unmapped = case.context.trace.plane.unmapped_row
    if MpFail not in case.present and all(unmapped[half] < 0 for half in subflow.halves):
        return
    if lone_subflow(case.connection) is not subflow:
        return
    declared = endless(case)
    for role in (0, 1):
        if declared[role] is None:
            _silent(case, role, subflow, declared[1 - role])


def _silent(case: Case, role: int, subflow: Subflow, theirs: Endless | None) -> None:
    """Plain data of a host that had a reason to say that it falls back, and did not."""
    own, peer = _halves(subflow, role)
    cause = _cause(case, role, subflow, theirs)
    if cause is None:
        return
    told, what = cause
    plane = case.context.trace.plane
    if 0 <= plane.unmapped_row[peer] <= told:
        # The peer sent plain data before: then there is nobody to be told.
        return
    rows = [*_plain(case, own, told), plane.unmapped_row[own]]
    if rows[-1] <= told or plane.mptcp_row[own] >= rows[-1] or not plane.placed[own]:
        # Its data may all lie under a mapping that was declared before: that it falls back
        # already is certain then if it has said so.
        answers = [
            signal.row
            for signal, _ in case.of(MpFail)
            if signal.role == role and signal.subflow is subflow
        ]
        rows = _plain(case, own, max(told, *answers[:1])) if answers else []
    if not rows:
        return
    why = f"{what}, but its data goes on without an infinite mapping"
    if case.witnessed(subflow, role):
        case.wrong(LAST_MAPPING, role, told, *rows, why=why, subflow=subflow)
    else:
        why = f"{why}; {INCOMPLETE}"
        case.doubt(LAST_MAPPING, role, told, *rows, why=why, subflow=subflow)


def _plain(case: Case, half: int, after: int) -> list[int]:
    """The first segment of a half after a row that has new data and no MPTCP option."""
    ground = case.context.trace.ground
    rows = case.context.progress.rows(half, after=after)
    bare = ground.column("flags")[rows] & FLAG_BITS["mptcp"] == 0
    new = (ground.column("kind")[rows] & FRESH) > 0
    found: list[int] = rows[bare & new][:1].tolist()
    return found


def _halves(subflow: Subflow, role: int) -> tuple[int, int]:
    return subflow.halves[role], subflow.halves[1 - role]


def _cause(
    case: Case, role: int, subflow: Subflow, theirs: Endless | None
) -> tuple[int, str] | None:
    """Why a host has to fall back: the row of what told it so, and a text."""
    name = ROLES[role]
    told = [
        (signal.row, f"after an MP_FAIL the {name} falls back")
        for signal, _ in case.of(MpFail)
        if signal.role != role and not signal.flags & RST
    ]
    if theirs is not None:
        told.append((theirs.signal.row, f"after an infinite mapping the {name} falls back"))
    if told:
        return min(told)
    own, peer = _halves(subflow, role)
    plane, ground = case.context.trace.plane, case.context.trace.ground
    if case.context.trace.wire.halves["mptcp"][peer] & DATA_ACKED:
        return None
    if plane.piece_first[own] == plane.piece_first[own + 1] or plane.unmapped_row[own] < 0:
        return None
    # Mapped data, and no DATA_ACK for it.
    begin = plane.pieces["start"][plane.piece_first[own]]
    rows = case.context.progress.rows(peer, until=plane.unmapped_row[own])
    acks = rows[ground.relative_ack[rows] > begin]
    if not len(acks):
        return None
    return int(acks[0]), f"data of the {name} was acknowledged without DATA_ACK, and it falls back"


RULES = (
    Rule(
        requirements=(NO_DATA_ACKS, ONE_SUBFLOW, NO_RETURN, LAST_MAPPING),
        judge=fallen,
        on=(Dss,),
    ),
    Rule(requirements=(LAST_MAPPING,), judge=last_mapping, versions=(1,)),
)
