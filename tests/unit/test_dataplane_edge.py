"""The edge between columns and the engine's loops: bases, first rows, what the loops are handed.

Hand-made columns and a recording stand-in for the engine; what the loops make of their tables has
tests of its own.
"""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle.analysis import dataplane, ordering
from mptcp_oracle.analysis.dataplane import DataPlane, Trigger, signed64
from tests.common.columns import MAPS, table, wire

FAR = 1 << 40
WIDE = 1 << 64


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0), (1, 1), (-1, -1), (2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (2**64 - 1, -1),
        (2**64, 0), (2**64 + 5, 5), (-(2**63), -(2**63)), (-(2**63) - 1, 2**63 - 1),
        (3 * 2**64 - 2, -2),
    ],
)  # fmt: skip
def test_numbers_with_a_sign(value: int, expected: int) -> None:
    """The signed number is the one of 64 bits that is congruent modulo 2**64."""
    assert signed64(value) == expected


def test_a_plane_knows_nothing_at_first() -> None:
    """Rows are -1 for none, and the next DSN of each direction is its first one, 1."""
    plane = DataPlane(wire(halves=3, half_isn_from=[1, 0, 2]), 2)
    assert list(plane.direction) == list(plane.unmapped_row) == list(plane.mptcp_row) == [-1] * 3
    assert list(plane.dsn_top) == list(plane.dack_top) == [1, 1]
    assert (plane.base_from, plane.high_known) == (["", ""], [True, True])
    assert list(plane.isn_from) == [1, 0, 2]
    for zeros, count in (
        (plane.base, 2), (plane.shift, 3), (plane.vague, 3), (plane.skew, 3), (plane.placed, 3),
        (plane.first_skew, 3), (plane.piece_first, 4), (plane.map_first, 4), (plane.octets, 24),
        (plane.totals, 8), (plane.lags, 64), (plane.fresh_first, 3), (plane.fresh_count, 3),
    ):  # fmt: skip
        assert list(zeros) == [0] * count
    for nothing in (plane.map_order, plane.fresh, plane.checksum, plane.block_low, plane.acked,
                    plane.pieces, plane.splits, plane.offered):  # fmt: skip
        assert len(nothing) == 0
    assert (plane.spilled, plane.classifier) == (0, None)


# -------------------------------------------------------------------- first rows


@pytest.mark.parametrize("block", [1, 2, 3, 4, 5, 7, 100])
def test_the_first_plain_row_of_each_half(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the first that is neither SYN nor RST nor captured twice, however it is looked for."""
    monkeypatch.setattr(ordering, "BLOCK", block)
    ack, syn, rst, fin, twice = 0x010, 0x012, 0x014, 0x011, 0x210
    rows = [
        (3, ack), (0, syn), (1, syn), (0, rst), (0, fin), (0, ack), (2, rst), (1, twice),
        (1, ack), (5, twice), (2, syn), (1, ack), (-1, ack),
    ]  # fmt: skip
    plane = DataPlane(
        wire(
            halves=6,
            rows=len(rows),
            half=[row[0] for row in rows],
            flags=[row[1] for row in rows],
            half_last_row=[5, 11, 10, 0, -1, 9],
        ),
        0,
    )
    found = plane.first_rows()
    assert found == [4, 8, -1, 0, -1, -1]
    assert plane.first_rows() is found


@pytest.mark.parametrize("flag", range(16))
def test_which_flags_a_first_row_may_have(flag: int) -> None:
    """Only SYN (0x2), RST (0x4) and the mark of a duplicate (0x200) pass a segment over."""
    plane = DataPlane(wire(rows=1, flags=[1 << flag]), 0)
    assert plane.first_rows() == [-1 if 1 << flag in (0x2, 0x4, 0x200) else 0, -1]


def test_gap_fillers_are_grouped_by_half() -> None:
    """Rows that filled a gap are listed by their half, in order, and asked for once."""
    plane = DataPlane(wire(halves=4, rows=6, half=[0, 3, 0, 1, 3, 0]), 0)
    asked: list[int] = []
    plane.classifier = SimpleNamespace(gap_fillers=lambda: asked.append(1) or [1, 2, 4, 5])
    assert plane.gap_fillers() == {3: [1, 4], 0: [2, 5]}
    assert plane.gap_fillers() == {3: [1, 4], 0: [2, 5]}
    assert asked == [1]


# -------------------------------------------------------------------- bases

KEY_IDSN = 0xF5A1_01D3_D29D_6F72


def host(idsn: int | None = None) -> Any:
    """A host of which nothing but the IDSN is known."""
    return SimpleNamespace(idsn=idsn, base=0)


def based(
    idsn: int | None, *flows: dict[str, int], role: int = 0
) -> tuple[int, int, str, bool, list[Any]]:
    """What the DSNs of a role count from, given the first numbers that its subflows show.

    ``dsn8``, ``dsn4`` are what the role sent, ``ack8`` and ``ack4`` what the other one
    acknowledged, ``frame`` is where the subflow began.

    Returns:
        Base of the host and of the direction, how it is known, whether all 64 bits are, and the
        half and role of each contradiction.
    """
    columns: dict[str, list[int]] = {"half_mptcp": [], "half_first_dsn": [],
                                     "half_first_data_ack": []}  # fmt: skip
    subflows = []
    for at, flow in enumerate(flows):
        own = {"mptcp": 2 if "dsn8" in flow else 8 if "dsn4" in flow else 0,
               "first_dsn": flow.get("dsn8", flow.get("dsn4", 0))}  # fmt: skip
        other = {"mptcp": 4 if "ack8" in flow else 16 if "ack4" in flow else 0,
                 "first_data_ack": flow.get("ack8", flow.get("ack4", 0))}  # fmt: skip
        for side in (0, 1):
            for name, held in columns.items():
                held.append((own if side == role else other).get(name[5:], 0))
        subflows.append(
            SimpleNamespace(halves=(2 * at, 2 * at + 1), first_frame=flow.get("frame", at + 1))
        )
    hosts = (host(idsn), host()) if role == 0 else (host(), host(idsn))
    connection: Any = SimpleNamespace(hosts=hosts, subflows=subflows)
    signed = {name: [signed64(value) for value in held] for name, held in columns.items()}
    plane = DataPlane(wire(halves=2 * len(flows), **signed), 4)
    contradicted: list[Any] = []
    dataplane._base(plane, connection, role, 2 + role, contradicted)
    assert [plane.base_from[each] for each in range(4) if each != 2 + role] == [""] * 3
    assert [plane.base[each] for each in range(4) if each != 2 + role] == [0] * 3
    assert all(entry[0] is connection for entry in contradicted)
    return (
        hosts[role].base, plane.base[2 + role], plane.base_from[2 + role],
        plane.high_known[2 + role], [entry[1:] for entry in contradicted],
    )  # fmt: skip


KEYED = (KEY_IDSN, signed64(KEY_IDSN), "key", True, [])


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize(
    "flows",
    [
        (),
        ({},),
        ({"dsn8": KEY_IDSN + 1},),
        ({"dsn8": KEY_IDSN - 5000},),
        ({"dsn8": KEY_IDSN + FAR - 1},),
        ({"dsn8": KEY_IDSN - FAR},),
        ({"dsn4": 77},),
        ({"ack8": 77},),
        ({"ack8": 77}, {"dsn8": KEY_IDSN + 1}),
        ({"dsn8": 77, "ack8": KEY_IDSN + 1},),
        ({"dsn8": 77}, {"ack8": KEY_IDSN + 1}),
        ({"dsn8": 77}, {"dsn8": KEY_IDSN + 1}),
    ],
)
def test_the_base_is_the_idsn_of_the_key(flows: tuple[dict[str, int], ...], role: int) -> None:
    """A key tells it, unless 8-octet numbers contradict it and none of them agrees."""
    assert based(KEY_IDSN, *flows, role=role) == KEYED


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("distance", [FAR, 1 << 63, -FAR - 2, 12_345_678_901_234])
def test_a_number_that_cannot_follow_from_the_key(distance: int, role: int) -> None:
    """What is 2**40 octets away from the IDSN was counted from another number: one less."""
    first = (KEY_IDSN + distance) % WIDE
    beyond = first + (9 if distance > 0 else -9)
    for flows in ({"dsn8": first},), ({"dsn8": first, "ack8": beyond},):
        found = based(KEY_IDSN, *flows, role=role)
        base = (first - 1) % WIDE
        assert found == (base, signed64(base), "mappings", True, [(role, role)])


def test_the_first_subflow_that_contradicts_the_key_is_named() -> None:
    """Of several subflows with strange numbers it is the one that began first."""
    flows = {"dsn8": 5000, "frame": 9}, {"dsn8": 7000, "frame": 4}, {"dsn8": 6000, "frame": 5}
    assert based(KEY_IDSN, *flows) == (6999, 6999, "mappings", True, [(0, 2)])


@pytest.mark.parametrize(
    ("flows", "base"),
    [
        (({"dsn8": 1001},), 1000),
        (({"ack8": 1001},), 1000),
        (({"dsn8": 1001, "ack8": 501},), 500),
        (({"dsn8": 501, "ack8": 1001},), 500),
        (({"dsn8": 1001}, {"dsn8": 901, "ack8": 951}), 900),
        (({"dsn8": 3, "ack8": WIDE - 4},), WIDE - 5),
        (({"dsn8": WIDE - 4, "ack8": 3},), WIDE - 5),
        (({"dsn8": 0},), WIDE - 1),
        (({"dsn8": 1001}, {"dsn4": 5}), 1000),
    ],
)
def test_without_a_key_the_lowest_number_shown_is_the_first(
    flows: tuple[dict[str, int], ...], base: int
) -> None:
    """Mapped or acknowledged, across the end of the numbers, whatever subflow it is on."""
    for role in (0, 1):
        assert based(None, *flows, role=role) == (base, signed64(base), "mappings", True, [])


@pytest.mark.parametrize(
    ("flows", "base"),
    [
        (({"dsn4": 1001},), 1000),
        (({"ack4": 1001},), 1000),
        (({"dsn4": 0},), 0xFFFF_FFFF),
        (({"dsn4": 0xFFFF_FFFF},), 0xFFFF_FFFE),
        (({"ack4": 7}, {"dsn4": 9}), 8),
        (({"dsn4": 9, "frame": 6}, {"dsn4": 7, "frame": 5}), 6),
    ],
)
def test_with_narrow_numbers_alone_the_high_half_is_not_known(
    flows: tuple[dict[str, int], ...], base: int
) -> None:
    """The low 32 bits count from the first mapped number, or else from the first acknowledged."""
    for role in (0, 1):
        assert based(None, *flows, role=role) == (base, base, "mappings", False, [])


def test_without_any_number_nothing_is_known() -> None:
    """Neither key nor numbers: the base is said to be unknown."""
    assert based(None, {}) == (0, 0, "", True, [])


def test_a_contradiction_is_shown_at_the_first_mapping_of_its_half() -> None:
    """The frame is that of the half's first mapping in the capture, not in the order of DSNs."""
    columns = wire(halves=3, rows=9, frame=[11, 12, 13, 14, 15, 16, 17, 18, 19])
    columns.mappings = table(MAPS, 5, row=[8, 2, 7, 3, 1])
    plane = DataPlane(columns, 2)
    plane.map_first = array("I", [0, 1, 4, 5])
    plane.map_order = array("I", [4, 0, 3, 2, 1])
    named: list[Any] = []
    connection: Any = SimpleNamespace(mismatches=named)
    one: Any = SimpleNamespace(role="listener", idsn=0xABC, base=0x123)
    for half, frame in ((0, 12), (1, 14), (2, 13)):
        dataplane._name_contradiction(plane, one, connection, half)
        found = named.pop()
        assert (found.what, found.host, found.frame) == ("idsn", "listener", frame)
        assert (found.expected, found.seen) == ("0000000000000abc", "0000000000000123")
        assert found.section == "3.1"


# -------------------------------------------------------------------- what the loop is handed


class Recorder:
    """Stands for the classifier: remembers what is bound, and splits as it is told."""

    def __init__(self, splits: list[list[tuple[int, int, int, int]]], stops: list[int]) -> None:
        self.bound: dict[str, tuple[Any, ...]] = {}
        self.ran: list[tuple[int, int]] = []
        self._splits, self._stops = splits, stops
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("bind_"):
            raise AttributeError(name)
        return lambda *given: self.bound.__setitem__(name[5:], given)

    def run(self, start: int, stop: int) -> int:
        """One stretch of rows; maybe not all that were asked for."""
        found = self._splits.pop(0) if self._splits else []
        for at, entry in enumerate(found):
            for column, value in zip(self.bound["splits"], entry, strict=True):
                column[at] = value
        self._count = len(found)
        self.ran.append((start, stop))
        return self._stops.pop(0) if self._stops else stop

    def counts(self) -> tuple[int, int]:
        """Splits of the last stretch, and segments with too many mappings so far."""
        return self._count, 10 * len(self.ran)


def followed(
    flows: list[tuple[tuple[int, int], int, bool]],
    *,
    rows: int = 0,
    triggers: list[Trigger] | None = None,
    splits: list[list[tuple[int, int, int, int]]] | None = None,
    stops: list[int] | None = None,
    progress: Any = None,
    **columns: list[int],
) -> tuple[DataPlane, Recorder]:
    """Run the classifier's stand-in over subflows: directions, round trip, captured at role 0."""
    halves = 2 * len(flows)
    plane = DataPlane(wire(halves=halves, rows=rows, **columns), 4)
    groups: dict[int, Any] = {}
    for at, (directions, took, here) in enumerate(flows):
        for side in (0, 1):
            plane.direction[2 * at + side] = directions[side]
        flow = SimpleNamespace(
            round_trip=took,
            captured_at=lambda role, here=here: here if role == 0 else not here,
            sides=lambda at=at: iter(enumerate((2 * at, 2 * at + 1))),
        )
        groups.setdefault(directions[0] >> 1, SimpleNamespace(subflows=[])).subflows.append(flow)
    plane.wire.mappings.add("start", "q")
    plane.wire.segments.add("piece", "i")
    recorder = Recorder(splits or [], stops or [])
    engine = SimpleNamespace(transmissions=SimpleNamespace(Classifier=lambda: recorder))
    dataplane._transmissions(engine, plane, list(groups.values()), triggers or [], progress)
    return plane, recorder


NAMES_OF_HALVES = (
    "direction", "isn", "rtt", "at_sender", "fresh_first", "fresh_count", "fresh", "fresh_top",
    "low", "high", "seek", "finger", "acked", "loss_time", "end_time", "backup", "regular",
    "octets", "unmapped_row", "mptcp_row",
)  # fmt: skip
NAMES_OF_DIRECTIONS = ("dsn_top", "dack_top", "shut", "regulars", "quick", "totals", "lags")


def test_halves_are_handed_over_with_what_is_known_of_them() -> None:
    """Round trips, who captured, and room for as many first carriers as a half has segments."""
    plane, recorder = followed(
        [((0, 1), 50, True), ((0, 1), 0, False), ((3, 2), 7, False)],
        half_count=[3, 0, 2, 5, 1, 4], half_isn=[9, 8, 7, 6, 5, 4],
    )  # fmt: skip
    found = dict(zip(NAMES_OF_HALVES, recorder.bound["halves"], strict=True))
    assert list(found["direction"]) == [0, 1, 0, 1, 3, 2]
    assert list(found["isn"]) == [9, 8, 7, 6, 5, 4]
    assert list(found["rtt"]) == [50, 50, 0, 0, 7, 7]
    assert list(found["at_sender"]) == [1, 0, 0, 1, 0, 1]
    assert list(found["fresh_first"]) == [0, 3, 3, 5, 10, 11]
    assert len(found["fresh"]) == 15
    assert len(found["octets"]) == 8 * 6
    for name in ("fresh_count", "fresh_top", "low", "high", "seek", "finger", "acked", "backup",
                 "regular"):  # fmt: skip
        assert list(found[name]) == [0] * 6, name
    # No loss is younger than any segment, and no subflow has ended.
    assert all(value <= -(1 << 62) for value in found["loss_time"])
    assert all(value < 0 for value in found["end_time"])
    assert len(found["loss_time"]) == len(found["end_time"]) == 6
    assert found["low"] is plane.block_low
    assert found["acked"] is plane.acked
    assert found["octets"] is plane.octets
    assert (found["unmapped_row"], found["mptcp_row"]) == (plane.unmapped_row, plane.mptcp_row)


@pytest.mark.parametrize(
    ("trips", "shortest"),
    [([0], 0), ([5], 5), ([5, 3], 3), ([3, 5], 3), ([0, 5], 5), ([5, 0], 5), ([1, 0, 2], 1),
     ([4, 4], 4), ([70_000, 2_000, 9_000], 2_000)],
)  # fmt: skip
def test_the_quickest_round_trip_of_a_direction(trips: list[int], shortest: int) -> None:
    """It is the shortest of its subflows, of which 0 is not known; other directions keep theirs."""
    flows = [((0, 1), took, True) for took in trips]
    _, recorder = followed([((2, 3), 99, True), *flows])
    found = dict(zip(NAMES_OF_DIRECTIONS, recorder.bound["directions"], strict=True))
    assert list(found["quick"]) == [shortest, shortest, 99, 99]


def test_directions_are_handed_over_at_their_beginning() -> None:
    """Nothing is sent, acknowledged, shut, or counted yet."""
    plane, recorder = followed([((0, 1), 0, True)])
    found = dict(zip(NAMES_OF_DIRECTIONS, recorder.bound["directions"], strict=True))
    assert found["dsn_top"] is plane.dsn_top
    assert found["dack_top"] is plane.dack_top
    assert (found["totals"], found["lags"]) == (plane.totals, plane.lags)
    for name, count in (("shut", 4), ("regulars", 4), ("quick", 4), ("totals", 16), ("lags", 128)):
        assert list(found[name]) == [0] * count, name


def test_triggers_are_handed_over_by_number() -> None:
    """An end is 0, a half that became usable or regular 1, one that became backup 2."""
    triggers = [
        Trigger(row=3, half=1, kind="backup"), Trigger(row=5, half=0, kind="regular"),
        Trigger(row=5, half=2, kind="end"),
    ]  # fmt: skip
    _, recorder = followed([((0, 1), 0, True)], triggers=triggers)
    assert [list(each) for each in recorder.bound["triggers"]] == [[3, 5, 5], [1, 0, 2], [2, 1, 0]]


def test_rows_are_followed_range_by_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each range begins where the one before ended, which may be early, and reports progress."""
    monkeypatch.setattr(dataplane, "RANGE", 4)
    told: list[tuple[int, int]] = []
    splits = [[(1, 10, 12, 3), (1, 12, 15, 0)], [], [(7, 20, 21, 7)], [(9, 1, 2, 1)]]
    plane, recorder = followed(
        [((0, 1), 0, True)], rows=10, splits=splits, stops=[4, 6],
        progress=lambda *done: told.append(done),
    )  # fmt: skip
    assert recorder.ran == [(0, 4), (4, 8), (6, 10)]
    assert told == [(4, 10), (6, 10), (10, 10)]
    entries = zip(*plane.splits.of("row", "start", "end", "kind"), strict=True)
    assert list(entries) == [(1, 10, 12, 3), (1, 12, 15, 0), (7, 20, 21, 7)]
    assert plane.splits.rows == 3
    assert plane.spilled == 30


def test_no_rows_are_no_range() -> None:
    """Without segments nothing runs, and there is nothing to report."""
    told: list[int] = []
    _, recorder = followed([], progress=lambda *_: told.append(1))
    assert (recorder.ran, told) == ([], [])


def test_columns_of_segments_and_pieces_are_handed_over_in_order() -> None:
    """The classifier reads and fills the columns of the segments themselves."""
    plane, recorder = followed([((0, 1), 0, True)], rows=2)
    rows, maps = plane.wire.segments, plane.wire.mappings
    names = ("time", "half", "flags", "sequence", "ack", "window", "length", "dss", "data_ack",
             "piece", "previous", "kind")  # fmt: skip
    assert [each.obj is rows[name].obj for each, name in zip(
        recorder.bound["rows"], names, strict=True
    )] == [True] * len(names)  # fmt: skip
    assert recorder.bound["pieces"][0] is plane.piece_first
    assert len(recorder.bound["pieces"]) == 7
    assert list(maps["start"]) == []
    assert len(recorder.bound["splits"][0]) >= dataplane.RANGE
