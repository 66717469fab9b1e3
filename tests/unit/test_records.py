"""pcap files: byte orders, resolutions, record headers, damage."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest

from mptcp_oracle.errors import CaptureError
from tests.common import captures as c
from tests.common.reading import read

SEGMENT = c.tcp(b"payload")
FRAME = c.ethernet(c.ipv4(SEGMENT))
MOMENT = 1_700_000_000_123_456_789


@pytest.fixture(autouse=True)
def _engine(loops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", loops.kind)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_both_orders_and_resolutions_are_read(order: str, nano: bool) -> None:
    """Times come out in nanoseconds, segments whole, whatever the magic number."""
    frames = [c.Record(octets=FRAME, time=MOMENT), c.Record(octets=FRAME, time=MOMENT + 1000)]
    reading = read(c.pcap(frames, order=order, nano=nano, snaplen=99))
    shown = MOMENT if nano else MOMENT // 1000 * 1000
    assert [each.time for each in reading.segments] == [shown, shown + 1000]
    assert [each.octets for each in reading.segments] == [SEGMENT] * 2
    assert (reading.format, reading.frames, reading.notes) == ("pcap", 2, {})
    (interface,) = reading.interfaces
    assert (interface.linktype, interface.snaplen, interface.fcs) == (1, 99, 0)
    assert interface.ticks == (10**9 if nano else 10**6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_modified_form_names_interface_and_direction(order: str) -> None:
    """Record headers of 24 octets are read, with the kernel's interface number and direction."""
    reading = read(c.pcap(c.records(FRAME, FRAME), order=order, modified=True))
    assert [(each.octets, each.ifindex, each.direction) for each in reading.segments] == [
        (SEGMENT, 5, 2)
    ] * 2


def test_the_modified_form_may_not_know_the_direction() -> None:
    """Packet types 0 to 2 are received, 4 is sent, and others neither."""
    for kind, direction in ((0, 1), (2, 1), (3, 0), (4, 2), (5, 0)):
        file = bytearray(c.pcap(c.records(FRAME), modified=True))
        file[24 + 22] = kind
        assert read(bytes(file)).segments[0].direction == direction


def test_the_largest_time_is_exact() -> None:
    """The last second of 32 bits with an absurd fraction stays a plain sum."""
    file = bytearray(c.pcap([c.Record(octets=FRAME)]))
    struct.pack_into("<II", file, 24, 0xFFFFFFFF, 0xFFFFFFFF)
    (segment,) = read(bytes(file)).segments
    assert segment.time == 0xFFFFFFFF * 10**9 + 0xFFFFFFFF * 1000


def test_a_wire_length_below_the_captured_one_is_not_believed() -> None:
    """A record that claims fewer octets on the wire than in the file is read by the file."""
    reading = read(c.pcap([c.Record(octets=FRAME, wire=5)]))
    assert reading.segments[0].octets == SEGMENT


def test_upper_bits_of_the_link_type_are_no_link_type() -> None:
    """Class bits above the 16-bit link type do not hide Ethernet."""
    assert read(c.pcap(c.records(FRAME), linktype=0x02240000 | c.ETHERNET)).frames == 1
    assert read(c.pcap(c.records(FRAME), linktype=0x02240000 | c.ETHERNET)).segments


def test_a_file_may_have_no_frames() -> None:
    """A header alone is a capture of nothing, without notes."""
    reading = read(c.pcap([]))
    assert (reading.frames, reading.segments, reading.notes) == (0, [], {})


def test_a_cut_file_is_read_up_to_the_cut() -> None:
    """Each length of file gives the frames that are whole, and a note where one is not."""
    file = c.pcap(c.records(FRAME, FRAME, FRAME))
    size = 16 + len(FRAME)
    for length in range(24, len(file)):
        reading = read(file[:length])
        whole, rest = divmod(length - 24, size)
        assert (reading.frames, len(reading.segments)) == (whole, whole)
        assert reading.notes == ({"truncated-file": (1, whole + 1)} if rest else {})
    assert reading.texts["truncated-file"].startswith("the file ends inside frame 3")


@pytest.mark.parametrize("length", range(4, 24))
def test_a_cut_file_header_is_an_error(length: int) -> None:
    """A file that ends inside its header cannot be read at all."""
    with pytest.raises(CaptureError, match="ends inside the pcap header") as caught:
        read(c.pcap([])[:length], name="short.pcap")
    assert caught.value.data["file"] == "short.pcap"


def test_an_impossible_record_length_ends_the_reading() -> None:
    """A length of gigabytes is damage, even where the file would be long enough to hide it."""
    file = bytearray(c.pcap(c.records(FRAME, FRAME, FRAME)))
    struct.pack_into("<I", file, 24 + 16 + len(FRAME) + 8, 0xF0000000)
    reading = read(bytes(file))
    assert len(reading.segments) == 1
    assert reading.notes == {"bad-record": (1, 2)}


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_batches_do_not_show(batch: int) -> None:
    """The segments are the same for every batch size, numbered through."""
    frames = c.records(*[FRAME, c.ethernet(b"", 0x0806)] * 5)
    reading = read(c.pcap(frames), batch=batch)
    assert [each.frame for each in reading.segments] == [1, 3, 5, 7, 9]
    assert reading.frames == 10
