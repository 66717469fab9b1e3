"""What rules say of DATA_ACKs."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import Dss
from mptcp_oracle.rules import acknowledging
from mptcp_oracle.rules.case import INCOMPLETE
from mptcp_oracle.rules.weighing import ELSEWHERE, LATE
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import HOSTS, Said, damaged, said
from tests.common.tape import ACK, FIN, PSH, Tape

BEYOND = {1: ("8684-3.3.1-11", "8684-3.3.2-01"), 0: ("6824-3.3.1-18", "6824-3.3.2-10")}
UNMAPPED, CUMULATIVE = BEYOND[1]
DECREASES = {1: "8684-3.3.2-02", 0: "6824-3.3.2-11"}
LONG = {1: "8684-3.3.2-03", 0: "6824-3.3.2-12"}
DATA = bytes(range(40))
MILLISECOND = 0.001


def says(talk: Conversation, **claims) -> Said:
    """What the rules of DATA_ACKs say."""
    return said(talk, acknowledging.RULES, **claims)


def begun(version: int = 1, **settings) -> tuple[Conversation, Flow]:
    """A conversation with 40 octets of data from each host, acknowledged, and its subflow."""
    talk = Conversation(version=version, **settings)
    flow = talk.opened()
    for host in (1, 0):
        flow.data(host, DATA)
    flow.ack(1)
    return talk, flow


# ---------------------------------------------------------------------------- nothing beyond data


@pytest.mark.parametrize("version", [0, 1])
def test_data_acks_of_what_came(version):
    """Every DATA_ACK is looked at, but for those of RSTs, and of frames captured twice."""
    talk, flow = begun(version)
    flow.ack(0)
    flow.ack(0)
    talk.tape.again()
    flow.rst(0, None, Dss.of(data_ack=talk.absolute(1, 41)))
    found = says(talk, at=0)
    assert found.failed() == set()
    for requirement in (*BEYOND[version], DECREASES[version]):
        assert (found.of(requirement, 0).seen, found.of(requirement, 0).unseen) == (3, 0)
        assert (found.of(requirement, 1).seen, found.of(requirement, 1).unseen) == (2, 0)


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_data_ack_beyond_all_data(version, host):
    """One octet beyond all data is enough; captures made at either end prove it."""
    talk, flow = begun(version)
    frame = flow.ack(host, dack=42)
    for at in (0, 1):
        found = says(talk, at=at)
        assert found.failed() == {(each, HOSTS[host]) for each in BEYOND[version]}
        for requirement in BEYOND[version]:
            verdict = found.of(requirement, host)
            assert verdict.frames == (frame,)
            assert verdict.why == (
                "DATA_ACK 42 (relative), while all data up to 41 had been sent, no more"
            )
            assert verdict.seen == 1 + host


@pytest.mark.parametrize("claims", [{}, {"at": 0, "whole": False}, {"at": 1, "whole": False}])
def test_data_ack_of_data_that_may_have_passed(claims):
    """Where frames may be missing, the data may have been sent."""
    talk, flow = begun()
    frame = flow.ack(1, dack=42)
    found = says(talk, **claims)
    assert found.failed() == set()
    for requirement in BEYOND[1]:
        verdict = found.of(requirement, 1)
        assert found.outcome(requirement, 1) == "inconclusive"
        assert verdict.frames == (frame,)
        assert verdict.why.endswith(f"; {INCOMPLETE}")


def test_capture_that_begins_late():
    """Without the first SYN nobody knows what was sent before the capture began."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn")
    flow.data(0, DATA)
    flow.ack(1, dack=42)
    found = says(talk, at=1)
    assert found.outcomes(*BEYOND[1], host=1) == ["inconclusive"] * 2
    assert found.of(CUMULATIVE, 1).why.endswith(f"; {LATE}")


def test_keys_that_are_not_known():
    """Without keys nobody knows which data is the first."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.data(1, DATA)
    flow.data(0, DATA)
    flow.ack(1, dack=99)
    flow.ack(0)
    found = says(talk, at=1)
    assert found.failed() == set()
    for requirement in BEYOND[1]:
        verdict = found.of(requirement, 1)
        assert (verdict.unseen, verdict.seen) == (2, 0)
        assert verdict.why == acknowledging.NO_KEY
        assert found.of(requirement, 0).seen == 2


def test_octet_that_was_lost():
    """A DATA_ACK beyond a hole proves nothing if data beyond it was sent, and all if none was."""
    for number, proven in ((121, False), (122, True)):
        talk, flow = begun()
        with talk.lost():
            flow.data(0, DATA)
        flow.data(0, DATA)
        flow.ack(1, dack=41)
        assert says(talk, at=1).failed() == set()
        flow.ack(1, dack=number)
        talk.tape.wait(1)
        flow.segment(1)
        found = says(talk, at=1)
        outcome = "fail" if proven else "inconclusive"
        assert found.outcomes(*BEYOND[1], host=1) == [outcome] * 2
        assert found.of(UNMAPPED, 1).why.startswith(f"DATA_ACK {number} (relative), while all data")
        assert proven or found.of(UNMAPPED, 1).why.endswith(f"; {ELSEWHERE}")


@pytest.mark.parametrize(("after", "outcome"), [(20, "inconclusive"), (20.001, "fail")])
def test_capture_that_ends_soon(after, outcome):
    """The last parts of a segment may be missing where a capture ends, if they are mapped."""
    talk, flow = begun()
    flow.data(0, DATA[:10], mapping=talk.mapping(0, DATA, dsn=41, ssn=41))
    flow.ack(1, dack=81)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(after * MILLISECOND)
    flow.segment(0)
    found = says(talk, at=1)
    assert found.outcomes(*BEYOND[1], host=1) == [outcome] * 2
    assert outcome == "fail" or found.of(UNMAPPED, 1).why.endswith(f"; {acknowledging.UNCERTAIN}")
    talk.tape.frames.pop()
    flow.ack(1, dack=82)
    assert says(talk, at=1).outcomes(*BEYOND[1], host=1) == ["fail"] * 2


def early(milliseconds: float) -> Conversation:
    """Data that is acknowledged a while before it is captured."""
    talk, flow = begun()
    flow.ack(1, dack=81)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(milliseconds * MILLISECOND)
    flow.data(0, DATA)
    return talk


@pytest.mark.parametrize(
    ("after", "unmapped", "cumulative"),
    [
        (1, "pass", "pass"),
        (1.001, "inconclusive", "inconclusive"),
        (20, "inconclusive", "inconclusive"),
        (20.001, "inconclusive", "fail"),
    ],
)
def test_data_that_comes_after_its_data_ack(after, unmapped, cumulative):
    """At the receiver, what comes later had not arrived; that it had not been sent is not known."""
    found = says(early(after), at=1)
    assert found.outcomes(*BEYOND[1], host=1) == [unmapped, cumulative]
    if cumulative == "fail":
        assert found.of(UNMAPPED, 1).why.endswith(f"; {acknowledging.IN_FLIGHT}")
    elif cumulative == "inconclusive":
        assert found.of(UNMAPPED, 1).why.endswith(f"; {acknowledging.UNCERTAIN}")


def test_data_that_is_sent_after_its_data_ack():
    """At the sender, what comes later had not been sent."""
    found = says(early(20.001), at=0)
    assert found.outcomes(*BEYOND[1], host=1) == ["fail"] * 2
    assert says(early(20.001)).of(UNMAPPED, 1).why.endswith(f"; {INCOMPLETE}")


@pytest.mark.parametrize("more", [0, 1])
def test_data_ack_of_a_data_fin(more):
    """A DATA_FIN takes one number; there is nothing beyond, which every capture shows."""
    talk, flow = begun()
    flow.data_fin(0)
    frame = flow.ack(1, dack=42 + more)
    found = says(talk, whole=False)
    if more:
        assert found.failed() == {(each, "listener") for each in BEYOND[1]}
        assert found.of(CUMULATIVE, 1).frames == (frame,)
        assert found.of(CUMULATIVE, 1).why == (
            "DATA_ACK 43 (relative) is beyond the peer's DATA_FIN, which has DSN 41"
        )
    else:
        assert found.failed() == set()
        assert found.of(CUMULATIVE, 1).seen == 3


def test_data_ack_of_data_after_a_data_fin():
    """Data after a DATA_FIN is its sender's fault: nobody knows where the data ends then."""
    talk, flow = begun()
    flow.data_fin(0)
    flow.data(0, DATA)
    flow.ack(1, dack=83)
    found = says(talk)
    assert found.outcomes(*BEYOND[1], host=1) == ["inconclusive"] * 2


def test_traces_of_a_subflow_that_is_not_captured():
    """If the peer acknowledges what was never seen to be sent, so may this host."""
    talk, flow = begun()
    flow.ack(0, dack=141)
    flow.ack(1, dack=42)
    found = says(talk, at=1)
    assert found.outcomes(*BEYOND[1], host=1) == ["inconclusive"] * 2
    assert found.of(UNMAPPED, 1).why.endswith(f"; {ELSEWHERE}")


def test_subflow_of_an_unknown_connection():
    """A subflow that belongs to nothing may belong to this connection."""
    talk, flow = begun()
    other = talk.flow()
    other.next = [1, 1]
    other.ack(0)
    flow.ack(1, dack=42)
    found = says(talk, at=1)
    assert found.outcomes(*BEYOND[1], host=1) == ["inconclusive"] * 2
    assert found.of(UNMAPPED, 1).why.endswith(f"; {ELSEWHERE}")


def test_damaged_data_ack():
    """A segment whose TCP checksum is wrong proves nothing."""
    talk, flow = begun()
    damaged(talk, flow.ack(1, dack=42))
    found = says(talk, at=1)
    assert found.outcomes(*BEYOND[1], host=1) == ["inconclusive"] * 2


@pytest.mark.parametrize(("place", "outcome"), [(40, "inconclusive"), (41, "fail")])
def test_data_under_a_mapping_that_was_changed(place, outcome):
    """Who gets two mappings for an octet may take either."""
    talk, flow = begun()
    flow.data(0, b"x", seq=place, dsn=1)
    flow.ack(1, dack=42)
    talk.tape.wait(1)
    flow.segment(1)
    found = says(talk, at=1)
    doubtful = outcome == "inconclusive"
    assert found.outcome(CUMULATIVE, 1) == outcome
    assert found.of(CUMULATIVE, 1).why.endswith(f"; {acknowledging.UNCERTAIN}") is doubtful


def test_probe_of_a_closed_window():
    """The octet of a probe is no data: it fills no hole."""
    talk, flow = begun()
    flow.ack(1, window=0)
    probe = Mapping(dsn=40, ssn=flow.next[0], dll=1)
    flow.data(0, b"x", mapping=probe)
    flow.ack(1)
    assert says(talk, at=1).failed() == set()


def test_connection_that_became_plain():
    """After an infinite mapping there is nothing to judge."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0))
    flow.ack(1, dack=142)
    found = says(talk, at=1)
    assert found.failed() == set()
    assert found.of(CUMULATIVE, 1).seen == 2


@pytest.mark.parametrize(("number", "outcome"), [(41, "pass"), (42, "fail")])
def test_data_whose_place_is_not_certain(number, outcome):
    """Where data on the SYN makes mappings uncertain, what they name was sent, and no more."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(10))
    flow.next[0] = 6
    flow.synack(ack=6)
    flow.third()
    flow.data(1, DATA)
    flow.data(0, DATA[:10], mapping=talk.mapping(0, DATA, dsn=1, ssn=3))
    flow.ack(1, dack=number)
    found = says(talk, at=1)
    assert found.outcomes(*BEYOND[1], host=1) == [outcome] * 2


def test_data_of_several_subflows_and_connections():
    """What all subflows of a connection carried counts, and nothing of any other connection."""
    tape = Tape()
    talks = [Conversation(tape, keys=(1 + host, 11 + host)) for host in (0, 1)]
    flows = []
    for number, talk in enumerate(talks):
        first = talk.opened(ports=(50_000 + 10 * number, 80))
        second = talk.joined(ports=(50_001 + 10 * number, 80), addresses=("10.0.0.1", "10.0.0.2"))
        flows.append((first, second))
    for first, second in flows:
        first.data(1, DATA)
        first.data(0, DATA)
        second.data(0, DATA)
    flows[0][0].data(0, DATA)
    for number, (first, second) in enumerate(flows):
        second.ack(1, dack=121)
        first.ack(1, dack=121)
        found = says(talks[0], at=1, connection=number)
        outcome = "fail" if number else "pass"
        assert found.outcomes(*BEYOND[1], host=1) == [outcome] * 2


# ------------------------------------------------------------------------------ never decreasing


@pytest.mark.parametrize("version", [0, 1])
def test_data_ack_decreases(version):
    """A lower DATA_ACK after a higher one on one subflow, captured where it was sent."""
    talk, flow = begun(version)
    first = flow.ack(1)
    flow.ack(1)
    frame = flow.ack(1, dack=40)
    found = says(talk, at=1, whole=False)
    assert found.failed() == {(DECREASES[version], "listener")}
    verdict = found.of(DECREASES[version], 1)
    assert (verdict.severity, verdict.seen) == ("warning", 4)
    assert verdict.frames == (first - 1, frame)
    assert verdict.why == "DATA_ACK 40 (relative) after DATA_ACK 41 on the same subflow"
    for elsewhere in (says(talk, at=0), says(talk)):
        assert elsewhere.outcome(DECREASES[version], 1) == "inconclusive"
        assert elsewhere.of(DECREASES[version], 1).why.endswith("changed the order")


@pytest.mark.parametrize("payload", [False, True])
@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_lower_data_ack_that_may_be_an_old_one(payload, doubled, whole):
    """What was sent, or captured, before may be there alone if frames are missing."""
    talk, flow = begun()
    flow.ack(1)
    if doubled:
        talk.tape.again()
    if payload:
        flow.data(1, DATA, dack=40)
    else:
        flow.ack(1, dack=40)
    outcome = says(talk, at=1, whole=whole).outcome(DECREASES[1], 1)
    assert outcome == ("fail" if whole or not (payload or doubled) else "inconclusive")


def test_lower_data_ack_on_another_subflow():
    """Each subflow is looked at by itself."""
    talk, flow = begun()
    other = talk.joined()
    first = talk.tape.last
    flow.data(0, DATA)
    flow.ack(1)
    other.ack(1, dack=41)
    flow.ack(1)
    assert says(talk, at=1).failed() == set()
    frame = other.ack(1, dack=40)
    found = says(talk, at=1)
    assert found.failed() == {(DECREASES[1], "listener")}
    assert found.of(DECREASES[1], 1).frames == (first, frame)


def test_old_data_ack_on_what_tcp_sends_again():
    """A retransmission may have the options that it had before, and a FIN too."""
    talk, flow = begun()
    flow.data(1, DATA, dack=1)
    assert says(talk, at=1).failed() == {(DECREASES[1], "listener")}
    talk, flow = begun()
    flow.data(1, DATA, dack=1, dsn=1, seq=1)
    flow.fin(1)
    option = talk.dss(1, dack=1)
    flow.segment(1, ACK | FIN, option, seq=41)
    found = says(talk, at=1)
    assert found.failed() == set()
    assert found.of(DECREASES[1], 1).seen == 5


def test_first_fin_with_an_old_data_ack():
    """A FIN that was not sent before is like every other segment."""
    talk, flow = begun()
    flow.segment(1, ACK | FIN, talk.dss(1, dack=1))
    assert says(talk, at=1).failed() == {(DECREASES[1], "listener")}


@pytest.mark.parametrize(
    ("after", "payload", "fails"),
    [(0.999, True, False), (1, True, True), (0.999, False, True)],
)
def test_pieces_of_a_segment_that_offload_cut(after, payload, fails):
    """A piece of a segment may stand behind an ACK sent a moment later, never longer after it."""
    talk, flow = begun()
    flow.ack(1)
    talk.tape.now = talk.tape.frames[-2][0] + round(after * 1_000_000)
    if payload:
        flow.data(1, DATA, dack=40)
    else:
        flow.ack(1, dack=40)
    found = says(talk, at=1)
    assert found.outcome(DECREASES[1], 1) == ("fail" if fails else "pass")


def test_data_acks_before_the_first_octet():
    """A number below all data is no lower than itself, and lower than everything else."""
    talk, flow = begun()
    talk.tape.frames.pop()
    flow.ack(1, dack=-5)
    flow.ack(1, dack=-5)
    assert says(talk, at=1).of(DECREASES[1], 1).frames == (4, 6)
    talk = Conversation()
    flow = talk.opened()
    flow.ack(1, dack=-5)
    flow.ack(1, dack=-5)
    assert says(talk, at=1).of(DECREASES[1], 1).seen == 2


# -------------------------------------------------------------------------------- long and short


def mixed(
    *, long_data: bool = True, long_ack: bool = False, version: int = 1
) -> tuple[Conversation, Flow]:
    """A conversation whose initiator sends data, and a DATA_ACK of it, of some widths."""
    talk = Conversation(version=version)
    flow = talk.opened()
    flow.data(1, DATA)
    talk.wide = (long_data, long_ack)
    flow.data(0, DATA)
    return talk, flow


@pytest.mark.parametrize("version", [0, 1])
def test_short_data_ack_for_long_data(version):
    """Data with DSNs of 8 octets wants a DATA_ACK of 8 octets."""
    talk, flow = mixed(version=version)
    frame = flow.ack(1)
    flow.ack(1)
    found = says(talk, at=1)
    assert found.failed() == {(LONG[version], "listener")}
    verdict = found.of(LONG[version], 1)
    assert (verdict.frames, verdict.seen) == ((frame,), 0)
    assert verdict.why == (
        "DATA_ACK 41 (relative) has 4 octets, and is the first for data from 1 on, which came with "
        "DSNs of 8 octets"
    )
    for claims in ({}, {"at": 0}, {"at": 1, "whole": False}):
        doubt = says(talk, **claims)
        assert doubt.outcome(LONG[version], 1) == "inconclusive"
        assert doubt.of(LONG[version], 1).why.endswith(f"; {INCOMPLETE}")


def test_long_data_ack_for_long_data():
    """Only the first DATA_ACK for long data counts, and it has 8 octets."""
    talk, flow = mixed(long_ack=True)
    flow.ack(1)
    talk.wide = (True, False)
    flow.ack(1)
    found = says(talk, at=1)
    assert found.failed() == set()
    assert found.of(LONG[1], 1).seen == 1


@pytest.mark.parametrize("long_ack", [False, True])
def test_data_acks_of_short_data(long_ack):
    """Data with DSNs of 4 octets may be acknowledged with either width."""
    talk, flow = mixed(long_data=False, long_ack=long_ack)
    flow.ack(1)
    assert says(talk, at=1).outcome(LONG[1], 1) == "not_exercised"


def test_data_acks_of_first_data_and_of_a_data_fin():
    """The data of an MP_CAPABLE has no DSN on the wire; a DATA_FIN is no data."""
    talk = Conversation(wide=(True, False))
    flow = talk.opened()
    flow.first_data(DATA)
    flow.ack(1)
    flow.data_fin(0)
    flow.ack(1)
    assert says(talk, at=1).outcome(LONG[1], 1) == "not_exercised"


def test_data_that_came_with_both_widths():
    """What came with a short DSN, too, may be acknowledged with a short DATA_ACK."""
    talk, flow = mixed()
    talk.wide = (False, False)
    flow.data(0, DATA, dsn=1)
    flow.ack(1)
    assert says(talk, at=1).outcome(LONG[1], 1) == "not_exercised"
    talk, flow = mixed()
    talk.wide = (False, False)
    flow.data(0, DATA[1:], dsn=1)
    flow.ack(1, dack=40)
    assert says(talk, at=1).outcome(LONG[1], 1) == "not_exercised"
    flow.ack(1, dack=41)
    found = says(talk, at=1)
    assert found.failed() == {(LONG[1], "listener")}
    assert "first for data from 40 on" in found.of(LONG[1], 1).why


def test_short_data_acks_up_to_long_data():
    """The octet before the first long one may be acknowledged alone."""
    talk, flow = mixed(long_data=False)
    talk.wide = (True, False)
    flow.data(0, DATA)
    flow.ack(1, dack=41)
    assert says(talk, at=1).outcome(LONG[1], 1) == "not_exercised"
    flow.ack(1, dack=42)
    assert says(talk, at=1).failed() == {(LONG[1], "listener")}


@pytest.mark.parametrize(("after", "proven"), [(20, False), (20.001, True)])
@pytest.mark.parametrize("first", ["short", "long"])
def test_long_data_ack_on_another_subflow(after, proven, first):
    """Which of two subflows went first is not certain if it was at about the same time."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.joined()
    flow.data(1, DATA)
    flow.data(0, DATA)
    talk.wide = (True, False)
    frame = flow.ack(1)
    talk.tape.now -= talk.tape.step
    talk.tape.wait(after * MILLISECOND)
    talk.wide = (True, True)
    other.ack(1)
    if first == "long":
        # In the file the long one stands before, and later than the other.
        talk.tape.frames[frame - 1 :] = talk.tape.frames[frame - 1 :][::-1]
        assert says(talk, at=1).failed() == set()
        return
    found = says(talk, at=1)
    assert found.outcome(LONG[1], 1) == ("fail" if proven else "inconclusive")
    assert proven or found.of(LONG[1], 1).why.endswith(f"; {acknowledging.UNORDERED}")


def test_long_data_ack_of_less_data_on_another_subflow():
    """A long DATA_ACK of data before is none for this data."""
    talk, flow = mixed(long_ack=True)
    other = talk.joined()
    other.data(0, DATA)
    flow.ack(1, dack=41)
    talk.wide = (True, False)
    other.ack(1, dack=81)
    found = says(talk, at=1)
    assert found.failed() == {(LONG[1], "listener")}
    assert "DATA_ACK 81 (relative)" in found.of(LONG[1], 1).why


def test_psh_and_payload_make_no_difference():
    """A DATA_ACK on data is a DATA_ACK."""
    talk, flow = begun()
    frame = flow.segment(1, ACK | PSH, talk.dss(1, dack=42), payload=b"x")
    found = says(talk, at=1)
    assert (CUMULATIVE, "listener") in found.failed()
    assert found.of(CUMULATIVE, 1).frames == (frame,)
