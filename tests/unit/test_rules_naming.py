"""What rules say of Address IDs that change their address, and of repeated ADD_ADDRs."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mptcp_oracle.options import AddAddr, RemoveAddr
from mptcp_oracle.rules import naming
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import HOSTS, Said, said

UNIQUE = {1: "8684-3.4.1-03", 0: "6824-3.4.1-11"}
SAME = {1: "8684-3.4.1-15", 0: "6824-3.4.1-05"}
REASSIGNED = {1: "8684-3.4.1-17", 0: "6824-3.4.1-15"}
ONE, TWO = "192.0.2.1", "192.0.2.2"
VERSIONS = pytest.mark.parametrize("version", [0, 1])


def found(talk: Conversation, **claims) -> Said:
    """What the rules say."""
    return said(talk, naming.RULES, **claims)


def opened(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation with its initial subflow."""
    talk = Conversation(version=version)
    return talk, talk.opened()


def ids(version: int) -> tuple[str, str, str]:
    """The requirements of a version."""
    return UNIQUE[version], SAME[version], REASSIGNED[version]


@VERSIONS
@pytest.mark.parametrize("host", [0, 1])
def test_different_ids(version, host):
    """Addresses under IDs of their own are right; nothing is repeated or replaced."""
    talk, flow = opened(version)
    flow.add_addr(host, ONE, address_id=1)
    flow.add_addr(host, TWO, address_id=2)
    what = found(talk, whole=False)
    assert what.outcomes(*ids(version), host=host) == ["pass", "not_exercised", "not_exercised"]
    assert what.of(UNIQUE[version], host).seen == 2
    assert what.outcomes(*ids(version), host=1 - host) == ["not_exercised"] * 3


@VERSIONS
@pytest.mark.parametrize("host", [0, 1])
def test_other_address_under_an_id(version, host):
    """An ID that gets another address without REMOVE_ADDR is wrong three times."""
    talk, flow = opened(version)
    first = flow.add_addr(host, ONE)
    second = flow.add_addr(host, TWO)
    what = found(talk, at=host)
    assert what.failed() == {(number, HOSTS[host]) for number in ids(version)}
    for number in ids(version):
        verdict = what.of(number, host)
        assert (verdict.severity, verdict.frames, verdict.subflow) == (
            "violation", (first, second), 0,
        )  # fmt: skip
        assert f"ID 5 of the {HOSTS[host]} stands for {ONE} since frame {first}" in verdict.why
    for claims in ({"at": host, "whole": False}, {"at": 1 - host}, {}):
        what = found(talk, **claims)
        assert what.outcomes(*ids(version), host=host) == ["inconclusive"] * 3
        assert what.of(UNIQUE[version], host).frames == (first, second)


@VERSIONS
@pytest.mark.parametrize("elsewhere", [False, True])
def test_remove_addr_between(version, elsewhere):
    """After a REMOVE_ADDR for it, on any subflow, an ID may get another address."""
    talk, flow = opened(version)
    other = talk.joined() if elsewhere else flow
    flow.add_addr(1, ONE)
    other.remove_addr(1, 4, 5)
    flow.add_addr(1, TWO)
    what = found(talk, at=1)
    assert what.failed() == set()
    assert what.outcomes(UNIQUE[version], REASSIGNED[version], host=1) == ["pass"] * 2
    assert what.outcome(SAME[version], 1) == "not_exercised"
    assert what.of(REASSIGNED[version], 1).seen == 1


@pytest.mark.parametrize("removal", ["before", "of another", "of the peer", "after"])
def test_remove_addr_elsewhere_does_not_count(removal):
    """Only a REMOVE_ADDR of that host for that ID, between the two, sets it free."""
    talk, flow = opened()
    if removal == "before":
        flow.remove_addr(1, 5)
    flow.add_addr(1, ONE)
    if removal == "of another":
        flow.remove_addr(1, 4, 6)
    if removal == "of the peer":
        flow.remove_addr(0, 5)
    flow.add_addr(1, TWO)
    if removal == "after":
        flow.remove_addr(1, 5)
    assert found(talk, at=1).outcomes(*ids(1), host=1) == ["fail"] * 3


@pytest.mark.parametrize(("gap", "outcome"), [(0.019, "inconclusive"), (0.021, "fail")])
def test_remove_addr_at_about_the_same_time(gap, outcome):
    """On another subflow a REMOVE_ADDR somewhat later may have come first."""
    talk, flow = opened()
    other = talk.joined()
    flow.add_addr(1, ONE)
    talk.tape.wait(1)
    flow.add_addr(1, TWO)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    other.remove_addr(1, 5)
    what = found(talk, at=1)
    assert what.outcomes(SAME[1], REASSIGNED[1], host=1) == [outcome] * 2
    assert what.of(UNIQUE[1], 1).unseen == (outcome != "fail")


@pytest.mark.parametrize(("gap", "outcome"), [(0.019, "inconclusive"), (0.021, "fail")])
def test_remove_addr_shortly_before(gap, outcome):
    """So may one on another subflow somewhat before the first announcement have come after it."""
    talk, flow = opened()
    talk.joined().remove_addr(1, 5)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    flow.add_addr(1, ONE)
    talk.tape.wait(1)
    flow.add_addr(1, TWO)
    what = found(talk, at=1)
    assert what.outcomes(SAME[1], REASSIGNED[1], host=1) == [outcome] * 2
    assert what.of(UNIQUE[1], 1).unseen == (outcome != "fail")


def test_remove_and_announce_in_one_segment():
    """One segment may withdraw an ID and announce it anew, in an order that rows do not show."""
    talk, flow = opened(0)
    flow.add_addr(1, ONE)
    told = AddAddr(version=0, address_id=5, address=ip_address(TWO))
    flow.ack(1, RemoveAddr(address_ids=(5,)), told, dack=None)
    assert found(talk, at=1).failed() == set()
    flow.add_addr(1, ONE)
    what = found(talk, at=1)
    assert what.failed() == set()
    assert what.of(REASSIGNED[0], 1).unseen == 1


@VERSIONS
def test_joins_under_one_id(version):
    """Two joins of a host from two addresses under one ID; ADD_ADDR has no part in it."""
    talk, _ = opened(version)
    first = talk.flow(address_ids=(3, 0))
    start = talk.tape.last + 1
    first.join()
    second = talk.flow(address_ids=(3, 0))
    end = talk.tape.last + 1
    second.join()
    what = found(talk, at=0)
    assert what.failed() == {(REASSIGNED[version], HOSTS[0])}
    assert what.of(REASSIGNED[version], 0).frames == (start, end)
    assert "from 10.0.2.1: ID 3" in what.of(REASSIGNED[version], 0).why
    assert found(talk, at=1).outcome(REASSIGNED[version], 0) == "inconclusive"


@VERSIONS
@pytest.mark.parametrize("opener", [0, 1])
def test_join_from_another_address_than_announced(version, opener):
    """A join whose ID was announced for another address breaks two; the answerer's counts, too."""
    talk, flow = opened(version)
    told = flow.add_addr(0, ONE, address_id=3)
    flow = talk.flow(opener=opener, address_ids=(3, 0))
    frame = talk.tape.last + 1 + opener
    flow.join()
    what = found(talk, at=0)
    assert what.failed() == {(UNIQUE[version], HOSTS[0]), (REASSIGNED[version], HOSTS[0])}
    assert what.of(UNIQUE[version], 0).frames == (told, frame)
    assert what.outcome(SAME[version], 0) == "not_exercised"


@VERSIONS
def test_announcement_of_another_address_than_joined(version):
    """An ADD_ADDR whose ID a join had from another address breaks all three."""
    talk, flow = opened(version)
    frame = talk.tape.last + 1
    talk.joined(address_ids=(3, 0))
    told = flow.add_addr(0, ONE, address_id=3)
    what = found(talk, at=0)
    assert what.failed() == {(number, HOSTS[0]) for number in ids(version)}
    assert what.of(SAME[version], 0).frames == (frame, told)


@VERSIONS
def test_join_from_the_announced_address(version):
    """A join from the address that was announced, with its ID, is right; also written as IPv6."""
    talk, flow = opened(version)
    flow.add_addr(0, "10.0.1.1", address_id=3)
    talk.joined(address_ids=(3, 0))
    flow.add_addr(0, "::ffff:10.0.1.1", address_id=3, port=81)
    what = found(talk, at=0)
    assert what.failed() == set()
    assert what.outcomes(UNIQUE[version], SAME[version], host=0) == ["pass"] * 2
    assert what.of(UNIQUE[version], 0).seen == 2


def test_joins_under_id_zero_are_of_no_concern():
    """ID 0 is of the initial address without being sent; joins under it are judged elsewhere."""
    talk, flow = opened()
    for _ in range(2):
        talk.joined(address_ids=(0, 0))
    assert found(talk, at=0) == {}
    flow.add_addr(0, ONE, address_id=0)
    assert found(talk, at=0).failed() == set()
    flow.add_addr(0, TWO, address_id=0)
    assert found(talk, at=0).outcomes(*ids(1), host=0) == ["fail"] * 3


def test_each_change_counts():
    """Each new address is held against the one before it."""
    talk, flow = opened()
    flow.add_addr(1, ONE)
    second = flow.add_addr(1, TWO)
    flow.add_addr(1, TWO)
    what = found(talk, at=1)
    assert what.of(UNIQUE[1], 1).frames[1] == second
    assert what.of(UNIQUE[1], 1).seen == 2
    assert what.of(SAME[1], 1).seen == 1


def test_what_tcp_sends_again_is_not_said_again():
    """A TCP retransmission repeats the ADD_ADDR of a segment, though its ID was given away."""
    talk, flow = opened(0)
    where = flow.next[1]
    told = AddAddr(version=0, address_id=5, address=ip_address(ONE))
    flow.data(1, b"x" * 9, told, dack=None)
    flow.remove_addr(1, 5)
    flow.add_addr(1, TWO)
    flow.data(1, b"x" * 9, told, seq=where, dsn=1, dack=None)
    what = found(talk, at=1)
    assert what.failed() == set()
    assert what.outcome(REASSIGNED[0], 1) == "pass"


# --------------------------------------------------------------------------- version 0: ports


@pytest.mark.parametrize("port", [None, 80])
def test_same_port_again_is_a_note(port):
    """The same port again on the same subflow is but a note, and at the sender only."""
    talk, flow = opened(0)
    first = flow.add_addr(1, ONE, port=port)
    second = flow.add_addr(1, ONE, port=port)
    what = found(talk, at=1)
    verdict = what.of(SAME[0], 1)
    assert (str(verdict.outcome), verdict.severity) == ("fail", "note")
    assert verdict.frames == (first, second)
    assert what.failed() == {(SAME[0], HOSTS[1])}
    for claims in ({"at": 1, "whole": False}, {"at": 0}):
        assert found(talk, **claims).outcome(SAME[0], 1) == "pass"


def test_another_port_is_right():
    """Another port for the same address is what a repeat is for."""
    talk, flow = opened(0)
    for port in (None, 80, 81):
        flow.add_addr(1, ONE, port=port)
    what = found(talk, at=1)
    assert what.failed() == set()
    assert what.of(SAME[0], 1).seen == 2


def test_copies_on_other_subflows_are_right():
    """The option is to go out on all subflows."""
    talk, flow = opened(0)
    other = talk.joined(address_ids=(1, 0))
    for each in (flow, other):
        each.add_addr(1, ONE)
    assert found(talk, at=1).failed() == set()


def test_announced_again_after_its_withdrawal():
    """After a REMOVE_ADDR the same address and port may come back."""
    talk, flow = opened(0)
    flow.add_addr(1, ONE)
    flow.remove_addr(1, 5)
    flow.add_addr(1, ONE)
    assert found(talk, at=1).failed() == set()


def test_version_1_may_repeat_the_port():
    """In version 1 the port of a repeat may be the same."""
    talk, flow = opened()
    for _ in range(2):
        flow.add_addr(1, ONE, port=80)
    what = found(talk, at=1)
    assert what.outcomes(*ids(1), host=1) == ["pass", "pass", "not_exercised"]
