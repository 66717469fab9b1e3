"""Rules of MP_FASTCLOSE: its key, its form, and what its sender does on other subflows."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules.aborting import (
    ACK_ANSWERED,
    KEY,
    NO_MORE_DATA,
    ON_ACK,
    ON_RST,
    RULES,
)
from mptcp_oracle.spec import counterpart
from tests.common.conversation import KEYS, Conversation, Mapping
from tests.common.ruling import FAIL, GRACE, INCONCLUSIVE, PASS, ruling, told, two
from tests.common.tape import ACK, RST, Tape


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_abort(version: int, role: int, at: int | None) -> None:
    """MP_FASTCLOSE on an ACK, a RST on the other subflow, RSTs in answer: all is right."""
    talk, flow, other = two(version)
    flow.fastclose(role)
    other.rst(role)
    flow.rst(1 - role)
    found = ruling(talk, RULES, at=at)
    right = {counterpart(KEY, version), ON_ACK[version], counterpart(NO_MORE_DATA, version)}
    assert {each for each, host in found if host == role} == right
    assert {each for each, host in found if host == 1 - role} == {ACK_ANSWERED[version]}
    assert {str(each.outcome) for each in found.values()} == {PASS}


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_abort_by_resets(role: int, at: int | None) -> None:
    """MP_FASTCLOSE on a RST of every subflow needs no answer."""
    talk, flow, other = two()
    flow.fastclose(role, flags=RST | ACK)
    other.fastclose(role, flags=RST | ACK)
    found = ruling(talk, RULES, at=at)
    assert {each for each, host in found if host == role} == {KEY, ON_RST, NO_MORE_DATA}
    assert {host for _, host in found} == {role}
    assert {str(each.outcome) for each in found.values()} == {PASS}


# The key


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("wrong", ["own", "bit", "none"])
def test_a_wrong_key(version: int, role: int, wrong: str) -> None:
    """MP_FASTCLOSE has the key of its receiver, whoever captures it; with another it is nothing."""
    talk, flow, other = two(version)
    value = {"own": KEYS[role], "bit": KEYS[1 - role] ^ 1, "none": 0}[wrong]
    frame = flow.fastclose(role, key=value)
    talk.tape.wait(3)
    other.ack(role)
    flow.ack(1 - role)
    found = ruling(talk, RULES, whole=False)
    assert list(found) == [(counterpart(KEY, version), role)]
    verdict = found[counterpart(KEY, version), role]
    assert (verdict.outcome, verdict.frames, verdict.severity) == (FAIL, (frame,), "violation")
    assert ("(it is the sender's own)" in verdict.why) == (wrong == "own")
    assert f"the key of its receiver is {KEYS[1 - role]:016x}" in verdict.why


def test_an_unknown_key() -> None:
    """Without the handshake nobody knows whose key it is."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.data(0, b"a" * 40)
    frame = flow.fastclose(1)
    found = ruling(talk, RULES)
    assert (told(found, KEY, 1), found[KEY, 1].frames) == (INCONCLUSIVE, (frame,))
    assert told(found, ON_ACK[1], 1) is None


def test_the_place_of_fast_close_in_version_0() -> None:
    """Version 0 has no MP_FASTCLOSE on a RST; nobody has to answer one."""
    talk, flow, other = two(0)
    frame = flow.fastclose(0, flags=RST | ACK)
    talk.tape.wait(3)
    other.ack(0)
    other.ack(1)
    found = ruling(talk, RULES, at=0)
    verdict = found[ON_ACK[0], 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))
    assert {each for each, _ in found} == {
        counterpart(KEY, 0),
        ON_ACK[0],
        counterpart(NO_MORE_DATA, 0),
    }


def test_fast_close_after_a_fallback() -> None:
    """Of plain TCP nobody expects more than the key."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"a" * 40)
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=0))
    flow.fastclose(0)
    assert list(ruling(talk, RULES, at=0)) == [(KEY, 0)]


# What its sender does besides


def aside(seconds: float, *, reset: bool = False, version: int = 1) -> tuple[Conversation, int]:
    """MP_FASTCLOSE, and so much later an ACK of its sender on another subflow."""
    talk, flow, other = two(version)
    frame = flow.fastclose(0, flags=RST | ACK if reset else ACK)
    talk.tape.wait(seconds - 0.001)
    other.ack(0)
    return talk, frame


@pytest.mark.parametrize(("version", "reset"), [(1, False), (1, True), (0, False)])
def test_another_subflow_goes_on(version: int, reset: bool) -> None:
    """The sender of MP_FASTCLOSE resets all other subflows."""
    talk, frame = aside(GRACE + 1e-6, reset=reset, version=version)
    requirement = ON_RST if reset else ON_ACK[version]
    verdict = ruling(talk, RULES, at=0)[requirement, 0]
    assert (verdict.outcome, verdict.severity, verdict.subflow) == (FAIL, "warning", 1)
    assert verdict.frames == (frame, talk.tape.last)
    assert "it goes on" in verdict.why
    for at, whole in ((1, True), (None, True), (0, False)):
        assert told(ruling(talk, RULES, at=at, whole=whole), requirement, 0) == INCONCLUSIVE


def test_another_subflow_may_be_reset_yet() -> None:
    """Until a second and three round trips have gone a RST may come."""
    talk, _ = aside(GRACE)
    verdict = ruling(talk, RULES, at=0)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.unseen) == (PASS, 1)


def test_another_subflow_is_silent() -> None:
    """Without any segment on it the RST is only missing."""
    talk, flow, _ = two()
    frame = flow.fastclose(0)
    talk.tape.wait(GRACE)
    flow.segment(1)
    verdict = ruling(talk, RULES, at=0)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (frame,))


def test_another_subflow_ends_by_fin() -> None:
    """A FIN is no RST, and needs no time to be seen."""
    talk, flow, other = two()
    frame = flow.fastclose(0)
    fin = other.fin(0)
    verdict = ruling(talk, RULES, at=0)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame, fin))
    assert "a FIN" in verdict.why


@pytest.mark.parametrize("ended", ["own fin", "own rst", "peer's rst", "unanswered", "later"])
def test_subflows_that_need_no_reset(ended: str) -> None:
    """What ended before, was never established, or came later is none of the others."""
    talk, flow, other = two()
    if ended == "own fin":
        other.fin(0)
    elif ended == "unanswered":
        talk.flow().join_syn()
        other.rst(0)
    elif ended == "own rst":
        other.rst(0)
    elif ended == "peer's rst":
        other.rst(1)
    else:
        other.rst(0)
    flow.fastclose(0)
    late = talk.joined() if ended == "later" else flow
    talk.tape.wait(3)
    {"later": late, "own fin": other}.get(ended, flow).ack(0)
    verdict = ruling(talk, RULES, at=0)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.unseen) == (PASS, 0)


def test_a_fin_of_the_peer_leaves_a_subflow_to_be_reset() -> None:
    """A host may still send on a subflow that its peer has ended by FIN."""
    talk, flow, other = two()
    other.fin(1)
    flow.fastclose(0)
    talk.tape.wait(3)
    other.ack(0)
    assert told(ruling(talk, RULES, at=0), ON_ACK[1], 0) == FAIL


def test_fast_close_on_two_subflows() -> None:
    """On ACKs MP_FASTCLOSE stays on one subflow; it may be sent again there, and on RSTs."""
    talk, flow, other = two()
    first = flow.fastclose(0)
    other.rst(0)
    flow.fastclose(0)
    flow.fastclose(0, flags=RST | ACK)
    assert told(ruling(talk, RULES, at=0), ON_ACK[1], 0) == PASS
    talk, flow, other = two()
    first = flow.fastclose(0)
    second = other.fastclose(0)
    other.rst(0)
    verdict = ruling(talk, RULES, whole=False)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (first, second), 1)


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(0, True, FAIL), (0, False, INCONCLUSIVE), (1, True, INCONCLUSIVE)],
)
def test_resets_of_which_one_is_plain(at: int, whole: bool, outcome: str) -> None:
    """If one RST has MP_FASTCLOSE, those of all subflows have."""
    talk, flow, other = two()
    first = flow.fastclose(0, flags=RST | ACK)
    plain = other.rst(0, 0)
    verdict = ruling(talk, RULES, at=at, whole=whole)[ON_RST, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (plain, first), 1)


def test_the_second_reset_of_a_subflow_may_be_plain() -> None:
    """Only the first RST of a subflow needs the option."""
    talk, flow, other = two()
    flow.fastclose(0, flags=RST | ACK)
    other.fastclose(0, flags=RST | ACK)
    other.rst(0)
    flow.rst(0)
    assert told(ruling(talk, RULES, at=0), ON_RST, 0) == PASS


@pytest.mark.parametrize(("apart", "outcome"), [(0.001, FAIL), (0.001001, PASS)])
def test_a_reset_just_before(apart: float, outcome: str) -> None:
    """On all interfaces a plain RST within a millisecond belongs to the abort."""
    talk, flow, other = two(tape=Tape("sll"), captured_at=0)
    other.rst(0)
    talk.tape.wait(apart - 0.001)
    flow.fastclose(0, flags=RST | ACK)
    assert told(ruling(talk, RULES), ON_RST, 0) == outcome


def test_a_fin_just_before() -> None:
    """A FIN that was captured before the MP_FASTCLOSE, however shortly, is no answer to it."""
    talk, flow, other = two(tape=Tape("sll"), captured_at=0)
    other.fin(0)
    flow.fastclose(0)
    assert told(ruling(talk, RULES), ON_ACK[1], 0) == PASS
