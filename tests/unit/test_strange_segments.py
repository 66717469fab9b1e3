"""Strange segments: stray or forged ones, and numbers far away, move nothing that is right."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.answers import state, sums, text
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.tape import ACK, FIN, RST, SYN, Tape

pytestmark = pytest.mark.usefixtures("each_engine")

CLOSED = ("closed", None)


def stray(flow: Flow, role: int, flags: int, *, seq: int, ack: int = 0) -> int:
    """Capture a segment that its seeming sender did not send: it goes on as if nothing were."""
    kept = list(flow.next)
    frame = flow.segment(role, flags, seq=seq, ack=ack)
    flow.next[:] = kept
    return frame


def exchange(flow: Flow, *pieces: bytes) -> None:
    """The initiator sends pieces, each of which is acknowledged."""
    for piece in pieces:
        flow.data(0, piece)
        flow.ack(1)


def close(flow: Flow) -> None:
    """Both hosts send a DATA_FIN, and acknowledge the other's."""
    flow.data_fin(0)
    flow.ack(1)
    flow.data_fin(1)
    flow.ack(0)


def at_the_initiator() -> Conversation:
    """A conversation with fast paths, captured by the host that sends the data."""
    talk = Conversation(Tape("sll"), captured_at=0)
    talk.tape.step = 100_000
    return talk


@pytest.mark.parametrize("role", [0, 1])
def test_stray_syn_takes_no_live_connection_over(role: int) -> None:
    """A SYN of another number between the segments of a stream leaves them where they belong."""
    talk = Conversation()
    flow = talk.opened()
    exchange(flow, b"before-")
    stray(flow, role, SYN, seq=500_000_000)
    exchange(flow, b"after")
    close(flow)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"before-after"
        assert sums(trace) == {"first_seen": 12}
        assert state(trace) == CLOSED
        assert len(trace.connections) == len(trace.subflows) == 1


def test_blind_syn_with_its_challenge_ack_takes_nothing_over() -> None:
    """A SYN that is answered by an ACK of the old numbers changes neither stream nor subflows."""
    talk = Conversation()
    flow = talk.opened()
    exchange(flow, b"before-")
    stray(flow, 0, SYN, seq=500_000_000)
    challenge = flow.segment(1, ACK)
    exchange(flow, *[b"after"] * 5)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"before-" + b"after" * 5
        assert sums(trace) == {"first_seen": 32}
        (subflow,) = trace.subflows
        assert subflow.octets == (32, 0)
        assert trace.frame(challenge).subflow == subflow.id


@pytest.mark.parametrize("words", [b"", b"Go away!"])
def test_payload_of_a_reset_is_no_data(words: bytes) -> None:
    """What a RST carries is neither octets of the stream nor a reason to see a fallback."""
    talk = Conversation()
    flow = talk.opened()
    exchange(flow, b"data")
    flow.data(1, b"answer")
    flow.ack(0)
    frame = flow.segment(1, RST | ACK, payload=words)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace, "listener") == b"answer"
        assert sums(trace, 1) == {"first_seen": 6}
        assert trace.connections[0].listener.octets == 6
        assert state(trace) == ("open", None)
        end = trace.subflows[0].end
        assert end is not None
        assert (end.how, end.by, end.frame) == ("reset", "listener", frame)


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_reset_outside_the_window_ends_no_subflow(seconds: float) -> None:
    """A RST far beyond what its sender sent ends nothing, even if the capture ends soon after."""
    talk = Conversation()
    flow = talk.opened()
    exchange(flow, b"before-")
    stray(flow, 1, RST, seq=2_000_000_000)
    talk.tape.wait(seconds)
    exchange(flow, b"after")
    with analyze(talk.tape.pcap()) as trace:
        assert trace.subflows[0].end is None
        assert [note.code for note in trace.connections[0].notes] == ["reset-without-effect"]
        assert text(trace) == b"before-after"


def test_reset_in_the_window_ends_its_subflow() -> None:
    """A RST at the number that is expected counts, also if a segment of its sender comes late."""
    talk = Conversation()
    flow = talk.opened()
    exchange(flow, b"before-")
    frame = stray(flow, 1, RST, seq=flow.next[1])
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        end = trace.subflows[0].end
        assert end is not None
        assert (end.how, end.by, end.frame) == ("reset", "listener", frame)


def copied(talk: Conversation, one: Flow, two: Flow, count: int = 30) -> None:
    """The initiator sends all its data on both subflows at once, which takes 50 ms a piece."""
    for at in range(count):
        octets = bytes([at]) * 1000
        dsn = talk.next_dsn[0]
        one.data(0, octets)
        two.data(0, octets, dsn=dsn)
        talk.tape.wait(0.05)
        one.ack(1)
        two.ack(1)


def test_reset_outside_the_window_makes_no_copy_a_reinjection() -> None:
    """Redundant copies stay redundant after a RST that had no effect on the first subflow."""
    talk = at_the_initiator()
    one, two = talk.opened(), talk.joined()
    stray(one, 1, RST, seq=4_000_000)
    copied(talk, one, two)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 30_000, "redundant": 30_000}
        scheduler = trace.connections[0].initiator.scheduler
        assert scheduler is not None
        assert scheduler.redundant
        assert trace.subflows[0].end is None


def test_fin_of_the_receiver_makes_no_copy_a_reinjection() -> None:
    """A subflow whose peer sends no more still carries data: copies elsewhere are redundant."""
    talk = at_the_initiator()
    one, two = talk.opened(), talk.joined()
    one.segment(1, FIN | ACK)
    one.segment(0, ACK)
    copied(talk, one, two)
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 30_000, "redundant": 30_000}
        scheduler = trace.connections[0].initiator.scheduler
        assert scheduler is not None
        assert scheduler.redundant
        end = trace.subflows[0].end
        assert end is not None
        assert (end.how, end.by) == ("half_fin", "listener")


@pytest.mark.parametrize(
    ("before", "role", "kind"),
    [(0, 0, "reinjection"), (0, 1, "redundant"), (1, 0, "unclassified"), (1, 1, "redundant")],
)
def test_only_the_fin_of_the_sender_is_a_reason_to_reinject(
    before: int, role: int, kind: str
) -> None:
    """A FIN of the sender explains a copy, unless it had copied without a reason before."""
    talk = at_the_initiator()
    one, two = talk.opened(), talk.joined()
    exchange(one, b"first")
    talk.tape.step = 10_000  # all of the following happens well within a round trip
    copied(talk, one, two, before)
    dsn = talk.next_dsn[0]
    one.data(0, b"octets", dack=None)
    one.segment(role, FIN | ACK, ack=0 if role else None)
    two.data(0, b"octets", dsn=dsn)
    with analyze(talk.tape.pcap()) as trace:
        expected = {"first_seen": 11 + 1_000 * before, kind: 6}
        if before:
            expected["redundant"] = expected.get("redundant", 0) + 1_000
        assert sums(trace) == expected


def test_one_bad_data_sequence_number_does_not_move_the_base() -> None:
    """If the first DSN is absurd and those after it follow from the key, the key is believed."""
    talk = Conversation()
    flow = talk.opened()
    far = Mapping(dsn=1 << 50, ssn=900_001, dll=4)
    flow.data(0, b"junk", mapping=far, seq=900_001)
    flow.next[0] = talk.next_dsn[0] = 1
    exchange(flow, b"good0", b"good1", b"good2")
    frame = flow.ack(1)
    close(flow)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert text(trace) == b"good0good1good2"
        assert connection.initiator.base == connection.initiator.idsn == talk.idsn[0]
        assert connection.mismatches == []
        assert trace.frame(frame).data_ack == 16
        assert state(trace) == CLOSED


def test_stray_acks_do_not_move_the_reference() -> None:
    """Two empty segments far ahead do not put what follows a whole sequence space further."""
    talk = Conversation()
    flow = talk.opened()
    octets = b"0123456789" * 2
    mapping = talk.mapping(0, octets, dsn=1, ssn=1)
    flow.data(0, octets[:10], mapping=mapping)
    stray(flow, 0, ACK, seq=1_500_000_000)
    stray(flow, 0, ACK, seq=3_000_000_000)
    flow.data(0, octets[10:], mapping=mapping)
    flow.ack(1)
    flow.data(0, octets[4:7], seq=5, mapping=None)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == octets
        assert sums(trace) == {"first_seen": 20, "tcp_retransmission": 3}


@pytest.mark.parametrize("unseen", [3_000_000_000, 6_000_000_000])
def test_short_data_ack_follows_long_numbers_over_unseen_data(unseen: int) -> None:
    """A 4-octet DATA_ACK is counted near the 8-octet DSNs, however much was not captured."""
    talk = Conversation(wide=(True, False))
    flow = talk.opened()
    exchange(flow, b"abcd")
    talk.next_dsn[0] += unseen
    flow.data(0, b"efgh")
    frame = flow.ack(1)
    close(flow)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.frame(frame).data_ack == unseen + 9
        assert trace.connections[0].initiator.acknowledged == unseen + 10
        assert state(trace) == CLOSED
