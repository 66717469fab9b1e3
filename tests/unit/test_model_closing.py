"""How the model ends streams and subflows."""

from __future__ import annotations

import pytest

from mptcp_oracle.model.enabling import acts
from mptcp_oracle.model.events import (
    Acknowledge,
    Announce,
    Close,
    Copy,
    Deliver,
    Echo,
    FastClose,
    Finish,
    Lose,
    Reset,
    Retransmit,
    Send,
)
from mptcp_oracle.model.step import truths
from mptcp_oracle.model.trace import Mapping
from mptcp_oracle.model.turn import IllegalEvent
from mptcp_oracle.options import MpTcprst
from tests.common.modelled import Play


def _states(play: Play) -> list[str]:
    return [host.state for host in play.world.hosts]


def test_both_streams_end_one_after_the_other() -> None:
    """A half-closed connection goes on in the other direction, then closes."""
    play = Play().open()
    play.do(Finish(host=0, subflow=0))
    play.arrive()
    play.do(Acknowledge(host=1, subflow=0))
    play.arrive()
    assert _states(play) == ["M_FIN_WAIT_2", "M_CLOSE_WAIT"]
    play.do(Send(host=1, subflow=0, octets=7, fin=True))
    play.arrive()
    assert _states(play) == ["M_TIME_WAIT", "M_LAST_ACK"]
    play.do(Acknowledge(host=0, subflow=0))
    play.arrive()
    for host in (0, 1):
        play.do(Close(host=host, subflow=0))
        play.arrive()
    play.do(Acknowledge(host=0, subflow=0))
    play.arrive()
    assert _states(play) == ["M_CLOSED", "M_CLOSED"]
    taken = [each for each in play.transitions if each[0] == "C"]
    assert taken[-7:] == ["C12", "C13", "C14", "C19", "C17", "C20", "C21"]
    assert truths(play.world)[0].closed == "data_fin"


def test_both_streams_may_end_at_once() -> None:
    """DATA_FINs that cross lead over M_CLOSING."""
    play = Play().open()
    play.do(Finish(host=0, subflow=0))
    play.do(Finish(host=1, subflow=0))
    play.arrive()
    assert _states(play) == ["M_CLOSING", "M_CLOSING"]
    for host in (0, 1):
        play.do(Acknowledge(host=host, subflow=0))
        play.arrive()
    assert _states(play) == ["M_TIME_WAIT", "M_TIME_WAIT"]


def test_a_data_fin_alone_has_subflow_sequence_number_0() -> None:
    """It takes the DSN after the last octet, and has Data-Level Length 1 (section 3.3.3)."""
    play = Play().open()
    (segment,) = play.do(Finish(host=0, subflow=0))
    assert segment.mapping == Mapping(sequence=0, dsn=11, octets=0, fin=True)
    (again,) = play.do(Finish(host=0, subflow=0))
    assert again.mapping == segment.mapping


def test_a_retransmission_may_gain_the_data_fin() -> None:
    """The mapping is then one longer (D22)."""
    play = Play().open()
    play.do(Send(host=0, subflow=0, octets=9))
    play.do(Finish(host=0, subflow=0))
    (again,) = play.do(Retransmit(host=0, subflow=0, sequence=11, fin=True))
    assert again.mapping == Mapping(sequence=11, dsn=11, octets=9, fin=True)
    assert "D22" in play.transitions


def test_no_data_follows_the_data_fin() -> None:
    """New data after it is illegal."""
    play = Play().open()
    play.do(Finish(host=0, subflow=0))
    with pytest.raises(IllegalEvent):
        play.do(Send(host=0, subflow=0, octets=1))


def test_the_last_subflow_stays_while_data_is_outstanding() -> None:
    """A FIN on it is illegal before the DATA_ACK; on another subflow it is not (3.3.3)."""
    play = Play().open()
    number = play.join()
    play.do(Send(host=0, subflow=0, octets=10))
    play.do(Close(host=0, subflow=number))
    with pytest.raises(IllegalEvent):
        play.do(Close(host=0, subflow=0))


def test_data_of_a_subflow_that_was_reset_moves() -> None:
    """It is reinjected on another, because its subflow ended."""
    play = Play().open()
    number = play.join()
    play.do(Send(host=0, subflow=number, octets=10))
    (reset,) = play.do(Reset(host=0, subflow=number, reason=5))
    assert reset.options == (MpTcprst(reason=5),)
    play.do(Copy(host=0, subflow=0, at=11, octets=10, trigger="subflow_end"))
    play.arrive()
    assert play.host(1).rcv_nxt == 21


def test_octets_that_were_only_announced_are_sent_elsewhere() -> None:
    """A mapping whose subflow ended leaves its unsent DSNs to the next segment."""
    play = Play().open()
    number = play.join()
    play.do(Send(host=0, subflow=number, octets=10, ahead=5))
    play.do(Reset(host=0, subflow=number))
    (segment,) = play.do(Send(host=0, subflow=0, octets=5))
    assert segment.mapping == Mapping(sequence=11, dsn=21, octets=5)
    assert segment.ranges[0].cause == "new"


def test_a_connection_survives_its_last_subflow() -> None:
    """Break-before-make: after the last FINs it waits for another join (C24)."""
    play = Play().open()
    for host in (0, 1):
        play.do(Close(host=host, subflow=0))
        play.arrive()
    play.do(Acknowledge(host=0, subflow=0))
    play.arrive()
    assert "C24" in play.transitions
    assert _states(play) == ["M_ESTAB", "M_ESTAB"]
    number = play.join()
    play.do(Send(host=1, subflow=number, octets=3))
    play.arrive()
    assert play.host(0).rcv_nxt == 4


def test_a_fin_has_a_data_fin_only_if_nothing_else_is_outstanding() -> None:
    """Not data of another subflow, even one that was reset; nor of its own if it is the last."""
    play = Play().open()
    last = Send(host=0, subflow=0, octets=5, fin=True, last=True)
    play.do(Send(host=0, subflow=0, octets=7))
    for event in (Finish(host=0, subflow=0, fin=True), last):
        with pytest.raises(IllegalEvent):
            play.do(event)
    number = play.join()
    play.do(Acknowledge(host=1, subflow=0))
    play.arrive()
    play.do(Send(host=0, subflow=number, octets=3))
    with pytest.raises(IllegalEvent):
        play.do(last)
    play.do(Reset(host=0, subflow=number))
    for event in (Finish(host=0, subflow=0, fin=True), last):
        with pytest.raises(IllegalEvent):
            play.do(event)


def test_a_fin_without_data_fin_gains_none_when_sent_again() -> None:
    """Its retransmission is what it was, but for the DATA_ACK."""
    play = Play().open()
    number = play.join()
    play.do(Send(host=0, subflow=number, octets=5, last=True))
    play.do(Finish(host=0, subflow=0))
    with pytest.raises(IllegalEvent):
        play.do(Retransmit(host=0, subflow=number, sequence=1, fin=True))


def _ended(play: Play) -> Play:
    """Both DATA_FINs were sent and acknowledged; all subflows are open."""
    play.do(Finish(host=0, subflow=0))
    play.arrive()
    play.do(Acknowledge(host=1, subflow=0))
    play.do(Finish(host=1, subflow=0))
    play.arrive()
    play.do(Acknowledge(host=0, subflow=0))
    play.arrive()
    assert _states(play) == ["M_TIME_WAIT", "M_CLOSED"]
    return play


def test_subflows_without_leftover_data_end_by_fin() -> None:
    """After the DATA_FINs no RST ends them (section 3.3.3), and none is offered."""
    play = _ended(Play().open())
    for host in (0, 1):
        with pytest.raises(IllegalEvent):
            play.do(Reset(host=host, subflow=0))
    assert not any(isinstance(each, Reset) for each in acts(play.world))


def test_a_subflow_with_leftover_data_may_be_reset() -> None:
    """Its data was acknowledged by way of another subflow (section 3.3.3)."""
    play = Play().open()
    number = play.join()
    (lost,) = play.do(Send(host=0, subflow=number, octets=5))
    play.do(Copy(host=0, subflow=0, at=11, octets=5, trigger="timeout"))
    play.do(Deliver(number=lost.number + 1))
    play.do(Lose(number=lost.number))
    play.arrive()
    _ended(play)
    assert Reset(host=0, subflow=number) in acts(play.world)
    play.do(Reset(host=0, subflow=number, reason=4))


def test_a_closed_connection_announces_no_addresses() -> None:
    """Neither ADD_ADDR nor its echo follows the DATA_FINs."""
    play = Play().open()
    play.do(Announce(host=1, subflow=0, address=1))
    play.arrive()
    _ended(play)
    for event in (Announce(host=0, subflow=0, address=1), Echo(host=0, subflow=0)):
        assert event not in acts(play.world)
        with pytest.raises(IllegalEvent):
            play.do(event)


def test_a_host_that_is_done_answers_a_fast_close() -> None:
    """Its peer lacks a DATA_ACK and aborts: all subflows get a RST (section 3.5)."""
    play = Play().open()
    play.do(Finish(host=0, subflow=0))
    play.do(Finish(host=1, subflow=0))
    play.arrive()
    (late,) = play.do(Acknowledge(host=1, subflow=0))
    play.do(Lose(number=late.number))
    play.do(Acknowledge(host=0, subflow=0))
    play.arrive()
    assert _states(play) == ["M_CLOSING", "M_TIME_WAIT"]
    play.do(FastClose(host=0, subflow=0))
    play.arrive()
    assert _states(play) == ["M_CLOSED", "M_CLOSED"]
    assert play.sent[-1].flags & 4
