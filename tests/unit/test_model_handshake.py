"""How the model opens connections and joins subflows."""

from __future__ import annotations

import pytest

from mptcp_oracle import crypto
from mptcp_oracle.model.events import Connect, Deliver, Join, Lose, Retransmit, Send
from mptcp_oracle.model.settings import Deviations
from mptcp_oracle.model.trace import ACK, RST
from mptcp_oracle.model.turn import IllegalEvent
from mptcp_oracle.options import MpCapable, MpJoinAck, MpJoinSyn, MpTcprst
from tests.common.modelled import Play


def test_the_handshake_exchanges_the_keys() -> None:
    """Version 1: no key on the SYN, the listener's on the SYN/ACK, both on the third packet."""
    play = Play()
    play.do(Connect())
    play.arrive()
    first, second = play.world.settings.keys
    options = [segment.options[0] for segment in play.sent]
    keys = [(each.sender_key, each.receiver_key) for each in options if isinstance(each, MpCapable)]
    assert keys == [(None, None), (second, None), (first, second)]
    assert [host.state for host in play.world.hosts] == ["M_ESTAB_NEW", "M_ESTAB_NEW"]
    assert play.transitions == ["C01", "S01", "S19", "C02", "S29", "C04", "S20", "C06"]


def test_a_listener_of_version_0_gets_version_0() -> None:
    """The connection has the version of the SYN/ACK, and its IDSNs follow from SHA-1."""
    play = Play(answers=0)
    play.do(Connect())
    play.arrive()
    assert play.world.version == 0
    keys = play.world.settings.keys
    assert [host.base for host in play.world.hosts] == [crypto.idsn(key, 0) for key in keys]


def test_first_data_may_ride_on_the_third_packet() -> None:
    """The third packet then carries MP_CAPABLE with the Data-Level Length."""
    play = Play(checksum=(False, True))
    play.do(Connect())
    play.arrive(data=33)
    option = play.sent[2].options[0]
    assert isinstance(option, MpCapable)
    assert (option.data_length, len(play.sent[2].payload)) == (33, 33)
    assert option.checksum is not None
    assert option.checksum_required
    assert play.host(1).rcv_nxt == 34


def test_first_data_replaces_a_lost_third_packet() -> None:
    """MP_CAPABLE is repeated with the first data, so that the listener gets the keys from it."""
    play = Play()
    play.do(Connect())
    for number in (0, 1):
        play.do(Deliver(number=number))
    play.do(Lose(number=2))
    play.do(Send(host=0, subflow=0, octets=5))
    play.arrive()
    assert play.host(1).state == "M_ESTAB"
    assert play.host(1).rcv_nxt == 6


def test_no_join_before_a_dss_crossed_the_initial_path() -> None:
    """A subflow cannot be opened right after the handshake (RFC 8684 section 3.1)."""
    play = Play()
    play.do(Connect())
    play.arrive()
    with pytest.raises(IllegalEvent):
        play.do(Join(host=0, local=1, remote=0))


def test_a_join_takes_four_packets() -> None:
    """SYN with the token, SYN/ACK and third packet with HMACs, and a plain ACK."""
    play = Play().open()
    number = play.join(host=1)
    syn, _, third, fourth = play.sent[-4:]
    assert isinstance(syn.options[0], MpJoinSyn)
    assert syn.options[0].token == crypto.token(play.world.settings.keys[0], 1)
    assert isinstance(third.options[0], MpJoinAck)
    assert (fourth.flags, fourth.host, fourth.options) == (ACK, 0, ())
    assert [play.half(number, role).state for role in (0, 1)] == ["ESTABLISHED"] * 2


def test_no_join_to_an_address_that_flag_c_closes() -> None:
    """The initiator does not open a subflow to a listener that set flag C."""
    play = Play(c_flag=(False, True)).open()
    with pytest.raises(IllegalEvent):
        play.do(Join(host=0, local=1, remote=0))
    play.join(host=1)


@pytest.mark.parametrize("flip", ["token_flip", "synack_hmac_flip", "ack_hmac_flip"])
def test_a_wrong_join_is_reset(flip: str) -> None:
    """A wrong token or HMAC is answered by a RST with reason 1, and the connection lives."""
    joiner = Deviations(**{flip: 1}) if flip != "synack_hmac_flip" else Deviations()
    answerer = Deviations(**{flip: 1}) if flip == "synack_hmac_flip" else Deviations()
    play = Play(deviations=(joiner, answerer)).open()
    number = play.join()
    resets = [each for each in play.sent if each.flags & RST]
    assert resets[0].options == (MpTcprst(reason=1),)
    assert play.world.subflows[number].path.outcome == "invalid"
    assert play.half(0, 0).state == "ESTABLISHED"


def test_the_third_packet_is_repeated_until_the_fourth_came() -> None:
    """A joiner sends no data before it, and repeats its HMAC (S08)."""
    play = Play().open()
    play.do(Join(host=0, local=1, remote=0))
    for _ in range(2):
        play.do(Deliver(number=play.world.flight[0].number))
    play.do(Lose(number=play.world.flight[0].number))
    with pytest.raises(IllegalEvent):
        play.do(Send(host=0, subflow=1, octets=5))
    (again,) = play.do(Retransmit(host=0, subflow=1))
    assert isinstance(again.options[0], MpJoinAck)
    play.arrive()
    assert play.half(1, 0).state == "ESTABLISHED"


def test_a_syn_is_sent_again_as_it_was() -> None:
    """Of the version that the initiator offers, though the listener has chosen a lower one."""
    play = Play(version=1, answers=0)
    (first,) = play.do(Connect())
    play.do(Deliver(number=first.number))
    (again,) = play.do(Retransmit(host=0, subflow=0))
    assert again.options == first.options
