"""What rules say of a REMOVE_ADDR for the address of a subflow that works."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import withdrawing
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import HOSTS, Said, said
from tests.common.tape import RST

BY_FIN = {1: "8684-3.4.2-09", 0: "6824-3.4.2-15"}


def found(talk: Conversation, **claims) -> Said:
    """What the rules say."""
    return said(talk, withdrawing.RULES, **claims)


def opened(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation with its initial subflow."""
    talk = Conversation(version=version)
    return talk, talk.opened()


#: A second and three round trips of the handshake, of two milliseconds each.
GRACE = 1.006


def in_use(
    rest: float = 2.0,
    *,
    version: int = 1,
    role: int = 0,
    ends: str = "",
    here: bool = True,
) -> tuple[Conversation, int]:
    """A host withdraws the address of a subflow, which goes on after a rest; the frame."""
    talk, flow = opened(version)
    joined = talk.joined(address_ids=(3, 3))
    for host in (0, 1):
        joined.data(host, b"x" * 10)
    if ends == "before":
        joined.fin(role)
    frame = (joined if here else flow).remove_addr(role, 3)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(rest)
    if ends == "fin":
        joined.fin(role)
    if ends in ("rst", "peer's rst"):
        joined.rst(role if ends == "rst" else 1 - role)
        return talk, frame
    if ends != "silent":
        joined.ack(role)
    if ends != "alone":
        joined.ack(1 - role)
    if ends == "peer's fin":
        joined.fin(1 - role)
    return talk, frame


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("here", [False, True])
def test_withdrawn_in_use(version, role, here):
    """A subflow that goes on after its address was withdrawn should have been closed by a FIN."""
    talk, frame = in_use(version=version, role=role, here=here)
    what = found(talk, at=role)
    assert what.failed() == {(BY_FIN[version], HOSTS[role])}
    verdict = what.of(BY_FIN[version], role)
    assert (verdict.severity, verdict.frames, verdict.subflow) == ("violation", (frame,), 1)
    assert "sends on it 2.0 s later, and the peer 2.0 s" in verdict.why
    assert what.outcome(BY_FIN[version], 1 - role) == "not_exercised"
    for claims in ({"at": role, "whole": False}, {"at": 1 - role}, {}):
        assert found(talk, **claims).outcome(BY_FIN[version], role) == "inconclusive"


@pytest.mark.parametrize("ends", ["fin", "rst", "before"])
@pytest.mark.parametrize("role", [0, 1])
def test_closed_at_last(role, ends):
    """A FIN or RST of the host, however late, ends it as it should."""
    talk, _ = in_use(role=role, ends=ends)
    assert found(talk, whole=False).outcomes(BY_FIN[1], host=role) == ["pass"]


@pytest.mark.parametrize("ends", ["silent", "alone", "peer's rst"])
def test_subflow_that_may_be_gone(ends):
    """If not both go on, the address may be gone, and nothing is proven."""
    talk, _ = in_use(ends=ends)
    verdict = found(talk, at=0).of(BY_FIN[1], 0)
    assert str(verdict.outcome) == "inconclusive"
    assert "whether the subflow still worked" in verdict.why


def test_fin_of_the_peer_is_not_enough():
    """The FIN of the other host does not stand in for that of this one."""
    talk, _ = in_use(ends="peer's fin")
    assert found(talk, at=0).outcome(BY_FIN[1], 0) == "fail"


def test_fin_has_time():
    """Only after a rest of a second and three round trips no FIN is to come any more."""
    late = found(in_use(GRACE)[0], at=0)
    early = found(in_use(GRACE - 0.000_001)[0], at=0)
    assert (late.outcome(BY_FIN[1], 0), early.outcome(BY_FIN[1], 0)) == ("fail", "inconclusive")
    assert "may still follow" in early.of(BY_FIN[1], 0).why


def test_data_before_the_fin_takes_its_time():
    """While data is sent without a rest, the FIN may still wait behind it."""
    talk, _ = opened()
    joined = talk.joined(address_ids=(3, 3))
    joined.remove_addr(0, 3)
    for _ in range(5):
        talk.tape.wait(0.9)
        joined.data(0, b"x" * 10)
        joined.ack(1)
    assert found(talk, at=0).outcome(BY_FIN[1], 0) == "inconclusive"


def test_peer_heard_too_early():
    """That the peer was heard right after the withdrawal does not show that it can be later."""
    talk, _ = opened()
    joined = talk.joined(address_ids=(3, 3))
    joined.remove_addr(0, 3)
    joined.ack(1)
    talk.tape.wait(3)
    joined.ack(0)
    assert found(talk, at=0).outcome(BY_FIN[1], 0) == "inconclusive"


@pytest.mark.parametrize(("gap", "outcome"), [(0.5, "not_exercised"), (1.5, "fail")])
def test_address_that_is_soon_heard_of_again(gap, outcome):
    """An address announced anew at once did not go."""
    talk, flow = opened()
    joined = talk.joined(address_ids=(3, 3))
    flow.remove_addr(0, 3)
    talk.tape.wait(gap)
    flow.add_addr(0, "10.0.1.1", address_id=3)
    talk.tape.wait(2)
    for host in (0, 1):
        joined.ack(host)
    assert found(talk, at=0).outcome(BY_FIN[1], 0) == outcome


def test_removal_that_is_about_other_subflows():
    """It is of no concern to subflows with another ID, to later ones, and to an ID that moved."""
    talk, flow = opened()
    first = talk.joined(address_ids=(3, 3))
    flow.remove_addr(0, 4)
    flow.remove_addr(0, 6)
    flow.add_addr(0, "10.0.9.1", address_id=6)
    second = talk.joined(address_ids=(4, 4))
    third = talk.joined(address_ids=(6, 6), addresses=("10.0.7.1", "10.0.1.2"))
    talk.tape.wait(2)
    for each in (first, second, third):
        each.ack(0)
        each.ack(1)
    flow.remove_addr(0, 6)
    talk.tape.wait(2)
    for each in (first, second, third):
        each.ack(0)
        each.ack(1)
    assert found(talk, at=0) == {}


def test_refused_join_is_no_subflow():
    """A join that was refused has nothing to close."""
    talk, flow = opened()
    refused = talk.flow(address_ids=(3, 3))
    refused.join_syn()
    refused.segment(1, RST)
    flow.remove_addr(0, 3)
    talk.tape.wait(2)
    flow.ack(0)
    assert found(talk, at=0) == {}
