"""What rules say of the DSS option, its checksum field, infinite mappings and the end of data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mptcp_oracle.encode import encode
from mptcp_oracle.options import Dss, MpCapable
from mptcp_oracle.rules import mapping
from mptcp_oracle.rules.context import JITTER
from tests.common.conversation import KEYS, Conversation, Flow, Mapping
from tests.common.joinery import Said, damaged, said
from tests.common.tape import ACK, PSH

LENGTH = {1: "8684-3.3-01", 0: "6824-3.3-10"}
RESERVED = {1: "8684-3.3-03", 0: "6824-3.3-03"}
AGREED = {1: "8684-3.3-06", 0: "6824-3.3-12"}
LAST = {1: "8684-3.3-09", 0: "6824-3.3-14"}
INFINITE = {1: "8684-3.3.1-22", 0: "6824-3.3.1-25"}
DATA = bytes(range(40))


def says(talk: Conversation, **claims) -> Said:
    """What the rules of the option say."""
    return said(talk, mapping.RULES, **claims)


def begun(**settings) -> tuple[Conversation, Flow]:
    """A conversation with data of both hosts, and its initial subflow."""
    talk = Conversation(**settings)
    flow = talk.opened()
    if talk.version:
        flow.first_data(DATA)
    else:
        flow.data(0, DATA)
    flow.ack(1)
    flow.data(1, DATA)
    flow.ack(0)
    return talk, flow


# --------------------------------------------------------------------------- reserved bits


@pytest.mark.parametrize("version", [0, 1])
def test_reserved_bits_kept(version):
    """Reserved bits are 0 in a DSS with data, and in one with a DATA_FIN; each is counted once."""
    talk, flow = begun(version=version)
    flow.data(0, DATA)
    flow.data_fin(0)
    found = says(talk)
    assert found.outcomes(RESERVED[version], LENGTH[version], host=0) == ["pass", "pass"]
    # The first data of version 1 has an MP_CAPABLE.
    assert found.of(RESERVED[version], 0).seen == 4 - version
    assert found.of(RESERVED[version], 1).seen == 2
    assert found.of(LENGTH[version], 0).seen == 4 - version
    assert RESERVED[1 - version] not in {number for number, _ in found}


@pytest.mark.parametrize("reserved", [0x40, 0x08, 0x04, 0x01])
@pytest.mark.parametrize("version", [0, 1])
def test_reserved_bit_set(version, reserved):
    """One reserved bit is enough, before or after the flags, at every tap."""
    talk, flow = begun(version=version)
    frame = flow.segment(1, ACK, Dss(flags=3, data_ack=talk.absolute(0, 41), reserved=reserved))
    found = says(talk, whole=False)
    assert found.failed() == {(RESERVED[version], "listener")}
    assert found.of(RESERVED[version], 1).frames == (frame,)
    assert found.of(RESERVED[version], 1).subflow == 0
    assert "reserved=" in found.of(RESERVED[version], 1).why
    assert found.of(RESERVED[version], 1).seen == 2


def test_reserved_bit_in_a_damaged_segment():
    """Whose TCP checksum is wrong did not send the segment like that for certain."""
    talk, flow = begun()
    frame = flow.segment(1, ACK, Dss(flags=3, data_ack=talk.absolute(0, 41), reserved=1))
    damaged(talk, frame)
    assert says(talk).outcome(RESERVED[1], 1) == "inconclusive"


@pytest.mark.parametrize("reserved", [0, 1])
def test_options_after_an_infinite_mapping(reserved):
    """What comes after an infinite mapping is not judged, the infinite mapping itself is."""
    talk, flow = begun()
    flow.data(1, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0))
    flow.segment(0, ACK, Dss(flags=3, data_ack=talk.absolute(1, 41), reserved=1))
    flow.segment(0, ACK, bytes([30, 6, 0x20, 0x01, 0, 0]))
    found = says(talk)
    assert found.failed() == set()
    assert found.of(RESERVED[1], 1).seen == 3
    talk, flow = begun()
    infinite = Dss.of(dsn=talk.absolute(1, 41), ssn=41)
    flow.segment(1, ACK | PSH, replace(infinite, reserved=reserved), payload=DATA)
    assert says(talk).outcome(RESERVED[1], 1) == ("fail" if reserved else "pass")


def test_fallback_of_another_connection():
    """Each connection has an infinite mapping of its own."""
    talk, _ = begun()
    other = Conversation(talk.tape, keys=(7, 8))
    flow = other.opened(ports=(50_000, 80))
    flow.data(1, DATA, mapping=Mapping(dsn=1, ssn=1, dll=0))
    flow.segment(0, ACK, Dss(flags=3, data_ack=other.absolute(1, 1), reserved=1))
    assert says(talk, connection=1).outcome(RESERVED[1], 0) == "not_exercised"
    talk.flows[0].segment(0, ACK, Dss(flags=3, data_ack=talk.absolute(1, 41), reserved=1))
    assert says(talk).outcome(RESERVED[1], 0) == "fail"


def test_option_beside_a_dss():
    """A DSS whose segment has another option, too, is not counted, and no harm is done."""
    talk, flow = begun()
    flow.add_addr(1, "10.0.4.2")
    flow.prio(1, backup=True)
    assert says(talk).of(RESERVED[1], 1).seen == 2


# --------------------------------------------------------------------------- length


@pytest.mark.parametrize("more", [-2, 2])
@pytest.mark.parametrize("version", [0, 1])
def test_length_that_flags_do_not_imply(version, more):
    """A DSS that is longer or shorter than its flags say is wrong at every tap."""
    talk, flow = begun(version=version)
    raw = encode(Dss(flags=3, data_ack=talk.absolute(1, 41)))
    raw = bytes([30, len(raw) + more]) + raw[2:] + bytes(2)
    frame = flow.segment(0, ACK, raw[: raw[1]])
    found = says(talk, whole=False)
    assert found.failed() == {(LENGTH[version], "initiator")}
    assert found.of(LENGTH[version], 0).frames == (frame,)
    assert "another Length" in found.of(LENGTH[version], 0).why


def test_length_of_other_options():
    """Only the Length of a DSS is meant."""
    talk, flow = begun()
    flow.segment(0, ACK, bytes([30, 5, 0x50, 0, 0]))
    assert says(talk).failed() == set()


def test_cut_option_is_no_wrong_length():
    """An option that ends behind its header has a wrong layout, not a wrong Length."""
    talk, flow = begun()
    flow.segment(0, ACK, bytes([30, 40, 0x20, 0x01]))
    assert says(talk).failed() == set()


# --------------------------------------------------------------------------- checksum fields


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("version", [0, 1])
def test_checksums_as_agreed(version, checksum):
    """Mappings have checksums if the hosts agreed on them, and else none."""
    talk, flow = begun(version=version, checksum=checksum)
    flow.data_fin(0)
    found = says(talk, whole=False)
    assert found.failed() == set()
    assert found.outcomes(AGREED[version], LENGTH[version], host=0) == ["pass", "pass"]
    # The mapping of an MP_CAPABLE is not meant.
    assert found.of(AGREED[version], 0).seen == 2 - version
    assert found.of(AGREED[version], 1).seen == 1


@pytest.mark.parametrize("host", [0, 1])
@pytest.mark.parametrize("version", [0, 1])
def test_checksum_missing(version, host):
    """A mapping without checksum is wrong, and so is the Length of its DSS.
    The initiator's third packet shows that it knows, the listener's own SYN/ACK does.
    """
    talk, flow = begun(version=version, checksum=True)
    plain = Mapping(dsn=41, ssn=41, dll=40)
    frame = flow.data(host, DATA, mapping=plain)
    found = says(talk, whole=False)
    numbers = {(AGREED[version], host), (LENGTH[version], host)}
    assert found.failed() == {(number, ("initiator", "listener")[host]) for number, _ in numbers}
    for number, _ in numbers:
        assert found.of(number, host).frames == (frame,)
        assert "no checksum" in found.of(number, host).why


@pytest.mark.parametrize("at", [None, 0, 1])
@pytest.mark.parametrize("host", [0, 1])
def test_checksum_unasked(host, at):
    """A checksum that nobody asked for is wrong.
    Whether the listener was asked it knows better than any tap but its own.
    """
    talk, flow = begun()
    frame = flow.data(host, DATA, mapping=Mapping(dsn=41, ssn=41, dll=40, checksum=7))
    found = says(talk, at=at, whole=False)
    certain = host == 0 or at == 1
    outcome = "fail" if certain else "inconclusive"
    assert found.outcomes(AGREED[1], LENGTH[1], host=host) == [outcome, outcome]
    assert found.of(AGREED[1], host).frames == (frame,)
    assert "agreed on none" in found.of(AGREED[1], host).why
    assert ("flag A" in found.of(AGREED[1], host).why) != certain
    assert ("flag A" in found.of(LENGTH[1], host).why) != certain
    assert found.outcome(AGREED[1], 1 - host) == ("pass" if host == 0 else "not_exercised")


def agreed(*, syn: bool, synack: bool, third: bool, missing: str = "") -> tuple[Conversation, Flow]:
    """A conversation whose hosts set flag A as told."""
    talk = Conversation()
    flow = talk.flow()
    own, peer = KEYS
    messages = {
        "syn": (flow.syn, MpCapable(version=1, flags=0x81 if syn else 1)),
        "synack": (flow.synack, MpCapable(version=1, flags=0x81 if synack else 1, sender_key=peer)),
        "third": (
            flow.third,
            MpCapable(version=1, flags=0x81 if third else 1, sender_key=own, receiver_key=peer),
        ),
    }
    for name, (send, option) in messages.items():
        if name in missing:
            with talk.lost():
                send(option)
        else:
            send(option)
    return talk, flow


@pytest.mark.parametrize(
    ("flags", "host", "outcome"),
    [
        # The listener heard the SYN, or did not: nobody but itself can say.
        ((True, False, True), 1, "inconclusive"),
        ((False, True, True), 1, "fail"),
        ((True, False, True), 0, "fail"),
        ((True, True, False), 0, "inconclusive"),
        ((False, False, True), 0, "fail"),
        ((False, False, True), 1, "inconclusive"),
    ],
)
def test_who_knows_of_flag_a(flags, host, outcome):
    """A host breaks what it agreed on if it has said so itself; else the SYN may have changed."""
    talk, flow = agreed(syn=flags[0], synack=flags[1], third=flags[2])
    flow.data(host, DATA)
    found = says(talk)
    assert found.outcomes(AGREED[1], LENGTH[1], host=host) == [outcome, outcome]
    assert says(talk, at=host).outcome(AGREED[1], host) == "fail"
    assert says(talk, at=1 - host).outcome(AGREED[1], host) == outcome


def test_initiator_without_third_packet():
    """Where the third packet is missing, the initiator may have seen another SYN/ACK."""
    talk, flow = agreed(syn=False, synack=False, third=False, missing="third")
    flow.data(0, DATA, mapping=Mapping(dsn=1, ssn=1, dll=40, checksum=7))
    assert says(talk).outcome(AGREED[1], 0) == "inconclusive"


def test_agreement_not_captured():
    """Without a whole handshake nobody can say what the hosts agreed on."""
    talk, flow = agreed(syn=False, synack=False, third=False, missing="syn third")
    flow.data(1, DATA)
    flow.data(1, DATA)
    found = says(talk, at=1)
    assert found.outcome(AGREED[1], 1) == "inconclusive"
    assert found.of(AGREED[1], 1).unseen == 2
    assert "handshake" in found.of(AGREED[1], 1).why
    assert found.outcome(LENGTH[1], 1) == "pass"


def test_checksum_of_a_mapping_that_lies_elsewhere():
    """A mapping far from its segment may be of another connection with the same ports."""
    talk, flow = begun(checksum=True)
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=1 << 22, dll=40))
    found = says(talk, at=0)
    assert found.outcomes(AGREED[1], LENGTH[1], host=0) == ["inconclusive"] * 2


def test_lone_data_fin_without_checksum():
    """The DATA_FIN without data has a checksum, too."""
    talk, flow = begun(checksum=True)
    talk.checksum = False
    frame = flow.data_fin(0)
    found = says(talk)
    assert found.failed() == {(AGREED[1], "initiator"), (LENGTH[1], "initiator")}
    assert found.of(LENGTH[1], 0).frames == (frame,)


def test_subflow_that_may_be_of_another_connection():
    """A join whose HMACs are not captured may be of a connection that agreed otherwise."""
    talk, _ = begun(checksum=True)
    flow = talk.flow()
    flow.join(missing="synack third")
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=1, dll=40))
    assert says(talk, at=0).outcome(AGREED[1], 0) == "inconclusive"


def test_join_with_right_hmac():
    """A join with a right HMAC is of its connection, and bound by what that agreed on."""
    talk, _ = begun(checksum=True)
    flow = talk.flow()
    flow.join(missing="third")
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=1, dll=40))
    assert says(talk, at=0).outcome(AGREED[1], 0) == "fail"


def test_nothing_after_an_infinite_mapping():
    """Once a host declared an infinite mapping, what both send later is not judged."""
    talk, flow = begun(checksum=True)
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0, checksum=0))
    flow.data(0, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    flow.data(1, DATA, mapping=Mapping(dsn=41, ssn=41, dll=40))
    found = says(talk, at=0)
    assert found.failed() == set()
    assert found.of(LENGTH[1], 0).seen == 1
    assert found.of(LENGTH[1], 1).seen == 2
    assert found.of(AGREED[1], 1).seen == 1


def test_infinite_mapping_needs_no_checksum_field():
    """An infinite mapping without checksum field is not judged by the agreement."""
    talk, flow = begun(checksum=True)
    flow.data(0, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0))
    assert says(talk, at=0).failed() == set()


# --------------------------------------------------------------------------- infinite mappings


@pytest.mark.parametrize(("checksum", "outcome"), [(None, "pass"), (0, "pass"), (1, "fail")])
@pytest.mark.parametrize("version", [0, 1])
def test_checksum_of_an_infinite_mapping(version, checksum, outcome):
    """The checksum of an infinite mapping is 0, if it has one; at every tap."""
    talk, flow = begun(version=version, checksum=checksum is not None)
    frame = flow.data(1, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0, checksum=checksum))
    found = says(talk, whole=False)
    assert found.outcome(INFINITE[version], 1) == outcome
    assert found.outcome(INFINITE[version], 0) == "not_exercised"
    if outcome == "fail":
        assert found.of(INFINITE[version], 1).frames == (frame,)
        assert "csum=0x0001" in found.of(INFINITE[version], 1).why


def test_data_fin_of_length_0_is_no_infinite_mapping():
    """With flag F a length of 0 is another mistake."""
    talk, flow = begun(checksum=True)
    flow.data(1, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0, fin=True, checksum=9))
    assert says(talk).outcome(INFINITE[1], 1) == "not_exercised"


# --------------------------------------------------------------------------- the end of data


@pytest.mark.parametrize("version", [0, 1])
def test_end_kept(version):
    """A DATA_FIN may come again, on data that ends there, too, and lower data may."""
    talk, flow = begun(version=version)
    flow.data_fin(0)
    flow.data_fin(0)
    flow.data(0, DATA, dsn=1, seq=1, fin=True)
    flow.data(0, DATA, dsn=1, seq=1)
    other = talk.joined()
    other.data_fin(0)
    found = says(talk)
    assert found.outcome(LAST[version], 0) == "pass"
    assert found.of(LAST[version], 0).seen == 4
    assert found.outcome(LAST[version], 1) == "not_exercised"


@pytest.mark.parametrize("version", [0, 1])
def test_data_after_the_end(version):
    """New data behind a DATA_FIN is wrong, at every tap; both frames show it."""
    talk, flow = begun(version=version)
    fin = flow.data_fin(1)
    frame = flow.data(1, DATA)
    found = says(talk, whole=False)
    assert found.failed() == {(LAST[version], "listener")}
    assert found.of(LAST[version], 1).frames == (fin, frame)
    assert found.of(LAST[version], 1).why == (
        "the first DATA_FIN has DSN 41, and data is mapped up to DSN 81"
    )


@pytest.mark.parametrize(("more", "outcome"), [(0, "pass"), (1, "fail")])
def test_octet_of_the_data_fin(more, outcome):
    """The DSN of a DATA_FIN is its own: data up to it is right, and not one octet more."""
    talk, flow = begun()
    flow.data_fin(1)
    octets = bytes(10 + more)
    flow.data(1, octets, dsn=31, mapping=talk.mapping(1, octets, dsn=31, ssn=41))
    assert says(talk).outcome(LAST[1], 1) == outcome


@pytest.mark.parametrize("dsn", [40, 42])
def test_data_fin_elsewhere(dsn):
    """A second DATA_FIN with another DSN is wrong, be it lower or higher."""
    talk, flow = begun()
    first = flow.data_fin(1)
    second = flow.data_fin(1, dsn=dsn)
    found = says(talk, whole=False)
    assert found.failed() == {(LAST[1], "listener")}
    assert found.of(LAST[1], 1).frames == (first, second)
    assert found.of(LAST[1], 1).why.endswith(f"another DATA_FIN has DSN {dsn}")


def test_data_before_the_end():
    """Data that was sent before the DATA_FIN is a matter of where that is."""
    talk, flow = begun()
    flow.data_fin(1, dsn=31)
    assert says(talk).outcome(LAST[1], 1) == "pass"


def test_data_fin_of_length_0_ends_nothing():
    """A DATA_FIN that counts no octet has no DSN to keep."""
    talk, flow = begun()
    flow.data(1, DATA, mapping=Mapping(dsn=41, ssn=41, dll=0, fin=True))
    flow.data(1, DATA, mapping=Mapping(dsn=81, ssn=81, dll=40))
    assert says(talk).outcome(LAST[1], 1) == "not_exercised"


@pytest.mark.parametrize(("gap", "outcome"), [(JITTER, "inconclusive"), (JITTER + 1, "fail")])
def test_end_on_another_subflow(gap, outcome):
    """Which of two subflows sent first is certain if they are clearly apart in time."""
    talk, flow = begun()
    other = talk.joined()
    flow.data_fin(1)
    talk.tape.now += gap - talk.tape.step
    other.data(1, DATA)
    found = says(talk)
    assert found.outcome(LAST[1], 1) == outcome
    assert ("sent first" in found.of(LAST[1], 1).why) == (outcome == "inconclusive")


def test_end_on_a_subflow_of_unknown_connection():
    """A join whose HMACs are not captured may be of another connection."""
    talk, flow = begun()
    other = talk.flow()
    other.join(missing="synack third")
    flow.data_fin(1)
    talk.tape.wait(1)
    other.data(1, DATA)
    assert says(talk).outcome(LAST[1], 1) == "inconclusive"


def test_end_of_a_subflow_of_unknown_connection():
    """Nor does its DATA_FIN end the data of this one for certain."""
    talk, flow = begun()
    other = talk.flow()
    other.join(missing="synack third")
    other.data_fin(1)
    talk.tape.wait(1)
    flow.data(1, DATA)
    assert says(talk).outcome(LAST[1], 1) == "inconclusive"


def test_data_after_the_end_that_lies_elsewhere():
    """Data whose mapping is far from its segment may be of another connection."""
    talk, flow = begun()
    flow.data_fin(1)
    flow.data(1, DATA, mapping=Mapping(dsn=42, ssn=1 << 22, dll=40))
    assert says(talk).outcome(LAST[1], 1) == "inconclusive"


def test_end_of_the_other_direction():
    """One host's DATA_FIN says nothing of what the other sends."""
    talk, flow = begun()
    flow.data_fin(1)
    flow.data(0, DATA)
    flow.data(0, DATA, flags=ACK | PSH)
    found = says(talk)
    assert found.outcomes(LAST[1], host=0) == ["not_exercised"]
    assert found.outcomes(LAST[1], host=1) == ["pass"]
