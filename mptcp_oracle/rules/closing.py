"""DATA_FIN: its option, its place, its DATA_ACK, and what may follow (RFC 8684 section 3.3.3)."""

from __future__ import annotations

from bisect import bisect_right

from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.options import AddAddr, Dss, MpFail, MpFastclose, RemoveAddr, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.ending import (
    DataFin,
    both_acked,
    counted,
    ends_of,
    follows,
    nothing_hidden,
    signs_of,
)
from mptcp_oracle.rules.finishing import CLOSED, FIN_ON_ALL, KEPT_OPEN, WITH_FIN, finish
from mptcp_oracle.rules.lives import grace
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

COUNTED = "8684-3.3.3-data-fin-counted-in-length"
ALONE = "8684-3.3.3-lone-data-fin-fields"
FOLLOWS = "8684-3.3.3-data-fin-dsn-follows-data"
ACKED = "8684-3.3.3-data-fin-acked-after-data"
NO_MORE = "8684-3.3.3-closed-after-data-fins-acked"
STATES = "8684-D-connection-closing-states"

#: Values of the data plane's checksum column: not checked, and right.
FINE = (0, 1)
#: A segment's ``kind`` if all of its octets are new.
NEW = 1
#: DATA_FINs of one host that are looked at for one that is overdue.
MOST = 64


def closing(case: Case) -> None:
    """How a connection and its subflows are closed, if it is MPTCP to its end."""
    signs = signs_of(case)
    if signs.plain is not None:
        return
    for fin in signs.fins:
        if not fin.signal.payload:
            _alone(case, fin.signal, fin.option)
        elif fin.option.dsn is not None:
            _with_data(case, fin.signal, fin.option)
    for role in (0, 1):
        if signs.placed[role]:
            _one_place(case, role, signs.placed[role])
            _acknowledged(case, role, signs.placed[role])
    acks = both_acked(case, signs.placed)
    if acks is not None:
        _no_more(case, acks, signs.placed)
    finish(case, signs, acks)


def _alone(case: Case, signal: Signal, option: Dss) -> None:
    """Without payload: SSN 0, length 1, and the DSN of the DATA_FIN."""
    if not option.ssn and option.dll == 1:
        case.right(ALONE, signal.role)
        return
    why = f"a DATA_FIN without data has ssn=0 and dll=1: {notation(option)}"
    if not option.dll:
        if option.dsn is None:
            why = f"flag F without a mapping: {notation(option)}"
        case.judge(ALONE, signal, False, why, severity="warning")
    elif option.ssn and option.dll > 1:
        why = f"{why}; unless it declares the mapping of earlier payload again"
        case.doubt(ALONE, signal.role, signal.row, why=why, subflow=signal.subflow)
    else:
        case.judge(ALONE, signal, False, why)


def _with_data(case: Case, signal: Signal, option: Dss) -> None:
    """With payload: the length is one more than the octets that are mapped."""
    trace, role, row = case.context.trace, signal.role, signal.row
    half, columns = signal.subflow.halves[role], case.columns
    maps, at = trace.wire.mappings, columns["mapping"][row]
    if not option.dll:
        why = f"the Data-Level Length leaves out the DATA_FIN: {notation(option)}"
        case.judge(COUNTED, signal, False, why, severity="warning")
        return
    if at < 0 or maps["ssn"][at] != option.ssn or not counted(case, row):
        why = "where its mapping lies is not known without the initial sequence number"
        case.unseen(COUNTED, role, row, why=why)
        return
    last = maps["start"][at] + option.dll - 1
    begin = columns["sequence"][row]
    end = begin + signal.payload
    if not begin < last <= end:
        return
    if last == end or _mapped(case, half, last):
        case.right(COUNTED, role)
        return
    why = (
        f"with a DATA_FIN dll={option.dll} maps {option.dll - 1} octets, up to subflow sequence "
        f"number {last - 1}, but the segment has payload up to {end - 1} that nothing else maps"
    )
    if case.witnessed(signal.subflow, role):
        case.wrong(COUNTED, role, row, why=why, subflow=signal.subflow)
    else:
        case.doubt(COUNTED, role, row, why=f"{why}; {INCOMPLETE}", subflow=signal.subflow)


def _mapped(case: Case, half: int, place: int) -> bool:
    """Whether any mapping covers an octet of a half."""
    plane = case.context.trace.plane
    first, last = plane.piece_first[half], plane.piece_first[half + 1]
    at = bisect_right(plane.pieces["start"], place, first, last) - 1
    return at >= first and plane.pieces["end"][at] > place


def _one_place(case: Case, role: int, fins: list[DataFin]) -> None:
    """The DSN follows the data, nothing follows it, and it stays (section 3.3.3, appendix D)."""
    first, direction = fins[0], 2 * case.number + role
    dsn = first.dsn or 0
    moved = next((each for each in fins[1:] if not _same(each, first)), None)
    if moved is not None:
        why = (
            f"the DATA_FIN of frame {case.frame(first.signal.row)} has DSN {dsn}, this one has "
            f"{moved.dsn}: {notation(moved.option)}"
        )
        rows = (first.signal.row, moved.signal.row)
        for each in (FOLLOWS, STATES):
            case.wrong(each, role, *rows, why=why, subflow=moved.signal.subflow)
        return
    top = case.context.trace.plane.dsn_top[direction]
    later = case.context.progress.carriers(direction, dsn, top) if top > dsn else []
    if later:
        _goes_on(case, role, first, later)
        return
    case.right(STATES, role)
    if top >= dsn:
        case.right(FOLLOWS, role)
    else:
        _too_far(case, role, first, top)


def _same(one: DataFin, other: DataFin) -> bool:
    """Whether two DATA_FINs have one DSN, as far as their octets say."""
    short = min(one.option.dsn_size, other.option.dsn_size) < 8
    return not ((one.dsn or 0) - (other.dsn or 0)) & (0xFFFFFFFF if short else -1)


def _goes_on(case: Case, role: int, fin: DataFin, later: list[int]) -> None:
    """Data at the DSN of the DATA_FIN, or beyond."""
    after = next((row for row in later if follows(case, fin.signal.row, row)), None)
    row = later[0] if after is None else after
    why = f"the DATA_FIN has DSN {fin.dsn}, and frame {case.frame(row)} has data at or beyond it"
    if not counted(case, row):
        why = f"{why}; if its place was inferred rightly"
        for each in (FOLLOWS, STATES):
            case.doubt(each, role, fin.signal.row, row, why=why)
        return
    case.wrong(FOLLOWS, role, fin.signal.row, row, why=why)
    if after is not None:
        why = f"new data in frame {case.frame(row)} after the own DATA_FIN, whose DSN is {fin.dsn}"
        case.wrong(STATES, role, fin.signal.row, row, why=why)


def _too_far(case: Case, role: int, fin: DataFin, top: int) -> None:
    """DSNs are left out between the data and the DATA_FIN, or were not captured.

    Data that congestion control or Nagle's algorithm holds back may come after a DATA_FIN, which
    takes no room on the subflow; but not if all that was sent before had been acknowledged.
    """
    row, direction = fin.signal.row, 2 * case.number + role
    why = f"the DATA_FIN has DSN {fin.dsn}, and the data before it ends at {top - 1}"
    covered = case.context.trace.plane.dack_top[direction] > top
    hidden = covered or not nothing_hidden(case, role)
    roomy = _room(case, role, row) >= (fin.dsn or 0) - top
    if case.witnessed_all(role) and not hidden and roomy and _idle(case, role, row):
        case.wrong(FOLLOWS, role, row, why=why, subflow=fin.signal.subflow)
    else:
        why = f"{why}; what lies between may come later, or may be missing"
        case.doubt(FOLLOWS, role, row, why=why, subflow=fin.signal.subflow)


def _idle(case: Case, role: int, row: int) -> bool:
    """Whether nothing kept a host from sending: all it had sent was acknowledged by TCP."""
    progress = case.context.progress
    return all(
        progress.end(subflow.halves[role], row)
        <= max(progress.confirmed(subflow.halves[role], row), 0)
        for subflow in case.subflows
    )


def _room(case: Case, role: int, row: int) -> int:
    """Octets that the peer's last window left to a host before a row, at least.

    That is the field as it is, which a window scale only makes more.
    """
    heard = [
        rows[-1]
        for subflow in case.subflows
        if len(rows := case.context.progress.rows(subflow.halves[1 - role], until=row))
    ]
    return int(case.columns["window"][int(max(heard))]) if heard else 0


def _acknowledged(case: Case, role: int, fins: list[DataFin]) -> None:
    """The peer's DATA_ACK of a DATA_FIN: one beyond it, once all data before it came."""
    progress, direction, peer = case.context.progress, 2 * case.number + role, 1 - role
    plane, fin = case.context.trace.plane, fins[0]
    dsn = fin.dsn or 0
    if plane.dack_top[direction] > dsn + 1:
        _beyond(case, role, fins, dsn)
    elif plane.dack_top[direction] <= dsn:
        _unacknowledged(case, role, fins, dsn)
    elif progress.solid(direction) < dsn:
        why = f"data from DSN {progress.solid(direction)} on was not captured"
        case.unseen(ACKED, peer, fin.signal.row, why=why)
    else:
        case.right(ACKED, peer)


def _beyond(case: Case, role: int, fins: list[DataFin], dsn: int) -> None:
    """A DATA_ACK of more than a DATA_FIN."""
    direction, peer = 2 * case.number + role, 1 - role
    row = case.context.progress.ack_of(direction, dsn + 1)
    if row is None:
        return
    why = (
        f"the DATA_FIN has DSN {dsn}, and frame {case.frame(row)} a DATA_ACK of "
        f"{case.columns['data_ack'][row]}, beyond {dsn + 1}"
    )
    rows = (fins[0].signal.row, row)
    agreed = all(_same(each, fins[0]) for each in fins)
    if agreed and case.context.trace.plane.dsn_top[direction] <= dsn and case.witnessed_all(peer):
        case.wrong(ACKED, peer, *rows, why=why)
    else:
        case.doubt(ACKED, peer, *rows, why=f"{why}; its receiver may have got more")


def _unacknowledged(case: Case, role: int, fins: list[DataFin], dsn: int) -> None:
    """A DATA_FIN that no DATA_ACK in the capture covers."""
    progress, direction, peer = case.context.progress, 2 * case.number + role, 1 - role
    last, late = progress.last_ack(direction), None
    complete = progress.ack_of(direction, dsn - 1) if dsn > 1 else fins[0].signal.row
    undisturbed = case.present.isdisjoint((MpFastclose, MpFail))
    if undisturbed and complete is not None and last is not None and last[1] == dsn:
        first = fins[:MOST]
        late = next((each for each in first if _overdue(case, each, complete, last[0])), None)
    if late is None or last is None or not all(_same(each, fins[0]) for each in fins):
        why = "no DATA_ACK of the DATA_FIN was captured"
        case.unseen(ACKED, peer, fins[0].signal.row, why=why)
        return
    row, signal = last[0], late.signal
    seconds = (case.time(row) - case.time(signal.row)) / 1e9
    why = (
        f"the DATA_FIN with DSN {dsn} came in frame {case.frame(signal.row)}, and {seconds:.1f} "
        f"seconds later the DATA_ACK still is {dsn}: all data before it is acknowledged"
    )
    if case.witnessed_all(peer) and _acceptable(case, late, row):
        case.wrong(ACKED, peer, signal.row, row, why=why, subflow=signal.subflow)
    else:
        why = f"{why}; it may not have arrived, or not in the window"
        case.doubt(ACKED, peer, signal.row, row, why=why, subflow=signal.subflow)


def _overdue(case: Case, fin: DataFin, complete: int, row: int) -> bool:
    """Whether a DATA_FIN, and all data before it, had come long before a row."""
    since = max(case.time(complete), case.time(fin.signal.row))
    return case.time(row) - since > grace(case, fin.signal.subflow)


def _acceptable(case: Case, fin: DataFin, row: int) -> bool:
    """Whether the receiver of a DATA_FIN had no reason to ignore it, and says so in new words."""
    trace, columns, signal = case.context.trace, case.columns, fin.signal
    at = columns["mapping"][signal.row]
    flow = signal.subflow
    withdrawn = any(
        flow.address_ids[other.role] in option.address_ids for other, option in case.of(RemoveAddr)
    )
    if withdrawn or not flow.established:
        return False
    if len(trace.plane.checksum) and at >= 0 and trace.plane.checksum[at] not in FINE:
        return False
    end = ends_of(case, signal.subflow)[1 - signal.role].first
    if end is not None and end < signal.row:
        return False
    half = signal.subflow.halves[signal.role]
    if case.context.progress.confirmed(half, row + 1) < columns["sequence"][signal.row]:
        return False
    resent = columns["length"][row] and columns["kind"][row] != NEW
    return not resent and columns["window"][row] > 0


def _no_more(
    case: Case, acks: tuple[int, int], placed: tuple[list[DataFin], list[DataFin]]
) -> None:
    """Once both DATA_FINs are acknowledged, no join, no address and no data comes any more."""
    for role in (0, 1):
        case.right(NO_MORE, role)
    for role, row, what in _late(case, max(acks), placed):
        if not all(follows(case, ack, row) for ack in acks):
            continue
        why = f"{what} after both DATA_FINs were acknowledged"
        # A join or an address may have been sent before, and been missed by the capture.
        certain = counted(case, row) if what is DATA else case.context.whole
        if case.tapped_at == role and certain:
            case.wrong(NO_MORE, role, *acks, row, why=why)
        else:
            why = f"{why}; the {ROLES[role]} may not have known that yet"
            case.doubt(NO_MORE, role, *acks, row, why=why)


DATA = "new data"


def _late(
    case: Case, known: int, placed: tuple[list[DataFin], list[DataFin]]
) -> list[tuple[int, int, str]]:
    """Signs after a row that a host takes the connection for open: role, row, and what it is."""
    found: list[tuple[int, int, str]] = []
    if "join" in case.present:
        for subflow in case.subflows:
            row = case.shake(subflow).syn_row
            if subflow.kind == "joined" and row is not None and row > known:
                found.append((subflow.opener or 0, row, "a join"))
    if AddAddr in case.present:
        seen: set[tuple[int, bytes]] = set()
        for signal, option in case.of(AddAddr):
            if not option.echo:
                key = (signal.role, option.raw)
                if signal.row > known and key not in seen:
                    found.append((signal.role, signal.row, notation(option)))
                seen.add(key)
    for role in (0, 1):
        direction, dsn = 2 * case.number + role, placed[role][0].dsn or 0
        top = case.context.trace.plane.dsn_top[direction]
        if top > dsn:
            rows = case.context.progress.carriers(direction, dsn, top)
            found += [(role, row, DATA) for row in rows if row > known][:1]
    return found


RULES = (
    Rule(
        requirements=(
            COUNTED,
            ALONE,
            FOLLOWS,
            ACKED,
            NO_MORE,
            STATES,
            KEPT_OPEN,
            WITH_FIN,
            CLOSED,
            FIN_ON_ALL,
        ),
        judge=closing,
        on=("data_fin", "fin", "rst"),
    ),
)
