"""Captures that mislead everybody: the generator makes none."""

from __future__ import annotations

from mptcp_oracle.model.capture import Capture, Frame
from mptcp_oracle.model.misleading import honest
from mptcp_oracle.model.trace import Mapping, Range
from mptcp_oracle.options import Dss
from tests.common.labelled import Script


def shifted() -> Capture:
    """Three segments that end five octets before the mappings, and what is before is missing."""
    script = Script()
    flow = script.flow()
    script.handshake(flow)
    one = Mapping(sequence=1, dsn=1, octets=40)
    two = Mapping(sequence=41, dsn=41, octets=30)
    script.data(flow, 0, 20, mapping=one)
    script.data(flow, 0, 15, mapping=one)
    number = script.data(flow, 0, 10, mapping=two)
    script.relabel(number, ranges=(
        Range(sequence=36, octets=5, dsn=36), Range(sequence=41, octets=5, dsn=41),
    ))  # fmt: skip
    script.data(flow, 0, 20, mapping=two)
    return script.capture(without=(0, 1, 2, 3))


def numbers(capture: Capture) -> list[int]:
    """The segments that are left."""
    return [frame.segment.number for frame in capture.frames if isinstance(frame, Frame)]


def test_mappings_that_agree_on_a_wrong_place_are_left_out() -> None:
    """Their segments are together as long as they are, and begin where the one before ends."""
    assert numbers(shifted()) == [4, 5, 6]
    assert numbers(honest(shifted())) == [4, 5]


def test_a_fallback_that_never_was_is_left_out() -> None:
    """The mapping of plain payload was announced on an ACK that is missing."""
    script = Script(version=0)
    flow = script.flow()
    script.handshake(flow)
    ahead = Mapping(sequence=1, dsn=1, octets=20)
    option = Dss.of(dsn=script.absolute(0, 1), dsn_size=8, ssn=1, dll=20)
    script.send(flow, 0, options=(option,), mapping=ahead)
    script.plain(flow, 0, 20, ranges=(Range(sequence=1, octets=20, dsn=1),))
    script.send(flow, 1)
    whole = script.capture()
    assert honest(whole) is whole
    assert numbers(honest(script.capture(without=(3,)))) == [0, 1, 2, 5]


def test_honest_captures_stay_as_they_are() -> None:
    """With the handshake, and where nothing is inferred, nothing is left out."""
    script = Script()
    flow = script.flow()
    script.handshake(flow)
    script.data(flow, 0, 20)
    script.data(flow, 0, 20)
    for capture in (script.capture(), script.capture(only=(3, 4)), script.capture(only=(4,))):
        assert honest(capture) is capture
