"""Rules of the ends of subflows: with a DATA_FIN, and after the end of the connection."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpTcprst
from mptcp_oracle.rules.closing import RULES
from mptcp_oracle.rules.finishing import CLOSED, FIN_ON_ALL, WITH_FIN
from tests.common.conversation import Conversation, Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, begun, closed, ruling, told
from tests.common.tape import ACK, FIN

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
    closed(flow)
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
    closed(flow)
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
    closed(flow)
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
    closed(flow)
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
    closed(flow)
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
    closed(flow)
    other.rst(1, None, MpTcprst(reason=4))
    flow.fin(0)
    flow.fin(1)
    talk.tape.wait(70)
    flow.segment(0)
    found = ruling(talk, RULES, at=0)
    assert (told(found, FIN_ON_ALL, 0), found[FIN_ON_ALL, 0].unseen) == (PASS, 0)
