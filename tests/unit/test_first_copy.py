"""The first copy of an octet is its content, and every first copy counts wherever it comes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.answers import kinds, state, sums, text
from tests.common.conversation import Conversation
from tests.common.tape import ACK, Segment, Tape

pytestmark = pytest.mark.usefixtures("each_engine")

OCTETS = bytes(range(200))


def test_garbage_octet_of_a_keep_alive_changes_nothing() -> None:
    """A keep-alive repeats the last octet with any content; the stream keeps the real one."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"hello world")
    flow.ack(1)
    talk.tape.wait(60)
    frame = flow.segment(0, ACK, payload=b"\0", seq=flow.next[0] - 1)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"hello world"
        assert kinds(trace, frame) == {"tcp_retransmission"}


@pytest.mark.parametrize("at", [0, 3, 6])
def test_copy_with_other_octets_after_the_data_ack_changes_nothing(at: int) -> None:
    """Of data that was acknowledged another subflow may carry anything: the first copy stays."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, b"hello world")
    one.ack(1)
    two.data(0, b"XXXXX", dsn=1 + at)
    two.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"hello world"
        assert sums(trace) == {"first_seen": 11, "unclassified": 5}


def test_remap_with_other_octets_keeps_the_first_content_on_later_copies() -> None:
    """Neither a second nor a third copy of an octet replaces what was captured first."""
    talk = Conversation()
    one, two = talk.opened(), talk.joined()
    one.data(0, b"hello world")
    one.data(0, b"YYYYY", dsn=4)
    two.data(0, b"ZZZZZZZ", dsn=3)
    one.data(0, b"!")
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"hello world!"


def test_octets_out_of_order_after_a_fallback_at_the_third_packet() -> None:
    """A gap that a later segment fills is no end of the stream of a connection fallen back."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.segment(0, ACK)
    flow.data(0, b"AAAA", mapping=None, dack=None)
    flow.data(0, b"CCCC", mapping=None, dack=None, seq=9)
    flow.data(0, b"BBBB", mapping=None, dack=None, seq=5)
    flow.data(0, b"DDDD", mapping=None, dack=None)
    flow.segment(1, ACK)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"AAAABBBBCCCCDDDD"
        assert sums(trace) == {"unmapped": 16}
        assert state(trace) == ("fallback", "third_packet")


def test_octets_out_of_order_after_a_fallback_without_a_mapping() -> None:
    """The first octets without a mapping may come in any order behind the mapped ones."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"AAAA")
    flow.ack(1)
    flow.segment(0, ACK, payload=b"CCCC", seq=9)
    flow.segment(0, ACK, payload=b"BBBB", seq=5)
    flow.segment(1, ACK)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"AAAABBBBCCCC"
        assert sums(trace) == {"first_seen": 4, "unmapped": 8}
        assert state(trace) == ("fallback", "no_mapping")


def test_retransmission_with_other_octets_after_a_fallback_changes_nothing() -> None:
    """Plain octets keep what was captured of them first, too."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.segment(0, ACK)
    flow.data(0, b"AAAABBBB", mapping=None, dack=None)
    flow.data(0, b"XXXX", mapping=None, dack=None, seq=3)
    flow.data(0, b"CCCC", mapping=None, dack=None)
    flow.segment(1, ACK)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == b"AAAABBBBCCCC"


@pytest.mark.parametrize("opening", [b"", b"syn-"])
def test_fast_open_connection_that_falls_back(opening: bytes) -> None:
    """Data on the SYN has no mapping and hides no fallback that comes later."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=opening)
    flow.syn_data[0] = len(opening)
    flow.synack()
    flow.third()
    flow.data(0, b"mapped-")
    flow.ack(1)
    for _ in range(3):
        flow.data(0, b"plain-", mapping=None, dack=None)
        flow.segment(1, ACK)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == opening + b"mapped-plain-plain-plain-"
        assert state(trace) == ("fallback", "no_mapping")


@pytest.mark.parametrize("repeated", [(50, 60), (0, 10), (190, 200), (0, 200)])
@pytest.mark.parametrize("same", [True, False], ids=["same", "other"])
def test_checksum_of_a_segment_sent_again_in_part(repeated: tuple[int, int], same: bool) -> None:
    """What is sent again of a segment, right or wrong, leaves the checksum right and complete."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    mapping = talk.mapping(0, OCTETS, dsn=1, ssn=1)
    flow.data(0, OCTETS)
    start, end = repeated
    again = OCTETS[start:end] if same else b"\xff" * (end - start)
    flow.data(0, again, seq=1 + start, mapping=mapping)
    flow.ack(1)
    flow.data(0, OCTETS[:100])
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksums == (2, 0, 0)
        assert sums(trace) == {"first_seen": 300, "tcp_retransmission": end - start}


def test_checksum_of_a_wrong_first_copy_is_wrong() -> None:
    """A right retransmission does not mend the checksum of what was captured first."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    mapping = talk.mapping(0, OCTETS, dsn=1, ssn=1)
    flow.data(0, b"\xff" * 10 + OCTETS[10:], mapping=mapping)
    flow.data(0, OCTETS, seq=1, mapping=mapping)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksums == (0, 1, 0)


def test_checksum_over_a_hole_whose_filler_was_sent_elsewhere_again() -> None:
    """A segment that filled a hole counts for its mapping after its octets were reinjected."""
    talk = Conversation(checksum=True)
    one, two = talk.opened(), talk.joined()
    mapping = talk.mapping(0, OCTETS, dsn=1, ssn=1)
    one.data(0, OCTETS[100:], seq=101, mapping=mapping)
    one.data(0, OCTETS[:100], seq=1, mapping=mapping)
    talk.tape.wait(0.5)
    two.data(0, OCTETS[:100], dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksums == (2, 0, 0)
        assert sums(trace) == {"first_seen": 200, "reinjection": 100}


def test_checksum_over_a_hole_that_stayed_is_incomplete() -> None:
    """Without the filler in the capture nothing is said of the checksum of its mapping."""
    talk = Conversation(checksum=True)
    one, two = talk.opened(), talk.joined()
    mapping = talk.mapping(0, OCTETS, dsn=1, ssn=1)
    one.data(0, OCTETS[100:], seq=101, mapping=mapping)
    two.data(0, OCTETS[:100], dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].checksums == (1, 0, 1)


class Echoing(Tape):
    """A capture before and behind a router that holds so many packets.

    Attributes:
        echoes: Frame numbers of the second copies.
    """

    def __init__(self, behind: int) -> None:
        super().__init__("sll")
        self.step = 1_000
        self.echoes: list[int] = []
        self._behind = behind
        self._held: deque[Segment] = deque()

    def put(self, segment: Segment) -> int:
        """Capture a segment, and the copy of the one that leaves the router for it."""
        frame = super().put(segment)
        assert self._last is not None
        self._held.append(replace(self._last, ttl=segment.ttl - 1))
        if len(self._held) > self._behind:
            self._echo()
        return frame

    def drain(self) -> None:
        """Capture the copies of all that the router still holds."""
        while self._held:
            self._echo()

    def _echo(self) -> None:
        self.echoes.append(super().put(self._held.popleft()))


@pytest.mark.parametrize("behind", [1, 3_000])
def test_duplicates_are_known_thousands_of_frames_later(behind: int) -> None:
    """The second copies of a capture on two interfaces are no retransmissions, near or far."""
    tape = Echoing(behind)
    flow = Conversation(tape).opened()
    for _ in range(3_200):
        flow.data(0, b"octets")
    tape.drain()
    with analyze(tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 19_200}
        found = zip(*trace.wire.segments.of("frame", "flags"), strict=True)
        duplicates = [frame for frame, flags in found if flags & 0x0200]
        assert duplicates == tape.echoes
        assert trace.frame(tape.last).duplicate
