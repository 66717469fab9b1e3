"""The network: when segments arrive, and what else may happen to them."""

from __future__ import annotations

from itertools import pairwise

from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.network import CLEAR, HEADERS, Fate, Network, Path, fate


def fates(path: Path, count: int, octets: int = 1000, gap: int = 1_000) -> list[Fate]:
    """What becomes of so many segments, one after the other."""
    choices, direction, found = Counted(1), CLEAR, []
    for turn in range(count):
        one, direction = fate(path, direction, turn * gap, octets, choices)
        found.append(one)
    return found


def test_a_plain_path_delays() -> None:
    """Without anything else a segment arrives once, after the delay."""
    assert fates(Path(delay=500), 2) == [Fate(arrivals=(500,)), Fate(arrivals=(1500,))]


def test_a_rate_makes_segments_queue() -> None:
    """A segment waits until the link has sent the one before it, headers included."""
    each = (1000 + HEADERS) * 1000
    arrivals = [one.arrivals[0] for one in fates(Path(delay=0, rate=1_000_000), 3, gap=0)]
    assert arrivals == [each, 2 * each, 3 * each]


def test_a_full_queue_drops() -> None:
    """What would wait longer than the queue is lost, and the link goes on afterwards."""
    path = Path(delay=0, rate=1_000_000, queue=1_500_000)
    found = [bool(one.arrivals) for one in fates(path, 8, gap=500_000)]
    assert found == [True] * 3 + [False] + [True, False] * 2


def test_jitter_keeps_the_order() -> None:
    """Jitter alone never lets a segment overtake another one."""
    arrivals = [one.arrivals[0] for one in fates(Path(delay=10, jitter=5000), 300, gap=100)]
    assert arrivals == sorted(set(arrivals))
    assert len({arrival - 100 * turn for turn, arrival in enumerate(arrivals)}) > 50


def test_luck_has_its_parts() -> None:
    """Loss, duplication and reordering take the parts of a thousand that they were given."""
    path = Path(loss=100, duplication=50, reordering=30, delay=10_000_000)
    found = fates(path, 4000)
    lost = sum(not one.arrivals for one in found)
    doubled = sum(len(one.arrivals) == 2 for one in found)
    singles = [one.arrivals[0] for one in found if len(one.arrivals) == 1]
    overtaken = sum(one > after for one, after in pairwise(singles))
    assert 300 < lost < 500
    assert 130 < doubled < 270
    assert 70 < overtaken < 170


def test_a_middlebox_begins_when_told() -> None:
    """A middlebox alters every segment from the one on that it was told."""
    found = fates(Path(middlebox="strip", from_segment=2), 4)
    assert [one.alteration for one in found] == ["", "", "strip", "strip"]


def test_a_middlebox_alters_its_parts() -> None:
    """A middlebox that alters some segments leaves the rest alone."""
    found = fates(Path(middlebox="corrupt", altered=250), 1000)
    assert 180 < sum(one.alteration == "corrupt" for one in found) < 320


def test_later_subflows_take_the_last_path() -> None:
    """Subflow n takes path n; there are as many paths as were described."""
    network = Network(paths=(Path(delay=1), Path(delay=2)))
    assert [network.path(number).delay for number in range(4)] == [1, 2, 2, 2]
    assert network.path(1).round_trip == 4
