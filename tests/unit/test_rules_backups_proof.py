"""When new data on a backup subflow proves nothing, or only just does."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpPrio
from tests.common.conversation import Conversation
from tests.common.reserves import BY_PRIO, UNUSED, Scene, by_join, by_prio

VERSIONS = pytest.mark.parametrize("version", [0, 1])
ROLES = pytest.mark.parametrize("role", [0, 1])


def test_reinjection_may_go_anywhere():
    """Data that was sent before may be sent again on a backup."""
    scene = by_join()
    scene.regular.data(0, b"y" * 10)
    scene.backup.data(0, b"y" * 10, dsn=11)
    assert scene.outcome() == "pass"


@pytest.mark.parametrize("end", ["fin", "peer's fin", "rst", "withdrawn", "by the peer"])
def test_regular_subflow_that_ends(end):
    """A subflow that ends, or whose address is withdrawn by either host, is no other way."""
    scene = by_join()
    if end in ("withdrawn", "by the peer"):
        scene.backup.remove_addr(int(end == "by the peer"), 0)
    elif end == "rst":
        scene.regular.rst(1)
    else:
        scene.regular.fin(int(end == "peer's fin"))
    scene.backup.data(0, b"y" * 10)
    scene.regular.ack(1)
    what = scene.say()
    assert what.failed() == set()
    assert what.of(UNUSED[1], 0).seen == 1


def test_refused_join_is_no_other_way():
    """A join that failed is no way for data."""
    scene = by_join()
    scene.regular.prio(1, backup=True)
    third = scene.talk.flow()
    third.join_syn()
    third.rst(1)
    third.ack(1)
    scene.talk.tape.wait(0.1)
    scene.backup.data(0, b"y" * 10)
    assert scene.outcome() == "pass"


@pytest.mark.parametrize(("gap", "outcome"), [(1.0, "fail"), (1.000_001, "inconclusive")])
def test_peer_not_heard_for_a_second(gap, outcome):
    """A subflow on which the peer was silent for more than a second may have failed."""
    scene = by_join()
    scene.wait(gap)
    scene.backup.data(0, b"y" * 10)
    scene.regular.ack(1)
    assert scene.outcome() == outcome


def test_data_that_had_to_be_sent_again():
    """While a retransmission is not acknowledged, the subflow may have failed."""
    scene = by_join()
    start = scene.regular.next[0]
    for _ in range(2):
        scene.regular.data(0, b"y" * 10, seq=start, dsn=11)
    scene.regular.ack(1, ack=start, dack=11)
    scene.backup.data(0, b"z" * 10)
    scene.regular.ack(1)
    assert scene.say().failed() == set()
    assert scene.say().of(UNUSED[1], 0).unseen == 1
    scene.backup.ack(1)
    scene.talk.tape.wait(0.1)
    scene.regular.ack(1)
    scene.backup.data(0, b"z" * 10)
    assert scene.outcome() == "fail"


def test_data_on_its_way_is_no_failure():
    """Data that was sent once and waits for its ACK does not show that the subflow failed."""
    scene = by_join()
    scene.regular.data(0, b"y" * 10)
    scene.backup.data(0, b"z" * 10)
    scene.regular.ack(1)
    assert scene.outcome() == "fail"


@pytest.mark.parametrize(("window", "outcome"), [(0, "inconclusive"), (1, "fail")])
def test_window_that_is_closed(window, outcome):
    """A subflow without window takes no data."""
    scene = by_join()
    scene.regular.ack(1, window=window)
    scene.backup.data(0, b"y" * 10)
    scene.regular.ack(1)
    assert scene.outcome() == outcome


#: A second and three round trips of the handshake, of two milliseconds each.
GRACE = 1.006


@pytest.mark.parametrize("ends", ["silence", "reset"])
@pytest.mark.parametrize(
    ("unanswered", "rest", "outcome"),
    [(0, GRACE - 0.000_001, "fail"), (0, GRACE, "inconclusive"), (9, 0.1, "pass")],
)
def test_peer_that_is_not_heard_again(ends, unanswered, rest, outcome):
    """It must be heard again, unless the capture ends too soon and nothing was left unanswered."""
    scene = by_join()
    if unanswered:
        scene.regular.data(0, b"u" * unanswered)
    scene.backup.data(0, b"y" * 10)
    scene.wait(rest)
    if ends == "reset":
        scene.regular.rst(1)
    else:
        scene.backup.ack(0)
    assert scene.outcome() == outcome
    assert scene.say().of(UNUSED[1], 0).unseen == (outcome != "fail")


@pytest.mark.parametrize(("gap", "outcome"), [(0.020, "inconclusive"), (0.020_001, "fail")])
def test_time_to_heed_a_request(gap, outcome):
    """A request takes a moment until it is heeded."""
    scene = by_prio(gap=gap)
    scene.backup.data(0, b"y" * 10)
    assert scene.outcome() == outcome


@pytest.mark.parametrize(("gap", "outcome"), [(0.020, "inconclusive"), (0.020_001, "fail")])
def test_time_to_find_another_subflow(gap, outcome):
    """A subflow that has just come into being, or is regular again, is found in a moment."""
    scene = by_join()
    scene.regular.prio(1, backup=True)
    scene.talk.tape.wait(0.1)
    scene.regular.prio(1, backup=False)
    scene.wait(gap)
    scene.backup.data(0, b"y" * 10)
    assert scene.outcome() == outcome


@pytest.mark.parametrize(("gap", "outcome"), [(0.020, "inconclusive"), (0.020_001, "fail")])
@ROLES
def test_time_after_a_join(role, gap, outcome):
    """A join is usable by the fourth packet for its joiner, by the third for its answerer."""
    scene = by_join(role)
    scene.regular.prio(1 - role, backup=True)
    third = scene.talk.flow(opener=0)
    third.join_syn()
    third.join_synack()
    third.join_ack()
    if role == 0:
        third.ack(1)
    scene.wait(gap)
    scene.backup.data(role, b"y" * 10)
    third.ack(1 - role)
    assert scene.outcome() == outcome


def test_queue_of_the_backup_may_drain():
    """What TCP had to send before the request goes out; after a rest nothing of it is left."""
    talk = Conversation()
    first = talk.opened()
    first.data(0, b"x" * 10)
    first.ack(1)
    second = talk.joined()
    second.ack(1)
    talk.tape.wait(0.1)
    first.data(0, b"q" * 10)
    first.ack(1, MpPrio(backup=True), ack=11, dack=11)
    scene = Scene(talk, 0, second, first, talk.tape.last)
    talk.tape.wait(0.1)
    second.ack(1)
    first.data(0, b"q" * 10)
    second.ack(1)
    assert scene.outcome() == "inconclusive"
    first.ack(1)
    first.data(0, b"y" * 10)
    second.ack(1)
    assert scene.outcome() == "fail"
    assert scene.say().of(BY_PRIO[1], 0).frames[1] == talk.tape.last - 1


@pytest.mark.parametrize("repeated", [False, True])
def test_mapping_announced_before_the_request(repeated):
    """Data under a mapping that was announced before the request has to go there."""
    talk = Conversation()
    first = talk.opened()
    first.data(0, b"x" * 10)
    first.ack(1)
    second = talk.joined()
    second.ack(1)
    whole = talk.mapping(0, b"m" * 30, dsn=11, ssn=11)
    first.data(0, b"m" * 10, mapping=whole)
    first.ack(1, ack=21, dack=21)
    asked = first.prio(1, backup=True)
    scene = Scene(talk, 0, second, first, asked)
    talk.tape.wait(0.1)
    second.ack(1)
    if repeated:
        first.data(0, b"x" * 10, seq=1, dsn=1)
    first.data(0, b"m" * 10, mapping=whole)
    second.ack(1)
    first.ack(1)
    assert scene.say().failed() == set()
    first.data(0, b"m" * 10, mapping=whole)
    last = first.data(0, b"y" * 10)
    second.ack(1)
    assert scene.say().of(UNUSED[1], 0).frames == (asked, last)


@ROLES
@VERSIONS
def test_first_data_of_the_initiator(role, version):
    """In version 1 the initiator's first data has to go under an MP_CAPABLE, whatever was asked."""
    talk = Conversation(version=version)
    first = talk.opened()
    second = talk.joined()
    for host in (0, 1):
        second.ack(host)
    asked = first.prio(1 - role, backup=True)
    talk.tape.wait(0.1)
    second.ack(1 - role)
    if version and not role:
        first.first_data(b"x" * 10)
    else:
        first.data(role, b"x" * 10)
    second.ack(1 - role)
    scene = Scene(talk, role, second, first, asked)
    assert scene.outcome() == ("inconclusive" if version and not role else "fail")
    first.ack(1 - role)
    first.data(role, b"y" * 10)
    second.ack(1 - role)
    assert scene.outcome() == "fail"


def test_first_data_on_a_join_is_no_exception():
    """On a joined subflow the first data is as any."""
    talk = Conversation()
    first = talk.opened()
    second = talk.joined(backup=(False, True))
    talk.tape.wait(0.1)
    first.ack(1)
    second.data(0, b"x" * 10)
    first.ack(1)
    assert Scene(talk, 0, first, second, 0).outcome() == "fail"


@pytest.mark.parametrize("missing", ["syn", "synack"])
def test_handshakes_that_are_missing(missing):
    """Without the SYN of the initial subflow data may be older, without its own flag unknown."""
    talk = Conversation()
    first = talk.flow()
    first.handshake(missing="syn" if missing == "syn" else "")
    first.data(0, b"x" * 10)
    first.ack(1)
    second = talk.flow(backup=(False, True))
    second.join(missing="" if missing == "syn" else "synack")
    talk.tape.wait(0.1)
    first.ack(1)
    second.data(0, b"y" * 10)
    first.ack(1)
    outcome = Scene(talk, 0, first, second, 0).outcome()
    assert outcome == ("inconclusive" if missing == "syn" else "not_exercised")
