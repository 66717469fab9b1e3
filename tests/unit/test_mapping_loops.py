"""The loops that sort and cut mappings against Python's sorting and a naive account of octets."""

from __future__ import annotations

import random
from array import array
from itertools import groupby
from types import SimpleNamespace

import pytest

from tests.common.reference import INFINITE, Mapping, pieces_by_octet

COUNT = 4
ENDLESS = (1 << 62) - 1


def zeros(code: str, count: int) -> array[int]:
    """A column of zeros."""
    return array(code, bytes(array(code).itemsize * count))


def some(generator: random.Random, count: int, most: int) -> list[Mapping]:
    """Mappings that overlap in every way; few are infinite."""
    return [
        Mapping(
            half=generator.choice((0, 0, 2, 3)),
            start=generator.randint(-20, most),
            dsn=1,
            octets=generator.choice((0, 1, 2, 5, 9, 30, 120)) or generator.choice((0, 3, 4, 5)),
            data_fin=generator.random() < 0.2,
        )
        for _ in range(count)
    ]  # fmt: skip


class Cut:
    """Mappings that were sorted and cut by the loops."""

    def __init__(self, loops: SimpleNamespace, given: list[Mapping], known: list[int]) -> None:
        count = len(given)
        self.first, self.order = zeros("I", COUNT + 1), array("I", [77] * count)
        spare = array("I", [77] * count)
        start = array("q", [each.start for each in given])
        loops.mappings.order(
            count, array("i", [each.half for each in given]), start, self.first, self.order, spare
        )
        self.piece_first = zeros("I", COUNT + 1)
        self.start, self.end = zeros("q", 2 * count), zeros("q", 2 * count)
        self.map = zeros("I", 2 * count)
        self.count = loops.mappings.pieces(
            self.first, self.order, start, array("H", [each.length for each in given]),
            array("B", [0x10 * each.data_fin for each in given]), array("B", known), spare,
            self.piece_first, self.start, self.end, self.map,
        )  # fmt: skip

    def pieces(self, half: int) -> list[tuple[int, int, int]]:
        """The pieces of a half."""
        at = range(self.piece_first[half], self.piece_first[half + 1])
        return [(self.start[each], self.end[each], self.map[each]) for each in at]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 40, 90])
@pytest.mark.parametrize("most", [3, 60, 1000])
def test_mappings_are_sorted_by_start_and_then_by_time(
    loops: SimpleNamespace, count: int, most: int
) -> None:
    """Each half has its mappings in order of their starts; equal ones stay in theirs."""
    generator = random.Random(count * most)
    for turn in range(6):
        given = some(generator, count, most)
        if turn % 2:
            # Almost in order, as subflows send, or the other way round.
            given.sort(key=lambda each: each.start, reverse=turn % 4 == 1)
            for at in generator.sample(range(count), count // 20):
                given.append(given.pop(at))
        cut = Cut(loops, given, [1] * COUNT)
        for half in range(COUNT):
            own = [at for at, each in enumerate(given) if each.half == half]
            expected = sorted(own, key=lambda at: given[at].start)
            assert [*cut.order[cut.first[half] : cut.first[half + 1]]] == expected
        assert cut.first[COUNT] == count


def expected_pieces(given: list[Mapping], half: int) -> list[tuple[int, int, int]]:
    """The longest stretches of octets that one mapping covered first."""
    owner = pieces_by_octet(given, half)
    runs = []
    for _, group in groupby(enumerate(sorted(owner)), lambda pair: (pair[1] - pair[0],
                                                                     owner[pair[1]])):  # fmt: skip
        octets = [octet for _, octet in group]
        runs.append((octets[0], octets[-1] + 1, owner[octets[0]]))
    return [(start, ENDLESS if end == INFINITE else end, number) for start, end, number in runs]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 30, 80])
@pytest.mark.parametrize("most", [10, 60, 400])
def test_pieces_are_the_stretches_that_a_mapping_covered_first(
    loops: SimpleNamespace, count: int, most: int
) -> None:
    """Pieces are as long as they can be, disjoint, and each one's mapping is the earliest."""
    generator = random.Random(count * most)
    for _ in range(4):
        given = some(generator, count, most)
        known = [generator.choice((1, 1, 1, 0)) for _ in range(COUNT)]
        cut = Cut(loops, given, known)
        for half in range(COUNT):
            assert cut.pieces(half) == (expected_pieces(given, half) if known[half] else [])
        assert cut.count == cut.piece_first[COUNT]


@pytest.mark.parametrize("seed", range(6))
def test_the_first_piece_of_a_segment_is_found(loops: SimpleNamespace, seed: int) -> None:
    """Segments in and out of order, long and empty ones, have the first piece that they touch."""
    generator = random.Random(seed)
    given = some(generator, 30, 120)
    given = [each for each in given if not each.infinite or generator.random() < 0.05]
    cut = Cut(loops, given, [1, 1, 0, 1])
    rows, at = [], -30
    for _ in range(200):
        at = generator.choice((at + 3, at + 3, at, generator.randint(-40, 260)))
        at = -30 if at > 260 else at
        rows.append((generator.choice((0, 0, 0, 1, 2, 3, -1)), at, generator.choice((0, 1, 3, 40))))
    direction = array("i", [0, 1, 0, generator.choice((-1, 1))])
    piece = array("i", [77] * len(rows))
    loops.mappings.resolve(
        len(rows), *(array(code, [row[at] for row in rows]) for at, code in enumerate("iqI")),
        direction, cut.piece_first, cut.start, cut.end, zeros("I", COUNT), piece,
    )  # fmt: skip
    for row, (half, begin, octets) in enumerate(rows):
        expected = -1
        if half >= 0 and direction[half] >= 0:
            touched = [
                number for number, (start, end, _) in enumerate(cut.pieces(half))
                if start < begin + octets and end > begin and octets
            ]  # fmt: skip
            expected = cut.piece_first[half] + touched[0] if touched else -1
        assert piece[row] == expected, (row, rows[row])
