"""Faults planted in generated traces: they can be made, seen, and are truth like all else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from mptcp_oracle.generators.emit import emit

from mptcp_oracle.facts import Fact
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.compose import capture_of
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.model.observable import observable
from mptcp_oracle.model.planting import TRIES, soil
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.model.vantage import Tap
from tests.common.agreement import canonical, differences
from tests.common.profiles import examples
from tests.proof.equal import facts_of

UNTOLD: dict[str, str] = {
    "copy-of-other-octets": "facts do not hold the octets of the payload",
    "retransmission-of-other-octets": "facts do not hold the octets of the payload",
}
"""Faults that change a capture and no fact of it, and why."""

UNNAMED = {
    "syn-data-counted": "the octets before the first may have gone over another subflow",
}
"""Deviations that the analyzer does not call a mismatch, and why."""

PLACES = ("frame", "time", "previous", "copies", "subflow", "connection", "announced")


@cache
def grown(fault: Fault, seed: int) -> tuple[Trace, Trace]:
    """A trace with a place for a fault, and the trace with the fault in it."""
    choices = Counted(seed, fault.name)
    for _ in range(TRIES):
        trace = soil(fault, choices)
        if fault.places(trace):
            return trace, fault.plant(trace, choices)
    raise AssertionError(f"no trace has a place for {fault.name}")


def captured(trace: Trace, vantage: str) -> Capture:
    """All that a tap sees of a trace."""
    return capture_of(trace, Tap(vantage=vantage, lost_beyond=0), (), Layout(), Counted(0))


def where(faulty: Trace) -> str:
    """The vantage of the host to blame."""
    return ("initiator", "listener")[faulty.planted[-1].host]


def evidence(capture: Capture) -> set[int]:
    """The frames that show the fault; copies that nobody could tell apart are not captured."""
    numbers = capture.trace.planted[-1].segments
    shown = {
        frame.segment.number: at
        for at, frame in reversed(list(enumerate(capture.frames, start=1)))
        if isinstance(frame, Frame)
    }
    seen = {shown[number] for number in numbers if number in shown}
    assert seen
    return seen


def seeds(fault: Fault) -> Iterator[tuple[Trace, Trace]]:
    """Clean and faulty traces."""
    for seed in range(examples("faults")):
        yield grown(fault, seed)


def bodies(facts: list[Fact]) -> Iterator[tuple[int, str]]:
    """Frame and content of each segment, without its place in the capture."""
    for (kind, frame), fact in canonical(facts).items():
        if kind == "segment":
            body = {key: value for key, value in fact.items() if key not in PLACES}
            for part in body["ranges"]:
                part.pop("announced", None)
            yield frame, repr(body)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_facts_of_a_faulty_trace_equal_its_truth(fault: Fault) -> None:
    """What the analyzer finds in a faulty trace is what its labels say, fault and all."""
    for clean, faulty in seeds(fault):
        before, after = captured(clean, where(faulty)), captured(faulty, where(faulty))
        found = differences(facts_of(emit(after)), observable(after))
        if found and fault.kind == "edit":
            # What the clean trace already has is no matter of the fault.
            known = differences(facts_of(emit(before)), observable(before))
            found = [] if known else found
        assert not found, "\n".join(found)


EDITS = [fault for fault in FAULTS.values() if fault.kind == "edit"]


@pytest.mark.parametrize("fault", EDITS, ids=lambda fault: fault.name)
def test_an_edit_changes_the_facts_where_it_says(fault: Fault) -> None:
    """Facts of the evidence are new; where lawful segments make the fault, others change, too."""
    for clean, faulty in seeds(fault):
        before, after = captured(clean, where(faulty)), captured(faulty, where(faulty))
        ours, theirs = facts_of(emit(before)), facts_of(emit(after))
        known = Counter(body for _, body in bodies(ours))
        frames = evidence(after)
        new = {frame for frame, body in bodies(theirs) if not known[body]}
        if fault.name in UNTOLD:
            assert emit(before) != emit(after)
        elif fault.arranges:
            assert differences(ours, theirs)
        elif not new & frames:
            # A copy of a lawful segment is new only by its number.
            assert len(list(bodies(theirs))) > len(list(bodies(ours)))


def test_a_fault_that_the_truth_conceals_is_noticed() -> None:
    """The equation can fail: the truth of the clean trace is not that of the faulty one."""
    for name in ("dss-reserved-bits", "add-addr-reserved-flags", "checksum-missing"):
        clean, faulty = grown(FAULTS[name], 0)
        before, after = captured(clean, where(faulty)), captured(faulty, where(faulty))
        assert differences(facts_of(emit(after)), observable(before))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_evidence_is_seen_from_where_it_says(fault: Fault) -> None:
    """From each vantage that a fault names a tap sees evidence, even if all losses are near."""
    for _, faulty in seeds(fault):
        for vantage in fault.vantages[faulty.planted[-1].host]:
            assert evidence(captured(faulty, vantage)), vantage


DEVIATIONS = [
    fault for fault in FAULTS.values() if fault.deviate is not None and fault.name not in UNNAMED
]


@pytest.mark.parametrize("fault", DEVIATIONS, ids=lambda fault: fault.name)
def test_a_wrong_value_is_a_mismatch(fault: Fault) -> None:
    """A value that the keys do not give is named by the analyzer, at a frame of the evidence."""
    for _, faulty in seeds(fault):
        capture = captured(faulty, where(faulty))
        facts = facts_of(emit(capture))
        named = {
            mismatch["frame"]
            for fact in facts
            if fact["fact"] == "connection"
            for mismatch in fact["mismatches"]
        }
        shown = evidence(capture)
        wrong = any(fact["notes"] for fact in facts if fact["fact"] == "connection") or any(
            fact["checksums"]["wrong"] for fact in facts if fact["fact"] == "connection"
        )
        assert named & shown or wrong
