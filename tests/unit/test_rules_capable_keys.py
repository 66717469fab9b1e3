"""What rules say of versions and keys in MP_CAPABLE options, and of where these stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mptcp_oracle.options import MpCapable
from mptcp_oracle.rules import capable
from tests.common.conversation import KEYS, Conversation, Mapping
from tests.common.hello import PLACES, B, form, hello
from tests.common.joinery import Said, said

ECHO = {1: "8684-3.1-10", 0: "6824-3.1-04"}
FIRST_ONLY = {1: "8684-3.1-40", 0: "6824-3.1-26"}
FLAG_B = "8684-3.1-25"
OWN_KEY, NOT_HIGHER, VERSION_KEPT = "8684-3.1-11", "8684-3.1-03", "8684-3.1-04"


def options_of(talk: Conversation, **claims) -> Said:
    """What the rules of MP_CAPABLE say."""
    return said(talk, capable.RULES, **claims)


# --------------------------------------------------------------------------- versions


def test_version_is_not_raised():
    """A SYN/ACK of version 1 answers no SYN of version 0."""
    talk, _ = hello(syn=form("syn", 0))
    found = options_of(talk, at=1)
    assert found.failed() == {(NOT_HIGHER, "listener")}
    assert found.of(NOT_HIGHER, 1).frames == (1, 2)
    assert "version 1, the SYN 0" in found.of(NOT_HIGHER, 1).why
    for claims in ({"at": 1, "whole": False}, {"at": 0}, {}):
        assert options_of(talk, **claims).outcome(NOT_HIGHER, 1) == "inconclusive"


def test_version_of_another_syn():
    """The highest version of all SYNs counts, and without any nothing is known."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(form("syn", 1))
    flow.syn(form("syn", 0))
    flow.synack()
    flow.third()
    assert options_of(talk, at=1).outcome(NOT_HIGHER, 1) == "pass"
    talk, _ = hello(syn=None)
    assert options_of(talk, at=1).of(NOT_HIGHER, 1).unseen == 1


@pytest.mark.parametrize("syn", [form("syn", 2), form("syn", 15)])
def test_a_lower_version_may_be_chosen(syn):
    """A SYN may offer more than the SYN/ACK takes."""
    talk, _ = hello(syn=syn)
    found = options_of(talk, at=1)
    assert found.outcome(NOT_HIGHER, 1) == "pass"
    assert not found.failed()


@pytest.mark.parametrize("version", [0, 2, 15])
@pytest.mark.parametrize("name", ["ack", "data"])
def test_version_is_kept(name, version):
    """Third packet and first data have the version of the SYN/ACK whose key they echo."""
    other = replace(form(name), version=version)
    talk, _ = hello(**{name: other})
    found = options_of(talk, whole=False)
    assert found.failed() == {(VERSION_KEPT, "initiator")}
    assert found.of(VERSION_KEPT, 0).frames == (2, 1 + PLACES.index(name))
    assert f"version {version}, and the SYN/ACK chose 1" in found.of(VERSION_KEPT, 0).why


def test_version_of_an_unknown_synack():
    """With another echo, another SYN/ACK may have been answered, unless none is missing."""
    other = replace(form("ack"), version=2, receiver_key=5)
    talk, _ = hello(ack=other)
    assert options_of(talk).failed() == {(VERSION_KEPT, "initiator")}
    assert options_of(talk, whole=False).outcome(VERSION_KEPT, 0) == "inconclusive"
    talk, _ = hello(syn=None, ack=other)
    assert options_of(talk).outcome(VERSION_KEPT, 0) == "inconclusive"
    talk, _ = hello(synack=None)
    assert options_of(talk).of(VERSION_KEPT, 0).unseen == 2


# --------------------------------------------------------------------------- keys


@pytest.mark.parametrize("version", [0, 1])
def test_echoed_key(version):
    """The key that is echoed is that of the SYN/ACK, of which none must be missing."""
    talk, _ = hello(version, ack=replace(form("ack", version), receiver_key=KEYS[1] ^ 1))
    found = options_of(talk)
    assert found.failed() == {(ECHO[version], "initiator")}
    verdict = found.of(ECHO[version], 0)
    assert (verdict.frames, verdict.subflow) == ((2, 3), 0)
    assert f"key {KEYS[1] ^ 1:016x}, not {KEYS[1]:016x}" in verdict.why
    assert verdict.seen == version
    found = options_of(talk, whole=False)
    assert found.outcome(ECHO[version], 0) == "inconclusive"
    assert "may be missing" in found.of(ECHO[version], 0).why
    talk, _ = hello(version, syn=None, ack=replace(form("ack", version), receiver_key=7))
    assert options_of(talk).outcome(ECHO[version], 0) == "inconclusive"


@pytest.mark.parametrize("echo", [KEYS[0], int.from_bytes(KEYS[1].to_bytes(8, "little"), "big")])
def test_telling_echoes(echo):
    """The initiator's own key, or the listener's reversed, is no key of another SYN/ACK."""
    talk, _ = hello(ack=replace(form("ack"), receiver_key=echo))
    assert options_of(talk, whole=False).failed() == {(ECHO[1], "initiator")}


@pytest.mark.parametrize("at", [0, 1])
def test_echo_of_either_synack(at):
    """A stateless listener may send several keys; each of them may be echoed."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn()
    flow.synack(replace(form("synack"), sender_key=7))
    flow.synack()
    flow.third(replace(form("ack"), receiver_key=(7, KEYS[1])[at]))
    assert options_of(talk).outcome(ECHO[1], 0) == "pass"


def test_echo_without_synack():
    """Where no SYN/ACK was captured, the echo cannot be looked at."""
    talk, _ = hello(synack=None)
    found = options_of(talk)
    assert found.outcome(ECHO[1], 0) == "inconclusive"
    assert found.of(ECHO[1], 0).unseen == 2


def test_key_of_the_syn_in_version_0():
    """In version 0 the third packet repeats the key of the SYN as well."""
    talk, _ = hello(0, syn=replace(form("syn", 0), sender_key=9))
    found = options_of(talk)
    assert found.failed() == {(ECHO[0], "initiator")}
    assert found.of(ECHO[0], 0).frames == (1, 3)
    assert options_of(talk, whole=False).outcome(ECHO[0], 0) == "inconclusive"
    # One of two keys can be compared.
    for missing in ("syn", "synack"):
        talk, _ = hello(0, **{missing: None})
        assert options_of(talk).outcome(ECHO[0], 0) == "pass"


def test_own_key_is_kept():
    """First data has the key of the third packet; their place shows that both are of one stream."""
    talk, _ = hello(data=replace(form("data"), sender_key=KEYS[0] ^ 8))
    found = options_of(talk, whole=False)
    assert found.failed() == {(OWN_KEY, "initiator")}
    assert found.of(OWN_KEY, 0).frames == (3, 4)
    assert f"is {KEYS[0] ^ 8:016x}, and was {KEYS[0]:016x}" in found.of(OWN_KEY, 0).why
    talk, flow = hello()
    flow.third(replace(form("ack"), sender_key=KEYS[0] ^ 8))
    assert options_of(talk).outcome(OWN_KEY, 0) == "inconclusive"


# --------------------------------------------------------------------------- places


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_capable_on_a_joined_subflow(version, host):
    """A joined subflow has no MP_CAPABLE; keys of its connection show that it is no other."""
    talk, _ = hello(version)
    flow = talk.joined()
    mine = MpCapable(version=version, sender_key=KEYS[host], receiver_key=KEYS[1 - host])
    frame = flow.ack(host, mine, dack=None)
    found = options_of(talk, whole=False)
    assert found.failed() == {(FIRST_ONLY[version], ("initiator", "listener")[host])}
    verdict = found.of(FIRST_ONLY[version], host)
    assert (verdict.frames, verdict.subflow) == ((frame,), 1)
    talk, _ = hello(version)
    talk.joined().ack(host, replace(mine, sender_key=3), dack=None)
    assert options_of(talk, whole=False).outcome(FIRST_ONLY[version], host) == "inconclusive"
    assert len(options_of(talk).failed()) == 1


def test_capable_of_the_listener():
    """The listener has an MP_CAPABLE on its SYN/ACK alone."""
    talk, flow = hello()
    frame = flow.ack(1, form("ack"), dack=None)
    found = options_of(talk, whole=False)
    assert found.failed() == {(FIRST_ONLY[1], "listener")}
    assert found.of(FIRST_ONLY[1], 1).frames == (frame,)
    talk, flow = hello(syn=None)
    flow.ack(1, form("ack"), dack=None)
    assert options_of(talk).outcome(FIRST_ONLY[1], 1) == "inconclusive"


def test_nothing_is_said_after_a_fallback():
    """What a plain TCP connection sends is not looked at."""
    for infinite in (False, True):
        talk, flow = hello()
        flow.ack(1)
        if infinite:
            flow.data(0, b"last", mapping=Mapping(dsn=6, ssn=6, dll=0))
        flow.third(form("ack", 1, B))
        assert (FLAG_B, "initiator") in options_of(talk).failed() or infinite
        assert options_of(talk).of(FIRST_ONLY[1], 0).seen == (3 if infinite else 4)
