"""What rules say of when a host may join, and where to."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpCapable
from mptcp_oracle.rules import first_joins
from mptcp_oracle.rules.context import JITTER
from tests.common.conversation import Conversation, Flow
from tests.common.hello import C, H, form
from tests.common.joinery import HOSTS, Said, said
from tests.common.tape import ACK, PSH

AFTER_DSS = {1: "8684-3.1-23", 0: "6824-3.1-15"}
NOT_CLOSED = "8684-3.1-27"
STEP = 1_000_000


def joins(talk: Conversation, **claims) -> Said:
    """What the rules of first joins say."""
    return said(talk, first_joins.RULES, **claims)


def joining(
    version: int = 1, opener: int = 0, *, apart: int | None = None, missing: str = ""
) -> tuple[Conversation, int]:
    """A join by a host, and a DSS of the other one, so many nanoseconds before it; the SYN's frame.

    Without ``apart`` there is none.
    """
    talk = Conversation(version=version)
    flow = talk.flow()
    flow.handshake(missing=missing)
    second = talk.flow(opener=opener)
    steps = [second.join_syn]
    if apart is not None:
        steps.insert(0 if apart >= 0 else 1, lambda: flow.ack(1 - opener))
    frames = []
    for step in steps:
        frames.append(step())
        talk.tape.now += abs(apart or 0) - talk.tape.step
    return talk, frames[0 if apart is None or apart < 0 else 1]


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_join_before_a_dss(version, opener):
    """A join with no DSS before it is wrong, if all that came to the host was captured there."""
    for apart in (None, -20_001, -5_000_000_000):
        talk, frame = joining(version, opener, apart=apart)
        found = joins(talk, at=opener)
        assert found.failed() == {(AFTER_DSS[version], HOSTS[opener])}
        verdict = found.of(AFTER_DSS[version], opener)
        assert (verdict.frames, verdict.subflow) == ((frame,), 1)
        assert f"no DSS of the {HOSTS[1 - opener]} had come" in verdict.why
        assert ("the first one came in frame 5" in verdict.why) is (apart is not None)
        for claims in ({"at": opener, "whole": False}, {"at": 1 - opener}, {}):
            found = joins(talk, **claims)
            assert found.outcome(AFTER_DSS[version], opener) == "inconclusive"
            assert "may be missing" in found.of(AFTER_DSS[version], opener).why
            assert not found.failed()


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_join_after_a_dss(version, opener):
    """At the host that joins, the order of what came and what it sent is what it is."""
    for apart in (20_001, STEP, 5_000_000_000):
        talk, _ = joining(version, opener, apart=apart)
        for whole in (True, False):
            found = joins(talk, at=opener, whole=whole)
            assert found.outcome(AFTER_DSS[version], opener) == "pass"
            assert found.of(AFTER_DSS[version], opener).seen == 1


@pytest.mark.parametrize("apart", [-20_000, -1, 0, 1, 20_000])
def test_join_and_dss_at_once(apart):
    """Two interfaces of a host may note in either order what passes at the same time."""
    talk, _ = joining(apart=apart)
    found = joins(talk, at=0)
    assert found.outcome(AFTER_DSS[1], 0) == "inconclusive"
    assert "both passed at the same time" in found.of(AFTER_DSS[1], 0).why


@pytest.mark.parametrize(("more", "outcome"), [(0, "inconclusive"), (1, "pass")])
def test_dss_seen_elsewhere(more, outcome):
    """Elsewhere, a DSS has arrived for sure only after a round trip and some jitter."""
    # The round trip of the handshake is two steps of the tape.
    talk, _ = joining(apart=2 * STEP + JITTER + more)
    for claims in ({"at": 1}, {}):
        found = joins(talk, **claims)
        assert found.outcome(AFTER_DSS[1], 0) == outcome
        assert found.of(AFTER_DSS[1], 0).unseen == 1 - more
    if not more:
        assert "is not known" in joins(talk).of(AFTER_DSS[1], 0).why


def test_each_join_is_looked_at():
    """What cannot be said of a first join may be known of a later one."""
    talk, _ = joining(apart=STEP)
    talk.tape.wait(1)
    talk.flow().join_syn()
    found = joins(talk)
    assert found.outcome(AFTER_DSS[1], 0) == "pass"
    assert (found.of(AFTER_DSS[1], 0).seen, found.of(AFTER_DSS[1], 0).unseen) == (1, 1)


def test_round_trip_that_is_not_known():
    """Without a round trip nobody knows how long a DSS is under way."""
    talk, _ = joining(apart=5_000_000_000, missing="third")
    assert joins(talk).outcome(AFTER_DSS[1], 0) == "inconclusive"
    assert joins(talk, at=0).outcome(AFTER_DSS[1], 0) == "pass"


def test_late_capture():
    """Before a capture that begins late, a DSS may have come."""
    talk, _ = joining(missing="syn")
    found = joins(talk, at=0)
    assert found.outcome(AFTER_DSS[1], 0) == "inconclusive"
    assert found.of(AFTER_DSS[1], 0).unseen == 1
    assert "beginning is not in the capture" in found.of(AFTER_DSS[1], 0).why


def test_first_data_counts_as_dss():
    """For the listener, an MP_CAPABLE with data is as good as a DSS; a third packet is not."""
    for data in (False, True):
        talk = Conversation()
        flow = talk.opened()
        if data:
            flow.first_data(b"first")
        talk.flow(opener=1).join_syn()
        assert joins(talk, at=1).outcome(AFTER_DSS[1], 1) == ("pass" if data else "fail")


def test_dss_of_another_subflow_does_not_count():
    """The DSS has to come over the initial subflow."""
    talk = Conversation()
    flow = talk.opened()
    second = talk.flow()
    second.join()
    talk.flow().join_syn()
    found = joins(talk, at=0)
    assert found.outcome(AFTER_DSS[1], 0) == "fail"
    assert found.of(AFTER_DSS[1], 0).frames == (4,)
    flow.ack(1)
    talk.flow().join_syn()
    assert joins(talk, at=0).of(AFTER_DSS[1], 0).seen == 1


def test_joins_without_a_syn():
    """A joined subflow whose SYN is missing is not looked at."""
    talk = Conversation()
    talk.opened()
    talk.flow().join(missing="syn")
    assert joins(talk, at=0) == {}


def test_connections_without_joins():
    """Where nobody joins, nothing is to be said."""
    talk = Conversation(flag_c=(True, True))
    talk.opened()
    assert joins(talk, at=0) == {}


# --------------------------------------------------------------------------- flag C


def closed(
    opener: int, *, flags: tuple[bool, bool] = (True, True), beside: int = 0, **settings
) -> tuple[Conversation, Flow, Flow]:
    """A connection of hosts with flag C, and a join to the initial address of the other one."""
    talk = Conversation(flag_c=flags, **settings)
    flow = talk.opened()
    flow.ack(1 - opener)
    address, port = flow.ends[1 - opener]
    ends = [("10.0.9.9", 50_000), (address, port + beside)]
    addresses, ports = zip(*(ends if opener == 0 else ends[::-1]), strict=True)
    second = talk.flow(opener=opener, addresses=addresses, ports=ports)
    return talk, flow, second


@pytest.mark.parametrize("opener", [0, 1])
def test_join_to_a_closed_address(opener):
    """Nobody joins the address and port from which a host sent flag C, wherever it is seen."""
    flags = (opener == 1, opener == 0)
    talk, _, second = closed(opener, flags=flags)
    frame = second.join_syn()
    for claims in ({"at": opener}, {"whole": False}):
        found = joins(talk, **claims)
        assert (NOT_CLOSED, HOSTS[opener]) in found.failed()
        verdict = found.of(NOT_CLOSED, opener)
        assert (verdict.frames, verdict.subflow) == ((2 if opener == 0 else 1, frame), 1)
        assert f"a join to {second.ends[1 - opener][0]}:" in verdict.why


@pytest.mark.parametrize("opener", [0, 1])
def test_join_that_is_allowed(opener):
    """Without flag C of the other host, and to another port, joins are welcome."""
    talk, _, second = closed(opener, flags=(opener == 0, opener == 1))
    second.join_syn()
    assert joins(talk).outcome(NOT_CLOSED, opener) == "not_exercised"
    for beside in (-1, 1):
        talk, _, second = closed(opener, beside=beside)
        second.join_syn()
        found = joins(talk)
        assert found.outcome(NOT_CLOSED, opener) == "pass"
        assert found.of(NOT_CLOSED, opener).seen == 1


def test_announced_although_closed():
    """Of an address that is announced as well, the RFC does not say what flag C means."""
    for address, outcome in (("10.0.0.2", "inconclusive"), ("10.0.0.3", "fail")):
        talk, flow, second = closed(0)
        flow.add_addr(1, address)
        second.join_syn()
        found = joins(talk)
        assert found.outcome(NOT_CLOSED, 0) == outcome
        assert ("ADD_ADDR" in found.of(NOT_CLOSED, 0).why) is (outcome == "inconclusive")
    # An echo announces nothing, and neither does what comes later or from the joiner.
    talk, flow, second = closed(0)
    flow.add_addr(1, "10.0.0.2", echo=True)
    flow.add_addr(0, "10.0.0.2")
    second.join_syn()
    flow.add_addr(1, "10.0.0.2")
    assert joins(talk).outcome(NOT_CLOSED, 0) == "fail"


def test_flag_c_that_comes_later():
    """A flag that was sent after the join was not known."""
    talk, flow, second = closed(1, flags=(False, False))
    second.join_syn()
    late = form("data")
    flow.segment(0, ACK | PSH, MpCapable(
        version=1, flags=C | H, sender_key=late.sender_key, receiver_key=late.receiver_key,
        data_length=5,
    ), payload=b"first")  # fmt: skip
    assert joins(talk).outcome(NOT_CLOSED, 1) == "not_exercised"


def test_flag_c_is_a_crypto_flag_in_version_0():
    """Version 0 knows no flag C."""
    talk, _, second = closed(0, version=0)
    second.join_syn()
    assert joins(talk).outcome(NOT_CLOSED, 0) == "not_exercised"
