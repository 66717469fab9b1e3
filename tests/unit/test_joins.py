"""Joins: which connection a subflow belongs to, and what its three messages prove."""

from __future__ import annotations

import time

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import MpJoinSyn, MpTcprst
from tests.common.conversation import KEYS, NONCES, Conversation
from tests.common.tape import ACK, RST, SYN, Tape
from tests.common.vectors import VECTORS, number

pytestmark = pytest.mark.usefixtures("each_engine")


def _join(trace, connection=0):
    (flow,) = [flow for flow in trace.connections[connection].subflows if flow.kind == "joined"]
    assert flow.join is not None
    return flow, flow.join


@pytest.mark.parametrize("opener", [0, 1], ids=["by the initiator", "by the listener"])
@pytest.mark.parametrize("version", [0, 1])
def test_join_is_valid(version, opener):
    """A join by either host is attached by the owner of its token, with right HMACs."""
    talk = Conversation(version=version)
    talk.opened()
    talk.joined(opener=opener)
    with analyze(talk.tape.pcap()) as trace:
        flow, join = _join(trace)
        assert flow.opener == opener
        assert join.token == talk.token[1 - opener]
        assert (join.token_right, join.synack_hmac, join.ack_hmac) == (True, True, True)
        assert join.result == "valid"
        ends = (str(flow.source), str(flow.destination))
        assert ends[opener] == "10.0.1.1:40001"
        assert trace.connections[0].mismatches == []
        assert trace.unattached == []


def test_data_of_a_server_initiated_join_keeps_its_direction():
    """On a subflow that the listener opened, each host's data still is that host's."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined(opener=1)
    flow.data(0, b"from the initiator")
    flow.data(1, b"from the listener")
    with analyze(talk.tape.pcap()) as trace:
        assert b"".join(map(bytes, trace.stream(0, "initiator"))) == b"from the initiator"
        assert b"".join(map(bytes, trace.stream(0, "listener"))) == b"from the listener"


@pytest.mark.parametrize("opener", [0, 1])
def test_join_captured_before_the_handshake(opener):
    """The order of interfaces in a capture plays no part: a join may stand before the handshake."""
    talk = Conversation()
    first = talk.flow()
    first.next = [1, 1]
    talk.joined(opener=opener)
    first.handshake()
    with analyze(talk.tape.pcap()) as trace:
        _, join = _join(trace)
        assert join.result == "valid"
        assert trace.connections[0].initial is not None
        assert trace.connections[0].initial.id == 1


@pytest.mark.parametrize("lost", ["syn", "synack", "third", "syn synack", "synack third"])
def test_join_missing_a_message_is_unknown(lost):
    """Where a message of the join is missing, its check is unknown and nobody is accused."""
    talk = Conversation()
    first = talk.opened()
    first.data(0, b"x" * 100)
    flow = talk.flow()
    flow.join(missing=lost)
    flow.data(0, b"y" * 100)
    with analyze(talk.tape.pcap()) as trace:
        assert len(trace.connections[0].subflows) == 2
        _, join = _join(trace)
        assert join.result == "unknown"
        assert False not in (join.token_right, join.synack_hmac, join.ack_hmac)


def test_join_without_its_syn_is_attached_by_data_sequence_numbers():
    """A subflow whose three set-up packets are missing is found by its 64-bit DSNs."""
    tape = Tape()
    other = Conversation(tape, keys=(7, 8))
    talk = Conversation(tape)
    other.opened(ports=(50_000, 80))
    talk.opened()
    flow = talk.flow()
    flow.join(missing="syn synack third")
    flow.data(1, b"from the listener first")
    flow.data(0, b"and ")
    flow.data(0, b"back")
    with analyze(tape.pcap()) as trace:
        found = trace.connections[1].subflows[-1]
        assert found.kind == "joined"
        assert found.connection is trace.connections[1]
        assert b"".join(map(bytes, trace.stream(1, "initiator"))) == b"and back"
        assert found.opener is None


def test_narrow_numbers_alone_do_not_attach_to_a_stranger():
    """A stray subflow with 4-octet numbers of another connection stays unattached."""
    tape = Tape()
    talk = Conversation(tape)
    talk.opened()
    other = Conversation(tape, keys=(7, 8), wide=(False, False))
    flow = other.flow(ports=(50_000, 80))
    flow.join(missing="syn synack third")
    flow.data(0, b"stray")
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections[0].subflows) == 1
        assert len(trace.unattached) == 1


def test_retransmitted_join_syn_is_one_subflow():
    """A join SYN that is sent again is the same subflow, and its HMACs still fit."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    talk.tape.wait(1)
    flow.join()
    with analyze(talk.tape.pcap()) as trace:
        assert len(trace.subflows) == 2
        assert _join(trace)[1].result == "valid"


def test_retransmitted_join_syn_with_another_nonce_is_checked_with_the_one_answered():
    """If each SYN has its own nonce, the join is valid if the answer fits any of them."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_syn(nonce=0x55555555)
    flow.join_synack()
    flow.join_ack()
    with analyze(talk.tape.pcap()) as trace:
        assert _join(trace)[1].result == "valid"


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("captured", [True, False], ids=["hmac", "address"])
def test_equal_tokens_of_two_hosts_are_told_apart(version, captured):
    """Two listeners with one token: HMACs decide whose the join is, without them the address."""
    pair = VECTORS["token_collision"][f"v{version}"]
    tape = Tape()
    one = Conversation(tape, version=version, keys=(21, number(pair["key1"])))
    two = Conversation(tape, version=version, keys=(22, number(pair["key2"])))
    assert one.token[1] == two.token[1] == number(pair["token"])
    one.opened(addresses=("10.0.0.1", "10.0.0.2"))
    two.opened(addresses=("10.0.0.3", "10.0.0.4"))
    for talk, server in ((two, "10.0.0.4"), (one, "10.0.0.2")):
        flow = talk.flow(addresses=("10.9.9.9", server))
        flow.join(missing="" if captured else "synack third")
    with analyze(tape.pcap()) as trace:
        for connection, server in zip(trace.connections, ("10.0.0.2", "10.0.0.4"), strict=True):
            flow, join = _join(trace, connection.id)
            assert flow.destination.address == server
            assert join.token_right is True
            assert join.result == ("valid" if captured else "unknown")


def test_equal_tokens_with_wrong_hmacs_are_told_apart_by_address():
    """A join to a shared token with wrong HMACs goes to the owner of its address, as invalid."""
    pair = VECTORS["token_collision"]["v1"]
    tape = Tape()
    one = Conversation(tape, keys=(21, number(pair["key1"])))
    two = Conversation(tape, keys=(22, number(pair["key2"])))
    one.opened(addresses=("10.0.0.1", "10.0.0.2"))
    two.opened(addresses=("10.0.0.3", "10.0.0.4"))
    flow = two.flow(addresses=("10.9.9.9", "10.0.0.4"))
    flow.join_syn()
    flow.join_synack(hmac=bytes(8))
    with analyze(tape.pcap()) as trace:
        assert _join(trace, 1)[1].result == "invalid"


def test_equal_tokens_that_nothing_tells_apart_stay_unattached():
    """Where neither HMACs nor addresses decide between two owners, none is chosen."""
    pair = VECTORS["token_collision"]["v1"]
    tape = Tape()
    one = Conversation(tape, keys=(21, number(pair["key1"])))
    two = Conversation(tape, keys=(22, number(pair["key2"])))
    one.opened(addresses=("10.0.0.1", "10.0.0.2"))
    two.opened(addresses=("10.0.0.3", "10.0.0.4"))
    one.flow(addresses=("10.9.9.9", "10.8.8.8")).join_syn()
    with analyze(tape.pcap()) as trace:
        assert [len(connection.subflows) for connection in trace.connections] == [1, 1]
        assert len(trace.unattached) == 1


def test_join_to_unknown_token_is_unattached():
    """A join whose token nobody in the capture owns is told, but attached to nothing."""
    tape = Tape()
    Conversation(tape).opened()
    stranger = Conversation(tape, keys=(77, 78))
    stranger.flow(addresses=("10.7.0.1", "10.7.0.2")).join()
    with analyze(tape.pcap()) as trace:
        (flow,) = trace.unattached
        assert flow.kind == "joined"
        assert flow.join is not None
        assert flow.join.token == stranger.token[1]
        assert (flow.join.token_right, flow.join.result) == (None, "unknown")


def _least_significant(key, version):
    return int.from_bytes(crypto.key_digest(key, version)[-4:], "big")


def _reversed(value, size):
    return int.from_bytes(value.to_bytes(size, "big"), "little")


WRONG_TOKENS = {
    "own": (lambda version: crypto.token(KEYS[0], version), "joiner's own"),
    "other hash": (lambda version: crypto.token(KEYS[1], 1 - version), "other version's hash"),
    "wrong end": (lambda version: _least_significant(KEYS[1], version), "least significant end"),
    "byte order": (lambda v: _reversed(crypto.token(KEYS[1], v), 4), "wrong byte order"),
    "key order": (lambda v: crypto.token(_reversed(KEYS[1], 8), v), "key in the wrong byte order"),
}


@pytest.mark.parametrize("answered", [False, True], ids=["refused", "answered"])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("slip", WRONG_TOKENS)
def test_wrong_token_is_diagnosed_with_both_values(slip, version, answered):
    """A token made in one of the usual wrong ways is named, with the right one beside it."""
    token, cause = WRONG_TOKENS[slip]
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"))
    frame = flow.join_syn(token=token(version))
    if answered:
        flow.join_synack()
        flow.join_ack()
    else:
        flow.segment(1, RST | ACK, MpTcprst(reason=1), seq=0, ack=1)
    with analyze(talk.tape.pcap()) as trace:
        _, join = _join(trace)
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.host, found.frame) == ("token", "initiator", frame)
        assert found.expected == f"{talk.token[1]:08x}"
        assert found.seen == f"{token(version):08x}"
        assert cause in found.why
        assert (join.token_right, join.result) == (False, "invalid")


def test_random_token_with_right_hmacs_is_diagnosed():
    """A token that follows from nothing is still the connection's whose keys made the HMACs."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"))
    flow.join_syn(token=0x12345678)
    flow.join_synack()
    with analyze(talk.tape.pcap()) as trace:
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.seen) == ("token", "12345678")


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("message", ["synack", "third"])
def test_wrong_hmac_makes_the_join_invalid_and_names_both_values(message, version, opener):
    """A wrong HMAC in either message is named with the right one, at its sender."""
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.flow(opener=opener)
    flow.join_syn()
    wrong = bytes(range(20))
    if message == "synack":
        frame = flow.join_synack(hmac=wrong[:8])
        sender, right = 1 - opener, flow.join_hmac(1 - opener)[:8]
        flow.rst(opener, 1)
    else:
        flow.join_synack()
        frame = flow.join_ack(hmac=wrong)
        sender, right = opener, flow.join_hmac(opener)[:20]
        flow.rst(1 - opener, 1)
    with analyze(talk.tape.pcap()) as trace:
        attached, join = _join(trace)
        assert join.result == "invalid"
        assert (join.synack_hmac, join.ack_hmac) == (
            (False, None) if message == "synack" else (True, False)
        )
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.frame) == ("join_hmac", frame)
        assert found.host == ("initiator", "listener")[sender]
        assert found.expected == right.hex()
        assert found.seen == wrong[: len(right)].hex()
        assert attached.end is not None
        assert attached.end.reason == 1


def test_join_captured_with_its_synack_last():
    """Clocks of two interfaces may put the SYN/ACK behind the third packet; the join is valid."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow(address_ids=(3, 9))
    flow.join_syn()
    flow.next[1] = 1
    flow.join_ack()
    flow.join_synack()
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        joined, join = _join(trace)
        assert join.result == "valid"
        assert joined.address_ids == [3, 9]


def test_third_packet_retransmitted_many_times_is_one_join():
    """The third packet may be repeated until the fourth comes; the join is valid once."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack()
    for _ in range(50):
        flow.join_ack()
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert _join(trace)[1].result == "valid"


def test_join_refused_by_rst_to_the_syn():
    """A RST to the join SYN refuses it; the connection goes on with its initial subflow."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.segment(1, RST | ACK, MpTcprst(reason=1), seq=0, ack=1)
    with analyze(talk.tape.pcap()) as trace:
        refused, join = _join(trace)
        assert join.result == "refused"
        assert refused.end is not None
        assert (refused.end.how, refused.end.by, refused.end.reason) == ("reset", "listener", 1)


def test_join_refused_after_the_third_packet():
    """A RST with MP_TCPRST 3 after right HMACs (a subflow limit) refuses the join."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack()
    flow.join_ack()
    flow.rst(1, 3)
    flow.rst(0, 0)
    with analyze(talk.tape.pcap()) as trace:
        refused, join = _join(trace)
        assert (join.synack_hmac, join.ack_hmac, join.result) == (True, True, "refused")
        assert refused.end is not None
        assert refused.end.reason == 3


def test_reset_of_an_established_join_is_not_a_refusal():
    """A RST after the fourth packet ends a valid subflow."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined()
    flow.rst(1, 6)
    with analyze(talk.tape.pcap()) as trace:
        assert _join(trace)[1].result == "valid"


def test_join_answered_without_mp_join_is_refused():
    """A plain SYN/ACK to a join SYN (the option was stripped) takes no part in the join."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.segment(1, SYN | ACK, seq=0)
    flow.segment(0, RST, MpTcprst(reason=1))
    with analyze(talk.tape.pcap()) as trace:
        refused, join = _join(trace)
        assert join.result == "refused"
        assert refused.end is not None
        assert refused.end.by == "initiator"


def test_address_ids_and_backup_are_of_each_end():
    """Each end of a joined subflow has its own Address ID and B flag, whoever opened it."""
    talk = Conversation()
    talk.opened()
    talk.joined(address_ids=(3, 9), backup=(True, False))
    talk.joined(opener=1, address_ids=(4, 8), backup=(False, True))
    with analyze(talk.tape.pcap()) as trace:
        first, second, third = trace.connections[0].subflows
        assert (first.address_ids, first.backup) == ([0, 0], [None, None])
        assert (second.address_ids, second.backup) == ([3, 9], [True, False])
        assert (third.address_ids, third.backup) == ([4, 8], [False, True])


def _flood(joins, address="10.0.0.2"):
    tape = Tape()
    tape.step = 1_000
    talk = Conversation(tape)
    talk.opened()
    for i in range(joins):
        flow = talk.flow(addresses=(f"10.{i >> 14 & 63}.{i >> 7 & 127}.7", address))
        flow.ends[0] = (flow.ends[0][0], 1024 + i % 60_000)
        option = MpJoinSyn(address_id=1, token=(i * 2654435761) & 0xFFFFFFFF, nonce=i)
        flow.segment(0, SYN, option, seq=0)
        flow.segment(1, RST | ACK, seq=0, ack=1)
    return talk


def test_syn_flood_of_joins_costs_linear_time():
    """2,000 joins with made-up tokens are unattached subflows, in no noticeable time."""
    tape = _flood(2_000).tape
    begun = time.perf_counter()
    with analyze(tape.pcap()) as trace:
        assert len(trace.unattached) == 2_000
        assert len(trace.connections[0].subflows) == 1
    assert time.perf_counter() - begun < 5


def test_many_joins_of_one_connection():
    """2,000 refused joins with the right token are subflows of the one connection."""
    tape = Tape()
    talk = Conversation(tape)
    talk.opened()
    for i in range(2_000):
        flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(1_024 + i, 80))
        flow.join_syn()
        flow.segment(1, RST | ACK, seq=0, ack=1)
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections[0].subflows) == 2_001
        assert {flow.join.result for flow in trace.connections[0].subflows[1:]} == {"refused"}


def test_nonces_are_not_mixed_up():
    """The HMACs of a join by the listener use each host's own nonce."""
    talk = Conversation()
    talk.opened()
    talk.joined(opener=1, nonces=(NONCES[1] + 1, NONCES[0] + 1))
    with analyze(talk.tape.pcap()) as trace:
        assert _join(trace)[1].result == "valid"
