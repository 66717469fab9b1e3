"""The mapping and transmission loops against a per-octet reference, in both engine forms."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.engine import available, loops
from tests.common.reference import (
    INFINITE,
    Mapping,
    Segment,
    classify,
    pieces_by_octet,
)

HALVES = 4
CLASSES = (
    "first_seen",
    "tcp_retransmission",
    "remap",
    "copy",
    "copy",
    "copy",
    "zero_window_probe",
    "unmapped",
)
COMPILED = pytest.mark.skipif(not available(), reason="no compiled engine is installed")
KINDS = ["plain", pytest.param("compiled", marks=COMPILED)]


def zeros(code: str, count: int) -> array[int]:
    """A column of zeros."""
    return array(code, bytes(array(code).itemsize * count))


def mappings() -> st.SearchStrategy[list[Mapping]]:
    """Mappings near each other, so that they overlap in every way."""
    near = st.integers(0, 60)
    return st.lists(
        st.builds(
            Mapping,
            half=st.sampled_from([0, 2]),
            start=near,
            dsn=near,
            octets=st.integers(0, 25),
            data_fin=st.booleans(),
        ),
        max_size=14,
    )


SEGMENTS = st.lists(
    st.builds(
        Segment,
        half=st.sampled_from([0, 2]),
        start=st.integers(0, 70),
        octets=st.integers(1, 30),
    ),
    max_size=16,
)


class Plane:
    """The loops' tables for hand-made mappings and segments."""

    def __init__(self, kind: str, given_mappings: list[Mapping]) -> None:
        self.engine: SimpleNamespace = loops(kind)
        count = len(given_mappings)
        self.half = array("i", [mapping.half for mapping in given_mappings])
        self.start = array("q", [mapping.start for mapping in given_mappings])
        self.dsn = array("q", [mapping.dsn for mapping in given_mappings])
        self.length = array("H", [mapping.length for mapping in given_mappings])
        self.flags = array("B", [0x10 if mapping.data_fin else 0 for mapping in given_mappings])
        self.first = zeros("I", HALVES + 1)
        self.order = zeros("I", count)
        spare = zeros("I", count)
        self.engine.mappings.order(count, self.half, self.start, self.first, self.order, spare)
        self.piece_first = zeros("I", HALVES + 1)
        self.piece_start, self.piece_end = zeros("q", 2 * count), zeros("q", 2 * count)
        self.piece_map = zeros("I", 2 * count)
        self.pieces = self.engine.mappings.pieces(
            self.first, self.order, self.start, self.length, self.flags,
            array("B", [1]) * HALVES, spare,
            self.piece_first, self.piece_start, self.piece_end, self.piece_map,
        )  # fmt: skip

    def owner(self, half: int) -> dict[int, int]:
        found = {}
        for at in range(self.piece_first[half], self.piece_first[half + 1]):
            for octet in range(self.piece_start[at], min(self.piece_end[at], INFINITE)):
                assert octet not in found
                found[octet] = self.piece_map[at]
        return found

    def classify(self, segments: list[Segment]) -> tuple[array[int], ...]:
        rows = len(segments)
        column = {
            "time": array("q", range(rows)),
            "half": array("i", [segment.half for segment in segments]),
            "flags": array("H", [0x10] * rows),
            "sequence": array("q", [segment.start for segment in segments]),
            "ack": zeros("I", rows),
            "window": array("H", [1] * rows),
            "length": array("I", [segment.octets for segment in segments]),
            "dss": zeros("B", rows),
            "data_ack": zeros("q", rows),
            "piece": zeros("i", rows),
            "previous": zeros("I", rows),
            "kind": zeros("B", rows),
        }
        direction = array("i", [0, 1, 0, 1])
        self.engine.mappings.resolve(
            rows, column["half"], column["sequence"], column["length"], direction,
            self.piece_first, self.piece_start, self.piece_end, zeros("I", HALVES),
            column["piece"],
        )  # fmt: skip
        classifier = self.engine.transmissions.Classifier()
        classifier.bind_rows(*column.values())
        classifier.bind_pieces(
            self.piece_first, self.piece_start, self.piece_end, self.piece_map,
            self.start, self.dsn, self.length,
        )  # fmt: skip
        octets = zeros("q", 8 * HALVES)
        classifier.bind_halves(
            direction, zeros("I", HALVES), zeros("q", HALVES), zeros("B", HALVES),
            array("I", [rows * half for half in range(HALVES)]), zeros("I", HALVES),
            zeros("I", rows * HALVES), zeros("q", HALVES), zeros("q", HALVES),
            zeros("q", HALVES), zeros("I", HALVES), zeros("I", HALVES), zeros("q", HALVES),
            array("q", [-1]) * HALVES, array("q", [-1]) * HALVES, zeros("B", HALVES),
            zeros("B", HALVES), octets, array("i", [-1]) * HALVES, array("i", [-1]) * HALVES,
        )  # fmt: skip
        classifier.bind_directions(
            array("q", [-(1 << 40)] * 2), array("q", [-(1 << 40)] * 2), zeros("B", 2),
            zeros("i", 2), zeros("q", 2), zeros("q", 8), zeros("q", 64),
        )  # fmt: skip
        splits = (zeros("I", 4096), zeros("q", 4096), zeros("q", 4096), zeros("B", 4096))
        classifier.bind_splits(*splits)
        assert classifier.run(0, rows) == rows
        count, spilled = classifier.counts()
        assert spilled == 0
        self.classifier = classifier
        return column["kind"], column["previous"], octets, *(part[:count] for part in splits)


@pytest.mark.parametrize("kind", KINDS)
@given(made=mappings())
def test_each_octet_belongs_to_the_mapping_that_covered_it_first(
    kind: str, made: list[Mapping]
) -> None:
    """Pieces are disjoint, and each octet's piece is the earliest mapping's."""
    plane = Plane(kind, made)
    for half in (0, 2):
        assert plane.owner(half) == pieces_by_octet(made, half)


@pytest.mark.parametrize("kind", KINDS)
@given(made=mappings(), segments=SEGMENTS)
def test_transmissions_agree_with_the_per_octet_reference(
    kind: str, made: list[Mapping], segments: list[Segment]
) -> None:
    """Classes of all octets and the nearest earlier carrier are the reference's."""
    expected = classify(made, segments)
    plane = Plane(kind, made)
    kinds, previous, octets, *splits = plane.classify(segments)
    counted: dict[tuple[int, str], int] = {}
    for row, classes in enumerate(expected.classes):
        bits = {CLASSES[bit] for bit in range(8) if kinds[row] >> bit & 1}
        assert bits == set(classes), f"row {row}"
        assert previous[row] == (
            0 if expected.previous[row] is None else expected.previous[row] + 1
        )
        for name in classes:
            counted[segments[row].half, name] = counted.get((segments[row].half, name), 0) + 1
    for half in (0, 2):
        for name in set(CLASSES):
            got = sum(octets[8 * half + at] for at in range(8) if CLASSES[at] == name)
            assert got == counted.get((half, name), 0)
    ranges: dict[int, list[str]] = {}
    for row, start, end, at in zip(*splits, strict=True):
        ranges.setdefault(row, []).extend([CLASSES[at]] * (end - start))
    for row, names in ranges.items():
        assert names == expected.classes[row]


@given(made=mappings(), segments=SEGMENTS)
@COMPILED
def test_both_engine_forms_give_the_same_transmissions(
    made: list[Mapping], segments: list[Segment]
) -> None:
    """Plain and compiled loops fill every output alike."""
    plain = Plane("plain", made).classify(segments)
    compiled = Plane("compiled", made).classify(segments)
    assert plain == compiled
