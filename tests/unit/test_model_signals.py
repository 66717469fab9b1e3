"""How the model announces and withdraws addresses, sets priorities, and aborts."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mptcp_oracle.model.enabling import enabled
from mptcp_oracle.model.events import (
    Announce,
    Copy,
    Echo,
    FastClose,
    Finish,
    Join,
    KeepAlive,
    Lose,
    Prioritise,
    Probe,
    Read,
    Send,
    Stall,
    Withdraw,
)
from mptcp_oracle.model.settings import Deviations, content
from mptcp_oracle.model.step import truths
from mptcp_oracle.model.trace import ACK, RST, Range
from mptcp_oracle.model.turn import IllegalEvent
from mptcp_oracle.options import AddAddr, MpFastclose, MpPrio, MpTcprst, RemoveAddr
from tests.common.modelled import Play


def test_an_announced_address_is_echoed_and_joined() -> None:
    """ADD_ADDR has an HMAC, its echo none; then the peer may open a subflow to it."""
    play = Play().open()
    play.do(Announce(host=1, subflow=0, address=2, port=8080))
    play.arrive()
    (segment,) = play.do(Echo(host=0, subflow=0))
    option = segment.options[-1]
    assert isinstance(option, AddAddr)
    assert (option.echo, option.hmac, option.port, option.address_id) == (True, None, 8080, 2)
    play.arrive()
    with pytest.raises(IllegalEvent):
        play.do(Announce(host=1, subflow=0, address=2, port=8080))
    play.do(Join(host=0, local=1, remote=2, port=8080))
    play.arrive()
    assert str(play.world.subflows[1].path.ends[1].address) == "10.0.2.2"
    assert play.half(1, 0).state == "ESTABLISHED"


def test_an_address_with_a_wrong_hmac_is_ignored() -> None:
    """Neither echo nor join follow."""
    play = Play(deviations=(Deviations(), Deviations(add_addr_hmac_flip=1))).open()
    play.do(Announce(host=1, subflow=0, address=2))
    play.arrive()
    assert play.host(0).known == ()
    assert play.host(0).echoes == ()
    assert "A06" in play.transitions


def test_addresses_of_the_other_family_can_be_announced() -> None:
    """An IPv6 address leaves no room for a DATA_ACK of 8 octets beside it."""
    addresses = ((ip_address("10.0.0.1"),), (ip_address("10.0.0.2"), ip_address("2001:db8::2")))
    play = Play(addresses=addresses).open()
    (segment,) = play.do(Announce(host=1, subflow=0, address=1, data_ack=8))
    assert len(segment.options) == 1
    play.arrive()
    assert play.host(0).known == ((1, None),)
    assert not any(isinstance(event, Join) and event.remote == 1 for event in enabled(play.world))


def test_version_0_neither_echoes_nor_signs() -> None:
    """ADD_ADDR of version 0 has no HMAC."""
    play = Play(version=0, answers=0).open()
    (segment,) = play.do(Announce(host=1, subflow=0, address=1))
    option = segment.options[-1]
    assert isinstance(option, AddAddr)
    assert (option.version, option.hmac) == (0, None)
    play.arrive()
    assert play.host(0).echoes == ()


def test_a_withdrawn_address_takes_its_subflows_along() -> None:
    """Their data moves, because the address was removed."""
    play = Play().open()
    number = play.join()
    play.do(Send(host=1, subflow=number, octets=10))
    (segment,) = play.do(Withdraw(host=0, subflow=0, addresses=(1,)))
    assert RemoveAddr(address_ids=(1,)) in segment.options
    play.arrive()
    assert play.half(number, 0).state == "GONE"
    assert play.half(number, 1).removed
    copies = [event for event in enabled(play.world) if isinstance(event, Copy)]
    assert [each.trigger for each in copies] == ["address_removed"]
    play.do(copies[0])
    play.arrive()
    assert play.host(0).rcv_nxt == 11


@pytest.mark.parametrize(("version", "address", "number"), [(1, None, None), (0, 1, 1)])
def test_priorities_change(version: int, address: int | None, number: int | None) -> None:
    """MP_PRIO concerns its subflow, or in version 0 all subflows of an address."""
    play = Play(version=version, answers=version).open()
    subflow = play.join()
    on = subflow if address is None else 0
    (segment,) = play.do(Prioritise(host=0, subflow=on, backup=True, address=address))
    assert MpPrio(backup=True, address_id=number) in segment.options
    play.arrive()
    assert [play.half(each, 1).backup_heard for each in (0, subflow)] == [False, True]
    sends = {e.subflow for e in enabled(play.world) if isinstance(e, Send) and e.host == 1}
    assert sends == {0}


def test_option_a_of_a_fast_close() -> None:
    """ACK with the receiver's key on one subflow, RST on the other, RSTs in answer."""
    play = Play().open()
    play.join()
    first, second = play.do(FastClose(host=1, subflow=0))
    assert first.options == (MpFastclose(key=play.world.settings.keys[0]),)
    assert (first.flags, second.flags, second.options) == (ACK, RST | ACK, ())
    assert play.host(1).state == "M_FASTCLOSE_WAIT"
    play.arrive()
    assert [host.state for host in play.world.hosts] == ["M_CLOSED", "M_CLOSED"]
    assert truths(play.world)[0].closed == "fastclose"


def test_option_r_of_a_fast_close() -> None:
    """RST with MP_FASTCLOSE, and as Linux has it MP_TCPRST, on all subflows."""
    play = Play().open()
    play.join()
    sent = play.do(FastClose(host=0, subflow=0, reset=True, reason=0))
    assert [each.flags for each in sent] == [RST | ACK] * 2
    assert all(each.options[1] == MpTcprst(reason=0) for each in sent)
    play.arrive()
    assert {"C26", "C31"} <= set(play.transitions)


def test_fast_closes_may_cross() -> None:
    """Each is answered by a RST (C28)."""
    play = Play().open()
    for host in (0, 1):
        play.do(FastClose(host=host, subflow=0))
    play.arrive()
    assert [host.state for host in play.world.hosts] == ["M_CLOSED", "M_CLOSED"]
    assert "C28" in play.transitions


def test_a_fast_close_with_a_wrong_key_has_no_effect() -> None:
    """The peer goes on; the host that sent it waits and repeats."""
    play = Play(deviations=(Deviations(fastclose_key_flip=1), Deviations())).open()
    play.do(FastClose(host=0, subflow=0))
    play.arrive()
    assert [host.state for host in play.world.hosts] == ["M_FASTCLOSE_WAIT", "M_ESTAB"]
    play.do(FastClose(host=0, subflow=0))
    assert "C29" in play.transitions


def test_a_closed_window_is_probed_and_opened() -> None:
    """The probe repeats the last DSN with the value of the next octet, as Linux does."""
    play = Play(buffers=(100, 100)).open()
    play.do(Stall(host=1))
    play.do(Send(host=0, subflow=0, octets=100))
    play.arrive()
    assert not any(isinstance(e, Send) and e.host == 0 for e in enabled(play.world))
    play.do(KeepAlive(host=1, subflow=0, data_ack=8))
    play.arrive()
    (probe,) = play.do(Probe(host=0, subflow=0))
    assert probe.ranges == (Range(sequence=111, octets=1, dsn=110, cause="probe"),)
    assert probe.payload == content(0, 0, 111, 1)
    play.arrive()
    (update,) = play.do(Read(host=1, subflow=0))
    assert (update.window, update.ack, update.data_ack) == (100, 112, 111)
    play.arrive()
    play.do(Send(host=0, subflow=0, octets=5))
    play.arrive()
    assert play.host(1).rcv_nxt == 116


def test_a_keep_alive_is_answered() -> None:
    """Its sequence number is an old one."""
    play = Play().open()
    (segment,) = play.do(KeepAlive(host=0, subflow=0))
    assert segment.sequence == 10
    play.arrive()
    assert play.half(0, 1).owed


def test_a_data_fin_that_was_lost_is_sent_again_elsewhere() -> None:
    """On any subflow, with the same DSN (C22)."""
    play = Play().open()
    number = play.join()
    (lost,) = play.do(Finish(host=0, subflow=0))
    play.do(Lose(number=lost.number))
    (again,) = play.do(Finish(host=0, subflow=number))
    assert again.mapping == lost.mapping
    play.arrive()
    assert play.host(1).state == "M_CLOSE_WAIT"


def test_joins_beyond_the_limit_are_refused() -> None:
    """At once, or after the third packet; with reason 3 in version 1."""
    for late in (False, True):
        play = Play(accepts=1, refuses_late=late).open()
        number = play.join()
        resets = [each for each in play.sent if each.flags & RST]
        assert resets[0].options == (MpTcprst(reason=3),)
        assert play.world.subflows[number].path.outcome == "refused"
        assert ("S07" if late else "S03") in play.transitions
