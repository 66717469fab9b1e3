"""What rules say of how version 0 sends ADD_ADDR and REMOVE_ADDR."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mptcp_oracle.options import AddAddr, RemoveAddr
from mptcp_oracle.rules import spreading
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import HOSTS, Said, said

EVERYWHERE, ONE_A_TRIP = "6824-3.4.1-03", "6824-3.4.1-04"
ONE, TWO = "192.0.2.1", "192.0.2.2"
#: A second and three round trips of the handshake, of two milliseconds each.
GRACE = 1.006


def found(talk: Conversation, **claims) -> Said:
    """What the rules say."""
    return said(talk, spreading.RULES, **claims)


def opened(version: int = 0, subflows: int = 2) -> tuple[Conversation, list[Flow]]:
    """A conversation with some subflows, all established."""
    talk = Conversation(version=version)
    flows = [talk.opened()]
    flows += [talk.joined() for _ in range(subflows - 1)]
    talk.tape.wait(1)
    return talk, flows


def add(address_id: int = 5, address: str = ONE) -> AddAddr:
    """An ADD_ADDR of version 0."""
    return AddAddr(version=0, address_id=address_id, address=ip_address(address))


# --------------------------------------------------------------------------- all subflows


@pytest.mark.parametrize("role", [0, 1])
def test_sent_on_one_of_two(role):
    """An ADD_ADDR that goes out on one of two subflows only is worth a note, at its sender."""
    talk, (_, second) = opened()
    frame = second.add_addr(role, ONE)
    talk.tape.wait(2)
    second.ack(1 - role)
    what = found(talk, at=role)
    assert what.failed() == {(EVERYWHERE, HOSTS[role])}
    verdict = what.of(EVERYWHERE, role)
    assert (verdict.severity, verdict.frames, verdict.subflow) == ("note", (frame,), 1)
    assert f"not sent on subflow 0, which the {HOSTS[role]} has" in verdict.why
    for claims in ({"at": role, "whole": False}, {"at": 1 - role}, {}):
        assert found(talk, **claims).outcome(EVERYWHERE, role) == "inconclusive"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_sent_on_all(order):
    """An ADD_ADDR that goes out on all subflows is right; each address by itself."""
    talk, flows = opened(subflows=3)
    for at in order:
        flows[at].add_addr(1, ONE)
    talk.tape.wait(2)
    flows[0].ack(0)
    what = found(talk, at=1)
    assert what.of(EVERYWHERE, 1).seen == 1
    assert what.outcome(EVERYWHERE, 1) == "pass"
    flows[0].add_addr(1, TWO)
    talk.tape.wait(2)
    flows[0].ack(0)
    assert found(talk, at=1).outcome(EVERYWHERE, 1) == "fail"


def test_one_subflow_or_version_1():
    """With one subflow there is nothing to choose, and version 1 has echoes instead."""
    talk, (flow,) = opened(subflows=1)
    flow.add_addr(1, ONE)
    talk.tape.wait(2)
    flow.ack(0)
    assert found(talk, at=1) == {}
    talk, flows = opened(version=1)
    flows[0].add_addr(1, ONE)
    talk.tape.wait(2)
    flows[0].ack(0)
    assert found(talk, at=1) == {}


def test_time_for_the_other_subflows():
    """A copy is still to come until a second and three round trips have passed."""
    outcomes = []
    for rest in (GRACE, GRACE + 0.000_001):
        talk, flows = opened()
        flows[0].add_addr(1, ONE)
        talk.tape.now -= talk.tape.step
        talk.tape.wait(rest)
        flows[0].ack(0)
        outcomes.append(found(talk, at=1).outcome(EVERYWHERE, 1))
    assert outcomes == ["inconclusive", "fail"]


@pytest.mark.parametrize(
    ("gap", "payload", "outcome"),
    [(0.020, b"", "inconclusive"), (0.021, b"", "fail"), (0.021, b"x", "inconclusive")],
)
def test_occasion_that_passes(gap, payload, outcome):
    """A pure ACK on the other subflow, clearly later, would have had room for a copy."""
    talk, flows = opened()
    flows[0].add_addr(1, ONE)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    if payload:
        flows[1].data(1, payload)
    else:
        flows[1].ack(1)
    assert found(talk, at=1).outcome(EVERYWHERE, 1) == outcome


@pytest.mark.parametrize("end", ["fin", "rst", "fin of the peer", "withdrawn", "peer withdrew"])
def test_subflows_that_are_not_there(end):
    """A subflow that has ended, or whose address is gone, is not available."""
    talk, flows = opened()
    if "withdr" in end:
        flows[0].remove_addr(int(end == "withdrawn"), 1)
    elif end == "rst":
        flows[1].rst(1)
    else:
        flows[1].fin(int(end == "fin"))
    flows[0].add_addr(1, ONE)
    talk.tape.wait(2)
    flows[0].ack(0)
    assert (EVERYWHERE, HOSTS[1]) not in found(talk, at=1)


def test_subflow_that_ends_soon():
    """A subflow that ends before a copy was due may have ended without."""
    talk, flows = opened()
    flows[0].add_addr(1, ONE)
    flows[1].rst(0)
    talk.tape.wait(2)
    flows[0].ack(1)
    assert found(talk, at=1).outcome(EVERYWHERE, 1) == "inconclusive"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("opener", "missing"), [(0, 1), (1, 0)])
def test_joins_under_way(opener, missing, when):
    """A join counts from when its host may send: the joiner by the fourth packet, not before."""
    talk, (flow,) = opened(subflows=1)
    other = talk.flow(opener=opener)
    other.join_syn()
    other.join_synack()
    if when == "after":
        flow.add_addr(opener, ONE)
        flow.add_addr(missing, TWO)
    other.join_ack()
    if when == "before":
        flow.add_addr(opener, ONE)
        flow.add_addr(missing, TWO)
    other.ack(missing)
    talk.tape.wait(3)
    flow.ack(0)
    for role in (0, 1):
        expected = "fail" if when == "before" and role == missing else "not_exercised"
        assert found(talk, at=role).outcome(EVERYWHERE, role) == expected


def test_withdrawal_is_of_no_concern():
    """Which subflows are left after a REMOVE_ADDR nobody knows."""
    talk, flows = opened()
    flows[0].remove_addr(1, 7)
    talk.tape.wait(2)
    flows[0].ack(1)
    assert (EVERYWHERE, HOSTS[1]) not in found(talk, at=1)


# --------------------------------------------------------------------------- one a round trip


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize(("gap", "outcome"), [(0.000_999, "fail"), (0.001, "pass")])
def test_two_in_one_round_trip(role, gap, outcome):
    """Two addresses within the least round trip are worth a note; the trip is a millisecond."""
    talk, (flow,) = opened(subflows=1)
    first = flow.add_addr(role, ONE, address_id=1)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    second = flow.add_addr(role, TWO, address_id=2)
    what = found(talk, at=role)
    assert what.outcomes(ONE_A_TRIP, host=role) == [outcome]
    assert what.outcome(ONE_A_TRIP, 1 - role) == "not_exercised"
    if outcome == "fail":
        verdict = what.of(ONE_A_TRIP, role)
        assert (verdict.severity, verdict.frames, verdict.subflow) == ("note", (first, second), 0)
        assert "after 0.999 ms; a round trip takes 1.000 ms or more" in verdict.why
    for claims in ({"at": role, "whole": False}, {"at": 1 - role}, {}):
        assert found(talk, **claims).outcome(ONE_A_TRIP, role) == "inconclusive"


def test_syn_sent_again():
    """The round trip is at least that from the last SYN before its answer."""
    talk = Conversation(version=0)
    flow = talk.flow()
    flow.syn()
    talk.tape.wait(1)
    flow.handshake()
    for at in (1, 2):
        flow.add_addr(0, f"192.0.2.{at}", address_id=at)
    assert found(talk, at=0).outcome(ONE_A_TRIP, 0) == "pass"
    talk.tape.now -= 1
    flow.add_addr(0, ONE, address_id=3)
    assert found(talk, at=0).outcome(ONE_A_TRIP, 0) == "fail"


@pytest.mark.parametrize("missing", ["syn", "synack", "third"])
@pytest.mark.parametrize("role", [0, 1])
def test_round_trip_that_is_not_known(role, missing):
    """Without both messages of a handshake no round trip is known."""
    talk = Conversation(version=0)
    flow = talk.flow()
    flow.handshake(missing=missing)
    for at in (1, 2):
        talk.tape.now -= 1
        flow.add_addr(role, f"192.0.2.{at}", address_id=at)
    known = missing == ("third", "syn")[role]
    assert found(talk, at=role).outcome(ONE_A_TRIP, role) == ("fail" if known else "inconclusive")


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ((add(1), add(2, TWO)), "fail"),
        ((add(1), add(1, TWO)), "not_exercised"),
        ((add(1), add(1)), "not_exercised"),
        ((RemoveAddr(address_ids=(3, 1)), add(1)), "fail"),
        ((add(1), RemoveAddr(address_ids=(3, 1))), "fail"),
        ((RemoveAddr(address_ids=(3,)), add(1)), "not_exercised"),
        ((RemoveAddr(address_ids=(3,)), RemoveAddr(address_ids=(4,))), "not_exercised"),
        ((add(1), RemoveAddr(address_ids=(9,)), add(2)), "fail"),
    ],
)
def test_options_of_which_order_may_matter(options, outcome):
    """Order matters to different addresses, and to the coming and going of one."""
    talk, (flow,) = opened(subflows=1)
    for option in options:
        talk.tape.now -= talk.tape.step - 1_000
        flow.ack(1, option, dack=None)
    assert found(talk, at=1).outcome(ONE_A_TRIP, 1) == outcome


def test_two_in_one_segment():
    """Several of them may be in one segment."""
    talk, (flow,) = opened(subflows=1)
    flow.ack(1, add(1), add(2, TWO), dack=None)
    assert (ONE_A_TRIP, HOSTS[1]) not in found(talk, at=1)


def test_the_shorter_trip_counts():
    """Of two subflows the one with the shorter round trip decides."""
    talk = Conversation(version=0)
    first = talk.opened()
    second = talk.flow()
    second.join_syn()
    talk.tape.wait(1)
    second.join_synack()
    second.join_ack()
    second.ack(1)
    first.add_addr(0, ONE, address_id=1)
    second.add_addr(0, TWO, address_id=2)
    assert found(talk, at=0).outcome(ONE_A_TRIP, 0) == "pass"


def test_what_tcp_sends_again_is_no_second_one():
    """A TCP retransmission repeats the option of a segment, and says nothing new."""
    talk, (flow,) = opened(subflows=1)
    flow.data(1, b"x" * 9, add(1), dack=None)
    talk.tape.wait(1)
    flow.add_addr(1, TWO, address_id=2)
    talk.tape.now -= talk.tape.step - 1_000
    flow.data(1, b"x" * 9, add(1), seq=1, dsn=1, dack=None)
    what = found(talk, at=1)
    assert what.outcome(ONE_A_TRIP, 1) == "pass"
    assert what.of(ONE_A_TRIP, 1).seen == 1
