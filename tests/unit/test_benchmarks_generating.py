"""The benchmark of writing captures compares the same octets, and says what it found."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from mptcp_oracle.generators.emit import emit

from benchmarks import __main__ as command
from benchmarks import generating
from benchmarks.generating import Cost, Memory, costs, made, memory, show, to_json
from benchmarks.synthetic import SEGMENTS_PER_CONNECTION
from mptcp_oracle import analyze
from mptcp_oracle.errors import OracleError
from mptcp_oracle.model.capture import Layout

COST = Cost(name="Ethernet", segments=1_000, ours=0.01, scapy=0.5)


def test_the_captures_are_what_they_are_meant_to_be() -> None:
    """Each connection has two subflows with valid joins and is closed by DATA_FINs."""
    capture = made(3, Layout(timestamps=True))
    trace = analyze(emit(capture))
    assert len(capture.frames) == 3 * SEGMENTS_PER_CONNECTION
    assert len(trace.connections) == 3
    for connection in trace.connections:
        assert (connection.state, len(connection.subflows)) == ("closed", 2)
        assert connection.subflows[1].join.result == "valid"


def test_both_ways_are_timed_for_every_layout() -> None:
    """Every layout has as many segments on both sides and times above 0."""
    found = costs(1)
    assert [each.name for each in found] == list(generating.LAYOUTS)
    assert {each.segments for each in found} == {SEGMENTS_PER_CONNECTION}
    assert all(each.ours > 0 and each.scapy > 0 for each in found)


def test_different_octets_are_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the two ways give different octets, there is nothing to compare."""
    monkeypatch.setattr(generating, "assemble", lambda *_: b"")
    with pytest.raises(OracleError, match="not those that scapy builds"):
        costs(1)


def test_memory_is_counted_for_each_connection() -> None:
    """A connection takes memory, and not more than ten times what its octets could explain."""
    found = memory(200)
    assert (found.connections, found.segments) == (200, SEGMENTS_PER_CONNECTION)
    assert 5_000 < found.values < 500_000


def test_figures_are_shown() -> None:
    """Text and JSON have the figures for a segment, the ratio, and the memory."""
    held = Memory(connections=10_000, segments=37, values=40_000.0, written=42_000.0)
    text = show([COST], held)
    assert "| Ethernet | 1,000    | 10.0            | 500              | 50    | yes |" in text
    assert "40.0 kB of memory for each, 42.0 kB while they are written" in text
    assert to_json([COST], None)["memory"] is None
    assert to_json([COST], held)["layouts"] == [
        {"name": "Ethernet", "segments": 1_000, "ours": 0.01, "scapy": 0.5, "ratio": 50.0}
    ]


@pytest.mark.parametrize(("ours", "status"), [(0.1, 0), (0.1001, 1)])
def test_the_budget_decides_the_exit_status(
    ours: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times faster than scapy is enough, less is not."""
    cost = Cost(name="Ethernet", segments=1, ours=ours, scapy=0.5)
    monkeypatch.setattr(generating, "costs", lambda connections: [cost])
    done = CliRunner().invoke(command.main, ["generate", "--many", "0", "--json"])
    assert done.exit_code == status
    assert json.loads(done.stdout)["layouts"][0]["ours"] == ours
    assert ("NO" in show([cost], None)) is bool(status)
