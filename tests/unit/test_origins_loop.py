"""The loop that infers initial sequence numbers against a naive reading of what mappings show."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace

import pytest

from tests.common.numbers import signed

COUNT = 4
FIN, CAPABLE = 0x10, 0x40
FAR = (1 << 62) - 1


@dataclass
class Shown:
    """Rows ``(half, sequence, length, mapping)`` and mappings ``(half, ssn, length, flags)``."""

    wanted: list[int]
    hint: list[int | None]
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    maps: list[tuple[int, int, int, int]] = field(default_factory=list)


def octets(length: int, flags: int) -> int:
    """Payload octets of a mapping (RFC 8684 section 3.3.3)."""
    return length - 1 if flags & FIN and length else length


def naive(shown: Shown) -> tuple[list[tuple[int, int]], list[int], list[int | None]]:
    """Where mappings begin and end in their segments, what came of each half, and its shift."""
    places: list[tuple[int, int]] = []
    wanted, shift = list(shown.wanted), [None] * COUNT  # type: list[int], list[int | None]
    for number, (half, ssn, length, flags) in enumerate(shown.maps):
        size = octets(length, flags)
        begins, ends = [], []
        for of, sequence, held, mapping in shown.rows:
            if mapping == number and of >= 0 and held and size and shown.wanted[of]:
                begins.append(signed(sequence - ssn, 32))
                ends.append(begins[-1] + held - size)
        places.append((min(begins), max(ends)) if begins else (FAR, -FAR))
        if begins and wanted[half] == 1:
            wanted[half] = 3
    for half in range(COUNT):
        own = [at for at, each in enumerate(shown.maps) if each[0] == half]
        if wanted[half] not in (1, 3):
            continue
        fits = [at for at in own if places[at][0] == places[at][1]]
        if not fits:
            continue
        place = places[fits[0]][0]
        shift[half] = -place
        third = shown.hint[half] == -place
        if shown.maps[fits[0]][3] & CAPABLE or third:
            wanted[half] = 2
        if any(places[at][0] != place for at in fits):
            wanted[half] = 4
        touching = [at for at in own if place in places[at]]
        ssns = {shown.maps[at][1] for at in touching}
        if wanted[half] == 3 and ssns - {shown.maps[fits[0]][1]}:
            wanted[half] = 2
        first = [at for at in own if shown.maps[at][3] & CAPABLE]
        if wanted[half] == 2 and first and not third and not set(first) & set(touching):
            wanted[half] = 6
    return places, wanted, shift


def inferred(
    loops: SimpleNamespace, shown: Shown
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """The same by the loop; halves of which nothing is known keep a shift of 5."""
    low, high = array("q", [9] * len(shown.maps)), array("q", [9] * len(shown.maps))
    wanted, shift = array("B", shown.wanted), array("q", [5] * COUNT)
    loops.origins.infer(
        len(shown.rows), len(shown.maps),
        *(array(code, [row[at] for row in shown.rows]) for at, code in enumerate("iqIi")),
        *(array(code, [row[at] for row in shown.maps]) for at, code in enumerate("iIHB")),
        low, high, wanted, array("q", [each or 0 for each in shown.hint]),
        array("B", [each is not None for each in shown.hint]), shift, array("i", [0] * COUNT),
    )  # fmt: skip
    return [*zip(low, high, strict=True)], [*wanted], [*shift]


def some(generator: random.Random) -> Shown:
    """Mappings that mostly lie on their segments, at few places."""
    places = [generator.choice((0, 0, 7, -7, (1 << 31) - 3, -(1 << 31))) for _ in range(2)]
    shown = Shown(
        wanted=[generator.choice((1, 1, 1, 1, 0, 5)) for _ in range(COUNT)],
        hint=[generator.choice((None, None, -places[0], 0, 3)) for _ in range(COUNT)],
    )
    for number in range(generator.randrange(13)):
        half, ssn = (
            generator.choice((0, 0, 0, 1, 2, 3)),
            generator.choice((1, 1, 11, 21, (1 << 32) - 4)),
        )
        size = generator.choice((0, 1, 10, 10, 20))
        flags = generator.choice((0, 0, 0, FIN, CAPABLE, CAPABLE)) | generator.choice((0, 0x2F))
        shown.maps.append((half, ssn, size, flags))
        at = generator.choice(places) + ssn
        parts = generator.choice(
            (
                (0, size),
                (0, size),
                (0, size // 2, size),
                (0, size + 3),
                (-2, size),
                (2, size),
                (0, size - 1),
                (1, size + 1),
                (),
            )
        )
        for begin, end in pairwise(parts):
            length = max(0, end - begin - (flags & FIN and end == size))
            shown.rows.append(
                (half, at + begin + generator.choice((0, 0, 1 << 32)), length, number)
            )
    for _ in range(generator.randrange(3)):
        half = generator.choice((-1, 0, 1))
        shown.rows.append((half, 5, 10, -1))
    return shown


@pytest.mark.parametrize("seed", range(5))
def test_origins_are_those_of_the_naive_reading(loops: SimpleNamespace, seed: int) -> None:
    """Places, what they prove, and the shift are those that a naive reading finds."""
    generator = random.Random(seed)
    met: set[int] = set()
    for _ in range(200):
        shown = some(generator)
        places, wanted, shift = naive(shown)
        found = inferred(loops, shown)
        assert found[0] == places, shown
        assert found[1] == wanted, shown
        for half in range(COUNT):
            assert found[2][half] == (5 if shift[half] is None else shift[half]), shown
        met.update(wanted)
    assert met == set(range(7))
