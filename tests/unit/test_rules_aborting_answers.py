"""Rules of MP_FASTCLOSE: its answers, and that no data follows it."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFastclose
from mptcp_oracle.rules.aborting import ACK_ANSWERED, NO_MORE_DATA, RST_ANSWERED, RULES
from mptcp_oracle.spec import counterpart
from tests.common.conversation import KEYS, Conversation
from tests.common.ruling import FAIL, GRACE, INCONCLUSIVE, PASS, ruling, told, two
from tests.common.tape import ACK, RST

# What its receiver does


@pytest.mark.parametrize("version", [0, 1])
def test_fast_close_answered_by_a_fin(version: int) -> None:
    """The receiver of MP_FASTCLOSE answers on its subflow by a RST, not by a FIN."""
    talk, flow, other = two(version)
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
    talk, flow, other = two()
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
    talk, flow, other = two()
    frame = flow.fastclose(0, flags=RST | ACK)
    fin = other.fin(1)
    other.fastclose(0, flags=RST | ACK)
    verdict = ruling(talk, RULES, at=1)[RST_ANSWERED, 1]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (frame, fin), 1)
    assert told(ruling(talk, RULES, at=0), RST_ANSWERED, 1) == INCONCLUSIVE
    talk, flow, other = two()
    flow.fastclose(0, flags=RST | ACK)
    other.rst(1)
    assert told(ruling(talk, RULES, at=1), RST_ANSWERED, 1) == PASS


def test_a_subflow_that_both_reset_needs_no_answer() -> None:
    """What is reset by the sender of MP_FASTCLOSE before the other one speaks is gone."""
    talk, flow, other = two()
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
    talk, flow, other = two()
    flags = RST | ACK if reset else ACK
    flow.segment(0, flags, MpFastclose(key=KEYS[1]), seq=seq)
    (other if reset else flow).fin(1)
    if not reset:
        other.rst(0)
    requirement = RST_ANSWERED if reset else ACK_ANSWERED[1]
    assert told(ruling(talk, RULES, at=1), requirement, 1) == outcome


def test_a_reset_behind_data_that_is_not_acknowledged_yet() -> None:
    """What arrived counts as received, whether or not it was acknowledged."""
    talk, flow, other = two()
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
    talk, flow, other = two()
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
    talk, flow, other = two(version)
    frame = flow.fastclose(0)
    other.rst(0)
    data = flow.data(0, b"d" * 5)
    verdict = ruling(talk, RULES, whole=False)[counterpart(NO_MORE_DATA, version), 0]
    assert (verdict.outcome, verdict.frames, verdict.severity) == (FAIL, (frame, data), "warning")


def test_old_data_after_fast_close() -> None:
    """What was sent before may arrive, and be sent again, later; the peer may send what it has."""
    talk, flow, other = two()
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
    talk, flow, other = two()
    flow.fastclose(0)
    other.rst(0)
    flow.segment(0, RST | ACK, payload=b"gone")
    assert told(ruling(talk, RULES, at=0), NO_MORE_DATA, 0) == PASS


def test_fast_close_on_an_old_number() -> None:
    """If MP_FASTCLOSE itself is on an old sequence number, data beyond that may be old."""
    talk, flow, other = two()
    flow.segment(0, ACK, MpFastclose(key=KEYS[1]), seq=20)
    other.rst(0)
    flow.data(0, b"a" * 20, seq=21, dsn=21)
    assert told(ruling(talk, RULES, at=0), NO_MORE_DATA, 0) == PASS


def test_data_on_another_subflow_after_fast_close() -> None:
    """New DSNs on another subflow are wrong at the sender, and a doubt elsewhere."""
    talk, flow, other = two()
    frame = flow.fastclose(0)
    talk.tape.wait(0.1)
    data = other.data(0, b"d" * 5)
    verdict = ruling(talk, RULES, at=0)[NO_MORE_DATA, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame, data))
    for at in (1, None):
        verdict = ruling(talk, RULES, at=at)[NO_MORE_DATA, 0]
        assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (frame, data))
