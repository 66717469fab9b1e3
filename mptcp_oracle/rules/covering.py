"""Payload and the mappings that cover it (RFC 8684 sections 3.3.1 and 3.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.dataplane import CLASSES
from mptcp_oracle.analysis.parts import column
from mptcp_oracle.constants import Subtype
from mptcp_oracle.options import MpFail
from mptcp_oracle.rules.case import INCOMPLETE
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.ledger import Finding
from mptcp_oracle.rules.placing import placed
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import (
    at_sender,
    few,
    hide,
    keep,
    sender,
    versions,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["RULES"]

COVERED = "8684-3.3.1-payload-covered-by-mapping"
EVERY = {1: "8684-3.7-mapping-in-every-segment", 0: "6824-3.6-mapping-until-data-ack"}

SYN, RST = 0x02, 0x04
#: Bit of the ``dss`` column: a mapping.
MAPPED = 0x04
#: Bits of the ``kind`` column.
UNMAPPED, AGAIN = (1 << CLASSES.index(name) for name in ("unmapped", "tcp_retransmission"))
#: Codes of a half whose SYN, or the SYN/ACK to it, is in the capture.
FROM_START = (1, 2)
#: Nanoseconds, and round trips, in which a mapping may still come after an acknowledgment.
GRACE, TRIPS = 1_000_000_000, 3
#: Segments of one direction that are looked at one by one.
MOST = 64


def covered(context: Context) -> None:
    """Payload that a subflow's ACK covers gets a mapping while MPTCP is in use."""
    import numpy as np

    ground = context.trace.ground
    length, kind = ground.column("length"), ground.column("kind")
    used = context.in_use & (length > 0) & (ground.column("flags") & (SYN | RST) == 0)
    bare = kind & UNMAPPED > 0
    keep(context, COVERED, np.flatnonzero(used & ~bare))
    rows = np.flatnonzero(used & bare)
    known = placed(context)[ground.column("half")[rows]] & ~_cut(context, rows)
    hide(context, COVERED, rows[~known], "mappings, or which octets they cover, are not all known")
    rows = rows[known]
    rows = few(ground.direction[rows], rows, MOST)
    whole = at_sender(context, rows, whole=True)
    for row, certain in zip(rows.tolist(), whole.tolist(), strict=True):
        _uncovered(context, row, certain)


def _cut(context: Context, rows: Array) -> Mask:
    """Which segments are of a subflow of which some TCP options are not in the capture."""
    import numpy as np

    streams = context.trace.ground.column("half")[rows] >> 1
    return np.isin(streams, np.array([*context.cut], np.int64))


def _uncovered(context: Context, row: int, certain: bool) -> None:
    """Judge one segment with payload of which no mapping in the capture covers all."""
    ground, rows = context.trace.ground, context.trace.wire.segments
    half, direction = rows["half"][row], int(ground.direction[row])
    subflow, _ = sender(context, half)
    octet = _first_bare(context, row)
    if octet >= rows["sequence"][row] + rows["length"][row]:
        # Its mapping is there, and so far from all others that nothing counts under it.
        return
    ack = _first_ack(context, half, octet)
    if ack is None:
        why = "payload without a mapping is not acknowledged"
        context.ledger.unseen(COVERED, direction, why, rows=(row,))
        return
    mptcp = context.trace.plane.mptcp_row
    if mptcp[half] < row and mptcp[half ^ 1] <= ack:
        why = "neither host sends an option of MPTCP after payload without a mapping: a fallback"
        context.ledger.unseen(COVERED, direction, why, rows=(row, ack))
        return
    last = max(context.trace.wire.halves["last_row"][each] for each in subflow.halves)
    grace = GRACE + TRIPS * subflow.round_trip
    if rows["time"][last] - rows["time"][ack] < grace:
        why = "the capture ends soon after payload without a mapping was acknowledged"
        context.ledger.unseen(COVERED, direction, why, rows=(row, ack))
        return
    text = (
        f"the subflow's octet {octet} has no mapping, and was acknowledged in frame "
        f"{context.frame(ack)}"
    )
    if not certain or _failed(context, direction):
        lack = INCOMPLETE if not certain else "an MP_FAIL may have ended the use of MPTCP"
        finding = Finding((row, ack), f"{text}; {lack}", subflow.id)
        context.ledger.doubt(COVERED, direction, finding)
        return
    context.wrong(COVERED, direction, (row, ack), text, subflow=subflow.id)


def _first_bare(context: Context, row: int) -> int:
    """The first octet of a segment that no mapping covers."""
    from bisect import bisect_right

    plane, rows = context.trace.plane, context.trace.wire.segments
    half, octet = rows["half"][row], rows["sequence"][row]
    low, high = plane.pieces.of("start", "end")
    begin, end = plane.piece_first[half], plane.piece_first[half + 1]
    at = bisect_right(high, octet, begin, end)
    while at < end and low[at] <= octet:
        octet, at = high[at], at + 1
    return int(octet)


def _first_ack(context: Context, half: int, octet: int) -> int | None:
    """The row of the first segment by which the other host acknowledges an octet of a half."""
    ground, rows = context.trace.ground, context.sent(half ^ 1)
    mine = (ground.relative_ack[rows] > octet) & (ground.column("flags")[rows] & RST == 0)
    return int(rows[mine.argmax()]) if mine.any() else None


def _failed(context: Context, direction: int) -> bool:
    """Whether a connection has an MP_FAIL anywhere."""
    connection = context.connections[direction >> 1]
    options = context.trace.signals.options
    return any(
        isinstance(raw.decode(connection.version), MpFail)
        for subflow in connection.subflows
        for raw in options.get(subflow.stream, ())
    )


def every_segment(context: Context) -> None:
    """Until a DATA_ACK for data comes on a subflow, all of its payload has a mapping beside it.

    It need not be for data of this subflow: the fourth packet of a join may have one. A DATA_ACK
    of the IDSN alone acknowledges nothing.
    """
    import numpy as np

    ground, version = context.trace.ground, versions(context)
    half, dss, length, flags = (ground.column(name) for name in ("half", "dss", "length", "flags"))
    acked = np.array(context.first_of(context.in_use & (ground.column("data_ack") > 1)))
    confirmed = acked.reshape(-1, 2)[:, ::-1].reshape(-1)
    before = slice(int(confirmed.max(initial=0)))
    mine = context.in_use[before] & (length[before] > 0) & (flags[before] & (SYN | RST) == 0)
    rows = np.flatnonzero(mine)
    rows = rows[rows < confirmed[half[rows]]]
    bad = dss[rows] & MAPPED == 0
    known = np.isin(column(context.trace.plane.isn_from)[half[rows]], FROM_START)
    # A probe of an idle connection repeats one octet, or has one that was never sent.
    probe = (length[rows] == 1) & (
        (ground.column("kind")[rows] & AGAIN > 0) | (ground.column("sequence")[rows] < 1)
    )
    goes_on = column(context.trace.plane.mptcp_row)[half[rows]] >= rows
    cut = bad & _cut(context, rows)
    for each, requirement in EVERY.items():
        hidden = rows[cut]
        hidden = hidden[version[ground.direction[hidden]] == each]
        hide(context, requirement, hidden, "not all TCP options are in the capture")
    kept = ~bad | (goes_on & ~probe & ~cut)
    wrong = np.flatnonzero(kept & bad)
    kept[wrong[_given_up(context, rows[wrong])]] = False
    rows, bad, known = rows[kept], bad[kept], known[kept]
    certain = np.zeros(len(rows), np.bool_)
    certain[bad] = known[bad] & at_sender(context, rows[bad], whole=True)
    for each, requirement in EVERY.items():
        mine = version[ground.direction[rows]] == each
        chosen = rows[mine]
        context.swept(
            requirement,
            chosen,
            bad[mine],
            "its payload has no mapping, and no DATA_ACK came on the subflow before it",
            certain=certain[mine],
            missing=INCOMPLETE,
        )


def _given_up(context: Context, rows: Array) -> Mask:
    """Segments before which MPTCP had failed on their subflow, so that their sender may be plain.

    An MP_FAIL of either host was there, or payload of the other one without any mapping.
    """
    import numpy as np

    trace = context.trace
    half = trace.ground.column("half")[rows]
    never = trace.wire.segments.rows
    plain = column(trace.plane.unmapped_row)[half ^ 1].astype(np.int64)
    found: Mask = (plain >= 0) & (plain < rows)
    first = {
        stream: next((raw.row for raw in trace.signals.of(stream, Subtype.MP_FAIL)), never)
        for stream in set((half >> 1).tolist())
    }
    failed = np.array([first[stream] for stream in (half >> 1).tolist()], np.int64)
    found |= failed < rows
    return found


RULES = (
    Rule(requirements=(COVERED,), sweep=covered),
    Rule(requirements=tuple(EVERY.values()), sweep=every_segment),
)
