"""Policies: the random wanderer, and schedulers with what they send again."""

from __future__ import annotations

from statistics import median

import pytest

from mptcp_oracle.model.choices import Choices, Counted
from mptcp_oracle.model.driver import drive
from mptcp_oracle.model.network import Network
from mptcp_oracle.model.policies import Profile, Wanderer
from mptcp_oracle.model.policies_schedulers import SCHEDULERS, TRIGGERS, Scheduler, transfer
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import FIN, RST, Trace
from mptcp_oracle.options import RemoveAddr

MS = 1_000_000


def transferred(
    scheduler: Scheduler, *, loss: int = 0, ratio: int = 1, segments: int = 30, seed: int = 1
) -> Trace:
    """A bulk transfer over paths whose delays differ by a factor."""
    delays = [10 * MS * factor for factor in (1, ratio, 1 + ratio // 2)]
    return transfer(scheduler, Counted(seed), segments=segments, loss=loss, delays=delays)


def octets(trace: Trace, **wanted: object) -> int:
    """Payload octets that the initiator sent, of ranges or segments with these attributes."""
    return sum(
        part.octets
        for segment in trace.segments
        for part in segment.ranges
        if segment.host == 0
        and all(
            getattr(segment if name == "subflow" else part, name) == value
            for name, value in wanted.items()
        )
    )


class Simplest(Choices):
    """Always the simplest choice."""

    def integer(self, low: int, high: int) -> int:
        return low


def test_wanderers_go_far() -> None:
    """Random traces are long, most of them end, and many have three subflows or more."""
    traces = [drive(Settings(), Wanderer(), Network(), Counted(seed)) for seed in range(40)]
    assert median(len(trace.segments) for trace in traces) >= 40
    assert sum(trace.connections[0].closed is not None for trace in traces) > 20
    assert sum(len(trace.subflows) >= 3 for trace in traces) >= 10
    assert any(trace.connections[0].closed is None for trace in traces)
    kinds = {part.cause for trace in traces for one in trace.segments for part in one.ranges}
    assert kinds >= {"new", "retransmission", "remap", "reinjection", "redundant"}
    assert any(one.flags & RST for trace in traces for one in trace.segments)


@pytest.mark.parametrize("version", [0, 1])
def test_wanderers_speak_both_versions(version: int) -> None:
    """Both versions carry data both ways and close."""
    settings = Settings(version=version, answers=version)
    traces = [drive(settings, Wanderer(), Network(), Counted(seed)) for seed in range(10)]
    for trace in traces:
        assert trace.connections[0].version == version
        assert {one.host for one in trace.segments if one.payload} == {0, 1}
    assert any(trace.connections[0].closed == "data_fin" for trace in traces)


def test_a_profile_bounds_length_and_subflows() -> None:
    """A profile says how long traces are and how many subflows are opened."""
    profile = Profile(length=(10, 10), ends=((1, "stop"),), subflows=(1,))
    for seed in range(10):
        trace = drive(Settings(), Wanderer(profile=profile), Network(), Counted(seed))
        assert len(trace.subflows) == 1
        assert 10 <= len(trace.segments) < 30


def test_the_simplest_choices_end() -> None:
    """Where every choice is the simplest, as after shrinking, a trace is short and plain."""
    trace = drive(Settings(), Wanderer(profile=Profile(length=(5, 50))), Network(), Simplest())
    assert len(trace.segments) < 60
    assert len(trace.subflows) <= 3


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize(("loss", "ratio"), [(0, 1), (50, 5), (20, 50)])
def test_schedulers_deliver_everything(name: str, loss: int, ratio: int) -> None:
    """Every scheduler gets all data to the listener, whatever the network, and closes."""
    trace = transferred(SCHEDULERS[name], loss=loss, ratio=ratio)
    assert octets(trace, cause="new") == 30 * 1400
    assert trace.connections[0].closed == "data_fin"
    got = {
        (part.dsn or 0) + at
        for delivery in trace.deliveries
        for part in delivery.segment.ranges
        for at in range(0, part.octets, 100)
        if delivery.segment.host == 0
    }
    assert got >= set(range(1, 30 * 1400, 100))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_have_their_intentions(name: str) -> None:
    """Only redundant schedulers copy by themselves; what others copy names its trigger."""
    scheduler = SCHEDULERS[name]
    for seed, ratio in ((1, 1), (2, 10)):
        trace = transferred(scheduler, loss=50, ratio=ratio, segments=60, seed=seed)
        assert (octets(trace, cause="redundant") > 0) is scheduler.redundant
        triggers = {part.trigger for one in trace.segments for part in one.ranges} - {""}
        assert triggers <= set(TRIGGERS)
        allowed = {
            "timeout": scheduler.timeout > 0,
            "loss": scheduler.after_loss,
            "opportunistic": scheduler.opportunistic,
            "subflow_end": scheduler.ends is not None and not scheduler.withdraws,
            "address_removed": scheduler.ends is not None and scheduler.withdraws,
        }
        assert all(allowed[trigger] for trigger in triggers)


def test_the_lowest_round_trip_comes_first() -> None:
    """Lowest-RTT leaves to the slow subflow what the quick one has no room for."""
    trace = transferred(SCHEDULERS["lowest_rtt"], ratio=10, segments=100)
    assert octets(trace, subflow=0) > 5 * octets(trace, subflow=1) > 0


def test_subflows_take_turns() -> None:
    """Round-robin shares the data evenly over equal paths."""
    trace = transferred(SCHEDULERS["round_robin"], segments=100)
    assert abs(octets(trace, subflow=0) - octets(trace, subflow=1)) <= 2 * 1400


@pytest.mark.parametrize("name", ["backup_aware", "redundant_backup_aware"])
def test_backups_wait(name: str) -> None:
    """A backup carries nothing while a regular subflow lives."""
    trace = transferred(SCHEDULERS[name], segments=60)
    assert octets(trace, subflow=1) == 0
    assert octets(trace, subflow=2) > 0


def test_full_redundancy_copies_everything() -> None:
    """Full redundancy sends every octet on both subflows, but for the first segment."""
    trace = transferred(SCHEDULERS["redundant"], ratio=10, segments=60)
    assert octets(trace, cause="redundant") == 59 * 1400


def test_skipping_what_is_acknowledged_spares_the_slow_path() -> None:
    """A redundant scheduler that skips what was DATA_ACKed sends little on a slow subflow."""
    trace = transferred(SCHEDULERS["redundant_unacked"], ratio=50, segments=100)
    assert 0 < octets(trace, subflow=1) < 0.3 * octets(trace, subflow=0)


def test_redundancy_may_be_for_the_beginning_only() -> None:
    """A scheduler that is redundant at the start copies nothing later."""
    trace = transferred(SCHEDULERS["redundant_start"], segments=100)
    beginning = SCHEDULERS["redundant_start"].beginning
    copies = [
        part.dsn
        for one in trace.segments
        for part in one.ranges
        if part.cause == "redundant" and part.dsn is not None
    ]
    assert copies
    assert max(copies) <= beginning + 1400


def test_an_aggressive_timeout_copies_sooner() -> None:
    """The shorter the MPTCP-level time-out, the more is reinjected."""
    patient = transferred(SCHEDULERS["data_timeout"], ratio=10, segments=100)
    hasty = transferred(SCHEDULERS["aggressive_timeout"], ratio=10, segments=100)
    assert octets(hasty, trigger="timeout") > octets(patient, trigger="timeout")


def test_a_full_window_is_relieved() -> None:
    """Opportunistic retransmission sends again what a slow subflow holds up."""
    trace = transferred(SCHEDULERS["opportunistic"], ratio=50, segments=200)
    assert octets(trace, trigger="opportunistic") > 0


def test_the_end_of_a_subflow_moves_its_data() -> None:
    """What a subflow carried when it was reset goes over another one."""
    trace = transferred(SCHEDULERS["subflow_end"], segments=60)
    reset = next(one for one in trace.segments if one.flags & RST)
    assert reset.subflow == 1
    moved = [one for one in trace.segments if any(part.trigger for part in one.ranges)]
    assert moved
    assert all(one.number > reset.number and one.subflow == 0 for one in moved)


def test_the_loss_of_an_address_moves_its_data() -> None:
    """What a subflow carried when its address was withdrawn goes over another one."""
    trace = transferred(SCHEDULERS["address_removed"], segments=60)
    removal = next(
        one
        for one in trace.segments
        if any(isinstance(option, RemoveAddr) for option in one.options)
    )
    moved = [one for one in trace.segments if any(part.trigger for part in one.ranges)]
    assert moved
    assert all(one.number > removal.number and one.subflow == 0 for one in moved)


def test_tcp_repairs_losses() -> None:
    """Lost data is sent again on its subflow, mostly before a time-out strikes."""
    trace = transferred(SCHEDULERS["lowest_rtt"], loss=30, segments=200)
    assert octets(trace, cause="retransmission") > 0
    last = max(one.time for one in trace.segments if one.payload)
    assert last < 8_000 * MS


def test_acknowledgments_are_delayed() -> None:
    """The listener acknowledges about every other segment, with a DATA_ACK."""
    trace = transferred(SCHEDULERS["lowest_rtt"], segments=100)
    acks = [one for one in trace.segments if one.host == 1 and not one.flags & FIN]
    assert 45 <= len(acks) <= 65
    assert sum(one.data_ack is not None for one in acks) > 45
