"""The story of a connection: addresses, priorities, and its events line by line."""

from __future__ import annotations

import time

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.options import Malformed, MpPrio, RemoveAddr
from tests.common.conversation import KEYS, Conversation
from tests.common.tape import ACK, Tape
from tests.common.vectors import VECTORS, address, number, octets

pytestmark = pytest.mark.usefixtures("each_engine")


def _addresses(trace):
    return [
        (each.host, each.what, each.address_id, each.address, each.port, each.hmac)
        for each in trace.connections[0].addresses
    ]


@pytest.mark.parametrize("vector", VECTORS["add_addr_v1"], ids=lambda each: each["option"])
def test_add_addr_hmac_is_the_right_half(vector):
    """ADD_ADDR with the right 64 bits is right; the left 64 bits are named with both values."""
    keys = tuple(number(VECTORS["mp_join"][1][name]) for name in ("keyA", "keyB"))
    role = "AB".index(vector["sender"])
    talk = Conversation(keys=keys)
    flow = talk.opened()
    settings = {"address_id": vector["id"], "port": vector["port"]}
    flow.add_addr(role, vector["addr"], **settings)
    frame = flow.add_addr(role, vector["addr"], hmac=octets(vector["WRONG_left64"]), **settings)
    with analyze(talk.tape.pcap()) as trace:
        name = ("initiator", "listener")[role]
        shown = str(address(vector["addr"]))
        assert _addresses(trace) == [
            (name, "add", vector["id"], shown, vector["port"], True),
            (name, "add", vector["id"], shown, vector["port"], False),
        ]
        (found,) = trace.connections[0].mismatches
        assert (found.what, found.host, found.frame) == ("add_addr_hmac", name, frame)
        assert (found.expected, found.seen) == (vector["trunc_right64"], vector["WRONG_left64"])


@pytest.mark.parametrize("port", [None, 8080])
@pytest.mark.parametrize("shown", ["192.0.2.10", "2001:db8::10"])
def test_echo_is_told_without_hmac(shown, port):
    """The echo of an ADD_ADDR has no HMAC, so nothing is said of one."""
    talk = Conversation()
    flow = talk.opened()
    flow.add_addr(1, shown, port=port)
    flow.add_addr(0, shown, port=port, echo=True)
    with analyze(talk.tape.pcap()) as trace:
        assert _addresses(trace) == [
            ("listener", "add", 5, shown, port, True),
            ("initiator", "echo", 5, shown, port, None),
        ]


@pytest.mark.parametrize("port", [None, 8080])
@pytest.mark.parametrize("shown", ["192.0.2.10", "2001:db8::10"])
def test_version_0_add_addr_has_no_hmac(shown, port):
    """Version 0 announces addresses without HMAC, and nobody is accused of that."""
    talk = Conversation(version=0)
    flow = talk.opened()
    flow.add_addr(0, shown, port=port)
    with analyze(talk.tape.pcap()) as trace:
        assert _addresses(trace) == [("initiator", "add", 5, shown, port, None)]
        assert trace.connections[0].mismatches == []


def test_add_addr_hmac_without_keys_is_unknown():
    """Where a key is missing, the HMAC of an ADD_ADDR is neither right nor wrong."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.add_addr(1, "192.0.2.10")
    with analyze(talk.tape.pcap()) as trace:
        assert _addresses(trace) == [("listener", "add", 5, "192.0.2.10", None, None)]


def test_addresses_on_a_subflow_opened_by_the_listener_keep_their_sender():
    """An ADD_ADDR on a server-initiated subflow is its sender's, with that host's HMAC."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined(opener=1)
    flow.add_addr(0, "192.0.2.10")
    with analyze(talk.tape.pcap()) as trace:
        assert _addresses(trace) == [("initiator", "add", 5, "192.0.2.10", None, True)]


def test_remove_addr_lists_every_id():
    """A REMOVE_ADDR of several Address IDs is one removal each, in order."""
    talk = Conversation()
    flow = talk.opened()
    flow.remove_addr(0, 0, 3, 7)
    with analyze(talk.tape.pcap()) as trace:
        assert _addresses(trace) == [
            ("initiator", "remove", each, None, None, None) for each in (0, 3, 7)
        ]


@pytest.mark.parametrize("role", [0, 1])
def test_mp_prio_sets_the_senders_flag_on_its_subflow(role):
    """MP_PRIO in version 1 changes the subflow it is sent on, for its sender."""
    talk = Conversation()
    talk.opened()
    flow = talk.joined()
    flow.prio(role, backup=True)
    with analyze(talk.tape.pcap()) as trace:
        first, second = trace.connections[0].subflows
        assert first.backup == [None, None]
        expected: list[bool] = [False, False]
        expected[role] = True
        assert second.backup == expected


def test_mp_prio_with_address_id_in_version_0_changes_that_addresss_subflows():
    """In version 0 an Address ID names the sender's address whose subflows change."""
    talk = Conversation(version=0)
    one = talk.opened()
    talk.joined(address_ids=(4, 1))
    talk.joined(address_ids=(4, 2))
    talk.joined(address_ids=(6, 4))
    one.prio(0, backup=True, address_id=4)
    with analyze(talk.tape.pcap()) as trace:
        flags = [flow.backup[0] for flow in trace.connections[0].subflows]
        assert flags == [None, True, True, False]


def test_mp_prio_with_address_id_in_version_1_is_ignored():
    """Version 1 has no Address ID in MP_PRIO: the option is malformed and changes nothing."""
    talk = Conversation()
    one = talk.opened()
    talk.joined(address_ids=(4, 1))
    one.prio(0, backup=True, address_id=4)
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert [flow.backup[0] for flow in connection.subflows] == [None, False]
        assert [note.code for note in connection.notes] == ["malformed-option-wrong-version"]


def test_backup_is_used_while_a_regular_subflow_lives():
    """New octets sent on a subflow that the peer made backup are counted as such."""
    talk = Conversation()
    one = talk.opened()
    two = talk.joined(backup=(False, True))
    one.data(0, b"regular")
    two.data(0, b"on backup")
    two.data(1, b"the other way it is regular")
    with analyze(talk.tape.pcap()) as trace:
        first, second = trace.connections[0].hosts
        assert first.scheduler is not None
        assert first.scheduler.on_backup == 9
        assert second.scheduler is not None
        assert second.scheduler.on_backup == 0


def test_backup_after_the_last_regular_subflow_ended_is_right():
    """Once the regular subflow is reset, using the backup is no observation."""
    talk = Conversation()
    one = talk.opened()
    two = talk.joined(backup=(True, True))
    one.rst(0)
    two.data(0, b"on backup")
    with analyze(talk.tape.pcap()) as trace:
        scheduler = trace.connections[0].initiator.scheduler
        assert scheduler is not None
        assert scheduler.on_backup == 0


def test_refused_join_is_no_living_regular_subflow():
    """A join that was refused does not make the use of a backup subflow look wrong."""
    talk = Conversation()
    one = talk.opened()
    talk.flow().join_syn()
    backup = talk.joined(backup=(True, True))
    one.rst(0)
    backup.data(0, b"on backup")
    with analyze(talk.tape.pcap()) as trace:
        scheduler = trace.connections[0].initiator.scheduler
        assert scheduler is not None
        assert scheduler.on_backup == 0


def test_events_read_like_a_story():
    """Events are in capture order, with frame, subflow, sender and packetdrill's words."""
    talk = Conversation()
    one = talk.opened()
    one.data(0, b"not an event")
    one.add_addr(1, "10.0.1.2", address_id=1)
    two = talk.joined()
    two.prio(1, backup=True)
    two.data_fin(0)
    two.data_fin(0)
    one.fin(0)
    with analyze(talk.tape.pcap()) as trace:
        told = [(event.subflow, event.host, event.what) for event in trace.connections[0].events]
        assert [each[:2] for each in told[:3]] == [
            (0, "initiator"),
            (0, "listener"),
            (0, "initiator"),
        ]
        words = [each[2] for each in told]
        assert words[0].startswith("SYN, mp_capable v1")
        assert words[1].startswith("SYN/ACK, mp_capable v1")
        assert words[3].startswith("add_addr v1 address_id=1 addr=10.0.1.2 hmac=")
        assert words[4].startswith("SYN, mp_join syn")
        assert words[7] == "mp_prio backup"
        assert words[8].startswith("dss")
        assert words[8].endswith("fin")
        assert words[9] == "FIN"
        assert len(words) == 10
        frames = [event.frame for event in trace.connections[0].events]
        assert frames == sorted(frames)


@pytest.mark.parametrize(
    "raw",
    ["1e02", "1e0330", "1e0443ff0", "1e05510000", "1e0d7000" + "00" * 9, "1e09a0" + "00" * 6],
    ids=str,
)
def test_odd_options_are_noted_or_told_and_nothing_breaks(raw):
    """An option of no lawful length, or of an unknown subtype, neither stops nor accuses."""
    talk = Conversation()
    flow = talk.opened()
    flow.segment(0, ACK, Malformed(reason="test", raw=bytes.fromhex(raw + "0" * (len(raw) % 2))))
    flow.data(0, b"and on")
    with analyze(talk.tape.pcap()) as trace:
        connection = trace.connections[0]
        assert b"".join(map(bytes, trace.stream(0, "initiator"))) == b"and on"
        assert connection.mismatches == []
        assert len(connection.events) == 4


def test_forty_octets_of_garbage_options():
    """Options that are all garbage give notes, and the rest of the connection is told."""
    talk = Conversation()
    flow = talk.opened()
    for seed in range(200):
        garbage = crypto.key_digest(seed, 1) + bytes(8)
        flow.segment(0, ACK, b"\x1e" + garbage[1:])
        flow.segment(1, ACK, garbage)
    flow.data(0, b"still here")
    with analyze(talk.tape.pcap()) as trace:
        assert b"".join(map(bytes, trace.stream(0, "initiator"))) == b"still here"


def test_many_removals_and_priorities_cost_linear_time():
    """2,000 REMOVE_ADDRs and 2,000 MP_PRIOs on a connection of 500 subflows are no burden."""
    tape = Tape()
    talk = Conversation(tape, version=0)
    one = talk.opened()
    for i in range(500):
        flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(2_000 + i, 80))
        flow.address_ids = (7, 7)
        flow.join()
    for _ in range(2_000):
        one.segment(0, ACK, RemoveAddr(address_ids=tuple(range(20))))
        one.segment(1, ACK, MpPrio(backup=True, address_id=7))
    begun = time.perf_counter()
    with analyze(tape.pcap()) as trace:
        assert len(trace.connections[0].addresses) == 40_000
    assert time.perf_counter() - begun < 10


def test_keys_of_the_shared_vectors_are_used():
    """The hand-written conversations use the keys that the outside vectors pin."""
    assert tuple(number(VECTORS["mp_join"][1][name]) for name in ("keyA", "keyB")) == KEYS
