"""What generated files say of themselves and of their packets, beyond the packets' octets."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import product

import pytest
from mptcp_oracle.generators.emit import LICENSE, emit, packets, write

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model.capture import LINKS, Capture, Frame, Layout, Noise
from mptcp_oracle.model.trace import ACK, Sent
from mptcp_oracle.options import Flaw, Malformed, MpJoinAck, RemoveAddr
from mptcp_oracle.version import __version__
from tests.common.plain_captures import BEGIN, capture_of, conversation, trace_of
from tests.common.reading import read

TAGS: dict[str, tuple[tuple[int, ...], ...]] = {
    link: ((), (7,), (8, 9)) if link in ("ethernet", "sll", "sll2") else ((),) for link in LINKS
}
TUNNELS = ("", "gre", "vxlan", "ipip")
ACKNOWLEDGMENT = Sent(
    number=0, time=0, subflow=0, host=0, sequence=1, ack=1, flags=ACK, window=1
)  # fmt: skip


def capture(layout: Layout | None = None, *, version: int = 4) -> Capture:
    """The conversation in a layout."""
    return capture_of(trace_of(conversation(), version=version), layout or Layout())


def of_one(segment: Sent, layout: Layout | None = None, *, version: int = 4) -> Capture:
    """A capture of one segment."""
    return capture_of(trace_of([segment], version=version), layout or Layout())


def shapes() -> Iterator[tuple[Layout, int]]:
    """Every link type with every tunnel and number of tags, and both IP versions."""
    for link in LINKS:
        for vlans, tunnel, version in product(TAGS[link], TUNNELS, (4, 6)):
            yield Layout(link=link, vlans=vlans, tunnel=tunnel), version


# --- the octets -------------------------------------------------------------------------------


def test_octets_never_change() -> None:
    """The packets of every shape are the octets that they have always been."""
    found = sha256()
    for (layout, version), stamps in product(shapes(), (False, True)):
        for time, octets, length in packets(
            capture(replace(layout, timestamps=stamps), version=version)
        ):
            found.update(struct.pack("<QII", time, len(octets), length) + octets)
    assert found.hexdigest() == "e4cf4de30ed20ad93732d1f3b7c36c0731adc3cc576c8ac7d1c9b4b77ba4f8d2"


@pytest.mark.parametrize("file", ["pcap", "pcapng"])
def test_writing_gives_the_same_octets(file: str) -> None:
    """What is written to a file, part by part, is what is returned as a whole."""
    made = capture(Layout(file=file))
    written = io.BytesIO()
    write(made, written, comment="why")
    assert written.getvalue() == emit(made, comment="why")
    assert emit(made) == emit(made)


@pytest.mark.parametrize("file", ["pcap", "pcapng"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_every_shape_can_be_read(file: str, big_endian: bool) -> None:
    """The reader finds every segment of every shape, and nothing odd."""
    for layout, version in shapes():
        made = capture(replace(layout, file=file, big_endian=big_endian), version=version)
        found = read(emit(made))
        assert (found.format, found.notes) == (file, {}), layout
        assert len(found.segments) == len(made.frames)
        for frame, segment in zip(made.frames, found.segments, strict=True):
            assert isinstance(frame, Frame)
            ends = made.trace.subflows[0].ends
            host = frame.segment.host
            assert segment.time == frame.time
            assert segment.source == ends[host].address
            assert segment.destination == ends[1 - host].address
            assert segment.ttl == 64 - frame.hops
            assert segment.ip_id == (frame.ip_id if version == 4 else -1)
            assert segment.octets.endswith(frame.segment.payload)
            before = layout.before_tcp(version)
            assert len(list(packets(made))[frame.segment.number][1]) == before + segment.length


@pytest.mark.parametrize("version", [4, 6])
def test_numbers_on_the_wire_wrap(version: int) -> None:
    """Relative numbers are counted from the initial sequence numbers, modulo 2^32."""
    data = replace(ACKNOWLEDGMENT, sequence=300, ack=(1 << 32) + 5, host=1)
    (segment,) = read(emit(of_one(data, version=version))).segments
    assert struct.unpack(">II", segment.octets[4:12]) == (77 + 300, 0xFFFF_FF05)


def test_without_an_acknowledgment_the_field_is_zero() -> None:
    """A segment that acknowledges nothing has 0 in the field."""
    (segment, *_) = read(emit(capture())).segments
    assert segment.octets[8:12] == bytes(4)


# --- what the file says -----------------------------------------------------------------------


def test_a_pcapng_file_names_its_licence_and_its_maker() -> None:
    """The section header says CC0-1.0, which program in which version, and what else is asked."""
    octets = emit(capture(), comment="two paths")
    texts = [text for scope, _, text in read(octets).comments if scope == "section"]
    assert texts == [
        f"SPDX-License-Identifier: {LICENSE}. Synthetic, generated by mptcp-oracle {__version__}.",
        "two paths",
    ]
    assert LICENSE == "CC0-1.0"
    assert struct.pack("<HH", 4, 13 + len(__version__)) + b"mptcp-oracle " in octets


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(file="pcapng", link="ethernet", directions=True), (2, 1, 0)),
        (Layout(file="pcapng", link="ethernet"), (0, 0, 0)),
        (Layout(file="pcap", link="ethernet", directions=True), (0, 0, 0)),
        (Layout(file="pcap", link="sll"), (2, 1, 0)),
        (Layout(file="pcap", link="sll2"), (2, 1, 0)),
        (Layout(file="pcapng", link="sll2", directions=True), (2, 1, 0)),
    ],
)
def test_directions_are_where_the_layout_says(layout: Layout, expected: tuple[int, ...]) -> None:
    """The file tells who sent a packet exactly where the layout says that it does."""
    made = capture(layout)
    outgoing = (True, False, None)
    frames = tuple(
        replace(frame, outgoing=way)
        for frame, way in zip(made.frames[:3], outgoing, strict=True)
        if isinstance(frame, Frame)
    )
    found = read(emit(replace(made, frames=frames))).segments
    assert tuple(each.direction for each in found) == expected
    told = {True: 2, False: 1, None: 0}
    assert expected == tuple(told[layout.direction(way)] for way in outgoing)


@pytest.mark.parametrize("link", ["ethernet", "sll2"])
def test_interfaces_are_told_apart(link: str) -> None:
    """Each interface has a description of its own, and cooked frames name theirs."""
    made = capture(Layout(link=link))
    frames = tuple(
        replace(frame, interface=number % 3)
        for number, frame in enumerate(made.frames)
        if isinstance(frame, Frame)
    )
    found = read(emit(replace(made, frames=frames)))
    assert [each.name for each in found.interfaces] == ["tap0", "tap1", "tap2"]
    assert [each.interface for each in found.segments] == [0, 1, 2, 0, 1, 2, 0, 1]
    if link == "sll2":
        assert [each.ifindex for each in found.segments] == [1, 2, 3, 1, 2, 3, 1, 2]


@pytest.mark.parametrize("file", ["pcap", "pcapng"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_times_are_what_the_layout_can_say(file: str, nanoseconds: bool) -> None:
    """Nanoseconds stay, or are cut to microseconds, in the file as in the layout's own words."""
    layout = Layout(file=file, nanoseconds=nanoseconds)
    made = capture(layout)
    found = [each.time for each in read(emit(made)).segments]
    assert found == [layout.stamped(each.time) for each in made.frames]
    assert found[0] == (BEGIN if nanoseconds else BEGIN - 789)


@pytest.mark.parametrize("file", ["pcap", "pcapng"])
@pytest.mark.parametrize("snap_length", [60, 61, 62, 63, 96])
def test_the_snap_length_cuts_what_is_kept(file: str, snap_length: int) -> None:
    """At most so many octets are kept of a frame, and its length stays known."""
    made = capture(Layout(file=file, snap_length=snap_length))
    found = read(emit(made))
    whole = list(packets(replace(made, layout=Layout())))
    assert found.interfaces[0].snaplen == snap_length
    for segment, (_, octets, length) in zip(found.segments, whole, strict=True):
        assert segment.octets == octets[34:snap_length]
        assert segment.length == length - 34
    assert [each[1] for each in packets(made)] == [each[1][:snap_length] for each in whole]


@pytest.mark.parametrize("layout", [Layout(), Layout(link="null"), Layout(link="sll", vlans=(5,))])
def test_other_traffic_is_in_the_file(layout: Layout) -> None:
    """A packet of other traffic keeps its place, behind a link header and never in a tunnel."""
    made = capture(replace(layout, tunnel="gre"))
    udp = bytes.fromhex("4500001d000000004011000001020304050607080035003500090000ff")
    noise = (Noise(packet=udp, time=BEGIN), Noise(packet=b"\x60" + bytes(39), time=BEGIN))
    mixed = replace(made, frames=(noise[0], made.frames[0], noise[1]))
    found = list(packets(mixed))
    assert [found[0][1][-len(udp) :], found[2][1][-40:]] == [each.packet for each in noise]
    assert found[0][2] == layout.before_tcp(4) - 20 + len(udp)
    assert [each.frame for each in read(emit(mixed)).segments] == [2]


def test_an_empty_capture_is_a_file() -> None:
    """A capture without frames is a file with one interface."""
    found = read(emit(replace(capture(), frames=())))
    assert (found.frames, len(found.interfaces)) == (0, 1)


# --- what cannot be written -------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout",
    [
        Layout(file="snoop"),
        Layout(link="ppp"),
        Layout(tunnel="l2tp"),
        Layout(link="raw", vlans=(1,)),
        Layout(link="null", vlans=(1,)),
        Layout(vlans=(4096,)),
        Layout(snap_length=0),
    ],
)
def test_a_contradictory_layout_is_refused(layout: Layout) -> None:
    """What no file can be is an error, whichever way it is asked for."""
    with pytest.raises(UsageError):
        emit(capture(layout))
    with pytest.raises(UsageError):
        list(packets(capture(layout)))


@pytest.mark.parametrize(
    ("tunnel", "version", "octets"),
    [("", 4, 65_495), ("", 6, 65_515), ("ipip", 4, 65_475), ("vxlan", 6, 65_425)],
)
def test_a_packet_has_at_most_65535_octets(tunnel: str, version: int, octets: int) -> None:
    """The longest packet that the IP length can state is written, and one octet more refused."""
    longest = replace(ACKNOWLEDGMENT, payload=bytes(octets))
    layout = Layout(tunnel=tunnel)
    (segment,) = read(emit(of_one(longest, layout, version=version))).segments
    assert segment.length == 20 + octets
    with pytest.raises(UsageError, match="longer than an IP header can say") as caught:
        emit(of_one(replace(longest, payload=bytes(octets + 1)), layout, version=version))
    assert caught.value.data["frame"] == 1


@pytest.mark.parametrize(
    "segment",
    [
        replace(ACKNOWLEDGMENT, window=65_536),
        replace(ACKNOWLEDGMENT, flags=0x1000),
        replace(ACKNOWLEDGMENT, options=(MpJoinAck(hmac=bytes(20)), MpJoinAck(hmac=bytes(20)))),
        replace(ACKNOWLEDGMENT, options=(RemoveAddr(address_ids=(256,)),)),
    ],
)
def test_a_segment_that_fits_in_no_packet_is_refused(segment: Sent) -> None:
    """Fields too large and too many options are errors that name the frame."""
    whole = trace_of([ACKNOWLEDGMENT, segment])
    with pytest.raises(UsageError) as caught:
        emit(capture_of(whole, Layout()))
    assert caught.value.data["frame"] == 2


@pytest.mark.parametrize("changes", [{"hops": 64}, {"hops": -1}, {"interface": -1}])
def test_a_frame_that_cannot_be_is_refused(changes: dict[str, int]) -> None:
    """More hops than a packet survives are an error that names the frame."""
    made = capture()
    assert isinstance(made.frames[0], Frame)
    with pytest.raises(UsageError, match="frame 1"):
        emit(replace(made, frames=(replace(made.frames[0], **changes),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "time"), [("pcap", 1 << 62), ("pcap", -1), ("pcapng", 1 << 64), ("pcapng", -1)]
)
def test_a_time_that_a_file_cannot_say_is_refused(file: str, time: int) -> None:
    """A time outside of the format's range is an error that names the frame."""
    made = capture(Layout(file=file))
    frames = (made.frames[0], replace(made.frames[1], time=time))
    with pytest.raises(UsageError, match="frame 2: time"):
        emit(replace(made, frames=frames))


def test_malformed_octets_are_written_as_they_are() -> None:
    """A planted malformed option is in the header octet for octet."""
    planted = replace(
        ACKNOWLEDGMENT, options=(Malformed(reason=Flaw.LENGTH_OCTET, raw=b"\x1e\x00\xff"),)
    )  # fmt: skip
    (segment,) = read(emit(of_one(planted))).segments
    assert segment.octets[20:] == b"\x1e\x00\xff\x01"
