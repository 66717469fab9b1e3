"""What rules say of the forms, nonces, ports and Address IDs of joins."""

from __future__ import annotations

import pytest

from mptcp_oracle.encode import encode
from mptcp_oracle.options import MpJoinAck, MpJoinSyn, MpJoinSynAck
from mptcp_oracle.rules import identities, joining
from mptcp_oracle.rules.context import JITTER
from tests.common.conversation import Conversation, Flow
from tests.common.joinery import HOSTS, Said, damaged, said
from tests.common.tape import ACK, PSH, SYN, Tape

LENGTHS = {1: "8684-3.2-01", 0: "6824-3.2-10"}
NONCE = {1: "8684-3.2-02", 0: "6824-3.2-11"}
UNIQUE = {1: "8684-3.2-03", 0: "6824-3.2-12"}
ZERO = {1: "8684-3.2-04", 0: "6824-3.2-13"}
SYN_BITS = {1: "8684-3.2-06", 0: "6824-3.2-15"}
ACK_BITS = {1: "8684-3.2-07", 0: "6824-3.2-16"}
PAYLOAD = {1: "8684-3.2-24", 0: "6824-3.2-28"}
SINGLE_USE = {1: "8684-5-01", 0: "6824-5-10"}
TO_PORT = {1: "8684-3.9.1-01", 0: "6824-3.8.1-10"}
FROM_PORT = {1: "8684-3.9.1-02", 0: "6824-3.8.1-11"}


def forms(talk: Conversation, **claims) -> Said:
    """What the rules of joins say."""
    return said(talk, joining.RULES, **claims)


def names(talk: Conversation, **claims) -> Said:
    """What the rules of Address IDs say."""
    return said(talk, identities.RULES, **claims)


def opened(**settings) -> tuple[Conversation, Flow]:
    """A conversation, and a subflow of it that is silent so far."""
    version = settings.pop("version", 1)
    talk = Conversation(version=version)
    talk.opened()
    return talk, talk.flow(**settings)


# --------------------------------------------------------------------------- forms


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_right_forms(version, opener):
    """Each message has its Length, no reserved bits, and the third no data."""
    talk, flow = opened(version=version, opener=opener)
    flow.join()
    found = forms(talk, whole=False)
    numbers = LENGTHS[version], SYN_BITS[version], ACK_BITS[version], PAYLOAD[version]
    assert found.outcomes(*numbers, host=opener) == ["pass"] * 4
    assert found.outcomes(*numbers, host=1 - opener) == ["pass"] * 2 + ["not_exercised"] * 2
    assert found.of(LENGTHS[version], opener).seen == 2
    assert found.of(SYN_BITS[version], opener).seen == 1


SYN_OPTION = encode(MpJoinSyn(address_id=1, token=1, nonce=1))
SYNACK_OPTION = encode(MpJoinSynAck(address_id=1, hmac=bytes(8), nonce=1))
ACK_OPTION = encode(MpJoinAck(hmac=bytes(20)))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("flags", "option"),
    [
        (ACK, bytes([30, 20, 0x10, 0]) + bytes(16)),
        (ACK, SYN_OPTION),
        (ACK, SYNACK_OPTION),
        (SYN | ACK, SYN_OPTION),
        (SYN | ACK, ACK_OPTION),
        (SYN, bytes([30, 8, 0x10, 0]) + bytes(4)),
    ],
)
def test_wrong_length(version, flags, option):
    """Any other Length, or one of another place, is wrong wherever it is seen."""
    talk, flow = opened(version=version)
    flow.join_syn()
    host = int(flags == SYN | ACK)
    frame = flow.segment(host, flags, option, seq=0 if flags & SYN else None)
    found = forms(talk, whole=False)
    assert found.failed() == {(LENGTHS[version], HOSTS[host])}
    verdict = found.of(LENGTHS[version], host)
    assert (verdict.frames, verdict.subflow) == ((frame,), 1)
    assert "12 on a SYN, 16 on a SYN/ACK, 24 on an ACK" in verdict.why
    assert option.hex() in verdict.why


@pytest.mark.parametrize("option", [bytes([30, 40, 0x10, 0]), bytes([30, 8, 0x20, 0]) + bytes(4)])
def test_other_broken_options(option):
    """An option that is cut off, or one of another subtype, is no MP_JOIN of a wrong Length."""
    talk, flow = opened()
    flow.join_syn()
    flow.segment(0, ACK, option)
    found = forms(talk)
    assert found.failed() == set()
    assert found.of(LENGTHS[1], 0).seen == 1


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_reserved_bits_of_syns(version, bits):
    """No reserved bit may be set on a SYN, nor on a SYN/ACK."""
    talk, flow = opened(version=version)
    option = MpJoinSyn(address_id=1, token=talk.token[1], nonce=1, reserved=bits)
    first = flow.segment(0, SYN, option)
    answer = MpJoinSynAck(address_id=1, hmac=bytes(8), nonce=1, reserved=bits)
    second = flow.segment(1, SYN | ACK, answer)
    found = forms(talk, whole=False)
    assert found.failed() == {(SYN_BITS[version], host) for host in HOSTS}
    for host, frame in ((0, first), (1, second)):
        verdict = found.of(SYN_BITS[version], host)
        assert (verdict.frames, verdict.subflow, verdict.severity) == ((frame,), 1, "violation")
        assert f"reserved={bits:#x}" in verdict.why


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("bits", [0x001, 0x080, 0x800])
def test_reserved_bits_of_the_third_packet(version, bits):
    """Nor any of the twelve on the third packet."""
    talk, flow = opened(version=version)
    flow.join_syn()
    flow.join_synack()
    frame = flow.segment(0, ACK, MpJoinAck(hmac=bytes(20), reserved=bits))
    found = forms(talk, whole=False)
    assert found.failed() == {(ACK_BITS[version], "initiator")}
    assert found.of(ACK_BITS[version], 0).frames == (frame,)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("at", "outcome"), [(0, "fail"), (1, "inconclusive"), (None, "inconclusive")]
)
def test_data_on_the_third_packet(version, at, outcome):
    """Data on it is proven where it was sent; a receiver may have merged it with the next one."""
    talk, flow = opened(version=version)
    flow.join_syn()
    flow.join_synack()
    frame = flow.segment(0, ACK | PSH, MpJoinAck(hmac=bytes(20)), payload=b"data")
    found = forms(talk, at=at, whole=False)
    assert found.outcome(PAYLOAD[version], 0) == outcome
    verdict = found.of(PAYLOAD[version], 0)
    assert verdict.frames == (frame,)
    assert "beside 4 octets" in verdict.why
    assert ("merged" in verdict.why) == (outcome != "fail")


def test_damaged_segment():
    """Reserved bits in a segment with a wrong TCP checksum are a doubt."""
    talk, flow = opened()
    option = MpJoinSyn(address_id=1, token=talk.token[1], nonce=1, reserved=1)
    damaged(talk, flow.segment(0, SYN, option))
    assert forms(talk).outcome(SYN_BITS[1], 0) == "inconclusive"


# -------------------------------------------------------------------------- nonces


def joins(
    *pairs: tuple[int, int], version: int = 1, opener: int = 0, isns: tuple[int, ...] = ()
) -> tuple[Conversation, list[int]]:
    """Joins with these nonces (the joiner's, the answerer's), one after the other; their SYNs."""
    talk = Conversation(version=version)
    talk.opened()
    frames = []
    for at, (mine, theirs) in enumerate(pairs):
        nonces = (mine, theirs) if opener == 0 else (theirs, mine)
        isn = isns[at] if isns else 1_000 * at
        flow = talk.flow(
            opener=opener,
            nonces=nonces,
            isn=(isn, isn + 7),
            addresses=("10.0.1.1", "10.0.1.2"),
            ports=(50_000 + at, 80 + at),
        )
        frames.append(talk.tape.last + 1)
        flow.join()
        talk.tape.wait(1)
    return talk, frames


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_fresh_nonces(version, opener):
    """Different nonces are right; of a single join there is nothing to compare."""
    talk, _ = joins((1, 11), (2, 12), (3, 13), version=version, opener=opener)
    found = forms(talk)
    assert found.of(NONCE[version], opener).seen == 3
    assert found.outcome(NONCE[version], opener) == "pass"
    assert found.outcome(NONCE[version], 1 - opener) == "not_exercised"
    for host in (0, 1):
        assert found.outcome(SINGLE_USE[version], host) == "pass"
        assert found.of(SINGLE_USE[version], host).seen == 3
    talk, _ = joins((1, 11), version=version, opener=opener)
    found = forms(talk)
    for number in (NONCE[version], SINGLE_USE[version]):
        assert found.outcomes(number, number, host=opener) == ["not_exercised"] * 2


@pytest.mark.parametrize("at", [None, 0])
@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_nonce_again(version, opener, at):
    """A nonce of the joiner's in two joins is proof anywhere, and breaks nothing else."""
    talk, frames = joins((1, 11), (2, 12), (1, 13), version=version, opener=opener)
    found = forms(talk, at=at, whole=False)
    wrong = found.failed() - {(FROM_PORT[version], HOSTS[opener])}
    assert wrong == {(NONCE[version], HOSTS[opener])}
    verdict = found.of(NONCE[version], opener)
    assert (verdict.frames, verdict.subflow) == ((frames[0], frames[2]), 3)
    assert (verdict.severity, verdict.seen) == ("warning", 2)
    assert f"frame {frames[0]} has the same nonce" in verdict.why
    assert found.outcome(SINGLE_USE[version], opener) == "pass"


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_both_nonces_again(version, opener):
    """If both are those of another join, the joiner is to blame, and the other host perhaps."""
    talk, frames = joins((1, 11), (1, 11), version=version, opener=opener)
    found = forms(talk, whole=False)
    requirement = SINGLE_USE[version]
    assert found.failed() == {
        (NONCE[version], HOSTS[opener]),
        (requirement, HOSTS[opener]),
    }
    verdict = found.of(requirement, opener)
    assert (verdict.severity, verdict.subflow) == ("violation", 2)
    assert verdict.frames == (frames[0], frames[1], frames[0] + 1, frames[1] + 1)
    assert "all HMACs" in verdict.why
    other = found.of(requirement, 1 - opener)
    assert str(other.outcome) == "inconclusive"
    assert other.frames == (frames[0] + 1, frames[1] + 1)


@pytest.mark.parametrize("opener", [0, 1])
def test_nonce_of_the_answering_host_again(opener):
    """A nonce of the answering host's in two joins does not make HMACs equal by itself."""
    talk, frames = joins((1, 11), (2, 11), opener=opener)
    found = forms(talk, whole=False)
    assert found.failed() == {(SINGLE_USE[1], HOSTS[1 - opener])}
    verdict = found.of(SINGLE_USE[1], 1 - opener)
    assert (verdict.severity, verdict.frames) == ("warning", (frames[0] + 1, frames[1] + 1))


def test_retransmitted_syn_has_the_same_nonce():
    """A SYN that is sent again repeats its nonce and counts once."""
    talk, flow = opened()
    flow.join_syn()
    flow.join()
    talk.joined(nonces=(5, 6), isn=(77, 78))
    found = forms(talk)
    assert found.of(NONCE[1], 0).seen == 2


def nested(tape: Tape | None = None, *, isn: int = 3_000) -> Conversation:
    """Two joins with the same nonces, of which the second has all its SYNs within the first."""
    talk = Conversation(tape)
    talk.opened()
    outer = talk.flow(isn=(2_000, 9), ports=(50_000, 80))
    inner = talk.flow(isn=(isn, 9), ports=(50_001, 80))
    outer.join_syn()
    inner.join_syn()
    inner.join_synack()
    outer.join_synack()
    return talk


def test_copies_behind_a_translator():
    """One join captured twice is told from two by the tap at the joiner alone."""
    assert forms(nested()).outcome(NONCE[1], 0) == "inconclusive"
    assert forms(nested()).outcome(SINGLE_USE[1], 1) == "inconclusive"
    assert forms(nested()).failed() == set()
    assert "translator" in forms(nested()).of(NONCE[1], 0).why
    assert forms(nested(), at=0).outcome(NONCE[1], 0) == "fail"
    assert forms(nested(), at=1).outcome(NONCE[1], 0) == "inconclusive"


def test_equal_initial_sequence_numbers():
    """Where the initial sequence number is the same, too, it may be one join even later."""
    for isns, outcome in (((1, 2), "fail"), ((1, 1), "inconclusive")):
        talk, _ = joins((1, 11), (1, 12), isns=isns)
        assert forms(talk).outcome(NONCE[1], 0) == outcome
        assert forms(talk, at=0).outcome(NONCE[1], 0) == "fail"


def test_a_join_in_two_networks():
    """A join that is there twice, with a VLAN tag and without, is one join."""
    talk = Conversation()
    talk.opened()
    for vlan in (None, 7):
        flow = talk.flow(vlan=vlan, addresses=("10.0.1.1", "10.0.1.2"), ports=(50_000, 80))
        flow.join()
    found = forms(talk, at=0)
    assert found.outcome(NONCE[1], 0) != "fail"
    assert found.outcome(SINGLE_USE[1], 0) != "fail"


@pytest.mark.parametrize(("more", "outcome"), [(0, "inconclusive"), (1, "fail")])
def test_how_far_apart_joins_are(more, outcome):
    """Without the tap, a join is another one if it begins clearly after the first was answered."""
    talk = Conversation()
    talk.opened()
    first = talk.flow(isn=(2_000, 9), ports=(50_000, 80))
    first.join_syn()
    first.join_synack()
    talk.tape.now += JITTER - talk.tape.step + more
    talk.flow(isn=(3_000, 9), ports=(50_001, 80)).join_syn()
    assert forms(talk).outcome(NONCE[1], 0) == outcome


# --------------------------------------------------------------------------- ports


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_join_to_the_port_of_the_first_subflow(version, opener):
    """A join to the peer's port of the first subflow is right, for either host."""
    talk, flow = opened(version=version, opener=opener, ports=(40_000, 80))
    flow.join_syn()
    found = forms(talk, whole=False)
    assert found.outcome(TO_PORT[version], opener) == "pass"
    assert found.outcome(FROM_PORT[version], opener) == "pass"
    assert found.outcome(TO_PORT[version], 1 - opener) == "not_exercised"


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [(0, True, "fail"), (0, False, "inconclusive"), (1, True, "inconclusive")],
)
@pytest.mark.parametrize("version", [0, 1])
def test_join_to_a_port_that_nobody_announced(version, at, whole, outcome):
    """Another port is wrong if the joiner's capture has no ADD_ADDR for it."""
    talk, flow = opened(version=version, ports=(40_000, 8080))
    frame = flow.join_syn()
    found = forms(talk, at=at, whole=whole)
    assert found.outcome(TO_PORT[version], 0) == outcome
    verdict = found.of(TO_PORT[version], 0)
    assert (verdict.frames, verdict.subflow, verdict.severity) == ((frame,), 1, "warning")
    assert "10.0.1.2:8080" in verdict.why
    assert "port 80 there" in verdict.why


@pytest.mark.parametrize(
    ("host", "port", "echo", "outcome"),
    [
        (1, 8080, False, "pass"),
        (0, 8080, True, "pass"),
        (0, 8080, False, "fail"),
        (1, 8080, True, "fail"),
        (1, 8081, False, "fail"),
        (1, None, False, "fail"),
    ],
)
def test_join_to_an_announced_port(host, port, echo, outcome):
    """The peer's ADD_ADDR with that port makes it right, or the joiner's echo of one."""
    talk, flow = opened(ports=(40_000, 8080))
    talk.flows[0].add_addr(host, "10.0.1.2", port=port, echo=echo)
    flow.join_syn()
    assert forms(talk, at=0).outcome(TO_PORT[1], 0) == outcome


@pytest.mark.parametrize(("more", "outcome"), [(0, "pass"), (1, "fail")])
def test_port_that_is_announced_later(more, outcome):
    """An ADD_ADDR that comes clearly after the SYN is too late."""
    talk, flow = opened(ports=(40_000, 8080))
    flow.join_syn()
    talk.tape.now += JITTER - talk.tape.step + more
    talk.flows[0].add_addr(1, "10.0.1.2", port=8080)
    assert forms(talk, at=0).outcome(TO_PORT[1], 0) == outcome


@pytest.mark.parametrize(
    ("at", "whole", "outcome"),
    [
        (0, True, "fail"),
        (0, False, "inconclusive"),
        (1, True, "inconclusive"),
        (None, True, "inconclusive"),
    ],
)
@pytest.mark.parametrize("version", [0, 1])
def test_join_from_another_port(version, at, whole, outcome):
    """A join from a new address with another port is noted where it was sent; if frames may be
    missing, a subflow from that port may be, too.
    """
    talk, flow = opened(version=version, ports=(50_000, 80))
    frame = flow.join_syn()
    found = forms(talk, at=at, whole=whole)
    assert found.outcome(FROM_PORT[version], 0) == outcome
    verdict = found.of(FROM_PORT[version], 0)
    assert (verdict.frames, verdict.subflow, verdict.severity) == ((frame,), 1, "note")
    assert "10.0.1.1:50000" in verdict.why
    assert "port 40000" in verdict.why


def test_port_that_is_taken():
    """Where a subflow has that port already, the join cannot have it."""
    talk, flow = opened(addresses=("10.0.0.1", "10.0.1.2"), ports=(50_000, 80))
    flow.join_syn()
    assert forms(talk, at=0).outcome(FROM_PORT[1], 0) == "not_exercised"
    talk, flow = opened(addresses=("10.0.1.1", "10.0.1.2"), ports=(40_000, 80))
    flow.join_syn()
    again = talk.flow(addresses=("10.0.1.1", "10.0.2.2"), ports=(50_000, 80), nonces=(1, 2))
    again.join_syn()
    found = forms(talk, at=0)
    assert found.outcome(FROM_PORT[1], 0) == "pass"
    assert found.of(FROM_PORT[1], 0).seen == 1


def test_port_that_is_taken_later():
    """It was free if only a later subflow has it."""
    talk, flow = opened(addresses=("10.0.1.1", "10.0.1.2"), ports=(50_000, 80))
    flow.join_syn()
    later = talk.flow(addresses=("10.0.1.1", "10.0.2.2"), ports=(40_000, 80), nonces=(1, 2))
    later.join_syn()
    assert forms(talk, at=0).outcome(FROM_PORT[1], 0) == "fail"


# --------------------------------------------------------------------- Address IDs


def two_joins(
    *, version: int = 1, opener: int = 0, ids: tuple[int, int] = (3, 3), same: bool = False
) -> tuple[Conversation, list[int]]:
    """Joins from two addresses (or the same one) under these Address IDs; the joiners' SYNs."""
    talk = Conversation(version=version)
    talk.opened()
    frames = []
    for at, name in enumerate(ids):
        place = 1 if same else at + 1
        ends = [f"10.0.{place}.1", f"10.0.{place}.2"]
        ends[1 - opener] = ("10.0.0.1", "10.0.0.2")[1 - opener]
        flow = talk.flow(
            opener=opener,
            addresses=(ends[0], ends[1]),
            ports=(50_000 + at, 80 + at),
            address_ids=(name, 0) if opener == 0 else (0, name),
            nonces=(at, at + 5),
        )
        frames.append(flow.join_syn())
    return talk, frames


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_id_of_two_addresses(version, opener):
    """Two addresses under one ID are proven where the host's own addresses are seen."""
    talk, frames = two_joins(version=version, opener=opener)
    for at, whole, outcome in (
        (opener, True, "fail"),
        (opener, False, "inconclusive"),
        (1 - opener, True, "inconclusive"),
        (None, True, "inconclusive"),
    ):
        found = names(talk, at=at, whole=whole)
        assert found.outcome(UNIQUE[version], opener) == outcome
        verdict = found.of(UNIQUE[version], opener)
        assert (verdict.frames, verdict.subflow) == (tuple(frames), 2)
        assert "Address ID 3" in verdict.why
        assert f"in frame {frames[0]}" in verdict.why
        assert ("translated" in verdict.why) == (at != opener)


def test_ids_that_are_right():
    """One address twice under one ID, or two under two IDs, are right."""
    for settings in ({"same": True}, {"ids": (3, 4)}):
        talk, _ = two_joins(**settings)
        found = names(talk, at=0)
        assert found.outcome(UNIQUE[1], 0) == "pass"
        assert found.of(UNIQUE[1], 0).seen == 2
        assert found.failed() == set()


@pytest.mark.parametrize(
    ("removed", "host", "outcome"), [((3,), 0, "pass"), ((4,), 0, "fail"), ((3,), 1, "fail")]
)
def test_id_that_was_removed_between(removed, host, outcome):
    """A REMOVE_ADDR of its host makes an ID free for another address."""
    talk, flow = opened(address_ids=(3, 0))
    flow.join_syn()
    talk.tape.wait(1)
    talk.flows[0].remove_addr(host, *removed)
    talk.tape.wait(1)
    talk.flow(address_ids=(3, 0), nonces=(1, 2)).join_syn()
    found = names(talk, at=0)
    assert found.outcome(UNIQUE[1], 0) == outcome
    assert found.of(UNIQUE[1], 0).seen == (2 if outcome == "pass" else 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("apart", "outcome"), [(0.018, "pass"), (1, "fail")])
def test_removal_that_is_not_between(when, apart, outcome):
    """One that is clearly before or after both uses of the ID does not."""
    talk, flow = opened(address_ids=(3, 0))
    if when == "before":
        talk.flows[0].remove_addr(0, 3)
        talk.tape.wait(apart)
    flow.join_syn()
    talk.tape.wait(1)
    talk.flow(address_ids=(3, 0), nonces=(1, 2)).join_syn()
    if when == "after":
        talk.tape.wait(apart)
        talk.flows[0].remove_addr(0, 3)
    assert names(talk, at=0).outcome(UNIQUE[1], 0) == outcome


def test_many_removals():
    """Of many removals only one that may lie between counts."""
    talk, flow = opened(address_ids=(3, 0))
    for _ in range(3):
        talk.flows[0].remove_addr(0, 3)
    talk.tape.wait(1)
    flow.join_syn()
    talk.tape.wait(1)
    talk.flow(address_ids=(3, 0), nonces=(1, 2)).join_syn()
    talk.tape.wait(1)
    for _ in range(3):
        talk.flows[0].remove_addr(0, 3)
    assert names(talk, at=0).outcome(UNIQUE[1], 0) == "fail"


@pytest.mark.parametrize("order", ["add join", "join add"])
@pytest.mark.parametrize("version", [0, 1])
def test_id_of_an_address_that_was_announced(version, order):
    """A join and an ADD_ADDR may contradict each other, too."""
    talk, flow = opened(version=version, address_ids=(3, 0))
    steps = {
        "add": lambda: talk.flows[0].add_addr(0, "10.9.9.9", address_id=3),
        "join": flow.join_syn,
    }
    frames = [steps[name]() for name in order.split()]
    found = names(talk, at=0)
    assert found.failed() == {(UNIQUE[version], "initiator")}
    assert found.of(UNIQUE[version], 0).frames == tuple(frames)
    if version:
        # The echo is of the other host's address.
        talk.flows[0].add_addr(1, "10.9.9.8", address_id=3, echo=True)
    assert names(talk, at=0).outcome(UNIQUE[version], 1) == "not_exercised"


def test_two_announcements_that_contradict_each_other():
    """What two ADD_ADDRs say of one ID is not looked at here, but a join is compared with both."""
    talk, flow = opened(address_ids=(3, 0))
    talk.flows[0].add_addr(0, "10.9.9.9", address_id=3)
    last = talk.flows[0].add_addr(0, "10.9.9.8", address_id=3)
    assert names(talk, at=0).failed() == set()
    frame = flow.join_syn()
    assert names(talk, at=0).of(UNIQUE[1], 0).frames == (last, frame)


def test_addresses_within_addresses():
    """An IPv4 address that IPv6 carries is that address."""
    talk, flow = opened(address_ids=(3, 0))
    talk.flows[0].add_addr(0, "::ffff:10.0.1.1", address_id=3)
    flow.join_syn()
    assert names(talk, at=0).outcome(UNIQUE[1], 0) == "pass"


def anonymised(*extra: str) -> Conversation:
    """A cooked capture of the initiator, who announces an address that is in no header."""
    talk = Conversation(Tape("sll"), captured_at=0)
    first = talk.opened()
    first.add_addr(0, "192.168.1.5", address_id=3)
    for address in extra:
        first.add_addr(0, address, address_id=9)
    talk.flow(address_ids=(3, 0)).join_syn()
    return talk


def test_headers_of_which_addresses_were_changed():
    """If no announced address is in any header, the headers may have been changed."""
    found = names(anonymised())
    assert found.outcome(UNIQUE[1], 0) == "inconclusive"
    assert "headers may have been changed" in found.of(UNIQUE[1], 0).why
    for end in ("10.0.1.1", "10.0.0.2"):
        assert names(anonymised(end)).outcome(UNIQUE[1], 0) == "fail"
    assert names(anonymised(), at=0).outcome(UNIQUE[1], 0) == "fail"


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_id_zero_of_another_address(version, opener):
    """ID 0 is the initial address's, on a SYN as on a SYN/ACK and in an ADD_ADDR."""
    talk, flow = opened(version=version, opener=opener, address_ids=(0, 0))
    syn = flow.join_syn()
    synack = flow.join_synack()
    for host, frame in ((opener, syn), (1 - opener, synack)):
        found = names(talk, at=host)
        assert found.failed() == {(ZERO[version], HOSTS[host])}
        verdict = found.of(ZERO[version], host)
        assert (verdict.frames, verdict.subflow, verdict.severity) == ((frame,), 1, "warning")
        assert f"ID 0 is of 10.0.0.{host + 1}, and this is 10.0.1.{host + 1}" in verdict.why
        assert names(talk, at=host, whole=False).failed() == set()
    talk, flow = opened(version=version)
    frame = talk.flows[0].add_addr(1, "10.9.9.9", address_id=0)
    assert names(talk, at=1).of(ZERO[version], 1).frames == (frame,)


def test_id_zero_of_the_initial_address():
    """There it is right, and any other ID of that address and port is wrong."""
    talk, flow = opened(addresses=("10.0.0.1", "10.0.1.2"), ports=(50_000, 80), address_ids=(0, 4))
    flow.join_syn()
    flow.join_synack()
    found = names(talk, at=0)
    assert found.outcome(ZERO[1], 0) == "pass"
    assert found.outcome(ZERO[1], 1) == "not_exercised"
    assert found.outcome(UNIQUE[1], 0) == "not_exercised"
    talk, flow = opened(addresses=("10.0.1.1", "10.0.0.2"), ports=(50_000, 80), address_ids=(4, 4))
    flow.join_syn()
    frame = flow.join_synack()
    found = names(talk, at=1)
    assert found.failed() == {(ZERO[1], "listener")}
    assert found.of(ZERO[1], 1).frames == (frame,)


@pytest.mark.parametrize(
    ("port", "outcome"), [(None, "fail"), (80, "fail"), (8080, "not_exercised")]
)
def test_initial_address_announced_under_an_id(port, outcome):
    """The initial address has no ID but 0; another port of it may have its own."""
    talk, _ = opened()
    talk.flows[0].add_addr(1, "10.0.0.2", address_id=4, port=port)
    assert names(talk, at=1).outcome(ZERO[1], 1) == outcome


def test_join_from_the_initial_address_under_an_id():
    """Of a join from another port of it there is a doubt."""
    talk, flow = opened(addresses=("10.0.0.1", "10.0.1.2"), ports=(50_000, 80), address_ids=(4, 0))
    frame = flow.join_syn()
    found = names(talk, at=0)
    assert found.outcome(ZERO[1], 0) == "inconclusive"
    assert found.of(ZERO[1], 0).frames == (frame,)
    assert "another port may have an ID of its own" in found.of(ZERO[1], 0).why


@pytest.mark.parametrize(("host", "outcome"), [(0, "not_exercised"), (1, "fail")])
def test_id_zero_that_was_removed(host, outcome):
    """Once its host removed ID 0, nothing is said of it any more."""
    talk, flow = opened(address_ids=(0, 9))
    talk.flows[0].remove_addr(host, 0)
    flow.join_syn()
    assert names(talk, at=0).outcome(ZERO[1], 0) == outcome


# ------------------------------------------------------------------- after fallback


def test_nothing_after_a_fallback():
    """What comes after the connection has become plain TCP is not looked at."""
    for plain in (False, True):
        talk = Conversation()
        first = talk.opened()
        first.data(0, b"data")
        first.ack(1)
        if plain:
            first.segment(0, ACK | PSH, payload=b"plain")
            first.segment(1, ACK)
            first.segment(1, ACK | PSH, payload=b"plain")
            first.segment(0, ACK)
        flow = talk.flow(ports=(50_000, 8080), address_ids=(0, 0))
        flow.join_syn()
        found = said(talk, (*joining.RULES, *identities.RULES), at=0)
        outcome = "not_exercised" if plain else "fail"
        assert found.outcomes(TO_PORT[1], ZERO[1], host=0) == [outcome] * 2
