"""How connections end: DATA_FIN, fast close, MP_FAIL, fallback, resets, checksums."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import MpTcprst
from tests.common.conversation import Conversation, Mapping
from tests.common.tape import ACK, FIN, RST, SYN

pytestmark = pytest.mark.usefixtures("each_engine")

LONG = bytes(range(256)) * 3


def _text(trace, direction="initiator"):
    return b"".join(map(bytes, trace.stream(0, direction)))


def _state(trace):
    connection = trace.connections[0]
    return connection.state, connection.fallback


# ---------------------------------------------------------------------- DATA_FIN


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_data_fins_exchanged_close_the_connection(version, checksum):
    """DATA_FINs of both hosts, each acknowledged, close; each has its own DSN."""
    talk = Conversation(version=version, checksum=checksum)
    flow = talk.opened()
    flow.data(0, b"hello")
    flow.data(1, b"world!")
    first = flow.data_fin(0)
    flow.ack(1)
    second = flow.data_fin(1)
    flow.ack(0)
    flow.fin(0)
    flow.fin(1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert _state(trace) == ("closed", None)
        assert connection.state_frame == second
        fins = [host.data_fin for host in connection.hosts]
        assert [(fin.frame, fin.dsn, fin.acknowledged) for fin in fins] == [
            (first, 6, True),
            (second, 7, True),
        ]
        assert [host.acknowledged for host in connection.hosts] == [7, 8]
        assert (_text(trace), _text(trace, "listener")) == (b"hello", b"world!")
        assert connection.subflows[0].end.how == "fin"


def test_data_fin_with_data_comes_after_its_octets():
    """A DATA_FIN on a data segment has the DSN behind the last octet."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, b"hello", fin=True)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        fin = trace.connections[0].initiator.data_fin
        assert (fin.dsn, fin.acknowledged) == (6, True)
        assert _text(trace) == b"hello"
        assert trace.connections[0].checksums == (1, 0, 0)
        assert trace.connections[0].state == "open"


def test_half_close_is_open():
    """After the DATA_FIN of one host alone the other may go on, and the connection is open."""
    talk = Conversation()
    flow = talk.opened()
    flow.data_fin(0)
    flow.ack(1)
    flow.data(1, b"still talking")
    flow.ack(0)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("open", None)
        assert "only the initiator" in trace.connections[0].why
        assert _text(trace, "listener") == b"still talking"


def test_unacknowledged_data_fin_is_open():
    """Two DATA_FINs of which one is not acknowledged do not close."""
    talk = Conversation()
    flow = talk.opened()
    flow.data_fin(0)
    flow.data_fin(1)
    with analyze(talk.tape.pcap()) as trace:
        fins = [host.data_fin.acknowledged for host in trace.connections[0].hosts]
        assert fins == [True, False]
        assert trace.connections[0].state == "open"


def test_simultaneous_data_fins_close():
    """DATA_FINs that cross, acknowledged afterwards, close."""
    talk = Conversation()
    flow = talk.opened()
    flow.data_fin(0)
    flow.data_fin(1, dack=1)
    flow.ack(0)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("closed", None)


def test_repeated_data_fin_on_every_subflow_is_one():
    """A DATA_FIN repeated on all subflows is the first one, told once a subflow."""
    talk = Conversation()
    flows = [talk.opened(), talk.joined()]
    flows[0].data(0, b"hello")
    frames = [flow.data_fin(0) for flow in flows * 3]
    flows[0].ack(1)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert (connection.initiator.data_fin.frame, connection.initiator.data_fin.dsn) == (
            frames[0],
            6,
        )
        told = [event.frame for event in connection.events if event.what.endswith("fin")]
        assert told == frames[:2]


def test_subflow_fin_alone_does_not_close_the_connection():
    """FINs on every subflow without DATA_FIN leave the connection open, and say why."""
    talk = Conversation()
    flow = talk.opened()
    flow.fin(0)
    flow.fin(1)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("open", None)
        assert "without a DATA_FIN" in trace.connections[0].why
        end = trace.connections[0].subflows[0].end
        assert (end.how, end.by) == ("fin", "initiator")


def test_fin_of_one_side_is_half():
    """A subflow with one FIN is half closed, by its sender."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.fin(1)
    with analyze(talk.tape.pcap()) as trace:
        end = trace.connections[0].subflows[0].end
        assert (end.how, end.by, end.frame) == ("half_fin", "listener", frame)


def test_data_ack_of_nothing_is_known():
    """A DATA_ACK of the IDSN alone says that nothing was acknowledged, which is not unknown."""
    talk = Conversation()
    flow = talk.opened()
    flow.ack(1, dack=1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.acknowledged == 1
        assert trace.connections[0].listener.acknowledged is None


def test_absurd_data_ack_acknowledges_nothing():
    """A DATA_ACK far beyond anything sent is no acknowledgment of a DATA_FIN."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"hello")
    flow.ack(1, dack=1 << 50)
    flow.ack(1, dack=6)
    flow.data_fin(0)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].initiator.acknowledged == 6
        assert not trace.connections[0].initiator.data_fin.acknowledged


# ---------------------------------------------------------------------- fast close, reset


@pytest.mark.parametrize("flags", [ACK, RST | ACK], ids=["on an ACK", "on a RST"])
@pytest.mark.parametrize("role", [0, 1])
def test_fast_close_with_the_receivers_key(role, flags):
    """MP_FASTCLOSE with the receiver's key ends the connection, by its sender."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"hello")
    frame = flow.fastclose(role, flags=flags)
    if flags == ACK:
        flow.rst(1 - role)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert _state(trace) == ("fast_closed", None)
        assert connection.state_frame == frame
        assert ("initiator", "listener")[role] in connection.why
        assert connection.subflows[0].end.how == "reset"


def test_fast_close_with_another_key_is_ignored_and_noted():
    """MP_FASTCLOSE with a wrong key changes nothing and is noted with both keys."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.fastclose(0, key=talk.keys[0])
    flow.data(0, b"goes on")
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert connection.state == "open"
        (note,) = connection.notes
        assert (note.code, note.frame) == ("fastclose-key", frame)
        assert f"{talk.keys[0]:016x}" in note.text
        assert f"{talk.keys[1]:016x}" in note.text


@pytest.mark.parametrize("reason", range(7))
def test_reset_reason_is_told(reason):
    """A RST with MP_TCPRST ends the subflow with its reason, and not the connection."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined()
    frame = flow.rst(1, reason)
    with analyze(talk.tape.pcap()) as trace:
        first, second = trace.connections[0].subflows
        assert first.end is None
        assert (second.end.how, second.end.by, second.end.reason, second.end.frame) == (
            "reset",
            "listener",
            reason,
            frame,
        )
        assert trace.connections[0].state == "open"


def test_abort_with_two_options_on_one_reset():
    """A RST with MP_FASTCLOSE and MP_TCPRST is a fast close and a reset with its reason."""
    talk = Conversation()
    flow = talk.opened()
    from mptcp_oracle.options import MpFastclose

    flow.segment(0, RST | ACK, MpFastclose(key=talk.keys[1]), MpTcprst(reason=0))
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].state == "fast_closed"
        assert trace.connections[0].subflows[0].end.reason == 0


def test_reset_after_which_its_sender_goes_on_is_no_end():
    """A RST whose sender sends data for seconds after it was forged: a note, not the end."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"before")
    frame = flow.segment(1, RST, seq=900_000_000)
    for _ in range(3):
        talk.tape.wait(1)
        flow.data(1, b"after")
        flow.ack(0)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert connection.subflows[0].end is None
        (note,) = connection.notes
        assert (note.code, note.frame) == ("reset-without-effect", frame)
        assert _text(trace, "listener") == b"after" * 3


def test_initial_sequence_numbers_say_where_they_come_from():
    """They are known from the handshake, from mappings, or, with neither, not at all."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.flow()
    other.join(missing="syn synack third")
    other.data(0, b"mapped")
    with analyze(talk.tape.pcap()) as trace:
        assert [flow.isn_from for flow in trace.subflows] == [
            ("handshake", "handshake"),
            ("mappings", None),
        ]
    assert flow.isn == (1_000, 5_000_000)


# ---------------------------------------------------------------------- fallback


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
        assert _state(trace) == ("fallback", "synack")
        assert trace.connections[0].state_frame == frame
        assert (_text(trace), _text(trace, "listener")) == (LONG, b"answer")
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
        assert _state(trace) == ("fallback", "syn")
        assert trace.connections[0].state_frame == frame
        assert _text(trace) == b"plain"


def test_third_packet_without_mp_capable_falls_back():
    """A third packet without MP_CAPABLE makes it plain TCP from there."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    frame = flow.segment(0, ACK)
    flow.data(0, LONG, mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("fallback", "third_packet")
        assert trace.connections[0].state_frame == frame
        assert _text(trace) == LONG


def test_repeated_syn_without_third_packet_is_no_fallback():
    """SYNs sent again before the SYN/ACK are no third packet without MP_CAPABLE."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(1)
    flow.syn()
    flow.synack()
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("open", None)


def test_reset_instead_of_the_third_packet_is_no_fallback():
    """An initiator that resets after the SYN/ACK has not fallen back."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.segment(0, RST)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("open", None)


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
        assert _state(trace) == ("fallback", "no_mapping")
        assert trace.connections[0].state_frame == frame
        assert (_text(trace), _text(trace, "listener")) == (LONG, b"answer")
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
        assert _state(trace) == ("fallback", "no_mapping")
        assert _text(trace) == LONG


def test_fallback_beside_an_unanswered_join():
    """A join SYN that nobody answers is no second subflow."""
    talk = Conversation()
    flow = talk.opened()
    talk.flow().join_syn()
    flow.data(0, LONG[:300])
    flow.ack(1)
    flow.data(0, LONG[300:], mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("fallback", "no_mapping")
        assert _text(trace) == LONG


def test_unmapped_data_beside_a_living_join_is_no_fallback():
    """With two subflows alive there is no fallback: the odd subflow has to be reset."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, b"mapped")
    two.data(0, b"stripped", mapping=None, dack=None)
    two.rst(1, 6)
    one.data(0, b" and on")
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("open", None)
        assert _text(trace) == b"mapped and on"
        assert trace.connections[0].initiator.transmissions["unmapped"] == 8


def test_mapped_data_acknowledged_without_data_ack_falls_back():
    """A listener that acknowledges mapped data with plain ACKs only has fallen back."""
    talk = Conversation()
    flow = talk.opened()
    flow.first_data(b"hello")
    frame = flow.ack(1, dack=None)
    flow.ack(1, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("fallback", "no_data_ack")
        assert trace.connections[0].state_frame == frame
        assert _text(trace) == b"hello"


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
        assert _state(trace) == ("fallback", "infinite_mapping")
        assert connection.state_frame == frame
        assert _text(trace) == LONG + LONG
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
        assert _text(trace) == LONG
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
        assert _state(trace) == ("closed", None)


def test_fallback_of_the_listener_side_alone_keeps_both_streams():
    """Data of the listener without mapping, after a handshake, is fallback with both streams."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, b"plain answer", mapping=None, dack=None)
    flow.data(0, b"plain request", mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("fallback", "no_mapping")
        assert (_text(trace), _text(trace, "listener")) == (b"plain request", b"plain answer")


def test_infinite_mapping_before_any_data():
    """An infinite mapping on the first data falls back, and its octets are the stream."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, LONG, mapping=Mapping(dsn=1, ssn=1, dll=0))
    flow.data(0, LONG, mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert _state(trace) == ("fallback", "infinite_mapping")
        assert _text(trace) == LONG + LONG


def test_reset_before_fins_is_a_reset():
    """A RST after one FIN makes the end a reset by its sender."""
    talk = Conversation()
    flow = talk.opened()
    flow.fin(0)
    frame = flow.rst(1)
    with analyze(talk.tape.pcap()) as trace:
        end = trace.connections[0].subflows[0].end
        assert (end.how, end.by, end.frame, end.reason) == ("reset", "listener", frame, None)


# ---------------------------------------------------------------------- checksums


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
        assert _state(trace) == ("open", None)


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
        assert _text(trace) == b"hello"
