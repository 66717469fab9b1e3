"""The strategies give what was asked for, refuse what there is not, and shrink."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.strategies import SearchStrategy
from mptcp_oracle.generators import (
    BEHAVIOURS,
    Drawn,
    Sample,
    captures,
    connections,
    damaged_captures,
    faults,
    malformed_captures,
    malformed_options,
)
from mptcp_oracle.generators.drawn import drawn

from mptcp_oracle import facts
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import Frame, Layout, Noise
from mptcp_oracle.options import Flaw, Malformed


def some(strategy: SearchStrategy[Any], count: int = 40) -> list[Any]:
    """Some examples of a strategy, the same each time."""
    found: list[Any] = []

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(value=strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def smallest(strategy: SearchStrategy[Any], condition: Callable[[Any], bool]) -> Any:
    """The smallest example that Hypothesis finds for a condition."""
    return find(
        strategy,
        condition,
        settings=settings(max_examples=100, database=None, derandomize=True, deadline=None,
                          suppress_health_check=list(HealthCheck)),
    )  # fmt: skip


def test_connections_are_as_asked_for() -> None:
    """Versions, subflows and lengths stay within their limits, and vary inside them."""
    traces = some(connections(versions=[0], subflows=(1, 2), segments=(5, 15), middleboxes=False))
    assert {trace.connections[0].version for trace in traces} == {0}
    opened = {sum(flow.outcome == "established" for flow in trace.subflows) for trace in traces}
    assert {1, 2} <= opened
    assert len({len(trace.segments) for trace in traces}) > 10


def test_captures_are_as_asked_for() -> None:
    """Counts, vantages, defects, links, formats and byte orders are those given."""
    samples = some(
        captures(count=(2, 3), vantages=["listener"], defects=["burst"], links=["sll2", "null"],
                 formats=["pcap"], byte_orders=["big"]),
        count=200,  # what Hypothesis draws depends on the modules that are loaded
    )  # fmt: skip
    assert {len(sample.trace.connections) for sample in samples} == {2, 3}
    assert {sample.capture.vantage for sample in samples} == {"listener"}
    assert {sample.capture.defects for sample in samples} == {(), ("burst",)}
    assert {sample.capture.layout.link for sample in samples} == {"sll2", "null"}
    assert {sample.capture.layout.file for sample in samples} == {"pcap"}
    assert {sample.capture.layout.big_endian for sample in samples} == {True}
    assert {sample.octets[:4] for sample in samples} <= {b"\xa1\xb2\x3c\x4d", b"\xa1\xb2\xc3\xd4"}


def test_layouts_are_the_only_ones() -> None:
    """With layouts given nothing else is written."""
    layout = Layout(link="raw", file="pcap", vlans=(), tunnel="ipip")
    assert {sample.capture.layout for sample in some(captures(layouts=[layout]), 10)} == {layout}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_every_behaviour_makes_captures(behaviour: str) -> None:
    """Wanderers and schedulers all give traces with data."""
    traces = some(connections(behaviours=[behaviour], segments=(10, 20)), 12)
    assert any(segment.payload for trace in traces for segment in trace.segments)


def test_faults_are_planted_and_seen() -> None:
    """Every sample has one fault, and the frames of its evidence are in the capture."""
    names = set()
    for sample in some(faults(), 30):
        (fault,) = sample.planted
        names.add(fault.name)
        frames = [frame for frame in sample.capture.frames if isinstance(frame, Frame)]
        assert set(fault.segments) <= {frame.segment.number for frame in frames}
        assert fault.requirements
    assert len(names) >= 8
    assert {each.planted[0].name for each in some(faults(names=["dss-too-long"]), 5)} == {
        "dss-too-long"
    }


def test_malformed_options_are_as_asked_for() -> None:
    """Flaws are those given, and every one is met if none is."""
    assert {option.reason for option in some(malformed_options(), 80)} == {
        Flaw.CUT_OFF, Flaw.LAYOUT, Flaw.LENGTH_OCTET, Flaw.MISPLACED, Flaw.WRONG_VERSION
    }  # fmt: skip
    chosen = some(malformed_options(flaws=[Flaw.CUT_OFF], versions=[0], places=["ack"]), 10)
    assert {option.reason for option in chosen} == {Flaw.CUT_OFF}


def test_spoilt_captures_are_readable() -> None:
    """Malformed and damaged captures can be analyzed, and begin with the captures given."""
    of = captures(links=["raw"], formats=["pcap"], segments=(4, 8))
    malformed, damaged = some(malformed_captures(of=of), 8), some(damaged_captures(of=of), 8)
    for sample in (*malformed, *damaged):
        assert sample.capture.layout.link == "raw"
        with analyze(sample.octets) as trace:
            assert trace.wire.frames == len(sample.capture.frames)
    options = [
        option
        for sample in malformed
        for frame in sample.capture.frames
        if isinstance(frame, Frame)
        for option in frame.segment.options
    ]
    assert any(isinstance(option, Malformed) for option in options)
    assert any(isinstance(frame, Noise) for sample in damaged for frame in sample.capture.frames)


@pytest.mark.parametrize(
    "make",
    [
        lambda: connections(versions=[2]),
        lambda: connections(versions=[]),
        lambda: connections(subflows=(0, 1)),
        lambda: connections(subflows=(3, 2)),
        lambda: connections(segments=(0, 0)),
        lambda: connections(behaviours=["lazy"]),
        lambda: captures(count=(0, 1)),
        lambda: captures(vantages=["moon"]),
        lambda: captures(defects=["rust"]),
        lambda: captures(links=["token-ring"]),
        lambda: captures(formats=["snoop"]),
        lambda: captures(byte_orders=["middle"]),
        lambda: captures(layouts=[Layout(link="raw", vlans=(7,))]),
        lambda: malformed_options(flaws=[Flaw.NOT_MPTCP]),
        lambda: malformed_options(places=["fin"]),
        lambda: malformed_options(versions=[3]),
        lambda: faults(names=["no-such-fault"]),
        lambda: faults(names=[]),
        lambda: faults(names=["prio-names-address"], versions=[0]),
    ],
)
def test_what_there_is_not_is_refused_at_once(make: Callable[[], object]) -> None:
    """A wrong argument raises when the strategy is made, with a hint of what there is."""
    with pytest.raises(UsageError) as caught:
        make()
    assert caught.value.hint or caught.value.cause or str(caught.value)


def joined(sample: Sample) -> bool:
    """Whether a join is established."""
    return any(not flow.initial and flow.outcome == "established" for flow in sample.trace.subflows)


@pytest.mark.slow
def test_captures_shrink_to_the_point() -> None:
    """The smallest capture with a joined subflow is short, plain and whole."""
    sample = smallest(captures(segments=(1, 8), subflows=(1, 3)), joined)
    assert len(sample.trace.connections) == 1
    assert len(sample.trace.subflows) == 2
    assert len(sample.trace.segments) < 14
    layout = sample.capture.layout
    assert (layout.link, layout.file, layout.vlans, layout.tunnel) == ("ethernet", "pcapng", (), "")
    assert sample.capture.defects == ()


@pytest.mark.parametrize("typed", [True, False])
def test_choices_are_in_their_ranges(typed: bool) -> None:
    """Drawn choices keep to their ranges, with Hypothesis' typed draws and without."""
    from hypothesis.strategies import DrawFn, composite

    @composite
    def numbers(draw: DrawFn) -> tuple[int, bool, bool, bool, int, int, str]:
        choices = Drawn(draw, typed=typed)
        return (
            choices.integer(-3, 4), choices.chance(1, 3), choices.chance(0, 3),
            choices.chance(3, 3), choices.bits(64), choices.integer(7, 7),
            choices.weighted(((3, "a"), (1, "b"))),
        )  # fmt: skip

    found = some(numbers(), 200)
    assert {each[0] for each in found} == set(range(-3, 5))
    assert {each[1] for each in found} == {True, False}
    assert {each[2] for each in found} == {False}
    assert {each[3] for each in found} == {True}
    assert all(0 <= each[4] < 1 << 64 for each in found)
    assert max(each[4] for each in found) > 1 << 60
    assert {each[5] for each in found} == {7}
    assert {each[6] for each in found} == {"a", "b"}
    assert smallest(numbers(), lambda _: True) == (-3, False, False, True, 0, 7, "a")


def test_drawn_makes_strategies_of_functions() -> None:
    """A function of choices is a strategy."""
    assert smallest(drawn(lambda choices: choices.integer(5, 99)), lambda n: n > 40) == 41


def test_a_sample_has_octets_truth_and_text(tmp_path: Path) -> None:
    """A sample is written as a capture that can be read, with a truth that belongs to it."""
    sample: Sample = some(captures(), 3)[-1]
    capture, truth = sample.write(tmp_path / "new", "case")
    assert capture.read_bytes() == sample.octets
    assert capture.suffix == f".{sample.capture.layout.file}"
    document = facts.read(truth)
    assert document.header["capture"] == capture.name
    assert len(document.facts) == len(list(sample.truth))
    assert str(sample) in repr(sample)
    assert sample == Sample(sample.capture)
    assert hash(sample) == hash(Sample(sample.capture))
    assert sample != "sample"
    assert sample.planted == ()
