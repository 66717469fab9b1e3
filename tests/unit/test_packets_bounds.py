"""The tests of cut frames would notice a missing bound: each bound is taken away in turn."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from mptcp_oracle import engine
from tests.common.cuts import CUTS, reads_beyond

SOURCE = Path(engine.__file__).with_name("packets.py").read_text()
BOUND = re.compile(r"self\.limit - at (<|>=) (\(.*?\)|\w+)")
PLACES = [found.start() for found in BOUND.finditer(SOURCE)]
LINES = [f"line {SOURCE.count(chr(10), 0, place) + 1}" for place in PLACES]


def without(place: int) -> ModuleType:
    """The packets loop, its bound at ``place`` always satisfied."""
    found = BOUND.match(SOURCE, place)
    assert found is not None
    always = "False" if found[1] == "<" else "True"
    module = ModuleType("planted")
    text = SOURCE[:place] + always + SOURCE[found.end() :]
    exec(compile(text, "planted", "exec"), vars(module))
    return module


def test_there_are_bounds_to_take_away() -> None:
    """The pattern finds the bounds of the packets loop."""
    assert len(PLACES) >= 12


@pytest.mark.parametrize("place", PLACES, ids=LINES)
def test_a_missing_bound_is_noticed(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this one bound, cutting frames shows it: another result, or a read out of range."""
    plain = engine.loops("plain")
    planted = SimpleNamespace(records=plain.records, packets=without(place))
    monkeypatch.setattr("mptcp_oracle.wire.capture.loops", lambda: planted)
    monkeypatch.setattr("mptcp_oracle.wire.reader.loops", lambda: planted)
    assert any(noticed(*CUTS[name]) for name in CUTS)


def noticed(linktype: int, frame: bytes) -> bool:
    """Whether a cut of the frame anywhere betrays the missing bound."""
    try:
        return any(reads_beyond(linktype, frame, size) for size in range(len(frame)))
    except (IndexError, OverflowError):
        return True
