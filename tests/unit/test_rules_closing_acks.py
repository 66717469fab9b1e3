"""Rules of the DATA_FIN: its DATA_ACK, and what comes after those of both hosts."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFail
from mptcp_oracle.rules.closing import ACKED, NO_MORE, RULES
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.ruling import (
    FAIL,
    GRACE,
    INCONCLUSIVE,
    PASS,
    begun,
    closed,
    ruling,
    told,
)
from tests.common.tape import ACK, Tape

# Its DATA_ACK


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(1, True, FAIL), (1, False, INCONCLUSIVE), (0, True, INCONCLUSIVE)],
)
def test_a_data_ack_beyond_the_data_fin(at: int, whole: bool, outcome: str) -> None:
    """A DATA_ACK of more than the DATA_FIN is wrong, at the host that knows what it got."""
    talk, flow = begun()
    fin = flow.data_fin(0)
    flow.ack(1)
    frame = flow.ack(1, dack=43)
    verdict = ruling(talk, RULES, at=at, whole=whole)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (outcome, (fin, frame))
    assert "DSN 41" in verdict.why
    assert "DATA_ACK of 43, beyond 42" in verdict.why


@pytest.mark.parametrize("more", ["data", "data_fin"])
def test_a_data_ack_of_what_follows_a_data_fin(more: str) -> None:
    """If the sender of the DATA_FIN goes on, who acknowledges that is not proven wrong."""
    talk, flow = begun()
    flow.data_fin(0)
    if more == "data":
        flow.data(0, b"c" * 5, dsn=42)
    else:
        flow.data_fin(0, dsn=45)
    flow.ack(1)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == INCONCLUSIVE


def test_a_data_ack_over_a_hole() -> None:
    """Whether all data came before the DATA_FIN was acknowledged, a hole does not tell."""
    talk, flow = begun()
    with talk.lost():
        flow.data(0, b"c" * 5)
    fin = flow.data_fin(0)
    flow.ack(1)
    verdict = ruling(talk, RULES, at=1)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (fin,))
    assert "from DSN 41 on" in verdict.why


def unanswered(
    seconds: float, *, checksum: bool = False, data: bool = False
) -> tuple[Conversation, Flow, tuple[int, int]]:
    """A DATA_FIN, and so much later a DATA_ACK of the data before it only, perhaps with data."""
    talk, flow = begun(checksum=checksum)
    flow.ack(1)
    fin = flow.data_fin(0)
    talk.tape.wait(seconds - 0.001)
    answer = flow.data(1, b"d" * 5, dack=41) if data else flow.ack(1, dack=41)
    return talk, flow, (fin, answer)


@pytest.mark.parametrize("fields", [{}, {"checksum": True}, {"data": True}], ids=str)
def test_a_data_fin_never_acknowledged(fields: dict[str, bool]) -> None:
    """A DATA_ACK that stays at the DATA_FIN is wrong after a second and three round trips."""
    talk, _, frames = unanswered(GRACE + 1e-6, **fields)
    verdict = ruling(talk, RULES, at=1)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (FAIL, frames)
    assert "1.0 seconds later" in verdict.why
    assert told(ruling(talk, RULES, at=1), ACKED, 0) is None
    for at, whole in ((0, True), (1, False)):
        verdict = ruling(talk, RULES, at=at, whole=whole)[ACKED, 1]
        assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, frames)


def test_a_data_fin_of_the_listener_never_acknowledged() -> None:
    """Either host may be the one that does not acknowledge."""
    talk, flow = begun()
    fin = flow.data_fin(1)
    talk.tape.wait(GRACE)
    frame = flow.ack(0, dack=61)
    verdict = ruling(talk, RULES, at=0)[ACKED, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (fin, frame))


def test_a_data_fin_not_acknowledged_yet() -> None:
    """Before that time nothing is known."""
    talk, _, frames = unanswered(GRACE)
    verdict = ruling(talk, RULES, at=1)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, frames[:1])


def test_the_time_begins_when_all_data_has_come() -> None:
    """A DATA_FIN that came before the last data is not overdue when that has just come."""
    talk, flow = begun()
    flow.data_fin(0, dsn=46)
    talk.tape.wait(5)
    flow.data(0, b"c" * 5)
    flow.ack(1, dack=46)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == INCONCLUSIVE
    talk.tape.wait(GRACE)
    flow.ack(1, dack=46)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == FAIL


@pytest.mark.parametrize(
    "excuse", ["window", "resent", "behind", "fastclose", "fail", "ended", "checksum", "less"]
)
def test_reasons_not_to_acknowledge_a_data_fin(excuse: str) -> None:
    """A closed window, old words, a gap on the subflow and its like leave a doubt."""
    talk, flow = begun(checksum=excuse == "checksum")
    flow.ack(1)
    if excuse == "ended":
        flow.fin(1)
    if excuse == "checksum":
        option = talk.dss(0, Mapping(dsn=41, ssn=0, dll=1, fin=True, checksum=1), dack=61)
        flow.segment(0, ACK, option)
    elif excuse == "behind":
        flow.next[0] = 50
        flow.data_fin(0)
    else:
        flow.data_fin(0)
    if excuse == "fastclose":
        flow.fastclose(0)
    if excuse == "fail":
        flow.segment(1, ACK, MpFail(dsn=talk.absolute(0, 1)))
    talk.tape.wait(3)
    if excuse == "resent":
        flow.data(1, b"b" * 60, dsn=1, seq=1, dack=41)
    else:
        acked = {"behind": {"ack": 41}, "window": {"window": 0}}.get(excuse, {})
        flow.ack(1, dack=40 if excuse == "less" else 41, **acked)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == INCONCLUSIVE


@pytest.mark.parametrize("removed", [0, 1, None])
@pytest.mark.parametrize("valid", [True, False])
def test_a_data_fin_on_a_path_that_is_no_more(removed: int | None, valid: bool) -> None:
    """Of a subflow that either host withdrew, or that was never established, nobody has to hear."""
    talk, flow = begun()
    flow.ack(1)
    other = talk.flow(address_ids=(4, 5))
    other.join_syn()
    other.join_synack(hmac=None if valid else bytes(8))
    other.join_ack()
    other.ack(1)
    if removed is not None:
        flow.remove_addr(removed, 4 + removed)
    other.data_fin(0)
    talk.tape.wait(3)
    flow.ack(1, dack=41)
    outcome = FAIL if valid and removed is None else INCONCLUSIVE
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == outcome


# The end


def test_a_join_after_the_end() -> None:
    """A join after both DATA_ACKs is its sender's mistake, if the capture was made there."""
    talk, flow = begun()
    closed(flow)
    ends = (talk.tape.last - 1, talk.tape.last)
    join = talk.flow().join_syn()
    found = ruling(talk, RULES, at=0)
    assert (found[NO_MORE, 0].outcome, found[NO_MORE, 0].frames) == (FAIL, (*ends, join))
    assert told(found, NO_MORE, 1) == PASS
    assert "a join after both" in found[NO_MORE, 0].why


def test_a_join_whose_first_syn_may_be_missing() -> None:
    """It may have been sent before the end, if the capture is not known to be whole."""
    talk, flow = begun()
    closed(flow)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES, at=0, whole=False), NO_MORE, 0) == INCONCLUSIVE


def test_a_join_by_the_listener_after_the_end() -> None:
    """Of a join by the listener, the listener is the sender."""
    talk, flow = begun()
    closed(flow)
    talk.flow(opener=1).join_syn()
    found = ruling(talk, RULES, at=1)
    assert (told(found, NO_MORE, 0), told(found, NO_MORE, 1)) == (PASS, FAIL)


@pytest.mark.parametrize(("apart", "outcome"), [(0.020, PASS), (0.020001, INCONCLUSIVE)])
def test_a_join_at_about_the_end(apart: float, outcome: str) -> None:
    """Elsewhere it is a doubt, and only if it came clearly later."""
    talk, flow = begun()
    closed(flow)
    talk.tape.wait(apart - 0.001)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES), NO_MORE, 0) == outcome


@pytest.mark.parametrize(("apart", "outcome"), [(0.001, PASS), (0.001001, FAIL)])
def test_a_join_at_about_the_end_on_all_interfaces(apart: float, outcome: str) -> None:
    """What one machine captures on all interfaces at once has no order within a millisecond."""
    talk, flow = begun(Tape("sll2"), captured_at=0)
    closed(flow)
    talk.tape.wait(apart - 0.001)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES), NO_MORE, 0) == outcome


def test_a_join_before_the_end() -> None:
    """A join that began before, or that goes on after it, is lawful."""
    talk, flow = begun()
    other = talk.flow()
    other.join_syn()
    closed(flow)
    other.join_synack()
    other.join_ack()
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) == PASS


def test_an_address_after_the_end() -> None:
    """An ADD_ADDR after the end is wrong; the echo of one, and one that is sent again, are not."""
    talk, flow = begun()
    flow.add_addr(1, "10.0.1.2")
    closed(flow)
    flow.add_addr(0, "10.0.1.2", echo=True)
    flow.add_addr(1, "10.0.1.2")
    found = ruling(talk, RULES, at=1)
    assert (told(found, NO_MORE, 0), told(found, NO_MORE, 1)) == (PASS, PASS)
    flow.add_addr(1, "10.0.2.2", address_id=6)
    verdict = ruling(talk, RULES, at=1)[NO_MORE, 1]
    assert (verdict.outcome, verdict.frames[-1]) == (FAIL, talk.tape.last)
    assert "add_addr v1 address_id=6" in verdict.why


def test_data_after_the_end() -> None:
    """New data after the end is wrong; old data is not."""
    talk, flow = begun()
    closed(flow)
    flow.data(0, b"a" * 40, dsn=1)
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) == PASS
    flow.data(0, b"c" * 5, dsn=43)
    found = ruling(talk, RULES, at=0)
    assert (found[NO_MORE, 0].outcome, found[NO_MORE, 0].frames[-1]) == (FAIL, talk.tape.last)
    assert found[NO_MORE, 0].why.startswith("new data")
    assert told(ruling(talk, RULES, at=1), NO_MORE, 0) == INCONCLUSIVE


def test_data_after_the_end_whose_place_is_inferred() -> None:
    """Where mappings alone say which octets they cover, new data is a doubt here, too."""
    talk = Conversation()
    first = talk.opened()
    flow = talk.flow()
    flow.join(missing="syn synack third")
    for _ in range(3):
        flow.data(0, b"c" * 5)
    flow.data(1, b"d" * 5)
    closed(first)
    talk.tape.wait(1)
    flow.data(0, b"e" * 5)
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) == INCONCLUSIVE


def test_one_data_fin_does_not_end_a_connection() -> None:
    """Half-close: a join after one DATA_FIN is lawful."""
    talk, flow = begun()
    flow.data_fin(0)
    flow.ack(1)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) is None
