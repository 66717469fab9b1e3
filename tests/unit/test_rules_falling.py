"""Rules of infinite mappings, and of plain TCP afterwards."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpPrio, RemoveAddr
from mptcp_oracle.rules.falling import (
    LAST_MAPPING,
    NO_DATA_ACKS,
    NO_RETURN,
    ONE_SUBFLOW,
    RULES,
)
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, begun, ruling, told
from tests.common.tape import ACK, PSH, Tape


def endless(flow: Flow, role: int, octets: int = 10) -> int:
    """New data under an infinite mapping; its frame."""
    talk = flow.talk
    mapping = Mapping(dsn=talk.next_dsn[role], ssn=flow.next[role], dll=0)
    return flow.data(role, b"e" * octets, mapping=mapping, dack=None)


def plain(flow: Flow, role: int, octets: int = 10) -> int:
    """Data without options; its frame."""
    return flow.segment(role, ACK | PSH, payload=b"p" * octets)


@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_fallback(at: int | None) -> None:
    """An infinite mapping of both hosts, and plain TCP from there on, is right."""
    talk, flow = begun()
    endless(flow, 0)
    endless(flow, 1)
    plain(flow, 0)
    flow.segment(1)
    found = ruling(talk, RULES, at=at)
    for role in (0, 1):
        for each in (NO_DATA_ACKS, ONE_SUBFLOW, NO_RETURN, LAST_MAPPING):
            assert told(found, each, role) == PASS


def test_nothing_is_said_without_a_fallback() -> None:
    """MPTCP to the end, with a DATA_FIN, is not looked at."""
    talk, flow = begun()
    flow.data_fin(0)
    flow.ack(1)
    assert ruling(talk, RULES, at=0) == {}


def test_version_0_needs_no_last_mapping_here() -> None:
    """Version 0 has the same rules but for the last mapping."""
    talk, flow = begun(version=0)
    endless(flow, 0)
    flow.segment(1)
    found = ruling(talk, RULES, at=0)
    assert told(found, "6824-3.6-infinite-mapping-no-data-acks", 1) == PASS
    assert {each[5:8] for each, _ in found} == {"3.6"}
    assert LAST_MAPPING not in {each for each, _ in found}


# DATA_ACKs


def test_a_data_ack_after_an_infinite_mapping() -> None:
    """A DATA_ACK on a segment that acknowledges the infinite mapping's is wrong at any vantage."""
    talk, flow = begun()
    first = endless(flow, 0)
    frame = flow.ack(1)
    verdict = ruling(talk, RULES, whole=False)[NO_DATA_ACKS, 1]
    assert (verdict.outcome, verdict.severity, verdict.frames) == (FAIL, "warning", (first, frame))
    assert "DATA_ACK of 41" in verdict.why


@pytest.mark.parametrize("what", ["not heard", "empty", "late", "sent again", "heard before"])
def test_a_data_ack_that_may_be_older(what: str) -> None:
    """It is a doubt where its sender may not have got the infinite mapping yet."""
    talk, flow = begun()
    if what == "sent again":
        with talk.lost():
            flow.data(0, b"c" * 10)
        flow.ack(1)
        mapping = Mapping(dsn=41, ssn=41, dll=0)
        first = flow.data(0, b"c" * 10, mapping=mapping, seq=41, dack=None)
    elif what == "heard before":
        flow.data(0, b"c" * 10)
        first = flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=0), seq=41, dack=None)
    else:
        if what == "late":
            flow.data(0, b"c" * 10)
        first = endless(flow, 0, 10 if what == "not heard" else 0)
    frame = flow.ack(1, ack=50) if what == "not heard" else flow.ack(1)
    verdict = ruling(talk, RULES, at=1)[NO_DATA_ACKS, 1]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (first, frame))


def test_the_last_octet_has_to_be_acknowledged() -> None:
    """It is the end of the infinite mapping's segment that counts."""
    talk, flow = begun()
    endless(flow, 0)
    flow.ack(1, ack=51)
    assert told(ruling(talk, RULES), NO_DATA_ACKS, 1) == FAIL


def test_data_acks_on_what_is_sent_again() -> None:
    """Old data may be sent again with the options that it had, and DATA_ACKs may be older."""
    talk, flow = begun()
    flow.ack(1)
    endless(flow, 0)
    flow.data(1, b"b" * 60, dsn=1, seq=1)
    flow.segment(1)
    assert told(ruling(talk, RULES, at=1), NO_DATA_ACKS, 1) == PASS


def test_the_sender_of_an_infinite_mapping_may_acknowledge_data() -> None:
    """Who sent an infinite mapping has not received one."""
    talk, flow = begun()
    endless(flow, 0)
    flow.data(1, b"d" * 5, dack=None)
    flow.ack(0)
    assert told(ruling(talk, RULES, at=0), NO_DATA_ACKS, 0) is None


# Other subflows


def beside(apart: float, tape: Tape | None = None) -> tuple[Conversation, int, int]:
    """An infinite mapping, and so much later data on another subflow; the frames of both."""
    talk, flow = begun(tape=tape, captured_at=None if tape is None else 0)
    other = talk.joined()
    first = endless(flow, 0)
    talk.tape.wait(apart - 0.001)
    return talk, first, other.data(0, b"d" * 5, dack=None)


def test_data_beside_an_infinite_mapping() -> None:
    """Data on another subflow after an infinite mapping is wrong at its sender."""
    talk, first, frame = beside(0.001)
    verdict = ruling(talk, RULES, at=0, whole=False)[ONE_SUBFLOW, 0]
    assert (verdict.outcome, verdict.severity, verdict.frames) == (FAIL, "warning", (first, frame))
    assert verdict.subflow == 1


@pytest.mark.parametrize(("apart", "outcome"), [(0.020, PASS), (0.020001, INCONCLUSIVE)])
@pytest.mark.parametrize("at", [None, 1])
def test_data_beside_an_infinite_mapping_elsewhere(
    at: int | None, apart: float, outcome: str
) -> None:
    """Elsewhere it is a doubt, and only if it is clearly later."""
    talk, _, _ = beside(apart)
    assert told(ruling(talk, RULES, at=at), ONE_SUBFLOW, 0) == (INCONCLUSIVE if at else outcome)


@pytest.mark.parametrize(("apart", "outcome"), [(0.001, PASS), (0.001001, FAIL)])
def test_data_beside_an_infinite_mapping_on_all_interfaces(apart: float, outcome: str) -> None:
    """What one machine captures on all interfaces at once has no order within a millisecond."""
    talk, _, _ = beside(apart, Tape("sll2"))
    assert told(ruling(talk, RULES), ONE_SUBFLOW, 0) == outcome


def test_what_may_be_on_other_subflows() -> None:
    """Acknowledgments, what TCP sends again, and the peer's data may be there."""
    talk, flow = begun()
    other = talk.joined()
    other.data(0, b"d" * 5)
    endless(flow, 0)
    talk.tape.wait(1)
    other.segment(0)
    other.data(0, b"d" * 5, dsn=41, seq=1)
    other.data(1, b"f" * 5, dack=None)
    assert told(ruling(talk, RULES, at=0), ONE_SUBFLOW, 0) == PASS


# No way back


@pytest.mark.parametrize("version", [0, 1])
def test_a_mapping_after_an_infinite_one(version: int) -> None:
    """New data under a mapping that ends is wrong at any vantage."""
    talk, flow = begun(version=version)
    first = endless(flow, 0)
    plain(flow, 0)
    frame = flow.data(0, b"g" * 5, dsn=61, dack=None)
    requirement = NO_RETURN if version else "6824-3.6-no-return-to-mptcp"
    verdict = ruling(talk, RULES, whole=False)[requirement, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (first, frame))
    assert verdict.severity == "violation"


@pytest.mark.parametrize("at", [None, 0])
def test_a_mapping_behind_an_infinite_one_that_was_sent_again(at: int | None) -> None:
    """If the infinite mapping is on old data, new data may have passed it on its way."""
    talk, flow = begun()
    flow.data(0, b"c" * 10)
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=0), seq=41, dack=None)
    flow.data(0, b"g" * 5, dsn=51, dack=None)
    found = ruling(talk, RULES, at=at)
    assert told(found, NO_RETURN, 0) == (INCONCLUSIVE if at is None else FAIL)


def test_mappings_that_may_follow_an_infinite_one() -> None:
    """Infinite ones, those of data that TCP sends again, and of what lies before it."""
    talk, flow = begun()
    with talk.lost():
        flow.data(0, b"c" * 5)
    endless(flow, 0)
    flow.data(0, b"c" * 5, dsn=41, seq=41)
    flow.data(0, b"a" * 40, dsn=1, seq=1)
    flow.data(0, b"h" * 5, mapping=Mapping(dsn=61, ssn=56, dll=0), dack=None)
    flow.data(0, b"h" * 5, mapping=Mapping(dsn=61, ssn=56, dll=5), seq=56, dack=None)
    flow.segment(0, ACK, talk.dss(0, Mapping(dsn=70, ssn=61, dll=5)))
    assert told(ruling(talk, RULES, at=0), NO_RETURN, 0) == PASS


@pytest.mark.parametrize(
    "what", ["join", "join by the listener", "address", "removal", "priority", "data_fin"]
)
def test_signs_of_mptcp_after_an_infinite_mapping(what: str) -> None:
    """A host that fell back sends no signals of MPTCP any more."""
    talk, flow = begun()
    role = int(what.endswith("listener"))
    first = endless(flow, role)
    frame = {
        "join": lambda: talk.flow().join_syn(),
        "join by the listener": lambda: talk.flow(opener=1).join_syn(),
        "address": lambda: flow.add_addr(0, "10.0.1.1"),
        "removal": lambda: flow.segment(0, ACK, RemoveAddr(address_ids=(1,))),
        "priority": lambda: flow.segment(0, ACK, MpPrio(backup=True)),
        "data_fin": lambda: flow.data_fin(0, dsn=51, dack=False),
    }[what]()
    verdict = ruling(talk, RULES, at=role, whole=False)[NO_RETURN, role]
    assert (verdict.outcome, verdict.frames) == (FAIL, (first, frame))
    talk.tape.wait(1)
    assert told(ruling(talk, RULES, at=1 - role), NO_RETURN, role) == INCONCLUSIVE


def test_signs_that_may_follow_an_infinite_mapping() -> None:
    """An echo, a signal of the peer, and what was sent before."""
    talk, flow = begun()
    other = talk.flow()
    other.join_syn()
    flow.add_addr(0, "10.0.1.1")
    endless(flow, 0)
    flow.add_addr(0, "10.0.1.2", echo=True)
    flow.add_addr(1, "10.0.1.2")
    assert told(ruling(talk, RULES, at=0), NO_RETURN, 0) == PASS


# The last mapping


def after_fail(*, infinite: bool = False) -> tuple[Conversation, Flow, int]:
    """An MP_FAIL of the listener, and data of the initiator after it; the frame of the MP_FAIL."""
    talk, flow = begun()
    flow.data(0, b"c" * 10)
    frame = flow.fail(1, 41)
    if infinite:
        endless(flow, 0)
    return talk, flow, frame


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(0, True, FAIL), (0, False, INCONCLUSIVE), (1, True, INCONCLUSIVE)],
)
def test_a_silent_fallback_after_mp_fail(at: int, whole: bool, outcome: str) -> None:
    """After an MP_FAIL plain data without an infinite mapping before it is wrong."""
    talk, flow, fail = after_fail()
    frame = plain(flow, 0)
    flow.segment(1)
    verdict = ruling(talk, RULES, at=at, whole=whole)[LAST_MAPPING, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (fail, frame), 0)
    assert verdict.severity == "warning"
    assert "after an MP_FAIL the initiator falls back" in verdict.why


def test_a_silent_fallback_after_an_infinite_mapping() -> None:
    """Who receives an infinite mapping says so itself, when it has data."""
    talk, flow = begun()
    first = endless(flow, 1)
    frame = plain(flow, 0)
    found = ruling(talk, RULES, at=0)
    assert (found[LAST_MAPPING, 0].outcome, found[LAST_MAPPING, 0].frames) == (FAIL, (first, frame))
    assert told(found, LAST_MAPPING, 1) == PASS
    assert "after an infinite mapping" in found[LAST_MAPPING, 0].why


def test_a_silent_fallback_under_an_old_mapping() -> None:
    """Data under a mapping from before shows a fallback only if its sender has said MP_FAIL."""
    for answers in (False, True):
        talk, flow = begun()
        flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=30))
        fail = flow.fail(1, 41)
        if answers:
            flow.fail(0, 61)
        frame = plain(flow, 0)
        found = ruling(talk, RULES, at=0)
        assert told(found, LAST_MAPPING, 0) == (FAIL if answers else None)
        if answers:
            assert found[LAST_MAPPING, 0].frames == (fail, frame)


def test_the_first_plain_data_is_shown() -> None:
    """The evidence begins with the first new data that has no options."""
    talk, flow = begun()
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=20))
    fail = flow.fail(1, 41)
    first = plain(flow, 0)
    second = plain(flow, 0)
    flow.segment(1)
    assert ruling(talk, RULES, at=0)[LAST_MAPPING, 0].frames == (fail, first, second)


@pytest.mark.parametrize("answer", ["bare", "data_ack"])
def test_a_silent_fallback_without_data_acks(answer: str) -> None:
    """Data that is acknowledged without any DATA_ACK calls for a last infinite mapping."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"a" * 40, dack=None)
    ack = flow.segment(1) if answer == "bare" else flow.ack(1)
    frame = plain(flow, 0)
    flow.segment(1)
    found = ruling(talk, RULES, at=0)
    assert told(found, LAST_MAPPING, 0) == (FAIL if answer == "bare" else None)
    if answer == "bare":
        assert found[LAST_MAPPING, 0].frames == (ack, frame)
        assert "without DATA_ACK" in found[LAST_MAPPING, 0].why


def test_plain_data_of_the_peer_before() -> None:
    """Who falls back because the peer's data has no mapping has nobody to tell."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"a" * 40, dack=None)
    plain(flow, 1)
    flow.segment(0)
    plain(flow, 0)
    flow.segment(1)
    assert told(ruling(talk, RULES, at=0), LAST_MAPPING, 0) is None


@pytest.mark.parametrize("case", ["handshake", "no data", "reset", "second subflow", "only sent"])
def test_no_last_mapping_is_due(case: str) -> None:
    """Not after a handshake without MPTCP, nor beside another subflow, nor without plain data."""
    talk, flow, _ = after_fail()
    if case == "handshake":
        talk = Conversation()
        flow = talk.flow()
        flow.syn()
        flow.synack(None)
        flow.third(None)
        plain(flow, 0)
        flow.segment(1)
    elif case == "no data":
        flow.segment(0)
    elif case == "second subflow":
        talk.joined()
        plain(flow, 0)
    elif case == "only sent":
        talk, flow = begun()
        flow.data(1, b"d" * 5)
        flow.fail(0, 61)
        plain(flow, 0)
    assert told(ruling(talk, RULES, at=0), LAST_MAPPING, 0) is None
