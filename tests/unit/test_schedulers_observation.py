"""Schedulers: an observation of each host, with its evidence and at its own vantage only."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.conversation import Conversation
from tests.common.tape import Tape

pytestmark = pytest.mark.usefixtures("each_engine")

BLOCK = bytes(range(250)) * 4


def _slow_handshake(talk):
    """The initial subflow with a round trip of 20 ms."""
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(0.02 if talk.captured_at == 0 else 0)
    flow.synack()
    talk.tape.wait(0.02 if talk.captured_at == 1 else 0)
    flow.third()
    return flow


def _slow_join(talk, opener=0):
    flow = talk.flow(opener=opener)
    flow.join_syn()
    talk.tape.wait(0.02 if talk.captured_at == opener else 0)
    flow.join_synack()
    talk.tape.wait(0.02 if talk.captured_at == 1 - opener else 0)
    flow.join_ack()
    flow.ack(1 - opener)
    return flow


def _scheduler(trace, role=0):
    scheduler = trace.connections[0].hosts[role].scheduler
    assert scheduler is not None
    return scheduler


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("role", [0, 1])
def test_copies_at_once_at_the_sender_are_a_redundant_scheduler(role, opener):
    """Every octet on both subflows within a round trip, seen at the sender: redundant."""
    talk = Conversation(Tape("sll"), captured_at=role)
    talk.tape.step = 100_000
    one, two = _slow_handshake(talk), _slow_join(talk, opener)
    for at in range(20):
        one.data(role, BLOCK, dsn=1 + 1000 * at)
        two.data(role, BLOCK, dsn=1 + 1000 * at)
        talk.tape.wait(0.02)
        one.ack(1 - role)
        two.ack(1 - role)
    with analyze(talk.tape.pcap()) as trace:
        scheduler = _scheduler(trace, role)
        assert scheduler.redundant is True
        assert scheduler.share == 1.0
        sums = trace.connections[0].hosts[role].transmissions
        assert (sums["first_seen"], sums["redundant"]) == (20_000, 20_000)
        assert sum(octets for _, octets in scheduler.lags) == 20_000


def test_copies_seen_at_the_receiver_leave_the_scheduler_unknown():
    """The receiver cannot tell which copy was sent first: share is told, redundancy is not."""
    talk = Conversation(Tape("sll"), captured_at=1)
    one, two = _slow_handshake(talk), _slow_join(talk)
    for at in range(20):
        one.data(0, BLOCK, dsn=1 + 1000 * at)
        two.data(0, BLOCK, dsn=1 + 1000 * at)
        one.ack(1)
        two.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        scheduler = _scheduler(trace)
        assert scheduler.redundant is None
        assert scheduler.share == 1.0
        assert "only at the sender" in scheduler.why


def test_alternating_subflows_are_not_redundant():
    """Octets that take one subflow or the other are no redundancy, at any vantage."""
    talk = Conversation()
    flows = [talk.opened(), talk.joined()]
    for at in range(30):
        flows[at % 2].data(0, BLOCK)
    with analyze(talk.tape.pcap()) as trace:
        scheduler = _scheduler(trace)
        assert (scheduler.redundant, scheduler.share) == (False, 0.0)
        assert scheduler.lags == ()


def test_reinjections_after_a_subflow_ended_are_not_redundant():
    """Copies that answer the end of a subflow are no redundant scheduler."""
    talk = Conversation(Tape("sll"), captured_at=0)
    one, two = _slow_handshake(talk), _slow_join(talk)
    for at in range(20):
        one.data(0, BLOCK, dsn=1 + 1000 * at)
    one.rst(1)
    for at in range(20):
        two.data(0, BLOCK, dsn=1 + 1000 * at)
    with analyze(talk.tape.pcap()) as trace:
        scheduler = _scheduler(trace)
        assert scheduler.redundant is False
        assert trace.connections[0].initiator.transmissions["reinjection"] == 20_000


def test_few_octets_say_nothing():
    """Below the least number of octets the scheduler is unknown."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, BLOCK)
    two.data(0, BLOCK, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        scheduler = _scheduler(trace)
        assert scheduler.redundant is None
        assert "too few" in scheduler.why


def test_one_subflow_is_not_redundant_and_no_data_is_unknown():
    """With one subflow nothing is redundant; without data nothing is known."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, BLOCK)
    with analyze(talk.tape.pcap()) as trace:
        assert _scheduler(trace).redundant is False
        assert _scheduler(trace, 1).redundant is None
        assert _scheduler(trace, 1).share is None


def test_refused_join_is_no_second_subflow_for_the_scheduler():
    """Where the only other subflow was refused, there is one subflow only."""
    talk = Conversation()
    one = talk.opened()
    refused = talk.flow()
    refused.join_syn()
    refused.rst(1)
    one.data(0, BLOCK)
    with analyze(talk.tape.pcap()) as trace:
        assert _scheduler(trace).redundant is False
        assert _scheduler(trace).why == "one subflow only"


def test_data_level_reordering_is_a_share():
    """New octets sent below the highest DSN so far are counted as reordered."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, BLOCK, dsn=1001)
    two.data(0, BLOCK, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert _scheduler(trace).reordered == 0.5


def test_octets_count_once_however_often_they_are_sent():
    """Octets of a host are distinct ones; those of a subflow are what it carried itself."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, BLOCK)
    one.data(0, BLOCK, dsn=1, seq=1)
    two.data(0, BLOCK, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.initiator.octets == 1_000
        assert [flow.octets for flow in connection.subflows] == [(1_000, 0), (1_000, 0)]


@pytest.mark.parametrize(
    ("captured_at", "expected"), [(0, ("source", True)), (1, ("destination", True))]
)
def test_cooked_packet_types_tell_the_vantage(captured_at, expected):
    """The packet types of a cooked capture say at which host it was made."""
    talk = Conversation(Tape("sll"), captured_at=captured_at)
    talk.opened()
    with analyze(talk.tape.pcap()) as trace:
        assert trace.subflows[0].vantage == expected
        assert trace.subflows[0].captured_at(captured_at)
        assert not trace.subflows[0].captured_at(1 - captured_at)


def test_a_run_of_copies_from_the_oldest_octets_on_is_no_redundancy():
    """A timer may have struck, as Linux's does; once the run caught up, copies are redundant."""
    talk = Conversation(Tape("sll"), captured_at=0)
    talk.tape.step = 100_000
    one, two = _slow_handshake(talk), _slow_join(talk)
    for _ in range(20):
        one.data(0, BLOCK)
    talk.tape.wait(0.005)
    for at in range(19):
        two.data(0, BLOCK, dsn=1 + 1000 * at)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.transmissions["unclassified"] == 19_000
        assert _scheduler(trace).redundant is None
    two.data(0, BLOCK, dsn=19_001)
    for at in range(20, 24):
        one.data(0, BLOCK)
        two.data(0, BLOCK, dsn=1 + 1000 * at)
    with analyze(talk.tape.pcap()) as trace:
        sums = trace.connections[0].initiator.transmissions
        assert (sums["unclassified"], sums["redundant"]) == (20_000, 4_000)
        assert _scheduler(trace).redundant is True


def test_the_oldest_octets_sent_again_alone_are_a_reinjection():
    """What waits for a DATA_ACK for longer than the quickest round trip and goes elsewhere."""
    talk = Conversation(Tape("sll"), captured_at=0)
    talk.tape.step = 100_000
    one, two = _slow_handshake(talk), _slow_join(talk)
    for flow in (one, two) * 10:
        flow.data(0, BLOCK)
    talk.tape.wait(0.06)
    two.data(0, BLOCK, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.transmissions["reinjection"] == 1_000
        assert _scheduler(trace).redundant is False


def test_the_oldest_octets_sent_again_within_a_round_trip_are_unclassified():
    """An impatient sender or one with a full window: nothing shows which, nor redundancy."""
    talk = Conversation(Tape("sll"), captured_at=0)
    talk.tape.step = 100_000
    one, two = _slow_handshake(talk), _slow_join(talk)
    for flow in (one, two) * 10:
        flow.data(0, BLOCK)
    two.data(0, BLOCK, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.transmissions["unclassified"] == 1_000
        assert _scheduler(trace).redundant is None
