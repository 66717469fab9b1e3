"""Rules of the DATA_FIN: its fields and its place."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import Dss
from mptcp_oracle.rules.closing import ACKED, ALONE, COUNTED, FOLLOWS, NO_MORE, RULES, STATES
from mptcp_oracle.spec import counterpart
from tests.common.conversation import Conversation, Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, begun, closed, ruling, told
from tests.common.tape import ACK, RST


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_end(version: int, at: int | None) -> None:
    """DATA_FINs after all data, acknowledged and followed by nothing, are right in any capture."""
    talk, flow = begun(version=version)
    closed(flow)
    found = ruling(talk, RULES, at=at)
    for role in (0, 1):
        for each in (ALONE, FOLLOWS, ACKED, NO_MORE, STATES):
            assert told(found, counterpart(each, version) or "", role) == PASS
        assert told(found, counterpart(COUNTED, version) or "", role) is None


def test_nothing_is_said_after_a_fallback() -> None:
    """A DATA_FIN of a connection that became plain TCP is nobody's business here."""
    talk, flow = begun()
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=0))
    flow.segment(1, ACK, Dss.of(dsn=talk.absolute(1, 61), ssn=7, dll=1, data_fin=True))
    assert ruling(talk, RULES, at=1) == {}


# The option


def test_length_counts_the_data_fin() -> None:
    """With data the Data-Level Length is one more than the payload; also if it was sent before."""
    talk, flow = begun()
    flow.data(0, b"c" * 10, fin=True)
    assert told(ruling(talk, RULES, at=0), COUNTED, 0) == PASS
    talk, flow = begun()
    flow.data(0, b"c" * 10)
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=11, fin=True), seq=41)
    found = ruling(talk, RULES, at=0)
    assert (told(found, COUNTED, 0), told(found, FOLLOWS, 0)) == (PASS, PASS)


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(0, True, FAIL), (0, False, INCONCLUSIVE), (1, True, INCONCLUSIVE),
     (None, True, INCONCLUSIVE)],
)  # fmt: skip
def test_length_without_the_data_fin(at: int | None, whole: bool, outcome: str) -> None:
    """A length of the payload alone leaves its last octet unmapped, if no other option maps it."""
    talk, flow = begun()
    frame = flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=10, fin=True))
    verdict = ruling(talk, RULES, at=at, whole=whole)[COUNTED, 0]
    assert (verdict.outcome, verdict.frames, verdict.subflow) == (outcome, (frame,), 0)
    assert "dll=10 maps 9 octets" in verdict.why


def test_octets_behind_a_data_fin_may_have_a_mapping_of_their_own() -> None:
    """Payload behind the mapping with DATA_FIN is right if an earlier option mapped it."""
    talk, flow = begun()
    flow.data(0, b"c" * 4, mapping=Mapping(dsn=41, ssn=41, dll=4))
    flow.data(0, b"d", mapping=Mapping(dsn=20, ssn=54, dll=1), seq=54)
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=45, ssn=45, dll=10, fin=True), seq=45)
    assert told(ruling(talk, RULES, at=0), COUNTED, 0) == PASS


@pytest.mark.parametrize(
    ("ssn", "outcome"), [(30, None), (31, None), (32, FAIL), (40, FAIL), (41, PASS), (42, None)]
)
def test_a_mapping_that_ends_elsewhere_says_nothing(ssn: int, outcome: str | None) -> None:
    """What does not end in its segment cannot be counted there."""
    talk, flow = begun()
    flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=ssn, dll=11, fin=True))
    assert told(ruling(talk, RULES, at=0), COUNTED, 0) == outcome


def test_length_of_nothing_with_data() -> None:
    """A DATA_FIN on data with length 0 is worth a warning, at any vantage."""
    talk, flow = begun()
    frame = flow.data(0, b"c" * 10, mapping=Mapping(dsn=41, ssn=41, dll=0, fin=True))
    verdict = ruling(talk, RULES)[COUNTED, 0]
    assert (verdict.outcome, verdict.severity, verdict.frames) == (FAIL, "warning", (frame,))


def test_length_needs_the_initial_sequence_number() -> None:
    """Without the handshake of its subflow nobody knows which octets a mapping covers."""
    talk, _ = begun()
    flow = talk.flow()
    flow.join(missing="syn synack third")
    frame = flow.data(0, b"c" * 10, fin=True)
    flow.data(1, b"d" * 10)
    verdict = ruling(talk, RULES, at=0)[COUNTED, 0]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (frame,))


@pytest.mark.parametrize(
    ("ssn", "dll", "outcome", "severity"),
    [
        (0, 1, PASS, "violation"),
        (41, 1, FAIL, "violation"),
        (1, 1, FAIL, "violation"),
        (0, 2, FAIL, "violation"),
        (0, 0, FAIL, "warning"),
        (9, 0, FAIL, "warning"),
        (31, 11, INCONCLUSIVE, "violation"),
    ],
)
def test_fields_of_a_lone_data_fin(ssn: int, dll: int, outcome: str, severity: str) -> None:
    """Without payload SSN is 0 and the length 1; what may repeat an old mapping is in doubt."""
    talk, flow = begun()
    option = talk.dss(0, Mapping(dsn=42 - max(dll, 1), ssn=ssn, dll=dll, fin=True), dack=61)
    frame = flow.segment(0, ACK, option)
    verdict = ruling(talk, RULES)[ALONE, 0]
    assert (verdict.outcome, verdict.severity) == (outcome, severity)
    assert verdict.frames == (() if outcome == PASS else (frame,))
    assert outcome == PASS or "has ssn=0 and dll=1" in verdict.why


def test_flag_without_a_mapping() -> None:
    """Flag F in a DSS without mapping is worth a warning."""
    talk, flow = begun()
    frame = flow.segment(0, ACK, Dss(flags=0x11, data_ack=7))
    verdict = ruling(talk, RULES)[ALONE, 0]
    assert (verdict.outcome, verdict.severity, verdict.frames) == (FAIL, "warning", (frame,))
    assert "flag F without a mapping" in verdict.why


@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_a_reset_is_no_place_for_a_data_fin(flags: int) -> None:
    """What a RST says besides is not looked at."""
    talk, flow = begun()
    flow.segment(0, flags, talk.dss(0, Mapping(dsn=41, ssn=9, dll=1, fin=True)))
    assert told(ruling(talk, RULES), ALONE, 0) is None


# Its place


def test_data_after_a_data_fin() -> None:
    """New data behind a DATA_FIN breaks two requirements, at any vantage."""
    talk, flow = begun()
    first = flow.data_fin(0)
    frame = flow.data(0, b"c" * 5, dsn=42)
    found = ruling(talk, RULES, whole=False)
    for each in (FOLLOWS, STATES):
        assert (found[each, 0].outcome, found[each, 0].frames) == (FAIL, (first, frame))
        assert told(found, each, 1) is None


def test_data_at_the_dsn_of_the_data_fin() -> None:
    """An octet has the DSN of the DATA_FIN: that is one too many."""
    talk, flow = begun()
    flow.data(0, b"c" * 5)
    talk.next_dsn[0] = 45
    frame = flow.data_fin(0)
    found = ruling(talk, RULES)
    assert (found[FOLLOWS, 0].outcome, found[FOLLOWS, 0].frames) == (FAIL, (frame, frame - 1))
    assert told(found, STATES, 0) is None


def test_old_data_after_a_data_fin() -> None:
    """Data before the DATA_FIN may be sent, and sent again, after it."""
    talk, flow = begun()
    flow.data_fin(0)
    flow.data(0, b"a" * 40, dsn=1)
    flow.data(0, b"a" * 40, mapping=None, seq=1)
    found = ruling(talk, RULES, at=0)
    assert (told(found, FOLLOWS, 0), told(found, STATES, 0)) == (PASS, PASS)


def test_a_data_fin_that_moves() -> None:
    """A second DATA_FIN with another DSN breaks two requirements, at any vantage."""
    talk, flow = begun()
    first = flow.data_fin(0)
    flow.data_fin(0)
    moved = flow.data_fin(0, dsn=44)
    found = ruling(talk, RULES, whole=False)
    for each in (FOLLOWS, STATES):
        assert (found[each, 0].outcome, found[each, 0].frames) == (FAIL, (first, moved))


def test_short_and_long_dsns_of_one_data_fin() -> None:
    """Four octets of a DSN agree with the eight that end in them."""
    talk, flow = begun()
    flow.data_fin(0)
    talk.wide = (False, True)
    flow.data_fin(0)
    assert told(ruling(talk, RULES), STATES, 0) == PASS
    flow.data_fin(0, dsn=44)
    assert told(ruling(talk, RULES), STATES, 0) == FAIL


def test_a_data_fin_that_leaves_dsns_out() -> None:
    """A DATA_FIN too far is wrong if its sender had nothing unacknowledged, and all is captured."""
    talk, flow = begun()
    flow.ack(1)
    frame = flow.data_fin(0, dsn=50)
    verdict = ruling(talk, RULES, at=0)[FOLLOWS, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (frame,))
    assert "DSN 50, and the data before it ends at 40" in verdict.why
    assert told(ruling(talk, RULES, at=0), STATES, 0) == PASS
    for at, whole in ((1, True), (None, True), (0, False)):
        assert told(ruling(talk, RULES, at=at, whole=whole), FOLLOWS, 0) == INCONCLUSIVE


def test_a_join_that_nobody_uses_keeps_nothing_back() -> None:
    """Where nothing was sent nothing is unacknowledged."""
    talk, flow = begun()
    flow.ack(1)
    other = talk.flow(opener=1)
    other.join_syn()
    other.join_synack()
    flow.data_fin(0, dsn=50)
    assert told(ruling(talk, RULES, at=0), FOLLOWS, 0) == FAIL


@pytest.mark.parametrize(("window", "outcome"), [(0, INCONCLUSIVE), (8, INCONCLUSIVE), (9, FAIL)])
def test_a_full_window_keeps_data_back(window: int, outcome: str) -> None:
    """What the peer has no room for may come after the DATA_FIN."""
    talk, flow = begun()
    flow.segment(1, ACK, talk.dss(1, dack=41), window=window)
    flow.data_fin(0, dsn=50)
    assert told(ruling(talk, RULES, at=0), FOLLOWS, 0) == outcome


def test_data_may_wait_behind_a_data_fin() -> None:
    """While data is in flight, more of it may be held back, and the DATA_FIN go first."""
    talk, flow = begun()
    flow.ack(1)
    flow.data(0, b"c" * 5)
    flow.data_fin(0, dsn=50)
    assert told(ruling(talk, RULES, at=0), FOLLOWS, 0) == INCONCLUSIVE
    flow.data(0, b"d" * 4, dsn=46)
    assert told(ruling(talk, RULES, at=0), FOLLOWS, 0) == PASS


@pytest.mark.parametrize("why", ["acknowledged", "hole", "no handshake"])
def test_a_data_fin_whose_data_went_elsewhere(why: str) -> None:
    """What was not captured may have had the DSNs that seem to be left out."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn" if why == "no handshake" else "")
    flow.data(0, b"a" * 40, dsn=5 if why == "hole" else None)
    flow.ack(1)
    flow.data_fin(0, dsn=50)
    if why == "acknowledged":
        flow.ack(1, dack=50)
    assert told(ruling(talk, RULES, at=0), FOLLOWS, 0) == INCONCLUSIVE


def test_data_whose_place_is_inferred() -> None:
    """Where mappings alone say which octets they cover, data beyond the DATA_FIN is a doubt."""
    talk = Conversation()
    first = talk.opened()
    first.data(1, b"b" * 9)
    flow = talk.flow()
    flow.join(missing="syn synack third")
    for _ in range(3):
        flow.data(0, b"c" * 5)
    flow.data(1, b"d" * 5)
    talk.next_dsn[0] = 8
    first.data_fin(0)
    found = ruling(talk, RULES, at=0)
    assert (told(found, FOLLOWS, 0), told(found, STATES, 0)) == (INCONCLUSIVE, INCONCLUSIVE)
