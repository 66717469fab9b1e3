"""Places of faults: only where a capture can prove the fault, and in most traces made for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.faults import fault
from mptcp_oracle.model.faults_announcements import all_told, told_until
from mptcp_oracle.model.faults_flow import data_places
from mptcp_oracle.model.planting import planted, soil
from mptcp_oracle.model.trace import Trace
from tests.verdicts import __main__ as command


def grown(name: str) -> Trace:
    """A trace with a fault planted in it."""
    trace = planted(fault(name), Counted(1, f"places {name}"))
    assert trace is not None
    return trace


@pytest.mark.parametrize(
    "name",
    [
        "mapping-changed",
        "data-unmapped",
        "first-data-unmapped",
        "data-fin-too-far",
        "last-subflow-ends-early",
        "reset-after-close",
        "failed-data-acknowledged",
        "signal-after-plain-third-ack",
    ],
)
def test_data_on_the_syn_leaves_no_place(name: str) -> None:
    """Where data on the SYN makes it uncertain what mappings cover, no fault relies on them."""
    seen = 0
    for seed in range(20):
        trace = soil(fault("syn-data-resent-unmapped"), Counted(seed, "places"))
        if trace.segments[0].payload and any(data_places()(trace)):
            seen += 1
            assert fault(name).places(trace) == ()
    assert seen


def test_an_announcement_on_one_subflow_is_not_told() -> None:
    """An ADD_ADDR that goes out on one of two subflows is left undone from then on, not before."""
    trace = grown("announced-on-one-subflow")
    (lone,) = trace.planted[-1].segments
    assert not all_told(trace, trace.segments)
    assert not told_until(trace, trace.segments[lone])
    assert told_until(trace, trace.segments[lone - 1])


def test_a_host_that_insists_anyway_has_no_place() -> None:
    """A host that joins an address again that refused it gives no second place to that fault."""
    trace = grown("join-refused-again")
    host = trace.planted[-1].host
    assert all(place.host != host for place in fault("join-refused-again").places(trace))


@pytest.mark.parametrize(("without", "few"), [(0, False), (5, False), (6, True), (10, True)])
def test_half_of_the_seeds_have_to_do(without: int, few: bool) -> None:
    """A fault with a place in fewer than half of its seeds is reported."""
    assert command.few_places(without, 10) is few


@pytest.mark.parametrize(("bare", "status"), [(0, 0), (2, 0), (3, 1), (4, 1)])
def test_seeds_without_a_place_are_counted(
    bare: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All seeds are tried from the first on; those without a place count, and many fail."""
    tried: list[int] = []

    def planting(_fault: Fault, _version: int, seed: int) -> object:
        tried.append(seed)
        return None if len(tried) <= bare else SimpleNamespace(problems=lambda _known: ())

    monkeypatch.setattr(command, "planted", planting)
    given = ["faults", "--fault", "echo-signed", "--seed", "7", "--seeds", "4"]
    assert command.main(given) == status
    assert tried == [7, 8, 9, 10]
    assert (f"no place in {bare} of 4 seeds" in capsys.readouterr().out) == bool(bare)


def test_a_problem_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that does not fail what it is listed to break makes the run fail."""
    wrong = SimpleNamespace(problems=lambda _known: ("MISSING",))
    monkeypatch.setattr(command, "planted", lambda *_given: wrong)
    assert command.main(["faults", "--fault", "echo-signed", "--seeds", "1"]) == 1
