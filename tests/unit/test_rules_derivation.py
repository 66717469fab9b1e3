"""What rules say of tokens and initial data sequence numbers."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.rules.derivation import A_NANOSECOND, AT_ONCE, RULES
from tests.common.conversation import KEYS, Conversation, Mapping
from tests.common.joinery import Said, damaged, said
from tests.common.tape import Tape

TOKEN = {1: "8684-3.1-31", 0: "6824-3.1-11"}
ORDER = {1: "8684-3.1-33", 0: "6824-3.1-32"}
RIGHTMOST = {1: "8684-3.1-34", 0: "6824-3.1-33"}
IDSN = {1: ("8684-3.1-32", "8684-3.3.1-23"), 0: ("6824-3.1-23", "6824-3.1-12")}
NEW = ("10.7.0.1", "10.7.0.2")
NAMES = ("initiator", "listener")
WIDE = (1 << 64) - 1


def turned(key: int) -> int:
    """A key in the other byte order."""
    return int.from_bytes(key.to_bytes(8, "big"), "little")


def digest(key: int, version: int, begin: int, end: int | None = None) -> int:
    """Some octets of a key's digest as a number."""
    return int.from_bytes(crypto.key_digest(key, version)[begin:end], "big")


# -------------------------------------------------------------------------- tokens


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_right_token(version, opener):
    """The receiver's token is right, and so is the byte order of its key; each SYN counts."""
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.flow(opener=opener)
    flow.join_syn()
    flow.join()
    found = said(talk, RULES)
    assert found.outcome(TOKEN[version], opener) == "pass"
    assert found.outcome(ORDER[version], opener) == "pass"
    assert found.of(TOKEN[version], opener).seen == 2
    assert found.outcome(TOKEN[version], 1 - opener) == "not_exercised"
    assert found.failed() == set()


SLIPS = {
    "the hash of version": lambda own, peer, version: crypto.token(peer, 1 - version),
    "the right end": lambda own, peer, version: digest(peer, version, -4),
    "the wrong order": lambda own, peer, version: int.from_bytes(
        crypto.key_digest(peer, version)[:4], "little"
    ),
    "little-endian": lambda own, peer, version: crypto.token(turned(peer), version),
    "the joiner's own": lambda own, peer, version: crypto.token(own, version),
}


@pytest.mark.parametrize("cause", SLIPS)
@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_wrong_token_that_a_mistake_gives(version, opener, cause):
    """A token that a usual mistake makes is proof anywhere; only one is of the byte order."""
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.flow(opener=opener, addresses=("10.0.0.1", "10.0.0.2"), ports=(50_000, 81))
    keys = KEYS[opener], KEYS[1 - opener]
    frame = flow.join_syn(token=SLIPS[cause](*keys, version))
    flow.rst(1 - opener)
    found = said(talk, RULES, whole=False)
    wrong = {TOKEN[version]} | ({ORDER[version]} if cause == "little-endian" else set())
    assert found.failed() == {(each, NAMES[opener]) for each in wrong}
    for each in wrong:
        verdict = found.of(each, opener)
        assert (verdict.frames, verdict.subflow) == ((frame,), 1)
        assert cause in verdict.why
        assert f"{talk.token[1 - opener]:08x}" in verdict.why
    if cause != "little-endian":
        assert found.outcome(ORDER[version], opener) == "not_exercised"


def test_wrong_token_with_right_hmacs():
    """Any other token is wrong if the HMACs are of the keys of the connection."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.1.2"))
    frame = flow.join_syn(token=0x12345678)
    flow.join_synack()
    flow.join_ack()
    found = said(talk, RULES, whole=False)
    assert found.failed() == {(TOKEN[1], "initiator")}
    assert found.of(TOKEN[1], 0).frames == (frame,)
    assert ";" not in found.of(TOKEN[1], 0).why


def test_wrong_token_of_a_join_of_another_connection():
    """A token that a mistake gives proves nothing if the HMACs are of other keys."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(50_000, 81))
    frame = flow.join_syn(token=digest(KEYS[1], 1, -4))
    flow.join_synack(hmac=b"otherkey")
    found = said(talk, RULES)
    assert found.outcome(TOKEN[1], 0) == "inconclusive"
    assert found.of(TOKEN[1], 0).frames == (frame,)
    assert "HMACs" in found.of(TOKEN[1], 0).why


def swapped(version: int = 1, **settings) -> Conversation:
    """The listener joins between new addresses; the HMAC of the answer has its keys swapped."""
    talk = Conversation(version=version)
    talk.opened()
    flow = talk.flow(opener=1, addresses=NEW, ports=(50_000, 81), **settings)
    flow.join_syn()
    wrong = crypto.join_digest(
        version=version,
        sender_key=KEYS[1],
        receiver_key=KEYS[0],
        sender_nonce=flow.nonces[0],
        receiver_nonce=flow.nonces[1],
    )
    flow.join_synack(hmac=wrong[:8])
    flow.rst(1)
    return talk


@pytest.mark.parametrize(("at", "outcomes"), [(None, "inconclusive"), (0, ""), (1, "")])
def test_who_joined_is_not_certain(at, outcomes):
    """Keys in the wrong order look like the joiner's own token, unless the tap tells them apart."""
    found = said(swapped(), RULES, at=at)
    if at is None:
        assert found.outcome(TOKEN[1], 0) == outcomes
        assert "who sent it is not certain" in found.of(TOKEN[1], 0).why
    else:
        assert found.outcomes(TOKEN[1], ORDER[1], host=1) == ["pass", "pass"]
        assert found.outcome(TOKEN[1], 0) == "not_exercised"


@pytest.mark.parametrize("at", [None, 0])
def test_own_token_between_new_addresses(at):
    """The joiner's own token is proven by the tap, or by a third packet that is right."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow(addresses=NEW, ports=(50_000, 81))
    frame = flow.join_syn(token=talk.token[0])
    flow.join_synack()
    if at is None:
        flow.join_ack()
    found = said(talk, RULES, at=at)
    assert found.failed() == {(TOKEN[1], "initiator")}
    assert found.of(TOKEN[1], 0).frames == (frame,)


@pytest.mark.parametrize("opener", [0, 1])
@pytest.mark.parametrize("known", [0, 1])
def test_own_token_from_or_to_a_known_address(opener, known):
    """One address of the initial subflow at its right end tells who sent the joiner's own token."""
    talk = Conversation()
    talk.opened()
    ends = list(NEW)
    ends[known] = ("10.0.0.1", "10.0.0.2")[known]
    flow = talk.flow(opener=opener, addresses=(ends[0], ends[1]), ports=(50_000, 81))
    frame = flow.join_syn(token=talk.token[opener])
    found = said(talk, RULES, whole=False)
    assert found.failed() == {(TOKEN[1], NAMES[opener])}
    assert found.of(TOKEN[1], opener).frames == (frame,)


@pytest.mark.parametrize(
    ("missing", "lacking"),
    [("synack", "not known from that host itself"), ("", "another key")],
)
def test_token_where_the_key_is_not_certain(missing, lacking):
    """A key that only the peer echoes, or of which there are two, proves nothing."""
    talk = Conversation()
    first = talk.flow()
    first.syn()
    if not missing:
        first.synack(first.capable("synack", key=7))
        first.synack()
    else:
        first.next = [1, 1]
    first.third()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(50_000, 81))
    flow.join_syn(token=digest(KEYS[1], 1, -4))
    found = said(talk, RULES)
    assert found.outcome(TOKEN[1], 0) == "inconclusive"
    assert lacking in found.of(TOKEN[1], 0).why


@pytest.mark.parametrize(("copies", "outcome"), [(1, "inconclusive"), (2, "fail")])
def test_token_where_the_key_is_damaged(copies, outcome):
    """A key in a damaged segment alone proves nothing; a whole copy of it does."""
    talk = Conversation()
    first = talk.flow()
    first.syn()
    for _ in range(copies):
        frame = first.synack()
    damaged(talk, frame)
    first.third()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(50_000, 81))
    flow.join_syn(token=digest(KEYS[1], 1, -4))
    assert said(talk, RULES).outcome(TOKEN[1], 0) == outcome


def test_token_of_a_host_without_key():
    """If the key of the host that is asked is missing, its token cannot be looked at."""
    talk = Conversation()
    first = talk.opened(addresses=("10.0.0.1", "10.0.0.2"))
    talk.tape.frames.pop()
    first.next = [1, 1]
    flow = talk.flow(opener=1, addresses=("10.0.0.1", "10.0.0.2"), ports=(40_000, 81))
    flow.join_syn(token=talk.token[1])
    found = said(talk, RULES)
    assert found.outcomes(TOKEN[1], ORDER[1], host=1) == ["inconclusive", "inconclusive"]
    assert found.of(TOKEN[1], 1).unseen == 1
    assert "key is not captured" in found.of(TOKEN[1], 1).why


def test_damaged_syn_accuses_nobody():
    """A wrong token in a segment with a wrong TCP checksum is a doubt."""
    talk = Conversation()
    talk.opened()
    flow = talk.flow(addresses=("10.0.0.1", "10.0.0.2"), ports=(50_000, 81))
    frame = flow.join_syn(token=digest(KEYS[1], 1, -4))
    damaged(talk, frame)
    found = said(talk, RULES)
    assert found.outcome(TOKEN[1], 0) == "inconclusive"
    assert "checksum" in found.of(TOKEN[1], 0).why


# --------------------------------------------------------------------------- IDSNs


def told(found: Said, version: int, host: int) -> list[str]:
    """Outcomes of the IDSN's requirements: derivation twice, byte order, rightmost octets."""
    numbers = *IDSN[version], ORDER[version], RIGHTMOST[version]
    return found.outcomes(*numbers, host=host)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("version", [0, 1])
def test_right_idsn(version, wide):
    """The first octet of each host has its IDSN + 1, in 4 octets as in 8."""
    talk = Conversation(version=version, wide=(wide, wide))
    flow = talk.opened()
    flow.data(0, b"one")
    flow.data(1, b"two")
    found = said(talk, RULES, whole=False)
    for host in (0, 1):
        assert told(found, version, host) == ["pass"] * 4
        assert found.of(IDSN[version][0], host).seen == 1


def test_no_data_says_nothing_of_the_idsn():
    """Without mappings nothing is said of any IDSN."""
    talk = Conversation()
    talk.opened()
    assert not said(talk, RULES)


def test_data_fin_alone():
    """A DATA_FIN without data has a DSN that counts from the IDSN."""
    talk = Conversation()
    flow = talk.opened()
    flow.data_fin(0)
    assert told(said(talk, RULES), 1, 0) == ["pass"] * 4


MISTAKES = {
    "version": (lambda own, peer, version: crypto.idsn(own, 1 - version), "32 23"),
    "the peer's": (lambda own, peer, version: crypto.idsn(peer, version), "32 23"),
    "little-endian": (lambda own, peer, version: crypto.idsn(turned(own), version), "32 23 33"),
    "octets 0 to 7": (lambda own, peer, version: digest(own, version, 0, 8), "32 23 34"),
    "octets 5 to 12": (lambda own, peer, version: digest(own, version, 5, 13), "32 23 34"),
    "octets 11 to 18": (lambda own, peer, version: digest(own, version, 11, 19), "32 23 34"),
    "first octet of data instead": (
        lambda own, peer, version: crypto.idsn(own, version) - 1 & WIDE,
        "32 23",
    ),
}


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("cause", MISTAKES)
@pytest.mark.parametrize("version", [0, 1])
def test_idsn_that_a_mistake_gives(version, cause, host, wide):
    """An IDSN that a usual mistake makes is proof anywhere, and says which mistake it was."""
    derive, numbers = MISTAKES[cause]
    base = derive(KEYS[host], KEYS[1 - host], version)
    talk = Conversation(
        version=version,
        idsn=(base, None) if host == 0 else (None, base),
        wide=(wide, wide),
    )
    flow = talk.opened()
    frame = flow.data(host, b"some octets")
    flow.data(host, b"and more")
    found = said(talk, RULES, whole=False)
    expected = {*IDSN[version]}
    expected |= {ORDER[version]} if "33" in numbers else set()
    expected |= {RIGHTMOST[version]} if "34" in numbers else set()
    assert found.failed() == {(each, NAMES[host]) for each in expected}
    for each in expected:
        verdict = found.of(each, host)
        assert (verdict.frames, verdict.subflow) == ((frame,), 0)
        assert cause in verdict.why
        assert f"IDSN {crypto.idsn(KEYS[host], version)}," in verdict.why
        assert f"{8 if wide else 4} octets" in verdict.why


def test_idsn_of_ones_own():
    """A number far from any that a key gives is proof in 8 octets, and none in 4."""
    for wide, outcome in ((True, "fail"), (False, "inconclusive")):
        talk = Conversation(idsn=(0x1111_2222_3333_4444, None), wide=(wide, wide))
        flow = talk.opened()
        frame = flow.data(0, b"data")
        found = said(talk, RULES, whole=False)
        assert told(found, 1, 0) == [outcome] * 2 + ["not_exercised"] * 2
        assert found.of(IDSN[1][0], 0).frames == (frame,)


@pytest.mark.parametrize(
    ("octets", "at", "whole", "outcome"),
    [
        (1, 0, True, "fail"),
        (1, 1, True, "fail"),
        (1, 0, False, "inconclusive"),
        (1, None, True, "inconclusive"),
        (2, None, False, "fail"),
    ],
)
def test_one_octet_on_the_idsn_may_be_a_probe(octets, at, whole, outcome):
    """A single octet below the first may probe a window, unless its closing would be captured."""
    talk = Conversation(idsn=(crypto.idsn(KEYS[0], 1) - 1 & WIDE, None))
    flow = talk.opened()
    flow.data(0, b"x" * octets)
    found = said(talk, RULES, at=at, whole=whole)
    assert found.outcomes(*IDSN[1], host=0) == [outcome] * 2


def test_a_probe_is_no_data():
    """A probe of a closed window is not looked at."""
    talk = Conversation()
    flow = talk.opened()
    flow.ack(1, window=0, dack=1)
    flow.data(0, b"x", dsn=0)
    found = said(talk, RULES)
    assert found.outcome(IDSN[1][0], 0) == "not_exercised"


def test_first_data_under_mp_capable():
    """What follows the data of an MP_CAPABLE has the DSN that it must have after that."""
    for wide in (True, False):
        talk = Conversation(wide=(wide, wide))
        flow = talk.opened()
        flow.first_data(b"x" * 30)
        flow.data(0, b"more")
        assert told(said(talk, RULES), 1, 0) == ["pass"] * 4


def test_narrow_numbers_without_the_first():
    """Numbers of 4 octets say nothing if what went before them was not captured."""
    for wide, outcome in ((True, "pass"), (False, "inconclusive")):
        talk = Conversation(wide=(wide, wide))
        flow = talk.opened()
        flow.data(0, b"x", seq=50, dsn=20)
        found = said(talk, RULES)
        assert told(found, 1, 0) == [outcome] * 4
        assert found.of(IDSN[1][0], 0).unseen == (0 if wide else 1)


def test_late_first_octet():
    """The first octet of a subflow with a later DSN may follow data that was not captured."""
    talk = Conversation()
    flow = talk.opened()
    frame = flow.data(0, b"data", dsn=6)
    found = said(talk, RULES, at=0)
    assert found.outcomes(*IDSN[1], host=0) == ["inconclusive"] * 2
    assert found.of(IDSN[1][0], 0).frames == (frame,)
    assert "another subflow" in found.of(IDSN[1][0], 0).why


@pytest.mark.parametrize(("lost", "outcome"), [(False, "pass"), (True, "inconclusive")])
def test_first_data_on_another_subflow(lost, outcome):
    """If another subflow had the first octets, the initial one may begin with later ones."""
    talk = Conversation()
    first = talk.opened()
    flow = talk.joined()
    if lost:
        with talk.lost():
            flow.data(0, b"12345")
    else:
        flow.data(0, b"12345")
    flow.data(0, b"67")
    first.data(0, b"89")
    assert told(said(talk, RULES, at=0), 1, 0)[:2] == [outcome] * 2


@pytest.mark.parametrize(("counted", "outcome"), [(20, "fail"), (19, "inconclusive")])
def test_syn_data_counted(counted, outcome):
    """DSNs that begin after as many octets as the SYN had count these, too."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(20))
    flow.synack(ack=21)
    flow.third()
    frame = flow.data(0, b"data", dsn=1 + counted)
    found = said(talk, RULES)
    assert found.outcomes(*IDSN[1], host=0) == [outcome] * 2
    assert found.of(IDSN[1][0], 0).frames == (frame,)
    assert ("the SYN carried" in found.of(IDSN[1][0], 0).why) == (outcome == "fail")


@pytest.mark.parametrize(("sequence", "outcome"), [(41, "pass"), (21, "fail")])
def test_numbers_that_leave_data_of_the_syn_out(sequence, outcome):
    """A mapping that is right if numbers do not count data of the SYN is right, unless its segment
    begins before that place.
    """
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(20))
    flow.synack(ack=21)
    flow.third()
    flow.data(0, bytes(10), seq=sequence, mapping=Mapping(dsn=21, ssn=21, dll=60))
    assert said(talk, RULES).outcomes(*IDSN[1], host=0) == [outcome] * 2


def test_one_far_number_among_others():
    """A single DSN that is far away does not make the IDSN wrong."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, b"data", dsn=1 << 62)
    flow.data(0, b"data", dsn=5)
    found = said(talk, RULES, at=0)
    assert told(found, 1, 0)[:2] == ["inconclusive"] * 2
    assert "do count from it" in found.of(IDSN[1][0], 0).why


@pytest.mark.parametrize(("more", "outcome"), [(0, "pass"), (1, "fail")])
def test_how_far_a_connection_gets(more, outcome):
    """A DSN is too far beyond a terabyte, and a terabyte for each second since the SYN."""
    talk = Conversation()
    flow = talk.opened()
    talk.tape.wait(2)
    took = talk.tape.now - talk.tape.frames[0][0]
    flow.data(0, b"x", seq=50, dsn=1 + AT_ONCE + A_NANOSECOND * took + more)
    found = said(talk, RULES)
    assert found.outcomes(*IDSN[1], host=0) == [outcome] * 2


def test_keys_that_are_not_captured():
    """Without the third packet of version 1 nothing is known of what the initiator counts from."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.data(0, b"data")
    flow.data(1, b"data")
    found = said(talk, RULES)
    assert told(found, 1, 0) == ["inconclusive"] * 4
    assert found.of(IDSN[1][0], 0).unseen == 1
    assert told(found, 1, 1) == ["pass"] * 4


def test_idsn_where_the_key_is_not_certain():
    """A listener's key that only the initiator echoed accuses nobody."""
    talk = Conversation(idsn=(None, digest(KEYS[1], 1, 0, 8)))
    flow = talk.flow()
    flow.handshake(missing="synack")
    flow.data(1, b"data")
    found = said(talk, RULES)
    assert found.outcomes(*IDSN[1], host=1) == ["inconclusive"] * 2
    assert "not known from that host itself" in found.of(IDSN[1][0], 1).why


def test_each_connection_for_itself():
    """Of two connections on one tape the one is wrong, the other right."""
    tape = Tape()
    right = Conversation(tape)
    wrong = Conversation(tape, keys=(7, 8), idsn=(0x1111_2222_3333_4444, None))
    for talk, port in ((right, 40_000), (wrong, 50_000)):
        flow = talk.opened(ports=(port, 80))
        flow.data(0, b"x")
        flow.data(1, b"y")
    assert said(right, RULES).failed() == set()
    found = said(wrong, RULES, connection=1)
    assert found.failed() == {(each, "initiator") for each in IDSN[1]}
    assert found.outcome(IDSN[1][0], 1) == "pass"
