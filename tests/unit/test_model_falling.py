"""How the model falls back to plain TCP, and what a middlebox does to it."""

from __future__ import annotations

import pytest

from mptcp_oracle.encode import encode
from mptcp_oracle.model.choices import Counted
from mptcp_oracle.model.enabling import acts, enabled
from mptcp_oracle.model.events import (
    Acknowledge,
    Alter,
    Close,
    Connect,
    Copy,
    Deliver,
    Event,
    FastClose,
    Lose,
    Remap,
    Retransmit,
    Send,
)
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.step import step, truths
from mptcp_oracle.model.tables import TRANSITIONS
from mptcp_oracle.model.trace import RST, Mapping, Range
from mptcp_oracle.model.turn import IllegalEvent
from mptcp_oracle.model.varying import vary
from mptcp_oracle.model.world import PLAIN, opening
from mptcp_oracle.options import Dss, MpFail, MpTcprst
from tests.common.modelled import Play


def _states(play: Play) -> list[str]:
    return [host.state for host in play.world.hosts]


def _numbers(play: Play) -> list[int]:
    return [segment.number for segment in play.world.flight]


def test_a_listener_without_mptcp_answers_plainly() -> None:
    """The session is plain TCP, and its data lies under no mapping."""
    play = Play(answers=None)
    play.do(Connect())
    play.arrive()
    (segment,) = play.do(Send(host=0, subflow=0, octets=5))
    assert segment.ranges == (Range(sequence=1, octets=5, dsn=None, cause="unmapped"),)
    assert all(not each.options for each in play.sent[1:])
    assert _states(play) == ["TCP", "TCP"]
    truth = truths(play.world)[0]
    assert (truth.fallback, truth.fallback_shown) == ("synack", (frozenset({0, 1}),))


def test_a_syn_may_be_given_up() -> None:
    """The next SYN goes without MP_CAPABLE (RFC 8684 section 3.9.3)."""
    play = Play()
    play.do(Connect())
    play.do(Lose(number=0))
    (plain,) = play.do(Retransmit(host=0, subflow=0, plain=True))
    assert plain.options == ()
    play.arrive()
    truth = truths(play.world)[0]
    assert (truth.fallback, truth.fallback_shown) == ("syn", (frozenset({0, 1, 2}),))


def test_a_version_that_is_too_low_ends_mptcp() -> None:
    """The third packet is plain, and so is all that follows."""
    play = Play(answers=0, lowest=1)
    play.do(Connect())
    play.arrive()
    assert _states(play) == ["TCP", "TCP"]
    assert truths(play.world)[0].fallback == "third_packet"


def test_a_stripped_third_packet_ends_mptcp() -> None:
    """The initiator finds out when its data is acknowledged without DATA_ACK (C07, C10, C35)."""
    play = Play()
    play.do(Connect())
    for number in (0, 1):
        play.do(Deliver(number=number))
    play.do(Alter(number=2))
    play.arrive()
    play.do(Send(host=0, subflow=0, octets=9))
    play.arrive()
    play.do(Acknowledge(host=1, subflow=0))
    play.arrive()
    assert _states(play) == ["M_INF", "TCP"]
    (last,) = play.do(Send(host=0, subflow=0, octets=9))
    option = last.options[0]
    assert isinstance(option, Dss)
    assert option.dll == 0
    assert last.ranges == (Range(sequence=10, octets=9, dsn=10),)
    (bare,) = play.do(Send(host=0, subflow=0, octets=9))
    assert (bare.options, bare.ranges[0].dsn) == ((), 19)


def test_a_stripped_mapping_ends_mptcp_on_the_only_subflow() -> None:
    """The receiver is plain TCP from then on (C11)."""
    play = Play()
    play.do(Connect())
    play.arrive()
    (data,) = play.do(Send(host=0, subflow=0, octets=9))
    play.do(Alter(number=data.number))
    play.arrive()
    assert _states(play) == ["M_ESTAB_NEW", "TCP"]
    assert truths(play.world)[0].fallback == "no_mapping"


@pytest.mark.parametrize("what", ["data", "ack"])
def test_a_joined_subflow_that_strips_options_is_reset(what: str) -> None:
    """With reason 6, middlebox interference (S10, S11)."""
    play = Play().open()
    number = play.join()
    play.do(Send(host=0, subflow=number, octets=9))
    if what == "ack":
        play.arrive()
        play.do(Acknowledge(host=1, subflow=number))
    play.do(Alter(number=_numbers(play)[0]))
    play.arrive()
    reset = next(each for each in play.sent if each.flags & RST)
    assert reset.options == (MpTcprst(reason=6),)
    assert ("S11" if what == "data" else "S10") in play.transitions
    assert _states(play) == ["M_ESTAB", "M_ESTAB"]


def test_a_wrong_checksum_on_the_only_subflow() -> None:
    """MP_FAIL, an MP_FAIL back, an infinite mapping, plain TCP (C32, C33, C38, C35)."""
    play = Play(checksum=(True, False)).open()
    (data,) = play.do(Send(host=0, subflow=0, octets=9))
    play.do(Alter(number=data.number, octet=4))
    play.do(Deliver(number=data.number))
    fail = play.sent[-1].options[-1]
    assert isinstance(fail, MpFail)
    assert fail.dsn == play.host(0).base + 11
    assert play.host(1).rcv_nxt == 11
    play.arrive()
    assert _states(play) == ["M_INF", "M_INF"]
    (segment,) = play.do(Send(host=0, subflow=0, octets=5, repeat=False))
    assert segment.mapping == Mapping(sequence=20, dsn=20, octets=0, infinite=True, checksum=True)
    play.arrive()
    play.do(Close(host=0, subflow=0))
    assert truths(play.world)[0].fallback == "infinite_mapping"


def test_an_infinite_mapping_may_begin_with_the_last_intact_data() -> None:
    """It then acts retroactively (RFC 8684 section 3.7)."""
    play = Play(checksum=(True, False), version=0, answers=0).open()
    (data,) = play.do(Send(host=0, subflow=0, octets=9))
    play.do(Alter(number=data.number, octet=4))
    play.arrive()
    assert _states(play) == ["M_INF", "M_FAIL_SENT"]
    (segment,) = play.do(Send(host=0, subflow=0, octets=5))
    assert segment.mapping == Mapping(sequence=1, dsn=1, octets=0, infinite=True, checksum=True)
    assert segment.ranges == (Range(sequence=20, octets=5, dsn=20),)
    play.arrive()
    assert _states(play) == ["TCP", "M_INF"]


def test_only_the_segment_with_the_infinite_mapping_is_sent_again_with_it() -> None:
    """What followed it had no MPTCP options, and has none when sent again (section 3.7)."""
    play = Play(checksum=(True, False)).open()
    (data,) = play.do(Send(host=1, subflow=0, octets=9))
    play.do(Alter(number=data.number, octet=4))
    play.arrive()
    first = play.do(Send(host=1, subflow=0, octets=5, repeat=False))[0]
    second = play.do(Send(host=1, subflow=0, octets=5))[0]
    again = [
        play.do(Retransmit(host=1, subflow=0, sequence=each.sequence))[0]
        for each in (first, second)
    ]
    assert [each.options for each in again] == [first.options, ()]


def test_a_fast_close_ends_a_connection_that_is_falling_back() -> None:
    """It is answered by a RST also after MP_FAIL was sent (section 3.5)."""
    play = Play(checksum=(True, False)).open()
    (data,) = play.do(Send(host=0, subflow=0, octets=9))
    play.do(Alter(number=data.number, octet=4))
    play.do(Deliver(number=data.number))
    assert play.host(1).state == "M_FAIL_SENT"
    (last,) = play.do(FastClose(host=0, subflow=0))
    play.do(Deliver(number=last.number))
    assert play.host(1).state == "M_CLOSED"
    assert play.sent[-1].flags & 4


def test_a_wrong_checksum_on_one_of_two_subflows() -> None:
    """The subflow is reset with MP_FAIL, and its data comes over the other (S13)."""
    play = Play(checksum=(True, False)).open()
    number = play.join()
    (data,) = play.do(Send(host=0, subflow=number, octets=9))
    play.do(Alter(number=data.number, octet=0, flip=7))
    play.arrive()
    reset = next(each for each in play.sent if each.flags & RST)
    assert reset.options == (MpFail(dsn=play.host(0).base + 11), MpTcprst(reason=6))
    play.do(next(event for event in acts(play.world) if isinstance(event, Copy)))
    play.arrive()
    assert play.host(1).rcv_nxt == 20


def test_data_on_a_syn_lies_outside_the_stream() -> None:
    """What the listener accepts is never mapped; the first data after it has DSN 1."""
    play = Play(fast_open=20)
    (syn,) = play.do(Connect(data=20))
    play.arrive()
    (segment,) = play.do(Send(host=0, subflow=0, octets=5))
    assert len(syn.payload) == 20
    assert segment.mapping == Mapping(sequence=21, dsn=1, octets=5, by_capable=True)
    assert truths(play.world)[1][0].syn_data == (20, 0)


def test_data_on_a_syn_that_was_not_accepted_is_sent_again() -> None:
    """With a mapping, at the same sequence numbers, and the same octets."""
    play = Play(fast_open=5)
    (syn,) = play.do(Connect(data=20))
    play.arrive()
    (segment,) = play.do(Send(host=0, subflow=0, octets=30))
    assert segment.payload[:15] == syn.payload[5:]
    causes = [(each.octets, each.dsn, each.cause) for each in segment.ranges]
    assert causes == [(15, 1, "retransmission"), (15, 16, "new")]
    play.arrive()
    assert play.host(1).rcv_nxt == 31


def test_what_a_syn_carried_in_vain_comes_first() -> None:
    """Its octets are the first of the stream, at the sequence numbers that they had (B.2)."""
    play = Play(fast_open=10)
    play.do(Connect(data=30))
    play.arrive()
    play.do(Send(host=0, subflow=0, octets=5))
    play.arrive()
    play.do(Acknowledge(host=1, subflow=0))
    play.arrive()
    number = play.join()
    for event in (
        Send(host=0, subflow=number, octets=4),
        Remap(host=0, subflow=0, at=1, octets=5),
    ):
        with pytest.raises(IllegalEvent):
            play.do(event)
    syn = play.sent[0].payload
    (segment,) = play.do(Send(host=0, subflow=0, octets=15))
    assert segment.payload == syn[15:]
    play.do(Send(host=0, subflow=number, octets=4))


def test_nothing_is_altered_that_is_not_there() -> None:
    """A middlebox needs a segment in flight, with options or with such an octet."""
    play = Play(answers=None)
    play.do(Connect())
    play.do(Deliver(number=0))
    for event in (Alter(number=0), Alter(number=1), Alter(number=1, octet=0)):
        with pytest.raises(IllegalEvent):
            play.do(event)


@pytest.mark.parametrize("seed", range(20))
def test_walks_past_a_middlebox_end_in_no_return(seed: int) -> None:
    """A host in plain TCP never sends an MPTCP option, its infinite mapping aside."""
    choices = Counted(seed, "middlebox")
    settings = Settings(
        version=seed % 2, answers=seed % 2, checksum=(seed % 3 > 0, False), middlebox=True,
        fast_open=30 * (seed % 5), seed=seed,
    )  # fmt: skip
    world = opening(settings)
    for now in range(120):
        events: list[tuple[int, Event]] = [
            (10 if isinstance(event, Deliver | Send) else 1, event) for event in enabled(world)
        ]
        if not events:
            break
        outcome = step(world, vary(world, choices.weighted(events), choices), now)
        assert set(outcome.transitions) <= TRANSITIONS.keys()
        for segment in outcome.sent:
            for option in segment.options:
                encode(option)
            if world.hosts[segment.host].state == "TCP":
                assert not segment.options or (segment.mapping and segment.mapping.infinite)
        for before, after in zip(world.hosts, outcome.world.hosts, strict=True):
            assert after.state in PLAIN or before.state not in PLAIN
        world = outcome.world
    truths(world)


def test_a_listener_may_answer_data_on_a_syn_before_it_has_the_keys() -> None:
    """Its data then has a mapping but no DATA_ACK (RFC 8684 appendix B, erratum 6609)."""
    play = Play(fast_open=20)
    play.do(Connect(data=20))
    play.do(Deliver(number=0))
    (early,) = play.do(Send(host=1, subflow=0, octets=8))
    assert (early.data_ack, early.mapping) == (None, Mapping(sequence=1, dsn=1, octets=8))
    play.arrive()
    assert not play.host(0).peer_knows
    assert play.host(0).rcv_nxt == 9
    play.do(Send(host=0, subflow=0, octets=8))
    play.arrive()
    assert play.host(1).state == "M_ESTAB"


def test_a_plain_syn_gets_no_mp_capable_in_answer() -> None:
    """If another SYN with MP_CAPABLE came before it, the third packet decides."""
    play = Play()
    play.do(Connect())
    play.do(Deliver(number=0))
    (plain,) = play.do(Retransmit(host=0, subflow=0, plain=True))
    assert play.do(Deliver(number=plain.number)) == ()
    play.arrive()
    assert _states(play) == ["TCP", "TCP"]
    assert truths(play.world)[0].fallback == "third_packet"
