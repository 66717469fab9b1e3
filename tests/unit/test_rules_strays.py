"""Handshakes that made no connection of a version that is judged: their options are judged."""

from __future__ import annotations

import pytest

from mptcp_oracle.oracle import judge
from mptcp_oracle.rules import capable, general
from mptcp_oracle.rules.judging import OPENING, RULES
from mptcp_oracle.spec import catalogue, counterpart
from tests.common.conversation import Conversation
from tests.common.joinery import said
from tests.common.tape import ACK, SYN

KEY = bytes(range(8))
#: By version: the number of the requirement on the Length of a SYN's MP_CAPABLE.
LENGTH = {1: "8684-3.1-06", 0: "6824-3.1-01"}
KNOWN = {1: "8684-3-02", 0: "6824-3-02"}
NOT_HIGHER = "8684-3.1-03"
STRAYS = (*general.RULES, *capable.RULES)


def asked(syn: bytes, synack: bytes = b"") -> Conversation:
    """A SYN with an option, and what answers it."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, SYN, syn, seq=0)
    flow.segment(1, SYN | ACK, synack, seq=0)
    flow.segment(0, ACK)
    flow.segment(0, ACK, payload=b"plain")
    return talk


@pytest.mark.parametrize(
    ("version", "option"), [(1, b"\x1e\x0c\x01\x81" + KEY), (0, b"\x1e\x04\x00\x81")]
)
@pytest.mark.parametrize("at", [0, None])
def test_syn_of_another_length(version: int, option: bytes, at: int | None) -> None:
    """No connection comes of it, and the sender is to blame."""
    found = said(asked(option), STRAYS, at=at, connection=-1)
    for number in (LENGTH[version], KNOWN[version]):
        assert found.of(number, 0).frames == (1,)
    assert found.failed() == {(LENGTH[version], "initiator"), (KNOWN[version], "initiator")}


def test_synack_of_a_later_version() -> None:
    """A connection of a version that nobody knows is judged by what its SYN offered."""
    synack = b"\x1e\x0c\x02\x81" + KEY
    found = said(asked(b"\x1e\x04\x01\x81", synack), STRAYS, at=1)
    assert found.of(NOT_HIGHER, 1).frames == (1, 2)
    assert found.outcome(LENGTH[1], 0) == "pass"


@pytest.mark.parametrize("version", [2, 15])
def test_offer_of_a_later_version(version: int) -> None:
    """What it may look like is not ours to say."""
    option = bytes([0x1E, 0x0C, version, 0x81]) + KEY
    for number in (0, -1):
        assert not said(asked(option, option), STRAYS, at=0, connection=number)


def test_no_syn() -> None:
    """Without a SYN, and with the listener's alone, nobody knows the version."""
    talk = Conversation()
    flow = talk.flow()
    with talk.lost():
        flow.segment(0, SYN, b"\x1e\x04\x01\x81", seq=0)
    flow.segment(1, SYN | ACK, b"\x1e\x0b\x01\x81" + KEY[:7] + b"\x01", seq=0)
    flow.segment(1, ACK, payload=b"plain")
    assert not said(talk, STRAYS, at=1, connection=-1)


def test_unanswered_syn() -> None:
    """A SYN that is as it must be passes, and counts as no connection that exercises anything."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, SYN, b"\x1e\x04\x01\x81", seq=0)
    with judge(talk.tape.pcap(), name="sample") as judgement:
        number = judgement.trace.subflows[0].connection.id
        passed = {each.requirement for each in judgement.verdicts()}
        everything = list(judgement.verdicts(everything=True))
    assert said(talk, STRAYS, at=0, connection=number).outcome(LENGTH[1], 0) == "pass"
    assert "8684-3.1-capable-syn-length" in passed
    assert {each.connection for each in everything} == {number}


def test_only_what_opens_is_judged() -> None:
    """All else needs a connection: no other rule says anything of a stray."""
    option = b"\x1e\x0c\x01\x81" + KEY
    names = {number for number, _ in said(asked(option), RULES, at=0, connection=-1)}
    assert names == {number for number, _ in said(asked(option), STRAYS, at=0, connection=-1)}


def test_words_for_a_stray() -> None:
    """The judgement knows the addresses of hosts that have no connection, and counts verdicts."""
    talk = asked(b"\x1e\x0c\x01\x81" + KEY)
    with judge(talk.tape.pcap(), name="sample") as judgement:
        (first, *_) = judgement.failures()
        assert judgement.addresses(first) == {talk.flows[0].ends[0][0]}
        assert judgement.counts["not_exercised"] == 0
        assert judgement.counts["fail"] == 2
    with judge(talk.tape.pcap(), host="listener", name="sample") as judgement:
        assert not judgement.failures()


def test_strays_beside_a_connection() -> None:
    """Verdicts on strays come last; what is not exercised is counted for connections alone."""
    talk = asked(b"\x1e\x0c\x01\x81" + KEY)
    alone = Conversation(keys=(7, 8))
    alone.opened(ports=(50_000, 80)).data(0, b"x")
    both = Conversation(talk.tape, keys=(7, 8))
    both.opened(ports=(50_000, 80)).data(0, b"x")
    with judge(talk.tape.pcap(), name="sample") as judgement:
        counts = judgement.counts
        order = [each.connection for each in judgement.verdicts()]
    with judge(alone.tape.pcap(), name="sample") as judgement:
        assert judgement.counts["not_exercised"] == counts["not_exercised"]
    assert order == sorted(order, key=lambda number: number < 0)
    assert set(order) == {0, -1}


def test_only_the_syns_of_a_stray_are_judged() -> None:
    """Nobody knows by what version the hosts go on: the answer may have chosen a lower one."""
    talk = Conversation(version=0)
    flow = talk.flow()
    flow.segment(0, SYN, b"\x1e\x04\x01\x81", seq=0)
    with talk.lost():
        flow.segment(1, SYN | ACK, flow.capable("synack"), seq=0)
        flow.third()
    flow.segment(1, ACK, bytes([0x1E, 8, 0x34, 2, 10, 0, 1, 2]))
    flow.segment(0, ACK, payload=b"data")
    flow.segment(1, ACK)
    found = {number: said(talk, RULES, at=0, connection=number) for number in (0, -1)}
    told = {name for each in found.values() for name, _ in each}
    assert told <= opening()
    assert not any(each.failed() for each in found.values())


def opening() -> set[str]:
    """Numbers of the requirements that a handshake alone is judged by."""
    names = {counterpart(each, version) for each in OPENING for version in (0, 1)}
    return {catalogue()[name].number for name in names if name is not None}


def test_connection_of_no_known_version() -> None:
    """What goes over whole captures says nothing of it either."""
    talk = Conversation()
    flow = talk.flow()
    flow.segment(0, SYN, b"\x1e\x04\x01\x81", seq=0)
    with talk.lost():
        flow.segment(1, SYN | ACK, flow.capable("synack"), seq=0)
        flow.third()
    flow.data(0, b"data")
    flow.ack(1)
    with judge(talk.tape.pcap(), name="sample") as judgement:
        versions = [each.version for each in judgement.trace.connections]
        numbers = {catalogue()[each.requirement].number for each in judgement.verdicts()}
    assert versions == [None]
    assert numbers <= opening()
