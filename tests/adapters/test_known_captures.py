"""Captures of known differences: each still shows its own, and a mended dissector is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import asked
from mptcp_oracle.dissectors.choice import chosen
from mptcp_oracle.dissectors.known import Known, catalogue
from mptcp_oracle.dissectors.rows import gathered
from tests.adapters.captures import captured, entries
from tests.common.machine import tool

FILES = captured()
SHOWN = [(name, each) for name, each in entries() if f"{name}-{each.id}" in FILES]


def explanations(name: str, capture: Path) -> set[str]:
    """The known differences that a dissector shows in a capture."""
    dissector = chosen(name)
    with analyze(capture) as trace:
        view = gathered(trace, capture)
    result, crash = asked(dissector, capture, view, catalogue(name))
    assert crash is None
    return {group.known.id for group in result.explained if group.known is not None}


@pytest.mark.parametrize(
    ("name", "known"), SHOWN, ids=[f"{name}-{each.id}" for name, each in SHOWN]
)
def test_a_capture_shows_its_difference(name: str, known: Known) -> None:
    """If not, the dissector was mended: then the entry needs its ``fixed_by``."""
    if name != "dpkt":
        tool(name)
    version = chosen(name).version()
    if not known.covers(version):
        pytest.skip(f"it is not about {name} {version}")
    capture = FILES[f"{name}-{known.id}"]
    shown = explanations(name, capture)
    assert known.id in shown, f"{name} {version} does not show it any more; fixed_by = ?"


def test_every_capture_belongs_to_an_entry() -> None:
    """A capture whose entry is gone is not kept."""
    assert set(FILES) == {f"{name}-{each.id}" for name, each in SHOWN}


def test_reports_say_which_frame(tmp_path: Path) -> None:
    """Frame and values in the record are those of the comment in the capture."""
    for slug, path in FILES.items():
        record = json.loads((path.parent / f"{slug}.finding.json").read_text())
        assert 0 < record["frame"] <= record["frames"]
        words = f"{record['kind']['field']}: {record['dissector']['name']}"
        assert words.encode() in path.read_bytes()


def test_a_mended_dissector_is_noticed(tmp_path: Path) -> None:
    """Who says what the facts say shows no known difference: the test above would fail."""
    from tests.common.fake_dissectors import Fake

    capture = next(iter(FILES.values()), None)
    if capture is None:
        pytest.skip("no capture yet")
    with analyze(capture) as trace:
        view = gathered(trace, capture)
    result, _ = asked(Fake(change=lambda fact: fact), capture, view, catalogue("tshark"))
    assert not result.groups
