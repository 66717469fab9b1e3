"""Facts of the analyzer equal the truth of generated captures, as far as the captures show it.

``python -m tests.proof`` runs the same property over many more, in several processes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from mptcp_oracle.generators import Sample

from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import SMALL, compose
from tests.common.agreement import differences
from tests.common.profiles import examples, profile, shares
from tests.proof import equal
from tests.proof.equal import DisagreementError, check, facts_of, plan_of, samples

FOLDER = "MPTCP_ORACLE_FAILURES"


@pytest.mark.parametrize("share", shares("equal"))
@settings(max_examples=examples("equal"), suppress_health_check=list(HealthCheck))
@given(sample=samples(plan_of(profile())))
def test_facts_equal_the_observable_truth(share: int, sample: Sample) -> None:
    """What the analyzer finds in a capture is what its frames let one know, no less and no more."""
    check(sample)


def some(number: int) -> Sample:
    """A composed capture of MPTCP alone."""
    return Sample(compose(Counted(11, str(number)), replace(SMALL, noise=False)))


def test_the_truth_of_another_capture_differs() -> None:
    """The equation can fail: in what facts there are one MPTCP segment less is noticed."""
    noticed = 0
    for number in range(24):
        sample = some(number)
        facts, frames = facts_of(sample.octets), sample.capture.frames
        last = max((fact["frame"] for fact in facts if fact["fact"] == "segment"), default=0)
        if last:
            other = Sample(replace(sample.capture, frames=(*frames[: last - 1], *frames[last:])))
            assert differences(facts, other.truth)
            noticed += 1
    assert noticed >= 20


def test_a_failure_is_shown_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of a wrong fact the smallest capture is shown in packetdrill's notation, and written."""
    folder = tmp_path_factory.mktemp("failures")
    monkeypatch.setenv(FOLDER, str(folder))
    right = facts_of

    def wrong(octets: bytes, engine: str = "") -> list[dict[str, object]]:
        """The facts, but every payload is an octet too long."""
        found = right(octets, engine)
        for fact in found:
            if fact["fact"] == "segment" and fact["payload"]:
                fact["payload"] += 1
        return found

    monkeypatch.setattr(equal, "facts_of", wrong)

    @settings(
        max_examples=60, database=None, derandomize=True,
        phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(sample=samples(SMALL))
    def holds(sample: Sample) -> None:
        check(sample, "control")

    with pytest.raises(DisagreementError) as caught:
        holds()
    shown = "\n".join([str(caught.value), *caught.value.__notes__])
    assert "payload: ours" in shown
    assert "s0 > S 0:0(0) win " in shown
    text = (folder / "control.txt").read_text()
    assert str(folder / "control.pcapng") in shown
    assert len(text.splitlines()) < 25
    assert (folder / "control.pcapng").read_bytes()
    assert (folder / "control.truth.jsonl").read_text().startswith('{"fact":"header"')
