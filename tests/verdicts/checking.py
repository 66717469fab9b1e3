"""What verdicts must be on lawful traces: sound, and honest when frames are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mptcp_oracle.conformance.proving import (
    Shown,
    claims,
    failures,
    grown,
    number,
    planted,
    verdicts_of,
)

from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.compose import DEEP, Plan, compose
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = [
    "Shown",
    "claims",
    "composed",
    "dishonest",
    "failures",
    "grown",
    "number",
    "planted",
    "thinned",
    "verdicts_of",
    "wrongs",
]


def wrongs(capture: Capture) -> Iterator[Verdict]:
    """The failures on one lawful capture, with claims and without."""
    for claimed in (True, False):
        yield from failures(verdicts_of(capture, claimed=claimed))


def composed(seed: int, plan: Plan = DEEP) -> Capture:
    """A lawful capture."""
    return compose(Counted(seed, "sound"), plan)


def thinned(capture: Capture, choices: Choices) -> Capture:
    """A capture with some of its frames missing."""
    kept = tuple(frame for frame in capture.frames if not choices.chance(1, 6))
    return replace(capture, frames=kept, defects=(*capture.defects, "single_holes"))


def dishonest(capture: Capture, choices: Choices) -> Iterator[Verdict]:
    """Failures that come of frames that are missing alone, in a capture of one connection."""
    if len(capture.trace.connections) != 1:
        return
    before = {(v.requirement, v.host): v for v in verdicts_of(capture)}
    for verdict in failures(verdicts_of(thinned(capture, choices))):
        was = before.get((verdict.requirement, verdict.host))
        if was is None or was.outcome is not Outcome.FAIL:
            yield verdict
