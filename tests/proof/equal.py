"""The property that the project stands on: the analyzer finds what the model knows, and no more.

For every generated capture the facts of the analyzer are those that the truth of the trace and the
frames of the capture allow (:func:`mptcp_oracle.model.observable.observable`), known and unknown
alike.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

from hypothesis.strategies import SearchStrategy
from mptcp_oracle.generators import Sample
from mptcp_oracle.generators.drawn import drawn

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.compose import DEEP, SMALL, Plan, compose
from tests.common.agreement import differences
from tests.common.hostile import engine_form
from tests.common.watched import watched

__all__ = [
    "DisagreementError",
    "check",
    "disagreement",
    "engines_of",
    "facts_of",
    "failures",
    "plan_of",
    "samples",
]

#: One capture of so many is analyzed by the plain engine as well.
PLAIN_SHARE = 8
SHOWN = 12


class DisagreementError(AssertionError):
    """Facts and truth of a capture differ."""


def plan_of(profile: str) -> Plan:
    """What a profile composes: short captures where there is little time."""
    return DEEP if profile in ("deep", "hunting") else SMALL


def samples(plan: Plan) -> SearchStrategy[Sample]:
    """Captures of a plan; every step of the model keeps its invariants, or an error is raised."""
    return drawn(_sampler(plan))


def _sampler(plan: Plan) -> Callable[[Choices], Sample]:
    def composed(choices: Choices) -> Sample:
        with watched():
            return Sample(compose(choices, plan))

    return composed


def facts_of(octets: bytes, engine: str = "") -> list[Fact]:
    """What the analyzer finds in a capture, under one form of the engine or the usual one."""
    form = engine or os.environ.get("MPTCP_ORACLE_ENGINE", "")
    with engine_form(form), analyze(octets, name="sample") as trace:
        return list(trace.facts())


def engines_of(octets: bytes) -> tuple[str, ...]:
    """The forms of the engine that a capture is analyzed with: both for one of eight."""
    return ("", "plain") if zlib.crc32(octets) % PLAIN_SHARE == 0 else ("",)


def disagreement(sample: Sample, engine: str = "") -> list[str]:
    """What differs between the analyzer's facts and the truth, a line each; nothing if equal."""
    return differences(facts_of(sample.octets, engine), sample.truth)


def check(sample: Sample, name: str = "equal") -> None:
    """Analyze a sample and compare; one that fails is written to a file.

    Args:
        sample: The capture.
        name: Of the files; they are in ``MPTCP_ORACLE_FAILURES`` or ``build/failures``, where a
            later failure of this name replaces them.

    Raises:
        DisagreementError: Facts and truth differ. Hypothesis shows the sample as text.
    """
    for engine in engines_of(sample.octets):
        try:
            found = disagreement(sample, engine)
        except BaseException as error:
            error.add_note(_kept(sample, name))
            raise
        if found:
            form = f" ({engine} engine)" if engine else ""
            more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
            said = [f"facts and truth differ{form}", *found[:SHOWN], *more, _kept(sample, name)]
            raise DisagreementError("\n".join(said))


def failures() -> Path:
    """Where failing captures are written."""
    return Path(os.environ.get("MPTCP_ORACLE_FAILURES") or "build/failures")


def _kept(sample: Sample, name: str) -> str:
    """Write a sample, and say where."""
    folder = failures()
    for before in folder.glob(f"{name}.pcap*"):
        before.unlink()
    capture, truth = sample.write(folder, name)
    (folder / f"{name}.txt").write_text(str(sample), encoding="utf-8")
    return f"the capture is {capture}, what it lets one know {truth.name}, its text {name}.txt"
