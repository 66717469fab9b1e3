"""Cases of ``mptcp-oracle generate``: what was asked for, by number, the same every time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mptcp_oracle.generators.arranging import arranged, inclined
from mptcp_oracle.generators.emit import emit
from mptcp_oracle.generators.generating import capture_case, guilty, trace_case
from mptcp_oracle.generators.ordering import order

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import VANTAGES, Frame
from mptcp_oracle.model.fault import NEEDS
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.model.policies import Wanderer
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.options import Malformed


def test_options_combine() -> None:
    """There is a recipe for each combination of what was given, in a fixed order."""
    wanted = order(scenarios=["bulk", "bulk-unequal"], versions=[0, 1], subflows=[1, 3])
    assert [(each.scenario.name, each.version, each.subflows) for each in wanted.recipes] == [
        (name, version, subflows)
        for name in ("bulk", "bulk-unequal")
        for version in (0, 1)
        for subflows in (1, 3)
    ]
    assert wanted.recipe(9) is wanted.recipes[1]


def test_combinations_without_sense_are_left_out() -> None:
    """What a scenario or fault is not made for does not become a recipe."""
    wanted = order(scenarios=["fast-close-reset", "fast-close"], versions=[0])
    assert [each.scenario.name for each in wanted.recipes] == ["fast-close"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"scenarios": ["jion"]}, "did you mean join"),
        ({"faults": ["dss-reserved-bit"]}, "did you mean dss-reserved-bits"),
        ({"schedulers": ["redundnat"]}, "did you mean redundant"),
        ({"scenarios": ["zzzzzz"]}, "--list shows every scenario"),
        ({"scenarios": ["join"], "subflows": [3]}, "is a script"),
        ({"scenarios": ["join"], "schedulers": ["redundant"]}, "is a script"),
        ({"scenarios": ["capable-with-data"], "versions": [0]}, "is not one of version 0"),
        ({"faults": ["reset-flags"], "versions": [0]}, "is one of version 1"),
        ({"vantages": ["moon"]}, "there is no vantage"),
        ({"file": "zip"}, "there is no format"),
    ],
)
def test_what_cannot_be_is_refused(wish: dict[str, list[str]], words: str) -> None:
    """A name that does not exist, or a contradiction, is refused with what to do about it."""
    with pytest.raises(UsageError) as caught:
        order(**wish)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_a_case_depends_on_seed_and_number_alone() -> None:
    """Case 17 is the same octets however often and after whatever it is made; another is not."""
    wanted = order(seed=5)
    first = emit(capture_case(wanted, 17).capture)
    capture_case(wanted, 3)
    assert emit(capture_case(order(seed=5), 17).capture) == first
    assert emit(capture_case(wanted, 18).capture) != first
    assert emit(capture_case(order(seed=6), 17).capture) != first


def test_versions_are_offered_as_asked() -> None:
    """With a version given, the initiator offers that one only."""
    for version in (0, 1):
        wanted = order(seed=1, versions=[version], scenarios=["rough-network"])
        for number in range(6):
            negotiated = capture_case(wanted, number).capture.trace.connections[0].version
            assert negotiated <= version


def test_subflows_are_opened_as_asked() -> None:
    """Bulk transfers have exactly as many subflows as asked for, random behaviour about so many."""
    for count in (1, 2, 5):
        wanted = order(schedulers=["round_robin"], subflows=[count])
        assert len(capture_case(wanted, 0).capture.trace.subflows) == count
        wanted = order(scenarios=["signals"], subflows=[count])
        found = [len(capture_case(wanted, at).capture.trace.subflows) for at in range(6)]
        assert max(found) == count


def test_the_tap_is_where_it_was_asked_for() -> None:
    """Each vantage that is given is that of its captures."""
    wanted = order(scenarios=["join", "anything"], vantages=VANTAGES)
    found = [capture_case(wanted, at).capture.vantage for at in range(len(wanted.recipes))]
    assert found == [*VANTAGES, *VANTAGES]


def test_the_file_has_the_format_that_was_asked_for() -> None:
    """A format that is given is that of every capture."""
    wanted = order(scenarios=["join", "headers-only", "anything"], file="pcap")
    assert all(capture_case(wanted, at).capture.layout.file == "pcap" for at in range(9))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_ordered(name: str) -> None:
    """Each fault finds a place by itself, and its evidence is in the capture."""
    case = capture_case(order(seed=2, faults=[name]), 0)
    planted = case.capture.trace.planted
    assert [each.name for each in planted] == [name]
    assert planted[0].requirements
    for frames in guilty(case.capture):
        assert frames
        for frame in frames:
            shown = case.capture.frames[frame - 1]
            assert isinstance(shown, Frame)
            assert shown.segment.number in planted[0].segments


def test_a_fault_where_it_was_asked_for() -> None:
    """With a scenario given, the fault is planted in that one or not at all."""
    wanted = order(faults=["join-syn-reserved-bits"], scenarios=["priority"])
    assert capture_case(wanted, 0).scenario.name == "priority"
    wanted = order(faults=["join-syn-reserved-bits"], scenarios=["request"])
    with pytest.raises(UsageError, match="has a place for the fault"):
        capture_case(wanted, 0)


def test_needs_are_arranged() -> None:
    """Settings and likings are changed for what a fault needs, and for known needs only."""
    from mptcp_oracle.generators.arranging import ENDS, LIKINGS, SETTINGS

    assert {*ENDS, *LIKINGS, *SETTINGS} <= set(NEEDS)
    assert arranged(Settings(), ["checksum"]).checksum == (True, True)
    assert arranged(Settings(), []) == Settings()
    more = inclined(Wanderer(), ["join"]).profile
    assert more.data["Join"] > Wanderer().profile.data["Join"]
    assert inclined(Wanderer(), ["closed"]).profile.ends == ((1, "close"),)


def test_malformed_options_are_put_in_and_no_truth_is_claimed() -> None:
    """With malformed options a capture has at least one, and its labels are not told."""
    wanted = order(seed=3, malformed=True)
    for number in range(6):
        case = capture_case(wanted, number)
        assert not case.told
        assert any(
            isinstance(option, Malformed)
            for frame in case.capture.frames
            if isinstance(frame, Frame)
            for option in frame.segment.options
        )


def test_connections_of_one_file_have_places_of_their_own() -> None:
    """Endpoints, keys and tokens of cases far apart do not collide."""
    wanted = order(seed=4, scenarios=["join", "anything"])
    seen: dict[object, int] = {}
    for number in (0, 1, 2, 127, 128, 129, 130, 256, 257, 700, 701, 4000, 4001):
        trace = trace_case(wanted, number)[0]
        for flow in trace.subflows:
            assert seen.setdefault(flow.ends, number) == number
        for connection in trace.connections:
            for host in connection.hosts:
                assert seen.setdefault(host.key, number) == number


def test_a_fault_that_only_its_sender_sees_is_not_ordered_elsewhere() -> None:
    """A vantage from which the evidence may be missing is refused, not tried in vain."""
    hidden = [each for each in FAULTS.values() if each.at_sender and each.hosts == (0,)]
    for each in hidden[:3]:
        with pytest.raises(UsageError, match="not sure to be seen"):
            order(faults=[each.name], vantages=["listener"])
    assert replace(next(iter(FAULTS.values())), at_sender=True).vantages[0] == ("initiator", "both")
