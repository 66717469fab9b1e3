"""Fallback: how and where a connection became plain TCP (RFC 8684 section 3.7).

A missing option proves nothing, for the frame that had it may be missing; what suffices is in
docs/decisions/0007-proof.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.analysis.connections import Assembly
from mptcp_oracle.analysis.dataplane import CLASSES, DataPlane
from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.signals import RST, SYN, Signals
from mptcp_oracle.options import Dss

__all__ = ["fallback_of", "lone_subflow"]

#: Bit of a segment's ``kind``: octets under no mapping, for the first time.
UNMAPPED = 1 << CLASSES.index("unmapped")
#: Bits of a half's ``mptcp`` that a DSS sets.
NUMBERED = 0x1E
#: Bits of a segment's ``flags``: captured twice; options cut by the snap length; MPTCP seen.
DUPLICATE, OPTIONS_CUT, HAS_MPTCP = 0x0200, 0x0400, 0x8000
#: Segments looked at, from a handshake on, for the first one of a host.
MOST_LOOKED_AT = 512
#: Segments looked at for payload that a SYN had as well.
MOST_SEARCHED = 4096


def fallback_of(
    build: Assembly, signals: Signals, plane: DataPlane, connection: Connection
) -> tuple[str, str, int | None] | None:
    """Whether, how and where the connection became plain TCP (RFC 8684 section 3.7)."""
    frame = plane.wire.segments["frame"]
    initial = connection.initial
    if initial is not None:
        fell = _handshake_fallback(build, plane, initial)
        if fell is not None:
            return fell
    row = _infinite(signals, connection)
    if row is not None:
        return ("infinite_mapping", "an infinite mapping was declared", frame[row])
    lone = lone_subflow(connection)
    if lone is None or connection.id < 0:
        return None
    rows = [row for role in (0, 1) if (row := _plain_begin(plane, lone, role)) is not None]
    if rows:
        return ("no_mapping", "the first payload has no mapping, and no MPTCP came after",
                frame[min(rows)])  # fmt: skip
    rows = [row for half in lone.halves if (row := _plain_from(plane, lone, half)) is not None]
    if rows:
        return ("no_mapping", "payload without a mapping, and no MPTCP after", frame[min(rows)])
    return None


def _infinite(signals: Signals, connection: Connection) -> int | None:
    """The row of the first infinite mapping (RFC 8684 section 3.7)."""
    rows = []
    for subflow in connection.subflows:
        for raw in signals.of(subflow.stream, 2):
            option = raw.decode(connection.version)
            if isinstance(option, Dss) and option.dll == 0 and not option.data_fin:
                rows.append(raw.row)
                break
    return min(rows, default=None)


def _plain_begin(plane: DataPlane, initial: Subflow, role: int) -> int | None:
    """The row of a host's very first payload, if that is plain TCP and was acknowledged.

    There is no hole before it in which a mapping could be. What has no option may still have been
    sent with one, which a middlebox removed: then its receiver resets the subflow and acknowledges
    nothing, unless it falls back.
    """
    half, rows = initial.halves[role], plane.wire.segments
    first = 1 + initial.syn_data[role]
    if plane.isn_from[half] not in (1, 2, 3) or plane.acked[half] <= first:
        return None
    begin, sequence = plane.fresh_first[half], rows["sequence"]
    again = _sent_again(plane, half, first)
    if again is not None:
        return again if _is_plain(plane, half, again) else None
    candidates = plane.gap_fillers().get(half, [])
    for at in range(begin, begin + plane.fresh_count[half]):
        # Only what a SYN carried can lie before it.
        if sequence[plane.fresh[at]] >= first:
            candidates = [plane.fresh[at], *candidates]
            break
    for row in candidates:
        new = sequence[row] == first and rows["kind"][row] & UNMAPPED
        if new and _is_plain(plane, half, row):
            return row
    return None


def _is_plain(plane: DataPlane, half: int, row: int) -> bool:
    """Whether a segment has no option of MPTCP, and nothing of its sender has one after it."""
    flags = plane.wire.segments["flags"][row]
    return not flags & (SYN | OPTIONS_CUT | HAS_MPTCP) and plane.mptcp_row[half] < row


def _sent_again(plane: DataPlane, half: int, first: int) -> int | None:
    """The row of a host's first payload, if a SYN had that, too, and did not get it accepted."""
    for row, low, _ in _of_syn(plane, half, first):
        if low == first:
            plain = _mapped_from(plane, row, first) == first
            return row if plane.wire.segments["sequence"][row] == first and plain else None
    return None


def _unmapped_again(plane: DataPlane, half: int, first: int) -> int:
    """The row of the first payload that a SYN had as well, and that no mapping covers; or -1."""
    for row, low, high in _of_syn(plane, half, first):
        if _mapped_from(plane, row, low) < high:
            return row
    return -1


def _of_syn(plane: DataPlane, half: int, first: int) -> Iterator[tuple[int, int, int]]:
    """Rows with payload that a SYN had behind what was accepted of it, and which octets these are.

    What was not accepted is sent again, so that it is new to nobody but the other host.
    """
    end = plane.offered.get(half, 0) + 1
    if end <= first:
        return
    rows = plane.wire.segments
    halves, flags, sequence, length = rows.of("half", "flags", "sequence", "length")
    begin = max(plane.wire.halves["first_row"][half], plane.first_rows()[half])
    for row in range(begin, min(rows.rows, begin + MOST_SEARCHED)):
        if halves[row] == half and not flags[row] & (SYN | RST | DUPLICATE):
            low, high = max(sequence[row], first), min(sequence[row] + length[row], end)
            if low < high:
                yield row, low, high


def _mapped_from(plane: DataPlane, row: int, low: int) -> int:
    """Up to where mappings cover a segment's payload from an octet on; that octet if none does."""
    piece = plane.wire.segments["piece"][row]
    last = plane.piece_first[plane.wire.segments["half"][row] + 1]
    starts, ends = plane.pieces.of("start", "end")
    while 0 <= piece < last and starts[piece] <= low:
        low = max(low, ends[piece])
        piece += 1
    return low


def _plain_from(plane: DataPlane, lone: Subflow, half: int) -> int | None:
    """The row from which on a host sends plain TCP, if all of its payload is in the capture.

    The other host goes along: it acknowledges that, and sends no MPTCP any more.
    """
    if plane.isn_from[half] not in (1, 2, 3):
        return None
    first = 1 + lone.syn_data[lone.halves.index(half)]
    again = _unmapped_again(plane, half, first)
    found = [each for each in (plane.unmapped_row[half], again) if each >= 0]
    if not found:
        return None
    rows, row = plane.wire.segments, min(found)
    flags = rows["flags"]
    if (
        plane.block_low[half] > first
        or plane.acked[half] <= rows["sequence"][row]
        or plane.mptcp_row[half ^ 1] >= row
        or plane.mptcp_row[half] >= row
        or flags[row] & OPTIONS_CUT
    ):
        return None
    # Options that were cut, or not understood, may have said more of what has no mapping before.
    begin = plane.fresh_first[half]
    carried = plane.fresh[begin : begin + plane.fresh_count[half]]
    before = (each for each in (*carried, *plane.gap_fillers().get(half, ())) if each < row)
    unmapped = any(rows["kind"][each] & UNMAPPED and not flags[each] & SYN for each in before)
    return None if unmapped else row


def lone_subflow(connection: Connection) -> Subflow | None:
    """The only subflow that was ever established; with more, no fallback is possible."""
    lone = [flow for flow in connection.subflows if flow.established]
    return lone[0] if len(lone) == 1 else None


def _handshake_fallback(
    build: Assembly, plane: DataPlane, initial: Subflow
) -> tuple[str, str, int | None] | None:
    """Fallback before any data: an MP_CAPABLE is missing in the SYN/ACK or after it."""
    shake, wire = build.shakes[initial.stream], build.wire
    frame, flags = wire.segments["frame"], wire.segments["flags"]
    own = initial.halves[0]
    if shake.ack is not None or wire.halves["mptcp"][own] & NUMBERED:
        return None
    if shake.synack is None:
        plain = shake.plain_synack
        if plain is None:
            return None
        given_up = shake.plain_syn
        if given_up is not None:
            return ("syn", "the initiator sent its SYN again without MP_CAPABLE", frame[given_up])
        return ("synack", "the SYN/ACK has no MP_CAPABLE", frame[plain])
    row = _first_segment(plane, initial)
    if row is None or flags[row] & (OPTIONS_CUT | HAS_MPTCP) or plane.mptcp_row[own] > row:
        return None
    # The true third packet may be missing: the first payload shows that it was plain TCP.
    if _plain_begin(plane, initial, 0) is None and _plain_begin(plane, initial, 1) is None:
        return None
    return ("third_packet", "the third packet has no MP_CAPABLE", frame[row])


def _first_segment(plane: DataPlane, initial: Subflow) -> int | None:
    """The initiator's first segment that is neither SYN nor RST."""
    rows = plane.wire.segments
    half, flags = rows.of("half", "flags")
    own = initial.halves[0]
    first, last = (plane.wire.halves[name][own] for name in ("first_row", "last_row"))
    for row in range(max(first, 0), min(last + 1, first + MOST_LOOKED_AT)):
        if half[row] == own and not flags[row] & (SYN | RST | DUPLICATE):
            return row
    # Many connections at once lie between a SYN and what follows it: one pass for all of them.
    found = plane.first_rows()[own] if last >= first + MOST_LOOKED_AT else -1
    return found if found >= 0 else None
