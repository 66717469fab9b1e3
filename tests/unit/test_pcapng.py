"""pcapng files: sections, interfaces, clocks, comments, every kind of damage."""

from __future__ import annotations

import struct
from fractions import Fraction
from types import SimpleNamespace

import pytest

from mptcp_oracle.errors import CaptureError
from mptcp_oracle.wire import pcapng
from tests.common import captures as c
from tests.common.reading import Reading, read

SEGMENT = c.tcp(b"payload")
FRAME = c.ethernet(c.ipv4(SEGMENT))
RECORD = c.Record(octets=FRAME, time=1_700_000_000_123_456_000)
START = c.section() + c.interface()
PACKET = c.enhanced(RECORD)
MOST = 2**62 - 1


@pytest.fixture(autouse=True)
def _engine(loops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", loops.kind)


def frames_of(reading: Reading) -> list[int]:
    """The numbers of the frames that gave a segment."""
    return [each.frame for each in reading.segments]


@pytest.mark.parametrize("order", ["<", ">"])
def test_all_packet_blocks_are_read(order: str) -> None:
    """Enhanced, obsolete and simple packet blocks hold frames, in either byte order."""
    file = c.section(order) + c.interface(order=order)
    file += c.enhanced(RECORD, order) + c.obsolete(RECORD, order) + c.simple(RECORD, order)
    reading = read(file)
    assert [each.octets for each in reading.segments] == [SEGMENT] * 3
    assert [each.time for each in reading.segments] == [RECORD.time] * 3
    assert reading.notes == {"no-timestamp": (1, 3)}
    assert (reading.format, reading.frames) == ("pcapng", 3)


def test_a_simple_block_is_cut_by_the_snap_length() -> None:
    """A simple packet block holds as much as its interface captures and its length has room for."""
    file = c.section() + c.interface(snaplen=58) + c.simple(RECORD)
    assert read(file).segments[0].octets == SEGMENT[:24]
    assert read(START + c.simple(c.cut(RECORD, 60))).segments[0].octets == SEGMENT[:26]


def test_sections_have_their_own_order_and_interfaces() -> None:
    """Interfaces are counted through the file, and each section's frames name their own."""
    file = b""
    for order, linktype in (("<", c.ETHERNET), (">", c.RAW), ("<", c.COOKED)):
        file += c.section(order) + c.interface(105, order) + c.interface(linktype, order)
        octets = {c.ETHERNET: FRAME, c.RAW: FRAME[14:], c.COOKED: c.cooked(FRAME[14:])}[linktype]
        file += c.enhanced(c.Record(octets=octets, interface=1), order)
    reading = read(file)
    assert [each.octets for each in reading.segments] == [SEGMENT] * 3
    assert [each.interface for each in reading.segments] == [1, 3, 5]
    assert [(each.linktype, each.section) for each in reading.interfaces[1::2]] == [
        (c.ETHERNET, 0),
        (c.RAW, 1),
        (c.COOKED, 2),
    ]


def test_interfaces_are_described() -> None:
    """Names, snap length, resolution, offset and check sequence are kept."""
    options = c.option(2, b"eth0\0") + c.option(3, "Büro".encode()) + c.option(9, b"\x09")
    options += c.option(14, struct.pack("<q", -5)) + c.option(13, b"\x20") + c.option(0, b"")
    (interface,) = read(c.section() + c.interface(snaplen=128, options=options)).interfaces
    assert (interface.name, interface.description) == ("eth0", "Büro")
    assert (interface.snaplen, interface.ticks, interface.offset) == (128, 10**9, -5)
    assert interface.fcs == 4
    assert read(c.section() + c.interface(options=c.option(13, b"\x04"))).interfaces[0].fcs == 4


RESOLUTIONS = [0, 1, 3, 6, 9, 10, 12, 18, 19, 27, 28, 33, 34, 35, 63, 64, 97, 98, 100, 127]
TICKS = [0, 1, 999, 10**9, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]


def nanoseconds(resolution: int, ticks: int, offset: int) -> Fraction:
    """The exact value of a time stamp, held within 2^62 of the epoch as the reader promises."""
    base = 2 if resolution & 0x80 else 10
    exact = Fraction(ticks * 10**9, base ** (resolution & 0x7F))
    shift = max(-MOST, min(MOST, offset * 10**9))
    return min(Fraction(MOST), min(exact, Fraction(MOST)) + shift)


@pytest.mark.parametrize("resolution", RESOLUTIONS + [0x80 | each for each in RESOLUTIONS])
@pytest.mark.parametrize("offset", [0, 7, -7, 2**62, -(2**62)])
def test_every_clock_is_right_or_clamped(resolution: int, offset: int) -> None:
    """Powers of ten and of two, offsets, and 64 bits of ticks give nanoseconds within one."""
    options = c.option(9, bytes([resolution])) + c.option(14, struct.pack("<q", offset))
    file = c.section() + c.interface(options=options)
    reading = read(file + b"".join(c.enhanced(RECORD, ticks=ticks) for ticks in TICKS))
    assert len(reading.segments) == len(TICKS)
    for segment, ticks in zip(reading.segments, TICKS, strict=True):
        assert abs(segment.time - nanoseconds(resolution, ticks, offset)) <= 2
        assert -MOST <= segment.time <= MOST


def test_usual_clocks_are_exact() -> None:
    """Micro-, nano- and picoseconds and 2^-32 of a second are exact to the nanosecond."""
    for resolution, ticks in (
        (6, 10**15 + 7),
        (9, 10**18 + 7),
        (12, 10**18 + 999),
        (0xA0, 7 << 31),
    ):
        file = c.section() + c.interface(options=c.option(9, bytes([resolution])))
        (segment,) = read(file + c.enhanced(RECORD, ticks=ticks)).segments
        assert segment.time == int(nanoseconds(resolution, ticks, 0))


def test_directions_and_comments_of_packets_are_read() -> None:
    """epb_flags gives the direction, comments keep their frame, other options are passed over."""
    flags = [c.option(2, struct.pack("<I", value)) for value in (0, 1, 2, 3, 0x1F2)]
    other = c.option(4, bytes(8)) + c.option(0x8BAD, b"abcde")
    comment = c.option(1, b"look here") + c.option(1, "\xb7 and here".encode())
    file = START
    for each in flags:
        file += c.enhanced(c.Record(octets=FRAME, options=other + each + c.option(0, b"")))
    file += c.obsolete(c.Record(octets=FRAME + b"x", options=comment + flags[1]))
    reading = read(file)
    assert [each.direction for each in reading.segments] == [0, 1, 2, 0, 2, 1]
    assert reading.comments == [("packet", 6, "look here"), ("packet", 6, "· and here")]
    assert reading.notes == {}


def test_comments_of_the_file_are_kept_in_order() -> None:
    """Sections, interfaces, statistics and packets have comments; bad UTF-8 is replaced."""
    end = c.option(0, b"")
    statistics = struct.pack("<III", 0, 0, 0) + c.option(1, b"three")
    file = c.section(options=c.option(1, b"one") + end)
    file += c.interface(options=c.option(1, b"two\xff") + end)
    file += c.enhanced(c.Record(octets=FRAME, options=c.option(1, b"zero")))
    file += c.block(5, statistics) + c.section(options=c.option(1, b"four"))
    assert read(file).comments == [
        ("section", None, "one"),
        ("interface", None, "two\ufffd"),
        ("packet", 1, "zero"),
        ("statistics", None, "three"),
        ("section", None, "four"),
    ]


def test_comments_are_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit comments are counted and not kept."""
    monkeypatch.setattr(pcapng, "MOST_COMMENTS", 3)
    packet = c.enhanced(c.Record(octets=FRAME, options=c.option(1, b"x")))
    reading = read(START + packet * 10)
    assert len(reading.comments) == 3
    assert reading.notes == {"comments-dropped": (7, 4)}


def test_dropped_frames_are_noted() -> None:
    """The last statistics of each interface say how many frames the host dropped."""
    file = START + c.interface()
    for which, dropped in ((0, 3), (1, 5), (0, 4)):
        options = c.option(5, struct.pack("<Q", dropped)) + c.option(7, struct.pack("<Q", 1))
        file += c.block(5, struct.pack("<III", which, 0, 0) + options)
    assert read(file).notes == {"packets-dropped": (11, None)}


def test_frames_are_numbered_as_in_wireshark() -> None:
    """Unknown blocks take no number; journal entries and custom blocks take one."""
    journal = c.block(9, b"MESSAGE=hi\n")
    custom = c.block(0xBAD, bytes(8)) + c.block(0x40000BAD, bytes(8))
    others = c.block(0x777, b"anything") + c.block(4, bytes(4)) + c.block(10, bytes(8))
    reading = read(START + PACKET + journal + PACKET + others + PACKET + custom + PACKET)
    assert frames_of(reading) == [1, 3, 4, 7]
    assert (reading.frames, reading.notes) == (7, {})


def test_frames_of_an_undescribed_interface_are_counted() -> None:
    """A frame that names no described interface keeps its number and gives no segment."""
    stray = c.enhanced(c.Record(octets=FRAME, interface=9))
    reading = read(START + PACKET + stray + PACKET + c.section() + c.simple(RECORD))
    assert frames_of(reading) == [1, 3]
    assert reading.notes == {"unknown-interface": (2, 2)}


def test_a_packet_that_contradicts_its_block_keeps_its_number() -> None:
    """Captured lengths beyond the block and blocks too short for a header are counted."""
    lie = c.enhanced(RECORD, captured=len(FRAME) + 9)
    huge = c.enhanced(RECORD, captured=0xFFFFFFFF)
    short = c.block(6, bytes(16)) + c.block(2, bytes(4)) + c.block(3, b"")
    reading = read(START + lie + PACKET + huge + short + PACKET)
    assert frames_of(reading) == [2, 7]
    assert reading.notes == {"bad-record": (5, 1)}


def test_options_that_end_early_are_counted() -> None:
    """An option longer than its block is noted once, and the frame is read all the same."""
    broken = struct.pack("<HH", 1, 400) + b"what"
    file = c.section() + c.interface(options=broken)
    file += c.enhanced(c.Record(octets=FRAME, options=c.option(1, b"kept") + broken))
    reading = read(file)
    assert frames_of(reading) == [1]
    assert reading.comments == [("packet", 1, "kept")]
    assert reading.notes == {"bad-option": (2, None)}


@pytest.mark.parametrize("length", [0, 4, 8, 11, 13, 30, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC])
def test_hostile_block_lengths_do_not_hang(length: int) -> None:
    """Impossible lengths end the section with a note; the next section is read."""
    hostile = c.block(6, bytes(40), length=length)
    reading = read(START + PACKET + hostile + PACKET)
    assert frames_of(reading) == [1]
    ((code, (count, frame)),) = reading.notes.items()
    assert code in {"bad-block", "truncated-file"}
    assert (count, frame) == (1, 2)
    resumed = read(START + PACKET + hostile + PACKET + START + PACKET)
    assert frames_of(resumed) == [1, 2]
    assert resumed.notes == {code: (1, 2)}


def test_a_block_whose_lengths_differ_is_not_believed() -> None:
    """Behind a block with two different lengths reading goes on at the next section."""
    reading = read(START + c.block(6, bytes(40), again=48) + PACKET + START + PACKET)
    assert frames_of(reading) == [1]
    assert reading.notes == {"bad-block": (1, 1)}


def test_only_a_whole_section_header_is_resumed_at() -> None:
    """Octets that only begin like a section header, or end inside one, do not end the search."""
    lures = BAD_SECTIONS["length"] + BAD_SECTIONS["tail"] + BAD_SECTIONS["long"]
    broken = START + c.block(6, bytes(40), length=6) + lures
    assert frames_of(read(broken + START + PACKET)) == [1]
    assert frames_of(read(broken + c.section()[:20])) == []


def test_options_of_the_wrong_size_are_passed_over() -> None:
    """A resolution of two octets, an offset of four and drops of four say nothing."""
    options = c.option(9, b"\x09\0") + c.option(14, bytes(4)) + c.option(77, b"?")
    statistics = struct.pack("<III", 0, 0, 0) + c.option(5, b"\x01\0\0\0") + c.option(4, bytes(8))
    file = c.section(options=c.option(4, b"somebody")) + c.interface(options=options)
    reading = read(file + c.block(5, statistics) + PACKET)
    assert reading.notes == {}
    assert reading.interfaces[0].ticks == 10**6


def test_a_cut_section_gives_way_to_the_next() -> None:
    """In joined files the first may end anywhere: the second is found and read whole."""
    first, second = START + PACKET + PACKET, c.section(">") + c.interface(order=">")
    second += c.enhanced(c.Record(octets=FRAME + bytes(8)), ">")
    for length in range(len(START), len(first)):
        reading = read(first[:length] + second)
        whole, rest = divmod(length - len(START), len(PACKET))
        assert frames_of(reading) == list(range(1, whole + 2))
        assert bool(reading.notes) == bool(rest)


def test_a_cut_file_is_read_up_to_the_cut() -> None:
    """Each length of file gives the frames that are whole, and a note where one is not."""
    file = START + PACKET * 2
    for length in range(28, len(file)):
        reading = read(file[:length])
        whole = max(0, (length - len(START)) // len(PACKET))
        assert frames_of(reading) == list(range(1, whole + 1))
        boundary = length in {28, len(START), len(START) + len(PACKET)}
        assert reading.notes == ({} if boundary else {"truncated-file": (1, whole + 1)})


BAD_SECTIONS = {
    "magic": c.section()[:8] + bytes(4) + c.section()[12:],
    "version": c.section(major=2),
    "length": c.section()[:4] + struct.pack("<I", 24) + c.section()[8:],
    "long": c.section()[:4] + struct.pack("<I", 2**30) + c.section()[8:],
    "tail": c.section()[:-4] + bytes(4),
    "cut": c.section()[:20],
    "bare": c.section()[:4],
}


@pytest.mark.parametrize("name", BAD_SECTIONS)
def test_a_bad_first_section_is_an_error(name: str) -> None:
    """Without a first section header that can be read there is no capture."""
    with pytest.raises(CaptureError, match="section header cannot be read") as caught:
        read(BAD_SECTIONS[name], name="x.pcapng")
    assert caught.value.data["file"] == "x.pcapng"
    assert caught.value.cause


@pytest.mark.parametrize("name", BAD_SECTIONS)
def test_a_bad_later_section_is_a_note(name: str) -> None:
    """What follows a section header that cannot be read is found at the next good one."""
    reading = read(START + PACKET + BAD_SECTIONS[name] + PACKET + START + PACKET)
    assert frames_of(reading) == [1, 2]
    assert sum(count for count, _ in reading.notes.values()) == 1


def test_a_cut_interface_keeps_its_place() -> None:
    """An interface block without its fields takes a number, so that the others keep theirs."""
    file = c.section() + c.block(1, b"") + c.interface()
    reading = read(file + c.enhanced(c.Record(octets=FRAME, interface=1)))
    assert (frames_of(reading), reading.notes) == ([1], {"bad-interface": (1, None)})


def test_interfaces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interfaces beyond the limit are counted, and so are their frames."""
    monkeypatch.setattr(pcapng, "MOST_INTERFACES", 2)
    file = c.section() + c.interface() * 5 + PACKET
    reading = read(file + c.enhanced(c.Record(octets=FRAME, interface=4)) + PACKET)
    assert frames_of(reading) == [1, 3]
    assert reading.notes == {"too-many-interfaces": (3, None), "unknown-interface": (1, 2)}


def test_cut_statistics_are_noted() -> None:
    """A statistics block without its fields is a bad block and nothing more."""
    reading = read(START + c.block(5, bytes(4)) + PACKET)
    assert (frames_of(reading), reading.notes) == ([1], {"bad-block": (1, 1)})
