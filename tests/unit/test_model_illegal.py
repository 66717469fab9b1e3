"""What no host may do, and shapes that are rare."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mptcp_oracle.model.enabling import enabled
from mptcp_oracle.model.events import (
    Acknowledge,
    Announce,
    Close,
    Connect,
    Copy,
    Deliver,
    Echo,
    Event,
    FastClose,
    Finish,
    Join,
    KeepAlive,
    Lose,
    Prioritise,
    Probe,
    Read,
    Remap,
    Repeat,
    Reset,
    Retransmit,
    Send,
    Stall,
    Withdraw,
)
from mptcp_oracle.model.trace import ACK, FIN, RST, Mapping
from mptcp_oracle.model.turn import IllegalEvent
from tests.common.modelled import Play

ILLEGAL: tuple[Event, ...] = (
    Connect(),
    Deliver(number=99),
    Lose(number=99),
    Repeat(number=99),
    Join(host=0, local=1, remote=1),
    Send(host=0, subflow=0, octets=0),
    Send(host=0, subflow=0, octets=70_000),
    Send(host=0, subflow=7, octets=1),
    Send(host=0, subflow=0, octets=1, ahead=5, fin=True),
    Acknowledge(host=0, subflow=0, announce=10),
    Retransmit(host=0, subflow=0, sequence=1),
    Retransmit(host=0, subflow=0, sequence=50),
    Remap(host=0, subflow=0, at=1, octets=5),
    Remap(host=0, subflow=0, at=30, octets=5),
    Copy(host=0, subflow=1, at=30, octets=5),
    Copy(host=0, subflow=0, at=11, octets=5),
    Announce(host=0, subflow=0, address=0),
    Announce(host=0, subflow=0, address=1, port=9),
    Echo(host=0, subflow=0),
    Withdraw(host=0, subflow=0, addresses=()),
    Withdraw(host=0, subflow=0, addresses=(2,)),
    Withdraw(host=0, subflow=0, addresses=(0,)),
    Prioritise(host=0, subflow=0, backup=True, address=0),
    Read(host=0, subflow=0),
    Probe(host=0, subflow=0),
    KeepAlive(host=0, subflow=0),
    Finish(host=0, subflow=1, fin=True),
)


@pytest.mark.parametrize("event", ILLEGAL, ids=repr)
def test_an_event_that_is_not_possible_is_refused(event: Event) -> None:
    """With two subflows and data in flight on the first one."""
    play = Play().open()
    play.join()
    play.do(Send(host=0, subflow=0, octets=10))
    before = play.world
    with pytest.raises(IllegalEvent):
        play.do(event)
    assert play.world is before


@pytest.mark.parametrize(
    "event",
    [
        Send(host=0, subflow=0, octets=1),
        Acknowledge(host=0, subflow=0),
        Finish(host=0, subflow=0),
        Close(host=0, subflow=0),
        Reset(host=0, subflow=0),
        FastClose(host=0, subflow=0),
        Retransmit(host=0, subflow=0),
        KeepAlive(host=0, subflow=0),
        Read(host=0, subflow=0),
    ],
    ids=repr,
)
def test_nothing_goes_over_a_subflow_that_is_reset(event: Event) -> None:
    """Whatever the host does."""
    play = Play().open()
    play.do(Stall(host=0))
    play.do(Reset(host=0, subflow=0))
    with pytest.raises(IllegalEvent):
        play.do(event)


def test_version_0_has_no_reasons_and_no_fast_close_on_a_reset() -> None:
    """MP_TCPRST and option R are of version 1."""
    play = Play(version=0, answers=0).open()
    for event in (
        Reset(host=0, subflow=0, reason=1),
        FastClose(host=0, subflow=0, reset=True),
        Prioritise(host=0, subflow=0, backup=True, address=2),
    ):
        with pytest.raises(IllegalEvent):
            play.do(event)


def test_joins_need_one_family_and_free_ports() -> None:
    """No subflow goes from IPv4 to IPv6, and none exists twice."""
    addresses = ((ip_address("10.0.0.1"), ip_address("2001:db8::1")), (ip_address("10.0.0.2"),))
    play = Play(addresses=addresses).open()
    with pytest.raises(IllegalEvent):
        play.do(Join(host=0, local=1, remote=0))
    with pytest.raises(IllegalEvent):
        play.do(Join(host=0, local=0, remote=0, source_port=40_000))
    play.do(Join(host=0, local=0, remote=0))


def test_events_may_be_bounded() -> None:
    """What was taken as often as the settings allow is offered no more."""
    play = Play(bounds=(("Send", 1), ("Lose", 0))).open()
    kinds = {type(event) for event in enabled(play.world)}
    assert Send not in kinds
    play.do(Stall(host=0))
    assert Lose not in kinds


def test_version_0_may_announce_a_mapping_on_an_ack() -> None:
    """The data then follows under it (RFC 6824 section 3.3.1)."""
    play = Play(version=0, answers=0).open()
    (ack,) = play.do(Acknowledge(host=0, subflow=0, announce=40))
    assert (ack.mapping, ack.payload) == (Mapping(sequence=11, dsn=11, octets=40), b"")
    (data,) = play.do(Send(host=0, subflow=0, octets=40, repeat=False))
    assert data.mapping == ack.mapping
    play.arrive()
    assert play.host(1).rcv_nxt == 51


def test_segments_are_merged_only_under_one_mapping() -> None:
    """One option cannot announce two mappings."""
    play = Play().open()
    play.do(Send(host=0, subflow=0, octets=10, ahead=10))
    play.do(Send(host=0, subflow=0, octets=10))
    play.do(Send(host=0, subflow=0, octets=10))
    (both,) = play.do(Retransmit(host=0, subflow=0, sequence=11, octets=20))
    assert [each.octets for each in both.ranges] == [20]
    assert both.mapping == Mapping(sequence=11, dsn=11, octets=20)
    with pytest.raises(IllegalEvent):
        play.do(Retransmit(host=0, subflow=0, sequence=21, octets=20))


def test_a_data_fin_may_ride_on_the_last_fin() -> None:
    """Only if nothing is outstanding elsewhere (RFC 8684 section 3.3.3)."""
    play = Play().open()
    (last,) = play.do(Finish(host=1, subflow=0, fin=True))
    assert last.flags & FIN
    assert last.mapping == Mapping(sequence=0, dsn=1, octets=0, fin=True)
    play.arrive()
    assert [play.host(0).state, play.half(0, 0).state] == ["M_CLOSE_WAIT", "CLOSE_WAIT"]
    (again,) = play.do(Retransmit(host=1, subflow=0, sequence=1))
    assert (again.flags & FIN, again.copied) == (FIN, True)


def test_the_last_data_of_a_subflow_may_be_its_fin() -> None:
    """While other subflows work, or with the DATA_FIN; sent again, it is the FIN again."""
    play = Play().open()
    with pytest.raises(IllegalEvent):
        play.do(Send(host=0, subflow=0, octets=5, last=True))
    number = play.join()
    (segment,) = play.do(Send(host=0, subflow=number, octets=5, last=True))
    assert segment.flags & FIN
    play.do(Lose(number=segment.number))
    (again,) = play.do(Retransmit(host=0, subflow=number, sequence=1))
    assert (again.flags, again.payload, again.copied) == (segment.flags, segment.payload, True)
    play.arrive()
    assert play.half(number, 1).state == "CLOSE_WAIT"
    play.do(Acknowledge(host=1, subflow=number))
    play.arrive()
    assert play.half(number, 0).state == "FIN_WAIT_2"
    (last,) = play.do(Send(host=0, subflow=0, octets=5, fin=True, last=True))
    assert last.mapping == Mapping(sequence=11, dsn=16, octets=5, fin=True)


def test_a_syn_for_a_subflow_that_was_refused_is_refused_again() -> None:
    """A SYN at a closed half gets a RST that acknowledges it."""
    play = Play(accepts=1).open()
    play.do(Join(host=0, local=1, remote=0))
    (again,) = play.do(Retransmit(host=0, subflow=1))
    play.do(Deliver(number=again.number - 1))
    play.do(Deliver(number=again.number))
    last = play.sent[-1]
    assert (last.flags, last.sequence, last.ack) == (RST | ACK, 0, 1)
    play.arrive()
    assert play.half(1, 0).state == "CLOSED"
