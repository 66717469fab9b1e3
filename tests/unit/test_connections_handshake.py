"""Connections from their handshakes: what is known, and what is not, from which packets."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import MpCapable
from tests.common.answers import text
from tests.common.conversation import KEYS, Conversation
from tests.common.tape import ACK, RST, SYN, Tape
from tests.common.vectors import VECTORS, number

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("vector", VECTORS["key_token_idsn"], ids=lambda each: each["key"])
def test_handshake_gives_tokens_and_idsns_of_both_keys(version, vector):
    """Keys, tokens and IDSNs of both hosts follow from a complete handshake in either version."""
    talk = Conversation(version=version, keys=(number(vector["key"]), KEYS[1] ^ 1))
    talk.opened()
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        first, second = connection.hosts
        assert connection.version == version
        assert first.key == number(vector["key"])
        assert first.token == number(vector[f"v{version}_token"])
        assert first.idsn == number(vector[f"v{version}_idsn"])
        assert second.key == KEYS[1] ^ 1
        assert second.token == crypto.token(KEYS[1] ^ 1, version)
        assert connection.initial is connection.subflows[0]
        assert connection.initial.opener == 0
        assert connection.checksum is False
        assert not connection.mismatches
        assert not connection.notes


@pytest.mark.parametrize("version", [0, 1])
def test_checksum_flag_of_either_host_is_in_use(version):
    """DSS checksums are in use if one host alone asks for them."""
    talk = Conversation(version=version)
    flow = talk.flow()
    flow.syn()
    option = flow.capable("synack")
    flow.synack(MpCapable(version=version, flags=0x81, sender_key=option.sender_key))
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksum is True


def test_flag_c_belongs_to_its_sender():
    """Flag C in the SYN/ACK is the listener's request, not the initiator's."""
    talk = Conversation(flag_c=(False, True))
    talk.opened()
    with analyze(talk.tape.pcap()) as trace:
        assert [host.c_flag for host in trace.connections[0].hosts] == [False, True]


KNOWN = {
    # missing packets: (initiator's key, listener's key, kind, opener) in version 1 and 0
    "syn": ((True, True, 0), (True, True, 0)),
    "synack": ((True, True, 0), (True, True, 0)),
    "third": ((False, True, 0), (True, True, 0)),
    "syn synack": ((True, True, 0), (True, True, 0)),
    "syn third": ((False, True, 0), (False, True, 0)),
    "synack third": ((False, False, 0), (True, False, 0)),
}


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("missing", KNOWN)
def test_missing_handshake_packets_leave_what_the_others_say(missing, version):
    """Each subset of the handshake gives the keys that it carries; the rest has a reason."""
    talk = Conversation(version=version)
    flow = talk.flow()
    flow.handshake(missing=missing)
    flow.data(0, b"hello")
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        of_initiator, of_listener, opener = KNOWN[missing][1 - version]
        expected = (KEYS[0] if of_initiator else None, KEYS[1] if of_listener else None)
        assert tuple(host.key for host in connection.hosts) == expected
        for host in connection.hosts:
            for name in ("key", "token", "idsn"):
                assert (getattr(host, name) is None) == (name in host.unknown)
        assert connection.subflows[0].opener == opener
        assert str(connection.initiator.endpoint) == "10.0.0.1:40000"
        assert text(trace) == b"hello"


def test_no_handshake_at_all_is_an_unattached_subflow():
    """A conversation whose whole handshake is missing is told as a subflow without connection."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack third")
    flow.data(0, b"hello")
    flow.data(1, b"world")
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections == []
        (subflow,) = trace.unattached
        assert subflow.kind is None
        assert subflow.opener is None
        assert subflow.connection is not None
        assert subflow.connection.id < 0
        assert subflow.octets == (5, 5)


@pytest.mark.parametrize("checksum", [False, True], ids=["22 octets", "24 octets"])
def test_keys_on_the_first_data_are_learnt_late(checksum):
    """An MP_CAPABLE with data gives both keys and maps its octets, without a third packet."""
    talk = Conversation(checksum=checksum)
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.first_data(b"GET / HTTP/1.0\r\n")
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert [host.key for host in connection.hosts] == list(KEYS)
        assert text(trace) == b"GET / HTTP/1.0\r\n"
        assert connection.checksums == ((1, 0, 0) if checksum else (0, 0, 0))
        assert connection.initiator.acknowledged == 17
        assert connection.state == "open"


@pytest.mark.parametrize("checksum", [False, True], ids=["22 octets", "24 octets"])
def test_offload_copies_of_mp_capable_data_are_one_mapping(checksum):
    """Segmentation offload copies the MP_CAPABLE to each piece: one mapping, one stream."""
    talk = Conversation(checksum=checksum)
    flow = talk.flow()
    flow.handshake(missing="third")
    whole = bytes(range(200)) * 15
    mapping = talk.mapping(0, whole, dsn=1, ssn=1)
    option = flow.capable("ack")
    option = MpCapable(
        version=1,
        flags=option.flags,
        sender_key=option.sender_key,
        receiver_key=option.receiver_key,
        data_length=len(whole),
        checksum=mapping.checksum,
    )
    for at in range(0, len(whole), 1000):
        flow.segment(0, ACK, option, payload=whole[at : at + 1000])
    talk.next_dsn[0] = 1 + len(whole)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert text(trace) == whole
        assert connection.initiator.transmissions["first_seen"] == len(whole)
        assert trace.wire.mappings.rows == 1
        assert connection.checksums == ((1, 0, 0) if checksum else (0, 0, 0))


def test_offload_merging_third_packet_and_data_still_gives_the_keys():
    """A 20-octet MP_CAPABLE on a segment with payload, made by receive offload, gives the keys."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.segment(0, ACK, flow.capable("ack"), payload=b"merged")
    with analyze(talk.tape.pcap()) as trace:
        assert [host.key for host in trace.connections[0].hosts] == list(KEYS)


def test_third_packet_with_another_listener_key_is_named_with_both_values():
    """A third packet that does not echo the SYN/ACK's key is a mismatch of the initiator."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    frame = flow.third(flow.capable("ack", echo=0x1111))
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        (found,) = connection.mismatches
        assert (found.what, found.host, found.frame) == ("echoed_key", "initiator", frame)
        assert (found.expected, found.seen) == (f"{KEYS[1]:016x}", f"{0x1111:016x}")
        assert connection.listener.key == KEYS[1]


def test_initiator_key_that_changes_in_version_0_is_named():
    """A version 0 third packet whose sender's key is not the SYN's is a mismatch."""
    talk = Conversation(version=0)
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.third(flow.capable("ack", key=0x2222))
    with analyze(talk.tape.pcap()) as trace:
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.host, found.seen) == ("echoed_key", "initiator", f"{0x2222:016x}")


def test_initiator_key_that_changes_on_the_first_data_is_named():
    """Two different own keys in the initiator's MP_CAPABLEs are a mismatch with both values."""
    talk = Conversation()
    flow = talk.opened()
    option = flow.capable("ack", key=0x3333)
    changed = MpCapable(
        version=1,
        flags=option.flags,
        sender_key=option.sender_key,
        receiver_key=option.receiver_key,
        data_length=2,
    )
    frame = flow.segment(0, ACK, changed, payload=b"hi")
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        (found,) = connection.mismatches
        assert (found.what, found.frame, found.seen) == ("echoed_key", frame, f"{0x3333:016x}")
        assert found.expected == f"{KEYS[0]:016x}"
        assert connection.initiator.key == KEYS[0]


def test_second_synack_with_another_key_is_matched_by_the_echo():
    """Of two SYN/ACKs with different keys (a stateless listener), the echoed one counts."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.synack(MpCapable(version=1, flags=1, sender_key=0x4444))
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.listener.key == KEYS[1]
        assert connection.mismatches == []


def test_version_2_syn_answered_with_version_1_is_version_1():
    """The version of a connection is the SYN/ACK's, not the one that the SYN offered."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(MpCapable(version=2, flags=1))
    flow.synack()
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.version == 1
        assert connection.initiator.token == crypto.token(KEYS[0], 1)


def test_version_1_syn_answered_with_version_0_is_version_0():
    """A listener may answer with a lower version, and the keys are hashed by it."""
    talk = Conversation(version=0)
    flow = talk.flow()
    flow.syn(MpCapable(version=1, flags=1))
    flow.synack()
    flow.third()
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.version == 0
        assert connection.listener.idsn == crypto.idsn(KEYS[1], 0)


def test_unanswered_syns_time_out():
    """A SYN with MP_CAPABLE that nobody answers is a connection that timed out."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(1.1)
    flow.syn()
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.state == "timed_out"
        assert len(connection.subflows) == 1


def test_refused_syn_is_open_with_a_reset_subflow():
    """A RST to the SYN ends the subflow; nothing fell back and nothing was fast-closed."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.segment(1, RST | ACK, seq=0, ack=1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.state == "open"
        assert connection.subflows[0].end is not None
        assert connection.subflows[0].end.how == "reset"


def test_interleaved_connections_do_not_mix():
    """Several connections of the same hosts, frame by frame in turn, keep their own facts."""
    tape = Tape()
    talks = [Conversation(tape, keys=(KEYS[0] + i, KEYS[1] + i)) for i in range(6)]
    flows = [talk.flow(ports=(50_000 + i, 80)) for i, talk in enumerate(talks)]
    for step in ("syn", "synack", "third"):
        for flow in flows:
            getattr(flow, step)()
    for number_, flow in enumerate(flows):
        flow.data(0, b"request %d" % number_)
    for number_, flow in reversed(list(enumerate(flows))):
        flow.data(1, b"response %d" % number_)
    with analyze(tape.pcap()) as trace:
        assert [connection.initiator.key for connection in trace.connections] == [
            KEYS[0] + i for i in range(6)
        ]
        for i in range(6):
            assert text(trace, connection=i) == b"request %d" % i
            assert text(trace, "listener", i) == b"response %d" % i


def test_plain_tcp_is_not_a_connection():
    """A TCP conversation without MPTCP options is no subflow."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, SYN, seq=0)
    flow.segment(1, SYN | ACK, seq=0)
    flow.data(0, b"plain", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections == []
        assert trace.subflows == []


@pytest.mark.parametrize("link", ["ethernet", "raw", "sll", "sll2"])
def test_link_type_changes_nothing(link):
    """The same conversation gives the same connection under every link type."""
    talk = Conversation(Tape(link))
    flow = talk.opened()
    flow.data(0, b"same")
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.key == KEYS[0]
        assert text(trace) == b"same"


def test_ipv6_endpoints_are_told_in_their_notation():
    """An IPv6 conversation has IPv6 endpoints and the same keys."""
    talk = Conversation()
    flow = talk.opened(addresses=("2001:db8::1", "2001:db8::2"))
    flow.data(0, b"six")
    with analyze(talk.tape.pcap()) as trace:
        assert str(trace.connections[0].initiator.endpoint) == "[2001:db8::1]:40000"
        assert text(trace) == b"six"
