"""The replay of tshark's state says what tshark says, and its parts do what they are for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import cases
from mptcp_oracle.dissectors.dissector import Value
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.tshark import TShark
from mptcp_oracle.dissectors.tshark_causes import FORETOLD, foretold
from mptcp_oracle.dissectors.tshark_intervals import Intervals
from mptcp_oracle.dissectors.tshark_octets import Octets, OutOfBoundsError
from mptcp_oracle.dissectors.tshark_options import shown
from mptcp_oracle.dissectors.tshark_replay import replay
from tests.common.machine import tool
from tests.triggers.campaign import written

#: Fresh captures, and how many of them have malformed options.
NUMBERS, EVERY = range(12), 4


@pytest.mark.parametrize("number", NUMBERS)
def test_the_replay_says_what_tshark_says(number: int, tmp_path: Path) -> None:
    """Every difference of its fields is foreseen with tshark's very words, and no other."""
    tool("tshark")
    path = written(tmp_path, 4, number, malformed=number % EVERY == 0)
    with analyze(path) as trace:
        view = gathered(trace)
    dissector = TShark()
    said = {frame: dict(words) for frame, words in dissector.frames(path)}
    played = replay(view)
    sure = {
        frame
        for frame, note in played.notes.items()
        if not note.blurred and not view.segments[frame].fact["options_cut"]
    }
    for row in dissector.fields:
        if row.name not in FORETOLD or row.name == "tcp.options.mptcp.checksum":
            continue
        asked = sure
        if row.name == "tcp.ack":
            asked = {frame for frame in sure if view.segments[frame].fact["flags"] & 0x10}
        found: dict[int, tuple[Value, ...]] = {
            case.frame: case.theirs
            for case in cases(row, said, view)
            if case.theirs != case.ours and case.frame in asked
        }
        assert found == {
            frame: each.theirs
            for frame in asked
            if (each := foretold(view, row.name, frame)) is not None
        }, row.name


# ---- its parts -----------------------------------------------------------------------------

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=60)


@given(ranges=RANGES, low=st.integers(0, 80), length=st.integers(0, 15))
def test_a_tree_finds_intervals_or_counts_what_it_lost(
    ranges: list[tuple[int, int]], low: int, length: int
) -> None:
    """A search finds what overlaps; if it passes over some of it, it says so."""
    tree: Intervals[tuple[int, int]] = Intervals()
    kept: dict[int, tuple[int, tuple[int, int]]] = {}
    for begin, size in ranges:
        tree.insert(begin, begin + size, (begin, size))
        end = kept[begin][0] if begin in kept else begin + size
        kept[begin] = (end, (begin, size))
    high = low + length
    expected = {value for begin, (end, value) in kept.items() if begin <= high and low <= end}
    found = list(tree.within(low, high))
    assert len(found) == len(set(found))
    assert set(found) == expected or (tree.lost and set(found) < expected)


def test_a_tree_passes_over_intervals() -> None:
    """After a rotation the end noted for a node may be too low."""
    tree: Intervals[int] = Intervals()
    for number in (11, 1, 0, 9):
        tree.insert(number, number, number)
    assert (list(tree.within(1, 1)), tree.lost) == ([1], 0)
    assert (list(tree.within(9, 9)), tree.lost) == ([], 1)


def test_a_second_interval_takes_the_place_of_the_first() -> None:
    """With its value, and with the first one's end."""
    tree: Intervals[str] = Intervals()
    tree.insert(5, 9, "first")
    tree.insert(5, 20, "second")
    assert (list(tree.within(9, 9)), list(tree.within(10, 10))) == (["second"], [])


def test_octets_end() -> None:
    """Numbers are read from the front, and not beyond the end."""
    octets = Octets(bytes([1, 2, 3]))
    assert (octets.number(2), octets.left) == (0x0102, 1)
    with pytest.raises(OutOfBoundsError):
        octets.number(2)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1e0420", {"subtype": 2}),
        ("1e032f", {"subtype": 2}),
        ("1e045107", {"subtype": 5, "flags": "0x51", "backup.flag": 1, "addrid": 7}),
        ("1e048d06", {"subtype": 8, "rst_reason": "0x6", "flag_T.flag": 1}),
        ("1e08340a0a000001", {"ipver": 4, "addrid": 10, "ipv4": "10.0.0.1"}),
        ("1e08300a0a000001", {"echo": 0, "addrid": 10, "ipv4": "10.0.0.1"}),
    ],
)
def test_fields_of_an_option(raw: str, expected: dict[str, int | str]) -> None:
    """An option gives the fields of its subtype's layout as far as its octets go."""
    found = {
        name.removeprefix("tcp.options.mptcp."): value for name, value in shown(bytes.fromhex(raw))
    }
    assert expected.items() <= found.items()
    assert len(found) == 1 or len(raw) > 6
