"""The loop that tells what was highest before, against a naive account, and its bounds."""

from __future__ import annotations

import random
from array import array
from types import SimpleNamespace

import pytest

GROUPS = 6
MOST = 1 << 40


def told(
    loops: SimpleNamespace, pairs: list[tuple[int, int]], beside: int | None, top: array[int]
) -> list[int]:
    """What is told of some groups and values: before each, or so far if ``beside`` is ``None``."""
    found = array("q", [-1] * len(pairs))
    group, value = (array(code, [pair[at] for pair in pairs]) for at, code in enumerate("iq"))
    if beside is None:
        loops.tops.so_far(len(pairs), group, value, MOST, top, found)
    else:
        loops.tops.before(len(pairs), group, value, beside, MOST, top, found)
    return [*found]


@pytest.mark.parametrize("beside", [0, 1, None])
@pytest.mark.parametrize("seed", range(3))
def test_tops_are_those_of_the_naive_account(
    loops: SimpleNamespace, seed: int, beside: int | None
) -> None:
    """Each place is told the highest value of its group, or of the one beside it, or its own."""
    generator, top = random.Random(seed), array("q", [0] * GROUPS)
    values = (*range(-2, 9), MOST - 1, MOST, MOST + 1, (1 << 63) - 1, -(1 << 63))
    before: list[tuple[int, int]] = []
    for _ in range(4):
        pairs = [(generator.randrange(GROUPS), generator.choice(values)) for _ in range(15)]
        expected = []
        for at, (group, _) in enumerate(pairs):
            known = before + pairs[: at + (beside is None)]
            earlier = [value for each, value in known if each == group ^ (beside or 0)]
            expected.append(min(max([0, *earlier]), MOST))
        assert told(loops, pairs, beside, top) == expected
        before += pairs
    assert [*top] == [min(max(0, *(v for g, v in before if g == each)), MOST) for each in range(6)]


@pytest.mark.parametrize("beside", [0, None])
@pytest.mark.parametrize("group", [GROUPS, 1 << 30])
def test_a_group_that_is_not_there(loops: SimpleNamespace, group: int, beside: int | None) -> None:
    """A group beyond all groups is refused, and nothing is written there."""
    with pytest.raises(IndexError):
        told(loops, [(0, 1), (group, 2)], beside, array("q", [0] * GROUPS))
