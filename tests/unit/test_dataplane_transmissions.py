"""Transmissions: who carried an octet before, fast open data, and cut captures."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.answers import kinds, previous, sums, text
from tests.common.conversation import KEYS, Conversation
from tests.common.tape import ACK, Tape

pytestmark = pytest.mark.usefixtures("each_engine")

ALPHABET = bytes(range(97, 123))


def test_tcp_retransmission_of_part_and_more():
    """A segment that repeats old octets and adds new ones is both, octet by octet."""
    talk = Conversation()
    flow = talk.opened()
    first = flow.data(0, ALPHABET[:10])
    frame = flow.data(0, ALPHABET[5:20], dsn=6, seq=6)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 20, "tcp_retransmission": 5}
        assert kinds(trace, frame) == {"first_seen", "tcp_retransmission"}
        assert previous(trace, frame) == first


def test_segments_out_of_order_are_all_new():
    """A segment that fills a gap behind a later one is no retransmission."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, ALPHABET[10:], dsn=11, seq=11)
    flow.data(0, ALPHABET[:10], dsn=1, seq=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26}
        assert text(trace) == ALPHABET


def test_lost_segment_leaves_a_gap_in_the_stream():
    """The stream ends at the first octet that the capture does not have."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"held")
    with talk.lost():
        flow.data(0, b"lost")
    flow.data(0, b"after")
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"held"
        assert sums(trace) == {"first_seen": 9}


def test_remap_on_the_same_subflow():
    """The same DSNs at new subflow numbers are a remap, and the earlier carrier is named."""
    talk = Conversation()
    flow = talk.opened()
    first = flow.data(0, ALPHABET)
    frame = flow.data(0, ALPHABET, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, "remap": 26}
        assert previous(trace, frame) == first
        assert text(trace) == ALPHABET


def test_copy_on_another_subflow_after_a_time_out_is_a_reinjection():
    """Octets that were not acknowledged for a time-out are reinjected on the other subflow."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    first = one.data(0, ALPHABET)
    talk.tape.wait(0.5)
    frame = two.data(0, ALPHABET, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, "reinjection": 26}
        assert previous(trace, frame) == first


@pytest.mark.parametrize(("captured_at", "kind"), [(0, "reinjection"), (1, "unclassified")])
def test_copy_after_the_subflow_ended_is_a_reinjection(captured_at, kind):
    """At the sender, however soon; elsewhere a copy may have been under way before the reset."""
    talk = Conversation(Tape("sll"), captured_at=captured_at)
    one, two = talk.opened(), talk.joined()
    one.data(0, ALPHABET)
    one.rst(1)
    two.data(0, ALPHABET, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, kind: 26}


@pytest.mark.parametrize(("captured_at", "kind"), [(0, "reinjection"), (1, "unclassified")])
def test_copy_after_its_address_was_removed_is_a_reinjection(captured_at, kind):
    """REMOVE_ADDR is a reason to reinject what the removed subflow carried."""
    talk = Conversation(Tape("sll"), captured_at=captured_at)
    one, two = talk.opened(), talk.joined()
    two.data(0, ALPHABET)
    one.remove_addr(0, 1)
    one.data(0, ALPHABET, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, kind: 26}


def test_removed_address_id_used_again_is_not_gone():
    """An Address ID that is removed and then joined again belongs to a subflow that lives."""
    talk = Conversation()
    one = talk.opened()
    two = talk.joined(address_ids=(1, 0))
    one.remove_addr(0, 1)
    two.rst(0)
    three = talk.joined(address_ids=(1, 0))
    three.data(0, ALPHABET)
    one.data(0, ALPHABET, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, "unclassified": 26}


def test_copy_at_once_without_vantage_is_unclassified():
    """In the middle of the network nobody can tell which copy was sent first, or why."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, ALPHABET)
    two.data(0, ALPHABET, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, "unclassified": 26}


def test_zero_window_probe_carries_nothing():
    """One old octet mapped alone against a closed window is a probe, and not the stream's."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, ALPHABET)
    flow.ack(1, window=0)
    frame = flow.data(0, b"N", dsn=26)
    flow.ack(1, window=500)
    flow.data(0, b"New")
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 29, "zero_window_probe": 1}
        assert kinds(trace, frame) == {"zero_window_probe"}
        assert text(trace) == ALPHABET + b"New"


def test_probe_without_its_closed_window_leaves_the_stream_alone():
    """Where the capture missed the closed window, a probe's octet still replaces nothing."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, ALPHABET)
    flow.ack(1)
    frame = flow.data(0, b"N", dsn=26)
    flow.data(0, b"New")
    with analyze(talk.tape.pcap()) as trace:
        assert kinds(trace, frame) == {"remap"}
        assert text(trace) == ALPHABET + b"New"


def test_tcp_keep_alive_is_a_retransmission_of_one_octet():
    """A keep-alive repeats the last octet, or sends none, and adds nothing to the stream."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, ALPHABET)
    flow.ack(1)
    talk.tape.wait(60)
    flow.segment(0, ACK, seq=26, payload=ALPHABET[25:])
    flow.ack(1)
    flow.segment(0, ACK, seq=26)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 26, "tcp_retransmission": 1}
        assert text(trace) == ALPHABET
        assert trace.connections[0].fallback is None


def test_data_on_two_subflows_is_one_stream():
    """Octets that alternate between subflows come out in data sequence order."""
    talk = Conversation(checksum=True)
    flows = [talk.opened(), talk.joined(), talk.joined(opener=1)]
    whole = ALPHABET * 30
    for at in range(0, len(whole), 100):
        flows[at // 100 % 3].data(0, whole[at : at + 100])
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == whole
        assert sum(flow.octets[0] for flow in trace.subflows) == len(whole)
        assert trace.connections[0].checksums == (8, 0, 0)


@pytest.mark.parametrize("accepted", [12, 5, 0], ids=["all", "part", "nothing"])
def test_fast_open_data_lies_outside_the_data_sequence_space(accepted):
    """SYN data that the SYN/ACK took comes first in the stream, and DSN 1 is what follows."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=b"early octets")
    flow.next[0] = 1 + accepted
    flow.synack()
    flow.syn_data[0] = accepted
    flow.third()
    flow.data(0, b"early octets"[accepted:] + b"late", dsn=1)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert connection.subflows[0].syn_data == (accepted, 0)
        assert text(trace) == b"early octetslate"
        assert connection.mismatches == []
        assert connection.fallback is None


def test_repeated_fast_open_syn_adds_nothing():
    """A SYN with data that is sent again is a retransmission of its data."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=b"early")
    talk.tape.wait(1)
    flow.syn(payload=b"early")
    flow.synack()
    flow.syn_data[0] = 5
    flow.third()
    flow.data(0, b"late", dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"earlylate"


@pytest.mark.parametrize("length", [*range(54, 110, 3), 200])
def test_snap_length_that_cuts_options_never_lies(length):
    """A snap length anywhere loses facts, but no fact is wrong and no fallback is claimed."""
    talk = Conversation(checksum=True)
    flow = talk.opened(timestamps=True)
    for _ in range(3):
        flow.data(0, ALPHABET * 20)
        flow.ack(1)
    joined = talk.joined(timestamps=True)
    joined.data(1, ALPHABET * 20)
    with analyze(talk.tape.pcap(snap_length=length)) as trace:
        for connection in trace.connections:
            assert connection.version == (1 if connection.listener.key else None)
            assert connection.mismatches == []
            assert connection.fallback is None
            assert connection.checksums[1] == 0
            assert [host.key for host in connection.hosts] in (
                [*KEYS],
                [None, KEYS[1]],
                [KEYS[0], None],
                [None, None],
            )


def test_frames_cut_in_the_middle_of_the_payload():
    """The stream ends with what was captured, and the checksum is neither right nor wrong."""
    talk = Conversation(Tape("raw"), checksum=True)
    flow = talk.opened()
    flow.data(0, ALPHABET * 40)
    with analyze(talk.tape.pcap(snap_length=120)) as trace:
        assert (ALPHABET * 40).startswith(text(trace))
        assert 0 < len(text(trace)) < 120
        assert trace.connections[0].checksums == (0, 0, 1)
