"""How the model ends streams and subflows."""

from __future__ import annotations

import pytest

from mptcp_oracle.model.events import Acknowledge, Close, Copy, Finish, Reset, Retransmit, Send
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
