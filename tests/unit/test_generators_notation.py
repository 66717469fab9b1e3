"""Traces and captures as text: every line can be read like a packetdrill script's."""

from __future__ import annotations

import re
from dataclasses import replace

from mptcp_oracle.generators.notation import lines, segment_text, text

from mptcp_oracle.model.capture import Capture, Layout, Noise
from mptcp_oracle.model.trace import Delivery, Trace
from tests.common.plain_captures import capture_of
from tests.common.script import story

LINE = re.compile(
    r" *\d+ [+-]\d+\.\d{6} s\d+ [<>] [FSRPUEW]*\.? "
    r"\d+:\d+\(\d+\)( ack \d+)? win \d+( <.*>)?( //.*)?"
)


def test_every_segment_is_one_line() -> None:
    """A trace has a line a segment behind the lines that say who is who."""
    trace = story()
    shown = list(lines(trace))
    said = [line for line in shown if not line.startswith("//")]
    assert len(said) == len(trace.segments)
    assert all(LINE.fullmatch(line) for line in said), shown
    assert len(shown) - len(said) == len(trace.connections) + len(trace.subflows)


def test_a_line_says_flags_numbers_options_and_truth() -> None:
    """The first lines of a plain story read as in a script, and data says its DSNs."""
    trace = story()
    assert segment_text(trace.segments[0]).startswith("> S 0:0(0) win ")
    assert "<mp_capable v1 flags [H]>" in segment_text(trace.segments[0])
    assert segment_text(trace.segments[1]).startswith("< S. 0:0(0) ack 1 win ")
    assert " // dsn 1:" in text(trace)


def test_what_became_of_a_segment_is_said() -> None:
    """Lost, doubled and altered segments are marked."""
    trace = story()
    first, second, third, *rest = trace.deliveries
    assert [each.segment.number for each in (first, second, third)] == [0, 1, 2]
    altered = Delivery(time=third.time, segment=replace(third.segment, options=()))
    other = replace(trace, deliveries=(second, second, altered, *rest))
    shown = [line for line in lines(other) if not line.startswith("//")]
    assert shown[0].endswith("never arrives")
    assert shown[1].endswith("arrives 2 times")
    assert shown[2].endswith("altered on the way")


def test_a_capture_is_shown_frame_by_frame() -> None:
    """Layout, vantage and defects stand above; other traffic, copies and interfaces beside."""
    whole = capture_of(story(), Layout(link="sll2"))
    frames = [*whole.frames, Noise(packet=bytes(28), time=whole.frames[-1].time)]
    frames[3] = replace(whole.frames[3], again=True, interface=2)
    changed = Capture(
        trace=whole.trace, frames=tuple(frames), layout=whole.layout, defects=("holes",)
    )
    shown = text(changed)
    assert shown.startswith("// pcapng, sll2; ")
    assert "defects: holes\n" in shown
    assert "28 octets of other traffic" in shown
    assert "the same packet again; interface 2\n" in shown


def test_an_empty_trace_has_no_lines() -> None:
    """Nothing happened, nothing is said."""
    assert text(Trace(connections=(), subflows=(), segments=(), deliveries=())) == ""
