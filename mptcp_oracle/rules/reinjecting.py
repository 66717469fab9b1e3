"""Reinjecting: data that goes over another subflow is still owed to the first (RFC 8684, 3.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.differing import Repeats
from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.ordering import FAR, highest
from mptcp_oracle.analysis.parts import Parts, column
from mptcp_oracle.analysis.signals import FIN, RST
from mptcp_oracle.options import RemoveAddr
from mptcp_oracle.rules.case import INCOMPLETE, Case
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.senders import sender
from mptcp_oracle.rules.weighing import Weighing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["ORIGINAL", "PATIENCE", "TRIPS", "original"]

ORIGINAL = "8684-3.3.6-original-subflow-retransmission"

RESENT = CLASSES.index("tcp_retransmission")

PATIENCE = 130_000_000_000
"""Nanoseconds after which TCP has sent the first octet without acknowledgment again, if ever: its
timer is two minutes at most, in common stacks."""
#: The same in round trips.
TRIPS = 20

ENDED = "that subflow was closed, reset or withdrawn"
BEHIND = "the subflow still waits for earlier octets"
SOON = "nothing shows that the subflow still worked minutes later"
SHUT = "the peer's window on that subflow is closed"


def original(context: Context, parts: Parts, copies: Repeats) -> None:
    """What was copied to another subflow is acknowledged on its own, or sent again there.

    TCP sends again what it has no acknowledgment of, the first octet first; what is behind that
    waits for its turn.

    Args:
        context: The context.
        parts: Everything that was sent again.
        copies: That of it which has a DSN, beside its first carrier.
    """
    import numpy as np

    ground = context.trace.ground
    half = ground.column("half")
    own = half[copies.first]
    across = np.flatnonzero(own != half[copies.row])
    own, row, first = own[across], copies.row[across], copies.first[across]
    begin, end = copies.origin[across], (copies.origin + copies.octets)[across]
    wanted = np.maximum(column(context.trace.plane.acked)[own], 1)
    # One question for each half: about the copy of the octet that it waits for, if there is one.
    waits = (begin <= wanted) & (wanted < end)
    order = np.lexsort((row, ~waits, own))
    own, row, first, waits, wanted, end = (
        each[order] for each in (own, row, first, waits, wanted, end)
    )
    begins = np.flatnonzero(np.diff(own, prepend=-1))
    if not len(begins):
        return
    done = np.maximum.reduceat(end, begins) <= wanted[begins]
    own, row, first, waits, wanted = (each[begins] for each in (own, row, first, waits, wanted))
    kept = done | (waits & _resent(half, parts, own, wanted))
    weighing = Weighing(context, ORIGINAL, judge=_silent)
    weighing.never(row[~kept & ~waits], BEHIND)
    asked = kept | waits
    weighing.add(row[asked], ~kept[asked], first[asked])
    weighing.end()


def _resent(half: Array, parts: Parts, own: Array, number: Array) -> Array:
    """Whether TCP sent a sequence number of each of some halves again."""
    import numpy as np

    mine = parts.where(parts.kind == RESENT)
    if not len(mine):
        return np.zeros(len(own), np.bool_)
    group = half[mine.row].astype(np.int64)
    key = group * FAR + mine.start
    order = np.argsort(key, kind="stable")
    key, group, end = key[order], group[order], mine.end[order]
    top = highest(group, end, int(group[-1]) + 1)
    at = np.searchsorted(key, own.astype(np.int64) * FAR + number, side="right") - 1
    found: Array = (at >= 0) & (group[at] == own) & (top[at] > number)
    return found


def _silent(case: Case, role: int, copy: int, first: int) -> None:
    """The first octet that a subflow waits for was sent on another, and not again on its own."""
    subflow, _ = sender(case.context, case.context.half(first))
    why = (
        f"data of frame {case.frame(first)} was never acknowledged on its subflow, nor sent again "
        f"there, after frame {case.frame(copy)} had sent it on another one"
    )
    lacks = _excused(case, role, subflow, copy)
    if lacks:
        case.unseen(ORIGINAL, role, first, copy, why=f"{why}; {lacks}")
    elif not case.witnessed(subflow, role):
        case.doubt(ORIGINAL, role, first, copy, why=f"{why}; {INCOMPLETE}", subflow=subflow)
    else:
        case.wrong(ORIGINAL, role, first, copy, why=why, subflow=subflow)


def _excused(case: Case, role: int, subflow: Subflow, copy: int) -> str:
    """Why nothing may have had to be sent on a subflow any more; empty if it had."""
    withdrawn = any(
        subflow.address_ids[signal.role] in option.address_ids
        for signal, option in case.of(RemoveAddr)
    )
    if withdrawn or any(raw.flags & (FIN | RST) for raw in case.events(subflow)):
        return ENDED
    last = case.context.trace.wire.halves["last_row"]
    own, peer = last[subflow.halves[role]], last[subflow.halves[1 - role]]
    waited = max(case.time(own), case.time(peer)) - case.time(copy)
    if peer < 0 or waited < max(PATIENCE, TRIPS * subflow.round_trip):
        return SOON
    return SHUT if case.columns["window"][peer] == 0 else ""
