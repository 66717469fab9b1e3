"""Origins: where the relative numbers of each half begin, and where its mappings lie.

The handshake tells, or else what the mappings imply; see :mod:`mptcp_oracle.engine.origins`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.engine import loops

if TYPE_CHECKING:
    from mptcp_oracle.analysis.dataplane import DataPlane

__all__ = ["find"]

SYN, ACK = 0x02, 0x10
#: Codes of the stream loop: not known, by the half's own SYN, by its SYN/ACK, not surely known.
UNKNOWN, OWN_SYN, BY_SYNACK, UNSURE = 0, 1, 2, 4
#: Values of ``wanted`` in the loop.
INFER, INFERRED, LOOK, HALF_INFERRED = 1, 2, 5, 6
#: Bits of a mapping's flags: an MP_CAPABLE announces it; a DATA_FIN takes its last number.
BY_CAPABLE, DATA_FIN = 0x40, 0x10


def find(plane: DataPlane, connections: Iterable[Connection]) -> None:
    """Fill in where numbers begin: ``shift``, ``isn_from``, ``skew``, ``placed``, ``vague``."""
    wire, halves = plane.wire, plane.wire.halves
    offered = plane.offered = _syn_payload(plane)
    asked = {*offered, *_without_syn(plane, connections)}
    wanted, hinted = array("B", bytes(halves.rows)), array("B", bytes(halves.rows))
    for half in range(halves.rows):
        if plane.direction[half] < 0:
            continue
        known = halves["isn_from"][half]
        if known:
            offset = (halves["base"][half] - halves["isn"][half]) & 0xFFFFFFFF
            plane.shift[half] = offset - (1 << 32) if offset >> 31 else offset
        if known in (UNKNOWN, UNSURE):
            plane.isn_from[half] = UNKNOWN
            wanted[half] = INFER if halves["seen"][half] else 0
            hinted[half] = known
        elif half in asked:
            wanted[half] = LOOK
        plane.placed[half] = plane.isn_from[half] != UNKNOWN
    if not any(wanted):
        return
    rows, maps = wire.segments, wire.mappings
    low, high = array("q", bytes(8 * maps.rows)), array("q", bytes(8 * maps.rows))
    inferred = array("q", bytes(8 * halves.rows))
    loops().origins.infer(
        rows.rows, maps.rows, *rows.of("half", "sequence", "length", "mapping"),
        *maps.of("half", "ssn", "length", "flags"),
        low, high, wanted, plane.shift, hinted, inferred, array("i", bytes(4 * halves.rows)),
    )  # fmt: skip
    for half in range(halves.rows):
        if wanted[half] in (INFERRED, HALF_INFERRED):
            plane.shift[half] = inferred[half]
            plane.isn_from[half], plane.placed[half] = 4, wanted[half] == INFERRED
            plane.vague[half] = wanted[half] == HALF_INFERRED
            halves["isn"][half] = (halves["base"][half] - inferred[half]) & 0xFFFFFFFF
        elif wanted[half] not in (0, LOOK):
            plane.vague[half] = wanted[half] > INFERRED
            plane.shift[half] = 0
            halves["isn"][half] = halves["base"][half]
    if asked:
        _place(plane, connections, offered, asked, _filled(plane, asked, low, high))


def _syn_payload(plane: DataPlane) -> dict[int, int]:
    """Octets on the SYN of each half that has any."""
    rows = plane.wire.segments
    found: dict[int, int] = {}
    half, flags, length = rows.of("half", "flags", "length")
    for row in plane.wire.events:
        if flags[row] & (SYN | ACK) == SYN and length[row] and plane.direction[half[row]] >= 0:
            found.setdefault(half[row], length[row])
    return found


def _without_syn(plane: DataPlane, connections: Iterable[Connection]) -> Iterable[int]:
    """What initiators send on initial subflows whose SYN, perhaps with data, is missing."""
    isn_from = plane.wire.halves["isn_from"]
    for connection in connections:
        initial = connection.initial
        if initial is not None and isn_from[initial.halves[0]] == BY_SYNACK:
            yield initial.halves[0]


def _filled(
    plane: DataPlane, asked: set[int], low: array[int], high: array[int]
) -> dict[tuple[int, bool], set[int]]:
    """Where mappings begin that fill their segments, beyond what their SSN says.

    By half, and whether an MP_CAPABLE announces them; nothing is there where none is announced.
    """
    found: dict[tuple[int, bool], set[int]] = {}
    half, length, flags = plane.wire.mappings.of("half", "length", "flags")
    for mapping in range(plane.wire.mappings.rows):
        own = half[mapping]
        alone = length[mapping] == 1 and flags[mapping] & DATA_FIN
        if own in asked and not alone:
            begins = found.setdefault((own, bool(flags[mapping] & BY_CAPABLE)), set())
            if low[mapping] == high[mapping]:
                begins.add(low[mapping] + plane.shift[own])
    return found


def _place(
    plane: DataPlane,
    connections: Iterable[Connection],
    offered: dict[int, int],
    asked: set[int],
    filled: dict[tuple[int, bool], set[int]],
) -> None:
    """Say by how much SYN data moves the mappings of halves, or that it is not known."""
    accepted = {
        half: subflow.syn_data[role]
        for connection in connections
        for subflow in connection.subflows
        for role, half in subflow.sides()
    }
    for half in asked:
        shown, first = filled.get((half, False), set()), filled.get((half, True), set())
        if half not in offered:
            # Without the SYN there is mostly no SYN data; what mappings say is nearer the truth.
            skews = {0} if 0 in shown or not shown else shown
        elif plane.wire.halves["isn_from"][half ^ 1] == OWN_SYN:
            # Only the numbers of a DSS may count SYN data or not; an MP_CAPABLE has none.
            sure = not accepted[half] or (half, False) not in filled
            skews = {accepted[half]} if sure else shown & {0, accepted[half]}
            first = {accepted[half]}
        else:
            within = set(range(offered[half] + 1))
            # Numbers that count SYN data do not say where the mapping of an MP_CAPABLE begins.
            told = first if first or (shown == {0} and (half, True) in filled) else shown
            skews, first = (shown or first) & within, told & within
        if len(skews) == 1 and (len(first) == 1 or half not in offered):
            (plane.skew[half],) = skews
            plane.first_skew[half] = first.pop() if half in offered else 0
        else:
            plane.placed[half], plane.vague[half] = 0, 1
