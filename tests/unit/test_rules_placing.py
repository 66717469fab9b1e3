"""What rules say of mappings that change, and of what their numbers count from."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import placing
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import Said, damaged, said
from tests.common.tape import ACK

CHANGED = {1: "8684-3.3.1-01", 0: "6824-3.3.1-10"}
RELATIVE = {1: "8684-3.3.1-04", 0: "6824-3.3.1-12"}
APPLIES = "8684-3.3.1-20"
DATA = bytes(range(40))


def says(talk: Conversation, **claims) -> Said:
    """What the rules of places say."""
    return said(talk, placing.RULES, **claims)


def begun(version: int = 1, **settings) -> tuple[Conversation, Flow]:
    """A conversation with data of both hosts under a DSS, and its initial subflow."""
    talk = Conversation(version=version, **settings)
    flow = talk.opened()
    for host in (1, 0):
        flow.data(host, DATA)
    return talk, flow


def fast(accepted: int, offered: int) -> tuple[Conversation, Flow]:
    """A conversation whose SYN has data, some of it accepted."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(offered))
    flow.next[0] = 1 + accepted
    flow.synack(ack=1 + accepted)
    flow.third()
    return talk, flow


# --------------------------------------------------------------------------- changed mappings


@pytest.mark.parametrize("version", [0, 1])
def test_mappings_that_agree(version):
    """A mapping may come again, in part, longer, with a DATA_FIN, and for new octets."""
    talk, flow = begun(version)
    flow.data(0, DATA)
    flow.data(0, DATA, dsn=1, seq=1)
    flow.data(0, DATA[5:], dsn=6, seq=6)
    both = talk.mapping(0, DATA + DATA, dsn=1, ssn=1)
    flow.data(0, DATA + DATA, seq=1, mapping=both)
    flow.data(0, DATA, dsn=41, seq=41, fin=True)
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(CHANGED[version], 0).seen == 6
    assert found.of(CHANGED[version], 1).seen == 1
    assert found.of(RELATIVE[version], 0).seen == 6


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_mapping_changed(version, host):
    """An octet that gets another DSN on its subflow shows it at every tap, by both frames."""
    talk, flow = begun(version)
    frame = flow.data(host, DATA, dsn=42, seq=1)
    found = says(talk, whole=False)
    assert found.failed() == {(CHANGED[version], ("initiator", "listener")[host])}
    verdict = found.of(CHANGED[version], host)
    assert verdict.frames == (5 - host, frame)
    assert verdict.why == (
        "the subflow's octet 1 had DSN 1 (relative) by a mapping, and a later one gives it DSN 42"
    )
    assert verdict.seen == 1
    assert verdict.subflow == 0


def test_both_hosts_change_mappings():
    """Each host's mappings are its own."""
    talk, flow = begun()
    frames = [flow.data(host, DATA, dsn=42, seq=1) for host in (0, 1)]
    found = says(talk)
    assert [found.of(CHANGED[1], host).frames[1] for host in (0, 1)] == frames


@pytest.mark.parametrize(
    ("first", "last", "seq", "dsn", "octet"),
    [
        # Its end, its begin, its middle and the whole of it overlap what was mapped before.
        (30, 70, 30, 31, 30),
        (1, 11, 1, 2, 1),
        (10, 30, 10, 11, 10),
        (1, 121, 1, 1, 41),
    ],
)
def test_part_of_a_mapping_changed(first, last, seq, dsn, octet):
    """One octet with another DSN is enough, wherever it is in the later mapping."""
    talk, flow = begun()
    if dsn == 1:
        # What follows the first mapping was moved by one.
        flow.data(0, DATA, dsn=42)
    octets = bytes(last - first)
    frame = flow.data(0, octets, seq=seq, mapping=talk.mapping(0, octets, dsn=dsn, ssn=seq))
    found = says(talk)
    assert found.outcome(CHANGED[1], 0) == "fail"
    assert found.of(CHANGED[1], 0).frames[-1] == frame
    assert f"octet {octet} " in found.of(CHANGED[1], 0).why


def test_neighbours_with_a_gap_agree():
    """Mappings side by side may have any distance of DSN and sequence number."""
    talk, flow = begun()
    flow.data(0, DATA, dsn=100)
    flow.data(0, DATA, dsn=41)
    flow.data(0, DATA, dsn=100, seq=41)
    assert says(talk).outcome(CHANGED[1], 0) == "pass"


def test_same_octets_on_two_subflows():
    """Each subflow has mappings of its own."""
    talk, flow = begun()
    other = talk.joined()
    other.data(0, DATA, dsn=42)
    flow.data(0, DATA, dsn=42)
    assert says(talk).outcome(CHANGED[1], 0) == "pass"


def test_changed_in_a_damaged_segment():
    """A mapping in a segment whose TCP checksum is wrong is not for certain that of the host."""
    talk, flow = begun()
    damaged(talk, flow.data(0, DATA, dsn=42, seq=1))
    found = says(talk)
    assert found.outcome(CHANGED[1], 0) == "inconclusive"
    assert "TCP checksum" in found.of(CHANGED[1], 0).why


def test_changed_by_a_segment_that_lies_elsewhere():
    """A mapping far from its segment may be of another connection with the same ports."""
    talk, flow = begun()
    flow.data(0, DATA, seq=1 << 22, mapping=Mapping(dsn=42, ssn=1, dll=40))
    found = says(talk)
    assert found.outcome(CHANGED[1], 0) == "inconclusive"
    assert "a SYN is missing" in found.of(CHANGED[1], 0).why


def test_changed_from_what_lies_elsewhere():
    """So may one that came first be."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA, seq=1 << 22, mapping=Mapping(dsn=42, ssn=1, dll=40))
    flow.data(0, DATA, seq=1, mapping=Mapping(dsn=1, ssn=1, dll=40))
    assert says(talk).outcome(CHANGED[1], 0) == "inconclusive"


def test_changed_mapping_in_advance():
    """In version 0 a pure ACK may have the first mapping: another one changes it all the same."""
    talk = Conversation(version=0)
    flow = talk.opened()
    first = flow.segment(0, ACK, talk.dss(0, Mapping(dsn=42, ssn=1, dll=40), dack=1))
    second = flow.data(0, DATA)
    found = says(talk)
    assert found.outcome(CHANGED[0], 0) == "fail"
    assert found.of(CHANGED[0], 0).frames == (first, second)


@pytest.mark.parametrize(("away", "outcome"), [(-1, "fail"), (0, "inconclusive")])
def test_how_far_a_mapping_may_run_ahead(away, outcome):
    """A mapping that begins a MiB behind its segment may be of another connection."""
    talk = Conversation(version=0)
    flow = talk.opened()
    far = 1 + placing.AHEAD + away
    flow.segment(0, ACK, talk.dss(0, Mapping(dsn=42, ssn=far, dll=40), dack=1))
    flow.data(0, DATA, seq=far, mapping=Mapping(dsn=1, ssn=far, dll=40))
    assert says(talk).outcome(CHANGED[0], 0) == outcome


def test_changed_on_a_join_without_hmac():
    """A subflow that may be of another connection may count other numbers."""
    talk, _ = begun()
    flow = talk.flow()
    flow.join(missing="synack third")
    flow.data(0, DATA)
    flow.data(0, DATA, dsn=42, seq=1)
    assert says(talk).outcome(CHANGED[1], 0) == "inconclusive"


def test_changed_after_data_on_the_syn():
    """Where numbers may count data of the SYN or not, two of them may mean different octets."""
    talk, flow = fast(10, 10)
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=40))
    flow.data(0, DATA, seq=11, mapping=Mapping(dsn=42, ssn=1, dll=40))
    found = says(talk)
    assert found.outcome(CHANGED[1], 0) == "inconclusive"


@pytest.mark.parametrize(("missing", "outcome"), [("syn", "inconclusive"), ("third", "fail")])
def test_changed_where_the_syn_is_missing(missing, outcome):
    """A SYN/ACK does not show whether the SYN had data, which numbers may count."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing=missing)
    flow.data(0, DATA, dsn=1, seq=1)
    flow.data(0, DATA, dsn=42, seq=1)
    assert says(talk).outcome(CHANGED[1], 0) == outcome


def test_retroactive_infinite_mapping():
    """An infinite mapping may go back to mapped octets, and what follows it is plain TCP."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=0))
    flow.data(0, DATA, dsn=42, seq=1)
    found = says(talk)
    assert found.outcome(CHANGED[1], 0) == "pass"
    assert found.of(CHANGED[1], 0).seen == 1


# --------------------------------------------------------------------------- numbers from the SYN


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_absolute_sequence_number(version, host):
    """A number as it stands in the TCP header shows that it does not count from the SYN."""
    talk, flow = begun(version)
    isn = (1_000, 5_000_000)[host]
    frame = flow.data(host, DATA, mapping=Mapping(dsn=41, ssn=isn + 41, dll=40))
    found = says(talk, whole=False)
    assert found.outcome(RELATIVE[version], host) == "fail"
    assert found.of(RELATIVE[version], host).frames == (frame,)
    assert found.of(RELATIVE[version], host).why == (
        f"the mapping begins at subflow sequence number {isn + 41}, its segment at 41, "
        f"which is {isn + 41} in its TCP header"
    )
    assert found.of(RELATIVE[version], host).seen == 1


@pytest.mark.parametrize(("missing", "outcome"), [("synack", "fail"), ("syn", "not_exercised")])
def test_absolute_sequence_number_without_syn(missing, outcome):
    """A SYN that is missing may have had data, which would explain any number."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing=missing)
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1_001, dll=40))
    assert says(talk).outcome(RELATIVE[1], 0) == outcome


def test_number_that_a_third_packet_shows():
    """A third packet shows the initial sequence number of the listener."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="synack")
    frame = flow.data(1, DATA, mapping=Mapping(dsn=1, ssn=5_000_001, dll=40))
    assert says(talk).of(RELATIVE[1], 1).frames == (frame,)


@pytest.mark.parametrize("off", [-1, 1])
def test_nearly_absolute_sequence_number(off):
    """Any other number that leads nowhere is a doubt: its octets may follow."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=1_041 + off, dll=40))
    found = says(talk, at=0)
    assert found.outcome(RELATIVE[1], 0) == "inconclusive"
    assert "no octet that it covers was sent; they may follow" in found.of(RELATIVE[1], 0).why


def test_numbers_that_count_from_0_where_the_syn_is():
    """Where the initial sequence number is 0, both are the same."""
    talk = Conversation(version=0)
    flow = talk.opened(isn=(0, 5_000_000))
    flow.data(0, DATA)
    assert says(talk).outcome(RELATIVE[0], 0) == "pass"


def test_mapping_ahead_of_its_octets():
    """In version 0 a mapping may stand on an earlier segment, if its octets come."""
    talk, flow = begun(0)
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=40))
    flow.data(0, DATA, mapping=None)
    found = says(talk, at=0)
    assert found.outcome(RELATIVE[0], 0) == "pass"
    assert found.of(RELATIVE[0], 0).seen == 3
    assert found.outcome(APPLIES, 0) == "not_exercised"


@pytest.mark.parametrize(("first", "outcome"), [(80, "pass"), (81, "inconclusive")])
def test_last_octet_that_was_sent(first, outcome):
    """A mapping that begins at the last octet of all leads somewhere, one behind it does not."""
    talk, flow = begun(0)
    flow.data(0, DATA[:20], mapping=Mapping(dsn=first, ssn=first, dll=40))
    flow.data(0, DATA[:20], mapping=None)
    assert says(talk, at=0).outcome(RELATIVE[0], 0) == outcome


@pytest.mark.parametrize(("end", "outcome"), [(42, "pass"), (41, "inconclusive")])
def test_first_octet_that_was_sent(end, outcome):
    """So with a mapping that ends with the first octet of all, or before it."""
    talk = Conversation(version=0)
    flow = talk.opened()
    flow.next[0] = 41
    flow.data(0, DATA, mapping=None)
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=end - 20, dll=20))
    assert says(talk, at=0).outcome(RELATIVE[0], 0) == outcome


def test_mapping_of_nothing_beside_mapped_payload():
    """Where the segment's own payload has a mapping, one that leads nowhere says nothing."""
    talk, flow = begun(0)
    flow.data(0, DATA, dsn=1, seq=1, mapping=Mapping(dsn=141, ssn=141, dll=40))
    found = says(talk, at=0)
    assert found.outcome(RELATIVE[0], 0) == "pass"
    assert found.of(RELATIVE[0], 0).seen == 1


@pytest.mark.parametrize("version", [0, 1])
def test_number_of_the_syn(version):
    """The SYN has the number 0, so that no octet of payload can have it."""
    talk = Conversation(version=version)
    flow = talk.opened()
    frame = flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=0, dll=40))
    found = says(talk, whole=False)
    assert found.outcome(RELATIVE[version], 0) == "fail"
    assert found.of(RELATIVE[version], 0).frames == (frame,)
    assert found.of(RELATIVE[version], 0).why.endswith("; the SYN has the number 0")


def test_number_of_the_syn_without_syn():
    """Where numbers count from the SYN is not known if that is not in the capture."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack")
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=0, dll=40))
    assert says(talk).outcome(RELATIVE[1], 0) == "not_exercised"


def test_absolute_after_data_on_the_syn():
    """An absolute number is wrong also where numbers may count data of the SYN."""
    talk, flow = fast(10, 10)
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=40))
    frame = flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=1_051, dll=40))
    found = says(talk, at=0)
    assert found.of(RELATIVE[1], 0).frames == (frame,)
    assert found.outcomes(RELATIVE[1], APPLIES, host=0) == ["fail", "fail"]
    assert found.of(RELATIVE[1], 0).seen == 0
