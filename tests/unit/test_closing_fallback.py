"""Fallback at each stage (RFC 8684 section 3.7), and checksums that are wrong."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.answers import state, text
from tests.common.conversation import Conversation, Mapping
from tests.common.tape import ACK, FIN, RST, SYN

pytestmark = pytest.mark.usefixtures("each_engine")

LONG = bytes(range(256)) * 3


def test_synack_without_mp_capable_falls_back():
    """A SYN/ACK without MP_CAPABLE makes it plain TCP, and its octets are the stream."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    frame = flow.segment(1, SYN | ACK, seq=0)
    flow.segment(0, ACK)
    flow.data(0, LONG, mapping=None, dack=None)
    flow.data(1, b"answer", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "synack")
        assert trace.connections[0].state_frame == frame
        assert (text(trace), text(trace, "listener")) == (LONG, b"answer")
        assert trace.connections[0].initiator.octets == len(LONG)


def test_plain_syn_after_unanswered_ones_falls_back():
    """An initiator that gives up MP_CAPABLE in a later SYN has fallen back itself."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(1)
    frame = flow.segment(0, SYN, seq=0)
    flow.segment(1, SYN | ACK, seq=0)
    flow.segment(0, ACK)
    flow.data(0, b"plain", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "syn")
        assert trace.connections[0].state_frame == frame
        assert text(trace) == b"plain"


def test_third_packet_without_mp_capable_falls_back():
    """A third packet without MP_CAPABLE makes it plain TCP from there."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    frame = flow.segment(0, ACK)
    flow.data(0, LONG, mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        # As far as anybody knows the data may be lost, and the third packet missing.
        assert state(trace) == ("open", None)
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "third_packet")
        assert trace.connections[0].state_frame == frame
        assert text(trace) == LONG


def test_repeated_syn_without_third_packet_is_no_fallback():
    """SYNs sent again before the SYN/ACK are no third packet without MP_CAPABLE."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(1)
    flow.syn()
    flow.synack()
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("open", None)


def test_reset_instead_of_the_third_packet_is_no_fallback():
    """An initiator that resets after the SYN/ACK has not fallen back."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.segment(0, RST)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("open", None)


def test_options_stripped_in_mid_connection_fall_back():
    """Data without mapping after mapped data, and no option after, is a silent fallback."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, LONG[:300])
    flow.ack(1)
    frame = flow.data(0, LONG[300:], mapping=None, dack=None)
    flow.ack(1, dack=None)
    flow.data(1, b"answer", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "no_mapping")
        assert trace.connections[0].state_frame == frame
        assert (text(trace), text(trace, "listener")) == (LONG, b"answer")
        assert trace.connections[0].initiator.octets == len(LONG)


def test_fallback_beside_a_refused_join():
    """A join that was refused does not keep the only subflow from falling back."""
    talk = Conversation()
    flow = talk.opened()
    refused = talk.flow()
    refused.join_syn()
    refused.segment(1, RST | ACK, seq=0, ack=1)
    flow.data(0, LONG[:300])
    flow.ack(1)
    flow.data(0, LONG[300:], mapping=None, dack=None)
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "no_mapping")
        assert text(trace) == LONG


def test_fallback_beside_an_unanswered_join():
    """A join SYN that nobody answers is no second subflow."""
    talk = Conversation()
    flow = talk.opened()
    talk.flow().join_syn()
    flow.data(0, LONG[:300])
    flow.ack(1)
    flow.data(0, LONG[300:], mapping=None, dack=None)
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "no_mapping")
        assert text(trace) == LONG


def test_unmapped_data_beside_a_living_join_is_no_fallback():
    """With two subflows alive there is no fallback: the odd subflow has to be reset."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, b"mapped")
    two.data(0, b"stripped", mapping=None, dack=None)
    two.rst(1, 6)
    one.data(0, b" and on")
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("open", None)
        assert text(trace) == b"mapped and on"
        assert trace.connections[0].initiator.transmissions["unmapped"] == 8


def test_plain_acks_of_mapped_data_alone_are_no_fallback():
    """A listener may leave out DATA_ACKs; plain data of its own shows that it has fallen back."""
    talk = Conversation()
    flow = talk.opened()
    flow.first_data(b"hello")
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("open", None)
    frame = flow.data(1, b"plain", mapping=None, dack=None)
    flow.ack(0)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "no_mapping")
        assert trace.connections[0].state_frame == frame
        assert (text(trace), text(trace, "listener")) == (b"hello", b"plain")


def test_plain_data_after_a_hole_is_no_fallback():
    """Data without mapping may be mapped by a segment that is not in the capture."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, LONG[:300])
    flow.ack(1)
    mapping = talk.mapping(0, LONG[300:], dsn=301, ssn=301)
    with talk.lost():
        flow.data(0, LONG[300:400], mapping=mapping)
    flow.data(0, LONG[400:], mapping=None, dack=None)
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("open", None)


def test_mp_fail_and_infinite_mapping_fall_back():
    """After MP_FAIL both ways an infinite mapping carries the rest, and the stream goes on."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, LONG[:300])
    flow.ack(1)
    wrong = talk.mapping(0, LONG[300:600], dsn=301, ssn=301, checksum=0x1234)
    flow.data(0, LONG[300:600], mapping=wrong)
    flow.fail(1, 301)
    flow.fail(0, 1)
    infinite = Mapping(dsn=601, ssn=601, dll=0, checksum=0)
    frame = flow.data(0, LONG[600:], mapping=infinite, dack=None)
    flow.data(0, LONG, mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert state(trace) == ("fallback", "infinite_mapping")
        assert connection.state_frame == frame
        assert text(trace) == LONG + LONG
        assert connection.checksums == (1, 1, 0)
        told = [event.what for event in connection.events if "mp_fail" in event.what]
        assert told == [
            f"mp_fail dsn8={talk.absolute(0, 301)}",
            f"mp_fail dsn8={talk.absolute(1, 1)}",
        ]


def test_checksum_failure_before_any_right_one_falls_back_silently():
    """After a first wrong checksum a lone subflow becomes plain TCP without MP_FAIL."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    wrong = talk.mapping(0, LONG[:300], dsn=1, ssn=1, checksum=0x1234)
    flow.data(0, LONG[:300], mapping=wrong)
    flow.ack(1, dack=None)
    flow.data(0, LONG[300:], mapping=None, dack=None)
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].state == "fallback"
        assert text(trace) == LONG
        assert trace.connections[0].checksums == (0, 1, 0)


def test_plain_acks_at_the_end_are_no_fallback():
    """FINs and TIME_WAIT ACKs without options after a DATA_FIN exchange change nothing."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"hello")
    flow.data_fin(0)
    flow.data_fin(1)
    flow.ack(0)
    flow.segment(0, FIN | ACK)
    flow.segment(1, FIN | ACK)
    flow.segment(0, ACK)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("closed", None)


def test_fallback_of_the_listener_side_alone_keeps_both_streams():
    """Data of the listener without mapping, after a handshake, is fallback with both streams."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, b"plain answer", mapping=None, dack=None)
    flow.data(0, b"plain request", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "no_mapping")
        assert (text(trace), text(trace, "listener")) == (b"plain request", b"plain answer")


def test_infinite_mapping_before_any_data():
    """An infinite mapping on the first data falls back, and its octets are the stream."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, LONG, mapping=Mapping(dsn=1, ssn=1, dll=0))
    flow.data(0, LONG, mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert state(trace) == ("fallback", "infinite_mapping")
        assert text(trace) == LONG + LONG


def test_reset_before_fins_is_a_reset():
    """A RST after one FIN makes the end a reset by its sender."""
    talk = Conversation()
    flow = talk.opened()
    flow.fin(0)
    frame = flow.rst(1)
    with analyze(talk.tape.pcap()) as trace:
        end = trace.connections[0].subflows[0].end
        assert (end.how, end.by, end.frame, end.reason) == ("reset", "listener", frame, None)


def test_all_checksums_wrong_is_a_note_and_accuses_nobody():
    """An anonymised capture has every checksum wrong: one note says so, and no mismatch."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    for i in range(10):
        mapping = talk.mapping(i % 2, b"secret", dsn=talk.next_dsn[i % 2], ssn=flow.next[i % 2])
        flow.data(i % 2, bytes(6), mapping=mapping)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert connection.checksums == (0, 10, 0)
        assert connection.mismatches == []
        assert [note.code for note in connection.notes] == ["anonymised"]
        assert state(trace) == ("open", None)


def test_some_checksums_wrong_are_counted():
    """Wrong checksums beside right ones are counted, with the first frame."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, b"right")
    wrong = talk.mapping(0, b"wrong", dsn=6, ssn=6, checksum=0xBAD)
    frame = flow.data(0, b"wrong", mapping=wrong)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert connection.checksums == (1, 1, 0)
        (note,) = connection.notes
        assert (note.code, note.frame) == ("wrong-checksum", frame)


def test_odd_lengths_and_narrow_numbers_are_summed_right():
    """Checksums hold over odd pieces, and with 64-bit DSNs behind 4-octet fields."""
    talk = Conversation(checksum=True, wide=(False, False))
    flow = talk.opened()
    for size in (1, 3, 255, 256, 7):
        octets = LONG[:size]
        mapping = talk.mapping(0, octets, dsn=talk.next_dsn[0], ssn=flow.next[0])
        flow.data(0, octets[: size // 2], mapping=mapping)
        flow.data(0, octets[size // 2 :], mapping=mapping)
    flow.data_fin(0)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksums == (6, 0, 0)


def test_checksum_without_negotiation_is_not_judged():
    """Checksums in mappings of a connection that negotiated none are not checked."""
    talk = Conversation()
    flow = talk.opened()
    mapping = talk.mapping(0, b"hello", dsn=1, ssn=1, checksum=0x7777)
    flow.data(0, b"hello", mapping=mapping)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksums == (0, 0, 0)
        assert text(trace) == b"hello"
