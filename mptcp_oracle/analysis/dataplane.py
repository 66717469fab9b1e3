"""The data plane: from segment columns and known connections to mappings and transmissions.

This is the edge where the engine's loops get their tables. The loops know *directions* (two per
connection: ``2 * connection + role``, pseudo-connections after the real ones) and *halves* (two
per TCP stream); everything they return is relative, and the base of each direction (its IDSN)
makes it absolute again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mptcp_oracle.analysis import origins
from mptcp_oracle.analysis.entities import Connection, Host, Mismatch
from mptcp_oracle.analysis.ordering import firsts
from mptcp_oracle.engine import loops
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.wire.columns import Columns
from mptcp_oracle.wire.segments import Progress, Wire

__all__ = ["CLASSES", "DataPlane", "Trigger", "analyze", "signed64"]

MASK = 0xFFFFFFFFFFFFFFFF
RANGE = 65536
#: Kinds of triggers, by their numbers in the loop.
KINDS = ("end", "regular", "backup")
SPLITS = 1 << 16
#: Bits of a segment's ``flags``: SYN, RST, captured twice.
NO_DATA = 0x0206
#: A first DSN farther than this from the IDSN was counted from another number.
FAR = 1 << 40


@dataclass(frozen=True, slots=True, order=True)
class Trigger:
    """Something the control plane tells the classifier before it handles ``row``.

    Attributes:
        row: First row after it. half: Which half. kind: ``regular``, ``backup`` or ``end``.
    """

    row: int
    half: int
    kind: str


class DataPlane:
    """The finished tables of the data plane.

    Attributes:
        wire: The capture's columns; its segments have three more now: ``piece``, ``previous``
            (row + 1 of the nearest earlier carrier of any of the segment's DSNs, 0 if none) and
            ``kind`` (a bit for each class of :data:`CLASSES`).
        direction: Per half; -1 outside MPTCP. base: Per direction, the signed number that
            relative DSNs count from. base_from: How it is known: ``key``, ``mappings`` or ``""``.
        piece_first, pieces: Non-overlapping pieces of mappings, grouped by half.
        classifier: The pass that made the transmissions, with its interval maps.
        splits: Transmissions of segments with octets of several classes.
        octets: Eight counters per half. totals, lags, dsn_top, dack_top: Per direction.
        block_low: Per half: where its highest run of captured octets begins. acked: the highest
            acknowledgment of its octets.
        isn_from: Per half: how the initial sequence number is known: 0 not, 1 to 3 handshake, 4
            from mappings. placed: whether it is known which octets mappings cover. vague: whether
            there are mappings that do not say so. offered: octets on its SYN, if any.
    """

    def __init__(self, wire: Wire, directions: int) -> None:
        halves = wire.halves.rows
        self.wire = wire
        self.direction = array("i", [-1]) * halves
        self.base = _zeros("q", directions)
        self.base_from = [""] * directions
        self.high_known = [True] * directions
        self.isn_from = array("B", wire.halves["isn_from"])
        self.shift = _zeros("q", halves)
        self.vague = _zeros("B", halves)
        self.offered: dict[int, int] = {}
        self.skew = _zeros("q", halves)
        self.first_skew = _zeros("q", halves)
        self.placed = _zeros("B", halves)
        self.piece_first = _zeros("I", halves + 1)
        self.pieces = Columns({"start": "q", "end": "q", "map": "I"})
        self.map_first = _zeros("I", halves + 1)
        self.map_order = array("I")
        self.splits = Columns({"row": "I", "start": "q", "end": "q", "kind": "B"})
        self.octets = _zeros("q", 8 * halves)
        self.dsn_top = array("q", [1]) * directions
        self.dack_top = array("q", [1]) * directions
        self.totals = _zeros("q", 4 * directions)
        self.lags = _zeros("q", 32 * directions)
        self.fresh_first = _zeros("I", halves)
        self.fresh_count = _zeros("I", halves)
        self.fresh = array("I")
        self.unmapped_row = array("i", [-1]) * halves
        self.mptcp_row = array("i", [-1]) * halves
        self.checksum = array("B")
        self.block_low, self.acked = array("q"), array("q")
        self.classifier: Any = None
        self._fillers: dict[int, list[int]] | None = None
        self._first_rows: list[int] | None = None
        self.spilled = 0

    def gap_fillers(self) -> dict[int, list[int]]:
        """Rows by half that carried octets first, but below the half's highest one."""
        if self._fillers is None:
            self._fillers = {}
            half = self.wire.segments["half"]
            for row in self.classifier.gap_fillers():
                self._fillers.setdefault(half[row], []).append(row)
        return self._fillers

    def first_rows(self) -> list[int]:
        """By half: the row of its first segment that is no SYN, RST or duplicate, or -1."""
        if self._first_rows is None:
            import numpy as np

            half, flags = (np.asarray(each) for each in self.wire.segments.of("half", "flags"))
            plain = ((flags & NO_DATA) == 0) & (half >= 0)
            found = firsts(half, plain, np.asarray(self.wire.halves["last_row"]))
            self._first_rows = np.where(found == len(half), -1, found).tolist()
        return self._first_rows


def _zeros(code: str, count: int) -> array[int]:
    return array(code, bytes(array(code).itemsize * count))


def analyze(
    wire: Wire,
    connections: list[Connection],
    triggers: Iterable[Trigger],
    progress: Progress | None = None,
) -> DataPlane:
    """Run the data plane's loops over a capture.

    Args:
        wire: The capture's columns; numbers in them become relative.
        connections: Every connection and pseudo-connection; ``connections[i]`` owns directions
            ``2 * i`` and ``2 * i + 1``. IDSN mismatches are added to them.
        triggers: Control events that the classifier has to know, in order of rows.
        progress: Called with rows done and rows in all.
    """
    engine = loops()
    plane = DataPlane(wire, 2 * len(connections))
    for index, connection in enumerate(connections):
        for subflow in connection.subflows:
            for role, half in subflow.sides():
                plane.direction[half] = 2 * index + role
    origins.find(plane, connections)
    contradicted: list[tuple[Connection, int, int]] = []
    for index, connection in enumerate(connections):
        for role in (0, 1):
            _base(plane, connection, role, 2 * index + role, contradicted)
    rows, maps = wire.segments, wire.mappings
    maps.add("start", "q")
    engine.mappings.absolute(
        rows.rows, maps.rows, *rows.of("half", "sequence", "dss", "data_ack"),
        *maps.of("row", "half", "dsn", "ssn", "length", "flags", "start"),
        plane.direction, plane.shift, plane.skew, plane.first_skew, plane.base,
        _zeros("q", len(plane.base)),
    )  # fmt: skip
    _pieces(engine, plane)
    for connection, role, half in contradicted:
        _name_contradiction(plane, connection.hosts[role], connection, half)
    _transmissions(engine, plane, connections, list(triggers), progress)
    return plane


def signed64(value: int) -> int:
    """The number in [-2**63, 2**63) that is congruent to ``value`` modulo 2**64."""
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def _is_far(number: int, idsn: int) -> bool:
    """Whether the octet after ``number`` cannot be counted from an IDSN."""
    return FAR <= (number + 1 - idsn) & MASK < MASK - FAR


def _base(
    plane: DataPlane,
    connection: Connection,
    role: int,
    direction: int,
    contradicted: list[tuple[Connection, int, int]],
) -> None:
    """The number from which a direction's relative DSNs count.

    It is the IDSN of the sender's key, unless the first 8-octet number on the wire contradicts
    it: then it is what the wire shows, and the contradiction is named.
    """
    halves = plane.wire.halves
    host = connection.hosts[role]
    shown: list[tuple[int, int, int, int]] = []
    for subflow in connection.subflows:
        own, other = subflow.halves[role], subflow.halves[1 - role]
        for order, (half, bit, column, less) in enumerate(
            (
                (own, 2, "first_dsn", 1),
                (other, 4, "first_data_ack", 1),
                (own, 8, "first_dsn", 1),
                (other, 16, "first_data_ack", 1),
            )
        ):
            if halves["mptcp"][half] & bit:
                shown.append((order, subflow.first_frame, halves[column][half] - less, half))
    shown.sort()
    wide = [entry for entry in shown if entry[0] < 2]
    if host.idsn is not None:
        plane.base_from[direction] = "key"
        host.base = host.idsn
        if wide and wide[0][0] == 0:
            seen = wide[0][2]
            agreeing = [entry for entry in wide[1:] if not _is_far(entry[2], host.idsn)]
            if _is_far(seen, host.idsn) and not agreeing:
                host.base = seen & MASK
                plane.base_from[direction] = "mappings"
                contradicted.append((connection, role, wide[0][3]))
    elif wide:
        # No key: count from the lowest number shown, be it mapped or acknowledged.
        host.base = (wide[0][2] + min(signed64(entry[2] - wide[0][2]) for entry in wide)) & MASK
        plane.base_from[direction] = "mappings"
    elif shown:
        host.base = shown[0][2] & 0xFFFFFFFF
        plane.base_from[direction] = "mappings"
        plane.high_known[direction] = False
    plane.base[direction] = signed64(host.base)


def _name_contradiction(plane: DataPlane, host: Host, connection: Connection, half: int) -> None:
    """Say that a host's first DSN does not follow from its key."""
    row = min(
        plane.wire.mappings["row"][plane.map_order[at]]
        for at in range(plane.map_first[half], plane.map_first[half + 1])
    )
    connection.mismatches.append(
        Mismatch(
            what="idsn",
            host=host.role,
            frame=plane.wire.segments["frame"][row],
            expected=f"{host.idsn:016x}",
            seen=f"{host.base:016x}",
            why="the first data sequence number does not follow from the key",
            section="3.1",
        )
    )


def _pieces(engine: Any, plane: DataPlane) -> None:
    """Cut the mappings into pieces, and find the first piece of each segment."""
    rows, maps, pieces = plane.wire.segments, plane.wire.mappings, plane.pieces
    plane.map_order = _zeros("I", maps.rows)
    spare = _zeros("I", maps.rows)
    engine.mappings.order(
        maps.rows, *maps.of("half", "start"), plane.map_first, plane.map_order, spare
    )
    pieces.reserve(2 * maps.rows)
    pieces.rows = engine.mappings.pieces(
        plane.map_first, plane.map_order, *maps.of("start", "length", "flags"),
        plane.placed, spare,
        plane.piece_first, *pieces.of("start", "end", "map"),
    )  # fmt: skip
    pieces.trim()
    rows.add("piece", "i")
    hint = _zeros("I", plane.wire.halves.rows)
    engine.mappings.resolve(
        rows.rows, *rows.of("half", "sequence", "length"), plane.direction,
        plane.piece_first, pieces["start"], pieces["end"], hint, rows["piece"],
    )  # fmt: skip


def _transmissions(
    engine: Any,
    plane: DataPlane,
    connections: list[Connection],
    triggers: list[Trigger],
    progress: Progress | None,
) -> None:
    """Classify every transmission, range by range, with the control plane's triggers between."""
    wire = plane.wire
    rows, maps, halves = wire.segments, wire.mappings, wire.halves
    count, directions = halves.rows, len(plane.base)
    rows.add("previous", "I")
    rows.add("kind", "B")
    total = 0
    for half in range(count):
        plane.fresh_first[half] = total
        total += halves["count"][half]
    plane.fresh = _zeros("I", total)
    round_trip, at_sender = _zeros("q", count), _zeros("B", count)
    quick = _zeros("q", directions)
    for connection in connections:
        for subflow in connection.subflows:
            for role, half in subflow.sides():
                round_trip[half] = took = subflow.round_trip
                at_sender[half] = subflow.captured_at(role)
                known = quick[plane.direction[half]]
                if took and (not known or took < known):
                    quick[plane.direction[half]] = took
    low = plane.block_low = _zeros("q", count)
    acked = plane.acked = _zeros("q", count)
    classifier = plane.classifier = engine.transmissions.Classifier()
    classifier.bind_rows(
        *rows.of(
            "time", "half", "flags", "sequence", "ack", "window", "length", "dss", "data_ack",
            "piece", "previous", "kind",
        )
    )  # fmt: skip
    classifier.bind_pieces(
        plane.piece_first, *plane.pieces.of("start", "end", "map"),
        *maps.of("start", "dsn", "length"),
    )  # fmt: skip
    classifier.bind_halves(
        plane.direction, halves["isn"], round_trip, at_sender,
        plane.fresh_first, plane.fresh_count, plane.fresh, _zeros("q", count),
        low, _zeros("q", count), _zeros("I", count), _zeros("I", count), acked,
        array("q", [-(1 << 62)]) * count, array("q", [-1]) * count,
        _zeros("B", count), _zeros("B", count), plane.octets,
        plane.unmapped_row, plane.mptcp_row,
    )  # fmt: skip
    classifier.bind_directions(
        plane.dsn_top, plane.dack_top, _zeros("B", directions), _zeros("i", directions),
        quick, plane.totals, plane.lags,
    )  # fmt: skip
    scratch = Columns({"row": "I", "start": "q", "end": "q", "kind": "B"})
    scratch.reserve(SPLITS)
    classifier.bind_triggers(
        array("I", [trigger.row for trigger in triggers]),
        array("i", [trigger.half for trigger in triggers]),
        array("B", [KINDS.index(trigger.kind) for trigger in triggers]),
    )
    done = 0
    while done < rows.rows:
        stop = min(done + RANGE, rows.rows)
        classifier.bind_splits(*scratch.of("row", "start", "end", "kind"))
        done = classifier.run(done, stop)
        found, plane.spilled = classifier.counts()
        if found:
            plane.splits.reserve(found)
            for name in plane.splits:
                plane.splits[name][plane.splits.rows : plane.splits.rows + found] = scratch[name][
                    :found
                ]
            plane.splits.rows += found
        if progress is not None:
            progress(done, rows.rows)
    plane.splits.trim()
