"""What rules say of data on the SYN (TCP Fast Open)."""

from __future__ import annotations

import pytest

from mptcp_oracle.rules import opening
from tests.common.conversation import Conversation, Flow, Mapping
from tests.common.joinery import Said, damaged, said
from tests.common.tape import ACK, PSH, RST

OUTSIDE, NUMBERED, RESENT, EARLY = (f"8684-B-0{at}" for at in (1, 2, 3, 4))
DATA = bytes(range(40))


def says(talk: Conversation, **claims) -> Said:
    """What the rules of openings say."""
    return said(talk, opening.RULES, **claims)


def opened(accepted: int = 10, offered: int = 10, **settings) -> tuple[Conversation, Flow]:
    """A connection whose SYN has data, some of it accepted, after its 3 frames."""
    talk = Conversation(**settings)
    flow = talk.flow()
    flow.syn(payload=bytes(offered))
    flow.next[0] = 1 + accepted
    flow.synack()
    flow.third()
    return talk, flow


def mapped(flow: Flow, *, dsn: int = 1, ssn: int = 1, dll: int = 40, **fields) -> int:
    """First data of the initiator, under a mapping."""
    return flow.data(0, DATA, mapping=Mapping(dsn=dsn, ssn=ssn, dll=dll), **fields)


# --------------------------------------------------------------------------- the first octet


@pytest.mark.parametrize("ssn", [1, 11])
def test_first_octet_after_accepted_data(ssn):
    """The first octet after accepted data is IDSN + 1; its number may count that data or not."""
    talk, flow = opened()
    mapped(flow, ssn=ssn)
    mapped(flow, dsn=41, ssn=40 + ssn)
    found = says(talk, whole=False)
    assert found.failed() == set()
    assert found.outcomes(OUTSIDE, NUMBERED, RESENT, host=0) == ["pass", "pass", "not_exercised"]
    assert [found.of(number, 0).seen for number in (OUTSIDE, NUMBERED)] == [1, 1]
    assert {host for _, host in found} == {"initiator"}


def test_first_octet_under_an_mp_capable():
    """The mapping of an MP_CAPABLE has neither number: its first octet is IDSN + 1."""
    talk, flow = opened()
    flow.first_data(DATA, seq=11)
    assert says(talk).outcomes(OUTSIDE, NUMBERED, host=0) == ["pass", "not_exercised"]


@pytest.mark.parametrize(("accepted", "offered", "dsn"), [(10, 10, 11), (7, 10, 8), (7, 10, 11)])
def test_data_of_the_syn_counted(accepted, offered, dsn):
    """A first octet that counts data of the SYN is wrong, at every tap."""
    talk, flow = opened(accepted, offered)
    frame = mapped(flow, dsn=dsn)
    found = says(talk, whole=False)
    assert found.failed() == {(OUTSIDE, "initiator")}
    assert found.of(OUTSIDE, 0).frames == (frame,)
    assert found.of(OUTSIDE, 0).subflow == 0
    assert f"IDSN + {dsn}" in found.of(OUTSIDE, 0).why
    assert found.outcome(NUMBERED, 0) == "pass"


@pytest.mark.parametrize("dsn", [0, 2, 10, 12])
def test_other_first_octet(dsn):
    """Any other number is a matter of the IDSN."""
    talk, flow = opened()
    mapped(flow, dsn=dsn)
    assert says(talk).outcome(OUTSIDE, 0) == "not_exercised"


def test_first_octet_in_a_damaged_segment():
    """A segment whose TCP checksum is wrong shows nothing for certain."""
    talk, flow = opened()
    damaged(talk, mapped(flow, dsn=11))
    assert says(talk).outcome(OUTSIDE, 0) == "inconclusive"


@pytest.mark.parametrize("dll", [1, 40])
@pytest.mark.parametrize(("dsn", "outcome"), [(10, "inconclusive"), (11, "fail")])
def test_lower_numbers_on_another_subflow(dsn, outcome, dll):
    """The first octets may have gone over another subflow."""
    talk, flow = opened()
    mapped(flow, dsn=11)
    other = talk.joined()
    other.data(0, DATA[:dll], mapping=Mapping(dsn=dsn, ssn=1, dll=dll))
    assert says(talk, at=0).outcome(OUTSIDE, 0) == outcome


def test_second_connection_of_a_capture():
    """Each connection has an IDSN of its own."""
    talk = Conversation()
    talk.opened()
    other = Conversation(talk.tape, keys=(7, 8))
    flow = other.flow(ports=(50_000, 80))
    flow.syn(payload=bytes(10))
    flow.next[0] = 11
    flow.synack()
    flow.third()
    frame = mapped(flow, dsn=11)
    assert says(talk, connection=1).of(OUTSIDE, 0).frames == (frame,)


def test_numbers_of_the_other_host():
    """The other host's numbers are its own."""
    talk, flow = opened()
    mapped(flow, dsn=11)
    other = talk.joined()
    other.data(1, DATA)
    other.data_fin(0, dsn=1)
    assert says(talk).outcome(OUTSIDE, 0) == "fail"


def test_first_octet_without_key():
    """Without the key the IDSN is not known, nor if other numbers are in use."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(10))
    flow.next[0] = 11
    flow.synack()
    mapped(flow)
    found = says(talk)
    assert found.outcomes(OUTSIDE, NUMBERED, host=0) == ["inconclusive", "pass"]
    assert "IDSN" in found.of(OUTSIDE, 0).why
    talk, flow = opened(idsn=(1 << 50, None))
    mapped(flow)
    assert says(talk).outcome(OUTSIDE, 0) == "inconclusive"


@pytest.mark.parametrize("missing", ["syn", "synack"])
def test_opening_that_is_not_captured(missing):
    """Without SYN and SYN/ACK nobody knows what was accepted."""
    talk = Conversation()
    flow = talk.flow()
    for name, send in (("syn", lambda: flow.syn(payload=bytes(10))), ("synack", flow.synack)):
        if name == missing:
            with talk.lost():
                send()
        else:
            send()
        flow.next[0] = 11
    flow.third()
    mapped(flow, dsn=11)
    assert says(talk).outcomes(OUTSIDE, NUMBERED, RESENT, host=0) == ["not_exercised"] * 3


def test_data_on_other_syns():
    """Version 0 and joins have no data on their SYNs that these rules would know of."""
    talk, flow = opened(version=0)
    mapped(flow, dsn=11, ssn=7)
    assert says(talk) == {}
    talk = Conversation()
    talk.opened()
    other = talk.flow()
    other.segment(0, 2, _join(other), payload=bytes(10), seq=0)
    other.join_synack()
    other.join_ack()
    other.data(0, DATA, mapping=Mapping(dsn=11, ssn=7, dll=40))
    assert says(talk) == {}


def _join(flow: Flow) -> bytes:
    """The option of a join's SYN."""
    token = flow.talk.token[1].to_bytes(4, "big")
    return bytes([30, 12, 0x10, 1]) + token + flow.nonces[0].to_bytes(4, "big")


# --------------------------------------------------------------------------- its number


@pytest.mark.parametrize("ssn", [2, 10, 12])
def test_number_of_the_first_octet(ssn):
    """Any other number of the first octet is wrong where all was captured at its sender."""
    talk, flow = opened()
    frame = mapped(flow, ssn=ssn)
    found = says(talk, at=0)
    assert found.failed() == {(NUMBERED, "initiator")}
    assert found.of(NUMBERED, 0).frames == (frame,)
    assert f"begins at subflow sequence number {ssn}, not 1 (or 11" in found.of(NUMBERED, 0).why
    assert found.outcome(OUTSIDE, 0) == "not_exercised"


@pytest.mark.parametrize(("at", "whole"), [(None, True), (1, True), (0, False)])
def test_number_where_frames_may_be_missing(at, whole):
    """An earlier segment may be missing, which had the mapping of that octet."""
    talk, flow = opened()
    mapped(flow, ssn=2)
    found = says(talk, at=at, whole=whole)
    assert found.outcome(NUMBERED, 0) == "inconclusive"
    assert "a frame may be missing" in found.of(NUMBERED, 0).why


@pytest.mark.parametrize("size", [1, 40])
def test_number_of_data_that_is_not_first(size):
    """Nor is it certain if something else came before."""
    talk, flow = opened()
    flow.data(0, DATA[:size], seq=51, mapping=None)
    mapped(flow, ssn=2, seq=11)
    assert says(talk, at=0).outcome(NUMBERED, 0) == "inconclusive"


def test_first_octet_without_mapping():
    """A first segment without mapping has no number; the next one with that octet counts."""
    talk, flow = opened()
    flow.data(0, DATA, mapping=None)
    assert says(talk, at=0).outcomes(NUMBERED, OUTSIDE, host=0) == ["not_exercised"] * 2
    mapped(flow, seq=11)
    assert says(talk, at=0).outcomes(NUMBERED, OUTSIDE, host=0) == ["pass", "pass"]


def test_data_that_was_not_accepted_has_no_rule_of_numbers():
    """Where no data of the SYN was accepted, these rules have nothing to say."""
    talk, flow = opened(0, 10)
    mapped(flow, ssn=5)
    assert says(talk, at=0).outcomes(OUTSIDE, NUMBERED, host=0) == ["not_exercised"] * 2


# --------------------------------------------------------------------------- sent again


@pytest.mark.parametrize("accepted", [0, 7])
def test_data_sent_again_under_a_mapping(accepted):
    """What was not accepted comes again under a mapping, or under one that is known by then."""
    talk, flow = opened(accepted, 10)
    both = talk.mapping(0, DATA[:2], dsn=1, ssn=1 + accepted)
    mapping = Mapping(dsn=1, ssn=both.ssn, dll=40)
    flow.data(0, DATA[:2], mapping=mapping)
    flow.data(0, DATA[2:], mapping=None)
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(RESENT, 0).seen == 2


@pytest.mark.parametrize("accepted", [0, 7])
def test_data_sent_again_without_mapping(accepted):
    """Without a mapping it is a warning."""
    talk, flow = opened(accepted, 10)
    frame = flow.data(0, DATA[:3], mapping=None)
    mapped(flow, ssn=1 + accepted, seq=1 + accepted)
    found = says(talk, at=0)
    assert found.failed() == {(RESENT, "initiator")}
    assert found.of(RESENT, 0).frames == (frame,)
    assert found.of(RESENT, 0).severity == "warning"
    assert found.of(RESENT, 0).why.startswith(f"octet {1 + accepted} of the subflow was on the SYN")
    assert found.of(RESENT, 0).seen == 1


@pytest.mark.parametrize(("at", "whole"), [(None, True), (1, True), (0, False)])
def test_mapping_of_it_may_be_missing(at, whole):
    """The mapping may have been removed on its way, or be in a frame that is missing."""
    talk, flow = opened(0, 10)
    flow.data(0, DATA[:3], mapping=None)
    found = says(talk, at=at, whole=whole)
    assert found.outcome(RESENT, 0) == "inconclusive"
    assert "a frame may be missing" in found.of(RESENT, 0).why


@pytest.mark.parametrize(("first", "size", "outcome"), [
    (10, 5, "fail"), (11, 5, "not_exercised"), (4, 5, "fail"), (3, 5, "not_exercised"),
])  # fmt: skip
def test_octets_that_were_on_the_syn(first, size, outcome):
    """One octet that was on the SYN and not accepted is enough."""
    talk, flow = opened(7, 10)
    flow.data(0, DATA[:size], seq=first, mapping=None)
    assert says(talk, at=0).outcome(RESENT, 0) == outcome


def test_everything_was_accepted():
    """Where everything was accepted, what lies across the end of the SYN's data is new."""
    talk, flow = opened(10, 10)
    flow.data(0, DATA, seq=5, mapping=None)
    assert says(talk, at=0).outcome(RESENT, 0) == "not_exercised"


def test_known_mapping_of_other_octets():
    """A mapping that is known by then has to be of these octets."""
    talk, flow = opened(0, 10)
    flow.data(0, DATA, seq=6, mapping=Mapping(dsn=6, ssn=6, dll=40))
    frame = flow.data(0, DATA[:5], seq=1, mapping=None)
    found = says(talk, at=0)
    assert found.of(RESENT, 0).frames == (frame,)
    flow.data(1, DATA, mapping=Mapping(dsn=1, ssn=1, dll=40))
    assert says(talk, at=0).outcome(RESENT, 0) == "fail"


def test_mptcp_that_does_not_go_on():
    """Whoever never sends an option again may have fallen back."""
    talk, flow = opened(0, 10)
    flow.segment(0, ACK | PSH, payload=DATA)
    assert says(talk, at=0).outcome(RESENT, 0) == "not_exercised"
    flow.ack(0)
    assert says(talk, at=0).outcome(RESENT, 0) == "fail"


def test_what_is_no_data_sent_again():
    """A RST and another SYN are no data, and so is what follows an infinite mapping."""
    talk, flow = opened(0, 10)
    flow.segment(0, 2, flow.capable("syn"), payload=bytes(10), seq=0)
    flow.segment(0, RST | ACK, payload=DATA, seq=1)
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=0))
    flow.data(0, DATA, seq=1, mapping=None)
    assert says(talk, at=0).outcome(RESENT, 0) == "not_exercised"


# --------------------------------------------------------------------------- early answers


def answered(dack: int | None, *, at: int | None = 1) -> tuple[Conversation, int]:
    """A listener that sends data before the third packet, and the frame."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    frame = flow.data(1, DATA, dack=dack)
    flow.third()
    flow.ack(1)
    return talk, frame


def test_early_answer_without_data_ack():
    """Data that the listener sends before it has the key has no DATA_ACK."""
    talk, _ = answered(None)
    found = says(talk)
    assert found.outcomes(EARLY, host=1) == ["pass"]
    assert found.of(EARLY, 1).seen == 1
    assert found.outcome(EARLY, 0) == "not_exercised"


def test_early_data_ack():
    """A DATA_ACK that it sends before is a warning, where the capture was made at its end."""
    talk, frame = answered(1)
    found = says(talk, at=1)
    assert found.failed() == {(EARLY, "listener")}
    assert found.of(EARLY, 1).frames == (frame,)
    assert found.of(EARLY, 1).severity == "warning"
    assert found.of(EARLY, 1).subflow == 0
    assert f"key in frame {frame + 1}" in found.of(EARLY, 1).why


@pytest.mark.parametrize(("at", "whole"), [(None, True), (0, True), (1, False)])
def test_early_data_ack_elsewhere(at, whole):
    """Elsewhere the order of frames does not say what the listener had received."""
    talk, _ = answered(1)
    found = says(talk, at=at, whole=whole)
    assert found.outcome(EARLY, 1) == "inconclusive"
    assert "heard earlier" in found.of(EARLY, 1).why


def test_answer_with_the_key():
    """Once it has the key, a DATA_ACK is right, and no rule of openings."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(1, DATA)
    assert says(talk).outcome(EARLY, 1) == "not_exercised"


def test_only_options_are_answers():
    """A segment without DSS is no answer that the rule is about."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.segment(1, ACK)
    flow.third()
    flow.ack(1)
    assert says(talk).outcome(EARLY, 1) == "not_exercised"


@pytest.mark.parametrize("missing", ["syn", "third"])
def test_handshake_that_is_not_all_there(missing):
    """Without the SYN the key may have come before; without the third packet nobody knows when."""
    talk = Conversation()
    flow = talk.flow()
    for name in ("syn", "synack", "third"):
        if name == "third":
            flow.data(1, DATA, dack=1)
        if name == missing:
            with talk.lost():
                getattr(flow, name)()
        else:
            getattr(flow, name)()
    flow.ack(1)
    assert says(talk, at=1).outcome(EARLY, 1) == "not_exercised"


def test_early_data_ack_in_version_0():
    """In version 0 the SYN has the key."""
    talk = Conversation(version=0)
    flow = talk.flow()
    flow.syn()
    flow.synack()
    flow.data(1, DATA, dack=1)
    flow.third()
    assert says(talk, at=1) == {}


def test_each_connection_by_itself():
    """The key of one connection says nothing of another."""
    talk, _ = answered(None)
    other = Conversation(talk.tape, keys=(7, 8))
    flow = other.flow(ports=(50_000, 80))
    flow.syn()
    flow.synack()
    frame = flow.data(1, DATA, dack=1)
    flow.third()
    assert says(talk, at=1).outcome(EARLY, 1) == "pass"
    assert says(talk, at=1, connection=1).of(EARLY, 1).frames == (frame,)
