"""DSS checksums of connections that use them (RFC 8684 section 3.3.1)."""

from __future__ import annotations

from array import array
from typing import Any

from mptcp_oracle.analysis.dataplane import DataPlane
from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.engine import loops

__all__ = ["verify"]

#: Values of a mapping's check.
UNCHECKED, RIGHT, WRONG, INCOMPLETE = range(4)
#: Bit of a mapping's flags: its last octet is a DATA_FIN, which is no payload.
DATA_FIN = 0x10
#: Bits of a mapping's flags in which a repetition agrees: DATA_FIN, checksum.
SAME = 0x30


def _carriers(plane: DataPlane, half: int) -> memoryview | array[int]:
    """The rows that carried a half's octets first, by their sequence numbers.

    None if nobody knows which octets its mappings cover.
    """
    if not plane.placed[half]:
        return array("I")
    begin = plane.fresh_first[half]
    fresh = memoryview(plane.fresh)[begin : begin + plane.fresh_count[half]]
    fillers = plane.gap_fillers().get(half)
    if not fillers:
        return fresh
    sequence = plane.wire.segments["sequence"]
    return array("I", sorted({*fresh, *fillers}, key=lambda row: (sequence[row], row)))


def _repeats(plane: DataPlane, low: int, high: int) -> set[int]:
    """Of the mappings in ``map_order[low:high]``, those that were declared before."""
    starts, *rest = plane.wire.mappings.of("start", "dsn", "ssn", "length", "checksum", "flags")
    order = plane.map_order
    found: set[int] = set()
    told: set[tuple[int, ...]] = set()
    for at in range(low + 1, high):
        before, mapping = order[at - 1], order[at]
        if starts[before] != starts[mapping]:
            told.clear()
            continue
        told.add(_said(before, rest))
        said = _said(mapping, rest)
        if said in told:
            found.add(mapping)
    return found


def _said(mapping: int, columns: list[Any]) -> tuple[int, ...]:
    """What a mapping says, but for the width of its DSN and the option that says it."""
    *others, flags = (column[mapping] for column in columns)
    return (*others, flags & SAME)


def verify(plane: DataPlane, connection: Connection) -> None:
    """Check every mapping's checksum, and count right, wrong and incompletely captured ones.

    When every checksum over payload is wrong in both directions, the payload was probably rewritten
    after the capture: nobody is accused, and a note says so. A DATA_FIN alone covers no payload,
    and its checksum stays right.
    """
    if connection.checksum is False:
        return
    wire = plane.wire
    rows, maps = wire.segments, wire.mappings
    if not len(plane.checksum):
        plane.checksum = array("B", bytes(maps.rows))
    counts = [0, 0, 0, 0]
    kept = 0
    first_wrong = None
    for subflow in connection.subflows:
        for half in subflow.halves:
            low, high = plane.map_first[half], plane.map_first[half + 1]
            # Without the upper half of the DSN the sum cannot be made.
            if low == high or not plane.high_known[plane.direction[half]]:
                continue
            loops().checksums.verify(
                wire.capture.data, half, plane.map_first, plane.map_order,
                *maps.of("start", "dsn", "ssn", "length", "checksum", "flags"),
                _carriers(plane, half),
                *rows.of("sequence", "length", "captured", "offset"),
                plane.base[plane.direction[half]], plane.checksum,
            )  # fmt: skip
            repeats = _repeats(plane, low, high)
            for at in range(low, high):
                mapping = plane.map_order[at]
                if mapping in repeats:
                    continue
                result = plane.checksum[mapping]
                counts[result] += 1
                fin = bool(maps["flags"][mapping] & DATA_FIN)
                kept += result == RIGHT and maps["length"][mapping] > fin
                if result == WRONG:
                    frame = rows["frame"][maps["row"][mapping]]
                    first_wrong = min(frame, first_wrong or frame)
    connection.checksums = (counts[RIGHT], counts[WRONG], counts[INCOMPLETE])
    if counts[WRONG] > 1 and not kept:
        connection.note(
            "anonymised",
            f"all {counts[WRONG]} DSS checksums over payload are wrong: it was probably "
            "rewritten after the capture, and no host is accused",
            first_wrong,
        )
    elif counts[WRONG]:
        connection.note(
            "wrong-checksum",
            f"{counts[WRONG]} DSS checksums are wrong, {counts[RIGHT]} are right",
            first_wrong,
        )
