"""Every column of every table, and every lookup, from rows written by hand.

Three streams: the first is a subflow of connection 4, opened by the initiator; the second an
unattached subflow, of which nobody knows who is who, with its source second; the third is plain
TCP. What each cell has to hold is written beside the rows.
"""

from __future__ import annotations

import random
from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mptcp_oracle.analysis import lookups
from mptcp_oracle.analysis.ground import Ground, unwrapped
from mptcp_oracle.analysis.lookups import Announcement, Carrier, Range
from mptcp_oracle.analysis.mappings import MappingTable
from mptcp_oracle.analysis.parts import Parts
from mptcp_oracle.analysis.tables import Column, SegmentTable, Table, computed
from mptcp_oracle.analysis.transmissions import TransmissionTable
from mptcp_oracle.encode import encode, pad
from mptcp_oracle.errors import UsageError
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import Dss, MpPrio
from mptcp_oracle.wire.columns import FLAG_BITS
from tests.common.columns import CONTROLS, MAPS, ROWS, table, wire

WIDE = 1 << 64
SYN, ACK = 0x02, 0x10
TWICE, CUT, SENT, RECEIVED = (FLAG_BITS[name] for name in (
    "duplicate", "options_cut", "sent", "received",
))  # fmt: skip
NEW, AGAIN, COPY, PROBE = (CLASSES.index(name) for name in (
    "first_seen", "tcp_retransmission", "reinjection", "zero_window_probe",
))  # fmt: skip

#: Half, flags, sequence, acknowledgment, octets, DSS bits, DATA_ACK, mapping, nearest carrier,
#: kind.
SEGMENTS = [
    (0, SYN, 1, 0, 0, 0, 0, -1, 0, 0),
    (1, SYN | ACK, 0, 1001, 0, 0, 0, -1, 0, 0),
    (5, ACK, 1, 5, 7, 0, 0, -1, 0, 0),
    (0, ACK | SENT, 1, 2001, 8, 3, 9, 0, 0, 1 << NEW),
    (0, ACK | SENT | TWICE, 1, 2001, 8, 3, 9, 0, 0, 0),
    (2, SYN | RECEIVED, 1, 0, 3, 0, 0, -1, 0, 1 << 7),
    (1, ACK | RECEIVED, 1, 1009, 2, 2, 0, 2, 0, 1 << NEW),
    (0, ACK | CUT, 5, 2003, 4, 1, 3, -1, 4, 1 << AGAIN),
    (3, ACK, 1, 9, 0, 1, 50, -1, 0, 0),
    (0, ACK, 9, 2003, 1, 0, 0, 1, 4, 1 << PROBE),
    (0, 0x1FF, 3, 2003, 12, 0, 0, -1, 10, 1 << COPY | 1 << NEW),
]
#: Row, half, DSN, SSN, length, checksum, flags, begin.
MAPPINGS = [
    (3, 0, 1, 1, 8, 77, 0x28, 1),
    (9, 0, 101, 9, 7, 0, 0x10, 9),
    (6, 1, 5, 1, 0, 0, 0x40, 1),
    (7, 1, -3, 7, 1, 0, 0x18, 7),
]
#: Row, begin, end, mapping, distance, class.
PARTS = [
    (3, 1, 9, 0, 0, NEW), (4, 1, 9, 0, 0, -1), (5, 1, 4, -1, 0, 7), (6, 1, 3, 2, 4, NEW),
    (7, 5, 9, 0, 0, AGAIN), (9, 9, 10, 1, 92, PROBE), (10, 3, 5, -1, 0, NEW),
    (10, 5, 7, 0, 0, COPY), (10, 7, 9, 0, 0, NEW), (10, 9, 12, 1, 92, NEW),
    (10, 12, 15, -1, 0, NEW),
]  # fmt: skip
MEMBERS = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10]


def trace() -> Any:
    """The trace."""
    made = wire(
        halves=6, half_isn=[1000, 2000, 3000, 4000, 5000, 6000], half_isn_from=[1, 1, 1, 0, 1, 1]
    )
    names = ("half", "flags", "sequence", "ack", "length", "dss", "data_ack", "mapping", "previous",
             "kind")  # fmt: skip
    made.segments = table(
        ROWS | {"previous": "I", "kind": "B"}, len(SEGMENTS),
        **{name: [row[at] for row in SEGMENTS] for at, name in enumerate(names)},
        frame=[11 + at for at in range(len(SEGMENTS))],
        time=[7_000 + at for at in range(len(SEGMENTS))],
        window=[500 + at for at in range(len(SEGMENTS))],
        captured=[max(row[4] - 1, 0) for row in SEGMENTS],
    )  # fmt: skip
    names = ("row", "half", "dsn", "ssn", "length", "checksum", "flags", "start")
    made.mappings = table(
        MAPS | {"start": "q"}, len(MAPPINGS),
        **{name: [row[at] for row in MAPPINGS] for at, name in enumerate(names)},
    )  # fmt: skip
    made.frames = 30
    made.controls = table(CONTROLS, 0)
    plane = SimpleNamespace(
        wire=made, direction=array("i", [8, 9, 10, 11, -1, -1]),
        base=array("q", [0] * 8 + [100, -2, 7, 9]), isn_from=array("B", [1, 1, 1, 0, 1, 1]),
        checksum=array("B", [1, 0, 3, 2]),
        pieces=SimpleNamespace(of=lambda *_: (
            array("q", [1, 9, 1, 7]), array("q", [9, 15, 1 << 62, 8]), array("I", [0, 1, 2, 3]),
        )),
    )  # fmt: skip
    groups = []
    for number, ident, halves, known, source in (
        (4, 3, (0, 1), True, 0),
        (-1, 5, (3, 2), False, 1),
    ):
        flow = SimpleNamespace(
            id=ident, source_role=source, version=1,
            sides=lambda halves=halves: iter(enumerate(halves)),
            role_name=lambda role, known=known: "a name" if known else None,
        )  # fmt: skip
        groups.append(SimpleNamespace(id=number, subflows=[flow]))
    found = SimpleNamespace(plane=plane, wire=made, groups=lambda: iter(groups))
    found.ground = Ground(found)  # type: ignore[arg-type]
    found.ground.__dict__["parts"] = Parts(**{
        name: np.array([part[at] for part in PARTS], np.int64)
        for at, name in enumerate(("row", "start", "end", "mapping", "delta", "kind"))
    })  # fmt: skip
    found.segments, found.mappings = SegmentTable(found.ground), MappingTable(found.ground)
    found.transmissions = TransmissionTable(found.ground)
    found.subflows = {flow.id: flow for group in groups for flow in group.subflows}
    found.direction = lambda item, role: 8 + role
    return found


def test_columns_of_segments() -> None:
    """One row a segment of MPTCP, with each column's type."""
    segments = trace().segments
    expected: dict[str, tuple[str, list[int]]] = {
        "frame": ("uint32", [11 + row for row in MEMBERS]),
        "time": ("int64", [7_000 + row for row in MEMBERS]),
        "connection": ("int32", [4, 4, 4, 4, -1, 4, 4, -1, 4, 4]),
        "subflow": ("int32", [3, 3, 3, 3, 5, 3, 3, 5, 3, 3]),
        "sender": ("int8", [0, 1, 0, 0, -1, 1, 0, -1, 0, 0]),
        "from_source": ("bool", [1, 0, 1, 1, 1, 0, 1, 0, 1, 1]),
        "flags": ("uint16", [2, 18, 16, 16, 2, 16, 16, 16, 16, 0x1FF]),
        # The place of a SYN is that of its payload, one behind itself, if it has any.
        "sequence": ("int64", [1, 0, 1, 1, 0, 1, 5, 1, 9, 2]),
        "ack": ("int64", [-1, 1, 1, 1, -1, 9, 3, 9 - 3000, 3, 3]),
        "window": ("uint16", [500 + row for row in MEMBERS]),
        "payload": ("uint32", [0, 0, 8, 8, 3, 2, 4, 0, 1, 12]),
        "captured": ("uint32", [0, 0, 7, 7, 2, 1, 3, 0, 0, 11]),
        "outgoing": ("int8", [-1, -1, 1, 1, 0, 0, -1, -1, -1, -1]),
        "duplicate": ("bool", [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        "has_data_ack": ("bool", [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]),
        "data_ack": ("int64", [-1, -1, 9, 9, -1, -1, 3, 50, -1, -1]),
        "mapped": ("bool", [0, 0, 1, 1, 0, 1, 1, 0, 1, 1]),
        "dsn": ("int64", [-1, -1, 1, 1, -1, 5, 5, -1, 101, 5]),
        "dsn_end": ("int64", [-1, -1, 9, 9, -1, 7, 9, -1, 102, 9]),
        "mapping": ("int32", [-1, -1, 0, 0, -1, 2, 0, -1, 1, 0]),
        "declares": ("int32", [-1, -1, 0, 0, -1, 2, -1, -1, 1, -1]),
        "announced": ("uint32", [0, 0, 14, 14, 0, 17, 14, 0, 20, 14]),
        "previous": ("uint32", [0, 0, 0, 0, 0, 0, 14, 0, 14, 20]),
        # Neither the duplicate nor the probe carries anything.
        "copies": ("uint32", [0, 0, 0, 0, 0, 0, 1, 0, 0, 2]),
        "kind": ("uint8", [0, 0, 1, 0, 128, 1, 1 << AGAIN, 0, 1 << PROBE, 1 << COPY | 1]),
    }  # fmt: skip
    found = segments.columns()
    assert [(name, str(values.dtype), values.tolist()) for name, values in found.items()] == [
        (name, dtype, values) for name, (dtype, values) in expected.items()
    ]
    assert len(segments) == 10
    assert not any(values.flags.writeable for values in found.values())
    assert segments.absolute_dsn().tolist() == [0, 0, 101, 101, 0, 3, 105, 0, 201, 105]
    assert segments.absolute_data_ack().tolist() == [0, 0, 7, 7, 0, 0, 1, 57, 0, 0]


def test_columns_of_mappings() -> None:
    """One row a declared mapping."""
    mappings = trace().mappings
    expected: dict[str, tuple[str, list[int]]] = {
        "frame": ("uint32", [14, 20, 17, 18]),
        "connection": ("int32", [4, 4, 4, 4]),
        "subflow": ("int32", [3, 3, 3, 3]),
        "sender": ("int8", [0, 0, 1, 1]),
        "from_source": ("bool", [1, 1, 0, 0]),
        "dsn": ("int64", [1, 101, 5, -3]),
        "ssn": ("uint32", [1, 9, 1, 7]),
        "start": ("int64", [1, 9, 1, 7]),
        "length": ("uint16", [8, 7, 0, 1]),
        "octets": ("int64", [8, 6, 0, 0]),
        "dsn_end": ("int64", [9, 107, 5, -3]),
        "data_fin": ("bool", [0, 1, 0, 1]),
        "infinite": ("bool", [0, 0, 1, 0]),
        "dsn_size": ("uint8", [8, 4, 0, 8]),
        "has_checksum": ("bool", [1, 0, 0, 0]),
        "checksum": ("uint16", [77, 0, 0, 0]),
        "check": ("uint8", [1, 0, 3, 2]),
        "conflict": ("bool", [0, 0, 0, 0]),
    }
    found = mappings.columns()
    assert [(name, str(values.dtype), values.tolist()) for name, values in found.items()] == [
        (name, dtype, values) for name, (dtype, values) in expected.items()
    ]
    assert mappings.absolute_dsn().tolist() == [101, 201, 3, WIDE - 5]
    unchecked = trace()
    unchecked.plane.checksum = array("B")
    assert unchecked.mappings.check.tolist() == [0, 0, 0, 0]


def test_columns_of_transmissions() -> None:
    """One row a range of one class; duplicates are none."""
    moves = trace().transmissions
    expected: dict[str, tuple[str, list[int]]] = {
        "frame": ("uint32", [14, 16, 17, 18, 20, 21, 21, 21, 21, 21]),
        "connection": ("int32", [4, -1, 4, 4, 4, 4, 4, 4, 4, 4]),
        "subflow": ("int32", [3, 5, 3, 3, 3, 3, 3, 3, 3, 3]),
        "sender": ("int8", [0, -1, 1, 0, 0, 0, 0, 0, 0, 0]),
        "from_source": ("bool", [1, 1, 0, 1, 1, 1, 1, 1, 1, 1]),
        "sequence": ("int64", [1, 1, 1, 5, 9, 3, 5, 7, 9, 12]),
        "octets": ("int64", [8, 3, 2, 4, 1, 2, 2, 2, 3, 3]),
        "mapped": ("bool", [1, 0, 1, 1, 1, 0, 1, 1, 1, 0]),
        "dsn": ("int64", [1, -1, 5, 5, 101, -1, 5, 7, 101, -1]),
        "dsn_end": ("int64", [9, -1, 7, 9, 102, -1, 7, 9, 104, -1]),
        "kind": ("uint8", [NEW, 7, NEW, AGAIN, PROBE, NEW, COPY, NEW, NEW, NEW]),
    }
    for name, (dtype, values) in expected.items():
        found = getattr(moves, name)
        assert (name, str(found.dtype), found.tolist()) == (name, dtype, values)
        assert not found.flags.writeable
    assert moves.absolute_dsn().tolist() == [101, 0, 3, 105, 201, 0, 105, 107, 201, 0]
    assert moves.row.tolist() == [3, 5, 6, 7, 9, 10, 10, 10, 10, 10]
    assert moves.runs is moves.runs
    described = TransmissionTable.describe()
    assert [each.name for each in described] == [*expected, "needed"]
    assert described[-1].dtype == "int8"
    assert len(moves) == 10


def test_a_table_of_nothing() -> None:
    """No segments, or none of MPTCP, no mappings: columns without rows."""
    for rows_left in (0, 1):
        empty = trace()
        empty.plane.direction = array("i", [-1] * 6)
        names = {"half": [0]} if rows_left else {}
        empty.wire.segments = table(ROWS | {"previous": "I", "kind": "B"}, rows_left, **names)
        empty.wire.mappings = table(MAPS | {"start": "q"}, 0)
        empty.plane.pieces = SimpleNamespace(of=lambda *_: (array("q"), array("q"), array("I")))
        empty.plane.checksum = array("B")
        ground = Ground(empty)
        ground.__dict__["parts"] = trace().ground.parts.where(slice(0, 0))
        for kind in (SegmentTable, MappingTable, TransmissionTable):
            made = kind(ground)
            assert {name: len(values) for name, values in made.columns().items()} == dict.fromkeys(
                made.columns(), 0
            )
            assert len(made) == 0


def test_segments_without_any_mapping() -> None:
    """Nothing is announced then."""
    bare = trace()
    bare.wire.mappings = table(MAPS | {"start": "q"}, 0)
    parts = bare.ground.parts
    bare.ground.__dict__["parts"] = Parts(
        row=parts.row, start=parts.start, end=parts.end, mapping=0 * parts.mapping - 1,
        delta=0 * parts.delta, kind=parts.kind,
    )  # fmt: skip
    segments = SegmentTable(bare.ground)
    for name in ("announced", "mapped", "copies"):
        assert getattr(segments, name).tolist() == [0] * 10
    assert segments.mapping.tolist() == segments.dsn.tolist() == [-1] * 10


def test_runs_of_dsns_end_at_another_row_distance_or_gap() -> None:
    """The run that begins with the first mapped octet of each segment."""
    made = trace()
    entries = [
        (3, 1, 3, -1, 0), (3, 3, 4, 0, 5), (3, 4, 6, 1, 5), (4, 6, 7, 1, 5), (4, 7, 8, -1, 0),
        (4, 8, 9, 1, 5), (6, 1, 2, 0, 0), (6, 2, 3, 0, 1), (7, 3, 4, 0, 1), (7, 4, 5, 0, 1),
        (9, 5, 6, 0, 0), (9, 6, 7, -1, 0),
    ]  # fmt: skip
    columns = np.array(entries, np.int64).T
    made.ground.__dict__["parts"] = Parts(
        row=columns[0], start=columns[1], end=columns[2], mapping=columns[3], delta=columns[4],
        kind=0 * columns[0],
    )  # fmt: skip
    segments = SegmentTable(made.ground)
    assert segments.dsn.tolist() == [-1, -1, 8, 11, -1, 1, 4, -1, 5, -1]
    assert segments.dsn_end.tolist() == [-1, -1, 11, 12, -1, 2, 6, -1, 6, -1]
    assert segments.mapping.tolist() == [-1, -1, 0, 1, -1, 0, 0, -1, 0, -1]


def test_columns_of_the_engine_are_shared_if_all_segments_are_there() -> None:
    """Else they are copies of some of its rows."""
    made = trace()
    assert not np.shares_memory(made.segments.time, made.ground.column("time"))
    made.plane.direction = array("i", [8, 9, 10, 11, 12, 13])
    whole = SegmentTable(Ground(made))
    assert np.shares_memory(whole.time, made.ground.column("time"))
    assert whole.time.tolist() == [7_000 + at for at in range(11)]


def test_a_computed_column_describes_itself() -> None:
    """By name, type, meaning and what it holds without a value; and is computed once."""
    asked: list[int] = []

    class One(Table):
        """A table."""

        @computed("int16", "-1: none")
        def some(self) -> Any:
            """What
            it is.
            """
            asked.append(1)
            return [1, 2]

        @computed("uint8")
        def other(self) -> Any:
            return np.array([3, 4])

    one: Any = One(Ground.__new__(Ground))
    assert One.describe() == (
        Column("some", "int16", "What it is.", "-1: none"), Column("other", "uint8", "", ""),
    )  # fmt: skip
    assert isinstance(One.some, computed)
    assert one.some is one.some
    assert asked == [1]
    assert (one.some.tolist(), str(one.some.dtype), len(one)) == ([1, 2], "int16", 2)
    assert list(one.columns()) == ["some", "other"]


# -------------------------------------------------------------------- contradicting mappings


@pytest.mark.parametrize("seed", range(25))
def test_mappings_that_contradict_what_covered_octets_first(seed: int) -> None:
    """A finite one does if any of its octets had another DSN by its first mapping."""
    draw = random.Random(seed)
    maps = [
        (draw.choice((0, 0, 2)), draw.randrange(1, 20), draw.choice((0, 0, 0, 1, 30)),
         draw.choice((0, 1, 2, 5, 9)), draw.choice((0, 0x10)))
        for _ in range(draw.choice((1, 3, 9)))
    ]  # fmt: skip
    owner: dict[tuple[int, int], int] = {}
    for number, (half, start, _, length, flags) in enumerate(maps):
        size = length - (length > 0 and flags == 0x10)
        for octet in range(start, 60 if length == 0 and not flags else start + size):
            owner.setdefault((half, octet), number)
    pieces = []
    for half, octet in sorted(owner):
        number = owner[half, octet]
        if pieces and pieces[-1][3] == half and pieces[-1][1:3] == [octet, number]:
            pieces[-1][1] += 1
        else:
            pieces.append([octet, octet + 1, number, half])
    made = trace()
    made.wire.mappings = table(
        MAPS | {"start": "q"}, len(maps), half=[each[0] for each in maps],
        start=[each[1] for each in maps], dsn=[each[1] + each[2] for each in maps],
        length=[each[3] for each in maps], flags=[each[4] for each in maps],
    )  # fmt: skip
    columns = (array("q", [each[0] for each in pieces]), array("q", [each[1] for each in pieces]),
               array("I", [each[2] for each in pieces]))  # fmt: skip
    made.plane.pieces = SimpleNamespace(of=lambda *_: columns)
    expected = []
    for half, start, delta, length, flags in maps:
        size = length - (length > 0 and flags == 0x10)
        expected.append(
            any(maps[owner[half, octet]][2] != delta for octet in range(start, start + size))
        )
    assert MappingTable(Ground(made)).conflict.tolist() == expected


# -------------------------------------------------------------------- ground


def test_what_is_known_of_each_half() -> None:
    """Connection, subflow, role and end; halves outside MPTCP have none."""
    ground = trace().ground
    found = {name: values.tolist() for name, values in ground.of_half.items()}
    assert found == {
        "connection": [4, 4, -1, -1, 0, 0], "subflow": [3, 3, 5, 5, -1, -1],
        "sender": [0, 1, -1, -1, -1, -1],
        "from_source": [True, False, True, False, False, False],
    }  # fmt: skip
    assert [str(values.dtype) for values in ground.of_half.values()] == [
        "int32", "int32", "int8", "bool",
    ]  # fmt: skip
    assert ground.direction.tolist() == [8, 9, -1, 8, 8, 10, 9, 8, 11, 8, 8]
    assert ground.rows.tolist() == MEMBERS
    assert ground.base.tolist() == [0] * 8 + [100, WIDE - 2, 7, 9]
    assert ground.of_half is ground.of_half


def test_acknowledgments_are_relative_to_the_other_ends_number() -> None:
    """With flag ACK, in MPTCP, and if that number is known."""
    ground = trace().ground
    assert ground.relative_ack.tolist() == [-1, 1, -1, 1, 1, -1, 9, 3, -2991, 3, 3]
    made = trace()
    made.plane.isn_from = array("B", [0, 4, 1, 1, 1, 1])
    assert Ground(made).relative_ack.tolist() == [
        -1, -1, -1, 1, 1, -1, -1, 3, -2991, 3, 3,
    ]  # fmt: skip


def test_who_carries_octets() -> None:
    """What is mapped, but for duplicates and probes of a closed window."""
    ground = trace().ground
    assert np.flatnonzero(ground.carries).tolist() == [0, 3, 4, 7, 8, 9]
    spaces, low, high = (values.tolist() for values in ground.part_place)
    assert spaces == [8, 8, 10, 9, 8, 8, 8, 8, 8, 8, 8]
    assert low[3:6] == [5, 5, 101]
    assert high[3:6] == [7, 9, 102]


def test_control_options_of_a_row() -> None:
    """All of a segment's, in order; none of its neighbours'."""
    made = trace()
    made.wire.controls = table(
        CONTROLS, 5, row=[2, 4, 4, 4, 7], offset=[0, 2, 5, 9, 11], size=[2, 3, 4, 2, 1]
    )
    made.wire.capture = SimpleNamespace(data=memoryview(b"aabbbccccdde"))
    ground = Ground(made)
    assert [ground.controls(row) for row in range(9)] == [
        [], [], [b"aa"], [], [b"bbb", b"cccc", b"dd"], [], [], [b"e"], [],
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_numbers_are_unwrapped_group_by_group(seed: int) -> None:
    """Those that move by less than half the space come back, less what the first one hides."""
    draw = random.Random(seed)
    now = {group: draw.randrange(1 << 40) for group in range(draw.choice((1, 3, 12)))}
    hidden = {group: value - value % (1 << 32) for group, value in now.items()}
    groups, lows, expected = [], [], []
    for turn in range(60):
        group = draw.choice(list(now))
        if group in groups:
            now[group] += draw.choice((0, 1, -5, 1 << 30, -(1 << 30), (1 << 31) - 1, 1 - (1 << 31)))
        groups.append(group)
        lows.append(now[group] % (1 << 32))
        expected.append(now[group] - hidden[group])
        assert turn < 60
    found = unwrapped(np.array(groups, np.int32), np.array(lows))
    assert found.tolist() == expected
    assert unwrapped(np.array([], np.int32), np.array([], np.int64)).tolist() == []


# -------------------------------------------------------------------- lookups


def carrier(frame: int, sequence: int, dsn: int, octets: int, kind: str | None) -> Carrier:
    """Octets of subflow 3."""
    return Carrier(
        frame=frame, subflow=3, sequence=sequence, dsn=dsn, dsn_end=dsn + octets, kind=kind,
        duplicate=kind is None,
    )  # fmt: skip


def test_who_carried_octets() -> None:
    """Duplicates and probes too; what continues in one segment and class is one carrier."""
    made = trace()
    first = carrier(14, 1, 1, 8, "first_seen")
    twice = carrier(15, 1, 1, 8, None)
    again = carrier(18, 5, 5, 4, "tcp_retransmission")
    probe = carrier(20, 9, 101, 1, "zero_window_probe")
    copied = carrier(21, 5, 5, 2, "reinjection")
    rest = carrier(21, 7, 7, 2, "first_seen")
    later = carrier(21, 9, 101, 3, "first_seen")
    one: Any = SimpleNamespace(id=4)

    def carried(start: int, end: int, role: int = 0) -> tuple[Carrier, ...]:
        return lookups.carriers(made, one, role, start, end)

    assert carried(1, 9) == (first, twice, again, copied, rest)
    assert carried(4, 5) == carried(1, 2) == (first, twice)
    assert carried(5, 6) == (first, twice, again, copied)
    assert carried(8, 101) == (first, twice, again, rest)
    assert carried(9, 101) == carried(104, 200) == carried(0, 1) == ()
    assert carried(101, 102) == (probe, later)
    assert carried(102, 104) == (later,)
    assert carried(5, 7, 1) == (Carrier(
        frame=17, subflow=3, sequence=1, dsn=5, dsn_end=7, kind="first_seen", duplicate=False
    ),)  # fmt: skip


def test_carriers_that_continue_each_other() -> None:
    """In one segment, with one distance and class, one behind the other."""
    made = trace()
    entries = [
        (3, 1, 3, 0, 5, 0), (3, 3, 4, 1, 5, 0), (3, 4, 6, 1, 6, 0), (3, 6, 7, 1, 6, 1),
        (3, 8, 9, 1, 6, 1), (6, 9, 10, 1, 6, 1), (6, 10, 12, 1, 6, 1),
    ]  # fmt: skip
    columns = np.array(entries, np.int64).T
    made.ground.__dict__["parts"] = Parts(
        row=columns[0], start=columns[1], end=columns[2], mapping=columns[3], delta=columns[4],
        kind=columns[5],
    )  # fmt: skip
    found = lookups._carriers(made.ground, slice(None))
    assert [(each.frame, each.sequence, each.dsn, each.dsn_end) for each in found] == [
        (14, 1, 6, 9), (14, 4, 10, 12), (14, 6, 12, 13), (14, 8, 14, 15), (17, 9, 15, 18),
    ]  # fmt: skip


def test_who_announced_an_octet() -> None:
    """Mappings of its direction that cover it, with the frames that repeated them."""
    made = trace()
    first = Announcement(
        frame=14, subflow=3, mapping=0, dsn=1, dsn_end=9, repeats=(), conflict=False
    )
    assert lookups._announcements(made, 8, 1) == lookups._announcements(made, 8, 8) == (first,)
    for dsn in (0, 9, 100, 107):
        assert lookups._announcements(made, 8, dsn) == ()
    for dsn in (101, 106):
        assert [each.frame for each in lookups._announcements(made, 8, dsn)] == [20]
    # The infinite one has no end; a DATA_FIN alone covers nothing.
    for dsn, frames in ((-3, []), (4, []), (5, [17]), (1 << 60, [17])):
        found = lookups._announcements(made, 9, dsn)
        assert [each.frame for each in found] == frames
        assert all(each.dsn_end is None for each in found)
    made.wire.segments["mapping"][7] = made.wire.segments["mapping"][10] = 0
    (found,) = lookups._announcements(made, 8, 5)
    assert found.repeats == (18, 21)
    bare = trace()
    bare.wire.mappings = table(MAPS | {"start": "q"}, 0)
    assert lookups._announcements(bare, 8, 1) == ()


def test_an_octet_by_its_number() -> None:
    """With its absolute number, in its direction."""
    made = trace()
    one: Any = SimpleNamespace(id=4)
    found = lookups.octet(made, one, 1, 6)
    assert (found.connection, found.direction, found.dsn, found.absolute) == (4, "listener", 6, 4)
    assert (
        [each.frame for each in found.announced] == [each.frame for each in found.carried] == [17]
    )
    assert lookups.octet(made, one, 0, -200).absolute == WIDE - 100
    assert [each.frame for each in lookups.octet(made, one, 0, 5).carried] == [14, 15, 18, 21]
    assert [each.frame for each in lookups.octet(made, one, 0, 8).carried] == [14, 15, 18, 21]
    assert [each.frame for each in lookups.octet(made, one, 0, 101).carried] == [20, 21]


def test_rows_of_frames() -> None:
    """A frame without a segment of MPTCP is refused with the reason."""
    made = trace()
    assert [lookups._row(made, 11 + row) for row in MEMBERS] == MEMBERS
    for frame, cause in ((13, "no MPTCP option"), (1, "no TCP segment"), (30, "no TCP segment"),
                         (22, "no TCP segment"), (0, "frames 1 to 30"), (31, "frames 1 to 30"),
                         (-1, "frames 1 to 30")):  # fmt: skip
        with pytest.raises(UsageError, match=f"frame {frame} is no segment") as raised:
            lookups._row(made, frame)
        assert cause in (raised.value.cause or "")


def test_everything_about_a_frame() -> None:
    """All columns, the options, the payload range by range, and who carried it before."""
    made = trace()
    octets = pad([encode(MpPrio(backup=True)), encode(Dss.of(data_ack=1))])
    made.capture = SimpleNamespace(data=memoryview(bytes(30) + octets + b"payload"))
    made.wire.capture = made.capture
    for row in range(11):
        made.wire.segments["offset"][row] = 30 + len(octets)
        made.wire.segments["header"][row] = 20 + len(octets)
    found = lookups.segment(made, 21)
    assert [type(option).__name__ for option in found.options] == ["MpPrio", "Dss"]
    assert (found.frame, found.time, found.connection, found.subflow) == (21, 7010, 4, 3)
    assert (found.sender, found.from_source, found.flags, found.window) == (
        "initiator", True, 0x1FF, 510,
    )  # fmt: skip
    # It has flag SYN and payload: the segment itself is one before it.
    assert (found.sequence, found.ack, found.payload, found.captured) == (2, 3, 12, 11)
    assert (found.duplicate, found.options_cut, found.declares) == (False, False, None)
    assert (found.data_ack, found.data_ack_absolute) == (None, None)
    assert [
        (part.sequence, part.octets, part.dsn, part.dsn_end, part.absolute, part.mapping,
         part.announced, part.kind) for part in found.ranges
    ] == [
        (3, 2, None, None, None, None, None, "first_seen"),
        (5, 2, 5, 7, 105, 0, 14, "reinjection"), (7, 2, 7, 9, 107, 0, 14, "first_seen"),
        (9, 3, 101, 104, 201, 1, 20, "first_seen"),
        (12, 3, None, None, None, None, None, "first_seen"),
    ]  # fmt: skip
    # The duplicate and the probe do not count.
    assert [(each.frame, each.sequence) for each in found.previous] == [(14, 1), (18, 5)]
    assert found.copies == 2
    twice = lookups.segment(made, 15)
    assert (twice.duplicate, twice.previous, twice.copies, twice.declares) == (True, (), 0, 0)
    assert (twice.data_ack, twice.data_ack_absolute) == (9, 7)
    assert twice.ranges == (Range(
        sequence=1, octets=8, dsn=1, dsn_end=9, absolute=101, mapping=0, announced=14, kind=None
    ),)  # fmt: skip
    stray = lookups.segment(made, 16)
    assert (stray.connection, stray.sender, stray.from_source, stray.ack) == (-1, None, True, None)
    assert (stray.sequence, lookups.segment(made, 11).sequence) == (0, 1)
    assert (lookups.segment(made, 18).options_cut, lookups.segment(made, 18).options) == (True, ())
    assert [lookups.segment(made, frame).ack for frame in (12, 17, 19)] == [1, 9, -2991]
    assert (lookups.segment(made, 19).data_ack_absolute, lookups.segment(made, 19).sender) == (
        57,
        None,
    )
