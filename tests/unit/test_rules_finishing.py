"""Rules of the ends of subflows: not too early, with a DATA_FIN, and after the connection's end."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFail, MpTcprst
from mptcp_oracle.rules.closing import RULES
from mptcp_oracle.rules.finishing import CLOSED, FIN_ON_ALL, KEPT_OPEN, WITH_FIN
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, Found, ruling
from tests.common.tape import ACK, FIN, PSH, RST


def begun(**settings: object) -> tuple[Conversation, Flow]:
    """A conversation in which both hosts have sent data, and acknowledged it."""
    talk = Conversation(**settings)  # type: ignore[arg-type]
    flow = talk.opened()
    flow.data(0, b"a" * 40)
    flow.data(1, b"b" * 60)
    flow.ack(0)
    return talk, flow


def closed(talk: Conversation, flow: Flow) -> None:
    """Both DATA_FINs, acknowledged."""
    flow.data_fin(0)
    flow.data_fin(1)
    flow.ack(0)


def told(found: Found, requirement: str, role: int) -> str | None:
    """What the outcome for a host is, if there is any."""
    verdict = found.get((requirement, role))
    return None if verdict is None else str(verdict.outcome)


@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_end(at: int | None) -> None:
    """FINs on all subflows after both DATA_FINs were acknowledged are right."""
    talk, flow = begun()
    other = talk.joined()
    closed(talk, flow)
    for each in (flow, other):
        each.fin(0)
        each.fin(1)
    found = ruling(talk, RULES, at=at)
    for role in (0, 1):
        for each in (KEPT_OPEN, CLOSED, FIN_ON_ALL):
            assert told(found, each, role) == PASS
        assert told(found, WITH_FIN, role) is None


# The last subflow


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(0, True, FAIL), (0, False, INCONCLUSIVE), (1, True, INCONCLUSIVE),
     (None, True, INCONCLUSIVE)],
)  # fmt: skip
def test_the_only_subflow_ends_too_early(
    end: str, at: int | None, whole: bool, outcome: str
) -> None:
    """A FIN or RST while data is outstanding is wrong, where that is known."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    frame = flow.fin(0) if end == "fin" else flow.rst(0)
    found = ruling(talk, RULES, at=at, whole=whole)
    verdict = found[KEPT_OPEN, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (frame,), 0)
    assert f"a {end.upper()} on the last subflow, while data from DSN 41 to 45" in verdict.why
    assert told(found, KEPT_OPEN, 1) is None


def test_data_on_the_fin_is_outstanding() -> None:
    """Data that is sent with the FIN has not been acknowledged either."""
    talk, flow = begun()
    frame = flow.data(0, b"c" * 5, flags=FIN | ACK | PSH)
    verdict = ruling(talk, RULES, at=0)[KEPT_OPEN, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))


def test_everything_acknowledged() -> None:
    """Without a DATA_FIN a subflow may end once all data is acknowledged; break before make."""
    talk, flow = begun()
    flow.fin(0)
    flow.fin(1)
    found = ruling(talk, RULES, at=0)
    assert (told(found, KEPT_OPEN, 0), told(found, KEPT_OPEN, 1)) == (PASS, PASS)
    assert told(found, CLOSED, 0) is None


@pytest.mark.parametrize("combined", [False, True])
def test_the_segment_with_the_data_fin_may_be_outstanding(combined: bool) -> None:
    """Only the segment that has the DATA_FIN is outstanding: that is safe."""
    talk, flow = begun()
    flow.data(0, b"c" * 5, fin=True, flags=ACK | PSH | (FIN if combined else 0))
    if not combined:
        flow.fin(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == PASS
    talk, flow = begun()
    flow.data_fin(0)
    flow.fin(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == PASS


def test_more_than_the_segment_with_the_data_fin() -> None:
    """Another segment is outstanding as well: that is not."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    flow.data(0, b"d" * 5, fin=True)
    flow.fin(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == FAIL


@pytest.mark.parametrize(("apart", "outcome"), [(0.001, PASS), (0.001001, FAIL)])
def test_a_data_ack_at_the_last_moment(apart: float, outcome: str) -> None:
    """A DATA_ACK that comes just after the FIN may have been there before it."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    flow.fin(0)
    talk.tape.wait(apart - 0.001)
    flow.ack(1)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == outcome


def test_another_subflow_is_left() -> None:
    """While another subflow is open, one may end at any time."""
    talk, flow = begun()
    other = talk.joined()
    flow.data(0, b"c" * 5)
    flow.fin(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) is None
    frame = other.fin(0)
    verdict = ruling(talk, RULES, at=0)[KEPT_OPEN, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (frame,), 1)


def test_the_other_subflow_was_reset_by_the_peer() -> None:
    """A subflow that the peer has reset is none any more; one that it resets last is its doing."""
    talk, flow = begun()
    other = talk.joined()
    flow.data(0, b"c" * 5)
    other.rst(1)
    frame = flow.fin(0)
    verdict = ruling(talk, RULES, at=0)[KEPT_OPEN, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))
    talk, flow = begun()
    other = talk.joined()
    flow.data(0, b"c" * 5)
    flow.fin(0)
    other.rst(1)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) is None


def test_a_failed_join_is_no_other_subflow() -> None:
    """A join that was never answered keeps nothing open."""
    talk, flow = begun()
    talk.flow().join_syn()
    flow.data(0, b"c" * 5)
    flow.fin(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == FAIL


@pytest.mark.parametrize(
    ("reason", "outcome"), [(0, FAIL), (1, INCONCLUSIVE), (4, FAIL), (5, FAIL), (6, INCONCLUSIVE)]
)
def test_resets_that_say_that_they_were_forced(reason: int, outcome: str) -> None:
    """A RST for an MPTCP error or a middlebox may have had to be."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    frame = flow.rst(0, reason)
    verdict = ruling(talk, RULES, at=0)[KEPT_OPEN, 0]
    assert (verdict.outcome, verdict.frames) == (outcome, (frame,))


@pytest.mark.parametrize("cause", ["fail", "malformed", "unmapped", "checksum"])
@pytest.mark.parametrize("end", ["fin", "rst"])
def test_resets_that_may_have_been_forced(cause: str, end: str) -> None:
    """What the peer did on the subflow may have forced a RST; it never forces a FIN."""
    talk, flow = begun(checksum=cause == "checksum")
    flow.data(0, b"c" * 5)
    if cause == "malformed":
        flow.ack(1, bytes([30, 5, 0x80, 0, 0, 1, 1, 1]), dack=41)
    elif cause == "unmapped":
        flow.data(1, b"d" * 5, mapping=None, dack=41)
        flow.ack(1, dack=41)
    elif cause == "checksum":
        mapping = Mapping(dsn=61, ssn=61, dll=5, checksum=7)
        flow.data(1, b"d" * 5, mapping=mapping, dack=41)
    option = MpFail(dsn=talk.absolute(1, 1)) if cause == "fail" else None
    flow.segment(0, (FIN if end == "fin" else RST) | ACK, option)
    outcome = FAIL if end == "fin" else INCONCLUSIVE
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == outcome


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_reset_of_an_unconfirmed_join(confirmed: bool) -> None:
    """Data on a join that is acknowledged without any DATA_ACK forces a RST (section 3.7)."""
    talk, flow = begun()
    other = talk.flow()
    other.join_syn()
    other.join_synack()
    other.join_ack()
    other.segment(1)
    flow.fin(0)
    other.data(0, b"c" * 5)
    other.ack(1, dack=41 if confirmed else None)
    other.rst(0)
    outcome = FAIL if confirmed else INCONCLUSIVE
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == outcome


@pytest.mark.parametrize(("silence", "outcome"), [(60, FAIL), (60.001, INCONCLUSIVE)])
def test_a_peer_that_is_gone(silence: float, outcome: str) -> None:
    """Who hears nothing for a minute may give a subflow up."""
    talk, flow = begun()
    flow.ack(1)
    flow.data(0, b"c" * 5)
    talk.tape.wait(silence - 0.002)
    flow.fin(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == outcome


@pytest.mark.parametrize("sign", ["own data", "own acknowledged", "peer's data"])
def test_signs_of_a_subflow_that_was_not_captured(sign: str) -> None:
    """Data that went over a path without capture says that this may not be the last subflow."""
    talk, flow = begun()
    if sign == "peer's data":
        with talk.lost():
            flow.data(1, b"d" * 5)
        flow.ack(0)
    flow.data(0, b"c" * 5, dsn=46 if sign == "own data" else 41)
    flow.fin(0)
    if sign == "own acknowledged":
        talk.tape.wait(1)
        flow.ack(1, dack=48)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) == INCONCLUSIVE


def test_after_a_fast_close_subflows_may_end() -> None:
    """A connection that is aborted may leave data outstanding."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    flow.fastclose(0)
    flow.rst(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) is None


def test_a_forged_reset_is_no_end() -> None:
    """A RST after which its sender went on for more than a second ends nothing."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    flow.rst(0)
    talk.tape.wait(1.01)
    flow.ack(1)
    flow.ack(0)
    assert told(ruling(talk, RULES, at=0), KEPT_OPEN, 0) is None


# A DATA_FIN with a FIN


def combined(outstanding: bool) -> tuple[Conversation, int, int]:
    """A DATA_FIN with a FIN, after data on another subflow; the frames of both."""
    talk, flow = begun()
    other = talk.joined()
    data = other.data(0, b"c" * 5)
    if not outstanding:
        other.ack(1)
    option = talk.dss(0, Mapping(dsn=46, ssn=0, dll=1, fin=True), dack=61)
    return talk, data, flow.segment(0, FIN | ACK, option)


def test_a_data_fin_with_a_fin_too_early() -> None:
    """With data outstanding on another subflow they do not go together."""
    talk, data, frame = combined(outstanding=True)
    verdict = ruling(talk, RULES, at=0)[WITH_FIN, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (data, frame), 0)
    assert "highest DATA_ACK is 41" in verdict.why
    for at, whole in ((1, True), (None, True), (0, False)):
        assert told(ruling(talk, RULES, at=at, whole=whole), WITH_FIN, 0) == INCONCLUSIVE


def test_a_data_fin_with_a_fin() -> None:
    """With nothing outstanding they may, and with what is outstanding on the same subflow."""
    talk, _, _ = combined(outstanding=False)
    assert told(ruling(talk, RULES, at=0), WITH_FIN, 0) == PASS
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    flow.data(0, b"d" * 5, fin=True, flags=FIN | ACK)
    assert told(ruling(talk, RULES, at=0), WITH_FIN, 0) == PASS


# After the end


def reset_at_the_end(
    *, by: int = 0, reason: int | None = None, left: bool = False, first: int | None = None
) -> tuple[Conversation, int, int]:
    """Of two subflows one is reset after both DATA_FINs; the last DATA_ACK's, the RST's frames."""
    talk, flow = begun()
    other = talk.joined()
    if left:
        other.data(by, b"a" * 9, dsn=1)
    closed(talk, flow)
    known = talk.tape.last
    flow.fin(0)
    flow.fin(1)
    if first is not None:
        other.fin(first)
    frame = other.rst(by, reason)
    return talk, known, frame


@pytest.mark.parametrize("by", [0, 1])
def test_a_reset_after_the_end(by: int) -> None:
    """After both DATA_FINs were acknowledged a subflow ends by FIN, at the host that knows."""
    talk, known, frame = reset_at_the_end(by=by)
    found = ruling(talk, RULES, at=by)
    verdict = found[CLOSED, by]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (FAIL, (known, frame), 1)
    assert told(found, FIN_ON_ALL, by) == PASS
    assert told(found, CLOSED, 1 - by) == PASS
    assert told(ruling(talk, RULES, at=by, whole=False), CLOSED, by) == INCONCLUSIVE


@pytest.mark.parametrize(("apart", "outcome"), [(0.020, PASS), (0.020001, INCONCLUSIVE)])
def test_a_reset_after_the_end_seen_from_elsewhere(apart: float, outcome: str) -> None:
    """Where nobody knows the tap it is a doubt, if it comes clearly later."""
    talk, flow = begun()
    other = talk.joined()
    closed(talk, flow)
    flow.fin(0)
    talk.tape.wait(apart - 0.002)
    other.rst(0)
    assert told(ruling(talk, RULES), CLOSED, 0) == outcome


@pytest.mark.parametrize(
    ("fields", "outcome", "seen"),
    [
        ({"left": True}, PASS, 2),
        ({"reason": 0}, FAIL, 1),
        ({"reason": 4}, INCONCLUSIVE, 1),
        ({"reason": 1}, PASS, 1),
        ({"reason": 6}, PASS, 1),
        ({"first": 1}, PASS, 1),
        ({"first": 0}, PASS, 2),
    ],
)
def test_resets_after_the_end_that_may_be(fields: dict[str, int], outcome: str, seen: int) -> None:
    """Data left, an error, a FIN that came before: then a RST may be."""
    talk, _, frame = reset_at_the_end(**fields)  # type: ignore[arg-type]
    verdict = ruling(talk, RULES, at=0)[CLOSED, 0]
    assert (verdict.outcome, verdict.seen) == (outcome, seen)
    if outcome == INCONCLUSIVE:
        assert verdict.frames[-1] == frame
        assert "reason=4" in verdict.why


def test_a_reset_before_the_end() -> None:
    """A subflow that was reset before the DATA_ACKs, or before it was established, is lawful."""
    talk, flow = begun()
    other = talk.joined()
    flow.data_fin(0)
    flow.data_fin(1)
    other.rst(0)
    flow.ack(0)
    flow.fin(0)
    verdict = ruling(talk, RULES, at=0)[CLOSED, 0]
    assert (verdict.outcome, verdict.seen, verdict.unseen) == (PASS, 1, 0)
    talk, flow = begun()
    closed(talk, flow)
    flow.fin(0)
    other = talk.flow()
    other.join_syn()
    other.join_synack()
    other.rst(0)
    verdict = ruling(talk, RULES, at=0)[CLOSED, 0]
    assert (verdict.outcome, verdict.seen, verdict.unseen) == (PASS, 1, 0)


def left_open(seconds: float, *, peer: bool = False) -> tuple[Conversation, int]:
    """A subflow that a host keeps for so long after the end; the frame of the last DATA_ACK."""
    talk, flow = begun()
    other = talk.joined()
    closed(talk, flow)
    known = talk.tape.last
    flow.fin(0)
    flow.fin(1)
    if peer:
        other.fin(1)
    talk.tape.wait(seconds - (talk.tape.last - known + 1) * 0.001)
    other.ack(0)
    return talk, known


def test_a_subflow_left_open() -> None:
    """A minute after the end a subflow without any FIN breaks two requirements."""
    talk, known = left_open(60)
    found = ruling(talk, RULES, at=0)
    for each in (CLOSED, FIN_ON_ALL):
        assert (found[each, 0].outcome, found[each, 0].subflow) == (FAIL, 1)
        assert found[each, 0].frames == (known, talk.tape.last)
        assert told(found, each, 1) == PASS
    for at, whole in ((None, True), (0, False)):
        assert told(ruling(talk, RULES, at=at, whole=whole), FIN_ON_ALL, 0) == PASS


def test_a_subflow_left_half_open() -> None:
    """If the peer has sent a FIN, only the courtesy is missing."""
    talk, known = left_open(60, peer=True)
    found = ruling(talk, RULES, at=0)
    assert (found[FIN_ON_ALL, 0].outcome, found[FIN_ON_ALL, 0].frames[0]) == (FAIL, known)
    assert told(found, CLOSED, 0) == PASS


def test_a_subflow_that_may_end_yet() -> None:
    """Before a minute has gone nothing is said."""
    talk, _ = left_open(59.9999)
    found = ruling(talk, RULES, at=0)
    assert (told(found, CLOSED, 0), told(found, FIN_ON_ALL, 0)) == (PASS, PASS)
    for each in (CLOSED, FIN_ON_ALL):
        assert (found[each, 0].seen, found[each, 0].unseen) == (1, 1)


def test_a_host_that_is_silent_after_the_end() -> None:
    """Whether a host that sends nothing is still there, nobody knows."""
    talk, flow = begun()
    talk.joined()
    closed(talk, flow)
    flow.fin(0)
    flow.fin(1)
    talk.tape.wait(70)
    flow.segment(1)
    found = ruling(talk, RULES, at=0)
    assert (told(found, CLOSED, 0), told(found, FIN_ON_ALL, 0)) == (INCONCLUSIVE, INCONCLUSIVE)


def test_a_subflow_that_the_peer_reset_needs_no_fin() -> None:
    """After a RST of the peer there is nothing to end."""
    talk, flow = begun()
    other = talk.joined()
    closed(talk, flow)
    other.rst(1, None, MpTcprst(reason=4))
    flow.fin(0)
    flow.fin(1)
    talk.tape.wait(70)
    flow.segment(0)
    found = ruling(talk, RULES, at=0)
    assert (told(found, FIN_ON_ALL, 0), found[FIN_ON_ALL, 0].unseen) == (PASS, 0)
