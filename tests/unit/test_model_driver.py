"""The driver: time, fates and limits of a simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.driver import Agent, Limits, Policy, Turn, drive
from mptcp_oracle.model.events import Connect, Event
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.policies import Wanderer
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import SYN, Trace
from mptcp_oracle.model.world import World

MS = 1_000_000
ROUGH = Network(
    paths=(
        Path(delay=7 * MS, loss=60, duplication=40, reordering=60, jitter=3 * MS),
        Path(delay=30 * MS, rate=1_000_000, loss=20),
    )
)


def rough(seed: int) -> Trace:
    """A random connection over a bad network."""
    return drive(Settings(seed=seed), Wanderer(), ROUGH, Counted(seed))


@dataclass(frozen=True)
class Script(Policy, Agent):
    """Connects, and does nothing else until some time."""

    until: int | None = None

    def start(self, settings: Settings, network: Network) -> Agent:
        return self

    def turn(self, world: World, now: int, idle: bool, choices: Choices) -> Turn:
        event: Event | None = None if world.subflows else Connect()
        if event is None and idle and self.until is not None and now < self.until:
            return None, self.until
        return event, None


@pytest.mark.parametrize("seed", range(6))
def test_a_trace_is_a_function_of_its_arguments(seed: int) -> None:
    """The same arguments give the same trace, other choices another one."""
    assert rough(seed) == rough(seed)
    assert rough(seed).segments != rough(seed + 100).segments


@pytest.mark.parametrize("seed", range(12))
def test_time_passes(seed: int) -> None:
    """Segments are numbered in order of time, and no two events happen at once."""
    trace = rough(seed)
    assert [segment.number for segment in trace.segments] == list(range(len(trace.segments)))
    for one, after in pairwise(trace.segments):
        assert one.time <= after.time
    for first, second in pairwise(trace.deliveries):
        assert first.time < second.time


@pytest.mark.parametrize("seed", range(12))
def test_nothing_arrives_before_its_delay(seed: int) -> None:
    """What arrives was sent a one-way delay ago at least, and arrives twice at most."""
    trace = rough(seed)
    count: dict[int, int] = {}
    for delivery in trace.deliveries:
        sent = trace.segments[delivery.segment.number]
        assert delivery.time >= sent.time + ROUGH.path(sent.subflow).delay
        assert delivery.segment == sent
        count[sent.number] = count.get(sent.number, 0) + 1
    assert set(count.values()) <= {1, 2}


def test_a_network_without_loss_delivers_all() -> None:
    """Without loss every segment arrives once, after its delay, in order."""
    trace = drive(Settings(), Wanderer(), Network(), Counted(5))
    assert sorted(one.segment.number for one in trace.deliveries) == list(
        range(len(trace.segments))
    )
    assert len(trace.segments) > 10


def test_luck_takes_its_part() -> None:
    """Over many segments the network loses, doubles and reorders as it was told."""
    sent = doubled = lost = 0
    for seed in range(25):
        trace = rough(seed)
        numbers = [one.segment.number for one in trace.deliveries]
        sent += len(trace.segments)
        lost += len(trace.segments) - len(set(numbers))
        doubled += len(numbers) - len(set(numbers))
        assert trace.transitions.count("N02") <= lost
    assert 0.01 < lost / sent < 0.09
    assert 0.005 < doubled / sent < 0.06


@pytest.mark.parametrize("limits", [Limits(segments=12), Limits(time=50 * MS), Limits(events=20)])
def test_limits_stop_the_policy(limits: Limits) -> None:
    """At a limit only what is in flight still arrives."""
    trace = drive(Settings(), Wanderer(), Network(), Counted(1), limits)
    full = drive(Settings(), Wanderer(), Network(), Counted(1))
    assert 0 < len(trace.segments) < len(full.segments)
    assert trace.segments[:4] == full.segments[:4]


def test_a_quiet_policy_ends() -> None:
    """With nothing to do and nothing in flight the simulation is over."""
    trace = drive(Settings(), Script(), Network(), Counted(0))
    assert [segment.flags & SYN for segment in trace.segments] == [SYN, SYN, 0]


def test_a_policy_may_sleep() -> None:
    """A policy that asks to be woken is, without any traffic, and the limit of time counts."""
    awake = drive(Settings(), Script(until=10**12), Network(), Counted(0), Limits(time=10**13))
    assert len(awake.segments) == 3


def test_paths_belong_to_subflows() -> None:
    """Each subflow has the delay of its own path."""
    slow = Network(paths=(Path(delay=5 * MS), Path(delay=80 * MS)))
    trace = drive(Settings(), Wanderer(), slow, Counted(2))
    assert len(trace.subflows) > 1
    took = {
        (one.segment.subflow > 0, one.time - trace.segments[one.segment.number].time >= 80 * MS)
        for one in trace.deliveries
    }
    assert took == {(False, False), (True, True)}


def test_labels_follow_the_addresses() -> None:
    """Settings reach the trace: keys, addresses and initial sequence numbers."""
    settings = replace(Settings(), keys=(11, 22), isns=((5, 6),))
    trace = drive(settings, Script(), Network(), Counted(0))
    assert [host.key for host in trace.connections[0].hosts] == [11, 22]
    assert trace.subflows[0].isns == (5, 6)


def boxed(alteration: str, **how: object) -> list[Trace]:
    """Connections over a path with a middlebox."""
    path = replace(Path(middlebox=alteration), **how)  # type: ignore[arg-type]
    settings = Settings(checksum=(True, True))
    network = Network(paths=(path,))
    return [drive(settings, Wanderer(), network, Counted(seed)) for seed in range(8)]


def test_a_middlebox_strips_options() -> None:
    """What a stripping middlebox lets through has no MPTCP options, from the start it was given."""
    stripped = 0
    for trace in boxed("strip", from_segment=2):
        got = {one.segment.number: one.segment.options for one in trace.deliveries}
        for host in (0, 1):
            sent = [one for one in trace.segments if one.host == host and not one.subflow]
            assert all(got[one.number] == one.options for one in sent[:2])
            assert not any(got[one.number] for one in sent[2:])
        stripped += trace.transitions.count("N03")
    assert stripped


def test_a_middlebox_may_work_one_way() -> None:
    """A middlebox on one way leaves the other way alone."""
    for trace in boxed("strip", one_way=1):
        for delivery in trace.deliveries:
            if delivery.segment.host == 0:
                assert delivery.segment == trace.segments[delivery.segment.number]
            else:
                assert not delivery.segment.options
        assert trace.connections[0].fallback is not None


def test_a_middlebox_corrupts_payload() -> None:
    """A corrupted segment differs in one octet from what was sent, and the checksum shows it."""
    changed = [
        (one.segment, trace.segments[one.segment.number])
        for trace in boxed("corrupt", altered=300)
        for one in trace.deliveries
        if one.segment != trace.segments[one.segment.number]
    ]
    assert changed
    for got, sent in changed:
        assert sum(a != b for a, b in zip(got.payload, sent.payload, strict=True)) == 1
        assert got.options == sent.options
    assert any(got.mapping and got.mapping.checksum is False for got, _ in changed)


@pytest.mark.parametrize("alteration", ["strip", "corrupt"])
def test_both_copies_of_a_packet_are_altered_alike(alteration: str) -> None:
    """Where the network doubles what a middlebox changed, both copies are the same."""
    doubled = 0
    for trace in boxed(alteration, duplication=300, from_segment=3):
        copies: dict[int, list[object]] = {}
        for delivery in trace.deliveries:
            copies.setdefault(delivery.segment.number, []).append(delivery.segment)
        doubled += sum(len(each) == 2 for each in copies.values())
        assert all(each[0] == each[-1] for each in copies.values())
    assert doubled
