"""DSS checksums (RFC 8684 sections 3.3.1 and 3.3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle import crypto
from mptcp_oracle.analysis.checksums import INCOMPLETE, RIGHT, UNCHECKED, WRONG
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.ledger import Finding
from mptcp_oracle.rules.placing import anchored, placed
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import few, hide, keep, member, sender

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES"]

EVERY = "8684-3.3.1-dss-checksum"
WHOLE_DSN = "8684-3.3.1-checksum-64-bit-dsn"
LONE = "8684-3.3.3-lone-data-fin-checksum"

#: Why a checksum was not checked, or not whole.
UNSEEN = {
    INCOMPLETE: "not all payload of the mapping is captured",
    UNCHECKED: "the upper half of the DSN is not known",
}
#: Wrong checksums of one direction that are looked at one by one.
MOST = 16
#: Bit of a half's ``mptcp``: it has a DSN of 8 octets.
WIDE_DSN = 2
#: What folded sums are equal by.
ONES = 0xFFFF
LOW_32 = 0xFFFFFFFF
UPPER = "the upper half of the DSN is not certain"


def checksums(context: Context) -> None:
    """The checksum of a mapping covers its payload, its 64-bit DSN, its SSN and its length.

    That of a DATA_FIN without payload covers only the numbers, so that no payload has to be there.
    """
    import numpy as np

    if not len(context.trace.plane.checksum):
        return
    ground, table = context.trace.ground, context.trace.mappings
    rows, check = ground.mapping("row"), table.check
    used = np.array([each.checksum is not False for each in context.connections], np.bool_)
    at = np.flatnonzero(table.has_checksum & ~table.infinite & context.in_use[rows])
    at = at[used[ground.direction[rows[at]] >> 1]]
    lone = table.data_fin & (table.octets == 0)
    right, wrong = at[check[at] == RIGHT], at[check[at] == WRONG]
    keep(context, EVERY, rows[right])
    keep(context, LONE, rows[right[lone[right]]])
    high = (table.absolute_dsn()[right] >> np.uint64(32)).astype(np.int64)
    keep(context, WHOLE_DSN, rows[right[high % ONES > 0]])
    for result, why in UNSEEN.items():
        hide(context, EVERY, rows[at[check[at] == result]], why)
    for mapping in few(ground.direction[rows[wrong]], wrong, MOST).tolist():
        _wrong(context, mapping, bool(lone[mapping]))


def _wrong(context: Context, mapping: int, lone: bool) -> None:
    """Enter one wrong checksum, as far as it is proven that its sender made it."""
    ground, table = context.trace.ground, context.trace.mappings
    row, half = int(ground.mapping("row")[mapping]), int(ground.mapping("half")[mapping])
    start = int(table.start[mapping])
    end, length = start + int(table.octets[mapping]), int(table.length[mapping])
    dsn, ssn, seen = (
        int(each[mapping]) for each in (table.absolute_dsn(), table.ssn, table.checksum)
    )
    carriers = [] if lone else _carriers(context, half, start, end)
    payload = context.integrity.octets(carriers, start, end)
    # Whether the number of first data counts that of the SYN is not settled (appendix B.3).
    first = payload is not None and table.dsn_size[mapping] == 0
    if first and crypto.dss_checksum_holds(dsn, start, length, seen, payload or b""):
        context.ledger.right(EVERY, int(ground.direction[row]))
        return
    numbers = f"DSN {dsn}, SSN {ssn}, length {length}"
    lacks = _narrow(context, mapping) or ("" if lone else _changed(context, mapping, carriers))
    if payload is None:
        expected = "another checksum"
    else:
        expected = f"checksum {crypto.dss_checksum(dsn, ssn, length, payload):#06x}"
    covered = "no payload" if lone else f"{end - start} octets of payload"
    why = f"{numbers} and {covered} have {expected}, and the option has {seen:#06x}"
    for requirement in (EVERY, LONE) if lone else (EVERY,):
        _enter(context, requirement, row, why, lacks)
    if payload is not None and crypto.dss_checksum_holds(dsn & LOW_32, ssn, length, seen, payload):
        why = f"{why}, which is right for the lower half of the DSN alone"
        _enter(context, WHOLE_DSN, row, why, lacks)


def _enter(context: Context, requirement: str, row: int, why: str, lacks: str) -> None:
    direction = int(context.trace.ground.direction[row])
    subflow, _ = sender(context, context.half(row))
    if lacks:
        finding = Finding((row,), f"{why}; {lacks}", subflow.id)
        context.ledger.doubt(requirement, direction, finding)
    else:
        context.wrong(requirement, direction, (row,), why, subflow=subflow.id)


def _carriers(context: Context, half: int, start: int, end: int) -> list[int]:
    """Rows of the segments that carried any of these octets of a half."""
    ground, rows = context.trace.ground, context.sent(half)
    first = ground.column("sequence")[rows]
    found: list[int] = rows[
        (first < end) & (first + ground.column("length")[rows] > start)
    ].tolist()
    return found


def _changed(context: Context, mapping: int, carriers: list[int]) -> str:
    """Why the payload of a mapping, or its place, may not be what its sender summed; or nothing."""
    half = int(context.trace.ground.mapping("half")[mapping])
    subflow, role = sender(context, half)
    if context.tap(subflow) != role:
        return "the payload may have been changed on its way"
    certain = placed(context)[half] or _fills(context, mapping)
    if not (certain and anchored(context)[mapping]):
        return "which octets the mapping covers is not certain"
    lengths = context.trace.wire.segments["length"]
    if not context.whole and any(lengths[row] == 1 for row in carriers):
        return "one octet may be that of a probe, if another frame with it is missing"
    damaged = next((row for row in carriers if context.integrity.damaged(row)), None)
    if damaged is not None:
        return f"the TCP checksum of frame {context.frame(damaged)} is wrong"
    connection = subflow.connection
    rewritten = connection is not None and any(
        note.code == "anonymised" for note in connection.notes
    )
    if rewritten and not all(context.integrity.intact(row) for row in carriers):
        return "no checksum over payload is right: it may have been rewritten after the capture"
    return ""


def _fills(context: Context, mapping: int) -> bool:
    """Whether a mapping is of all payload of its segment, no more and no less.

    That shows its place also where numbers may count data of the SYN.
    """
    ground, table = context.trace.ground, context.trace.mappings
    row, half = ground.mapping("row")[mapping], ground.mapping("half")[mapping]
    same = table.start[mapping] == ground.column("sequence")[row]
    same &= table.octets[mapping] == ground.column("length")[row]
    return bool(same) and half in context.trace.plane.offered


def _narrow(context: Context, mapping: int) -> str:
    """Why the upper half of a DSN that is not on the wire may be another one; or nothing.

    It is that of a whole number on the wire, or of the IDSN that follows from the key, if the lower
    half of the lowest number fits that. An MP_CAPABLE goes by the key.
    """
    ground, table, plane = context.trace.ground, context.trace.mappings, context.trace.plane
    size = int(table.dsn_size[mapping])
    if size == 8:
        return ""
    direction = ground.direction[ground.mapping("row")]
    own = int(direction[mapping])
    if not member(context, ground.mapping("row")[mapping : mapping + 1])[0]:
        return UPPER
    halves = (ground.half_direction == own).nonzero()[0].tolist()
    if plane.base_from[own] != "key":
        return "" if size else UPPER
    mine = (direction == own) & ~table.infinite
    numbers = table.dsn[mine & (table.dsn_size > 0)]
    wide = any(context.trace.wire.halves["mptcp"][half] & WIDE_DSN for half in halves)
    # A probe of the window may map the IDSN itself; an MP_CAPABLE maps what is first.
    after = table.dsn_end[mine & (table.dsn_size == 0)].tolist()
    fits = not len(numbers) or int(numbers.min()) in (0, 1, *after)
    return "" if wide or fits else UPPER


RULES = (Rule(requirements=(EVERY, WHOLE_DSN, LONE), sweep=checksums),)
