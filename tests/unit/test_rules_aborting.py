"""Rules of MP_FASTCLOSE and its answers, and of MP_TCPRST."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFastclose, MpTcprst
from mptcp_oracle.rules.aborting import (
    ACK_ANSWERED,
    KEY,
    NO_MORE_DATA,
    ON_ACK,
    ON_RST,
    RESET_FLAGS,
    RESET_LENGTH,
    RESET_PLACE,
    RESET_REASON,
    RST_ANSWERED,
    RULES,
)
from tests.common.conversation import KEYS, Conversation, Flow, Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, Found, ruling
from tests.common.tape import ACK, FIN, PSH, RST, Tape

#: Seconds in which a RST has to be there: a second and three round trips of the handshake.
GRACE = 1 + 3 * 0.002


def begun(version: int = 1, **settings: object) -> tuple[Conversation, Flow, Flow]:
    """A conversation of two subflows, on which both hosts have sent data."""
    talk = Conversation(version=version, **settings)  # type: ignore[arg-type]
    flow = talk.opened()
    flow.data(0, b"a" * 40)
    flow.data(1, b"b" * 60)
    flow.ack(0)
    other = talk.joined()
    other.data(0, b"c" * 10)
    other.ack(1)
    return talk, flow, other


def told(found: Found, requirement: str, role: int) -> str | None:
    """What the outcome for a host is, if there is any."""
    verdict = found.get((requirement, role))
    return None if verdict is None else str(verdict.outcome)


def key(version: int) -> str:
    """The requirement on the key, as a connection of a version has it."""
    return KEY if version else "6824-3.5-fastclose-receiver-key"


def no_more(version: int) -> str:
    """That of no more data, likewise."""
    return NO_MORE_DATA if version else "6824-3.5-fastclose-no-more-data"


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_abort(version: int, role: int, at: int | None) -> None:
    """MP_FASTCLOSE on an ACK, a RST on the other subflow, RSTs in answer: all is right."""
    talk, flow, other = begun(version)
    flow.fastclose(role)
    other.rst(role)
    flow.rst(1 - role)
    found = ruling(talk, RULES, at=at)
    right = {key(version), ON_ACK[version], no_more(version)}
    assert {each for each, host in found if host == role} == right
    assert {each for each, host in found if host == 1 - role} == {ACK_ANSWERED[version]}
    assert {str(each.outcome) for each in found.values()} == {PASS}


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_abort_by_resets(role: int, at: int | None) -> None:
    """MP_FASTCLOSE on a RST of every subflow needs no answer."""
    talk, flow, other = begun()
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
    talk, flow, other = begun(version)
    value = {"own": KEYS[role], "bit": KEYS[1 - role] ^ 1, "none": 0}[wrong]
    frame = flow.fastclose(role, key=value)
    talk.tape.wait(3)
    other.ack(role)
    flow.ack(1 - role)
    found = ruling(talk, RULES, whole=False)
    assert list(found) == [(key(version), role)]
    verdict = found[key(version), role]
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
    talk, flow, other = begun(0)
    frame = flow.fastclose(0, flags=RST | ACK)
    talk.tape.wait(3)
    other.ack(0)
    other.ack(1)
    found = ruling(talk, RULES, at=0)
    verdict = found[ON_ACK[0], 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))
    assert {each for each, _ in found} == {key(0), ON_ACK[0], no_more(0)}


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
    talk, flow, other = begun(version)
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
    talk, flow, _ = begun()
    frame = flow.fastclose(0)
    talk.tape.wait(GRACE)
    flow.segment(1)
    verdict = ruling(talk, RULES, at=0)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (frame,))


def test_another_subflow_ends_by_fin() -> None:
    """A FIN is no RST, and needs no time to be seen."""
    talk, flow, other = begun()
    frame = flow.fastclose(0)
    fin = other.fin(0)
    verdict = ruling(talk, RULES, at=0)[ON_ACK[1], 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame, fin))
    assert "a FIN" in verdict.why


@pytest.mark.parametrize("ended", ["own fin", "own rst", "peer's rst", "unanswered", "later"])
def test_subflows_that_need_no_reset(ended: str) -> None:
    """What ended before, was never established, or came later is none of the others."""
    talk, flow, other = begun()
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
    talk, flow, other = begun()
    other.fin(1)
    flow.fastclose(0)
    talk.tape.wait(3)
    other.ack(0)
    assert told(ruling(talk, RULES, at=0), ON_ACK[1], 0) == FAIL


def test_fast_close_on_two_subflows() -> None:
    """On ACKs MP_FASTCLOSE stays on one subflow; it may be sent again there, and on RSTs."""
    talk, flow, other = begun()
    first = flow.fastclose(0)
    other.rst(0)
    flow.fastclose(0)
    flow.fastclose(0, flags=RST | ACK)
    assert told(ruling(talk, RULES, at=0), ON_ACK[1], 0) == PASS
    talk, flow, other = begun()
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
    talk, flow, other = begun()
    first = flow.fastclose(0, flags=RST | ACK)
    plain = other.rst(0, 0)
    verdict = ruling(talk, RULES, at=at, whole=whole)[ON_RST, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (plain, first), 1)


def test_the_second_reset_of_a_subflow_may_be_plain() -> None:
    """Only the first RST of a subflow needs the option."""
    talk, flow, other = begun()
    flow.fastclose(0, flags=RST | ACK)
    other.fastclose(0, flags=RST | ACK)
    other.rst(0)
    flow.rst(0)
    assert told(ruling(talk, RULES, at=0), ON_RST, 0) == PASS


@pytest.mark.parametrize(("apart", "outcome"), [(0.001, FAIL), (0.001001, PASS)])
def test_a_reset_just_before(apart: float, outcome: str) -> None:
    """On all interfaces a plain RST within a millisecond belongs to the abort."""
    talk, flow, other = begun(tape=Tape("sll"), captured_at=0)
    other.rst(0)
    talk.tape.wait(apart - 0.001)
    flow.fastclose(0, flags=RST | ACK)
    assert told(ruling(talk, RULES), ON_RST, 0) == outcome


def test_a_fin_just_before() -> None:
    """A FIN that was captured before the MP_FASTCLOSE, however shortly, is no answer to it."""
    talk, flow, other = begun(tape=Tape("sll"), captured_at=0)
    other.fin(0)
    flow.fastclose(0)
    assert told(ruling(talk, RULES), ON_ACK[1], 0) == PASS


# What its receiver does


@pytest.mark.parametrize("version", [0, 1])
def test_fast_close_answered_by_a_fin(version: int) -> None:
    """The receiver of MP_FASTCLOSE answers on its subflow by a RST, not by a FIN."""
    talk, flow, other = begun(version)
    frame = flow.fastclose(0)
    other.rst(0)
    fin = flow.fin(1)
    requirement = ACK_ANSWERED[version]
    verdict = ruling(talk, RULES, at=1)[requirement, 1]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (frame, fin), 0)
    for at, whole in ((0, True), (None, True), (1, False)):
        assert told(ruling(talk, RULES, at=at, whole=whole), requirement, 1) == INCONCLUSIVE
    flow.rst(1)
    assert told(ruling(talk, RULES, at=1), requirement, 1) == PASS


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize(("seconds", "outcome"), [(GRACE, INCONCLUSIVE), (GRACE + 1e-6, FAIL)])
def test_the_receiver_goes_on(where: int, seconds: float, outcome: str) -> None:
    """A receiver that still sends on any subflow after a second and three round trips is wrong."""
    talk, flow, other = begun()
    frame = flow.fastclose(0)
    if where == 0:
        other.rst(0)
    else:
        flow.rst(1)
    talk.tape.wait(seconds - 0.002)
    (flow, other)[where].ack(1)
    verdict = ruling(talk, RULES, at=1)[ACK_ANSWERED[1], 1]
    assert verdict.outcome == (PASS if where == 1 and outcome != FAIL else outcome)
    if outcome == FAIL:
        assert (verdict.frames, verdict.subflow) == ((frame, talk.tape.last), where)


def test_fast_close_on_a_reset_answered_by_a_fin() -> None:
    """After MP_FASTCLOSE on a RST all other subflows are reset; that one needs no answer."""
    talk, flow, other = begun()
    frame = flow.fastclose(0, flags=RST | ACK)
    fin = other.fin(1)
    other.fastclose(0, flags=RST | ACK)
    verdict = ruling(talk, RULES, at=1)[RST_ANSWERED, 1]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (frame, fin), 1)
    assert told(ruling(talk, RULES, at=0), RST_ANSWERED, 1) == INCONCLUSIVE
    talk, flow, other = begun()
    flow.fastclose(0, flags=RST | ACK)
    other.rst(1)
    assert told(ruling(talk, RULES, at=1), RST_ANSWERED, 1) == PASS


def test_a_subflow_that_both_reset_needs_no_answer() -> None:
    """What is reset by the sender of MP_FASTCLOSE before the other one speaks is gone."""
    talk, flow, other = begun()
    flow.fastclose(0, flags=RST | ACK)
    other.fastclose(0, flags=RST | ACK)
    talk.tape.wait(3)
    other.fin(1)
    assert told(ruling(talk, RULES, at=1), RST_ANSWERED, 1) is None


@pytest.mark.parametrize(
    ("seq", "reset", "outcome"),
    [
        (41, False, FAIL), (40, False, INCONCLUSIVE), (41 + 65_535, False, FAIL),
        (41 + 65_536, False, INCONCLUSIVE),
        (41, True, FAIL), (40, True, INCONCLUSIVE), (42, True, INCONCLUSIVE),
    ],
)  # fmt: skip
def test_only_what_tcp_accepts_needs_an_answer(seq: int, reset: bool, outcome: str) -> None:
    """An ACK has to lie in the window, a RST at its beginning."""
    talk, flow, other = begun()
    flags = RST | ACK if reset else ACK
    flow.segment(0, flags, MpFastclose(key=KEYS[1]), seq=seq)
    (other if reset else flow).fin(1)
    if not reset:
        other.rst(0)
    requirement = RST_ANSWERED if reset else ACK_ANSWERED[1]
    assert told(ruling(talk, RULES, at=1), requirement, 1) == outcome


def test_a_reset_behind_data_that_is_not_acknowledged_yet() -> None:
    """What arrived counts as received, whether or not it was acknowledged."""
    talk, flow, other = begun()
    flow.data(0, b"d" * 5)
    flow.data(0, b"e" * 5)
    flow.fastclose(0, flags=RST | ACK)
    other.fin(1)
    assert told(ruling(talk, RULES, at=1), RST_ANSWERED, 1) == FAIL


def test_whether_tcp_accepts_is_not_known() -> None:
    """Without any acknowledgment of the receiver nobody can say."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake()
    with talk.lost():
        flow.ack(1)
    flow.segment(0, ACK, MpFastclose(key=KEYS[1]), seq=0)
    flow.fin(1)
    assert told(ruling(talk, RULES, at=1), ACK_ANSWERED[1], 1) == INCONCLUSIVE


@pytest.mark.parametrize("gone", ["fin", "rst"])
def test_a_receiver_that_had_ended_needs_no_answer(gone: str) -> None:
    """A half that is closed answers nothing."""
    talk, flow, other = begun()
    other.rst(1)
    flow.fin(1) if gone == "fin" else flow.rst(1)
    flow.fastclose(0)
    talk.tape.wait(3)
    flow.segment(0) if gone == "rst" else flow.segment(1)
    assert told(ruling(talk, RULES, at=1), ACK_ANSWERED[1], 1) is None


# No more data


@pytest.mark.parametrize("version", [0, 1])
def test_data_after_fast_close(version: int) -> None:
    """New data on its subflow after MP_FASTCLOSE is wrong at any vantage, whoever lacks frames."""
    talk, flow, other = begun(version)
    frame = flow.fastclose(0)
    other.rst(0)
    data = flow.data(0, b"d" * 5)
    verdict = ruling(talk, RULES, whole=False)[no_more(version), 0]
    assert (verdict.outcome, verdict.frames, verdict.severity) == (FAIL, (frame, data), "warning")


def test_old_data_after_fast_close() -> None:
    """What was sent before may arrive, and be sent again, later; the peer may send what it has."""
    talk, flow, other = begun()
    with talk.lost():
        flow.data(0, b"d" * 5)
    flow.fastclose(0)
    other.rst(0)
    flow.data(0, b"d" * 5, seq=41, dsn=51)
    flow.data(0, b"a" * 40, seq=1, dsn=1)
    flow.data(1, b"e" * 5)
    found = ruling(talk, RULES, at=0)
    assert (told(found, NO_MORE_DATA, 0), told(found, NO_MORE_DATA, 1)) == (PASS, None)


def test_a_text_in_a_reset_is_no_data() -> None:
    """What a RST carries is a text about it (RFC 9293 section 3.5.3)."""
    talk, flow, other = begun()
    flow.fastclose(0)
    other.rst(0)
    flow.segment(0, RST | ACK, payload=b"gone")
    assert told(ruling(talk, RULES, at=0), NO_MORE_DATA, 0) == PASS


def test_fast_close_on_an_old_number() -> None:
    """If MP_FASTCLOSE itself is on an old sequence number, data beyond that may be old."""
    talk, flow, other = begun()
    flow.segment(0, ACK, MpFastclose(key=KEYS[1]), seq=20)
    other.rst(0)
    flow.data(0, b"a" * 20, seq=21, dsn=21)
    assert told(ruling(talk, RULES, at=0), NO_MORE_DATA, 0) == PASS


def test_data_on_another_subflow_after_fast_close() -> None:
    """New DSNs on another subflow are wrong at the sender, and a doubt elsewhere."""
    talk, flow, other = begun()
    frame = flow.fastclose(0)
    talk.tape.wait(0.1)
    data = other.data(0, b"d" * 5)
    verdict = ruling(talk, RULES, at=0)[NO_MORE_DATA, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame, data))
    for at in (1, None):
        verdict = ruling(talk, RULES, at=at)[NO_MORE_DATA, 0]
        assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (frame, data))


# MP_TCPRST


@pytest.mark.parametrize(
    ("flags", "reason", "on_rst", "broken"),
    [
        (0, 0, True, None),
        (1, 6, True, None),
        (0, 7, True, RESET_REASON),
        (0, 255, True, RESET_REASON),
        (2, 0, True, RESET_FLAGS),
        (4, 0, True, RESET_FLAGS),
        (8, 0, True, RESET_FLAGS),
        (0, 3, False, RESET_PLACE),
    ],
)
def test_reasons_for_resets(flags: int, reason: int, on_rst: bool, broken: str | None) -> None:
    """MP_TCPRST is on a RST, its undefined flags are 0, and its reason is registered."""
    talk, flow, _ = begun()
    frame = flow.segment(1, (RST if on_rst else PSH) | ACK, MpTcprst(flags=flags, reason=reason))
    found = ruling(talk, RULES, whole=False)
    for each in (RESET_PLACE, RESET_LENGTH, RESET_FLAGS, RESET_REASON):
        verdict = found[each, 1]
        assert verdict.outcome == (FAIL if each == broken else PASS)
        assert verdict.frames == ((frame,) if each == broken else ())
        assert (each, 0) not in found


@pytest.mark.parametrize(
    ("octets", "outcome"), [("1e058000 00", FAIL), ("1e0380", FAIL), ("1e0490 00", None)]
)
def test_the_length_of_a_reason(octets: str, outcome: str | None) -> None:
    """MP_TCPRST has 4 octets; what is of another subtype is none."""
    talk, flow, _ = begun()
    frame = flow.segment(0, RST | ACK, bytes.fromhex(octets))
    found = ruling(talk, RULES)
    assert told(found, RESET_LENGTH, 0) == outcome
    assert told(found, RESET_REASON, 0) is None
    if outcome:
        assert found[RESET_LENGTH, 0].frames == (frame,)
        assert f"this has {len(bytes.fromhex(octets))}" in found[RESET_LENGTH, 0].why


def test_version_0_has_no_reasons() -> None:
    """Nothing is said of MP_TCPRST in version 0."""
    talk, flow, _ = begun(0)
    flow.segment(0, FIN | ACK, MpTcprst(flags=14, reason=99))
    assert ruling(talk, RULES) == {}
