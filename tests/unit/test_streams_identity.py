"""Streams: reuse of endpoints, VLANs, frames captured twice, numbers that wrap."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import MpCapable
from tests.common.answers import text
from tests.common.conversation import KEYS, Conversation
from tests.common.tape import ACK, RST, SYN, Tape

pytestmark = pytest.mark.usefixtures("each_engine")

IPV6 = ("2001:db8::1", "2001:db8::2")


def _sum(trace, role=0, connection=0):
    return trace.connections[connection].hosts[role].transmissions


def test_same_endpoints_three_times_with_new_numbers_and_keys():
    """One 4-tuple used three times is three connections, each with its own keys and data."""
    tape = Tape()
    for i in range(3):
        talk = Conversation(tape, keys=(KEYS[0] + i, KEYS[1] + i))
        flow = talk.opened(isn=(1_000 + 7_000_000 * i, 5_000_000 + 9_000_000 * i))
        flow.data(0, b"round %d" % i)
        flow.fin(0)
        flow.fin(1)
        tape.wait(1)
    with analyze(tape.pcap()) as trace:
        assert [each.initiator.key for each in trace.connections] == [KEYS[0] + i for i in range(3)]
        assert [text(trace, connection=i) for i in range(3)] == [
            b"round 0",
            b"round 1",
            b"round 2",
        ]


@pytest.mark.parametrize("missing", ["syn", "syn synack"])
def test_same_endpoints_with_new_keys_and_lost_syn(missing):
    """A 4-tuple used again is a new connection by its SYN/ACK or its keys, if the SYN is lost."""
    tape = Tape()
    for i in range(3):
        talk = Conversation(tape, keys=(KEYS[0] + i, KEYS[1] + i))
        flow = talk.flow(isn=(1_000 + 70_000_000 * i, 5_000_000 + 90_000_000 * i))
        flow.handshake(missing=missing if i else "")
        flow.data(0, b"round %d" % i)
        tape.wait(1)
    with analyze(tape.pcap()) as trace:
        assert [each.initiator.key for each in trace.connections] == [KEYS[0] + i for i in range(3)]
        assert [text(trace, connection=i) for i in range(3)] == [
            b"round 0",
            b"round 1",
            b"round 2",
        ]


@pytest.mark.parametrize(("ack", "of_new"), [(1, True), (0, False), (2, False), (45, False)])
def test_refusal_of_a_syn_whose_numbers_are_near_those_before(ack, of_new):
    """A RST is a new SYN's if it acknowledges that, and nothing that was sent before it."""
    tape = Tape()
    flow = Conversation(tape).opened(isn=(1_000, 5_000))
    flow.data(0, b"the first round")
    again = Conversation(tape, keys=(KEYS[0] + 1, KEYS[1] + 1)).flow(isn=(960, 4_762))
    again.syn()
    again.segment(1, RST | ACK, seq=0, ack=ack)
    with analyze(tape.pcap()) as trace:
        halves = trace.wire.segments["half"]
        assert halves[-2] >> 1 == 1
        assert halves[-1] >> 1 == int(of_new)


def test_same_endpoints_with_the_same_keys_and_new_numbers():
    """A new SYN number begins another stream even under the same keys (a replay)."""
    tape = Tape()
    for i in range(2):
        flow = Conversation(tape).opened(isn=(1_000 + 7_000_000 * i, 5_000_000))
        flow.data(0, b"replay")
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections) == 2


def test_join_of_reused_keys_goes_to_the_connection_before_it():
    """If two connections in turn have the same keys, a join belongs to the one begun last."""
    tape = Tape()
    for i in range(2):
        talk = Conversation(tape)
        talk.opened(isn=(1_000 + 7_000_000 * i, 5_000_000))
        talk.joined(ports=(45_000 + i, 80))
        tape.wait(1)
    with analyze(tape.pcap()) as trace:
        assert [len(each.subflows) for each in trace.connections] == [2, 2]
        assert [each.subflows[1].source.port for each in trace.connections] == [45_000, 45_001]


def test_join_of_reused_keys_goes_to_the_connection_that_lives():
    """Of two connections in turn with the same keys, the one without joins gets none."""
    tape = Tape()
    for i in range(2):
        talk = Conversation(tape)
        flow = talk.opened(isn=(1_000 + 7_000_000 * i, 5_000_000))
        if i:
            talk.joined(nonces=(3, 4))
        flow.data(0, b"and on")
        tape.wait(1)
    with analyze(tape.pcap()) as trace:
        assert [len(each.subflows) for each in trace.connections] == [1, 2]


def test_address_translator_shows_a_connection_twice():
    """Both sides of an address translator are two connections with equal keys and joins."""
    tape = Tape()
    talk = Conversation(tape)
    sides = [
        [("10.0.0.1", 40_000), ("10.0.1.1", 40_001)],
        [("192.0.2.9", 50_000), ("192.0.2.9", 50_001)],
    ]
    flows = [
        [talk.flow(addresses=(end[0], "10.0.0.2"), ports=(end[1], 80)) for end in side]
        for side in sides
    ]
    for place, steps in enumerate(
        (("syn", "synack", "third"), ("join_syn", "join_synack", "join_ack"))
    ):
        for step in steps:
            for side in flows:
                getattr(side[place], step)()
    for side in flows:
        side[0].data(0, b"same octets", dsn=1)
    with analyze(tape.pcap()) as trace:
        assert [len(each.subflows) for each in trace.connections] == [2, 2]
        assert [each.subflows[1].source.port for each in trace.connections] == [40_001, 50_001]
        assert [text(trace, connection=i) for i in range(2)] == [b"same octets"] * 2


def test_same_endpoints_in_two_vlans_are_two_connections():
    """The VLAN is part of a stream's identity: equal 4-tuples and numbers do not mix."""
    tape = Tape()
    talks = [Conversation(tape, keys=(KEYS[0] + i, KEYS[1] + i)) for i in range(2)]
    flows = [talk.flow(vlan=100 + i) for i, talk in enumerate(talks)]
    for step in ("syn", "synack", "third"):
        for flow in flows:
            getattr(flow, step)()
    for i, flow in enumerate(flows):
        flow.data(0, b"vlan %d" % i)
    with analyze(tape.pcap()) as trace:
        assert [text(trace, connection=i) for i in range(2)] == [b"vlan 0", b"vlan 1"]


DUPLICATES = {
    "router, TTL lower": {"hops": 1},
    "same interface, same ID": {},
    "cooked, received and sent on": {"hops": 1, "direction": 4},
}


@pytest.mark.parametrize("link", ["ethernet", "sll", "sll2"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6", "IPv4 without ID"])
@pytest.mark.parametrize("way", DUPLICATES)
def test_frames_captured_twice_count_once(way, family, link):
    """A packet that the capture shows twice is one transmission, whatever its address family."""
    tape = Tape(link)
    talk = Conversation(tape)
    settings = {"addresses": IPV6} if family == "IPv6" else {"ip_ids": family == "IPv4"}
    flow = talk.flow(**settings)
    sends = [
        flow.syn,
        flow.synack,
        flow.third,
        lambda: flow.data(0, b"a" * 500),
        lambda: flow.data(0, b"b" * 500),
        lambda: flow.ack(1),
        lambda: flow.add_addr(1, "10.0.1.2"),
    ]
    for send in sends:
        send()
        tape.again(**DUPLICATES[way])
    with analyze(tape.pcap()) as trace:
        sums = _sum(trace)
        assert sums["first_seen"] == 1_000
        assert sums["tcp_retransmission"] == 0
        assert trace.subflows[0].frames == len(sends)
        assert len(trace.connections[0].addresses) == 1
        assert len(trace.connections[0].events) == 4


@pytest.mark.parametrize("link", ["ethernet", "sll2"])
@pytest.mark.parametrize("family", ["IPv4", "IPv6", "IPv4 without ID"])
@pytest.mark.parametrize("gap", [0.02, 0.21])
def test_retransmission_is_not_taken_for_a_duplicate(gap, family, link):
    """TCP sends a segment again with an equal header and nothing in between: a retransmission."""
    tape = Tape(link)
    talk = Conversation(tape)
    settings = {"addresses": IPV6} if family == "IPv6" else {"ip_ids": family == "IPv4"}
    flow = talk.opened(**settings)
    flow.data(0, b"a" * 500, dsn=1, seq=1)
    tape.wait(gap)
    flow.data(0, b"a" * 500, dsn=1, seq=1)
    flow.ack(1)
    with analyze(tape.pcap()) as trace:
        assert _sum(trace)["tcp_retransmission"] == 500
        assert text(trace) == b"a" * 500


@pytest.mark.parametrize("family", ["IPv4", "IPv6", "IPv4 without ID"])
def test_retransmission_through_a_router_is_one_retransmission(family):
    """Original and retransmission, each captured before and after a router: one of each."""
    tape = Tape("sll2")
    talk = Conversation(tape)
    settings = {"addresses": IPV6} if family == "IPv6" else {"ip_ids": family == "IPv4"}
    flow = talk.opened(**settings)
    for _ in range(3):
        flow.data(0, b"a" * 500, dsn=1, seq=1)
        tape.again(hops=1, direction=4)
        tape.wait(0.21)
    with analyze(tape.pcap()) as trace:
        assert _sum(trace)["first_seen"] == 500
        assert _sum(trace)["tcp_retransmission"] == 1_000


def test_segments_without_mptcp_options_belong_to_their_subflow():
    """Pure ACKs, tail data under an earlier mapping and RSTs without option are the subflow's."""
    talk = Conversation()
    flow = talk.opened()
    whole = bytes(range(100))
    mapping = talk.mapping(0, whole, dsn=1, ssn=1)
    flow.data(0, whole[:50], mapping=mapping)
    flow.data(0, whole[50:], mapping=None, dack=None)
    flow.ack(1, dack=None)
    flow.rst(1)
    with analyze(talk.tape.pcap()) as trace:
        (subflow,) = trace.subflows
        assert subflow.frames == 7
        assert subflow.last_frame == 7
        assert text(trace) == whole
        assert _sum(trace)["unmapped"] == 0
        assert subflow.end is not None
        assert subflow.end.how == "reset"


@pytest.mark.parametrize("role", [0, 1])
def test_tcp_sequence_numbers_wrap(role):
    """An initial sequence number just below 2**32 changes nothing."""
    isn = [1_000, 5_000_000]
    isn[role] = 2**32 - 700
    talk = Conversation()
    flow = talk.opened(isn=tuple(isn))
    whole = bytes(range(250)) * 10
    for at in range(0, len(whole), 500):
        flow.data(role, whole[at : at + 500])
        flow.ack(1 - role)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace, ("initiator", "listener")[role]) == whole
        assert _sum(trace, role)["first_seen"] == len(whole)
        assert trace.connections[0].hosts[role].acknowledged == len(whole) + 1


def test_initial_sequence_number_of_zero_less_one():
    """The SYN itself may be the last number before the wrap."""
    talk = Conversation()
    flow = talk.opened(isn=(2**32 - 1, 2**32 - 1))
    flow.data(0, b"one")
    flow.data(1, b"two")
    with analyze(talk.tape.pcap()) as trace:
        assert (text(trace), text(trace, "listener")) == (b"one", b"two")


def test_syn_retransmission_is_the_same_stream():
    """A SYN and a SYN/ACK sent again with the same numbers begin nothing new."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(1)
    flow.syn()
    flow.synack()
    talk.tape.wait(1)
    flow.synack()
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        assert len(trace.connections) == 1
        assert trace.connections[0].state == "open"
        assert trace.connections[0].fallback is None


def test_server_frames_before_client_frames():
    """Interfaces whose clocks differ may show each answer before what it answers."""
    talk = Conversation()
    flow = talk.flow()
    flow.next = [1, 1]
    flow.segment(1, SYN | ACK, flow.capable("synack"), seq=0, ack=1)
    flow.ack(1, dack=6)
    flow.segment(0, SYN, flow.capable("syn"), seq=0)
    flow.third()
    flow.data(0, b"hello")
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert [host.key for host in connection.hosts] == list(KEYS)
        assert str(connection.initiator.endpoint) == "10.0.0.1:40000"
        assert text(trace) == b"hello"


def test_timestamps_do_not_hide_the_mapping():
    """TCP timestamps before the MPTCP options leave every number as it is."""
    talk = Conversation(checksum=True)
    flow = talk.opened(timestamps=True)
    flow.data(0, b"stamped")
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"stamped"
        assert trace.connections[0].checksums == (1, 0, 0)


def test_simultaneous_use_of_one_port_pair_by_swapped_hosts():
    """Two connections between the same two hosts, opened from either side, do not mix."""
    tape = Tape()
    one, two = Conversation(tape), Conversation(tape, keys=(3, 4))
    first = one.opened(addresses=("10.0.0.1", "10.0.0.2"), ports=(80, 80))
    first.data(0, b"first")
    first.fin(0)
    first.fin(1)
    tape.wait(60)
    second = two.opened(
        addresses=("10.0.0.2", "10.0.0.1"), ports=(80, 80), isn=(900_000_000, 800_000_000)
    )
    second.data(0, b"second")
    with analyze(tape.pcap()) as trace:
        assert [str(each.initiator.endpoint) for each in trace.connections] == [
            "10.0.0.1:80",
            "10.0.0.2:80",
        ]
        assert [text(trace, connection=i) for i in range(2)] == [b"first", b"second"]


def test_syn_with_two_mp_capables_is_read_without_harm():
    """A SYN that repeats its MP_CAPABLE is one handshake."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(flow.capable("syn"), flow.capable("syn"))
    flow.synack(MpCapable(version=1, flags=1, sender_key=KEYS[1]))
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.key == KEYS[0]


def test_keys_on_a_syn_ack_say_nothing_of_who_is_who():
    """An MP_CAPABLE with both keys means nothing on a SYN/ACK, whose sender is the listener."""
    tape = Tape()
    flow = Conversation(tape).flow()
    flow.synack(MpCapable(version=1, flags=0x01, sender_key=7, receiver_key=8))
    flow.third()
    flow.data(0, b"the keys of the third packet count")
    with analyze(tape.pcap()) as trace:
        (connection,) = trace.connections
        assert [host.key for host in connection.hosts] == list(KEYS)
        assert len(connection.subflows) == len(trace.subflows) == 1
        assert trace.subflows[0].opener == 0
