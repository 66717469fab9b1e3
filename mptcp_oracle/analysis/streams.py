"""Application streams: the payload octets of a direction in data sequence order."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from mptcp_oracle.analysis.dataplane import DataPlane
from mptcp_oracle.analysis.entities import ROLES, Connection, Subflow
from mptcp_oracle.analysis.fallback import lone_subflow
from mptcp_oracle.errors import UsageError

__all__ = ["stream"]


def stream(plane: DataPlane, connection: Connection, direction: str) -> Iterator[memoryview]:
    """The application's octets of one direction, from the first on, without gaps.

    Octets of a TFO SYN come first; then the mapped octets by DSN; after a fallback the octets of
    the one subflow that is left. It ends where the first octet is missing: never captured, cut
    off by the snap length, or not sent.

    Args:
        plane: The data plane.
        connection: The connection.
        direction: ``initiator`` for what the initiator sent, or ``listener``.

    Yields:
        Consecutive octets as views into the capture; copy what you keep.

    Raises:
        UsageError: There is no such direction.
    """
    if direction not in ROLES:
        raise UsageError(
            f"there is no direction {direction!r}", hint=f"choose {' or '.join(ROLES)}"
        )
    return _stream(plane, connection, ROLES.index(direction))


def _stream(plane: DataPlane, connection: Connection, role: int) -> Iterator[memoryview]:
    initial = connection.initial
    if initial is not None and initial.syn_data[role]:
        yield from _subflow_octets(plane, initial.halves[role], 1, 1 + initial.syn_data[role])
    index = plane.direction[connection.subflows[0].halves[role]]
    whole = yield from _in_order(plane, index, 1)
    lone = lone_subflow(connection)
    if whole and connection.state == "fallback" and lone is not None:
        plain = len(plane.base) + lone.halves[role]
        yield from _in_order(plane, plain, _after_mapped(plane, lone, role))


def _in_order(plane: DataPlane, space: int, expected: int) -> Generator[memoryview, None, bool]:
    """The octets of a space of the interval map from ``expected`` on, up to the first gap.

    Returns:
        Whether there was none.
    """
    carried = plane.classifier.carriers()
    node = carried.at(space, expected - 1)
    while node:
        start, end, content, shift = carried.source(node)
        if start > expected:
            return False
        for piece in _carried_octets(plane, content, max(start, expected) - shift, end - shift):
            yield piece
            expected += len(piece)
        if expected < end:
            return False
        node = carried.next_of(node)
    return True


def _after_mapped(plane: DataPlane, subflow: Subflow, role: int) -> int:
    """The first subflow sequence number beyond every mapping: where plain TCP goes on."""
    half = subflow.halves[role]
    last = plane.piece_first[half + 1] - 1
    if last >= plane.piece_first[half]:
        return plane.pieces["end"][last]
    return 1 + subflow.syn_data[role]


def _carried_octets(plane: DataPlane, owner: int, start: int, end: int) -> Iterator[memoryview]:
    """Octets ``[start, end)`` in subflow sequence space, as an interval's owner has them."""
    if owner >= 0:
        yield from _subflow_octets(plane, owner, start, end)
    else:
        yield from _row_octets(plane, -1 - owner, start, end)


def _subflow_octets(plane: DataPlane, half: int, start: int, end: int) -> Iterator[memoryview]:
    """Octets of a half from the segments that carried them first, up to the first gap."""
    rows = plane.wire.segments
    sequence, length = rows["sequence"], rows["length"]
    low = plane.fresh_first[half]
    stop = low + plane.fresh_count[half]
    high = stop
    while low < high:
        middle = (low + high) >> 1
        row = plane.fresh[middle]
        if sequence[row] + length[row] > start:
            high = middle
        else:
            low = middle + 1
    for at in range(low, stop):
        row = plane.fresh[at]
        if start >= end or sequence[row] > start:
            return
        until = min(end, sequence[row] + length[row])
        taken = 0
        for piece in _row_octets(plane, row, start, until):
            yield piece
            taken = len(piece)
        start += taken
        if start < until:
            return


def _row_octets(plane: DataPlane, row: int, start: int, end: int) -> Iterator[memoryview]:
    """Octets ``[start, end)`` of one segment, as far as they were captured."""
    rows = plane.wire.segments
    skip = start - rows["sequence"][row]
    held = min(end - rows["sequence"][row], rows["captured"][row])
    if 0 <= skip < held:
        at = rows["offset"][row]
        yield plane.wire.capture.data[at + skip : at + held]
