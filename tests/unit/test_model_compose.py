"""Compositions: captures that visit everything, as a function of their choices."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median

import pytest

from mptcp_oracle.model.capture import FORMATS, LINKS, VANTAGES, Capture, Frame, Noise
from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.compose import DEEP, SMALL, compose
from mptcp_oracle.model.defects import DEFECTS
from mptcp_oracle.model.drawing import defect_names, layout_of, network_of, settings_of, tap_of
from mptcp_oracle.model.tables import TRANSITIONS
from mptcp_oracle.model.vantage import same_packet


@pytest.fixture(scope="module")
def captures() -> list[Capture]:
    """A sample of deep captures."""
    return [compose(Counted(seed, "sample")) for seed in range(120)]


class Simplest(Choices):
    """Always the simplest choice."""

    def integer(self, low: int, high: int) -> int:
        return low


def test_captures_are_deep(captures: list[Capture]) -> None:
    """Half of the captures have 40 frames and more, and a defect; a quarter three subflows."""
    assert median(len(capture.frames) for capture in captures) >= 40
    assert sum(bool(capture.defects) for capture in captures) >= len(captures) // 2
    wide = 0
    for capture in captures:
        flows = Counter(subflow.connection for subflow in capture.trace.subflows)
        wide += max(flows.values()) >= 3
    assert wide >= len(captures) // 4


def test_captures_have_all_kinds(captures: list[Capture]) -> None:
    """All vantage points, both versions, one and several connections, other traffic."""
    assert {capture.vantage for capture in captures} == set(VANTAGES)
    connections = [each for capture in captures for each in capture.trace.connections]
    assert {each.version for each in connections} == {0, 1}
    assert {len(capture.trace.connections) for capture in captures} == {1, 2, 3}
    assert any(isinstance(one, Noise) for capture in captures for one in capture.frames)


@pytest.mark.parametrize("seed", range(5))
def test_captures_are_functions_of_choices(seed: int) -> None:
    """The same choices give the same capture."""
    assert compose(Counted(seed, "x")) == compose(Counted(seed, "x"))


def test_connections_are_told_apart(captures: list[Capture]) -> None:
    """Connections have keys of their own, and endpoints of their own or one after the other."""
    again = 0
    for capture in captures:
        trace = capture.trace
        keys = [host.key for each in trace.connections for host in each.hosts]
        assert len(set(keys)) == len(keys)
        spans: dict[object, list[tuple[int, int]]] = {}
        for number, subflow in enumerate(trace.subflows):
            times = [one.time for one in trace.segments if one.subflow == number]
            spans.setdefault(subflow.ends, []).append((min(times), max(times)))
        for uses in spans.values():
            again += len(uses) > 1
            assert all(one[1] < after[0] for one, after in pairwise(uses))
    assert again


@pytest.mark.slow
def test_every_transition_is_taken() -> None:
    """Compositions take every transition of the tables, but for the answer to a wrong HMAC."""
    missing = set(TRANSITIONS) - {"A06"}
    for seed in range(3000):
        missing -= set(compose(Counted(seed, "transitions")).trace.transitions)
        if not missing:
            break
    assert missing == set()


def test_copies_are_marked(captures: list[Capture]) -> None:
    """A frame is marked exactly if an earlier one holds the same segment."""
    for capture in captures:
        frames = [one for one in capture.frames if isinstance(one, Frame)]
        for at, frame in enumerate(frames):
            earlier = (
                other.segment.number == frame.segment.number
                and same_packet(other.segment, frame.segment)
                for other in frames[:at]
            )
            assert frame.again is any(earlier)


def test_the_simplest_capture_is_plain() -> None:
    """Simplest choices give one connection in version 1, a plain layout and no defect."""
    capture = compose(Simplest(), SMALL)
    assert len(capture.trace.connections) == 1
    assert capture.trace.connections[0].version == 1
    assert capture.defects == ()
    assert (capture.layout.file, capture.layout.link) == ("pcapng", "ethernet")
    assert len(capture.frames) < 60


def test_layouts_visit_everything() -> None:
    """Every link type, format, byte order, tunnel and tag depth is drawn, and can be written."""
    choices = Counted(1)
    layouts = [layout_of(choices) for _ in range(600)]
    for each in layouts:
        each.check()
    assert {each.link for each in layouts} == set(LINKS)
    assert {each.file for each in layouts} == set(FORMATS)
    assert {each.tunnel for each in layouts} == {"", "gre", "vxlan", "ipip"}
    assert {len(each.vlans) for each in layouts} == {0, 1, 2}
    for name in ("nanoseconds", "big_endian", "timestamps", "directions", "timestamp_first"):
        assert {getattr(each, name) for each in layouts} == {False, True}
    assert min(each.snap_length for each in layouts) < 100


def test_taps_and_defects_visit_everything() -> None:
    """Every vantage point and every defect is drawn; two taps never see offload."""
    choices = Counted(2)
    taps = [tap_of(choices, DEEP.vantages) for _ in range(300)]
    assert {each.vantage for each in taps} == set(VANTAGES)
    assert {each.apart for each in taps} == {False, True}
    assert {each.ids[0] is None for each in taps} == {False, True}
    names = {name for _ in range(600) for name in defect_names(choices, "middle")}
    assert names == set(DEFECTS)
    both = {name for _ in range(300) for name in defect_names(choices, "both")}
    assert both == set(DEFECTS) - {"merge", "cut"}


def test_settings_visit_corners() -> None:
    """Both versions, IPv4 and IPv6, checksums, small windows, numbers that wrap are drawn."""
    choices = Counted(3)
    drawn = [settings_of(choices, 0) for _ in range(400)]
    assert {each.version for each in drawn} == {0, 1}
    assert {each.addresses[0][0].version for each in drawn} == {4, 6}
    assert {each.checksum for each in drawn} == {
        (first, second) for first in (False, True) for second in (False, True)
    }
    assert {each.answers for each in drawn} >= {0, 1}
    assert min(each.buffers[1] for each in drawn) < 1000
    assert any(each.isns for each in drawn)
    assert any(each.address_ids[0] for each in drawn)
    assert any(each.c_flag != (False, False) for each in drawn)
    assert all(each.c_flag == (False, False) for each in drawn if each.version == 0)


def test_networks_differ() -> None:
    """Networks lose, double, reorder and delay, or do nothing of it."""
    choices = Counted(4)
    paths = [network_of(choices).path(0) for _ in range(200)]
    for name in ("loss", "duplication", "reordering", "jitter"):
        values = {getattr(each, name) for each in paths}
        assert 0 in values
        assert len(values) > 1
    assert len({each.delay for each in paths}) > 5
