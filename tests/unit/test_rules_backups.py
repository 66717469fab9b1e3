"""What rules say of new data on backup subflows."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import backups
from tests.common.conversation import Conversation
from tests.common.joinery import HOSTS, said
from tests.common.reserves import BY_JOIN, BY_PRIO, UNUSED, Scene, by_join, by_prio

VERSIONS = pytest.mark.parametrize("version", [0, 1])
ROLES = pytest.mark.parametrize("role", [0, 1])


@VERSIONS
@ROLES
@pytest.mark.parametrize("opener", [0, 1])
def test_new_data_on_a_backup_of_a_join(role, version, opener):
    """New data on a subflow that the peer opened or took as a backup, beside one that works."""
    scene = by_join(role, version, opener=opener)
    frame = scene.backup.data(role, b"y" * 10)
    scene.regular.ack(scene.peer)
    what = scene.say()
    assert what.failed() == {(UNUSED[version], HOSTS[role]), (BY_JOIN[version], HOSTS[role])}
    for number in (UNUSED[version], BY_JOIN[version]):
        verdict = what.of(number, role)
        assert (verdict.severity, verdict.subflow) == ("warning", 1)
        assert verdict.frames == (scene.asked, frame)
        assert f"of the {HOSTS[1 - role]} makes subflow 1 a backup" in verdict.why
        assert "while subflow 0 is none" in verdict.why
    assert what.outcome(BY_PRIO[version], role) == "not_exercised"
    for claims in ({"whole": False}, {"at": scene.peer}, {"at": None}):
        assert scene.outcome(**claims) == "inconclusive"


@VERSIONS
@ROLES
def test_new_data_on_a_backup_by_prio(role, version):
    """New data on a subflow that the peer made a backup later."""
    scene = by_prio(role, version)
    frame = scene.backup.data(role, b"y" * 10)
    what = scene.say()
    assert what.failed() == {(UNUSED[version], HOSTS[role]), (BY_PRIO[version], HOSTS[role])}
    assert what.of(BY_PRIO[version], role).frames == (scene.asked, frame)
    assert what.outcome(BY_JOIN[version], role) == "not_exercised"


@VERSIONS
@ROLES
def test_new_data_elsewhere(role, version):
    """New data on the regular subflow keeps both requirements, each segment once."""
    scene = by_join(role, version)
    for _ in range(3):
        scene.regular.data(role, b"y" * 10)
    what = scene.say(whole=False)
    assert what.failed() == set()
    assert what.of(UNUSED[version], role).seen == 3
    assert what.of(BY_JOIN[version], role).seen == 3
    assert what.outcome(BY_PRIO[version], role) == "not_exercised"
    scene = by_prio(role, version)
    scene.regular.data(role, b"y" * 10)
    what = scene.say(whole=False)
    assert what.of(BY_PRIO[version], role).seen == 1
    assert what.outcome(BY_JOIN[version], role) == "not_exercised"


@ROLES
def test_own_flag_asks_the_peer_alone(role):
    """A host may go on with a subflow that it called a backup itself; that binds its peer."""
    scene = by_join(1 - role)
    scene.backup.data(role, b"y" * 10)
    assert scene.say(at=role).failed() == set()
    assert (UNUSED[1], HOSTS[role]) not in scene.say(at=role)
    scene = by_join(role, own=True)
    scene.backup.data(role, b"y" * 10)
    assert scene.outcome() == "fail"


def test_regular_again():
    """A later MP_PRIO without B takes the flag away."""
    scene = by_join()
    scene.backup.prio(1, backup=False)
    scene.talk.tape.wait(0.1)
    scene.regular.ack(1)
    scene.backup.data(0, b"y" * 10)
    what = scene.say()
    assert what.failed() == set()
    scene.backup.prio(1, backup=True)
    scene.talk.tape.wait(0.1)
    scene.regular.ack(1)
    scene.backup.ack(1)
    scene.backup.data(0, b"y" * 10)
    what = scene.say()
    assert what.failed() == {(UNUSED[1], HOSTS[0]), (BY_PRIO[1], HOSTS[0])}


def test_both_are_backups():
    """Without a regular subflow a backup is there to be used."""
    scene = by_join()
    scene.regular.prio(1, backup=True)
    scene.talk.tape.wait(0.1)
    scene.backup.data(0, b"y" * 10)
    what = scene.say()
    assert what.failed() == set()
    assert what.of(UNUSED[1], 0).seen == 1


def test_no_flags_no_verdict():
    """Where nobody sets flag B there is nothing to judge, nor with one subflow."""
    talk = Conversation()
    first = talk.opened()
    second = talk.joined()
    second.prio(1, backup=False)
    for flow in (first, second):
        flow.data(0, b"x" * 10)
    assert said(talk, backups.RULES) == {}
    talk = Conversation()
    first = talk.opened()
    first.prio(1, backup=True)
    first.data(0, b"x" * 10)
    assert said(talk, backups.RULES) == {}


@pytest.mark.parametrize("opener", [0, 1])
def test_flag_on_either_message_counts(opener):
    """Flag B stands on the SYN of a join, and on its SYN/ACK."""
    scene = by_join(opener=opener)
    assert scene.say().outcome(UNUSED[1], 0) == "not_exercised"
    scene.regular.data(0, b"x")
    assert scene.outcome() == "pass"


@pytest.mark.parametrize(
    ("version", "address_id", "outcome"),
    [(0, 7, "fail"), (0, 9, "not_exercised"), (0, 5, "not_exercised"), (1, 7, "not_exercised")],
)
def test_prio_that_names_an_address(version, address_id, outcome):
    """In version 0 an MP_PRIO with an Address ID is about all subflows that use it."""
    talk = Conversation(version=version)
    first = talk.opened()
    first.data(0, b"x" * 10)
    first.ack(1)
    second = talk.joined(address_ids=(3, 7))
    second.ack(1)
    asked = first.prio(1, backup=True, address_id=address_id)
    talk.tape.wait(0.1)
    first.ack(1)
    second.data(0, b"y" * 10)
    first.ack(1)
    scene = Scene(talk, 0, first, second, asked)
    assert scene.outcome() == outcome
    if outcome == "fail":
        assert scene.say().of(BY_PRIO[0], 0).frames[0] == asked


def test_prio_without_an_address():
    """Without an Address ID it is about the subflow that it came on."""
    scene = by_prio(version=0)
    scene.regular.data(0, b"y" * 10)
    assert scene.outcome() == "pass"


def test_other_subflow_that_works():
    """One regular subflow that works is enough, whatever became of another."""
    scene = by_join()
    third = scene.talk.joined()
    scene.talk.tape.wait(0.1)
    third.ack(1)
    scene.regular.rst(1)
    scene.backup.data(0, b"y" * 10)
    third.ack(1)
    what = scene.say()
    assert what.failed() == {(UNUSED[1], HOSTS[0]), (BY_JOIN[1], HOSTS[0])}
    assert "while subflow 2 is none" in what.of(UNUSED[1], 0).why
