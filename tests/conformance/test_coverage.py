"""The proof of coverage, and that it fails where a requirement loses one of its proofs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from click.testing import CliRunner
from mptcp_oracle.conformance import coverage
from mptcp_oracle.conformance.coverage_command import coverage_command

from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.spec import FATES

#: A fault, and what it is listed to break in version 1.
NAME, NUMBERS = "join-refused-again", ("8684-3.4.1-14", "8684-3.6-06")


def proof_of(monkeypatch: pytest.MonkeyPatch, **changed: object) -> coverage.Proof:
    """What planting one fault alone proves, if it is changed."""
    fault = replace(FAULTS[NAME], v0=(), **changed)  # type: ignore[arg-type]
    monkeypatch.setattr(coverage, "FAULTS", {NAME: fault})
    return coverage.prove(seeds=2)


def unproven(proof: coverage.Proof) -> set[str]:
    """Numbers of the requirements that lack a failure by a fault."""
    return {line.split()[0] for line in proof.missing() if line.endswith("no fault makes it fail")}


def test_a_fault_proves_what_it_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all judged requirements those of the fault, and no others, have failed."""
    proof = proof_of(monkeypatch)
    assert not proof.problems
    assert proof.failed == set(NUMBERS)
    missing = unproven(proof)
    assert missing.isdisjoint(NUMBERS)
    assert "8684-3.1-10" in missing


def test_a_fault_that_breaks_more_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails and is not listed is a problem, and proves nothing."""
    proof = proof_of(monkeypatch, v1=NUMBERS[:1])
    assert any(f"EXTRA {NUMBERS[1]}" in line for line in proof.problems)
    assert NUMBERS[1] in unproven(proof)


def test_a_fault_that_breaks_less_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed and does not fail is a problem."""
    proof = proof_of(monkeypatch, v1=(*NUMBERS, "8684-3.1-10"))
    assert any("MISSING 8684-3.1-10" in line for line in proof.problems)
    assert "8684-3.1-10" in unproven(proof)


def test_a_fault_without_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that no trace has a place for proves nothing."""
    proof = proof_of(monkeypatch, find=lambda _trace: ())
    assert proof.problems == [f"{NAME} v1: no trace has a place for it"]
    assert set(NUMBERS) <= unproven(proof)


def test_a_requirement_that_no_clean_trace_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lawful trace is needed beside the fault."""
    proof = proof_of(monkeypatch)
    proof.passed.discard(NUMBERS[0])
    lacking = [line for line in proof.missing() if line.startswith(NUMBERS[0])]
    assert [line.endswith("no clean trace passes it") for line in lacking] == [True]


def test_lawful_traces_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lawful trace that fails what it was made for is a problem."""
    name = "mapping-interrupted-by-urgent-data"
    fault = replace(FAULTS[name], v0=(), lawful=FAULTS[name].edit)
    monkeypatch.setattr(coverage, "FAULTS", {name: fault})
    proof = coverage.prove(seeds=1)
    assert any("LAWFUL 8684-3.3.1-08" in line for line in proof.problems)
    assert "8684-3.3.1-08" not in proof.passed


def test_check_says_what_lacks_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command names each, and its status is 1."""
    monkeypatch.setattr(coverage, "FAULTS", {})
    done = CliRunner().invoke(coverage_command, ["--check"])
    assert done.exit_code == 1
    assert "8684-3.1-10 8684-3.1-echoed-key-same: no fault makes it fail" in done.output
    assert "0 requirements fail by a fault, 0 pass in clean traces" in done.output


def test_each_fate_is_counted() -> None:
    """The list ends with how many requirements have each fate."""
    done = CliRunner().invoke(coverage_command, ["--requirement", "8684-3.1"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0].startswith("8684-3.1-01 8684-3.1-capable-on-three-packets judged")
    told = {line.split(":")[0].split(maxsplit=1)[1] for line in lines[-len(FATES) :]}
    assert told == {fate.replace("_", " ") for fate in FATES}
    assert sum(int(line.split()[0]) for line in lines[-len(FATES) :]) == 401
