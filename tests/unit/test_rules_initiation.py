"""What rules say of the third packet and of first data."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import Dss, MpCapable, MpFail
from mptcp_oracle.rules import initiation
from tests.common.conversation import KEYS, Conversation, Flow, Mapping
from tests.common.hello import form, hello
from tests.common.joinery import Said, said
from tests.common.tape import ACK, PSH, SYN

THREE_PACKETS, FIRST_ACK, FIRST_DATA = "8684-3.1-01", "8684-3.1-16", "8684-3.1-17"
IS_MAPPING, ACKNOWLEDGED = "8684-3.1-18", "8684-3.1-19"


def beginning(talk: Conversation, **claims) -> Said:
    """What the rules of a connection's beginning say."""
    return said(talk, initiation.RULES[:1], **claims)


def opened(third: MpCapable | None = None, **settings) -> tuple[Conversation, Flow]:
    """SYN and SYN/ACK, and a third packet if one is given."""
    talk = Conversation(**settings)
    flow = talk.flow()
    flow.syn()
    flow.synack()
    if third is not None:
        flow.third(third)
    return talk, flow


# --------------------------------------------------------------------------- third packet


def test_three_packets():
    """SYN/ACK and first ACK have an MP_CAPABLE; with data it is no third packet without."""
    talk, flow = opened(form("ack"))
    flow.ack(0)
    found = beginning(talk, whole=False)
    assert found.outcome(THREE_PACKETS, 0) == found.outcome(THREE_PACKETS, 1) == "pass"
    assert found.outcomes(FIRST_ACK, host=0) == ["pass"]
    talk, flow = opened()
    flow.first_data(b"first")
    found = beginning(talk, whole=False)
    assert found.outcomes(THREE_PACKETS, FIRST_ACK, host=0) == ["pass", "not_exercised"]


def test_third_packet_without_capable():
    """A first ACK without MP_CAPABLE is wrong if the initiator then goes on with MPTCP."""
    for later in (
        lambda flow: flow.first_data(b"first"),
        lambda flow: flow.ack(0),
        lambda flow: flow.third(),
    ):
        talk, flow = opened()
        flow.segment(0, ACK)
        later(flow)
        found = beginning(talk, at=0)
        assert found.failed() == {(THREE_PACKETS, "initiator"), (FIRST_ACK, "initiator")}
        for number in (THREE_PACKETS, FIRST_ACK):
            assert (found.of(number, 0).frames, found.of(number, 0).subflow) == ((3,), 0)
            assert "frame 2 has no MP_CAPABLE, and MPTCP goes on" in found.of(number, 0).why
        for claims in ({"at": 0, "whole": False}, {"at": 1}, {}):
            found = beginning(talk, **claims)
            assert found.outcomes(THREE_PACKETS, FIRST_ACK, host=0) == ["inconclusive"] * 2
            assert "may be missing" in found.of(FIRST_ACK, 0).why


def test_first_ack_with_a_dss_alone():
    """A DSS does not replace the MP_CAPABLE, and shows that MPTCP goes on."""
    talk, flow = opened()
    flow.ack(0)
    assert beginning(talk, at=0).failed() == {
        (THREE_PACKETS, "initiator"),
        (FIRST_ACK, "initiator"),
    }


def test_first_ack_with_data_and_without_capable():
    """A first packet with data breaks the rule for three packets alone."""
    talk, flow = opened()
    flow.data(0, b"data")
    assert beginning(talk, at=0).failed() - {(FIRST_DATA, "initiator")} == {
        (THREE_PACKETS, "initiator")
    }


def test_plain_third_packet():
    """An initiator that sends no MPTCP option any more has declined."""
    talk, flow = opened()
    flow.segment(0, ACK)
    flow.segment(0, ACK | PSH, payload=b"plain")
    found = beginning(talk, at=0)
    assert found.outcomes(THREE_PACKETS, FIRST_ACK, host=0) == ["not_exercised"] * 2
    assert found.outcome(THREE_PACKETS, 1) == "pass"


def test_an_odd_capable_is_one():
    """A third packet with an MP_CAPABLE of a wrong Length has one."""
    talk, flow = opened(form("synack"))
    flow.ack(0)
    found = beginning(talk, at=0)
    assert found.outcomes(THREE_PACKETS, FIRST_ACK, host=0) == ["pass"] * 2


def test_third_packet_of_a_late_capture():
    """Without the SYN, the first packet may have been sent before the capture began."""
    talk = Conversation()
    flow = talk.flow()
    with talk.lost():
        flow.syn()
    flow.synack()
    flow.segment(0, ACK)
    flow.ack(0)
    found = beginning(talk, at=0)
    assert not found.failed()
    assert found.outcome(FIRST_ACK, 0) == "inconclusive"


def test_a_plain_synack_asks_for_nothing():
    """After a SYN/ACK without MP_CAPABLE no third packet has to have one."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.segment(1, SYN | ACK, seq=0)
    flow.segment(0, ACK)
    flow.ack(0)
    found = beginning(talk, at=0)
    assert found.outcome(FIRST_ACK, 0) == "not_exercised"
    assert found.outcome(THREE_PACKETS, 1) == "not_exercised"


# --------------------------------------------------------------------------- first data


def test_first_data_under_a_dss():
    """First data has an MP_CAPABLE, unless a DSS of the listener came before it."""
    talk, flow = opened(form("ack"))
    flow.data(0, b"first")
    found = beginning(talk, at=0)
    assert found.failed() == {(FIRST_DATA, "initiator")}
    verdict = found.of(FIRST_DATA, 0)
    assert (verdict.frames, verdict.subflow, verdict.severity) == ((4,), 0, "warning")
    for claims in ({"at": 0, "whole": False}, {"at": 1}, {}):
        assert beginning(talk, **claims).outcome(FIRST_DATA, 0) == "inconclusive"


@pytest.mark.parametrize("heard", ["ack", "data", "odd"])
def test_a_dss_permits_a_dss(heard):
    """Whatever DSS of the listener came first shows that it has the keys."""
    talk, flow = opened(form("ack"))
    if heard == "ack":
        flow.ack(1)
    elif heard == "data":
        flow.data(1, b"hello", dack=None)
    else:
        flow.segment(1, ACK, bytes([30, 9, 0x20, 1]) + bytes(5))
    flow.data(0, b"first")
    assert beginning(talk, at=0).outcome(FIRST_DATA, 0) == "not_exercised"


def test_an_add_addr_permits_nothing():
    """An ADD_ADDR is no DSS."""
    talk, flow = opened(form("ack"))
    flow.add_addr(1, "10.0.9.9")
    flow.data(0, b"first")
    assert beginning(talk, at=0).failed() == {(FIRST_DATA, "initiator")}


@pytest.mark.parametrize("host", [0, 1])
def test_an_odd_dss_of_either_host(host):
    """Only the listener's DSS tells the initiator anything."""
    talk, flow = opened(form("ack"))
    flow.segment(host, ACK, bytes([30, 9, 0x20, 1]) + bytes(5))
    flow.data(0, b"first")
    outcome = "not_exercised" if host else "fail"
    assert beginning(talk, at=0).outcome(FIRST_DATA, 0) == outcome


def test_a_dss_that_comes_later_permits_nothing():
    """What came after the first data does not count."""
    talk, flow = opened(form("ack"))
    flow.data(0, b"first")
    flow.ack(1)
    assert beginning(talk, at=0).failed() == {(FIRST_DATA, "initiator")}


@pytest.mark.parametrize(
    ("apart", "outcome"),
    [(-30_000, "not_exercised"), (20_000, "not_exercised"), (20_001, "fail"), (90_000, "fail")],
)
def test_a_dss_on_another_subflow(apart, outcome):
    """A DSS on a joined subflow counts, too, unless it clearly comes after the data."""
    talk, flow = opened(form("ack"))
    second = talk.flow()
    second.join_syn()
    second.join_synack()
    second.join_ack()
    talk.tape.step = 0
    if apart < 0:
        second.ack(1)
        talk.tape.now -= apart
        flow.data(0, b"first")
    else:
        flow.data(0, b"first")
        talk.tape.now += apart
        second.ack(1)
    assert beginning(talk, at=0).outcome(FIRST_DATA, 0) == outcome


def test_first_data_is_sent_once():
    """Of data that is sent again under a DSS, the first segment counts."""
    talk, flow = opened(form("ack"))
    flow.first_data(b"first")
    flow.data(0, b"first", seq=1, dsn=1)
    assert beginning(talk, at=0).outcome(FIRST_DATA, 0) == "pass"


def test_a_data_fin_is_no_data():
    """What has no payload is not looked at: a DATA_FIN alone, a mapping for later."""
    talk, flow = opened(form("ack"))
    flow.data_fin(0)
    assert beginning(talk, at=0).outcome(FIRST_DATA, 0) == "not_exercised"
    talk, flow = opened(form("ack"))
    flow.segment(0, ACK, talk.dss(0, talk.mapping(0, b"first", dsn=1, ssn=1)))
    flow.first_data(b"first")
    assert beginning(talk, at=0).outcome(FIRST_DATA, 0) == "pass"


def test_first_data_that_is_not_captured():
    """Where the beginning is missing, it may have had an MP_CAPABLE."""
    talk, flow = opened(form("ack"))
    with talk.lost():
        flow.first_data(b"first")
    flow.data(0, b"second")
    found = beginning(talk, at=0)
    assert found.outcome(FIRST_DATA, 0) == "inconclusive"
    assert found.of(FIRST_DATA, 0).unseen == 1


def test_first_data_in_version_0():
    """Version 0 has no MP_CAPABLE with data, and its rules are others."""
    talk, flow = opened(form("ack", 0), version=0)
    flow.data(0, b"first")
    assert beginning(talk, at=0) == {}


# --------------------------------------------------------------------------- mapping


def test_capable_with_data_is_the_mapping():
    """Each segment of the octets that an MP_CAPABLE maps may have it."""
    talk, flow = opened(form("ack"))
    option = form("data")
    for at in (1, 3, 5):
        flow.segment(0, ACK | PSH, option, payload=b"xx"[: 6 - at], seq=at)
    found = beginning(talk, whole=False)
    assert found.outcome(IS_MAPPING, 0) == "pass"
    assert found.of(IS_MAPPING, 0).seen == 3


def test_dss_beside_capable():
    """A mapping beside it in a DSS is wrong; a DATA_ACK is not."""
    talk, flow = opened(form("ack"))
    mapping = Mapping(dsn=1, ssn=1, dll=5)
    talk.wide = (False, False)
    frame = flow.segment(0, ACK | PSH, form("data"), talk.dss(0, mapping), payload=b"first")
    found = beginning(talk, whole=False)
    assert found.failed() == {(IS_MAPPING, "initiator")}
    assert found.of(IS_MAPPING, 0).frames == (frame,)
    assert "a DSS with a mapping beside mp_capable" in found.of(IS_MAPPING, 0).why
    assert found.outcome(FIRST_DATA, 0) == "pass"
    talk, flow = opened(form("ack"))
    flow.segment(0, ACK | PSH, form("data"), Dss.of(data_ack=1), payload=b"first")
    assert beginning(talk, whole=False).outcome(IS_MAPPING, 0) == "pass"


@pytest.mark.parametrize(("begin", "outcome"), [(5, "pass"), (6, "fail")])
def test_capable_on_later_data(begin, outcome):
    """A segment behind the octets that an MP_CAPABLE maps must not have it."""
    talk, flow = opened(form("ack"))
    flow.segment(0, ACK | PSH, form("data"), payload=b"first")
    frame = flow.segment(0, ACK | PSH, form("data"), payload=b"later", seq=begin)
    found = beginning(talk, whole=False)
    assert found.outcome(IS_MAPPING, 0) == outcome
    if outcome == "fail":
        assert found.of(IS_MAPPING, 0).frames == (frame,)
        assert "maps octets up to 5, and its segment begins at 6" in found.of(IS_MAPPING, 0).why


def test_capable_behind_data_of_the_syn():
    """What the SYN/ACK accepts of the SYN's data lies before the first octets."""
    for accepted, outcome in ((7, "pass"), (0, "fail")):
        talk = Conversation()
        flow = talk.flow()
        flow.syn(form("syn"), payload=b"early data"[:accepted])
        flow.synack(ack=1 + accepted)
        flow.next[0] = 1 + accepted
        flow.third()
        flow.segment(0, ACK | PSH, form("data"), payload=b"first", seq=12)
        assert beginning(talk, whole=False).outcome(IS_MAPPING, 0) == outcome


@pytest.mark.parametrize("missing", ["syn", "synack"])
def test_mapping_without_its_handshake(missing):
    """Where the subflow begins is not known without SYN and SYN/ACK, for the SYN may have data."""
    talk, flow = hello(**{missing: None}, data=None)
    flow.segment(0, ACK | PSH, form("data"), payload=b"later", seq=100)
    found = beginning(talk)
    assert found.outcome(IS_MAPPING, 0) == "inconclusive"
    assert found.of(IS_MAPPING, 0).unseen == 1


# --------------------------------------------------------------------------- DATA_ACK


def waiting(
    late: float, *, dack: int | None = 1, first_ack: int | None = None, wide: bool = True
) -> tuple[Conversation, Flow]:
    """Five octets under an MP_CAPABLE, acknowledged on the subflow; a later ACK of the listener."""
    talk, flow = opened(form("ack"), wide=(wide, wide))
    flow.first_data(b"first")
    flow.ack(1, dack=dack, ack=first_ack)
    talk.tape.now += round(late * 1_000_000_000) - talk.tape.step
    flow.ack(1, dack=dack)
    return talk, flow


def test_first_data_is_acknowledged():
    """A DATA_ACK of all octets is what is asked for, however late."""
    talk, flow = waiting(5)
    flow.ack(1, dack=6)
    found = beginning(talk, whole=False)
    assert found.outcome(ACKNOWLEDGED, 1) == "pass"


#: A round trip of the handshake is two steps of the tape.
GRACE = 1 + 3 * 0.002


@pytest.mark.parametrize(
    ("late", "outcome"), [(GRACE, "inconclusive"), (GRACE + 1e-6, "fail"), (5, "fail")]
)
def test_first_data_without_data_ack(late, outcome):
    """After a second and three round trips, a listener that says less has not acknowledged it."""
    talk, _ = waiting(late)
    found = beginning(talk, at=1)
    assert found.outcome(ACKNOWLEDGED, 1) == outcome
    if outcome == "fail":
        verdict = found.of(ACKNOWLEDGED, 1)
        assert (verdict.frames, verdict.subflow, verdict.severity) == ((4, 5, 6), 0, "warning")
        assert "5 octets" in verdict.why
        assert "IDSN + 6" in verdict.why
        for claims in ({"at": 1, "whole": False}, {"at": 0}, {}):
            assert beginning(talk, **claims).outcome(ACKNOWLEDGED, 1) == "inconclusive"
    else:
        assert found.of(ACKNOWLEDGED, 1).unseen == 1


def test_a_part_is_not_enough():
    """A DATA_ACK of all octets but one is too little, one beyond is enough."""
    for dack, outcome in ((5, "fail"), (6, "pass"), (7, "pass")):
        for wide in (True, False):
            talk, _ = waiting(5, dack=dack, wide=wide)
            assert beginning(talk, at=1).outcome(ACKNOWLEDGED, 1) == outcome


def test_data_that_did_not_arrive():
    """What the subflow has not acknowledged, or only just, needs no DATA_ACK."""
    talk, flow = opened(form("ack"))
    flow.first_data(b"first")
    for _ in range(2):
        flow.ack(1, dack=1, ack=5)
        talk.tape.wait(5)
    assert beginning(talk, at=1).outcome(ACKNOWLEDGED, 1) == "not_exercised"
    talk, _ = waiting(5, first_ack=5)
    assert beginning(talk, at=1).outcome(ACKNOWLEDGED, 1) == "inconclusive"


def test_a_listener_without_dss():
    """A listener that sends no DATA_ACK at all has perhaps declined MPTCP."""
    talk, _ = waiting(5, dack=None)
    assert beginning(talk, at=1).outcome(ACKNOWLEDGED, 1) == "inconclusive"


def test_a_fallback_needs_no_data_ack():
    """Once an infinite mapping was declared, DATA_ACKs are over."""
    talk, flow = waiting(5)
    flow.data(0, b"last", mapping=Mapping(dsn=6, ssn=6, dll=0))
    assert beginning(talk, at=1).outcome(ACKNOWLEDGED, 1) == "not_exercised"


def test_a_checksum_that_failed():
    """Data that an MP_FAIL refuses gets no DATA_ACK."""
    talk, flow = waiting(5)
    flow.ack(1, MpFail(dsn=talk.absolute(0, 1)), dack=1)
    assert beginning(talk, at=1).outcome(ACKNOWLEDGED, 1) == "inconclusive"


def test_keys_of_other_connections():
    """A third packet of another stream does not make this one's first data."""
    talk, flow = hello(data=None)
    flow.ack(1, MpCapable(version=1, sender_key=KEYS[1], receiver_key=KEYS[0], data_length=5))
    assert beginning(talk, at=0).outcome(IS_MAPPING, 0) == "not_exercised"
