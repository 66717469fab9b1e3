"""TCP Fast Open (RFC 8684 appendix B)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import RST, SYN
from mptcp_oracle.rules.case import INCOMPLETE
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.ledger import Finding
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import at_sender, sender

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES"]

OUTSIDE = "8684-B.2-tfo-data-outside-sequence"
NUMBERED = "8684-B.3-tfo-first-subflow-sequence"
RESENT = "8684-B.3-tfo-data-resent-mapped"
EARLY = "8684-B.3-tfo-reply-no-data-ack"

#: Segments with data of a SYN that are looked at one by one.
MOST = 64
#: Bits of the ``dss`` column: DATA_ACK, mapping.
ACKED, MAPPED = 0x01, 0x04


class Opening(NamedTuple):
    """An initial subflow whose SYN had data, and was answered.

    Attributes:
        subflow: It. half, direction: What the initiator sends on it, and in its connection.
        accepted, offered: Octets that the SYN/ACK acknowledged, and octets on the SYN.
        rows: Rows of what the initiator sent there later, but for RSTs, while MPTCP is in use.
    """

    subflow: Subflow
    half: int
    direction: int
    accepted: int
    offered: int
    rows: Array

    @property
    def next(self) -> int:
        """The first octet that is not accepted with the SYN."""
        return 1 + self.accepted


def fast_open(context: Context) -> None:
    """Data of a SYN lies outside the data sequence space, as far as it was accepted."""
    for opening in _openings(context):
        if opening.accepted:
            _first_mapping(context, opening)
        if opening.offered > opening.accepted:
            _resent(context, opening)


def _openings(context: Context) -> Iterator[Opening]:
    ground = context.trace.ground
    for half, offered in context.trace.plane.offered.items():
        subflow, role = sender(context, half)
        connection, shake = subflow.connection, context.trace.shakes[subflow.stream]
        own = int(ground.half_direction[half])
        if connection is None or connection.version != 1:
            continue
        if role or subflow.kind != "initial" or shake.synack_row is None:
            continue
        rows = context.sent(half)
        rows = rows[(ground.column("flags")[rows] & (SYN | RST) == 0)]
        rows = rows[(ground.column("length")[rows] > 0) & (rows < context.plain_from[own])]
        yield Opening(subflow, half, own, subflow.syn_data[0], offered, rows)


def _first_mapping(context: Context, opening: Opening) -> None:
    """The first octet after accepted data is IDSN + 1, and counts as 1 in its subflow.

    Section 3.3.1 counts from the SYN, so that it would be 1 more than the accepted octets: that
    is right, too.
    """
    ground, table = context.trace.ground, context.trace.mappings
    rows = opening.rows[ground.column("sequence")[opening.rows] == opening.next]
    rows = rows[ground.column("mapping")[rows] >= 0]
    if not len(rows):
        return
    row = int(rows[0])
    mapping = int(ground.column("mapping")[row])
    if table.dsn_size[mapping] == 0:
        # An MP_CAPABLE has no numbers: its mapping is of the first octet.
        context.ledger.right(OUTSIDE, opening.direction)
        return
    ssn, lawful = int(table.ssn[mapping]), (1, opening.next)
    if ssn in lawful:
        context.ledger.right(NUMBERED, opening.direction)
        _outside(context, opening, row, int(table.dsn[mapping]))
        return
    why = (
        f"the mapping of the first octet after {opening.accepted} octets of the SYN begins at "
        f"subflow sequence number {ssn}, not 1 (or {opening.next}, if that counts them)"
    )
    first = row == int(opening.rows[0]) and bool(at_sender(context, rows[:1], whole=True)[0])
    _enter(context, NUMBERED, opening, row, why, first)


def _outside(context: Context, opening: Opening, row: int, dsn: int) -> None:
    """Judge the relative DSN of the first octet after the accepted ones."""
    host = context.connections[opening.direction >> 1].initiator
    if host.idsn is None or host.base != host.idsn:
        why = "the initiator's IDSN is not known, or another one is in use"
        context.ledger.unseen(OUTSIDE, opening.direction, why, rows=(row,))
    elif dsn == 1:
        context.ledger.right(OUTSIDE, opening.direction)
    elif dsn - 1 in (opening.accepted, opening.offered):
        why = f"the first octet after data of the SYN has DSN IDSN + {dsn}: that counts the data"
        _enter(context, OUTSIDE, opening, row, why, not _elsewhere(context, opening, dsn))


def _elsewhere(context: Context, opening: Opening, dsn: int) -> bool:
    """Whether the initiator mapped lower DSNs on another subflow."""
    ground, table = context.trace.ground, context.trace.mappings
    half = ground.mapping("half")
    others = (ground.half_direction[half] == opening.direction) & (half != opening.half)
    return bool((others & (table.octets > 0) & (table.dsn < dsn)).any())


def _resent(context: Context, opening: Opening) -> None:
    """Data of the SYN that was not accepted comes again under a mapping."""
    ground, table = context.trace.ground, context.trace.mappings
    first, length = ground.column("sequence")[opening.rows], ground.column("length")[opening.rows]
    again = opening.rows[(first <= opening.offered) & (first + length > opening.next)]
    start, end = table.start, table.start + table.octets
    own = ground.mapping("half") == opening.half
    mptcp = context.trace.plane.mptcp_row[opening.half]
    for row in again[:MOST].tolist():
        octet = max(int(ground.column("sequence")[row]), opening.next)
        known = own & (start <= octet) & (end > octet) & (ground.mapping("row") <= row)
        if ground.column("dss")[row] & MAPPED or known.any():
            context.ledger.right(RESENT, opening.direction)
        elif mptcp >= row:
            why = (
                f"octet {octet} of the subflow was on the SYN and not accepted; it comes again "
                "without a mapping"
            )
            certain = bool(at_sender(context, again[again == row], whole=True)[0])
            _enter(context, RESENT, opening, row, why, certain)


def _enter(
    context: Context, requirement: str, opening: Opening, row: int, why: str, certain: bool
) -> None:
    if certain:
        context.wrong(requirement, opening.direction, (row,), why, subflow=opening.subflow.id)
    else:
        finding = Finding((row,), f"{why}; {INCOMPLETE}", opening.subflow.id)
        context.ledger.doubt(requirement, opening.direction, finding)


def early_reply(context: Context) -> None:
    """Before it has the initiator's key, the listener sends no DATA_ACK.

    What it had received is known where the capture was made at its end.
    """
    import numpy as np

    dss = context.trace.ground.column("dss")
    acks, begins = context.first_of(dss & ACKED > 0), context.first_dss
    for number, connection in enumerate(context.connections):
        initial = connection.initial if connection.version == 1 else None
        if initial is None or begins[initial.halves[1]] == context.trace.wire.segments.rows:
            continue
        shake, half = context.trace.shakes[initial.stream], initial.halves[1]
        direction = 2 * number + 1
        if shake.ack is None or shake.syn_row is None:
            continue
        key, ack = shake.ack[0].row, acks[half]
        if begins[half] >= key:
            continue
        if ack >= key:
            context.ledger.right(EARLY, direction)
            continue
        why = (
            f"a DATA_ACK of the listener, which first hears the initiator's key in frame "
            f"{context.frame(key)}"
        )
        if at_sender(context, np.array([ack]), whole=True)[0]:
            context.wrong(EARLY, direction, (ack,), why, subflow=initial.id)
        else:
            why = f"{why}; it may have been heard earlier than the capture shows, or is missing"
            context.ledger.doubt(EARLY, direction, Finding((ack,), why, initial.id))


RULES = (
    Rule(requirements=(OUTSIDE, NUMBERED, RESENT), sweep=fast_open, versions=(1,)),
    Rule(requirements=(EARLY,), sweep=early_reply, versions=(1,)),
)
