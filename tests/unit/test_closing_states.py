"""How connections and subflows end: DATA_FIN, fast close, resets."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import MpFastclose, MpTcprst
from tests.common.answers import state, text
from tests.common.conversation import Conversation
from tests.common.tape import ACK, RST

pytestmark = pytest.mark.usefixtures("each_engine")


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
        assert state(trace) == ("closed", None)
        assert connection.state_frame == second
        fins = [host.data_fin for host in connection.hosts]
        assert [(fin.frame, fin.dsn, fin.acknowledged) for fin in fins] == [
            (first, 6, True),
            (second, 7, True),
        ]
        assert [host.acknowledged for host in connection.hosts] == [7, 8]
        assert (text(trace), text(trace, "listener")) == (b"hello", b"world!")
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
        assert text(trace) == b"hello"
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
        assert state(trace) == ("open", None)
        assert "only the initiator" in trace.connections[0].why
        assert text(trace, "listener") == b"still talking"


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
        assert state(trace) == ("closed", None)


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
        assert state(trace) == ("open", None)
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
        assert state(trace) == ("fast_closed", None)
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
        assert text(trace, "listener") == b"after" * 3


def test_initial_sequence_numbers_say_where_they_come_from():
    """They are known from the handshake, from mappings, or, with neither, not at all."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.flow()
    other.join(missing="syn synack third")
    other.data(0, b"mapped")
    other.data(0, b"mapped twice")
    other.data(1, b"mapped once")
    with analyze(talk.tape.pcap()) as trace:
        assert [flow.isn_from for flow in trace.subflows] == [
            ("handshake", "handshake"),
            ("mappings", None),
        ]
    assert flow.isn == (1_000, 5_000_000)
