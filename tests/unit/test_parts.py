"""Parts of payload against an account of every single octet, over hand-made columns.

The columns are what the engine would have filled in: disjoint pieces of mappings sorted by place,
for each segment the first piece that ends behind its begin, and the classes that were noted.
"""

from __future__ import annotations

import random
from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mptcp_oracle.analysis.parts import (
    DUPLICATE,
    FAR,
    MOST_SPLITS,
    Parts,
    column,
    cut_by_class,
    cut_by_mapping,
    has_bit,
    probes,
)
from mptcp_oracle.facts import CLASSES

NAMES = ("row", "start", "end", "mapping", "delta", "kind")


class Table(dict[str, Any]):
    """Columns by name."""

    def of(self, *names: str) -> tuple[Any, ...]:
        """Several columns."""
        return tuple(self[name] for name in names)


ACK, SYN, RST = 0x10, 0x02, 0x04


class Plane:
    """A data plane of some mappings and segments.

    Args:
        maps: For each mapping: subflow sequence number, DSN.
        pieces: For each half, in order: begin, end, mapping.
        segments: Half, sequence number, octets of payload.
        direction: By half; -1 is outside MPTCP.
    """

    def __init__(
        self,
        maps: list[tuple[int, int]],
        pieces: list[list[tuple[int, int, int]]],
        segments: list[tuple[int, int, int]],
        direction: list[int] | None = None,
    ) -> None:
        self.direction = array("i", direction or range(len(pieces)))
        flat = [piece for held in pieces for piece in held]
        self.pieces = Table(
            start=array("q", [piece[0] for piece in flat]),
            end=array("q", [piece[1] for piece in flat]),
            map=array("I", [piece[2] for piece in flat]),
        )
        self.piece_first = array("I", [0])
        for held in pieces:
            self.piece_first.append(self.piece_first[-1] + len(held))
        first = [self._first(*segment) for segment in segments]
        rows = Table(
            half=array("i", [each[0] for each in segments]),
            sequence=array("q", [each[1] for each in segments]),
            length=array("I", [each[2] for each in segments]),
            piece=array("i", first),
            kind=array("B", bytes(len(segments))),
            previous=array("I", bytes(4 * len(segments))),
            flags=array("H", [ACK] * len(segments)),
            window=array("H", [9] * len(segments)),
            dss=array("B", bytes(len(segments))),
            data_ack=array("q", bytes(8 * len(segments))),
        )
        mappings = Table(
            start=array("q", [each[0] for each in maps]), dsn=array("q", [each[1] for each in maps])
        )
        self.wire: Any = SimpleNamespace(segments=rows, mappings=mappings)
        self.splits = Table(row=array("I"), start=array("q"), end=array("q"), kind=array("B"))

    def _first(self, half: int, sequence: int, octets: int) -> int:
        """The first piece of a half that ends behind a place, if it begins before the end."""
        for at in range(self.piece_first[half], self.piece_first[half + 1]):
            if self.pieces["end"][at] > sequence:
                return at if self.pieces["start"][at] < sequence + octets else -1
        return -1

    def note(self, row: int, lengths: list[int], kinds: list[int]) -> None:
        """What the classifier notes of a segment with octets of several classes."""
        for length, kind in zip(lengths, kinds, strict=True):
            self.splits["row"].append(row)
            self.splits["start"].append(900)
            self.splits["end"].append(900 + length)
            self.splits["kind"].append(kind)


def listed(parts: Parts) -> list[tuple[int, ...]]:
    """Parts as tuples."""
    columns = [getattr(parts, name).tolist() for name in NAMES]
    return list(zip(*columns, strict=True))


def owned(plane: Plane, half: int, octet: int) -> int:
    """The mapping of an octet, -1 for none."""
    for at in range(plane.piece_first[half], plane.piece_first[half + 1]):
        if plane.pieces["start"][at] <= octet < plane.pieces["end"][at]:
            mapping = plane.pieces["map"][at]
            return mapping if -FAR < plane.wire.mappings["dsn"][mapping] < FAR else -1
    return -1


def by_octet(plane: Plane) -> dict[tuple[int, int], tuple[int, int]]:
    """Mapping and distance between DSN and sequence number, by row and octet."""
    rows, maps = plane.wire.segments, plane.wire.mappings
    found = {}
    columns = rows.of("half", "sequence", "length")
    for row, (half, start, length) in enumerate(zip(*columns, strict=True)):
        if plane.direction[half] < 0:
            continue
        for octet in range(start, start + length):
            mapping = owned(plane, half, octet)
            delta = maps["dsn"][mapping] - maps["start"][mapping] if mapping >= 0 else 0
            found[row, octet] = (mapping, delta)
    return found


def spread(parts: Parts) -> dict[tuple[int, int], tuple[int, int]]:
    """The same of parts; none of their octets is in two of them."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for row, start, end, mapping, delta, _ in listed(parts):
        assert start < end
        for octet in range(start, end):
            assert (row, octet) not in found
            found[row, octet] = (mapping, delta)
    return found


def scattered(seed: int) -> Plane:
    """Pieces with and without gaps on two halves, a third outside MPTCP, segments anywhere."""
    draw = random.Random(seed)
    maps: list[tuple[int, int]] = []
    pieces: list[list[tuple[int, int, int]]] = []
    for _ in range(3):
        held, place = [], draw.randrange(4)
        for _ in range(draw.randrange(9)):
            end = place + draw.randrange(1, 6)
            maps.append((place - draw.randrange(3), draw.randrange(-50, 50)))
            held.append((place, end, len(maps) - 1))
            place = end + draw.choice((0, 0, 1, 4))
        pieces.append(held)
    segments = [
        (draw.randrange(3), draw.randrange(-3, 40), draw.choice((0, 1, 2, 7, 30)))
        for _ in range(30)
    ]
    return Plane(maps, pieces, segments, [4, -1, 5])


@pytest.mark.parametrize("seed", range(12))
def test_every_octet_is_in_one_part_under_its_mapping(seed: int) -> None:
    """Parts of all segments of MPTCP hold each of their octets once, in order."""
    plane = scattered(seed)
    parts = cut_by_mapping(plane)
    assert spread(parts) == by_octet(plane)
    places = [(row, start) for row, start, *_ in listed(parts)]
    assert places == sorted(places)
    assert set(parts.kind.tolist()) <= {-1}
    assert len(parts) == len(places)


@pytest.mark.parametrize("seed", range(12))
def test_parts_are_as_long_as_one_piece_and_one_gap(seed: int) -> None:
    """A part ends only where a piece does, begins only where one does, or at a segment's ends."""
    plane = scattered(seed)
    rows = plane.wire.segments
    edges = set(plane.pieces["start"]) | set(plane.pieces["end"])
    for row, start, end, *_ in listed(cut_by_mapping(plane)):
        begin = rows["sequence"][row]
        assert start in edges | {begin}
        assert end in edges | {begin + rows["length"][row]}


def test_parts_of_a_worked_example() -> None:
    """Ten octets with a mapping over the third to fifth and another from the seventh on."""
    plane = Plane(
        [(3, 103), (7, 57)],
        [[(3, 6, 0), (7, 20, 1)]],
        [(0, 1, 10), (0, 19, 3), (0, 20, 1), (0, 3, 3), (0, 6, 1)],
    )
    assert listed(cut_by_mapping(plane)) == [
        (0, 1, 3, -1, 0, -1),
        (0, 3, 6, 0, 100, -1),
        (0, 6, 7, -1, 0, -1),
        (0, 7, 11, 1, 50, -1),
        (1, 19, 20, 1, 50, -1),
        (1, 20, 22, -1, 0, -1),
        (2, 20, 21, -1, 0, -1),
        (3, 3, 6, 0, 100, -1),
        (4, 6, 7, -1, 0, -1),
    ]


def test_without_any_mapping_all_payload_is_one_part_a_segment() -> None:
    """Nothing is mapped and nothing is lost."""
    plane = Plane([], [[]], [(0, 1, 3), (0, 4, 0), (0, 4, 2)])
    assert listed(cut_by_mapping(plane)) == [(0, 1, 4, -1, 0, -1), (2, 4, 6, -1, 0, -1)]


@pytest.mark.parametrize(
    ("dsn", "mapped"), [(FAR - 1, True), (FAR, False), (1 - FAR, True), (-FAR, False)]
)
def test_garbage_numbers_map_nothing(dsn: int, mapped: bool) -> None:
    """A DSN 2**61 or more away from the IDSN counts as none, one octet nearer counts."""
    assert FAR == 2**61
    plane = Plane([(1, dsn)], [[(1, 5, 0)]], [(0, 1, 4)])
    expected = (0, 1, 5, 0, dsn - 1, -1) if mapped else (0, 1, 5, -1, 0, -1)
    assert listed(cut_by_mapping(plane)) == [expected]


@pytest.mark.parametrize("count", [255, 256, 257])
def test_so_many_mappings_of_one_segment_are_looked_at(count: int) -> None:
    """Up to 256 mappings in a segment are told apart; what lies behind them is one part."""
    plane = Plane(
        [(at, 2 * at) for at in range(count)],
        [[(at, at + 1, at) for at in range(count)]],
        [(0, 0, count + 2)],
    )
    parts = listed(cut_by_mapping(plane))
    mapped = min(count, 256)
    assert parts == [
        *((0, at, at + 1, at, at, -1) for at in range(mapped)),
        (0, mapped, count + 2, -1, 0, -1),
    ]


@pytest.mark.parametrize("seed", range(12))
def test_classes_are_those_that_were_noted_in_order(seed: int) -> None:
    """Each octet has the class noted for its segment, or for its place in the segment."""
    draw = random.Random(seed)
    plane = scattered(seed)
    rows = plane.wire.segments
    classes: dict[tuple[int, int], int] = {}
    for row in range(len(rows["half"])):
        start, length = rows["sequence"][row], rows["length"][row]
        if plane.direction[rows["half"][row]] < 0 or not length:
            continue
        kinds = [draw.randrange(8) for _ in range(draw.choice((1, 1, 2, 3)))][:length]
        if draw.random() < 0.1:
            classes.update({(row, start + at): -1 for at in range(length)})  # a duplicate
        elif len(kinds) == 1:
            rows["kind"][row] = 1 << kinds[0]
            classes.update({(row, start + at): kinds[0] for at in range(length)})
        else:
            cuts = sorted(draw.sample(range(1, length), len(kinds) - 1))
            lengths = [b - a for a, b in zip([0, *cuts], [*cuts, length], strict=True)]
            plane.note(row, lengths, kinds)
            flat = [kind for kind, size in zip(kinds, lengths, strict=True) for _ in range(size)]
            classes.update({(row, start + at): kind for at, kind in enumerate(flat)})
    whole = cut_by_mapping(plane)
    parts = cut_by_class(plane, whole)
    assert spread(parts) == spread(whole)
    found = {
        (row, octet): kind
        for row, start, end, _, _, kind in listed(parts)
        for octet in range(start, end)
    }
    assert found == classes
    places = [(row, start) for row, start, *_ in listed(parts)]
    assert places == sorted(places)


def test_a_segment_cut_by_classes_and_by_mappings() -> None:
    """Cuts of both kinds are made, and a cut that both make is made once."""
    plane = Plane([(1, 11), (5, 95)], [[(1, 5, 0), (5, 9, 1)]], [(0, 1, 2), (0, 1, 8), (0, 7, 1)])
    plane.wire.segments["kind"][0] = 1 << 1
    plane.wire.segments["kind"][2] = 1 << 7
    plane.note(1, [2, 2, 3, 1], [1, 0, 3, 0])
    assert listed(cut_by_class(plane, cut_by_mapping(plane))) == [
        (0, 1, 3, 0, 10, 1),
        (1, 1, 3, 0, 10, 1),
        (1, 3, 5, 0, 10, 0),
        (1, 5, 8, 1, 90, 3),
        (1, 8, 9, 1, 90, 0),
        (2, 7, 8, 1, 90, 7),
    ]


def test_notes_of_neighbours_do_not_mix() -> None:
    """Segments that follow each other with notes of their own keep these apart."""
    plane = Plane([(0, 0)], [[(0, 50, 0)]], [(0, 0, 4), (0, 0, 4), (0, 4, 6)])
    plane.note(0, [1, 3], [0, 1])
    plane.note(1, [3, 1], [2, 3])
    plane.note(2, [2, 4], [4, 5])
    found = [(row, start, end, kind) for row, start, end, _, _, kind in listed(
        cut_by_class(plane, cut_by_mapping(plane))
    )]  # fmt: skip
    assert found == [
        (0, 0, 1, 0), (0, 1, 4, 1), (1, 0, 3, 2), (1, 3, 4, 3), (2, 4, 6, 4), (2, 6, 10, 5),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [62, 63, 64])
def test_of_so_many_classes_in_a_segment_the_rest_is_not_known(count: int) -> None:
    """The classifier notes 64 ranges, the last of which need not follow; 63 of them count."""
    assert MOST_SPLITS == 64
    plane = Plane([(0, 0)], [[(0, 90, 0)]], [(0, 0, 70), (0, 0, 2)])
    plane.note(0, [1] * count, [at % 2 for at in range(count)])
    plane.note(1, [1, 1], [2, 3])
    found = listed(cut_by_class(plane, cut_by_mapping(plane)))
    known = min(count, 63)
    assert [(start, end, kind) for row, start, end, _, _, kind in found if row == 0] == [
        *((at, at + 1, at % 2) for at in range(known)),
        (known, 70, -1),
    ]
    assert [kind for row, *_, kind in found if row == 1] == [2, 3]


@pytest.mark.parametrize("kind", range(8))
def test_the_class_of_a_segment_is_its_only_bit(kind: int) -> None:
    """One bit is one class, no bit is none, and several without a note are none."""
    plane = Plane([], [[]], [(0, 1, 3), (0, 1, 3), (0, 1, 3)])
    plane.wire.segments["kind"][0] = 1 << kind
    plane.wire.segments["kind"][2] = 1 << kind | 1 << (kind + 1) % 8
    assert cut_by_class(plane, cut_by_mapping(plane)).kind.tolist() == [kind, -1, -1]


def parts_of(*tuples: tuple[int, ...]) -> Parts:
    """Parts from tuples."""
    columns = zip(*tuples, strict=True)
    return Parts(**{
        name: np.array(values, np.int64) for name, values in zip(NAMES, columns, strict=True)
    })  # fmt: skip


def test_parts_can_be_chosen_and_looked_up_by_row() -> None:
    """A mask, a slice and a row choose the parts that they say, all columns alike."""
    tuples = [
        (0, 1, 2, 3, 4, 5), (2, 6, 7, 8, 9, 10), (2, 11, 12, 13, 14, 15), (5, 16, 17, 18, 19, 20),
    ]  # fmt: skip
    parts = parts_of(*tuples)
    assert listed(parts.where(slice(1, 3))) == tuples[1:3]
    assert listed(parts.where(np.array([True, False, False, True]))) == [tuples[0], tuples[3]]
    assert [listed(parts.of_row(row)) for row in range(7)] == [
        tuples[:1], [], tuples[1:3], [], [], tuples[3:], [],
    ]  # fmt: skip


def test_probes_and_what_repeats_them_alone() -> None:
    """A probe is one by its class; so is one octet sent again to a closed window, that no segment
    carried.
    """
    again, probe, new = (
        CLASSES.index(name) for name in ("tcp_retransmission", "zero_window_probe", "first_seen")
    )
    plane = Plane([], [[], []], [(1, 0, 0), *[(0, 1, 9)] * 4])
    plane.wire.segments["window"][0] = 0
    plane.wire.segments["previous"][3] = 1
    parts = parts_of(
        (1, 1, 2, 0, 0, probe), (1, 2, 3, 0, 0, new), (2, 1, 2, 0, 0, again),
        (2, 2, 4, 0, 0, again), (2, 4, 7, 0, 0, again), (3, 1, 2, 0, 0, again),
        (4, 1, 1, 0, 0, again), (4, 1, 2, 0, 0, -1), (4, 2, 9, 0, 0, probe),
    )  # fmt: skip
    assert probes(plane, parts).tolist() == [
        True, False, True, False, False, False, False, False, True,
    ]  # fmt: skip
    assert probes(plane, parts.where(slice(0, 2))).tolist() == [True, False]


@pytest.mark.parametrize(
    ("said", "shut"),
    [
        ([(1, ACK, 0, None)], True),
        ([(1, ACK, 9, None)], False),
        ([(1, ACK, 0, None), (1, ACK, 9, None)], True),
        ([(1, ACK, 0, None), (1, ACK, 9, 1)], True),
        ([(1, ACK, 0, None), (1, ACK, 9, 2)], False),
        ([(1, ACK, 0, 2)], True),
        ([(1, ACK, 9, 5), (1, ACK, 0, None), (1, ACK, 9, 5), (1, ACK, 9, 3)], True),
        ([(1, ACK, 0, 2), (1, ACK, 9, 3), (1, ACK, 0, 3)], True),
        ([(1, ACK | RST, 0, None)], False),
        ([(1, ACK | SYN, 0, None)], False),
        ([(1, ACK | DUPLICATE, 0, None)], False),
        ([(1, ACK, 0, None), (1, ACK | DUPLICATE, 9, 2)], True),
        ([(0, ACK, 0, None)], False),
        ([(2, ACK, 0, None)], False),
        ([(1, ACK, 0, None), (2, ACK, 9, 2)], True),
        ([(3, ACK, 0, None)], True),
        ([(1, ACK, 0, None), (3, ACK, 9, 2)], False),
        ([(-1, ACK, 0, None)], False),
    ],
)
def test_a_window_is_closed_until_more_is_acknowledged(
    said: list[tuple[int, int, int, int | None]], shut: bool
) -> None:
    """On any subflow of the connection, before the octet is sent again; not by SYN or RST."""
    again = CLASSES.index("tcp_retransmission")
    rows = [(half, 0, 0) for half, *_ in said]
    plane = Plane([], [[], [], [], []], [*rows, (0, 1, 1), (1, 0, 0)], [0, 1, 2, 1])
    segments = plane.wire.segments
    for row, (_, flags, window, number) in enumerate(said):
        segments["flags"][row], segments["window"][row] = flags, window
        if number is not None:
            segments["dss"][row], segments["data_ack"][row] = 1, number
    # What comes later says nothing of it.
    segments["window"][len(rows) + 1] = 0
    found = probes(plane, parts_of((len(rows), 1, 2, 0, 0, again)))
    assert found.tolist() == [shut]


@pytest.mark.parametrize("code", "BHIiq")
def test_columns_share_the_memory_of_the_engine(code: str) -> None:
    """A column has the engine's numbers and type, follows its changes, and cannot be written."""
    values = array(code, [1, 2, 100])
    found = column(values)
    assert found.tolist() == [1, 2, 100]
    assert found.dtype.itemsize == values.itemsize
    assert found.dtype.kind == ("i" if code in "iq" else "u")
    values[1] = 7
    assert found[1] == 7
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_bits_of_columns() -> None:
    """A bit is looked for by itself, whatever other bits there are."""
    assert has_bit(np.array([0, 1, 2, 3, 0x200, 0x201], np.uint16), 1).tolist() == [
        False, True, False, True, False, True,
    ]  # fmt: skip
