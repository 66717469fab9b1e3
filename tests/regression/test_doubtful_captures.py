"""Captures that allow more than one reading: both sides say the same, and neither says too much.

Each case was found by the equation of facts and observable truth, and is written here as the
smallest conversation that shows it.
"""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.generators.emit import emit

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.observable import observable
from mptcp_oracle.model.trace import ACK, FIN, PSH, RST, SYN, Mapping, Range
from mptcp_oracle.options import Dss, MpCapable, MpPrio, RemoveAddr
from tests.common.agreement import differences
from tests.common.labelled import KEYS, START, Script


def agreed(capture: Capture) -> list[Fact]:
    """The facts of a capture, of which the model says the same."""
    with analyze(emit(capture)) as trace:
        facts = list(trace.facts())
    assert differences(facts, observable(capture)) == []
    return facts


def of(facts: list[Fact], kind: str, at: int = 0) -> Fact:
    """One fact of a kind, by its place."""
    return [fact for fact in facts if fact["fact"] == kind][at]


def opened(**settings: bool) -> tuple[Script, int]:
    """A connection after its handshake."""
    script = Script(**settings)
    flow = script.flow()
    script.handshake(flow)
    return script, flow


def test_third_packet_of_a_join_shows_both_initial_sequence_numbers() -> None:
    """Nothing but the third packet of a join is needed, for it comes before any data."""
    script, first = opened()
    script.data(first, 0, 10)
    join = script.flow()
    script.join(join)
    script.data(join, 1, 20)
    subflow = of(agreed(script.capture(without=(4, 5))), "subflow", 1)
    assert [subflow[end]["isn_from"] for end in ("source", "destination")] == ["handshake"] * 2


def test_third_packet_sent_again_after_data_shows_no_initial_sequence_number() -> None:
    """An initiator may repeat MP_CAPABLE until data comes back, at a later sequence number."""
    script, flow = opened()
    script.data(flow, 0, 30)
    script.send(flow, 0, options=script.segments[2].options)
    facts = agreed(script.capture(only=(4,)))
    assert of(facts, "subflow")["source"]["isn"] is None
    assert of(facts, "subflow")["destination"]["isn_from"] == "handshake"


def test_mapping_that_begins_inside_its_segment_places_nothing() -> None:
    """The segment ends one mapping and carries the next: it does not begin where that does."""
    script, flow = opened()
    whole = Mapping(sequence=1, dsn=1, octets=60)
    script.data(flow, 0, 40, mapping=whole)
    late = Mapping(sequence=61, dsn=61, octets=60)
    number = script.data(flow, 0, 40, mapping=late)
    script.relabel(number, ranges=(
        Range(sequence=41, octets=20, dsn=41), Range(sequence=61, octets=20, dsn=61),
    ))  # fmt: skip
    facts = agreed(script.capture(only=(3, 4)))
    assert of(facts, "subflow")["source"]["isn"] is None
    assert of(facts, "segment")["unknown"]["dsn"]
    assert of(agreed(script.capture()), "segment", 4)["ranges"][1]["dsn"] == 61


def test_two_filled_mappings_show_the_initial_sequence_number() -> None:
    """One mapping as long as its segment may be chance, two that agree are not."""
    script, flow = opened()
    script.data(flow, 0, 40)
    script.data(flow, 0, 25)
    alone = of(agreed(script.capture(only=(3,))), "subflow")["source"]
    both = of(agreed(script.capture(only=(3, 4))), "subflow")["source"]
    assert (alone["isn"], both["isn"], both["isn_from"]) == (None, 1_000, "mappings")


def test_first_data_on_the_initial_subflow_need_not_be_the_first_of_all() -> None:
    """What a joined subflow carried before is no wrong IDSN."""
    script, first = opened()
    script.data(first, 0, 10)
    join = script.flow()
    script.join(join)
    script.data(join, 1, 50)
    script.data(first, 1, 30)
    facts = agreed(script.capture())
    assert of(facts, "connection")["mismatches"] == []
    assert of(facts, "connection")["notes"] == []


def test_join_that_carried_data_was_not_refused() -> None:
    """A RST at the end refuses nothing, though no other frame of its sender is there."""
    script, first = opened()
    script.data(first, 0, 10)
    join = script.flow()
    script.join(join)
    script.data(join, 0, 50)
    script.reset(join, 1)
    facts = agreed(script.capture(without=(7,)))
    assert of(facts, "subflow", 1)["join"]["result"] == "valid"
    assert of(facts, "subflow", 1)["established"]


def test_syn_alone_only_offers_a_version() -> None:
    """Where the answer is missing the version may be the one offered or a lower one."""
    script, flow = opened()
    script.data(flow, 0, 10)
    assert of(agreed(script.capture(only=(0, 3))), "connection")["version"] is None
    assert of(agreed(script.capture(only=(0,))), "connection")["version"] == 1


def test_equal_acks_of_two_taps_are_told_apart_by_their_packets() -> None:
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
    facts = agreed(replace(capture, frames=(*capture.frames, *far)))
    found = [fact["duplicate"] for fact in facts if fact["fact"] == "segment"]
    assert found == [False] * 6 + [True] * 2


def test_capture_at_both_ends_has_no_vantage() -> None:
    """Frames that say that they were sent, and others that they were received, at each end."""
    script, flow = opened()
    script.data(flow, 0, 10)
    frames: list[Frame] = []
    for frame in script.capture().frames:
        assert isinstance(frame, Frame)
        near = replace(frame, outgoing=True, interface=frame.segment.host)
        far = replace(frame, outgoing=False, interface=1 - frame.segment.host, again=True, hops=2)
        frames += [near, replace(far, time=frame.time + 400_000)]
    capture = replace(script.capture(layout=Layout(directions=True)), frames=tuple(frames))
    subflow = of(agreed(capture), "subflow")
    assert (subflow["vantage"], subflow["vantage_known"]) == (None, False)


def test_plain_acks_are_no_fallback_at_the_third_packet() -> None:
    """The third packet may be missing, and so may everything else with an option."""
    script, flow = opened()
    script.data(flow, 1, 10)
    script.send(flow, 0)
    script.send(flow, 0, FIN | ACK)
    facts = agreed(script.capture(only=(0, 1, 4, 5)))
    assert of(facts, "connection")["fallback"] is None


def test_reset_that_acknowledges_plain_data_is_no_fallback() -> None:
    """A host may acknowledge payload without mapping in the RST by which it refuses it."""
    script, flow = opened()
    script.plain(flow, 0, 10)
    script.relabel(3, ranges=(Range(sequence=1, octets=10, dsn=1),))
    script.send(flow, 1, RST | ACK)
    connection = of(agreed(script.capture()), "connection")
    assert (connection["state"], connection["fallback"]) == ("open", None)
    assert of(agreed(script.capture()), "segment", 3)["unknown"]["dsn"]


def test_plain_first_payload_that_is_acknowledged_is_a_fallback() -> None:
    """Both hosts go on in plain TCP from the first octet."""
    script, flow = opened()
    script.connection = replace(script.connection, fallback="no_mapping")
    script.plain(flow, 0, 10, ranges=(Range(sequence=1, octets=10, dsn=None, cause="unmapped"),))
    script.send(flow, 1)
    connection = of(agreed(script.capture()), "connection")
    assert (connection["fallback"], connection["state_frame"]) == ("no_mapping", 4)
    assert connection["initiator"]["octets"] == 10


def test_sequence_numbers_may_or_may_not_count_data_on_the_syn() -> None:
    """Mappings that fill their segments tell which (RFC 8684 section 3.3.1, appendix B)."""
    for counted in (0, 5):
        script = Script()
        flow = script.flow(syn_data=(5, 0))
        early = (Range(sequence=1, octets=5, dsn=None, cause="unmapped"),)
        script.send(flow, 0, SYN, options=(MpCapable(version=1),), payload=b"early", ranges=early)
        script.send(flow, 1, SYN | ACK, options=(MpCapable(version=1, sender_key=KEYS[1]),))
        third = MpCapable(version=1, sender_key=KEYS[0], receiver_key=KEYS[1])
        script.send(flow, 0, options=(third,))
        option = Dss.of(dsn=script.absolute(0, 1), ssn=1 + counted, dll=20)
        script.send(
            flow, 0, ACK | PSH, payload=bytes(20), options=(option,),
            mapping=Mapping(sequence=6, dsn=1, octets=20),
            ranges=(Range(sequence=6, octets=20, dsn=1),),
        )  # fmt: skip
        ranges = of(agreed(script.capture()), "segment", 3)["ranges"]
        assert [(each["sequence"], each["dsn"]) for each in ranges] == [(6, 1)]


def test_priority_of_a_withdrawn_address_still_counts() -> None:
    """A version 0 MP_PRIO may reach the tap after the REMOVE_ADDR of the address that it names."""
    script = Script(version=0)
    first = script.flow()
    script.handshake(first)
    script.data(first, 0, 10)
    join = script.flow(address_ids=(255, 1))
    script.join(join)
    script.ack(first, 0, RemoveAddr(address_ids=(255,)))
    script.ack(first, 0, MpPrio(backup=True, address_id=255))
    assert of(agreed(script.capture()), "subflow", 1)["source"]["backup"] is True


def test_plain_payload_after_data_on_the_syn_is_a_fallback() -> None:
    """The first payload that a mapping could cover is the one behind the accepted SYN data."""
    script = Script()
    script.connection = replace(script.connection, fallback="third_packet")
    flow = script.flow(syn_data=(5, 0))
    early = (Range(sequence=1, octets=5, dsn=None, cause="unmapped"),)
    script.send(flow, 0, SYN, options=(MpCapable(version=1),), payload=b"early", ranges=early)
    script.send(flow, 1, SYN | ACK, options=(MpCapable(version=1, sender_key=KEYS[1]),))
    script.send(flow, 0)
    script.plain(flow, 0, 10, ranges=(Range(sequence=6, octets=10, dsn=None, cause="unmapped"),))
    script.send(flow, 1)
    connection = of(agreed(script.capture()), "connection")
    assert (connection["fallback"], connection["state_frame"]) == ("third_packet", 3)
