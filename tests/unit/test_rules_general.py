"""What rules say of options as such: layouts, Lengths, subtypes, duplicate ACKs."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from mptcp_oracle.encode import encode
from mptcp_oracle.options import (
    AddAddr,
    Experimental,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
)
from mptcp_oracle.rules import general
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import HOSTS, Said, damaged, said
from tests.common.tape import ACK, FIN, PSH, RST, SYN

LAYOUT = {1: "8684-3-01", 0: "6824-3-01"}
LENGTH = {1: "8684-3-02", 0: "6824-3-02"}
SUBTYPE = {1: "8684-7-01", 0: "6824-8-01"}
DUPLICATES = {1: "8684-3-04", 0: "6824-3-04"}
MILLISECOND = 1_000_000
ADDRESS = IPv4Address("10.0.9.9")
KEYS = {"sender_key": 1, "receiver_key": 2}


def general_of(talk: Conversation, **claims) -> Said:
    """What the general rules say."""
    return said(talk, general.RULES, **claims)


def opened(version: int = 1) -> tuple[Conversation, Flow]:
    """A conversation and its initial subflow, with first data."""
    talk = Conversation(version=version)
    flow = talk.opened()
    if version:
        flow.first_data(b"first")
    flow.ack(1)
    return talk, flow


def strange(version: int, flags: int, option: Option | bytes) -> tuple[Conversation, int, int]:
    """A conversation with one strange segment; its frame, and who sent it."""
    if not flags & SYN:
        talk, flow = opened(version)
        return talk, flow.segment(0, flags, option), 0
    talk = Conversation(version=version)
    flow, host = talk.flow(), int(flags == SYN | ACK)
    if host:
        flow.syn()
    frame = flow.segment(host, flags, option, seq=0)
    flow.handshake()
    return talk, frame, host


# --------------------------------------------------------------------------- octets


@pytest.mark.parametrize("version", [0, 1])
def test_options_in_order(version):
    """Right options keep all requirements, each counted for its sender."""
    talk, flow = opened(version)
    flow.add_addr(1, "10.0.9.9")
    found = general_of(talk, whole=False)
    for number in (LAYOUT[version], LENGTH[version], SUBTYPE[version]):
        assert found.outcomes(number, host=0) + found.outcomes(number, host=1) == ["pass"] * 2
        assert found.of(number, 0).seen == 2 + version
        assert found.of(number, 1).seen == 2


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("octets", ["1e02", "1e01", "1e00", "1e0c60", "1e"])
def test_broken_octets(version, octets):
    """Octets that are no TCP option break the layout, and nothing more is said of them."""
    talk, flow = opened(version)
    # No padding behind it: the header ends with the octets.
    raw = bytes.fromhex(octets)
    frame = flow.segment(0, ACK, b"\x01" * (-len(raw) % 4) + raw)
    found = general_of(talk, whole=False)
    assert found.failed() == {(LAYOUT[version], "initiator")}
    verdict = found.of(LAYOUT[version], 0)
    assert (verdict.frames, verdict.subflow) == ((frame,), 0)
    assert "no option of TCP has such octets" in verdict.why
    assert octets in verdict.why
    assert found.of(LENGTH[version], 0).seen == found.of(SUBTYPE[version], 0).seen == 2 + version


def _capable(size: int, version: int) -> bytes:
    return (bytes([30, size, version, 1]) + bytes(24))[:size]


LAYOUTS = [
    (ACK, "prio", bytes([30, 5, 0x50, 1, 2]), (0, 1)),
    (ACK, "fail", encode(MpFail(dsn=0))[:1] + bytes([8, 0x60]) + bytes(5), (0, 1)),
    (ACK, "dss", bytes([30, 10, 0x20, 1]) + bytes(6), (0, 1)),
    (ACK, "join", bytes([30, 20, 0x10, 0]) + bytes(16), (0, 1)),
    (SYN, "capable", _capable(8, 1), (1,)),
    (SYN, "capable of 4", _capable(4, 0), (0,)),
    (RST | ACK, "reset", bytes([30, 5, 0x80, 0, 0]), (1,)),
]


@pytest.mark.parametrize(
    ("version", "flags", "octets"),
    [(each, flags, octets) for flags, _, octets, given in LAYOUTS for each in given],
)
def test_unknown_length(version, flags, octets):
    """A Length that no layout has is wrong, and the option is a TCP option all the same."""
    talk, frame, _ = strange(version, flags, octets)
    found = general_of(talk, whole=False)
    assert found.failed() == {(LENGTH[version], "initiator")}
    assert found.of(LENGTH[version], 0).frames == (frame,)
    assert "no layout has this Length" in found.of(LENGTH[version], 0).why
    assert found.of(LAYOUT[version], 0).seen == found.of(LENGTH[version], 0).seen + 1


@pytest.mark.parametrize(
    ("version", "option"),
    [
        (1, MpPrio(backup=True, address_id=1)),
        (1, AddAddr(version=0, address_id=1, address=ADDRESS)),
        (0, AddAddr(version=1, echo=True, address_id=1, address=ADDRESS)),
    ],
)
def test_option_of_the_other_version(version, option):
    """What only the other version has is wrong."""
    talk, flow = opened(version)
    frame = flow.ack(1, option)
    found = general_of(talk, whole=False)
    assert found.failed() == {(LENGTH[version], "listener")}
    assert found.of(LENGTH[version], 1).frames == (frame,)
    assert "only the other version" in found.of(LENGTH[version], 1).why


@pytest.mark.parametrize(
    ("flags", "option"),
    [
        (ACK, MpCapable(version=1)),
        (ACK, MpCapable(version=1, sender_key=1)),
        (ACK, MpCapable(version=0, sender_key=1)),
        (SYN, MpCapable(version=1, sender_key=1)),
        (SYN | ACK, MpCapable(version=1)),
        (SYN | ACK, MpCapable(version=1, **KEYS)),
        (SYN, MpCapable(version=0, **KEYS)),
        (ACK, MpJoinSyn(address_id=1, token=1, nonce=1)),
        (SYN | ACK, MpJoinSyn(address_id=1, token=1, nonce=1)),
        (SYN, MpJoinSynAck(address_id=1, hmac=bytes(8), nonce=1)),
        (SYN, MpJoinAck(hmac=bytes(20))),
    ],
)
def test_misplaced_length(flags, option):
    """A Length that belongs on another kind of segment is wrong."""
    talk, frame, host = strange(1, flags, option)
    found = general_of(talk, whole=False)
    assert found.failed() == {(LENGTH[1], HOSTS[host])}
    assert found.of(LENGTH[1], host).frames == (frame,)
    assert "another kind of segment" in found.of(LENGTH[1], host).why


@pytest.mark.parametrize(
    ("payload", "option"),
    [
        (b"merged", MpCapable(version=1, **KEYS)),
        (b"", MpCapable(version=1, **KEYS, data_length=5)),
        (b"", MpCapable(version=1, **KEYS, data_length=5, checksum=1)),
    ],
)
def test_payload_has_no_part_in_the_length(payload, option):
    """Third packet and first data may be put together by offload: their Lengths are both known."""
    talk, flow = opened()
    flow.segment(0, ACK | PSH, option, payload=payload)
    found = general_of(talk)
    assert not found.failed()
    assert found.of(LENGTH[1], 0).seen == 4


def test_damaged_segment_is_no_proof():
    """Where the TCP checksum is wrong, somebody else may have changed the option."""
    talk, flow = opened()
    frame = flow.segment(0, ACK, bytes([30, 5, 0x50, 1, 2]))
    damaged(talk, frame)
    found = general_of(talk, at=0)
    assert not found.failed()
    assert found.outcome(LENGTH[1], 0) == "inconclusive"


# --------------------------------------------------------------------------- subtypes


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("subtype", range(0x9, 0xF))
def test_unassigned_subtype(version, subtype):
    """Subtypes 0x9 to 0xE are wrong."""
    talk, flow = opened(version)
    frame = flow.ack(1, bytes([30, 4, subtype << 4, 0]))
    found = general_of(talk, whole=False)
    assert found.failed() == {(SUBTYPE[version], "listener")}
    assert found.of(SUBTYPE[version], 1).frames == (frame,)
    assert f"subtype {subtype:#x}" in found.of(SUBTYPE[version], 1).why
    assert found.of(LENGTH[version], 1).seen == 2


@pytest.mark.parametrize("version", [0, 1])
def test_private_subtype(version):
    """Subtype 0xF is for private experiments, in any form."""
    talk, flow = opened(version)
    flow.ack(1, Experimental(raw=bytes([30, 6, 0xF0, 1, 2, 3])))
    assert not general_of(talk, whole=False).failed()


@pytest.mark.parametrize("octets", [encode(MpTcprst(reason=1)), bytes([30, 5, 0x80, 0, 0])])
def test_reset_option_in_version_0(octets):
    """Version 0 has no MP_TCPRST, of whatever Length."""
    for version in (0, 1):
        talk, flow = opened(version)
        flow.segment(0, RST | ACK, octets)
        failed = {number for number, _ in general_of(talk, whole=False).failed()}
        wrong_length = {LENGTH[version]} if len(octets) == 5 else set()
        assert failed == wrong_length | ({SUBTYPE[0]} if version == 0 else set())


def test_capable_of_a_later_version():
    """An MP_CAPABLE of a version to come has the subtype that it should."""
    talk, _, _ = strange(1, SYN, bytes([30, 6, 0x02, 1, 0, 0]))
    found = general_of(talk, whole=False)
    assert not found.failed()
    assert found.of(SUBTYPE[1], 0).seen == 3


# --------------------------------------------------------------------------- duplicate ACKs


def chatter(
    count: int, *, version: int = 1, gap: int = 1_000, role: int = 0
) -> tuple[Conversation, Flow, list[int]]:
    """So many duplicate ACKs in a row with an MP_PRIO; their frames."""
    talk, flow = opened(version)
    flow.ack(role)
    talk.tape.wait(0.1)
    frames = []
    for _ in range(count):
        talk.tape.step = gap
        frames.append(flow.ack(role, MpPrio(backup=True)))
    return talk, flow, frames


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_three_duplicates_are_too_many(version, role):
    """More than two duplicate ACKs in a row for options alone are a warning."""
    talk, _, frames = chatter(3, version=version, role=role)
    found = general_of(talk, at=role)
    assert found.failed() == {(DUPLICATES[version], HOSTS[role])}
    verdict = found.of(DUPLICATES[version], role)
    assert (verdict.frames, verdict.severity) == (tuple(frames), "warning")
    assert verdict.subflow == 0
    assert verdict.why == "3 duplicate ACKs in a row, 3 of them with mp_prio backup"


def test_more_are_shown_by_three():
    """Three of many are evidence enough, and the argument says how many there are."""
    talk, _, frames = chatter(5)
    verdict = general_of(talk, at=0).of(DUPLICATES[1], 0)
    assert verdict.frames == tuple(frames[:3])
    assert verdict.why == "5 duplicate ACKs in a row, 5 of them with mp_prio backup"


def test_different_options():
    """Only ACKs that say the same are beyond doubt too many."""
    for backups, outcome in (
        ((True, False, True), "inconclusive"),
        ((True, False, True, False), "inconclusive"),
        ((True, False, False, True, False), "fail"),
    ):
        talk, flow = opened()
        flow.ack(0)
        talk.tape.wait(0.1)
        talk.tape.step = 1_000
        frames = [flow.ack(0, MpPrio(backup=each)) for each in backups]
        found = general_of(talk, at=0)
        assert found.outcome(DUPLICATES[1], 0) == outcome
        verdict = found.of(DUPLICATES[1], 0)
        if outcome == "fail":
            assert verdict.frames == (frames[1], frames[2], frames[4])
            assert "5 duplicate ACKs in a row, 3 of them with mp_prio" in verdict.why
        else:
            assert verdict.frames == tuple(frames[:3])
            assert "something of its own" in verdict.why


@pytest.mark.parametrize("count", [1, 2])
def test_two_duplicates_may_be(count):
    """Two duplicate ACKs in a row are as many as there may be."""
    talk, _, _ = chatter(count)
    found = general_of(talk, at=0)
    assert found.outcome(DUPLICATES[1], 0) == "pass"
    assert found.of(DUPLICATES[1], 0).seen == 1
    assert found.outcome(DUPLICATES[1], 1) == "not_exercised"


@pytest.mark.parametrize("claims", [{"at": 0, "whole": False}, {"at": 1}, {}])
def test_what_they_answer_may_be_missing(claims):
    """Without all that came to the sender, nobody knows that nothing asked for these ACKs."""
    talk, _, frames = chatter(3)
    found = general_of(talk, **claims)
    assert found.outcome(DUPLICATES[1], 0) == "inconclusive"
    assert found.of(DUPLICATES[1], 0).frames == tuple(frames)
    assert "may be missing" in found.of(DUPLICATES[1], 0).why


@pytest.mark.parametrize(("gap", "outcome"), [(MILLISECOND - 1, "fail"), (MILLISECOND + 1, "pass")])
def test_in_a_row_means_at_once(gap, outcome):
    """ACKs more than a millisecond apart are not in a row."""
    talk, _, _ = chatter(3, gap=gap)
    assert general_of(talk, at=0).outcome(DUPLICATES[1], 0) == outcome


def test_a_coarse_clock_does_not_tell():
    """Where all times are whole milliseconds, time may have passed between equal ones."""
    for step in (0, MILLISECOND):
        talk, _, _ = chatter(3, gap=step)
        assert general_of(talk, at=0).outcome(DUPLICATES[1], 0) == "inconclusive"


def between(send) -> str:
    """The outcome if something happens after two of three duplicate ACKs."""
    talk, flow, _ = chatter(2)
    number = flow.next[1]
    send(flow)
    flow.ack(0, MpPrio(backup=True), ack=number, dack=1)
    return general_of(talk, at=0).outcome(DUPLICATES[1], 0)


def test_what_comes_between():
    """An ACK that something asked for, or that says more, is none for options alone."""
    assert between(lambda flow: None) == "fail"
    assert between(lambda flow: flow.segment(1, ACK)) == "fail"
    for send in (
        lambda flow: flow.segment(1, ACK | PSH, payload=b"data"),
        lambda flow: flow.segment(1, ACK, payload=b"data", seq=9),
        lambda flow: flow.segment(1, ACK | FIN),
        lambda flow: flow.segment(1, ACK, seq=0),
        lambda flow: flow.ack(0),
        lambda flow: flow.data(0, b"data"),
        lambda flow: flow.ack(0, MpPrio(backup=True), window=501),
        lambda flow: flow.ack(0, MpPrio(backup=True), ack=9),
        lambda flow: flow.ack(0, MpPrio(backup=True), dack=7),
    ):
        assert between(send) == "pass"


def test_a_dss_may_be_left_out():
    """An ACK without DATA_ACK repeats one with a DATA_ACK."""
    assert between(lambda flow: flow.ack(0, MpPrio(backup=True), dack=None)) == "fail"


def test_ack_before_the_handshake():
    """A SYN/ACK is not repeated by an ACK."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    talk.tape.step = 1_000
    flow.synack()
    for _ in range(3):
        flow.segment(1, ACK, MpPrio(backup=True))
    assert general_of(talk, at=1).outcome(DUPLICATES[1], 1) == "pass"


def test_a_first_ack_is_no_duplicate():
    """The first ACK of a number repeats nothing, with an option or without."""
    talk, flow = opened()
    flow.data(1, b"new")
    talk.tape.wait(0.1)
    talk.tape.step = 1_000
    for _ in range(3):
        flow.ack(0, MpPrio(backup=True))
    assert general_of(talk, at=0).outcome(DUPLICATES[1], 0) == "pass"


def test_options_in_one_ack_are_one():
    """Several options in one segment make one duplicate ACK."""
    talk, flow, _ = chatter(2)
    flow.ack(0, MpPrio(backup=True), MpPrio(backup=False))
    assert len(general_of(talk, at=0).of(DUPLICATES[1], 0).frames) == 3
    talk, flow = opened()
    flow.ack(0)
    talk.tape.step = 1_000
    for _ in range(2):
        flow.ack(0, MpPrio(backup=True), MpPrio(backup=False))
    assert general_of(talk, at=0).outcome(DUPLICATES[1], 0) == "pass"


@pytest.mark.parametrize("option", [MpFastclose(key=1), MpCapable(version=1, **KEYS)])
def test_what_is_sent_until_answered(option):
    """An MP_FASTCLOSE and a third packet are sent again until they are answered."""
    talk, flow = opened()
    flow.ack(0)
    talk.tape.step = 1_000
    for _ in range(4):
        flow.ack(0, option)
    assert general_of(talk, at=0).outcome(DUPLICATES[1], 0) == "not_exercised"


def test_payload_and_flags_make_no_duplicate():
    """Data, a FIN or a push with an option are no duplicate ACKs."""
    talk, flow = opened()
    flow.ack(0)
    talk.tape.step = 1_000
    for _ in range(3):
        flow.segment(0, ACK | PSH, MpPrio(backup=True))
    assert general_of(talk, at=0).outcome(DUPLICATES[1], 0) == "not_exercised"
