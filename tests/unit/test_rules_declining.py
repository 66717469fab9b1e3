"""What rules say of handshakes in which a packet has no MP_CAPABLE."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpPrio, MpTcprst
from mptcp_oracle.rules import declining
from tests.common.conversation import Conversation, Flow
from tests.common.hello import form
from tests.common.joinery import Said, damaged, said
from tests.common.tape import ACK, PSH, RST, SYN

BY_SYNACK = {1: "8684-3.1-41", 0: "6824-3.1-27"}
UNASKED = {1: "8684-3.1-42", 0: "6824-3.1-28"}
BY_THIRD = {1: "8684-3.1-43", 0: "6824-3.1-29"}
FALLS_BACK = {1: "8684-3.7-01", 0: "6824-3.6-10"}
SIGNAL = MpPrio(backup=False)


def declined(talk: Conversation, **claims) -> Said:
    """What the rules of declining say."""
    return said(talk, declining.RULES, **claims)


def begun(version: int = 1, *, syn: bool = True, synack: bool = True) -> tuple[Conversation, Flow]:
    """SYN and SYN/ACK, each with an MP_CAPABLE or without."""
    talk = Conversation(version=version)
    flow = talk.flow()
    if syn:
        flow.syn()
    else:
        flow.segment(0, SYN, seq=0)
    if synack:
        flow.synack()
    else:
        flow.segment(1, SYN | ACK, seq=0)
    return talk, flow


def both(number: dict[int, str], version: int, host: str) -> set[tuple[str, str]]:
    """A requirement and that about falling back."""
    return {(number[version], host), (FALLS_BACK[version], host)}


@pytest.mark.parametrize("version", [0, 1])
def test_nothing_declined(version):
    """Where all three packets have an MP_CAPABLE, the listener may have its own."""
    talk, flow = begun(version)
    flow.third()
    flow.ack(1)
    found = declined(talk, whole=False)
    assert found.outcomes(UNASKED[version], FALLS_BACK[version], host=1) == ["pass"] * 2
    assert found.outcomes(BY_THIRD[version], host=1) == ["not_exercised"]
    assert found.outcomes(BY_SYNACK[version], FALLS_BACK[version], host=0) == ["not_exercised"] * 2


# --------------------------------------------------------------------------- SYN/ACK


@pytest.mark.parametrize("version", [0, 1])
def test_plain_tcp_after_a_plain_synack(version):
    """An initiator without MPTCP options after a plain SYN/ACK has fallen back."""
    talk, flow = begun(version, synack=False)
    assert declined(talk).outcome(BY_SYNACK[version], 0) == "not_exercised"
    flow.segment(0, ACK)
    found = declined(talk, whole=False)
    assert found.outcomes(BY_SYNACK[version], FALLS_BACK[version], host=0) == ["pass"] * 2


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("how", ["signal", "dss", "late"])
def test_mptcp_after_a_plain_synack(version, how):
    """Any MPTCP option of the initiator after nothing but plain SYN/ACKs is wrong."""
    talk, flow = begun(version, synack=False)
    if how == "late":
        flow.segment(0, ACK)
    frame = flow.ack(0, *(() if how == "dss" else (SIGNAL,)))
    if how != "dss":
        flow.ack(0)
    for claims in ({"at": 0}, {"at": 1}, {}):
        found = declined(talk, **claims)
        assert found.failed() == both(BY_SYNACK, version, "initiator")
        for number in (BY_SYNACK[version], FALLS_BACK[version]):
            assert (found.of(number, 0).frames, found.of(number, 0).subflow) == ((2, frame), 0)
        assert "SYN/ACK of frame 2" in found.of(BY_SYNACK[version], 0).why
    found = declined(talk, at=0, whole=False)
    assert found.outcomes(BY_SYNACK[version], FALLS_BACK[version], host=0) == ["inconclusive"] * 2
    assert "may be missing" in found.of(BY_SYNACK[version], 0).why


def test_another_synack_has_one():
    """With an MP_CAPABLE on any SYN/ACK, however odd, MPTCP may go on."""
    for option in (form("synack"), form("syn")):
        talk, flow = begun(synack=False)
        flow.synack(option)
        flow.ack(0, SIGNAL)
        assert declined(talk).outcome(BY_SYNACK[1], 0) == "not_exercised"


def test_a_plain_syn_asks_for_nothing():
    """Of a stream whose SYN asked for nothing, a plain SYN/ACK declines nothing."""
    talk, flow = begun(syn=False, synack=False)
    flow.third()
    assert declined(talk).outcome(BY_SYNACK[1], 0) == "not_exercised"


def test_the_syn_again_is_not_going_on():
    """SYNs that are sent again are no answer to the SYN/ACK, and what came before is none."""
    talk, flow = begun(synack=False)
    flow.syn()
    assert declined(talk).outcome(BY_SYNACK[1], 0) == "not_exercised"


# --------------------------------------------------------------------------- SYN


@pytest.mark.parametrize("version", [0, 1])
def test_capable_that_was_not_asked_for(version):
    """An MP_CAPABLE in answer to a plain SYN is wrong, if no other SYN is missing."""
    talk, _ = begun(version, syn=False)
    for claims in ({"at": 0}, {"at": 1}, {}):
        found = declined(talk, **claims)
        assert found.failed() == both(UNASKED, version, "listener")
        assert found.of(UNASKED[version], 1).frames == (1, 2)
        assert "SYN of frame 1 has none" in found.of(UNASKED[version], 1).why
    assert declined(talk, at=1, whole=False).outcome(UNASKED[version], 1) == "inconclusive"


@pytest.mark.parametrize("plain_first", [True, False])
def test_another_syn_has_one(plain_first):
    """With an MP_CAPABLE on any SYN, however odd, the listener may have answered that."""
    for option in (form("syn"), form("synack"), form("ack")):
        talk = Conversation()
        flow = talk.flow()
        if plain_first:
            flow.segment(0, SYN, seq=0)
        flow.syn(option)
        if not plain_first:
            flow.segment(0, SYN, seq=0)
        flow.synack()
        assert declined(talk).outcome(UNASKED[1], 1) == "pass"


def test_syn_that_is_missing():
    """Without a SYN before the SYN/ACK nobody knows what it asked for."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn")
    found = declined(talk)
    assert found.outcome(UNASKED[1], 1) == "inconclusive"
    assert found.of(UNASKED[1], 1).unseen == 1
    talk = Conversation()
    flow = talk.flow()
    flow.synack()
    flow.segment(0, SYN, seq=0)
    assert declined(talk).outcome(UNASKED[1], 1) == "inconclusive"


# --------------------------------------------------------------------------- third packet


@pytest.mark.parametrize("version", [0, 1])
def test_plain_tcp_after_a_plain_third_packet(version):
    """A listener without MPTCP options after a plain third packet has fallen back."""
    talk, flow = begun(version)
    flow.segment(0, ACK)
    assert declined(talk).outcome(BY_THIRD[version], 1) == "not_exercised"
    flow.segment(1, ACK | PSH, payload=b"plain")
    found = declined(talk, whole=False)
    assert found.outcome(BY_THIRD[version], 1) == "pass"
    assert found.of(FALLS_BACK[version], 1).seen == 2


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("how", ["signal", "dss", "reset", "data"])
def test_mptcp_after_a_plain_third_packet(version, how):
    """Any MPTCP option of the listener after a plain third packet is wrong."""
    talk, flow = begun(version)
    flow.segment(0, ACK | PSH, payload=b"plain") if how == "data" else flow.segment(0, ACK)
    if how == "reset":
        frame = flow.segment(1, RST | ACK, MpTcprst(reason=0))
    else:
        frame = flow.ack(1, *((SIGNAL,) if how == "signal" else ()))
    for claims in ({"at": 0}, {"at": 1}, {}):
        found = declined(talk, **claims)
        assert found.failed() == both(BY_THIRD, version, "listener")
        assert found.of(BY_THIRD[version], 1).frames == (3, frame)
        assert "the third packet, frame 3, had no MP_CAPABLE" in found.of(BY_THIRD[version], 1).why
    assert declined(talk, at=1, whole=False).outcome(BY_THIRD[version], 1) == "inconclusive"


@pytest.mark.parametrize("later", ["before", "after"])
def test_a_later_packet_has_one(later):
    """An MP_CAPABLE that follows a plain packet may be what the listener accepted first."""
    talk, flow = begun()
    flow.segment(0, ACK)
    if later == "before":
        flow.first_data(b"first")
    flow.ack(1)
    if later == "after":
        flow.first_data(b"first")
    found = declined(talk, at=1)
    assert found.outcome(BY_THIRD[1], 1) == ("fail" if later == "after" else "inconclusive")
    assert ("may be the one that counts" in found.of(BY_THIRD[1], 1).why) is (later == "before")


def test_what_is_no_plain_third_packet():
    """A RST, a DSS that overtook the third packet, and what acknowledges too little are none."""
    for flags, given in ((RST, {}), (RST | ACK, {}), (ACK, {"ack": 0})):
        talk, flow = begun()
        flow.segment(0, flags, **given)
        flow.ack(1)
        assert declined(talk).outcome(BY_THIRD[1], 1) == "not_exercised"
    talk, flow = begun()
    flow.ack(0)
    flow.ack(1)
    assert declined(talk).outcome(BY_THIRD[1], 1) == "not_exercised"


def test_a_damaged_third_packet_is_not_accepted():
    """A listener drops a segment with a wrong TCP checksum."""
    talk, flow = begun()
    frame = flow.segment(0, ACK)
    flow.ack(1)
    damaged(talk, frame)
    assert declined(talk).outcome(BY_THIRD[1], 1) == "not_exercised"


def test_data_on_the_syn():
    """A listener that accepted data of the SYN may speak before it has the third packet."""
    for accepted in (0, 5):
        talk = Conversation()
        flow = talk.flow()
        flow.syn(form("syn"), payload=b"early")
        flow.synack(ack=1 + accepted)
        flow.segment(0, ACK)
        flow.ack(1)
        outcome = "not_exercised" if accepted else "fail"
        assert declined(talk).outcome(BY_THIRD[1], 1) == outcome


def test_third_packet_of_a_late_capture():
    """Without the SYN, a third packet may have been sent before the capture began."""
    talk = Conversation()
    flow = talk.flow()
    with talk.lost():
        flow.syn()
    flow.synack()
    flow.segment(0, ACK)
    flow.ack(1)
    assert declined(talk, at=1).outcome(BY_THIRD[1], 1) == "inconclusive"


def test_the_synack_again_is_not_going_on():
    """A SYN/ACK that is sent again after a plain third packet is none of the listener's options."""
    talk, flow = begun()
    flow.segment(0, ACK)
    flow.synack()
    assert declined(talk).outcome(BY_THIRD[1], 1) == "not_exercised"
