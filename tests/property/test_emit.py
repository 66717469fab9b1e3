"""Patched packets are the packets that scapy builds from nothing, whatever is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mptcp_oracle.generators import emit
from mptcp_oracle.generators.packets import Build, Template, Way

from mptcp_oracle.encode import encode
from mptcp_oracle.model.capture import FORMATS, LINKS, Capture, Frame, Layout
from mptcp_oracle.model.tcp_options import OptionSpace
from mptcp_oracle.model.trace import (
    ConnectionTruth,
    Delivery,
    Endpoint,
    HostTruth,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import Option
from tests.common.layouts import placed_options
from tests.common.plain_captures import capture_of, conversation, trace_of

TAGGABLE = ("ethernet", "sll", "sll2")
BILLION = 1_000_000_000


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any layout that can be written."""
    link = draw(st.sampled_from(LINKS))
    tags = st.lists(st.integers(0, 4095), max_size=3).map(tuple)
    return Layout(
        file=draw(st.sampled_from(FORMATS)),
        link=link,
        nanoseconds=draw(st.booleans()),
        big_endian=draw(st.booleans()),
        snap_length=draw(st.sampled_from((262_144, 2_000, 96, 1)) | st.integers(1, 400)),
        vlans=draw(tags) if link in TAGGABLE else (),
        tunnel=draw(st.sampled_from(("", "gre", "vxlan", "ipip"))),
        timestamps=draw(st.booleans()),
        directions=draw(st.booleans()),
        timestamp_first=draw(st.booleans()),
    )


@st.composite
def options(draw: st.DrawFn) -> tuple[Option, ...]:
    """Up to three MPTCP options that fit in a header together."""
    drawn = [each[0] for each in draw(st.lists(placed_options(), max_size=3))]
    while sum(len(encode(each)) for each in drawn) > 40:
        drawn.pop()
    return tuple(drawn)


@st.composite
def endpoints(draw: st.DrawFn) -> tuple[Endpoint, Endpoint]:
    """Two ends of one IP version."""
    address = st.ip_addresses(v=draw(st.sampled_from((4, 6))))
    end = st.builds(Endpoint, address=address, port=st.integers(0, 65_535))
    return draw(end), draw(end)


SENT = st.builds(
    Sent,
    number=st.just(0),
    time=st.integers(0, BILLION),
    subflow=st.just(0),
    host=st.sampled_from((0, 1)),
    sequence=st.integers(0, 1 << 33),
    ack=st.none() | st.integers(0, 1 << 33),
    flags=st.integers(0, 0x1FF),
    window=st.integers(0, 0xFFFF),
    urgent=st.integers(0, 0xFFFF),
    options=options(),
    payload=st.binary(max_size=300),
)
FRAME = st.builds(
    Frame,
    segment=SENT,
    time=st.integers(0, (1 << 32) * BILLION - 1),
    ip_id=st.none() | st.integers(0, 0xFFFF),
    hops=st.integers(0, 63),
    interface=st.integers(0, 3),
    outgoing=st.sampled_from((None, False, True)),
)


@st.composite
def captures(draw: st.DrawFn) -> Capture:
    """A capture of a few unrelated segments of one subflow."""
    frames = draw(st.lists(FRAME, min_size=1, max_size=4))
    word = st.integers(0, 0xFFFF_FFFF)
    host = HostTruth(key=1, checksum=False, c_flag=False, base=0)
    trace = Trace(
        connections=(ConnectionTruth(number=0, version=1, hosts=(host, host)),),
        subflows=(
            SubflowTruth(
                number=0,
                connection=0,
                initial=True,
                opener=0,
                ends=draw(endpoints()),
                isns=(draw(word), draw(word)),
            ),
        ),
        segments=tuple(each.segment for each in frames),
        deliveries=tuple(Delivery(time=each.segment.time, segment=each.segment) for each in frames),
    )
    return Capture(trace=trace, frames=tuple(frames), layout=draw(layouts()))


def check(capture: Capture) -> None:
    """Every packet is scapy's, cut at the snap length, at the time that the file can say."""
    layout = capture.layout
    spaces = OptionSpace(capture.trace, layout)
    found = list(emit.packets(capture))
    assert len(found) == len(capture.frames)
    for frame, (time, octets, length) in zip(capture.frames, found, strict=True):
        assert isinstance(frame, Frame)
        whole = emit.assemble(
            layout,
            emit.way_of(capture, frame),
            frame.segment,
            spaces.octets(frame.segment),
            frame.ip_id or 0,
        )
        assert length == len(whole)
        assert octets.hex() == whole[: layout.snap_length].hex()
        assert frame.time - time == (0 if layout.nanoseconds else frame.time % 1_000)


@settings(max_examples=60, deadline=None)
@given(captures())
def test_patched_packets_are_those_that_scapy_builds(capture: Capture) -> None:
    """For any layout, segment and options, patching gives what building the packet gives."""
    check(capture)


# --- the property can fail --------------------------------------------------------------------


def stale(at: int, size: int) -> Callable[[bytes, Template], bytes]:
    """Leaves ``size`` octets at an offset from the IP header as they were in the first packet."""

    def damage(packet: bytes, template: Template) -> bytes:
        begin = template.ip + at
        old = template.octets[begin : begin + size]
        return packet[:begin] + old + packet[begin + size :]

    return damage


def outer_length(packet: bytes, template: Template) -> bytes:
    """Leaves the length of a tunnel's IP header as it was."""
    assert template.outer is not None
    begin = template.outer + 2
    return packet[:begin] + template.octets[begin : begin + 2] + packet[begin + 2 :]


@pytest.mark.parametrize(
    ("damage", "tunnel"),
    [
        pytest.param(stale(20 + 16, 2), "", id="TCP checksum"),
        pytest.param(stale(10, 2), "", id="IP checksum"),
        pytest.param(stale(2, 2), "", id="IP length"),
        pytest.param(stale(20 + 4, 4), "", id="sequence number"),
        pytest.param(stale(20 + 12, 1), "", id="data offset"),
        pytest.param(outer_length, "vxlan", id="outer length"),
        pytest.param(lambda packet, _: packet[:-1], "", id="last octet"),
    ],
)
def test_a_patcher_that_forgets_a_field_is_found(
    damage: Callable[[bytes, Template], bytes], tunnel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The property fails if one field is not patched, such as the checksum."""
    real = emit.flow

    def broken(template: Template, way: Way, vlans: tuple[int, ...]) -> Build:
        build = real(template, way, vlans)
        return lambda segment, space, ip_id: damage(build(segment, space, ip_id), template)

    capture = capture_of(trace_of(conversation()), Layout(tunnel=tunnel))
    check(capture)
    monkeypatch.setattr(emit, "flow", broken)
    with pytest.raises(AssertionError):
        check(capture)


def test_a_sum_of_misplaced_octets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property fails if an odd last octet is summed up in the wrong half of its word."""
    capture = capture_of(trace_of(conversation()), Layout())
    monkeypatch.setattr(
        "mptcp_oracle.generators.packets._sum",
        lambda octets: int.from_bytes(octets, "big") % 0xFFFF,
    )
    even = replace(capture, frames=capture.frames[:3])
    check(even)
    with pytest.raises(AssertionError):
        check(capture)
