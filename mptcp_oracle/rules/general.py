"""Options as such: their layout, lengths and subtypes, and the ACKs that carry them.

RFC 8684 sections 3 and 7.2, RFC 6824 sections 3 and 8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mptcp_oracle.analysis.signals import ACK, FIN, SYN
from mptcp_oracle.constants import Subtype
from mptcp_oracle.options import (
    AddAddr,
    Experimental,
    Flaw,
    Malformed,
    MpCapable,
    MpFail,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
    Unknown,
    notation,
)
from mptcp_oracle.rules.case import Case, Signal
from mptcp_oracle.rules.greeting import BROKEN
from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

LAYOUT = "8684-3-option-layout"
LENGTH = "8684-3-option-length-known"
SUBTYPE = {1: "8684-7.2-option-subtype-assigned", 0: "6824-8-subtypes-assigned"}
FEW_DUPLICATES = "8684-3-duplicate-ack-at-most-two"

#: What is wrong with a Length, by the flaw.
LENGTHS = {
    Flaw.LAYOUT: "no layout has this Length",
    Flaw.WRONG_VERSION: "only the other version has an option like this",
    Flaw.MISPLACED: "this Length belongs on another kind of segment",
}

#: Types of options that may not be what they should be.
NOTICED = (Malformed, Unknown, MpTcprst)
#: Options for which alone an ACK may be sent; a third packet is no duplicate, and an MP_FASTCLOSE
#: is sent again until it is answered.
SIGNALS = (AddAddr, RemoveAddr, MpPrio, MpFail, Experimental, Unknown, Malformed)
#: Duplicate ACKs in a row that may be sent for options alone.
MOST_DUPLICATES = 2
#: Nanoseconds within which ACKs are sent in a row; later ones are signals of something new, or
#: of something that nobody has answered.
AT_ONCE = 1_000_000
MISSING = "what they answer may be missing, or time have passed between them"
DIFFERENT = "each says something of its own, for which there may have been no room in another"


def octets(case: Case) -> None:
    """Each option is a TCP option by itself, has a Length that its layout has, and a subtype."""
    subtype, plain = SUBTYPE[case.version or 0], [0, 0]
    for signal in case.signals:
        if type(signal.option) in NOTICED:
            _notice(case, signal, subtype)
        else:
            plain[signal.role] += 1
    for role, count in enumerate(plain):
        if count:
            for requirement in (LAYOUT, LENGTH, subtype):
                case.right(requirement, role, count)


def _notice(case: Case, signal: Signal, subtype: str) -> None:
    """One option that is odd, or may be in its version."""
    option = signal.option
    if isinstance(option, Malformed) and option.reason in BROKEN:
        case.judge(LAYOUT, signal, False, f"no option of TCP has such octets: {notation(option)}")
        return
    case.right(LAYOUT, signal.role)
    if isinstance(option, Malformed) and not _third_or_first(option, signal):
        case.judge(LENGTH, signal, False, f"{LENGTHS[option.reason]}: {notation(option)}")
    else:
        case.right(LENGTH, signal.role)
    case.judge(subtype, signal, _assigned(option, case.version), notation(option))


def _third_or_first(option: Malformed, signal: Signal) -> bool:
    """Whether only payload tells that an MP_CAPABLE is not where its Length belongs.

    The Length goes with the flags SYN and ACK; offload may merge third packet and first data.
    """
    value = option.reading
    return (
        option.reason is Flaw.MISPLACED
        and isinstance(value, MpCapable)
        and value.receiver_key is not None
        and not signal.flags & SYN
    )


def _assigned(option: Option, version: int | None) -> bool:
    """Whether an option's subtype is one of its version; MP_CAPABLE may be of a later version."""
    if isinstance(option, Unknown):
        return option.subtype == Subtype.MP_CAPABLE
    reset = isinstance(option, MpTcprst)
    reset |= isinstance(option, Malformed) and option.subtype == Subtype.MP_TCPRST
    return version != 0 or not reset


def duplicates(case: Case) -> None:
    """No more than two duplicate ACKs in a row are sent only to carry options other than DSS."""
    runs: dict[tuple[int, int], list[Signal]] = {}
    for signal in case.signals:
        alone = isinstance(signal.option, SIGNALS) and not signal.payload
        if alone and signal.flags == ACK:
            runs.setdefault((signal.subflow.stream, signal.role), []).append(signal)
    for signals in runs.values():
        for run in _runs(case, signals):
            _count(case, run)


def _runs(case: Case, signals: list[Signal]) -> Iterator[list[Signal]]:
    """ACKs with options that repeat the segment before them, one right after the other."""
    half = signals[0].subflow.halves[signals[0].role]
    rows = case.context.sent(half)
    run: list[Signal] = []
    for signal in signals:
        if run and run[-1].row == signal.row:
            continue
        at = int(rows.searchsorted(signal.row))
        before = int(rows[at - 1]) if at else None
        if before is None or not _repeats(case, before, signal.row):
            if run:
                yield run
            run = []
        elif run and (run[-1].row != before or case.time(signal.row) - case.time(before) > AT_ONCE):
            yield run
            run = [signal]
        else:
            run.append(signal)
    if run:
        yield run


def _repeats(case: Case, before: int, row: int) -> bool:
    """Whether a segment acknowledges just what the one before it did, and nothing came between.

    What the other host sent in between may have asked for another ACK.
    """
    columns = case.columns
    same = all(columns[name][before] == columns[name][row] for name in ("ack", "window"))
    if columns["dss"][before] & columns["dss"][row] & 1:
        same = same and columns["data_ack"][before] == columns["data_ack"][row]
    if not same or (columns["flags"][before] & (SYN | ACK)) != ACK:
        return False
    peer = case.context.sent(columns["half"][row] ^ 1)
    between = peer[peer.searchsorted(before) : peer.searchsorted(row)]
    ground = case.context.trace.ground
    acked = ground.relative_ack[row]
    asking = (ground.column("length")[between] > 0) | (
        (ground.column("flags")[between] & (SYN | FIN)) != 0
    )
    asking |= ground.column("sequence")[between] < acked
    return not asking.any()


def _count(case: Case, run: list[Signal]) -> None:
    """A run of duplicate ACKs is short.

    Beyond doubt it is too long if it says the same again and again; of different options some may
    have had no room in one segment.
    """
    first = run[0]
    if len(run) <= MOST_DUPLICATES:
        case.right(FEW_DUPLICATES, first.role)
        return
    said, times = Counter(signal.option for signal in run).most_common(1)[0]
    again = times > MOST_DUPLICATES
    shown = [signal for signal in run if not again or signal.option == said][: MOST_DUPLICATES + 1]
    rows = [signal.row for signal in shown]
    why = f"{len(run)} duplicate ACKs in a row, {times} of them with {notation(said)}"
    # A clock that moves in such steps does not tell what is at once.
    told = any(case.time(row) % AT_ONCE for row in rows)
    if again and told and case.witnessed(first.subflow, first.role):
        case.wrong(FEW_DUPLICATES, first.role, *rows, why=why, subflow=first.subflow)
        return
    lacks = MISSING if again else DIFFERENT
    why = f"{why}; {lacks}"
    case.doubt(FEW_DUPLICATES, first.role, *rows, why=why, subflow=first.subflow)


RULES = (
    Rule(requirements=(LAYOUT, LENGTH, *SUBTYPE.values()), judge=octets, strays=True),
    Rule(requirements=(FEW_DUPLICATES,), judge=duplicates, on=SIGNALS),
)
