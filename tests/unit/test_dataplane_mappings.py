"""Mappings: which data sequence numbers every octet has, in each shape of mapping."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.answers import sums, text
from tests.common.conversation import KEYS, Conversation, Mapping
from tests.common.tape import ACK
from tests.common.vectors import VECTORS, number

pytestmark = pytest.mark.usefixtures("each_engine")

ALPHABET = bytes(range(97, 123))


WRAPPING = [(v, number(VECTORS["idsn_near_32bit_wrap"][f"v{v}"]["key"])) for v in (0, 1)]


@pytest.mark.parametrize("wide", [(True, True), (False, False), (False, True), (True, False)])
@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize(("version", "key"), WRAPPING, ids=["v0", "v1"])
def test_low_half_of_the_data_sequence_number_wraps(version, key, role, wide):
    """4-octet DSNs and DATA_ACKs go on across 2**32, alone or mixed with 8-octet ones."""
    keys = (key, KEYS[1]) if role == 0 else (KEYS[0], key)
    talk = Conversation(version=version, keys=keys, wide=wide)
    flow = talk.opened()
    whole = bytes(i * 7 & 255 for i in range(6_000))
    for at in range(0, len(whole), 500):
        flow.data(role, whole[at : at + 500])
        flow.ack(1 - role)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        host = connection.hosts[role]
        assert host.idsn == number(VECTORS["idsn_near_32bit_wrap"][f"v{version}"]["idsn"])
        assert text(trace, ("initiator", "listener")[role]) == whole
        assert host.acknowledged == 6_001
        assert host.transmissions["first_seen"] == 6_000
        assert connection.mismatches == []
        starts = list(trace.wire.mappings["dsn"])
        assert starts == [1 + at for at in range(0, 6_000, 500)]


@pytest.mark.parametrize("role", [0, 1])
def test_data_sequence_numbers_wrap_at_64_bits(role):
    """An IDSN just below 2**64 (shown by mappings, without keys) wraps to small numbers."""
    idsn = [None, None]
    idsn[role] = 2**64 - 1_000
    talk = Conversation(idsn=tuple(idsn))
    flow = talk.flow()
    flow.handshake(missing="syn synack third")
    whole = bytes(i * 11 & 255 for i in range(3_000))
    for at in range(0, len(whole), 500):
        flow.data(role, whole[at : at + 500])
        flow.ack(1 - role)
    with analyze(talk.tape.pcap()) as trace:
        host = trace.unattached[0].connection.hosts[0]
        assert host.base == 2**64 - 1_000
        assert host.acknowledged == 3_001
        found = trace.unattached[0].connection
        assert b"".join(map(bytes, trace.stream(found, "initiator"))) == whole


@pytest.mark.parametrize(
    ("what", "idsn"),
    [
        ("SHA-1 IDSN under version 1", 0x3A95ED6E4EBB4AD5),
        ("off by one", 0xF5A101D3D29D6F72 - 1),
        ("byte-swapped", int.from_bytes((0xF5A101D3D29D6F72).to_bytes(8, "little"), "big")),
        ("one gigabyte before", 0xF5A101D3D29D6F72 - (1 << 30)),
    ],
    ids=lambda each: each if isinstance(each, str) else None,
)
@pytest.mark.parametrize("role", [0, 1])
def test_wrong_idsn_is_named_with_both_values(what, idsn, role):
    """A first mapping that does not follow from the key names both numbers, at its sender."""
    given = [None, None]
    given[role] = idsn
    keys = KEYS if role == 0 else (KEYS[1], KEYS[0])
    talk = Conversation(keys=keys, idsn=tuple(given))
    flow = talk.opened()
    flow.data(1 - role, b"right")
    frame = flow.data(role, b"wrong")
    with analyze(talk.tape.pcap()) as trace:
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.frame) == ("idsn", frame)
        assert found.host == ("initiator", "listener")[role]
        assert (found.expected, found.seen) == ("f5a101d3d29d6f72", f"{idsn:016x}")


def test_wrong_idsns_of_both_hosts_are_both_named():
    """Each host has its own mismatch if neither counts from its key."""
    talk = Conversation(idsn=(12_345, 0x3A95ED6E4EBB4AD5))
    flow = talk.opened()
    flow.data(0, b"wrong")
    flow.data(1, b"also wrong")
    with analyze(talk.tape.pcap()) as trace:
        found = trace.connections[0].mismatches
        assert [(each.what, each.host) for each in found] == [
            ("idsn", "initiator"),
            ("idsn", "listener"),
        ]


def test_wrong_idsn_in_narrow_numbers_is_named():
    """With 4-octet DSNs the low halves are compared, and named."""
    talk = Conversation(wide=(False, False), idsn=(0x3A95ED6E9EBB4AD5, None))
    flow = talk.opened()
    flow.data(0, b"wrong")
    with analyze(talk.tape.pcap()) as trace:
        (found,) = trace.connections[0].mismatches
        assert found.what == "idsn"
        assert found.seen == "9ebb4ad5"


@pytest.mark.parametrize("beyond", [1, 1 << 30])
def test_late_first_dsn_is_a_note_for_a_lone_subflow(beyond):
    """A first DSN beyond IDSN + 1 may follow data of a subflow that is not in the capture."""
    talk = Conversation(idsn=(0xF5A101D3D29D6F72 + beyond, None))
    flow = talk.opened()
    frame = flow.data(0, b"late")
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert connection.mismatches == []
        assert [(note.code, note.frame) for note in connection.notes] == [("late-first-dsn", frame)]
    talk.joined()
    with analyze(talk.tape.pcap()) as trace:
        assert trace.connections[0].notes == []


def test_mapping_over_many_segments_repeated_on_each():
    """Offload copies the mapping of a large write to each piece: one mapping, no repeats."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    whole = ALPHABET * 100
    mapping = talk.mapping(0, whole, dsn=1, ssn=1)
    for at in range(0, len(whole), 500):
        flow.data(0, whole[at : at + 500], mapping=mapping)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert trace.wire.mappings.rows == 1
        assert text(trace) == whole
        assert sums(trace) == {"first_seen": len(whole)}
        assert trace.connections[0].checksums == (1, 0, 0)


def test_mapping_announced_once_covers_later_segments():
    """Segments without any option are mapped by the one mapping sent in advance."""
    talk = Conversation()
    flow = talk.opened()
    whole = ALPHABET * 100
    mapping = talk.mapping(0, whole, dsn=1, ssn=1)
    flow.data(0, whole[:100], mapping=mapping)
    for at in range(100, len(whole), 500):
        flow.data(0, whole[at : at + 500], mapping=None, dack=None)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == whole
        assert sums(trace) == {"first_seen": len(whole)}
        assert trace.connections[0].fallback is None


def test_late_mapping_covers_the_segments_before_it():
    """A mapping that comes only with the last segment covers the octets sent before it too."""
    talk = Conversation()
    flow = talk.opened()
    whole = ALPHABET * 4
    mapping = talk.mapping(0, whole, dsn=1, ssn=1)
    flow.data(0, whole[:50], mapping=None)
    flow.data(0, whole[50:], mapping=mapping)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == whole
        assert sums(trace) == {"first_seen": len(whole)}


def test_mapping_on_a_pure_ack_announces_later_data():
    """A mapping may come before any of its octets, on a segment without payload."""
    talk = Conversation()
    flow = talk.opened()
    mapping = talk.mapping(0, ALPHABET, dsn=1, ssn=1)
    flow.segment(0, ACK, talk.dss(0, mapping, dack=1))
    flow.data(0, ALPHABET, mapping=None)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == ALPHABET


def test_two_mappings_in_one_segment():
    """Two DSS options in one segment map two parts of its payload, in any order of DSNs."""
    talk = Conversation(wide=(False, False))
    flow = talk.opened()
    first, second = Mapping(dsn=11, ssn=1, dll=10), Mapping(dsn=1, ssn=11, dll=10)
    flow.segment(0, ACK, talk.dss(0, first), talk.dss(0, second), payload=ALPHABET[:20])
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == ALPHABET[10:20] + ALPHABET[:10]
        assert sums(trace) == {"first_seen": 20}


def test_one_mapping_ends_and_another_begins_inside_a_segment():
    """A segment cut across two writes is under both mappings."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    first = talk.mapping(0, ALPHABET[:15], dsn=1, ssn=1)
    second = talk.mapping(0, ALPHABET[15:], dsn=16, ssn=16)
    flow.data(0, ALPHABET[:10], mapping=first)
    flow.data(0, ALPHABET[10:20], mapping=second)
    flow.data(0, ALPHABET[20:], mapping=second)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == ALPHABET
        assert trace.connections[0].checksums == (2, 0, 0)


def test_mapping_lengthened_by_data_fin_on_retransmission():
    """A retransmission may carry the old mapping with DATA_FIN and one octet more."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, ALPHABET)
    longer = talk.mapping(0, ALPHABET, dsn=1, ssn=1, fin=True)
    talk.tape.wait(0.3)
    frame = flow.data(0, ALPHABET, mapping=longer, seq=1)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert text(trace) == ALPHABET
        assert sums(trace) == {"first_seen": 26, "tcp_retransmission": 26}
        assert connection.initiator.data_fin is not None
        assert connection.initiator.data_fin.frame == frame
        assert connection.initiator.data_fin.dsn == 27
        assert connection.initiator.data_fin.acknowledged
        assert connection.checksums == (2, 0, 0)
        assert not trace.mappings.conflict.any()


@pytest.mark.parametrize("length", [10, 40], ids=["shortened", "lengthened"])
def test_repeated_mapping_with_another_length_keeps_the_numbers(length):
    """A repeat that is shorter or longer gives the same octets the same DSNs."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, ALPHABET)
    flow.data(0, ALPHABET[:10], mapping=Mapping(dsn=1, ssn=1, dll=length), seq=1)
    talk.next_dsn[0] = 27
    flow.data(0, ALPHABET)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == ALPHABET * 2
        assert not trace.mappings.conflict.any()


def test_contradicting_mapping_is_marked_and_the_first_one_holds():
    """A mapping that gives mapped octets other DSNs is marked; a mapping is fixed once made."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, ALPHABET)
    flow.data(0, ALPHABET, mapping=Mapping(dsn=501, ssn=1, dll=26), seq=1)
    with analyze(talk.tape.pcap()) as trace:
        assert text(trace) == ALPHABET
        assert trace.mappings.conflict.tolist() == [False, True]


def test_mp_capable_data_repeated_with_a_plain_mapping():
    """The first data may come again with an equal DSS mapping: a retransmission, no other map."""
    talk = Conversation()
    flow = talk.opened()
    flow.first_data(ALPHABET)
    talk.tape.wait(0.3)
    flow.data(0, ALPHABET, dsn=1, seq=1)
    flow.ack(1)
    flow.data(0, b"next")
    with analyze(talk.tape.pcap()) as trace:
        assert sums(trace) == {"first_seen": 30, "tcp_retransmission": 26}
        assert text(trace) == ALPHABET + b"next"
        assert not trace.mappings.conflict.any()


def test_both_hosts_send_first_data_at_once():
    """MP_CAPABLE data of the initiator may cross DSS data of the listener."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, b"hello client", dack=1)
    flow.first_data(b"hello server")
    flow.ack(0)
    flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        assert (text(trace), text(trace, "listener")) == (b"hello server", b"hello client")
        assert [host.acknowledged for host in trace.connections[0].hosts] == [13, 13]


@pytest.mark.parametrize("wide", [(True, True), (False, False)])
def test_conversation_captured_from_the_middle(wide):
    """Without any handshake the numbers count from the first mapping, and nothing is lost."""
    talk = Conversation(wide=wide)
    flow = talk.flow()
    flow.handshake(missing="syn synack third")
    with talk.lost():
        flow.data(0, ALPHABET * 10)
        flow.ack(1)
    for _ in range(5):
        flow.data(0, ALPHABET)
        flow.ack(1)
    with analyze(talk.tape.pcap()) as trace:
        (subflow,) = trace.unattached
        found = subflow.connection
        assert b"".join(map(bytes, trace.stream(found, "initiator"))) == ALPHABET * 5
        assert found.hosts[0].acknowledged == 1 + 5 * 26
        assert found.hosts[0].transmissions["first_seen"] == 5 * 26
        assert found.hosts[0].key is None
        assert found.fallback is None


def test_long_mapping_captured_from_its_middle():
    """The first segment captured may lie inside its mapping, whose begin the SSN tells."""
    talk = Conversation(checksum=True)
    flow = talk.flow()
    flow.handshake(missing="syn synack third")
    mapping = talk.mapping(0, ALPHABET * 4, dsn=1, ssn=1)
    with talk.lost():
        flow.data(0, ALPHABET, mapping=mapping)
    for _ in range(3):
        flow.data(0, ALPHABET, mapping=mapping)
    flow.data(0, b"exact")
    with analyze(talk.tape.pcap()) as trace:
        (subflow,) = trace.unattached
        sums = subflow.connection.hosts[0].transmissions
        assert (sums["first_seen"], sums["unmapped"]) == (83, 0)
        assert subflow.connection.checksums == (1, 0, 1)
