"""The interval map of the transmissions against a sorted list, and its bounds."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle import engine
from mptcp_oracle.engine import transmissions
from tests.common.scenery import Map, Row, Scene
from tests.common.scenes import classified, scene

SPACES = (0, 1, 5)
NAMES = ("owner", "delta", "sole", "content", "shift")
TALLEST = 14


class Naive:
    """Intervals by node, and the attributes that were set."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[int, int, int]] = {}
        self.said: dict[int, tuple[int, ...]] = {}

    def after(self, space: int, at: int) -> int:
        """The first node of a space that ends after a number, or 0."""
        found = [(row, node) for node, row in self.held.items() if row[0] == space and row[2] > at]
        return min(found)[1] if found else 0

    def in_order(self, space: int) -> list[int]:
        """The nodes of a space."""
        return sorted(
            (node for node, row in self.held.items() if row[0] == space), key=self.held.get
        )  # type: ignore[arg-type]


def check(intervals: Any, naive: Naive) -> None:
    """Each space has its nodes in order, with what was set, and is searched rightly."""
    for space in SPACES:
        expected = naive.in_order(space)
        found, node = [], intervals.first_of(space)
        while node:
            found.append(node)
            node = intervals.next_of(node)
        assert found == expected
        for node in expected:
            start, end = naive.held[node][1:]
            owner, delta, sole, content, shift = naive.said[node]
            assert intervals.get(node) == (start, end, owner, delta, sole)
            assert intervals.source(node) == (start, end, content, shift)


def put(intervals: Any, naive: Naive, generator: random.Random, space: int, start: int) -> None:
    """One more interval, of three numbers."""
    node = intervals.insert(space, start, start + 3)
    assert node not in naive.held
    said = tuple(generator.randrange(-9, 9) for _ in NAMES)
    for name, value in zip(NAMES, said, strict=True):
        getattr(intervals, name)[node] = value
    naive.held[node], naive.said[node] = (space, start, start + 3), said


@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_found_as_in_a_sorted_list(seed: int) -> None:
    """However they are put in and taken out, nodes stay in order and keep what was set."""
    generator, intervals, naive = random.Random(seed), transmissions.Intervals(), Naive()
    free = [(space, 4 * at) for space in SPACES for at in range(-40, 60)]
    generator.shuffle(free)
    for step in range(600):
        if free and generator.random() < (0.8 if step < 300 else 0.45):
            put(intervals, naive, generator, *free.pop())
        elif naive.held:
            node = generator.choice(sorted(naive.held))
            free.append(naive.held.pop(node)[:2])
            intervals.remove(node)
        space, at = generator.choice(SPACES), generator.randrange(-170, 250)
        assert intervals.at(space, at) == naive.after(space, at)
        if step % 60 == 59:
            check(intervals, naive)
    assert len(naive.held) > 64


@pytest.mark.parametrize("count", [63, 64, 65, 127, 128, 129, 300])
def test_the_map_grows_and_forgets_nothing(count: int) -> None:
    """Before and behind each doubling of its arrays all nodes are there with what was set."""
    generator, intervals, naive = random.Random(count), transmissions.Intervals(), Naive()
    for at in range(count):
        put(intervals, naive, generator, SPACES[at % 3], 3 * at)
    check(intervals, naive)


def test_room_of_removed_nodes_is_used_again() -> None:
    """As many nodes as were ever held at once are all that there are."""
    intervals = transmissions.Intervals()
    for _ in range(50):
        for node in [intervals.insert(0, 2 * at, 2 * at + 1) for at in range(20)]:
            intervals.remove(node)
    assert intervals.nodes < 200
    assert len(intervals.space) <= 4 * intervals.nodes


@pytest.fixture
def many() -> Any:
    """A map with thousands of nodes, put in from the last to the first."""
    intervals = transmissions.Intervals()
    for at in range(4_096, 0, -1):
        intervals.insert(0, 2 * at, 2 * at + 1)
    return intervals


def test_each_level_has_about_a_quarter_of_the_nodes_of_the_one_below(many: Any) -> None:
    """Heights are those of a skip list, so that a search takes a logarithmic number of steps."""
    heights = [many.height[node] for node in range(1, many.nodes)]
    assert set(heights) <= set(range(1, TALLEST + 1))
    for level in range(1, 5):
        expected = 4_096 / 4**level
        taller = sum(height > level for height in heights)
        assert abs(taller - expected) < 5 * expected**0.5, level


def test_levels_are_lists_of_the_nodes_that_reach_them(many: Any) -> None:
    """On each level the nodes that are tall enough follow each other in order."""
    for level in range(TALLEST):
        expected = [node for node in range(1, many.nodes) if node and many.height[node] > level]
        found, node = [], many.pool[many.link[0] + level]
        while node:
            found.append(node)
            node = many.pool[many.link[node] + level]
        assert sorted(found) == expected
        assert [many.start[node] for node in found] == sorted(many.start[node] for node in found)


def crowded() -> Scene:
    """A segment with more transmissions than are written down."""
    maps = [Map(octet, 2 * octet, 1) for octet in range(1, 71)]
    pieces = [(each.start, each.start + 1, at) for at, each in enumerate(maps)]
    return Scene(
        direction=[0, 1], rows=[Row(time=1, half=0, sequence=1, length=70)], maps=maps,
        pieces={0: pieces}, rtt=[0, 0], at_sender=[True, True], isn=[0, 0], quick=[0, 0],
    )  # fmt: skip


#: Methods that only act: 0 says that all went well.
ACTING = ("end", "usable", "heed", "count", "note_seen", "part", "plainly", "carry", "clock")


def test_no_method_gives_the_signal_of_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only acts returns 0, and nothing -1, which the compiled form takes for an exception."""
    loops: SimpleNamespace = engine.loops("plain")
    given: list[tuple[str, object]] = []

    def noting(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def noted(*arguments: object) -> object:
            given.append((name, original(*arguments)))
            return given[-1][1]

        monkeypatch.setattr(owner, name, noted)

    classifier = loops.transmissions.Classifier
    for name in (*ACTING, "carrier", "judge"):
        noting(classifier, name)
    for name in ("find", "after", "insert", "remove"):
        noting(loops.transmissions.Intervals, name)
    generator = random.Random(1)
    for _ in range(8):
        classified(loops, scene(generator, 40))
    classified(loops, crowded())
    assert {name for name, _ in given} >= {*ACTING, "carrier", "judge", "remove"}
    for name, result in given:
        if name in (*ACTING, "remove"):
            assert (name, result) == (name, 0)
        else:
            assert isinstance(result, int), name
            assert result >= 0, name
