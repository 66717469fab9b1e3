"""Frames that are cut, or whose lengths lie."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.common import captures as c
from tests.common.cuts import CUTS, SEGMENT, reads_beyond
from tests.common.reading import read

PACKET4 = c.ipv4(SEGMENT)
PACKET6 = c.ipv6(SEGMENT)


@pytest.fixture(autouse=True)
def _engine(loops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", loops.kind)


CUT_NOTES = {"link-header-cut", "ip-header-cut", "tunnel-header-cut", "tcp-header-cut"}


@pytest.mark.parametrize("name", CUTS)
def test_a_snap_length_may_cut_anywhere(name: str) -> None:
    """Each cut gives a shorter segment or a counted reason, whatever octets come behind it."""
    linktype, frame = CUTS[name]
    for size in range(len(frame)):
        plain = read(c.pcap([c.cut(c.Record(octets=frame), size)], linktype=linktype))
        assert not reads_beyond(linktype, frame, size)
        if plain.segments:
            (segment,) = plain.segments
            whole = len(frame) - frame.index(SEGMENT)
            assert segment.octets == SEGMENT[: size - frame.index(SEGMENT)]
            assert segment.length >= whole
        else:
            codes = set(plain.notes)
            assert codes <= CUT_NOTES
            # A UDP header that is cut does not say whether it carries VXLAN.
            assert codes or (name == "vxlan" and size < 28)


def test_a_cut_tcp_header_is_counted() -> None:
    """Segments of which 0 to 19 octets were captured are counted with their first frame."""
    whole = c.Record(octets=PACKET4)
    cuts = [c.cut(whole, 20 + size) for size in range(20)]
    reading = read(c.pcap([whole, *cuts], linktype=c.RAW))
    assert len(reading.segments) == 1
    assert reading.notes == {"tcp-header-cut": (20, 2)}


LIES = {
    "version 5": (c.ethernet(c.ipv4(SEGMENT, version=5)), "bad-ip-version"),
    "ipv4 behind the wrong type": (c.ethernet(PACKET4, 0x86DD), "bad-ip-version"),
    "ipv6 behind the wrong type": (c.ethernet(PACKET6), "bad-ip-version"),
    "header of 16": (c.ethernet(c.ipv4(SEGMENT, words=4)), "bad-ip-length"),
    "header beyond the packet": (c.ethernet(c.ipv4(SEGMENT, words=15, total=50)), "bad-ip-length"),
    "total below the header": (c.ethernet(c.ipv4(SEGMENT, total=19)), "bad-ip-length"),
    "no room for IPv4": (c.ethernet(PACKET4[:12]), "bad-ip-length"),
    "no room for IPv6": (c.ethernet(PACKET6[:39], 0x86DD), "bad-ip-length"),
    "inner header beyond": (c.ethernet(c.ipv4(PACKET4[:16], protocol=c.IP4)), "bad-ip-length"),
    "extension beyond": (
        c.ethernet(c.ipv6(bytes([6, 200]) + SEGMENT, header=60), 0x86DD),
        "bad-ip-length",
    ),
    "extension cut short": (c.ethernet(c.ipv6(bytes(4), header=60), 0x86DD), "bad-ip-length"),
    "no room for TCP": (c.ethernet(c.ipv4(SEGMENT, total=39)), "bad-tcp-length"),
    "no TCP": (c.ethernet(c.ipv4(b"")), "bad-tcp-length"),
    "no TCP over IPv6": (c.ethernet(c.ipv6(b"1234567"), 0x86DD), "bad-tcp-length"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_wrong_length_is_counted_and_the_rest_goes_on(name: str) -> None:
    """The frame gives its reason and no segment; the frames around it are read."""
    frame, code = LIES[name]
    good = c.ethernet(PACKET4, trailer=bytes(400))
    reading = read(c.pcap(c.records(good, frame, frame, good)))
    assert reading.notes == {code: (2, 2)}
    assert [each.frame for each in reading.segments] == [1, 4]


def test_an_ip_length_beyond_the_frame_is_taken_as_a_cut() -> None:
    """The segment keeps the length that its sender stated, is read as far as it goes, and noted."""
    frame = c.ethernet(c.ipv4(SEGMENT, total=1500))
    reading = read(c.pcap(c.records(frame)))
    (segment,) = reading.segments
    assert (segment.octets, segment.length) == (SEGMENT, 1480)
    assert reading.notes == {"ip-length-beyond-frame": (1, 1)}


def test_a_frame_check_sequence_is_not_payload() -> None:
    """The file header's statement of a 4-octet check sequence shortens an offloaded packet."""
    frame = c.ethernet(c.ipv4(SEGMENT, total=0), trailer=b"\xca\xfe\xca\xfe")
    linktype = 2 << 28 | 0x04000000 | c.ETHERNET
    reading = read(c.pcap(c.records(frame), linktype=linktype))
    assert reading.interfaces[0].fcs == 4
    assert reading.segments[0].octets == SEGMENT
    tiny = read(c.pcap(c.records(b"ab"), linktype=15 << 28 | 0x04000000 | c.ETHERNET))
    assert tiny.notes == {"link-header-cut": (1, 1)}
