"""Rules of the ends of subflows: the last one not too early."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFail
from mptcp_oracle.rules.closing import RULES
from mptcp_oracle.rules.finishing import CLOSED, FIN_ON_ALL, KEPT_OPEN, WITH_FIN
from tests.common.conversation import Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, begun, closed, ruling, told
from tests.common.tape import ACK, FIN, PSH, RST


@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_end(at: int | None) -> None:
    """FINs on all subflows after both DATA_FINs were acknowledged are right."""
    talk, flow = begun()
    other = talk.joined()
    closed(flow)
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


@pytest.mark.parametrize(("by", "outcome"), [(1, INCONCLUSIVE), (0, FAIL)])
def test_ends_after_a_failure(by: int, outcome: str) -> None:
    """After the peer's MP_FAIL TCP alone counts, also for who has no more data to send."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    flow.segment(by, ACK, MpFail(dsn=talk.absolute(1 - by, 41)))
    flow.segment(0, FIN | ACK)
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
