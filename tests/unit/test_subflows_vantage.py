"""Subflows: their order, their ends, their round trip, and where they were captured."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.conversation import Conversation
from tests.common.tape import Tape

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ((0.03, 0.0), ("source", False)),
        ((0.0, 0.03), ("destination", False)),
        ((0.02, 0.02), (None, False)),
    ],
    ids=["at the source", "at the destination", "in the middle"],
)
def test_vantage_is_guessed_from_the_handshake(waits, expected):
    """The gaps of the handshake suggest where the capture was made; it stays a guess."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(waits[0])
    flow.synack()
    talk.tape.wait(waits[1])
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        (subflow,) = trace.subflows
        assert subflow.vantage == expected
        assert subflow.round_trip == round(sum(waits) * 1e9) + 2_000_000


def test_subflows_are_in_order_of_their_first_frames():
    """Ids are ordinals in the capture, across connections, and the initial one is marked."""
    tape = Tape()
    one = Conversation(tape)
    two = Conversation(tape, keys=(3, 4))
    one.opened()
    two.opened(ports=(50_000, 80))
    one.joined()
    two.joined(ports=(50_001, 80))
    with analyze(tape.pcap()) as trace:
        assert [flow.id for flow in trace.subflows] == [0, 1, 2, 3]
        assert [flow.connection.id for flow in trace.subflows] == [0, 1, 0, 1]
        assert [each.initial.id for each in trace.connections] == [0, 1]
        firsts = [flow.first_frame for flow in trace.subflows]
        assert firsts == sorted(firsts)


def test_octets_are_by_role_and_not_by_address():
    """A subflow's octets are (initiator's, listener's), whoever opened it."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined(opener=1)
    flow.data(0, b"four")
    flow.data(1, b"sevens!")
    with analyze(talk.tape.pcap()) as trace:
        assert trace.subflows[1].octets == (4, 7)


def test_lookup_by_token_finds_either_host():
    """A connection is found by the token of either of its hosts."""
    talk = Conversation()
    talk.opened()
    with analyze(talk.tape.pcap()) as trace:
        for token in talk.token:
            assert trace.by_token(token) == trace.connections
        assert trace.by_token(1) == []


def test_join_that_was_never_answered_is_not_established():
    """Of joins, only those that may have carried data count as established."""
    talk = Conversation()
    talk.opened()
    talk.joined()
    talk.flow().join_syn()
    refused = talk.flow()
    refused.join_syn()
    refused.rst(1)
    with analyze(talk.tape.pcap()) as trace:
        assert [flow.established for flow in trace.subflows] == [True, True, False, False]
