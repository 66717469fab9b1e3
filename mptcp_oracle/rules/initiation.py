"""How a connection begins: the third packet and the first data (RFC 8684 section 3.1)."""

from __future__ import annotations

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import MpCapable, MpFail, notation
from mptcp_oracle.rules import declining, first_joins, negotiated
from mptcp_oracle.rules.case import INCOMPLETE, Case, Signal
from mptcp_oracle.rules.greeting import is_capable
from mptcp_oracle.rules.hearing import first_dss, heard_before
from mptcp_oracle.rules.lives import grace
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["RULES"]

THREE_PACKETS = "8684-3.1-capable-on-three-packets"
FIRST_ACK = "8684-3.1-first-ack-without-data"
FIRST_DATA = "8684-3.1-capable-on-first-data"
IS_MAPPING = "8684-3.1-capable-data-is-mapping"
IS_ACKNOWLEDGED = "8684-3.1-capable-data-acknowledged"

#: Bit of a mapping's flags: an MP_CAPABLE implies it.
BY_CAPABLE = 0x40
#: Mappings that are looked at for the first one of data.
MOST_LOOKED_AT = 16
#: How an initial sequence number is known: by the host's own SYN.
OWN_SYN = 1
#: Octets that a SYN can carry, at most.
MOST_ON_SYN = 0xFFFF


def beginning(case: Case) -> None:
    """What the packets show that make the initial subflow and carry its first data."""
    initial = case.initial
    if initial is None or initial.opener is None:
        return
    shake = case.shake(initial)
    _third_packet(case, initial, shake)
    first = [
        (signal, option)
        for signal, option in case.of(MpCapable)
        if option.data_length is not None and signal.subflow is initial and signal.role == 0
    ]
    begin = _data_begins(case, initial, shake)
    for signal, option in first:
        _is_mapping(case, begin, signal, option)
    _first_data(case, initial, begin, {signal.row for signal, _ in first})
    if first:
        _acknowledged(case, initial, begin, *first[0])


def _data_begins(case: Case, initial: Subflow, shake: Handshake) -> int | None:
    """The initiator's first sequence number behind its SYN and what was accepted with that."""
    plane, half = case.context.trace.plane, initial.halves[0]
    if shake.synack_row is None or plane.isn_from[half] != OWN_SYN:
        return None
    begin: int = case.columns["ack"][shake.synack_row] - case.context.trace.wire.halves["isn"][half]
    begin &= 0xFFFFFFFF
    return begin if 1 <= begin <= 1 + MOST_ON_SYN else None


def _third_packet(case: Case, initial: Subflow, shake: Handshake) -> None:
    """The initiator's first packet after the SYN/ACK has an MP_CAPABLE, if MPTCP goes on."""
    if shake.synack is None or shake.synack_row is None or shake.plain_synack is not None:
        return
    case.right(THREE_PACKETS, 1)
    plane, columns = case.context.trace.plane, case.columns
    half = initial.halves[0]
    row = plane.first_rows()[half]
    if row < 0:
        return
    asked = (THREE_PACKETS,) if columns["length"][row] else (THREE_PACKETS, FIRST_ACK)
    if any(signal.row == row and is_capable(signal) for signal in case.signals):
        for requirement in asked:
            case.right(requirement, 0)
        return
    if plane.mptcp_row[half] < row or columns["flags"][row] & FLAG_BITS["options_cut"]:
        return
    why = (
        f"the first packet after the SYN/ACK of frame {case.frame(shake.synack_row)} "
        "has no MP_CAPABLE, and MPTCP goes on"
    )
    # With its SYN in the capture, the first packet that it sent after that is there, too.
    proven = case.witnessed(initial, 0) and shake.syn_row is not None and row > shake.synack_row
    for requirement in asked:
        if proven:
            case.wrong(requirement, 0, row, why=why, subflow=initial)
        else:
            case.doubt(requirement, 0, row, why=f"{why}; {INCOMPLETE}", subflow=initial)


def _first_data(case: Case, initial: Subflow, data: int | None, capable: set[int]) -> None:
    """The first data is under an MP_CAPABLE, unless a DSS of the listener was there before it."""
    plane, maps = case.context.trace.plane, case.context.trace.wire.mappings
    half, length = initial.halves[0], case.columns["length"]
    begin, end = plane.map_first[half], plane.map_first[half + 1]
    for at in range(begin, min(end, begin + MOST_LOOKED_AT)):
        mapping = plane.map_order[at]
        row = maps["row"][mapping]
        if maps["length"][mapping] and length[row]:
            break
    else:
        return
    if row in capable:
        case.right(FIRST_DATA, 0)
        return
    if data is None or maps["start"][mapping] > data:
        case.unseen(FIRST_DATA, 0, row, why="what was sent before is not in the capture")
        return
    for subflow in case.subflows:
        heard = first_dss(case, subflow, 1)
        if heard is not None and heard_before(case, heard, row) is not False:
            return
    why = "the first data has a DSS and no MP_CAPABLE, and no DSS of the listener came before it"
    if case.witnessed(initial, 0):
        case.wrong(FIRST_DATA, 0, row, why=why, subflow=initial)
    else:
        case.doubt(FIRST_DATA, 0, row, why=f"{why}; {INCOMPLETE}", subflow=initial)


def _is_mapping(case: Case, begin: int | None, signal: Signal, option: MpCapable) -> None:
    """An MP_CAPABLE maps the first octets, by itself; segments of its mapping may repeat it."""
    row, maps = signal.row, case.context.trace.wire.mappings
    beside = case.columns["mapping"][row]
    if beside >= 0 and not maps["flags"][beside] & BY_CAPABLE:
        why = f"a DSS with a mapping beside {notation(option)}"
        case.judge(IS_MAPPING, signal, False, why)
        return
    if begin is None or not option.data_length:
        case.unseen(IS_MAPPING, 0, row, why="where the subflow begins is not in the capture")
        return
    sequence, end = case.columns["sequence"][row], begin + option.data_length
    if 1 <= sequence < end:
        case.right(IS_MAPPING, 0)
    else:
        why = (
            f"{notation(option)} maps octets up to {end - 1}, and its segment begins at {sequence}"
        )
        case.judge(IS_MAPPING, signal, False, why)


def _acknowledged(
    case: Case, initial: Subflow, begin: int | None, signal: Signal, option: MpCapable
) -> None:
    """Data under an MP_CAPABLE is DATA_ACKed like all other data."""
    octets, trace = option.data_length or 0, case.context.trace
    direction = 2 * case.number
    if trace.plane.dack_top[direction] > octets:
        case.right(IS_ACKNOWLEDGED, 1)
        return
    if begin is None or case.over is not None or not octets:
        return
    got = _subflow_acked(case, initial, begin + octets)
    if got is None:
        return
    later = _still_below(case, initial, got)
    failed = any(True for _ in case.of(MpFail)) or case.connection.checksums[1]
    if later is None or failed or trace.plane.base_from[direction] != "key":
        case.unseen(IS_ACKNOWLEDGED, 1, got, why="what became of the first data is not captured")
        return
    why = (
        f"{octets} octets under an MP_CAPABLE were acknowledged on the subflow, and the listener "
        f"went on without a DATA_ACK of IDSN + {octets + 1}"
    )
    if case.witnessed_all(1):
        case.wrong(IS_ACKNOWLEDGED, 1, signal.row, got, later, why=why, subflow=initial)
    else:
        why = f"{why}; {INCOMPLETE}"
        case.doubt(IS_ACKNOWLEDGED, 1, signal.row, got, later, why=why, subflow=initial)


def _subflow_acked(case: Case, initial: Subflow, end: int) -> int | None:
    """The row in which the listener first acknowledged the initial subflow up to a number."""
    import numpy as np

    ground = case.context.trace.ground
    rows = case.context.sent(initial.halves[1])
    found = np.flatnonzero(ground.relative_ack[rows] >= end)
    return int(rows[found[0]]) if len(found) else None


def _still_below(case: Case, initial: Subflow, got: int) -> int | None:
    """The row of the listener's last DATA_ACK, if it came long after a row."""
    import numpy as np

    ground = case.context.trace.ground
    last: int | None = None
    for subflow in case.subflows:
        rows = case.context.sent(subflow.halves[1])
        rows = rows[(ground.column("dss")[rows] & 1) != 0]
        if len(rows):
            row = int(rows[np.argmax(ground.column("time")[rows])])
            last = row if last is None or case.time(row) > case.time(last) else last
    late = case.time(got) + grace(case, initial)
    return last if last is not None and case.time(last) > late else None


RULES = (
    Rule(
        requirements=(THREE_PACKETS, FIRST_ACK, FIRST_DATA, IS_MAPPING, IS_ACKNOWLEDGED),
        judge=beginning,
        versions=(1,),
    ),
    *declining.RULES,
    *first_joins.RULES,
    *negotiated.RULES,
)
