"""MP_FASTCLOSE and what answers it, and MP_TCPRST (RFC 8684 sections 3.5 and 3.6)."""

from __future__ import annotations

from functools import cached_property

from mptcp_oracle.analysis.entities import ROLES, Subflow
from mptcp_oracle.analysis.signals import FIN, RST
from mptcp_oracle.constants import Subtype
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import Flaw, Malformed, MpFastclose, MpTcprst, notation
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.ending import (
    End,
    counted,
    ends_of,
    follows,
    remaining,
    signs_of,
    usable,
)
from mptcp_oracle.rules.lives import grace
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["RULES"]

KEY = "8684-3.5-fastclose-receiver-key"
ON_ACK = {1: "8684-3.5-fastclose-ack-one-subflow", 0: "6824-3.5-fastclose-on-ack"}
ON_RST = "8684-3.5-fastclose-rst-all-subflows"
ACK_ANSWERED = {1: "8684-3.5-fastclose-ack-answered", 0: "6824-3.5-fastclose-ack-answered"}
RST_ANSWERED = "8684-3.5-fastclose-rst-answered"
NO_MORE_DATA = "8684-3.5-fastclose-no-more-data"
RESET_PLACE = "8684-3.6-tcprst-on-rst"
RESET_LENGTH = "8684-3.6-tcprst-length"
RESET_FLAGS = "8684-3.6-tcprst-flags-zero"
RESET_REASON = "8684-3.6-tcprst-reason-registered"

#: Flags U, V and W of MP_TCPRST.
UNDEFINED = 0x0E
#: The highest reason code of the registry (RFC 8684 section 7.4).
LAST_REASON = 6
#: Octets of the largest window without scaling.
WINDOW = 65_535
#: Bit of segments of which the capture cut options off.
CUT = FLAG_BITS["options_cut"]
#: Bit of a segment's ``kind`` for octets that TCP sends again.
AGAIN = 1 << CLASSES.index("tcp_retransmission")


def resets(case: Case) -> None:
    """MP_TCPRST: its place, length, flags and reason (section 3.6)."""
    for signal, option in case.of(MpTcprst, Malformed):
        if isinstance(option, MpTcprst):
            told = notation(option)
            case.right(RESET_LENGTH, signal.role)
            on_rst = bool(signal.flags & RST)
            case.judge(RESET_PLACE, signal, on_rst, f"{told} on a segment that is no RST")
            zero = not option.flags & UNDEFINED
            case.judge(RESET_FLAGS, signal, zero, f"flags U, V and W are 0: {told}")
            known = option.reason <= LAST_REASON
            why = f"the registry has reasons 0 to {LAST_REASON}: {told}"
            case.judge(RESET_REASON, signal, known, why)
            continue
        if isinstance(option, Malformed) and _is_long(option):
            why = f"MP_TCPRST has 4 octets, this has {len(option.raw)}: {option.raw.hex()}"
            case.judge(RESET_LENGTH, signal, False, why)


def _is_long(option: Malformed) -> bool:
    """Whether an option would be an MP_TCPRST but for its length."""
    return option.subtype == Subtype.MP_TCPRST and option.reason is Flaw.LAYOUT


def keys(case: Case) -> None:
    """MP_FASTCLOSE has the key of its receiver (section 3.5)."""
    for signal, option in case.of(MpFastclose):
        own, peer = case.hosts[signal.role].key, case.hosts[1 - signal.role].key
        if peer is None:
            case.unseen(KEY, signal.role, signal.row, why="the receiver's key is not known")
            continue
        cause = " (it is the sender's own)" if option.key == own else ""
        why = f"{notation(option)}{cause}, the key of its receiver is {peer:016x}"
        case.judge(KEY, signal, option.key == peer, why)


def aborts(case: Case) -> None:
    """Fast close: how it is asked for, how it is answered, and that it is the end."""
    first: list[Signal | None] = [None, None]
    plain = signs_of(case).plain
    for signal, option in case.of(MpFastclose):
        role, before = signal.role, first[signal.role]
        if case.version == 0 and signal.flags & RST:
            why = f"version 0 has no MP_FASTCLOSE on a RST: {notation(option)}"
            case.judge(ON_ACK[0], signal, False, why)
        if option.key != case.hosts[1 - role].key or (plain is not None and signal.row >= plain):
            continue
        if before is None:
            first[role] = signal
        elif before.subflow is not signal.subflow and not (before.flags | signal.flags) & RST:
            why = f"MP_FASTCLOSE on a second subflow, after that of frame {case.frame(before.row)}"
            case.wrong(
                ON_ACK[case.version or 0], role, before.row, signal.row,
                why=why, subflow=signal.subflow,
            )  # fmt: skip
    for found in first:
        if found is not None:
            abort = Abort(case, found)
            abort.asked()
            abort.answered()
            abort.over()


class Abort:
    """The first MP_FASTCLOSE of a host with the right key.

    Attributes:
        case: Its connection. signal: Its option. role: Who sent it. row: Where.
        reset: Whether it is on a RST. ends: How both hosts ended each subflow that was used.
    """

    def __init__(self, case: Case, signal: Signal) -> None:
        self.case, self.signal = case, signal
        self.role, self.row = signal.role, signal.row
        self.reset = bool(signal.flags & RST)
        self.ends: dict[Subflow, tuple[End, End]] = {
            each: ends_of(case, each)
            for each in case.subflows
            if each is signal.subflow or usable(case, each) is not None
        }

    def live(self, role: int) -> list[Subflow]:
        """Other subflows on which a host could certainly still send a RST."""
        found = []
        for subflow, both in self.ends.items():
            opened = usable(self.case, subflow)
            if subflow is self.signal.subflow or opened is None or opened > self.row:
                continue
            gone = [row for row in (both[role].first, both[1 - role].rst) if row is not None]
            if not any(follows(self.case, row, self.row) for row in gone):
                found.append(subflow)
        return found

    def asked(self) -> None:
        """What its sender does on all other subflows: a RST, with the option if this has it."""
        case, role, version = self.case, self.role, self.case.version or 0
        if self.reset and not version:
            return
        requirement = ON_RST if self.reset else ON_ACK[version]
        case.right(requirement, role)
        asking = {signal.row for signal, _ in case.of(MpFastclose)}
        for subflow in self.live(role):
            row = self.ends[subflow][role].rst
            if row is None:
                self._not_reset(requirement, subflow, role)
            elif self.reset and row not in asking:
                self._without_option(subflow, row)

    def _without_option(self, subflow: Subflow, row: int) -> None:
        """A RST that lacks the MP_FASTCLOSE that the first has."""
        case, role = self.case, self.role
        why = (
            f"a RST without MP_FASTCLOSE, although that of frame {case.frame(self.row)} closes the "
            "connection by RSTs that have it"
        )
        if case.columns["flags"][row] & CUT:
            case.unseen(ON_RST, role, row, why="the capture cut the options of a RST")
        elif case.witnessed(subflow, role):
            case.wrong(ON_RST, role, row, self.row, why=why, subflow=subflow)
        else:
            why = f"{why}; a middlebox may have removed it, or an earlier RST had it"
            case.doubt(ON_RST, role, row, self.row, why=why, subflow=subflow)

    def answered(self) -> None:
        """Its receiver resets the subflow, if that still is there, and all others."""
        case, role, version = self.case, 1 - self.role, self.case.version or 0
        if self.reset and not version:
            return
        requirement = RST_ANSWERED if self.reset else ACK_ANSWERED[version]
        flows, own = self.live(role), self.signal.subflow
        gone = (self.ends[own][role].first, self.ends[own][self.role].rst)
        if not self.reset and all(row is None or row > self.row for row in gone):
            flows.insert(0, own)
        for subflow in flows:
            if self.ends[subflow][role].rst is not None:
                case.right(requirement, role)
            elif self._taken:
                self._not_reset(requirement, subflow, role)
            else:
                why = "whether TCP accepted the segment with MP_FASTCLOSE is not known"
                case.unseen(requirement, role, self.row, why=why)

    def _not_reset(self, requirement: str, subflow: Subflow, role: int) -> None:
        """A host that has to reset a subflow, and did not as far as the capture shows."""
        case, other = self.case, self.ends[subflow][1 - role].rst
        rows = case.context.progress.rows(subflow.halves[role], after=self.row, until=other)
        wait = case.time(self.row) + grace(case, subflow)
        late = [int(row) for row in rows[-1:] if case.time(int(row)) > wait]
        fin = self.ends[subflow][role].fin
        if not late and fin is not None and fin > self.row and (other is None or fin < other):
            late = [fin]
        name = ROLES[role]
        if late:
            what = "a FIN" if case.columns["flags"][late[0]] & FIN else "it goes on"
            why = (
                f"MP_FASTCLOSE in frame {case.frame(self.row)}, and no RST of the {name} on "
                f"subflow {subflow.id}: {what}"
            )
            if case.witnessed(subflow, role) and case.sent_here(self.signal.subflow, role):
                case.wrong(requirement, role, self.row, late[0], why=why, subflow=subflow)
            else:
                why = f"{why}; {INCOMPLETE}"
                case.doubt(requirement, role, self.row, late[0], why=why, subflow=subflow)
        elif other is not None:
            return
        elif remaining(case, self.row) > grace(case, subflow):
            why = f"no RST of the {name} on subflow {subflow.id} was captured"
            case.doubt(requirement, role, self.row, why=why, subflow=subflow)
        else:
            why = f"the capture ends before a RST of the {name} on subflow {subflow.id}"
            case.unseen(requirement, role, self.row, why=why)

    @cached_property
    def _taken(self) -> bool:
        """Whether the segment with MP_FASTCLOSE was one that TCP accepts.

        An ACK lies in the window; a RST is at its very beginning (RFC 5961 section 3.2).
        """
        case, row = self.case, self.row
        half = self.signal.subflow.halves[self.role]
        said, sequence = case.context.progress.confirmed(half, row), case.columns["sequence"][row]
        if said < 0:
            return False
        if self.reset:
            return bool(sequence == _reached(case, half, said, row))
        return bool(said <= sequence <= said + WINDOW)

    def over(self) -> None:
        """After its MP_FASTCLOSE a host sends no more data."""
        case, role, own = self.case, self.role, self.signal.subflow
        half, columns, progress = own.halves[role], case.columns, case.context.progress
        why = f"new data after the MP_FASTCLOSE of frame {case.frame(self.row)}"
        end = columns["sequence"][self.row] + self.signal.payload
        newest = end >= progress.end(half, self.row)
        ground, rows = case.context.trace.ground, progress.rows(half, after=self.row)
        new = (ground.column("kind")[rows] != AGAIN) & (ground.column("length")[rows] > 0)
        new &= (ground.column("sequence")[rows] >= end) & (ground.column("flags")[rows] & RST == 0)
        if newest and new.any():
            row = int(rows[new][0])
            case.wrong(NO_MORE_DATA, role, self.row, row, why=why, subflow=own)
            return
        direction = 2 * case.number + role
        top, sent = case.context.trace.plane.dsn_top[direction], progress.sent(direction, self.row)
        others = progress.carriers(direction, sent, top) if top > sent else []
        others = [each for each in others if columns["half"][each] != half]
        late = next((each for each in others if follows(case, self.row, each)), None)
        if late is None:
            case.right(NO_MORE_DATA, role)
        elif case.witnessed_all(role) and counted(case, late):
            case.wrong(NO_MORE_DATA, role, self.row, late, why=why)
        else:
            why = f"{why}; it may have been on its way before"
            case.doubt(NO_MORE_DATA, role, self.row, late, why=why)


def _reached(case: Case, half: int, place: int, until: int) -> int:
    """Up to where all octets of a half from a place on passed before a row."""
    ground, rows = case.context.trace.ground, case.context.progress.rows(half, until=until)
    starts, lengths = ground.column("sequence")[rows], ground.column("length")[rows]
    beyond = starts + lengths > place
    for start, length in sorted(
        zip(starts[beyond].tolist(), lengths[beyond].tolist(), strict=True)
    ):
        if start <= place < start + length:
            place = start + length
    return place


RULES = (
    Rule(requirements=(KEY,), judge=keys, on=(MpFastclose,)),
    Rule(
        requirements=(*ON_ACK.values(), ON_RST, *ACK_ANSWERED.values(), RST_ANSWERED, NO_MORE_DATA),
        judge=aborts,
        on=(MpFastclose,),
    ),
    Rule(
        requirements=(RESET_PLACE, RESET_LENGTH, RESET_FLAGS, RESET_REASON),
        judge=resets,
        versions=(1,),
        on=(MpTcprst, Malformed),
    ),
)
