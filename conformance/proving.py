"""Proof of the rules: each fault of the model fails what it breaks, and clean traces pass.

A fault is planted in a generated trace and captured at the host to blame, by somebody who says so
and knows that nothing is missing. What then fails, and did not in the trace without the fault, must
be exactly what the fault is listed to break, for that host, at a frame that holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mptcp_oracle.generators.emit import emit

from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import capture_of
from mptcp_oracle.model.fault import Fault, lawful_of
from mptcp_oracle.model.planting import TRIES, soil
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.model.vantage import Tap
from mptcp_oracle.oracle import judge
from mptcp_oracle.spec import catalogue
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = [
    "HOSTS",
    "Shown",
    "claims",
    "failures",
    "grown",
    "lawful_capture",
    "number",
    "planted",
    "verdicts_of",
]

#: Defects after which a capture still has every frame that passed its tap while it ran. Pieces
#: that an interface has cut are not what the host sent.
WHOLE = {
    "merge", "second_interface", "router_hop", "coarse_clock", "late_start", "early_end",
}  # fmt: skip
HOSTS = ("initiator", "listener")
#: Traces that are made until one can be captured whole.
TURNS = 20


def claims(capture: Capture) -> tuple[tuple[str, ...], bool]:
    """What somebody who made a capture could truly say: ``local`` and ``whole``."""
    whole = WHOLE.issuperset(capture.defects) and not capture.withheld
    if capture.vantage not in HOSTS:
        return (), whole
    at = HOSTS.index(capture.vantage)
    local = {str(subflow.ends[at].address) for subflow in capture.trace.subflows}
    return tuple(sorted(local)), whole


def verdicts_of(capture: Capture, *, claimed: bool = True) -> list[Verdict]:
    """The verdicts on a capture, with all that can truly be claimed of it, or with nothing."""
    local, whole = claims(capture) if claimed else ((), False)
    with judge(emit(capture), local=local, whole=whole, name="sample") as judgement:
        return list(judgement.verdicts())


def failures(verdicts: list[Verdict]) -> list[Verdict]:
    """The failures among verdicts, of any severity."""
    return [each for each in verdicts if each.outcome is Outcome.FAIL]


def number(verdict: Verdict) -> str:
    """The inventory's number of a verdict's requirement."""
    return catalogue()[verdict.requirement].number


def grown(fault: Fault, version: int, seed: int, turn: int = 0) -> tuple[Trace, Trace] | None:
    """A trace of a version with a place for a fault, and that trace with the fault in it."""
    alone = _alone(fault, version)
    choices = Counted(seed, f"{fault.name} {version}" + (f" {turn}" if turn else ""))
    for _ in range(TRIES):
        trace = soil(alone, choices)
        if alone.places(trace):
            return trace, alone.plant(trace, choices)
    return None


def _alone(fault: Fault, version: int) -> Fault:
    """A fault of one version alone."""
    return replace(fault, v0=()) if version else replace(fault, v1=())


def lawful_capture(fault: Fault, version: int, seed: int) -> tuple[int, Capture] | None:
    """A lawful trace in which it matters whether a host has a fault, captured at that host.

    Returns:
        The host's role and the capture; ``None`` if no trace had a place.
    """
    other = lawful_of(_alone(fault, version))
    if other.pair is None:
        pair = grown(other, version, seed)
        if pair is None:
            return None
        trace, host = pair[1], pair[1].planted[-1].host
        trace = replace(trace, planted=())
    else:
        choices = Counted(seed, f"{fault.name} {version} lawful")
        trace, host = soil(other, choices), choices.pick(fault.hosts)
    return host, _captured_at(host, trace)


def _captured_at(host: int, trace: Trace) -> Capture:
    """What a host sees of a trace, by a capture without defects."""
    tap = Tap(vantage=HOSTS[host], lost_beyond=0)
    return capture_of(trace, tap, (), Layout(), Counted(0))


@dataclass(frozen=True, slots=True)
class Shown:
    """What the rules say of one planted fault.

    Attributes:
        expected: Numbers of the requirements it must trip. host: The host to blame.
        found: The failures on the faulty trace that are not on the clean one (if there is a clean
            one: an edit's), by number and host.
        at: Of each of these, its frames and argument. evidence: Frames that hold the fault.
        passed: Numbers of the requirements that some host keeps in the clean trace.
        capture: The faulty capture.
    """

    expected: frozenset[str]
    host: str
    found: frozenset[tuple[str, str]]
    at: dict[tuple[str, str], tuple[tuple[int, ...], str]]
    evidence: frozenset[int]
    passed: frozenset[str]
    capture: Capture

    def problems(self, judged: set[str]) -> Iterator[str]:
        """What is wrong with that, as far as ``judged`` requirements are concerned."""
        wanted = {(each, self.host) for each in self.expected if each in judged}
        for number, host in sorted(wanted - self.found):
            yield f"MISSING {number} for the {host} (evidence in {sorted(self.evidence)})"
        for key in sorted(self.found - wanted):
            if key[0] in judged:
                frames, why = self.at[key]
                yield f"EXTRA {key[0]} for the {key[1]} in {frames}: {why}"
        for key in sorted(wanted & self.found):
            frames, why = self.at[key]
            if self.evidence.isdisjoint(frames):
                yield f"ELSEWHERE {key[0]} in {frames}, not {sorted(self.evidence)}: {why}"


def planted(fault: Fault, version: int, seed: int) -> Shown | None:
    """Plant a fault, capture it at the host to blame, and judge; ``None`` without a place.

    A trace that cannot be captured whole (of two equal packets nobody can tell which is a copy)
    proves nothing, and another one is made.
    """
    for turn in range(TURNS):
        pair = grown(fault, version, seed, turn)
        if pair is None:
            return None
        last = pair[1].planted[-1]
        captures = [_captured_at(last.host, each) for each in pair]
        if not any(each.withheld for each in captures):
            break
    clean, faulty = (verdicts_of(each) for each in captures)
    known = {(each.requirement, each.host) for each in failures(clean)}
    if fault.kind != "edit":
        # The host deviates in both traces: none is clean, and what lawful ones break is a SHOULD.
        clean = []
        known = {
            (each.requirement, each.host)
            for each in failures(faulty)
            if each.severity != "violation" and number(each) not in last.requirements
        }
    new = [each for each in failures(faulty) if (each.requirement, each.host) not in known]
    at = {(number(each), each.host): (each.frames, each.why) for each in new}
    shown = {
        frame.segment.number: place
        for place, frame in reversed(list(enumerate(captures[1].frames, start=1)))
        if isinstance(frame, Frame)
    }
    return Shown(
        expected=frozenset(last.requirements),
        host=HOSTS[last.host],
        found=frozenset(at),
        at=at,
        evidence=frozenset(shown[each] for each in last.segments if each in shown),
        passed=frozenset(number(each) for each in clean if each.outcome is Outcome.PASS),
        capture=captures[1],
    )
