"""What rules say of payload that no mapping covers."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import MpFail
from mptcp_oracle.rules import covering
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import HOSTS, Said, cut, damaged, said
from tests.common.tape import ACK, PSH, SYN

COVERED = {1: "8684-3.3.1-21", 0: "6824-3.3.1-24"}
EVERY = {1: "8684-3.7-02", 0: "6824-3.6-01"}
DATA = bytes(range(40))
#: Seconds that a round trip takes on the tape, and in which a mapping may come.
TRIP, GRACE = 0.002, 1.006


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


def bare(talk: Conversation, flow: Flow, host: int, *, wait: float = 9.0) -> tuple[int, int]:
    """Payload that no mapping covers, and its ACK; the frames of both."""
    frame = flow.data(host, DATA, mapping=None)
    ack = flow.ack(1 - host)
    talk.tape.now += round((wait - TRIP / 2) * 1e9)
    flow.ack(1 - host)
    return frame, ack


# --------------------------------------------------------------------------- payload is covered


@pytest.mark.parametrize("version", [0, 1])
def test_payload_is_covered(version):
    """Payload has a mapping on its own segment, or on another of the subflow."""
    talk, flow = begun(version)
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=80))
    flow.data(0, DATA, mapping=None)
    flow.data(1, DATA, mapping=None)
    flow.data(1, DATA, mapping=Mapping(dsn=41, ssn=41, dll=80))
    flow.ack(0)
    found = says(talk, at=0)
    assert found.outcomes(COVERED[version], host=0) == ["pass"]
    assert found.outcomes(COVERED[version], host=1) == ["pass"]
    assert [found.of(COVERED[version], host).seen for host in (0, 1)] == [3, 3]
    assert found.of(COVERED[version], 0).unseen == 0


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_payload_never_covered(version, host):
    """Payload that was acknowledged, and never gets a mapping, is a warning."""
    talk, flow = begun(version)
    frame, ack = bare(talk, flow, host)
    found = says(talk, at=host)
    assert found.failed() == {(COVERED[version], HOSTS[host])}
    verdict = found.of(COVERED[version], host)
    assert verdict.frames == (frame, ack)
    assert verdict.severity == "warning"
    assert verdict.subflow == 0
    assert verdict.seen == 1
    assert verdict.why == (
        f"the subflow's octet 41 has no mapping, and was acknowledged in frame {ack}"
    )


def test_first_octet_that_is_not_covered():
    """What is behind several mappings of one segment may be bare."""
    talk, flow = begun()
    flow.data(0, DATA[:10], dsn=61, mapping=Mapping(dsn=61, ssn=46, dll=5))
    flow.segment(
        0,
        ACK | PSH,
        talk.dss(0, Mapping(dsn=41, ssn=41, dll=5)),
        talk.dss(0, Mapping(dsn=66, ssn=51, dll=7)),
        payload=DATA,
        seq=41,
    )
    flow.ack(1)
    talk.tape.wait(9)
    flow.ack(0)
    found = says(talk, at=0)
    assert found.outcome(COVERED[1], 0) == "fail"
    assert "octet 58 has no mapping" in found.of(COVERED[1], 0).why


@pytest.mark.parametrize(("wait", "outcome"), [(GRACE, "fail"), (GRACE - 1e-9, "pass")])
def test_grace_for_a_mapping(wait, outcome):
    """A mapping may come for a second and three round trips after the acknowledgment."""
    talk, flow = begun()
    bare(talk, flow, 0, wait=wait)
    found = says(talk, at=0)
    assert found.outcome(COVERED[1], 0) == outcome
    assert found.of(COVERED[1], 0).unseen == (outcome == "pass")


def test_acknowledgment_of_what_is_covered():
    """An acknowledgment of the octets before is none of those without mapping."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=None)
    talk.tape.wait(9)
    flow.ack(1, ack=41)
    found = says(talk, at=0)
    assert found.outcome(COVERED[1], 0) == "pass"
    assert found.of(COVERED[1], 0).unseen == 1
    flow.ack(1, ack=42)
    talk.tape.wait(9)
    flow.ack(0)
    assert says(talk, at=0).outcome(COVERED[1], 0) == "fail"


def test_acknowledgment_in_a_reset():
    """A RST takes nothing that came before it."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=None)
    flow.rst(1, 6)
    talk.tape.wait(9)
    flow.ack(0)
    assert says(talk, at=0).outcome(COVERED[1], 0) == "pass"


@pytest.mark.parametrize(("at", "whole"), [(None, True), (1, True), (0, False)])
def test_covering_mapping_may_be_missing(at, whole):
    """The mapping may be in a frame that was not captured, or may have been removed."""
    talk, flow = begun()
    bare(talk, flow, 0)
    found = says(talk, at=at, whole=whole)
    assert found.outcome(COVERED[1], 0) == "inconclusive"
    assert "a frame may be missing" in found.of(COVERED[1], 0).why


def test_covered_in_a_damaged_capture():
    """A damaged segment shows nothing for certain."""
    talk, flow = begun()
    frame, _ = bare(talk, flow, 0)
    damaged(talk, frame)
    assert says(talk, at=0).outcome(COVERED[1], 0) == "inconclusive"


def test_mapping_cut_off_by_the_capture():
    """Where TCP options were cut off, mappings may be among them."""
    talk, flow = begun()
    bare(talk, flow, 0)
    flow.ack(0)
    octets = cut(talk, talk.tape.last, 4)
    found = says(talk, at=0, octets=octets)
    assert found.outcome(COVERED[1], 0) == "pass"
    assert found.of(COVERED[1], 0).unseen == 1
    found = said(talk, covering.RULES, at=0, octets=cut(talk, 6, 60))
    assert found.outcome(COVERED[1], 0) == "pass"


@pytest.mark.parametrize("version", [0, 1])
def test_mptcp_goes_on_for_the_sender(version):
    """A host that sends options of MPTCP with or after its payload has not fallen back."""
    talk, flow = begun(version)
    frame = flow.segment(0, ACK | PSH, payload=DATA)
    flow.segment(1, ACK)
    flow.ack(0)
    talk.tape.wait(9)
    flow.segment(1, ACK)
    found = says(talk, at=0)
    assert found.of(COVERED[version], 0).frames[0] == frame
    assert found.outcome(COVERED[version], 0) == "fail"


@pytest.mark.parametrize(("later", "outcome"), [(True, "fail"), (False, "pass")])
def test_mptcp_goes_on_for_the_receiver(later, outcome):
    """Nor has the connection if the other host goes on after it got the payload."""
    talk, flow = begun()
    flow.segment(0, ACK | PSH, payload=DATA)
    flow.ack(1)
    talk.tape.wait(9)
    if later:
        flow.ack(1)
    else:
        flow.segment(1, ACK)
    flow.segment(1, ACK)
    found = says(talk, at=0)
    assert found.outcome(COVERED[1], 0) == outcome
    assert found.of(COVERED[1], 0).unseen == (not later)


def test_mptcp_on_the_payload_itself():
    """An option beside the payload is enough, if nobody sends one later."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=None)
    flow.segment(1, ACK)
    talk.tape.wait(9)
    flow.segment(1, ACK)
    assert says(talk, at=0).outcome(COVERED[1], 0) == "fail"


def test_single_octets():
    """One octet is payload, too."""
    talk, flow = begun()
    flow.data(0, b"x")
    assert says(talk, at=0).of(COVERED[1], 0).seen == 2
    frame = flow.data(0, b"x", mapping=None)
    flow.ack(1)
    talk.tape.wait(9)
    flow.ack(1)
    assert says(talk, at=0).of(COVERED[1], 0).frames[0] == frame


def test_checksum_failure_of_another_connection():
    """Each connection has failures of its own."""
    talk, _ = begun()
    other = Conversation(talk.tape, keys=(7, 8))
    flow = other.opened(ports=(50_000, 80))
    flow.data(0, DATA)
    flow.ack(1)
    flow.fail(1, 41)
    bare(talk, flow, 0)
    assert says(talk, at=0, connection=1).outcome(COVERED[1], 0) == "inconclusive"


def test_payload_after_a_checksum_failure():
    """MP_FAIL may have ended the use of MPTCP."""
    talk, flow = begun()
    flow.fail(1, 41)
    bare(talk, flow, 0)
    found = says(talk, at=0)
    assert found.outcome(COVERED[1], 0) == "inconclusive"
    assert "MP_FAIL" in found.of(COVERED[1], 0).why


def test_payload_after_an_infinite_mapping():
    """After an infinite mapping no payload has a mapping of its own."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0))
    flow.data(1, DATA, mapping=None)
    flow.ack(0)
    talk.tape.wait(9)
    flow.ack(0)
    found = says(talk, at=1)
    assert found.outcome(COVERED[1], 1) == "pass"
    assert (found.of(COVERED[1], 1).seen, found.of(COVERED[1], 1).unseen) == (1, 0)


def test_payload_without_syn():
    """Where mappings lie is not certain without the SYN."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack")
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=40))
    flow.ack(1)
    bare(talk, flow, 0)
    found = says(talk, at=0)
    assert found.outcome(COVERED[1], 0) == "inconclusive"
    assert "not all known" in found.of(COVERED[1], 0).why


def test_data_of_the_syn_has_no_mapping():
    """Data of the SYN lies outside the data sequence space."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(9))
    flow.synack()
    flow.third()
    flow.ack(1)
    talk.tape.wait(9)
    flow.ack(1)
    assert says(talk, at=0).outcomes(COVERED[1], EVERY[1], host=0) == ["not_exercised"] * 2


def test_mapping_from_another_world():
    """Payload under a mapping with an absurd DSN is covered, whatever that is worth."""
    talk, flow = begun()
    far = Mapping(dsn=1 << 62, ssn=41, dll=40)
    flow.data(0, DATA, mapping=far)
    flow.ack(1, dack=41)
    talk.tape.wait(9)
    flow.ack(1, dack=41)
    assert says(talk, at=0).outcome(COVERED[1], 0) == "pass"


def test_plain_tcp_beside_it():
    """A stream without MPTCP in the same capture is nobody's."""
    talk, _ = begun()
    plain = talk.flow()
    plain.segment(0, SYN)
    plain.segment(1, SYN | ACK)
    plain.segment(0, ACK | PSH, payload=DATA)
    found = says(talk, at=0)
    assert [found.of(COVERED[1], host).seen for host in (0, 1)] == [1, 1]
    assert [found.of(COVERED[1], host).unseen for host in (0, 1)] == [0, 0]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("before", ["fail", "own fail", "plain", "nothing"])
def test_plain_payload_after_mptcp_failed(version, before):
    """Who knows that MPTCP has failed may send plain TCP before any DATA_ACK."""
    talk = Conversation(version=version)
    flow = talk.opened()
    if before == "plain":
        flow.segment(1, ACK | PSH, payload=DATA)
    elif before == "fail":
        flow.segment(1, ACK, MpFail(dsn=talk.absolute(0, 1)))
    elif before == "own fail":
        flow.segment(0, ACK, MpFail(dsn=talk.absolute(1, 1)))
    flow.segment(0, ACK | PSH, payload=DATA)
    flow.data(0, DATA)
    outcome = says(talk, at=0).outcome(EVERY[version], 0)
    assert (outcome == "fail") == (before == "nothing")
