"""What rules say of octets that are sent again: that they are the same, and where they go."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import reinjecting, repeating
from mptcp_oracle.rules.case import INCOMPLETE
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import HOSTS, Said, cut, damaged, said
from tests.common.tape import ACK, FIN, PSH, RST

SAME_SSN = {1: "8684-3.3.6-04", 0: "6824-3.3.6-13"}
SAME_DSN = {1: "8684-3.3.6-02", 0: "6824-3.3.6-11"}
ORIGINAL = {1: "8684-3.3.6-01", 0: "6824-3.3.6-10"}
BOTH = (SAME_SSN[1], SAME_DSN[1])
DATA = bytes(range(40))
OTHER = DATA[:25] + b"!" + DATA[26:]
LONG = reinjecting.PATIENCE / 1e9


def says(talk: Conversation, **claims) -> Said:
    """What the rules of repeated data say."""
    return said(talk, repeating.RULES, **claims)


def begun(version: int = 1, **settings) -> tuple[Conversation, Flow]:
    """A conversation with 40 octets of data from each host."""
    talk = Conversation(version=version, **settings)
    flow = talk.opened()
    for host in (1, 0):
        flow.data(host, DATA)
    return talk, flow


# ------------------------------------------------------------------------------- the same octets


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_same_octets_again(version, host):
    """TCP's retransmissions, whole and in part, remaps and copies over another subflow."""
    talk, flow = begun(version)
    other = talk.joined()
    flow.data(host, DATA, seq=1, dsn=1)
    flow.data(host, DATA[7:20], seq=8, dsn=8)
    flow.data(host, DATA, dsn=1)
    other.data(host, DATA, dsn=1)
    found = says(talk, at=host)
    assert found.failed() == set()
    assert found.of(SAME_SSN[version], host).seen == 2
    assert found.of(SAME_DSN[version], host).seen == 4
    assert found.outcome(SAME_DSN[version], 1 - host) == "not_exercised"


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_other_octets_under_one_sequence_number(version, host):
    """A retransmission with one other octet breaks both requirements, at the sender's tap."""
    talk, flow = begun(version)
    frame = flow.data(host, OTHER, seq=1, dsn=1)
    found = says(talk, at=host, whole=False)
    assert found.failed() == {
        (SAME_SSN[version], HOSTS[host]),
        (SAME_DSN[version], HOSTS[host]),
    }
    first = found.of(SAME_SSN[version], host)
    assert (first.frames, first.subflow, first.severity) == ((5 - host, frame), 0, "violation")
    assert first.why == (
        f"the octet with subflow sequence number 26 is 21, and was 19 in frame {5 - host}"
    )
    second = found.of(SAME_DSN[version], host)
    assert second.frames == (5 - host, frame)
    assert second.why == f"the octet with DSN (relative) 26 is 21, and was 19 in frame {5 - host}"
    for claims in ({}, {"at": 1 - host}):
        doubt = says(talk, **claims)
        for requirement in (SAME_SSN[version], SAME_DSN[version]):
            assert doubt.outcome(requirement, host) == "inconclusive"
            assert doubt.of(requirement, host).why.endswith(f"; {repeating.ON_THE_WAY}")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_other_octets_under_one_data_sequence_number(elsewhere):
    """A copy with another octet, at new sequence numbers or on another subflow."""
    talk, flow = begun()
    other = talk.joined()
    frame = (other if elsewhere else flow).data(0, OTHER, dsn=1)
    found = says(talk, at=0)
    assert found.failed() == {(SAME_DSN[1], "initiator")}
    assert found.of(SAME_DSN[1], 0).frames == (5, frame)
    assert found.of(SAME_DSN[1], 0).subflow == int(elsewhere)


@pytest.mark.parametrize("place", [0, 1, 31, 32, 39])
def test_each_octet_is_compared(place):
    """First and last octets count, and all between."""
    talk, flow = begun()
    octets = bytearray(DATA)
    octets[place] ^= 0x80
    flow.data(0, bytes(octets), dsn=1)
    found = says(talk, at=0)
    assert found.of(SAME_DSN[1], 0).why.startswith(f"the octet with DSN (relative) {place + 1} is")


def test_first_difference_of_several():
    """A segment is one instance, whatever it repeats of several others."""
    talk, flow = begun()
    flow.data(0, DATA)
    flow.data(0, DATA[20:] + OTHER[:20], seq=21, dsn=21)
    assert says(talk, at=0).failed() == set()
    frame = flow.data(0, DATA[20:] + b"?" + DATA[1:30], seq=21, dsn=21)
    found = says(talk, at=0)
    for requirement in BOTH:
        assert found.of(requirement, 0).frames == (6, frame)
        assert found.of(requirement, 0).seen == 1
        assert "41 is 3f, and was 00" in found.of(requirement, 0).why


def test_first_carrier_decides():
    """A copy is held against what was sent first, not against other copies."""
    talk, flow = begun()
    flow.data(0, OTHER, seq=1, dsn=1)
    flow.data(0, DATA, seq=1, dsn=1)
    found = says(talk, at=0)
    assert (found.of(SAME_SSN[1], 0).seen, found.of(SAME_DSN[1], 0).seen) == (1, 1)
    assert found.of(SAME_SSN[1], 0).frames == (5, 6)


def test_segment_that_filled_a_gap():
    """Who filled a gap is the first carrier of what was in it."""
    talk, flow = begun()
    flow.data(0, DATA, seq=81, dsn=81)
    filler = flow.data(0, OTHER, seq=41, dsn=41)
    frame = flow.data(0, DATA, seq=41, dsn=41)
    found = says(talk, at=0)
    for requirement in BOTH:
        assert found.of(requirement, 0).frames == (filler, frame)


def test_old_and_new_octets_in_one_segment():
    """Of a segment that repeats some octets and goes on only these are compared."""
    talk, flow = begun()
    flow.data(0, DATA[20:] + OTHER, seq=21, dsn=21)
    found = says(talk, at=0)
    assert found.failed() == set()
    assert (found.of(SAME_SSN[1], 0).seen, found.of(SAME_DSN[1], 0).seen) == (1, 1)


def test_octets_under_no_mapping():
    """Sequence numbers have their octets with and without mappings."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    flow.data(0, DATA)
    flow.segment(0, ACK | PSH, talk.dss(0, dack=41), payload=DATA)
    flow.segment(0, ACK | PSH, talk.dss(0, dack=41), payload=OTHER, seq=41)
    flow.data(0, DATA, dsn=41)
    found = says(talk, at=0)
    assert found.failed() == {(SAME_SSN[1], "initiator")}


def test_retransmission_that_was_damaged():
    """A segment with a wrong TCP checksum shows nothing."""
    talk, flow = begun()
    damaged(talk, flow.data(0, OTHER, seq=1, dsn=1))
    found = says(talk, at=0)
    assert found.outcomes(*BOTH, host=0) == ["inconclusive"] * 2


@pytest.mark.parametrize(("left", "outcome"), [(25, "pass"), (26, "fail"), (0, "inconclusive")])
def test_octets_that_were_not_captured(left, outcome):
    """What the snap length cut cannot be compared, and the rest is."""
    talk, flow = begun()
    frame = flow.data(0, OTHER, seq=1, dsn=1)
    for number in (frame, 5):
        found = says(talk, at=0, octets=cut(talk, number, 40 - left))
        assert found.outcomes(*BOTH, host=0) == [outcome] * 2
        if not left:
            assert found.of(SAME_SSN[1], 0).why == repeating.NOT_CAPTURED
            assert found.of(SAME_SSN[1], 0).unseen == 1


def test_place_of_mappings_that_is_inferred():
    """Without a handshake nobody knows for sure which data octets a segment has."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack")
    flow.data(1, DATA)
    flow.data(0, DATA)
    flow.data(0, OTHER, dsn=1)
    found = says(talk, at=0)
    assert found.outcome(SAME_DSN[1], 0) == "inconclusive"
    assert found.of(SAME_DSN[1], 0).why.endswith(f"; {repeating.INFERRED}")
    flow.data(0, OTHER, seq=1, dsn=1)
    assert says(talk, at=0).outcomes(*BOTH, host=0) == ["fail"] * 2


def fast(*, fills: bool) -> Conversation:
    """Data after a SYN with data, and another copy of it."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=DATA[:10])
    flow.next[0] = 11
    flow.synack(ack=11)
    flow.third()
    flow.data(1, DATA)
    flow.data(0, DATA[:20], mapping=talk.mapping(0, DATA[:20], dsn=1, ssn=11))
    whole = talk.mapping(0, DATA, dsn=21, ssn=31)
    flow.data(0, DATA if fills else DATA[:39], mapping=whole)
    other = talk.joined()
    other.data(0, OTHER[:30], dsn=21)
    return talk


@pytest.mark.parametrize(("fills", "outcome"), [(True, "fail"), (False, "inconclusive")])
def test_place_of_mappings_behind_data_on_a_syn(fills, outcome):
    """It is certain if a mapping is just as long as the segment that declares it."""
    found = says(fast(fills=fills), at=0)
    assert found.outcome(SAME_DSN[1], 0) == outcome
    assert fills or found.of(SAME_DSN[1], 0).why.endswith(f"; {repeating.INFERRED}")


def test_rewritten_payload():
    """Where all DSS checksums over payload are wrong, somebody rewrote it after the capture."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(1, DATA)
    wrong = [talk.mapping(0, DATA, dsn=dsn, ssn=dsn, checksum=1) for dsn in (1, 41)]
    flow.data(0, DATA, mapping=wrong[0])
    flow.data(0, DATA, mapping=wrong[1])
    flow.data(0, OTHER, seq=1, mapping=wrong[0])
    found = says(talk, at=0)
    assert found.outcomes(*BOTH, host=0) == ["fail"] * 2
    talk.tape.frames.pop(3)
    found = says(talk, at=0)
    assert found.outcomes(*BOTH, host=0) == ["inconclusive"] * 2
    assert found.of(SAME_SSN[1], 0).why.endswith(f"; {repeating.REWRITTEN}")


# ----------------------------------------------------------------------- octets that carry no data


def asked(*, octets: int = 1, dsn: int = 40, acked: int | None = 41) -> tuple[Conversation, Flow]:
    """A conversation in which DSN 40 is acknowledged, and sent again as something else."""
    talk, flow = begun()
    if acked is not None:
        flow.ack(1, dack=acked)
    mapping = Mapping(dsn=dsn, ssn=flow.next[0], dll=octets)
    flow.data(0, b"!" * octets, mapping=mapping)
    return talk, flow


def test_probe_of_a_closed_window():
    """One octet that the peer has acknowledged may have any value."""
    assert says(asked()[0], at=0).failed() == set()
    assert says(asked()[0], at=0).of(SAME_DSN[1], 0).seen == 1
    assert says(asked(acked=40)[0], at=0).failed() == {(SAME_DSN[1], "initiator")}
    assert says(asked(octets=2, dsn=39)[0], at=0).failed() == {(SAME_DSN[1], "initiator")}


def test_probe_that_was_perhaps_acknowledged():
    """Where DATA_ACKs may be missing, one octet may be such a probe."""
    found = says(asked(acked=None)[0], at=0, whole=False)
    assert found.outcome(SAME_DSN[1], 0) == "inconclusive"
    assert found.of(SAME_DSN[1], 0).why.endswith(f"; {repeating.PROBE}")
    assert says(asked(acked=None)[0], at=0).failed() == {(SAME_DSN[1], "initiator")}


@pytest.mark.parametrize(
    ("acked", "octets", "fails"), [(41, b"!", False), (40, b"!", True), (41, b"!!", True)]
)
def test_keep_alive(acked, octets, fails):
    """One octet that was acknowledged, sent alone, asks for an answer; its value is nothing."""
    talk, flow = begun()
    flow.ack(1, ack=acked, dack=1)
    flow.segment(0, ACK, talk.dss(0, dack=41), payload=octets, seq=41 - len(octets))
    found = says(talk, at=0)
    assert found.failed() == ({(each, "initiator") for each in BOTH} if fails else set())
    if not fails:
        assert found.of(SAME_SSN[1], 0).seen == 1


def test_keep_alive_of_what_was_perhaps_acknowledged():
    """Where acknowledgments may be missing, one octet alone may be such a question."""
    talk, flow = begun()
    flow.segment(0, ACK, talk.dss(0, dack=41), payload=b"!", seq=40)
    found = says(talk, at=0, whole=False)
    for requirement in BOTH:
        assert found.outcome(requirement, 0) == "inconclusive"
        assert found.of(requirement, 0).why.endswith(f"; {repeating.PROBE}")
    assert says(talk, at=0).failed() == {(each, "initiator") for each in BOTH}


def test_captured_twice():
    """A frame that the capture holds twice was sent once."""
    talk, _ = begun()
    talk.tape.again()
    assert says(talk, at=0) == {}


def test_plain_connection():
    """After an infinite mapping nothing is judged."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0))
    flow.segment(0, ACK | PSH, payload=OTHER, seq=41)
    assert says(talk, at=0).failed() == set()


# --------------------------------------------------------------------- the subflow that lost them


def lost(
    *, wait: float = LONG, version: int = 1, window: int = 502, timely: bool = True
) -> tuple[Conversation, Flow, Flow]:
    """Data that is lost on one subflow, copied to another, and never sent again on the first."""
    talk, flow = begun(version)
    other = talk.joined()
    flow.ack(1)
    flow.data(0, DATA)
    talk.tape.wait(0.3)
    other.data(0, DATA, dsn=41)
    other.ack(1)
    talk.tape.now -= 2 * talk.tape.step
    talk.tape.wait(wait)
    if timely:
        flow.ack(1, ack=41, window=window)
    return talk, flow, other


@pytest.mark.parametrize("version", [0, 1])
def test_only_copied(version):
    """What a subflow waits for is sent again there, as long as it lives."""
    talk, _, _ = lost(version=version)
    found = says(talk, at=0)
    assert found.failed() == {(ORIGINAL[version], "initiator")}
    verdict = found.of(ORIGINAL[version], 0)
    assert (verdict.frames, verdict.subflow, verdict.severity) == ((11, 12), 0, "violation")
    assert verdict.why == (
        "data of frame 11 was never acknowledged on its subflow, nor sent again there, after frame "
        "12 had sent it on another one"
    )
    for claims in ({}, {"at": 1}, {"at": 0, "whole": False}):
        doubt = says(talk, **claims)
        assert doubt.outcome(ORIGINAL[version], 0) == "inconclusive"
        assert doubt.of(ORIGINAL[version], 0).why.endswith(f"; {INCOMPLETE}")


def test_too_early_to_tell():
    """TCP's timer may be long; and a subflow of which nothing more is seen may be dead."""
    for talk in (lost(wait=LONG - 0.001)[0], lost(timely=False)[0]):
        found = says(talk, at=0)
        assert found.failed() == set()
        assert found.of(ORIGINAL[1], 0).why.endswith(f"; {reinjecting.SOON}")
        assert found.of(ORIGINAL[1], 0).unseen == 1


def test_many_round_trips():
    """On a slow subflow all takes longer."""
    talk = Conversation()
    talk.tape.step = 4_000_000_000
    flow = talk.opened()
    talk.tape.step = 1_000_000
    other = talk.joined()
    flow.data(1, DATA)
    flow.data(0, DATA)
    other.data(0, DATA, dsn=1)
    trips = reinjecting.TRIPS * 8
    for wait, outcome in ((trips - 0.001, "inconclusive"), (trips, "fail")):
        talk.tape.now = talk.tape.frames[9][0] + round(wait * 1e9)
        flow.ack(1, ack=1, dack=41)
        assert says(talk, at=0).outcome(ORIGINAL[1], 0) == outcome
        talk.tape.frames.pop()


def test_sent_again_or_acknowledged():
    """Either is enough, also for a part; a second copy elsewhere is not."""
    talk, flow, other = lost()
    other.data(0, DATA, dsn=41)
    assert says(talk, at=0).outcome(ORIGINAL[1], 0) == "fail"
    flow.data(0, DATA[:1], seq=41, dsn=41)
    assert says(talk, at=0).outcome(ORIGINAL[1], 0) == "pass"
    talk, flow, _ = lost()
    flow.ack(1)
    assert says(talk, at=0).of(ORIGINAL[1], 0).seen == 1
    talk, flow, _ = lost()
    flow.data(0, DATA[1:], seq=42, dsn=42)
    assert says(talk, at=0).outcome(ORIGINAL[1], 0) == "fail"


def test_behind_what_was_not_copied():
    """What is behind other octets waits for its turn."""
    talk, flow = begun()
    other = talk.joined()
    flow.ack(1)
    flow.data(0, DATA)
    flow.data(0, DATA)
    other.data(0, DATA, dsn=81)
    talk.tape.wait(LONG)
    flow.ack(1, ack=41, dack=41)
    found = says(talk, at=0)
    assert found.outcome(ORIGINAL[1], 0) == "inconclusive"
    assert found.of(ORIGINAL[1], 0).why == reinjecting.BEHIND
    other.data(0, DATA, dsn=41)
    talk.tape.wait(LONG)
    flow.ack(1, ack=41, dack=41)
    assert says(talk, at=0).of(ORIGINAL[1], 0).frames == (11, 15)


@pytest.mark.parametrize("end", ["fin", "reset", "withdrawn", "shut"])
def test_subflow_that_ended(end):
    """Nothing has to be sent on a subflow that is closed, reset, withdrawn, or shut."""
    talk, flow, other = lost(window=0 if end == "shut" else 502)
    if end == "fin":
        flow.segment(1, ACK | FIN, talk.dss(1, dack=81), ack=41)
    elif end == "reset":
        flow.segment(1, ACK | RST, ack=41)
    elif end == "withdrawn":
        other.remove_addr(1, 0)
    found = says(talk, at=0)
    assert found.failed() == set()
    reason = reinjecting.SHUT if end == "shut" else reinjecting.ENDED
    assert found.of(ORIGINAL[1], 0).why.endswith(f"; {reason}")


def test_another_address_was_withdrawn():
    """What is withdrawn elsewhere does not matter."""
    talk, _, other = lost()
    other.remove_addr(1, 1)
    other.remove_addr(0, 5)
    assert says(talk, at=0).outcome(ORIGINAL[1], 0) == "fail"


def test_data_that_was_not_copied():
    """Without copies on other subflows there is no question."""
    talk, flow = begun()
    flow.data(0, DATA, dsn=1)
    flow.data(0, DATA, dsn=1, seq=1)
    assert says(talk, at=0).outcome(ORIGINAL[1], 0) == "not_exercised"


def test_peer_that_was_never_heard():
    """A subflow on which the peer is not in the capture may have been dead."""
    talk, flow = begun()
    other = talk.flow()
    with talk.lost():
        other.join_syn()
        other.join_synack()
    other.join_ack()
    with talk.lost():
        other.ack(1)
    flow.ack(1)
    other.data(0, DATA)
    flow.data(0, DATA, dsn=41)
    talk.tape.wait(LONG)
    other.ack(0)
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(ORIGINAL[1], 0).why.endswith(f"; {reinjecting.SOON}")
