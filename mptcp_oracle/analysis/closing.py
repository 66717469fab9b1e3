"""How subflows and connections ended: FIN and RST, DATA_FIN, fast close, fallback.

Runs after the data plane, whose relative numbers it needs. See RFC 8684 sections 3.3.3 (closing),
3.5 (fast close), 3.6 (reset) and 3.7 (fallback).
"""

from __future__ import annotations

from mptcp_oracle.analysis.connections import Assembly
from mptcp_oracle.analysis.dataplane import CLASSES, DataPlane, Trigger, signed64
from mptcp_oracle.analysis.entities import (
    ROLES,
    Connection,
    DataFin,
    Host,
    Mismatch,
    Subflow,
    SubflowEnd,
)
from mptcp_oracle.analysis.signals import FIN, RST, SYN, Raw, Signals
from mptcp_oracle.options import Dss, MpTcprst

__all__ = ["close", "end_subflow", "lone_subflow"]

MASK = 0xFFFFFFFFFFFFFFFF
#: Bit of a segment's ``kind``: octets under no mapping, for the first time.
UNMAPPED = 1 << CLASSES.index("unmapped")
#: Bits of a half's ``mptcp`` that a DSS sets, and those that a DATA_ACK sets.
NUMBERED = 0x1E
ACKNOWLEDGED = 0x14
#: Bits of a segment's ``flags``: captured twice; options cut by the snap length; MPTCP seen.
DUPLICATE, OPTIONS_CUT, HAS_MPTCP = 0x0200, 0x0400, 0x8000
#: How an initial sequence number is known, by the data plane's code.
_ISN_FROM = (None, "handshake", "handshake", "handshake", "mappings")
#: Nanoseconds after a RST in which its sender's other segments may still be captured late.
LATE = 1_000_000_000
#: Octets beyond the highest one sent from which a RST is certainly outside the window.
BEYOND = 1 << 20
#: Segments looked at, from a handshake on, for the first one of a host.
MOST_LOOKED_AT = 512


def close(build: Assembly, signals: Signals, plane: DataPlane, connection: Connection) -> None:
    """Fill in how a connection and its subflows ended, and check its first mappings."""
    index = plane.direction[connection.subflows[0].halves[0]] >> 1
    for subflow in connection.subflows:
        first, second = (_ISN_FROM[plane.isn_from[half]] for half in subflow.halves)
        subflow.isn_from = (first, second)
    for role in (0, 1):
        _data_fin(plane, signals, connection, role, 2 * index + role)
        _first_mapping(plane, connection, role)
    _settle(build, signals, plane, connection)


def end_subflow(
    build: Assembly, signals: Signals, connection: Connection, subflow: Subflow
) -> list[Trigger]:
    """FIN by both sides, by one, or a RST, with its MP_TCPRST reason.

    Needs no numbers of the data plane, and runs before it.

    Returns:
        What the classifier has to know: a FIN ends its sender's half, a RST both.
    """
    frame = build.wire.segments["frame"]
    triggers: list[Trigger] = []
    fins: dict[int, int] = {}
    for raw in signals.events.get(subflow.stream, ()):
        role = subflow.halves.index(raw.half)
        by = subflow.role_name(role)
        if raw.flags & RST and len(fins) < 2:
            if _went_on(build, raw):
                text = "a RST after which its sender went on: forged, or of another stream"
                connection.note("reset-without-effect", text, frame[raw.row])
                continue
            reason = None
            for option in signals.of(subflow.stream, 8):
                if option.row == raw.row:
                    value = option.decode(connection.version)
                    reason = value.reason if isinstance(value, MpTcprst) else None
            subflow.end = SubflowEnd(how="reset", by=by, reason=reason, frame=frame[raw.row])
            triggers += [Trigger(row=raw.row, half=half, kind="end") for half in subflow.halves]
            return triggers
        if raw.flags & FIN:
            triggers.append(Trigger(row=raw.row, half=raw.half, kind="end"))
            fins.setdefault(role, raw.row)
            if subflow.end is None:
                subflow.end = SubflowEnd(how="half_fin", by=by, reason=None, frame=frame[raw.row])
    if len(fins) == 2 and subflow.end is not None:
        subflow.end = SubflowEnd(how="fin", by=subflow.end.by, reason=None, frame=subflow.end.frame)
    return triggers


def _went_on(build: Assembly, raw: Raw) -> bool:
    """Whether the sender of a RST sent on as if there had been none."""
    rows, halves = build.wire.segments, build.wire.halves
    last = halves["last_row"][raw.half]
    if rows["flags"][last] & RST or last <= raw.row:
        return False
    # Far beyond anything it sent is outside any window (RFC 9293 section 3.10.7.4).
    beyond = rows["sequence"][raw.row] - halves["top"][raw.half]
    return beyond > BEYOND or rows["time"][last] - rows["time"][raw.row] > LATE


def _data_fin(
    plane: DataPlane, signals: Signals, connection: Connection, role: int, direction: int
) -> None:
    """The first DATA_FIN of a direction, and whether it was acknowledged."""
    rows, mptcp = plane.wire.segments, plane.wire.halves["mptcp"]
    host = connection.hosts[role]
    first = None
    for subflow in connection.subflows:
        half = subflow.halves[role]
        for raw in signals.of(subflow.stream, 2):
            if raw.half != half or (first is not None and raw.row >= first[0]):
                continue
            option = raw.decode(connection.version)
            if isinstance(option, Dss) and option.data_fin and option.dsn is not None:
                first = (raw.row, option)
                break
    if any(mptcp[subflow.halves[1 - role]] & ACKNOWLEDGED for subflow in connection.subflows):
        host.acknowledged = plane.dack_top[direction]
    if first is None:
        return
    row, option = first
    relative = _relative(plane, option, direction, row)
    dsn = relative + max(option.dll or 1, 1) - 1
    host.data_fin = DataFin(
        frame=rows["frame"][row], dsn=dsn, acknowledged=plane.dack_top[direction] > dsn
    )


def _relative(plane: DataPlane, option: Dss, direction: int, row: int) -> int:
    """The relative DSN of an option, by the data plane's own reading of its mapping."""
    maps = plane.wire.mappings
    at = plane.wire.segments["mapping"][row]
    if at >= 0 and maps["ssn"][at] == option.ssn and maps["length"][at] == option.dll:
        return maps["dsn"][at]
    return signed64((option.dsn or 0) - plane.base[direction])


def _first_mapping(plane: DataPlane, connection: Connection, role: int) -> None:
    """The first octet of the initial subflow has DSN IDSN + 1 (RFC 8684 section 3.1)."""
    initial = connection.initial
    host = connection.hosts[role]
    if initial is None or host.idsn is None:
        return
    half = initial.halves[role]
    start, end, of = plane.pieces.of("start", "end", "map")
    maps, first = plane.wire.mappings, plane.piece_first[half]
    if first == plane.piece_first[half + 1] or plane.isn_from[half] not in (1, 2, 3):
        return
    mapping = of[first]
    if start[first] > 1 + initial.syn_data[role] or end[first] <= 1:
        return
    seen = maps["dsn"][mapping] + (1 + initial.syn_data[role] - maps["start"][mapping])
    short = not maps["flags"][mapping] & 0x48
    if seen == 1 or _named(connection, host):
        return
    if short and (seen - 1) & 0xFFFFFFFF == 0:
        return
    frame = plane.wire.segments["frame"][maps["row"][mapping]]
    if seen > 1:
        # What lies before may have gone over another subflow, in the capture or not.
        if len(connection.subflows) == 1:
            text = f"the {host.role}'s first octet here is DSN IDSN + {seen}, not IDSN + 1"
            connection.note("late-first-dsn", text, frame)
        return
    shown = (plane.base[2 * _index(plane, initial) + role] + seen - 1) & MASK
    connection.mismatches.append(
        Mismatch(
            what="idsn",
            host=host.role,
            frame=frame,
            expected=f"{host.idsn:016x}",
            seen=f"{shown:016x}" if not short else f"{shown & 0xFFFFFFFF:08x}",
            why="the first octet of the initial subflow is mapped before IDSN + 1",
            section="3.1",
        )
    )


def _named(connection: Connection, host: Host) -> bool:
    """Whether the IDSN of a host is already called wrong."""
    return any(found.what == "idsn" and found.host == host.role for found in connection.mismatches)


def _index(plane: DataPlane, subflow: Subflow) -> int:
    return plane.direction[subflow.halves[0]] >> 1


def _settle(build: Assembly, signals: Signals, plane: DataPlane, connection: Connection) -> None:
    """The state of the connection at the end of the capture."""
    if connection.state == "fast_closed":
        return
    fins = [host.data_fin for host in connection.hosts]
    if fins[0] is not None and fins[1] is not None and all(f and f.acknowledged for f in fins):
        connection.state = "closed"
        connection.why = "DATA_FINs exchanged and acknowledged"
        connection.state_frame = max(fin.frame for fin in fins if fin is not None)
        return
    fell = _fallback(build, signals, plane, connection)
    if fell is not None:
        connection.state, connection.fallback = "fallback", fell[0]
        connection.why, connection.state_frame = fell[1], fell[2]
    elif _unanswered(build, connection):
        connection.state = "timed_out"
        connection.why = "the SYN was never answered"
    else:
        connection.why = _open_because(connection)


def _open_because(connection: Connection) -> str:
    """What is missing for a connection that did not close."""
    sent = [ROLES[i] for i, host in enumerate(connection.hosts) if host.data_fin is not None]
    if len(sent) == 2:
        return "a DATA_FIN is not acknowledged in the capture"
    if sent:
        return f"only the {sent[0]} has sent a DATA_FIN"
    if connection.subflows and all(flow.end is not None for flow in connection.subflows):
        return "every subflow ended without a DATA_FIN exchange"
    return "no DATA_FIN in the capture"


def _unanswered(build: Assembly, connection: Connection) -> bool:
    """Whether there is nothing but the initiator's SYNs, and perhaps its RST."""
    initial = connection.initial
    if initial is None or len(connection.subflows) > 1:
        return False
    shake = build.shakes[initial.stream]
    heard = build.wire.halves["count"][initial.halves[1]]
    return shake.syn_row is not None and not heard and not shake.begun


def _fallback(
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
    begin = plane.fresh_first[half]
    candidates = [*plane.fresh[begin : begin + min(1, plane.fresh_count[half])]]
    candidates += plane.gap_fillers().get(half, [])
    for row in candidates:
        flags = rows["flags"][row]
        if (
            rows["sequence"][row] == first
            and rows["kind"][row] & UNMAPPED
            and not flags & (SYN | OPTIONS_CUT | HAS_MPTCP)
            and plane.mptcp_row[half] < row
        ):
            return row
    return None


def _plain_from(plane: DataPlane, lone: Subflow, half: int) -> int | None:
    """The row from which on a host sends plain TCP, if all of its payload is in the capture.

    The other host goes along: it acknowledges that, and sends no MPTCP any more.
    """
    rows, row = plane.wire.segments, plane.unmapped_row[half]
    if row < 0 or plane.isn_from[half] not in (1, 2, 3):
        return None
    first = 1 + lone.syn_data[lone.halves.index(half)]
    whole = plane.block_low[half] <= first
    goes_along = plane.acked[half] > rows["sequence"][row] and plane.mptcp_row[half ^ 1] < row
    cut = rows["flags"][row] & OPTIONS_CUT
    return row if whole and goes_along and plane.mptcp_row[half] < row and not cut else None


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
    row = _first_segment(build, initial)
    if row is None or flags[row] & (OPTIONS_CUT | HAS_MPTCP) or plane.mptcp_row[own] > row:
        return None
    # The true third packet may be missing: the first payload shows that it was plain TCP.
    if _plain_begin(plane, initial, 0) is None and _plain_begin(plane, initial, 1) is None:
        return None
    return ("third_packet", "the third packet has no MP_CAPABLE", frame[row])


def _first_segment(build: Assembly, initial: Subflow) -> int | None:
    """The initiator's first segment that is neither SYN nor RST."""
    rows = build.wire.segments
    half, flags = rows.of("half", "flags")
    own = initial.halves[0]
    first, last = (build.wire.halves[name][own] for name in ("first_row", "last_row"))
    for row in range(max(first, 0), min(last + 1, first + MOST_LOOKED_AT)):
        if half[row] == own and not flags[row] & (SYN | RST | DUPLICATE):
            return row
    if last >= first + MOST_LOOKED_AT and not flags[last] & (SYN | RST):
        return last
    return None
