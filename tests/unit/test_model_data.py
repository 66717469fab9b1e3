"""How the model sends, receives and repeats data."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.model.enabling import acts
from mptcp_oracle.model.events import (
    Acknowledge,
    Alter,
    Connect,
    Copy,
    Deliver,
    Lose,
    Remap,
    Retransmit,
    Send,
)
from mptcp_oracle.model.settings import Deviations, content
from mptcp_oracle.model.trace import Mapping, Range
from mptcp_oracle.model.turn import IllegalEvent
from mptcp_oracle.options import Dss, MpCapable
from tests.common.modelled import Play


def test_a_mapping_has_the_numbers_of_its_host() -> None:
    """DSN is base + relative, SSN the relative subflow number; the payload follows from both."""
    play = Play().open()
    (segment,) = play.do(Send(host=1, subflow=0, octets=20))
    option = segment.options[0]
    assert isinstance(option, Dss)
    assert option.dsn == (crypto.idsn(play.world.settings.keys[1], 1) + 1) % (1 << 64)
    assert (option.ssn, option.dll) == (1, 20)
    assert segment.payload == content(0, 1, 1, 20)
    assert segment.ranges == (Range(sequence=1, octets=20, dsn=1),)
    assert segment.data_ack == 11


def test_numbers_wrap_on_the_wire_only() -> None:
    """A base short of 2**64 gives small DSNs soon after, while labels go on."""
    play = Play(deviations=(Deviations(), Deviations(base=(1 << 64) - 5))).open()
    play.do(Send(host=1, subflow=0, octets=20))
    (segment,) = play.do(Send(host=1, subflow=0, octets=20, dsn=4))
    option = segment.options[0]
    assert isinstance(option, Dss)
    assert segment.mapping == Mapping(sequence=21, dsn=21, octets=20)
    assert (option.dsn, option.dsn_size) == (16, 4)


def test_the_checksum_covers_the_mapping() -> None:
    """With flag A every mapping has a checksum over pseudo-header and payload."""
    play = Play(checksum=(True, False)).open()
    (segment,) = play.do(Send(host=0, subflow=0, octets=20))
    option = segment.options[0]
    assert isinstance(option, Dss)
    assert option.dsn is not None
    assert option.checksum is not None
    assert crypto.dss_checksum_holds(option.dsn, 11, 20, option.checksum, segment.payload)


def test_first_data_of_the_initiator_is_mapped_by_mp_capable() -> None:
    """Its mapping is DSN 1 at sequence number 1 (RFC 8684 section 3.1)."""
    play = Play().open()
    segment = play.sent[3]
    assert isinstance(segment.options[0], MpCapable)
    assert segment.mapping == Mapping(sequence=1, dsn=1, octets=10, by_capable=True)


def test_a_mapping_may_go_on_beyond_its_segment() -> None:
    """What follows lies under it, whether it is repeated or not; then comes the next mapping."""
    play = Play().open()
    play.do(Send(host=0, subflow=0, octets=10, ahead=30))
    (bare,) = play.do(Send(host=0, subflow=0, octets=10, repeat=False, data_ack=0))
    (both,) = play.do(Send(host=0, subflow=0, octets=35))
    assert bare.options == ()
    assert bare.ranges == (Range(sequence=21, octets=10, dsn=21),)
    assert [each.octets for each in both.ranges] == [20, 15]
    assert both.mapping == Mapping(sequence=51, dsn=51, octets=15)
    play.arrive()
    assert play.host(1).rcv_nxt == 66


def test_data_of_two_subflows_becomes_one_stream() -> None:
    """Data beyond a gap waits for what another subflow brings."""
    play = Play().open()
    number = play.join()
    (lost,) = play.do(Send(host=0, subflow=0, octets=10))
    play.do(Send(host=0, subflow=number, octets=10))
    play.do(Deliver(number=play.world.flight[1].number))
    assert (play.host(1).rcv_nxt, play.host(1).received) == (11, ((21, 31),))
    play.do(Deliver(number=lost.number))
    assert (play.host(1).rcv_nxt, play.host(1).received) == (31, ())


def test_a_retransmission_repeats_the_octets() -> None:
    """As a whole, or in part, with the mapping of the original."""
    play = Play().open()
    (first,) = play.do(Send(host=0, subflow=0, octets=20))
    play.do(Lose(number=first.number))
    (again,) = play.do(Retransmit(host=0, subflow=0, sequence=11))
    (part,) = play.do(Retransmit(host=0, subflow=0, sequence=16, octets=5))
    assert (again.payload, again.mapping, again.copied) == (first.payload, first.mapping, True)
    assert (part.payload, part.copied) == (first.payload[5:10], False)
    assert part.ranges == (Range(sequence=16, octets=5, dsn=16, cause="retransmission"),)


def test_data_can_be_mapped_again() -> None:
    """On its own subflow that is a remap, on another a reinjection or a redundant copy."""
    play = Play().open()
    number = play.join()
    (first,) = play.do(Send(host=0, subflow=0, octets=20))
    (remap,) = play.do(Remap(host=0, subflow=0, at=11, octets=20))
    (copy,) = play.do(Copy(host=0, subflow=number, at=11, octets=10, trigger="loss"))
    (twin,) = play.do(Copy(host=0, subflow=number, at=21, octets=10))
    causes = [each.ranges[0].cause for each in (first, remap, copy, twin)]
    assert causes == ["new", "remap", "reinjection", "redundant"]
    assert remap.payload == first.payload == copy.payload + twin.payload
    with pytest.raises(IllegalEvent):
        play.do(Copy(host=0, subflow=number, at=11, octets=10))
    play.arrive()
    assert play.host(1).rcv_nxt == 31


def test_a_data_ack_is_there_until_the_peer_knows_that_options_pass() -> None:
    """An ACK that asks for none has one nevertheless while the peer's data is unconfirmed."""
    play = Play().open()
    play.do(Send(host=1, subflow=0, octets=5))
    play.arrive()
    (first,) = play.do(Acknowledge(host=0, subflow=0, data_ack=0))
    play.arrive()
    (second,) = play.do(Acknowledge(host=0, subflow=0, data_ack=0))
    assert first.data_ack == 6
    assert second.options == ()


def test_wide_numbers_are_acknowledged_by_wide_numbers() -> None:
    """Data with a 64-bit DSN gets a 64-bit DATA_ACK, other data any (RFC 8684 section 3.3.2)."""
    play = Play().open()
    play.do(Send(host=1, subflow=0, octets=5, dsn=8))
    play.arrive()
    (wide,) = play.do(Acknowledge(host=0, subflow=0, data_ack=4))
    play.do(Send(host=1, subflow=0, octets=5, dsn=4))
    play.arrive()
    (narrow,) = play.do(Acknowledge(host=0, subflow=0, data_ack=4))
    sizes = [each.options[0].data_ack_size for each in (wide, narrow)]  # type: ignore[union-attr]
    assert sizes == [8, 4]


def test_data_that_waits_for_the_rest_is_acknowledged_as_it_was_numbered() -> None:
    """A DATA_ACK has 8 octets also if a mapping with a DSN of 4 comes before it is due."""
    play = Play(checksum=(True, True)).open()
    play.do(Send(host=0, subflow=0, octets=5, ahead=5, dsn=8))
    play.arrive()
    play.do(Acknowledge(host=1, subflow=0, data_ack=4))
    play.arrive()
    play.do(Send(host=0, subflow=0, octets=10, dsn=4))
    play.arrive()
    (segment,) = play.do(Acknowledge(host=1, subflow=0, data_ack=4))
    assert segment.data_ack == 26
    (option,) = segment.options
    assert isinstance(option, Dss)
    assert option.data_ack_size == 8


def test_first_data_of_the_initiator_is_on_the_initial_subflow() -> None:
    """It has MP_CAPABLE as long as no DSS came, though the listener has joined already."""
    play = Play()
    play.do(Connect())
    play.arrive()
    play.do(Acknowledge(host=0, subflow=0))
    play.arrive()
    number = play.join(host=1)
    assert not play.host(0).peer_knows
    with pytest.raises(IllegalEvent):
        play.do(Send(host=0, subflow=number, octets=3))
    offered = [each for each in acts(play.world) if isinstance(each, Send) and each.host == 0]
    assert [each.subflow for each in offered] == [0]
    play.do(Send(host=0, subflow=0, octets=3))
    assert play.sent[-1].mapping == Mapping(sequence=1, dsn=1, octets=3, by_capable=True)
    play.do(Send(host=0, subflow=number, octets=3))


def test_octets_under_an_earlier_mapping_are_sent_again_with_it() -> None:
    """Also if the segment that announced it was acknowledged elsewhere (section 3.7)."""
    play = Play().open()
    number = play.join()
    first = play.do(Send(host=0, subflow=number, octets=2, ahead=3))[0]
    play.arrive()
    second = play.do(Send(host=0, subflow=number, octets=7))[0]
    assert second.mapping != first.mapping
    play.do(Lose(number=second.number))
    play.do(Acknowledge(host=1, subflow=0))
    play.arrive()
    bare = play.do(Acknowledge(host=1, subflow=number))[0]
    play.do(Alter(number=bare.number))
    again = play.do(Retransmit(host=0, subflow=number, sequence=3, octets=2))[0]
    assert again.mapping == first.mapping
