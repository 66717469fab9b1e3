"""What rules say of joins to announced and withdrawn addresses."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import withdrawing
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import HOSTS, Said, said

PORT = {1: "8684-3.4.1-06", 0: "6824-3.4.1-13"}
NOT_USED = "8684-3.4.2-04"
SHOWN = "10.0.9.2"
VERSIONS = pytest.mark.parametrize("version", [0, 1])


def found(talk: Conversation, **claims) -> Said:
    """What the rules say."""
    return said(talk, withdrawing.RULES, **claims)


def opened(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation with its initial subflow, from port 40000 of 10.0.0.1 to 80 of 10.0.0.2."""
    talk = Conversation(version=version)
    return talk, talk.opened()


def join(talk: Conversation, *, to: str = SHOWN, port: int = 80, opener: int = 0, **more) -> int:
    """A join by ``opener`` to an address and port of its peer; the frame of its SYN."""
    frame = talk.tape.last + 1
    own = f"10.0.{len(talk.flows)}.7"
    ends = (own, to) if opener == 0 else (to, own)
    ports = (41_000 + len(talk.flows), port) if opener == 0 else (port, 41_000 + len(talk.flows))
    talk.joined(addresses=ends, ports=ports, opener=opener, address_ids=(0, 0), **more)
    return frame


def tried(talk: Conversation, *, to: str = SHOWN, port: int = 80) -> int:
    """A join by the initiator that nobody answers; the frame of its SYN."""
    ports = 41_000 + len(talk.flows), port
    ends = f"10.0.{len(talk.flows)}.7", to
    return talk.flow(addresses=ends, ports=ports, address_ids=(0, 0)).join_syn()


# --------------------------------------------------------------------------- ports


@VERSIONS
@pytest.mark.parametrize("opener", [0, 1])
def test_join_to_another_port(version, opener):
    """A join goes to the port of the subflow that carried an ADD_ADDR without one."""
    talk, flow = opened(version)
    told = flow.add_addr(1 - opener, SHOWN)
    frame = join(talk, port=81, opener=opener)
    what = found(talk, at=opener)
    assert what.failed() == {(PORT[version], HOSTS[opener])}
    verdict = what.of(PORT[version], opener)
    assert (verdict.severity, verdict.frames, verdict.subflow) == ("warning", (told, frame), 1)
    assert f"a join to port 81 of {SHOWN}" in verdict.why
    assert f"subflow with port {(80, 40_000)[opener]}" in verdict.why
    for claims in ({"at": opener, "whole": False}, {"at": 1 - opener}, {}):
        what = found(talk, **claims)
        assert what.outcome(PORT[version], opener) == "inconclusive"
        assert what.of(PORT[version], opener).frames == (told, frame)


@VERSIONS
@pytest.mark.parametrize("opener", [0, 1])
def test_join_to_the_port_in_use(version, opener):
    """The port of the carrying subflow is right."""
    talk, flow = opened(version)
    flow.add_addr(1 - opener, SHOWN)
    join(talk, port=(80, 40_000)[opener], opener=opener)
    assert found(talk, whole=False).outcomes(PORT[version], host=opener) == ["pass"]


@pytest.mark.parametrize("opener", [0, 1])
def test_ports_that_are_known_otherwise(opener):
    """The initial port, those of subflows that the peer opened, and announced ports are right."""
    talk, flow = opened()
    peer = 1 - opener
    other = talk.joined(ports=(81, 81), opener=opener)
    first = flow.add_addr(peer, SHOWN, port=83)
    last = other.add_addr(peer, SHOWN)
    talk.joined(ports=(82, 82), opener=peer)
    for port in (flow.ends[peer][1], 81, 82, 83):
        join(talk, port=port, opener=opener)
    what = found(talk, at=opener)
    assert what.failed() == set()
    assert what.of(PORT[1], opener).seen == 4
    frame = join(talk, port=84, opener=opener)
    assert found(talk, at=opener).of(PORT[1], opener).frames == (last, frame) != (first, frame)


def test_last_announcement_is_shown():
    """Of several ADD_ADDRs without a port the last one before the SYN is evidence."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    told = talk.joined().add_addr(1, SHOWN)
    frame = join(talk, port=81)
    assert found(talk, at=0).of(PORT[1], 0).frames == (told, frame)


def test_port_of_an_earlier_join_is_not_known_from_it():
    """That a join went to a port does not make it right for the next one."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    join(talk, port=81)
    talk.flows[-1].add_addr(1, SHOWN)
    assert found(talk, at=0).outcome(PORT[1], 0) == "fail"


@pytest.mark.parametrize(("gap", "outcome"), [(0.019, "pass"), (0.021, "fail")])
def test_port_announced_about_then(gap, outcome):
    """A port announced on another subflow shortly after the SYN may have been known."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    tried(talk, port=81)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    flow.add_addr(1, SHOWN, port=81)
    assert found(talk, at=0).outcome(PORT[1], 0) == outcome


@pytest.mark.parametrize("case", ["echo", "other", "with port", "later", "own"])
def test_join_that_no_such_announcement_led_to(case):
    """Only an ADD_ADDR of the peer, for that address, without port and before it, says anything."""
    talk, flow = opened()
    if case == "later":
        join(talk, port=81)
    flow.add_addr(
        0 if case == "own" else 1,
        "10.0.9.3" if case == "other" else SHOWN,
        port=82 if case == "with port" else None,
        echo=case == "echo",
    )
    if case != "later":
        join(talk, port=81)
    assert (PORT[1], HOSTS[0]) not in found(talk, at=0)


def test_syn_that_was_not_captured():
    """A join whose SYN is missing went nobody knows where first."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    late = talk.flow(addresses=("10.0.3.7", SHOWN), ports=(41_000, 81), address_ids=(0, 0))
    late.join(missing="syn")
    assert found(talk, at=0) == {}


# --------------------------------------------------------------------------- withdrawn addresses


def withdrawn(
    gap: float = 0.1, *, role: int = 1, how: str = "announced"
) -> tuple[Conversation, Flow, int]:
    """A conversation, its first subflow and the frame in which an address was withdrawn."""
    talk, flow = opened()
    if how == "announced":
        flow.add_addr(role, SHOWN, address_id=5)
    else:
        ends = (SHOWN, "10.0.1.7") if role == 0 else ("10.0.1.7", SHOWN)
        opener = role if how == "joined" else 1 - role
        ids = (5, 0) if role == 0 else (0, 5)
        talk.joined(addresses=ends, ports=(40_000, 80), opener=opener, address_ids=ids)
    talk.tape.wait(0.1)
    frame = flow.remove_addr(role, 5, 6)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    return talk, flow, frame


@pytest.mark.parametrize("how", ["announced", "joined", "answered"])
@pytest.mark.parametrize("opener", [0, 1])
def test_join_to_a_withdrawn_address(opener, how):
    """After its REMOVE_ADDR an address is not joined, however it became known."""
    talk, _, gone = withdrawn(role=1 - opener, how=how)
    frame = join(talk, port=(80, 40_000)[opener], opener=opener)
    what = found(talk, at=opener)
    assert (NOT_USED, HOSTS[opener]) in what.failed()
    verdict = what.of(NOT_USED, opener)
    assert (verdict.severity, verdict.frames) == ("warning", (gone, frame))
    assert f"a join to {SHOWN}, which remove_addr address_id=5,6" in verdict.why
    for claims in ({"at": opener, "whole": False}, {"at": 1 - opener}, {}):
        assert found(talk, **claims).outcome(NOT_USED, opener) == "inconclusive"


@pytest.mark.parametrize(("gap", "outcome"), [(0.020, "inconclusive"), (0.021, "fail")])
def test_removal_at_about_the_same_time(gap, outcome):
    """A REMOVE_ADDR that came just before the SYN may not have been read."""
    talk, _, _ = withdrawn(gap)
    join(talk)
    assert found(talk, at=0).outcome(NOT_USED, 0) == outcome


@pytest.mark.parametrize("renewal", ["add", "join", "answer"])
def test_address_that_comes_back(renewal):
    """An address that is heard of again, under any ID, may be joined, if only after an attempt."""
    talk, flow, _ = withdrawn()
    if renewal == "add":
        flow.add_addr(1, SHOWN, address_id=9)
    else:
        opener = int(renewal == "join")
        talk.joined(addresses=("10.0.5.7", SHOWN), opener=opener, ports=(40_009, 80))
    talk.tape.wait(0.1)
    join(talk)
    what = found(talk, at=0)
    assert what.of(NOT_USED, 0).seen == 1
    assert what.outcome(NOT_USED, 0) == ("fail" if renewal == "answer" else "pass")


@pytest.mark.parametrize(("gap", "outcome"), [(0.019, "inconclusive"), (0.021, "fail")])
def test_address_announced_at_about_its_withdrawal(gap, outcome):
    """An ADD_ADDR on another subflow just before the REMOVE_ADDR may have come after it."""
    talk, flow = opened()
    talk.joined().add_addr(1, SHOWN)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    flow.remove_addr(1, 5)
    talk.tape.wait(1)
    join(talk)
    assert found(talk, at=0).outcome(NOT_USED, 0) == outcome


@pytest.mark.parametrize(("gap", "outcome"), [(0.019, "inconclusive"), (0.021, "fail")])
def test_address_announced_at_about_the_join(gap, outcome):
    """An ADD_ADDR just after the SYN may have been known by then."""
    talk, flow, _ = withdrawn()
    tried(talk)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(gap)
    flow.add_addr(1, SHOWN)
    assert found(talk, at=0).outcome(NOT_USED, 0) == outcome


def test_address_with_a_second_id():
    """An address that has two IDs is gone when both were withdrawn."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN, address_id=5)
    flow.add_addr(1, SHOWN, address_id=6)
    flow.remove_addr(1, 5)
    talk.tape.wait(0.1)
    tried(talk)
    assert found(talk, at=0).outcome(NOT_USED, 0) == "pass"
    gone = flow.remove_addr(1, 6)
    talk.tape.wait(0.1)
    last = tried(talk)
    assert found(talk, at=0).of(NOT_USED, 0).frames == (gone, last)


def test_id_that_moved_on():
    """An ID that has another address by then withdraws that one."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    flow.add_addr(1, "10.0.9.3")
    flow.remove_addr(1, 5)
    talk.tape.wait(0.1)
    join(talk)
    assert found(talk, at=0).failed() == set()
    join(talk, to="10.0.9.3")
    assert found(talk, at=0).outcome(NOT_USED, 0) == "fail"


def test_initial_address():
    """The initial address has ID 0, and is withdrawn by that."""
    talk, flow = opened()
    flow.add_addr(1, "10.0.0.2", address_id=5)
    flow.remove_addr(1, 5)
    talk.tape.wait(0.1)
    join(talk, to="10.0.0.2")
    assert found(talk, at=0).outcome(NOT_USED, 0) == "pass"
    talk.tape.wait(0.1)
    flow.remove_addr(1, 0)
    talk.tape.wait(0.1)
    join(talk, to="10.0.0.2")
    assert found(talk, at=0).outcome(NOT_USED, 0) == "fail"


def test_own_withdrawal_binds_nobody():
    """A host that withdrew an address of its own may join what it likes."""
    talk, flow = opened()
    flow.add_addr(1, SHOWN)
    flow.remove_addr(0, 5)
    talk.tape.wait(0.1)
    join(talk)
    assert (NOT_USED, HOSTS[0]) not in found(talk, at=0)


def test_version_0_does_not_say_so():
    """RFC 6824 does not speak of later joins to a withdrawn address."""
    talk, flow = opened(0)
    flow.add_addr(1, SHOWN)
    flow.remove_addr(1, 5)
    talk.tape.wait(0.1)
    join(talk)
    assert {number for number, _ in found(talk, at=0)} == {PORT[0]}
