"""What rules say of keys and tokens that several connections of one host have."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.rules import uniqueness
from tests.common.conversation import KEYS, Conversation, Flow
from tests.common.joinery import HOSTS, Said, said
from tests.common.tape import Tape

KEY = {1: "8684-3.1-13", 0: "6824-3.1-21"}
TOKEN = {
    (1, 0): {"8684-3.1-14"},
    (1, 1): {"8684-3.1-14"},
    (0, 0): {"6824-B-01"},
    (0, 1): {"6824-3.1-06", "6824-B-01"},
}
#: For each version, two keys with the same token.
COLLIDING = {1: (0xC66F, 0xE658), 0: (0xEE60, 0x140E5)}
MINUTE = 60


def unique(talk: Conversation, connection: int = 1, **claims) -> Said:
    """What the rules of uniqueness say."""
    return said(talk, uniqueness.RULES, connection=connection, **claims)


def pair(
    keys: tuple[int, int], role: int, *, version: int = 1, after: str = "", wait: float = 0.0
) -> tuple[Conversation, Flow, Flow]:
    """Two connections of the same hosts; a host has these keys. ``after`` ends the first one."""
    tape = Tape()
    talks, flows = [], []
    for number, key in enumerate(keys):
        own = [11 + number, 21 + number]
        own[role] = key
        talk = Conversation(tape, version=version, keys=(own[0], own[1]))
        talks.append(talk)
        flows.append(talk.flow(ports=(50_000 + number, 80), isn=(1_000 + number, 9_000 + number)))
        flows[-1].handshake()
        if number == 0:
            ended(flows[0], after)
            tape.wait(wait)
    return talks[1], flows[0], flows[1]


def frames(version: int, role: int) -> tuple[int, int]:
    """Where a host shows its keys in both connections."""
    if role:
        return (2, 5)
    return (3, 6) if version else (1, 4)


def ended(flow: Flow, how: str) -> None:
    """The end of a connection."""
    if how == "closed":
        for role in (0, 1):
            flow.data_fin(role)
            flow.ack(1 - role)
    elif how == "fast closed":
        flow.fastclose(0)
    elif how == "reset":
        flow.rst(0)


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_one_key_twice(version, role):
    """A host that uses a key for two open connections breaks the rule with the second."""
    talk, _, _ = pair((5, 5), role, version=version)
    found = unique(talk, at=role)
    assert found.failed() == {(KEY[version], HOSTS[role])}
    shown = frames(version, role)
    assert found.of(KEY[version], role).frames == shown
    assert f"key {5:016x} is that of connection 0" in found.of(KEY[version], role).why
    assert f"showed it in frame {shown[0]}" in found.of(KEY[version], role).why
    assert unique(talk, 0, at=role) == {}


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_one_token_twice(version, role):
    """Different keys with one token break the rules for tokens, and none for keys."""
    one, other = COLLIDING[version]
    assert crypto.token(one, version) == crypto.token(other, version)
    talk, _, _ = pair((one, other), role, version=version)
    found = unique(talk, at=role)
    assert found.failed() == {(number, HOSTS[role]) for number in TOKEN[version, role]}
    for number in TOKEN[version, role]:
        assert found.of(number, role).frames == (
            (2, 5) if role else (1, 4) if version == 0 else (3, 6)
        )
        assert f"token {crypto.token(one, version):08x} is that of" in found.of(number, role).why


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_different_keys(version, role):
    """Connections at the same time with keys of their own are as they should be."""
    talk, first, _ = pair((5, 6), role, version=version)
    first.ack(0)
    found = unique(talk, whole=False)
    for host in (0, 1):
        for number in {KEY[version]} | TOKEN[version, host]:
            assert found.outcome(number, host) == "pass"
            assert found.of(number, host).seen == 1
    assert unique(talk, 0) == {}


def test_a_later_join_is_not_the_beginning():
    """A connection that was over before another one began is not beside it."""
    talk, _, _ = pair((5, 6), 0, after="closed")
    talk.flow(addresses=("10.0.1.1", "10.0.1.2")).join()
    assert unique(talk) == {}


def test_one_after_the_other():
    """Where no two connections are in the capture at the same time, nothing is to be said."""
    talk, _, _ = pair((5, 6), 0, after="closed")
    assert unique(talk) == {}
    alone = Conversation()
    alone.opened()
    assert unique(alone, 0) == {}


@pytest.mark.parametrize("after", ["closed", "fast closed", "reset"])
def test_key_of_a_connection_that_ended(after):
    """A key may be used again when its connection has ended."""
    talk, first, _ = pair((5, 5), 0, after=after)
    assert not unique(talk, at=0).failed()
    assert unique(talk, at=0).outcome(KEY[1], 0) == "not_exercised"
    if after == "closed":
        # Late segments of a connection that is over show nothing else.
        first.ack(0)
        assert not unique(talk, at=0).failed()


def test_key_of_a_connection_that_ends_later():
    """What ends after the second connection began was open when it did."""
    for how in ("closed", "fast closed", "reset"):
        talk, first, _ = pair((5, 5), 0)
        ended(first, how)
        assert unique(talk, at=0).failed() == {(KEY[1], "initiator")}


@pytest.mark.parametrize("claims", [{"at": 1}, {}])
def test_hosts_behind_one_address(claims):
    """Elsewhere, an address may stand for several hosts."""
    talk, _, _ = pair((5, 5), 0)
    found = unique(talk, **claims)
    assert found.outcome(KEY[1], 0) == "inconclusive"
    assert "several may share its address" in found.of(KEY[1], 0).why


@pytest.mark.parametrize(
    ("wait", "whole", "outcome"),
    [
        (MINUTE - 0.004, True, "fail"),
        (MINUTE - 0.002, True, "inconclusive"),
        (0.0, False, "inconclusive"),
    ],
)
def test_a_connection_that_is_silent(wait, whole, outcome):
    """A connection that nothing ended is there for a minute, if nothing is missing."""
    # The second key comes three packets after the last one of the first connection.
    talk, _, _ = pair((5, 5), 0, wait=wait)
    found = unique(talk, at=0, whole=whole)
    assert found.outcome(KEY[1], 0) == outcome
    if outcome == "inconclusive":
        assert "may have ended before" in found.of(KEY[1], 0).why


def test_a_connection_that_speaks_again():
    """A segment that the host sends later on shows that the connection is there."""
    talk, first, _ = pair((5, 5), 0, wait=2 * MINUTE)
    first.ack(1)
    assert unique(talk, at=0).outcome(KEY[1], 0) == "inconclusive"
    first.ack(0)
    assert unique(talk, at=0).outcome(KEY[1], 0) == "fail"
    assert unique(talk, at=0, whole=False).outcome(KEY[1], 0) == "fail"


def test_one_connection_on_both_sides_of_a_translator():
    """Equal keys and equal sequence numbers are one connection that was captured twice."""
    for isn, outcome in (((1_000, 9_000), "pass"), ((1_001, 9_000), "fail")):
        tape = Tape()
        for port, given in ((50_000, (1_000, 9_000)), (50_001, isn)):
            talk = Conversation(tape)
            flow = talk.flow(ports=(port, 80), isn=given)
            flow.handshake()
            if port == 50_000:
                first = flow
        first.ack(0)
        found = unique(talk, at=0)
        assert found.outcome(KEY[1], 0) == outcome
        assert unique(talk, at=1).outcome(KEY[1], 1) == "pass"


def test_hosts_on_one_machine():
    """Both ends of one connection may have one address, and even one key."""
    talk = Conversation(keys=(5, 5))
    flow = talk.flow(addresses=("127.0.0.1", "127.0.0.1"))
    flow.handshake()
    other = Conversation(talk.tape, keys=(6, 7))
    other.opened(ports=(50_000, 80))
    assert unique(talk, 0, at=0) == {}
    assert unique(talk, 1, at=0) == {}


def test_connections_of_different_versions():
    """Tokens of different versions come from different hashes."""
    tape = Tape()
    for port, version in ((50_000, 1), (50_001, 0)):
        talk = Conversation(tape, version=version, keys=KEYS)
        talk.flow(ports=(port, 80), isn=(port, 9 * port)).handshake()
    assert not unique(talk, at=0).failed()
