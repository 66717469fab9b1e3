"""What the recorder reads from the kernel and from programs, and what it writes as pcapng."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest
from mptcp_oracle.generators.capture_scan import scan_capture

from mptcp_oracle.errors import CaptureError
from mptcp_oracle.live.events import parse_event
from mptcp_oracle.live.pcapng import to_pcapng
from mptcp_oracle.live.sniffer import CaptureCounts, parse_counts
from mptcp_oracle.live.sockets import (
    OctetCounts,
    parse_address,
    parse_info,
    parse_tcp_info,
    plain_address,
)
from tests.common.tiny import SYN_PCAP


def attribute(number: int, value: bytes) -> bytes:
    """A netlink attribute, padded."""
    return struct.pack("=HH", 4 + len(value), number) + value + b"\0" * (-len(value) % 4)


def test_an_event_is_read_with_all_its_attributes() -> None:
    """Token, addresses, ports in network order and ids come out as ip prints them."""
    body = struct.pack("=BBH", 10, 1, 0)
    body += attribute(1, struct.pack("=I", 0x00AB_CDEF))
    body += attribute(2, struct.pack("=H", socket.AF_INET))
    body += attribute(3, b"\x07") + attribute(4, b"\x00")
    body += attribute(5, ipaddress.ip_address("10.1.2.1").packed)
    body += attribute(7, ipaddress.ip_address("10.2.1.1").packed)
    body += attribute(9, (40_000).to_bytes(2, "big")) + attribute(10, (5001).to_bytes(2, "big"))
    event = parse_event(body, 17)
    assert event is not None
    assert (event.time, event.kind, event.token) == (17, "SF_ESTABLISHED", "00abcdef")
    assert event.pair == ("10.1.2.1", 40_000, "10.2.1.1", 5001)
    assert (event.values["local_id"], event.values["remote_id"]) == (7, 0)


def test_an_ipv6_event_is_read() -> None:
    """IPv6 addresses come in attributes of their own and are printed compressed."""
    body = struct.pack("=BBH", 1, 1, 0)
    body += attribute(6, ipaddress.ip_address("fd00:1:1::1").packed)
    event = parse_event(body, 0)
    assert event is not None
    assert event.values["local_address"] == "fd00:1:1::1"


@pytest.mark.parametrize("body", [b"", b"\x63\x01\0\0"], ids=["nothing", "unknown command"])
def test_what_is_no_event_is_none(body: bytes) -> None:
    """Other messages of the family are not taken for events."""
    assert parse_event(body, 0) is None


def test_a_cut_attribute_ends_the_event() -> None:
    """An attribute with an impossible length is not read, and what came before stays."""
    body = struct.pack("=BBH", 3, 1, 0) + attribute(1, struct.pack("=I", 1)) + b"\x02\0\x01\0"
    event = parse_event(body, 0)
    assert event is not None
    assert event.values == {"token": "00000001"}


INFO = struct.pack(
    "=6BxxIIQQQ3BxI4QB", 1, 2, 3, 4, 5, 6, 3, 0xFEED_BEEF, 2**64 - 1, 7, 8, 9, 10, 1, 11,
    12, 13, 14, 15, 2,
)  # fmt: skip


def test_mptcp_info_is_read_whole() -> None:
    """Every field stands where <linux/mptcp.h> puts it, holes included."""
    info = parse_info(INFO)
    assert info.token == 0xFEED_BEEF
    assert info.flags == ("fallback", "remote_key_received")
    assert [info.values[name] for name in ("write_seq", "snd_una", "rcv_nxt")] == [2**64 - 1, 7, 8]
    assert info.values["csum_enabled"] == 1
    assert info.values["retransmits"] == 11
    assert info.values["bytes_acked"] == 15
    assert info.values["subflows_total"] == 2


def test_sequence_numbers_are_strings_in_json() -> None:
    """DSNs, which JSON readers would round, are decimal strings; the token is 8 hex digits."""
    body = parse_info(INFO).to_json()
    assert body["write_seq"] == str(2**64 - 1)
    assert body["token"] == "feedbeef"


@pytest.mark.parametrize("size", range(len(INFO)))
def test_an_older_kernel_gives_fewer_fields(size: int) -> None:
    """A shorter struct gives a part of the same values, never other ones."""
    whole, part = parse_info(INFO).values, parse_info(INFO[:size]).values
    assert part == {name: whole[name] for name in part}


def tcp_info(**changed: int) -> bytes:
    """A struct tcp_info with what is read of it, and nothing else."""
    values = {"state": 1, "unacked": 0, "acked": 501, "received": 70, "sent": 900, "again": 400}
    values |= changed
    octets = bytearray(232)
    for name, code, at in (
        ("state", "=B", 0), ("unacked", "=I", 24), ("acked", "=Q", 120), ("received", "=Q", 128),
        ("sent", "=Q", 200), ("again", "=Q", 208),
    ):  # fmt: skip
        struct.pack_into(code, octets, at, values[name])
    return bytes(octets)


def test_octets_of_a_subflow_are_read() -> None:
    """Octets sent anew, acknowledged if nothing is under way, and received."""
    assert parse_tcp_info(tcp_info()) == OctetCounts(sent=500, acknowledged=501, received=70)
    found = parse_tcp_info(tcp_info(unacked=2))
    assert found is not None
    assert found.acknowledged is None


def test_a_subflow_that_closes_or_an_old_kernel_tells_no_octets() -> None:
    """FINs would count as octets, and a short struct has none of the counts."""
    assert parse_tcp_info(tcp_info(state=8)) is None
    assert parse_tcp_info(tcp_info()[:200]) is None
    assert parse_tcp_info(b"") is None


def test_socket_addresses_are_read() -> None:
    """Both families give address and port, and an unused slot gives nothing."""
    four = struct.pack("=H", socket.AF_INET) + bytes.fromhex("1389 0a020101") + bytes(120)
    six = struct.pack("=H", socket.AF_INET6) + bytes.fromhex("1389 00000000") + bytes(15) + b"\1"
    assert parse_address(four) == ("10.2.1.1", 5001)
    assert parse_address(six) == ("::1", 5001)
    assert parse_address(bytes(128)) is None


def test_mapped_addresses_are_written_as_packets_have_them() -> None:
    """An IPv4-mapped IPv6 address is IPv4; every other address is itself."""
    found = [plain_address(text) for text in ("::ffff:10.1.2.1", "10.1.2.1", "fd00:1:1::1")]
    assert found == ["10.1.2.1", "10.1.2.1", "fd00:1:1::1"]


def test_the_capture_programs_counts_are_read() -> None:
    """Its closing lines become numbers, in singular and plural; what it does not say is None."""
    text = "1 packet captured\n12 packets received by filter\n0 packets dropped by kernel\n"
    assert parse_counts(text) == CaptureCounts(captured=1, received=12, dropped=0)
    assert parse_counts("tcpdump: killed") == CaptureCounts(
        captured=None, received=None, dropped=None
    )


def convert(pcap: bytes) -> bytes:
    """The file as pcapng, with labels that no test looks at."""
    return to_pcapng(
        pcap,
        interface="any",
        packet_filter="tcp",
        system="Linux",
        program="tcpdump",
        comment="a test",
        received=3,
        dropped=0,
    )


def pcap(order: str, magic: int, *records: tuple[int, int, bytes, int]) -> bytes:
    """A classic pcap file: records are seconds, fraction, kept octets, original length."""
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 100, 276)
    return head + b"".join(
        struct.pack(f"{order}IIII", seconds, fraction, len(kept), length) + kept
        for seconds, fraction, kept, length in records
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1_000), (0xA1B23C4D, 1)])
def test_conversion_keeps_frames_and_times(order: str, magic: int, unit: int) -> None:
    """Octets, original lengths and nanoseconds survive in both byte orders and resolutions."""
    records = [(4_000_000_000, 999_999, b"abcde", 1500), (4_000_000_001, 1, b"", 60)]
    found = convert(pcap(order, magic, *records))
    scan = scan_capture(found)
    assert (scan.format, scan.linktypes, scan.snaplen, scan.frames) == ("pcapng", (276,), 100, 2)
    frames, offset = [], 0
    while offset < len(found):
        kind, size = struct.unpack_from("<II", found, offset)
        assert struct.unpack_from("<I", found, offset + size - 4) == (size,)
        if kind == 6:
            _, high, low, kept, length = struct.unpack_from("<IIIII", found, offset + 8)
            octets = found[offset + 28 : offset + 28 + kept]
            frames.append((high << 32 | low, octets, length))
        offset += size
    assert frames == [
        (seconds * 10**9 + fraction * unit, kept, length)
        for seconds, fraction, kept, length in records
    ]


@pytest.mark.parametrize("damaged", [b"", b"text", SYN_PCAP[:20], SYN_PCAP[:30], SYN_PCAP[:-1]])
def test_a_damaged_file_is_not_converted(damaged: bytes) -> None:
    """What the capture program did not finish is an error, not a shorter capture."""
    with pytest.raises(CaptureError):
        convert(damaged)
