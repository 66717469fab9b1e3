"""The runner for volume: it counts what it tried, finds what differs, and can do it again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from mptcp_oracle.model.tables import TRANSITIONS
from tests.common.checkout import ROOT
from tests.proof import equal
from tests.proof.volume import BATCH, Tally, batch, sizing


def test_batches_are_of_one_size() -> None:
    """They make at least as many captures as asked for, and hardly more."""
    for count in (1, 2, BATCH - 1, BATCH, BATCH + 1, 100_000, 123_457):
        for jobs in (1, 2, 3):
            batches, size = sizing(count, jobs)
            assert size <= BATCH
            assert count <= batches * size < count + batches
            assert batches % jobs == 0 or batches == count


def test_a_batch_counts_what_it_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every capture is counted once, with its kinds; the same seed gives the same captures."""
    monkeypatch.setattr(equal, "disagreement", lambda sample, engine="": [])
    tally, again = batch(77, 30, "quick"), batch(77, 30, "quick")
    assert not tally.failures
    assert tally.captures == 30 == sum(tally.segments.values()) == sum(tally.frames.values())
    assert replace(tally, seconds=0, peak=0) == replace(again, seconds=0, peak=0)
    assert tally.kinds != batch(78, 30, "quick").kinds
    links = [count for kind, count in tally.kinds.items() if kind.startswith("link ")]
    assert sum(links) == 30
    assert set(tally.transitions) <= set(TRANSITIONS)
    whole = Tally()
    whole.merge(tally)
    whole.merge(again)
    assert whole.captures == 60
    shown = "\n".join(whole.lines())
    assert "60 captures; median " in shown
    assert f"of {len(TRANSITIONS)}" in shown
    assert "not taken: " in shown


def test_a_batch_ends_at_its_first_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The runner can fail: a wrong fact is in its report, with the file that shows it."""
    folder = tmp_path_factory.mktemp("failures")
    monkeypatch.setenv("MPTCP_ORACLE_FAILURES", str(folder))

    def wrong(sample: equal.Sample, engine: str = "") -> list[str]:
        return ["frame 3: payload"] if len(sample.capture.frames) > 20 else []

    monkeypatch.setattr(equal, "disagreement", wrong)
    tally = batch(5, 100, "quick", shrink=False)
    assert set(tally.failures) == {5}
    assert "frame 3: payload" in tally.failures[5]
    assert tally.captures < 100
    assert list(folder.glob("seed-5.pcap*"))


@pytest.mark.slow
def test_the_command_reports(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A small run in two processes prints seeds, medians, shares and coverage."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.proof", "--count", "20", "--seed", "3", "--profile", "quick"],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("run 3", "seeds 3000000", "captures; median", "transitions taken", "link: "):
        assert words in done.stdout
