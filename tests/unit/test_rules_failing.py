"""Rules of MP_FAIL: where the failed data begins, and what it entails."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFail
from mptcp_oracle.rules.failing import FAIL_ANSWERED, FAIL_DSN, NEW_SUBFLOW, NOT_ACKED, RULES
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.ruling import FAIL, GRACE, INCONCLUSIVE, PASS, begun, ruling, told
from tests.common.tape import ACK, RST


def sent(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation in which the DSNs 41 to 50 of the initiator are not acknowledged yet."""
    talk, flow = begun(version=version)
    flow.data(0, b"c" * 10)
    return talk, flow


def fail(flow: Flow, role: int, dsn: int, flags: int = ACK, dack: int | None = None) -> int:
    """An MP_FAIL for a relative DSN, with a DATA_ACK if it is no RST; its frame."""
    talk = flow.talk
    option = talk.dss(role, dack=dack) if dack is not None else None
    return flow.segment(role, flags, option, MpFail(dsn=talk.absolute(1 - role, dsn)))


# The DSN


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("dsn", [1, 41])
def test_the_start_of_a_mapping(version: int, dsn: int) -> None:
    """The DSN of an MP_FAIL is that of any mapping that the peer had declared."""
    talk, flow = sent(version)
    fail(flow, 1, dsn)
    name = FAIL_DSN if version else "6824-3.6-mp-fail-dsn"
    for at in (None, 0, 1):
        assert told(ruling(talk, RULES, at=at), name, 1) == PASS


@pytest.mark.parametrize("dsn", [0, 2, 40, 42, 51, 101])
@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(1, True, FAIL), (1, False, INCONCLUSIVE), (0, True, INCONCLUSIVE),
     (None, True, INCONCLUSIVE)],
)  # fmt: skip
def test_no_start_of_a_mapping(dsn: int, at: int | None, whole: bool, outcome: str) -> None:
    """Another DSN is wrong where all that its sender got is known."""
    talk, flow = sent()
    frame = fail(flow, 1, dsn)
    verdict = ruling(talk, RULES, at=at, whole=whole)[FAIL_DSN, 1]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (frame,), 0)
    assert f"is relative DSN {dsn}, where no mapping of the initiator starts" in verdict.why


def test_a_mapping_that_comes_later() -> None:
    """What is declared after the MP_FAIL cannot have failed before."""
    talk, flow = sent()
    frame = fail(flow, 1, 51)
    flow.data(0, b"d" * 10)
    verdict = ruling(talk, RULES, at=1)[FAIL_DSN, 1]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))


def test_mappings_before_the_capture_began() -> None:
    """A capture that began late may lack the mapping."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn")
    flow.data(0, b"c" * 10)
    fail(flow, 1, 7)
    assert told(ruling(talk, RULES, at=1), FAIL_DSN, 1) == INCONCLUSIVE


def test_numbers_of_which_only_half_is_known() -> None:
    """If keys and wide numbers are missing, a 64-bit DSN cannot be compared."""
    talk = Conversation(wide=(False, False))
    flow = talk.flow()
    flow.handshake(missing="synack third")
    flow.data(0, b"c" * 10)
    flow.data(1, b"d" * 10)
    frame = fail(flow, 1, 1)
    found = ruling(talk, RULES, at=1)
    if found:
        assert (told(found, FAIL_DSN, 1), found[FAIL_DSN, 1].frames) == (INCONCLUSIVE, (frame,))
        assert told(found, NOT_ACKED, 1) is None


def test_the_answer_may_have_any_dsn() -> None:
    """Only MP_FAILs that answer none have to name what failed: the first, and those on RSTs."""
    talk, flow = sent()
    fail(flow, 1, 41)
    fail(flow, 0, 7)
    assert told(ruling(talk, RULES, at=0), FAIL_DSN, 0) is None
    frame = fail(flow, 0, 7, RST | ACK)
    verdict = ruling(talk, RULES, at=0)[FAIL_DSN, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))


# What failed is not acknowledged


def test_failed_data_acknowledged() -> None:
    """A DATA_ACK of what failed, and never came again, is wrong where all that came is known."""
    talk, flow = sent()
    first = fail(flow, 1, 41, dack=41)
    frame = flow.ack(1, dack=42)
    verdict = ruling(talk, RULES, at=1)[NOT_ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (FAIL, (first, frame))
    assert verdict.why.endswith("names DSN 41 (relative), and a later DATA_ACK is 42")
    for at, whole in ((0, True), (None, True), (1, False)):
        verdict = ruling(talk, RULES, at=at, whole=whole)[NOT_ACKED, 1]
        assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (first, frame))


def test_failed_data_not_acknowledged() -> None:
    """DATA_ACKs up to it, and those before the MP_FAIL, are right."""
    talk, flow = sent()
    flow.ack(1, dack=51)
    fail(flow, 1, 41, dack=41)
    flow.ack(1, dack=41)
    assert told(ruling(talk, RULES, at=1), NOT_ACKED, 1) == PASS


@pytest.mark.parametrize("again", ["tcp before", "tcp after", "remap", "other", "before"])
def test_failed_data_that_came_again(again: str) -> None:
    """Data that came a second time may be acknowledged, but for what TCP had sent again before."""
    talk, flow = sent()
    other = talk.joined()
    if again == "tcp before":
        flow.data(0, b"c" * 10, dsn=41, seq=41)
    if again == "before":
        other.data(0, b"c" * 10, dsn=41)
    fail(flow, 1, 41, dack=41)
    if again == "tcp after":
        flow.data(0, b"c" * 10, dsn=41, seq=41)
    elif again == "remap":
        flow.data(0, b"c" * 10, dsn=41)
    elif again == "other":
        other.data(0, b"c" * 10, dsn=41)
    flow.ack(1, dack=51)
    outcome = FAIL if again == "tcp before" else PASS
    assert told(ruling(talk, RULES, at=1), NOT_ACKED, 1) == outcome


def test_failed_data_that_may_have_come_unseen() -> None:
    """Signs of a path that was not captured leave a doubt."""
    talk, flow = sent()
    with talk.lost():
        flow.data(0, b"d" * 10)
    flow.data(0, b"e" * 10)
    fail(flow, 1, 41, dack=41)
    flow.ack(1, dack=71)
    assert told(ruling(talk, RULES, at=1), NOT_ACKED, 1) == INCONCLUSIVE


def test_data_acks_after_the_fallback() -> None:
    """Once the peer's infinite mapping has come, another requirement is about DATA_ACKs."""
    talk, flow = sent()
    fail(flow, 1, 41, dack=41)
    flow.data(0, b"e" * 5, mapping=Mapping(dsn=51, ssn=51, dll=0))
    flow.ack(1, dack=56)
    assert told(ruling(talk, RULES, at=1), NOT_ACKED, 1) == PASS


# The answer


@pytest.mark.parametrize(("seconds", "outcome"), [(GRACE, INCONCLUSIVE), (GRACE + 1e-6, FAIL)])
def test_an_unanswered_fail(seconds: float, outcome: str) -> None:
    """A host that goes on for a second and three round trips without MP_FAIL is wrong."""
    talk, flow = sent()
    frame = fail(flow, 1, 41, dack=41)
    first = flow.ack(0)
    talk.tape.wait(seconds - 0.002)
    flow.ack(0)
    verdict = ruling(talk, RULES, at=0)[FAIL_ANSWERED, 0]
    assert verdict.outcome == outcome
    if outcome == FAIL:
        assert (verdict.frames, verdict.severity) == ((frame, first), "violation")
        for at, whole in ((1, True), (0, False)):
            assert told(ruling(talk, RULES, at=at, whole=whole), FAIL_ANSWERED, 0) == INCONCLUSIVE


def test_a_fail_with_an_infinite_mapping_for_answer() -> None:
    """An infinite mapping shows that the MP_FAIL was heard; MP_FAIL has to come all the same."""
    talk, flow = sent()
    frame = fail(flow, 1, 41, dack=41)
    first = flow.data(0, b"e" * 5, mapping=Mapping(dsn=51, ssn=51, dll=0))
    verdict = ruling(talk, RULES, at=0)[FAIL_ANSWERED, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame, first))


@pytest.mark.parametrize("before", [False, True])
def test_an_answered_fail(before: bool) -> None:
    """MP_FAIL in the other direction answers, also if both crossed."""
    talk, flow = sent()
    if before:
        fail(flow, 0, 1, dack=1)
    fail(flow, 1, 41, dack=41)
    if not before:
        fail(flow, 0, 1, dack=61)
    found = ruling(talk, RULES)
    assert told(found, FAIL_ANSWERED, 0 if not before else 1) == PASS


@pytest.mark.parametrize("case", ["reset", "other subflow", "version 0", "answered by rst"])
def test_no_answer_is_due(case: str) -> None:
    """An MP_FAIL on a RST, or beside another subflow, or of version 0, needs none."""
    talk, flow = sent(0 if case == "version 0" else 1)
    if case == "other subflow":
        talk.joined()
    fail(flow, 1, 41, RST | ACK if case == "reset" else ACK)
    if case == "answered by rst":
        flow.rst(0)
    else:
        talk.tape.wait(3)
        flow.ack(0)
    assert told(ruling(talk, RULES, at=0), FAIL_ANSWERED, 0) is None


@pytest.mark.parametrize(
    ("end", "due"),
    [("rst", True), ("fins", True), ("fin of 0", False), ("fin of 1", False)],
)
def test_other_subflows_that_have_ended(end: str, due: bool) -> None:
    """What was reset, or ended by both hosts, is no other subflow."""
    talk, flow = sent()
    other = talk.joined()
    if end == "rst":
        other.rst(1)
    for role in (0, 1):
        if end in ("fins", f"fin of {role}"):
            other.fin(role)
    fail(flow, 1, 41)
    talk.tape.wait(3)
    flow.ack(0)
    assert told(ruling(talk, RULES, at=0), FAIL_ANSWERED, 0) == (FAIL if due else None)


# A new subflow


def rejoined(
    *, infinite: bool = False, opener: int = 0, beside: bool = False, apart: float = 0.1
) -> tuple[Conversation, int, int]:
    """A RST with MP_FAIL, a new subflow, data on it; the frames of RST and data."""
    talk, flow = sent()
    if beside:
        talk.joined()
    frame = fail(flow, 1, 41, RST | ACK)
    talk.tape.wait(apart - 0.001)
    other = talk.joined(opener=opener)
    mapping = Mapping(dsn=41, ssn=1, dll=0 if infinite else 10)
    return talk, frame, other.data(0, b"c" * 10, mapping=mapping, dack=None)


@pytest.mark.parametrize(("at", "outcome"), [(0, FAIL), (1, INCONCLUSIVE), (None, INCONCLUSIVE)])
def test_a_mapping_that_ends_on_a_new_subflow(at: int | None, outcome: str) -> None:
    """After MP_FAIL on the RST of the only subflow a new one gets an infinite mapping at once."""
    talk, frame, data = rejoined()
    verdict = ruling(talk, RULES, at=at, whole=False)[NEW_SUBFLOW, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (frame, data), 1)
    assert verdict.severity == "warning"


def test_an_infinite_mapping_on_a_new_subflow() -> None:
    """That is right."""
    talk, _, _ = rejoined(infinite=True)
    assert told(ruling(talk, RULES, at=0), NEW_SUBFLOW, 0) == PASS


@pytest.mark.parametrize(
    "fields", [{"opener": 1}, {"beside": True}, {"apart": 0.020}], ids=lambda each: str(each)
)
def test_new_subflows_that_are_free(fields: dict[str, float]) -> None:
    """Of the other host, beside another subflow, or begun about when the RST came."""
    talk, _, _ = rejoined(**fields)  # type: ignore[arg-type]
    assert told(ruling(talk, RULES, at=None if "apart" in fields else 0), NEW_SUBFLOW, 0) is None


def test_a_new_subflow_without_data() -> None:
    """Without data nothing is mapped, and nothing said."""
    talk, flow = sent()
    fail(flow, 1, 41, RST | ACK)
    talk.joined()
    assert told(ruling(talk, RULES, at=0), NEW_SUBFLOW, 0) is None


@pytest.mark.parametrize("version", [0, 1])
def test_the_same_in_version_0(version: int) -> None:
    """Version 0 has the same requirement."""
    talk, flow = sent(version)
    fail(flow, 1, 41, RST | ACK)
    talk.joined().data(0, b"c" * 10, dsn=41)
    name = NEW_SUBFLOW if version else "6824-3.6-new-subflow-infinite-mapping"
    assert told(ruling(talk, RULES, at=0), name, 0) == FAIL
