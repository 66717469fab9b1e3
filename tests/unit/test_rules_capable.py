"""What rules say of MP_CAPABLE options: forms, flags, versions, keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mptcp_oracle.encode import encode
from mptcp_oracle.rules import capable
from tests.common.conversation import Conversation
from tests.common.hello import PLACES, A, B, C, H, form, hello
from tests.common.joinery import Said, said

LENGTHS = {
    (1, "syn"): "8684-3.1-06",
    (1, "synack"): "8684-3.1-07",
    (1, "ack"): "8684-3.1-08",
    (1, "data"): "8684-3.1-09",
    (0, "syn"): "6824-3.1-01",
    (0, "synack"): "6824-3.1-02",
    (0, "ack"): "6824-3.1-03",
    (0, "data"): "6824-3.1-03",
}
FLAG_B = {1: "8684-3.1-25", 0: "6824-3.1-07"}
ONLY_H = {1: "8684-3.1-28", 0: "6824-3.1-09"}
CRYPTO = {1: "8684-3.1-29", 0: "6824-3.1-10"}
CHOSEN = {1: "8684-3.1-38", 0: "6824-3.1-25"}
CONFIRMED = {1: "8684-3.1-36", 0: "6824-3.1-24"}
ECHO = {1: "8684-3.1-10", 0: "6824-3.1-04"}
FIRST_ONLY = {1: "8684-3.1-40", 0: "6824-3.1-26"}
OWN_KEY, NOT_HIGHER, VERSION_KEPT = "8684-3.1-11", "8684-3.1-03", "8684-3.1-04"


def options_of(talk: Conversation, **claims) -> Said:
    """What the rules of MP_CAPABLE say."""
    return said(talk, capable.RULES, **claims)


def frame_of(name: str) -> int:
    """The frame of a packet if none is missing."""
    return 1 + PLACES.index(name)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("flags", [H, A | H])
def test_lawful_handshakes(version, flags):
    """A handshake as it should be keeps everything, wherever it was captured."""
    talk, _ = hello(version, **{name: form(name, version, flags) for name in PLACES[: 3 + version]})
    for claims in ({"at": 0}, {"at": 1}, {"whole": False}):
        found = options_of(talk, **claims)
        assert {str(each.outcome) for each in found.values()} == {"pass"}
        for number in (FLAG_B[version], ONLY_H[version], CRYPTO[version], FIRST_ONLY[version]):
            assert [found.of(number, host).seen for host in (0, 1)] == [2 + version, 1]
        numbers = (LENGTHS[version, "ack"], ECHO[version], CONFIRMED[version])
        assert [found.of(number, 0).seen for number in numbers] == [1, 1 + version, 1 + version]
        assert found.of(CHOSEN[version], 1).seen == 1
        assert found.of(LENGTHS[version, "synack"], 1).seen == 1
        assert found.of(LENGTHS[version, "syn"], 0).seen == 1
    numbers = (OWN_KEY, VERSION_KEPT, "8684-3.1-09")
    assert found.outcomes(*numbers, host=0) == [("not_exercised", "pass")[version]] * 3
    assert found.outcome(NOT_HIGHER, 1) == ("not_exercised", "pass")[version]
    assert [each.seen for key, each in found.items() if key[0] == NOT_HIGHER] == [1] * version


# --------------------------------------------------------------------------- lengths


def raw(name: str, version: int, size: int) -> bytes:
    """An MP_CAPABLE cut or stretched to a Length."""
    octets = (encode(form(name, version)) + bytes(24))[:size]
    return bytes([octets[0], size]) + octets[2:]


WRONG = [
    *((1, "syn", size) for size in (8, 12, 20)),
    *((1, "synack", size) for size in (4, 8, 20)),
    *((1, "ack", size) for size in (4, 12, 22, 24)),
    *((1, "data", size) for size in (12, 21, 23, 24, 26)),
    *((0, "syn", size) for size in (4, 8, 20)),
    *((0, "synack", size) for size in (4, 20)),
    *((0, "ack", size) for size in (12, 22, 24)),
    *((0, "data", size) for size in (12, 22, 24)),
]


@pytest.mark.parametrize(("version", "name", "size"), WRONG)
def test_wrong_lengths(version, name, size):
    """Each packet of the handshake has its own Length; any other shows by itself."""
    talk, _ = hello(version, **{name: raw(name, version, size)})
    number, host = LENGTHS[version, name], int(name == "synack")
    for claims in ({"at": 0}, {"whole": False}):
        found = options_of(talk, **claims)
        assert found.failed() == {(number, ("initiator", "listener")[host])}
        verdict = found.of(number, host)
        assert (verdict.frames, verdict.subflow) == ((frame_of(name),), 0)
        assert f"its Length is {size}" in verdict.why


def test_lengths_are_named():
    """The argument says which Lengths there are."""
    talk, _ = hello(data=raw("data", 1, 26))
    assert "its Length is 26, not 22 or 24" in options_of(talk).of("8684-3.1-09", 0).why


def test_third_packet_with_data():
    """Length 20 on data is wrong where it is sent; elsewhere offload may have merged packets."""
    talk, _ = hello(data=raw("data", 1, 20))
    assert options_of(talk, at=0).failed() == {("8684-3.1-09", "initiator")}
    for claims in ({"at": 1}, {}):
        found = options_of(talk, **claims)
        assert not found.failed()
        assert found.outcome("8684-3.1-09", 0) == "inconclusive"
        assert "offload" in found.of("8684-3.1-09", 0).why


def test_third_packet_with_data_in_version_0():
    """Version 0 has no other form for data."""
    talk, _ = hello(0, data=form("ack", 0))
    assert options_of(talk, at=0).of("6824-3.1-03", 0).seen == 2


@pytest.mark.parametrize("asks", [("syn",), ("synack",), ("syn", "synack")])
def test_data_without_the_checksum_agreed_on(asks):
    """Length 22 is wrong if SYN or SYN/ACK had A = 1 and the option has, too."""
    given = {name: form(name, 1, A | H) for name in asks}
    plain = replace(form("data", 1, A | H), checksum=None)
    talk, _ = hello(**given, ack=form("ack", 1, A | H), data=plain)
    found = options_of(talk, whole=False)
    assert found.failed() == {("8684-3.1-09", "initiator")}
    assert "checksums are in use" in found.of("8684-3.1-09", 0).why
    assert found.of("8684-3.1-09", 0).frames == (4,)


def test_data_with_a_checksum_nobody_wanted():
    """Length 24 is wrong if neither SYN nor SYN/ACK had A = 1."""
    talk, _ = hello(data=replace(form("data"), checksum=1))
    verdict = options_of(talk, whole=False).of("8684-3.1-09", 0)
    assert str(verdict.outcome) == "fail"
    assert "checksums are not in use" in verdict.why


def test_data_after_flag_a_was_lost():
    """The initiator that lowers flag A breaks that rule alone if it sends checksums."""
    asking = {name: form(name, 1, A | H) for name in ("syn", "synack")}
    data = replace(form("data", 1, A | H), flags=H)
    talk, _ = hello(**asking, data=data)
    assert options_of(talk, at=0).failed() == {(CONFIRMED[1], "initiator")}
    # Without checksum as well, it breaks both; elsewhere a middlebox may be to blame.
    talk, _ = hello(**asking, data=form("data"))
    assert options_of(talk, at=0).failed() == {
        (CONFIRMED[1], "initiator"),
        ("8684-3.1-09", "initiator"),
    }
    for claims in ({"at": 1}, {}):
        found = options_of(talk, **claims)
        assert not found.failed()
        assert found.outcomes(CONFIRMED[1], "8684-3.1-09", host=0) == ["inconclusive"] * 2
        assert "middlebox" in found.of("8684-3.1-09", 0).why


def test_data_without_its_handshake():
    """Where SYN or SYN/ACK is missing, flag A of the data is compared with its own Length."""
    for missing in ("syn", "synack"):
        talk, _ = hello(**{missing: None}, ack=None, data=form("data"))
        assert options_of(talk, at=0).outcome("8684-3.1-09", 0) == "pass"
        talk, _ = hello(**{missing: None}, ack=None, data=replace(form("data"), checksum=1))
        found = options_of(talk, at=0)
        assert found.outcome("8684-3.1-09", 0) == "inconclusive"
        assert "may have been another one" in found.of("8684-3.1-09", 0).why


# --------------------------------------------------------------------------- flags


def _all(version: int, flags: int, host: int) -> Conversation:
    names = ("synack",) if host else ("syn", "ack", "data")[: 2 + version]
    return hello(version, **{name: form(name, version, flags) for name in names})[0]


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_flag_b(version, host):
    """Flag B is wrong in every packet; what the other flags then mean nobody knows."""
    talk = _all(version, B | 0x10, host)
    found = options_of(talk, whole=False)
    assert found.failed() == {(FLAG_B[version], ("initiator", "listener")[host])}
    assert found.of(FLAG_B[version], host).frames == ((2,) if host else (1,))
    assert "flag B is 1" in found.of(FLAG_B[version], host).why
    assert found.outcomes(ONLY_H[version], CRYPTO[version], host=host) == ["not_exercised"] * 2


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("extra", [0x02, 0x04, 0x08, 0x10, 0x20])
def test_unknown_algorithm(version, host, extra):
    """D to G, and in version 0 C, are flags of algorithms that do not exist."""
    found = options_of(_all(version, extra | H, host), whole=False)
    name = ("initiator", "listener")[host]
    if version and extra == C:
        assert not found.failed()
        return
    assert found.failed() == {(ONLY_H[version], name)} | (
        {(CHOSEN[version], name)} if host else set()
    )
    assert f"{extra | H:#04x}, not H alone" in found.of(ONLY_H[version], host).why
    assert found.outcome(CRYPTO[version], host) == "pass"


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize(("version", "flags"), [(0, 0), (1, 0), (1, C), (0, A), (1, A | C)])
def test_no_algorithm(version, flags, host):
    """Some algorithm has to be named, which is H."""
    found = options_of(_all(version, flags, host), whole=False)
    name = ("initiator", "listener")[host]
    failed = {(ONLY_H[version], name), (CRYPTO[version], name)}
    assert found.failed() - {(CHOSEN[version], "listener")} == failed
    assert "names no algorithm" in found.of(CRYPTO[version], host).why


@pytest.mark.parametrize("version", [0, 1])
def test_chosen_algorithms(version):
    """A SYN/ACK chooses exactly one algorithm."""
    for flags, count in ((0, 0), (0x03, 2), (0x1F, 5)):
        talk, _ = hello(version, synack=form("synack", version, flags))
        found = options_of(talk, whole=False)
        assert (CHOSEN[version], "listener") in found.failed()
        assert f"it chooses {count} algorithms" in found.of(CHOSEN[version], 1).why
        assert found.of(CHOSEN[version], 1).frames == (2,)


@pytest.mark.parametrize("version", [0, 1])
def test_chosen_algorithm_was_offered(version):
    """A SYN/ACK chooses an algorithm of the SYN that the listener got."""
    talk, _ = hello(version, synack=form("synack", version, 0x02))
    found = options_of(talk, at=1)
    assert found.failed() == {(CHOSEN[version], "listener"), (ONLY_H[version], "listener")}
    assert found.of(CHOSEN[version], 1).frames == (1, 2)
    for claims in ({"at": 1, "whole": False}, {"at": 0}, {}):
        assert options_of(talk, **claims).outcome(CHOSEN[version], 1) == "inconclusive"
    talk, _ = hello(version, syn=None)
    found = options_of(talk, at=1)
    assert found.outcome(CHOSEN[version], 1) == "inconclusive"
    assert found.of(CHOSEN[version], 1).unseen == 1


def test_chosen_algorithms_of_an_odd_synack():
    """What a SYN/ACK of an impossible Length chooses does not count."""
    octets = raw("synack", 1, 8)
    talk, _ = hello(synack=octets[:3] + b"\x03" + octets[4:])
    assert options_of(talk, at=1).outcome(CHOSEN[1], 1) == "not_exercised"


def test_algorithms_of_different_versions_are_not_compared():
    """What a version 1 SYN offers has nothing to do with what a version 0 SYN/ACK chooses."""
    talk, _ = hello(0, syn=form("syn", 1), synack=form("synack", 0, 0x20))
    found = options_of(talk, at=1)
    assert found.outcome(CHOSEN[0], 1) == "inconclusive"
    assert found.failed() == {(ONLY_H[0], "listener")}


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("syn", "synack", "ack"), [(A, 0, 0), (0, A, 0), (A, A, 0), (0, 0, A)])
def test_flag_a_is_confirmed(version, syn, synack, ack):
    """Flag A of the third packet is that of SYN or SYN/ACK."""
    flags = {"syn": syn | H, "synack": synack | H, "ack": ack | H}
    given = {name: form(name, version, each) for name, each in flags.items()}
    data = {"data": form("data", 1, syn | synack | H)} if version else {}
    talk, _ = hello(version, **given, **data)
    found = options_of(talk, at=0, whole=False)
    assert found.failed() == {(CONFIRMED[version], "initiator")}
    verdict = found.of(CONFIRMED[version], 0)
    assert verdict.frames == (3,)
    assert f"its flag A is {int(bool(ack))}" in verdict.why
    assert ("neither" in verdict.why) is bool(ack)
    for claims in ({"at": 1}, {}):
        assert options_of(talk, **claims).outcome(CONFIRMED[version], 0) == "inconclusive"


@pytest.mark.parametrize(("missing", "shows"), [("syn", "synack"), ("synack", "syn")])
def test_flag_a_with_a_packet_missing(missing, shows):
    """One packet with A = 1 suffices to know what was agreed on; one without does not."""
    talk, _ = hello(**{missing: None})
    found = options_of(talk, at=0)
    assert found.outcome(CONFIRMED[1], 0) == "inconclusive"
    assert found.of(CONFIRMED[1], 0).unseen == 2
    talk, _ = hello(**{missing: None, shows: form(shows, 1, A | H)})
    assert (CONFIRMED[1], "initiator") in options_of(talk, at=0).failed()
