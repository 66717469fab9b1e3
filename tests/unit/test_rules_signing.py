"""What rules say of the HMACs of joins and of ADD_ADDR."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.rules.signing import RULES
from tests.common.conversation import KEYS, Conversation, Flow
from tests.common.joinery import damaged, said
from tests.common.tape import Tape
from tests.unit.test_rules_derivation import NAMES, swapped

SYNACK = {1: "8684-3.2-12", 0: "6824-3.2-02"}
THIRD = {1: "8684-3.2-13", 0: "6824-3.2-01"}
ADD_ADDR = "8684-3.4.1-07"
#: Two keys of version 1 with one token.
COLLIDING = (0xC66F, 0xE658)


def digest(flow: Flow, role: int, version: int, *, keys: bool = False, nonces: bool = False):
    """The HMAC of a role, perhaps with its keys or its nonces in the wrong order."""
    own, peer = KEYS[role], KEYS[1 - role]
    mine, theirs = flow.nonces[role], flow.nonces[1 - role]
    return crypto.join_digest(
        version=version,
        sender_key=peer if keys else own,
        receiver_key=own if keys else peer,
        sender_nonce=theirs if nonces else mine,
        receiver_nonce=mine if nonces else theirs,
    )


# --------------------------------------------------------------------------- joins


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_right_hmacs(version, opener):
    """Both messages of a join are right, for whoever sent them; each copy counts."""
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.joined(opener=opener)
    flow.join_ack()
    found = said(talk, RULES, whole=False)
    assert {key: str(each.outcome) for key, each in found.items()} == {
        (SYNACK[version], NAMES[1 - opener]): "pass",
        (THIRD[version], NAMES[opener]): "pass",
    }
    assert found.of(SYNACK[version], 1 - opener).seen == 1
    assert found.of(THIRD[version], opener).seen == 2


MISTAKES = {
    "keys are in the wrong order": lambda flow, role, v, size: digest(flow, role, v, keys=True),
    "nonces are in the wrong order": lambda flow, role, v, size: digest(flow, role, v, nonces=True),
    "the peer has to send": lambda flow, role, v, size: digest(flow, 1 - role, v),
    "right end of the HMAC": lambda flow, role, v, size: digest(flow, role, v)[-size:],
    "with the hash of version": lambda flow, role, v, size: digest(flow, role, 1 - v) + bytes(12),
    "nothing but zeros": lambda flow, role, v, size: bytes(32),
}


@pytest.mark.parametrize(
    ("version", "cause", "third"),
    [
        (version, cause, third)
        for version in (0, 1)
        for cause in MISTAKES
        for third in (False, True)
        # All of a third packet's HMAC is sent in version 0: it has no other end.
        if (version, third, cause) != (0, True, "right end of the HMAC")
    ],
)
def test_hmac_that_a_mistake_gives(version, cause, third):
    """An HMAC that a usual mistake makes is wrong, and the argument says which it was."""
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.flow(opener=1)
    role, size = (1, 20) if third else (0, 8)
    wrong = MISTAKES[cause](flow, role, version, size)[:size]
    flow.join_syn()
    frame = flow.join_synack(hmac=None if third else wrong)
    if third:
        frame = flow.join_ack(hmac=wrong)
    found = said(talk, RULES, at=1)
    requirement = (THIRD if third else SYNACK)[version]
    assert found.failed() == {(requirement, NAMES[role])}
    verdict = found.of(requirement, role)
    assert (verdict.frames, verdict.subflow) == ((frame,), 1)
    assert cause in verdict.why
    if cause == "with the hash of version":
        assert verdict.why.endswith(f"{cause} {1 - version}")
    assert digest(flow, role, version)[:size].hex() in verdict.why


@pytest.mark.parametrize(
    ("whole", "reset", "third", "outcome"),
    [
        (True, False, False, "fail"),
        (False, False, False, "inconclusive"),
        (False, True, False, "fail"),
        (False, False, True, "fail"),
    ],
)
def test_synack_with_any_other_hmac(whole, reset, third, outcome):
    """It is wrong if no SYN is missing, or if the joiner's own message or RST confirms it."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    frame = flow.join_synack(hmac=b"12345678")
    if reset:
        flow.rst(0, 1)
    if third:
        flow.join_ack()
    found = said(talk, RULES, whole=whole)
    assert found.outcome(SYNACK[1], 1) == outcome
    assert found.of(SYNACK[1], 1).frames == (frame,)
    if outcome == "inconclusive":
        assert "another SYN" in found.of(SYNACK[1], 1).why
    if third:
        assert found.outcome(THIRD[1], 0) == "pass"


@pytest.mark.parametrize("by", [0, 1])
def test_a_reset_confirms_nothing_after_a_third_packet(by):
    """A RST of the other host, or after a wrong third packet, shows no nonce to be right."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack(hmac=b"12345678")
    if by == 0:
        flow.join_ack(hmac=b"x" * 20)
    flow.rst(by, 1)
    found = said(talk, RULES, whole=False)
    assert found.outcome(SYNACK[1], 1) == "inconclusive"
    assert found.outcome(THIRD[1], 0) == ("inconclusive" if by == 0 else "not_exercised")


def test_third_packet_with_any_other_hmac():
    """It is wrong if the SYN/ACK is right, since then the nonces are."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack()
    frame = flow.join_ack(hmac=b"x" * 20)
    found = said(talk, RULES, whole=False)
    assert found.failed() == {(THIRD[1], "initiator")}
    assert found.of(THIRD[1], 0).frames == (frame,)


@pytest.mark.parametrize("second", [False, True])
def test_syn_with_another_nonce(second):
    """Messages may be over the nonce of any SYN of the subflow."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn(nonce=5 if second else None)
    flow.join_syn(nonce=None if second else 5)
    flow.join_synack()
    flow.join_ack()
    found = said(talk, RULES)
    assert (found.outcome(SYNACK[1], 1), found.outcome(THIRD[1], 0)) == ("pass", "pass")


@pytest.mark.parametrize(("count", "outcome"), [(3, "fail"), (4, "inconclusive")])
def test_too_many_nonces(count, outcome):
    """Not all of very many SYNs are kept, so that the right one may be another."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    for nonce in range(count):
        flow.join_syn(nonce=nonce)
    flow.join_synack()
    found = said(talk, RULES)
    assert found.outcome(SYNACK[1], 1) == outcome


def test_too_many_answers():
    """Nor of very many SYN/ACKs."""
    for count, outcome in ((3, "fail"), (4, "inconclusive")):
        talk = Conversation()
        talk.opened()
        flow = talk.flow()
        flow.join_syn()
        for at in range(count):
            flow.join_synack(hmac=bytes([1, at]) * 4)
        assert said(talk, RULES).outcome(SYNACK[1], 1) == outcome


@pytest.mark.parametrize(
    ("missing", "answer", "third"),
    [("syn", "inconclusive", "inconclusive"), ("synack", "not_exercised", "inconclusive")],
)
def test_nonces_that_are_not_captured(missing, answer, third):
    """Without the nonces an HMAC cannot be looked at."""
    talk = Conversation()
    first = talk.opened()
    first.data(0, b"x")
    flow = talk.flow()
    flow.join(missing=missing)
    flow.data(0, b"y")
    found = said(talk, RULES)
    assert (found.outcome(SYNACK[1], 1), found.outcome(THIRD[1], 0)) == (answer, third)
    assert "a nonce is not captured" in found.of(THIRD[1], 0).why
    assert found.of(THIRD[1], 0).unseen == 1


def test_key_that_is_not_captured():
    """Nor without a key."""
    talk = Conversation()
    first = talk.flow()
    first.handshake(missing="third")
    talk.joined()
    found = said(talk, RULES)
    assert (found.outcome(SYNACK[1], 1), found.outcome(THIRD[1], 0)) == ("inconclusive",) * 2
    assert "a key is not captured" in found.of(THIRD[1], 0).why


def test_key_that_is_not_certain():
    """A listener's key that only its peer echoed is no ground for an accusation."""
    talk = Conversation()
    first = talk.flow()
    first.handshake(missing="synack")
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack(hmac=bytes(8))
    found = said(talk, RULES)
    assert found.outcome(SYNACK[1], 1) == "inconclusive"
    assert "not known from that host itself" in found.of(SYNACK[1], 1).why


def test_token_of_two_connections():
    """If two connections have the token, a wrong HMAC may be of the other one."""
    for other, outcome in ((COLLIDING[1], "inconclusive"), (9, "fail")):
        tape = Tape()
        one = Conversation(tape, keys=(1, COLLIDING[0]))
        one.opened()
        two = Conversation(tape, keys=(2, other))
        two.opened(ports=(50_000, 80))
        flow = one.flow()
        flow.join_syn()
        flow.join_synack(hmac=b"12345678")
        tape.wait(1)
        outcomes = {said(one, RULES, connection=each).outcome(SYNACK[1], 1) for each in (0, 1)}
        assert outcomes - {"not_exercised"} in ({outcome}, set())
        if other == 9:
            assert outcome in outcomes


@pytest.mark.parametrize("at", [0, 1])
def test_keys_swapped_between_new_addresses(at):
    """The tap shows who answered: that host has its keys in the wrong order."""
    found = said(swapped(), RULES, at=at)
    assert found.failed() == {(SYNACK[1], "initiator")}
    assert "keys are in the wrong order" in found.of(SYNACK[1], 0).why


def test_damaged_third_packet():
    """A wrong HMAC in a segment with a wrong TCP checksum is a doubt."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack()
    damaged(talk, flow.join_ack(hmac=b"x" * 20))
    assert said(talk, RULES).outcome(THIRD[1], 0) == "inconclusive"


def test_messages_by_the_wrong_host():
    """A SYN/ACK's option by the joiner, or a third packet's by the other, is not looked at."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow()
    flow.join_syn()
    flow.join_synack()
    flow.opener = 1
    flow.join_ack(hmac=b"x" * 20)
    flow.join_synack(hmac=b"12345678")
    found = said(talk, RULES)
    assert found.failed() == set()
    assert found.of(SYNACK[1], 1).seen == 1


# ------------------------------------------------------------------------ ADD_ADDR


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An address that a host announces, and what its HMAC is made of."""

    host: int = 1
    address: str = "10.9.9.9"
    port: int | None = None

    def digest(self, *, keys: bool = False, port: int | None = -1) -> bytes:
        """The whole HMAC, perhaps with keys in the wrong order or another port."""
        own, peer = KEYS[self.host], KEYS[1 - self.host]
        return crypto.add_addr_digest(
            sender_key=peer if keys else own,
            receiver_key=own if keys else peer,
            address_id=5,
            address=ip_address(self.address),
            port=self.port if port == -1 else port,
        )


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("address", ["10.9.9.9", "2001:db8::9"])
@pytest.mark.parametrize("port", [None, 0x1234])
def test_right_address(host, address, port):
    """The right end of the HMAC is right, with and without a port; an echo has none."""
    talk = Conversation()
    flow = talk.opened()
    flow.add_addr(host, address, port=port)
    flow.add_addr(1 - host, address, port=port, echo=True)
    found = said(talk, RULES, whole=False)
    assert {key: str(each.outcome) for key, each in found.items()} == {
        (ADD_ADDR, NAMES[host]): "pass"
    }


FORGED = {
    "left end of the HMAC": lambda each: each.digest()[:8],
    "keys are in the wrong order": lambda each: each.digest(keys=True)[-8:],
    "the port is left out": lambda each: each.digest(port=0)[-8:],
    "octets of the port": lambda each: each.digest(port=0x3412)[-8:],
    "nothing but zeros": lambda each: bytes(8),
}


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("cause", FORGED)
def test_address_with_an_hmac_that_a_mistake_gives(cause, host):
    """An HMAC that a usual mistake makes is wrong wherever it is seen."""
    talk = Conversation()
    flow = talk.opened()
    each = Announcement(host=host, port=0x1234)
    frame = flow.add_addr(host, each.address, port=each.port, hmac=FORGED[cause](each))
    found = said(talk, RULES, whole=False)
    assert found.failed() == {(ADD_ADDR, NAMES[host])}
    verdict = found.of(ADD_ADDR, host)
    assert (verdict.frames, verdict.subflow) == ((frame,), 0)
    assert cause in verdict.why
    assert each.digest()[-8:].hex() in verdict.why


@pytest.mark.parametrize(
    ("at", "outcome"), [(1, "fail"), (0, "inconclusive"), (None, "inconclusive")]
)
def test_address_with_any_other_hmac(at, outcome):
    """Only where its sender captured it is it certain that the address was not changed."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.add_addr(1, "10.9.9.9", hmac=b"12345678")
    found = said(talk, RULES, at=at)
    assert found.outcome(ADD_ADDR, 1) == outcome
    assert found.of(ADD_ADDR, 1).frames == (frame,)
    assert ("changed the address" in found.of(ADD_ADDR, 1).why) == (outcome != "fail")


def test_what_is_explained_is_shown():
    """Of several wrong HMACs the first that a mistake explains is shown."""
    talk = Conversation()
    flow = talk.opened()
    flow.add_addr(1, "10.9.9.9", hmac=b"12345678")
    frame = flow.add_addr(1, "10.9.9.9", hmac=bytes(8))
    flow.add_addr(1, "10.9.9.9", hmac=bytes(8), address_id=6)
    found = said(talk, RULES, at=1)
    assert found.of(ADD_ADDR, 1).frames == (frame,)


def test_address_without_hmac():
    """Version 0 has no HMAC, and one that is missing is no wrong one."""
    talk = Conversation(version=0)
    talk.opened().add_addr(1, "10.9.9.9")
    assert not said(talk, RULES)


def test_address_where_a_key_is_missing():
    """Without both keys nothing can be said of an ADD_ADDR, of either host's."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    for host in (0, 1):
        flow.add_addr(host, "10.9.9.9", hmac=b"12345678")
    found = said(talk, RULES)
    for host in (0, 1):
        assert found.outcome(ADD_ADDR, host) == "inconclusive"
        assert found.of(ADD_ADDR, host).unseen == 1


def test_address_where_a_key_is_not_certain():
    """Nor if the listener's is known from its peer alone."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="synack")
    flow.add_addr(0, "10.9.9.9", hmac=bytes(8))
    found = said(talk, RULES, at=0)
    assert found.outcome(ADD_ADDR, 0) == "inconclusive"
    assert "not known from that host itself" in found.of(ADD_ADDR, 0).why
