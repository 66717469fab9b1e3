"""Rules of the DATA_FIN: its fields, its place, its DATA_ACK, and what comes after it."""

from __future__ import annotations

import pytest

from mptcp_oracle.options import Dss, MpFail
from mptcp_oracle.rules.closing import ACKED, ALONE, COUNTED, FOLLOWS, NO_MORE, RULES, STATES
from mptcp_oracle.spec import counterpart
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.ruling import FAIL, INCONCLUSIVE, PASS, Found, ruling
from tests.common.tape import ACK, RST, Tape

#: Seconds after which a DATA_ACK is missing: a second and three round trips of the handshake.
GRACE = 1 + 3 * 0.002


def begun(tape: Tape | None = None, **settings: object) -> tuple[Conversation, Flow]:
    """A conversation in which both hosts have sent data, and acknowledged it."""
    talk = Conversation(tape, **settings)  # type: ignore[arg-type]
    flow = talk.opened()
    flow.data(0, b"a" * 40)
    flow.data(1, b"b" * 60)
    flow.ack(0)
    return talk, flow


def closed(talk: Conversation, flow: Flow) -> None:
    """Both DATA_FINs, acknowledged."""
    flow.data_fin(0)
    flow.data_fin(1)
    flow.ack(0)


def told(found: Found, requirement: str, role: int) -> str | None:
    """What the outcome for a host is, if there is any."""
    verdict = found.get((requirement, role))
    return None if verdict is None else str(verdict.outcome)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("at", [None, 0, 1])
def test_a_lawful_end(version: int, at: int | None) -> None:
    """DATA_FINs after all data, acknowledged and followed by nothing, are right in any capture."""
    talk, flow = begun(version=version)
    closed(talk, flow)
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


# Its DATA_ACK


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(1, True, FAIL), (1, False, INCONCLUSIVE), (0, True, INCONCLUSIVE)],
)
def test_a_data_ack_beyond_the_data_fin(at: int, whole: bool, outcome: str) -> None:
    """A DATA_ACK of more than the DATA_FIN is wrong, at the host that knows what it got."""
    talk, flow = begun()
    fin = flow.data_fin(0)
    flow.ack(1)
    frame = flow.ack(1, dack=43)
    verdict = ruling(talk, RULES, at=at, whole=whole)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (outcome, (fin, frame))
    assert "DSN 41" in verdict.why
    assert "DATA_ACK of 43, beyond 42" in verdict.why


@pytest.mark.parametrize("more", ["data", "data_fin"])
def test_a_data_ack_of_what_follows_a_data_fin(more: str) -> None:
    """If the sender of the DATA_FIN goes on, who acknowledges that is not proven wrong."""
    talk, flow = begun()
    flow.data_fin(0)
    if more == "data":
        flow.data(0, b"c" * 5, dsn=42)
    else:
        flow.data_fin(0, dsn=45)
    flow.ack(1)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == INCONCLUSIVE


def test_a_data_ack_over_a_hole() -> None:
    """Whether all data came before the DATA_FIN was acknowledged, a hole does not tell."""
    talk, flow = begun()
    with talk.lost():
        flow.data(0, b"c" * 5)
    fin = flow.data_fin(0)
    flow.ack(1)
    verdict = ruling(talk, RULES, at=1)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, (fin,))
    assert "from DSN 41 on" in verdict.why


def unanswered(
    seconds: float, *, checksum: bool = False, data: bool = False
) -> tuple[Conversation, Flow, tuple[int, int]]:
    """A DATA_FIN, and so much later a DATA_ACK of the data before it only, perhaps with data."""
    talk, flow = begun(checksum=checksum)
    flow.ack(1)
    fin = flow.data_fin(0)
    talk.tape.wait(seconds - 0.001)
    answer = flow.data(1, b"d" * 5, dack=41) if data else flow.ack(1, dack=41)
    return talk, flow, (fin, answer)


@pytest.mark.parametrize("fields", [{}, {"checksum": True}, {"data": True}], ids=str)
def test_a_data_fin_never_acknowledged(fields: dict[str, bool]) -> None:
    """A DATA_ACK that stays at the DATA_FIN is wrong after a second and three round trips."""
    talk, _, frames = unanswered(GRACE + 1e-6, **fields)
    verdict = ruling(talk, RULES, at=1)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (FAIL, frames)
    assert "1.0 seconds later" in verdict.why
    assert told(ruling(talk, RULES, at=1), ACKED, 0) is None
    for at, whole in ((0, True), (1, False)):
        verdict = ruling(talk, RULES, at=at, whole=whole)[ACKED, 1]
        assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, frames)


def test_a_data_fin_of_the_listener_never_acknowledged() -> None:
    """Either host may be the one that does not acknowledge."""
    talk, flow = begun()
    fin = flow.data_fin(1)
    talk.tape.wait(GRACE)
    frame = flow.ack(0, dack=61)
    verdict = ruling(talk, RULES, at=0)[ACKED, 0]
    assert (verdict.outcome, verdict.frames) == (FAIL, (fin, frame))


def test_a_data_fin_not_acknowledged_yet() -> None:
    """Before that time nothing is known."""
    talk, _, frames = unanswered(GRACE)
    verdict = ruling(talk, RULES, at=1)[ACKED, 1]
    assert (verdict.outcome, verdict.frames) == (INCONCLUSIVE, frames[:1])


def test_the_time_begins_when_all_data_has_come() -> None:
    """A DATA_FIN that came before the last data is not overdue when that has just come."""
    talk, flow = begun()
    flow.data_fin(0, dsn=46)
    talk.tape.wait(5)
    flow.data(0, b"c" * 5)
    flow.ack(1, dack=46)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == INCONCLUSIVE
    talk.tape.wait(GRACE)
    flow.ack(1, dack=46)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == FAIL


@pytest.mark.parametrize(
    "excuse", ["window", "resent", "behind", "fastclose", "fail", "ended", "checksum", "less"]
)
def test_reasons_not_to_acknowledge_a_data_fin(excuse: str) -> None:
    """A closed window, old words, a gap on the subflow and its like leave a doubt."""
    talk, flow = begun(checksum=excuse == "checksum")
    flow.ack(1)
    if excuse == "ended":
        flow.fin(1)
    if excuse == "checksum":
        option = talk.dss(0, Mapping(dsn=41, ssn=0, dll=1, fin=True, checksum=1), dack=61)
        flow.segment(0, ACK, option)
    elif excuse == "behind":
        flow.next[0] = 50
        flow.data_fin(0)
    else:
        flow.data_fin(0)
    if excuse == "fastclose":
        flow.fastclose(0)
    if excuse == "fail":
        flow.segment(1, ACK, MpFail(dsn=talk.absolute(0, 1)))
    talk.tape.wait(3)
    if excuse == "resent":
        flow.data(1, b"b" * 60, dsn=1, seq=1, dack=41)
    else:
        acked = {"behind": {"ack": 41}, "window": {"window": 0}}.get(excuse, {})
        flow.ack(1, dack=40 if excuse == "less" else 41, **acked)
    assert told(ruling(talk, RULES, at=1), ACKED, 1) == INCONCLUSIVE


# The end


def test_a_join_after_the_end() -> None:
    """A join after both DATA_ACKs is its sender's mistake, if the capture was made there."""
    talk, flow = begun()
    closed(talk, flow)
    ends = (talk.tape.last - 1, talk.tape.last)
    join = talk.flow().join_syn()
    found = ruling(talk, RULES, at=0)
    assert (found[NO_MORE, 0].outcome, found[NO_MORE, 0].frames) == (FAIL, (*ends, join))
    assert told(found, NO_MORE, 1) == PASS
    assert "a join after both" in found[NO_MORE, 0].why


def test_a_join_by_the_listener_after_the_end() -> None:
    """Of a join by the listener, the listener is the sender."""
    talk, flow = begun()
    closed(talk, flow)
    talk.flow(opener=1).join_syn()
    found = ruling(talk, RULES, at=1)
    assert (told(found, NO_MORE, 0), told(found, NO_MORE, 1)) == (PASS, FAIL)


@pytest.mark.parametrize(("apart", "outcome"), [(0.020, PASS), (0.020001, INCONCLUSIVE)])
def test_a_join_at_about_the_end(apart: float, outcome: str) -> None:
    """Elsewhere it is a doubt, and only if it came clearly later."""
    talk, flow = begun()
    closed(talk, flow)
    talk.tape.wait(apart - 0.001)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES), NO_MORE, 0) == outcome


@pytest.mark.parametrize(("apart", "outcome"), [(0.001, PASS), (0.001001, FAIL)])
def test_a_join_at_about_the_end_on_all_interfaces(apart: float, outcome: str) -> None:
    """What one machine captures on all interfaces at once has no order within a millisecond."""
    talk, flow = begun(Tape("sll2"), captured_at=0)
    closed(talk, flow)
    talk.tape.wait(apart - 0.001)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES), NO_MORE, 0) == outcome


def test_a_join_before_the_end() -> None:
    """A join that began before, or that goes on after it, is lawful."""
    talk, flow = begun()
    other = talk.flow()
    other.join_syn()
    closed(talk, flow)
    other.join_synack()
    other.join_ack()
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) == PASS


def test_an_address_after_the_end() -> None:
    """An ADD_ADDR after the end is wrong; the echo of one, and one that is sent again, are not."""
    talk, flow = begun()
    flow.add_addr(1, "10.0.1.2")
    closed(talk, flow)
    flow.add_addr(0, "10.0.1.2", echo=True)
    flow.add_addr(1, "10.0.1.2")
    found = ruling(talk, RULES, at=1)
    assert (told(found, NO_MORE, 0), told(found, NO_MORE, 1)) == (PASS, PASS)
    flow.add_addr(1, "10.0.2.2", address_id=6)
    verdict = ruling(talk, RULES, at=1)[NO_MORE, 1]
    assert (verdict.outcome, verdict.frames[-1]) == (FAIL, talk.tape.last)
    assert "add_addr v1 address_id=6" in verdict.why


def test_data_after_the_end() -> None:
    """New data after the end is wrong; old data is not."""
    talk, flow = begun()
    closed(talk, flow)
    flow.data(0, b"a" * 40, dsn=1)
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) == PASS
    flow.data(0, b"c" * 5, dsn=43)
    found = ruling(talk, RULES, at=0)
    assert (found[NO_MORE, 0].outcome, found[NO_MORE, 0].frames[-1]) == (FAIL, talk.tape.last)
    assert found[NO_MORE, 0].why.startswith("new data")
    assert told(ruling(talk, RULES, at=1), NO_MORE, 0) == INCONCLUSIVE


def test_data_after_the_end_whose_place_is_inferred() -> None:
    """Where mappings alone say which octets they cover, new data is a doubt here, too."""
    talk = Conversation()
    first = talk.opened()
    flow = talk.flow()
    flow.join(missing="syn synack third")
    for _ in range(3):
        flow.data(0, b"c" * 5)
    flow.data(1, b"d" * 5)
    closed(talk, first)
    talk.tape.wait(1)
    flow.data(0, b"e" * 5)
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) == INCONCLUSIVE


def test_one_data_fin_does_not_end_a_connection() -> None:
    """Half-close: a join after one DATA_FIN is lawful."""
    talk, flow = begun()
    flow.data_fin(0)
    flow.ack(1)
    talk.flow().join_syn()
    assert told(ruling(talk, RULES, at=0), NO_MORE, 0) is None
