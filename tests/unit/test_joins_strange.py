"""Joins of strange captures: equal keys, replays, floods, strays without a SYN."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis import owners
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import MpCapable
from tests.common.answers import text
from tests.common.conversation import KEYS, Conversation
from tests.common.tape import ACK, Tape

pytestmark = pytest.mark.usefixtures("each_engine")


def test_hosts_with_one_key_are_told_apart_by_address():
    """Two hosts that chose the same key have one token; the addresses say who joins."""
    talk = Conversation(keys=(KEYS[0], KEYS[0]))
    talk.opened()
    talk.joined(addresses=("10.9.9.9", "10.0.0.2"))
    talk.joined(opener=1, addresses=("10.0.0.1", "10.9.9.8"))
    stray = talk.flow()
    stray.join(missing="syn synack third")
    stray.data(0, b"whose")
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        joins = [flow for flow in connection.subflows if flow.kind == "joined"]
        assert [flow.opener for flow in joins[:2]] == [0, 1]
        assert [flow.join.result for flow in joins[:2]] == ["valid", "valid"]


def test_many_replays_of_one_connection_keep_their_joins():
    """300 connections in turn with the same keys, each with a join: one join each."""
    tape = Tape()
    for i in range(300):
        talk = Conversation(tape)
        flow = talk.opened(ports=(2_000 + i, 80))
        talk.joined(ports=(3_000 + i, 80))
        flow.ack(1)
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections) == 300
        ports = [
            [flow.source.port for flow in connection.subflows] for connection in trace.connections
        ]
        assert ports == [[2_000 + i, 3_000 + i] for i in range(300)]


def test_trials_by_hmac_are_bounded(monkeypatch):
    """Once the capture's trials are used up, a stray join stays unattached, and nothing fails."""
    monkeypatch.setattr(owners, "MOST_TRIALS", 2)
    tape = Tape()
    talk = Conversation(tape)
    talk.opened()
    for i in range(4):
        flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(2_000 + i, 80))
        flow.join_syn(token=0x12345678 + i)
        flow.join_synack()
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections[0].subflows) == 3
        assert len(trace.unattached) == 2


def test_only_the_nearest_of_many_neighbours_are_tried(monkeypatch):
    """Of very many connections at an address, those nearest in time are tried by HMAC."""
    monkeypatch.setattr(owners, "MOST_TRIED", 3)
    tape = Tape()
    talks = [Conversation(tape, keys=(10 + i, 20 + i)) for i in range(6)]
    for i, talk in enumerate(talks):
        talk.opened(ports=(2_000 + i, 80))
    flow = talks[-1].flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(3_000, 80))
    flow.join_syn(token=1)
    flow.join_synack()
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections[5].subflows) == 2


def test_stray_whose_other_number_contradicts_is_not_attached():
    """A DSN that fits does not attach a subflow whose DATA_ACK contradicts it."""
    tape = Tape()
    talk = Conversation(tape)
    talk.opened()
    stranger = Conversation(tape, keys=(KEYS[0], 99))
    flow = stranger.flow(ports=(50_000, 80))
    flow.join(missing="syn synack third")
    flow.data(0, b"looks right")
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections[0].subflows) == 1
        assert len(trace.unattached) == 1


def test_stray_with_one_number_needs_an_address():
    """One fitting number attaches a stray only if it shares an address with the connection."""
    tape = Tape()
    talk = Conversation(tape)
    talk.opened()
    near = talk.flow(addresses=("10.0.0.1", "10.7.7.7"), ports=(50_000, 80))
    far = talk.flow(addresses=("10.6.6.6", "10.7.7.8"), ports=(50_001, 80))
    for flow in (near, far):
        flow.next = [1, 1]
        flow.data(0, b"one number", dack=None)
    with analyze(tape.pcap()) as trace:
        (connection,) = trace.connections
        assert [flow.source.port for flow in connection.subflows] == [40_000, 50_000]
        assert [flow.source.port for flow in trace.unattached] == [50_001]


def test_stray_before_the_idsn_wraps_is_found():
    """A DSN that wrapped past 2**64 is still near the IDSN below it."""
    idsn = 2**64 - 100
    assert owners.NEAR > 200
    talk = Conversation(idsn=(idsn, None))
    flow = talk.opened()
    flow.data(0, bytes(300))
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == bytes(300)


@pytest.mark.parametrize("key", [0, 2**64 - 1])
def test_keys_at_the_ends_of_their_range(key):
    """The keys 0 and 2**64 - 1 are keys like any other."""
    talk = Conversation(keys=(key, key ^ 1))
    flow = talk.opened()
    talk.joined()
    flow.data(0, b"extreme")
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert [host.key for host in connection.hosts] == [key, key ^ 1]
        assert connection.subflows[1].join.result == "valid"
        assert text(trace) == b"extreme"


def test_echoed_key_that_changes_on_the_first_data_is_named():
    """The first data's MP_CAPABLE has to echo what the third packet echoed."""
    talk = Conversation()
    flow = talk.opened()
    ack = flow.capable("ack", echo=0x5555)
    changed = MpCapable(
        version=1,
        flags=1,
        sender_key=ack.sender_key,
        receiver_key=ack.receiver_key,
        data_length=2,
    )
    frame = flow.segment(0, ACK, changed, payload=b"hi")
    with analyze(talk.tape.pcap()) as trace:
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.frame) == ("echoed_key", frame)
        assert (found.expected, found.seen) == (f"{KEYS[1]:016x}", f"{0x5555:016x}")
