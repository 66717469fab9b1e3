"""What rules say of joins that wait for their fourth packet, or fail."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFastclose, MpTcprst
from mptcp_oracle.rules.refusing import PATIENCE, RULES
from tests.common.conversation import KEYS, Conversation, Flow
from tests.common.joinery import HOSTS, cut, damaged, said
from tests.common.tape import ACK, PSH, RST, SYN, Tape

EARLY = {1: "8684-3.2-16", 0: "6824-3.2-22"}
PLAIN = {1: ("8684-3.2-19", "8684-3.7-21"), 0: ("6824-3.2-25",)}
REASON = "8684-3.2-20"
BARE = "6824-3.2-03"


def opened(version: int = 1, **settings) -> tuple[Conversation, Flow]:
    """A conversation, and a subflow of it that is silent so far."""
    talk = Conversation(version=version)
    talk.opened()
    return talk, talk.flow(**settings)


# ------------------------------------------------------------------- fourth packet


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_data_after_the_fourth_packet(version, opener):
    """Data after the fourth packet is right, for whoever joined."""
    talk, flow = opened(version, opener=opener)
    flow.join()
    flow.data(opener, b"data")
    flow.data(1 - opener, b"data")
    found = said(talk, RULES, whole=False)
    assert found.outcome(EARLY[version], opener) == "pass"
    assert found.outcome(EARLY[version], 1 - opener) == "not_exercised"


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_data_before_the_fourth_packet(version, opener):
    """Data before it is proven where either host captured all that passed."""
    talk, flow = opened(version, opener=opener)
    flow.join_syn()
    flow.join_synack()
    flow.join_ack()
    frame = flow.data(opener, b"data")
    flow.ack(1 - opener)
    flow.data(opener, b"more")
    for at, whole, outcome in (
        (opener, True, "fail"),
        (1 - opener, True, "fail"),
        (opener, False, "inconclusive"),
        (None, True, "inconclusive"),
    ):
        found = said(talk, RULES, at=at, whole=whole)
        assert found.outcome(EARLY[version], opener) == outcome
        verdict = found.of(EARLY[version], opener)
        assert (verdict.frames, verdict.subflow, verdict.severity) == ((frame,), 1, "warning")
        assert verdict.why.startswith("4 octets of data before")
        assert ("passed elsewhere" in verdict.why) == (outcome != "fail")


def test_a_repeated_synack_is_no_fourth_packet():
    """A SYN/ACK that is sent again, or a RST, does not establish the subflow."""
    for flags in (SYN | ACK, RST | ACK):
        talk, flow = opened()
        flow.join_syn()
        flow.join_synack()
        flow.join_ack()
        if flags & SYN:
            flow.join_synack()
        else:
            flow.segment(1, flags)
        frame = flow.data(0, b"data")
        found = said(talk, RULES, at=0)
        assert found.of(EARLY[1], 0).frames == (frame,)
        assert found.outcome(EARLY[1], 0) == "fail"


@pytest.mark.parametrize("missing", ["syn", "synack"])
def test_joins_that_are_not_captured_whole(missing):
    """Without its SYN or its SYN/ACK nothing is said of a join's data."""
    talk, flow = opened()
    talk.flows[0].data(0, b"x")
    flow.join(missing=missing)
    flow.data(0, b"data")
    assert said(talk, RULES, at=0).outcome(EARLY[1], 0) == "not_exercised"


def test_data_on_the_syn():
    """What a SYN carries is not data in the state before the fourth packet."""
    talk, flow = opened()
    option = flow.join_syn
    option()
    talk.tape.frames.pop()
    flow.segment(0, SYN, b"\x1e\x0c\x10\x01" + talk.token[1].to_bytes(4, "big") + b"1234",
                 payload=b"early", seq=0)  # fmt: skip
    flow.join_synack()
    assert said(talk, RULES, at=0).outcome(EARLY[1], 0) == "not_exercised"


# ------------------------------------------------------------------- plain SYN/ACKs


def plain(version: int = 1, opener: int = 0) -> tuple[Conversation, Flow, int]:
    """A join that is answered without MP_JOIN; the frame of the answer."""
    talk, flow = opened(version, opener=opener)
    flow.join_syn()
    return talk, flow, flow.segment(1 - opener, SYN | ACK, seq=0)


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_plain_answer_that_is_reset(version, opener):
    """A RST of the joiner is right."""
    talk, flow, _ = plain(version, opener)
    flow.segment(opener, ACK)
    flow.rst(opener)
    found = said(talk, RULES, whole=False)
    for each in PLAIN[version]:
        assert found.outcome(each, opener) == "pass"
        assert found.outcome(each, 1 - opener) == "not_exercised"


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(0, True, "fail"), (0, False, "inconclusive"), (1, True, "inconclusive")],
)
@pytest.mark.parametrize("version", [0, 1])
def test_plain_answer_after_which_the_joiner_goes_on(version, at, whole, outcome):
    """If it goes on without a RST, all that it sent must be captured to prove that."""
    talk, flow, answer = plain(version)
    frame = flow.segment(0, ACK)
    talk.tape.wait(3)
    talk.flows[0].ack(1)
    found = said(talk, RULES, at=at, whole=whole)
    for each in PLAIN[version]:
        assert found.outcome(each, 0) == outcome
        assert (found.of(each, 0).frames, found.of(each, 0).subflow) == ((answer, frame), 1)
        assert found.of(each, 0).severity == ("warning" if each == "8684-3.7-21" else "violation")


@pytest.mark.parametrize(("more", "outcome"), [(-1, "inconclusive"), (0, "fail")])
def test_how_long_a_reset_may_take(more, outcome):
    """A second and three round trips have to pass."""
    talk, flow, _ = plain()
    flow.segment(0, ACK)
    round_trip = talk.tape.frames[2][0] - talk.tape.frames[0][0]
    talk.tape.now += PATIENCE + 3 * round_trip - talk.tape.step + more
    talk.flows[0].ack(1)
    found = said(talk, RULES, at=0)
    assert found.outcomes(*PLAIN[1], host=0) == [outcome] * 2
    if outcome != "fail":
        assert "ends too soon" in found.of(PLAIN[1][0], 0).why
        assert found.of(PLAIN[1][0], 0).unseen == 1


@pytest.mark.parametrize("by", [None, 1])
def test_plain_answer_after_which_nothing_is_seen(by):
    """Of a joiner that is silent, or of a subflow that its peer ended, nothing can be said."""
    talk, flow, _ = plain()
    if by == 1:
        flow.segment(0, ACK)
        flow.rst(1)
    talk.tape.wait(3)
    talk.flows[0].ack(1)
    found = said(talk, RULES, at=0)
    assert found.outcomes(*PLAIN[1], host=0) == ["inconclusive"] * 2
    assert "not in the capture" in found.of(PLAIN[1][0], 0).why


@pytest.mark.parametrize("what", ["answer", "syn"])
def test_answers_of_two_kinds(what):
    """If a SYN/ACK has the option after all, or a SYN has none, nothing is asked."""
    talk, flow, _ = plain()
    if what == "answer":
        flow.join_synack()
    else:
        flow.segment(0, SYN, seq=0)
    flow.segment(0, ACK)
    talk.tape.wait(3)
    talk.flows[0].ack(1)
    assert said(talk, RULES, at=0).outcome(PLAIN[1][0], 0) == "not_exercised"


# --------------------------------------------------------------------- failed joins


def refused(
    where: str, *options, version: int = 1, opener: int = 0, ports=(40_001, 80), right: bool = False
) -> tuple[Conversation, Flow, int]:
    """A join that fails at its SYN, its SYN/ACK or its third packet; the frame of the RST."""
    talk, flow = opened(version, opener=opener, ports=ports)
    flow.join_syn()
    by = 1 - opener
    if where != "syn":
        flow.join_synack(hmac=None if right or where == "third" else bytes(8))
        by = opener
    if where == "third":
        flow.join_ack(hmac=None if right else bytes(20))
        by = 1 - opener
    return talk, flow, flow.segment(by, RST | ACK, *options)


def blamed(where: str, opener: int = 0) -> int:
    """Who sends the RST."""
    return opener if where == "synack" else 1 - opener


@pytest.mark.parametrize("reason", [1, 3])
@pytest.mark.parametrize("where", ["syn", "synack", "third"])
def test_reasons_that_are_right(where, reason):
    """An MPTCP-specific error, or that it is prohibited, is right; the next RST may be bare."""
    talk, flow, _ = refused(where, MpTcprst(reason=reason))
    flow.segment(blamed(where), RST | ACK)
    flow.segment(1 - blamed(where), RST | ACK)
    found = said(talk, RULES, at=blamed(where))
    assert {key: str(each.outcome) for key, each in found.items()} == {
        (REASON, HOSTS[blamed(where)]): "pass"
    }
    assert found.of(REASON, blamed(where)).seen == 1


@pytest.mark.parametrize("reason", [0, 2, 4, 5, 6, 255])
@pytest.mark.parametrize("where", ["syn", "synack", "third"])
def test_reasons_that_are_wrong(where, reason):
    """Any other reason is wrong, if nothing that shows another cause is missing."""
    talk, _, frame = refused(where, MpTcprst(reason=reason))
    for whole, outcome in ((True, "fail"), (False, "inconclusive")):
        found = said(talk, RULES, whole=whole)
        assert found.outcome(REASON, blamed(where)) == outcome
        verdict = found.of(REASON, blamed(where))
        assert (verdict.frames, verdict.subflow, verdict.severity) == ((frame,), 1, "warning")
        assert f"reason={reason}" in verdict.why


@pytest.mark.parametrize("where", ["syn", "synack", "third"])
def test_resets_without_reason(where):
    """A bare RST is wrong where all that its host sent is captured."""
    by = blamed(where)
    talk, _, frame = refused(where)
    for at, whole, outcome in (
        (by, True, "fail"),
        (by, False, "inconclusive"),
        (1 - by, True, "inconclusive"),
    ):
        found = said(talk, RULES, at=at, whole=whole)
        assert found.outcome(REASON, by) == outcome
        verdict = found.of(REASON, by)
        assert (verdict.frames, verdict.subflow) == ((frame,), 1)
        assert verdict.why.startswith("no MP_TCPRST")
        assert ("middlebox" in verdict.why) == (at != by)
        assert ("not have been captured" in verdict.why) == (not whole)


@pytest.mark.parametrize(
    ("opener", "ports", "before", "outcome"),
    [
        (0, (40_001, 80), "", "fail"),
        (0, (40_001, 8080), "", "inconclusive"),
        (0, (40_001, 8080), "announced", "fail"),
        (1, (40_000, 90), "", "inconclusive"),
        (1, (40_000, 90), "answered", "fail"),
        (1, (40_000, 90), "reset", "fail"),
    ],
)
def test_bare_reset_of_a_syn(opener, ports, before, outcome):
    """It is wrong at ports only where the host listens: nothing else tells of MPTCP."""
    talk = Conversation()
    first = talk.opened()
    if before == "announced":
        first.add_addr(1, "10.0.1.2", port=8080)
    elif before:
        flow = talk.flow(opener=1, addresses=("10.0.2.1", "10.0.2.2"), ports=(40_000, 91))
        flow.join_syn()
        if before == "answered":
            flow.join_synack()
        else:
            flow.rst(0, 3)
    flow = talk.flow(opener=opener, ports=ports, nonces=(1, 2))
    flow.join_syn()
    flow.rst(1 - opener)
    found = said(talk, RULES, at=1 - opener)
    assert found.outcome(REASON, 1 - opener) == outcome
    assert ("may listen" in found.of(REASON, 1 - opener).why) == (outcome != "fail")


def test_reset_after_the_connection():
    """A host that was through with the connection may have forgotten the join."""
    for over, outcome in ((False, "fail"), (True, "inconclusive")):
        talk, flow = opened()
        flow.join_syn()
        flow.join_synack()
        if over:
            first = talk.flows[0]
            first.data_fin(0)
            first.ack(1)
            first.data_fin(1)
            first.ack(0)
        flow.join_ack(hmac=bytes(20))
        flow.rst(1)
        assert said(talk, RULES, at=1).outcome(REASON, 1) == outcome


@pytest.mark.parametrize("late", [False, True])
def test_reset_of_an_abort(late):
    """A RST of a connection that is closed fast has nothing to do with the join."""
    talk, flow = opened()
    flow.join_syn()
    flow.join_synack()
    flow.join_ack()
    first = talk.flows[0]
    if not late:
        first.fastclose(0)
    flow.rst(1, 0)
    if late:
        first.fastclose(0)
    assert said(talk, RULES).outcome(REASON, 1) == ("fail" if late else "not_exercised")


@pytest.mark.parametrize("where", ["syn", "third"])
def test_reset_with_a_fast_close(where):
    """Nor has one that carries an MP_FASTCLOSE."""
    option = MpFastclose(key=KEYS[0])
    talk, _, _ = refused(where, option, MpTcprst(reason=0))
    assert said(talk, RULES).outcome(REASON, 1) == "not_exercised"


def test_reset_of_a_syn_after_a_fast_close():
    """A SYN that comes after the end is refused as any other."""
    talk, flow = opened()
    talk.flows[0].fastclose(0)
    flow.join_syn()
    flow.rst(1)
    assert said(talk, RULES, at=1).outcome(REASON, 1) == "fail"


def test_reset_of_a_right_synack():
    """A joiner that resets a SYN/ACK with which nothing is wrong has another cause."""
    for right, outcome in ((True, "not_exercised"), (False, "fail")):
        talk, _, _ = refused("synack", right=right)
        assert said(talk, RULES, at=0).outcome(REASON, 0) == outcome


def test_reset_after_data_on_the_third_packet():
    """A RST because of data on the third packet is none of a join that fails."""
    for payload, outcome in ((b"", "fail"), (b"x", "not_exercised")):
        talk, flow = opened()
        flow.join_syn()
        flow.join_synack()
        flow.segment(0, ACK | PSH, b"\x1e\x18\x10\x00" + bytes(20), payload=payload)
        flow.rst(1, 6)
        assert said(talk, RULES).outcome(REASON, 1) == outcome


@pytest.mark.parametrize("by", [0, 1])
def test_reset_of_an_established_join(by):
    """Once the fourth packet was sent, a RST may have any reason."""
    talk, flow = opened()
    flow.join()
    flow.rst(by, 5)
    assert said(talk, RULES, at=by).outcome(REASON, by) == "not_exercised"


@pytest.mark.parametrize(("done", "by"), [("syn", 0), ("synack", 1), ("third", 0)])
def test_reset_by_the_other_host(done, by):
    """A host that takes back its own step refuses nothing."""
    talk, flow = opened()
    flow.join_syn()
    if done != "syn":
        flow.join_synack()
    if done == "third":
        flow.join_ack()
    flow.rst(by, 5)
    assert said(talk, RULES, at=by).outcome(REASON, by) == "not_exercised"


def test_reset_without_its_syn():
    """Without the SYN nothing is said of a RST."""
    talk, flow = opened()
    talk.flows[0].data(0, b"x")
    flow.next = [1, 0]
    flow.join_synack(hmac=bytes(8))
    flow.join_ack(hmac=bytes(20))
    flow.data(0, b"y")
    flow.rst(1, 5)
    assert said(talk, RULES, at=1).outcome(REASON, 1) == "not_exercised"


def test_duplicates_are_no_evidence():
    """A RST that the capture holds twice is one."""
    talk = Conversation(Tape("sll"), captured_at=1)
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    frame = flow.rst(1, 5)
    talk.tape.again(direction=4)
    found = said(talk, RULES)
    assert found.of(REASON, 1).frames == (frame,)


def test_options_that_are_cut():
    """A RST of which the options are not captured cannot be looked at."""
    talk, _, frame = refused("syn", MpTcprst(reason=1))
    found = said(talk, RULES, at=1, octets=cut(talk, frame, 2))
    assert found.outcome(REASON, 1) == "inconclusive"
    assert found.of(REASON, 1).unseen == 1
    assert "options are not captured" in found.of(REASON, 1).why


def test_damaged_reset():
    """A wrong reason in a segment with a wrong TCP checksum is a doubt."""
    talk, _, frame = refused("syn", MpTcprst(reason=5))
    damaged(talk, frame)
    assert said(talk, RULES).outcome(REASON, 1) == "inconclusive"


# ------------------------------------------------------------------------ version 0


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("where", ["syn", "synack", "third"])
def test_bare_resets_of_version_0(where, opener):
    """In version 0 a RST that refuses a join has no option; each one is looked at."""
    by = blamed(where, opener)
    talk, flow, _ = refused(where, version=0, opener=opener)
    flow.segment(by, RST | ACK)
    found = said(talk, RULES, whole=False)
    assert found.outcome(BARE, by) == "pass"
    assert found.of(BARE, by).seen == 2
    assert found.failed() == set()


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("where", ["syn", "synack", "third"])
def test_reason_in_version_0(where, repeated):
    """An MP_TCPRST there is wrong, on the first RST as on a later one."""
    by = blamed(where)
    options = () if repeated else (MpTcprst(reason=3),)
    talk, flow, frame = refused(where, *options, version=0)
    if repeated:
        frame = flow.segment(by, RST | ACK, MpTcprst(reason=3))
    found = said(talk, RULES)
    assert found.failed() == {(BARE, HOSTS[by])}
    verdict = found.of(BARE, by)
    assert (verdict.frames, verdict.subflow) == ((frame,), 1)
    assert "mp_tcprst" in verdict.why
    assert said(talk, RULES, whole=False).outcome(BARE, by) == "inconclusive"


def test_reason_of_another_length_in_version_0():
    """So is the option with a Length that it does not have."""
    talk, _, frame = refused("syn", bytes([30, 8, 0x80, 3]) + bytes(4), version=0)
    assert said(talk, RULES).of(BARE, 1).frames == (frame,)
    talk, _, frame = refused("syn", bytes([30, 8, 0x90, 3]) + bytes(4), version=0)
    assert said(talk, RULES).failed() == set()


def test_reason_for_an_unknown_token_in_version_0():
    """A host that knows both versions cannot tell them by a token that it does not know."""
    talk, flow = opened(0, addresses=("10.0.0.1", "10.0.0.2"), ports=(50_000, 80))
    flow.join_syn(token=talk.token[0])
    flow.rst(1, 1)
    found = said(talk, RULES, at=0)
    assert found.outcome(BARE, 1) == "inconclusive"
    assert "unknown token" in found.of(BARE, 1).why
