"""Backup subflows: new data goes over them only if no other subflow is left (section 3.3.8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mptcp_oracle.analysis.entities import ROLES, Connection, Subflow
from mptcp_oracle.analysis.signals import RST
from mptcp_oracle.constants import BACKUP, Subtype
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import MpJoinSyn, MpJoinSynAck, MpPrio, RemoveAddr, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.context import JITTER, Context
from mptcp_oracle.rules.lives import (
    SECOND,
    begun,
    ended,
    grace,
    heard_all,
    last_row,
    while_mptcp,
)
from mptcp_oracle.rules.rule import Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES"]

UNUSED = "8684-3.3.8-backup-subflow-unused"
BY_JOIN = "8684-3.2-join-backup-flag"
BY_PRIO = "8684-3.3.8-priority-requests-followed"

#: Length of MP_JOINs that have a flag B.
WITH_FLAG = (12, 16)
#: Segments of new data on one backup subflow of which it is asked when they were announced.
MOST = 16
#: Nanoseconds that a host may take to heed a request, and within which the order of events on
#: different subflows is not certain.
LAG = JITTER
NEW = CLASSES.index("first_seen")
RESENT = 1 << CLASSES.index("tcp_retransmission")


class Span(NamedTuple):
    """While a subflow had one flag B for the sender of data.

    Attributes:
        start, end: Rows ``[start, end)``. backup: The flag. asked: The option that set it;
            ``None`` before the first.
    """

    start: int
    end: int
    backup: bool
    asked: Signal | None


@dataclass(slots=True)
class NewData:
    """Segments with data that was never sent before, in columns sorted by half.

    Attributes:
        half: Who sent it. row: Its row. sequence: Of its first octet.
        decided: The row from which on it had to go there, since its mapping was announced.
        first: Whether it is the first data of its host.
    """

    half: Array
    row: Array
    sequence: Array
    decided: Array
    first: Array

    def on(self, half: int, start: int, end: int) -> slice:
        """Those of a half with rows ``[start, end)``."""
        low, high = self.half.searchsorted([half, half + 1])
        rows = self.row[low:high]
        return slice(low + int(rows.searchsorted(start)), low + int(rows.searchsorted(end)))


def concerned(context: Context, connection: Connection) -> bool:
    """Whether any flag B is set in a connection with several subflows."""
    if len(connection.subflows) < 2 or connection.version not in (0, 1):
        return False
    for subflow in connection.subflows:
        for raw in context.trace.signals.options.get(subflow.stream, ()):
            flagged = raw.subtype == Subtype.MP_PRIO or (
                raw.subtype == Subtype.MP_JOIN and len(raw.raw) in WITH_FLAG
            )
            if flagged and raw.raw[2] & BACKUP:
                return True
    return False


def sweep(context: Context) -> None:
    """New data is not sent on backup subflows while others are usable."""
    found = [
        Case(context, number, connection)
        for number, connection in enumerate(context.connections)
        if concerned(context, connection)
    ]
    if not found:
        return
    data = new_data(context)
    for case in found:
        for role in (0, 1):
            _sender(case, role, data)


def new_data(context: Context) -> NewData:
    """All new data of a capture."""
    import numpy as np

    table, ground = context.trace.transmissions, context.trace.ground
    chosen = np.flatnonzero((table.kind == NEW) & table.mapped)
    row = table.row[chosen]
    half = ground.column("half")[row]
    mapping = ground.parts.mapping[table.runs[0]][chosen]
    order = np.argsort(half, kind="stable")
    return NewData(
        half=half[order],
        row=row[order],
        sequence=table.sequence[chosen][order],
        decided=ground.mapping("row")[mapping][order].astype(np.int64),
        first=(table.dsn[chosen] == 1)[order],
    )


def _sender(case: Case, role: int, data: NewData) -> None:
    """The data of one host."""
    ends = case.context.trace.wire.segments.rows if case.over is None else case.over
    requests = [
        signal
        for signal in while_mptcp(case)
        if signal.role != role and isinstance(signal.option, MpJoinSyn | MpJoinSynAck | MpPrio)
    ]
    others = [
        (other, span)
        for other in case.subflows
        for span in _spans(case, other, role, requests, min(ends, _usable_until(case, other)))
        if not span.backup
    ]
    for subflow in case.subflows:
        for span in _spans(case, subflow, role, requests, ends):
            if span.backup:
                beside = [pair for pair in others if pair[0] is not subflow]
                _backup(case, role, subflow, span, beside, data)


def _spans(
    case: Case, subflow: Subflow, role: int, requests: list[Signal], end: int
) -> Iterator[Span]:
    """What a host was asked about a subflow from its establishment up to a row."""
    start = begun(case, subflow, role)
    if start is None:
        return
    asked: Signal | None = None
    backup, known = False, subflow.kind == "initial"
    for signal in requests:
        option = signal.option
        assert isinstance(option, MpJoinSyn | MpJoinSynAck | MpPrio)
        if signal.row >= end:
            break
        if not _about(case, signal, subflow):
            continue
        if signal.row > start:
            if known:
                yield Span(start, signal.row, backup, asked)
            start = signal.row
        backup, asked, known = option.backup, signal, True
    if start < end and known:
        yield Span(start, end, backup, asked)


def _about(case: Case, signal: Signal, subflow: Subflow) -> bool:
    """Whether a request is about a subflow: the one it came on, or in version 0 those it names."""
    option = signal.option
    if case.version == 0 and isinstance(option, MpPrio) and option.address_id is not None:
        return option.address_id == subflow.address_ids[signal.role]
    return signal.subflow is subflow


def _usable_until(case: Case, subflow: Subflow) -> int:
    """The row from which on a subflow is not certainly usable any more.

    It ends, or either host withdraws its address.
    """
    rows = [case.context.trace.wire.segments.rows]
    end = ended(case, subflow)
    if end is not None:
        rows.append(end)
    for signal, option in case.of(RemoveAddr):
        if subflow.address_ids[signal.role] in (None, *option.address_ids):
            rows.append(signal.row)
            break
    return min(rows)


def _backup(
    case: Case,
    role: int,
    subflow: Subflow,
    span: Span,
    others: list[tuple[Subflow, Span]],
    data: NewData,
) -> None:
    """One subflow while it was a backup."""
    import numpy as np

    assert span.asked is not None
    asked = BY_PRIO if isinstance(span.asked.option, MpPrio) else BY_JOIN
    mine = data.on(subflow.halves[role], span.start, span.end)
    alone = np.ones(mine.stop - mine.start, np.bool_)
    kept, found = 0, False
    for other, regular in others:
        start, end = max(span.start, regular.start), min(span.end, regular.end)
        if start >= end:
            continue
        chosen = data.on(other.halves[role], start, end)
        kept += chosen.stop - chosen.start
        used = data.on(subflow.halves[role], start, end)
        alone[used.start - mine.start : used.stop - mine.start] = False
        if used.start < used.stop and not found:
            use = Use(case, role, subflow, span, span.asked, other, regular)
            found = _used(use, data, used, (UNUSED, asked))
    for requirement in (UNUSED, asked):
        case.right(requirement, role, kept + int(alone.sum()))


class Use(NamedTuple):
    """A backup subflow that carried new data beside another subflow."""

    case: Case
    role: int
    subflow: Subflow
    span: Span
    asked: Signal
    other: Subflow
    regular: Span

    @property
    def known_from(self) -> int:
        """The row from which on the host knew that one is a backup, and had the other."""
        return max(self.span.start, self.regular.start)


def _used(use: Use, data: NewData, used: slice, requirements: tuple[str, ...]) -> bool:
    """Whether new data on a backup is proven to have had another way; enters what is found."""
    import numpy as np

    case, role = use.case, use.role
    rows, decided = data.row[used], data.decided[used]
    late = _late(use, decided)
    if case.version == 1 and role == 0 and use.subflow.kind == "initial":
        # Its first data has to go under an MP_CAPABLE (section 3.1).
        late &= ~data.first[used]
    proven = np.flatnonzero(late & _usable(use, decided))[:MOST]
    proven = proven[[not _bound(use, data, used.start + int(at)) for at in proven]]
    if not len(proven):
        for requirement in requirements:
            case.unseen(
                requirement, role, int(rows[0]),
                why=f"whether subflow {use.other.id} was usable when subflow {use.subflow.id} "
                "carried new data",
            )  # fmt: skip
        return False
    row = int(rows[proven[0]])
    why = (
        f"{notation(use.asked.option)} of the {ROLES[1 - role]} makes subflow {use.subflow.id} a "
        f"backup; new data goes over it, while subflow {use.other.id} is "
        "none, answers, and has nothing to send again"
    )
    shown = use.asked.row, row
    for requirement in requirements:
        if heard_all(case, role):
            case.wrong(requirement, role, *shown, why=why, subflow=use.subflow)
        else:
            why = f"{why}; {INCOMPLETE}"
            case.doubt(requirement, role, *shown, why=why, subflow=use.subflow)
    return True


def _bound(use: Use, data: NewData, at: int) -> bool:
    """Whether data was announced for its subflow before the host was asked not to use it."""
    ground, half = use.case.context.trace.ground, use.subflow.halves[use.role]
    start, sequence = ground.mapping("start"), data.sequence[at]
    told = (ground.mapping("half") == half) & (ground.mapping("row") < use.known_from)
    told &= (start <= sequence) & (sequence < start + ground.mapping("length"))
    return bool(told.any())


def _late(use: Use, decided: Array) -> Array:
    """Which decisions a host made when it knew what it was asked about both subflows.

    What its TCP had to send on the backup before is gone: all of it was acknowledged once.
    """
    import numpy as np

    case, context = use.case, use.case.context
    ground, role = context.trace.ground, use.role
    known = case.time(use.regular.start) + LAG
    if isinstance(use.asked.option, MpPrio):
        known = max(known, case.time(use.span.start) + LAG)
    own, peers = (context.sent(use.subflow.halves[each]) for each in (role, 1 - role))
    ends = ground.column("sequence")[own] + ground.column("length")[own]
    idle = _so_far(ends, own, own) <= _so_far(ground.relative_ack[peers], peers, own)
    idle &= ground.column("time")[own] > known
    since = own[idle]
    if not len(since):
        return np.zeros(len(decided), np.bool_)
    return np.asarray(decided >= since[0])


def _usable(use: Use, decided: Array) -> Array:
    """Before which rows a subflow is certainly of use to the sender of data.

    Its peer was heard on it within a second and has a window open; nothing waits there that had
    to be sent again; and it is heard again later, if the capture lasts long enough.
    """
    import numpy as np

    case, other, role = use.case, use.other, use.role
    ground, context = case.context.trace.ground, case.context
    time = ground.column("time")
    own, peers = context.sent(other.halves[role]), context.sent(other.halves[1 - role])
    resets = [raw.row for raw in case.events(other) if raw.flags & RST]
    peers = peers[peers < min(resets, default=len(time))]
    if not len(peers):
        return np.zeros(len(decided), np.bool_)
    ends = ground.column("sequence")[own] + ground.column("length")[own]
    again = np.where(ground.column("kind")[own] & RESENT, ends, 0)
    acked = _so_far(ground.relative_ack[peers], peers, decided)
    heard = peers[np.maximum(peers.searchsorted(decided) - 1, 0)]
    moment = time[decided]
    recent = (heard < decided) & (moment - time[heard] <= SECOND)
    well = (_so_far(again, own, decided) <= acked) & (ground.column("window")[heard] > 0)
    over = case.time(last_row(case)) < moment + grace(case, other)
    later = peers.searchsorted(decided) < len(peers)
    later |= over & (_so_far(ends, own, decided) <= acked)
    return np.asarray(recent & well & later)


def _so_far(values: Array, rows: Array, until: Array) -> Array:
    """The highest of values of rows before each of some other rows; 0 if there is none."""
    import numpy as np

    top = np.maximum.accumulate(np.concatenate([[0], values]))
    return np.asarray(top[rows.searchsorted(until)])


RULES = (Rule(requirements=(UNUSED, BY_JOIN, BY_PRIO), sweep=sweep),)
