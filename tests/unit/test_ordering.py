"""Groups of rows: their order, and what was highest in each so far."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.analysis import ordering
from mptcp_oracle.analysis.ordering import FAR, Tops, blocks, firsts, grouped, highest, span, tally

PAIRS = st.lists(st.tuples(st.integers(0, 11), st.integers(-3, 9)), max_size=40)


def columns(pairs: list[tuple[int, int]], kind: type = np.int64) -> tuple[np.ndarray, np.ndarray]:
    """The pairs as two columns."""
    first, second = ([pair[at] for pair in pairs] for at in (0, 1))
    return np.array(first, np.int32), np.array(second, kind)


@pytest.mark.parametrize("groups", [12, 1 << 16, (1 << 16) + 1])
@given(pairs=PAIRS)
def test_grouped(groups: int, pairs: list[tuple[int, int]]) -> None:
    """Indices are sorted by group, and each group keeps its order, however many there may be."""
    group, _ = columns(pairs)
    expected = sorted(range(len(pairs)), key=lambda at: pairs[at][0])
    assert grouped(group, groups).tolist() == expected


def test_grouped_far_apart() -> None:
    """Groups whose low halves are equal stay apart."""
    group = np.array([3, (1 << 16) + 2, 2, 1 << 16, 0, (1 << 16) + 2], np.int32)
    assert grouped(group, (1 << 16) + 3).tolist() == [4, 2, 0, 3, 1, 5]


@pytest.mark.parametrize("groups", [0, 1, 8])
def test_grouped_few(groups: int) -> None:
    """So it is with few groups, down to none."""
    group = np.array([each % max(groups, 1) for each in (7, 3, 0, 7, 3)][: 5 * bool(groups)])
    expected = sorted(range(len(group)), key=lambda at: group[at])
    assert grouped(group, groups).tolist() == expected


@given(pairs=PAIRS)
def test_highest(pairs: list[tuple[int, int]]) -> None:
    """The highest value of a group so far, and never below 0, whatever the order and the type."""
    expected = [
        max(0, *(value for group, value in pairs[: at + 1] if group == pairs[at][0]))
        for at in range(len(pairs))
    ]
    for kind in (np.int64, np.int32):
        assert highest(*columns(pairs, kind), 12).tolist() == expected
    group, values = columns(pairs)
    assert highest(group, values, 12, out=values) is values
    assert values.tolist() == expected


def test_highest_of_all() -> None:
    """What is far away counts as the farthest, and takes nothing into the next group."""
    group = np.array([0, 0, 1, 3])
    values = np.array([FAR - 1, 1 << 60, 5, FAR])
    assert highest(group, values, 4).tolist() == [FAR - 1, FAR, 5, FAR]


@pytest.mark.parametrize("block", [1, 3, 100])
@given(pairs=PAIRS)
def test_firsts(block: int, pairs: list[tuple[int, int]]) -> None:
    """The first of the rows that are meant is found in each group, in whichever block it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "BLOCK", block)
        group, mine = columns(pairs)
        own = [[at for at, pair in enumerate(pairs) if pair[0] == each] for each in range(12)]
        last = np.array([max(each, default=-1) for each in own])
        expected = [next((at for at in each if pairs[at][1] > 6), len(pairs)) for each in own]
        assert firsts(group, mine > 6, last).tolist() == expected


@pytest.mark.parametrize("few", [0, 20])
@given(pairs=PAIRS, groups=st.integers(0, 12))
def test_tally(few: int, pairs: list[tuple[int, int]], groups: int) -> None:
    """As many are counted of each group as there are; those of no group are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "FEW", few)
        own = [group - 1 for group, _ in pairs]
        expected = [own.count(each) for each in range(groups)]
        assert tally(np.array(own, np.int32), groups).tolist() == expected


@pytest.mark.parametrize("beside", [False, True])
@given(several=st.lists(PAIRS, max_size=4))
def test_tops(beside: bool, several: list[list[tuple[int, int]]]) -> None:
    """Each place is told the highest value of its group, or of its pair's other one, before it."""
    tops, top = Tops(12), [0] * 12
    for pairs in several:
        expected = []
        for group, value in pairs:
            expected.append(top[group ^ beside])
            top[group] = max(top[group], value)
        assert tops.before(*columns(pairs, np.int32), beside=beside).tolist() == expected
        assert tops.top.tolist() == top


def test_tops_of_far_values() -> None:
    """What is far away counts as the farthest."""
    tops = Tops(2)
    values = np.array([1 << 60, 3, FAR - 1, 4])
    assert tops.before(np.array([0, 0, 1, 1]), values).tolist() == [0, FAR, 0, FAR - 1]


def test_tops_of_what_cannot_be_written() -> None:
    """Columns of the engine, and arrays that are not in one piece, are read all the same."""
    group, values = np.array([1, 0, 0, 0, 1, 0], np.int32), np.arange(6)[::-1]
    group.flags.writeable = values.flags.writeable = False
    assert Tops(2).before(group[::2], values[::2]).tolist() == [0, 0, 5]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([4], slice(4, 5)),
        ([4, 5, 6], slice(4, 7)),
        ([4, 6], None),
    ],
)
def test_span(rows: list[int], expected: slice | None) -> None:
    """Consecutive rows are a slice; others stay what they are."""
    given_ = np.array(rows, np.int64)
    found = span(given_)
    assert found == expected if expected else found is given_


def test_blocks() -> None:
    """All rows are in one block each, in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "BLOCK", 4)
        assert list(blocks(9)) == [slice(0, 4), slice(4, 8), slice(8, 9)]
        assert list(blocks(8)) == [slice(0, 4), slice(4, 8)]
        assert list(blocks(0)) == []
