"""Where mappings lie: on which octets of their subflow, and that they stay (RFC 8684, 3.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.ordering import blocks
from mptcp_oracle.analysis.parts import column
from mptcp_oracle.rules.case import INCOMPLETE
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import (
    at_sender,
    few,
    grouped,
    hide,
    keep,
    member,
    sender,
    versions,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["RULES", "anchored", "placed"]

CHANGED = "8684-3.3.1-mapping-never-changed"
RELATIVE = "8684-3.3.1-ssn-relative-dsn-absolute"
APPLIES = "8684-3.3.1-mapping-applies-to-segment"
URGENT = "8684-3.3.1-urgent-splits-no-mapping"

#: Segments of one direction that are looked at one by one.
MOST = 64
#: Flag URG, and the bit of the ``kind`` column for octets under no mapping.
URG, UNMAPPED = 0x20, 1 << CLASSES.index("unmapped")
LOW_32 = 0xFFFFFFFF
#: Octets by which a mapping may run ahead of the segment that declares it (in version 0).
AHEAD = 1 << 20
#: Codes of how a half's initial sequence number is known: by its own SYN, by a third packet. The
#: SYN/ACK alone shows it, too, but not whether the SYN had data.
BEGUN_THERE, BY_SYNACK = (1, 3), 2


def placed(context: Context) -> Mask:
    """By half: whether it is certain which octets its mappings cover.

    Its initial sequence number is, and its SYN had no data that subflow sequence numbers may count
    or not.
    """
    found = _shaken(context)
    found[list(context.trace.plane.offered)] = False
    return found


def _shaken(context: Context) -> Mask:
    """By half: whether its handshake shows where its payload begins, but for data on a SYN."""
    import numpy as np

    return np.isin(column(context.trace.plane.isn_from), BEGUN_THERE)


def anchored(context: Context) -> Mask:
    """By mapping: whether it lies on the segment that declares it, or soon after.

    Else the numbers of that segment may count from another SYN, which is not in the capture: the
    addresses and ports are in use again.
    """
    ground, table = context.trace.ground, context.trace.mappings
    rows = ground.mapping("row")
    first, length = ground.column("sequence")[rows], ground.column("length")[rows]
    found: Mask = table.start < first + length + AHEAD
    return found & (table.start + table.octets > first)


def changed(context: Context) -> None:
    """An octet of a subflow that a mapping gave a DSN gets no other one by a later mapping."""
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    rows, half = ground.mapping("row"), ground.mapping("half")
    known = column(context.trace.plane.placed)[half] > 0
    at = np.flatnonzero((table.octets > 0) & known & context.in_use[rows])
    before = _contradicted(context, at)
    delta = table.dsn - table.start
    skewed = np.isin(half[at], np.array([*context.trace.plane.offered], np.int64))
    skewed |= column(context.trace.plane.isn_from)[half[at]] == BY_SYNACK
    sure, bad = anchored(context), before >= 0
    certain = ~skewed & sure[at] & sure[before]
    certain[bad] &= member(context, rows[at[bad]])

    def why(index: int) -> str:
        old, new = int(before[index]), int(at[index])
        octet = max(int(table.start[old]), int(table.start[new]))
        given, other = octet + int(delta[old]), octet + int(delta[new])
        return (
            f"the subflow's octet {octet} had DSN {given} (relative) by a mapping, and a later one "
            f"gives it DSN {other}"
        )

    context.swept(
        CHANGED,
        rows[at],
        bad,
        why,
        certain=certain,
        missing="where its mappings lie is not certain: a SYN is missing, or had data",
        beside=lambda index: int(rows[before[index]]),
    )


def _contradicted(context: Context, at: Array) -> Array:
    """For each of some mappings: an earlier one that gave an octet of it another DSN, or -1.

    Pieces say which mapping covered each octet first. Whoever covered all of its octets first
    contradicts nothing; of the others those do that lie not in one run of pieces with their own
    distance of DSN and sequence number.
    """
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    pieces = context.trace.plane.pieces
    low, high, owner = (column(each) for each in pieces.of("start", "end", "map"))
    half, delta = ground.mapping("half"), table.dsn - table.start
    result = np.full(len(at), -1, np.int64)
    own = np.bincount(owner, weights=high - low, minlength=len(half))[at]
    rest = np.flatnonzero(own != table.octets[at])
    if not len(rest):
        return result
    halves, distances = half[owner], delta[owner]
    run = np.zeros(len(owner), np.int64)
    run[1:] = np.cumsum((halves[1:] != halves[:-1]) | (distances[1:] != distances[:-1]))
    first = column(context.trace.plane.piece_first).astype(np.int64)
    for name, places in grouped(half[at[rest]]):
        mine, begin, end = rest[places], first[name], first[name + 1]
        start = table.start[at[mine]]
        head = begin + high[begin:end].searchsorted(start, side="right")
        tail = begin + low[begin:end].searchsorted(start + table.octets[at[mine]]) - 1
        other = distances[head] != delta[at[mine]]
        # The first piece of the next run.
        turn = np.where(other, head, run.searchsorted(run[head], side="right"))
        found = other | (run[head] != run[tail])
        result[mine[found]] = owner[turn[found]]
    return result


def relative(context: Context) -> None:
    """A mapping's subflow sequence number counts from the SYN, which is 0.

    One that counts from anywhere else leads to octets that were never sent.
    """
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    rows, half = ground.mapping("row"), ground.mapping("half")
    length, sequence = ground.column("length")[rows], ground.column("sequence")[rows]
    asked = (table.octets > 0) & (table.dsn_size > 0) & (length > 0)
    at = np.flatnonzero(asked & _shaken(context)[half] & context.in_use[rows])
    start, end = table.start[at], table.start[at] + table.octets[at]
    here = (start < sequence[at] + length[at]) & (end > sequence[at])
    nowhere = np.flatnonzero(~here)
    nowhere = nowhere[~_carried(context, half[at[nowhere]], start[nowhere], end[nowhere])]
    unmapped = ground.column("kind")[rows[at]] & UNMAPPED > 0
    isn = column(context.trace.wire.halves["isn"]).astype(np.int64)[half[at]]
    absolute = (table.ssn[at].astype(np.int64) - isn - sequence[at]) & LOW_32 == 0
    sure = placed(context)[half[at]]
    bad = sure & (start == 0)
    certain = bad.copy()
    bad[nowhere] |= absolute[nowhere] | (sure & unmapped)[nowhere]
    certain[nowhere] |= absolute[nowhere]
    kept = sure | bad
    kept[nowhere] = bad[nowhere]
    at, bad, certain, absolute = at[kept], bad[kept], certain[kept], absolute[kept]

    def why(index: int) -> str:
        mapping = int(at[index])
        ssn, first = int(table.ssn[mapping]), int(sequence[mapping])
        text = f"the mapping begins at subflow sequence number {ssn}, its segment at {first}"
        if start[kept][index] == 0:
            return f"{text}; the SYN has the number 0"
        if absolute[index]:
            return f"{text}, which is {ssn} in its TCP header"
        return f"{text}, and no octet that it covers was sent"

    missing = f"they may follow later; {INCOMPLETE}"
    context.swept(RELATIVE, rows[at], bad, why, certain=certain, missing=missing)


def _carried(context: Context, half: Array, start: Array, end: Array) -> Mask:
    """Whether any payload in the capture lies in each of these ranges of halves."""
    import numpy as np

    found = np.zeros(len(half), np.bool_)
    ground = context.trace.ground
    for name, mine in grouped(half):
        rows = context.sent(name)
        rows = rows[ground.column("length")[rows] > 0]
        first = ground.column("sequence")[rows]
        order = np.argsort(first, kind="stable")
        top = np.maximum.accumulate((first + ground.column("length")[rows])[order])
        before = first[order].searchsorted(end[mine])
        found[mine] = (before > 0) & (np.append(top, 0)[before - 1] > start[mine])
    return found


def applies(context: Context) -> None:
    """A mapping covers at least one octet of the segment that carries it (version 1).

    Pieces of one segment, which an interface has cut, each carry its option: they count together.
    """
    ground = context.trace.ground
    rows, mapping = _ill_applied(context)
    sequence, length, start, end = _ranges(context, rows, mapping)
    half = ground.column("half")[rows]
    bad = ~_touches(context, rows, sequence, length, start, end)
    known = (length == 0) | placed(context)[half] | (_shaken(context)[half] & bad)
    why = "which octets its mappings cover is not certain: its SYN is missing, or had data"
    hide(context, APPLIES, rows[~known], why)
    apart = known & bad & (length > 0)
    apart[apart] = _cut(context, rows[apart], start[apart], end[apart])
    hide(
        context, APPLIES, rows[apart], "an interface may have cut a segment, and copied its option"
    )
    known &= ~apart
    rows, bad, empty = rows[known], bad[known], length[known] == 0
    certain = empty.copy()
    certain[bad] |= at_sender(context, rows[bad], whole=True)
    mapped = start[known], end[known]
    carried = sequence[known], sequence[known] + length[known]

    def why_bad(index: int) -> str:
        text = f"it maps the subflow's octets [{mapped[0][index]}, {mapped[1][index]})"
        if empty[index]:
            return f"{text}, and carries none"
        return f"{text}, and carries [{carried[0][index]}, {carried[1][index]})"

    missing = "whoever cut or joined segments on their way may have put the option there"
    context.swept(APPLIES, rows, bad, why_bad, certain=certain, missing=missing)


def _ill_applied(context: Context) -> tuple[Array, Array]:
    """Segments that may carry no octet of a mapping of theirs, and that mapping.

    Most carry one, certainly: these are counted here, block by block. A segment with more than one
    mapping is among those given.
    """
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    own, row = ground.column("mapping"), ground.mapping("row")
    asked = (table.octets > 0) & (table.dsn_size > 0) & context.in_use[row]
    asked[asked] = (versions(context) == 1)[ground.direction[row[asked]]]
    sure = placed(context)
    second = np.flatnonzero(asked & (own[row] != np.arange(len(table))))
    odd = [(row[second], second)]
    for block in blocks(len(own)):
        rows = block.start + np.flatnonzero((own[block] >= 0) & context.in_use[block])
        mapping = own[rows]
        if not (mine := asked[mapping]).all():
            rows, mapping = rows[mine], mapping[mine]
        fine = sure[ground.column("half")[rows]]
        fine &= _touches(context, rows, *_ranges(context, rows, mapping))
        keep(context, APPLIES, rows[fine])
        odd.append((rows[~fine], mapping[~fine]))
    return np.concatenate([each for each, _ in odd]), np.concatenate([each for _, each in odd])


def _ranges(context: Context, rows: Array, mapping: Array) -> tuple[Array, Array, Array, Array]:
    """First octet and length of segments, and the octets ``[start, end)`` of their mappings."""
    ground, table = context.trace.ground, context.trace.mappings
    start = table.start[mapping]
    length = ground.column("length")[rows]
    return ground.column("sequence")[rows], length, start, start + table.octets[mapping]


def _touches(
    context: Context, rows: Array, sequence: Array, length: Array, start: Array, end: Array
) -> Mask:
    """Which segments carry an octet of ``[start, end)``, by all that is known of their SYNs."""
    import numpy as np

    if context.trace.plane.offered:
        slack = np.zeros(context.trace.wire.halves.rows, np.int64)
        slack[list(context.trace.plane.offered)] = list(context.trace.plane.offered.values())
        spare = slack[context.trace.ground.column("half")[rows]]
        start, end = start - spare, end + spare
    found: Mask = (length > 0) & (start < sequence + length) & (end > sequence)
    return found


def _cut(context: Context, rows: Array, start: Array, end: Array) -> Mask:
    """Which of these segments may be pieces of one that carried octets of ``[start, end)``.

    Such pieces follow each other in the capture, lie side by side, and have one option.
    """
    import numpy as np

    if not len(rows):
        return np.zeros(0, np.bool_)
    ground = context.trace.ground
    halves = ground.column("half")
    near = np.flatnonzero(np.isin(halves, halves[rows]) & ~ground.duplicate)
    near = near[np.argsort(halves[near], kind="stable")]
    half, mapping, length = (
        halves[near],
        ground.column("mapping")[near],
        ground.column("length")[near],
    )
    first = ground.column("sequence")[near]
    last = first + length
    beside = (last[:-1] == first[1:]) | (last[1:] == first[:-1])
    alike = (half[:-1] == half[1:]) & (mapping[:-1] == mapping[1:])
    begins = np.flatnonzero(
        np.append(True, ~(beside & alike & (length[:-1] > 0) & (length[1:] > 0)))
    )
    low, high = np.minimum.reduceat(first, begins), np.maximum.reduceat(last, begins)
    place = np.zeros(len(halves), np.int64)
    place[near] = begins.searchsorted(np.arange(len(near)), side="right") - 1
    found: Mask = (low[place[rows]] < end) & (high[place[rows]] > start)
    return found


def urgent(context: Context) -> None:
    """An urgent octet inside a mapping is one of its octets.

    Where it is none, the mapping ends one octet before the payload that it was made for.
    """
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    own = ground.column("mapping")
    rows = np.flatnonzero((ground.column("flags") & URG > 0) & (own >= 0))
    rows = rows[context.in_use[rows] & _shaken(context)[ground.column("half")[rows]]]
    rows = few(ground.direction[rows], rows, MOST)
    rows = rows[np.array([_inside(context, row) for row in rows.tolist()], np.bool_)]
    short = np.array([_cut_short(context, row) for row in rows.tolist()], np.bool_)
    certain = np.zeros(len(rows), np.bool_)
    certain[short] = at_sender(context, rows[short], whole=True)

    def why(index: int) -> str:
        octets, row = int(table.octets[own[rows[index]]]), int(rows[index])
        return (
            f"octet {context.integrity.urgent(row)} of {ground.column('length')[row]} is urgent, "
            f"and the mapping, of {octets} octets, ends one before the last: it does not count it"
        )

    missing = f"another mapping may cover the last octet; {INCOMPLETE}"
    context.swept(URGENT, rows, short, why, certain=certain, missing=missing)


def _left(context: Context, row: int) -> list[int]:
    """Octets of a segment's own mapping from its first octet on; none if it lies elsewhere.

    Two numbers are possible where subflow sequence numbers may count data of the SYN or not.
    """
    ground, table = context.trace.ground, context.trace.mappings
    mapping, half = int(ground.column("mapping")[row]), context.half(row)
    subflow, role = sender(context, half)
    accepted, octets = subflow.syn_data[role], int(table.octets[mapping])
    first, found = int(ground.column("sequence")[row]), []
    for shift in sorted({0, accepted}):
        before = (first - shift - int(table.ssn[mapping])) & LOW_32
        # Data of the SYN has no mapping.
        if before < octets and first - before > accepted:
            found.append(octets - before)
    return found


def _inside(context: Context, row: int) -> bool:
    """Whether the urgent octet of a segment is one that its own mapping covers."""
    pointer = context.integrity.urgent(row) or 0
    return 0 < pointer <= max(_left(context, row), default=0)


def _cut_short(context: Context, row: int) -> bool:
    """Whether a segment's own mapping ends one octet before its payload, and none goes on there."""
    ground, table = context.trace.ground, context.trace.mappings
    mapping, length = int(ground.column("mapping")[row]), int(ground.column("length")[row])
    after = int(table.ssn[mapping]) + int(table.octets[mapping])
    goes_on = (after - table.ssn.astype("int64")) & LOW_32 < table.octets
    goes_on &= ground.mapping("half") == context.half(row)
    return max(_left(context, row), default=0) == length - 1 and not goes_on.any()


RULES = (
    Rule(requirements=(CHANGED,), sweep=changed),
    Rule(requirements=(RELATIVE,), sweep=relative),
    Rule(requirements=(APPLIES,), sweep=applies, versions=(1,)),
    Rule(requirements=(URGENT,), sweep=urgent),
)
