"""What rules say of DSS checksums."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.rules import summing
from tests.common.conversation import KEYS, Conversation, Flow, Mapping
from tests.common.joinery import HOSTS, Said, cut, damaged, said
from tests.common.tape import ACK, PSH

EVERY = {1: "8684-3.3.1-05", 0: "6824-3.3.1-13"}
WHOLE = {1: "8684-3.3.1-06", 0: "6824-3.3.1-14"}
LONE = {1: "8684-3.3.3-04", 0: "6824-3.3.3-13"}
DATA = bytes(range(1, 42))
LOW_32 = 0xFFFFFFFF


def says(talk: Conversation, **claims) -> Said:
    """What the rules of checksums say."""
    return said(talk, summing.RULES, **claims)


def begun(version: int = 1, **settings) -> tuple[Conversation, Flow]:
    """A conversation with checksums and data of both hosts, and its initial subflow; 5 frames."""
    talk = Conversation(version=version, checksum=True, **settings)
    flow = talk.opened()
    flow.data(1, DATA)
    flow.data(0, DATA)
    return talk, flow


def wrongly(talk: Conversation, host: int, *, dsn: int = 42, by: int = 1, fin: bool = False):
    """The mapping of data with a checksum that is wrong by something."""
    octets = b"" if fin else DATA
    right = talk.mapping(host, octets, dsn=dsn, ssn=0 if fin else dsn, fin=fin)
    return Mapping(dsn=dsn, ssn=right.ssn, dll=right.dll, fin=fin, checksum=right.checksum ^ by)


def over_half(talk: Conversation, host: int, octets: bytes, *, dsn: int, ssn: int, fin: bool):
    """The mapping of data whose checksum covers the lower half of its DSN only."""
    low = talk.absolute(host, dsn) & LOW_32
    total = crypto.dss_checksum(low, ssn, len(octets) + fin, octets)
    return Mapping(dsn=dsn, ssn=ssn, dll=len(octets) + fin, fin=fin, checksum=total)


# --------------------------------------------------------------------------- right


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("version", [0, 1])
def test_right_checksums(version, wide):
    """Right checksums are counted at every tap, with DSNs of 8 and of 4 octets."""
    talk, flow = begun(version, wide=(wide, wide))
    flow.data(0, DATA, fin=True)
    talk.fins[0] = 1
    flow.data_fin(0, dsn=83)
    found = says(talk, whole=False)
    numbers = EVERY[version], WHOLE[version], LONE[version]
    assert found.outcomes(*numbers, host=0) == ["pass"] * 3
    assert [found.of(number, 0).seen for number in numbers] == [3, 3, 1]
    assert found.outcomes(*numbers, host=1) == ["pass", "pass", "not_exercised"]


def test_first_data_of_version_1():
    """The checksum of an MP_CAPABLE's mapping covers the IDSN + 1 and the number 1."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.first_data(DATA)
    found = says(talk)
    assert found.outcomes(EVERY[1], WHOLE[1], host=0) == ["pass", "pass"]


def test_nothing_without_checksums():
    """Without checksums there is nothing to say."""
    talk = Conversation()
    flow = talk.opened()
    flow.data(0, DATA)
    flow.data(0, DATA, mapping=Mapping(dsn=42, ssn=42, dll=41, checksum=1))
    assert says(talk, at=0) == {}


def test_one_connection_with_checksums():
    """One connection's checksums are no matter of another one without."""
    talk, flow = begun()
    flow.data(0, DATA)
    other = Conversation(talk.tape, keys=(7, 8))
    there = other.opened(ports=(50_000, 80))
    there.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=41, checksum=1))
    assert says(talk, at=0).outcome(EVERY[1], 0) == "pass"
    assert says(talk, at=0, connection=1) == {}


@pytest.mark.parametrize(
    ("high", "outcome"),
    [(0xFFFF_0000, "not_exercised"), (0, "not_exercised"), (0x8000_8000, "pass"), (1, "pass")],
)
def test_upper_half_that_is_all_the_same(high, outcome):
    """An upper half that adds nothing to the sum shows nothing of whether it is covered."""
    talk = Conversation(checksum=True, idsn=(high << 32 | 0x8000_0077, None))
    flow = talk.opened()
    flow.data(0, DATA)
    found = says(talk)
    assert found.outcomes(EVERY[1], WHOLE[1], host=0) == ["pass", outcome]


def test_mappings_without_checksum():
    """A mapping that has no checksum, and an infinite one, are not looked at."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=41))
    flow.data(1, DATA, mapping=Mapping(dsn=1, ssn=1, dll=0, checksum=0))
    assert says(talk, at=0) == {}


# --------------------------------------------------------------------------- wrong


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_wrong_checksum(version, host, whole):
    """A wrong checksum is the sender's fault where the capture was made at its host."""
    talk, flow = begun(version)
    frame = flow.data(host, DATA, mapping=wrongly(talk, host))
    right = talk.mapping(host, DATA, dsn=42, ssn=42).checksum
    found = says(talk, at=host, whole=whole)
    assert found.failed() == {(EVERY[version], HOSTS[host])}
    verdict = found.of(EVERY[version], host)
    assert verdict.frames == (frame,)
    assert verdict.subflow == 0
    assert verdict.seen == 1
    assert verdict.why == (
        f"DSN {talk.absolute(host, 42)}, SSN 42, length 41 and 41 octets of payload have checksum "
        f"{right:#06x}, and the option has {right ^ 1:#06x}"
    )


@pytest.mark.parametrize("at", [None, 1])
def test_wrong_checksum_elsewhere(at):
    """Elsewhere the payload may have been changed on its way: the checksum is there to tell."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=wrongly(talk, 0))
    found = says(talk, at=at)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "changed on its way" in found.of(EVERY[1], 0).why


def test_wrong_checksum_of_a_damaged_segment():
    """Octets of a segment whose TCP checksum is wrong are not those that were sent."""
    talk, flow = begun()
    mapping = wrongly(talk, 0)
    flow.data(0, DATA[:20], mapping=mapping)
    damaged(talk, flow.data(0, DATA[20:], mapping=mapping))
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "TCP checksum of frame 7" in found.of(EVERY[1], 0).why


@pytest.mark.parametrize(("seq", "size"), [(1, 41), (83, 20)])
def test_damage_elsewhere(seq, size):
    """A damaged segment with other octets is no reason to doubt."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=wrongly(talk, 0))
    damaged(talk, flow.data(0, DATA[:size], seq=seq, mapping=None))
    assert says(talk, at=0).outcome(EVERY[1], 0) == "fail"


def test_wrong_checksum_over_several_segments():
    """The payload of a mapping is that of all its segments, in any order."""
    talk, flow = begun()
    mapping = wrongly(talk, 0)
    frame = flow.data(0, DATA[20:], mapping=mapping, seq=62)
    flow.data(0, DATA[:20], mapping=mapping, seq=42)
    flow.data(0, bytes(5), mapping=mapping, seq=60)
    found = says(talk, at=0)
    assert found.of(EVERY[1], 0).frames == (frame,)
    right = talk.mapping(0, DATA, dsn=42, ssn=42).checksum
    assert f"have checksum {right:#06x}" in found.of(EVERY[1], 0).why


def test_payload_that_is_not_all_there():
    """A checksum over payload of which some is missing was not checked."""
    talk, flow = begun()
    mapping = wrongly(talk, 0)
    flow.data(0, DATA[:20], mapping=mapping)
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == "pass"
    assert found.of(EVERY[1], 0).unseen == 1
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, DATA)
    found = says(talk, at=0, octets=cut(talk, 4, 1))
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert found.of(EVERY[1], 0).why == "not all payload of the mapping is captured"


def test_probe_may_have_been_taken_for_data():
    """One octet may be a probe's, if the capture may lack the frame that it repeats."""
    for whole, outcome in ((True, "fail"), (False, "inconclusive")):
        talk, flow = begun()
        mapping = talk.mapping(0, DATA[:2], dsn=42, ssn=42)
        flow.data(0, b"\0", mapping=mapping)
        flow.data(0, DATA[1:2], mapping=mapping)
        found = says(talk, at=0, whole=whole)
        assert found.outcome(EVERY[1], 0) == outcome
        assert ("probe" in found.of(EVERY[1], 0).why) != whole


def test_place_that_mappings_tell():
    """Where the SYN is missing, mappings only suggest what they are of."""
    talk = Conversation(checksum=True)
    flow = talk.flow()
    flow.handshake(missing="syn synack third")
    flow.next = [1, 1]
    flow.data(0, DATA)
    flow.data(0, DATA)
    flow.data(0, DATA, mapping=wrongly(talk, 0, dsn=83))
    flow.ack(1)
    flow.segment(0, ACK, flow.capable("ack"))
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "which octets" in found.of(EVERY[1], 0).why


def test_place_of_another_connection():
    """A mapping far from its segment may be of another connection with the same ports."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=None)
    flow.data(0, DATA, seq=1 << 22, mapping=wrongly(talk, 0))
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "which octets" in found.of(EVERY[1], 0).why


def test_most_wrong_checksums():
    """Of many wrong checksums the first ones are looked at."""
    talk, flow = begun()
    first = flow.data(0, DATA, mapping=wrongly(talk, 0))
    for at in range(1, 2 * summing.MOST):
        flow.data(0, DATA, mapping=wrongly(talk, 0, dsn=42 + 41 * at))
    found = says(talk, at=0)
    assert found.of(EVERY[1], 0).frames == (first,)


# --------------------------------------------------------------------------- rewritten payload


def rewritten(*, filled: bool, kept: bool) -> Conversation:
    """Nothing but wrong checksums over payload of the initiator, in frames 4 and 5.

    ``filled``: their TCP checksums are right. ``kept``: the listener has a right one.
    """
    talk = Conversation(checksum=True)
    flow = talk.opened()
    for at in (1, 42):
        frame = flow.data(0, DATA, mapping=wrongly(talk, 0, dsn=at))
        if not filled:
            time, octets = talk.tape.frames[frame - 1]
            talk.tape.frames[frame - 1] = (time, octets[:50] + bytes(2) + octets[52:])
    if kept:
        flow.data(1, DATA)
    return talk


@pytest.mark.parametrize(
    ("filled", "kept", "outcome"),
    [(True, True, "fail"), (True, False, "fail"), (False, True, "fail"),
     (False, False, "inconclusive")],
)  # fmt: skip
def test_payload_rewritten_after_the_capture(filled, kept, outcome):
    """Where no checksum is right, TCP's must show that the payload is as it was sent."""
    found = says(rewritten(filled=filled, kept=kept), at=0)
    assert found.outcome(EVERY[1], 0) == outcome
    assert ("rewritten" in found.of(EVERY[1], 0).why) == (outcome == "inconclusive")


# --------------------------------------------------------------------------- lone DATA_FINs


@pytest.mark.parametrize("at", [None, 0, 1])
@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_wrong_checksum_of_a_data_fin(version, host, at):
    """That of a DATA_FIN without data covers what the option says alone: it is wrong anywhere."""
    talk, flow = begun(version)
    mapping = wrongly(talk, host, fin=True)
    frame = flow.segment(host, ACK, talk.dss(host, mapping, dack=1))
    found = says(talk, at=at, whole=False)
    assert found.failed() == {(LONE[version], HOSTS[host]), (EVERY[version], HOSTS[host])}
    assert found.of(LONE[version], host).frames == (frame,)
    assert "length 1 and no payload have checksum" in found.of(LONE[version], host).why


def test_data_fin_on_data():
    """A DATA_FIN that ends a mapping of data is no lone one."""
    talk, flow = begun()
    right = talk.mapping(0, DATA, dsn=42, ssn=42, fin=True)
    wrong = Mapping(dsn=42, ssn=42, dll=42, fin=True, checksum=right.checksum ^ 4)
    flow.data(0, DATA, mapping=wrong)
    found = says(talk, at=0)
    assert found.outcomes(EVERY[1], LONE[1], host=0) == ["fail", "not_exercised"]


# --------------------------------------------------------------------------- the whole DSN


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("version", [0, 1])
def test_checksum_of_the_lower_half(version, wide):
    """A checksum that fits the lower half of the DSN alone says what its sender forgot."""
    talk, flow = begun(version, wide=(wide, wide))
    mapping = over_half(talk, 0, DATA, dsn=42, ssn=42, fin=False)
    frame = flow.data(0, DATA, mapping=mapping)
    found = says(talk, at=0)
    assert found.outcomes(EVERY[version], WHOLE[version], host=0) == ["fail", "fail"]
    assert found.of(WHOLE[version], 0).frames == (frame,)
    assert found.of(WHOLE[version], 0).why.endswith("right for the lower half of the DSN alone")
    assert says(talk, at=1).outcome(WHOLE[version], 0) == "inconclusive"


def test_data_fin_checksum_of_the_lower_half():
    """So does that of a DATA_FIN without data, at every tap."""
    talk, flow = begun()
    mapping = over_half(talk, 0, b"", dsn=42, ssn=0, fin=True)
    flow.segment(0, ACK, talk.dss(0, mapping, dack=1))
    found = says(talk)
    assert found.outcomes(EVERY[1], WHOLE[1], LONE[1], host=0) == ["fail"] * 3


def test_upper_half_from_the_key():
    """The upper half of a short DSN follows from the key, if the lowest number fits it."""
    talk = Conversation(checksum=True, wide=(False, False))
    flow = talk.opened()
    frame = flow.data(0, DATA, mapping=wrongly(talk, 0, dsn=1))
    assert says(talk, at=0).of(EVERY[1], 0).frames == (frame,)
    # The IDSN is not what the key says.
    talk = Conversation(checksum=True, wide=(False, False), idsn=(0x0102_0304_0506_0708, None))
    flow = talk.opened()
    flow.data(0, DATA)
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "the upper half of the DSN is not certain" in found.of(EVERY[1], 0).why


@pytest.mark.parametrize(("dsn", "outcome"), [(0, "fail"), (1, "fail"), (2, "inconclusive")])
def test_lowest_number_that_fits(dsn, outcome):
    """A probe of the window may map the IDSN itself, and nothing is lower."""
    talk = Conversation(checksum=True, wide=(False, True))
    flow = talk.opened()
    flow.data(1, DATA)
    octets = talk.mapping(0, DATA, dsn=dsn, ssn=1)
    wrong = Mapping(dsn=dsn, ssn=1, dll=octets.dll, checksum=octets.checksum ^ 2)
    flow.data(0, DATA, mapping=wrong)
    assert says(talk, at=0).outcome(EVERY[1], 0) == outcome


def test_lowest_number_after_first_data():
    """After an MP_CAPABLE's mapping the lowest number is the one behind that."""
    for more, outcome in ((0, "fail"), (1, "inconclusive")):
        talk = Conversation(checksum=True, wide=(False, False))
        flow = talk.opened()
        flow.first_data(DATA)
        dsn = 42 + more
        right = talk.mapping(0, DATA, dsn=dsn, ssn=42)
        wrong = Mapping(dsn=dsn, ssn=42, dll=41, checksum=right.checksum ^ 2)
        flow.data(0, DATA, mapping=wrong)
        assert says(talk, at=0).outcome(EVERY[1], 0) == outcome


def test_upper_half_of_a_whole_number():
    """One whole number on the wire shows the upper half of all."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, DATA, dsn=100, mapping=talk.mapping(0, DATA, dsn=100, ssn=1))
    talk.wide = (False, False)
    frame = flow.data(0, DATA, mapping=wrongly(talk, 0))
    assert says(talk, at=0).of(EVERY[1], 0).frames == (frame,)


@pytest.mark.parametrize(("wide", "outcome"), [(True, "fail"), (False, "inconclusive")])
def test_upper_half_without_keys(wide, outcome):
    """Without the key a whole number tells it, and without that nobody can check."""
    talk = Conversation(checksum=True, wide=(wide, wide))
    flow = talk.flow()
    flow.handshake(missing="third")
    flow.data(0, DATA)
    talk.wide = (False, False)
    flow.data(0, DATA, mapping=wrongly(talk, 0))
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == outcome
    assert ("not known" in found.of(EVERY[1], 0).why) == (outcome == "inconclusive")
    assert found.of(EVERY[1], 0).seen == wide
    assert found.of(EVERY[1], 0).unseen == 2 * (not wide)


@pytest.mark.parametrize(("wide", "outcome"), [(True, "fail"), (False, "inconclusive")])
def test_join_of_unknown_connection(wide, outcome):
    """Short numbers of a join without HMACs may be of another connection, whole ones say all."""
    talk, _ = begun()
    talk.wide = (wide, wide)
    flow = talk.flow()
    flow.join(missing="synack third")
    right = talk.mapping(0, DATA, dsn=42, ssn=1)
    wrong = Mapping(dsn=42, ssn=1, dll=41, checksum=right.checksum ^ 2)
    flow.data(0, DATA, mapping=wrong)
    assert says(talk, at=0).outcome(EVERY[1], 0) == outcome


# --------------------------------------------------------------------------- data on the SYN


def fast(total_for: int | None, *, by: int = 0, missing: bool = False) -> Conversation:
    """First data behind accepted data of the SYN, summed with a number; the frame is the last."""
    talk = Conversation(checksum=True)
    flow = talk.flow()
    flow.syn(payload=bytes(10))
    flow.next[0] = 11
    with talk.lost() if missing else nullcontext():
        flow.synack()
    flow.third()
    if total_for is None:
        right = talk.mapping(0, DATA, dsn=1, ssn=1)
        wrong = Mapping(dsn=1, ssn=1, dll=41, checksum=(right.checksum or 0) ^ by)
        flow.data(0, DATA, mapping=wrong)
        return talk
    total = crypto.dss_checksum(talk.absolute(0, 1), total_for, 41, DATA) ^ by
    own, peer = (key.to_bytes(8, "big") for key in KEYS)
    option = bytes([30, 24, 0x01, 0x81]) + own + peer + (41).to_bytes(2, "big")
    flow.segment(0, ACK | PSH, option + total.to_bytes(2, "big"), payload=DATA)
    return talk


@pytest.mark.parametrize(("number", "by", "outcome"), [
    (1, 0, "pass"), (11, 0, "pass"), (12, 0, "fail"), (11, 8, "fail"),
])  # fmt: skip
@pytest.mark.parametrize("missing", [False, True])
def test_first_data_after_data_on_the_syn(number, by, outcome, missing):
    """Whether the number of first data counts that of the SYN is open: both sums are right, also
    if the SYN/ACK is missing, which says how much of the SYN was accepted.
    """
    found = says(fast(number, by=by, missing=missing), at=0)
    assert found.outcome(EVERY[1], 0) == outcome
    if outcome == "pass":
        assert found.of(EVERY[1], 0).seen == 1


@pytest.mark.parametrize(("by", "outcome"), [(0, "pass"), (8, "fail")])
def test_mapping_after_data_on_the_syn(by, outcome):
    """A mapping that fills its segment shows what it is of, whatever its number counts."""
    assert says(fast(None, by=by), at=0).outcome(EVERY[1], 0) == outcome


def test_long_mapping_after_data_on_the_syn():
    """One that goes on in the next segment does not."""
    talk = fast(None)
    (flow,) = talk.flows
    mapping = wrongly(talk, 0)
    flow.data(0, DATA[:20], mapping=mapping)
    flow.data(0, DATA[20:], mapping=mapping)
    found = says(talk, at=0)
    assert found.outcome(EVERY[1], 0) == "inconclusive"
    assert "which octets" in found.of(EVERY[1], 0).why
