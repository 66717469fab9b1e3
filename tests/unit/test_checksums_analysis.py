"""DSS checksums as the analysis counts them: right, wrong, and incompletely captured."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.conversation import Conversation, Mapping
from tests.common.tape import ACK
from tests.common.vectors import VECTORS, number, octets

pytestmark = pytest.mark.usefixtures("each_engine")

BLOCK = bytes(range(251)) * 4


def _checksums(trace):
    return trace.connections[0].checksums


@pytest.mark.parametrize("vector", VECTORS["dss_checksum"], ids=lambda each: each["name"])
def test_vectors_hold_on_the_wire(vector):
    """Every outside vector is counted as right, but for an infinite mapping, which has none."""
    dsn = number(vector["dsn64"])
    fin = "DATA_FIN" in vector["name"]
    talk = Conversation(checksum=True, idsn=(dsn - 1, None))
    flow = talk.opened()
    payload = octets(vector["payload"])
    mapping = Mapping(
        dsn=1, ssn=vector["ssn"], dll=vector["dll"], fin=fin, checksum=number(vector["checksum"])
    )
    if payload:
        flow.data(0, payload, mapping=mapping, seq=vector["ssn"])
    else:
        flow.segment(0, ACK, talk.dss(0, mapping, dack=1))
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == ((1, 0, 0) if vector["dll"] else (0, 0, 0))


@pytest.mark.parametrize("size", [1, 2, 3, 97, 500])
def test_checksum_over_pieces_of_any_size(size):
    """A mapping cut into pieces of odd or even size sums the same."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    mapping = talk.mapping(0, BLOCK, dsn=1, ssn=1)
    for at in range(0, len(BLOCK), size):
        flow.data(0, BLOCK[at : at + size], mapping=mapping if at == 0 else None)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (1, 0, 0)


def test_missing_piece_makes_a_checksum_incomplete():
    """A mapping with a piece that was not captured is neither right nor wrong."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    mapping = talk.mapping(0, BLOCK, dsn=1, ssn=1)
    flow.data(0, BLOCK[:500], mapping=mapping)
    with talk.lost():
        flow.data(0, BLOCK[500:600], mapping=mapping)
    flow.data(0, BLOCK[600:], mapping=mapping)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (0, 0, 1)
        assert trace.connections[0].notes == []


def test_retransmission_fills_the_missing_piece():
    """A piece that only its retransmission shows completes the checksum."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    mapping = talk.mapping(0, BLOCK, dsn=1, ssn=1)
    flow.data(0, BLOCK[:500], mapping=mapping)
    with talk.lost():
        flow.data(0, BLOCK[500:600], mapping=mapping)
    flow.data(0, BLOCK[600:], mapping=mapping)
    flow.data(0, BLOCK[500:600], mapping=mapping, seq=501)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (1, 0, 0)


def test_segments_out_of_order_are_summed_in_order():
    """Pieces captured in any order make one right checksum."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    mapping = talk.mapping(0, BLOCK, dsn=1, ssn=1)
    for at in (800, 200, 0, 600, 400):
        flow.data(0, BLOCK[at : at + 200] + BLOCK[1000:] * (at == 800), mapping=mapping, seq=1 + at)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (1, 0, 0)
        assert b"".join(map(bytes, trace.stream(0, "initiator"))) == BLOCK


def test_copy_on_another_subflow_has_a_checksum_of_its_own():
    """The subflow sequence number is part of the sum, so each subflow's mapping is checked."""
    talk = Conversation(checksum=True)
    one, two = talk.opened(), talk.joined()
    one.data(0, BLOCK)
    two.data(0, b"before")
    two.data(0, BLOCK, dsn=1)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (3, 0, 0)


def test_zero_and_all_ones_are_the_same_checksum():
    """0x0000 and 0xFFFF are one number in ones' complement, and both are right."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    first = talk.mapping(0, bytes(4), dsn=1, ssn=1)
    # Choose the payload so that the sum comes out as zero.
    payload = bytes(2) + first.checksum.to_bytes(2, "big")
    assert talk.mapping(0, payload, dsn=1, ssn=1).checksum == 0
    for at, value in enumerate((0x0000, 0xFFFF)):
        mapping = Mapping(dsn=1, ssn=1, dll=4, checksum=value)
        flow.data(0, payload, mapping=mapping, seq=1)
        talk.tape.wait(0.3 * (at + 1))
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (2, 0, 0)


def test_wrong_checksums_of_one_host_alone_are_no_anonymised_capture():
    """If one direction is all right, the other's wrong ones are counted as wrong."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    for _ in range(5):
        flow.data(0, b"right")
        wrong = talk.mapping(1, b"wrong", dsn=talk.next_dsn[1], ssn=flow.next[1], checksum=0x0BAD)
        flow.data(1, b"wrong", mapping=wrong)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (5, 5, 0)
        assert [note.code for note in trace.connections[0].notes] == ["wrong-checksum"]


def test_checksums_without_any_handshake_are_checked_by_the_mappings():
    """Where no handshake says whether checksums are in use, a mapping that has one is checked."""
    talk = Conversation(checksum=True)
    talk.flow().join(missing="syn synack third")
    flow = talk.flows[0]
    flow.data(0, BLOCK)
    with analyze(talk.tape.pcap()) as trace:
        # Which octets a lone mapping covers is not sure.
        (subflow,) = trace.unattached
        assert subflow.connection.checksums == (0, 0, 1)
    flow.data(0, BLOCK)
    with analyze(talk.tape.pcap()) as trace:
        (subflow,) = trace.unattached
        assert subflow.connection.checksum is None
        assert subflow.connection.checksums == (2, 0, 0)


def test_checksums_without_any_handshake_need_the_upper_half():
    """With 4-octet DSNs and no key the 64-bit DSN is unknown: the checksum is not judged."""
    talk = Conversation(checksum=True, wide=(False, False))
    talk.flow().join(missing="syn synack third")
    flow = talk.flows[0]
    flow.data(0, BLOCK)
    flow.data(0, BLOCK)
    with analyze(talk.tape.pcap()) as trace:
        (subflow,) = trace.unattached
        assert subflow.connection.checksums[1] == 0
        assert subflow.connection.notes == []


def test_zero_payload_of_an_anonymiser_accuses_nobody():
    """Zeroed payload in both directions is one note in the connection."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    for _ in range(5):
        for role in (0, 1):
            mapping = talk.mapping(role, BLOCK, dsn=talk.next_dsn[role], ssn=flow.next[role])
            flow.data(role, bytes(len(BLOCK)), mapping=mapping)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace) == (0, 10, 0)
        assert [note.code for note in trace.connections[0].notes] == ["anonymised"]
        assert trace.connections[0].mismatches == []
        assert trace.connections[0].state == "open"


@pytest.mark.parametrize("fin", [False, True])
def test_mappings_without_checksum_are_passed_over(fin):
    """One that has none, or stands for no octet, ends nothing: those behind it are checked."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    bare = talk.dss(0, Mapping(dsn=1, ssn=1, dll=5), dack=1)
    flow.data(0, b"first", bare, mapping=None, dack=None)
    flow.data(0, b"right", dsn=6)
    wrong = talk.mapping(0, b"wrong", dsn=11, ssn=11, checksum=1, fin=fin)
    flow.data(0, b"wrong", mapping=wrong, fin=fin)
    with analyze(talk.tape.pcap()) as trace:
        assert _checksums(trace)[:2] == (1, 1)
