"""DSS checksums of connections that use them (RFC 8684 section 3.3.1)."""

from __future__ import annotations

from array import array

from mptcp_oracle.analysis.dataplane import DataPlane
from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.engine import loops

__all__ = ["verify"]

#: Values of a mapping's check.
UNCHECKED, RIGHT, WRONG, INCOMPLETE = range(4)


def verify(plane: DataPlane, connection: Connection) -> None:
    """Check every mapping's checksum, and count right, wrong and incompletely captured ones.

    When every checksum of both directions is wrong, payload or addresses were probably rewritten
    after the capture: nobody is accused, and a note says so.
    """
    if connection.checksum is False:
        return
    wire = plane.wire
    rows, maps = wire.segments, wire.mappings
    if not len(plane.checksum):
        plane.checksum = array("B", bytes(maps.rows))
    counts = [0, 0, 0, 0]
    first_wrong = None
    for subflow in connection.subflows:
        for half in subflow.halves:
            low, high = plane.map_first[half], plane.map_first[half + 1]
            if low == high:
                continue
            begin = plane.fresh_first[half]
            loops().checksums.verify(
                wire.capture.data, half, plane.map_first, plane.map_order,
                *maps.of("start", "dsn", "ssn", "length", "checksum", "flags"),
                memoryview(plane.fresh)[begin : begin + plane.fresh_count[half]],
                *rows.of("sequence", "length", "captured", "offset"),
                plane.base[plane.direction[half]], plane.checksum,
            )  # fmt: skip
            for at in range(low, high):
                mapping = plane.map_order[at]
                result = plane.checksum[mapping]
                counts[result] += 1
                if result == WRONG:
                    frame = rows["frame"][maps["row"][mapping]]
                    first_wrong = min(frame, first_wrong or frame)
    connection.checksums = (counts[RIGHT], counts[WRONG], counts[INCOMPLETE])
    if counts[WRONG] and not counts[RIGHT] and counts[WRONG] > 1:
        connection.note(
            "anonymised",
            f"all {counts[WRONG]} DSS checksums are wrong: payload or addresses were "
            "probably rewritten after the capture, and no host is accused",
            first_wrong,
        )
    elif counts[WRONG]:
        connection.note(
            "wrong-checksum",
            f"{counts[WRONG]} DSS checksums are wrong, {counts[RIGHT]} are right",
            first_wrong,
        )
