"""The classifier of the engine against a naive account of every octet, on random scenes."""

from __future__ import annotations

import random
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from tests.common.passage import Account
from tests.common.scenery import Map, Row, Scene
from tests.common.scenes import classified, scene


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rows", [12, 60])
def test_all_that_is_said_of_a_scene_is_what_the_account_says(
    loops: SimpleNamespace, rows: int, seed: int
) -> None:
    """Classes, carriers, counters, acknowledgments and round trips are those of the account."""
    generator = random.Random(seed)
    left = 240
    while left > 0:
        given = scene(generator, rows)
        account = Account(given)
        if not account.doubtful:
            assert asdict(classified(loops, given)) == asdict(account.told())
            left -= rows


@pytest.mark.parametrize(("room", "step"), [(64, 0), (66, 7), (4096, 1)])
def test_ranges_and_small_tables_do_not_show(loops: SimpleNamespace, room: int, step: int) -> None:
    """What is said is the same if the pass stops and goes on anywhere."""
    generator = random.Random(room + step)
    for _ in range(3):
        given = scene(generator, 40)
        assert classified(loops, given, room=room, step=step) == classified(loops, given)


def chequered(sizes: list[int]) -> Scene:
    """Segments of so many octets, each octet under a mapping of its own, every second DSN."""
    rows, maps, pieces, at = [], [], [], 1
    for number, octets in enumerate(sizes):
        rows.append(Row(time=number, half=0, sequence=at, length=octets))
        for octet in range(at, at + octets):
            pieces.append((octet, octet + 1, len(maps)))
            maps.append(Map(octet, 2 * octet, 1))
        at += octets
    rows.append(Row(time=len(sizes), half=0, sequence=at, length=5))
    return Scene(
        direction=[0, 1], rows=rows, maps=maps, pieces={0: pieces}, rtt=[0, 0],
        at_sender=[True, True], isn=[0, 0], quick=[0, 0],
    )  # fmt: skip


@pytest.mark.parametrize("octets", [1, 2, 63, 64, 65, 255, 256, 257, 300])
def test_pieces_and_transmissions_of_a_segment_are_bounded(
    loops: SimpleNamespace, octets: int
) -> None:
    """A segment has 64 transmissions and 256 pieces at most; what is beyond is counted."""
    given = chequered([octets, 3, octets])
    told = classified(loops, given)
    assert told == Account(given).told()
    assert told.spilled == 2 * (octets > 256)
    written = [row for row, *_ in told.splits]
    assert written.count(0) == written.count(2) == (0 if octets == 1 else min(octets, 64))
    assert told.octets[:8] == [2 * min(octets, 256) + 3, *[0] * 6, 2 * max(octets - 256, 0) + 5]


@pytest.mark.parametrize(
    ("room", "stops"),
    [(63, []), (64, [1, 2, 3, 4]), (127, [1, 2, 3, 4]), (128, [2, 4]), (255, [3, 4]), (256, [4])],
)
def test_a_pass_stops_where_a_segment_might_not_fit(
    loops: SimpleNamespace, room: int, stops: list[int]
) -> None:
    """It goes on as long as 64 transmissions more have room, and no longer."""
    given, found = chequered([64, 64, 64]), []
    classified(loops, given, room=room, stops=found)
    assert found == stops
