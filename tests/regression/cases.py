"""The cases of the regression corpus: conversations on which the analyzer once was wrong.

Each function is the smallest conversation that shows one, found by the equation of facts and
observable truth; its name with hyphens is the slug of its files in ``corpus/regression``, its
docstring the reason in the index. The tests read the files; these functions are for renewing them:

    python -m tests.regression
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from mptcp_oracle import crypto
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.trace import ACK, FIN, PSH, RST, SYN, Endpoint, Mapping, Range
from mptcp_oracle.options import Dss, MpCapable, MpJoinSyn, MpPrio, RemoveAddr
from tests.common.labelled import KEYS, START, Script

__all__ = ["CASES", "opened", "slug_of"]

Case = Callable[[], Capture]
CASES: dict[str, Case] = {}


def slug_of(build: Case) -> str:
    """The name of a case's files."""
    return build.__name__.replace("_", "-")


def case(build: Case) -> Case:
    """List a case."""
    CASES[slug_of(build)] = build
    return build


def opened() -> tuple[Script, int]:
    """A connection after its handshake."""
    script = Script()
    flow = script.flow()
    script.handshake(flow)
    return script, flow


def syn_with_data(octets: int, accepted: int, **fields: str) -> tuple[Script, int]:
    """A SYN with data, and the SYN/ACK that accepts some of it."""
    script = Script()
    script.connection = replace(script.connection, **fields)
    flow = script.flow(syn_data=(accepted, 0))
    early = (Range(sequence=1, octets=octets, dsn=None, cause="unmapped"),)
    script.send(
        flow, 0, SYN, options=(MpCapable(version=1),), payload=b"early"[:octets], ranges=early
    )
    answer = MpCapable(version=1, sender_key=KEYS[1])
    script.send(flow, 1, SYN | ACK, ack=1 + accepted, options=(answer,))
    return script, flow


THIRD = MpCapable(version=1, sender_key=KEYS[0], receiver_key=KEYS[1])


@case
def third_packet_of_a_join() -> Capture:
    """SYN and SYN/ACK of a join are missing: its third packet comes before any data, and shows
    both initial sequence numbers.
    """
    script, first = opened()
    script.data(first, 0, 10)
    join = script.flow()
    script.join(join)
    script.data(join, 1, 20)
    return script.capture(without=(4, 5))


@case
def third_packet_sent_again() -> Capture:
    """An initiator repeats MP_CAPABLE after data, at a later sequence number: nothing shows where
    its numbers begin.
    """
    script, flow = opened()
    script.data(flow, 0, 30)
    script.send(flow, 0, options=script.segments[2].options)
    return script.capture(only=(4,))


def _mapping_inside() -> Script:
    script, flow = opened()
    whole = Mapping(sequence=1, dsn=1, octets=60)
    script.data(flow, 0, 40, mapping=whole)
    late = Mapping(sequence=61, dsn=61, octets=60)
    number = script.data(flow, 0, 40, mapping=late)
    script.relabel(number, ranges=(
        Range(sequence=41, octets=20, dsn=41), Range(sequence=61, octets=20, dsn=61),
    ))  # fmt: skip
    return script


@case
def mapping_inside_its_segment() -> Capture:
    """A segment ends one mapping and carries the next: it does not begin where its mapping does,
    and so shows no initial sequence number.
    """
    return _mapping_inside().capture(only=(3, 4))


@case
def mapping_inside_after_handshake() -> Capture:
    """The same segment after a whole handshake: its second half lies under the new mapping."""
    return _mapping_inside().capture()


def _two_mappings() -> Script:
    script, flow = opened()
    script.data(flow, 0, 40)
    script.data(flow, 0, 25)
    return script


@case
def one_filled_mapping() -> Capture:
    """One mapping as long as its segment may be chance, and shows no initial sequence number."""
    return _two_mappings().capture(only=(3,))


@case
def two_filled_mappings() -> Capture:
    """Two mappings that fill their segments and agree show the initial sequence number."""
    return _two_mappings().capture(only=(3, 4))


@case
def first_data_on_a_join() -> Capture:
    """A joined subflow carried the first octets: the first mapping of the initial one begins later,
    which is no wrong IDSN.
    """
    script, first = opened()
    script.data(first, 0, 10)
    join = script.flow()
    script.join(join)
    script.data(join, 1, 50)
    script.data(first, 1, 30)
    return script.capture()


@case
def join_reset_after_data() -> Capture:
    """A join whose fourth packet is missing is reset after data: it was not refused."""
    script, first = opened()
    script.data(first, 0, 10)
    join = script.flow()
    script.join(join)
    script.data(join, 0, 50)
    script.reset(join, 1)
    return script.capture(without=(7,))


@case
def syn_and_data_without_answer() -> Capture:
    """The SYN offers a version, and its answer is missing: which was taken is not known."""
    script, flow = opened()
    script.data(flow, 0, 10)
    return script.capture(only=(0, 3))


@case
def syn_alone() -> Capture:
    """Nothing but a SYN: the version is the one that it offers."""
    script, flow = opened()
    script.data(flow, 0, 10)
    return script.capture(only=(0,))


@case
def equal_acks_at_two_taps() -> Capture:
    """Two packets with one header, each captured at both ends, are two and two duplicates."""
    script, flow = opened()
    script.data(flow, 0, 10)
    option = script.segments[script.ack(flow, 1, window=700)].options
    script.send(flow, 1, options=option, data_ack=11, window=700)
    capture = script.capture()
    far = [
        replace(frame, again=True, hops=3, interface=1, time=START + 20_000_000 + frame.time % 1000)
        for frame in capture.frames[4:]
        if isinstance(frame, Frame)
    ]
    return replace(capture, frames=(*capture.frames, *far))


@case
def taps_at_both_ends() -> Capture:
    """Some frames say that they were sent, others that they were received, at each end: such a
    capture has no vantage point.
    """
    script, flow = opened()
    script.data(flow, 0, 10)
    frames: list[Frame] = []
    for frame in script.capture().frames:
        assert isinstance(frame, Frame)
        near = replace(frame, outgoing=True, interface=frame.segment.host)
        far = replace(frame, outgoing=False, interface=1 - frame.segment.host, again=True, hops=2)
        frames += [near, replace(far, time=frame.time + 400_000)]
    return replace(script.capture(layout=Layout(directions=True)), frames=tuple(frames))


@case
def plain_acks_only() -> Capture:
    """Third packet and all other options of the initiator are missing, plain ACKs are there: they
    prove no fallback.
    """
    script, flow = opened()
    script.data(flow, 1, 10)
    script.send(flow, 0)
    script.send(flow, 0, FIN | ACK)
    return script.capture(only=(0, 1, 4, 5))


@case
def reset_acknowledges_plain_data() -> Capture:
    """A RST acknowledges the payload without mapping that it refuses: no fallback."""
    script, flow = opened()
    script.plain(flow, 0, 10)
    script.relabel(3, ranges=(Range(sequence=1, octets=10, dsn=1),))
    script.send(flow, 1, RST | ACK)
    return script.capture()


@case
def plain_first_payload() -> Capture:
    """The first payload has no option and is acknowledged: both hosts go on in plain TCP."""
    script, flow = opened()
    script.connection = replace(script.connection, fallback="no_mapping")
    script.plain(flow, 0, 10, ranges=(Range(sequence=1, octets=10, dsn=None, cause="unmapped"),))
    script.send(flow, 1)
    return script.capture()


def _after_syn_data(counted: int) -> Capture:
    script, flow = syn_with_data(5, 5)
    script.send(flow, 0, options=(THIRD,))
    script.send(
        flow, 0, ACK | PSH, payload=bytes(20),
        options=(Dss.of(dsn=script.absolute(0, 1), ssn=1 + counted, dll=20),),
        mapping=Mapping(sequence=6, dsn=1, octets=20),
        ranges=(Range(sequence=6, octets=20, dsn=1),),
    )  # fmt: skip
    return script.capture()


@case
def syn_data_counted() -> Capture:
    """Subflow sequence numbers of mappings count data on the SYN (RFC 8684 section 3.3.1)."""
    return _after_syn_data(5)


@case
def syn_data_not_counted() -> Capture:
    """Subflow sequence numbers of mappings do not count data on the SYN (RFC 8684 appendix B)."""
    return _after_syn_data(0)


@case
def priority_of_a_withdrawn_address() -> Capture:
    """A version 0 MP_PRIO reaches the tap after the REMOVE_ADDR of the address that it names."""
    script = Script(version=0)
    first = script.flow()
    script.handshake(first)
    script.data(first, 0, 10)
    join = script.flow(address_ids=(255, 1))
    script.join(join)
    script.ack(first, 0, RemoveAddr(address_ids=(255,)))
    script.ack(first, 0, MpPrio(backup=True, address_id=255))
    return script.capture()


@case
def plain_payload_after_syn_data() -> Capture:
    """The first payload that a mapping could cover is the one behind the accepted SYN data; it is
    plain.
    """
    script, flow = syn_with_data(5, 5, fallback="third_packet")
    script.send(flow, 0)
    script.plain(flow, 0, 10, ranges=(Range(sequence=6, octets=10, dsn=None, cause="unmapped"),))
    script.send(flow, 1)
    return script.capture()


@case
def refused_syn_data_sent_again() -> Capture:
    """Part of the SYN's data was accepted, and the rest is sent again in plain TCP: nothing of that
    is new to the capture, but it is the first payload that a mapping could cover.
    """
    script, flow = syn_with_data(5, 2, fallback="third_packet")
    script.send(flow, 0, sequence=3)
    again = (Range(sequence=3, octets=3, dsn=None, cause="unmapped"),)
    script.plain(flow, 0, 3, sequence=3, ranges=again)
    script.send(flow, 1)
    return script.capture()


@case
def first_mapping_after_unknown_syn_data() -> Capture:
    """The SYN/ACK is missing, and with it how much of the SYN's data was accepted; the mapping of
    MP_CAPABLE begins after that, and does not fill its segment: its place is not known.
    """
    script, flow = syn_with_data(5, 5)
    first = Mapping(sequence=6, dsn=1, octets=30)
    script.send(
        flow, 0, ACK | PSH, payload=bytes(10), options=(replace(THIRD, data_length=30),),
        mapping=first, ranges=(Range(sequence=6, octets=10, dsn=1),),
    )  # fmt: skip
    script.send(
        flow, 0, ACK | PSH, sequence=36, payload=bytes(20),
        options=(Dss.of(dsn=script.absolute(0, 31), ssn=36, dll=20),),
        mapping=Mapping(sequence=36, dsn=31, octets=20),
        ranges=(Range(sequence=36, octets=20, dsn=31),),
    )  # fmt: skip
    return script.capture(without=(1,))


@case
def first_mapping_without_its_syn() -> Capture:
    """SYN and SYN/ACK are missing. Mappings show the initial sequence number, but not that the
    mapping of MP_CAPABLE begins behind data of the SYN.
    """
    script, flow = syn_with_data(5, 5)
    first = Mapping(sequence=6, dsn=1, octets=30)
    script.send(
        flow, 0, ACK | PSH, payload=bytes(10), options=(replace(THIRD, data_length=30),),
        mapping=first, ranges=(Range(sequence=6, octets=10, dsn=1),),
    )  # fmt: skip
    for at in (36, 56):
        script.send(
            flow, 0, ACK | PSH, sequence=at, payload=bytes(20),
            options=(Dss.of(dsn=script.absolute(0, at - 5), ssn=at, dll=20),),
            mapping=Mapping(sequence=at, dsn=at - 5, octets=20),
            ranges=(Range(sequence=at, octets=20, dsn=at - 5),),
        )  # fmt: skip
    return script.capture(without=(0, 1))


@case
def infinite_mapping_in_a_cut_header() -> Capture:
    """The snap length cuts long options, and so an infinite mapping: later payload without one
    is no fallback that the capture shows.
    """
    script, flow = opened()
    script.connection = replace(script.connection, fallback="infinite_mapping")
    script.data(flow, 0, 10)
    endless = Mapping(sequence=11, dsn=11, octets=0, infinite=True)
    option = Dss.of(
        data_ack=script.absolute(1, 1), data_ack_size=8,
        dsn=script.absolute(0, 11), dsn_size=8, ssn=11, dll=0,
    )  # fmt: skip
    ranges = (Range(sequence=11, octets=20, dsn=11),)
    script.send(
        flow, 0, ACK | PSH, payload=bytes(20), options=(option,), mapping=endless, data_ack=1,
        ranges=ranges,
    )  # fmt: skip
    script.plain(flow, 0, 30, ranges=(Range(sequence=31, octets=30, dsn=31),))
    script.send(flow, 1)
    return script.capture(layout=Layout(snap_length=14 + 20 + 20 + 24))


@case
def fallback_behind_data_of_a_missing_syn() -> Capture:
    """The SYN, which had data, is missing: numbers count from what the SYN/ACK acknowledges, and
    the first payload behind that shows the fallback, not the other host's answer.
    """
    script, flow = syn_with_data(5, 5, fallback="infinite_mapping")
    script.send(flow, 0, options=(THIRD,))
    script.plain(flow, 0, 40)
    script.plain(flow, 1, 30)
    script.send(flow, 0)
    return script.capture(without=(0,))


@case
def refusal_with_numbers_near_those_before() -> Capture:
    """A join is refused on the endpoints of one before, whose numbers were near: the RST says by
    its acknowledgment whose it is.
    """
    script, first = opened()
    script.data(first, 0, 10)
    ends = tuple(
        Endpoint(address=ip_address(f"10.0.9.{host + 1}"), port=40_000 + host) for host in (0, 1)
    )
    join = script.flow(ends=ends)
    script.join(join)
    script.data(join, 0, 50)
    script.reset(join, 1)
    again = script.flow(
        ends=ends, isns=(960, 0xFFFF_FF00), nonces=(1, 2), outcome="refused", address_ids=(3, 3)
    )
    truth, token = script.subflows[again], crypto.token(KEYS[1], 1)
    option = MpJoinSyn(address_id=3, token=token, nonce=truth.nonces[0])
    script.send(again, 0, SYN, options=(option,))
    script.reset(again, 1)
    return script.capture()


@case
def fallback_in_data_of_a_syn() -> Capture:
    """Most data of the SYN was not accepted; sent again, its end has no mapping, which shows the
    fallback before any octet that is new.
    """
    script, flow = syn_with_data(5, 2, fallback="no_mapping")
    again = Range(sequence=3, octets=1, dsn=1, cause="retransmission")
    script.send(
        flow, 0, ACK | PSH, sequence=3, payload=b"r", ranges=(again,),
        options=(replace(THIRD, data_length=1),), mapping=Mapping(sequence=3, dsn=1, octets=1),
    )  # fmt: skip
    rest = Range(sequence=4, octets=2, dsn=None, cause="retransmission")
    script.send(flow, 0, ACK | PSH, sequence=4, payload=b"ly", ranges=(rest,))
    script.send(flow, 1)
    script.plain(flow, 0, 40, ranges=(Range(sequence=6, octets=40, dsn=None, cause="unmapped"),))
    script.send(flow, 1)
    return script.capture()
