"""What rules say of mappings that are not of their segments, and of urgent data in them."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.options import MpCapable
from mptcp_oracle.rules import placing
from tests.common.conversation import KEYS, Conversation, Flow, Mapping
from tests.common.joinery import Said, said
from tests.common.tape import ACK, PSH, Tape

CHANGED = "8684-3.3.1-01"
RELATIVE = "8684-3.3.1-04"
URGENT = {1: "8684-3.3.1-08", 0: "6824-3.3.1-15"}
APPLIES = "8684-3.3.1-20"
DATA = bytes(range(40))
URG = 0x20


def says(talk: Conversation, **claims) -> Said:
    """What the rules of places say."""
    return said(talk, placing.RULES, **claims)


def begun(version: int = 1, **settings) -> tuple[Conversation, Flow]:
    """A conversation with data of both hosts under a DSS, and its initial subflow."""
    talk = Conversation(version=version, **settings)
    flow = talk.opened()
    for host in (1, 0):
        flow.data(host, DATA)
    return talk, flow


def fast(accepted: int, offered: int) -> tuple[Conversation, Flow]:
    """A conversation whose SYN has data, some of it accepted."""
    talk = Conversation()
    flow = talk.flow()
    flow.syn(payload=bytes(offered))
    flow.next[0] = 1 + accepted
    flow.synack(ack=1 + accepted)
    flow.third()
    return talk, flow


# --------------------------------------------------------------------------- on the own segment


def test_mappings_of_their_segments():
    """A mapping may be of more than its segment, or of less, and begin before or inside it."""
    talk, flow = begun()
    long = talk.mapping(0, DATA * 3, dsn=41, ssn=41)
    for _ in range(3):
        flow.data(0, DATA, mapping=long)
    flow.data(0, DATA, mapping=Mapping(dsn=180, ssn=180, dll=60))
    flow.data_fin(0)
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(APPLIES, 0).seen == 5


@pytest.mark.parametrize("at", [None, 0, 1])
def test_mapping_on_a_pure_ack(at):
    """A segment without payload has no octet that a mapping could be of, at every tap."""
    talk, flow = begun()
    frame = flow.segment(0, ACK, talk.dss(0, Mapping(dsn=41, ssn=41, dll=40), dack=41))
    flow.data(0, DATA)
    found = says(talk, at=at, whole=False)
    assert found.failed() == {(APPLIES, "initiator")}
    assert found.of(APPLIES, 0).frames == (frame,)
    assert found.of(APPLIES, 0).why == "it maps the subflow's octets [41, 81), and carries none"
    assert found.of(APPLIES, 0).seen == 2


@pytest.mark.parametrize(
    ("first", "size", "outcome"),
    [
        (80, 5, "pass"),
        (81, 5, "fail"),
        (36, 6, "pass"),
        (36, 5, "fail"),
    ],
)
def test_mapping_beside_its_segment(first, size, outcome):
    """One octet of the segment is enough, at its begin or at its end."""
    talk, flow = begun()
    mapping = Mapping(dsn=first, ssn=first, dll=size)
    frame = flow.data(0, DATA, mapping=mapping)
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == outcome
    if outcome == "fail":
        assert found.of(APPLIES, 0).frames == (frame,)
        assert found.of(APPLIES, 0).why.endswith("and carries [41, 81)")


@pytest.mark.parametrize(("at", "whole"), [(None, True), (1, True), (0, False)])
def test_mapping_beside_its_segment_elsewhere(at, whole):
    """Away from the sender a segment may have been cut or joined on its way."""
    talk, flow = begun()
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    found = says(talk, at=at, whole=whole)
    assert found.outcome(APPLIES, 0) == "inconclusive"
    assert "cut or joined" in found.of(APPLIES, 0).why


def pieces(*order: tuple[int, int], gap: int = 0) -> tuple[Conversation, list[int]]:
    """Pieces of a segment of 80 octets whose mapping is of the last 40; their frames."""
    talk, flow = begun()
    mapping = Mapping(dsn=81, ssn=81, dll=40)
    frames = []
    for first, octets in order:
        frames.append(flow.data(0, bytes(octets), seq=first + gap * len(frames), mapping=mapping))
    return talk, frames


@pytest.mark.parametrize(
    "order",
    [
        ((41, 40), (81, 40)),
        ((81, 40), (41, 40)),
        ((41, 20), (61, 20), (81, 40)),
        ((101, 20), (81, 20), (41, 40)),
    ],
)
def test_pieces_of_one_segment(order):
    """The option of a segment that an interface cuts is on each piece."""
    talk, _ = pieces(*order)
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == "pass"
    inside = sum(first >= 81 for first, _ in order)
    assert found.of(APPLIES, 0).seen == 1 + inside
    assert found.of(APPLIES, 0).unseen == len(order) - inside


@pytest.mark.parametrize(
    "order", [((41, 40), (82, 39)), ((41, 39), (81, 40)), ((82, 39), (41, 40))]
)
def test_segments_that_are_no_pieces(order):
    """Segments with a hole between them were none before."""
    talk, frames = pieces(*order)
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == "fail"
    assert set(found.of(APPLIES, 0).frames) <= set(frames)


def test_other_segment_between_pieces():
    """Nor were they if their sender sent anything else in between."""
    talk, flow = begun()
    mapping = Mapping(dsn=81, ssn=81, dll=40)
    frame = flow.data(0, DATA, mapping=mapping)
    flow.ack(0)
    flow.data(0, DATA, mapping=mapping)
    assert says(talk, at=0).of(APPLIES, 0).frames == (frame,)


def test_pure_ack_between_pieces():
    """A pure ACK with the same option is no piece."""
    talk, flow = begun()
    mapping = Mapping(dsn=81, ssn=81, dll=40)
    frame = flow.data(0, DATA, mapping=mapping)
    flow.segment(0, ACK, talk.dss(0, mapping, dack=41))
    flow.data(0, DATA, mapping=mapping)
    assert says(talk, at=0).of(APPLIES, 0).frames == (frame,)


def test_pure_ack_inside_a_mapping():
    """A pure ACK has no octet of a mapping that covers its number, either."""
    talk, flow = begun()
    mapping = Mapping(dsn=41, ssn=41, dll=80)
    flow.data(0, DATA, mapping=mapping)
    frame = flow.segment(0, ACK, talk.dss(0, mapping, dack=41))
    assert says(talk).of(APPLIES, 0).frames == (frame,)


def test_pieces_with_options_of_their_own():
    """Nor with different options."""
    talk, flow = begun()
    frame = flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=39))
    assert says(talk, at=0).of(APPLIES, 0).frames == (frame,)


def test_pieces_of_two_hosts():
    """What the other host sends in between changes nothing."""
    talk, flow = begun()
    mapping = Mapping(dsn=81, ssn=81, dll=40)
    flow.data(0, DATA, mapping=mapping)
    flow.ack(1)
    flow.data(0, DATA, mapping=mapping)
    assert says(talk, at=0).outcome(APPLIES, 0) == "pass"


def test_second_mapping_of_a_segment():
    """Each of two DSS options on a segment has to be of it."""
    talk, flow = begun()
    right = talk.dss(0, Mapping(dsn=41, ssn=41, dll=40))
    wrong = talk.dss(0, Mapping(dsn=81, ssn=81, dll=40))
    frame = flow.segment(0, ACK | PSH, right, wrong, payload=DATA)
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == "fail"
    assert found.of(APPLIES, 0).frames == (frame,)
    assert found.of(APPLIES, 0).seen == 2


def test_mapping_without_syn():
    """Which octets a mapping covers is not certain without the SYN; a pure ACK has none."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack third")
    flow.next = [1, 1]
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    flow.ack(1)
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == "not_exercised"
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack")
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == "inconclusive"
    assert found.of(APPLIES, 0).unseen == 1
    flow.segment(0, ACK, talk.dss(0, Mapping(dsn=81, ssn=81, dll=40), dack=1))
    assert says(talk, at=0).outcome(APPLIES, 0) == "fail"


@pytest.mark.parametrize(
    ("ssn", "dll", "outcome"),
    [
        (11, 40, "inconclusive"),
        (1, 5, "inconclusive"),
        (51, 40, "inconclusive"),
        (61, 40, "fail"),
    ],
)
def test_mapping_after_data_on_the_syn(ssn, dll, outcome):
    """With data on the SYN a mapping is wrong only if it is so however one counts."""
    talk, flow = fast(10, 10)
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=ssn, dll=dll))
    found = says(talk, at=0)
    assert found.outcome(APPLIES, 0) == outcome


def test_first_mapping_of_version_1():
    """The mapping of an MP_CAPABLE has no number of its own that could be wrong."""
    talk = Conversation()
    flow = talk.opened()
    flow.first_data(DATA)
    found = says(talk, at=0)
    assert found.outcomes(APPLIES, RELATIVE, host=0) == ["not_exercised"] * 2
    assert found.outcome(CHANGED, 0) == "pass"


def test_copies_of_a_capture():
    """A frame that the capture holds twice counts once."""
    talk = Conversation(Tape("sll2"), captured_at=0)
    flow = talk.opened()
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=40))
    talk.tape.again(direction=4)
    found = says(talk)
    assert found.outcome(APPLIES, 0) == "fail"
    assert len(found.of(APPLIES, 0).frames) == 1
    assert found.of(APPLIES, 0).seen == 0


# --------------------------------------------------------------------------- urgent data


def pointed(talk: Conversation, frame: int, pointer: int) -> None:
    """Give a frame of Ethernet and IPv4 an urgent pointer, and a right checksum."""
    time, octets = talk.tape.frames[frame - 1]
    changed = bytearray(octets)
    tcp = 14 + 20
    changed[tcp + 13] |= URG
    changed[tcp + 18 : tcp + 20] = pointer.to_bytes(2, "big")
    changed[tcp + 16 : tcp + 18] = bytes(2)
    pseudo = changed[26:34] + bytes([0, 6]) + (len(changed) - tcp).to_bytes(2, "big")
    total = crypto.ones_sum(bytes(pseudo) + bytes(changed[tcp:])) % 0xFFFF
    changed[tcp + 16 : tcp + 18] = (0xFFFF - total).to_bytes(2, "big")
    talk.tape.frames[frame - 1] = (time, bytes(changed))


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_urgent_octet_counts(version, host):
    """An urgent octet inside a mapping that is of all payload is one of its octets."""
    talk, flow = begun(version)
    pointed(talk, flow.data(host, DATA), 7)
    found = says(talk, whole=False)
    assert found.outcome(URGENT[version], host) == "pass"
    assert found.outcome(URGENT[version], 1 - host) == "not_exercised"


def interrupted(version: int = 1, *, size: int = 39, pointer: int = 7, **settings) -> Conversation:
    """A conversation with an urgent octet that its mapping does not count, in frame 6."""
    talk, flow = begun(version, **settings)
    mapping = talk.mapping(0, DATA[:size], dsn=41, ssn=41)
    pointed(talk, flow.data(0, DATA, mapping=mapping), pointer)
    return talk


@pytest.mark.parametrize("pointer", [1, 39])
@pytest.mark.parametrize("version", [0, 1])
def test_urgent_octet_interrupts(version, pointer):
    """A mapping that ends one octet early does not count the urgent octet inside it."""
    talk = interrupted(version, pointer=pointer)
    found = says(talk, at=0)
    assert found.failed() == {(URGENT[version], "initiator")}
    assert found.of(URGENT[version], 0).frames == (6,)
    assert found.of(URGENT[version], 0).why == (
        f"octet {pointer} of 40 is urgent, and the mapping, of 39 octets, ends one before the "
        "last: it does not count it"
    )


@pytest.mark.parametrize(("pointer", "size", "outcome"), [
    (40, 39, "not_exercised"),
    (0, 39, "not_exercised"),
    (7, 38, "pass"),
    (7, 41, "pass"),
])  # fmt: skip
def test_urgent_octet_elsewhere(pointer, size, outcome):
    """Outside the mapping, or under one of another length, it interrupts nothing."""
    talk = interrupted(pointer=pointer, size=size)
    assert says(talk, at=0).outcome(URGENT[1], 0) == outcome


@pytest.mark.parametrize(("at", "whole"), [(None, True), (1, True), (0, False)])
def test_urgent_octet_where_frames_may_be_missing(at, whole):
    """Another mapping of the last octet may be missing, except where all was captured."""
    found = says(interrupted(), at=at, whole=whole)
    assert found.outcome(URGENT[1], 0) == "inconclusive"
    assert "another mapping may cover the last octet" in found.of(URGENT[1], 0).why


@pytest.mark.parametrize(("ssn", "outcome"), [(80, "pass"), (81, "fail"), (41, "pass")])
def test_last_octet_is_mapped(ssn, outcome):
    """Nothing is interrupted where another mapping has the last octet."""
    talk = interrupted()
    (flow,) = talk.flows
    flow.data(0, bytes(40), mapping=Mapping(dsn=ssn, ssn=ssn, dll=40))
    assert says(talk, at=0).outcome(URGENT[1], 0) == outcome


def test_last_octet_of_the_other_host():
    """A mapping of the other host is of other octets."""
    talk = interrupted()
    (flow,) = talk.flows
    flow.data(1, bytes(40), mapping=Mapping(dsn=41, ssn=80, dll=40))
    assert says(talk, at=0).outcome(URGENT[1], 0) == "fail"


def test_urgent_octet_in_the_middle_of_a_mapping():
    """A segment that goes on under the mapping of one before it is judged by what is left."""
    talk, flow = begun()
    mapping = talk.mapping(0, bytes(79), dsn=41, ssn=41)
    flow.data(0, DATA, mapping=mapping)
    frame = flow.data(0, DATA, mapping=mapping)
    pointed(talk, frame, 39)
    assert says(talk, at=0).of(URGENT[1], 0).frames == (frame,)
    pointed(talk, frame, 40)
    assert says(talk, at=0).outcome(URGENT[1], 0) == "not_exercised"


@pytest.mark.parametrize("ssn", [1, 11])
def test_urgent_octet_after_data_on_the_syn(ssn):
    """Whether numbers count data of the SYN or not, the mapping is one octet short."""
    talk, flow = fast(10, 10)
    frame = flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=ssn, dll=39))
    pointed(talk, frame, 7)
    assert says(talk, at=0).of(URGENT[1], 0).frames == (frame,)


def test_urgent_octet_without_syn():
    """Without the SYN nobody knows what the mapping is of."""
    talk = Conversation()
    flow = talk.flow()
    flow.handshake(missing="syn synack")
    frame = flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=39))
    pointed(talk, frame, 7)
    assert says(talk, at=0).outcome(URGENT[1], 0) == "not_exercised"


def test_most_urgent_octets():
    """Of many segments with urgent octets the first ones of each host are looked at."""
    talk, flow = begun()
    for _ in range(placing.MOST + 2):
        for host in (0, 1):
            pointed(talk, flow.data(host, DATA), 7)
    found = says(talk, at=0)
    assert [found.of(URGENT[1], host).seen for host in (0, 1)] == [placing.MOST] * 2


@pytest.mark.parametrize("pointer", [1, 7])
def test_urgent_octet_under_a_mapping_of_others(pointer):
    """A mapping that lies elsewhere has no octet of the segment that could be urgent."""
    talk, flow = begun()
    pointed(talk, flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=39)), pointer)
    assert says(talk, at=0).outcome(URGENT[1], 0) == "not_exercised"


def test_version_of_a_third_packet():
    """The third packet's own version says which rules hold."""
    talk = Conversation(version=0)
    flow = talk.opened()
    own, peer = KEYS
    flow.segment(0, ACK, MpCapable(version=0, sender_key=own, receiver_key=peer))
    flow.segment(0, ACK, talk.dss(0, Mapping(dsn=1, ssn=1, dll=40), dack=1))
    assert says(talk, at=0).outcome(APPLIES, 0) == "not_exercised"
