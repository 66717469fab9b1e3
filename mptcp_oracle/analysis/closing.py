"""How subflows and connections ended: FIN and RST, DATA_FIN, fast close.

Runs after the data plane, whose relative numbers it needs. See RFC 8684 sections 3.3.3 (closing),
3.5 (fast close) and 3.6 (reset); :mod:`mptcp_oracle.analysis.fallback` is section 3.7.
"""

from __future__ import annotations

from mptcp_oracle.analysis.connections import Assembly
from mptcp_oracle.analysis.dataplane import DataPlane, Trigger, signed64
from mptcp_oracle.analysis.entities import (
    ROLES,
    Connection,
    DataFin,
    Host,
    Mismatch,
    Subflow,
    SubflowEnd,
)
from mptcp_oracle.analysis.fallback import fallback_of
from mptcp_oracle.analysis.signals import FIN, RST, Raw, Signals
from mptcp_oracle.options import Dss, MpTcprst

__all__ = ["close", "end_subflow"]

MASK = 0xFFFFFFFFFFFFFFFF
#: Bits of a half's ``mptcp`` that a DATA_ACK sets.
ACKNOWLEDGED = 0x14
#: How an initial sequence number is known, by the data plane's code.
_ISN_FROM = (None, "handshake", "handshake", "handshake", "mappings")
#: Nanoseconds after a RST in which its sender's other segments may still be captured late.
LATE = 1_000_000_000
#: Octets beyond the highest one sent from which a RST is certainly outside the window.
BEYOND = 1 << 20


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
    fell = fallback_of(build, signals, plane, connection)
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
