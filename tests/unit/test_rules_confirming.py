"""What rules say of mappings until the first DATA_ACK of a subflow."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import covering
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import HOSTS, Said, cut, said
from tests.common.tape import ACK, FIN, PSH, RST, Tape

COVERED = {1: "8684-3.3.1-21", 0: "6824-3.3.1-24"}
EVERY = {1: "8684-3.7-02", 0: "6824-3.6-01"}
DATA = bytes(range(40))


def says(talk: Conversation, **claims) -> Said:
    """What the rules of payload say."""
    return said(talk, covering.RULES, **claims)


def begun(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation with data of both hosts, DATA_ACKed, and its initial subflow; 7 frames."""
    talk = Conversation(version=version)
    flow = talk.opened()
    flow.data(0, DATA)
    flow.ack(1)
    flow.data(1, DATA)
    flow.ack(0)
    return talk, flow


@pytest.mark.parametrize("version", [0, 1])
def test_mapping_beside_all_payload(version):
    """All payload has a mapping beside it until a DATA_ACK comes, and need not have one later."""
    talk = Conversation(version=version)
    flow = talk.opened()
    both = Mapping(dsn=1, ssn=1, dll=80)
    flow.data(0, DATA, mapping=both)
    flow.data(0, DATA, mapping=both)
    flow.ack(1)
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=80))
    flow.data(0, DATA, mapping=None)
    flow.data(1, DATA)
    found = says(talk, at=0)
    assert found.outcomes(EVERY[version], host=0) == ["pass"]
    assert [found.of(EVERY[version], host).seen for host in (0, 1)] == [2, 1]
    assert EVERY[1 - version] not in {number for number, _ in found}


def test_first_data_of_version_1():
    """An MP_CAPABLE with data is a mapping."""
    talk = Conversation()
    flow = talk.opened()
    flow.first_data(DATA)
    assert says(talk, at=0).of(EVERY[1], 0).seen == 1


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_first_payload_without_mapping(version, host):
    """Payload without mapping before any DATA_ACK is wrong, also if one before it covers it."""
    talk = Conversation(version=version)
    flow = talk.opened()
    both = Mapping(dsn=1, ssn=1, dll=80)
    flow.data(host, DATA, mapping=both)
    frame = flow.data(host, DATA, mapping=None)
    flow.ack(1 - host)
    found = says(talk, at=host)
    assert found.failed() == {(EVERY[version], HOSTS[host])}
    assert found.of(EVERY[version], host).frames == (frame,)
    assert found.of(EVERY[version], host).seen == 1
    assert "no DATA_ACK came on the subflow" in found.of(EVERY[version], host).why


@pytest.mark.parametrize(("dack", "outcome"), [(1, "fail"), (2, "pass")])
def test_data_ack_that_confirms(dack, outcome):
    """A DATA_ACK of no data confirms nothing, one of the first octet does."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=80))
    flow.ack(1, dack=dack)
    flow.data(0, DATA, mapping=None)
    assert says(talk, at=0).outcome(EVERY[1], 0) == outcome


def test_acknowledgment_that_confirms_nothing():
    """A subflow's ACK without DATA_ACK confirms nothing."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=80))
    flow.ack(1, dack=None)
    frame = flow.data(0, DATA, mapping=None)
    assert says(talk, at=0).of(EVERY[1], 0).frames == (frame,)


def test_other_host_confirms_nothing():
    """Nor does a DATA_ACK of the host itself."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    flow.ack(0)
    flow.data(0, DATA, mapping=None)
    assert says(talk, at=0).outcome(EVERY[1], 0) == "fail"


def test_each_subflow_is_confirmed_by_itself():
    """What is confirmed on one subflow is not on another, but for a fourth packet."""
    talk, _ = begun()
    other = talk.flow()
    other.join_syn()
    other.join_synack()
    other.join_ack()
    frame = other.data(0, DATA, mapping=None)
    found = says(talk, at=0)
    assert found.of(EVERY[1], 0).frames == (frame,)
    assert found.of(EVERY[1], 0).subflow == 1
    talk, _ = begun()
    other = talk.joined()
    other.data(0, DATA, mapping=None)
    assert says(talk, at=0).outcome(EVERY[1], 0) == "pass"


@pytest.mark.parametrize("version", [0, 1])
def test_data_on_a_third_packet(version):
    """A third packet of a join has no mapping, and so no data."""
    talk, _ = begun(version)
    other = talk.flow()
    other.join_syn()
    other.join_synack()
    frame = other.segment(0, ACK | PSH, _third(other), payload=DATA)
    other.ack(1)
    found = says(talk, at=0)
    assert found.of(EVERY[version], 0).frames == (frame,)
    assert found.outcome(EVERY[version], 0) == "fail"


def _third(flow: Flow) -> bytes:
    """The option of a third packet."""
    return bytes([30, 24, 0x10, 0]) + flow.join_hmac(0)[:20]


@pytest.mark.parametrize(("at", "whole"), [(None, True), (1, True), (0, False)])
def test_mapping_that_may_be_missing(at, whole):
    """A DATA_ACK may be in a frame that was not captured, a mapping removed on its way."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, mapping=None)
    found = says(talk, at=at, whole=whole)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "a frame may be missing" in found.of(EVERY[1], 0).why


def test_begin_that_may_be_missing():
    """Nor is it certain without the begin of the subflow."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack")
    flow.data(1, DATA)
    flow.data(1, DATA, mapping=None)
    assert says(talk, at=1).outcome(EVERY[1], 1) == "inconclusive"
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn")
    flow.data(0, DATA, mapping=None)
    assert says(talk, at=0).outcome(EVERY[1], 0) == "fail"


def test_mptcp_that_does_not_go_on():
    """A host that never sends an option again may have fallen back."""
    talk = Conversation()
    flow = talk.opened()
    flow.segment(0, ACK | PSH, payload=DATA)
    assert says(talk, at=0).outcome(EVERY[1], 0) == "not_exercised"
    flow.ack(0)
    assert says(talk, at=0).outcome(EVERY[1], 0) == "fail"


def test_option_cut_off_by_the_capture():
    """A mapping may be among the options that the capture cut off."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, mapping=None)
    flow.data(0, DATA)
    found = says(talk, at=0, octets=cut(talk, talk.tape.last, 44))
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "not all TCP options" in found.of(EVERY[1], 0).why
    assert found.of(EVERY[1], 0).unseen == 2


@pytest.mark.parametrize(("octets", "seq", "outcome"), [
    (b"x", 40, "pass"),
    (b"xy", 39, "fail"),
    (b"x", 41, "fail"),
    (b"x", 42, "fail"),
])  # fmt: skip
def test_probe_of_an_idle_connection(octets, seq, outcome):
    """One octet once more is a probe of an idle connection, which is no data."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA)
    flow.data(0, octets, seq=seq, mapping=None)
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == outcome
    assert found.of(EVERY[1], 0).seen == 1


def test_probe_before_any_data():
    """So is one with the number of the SYN."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"x", seq=0, mapping=None)
    assert says(talk, at=0).outcome(EVERY[1], 0) == "not_exercised"


@pytest.mark.parametrize(("flags", "outcome"), [
    (ACK | RST, "not_exercised"), (ACK | FIN, "fail"),
])  # fmt: skip
def test_payload_of_a_reset(flags, outcome):
    """What a RST holds is no data, what a FIN holds is."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, mapping=None, flags=flags)
    assert says(talk, at=0).outcome(EVERY[1], 0) == outcome


def test_copy_made_by_the_capture():
    """A frame that the capture holds twice counts once."""
    talk = Conversation(Tape("sll2"), captured_at=0)
    flow = talk.opened()
    flow.data(0, DATA)
    talk.tape.again(direction=4)
    found = says(talk)
    assert found.of(EVERY[1], 0).seen == 1
    assert found.of(COVERED[1], 0).seen == 1


def test_first_octet_is_no_probe():
    """One octet that comes first is data."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.data(0, b"x", mapping=None)
    assert says(talk, at=0).of(EVERY[1], 0).frames == (frame,)


def test_connections_of_both_versions():
    """Each connection is judged by the RFC of its own version."""
    talk = Conversation(version=0)
    talk.opened().data(0, DATA)
    other = Conversation(talk.tape, keys=(7, 8))
    other.opened(ports=(50_000, 80)).data(0, DATA)
    assert says(talk).outcomes(EVERY[0], EVERY[1], host=0) == ["pass", "not_exercised"]
    found = says(talk, connection=1)
    assert found.outcomes(EVERY[0], EVERY[1], host=0) == ["not_exercised", "pass"]


def test_stray_subflow():
    """A subflow of unknown connection is nobody's."""
    talk, _ = begun()
    stray = Conversation(talk.tape, keys=(7, 8), wide=(False, False))
    flow = stray.flow(ports=(50_000, 80))
    flow.join(missing="syn synack third")
    flow.data(0, DATA)
    flow.data(0, DATA, mapping=None)
    assert says(talk, at=0).of(EVERY[1], 0).seen == 1
