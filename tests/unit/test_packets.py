"""From a frame to its TCP segment: link types, IP, tunnels, lengths."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from tests.common import captures as c
from tests.common.reading import Reading, Segment, read

SEGMENT = c.tcp(b"payload")
PACKET4 = c.ipv4(SEGMENT)
PACKET6 = c.ipv6(SEGMENT)


@pytest.fixture(autouse=True)
def _engine(loops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", loops.kind)


def frames(*octets: bytes, linktype: int = c.ETHERNET) -> Reading:
    """Read the frames from a pcap file."""
    return read(c.pcap(c.records(*octets), linktype=linktype))


def only(frame: bytes, linktype: int = c.ETHERNET) -> Segment:
    """The one segment of a frame in which nothing is odd."""
    reading = frames(frame, linktype=linktype)
    assert reading.notes == {}
    (segment,) = reading.segments
    return segment


LINKS = {
    "ethernet": (c.ETHERNET, c.ethernet(PACKET4), c.ethernet(PACKET6, 0x86DD)),
    "cooked": (c.COOKED, c.cooked(PACKET4), c.cooked(PACKET6, 0x86DD)),
    "cooked 2": (c.COOKED_2, c.cooked_2(PACKET4), c.cooked_2(PACKET6, 0x86DD)),
    "raw": (c.RAW, PACKET4, PACKET6),
    "raw (BSD 12)": (12, PACKET4, PACKET6),
    "raw (BSD 14)": (14, PACKET4, PACKET6),
    "raw IPv4": (228, PACKET4, PACKET4),
    "raw IPv6": (229, PACKET6, PACKET6),
    "null, little": (c.NULL, b"\x02\0\0\0" + PACKET4, b"\x1e\0\0\0" + PACKET6),
    "null, big": (c.NULL, b"\0\0\0\x02" + PACKET4, b"\0\0\0\x1c" + PACKET6),
    "loop": (c.LOOP, b"\0\0\0\x02" + PACKET4, b"\0\0\0\x18" + PACKET6),
    "ppp": (c.PPP, b"\xff\x03\0\x21" + PACKET4, b"\xff\x03\0\x57" + PACKET6),
    "ppp, no address": (c.PPP, b"\0\x21" + PACKET4, b"\0\x57" + PACKET6),
    "ppp, compressed": (c.PPP, b"\x21" + PACKET4, b"\x57" + PACKET6),
    "ppp, half": (c.PPP_HDLC, b"\xff\x03\x21" + PACKET4, b"\xff\x03\x57" + PACKET6),
    "hdlc": (c.PPP_HDLC, b"\x0f\0\x08\0" + PACKET4, b"\x8f\0\x86\xdd" + PACKET6),
}


@pytest.mark.parametrize("name", LINKS)
def test_each_link_type_leads_to_both_ip_versions(name: str) -> None:
    """A segment is found whole, with its addresses, behind each link header."""
    linktype, *both = LINKS[name]
    for frame in both:
        segment = only(frame, linktype)
        assert (segment.octets, segment.length) == (SEGMENT, len(SEGMENT))
        ends = (str(segment.source), str(segment.destination))
        assert ends in {(c.CLIENT4, c.SERVER4), (c.CLIENT6, c.SERVER6)}
        expected = (61, 7) if segment.source.version == 4 else (62, -1)
        assert (segment.ttl, segment.ip_id) == expected


def test_links_without_ip_are_no_traffic() -> None:
    """ARP, an unknown address family and another PPP protocol give neither segments nor notes."""
    for linktype, frame in (
        (c.ETHERNET, c.ethernet(SEGMENT, 0x0806)),
        (c.NULL, b"\x07\0\0\0" + PACKET4),
        (c.PPP, b"\xff\x03\xc0\x21" + PACKET4),
        (c.COOKED, c.cooked(PACKET4, 0x0004)),
    ):
        reading = frames(frame, linktype=linktype)
        assert (reading.segments, reading.notes, reading.frames) == ([], {}, 1)


def test_an_unknown_link_type_is_counted_and_named() -> None:
    """Frames of a link type that is not supported are counted under its name."""
    reading = frames(PACKET4, PACKET4, linktype=105)
    assert reading.notes == {"unknown-linktype": (2, 1)}
    assert "105 (IEEE 802.11)" in reading.texts["unknown-linktype"]
    assert "4242" in frames(PACKET4, linktype=4242).texts["unknown-linktype"]


def test_cooked_frames_know_their_direction() -> None:
    """Packet types 0 to 2 are received, 4 is sent, others neither; SLL2 names the interface."""
    for kind, direction in ((0, 1), (1, 1), (2, 1), (3, 0), (4, 2), (7, 0)):
        assert only(c.cooked(PACKET4, direction=kind), c.COOKED).direction == direction
        second = only(c.cooked_2(PACKET4, direction=kind, ifindex=70000), c.COOKED_2)
        assert (second.direction, second.ifindex) == (direction, 70000)


def test_vlan_tags_are_part_of_the_domain() -> None:
    """Each stack of VLAN ids gives another domain; priority tags with id 0 give none."""
    stacks = [
        (),
        ((0x8100, 5),),
        ((0x8100, 7),),
        ((0x88A8, 5), (0x8100, 7)),
        ((0x88A8, 7), (0x8100, 5)),
        ((0x9100, 5), (0x8100, 7), (0x8100, 7)),
        ((0x9200, 1), (0x9100, 2), (0x88A8, 3), (0x8100, 4), (0x8100, 5)),
        tuple((0x8100, 4095 - i) for i in range(20)),
    ]
    segments = [only(c.ethernet(PACKET4, tags=tags)) for tags in stacks]
    assert all(segment.octets == SEGMENT for segment in segments)
    domains = [segment.domain for segment in segments]
    assert len(set(domains)) == len(domains)
    assert domains[:4] == [0, 5, 7, 5 << 12 | 7]
    assert all(0 <= domain < 1 << 63 for domain in domains)
    assert only(c.ethernet(PACKET4, tags=((0x8100, 0xE000),))).domain == 0
    assert only(c.ethernet(PACKET4, tags=((0x8100, 0xE005),))).domain == 5


def test_endless_tags_are_bounded() -> None:
    """A frame of nothing but tags is given up and counted."""
    reading = frames(c.ethernet(PACKET4, tags=((0x8100, 1),) * 300))
    assert (reading.segments, reading.notes) == ([], {"too-many-headers": (1, 1)})


def test_padding_is_not_payload() -> None:
    """Octets behind the IP length belong to no segment."""
    segment = only(c.ethernet(c.ipv4(c.tcp()), trailer=bytes(6)))
    assert (segment.octets, segment.length) == (c.tcp(), 20)
    segment = only(c.ethernet(c.ipv6(c.tcp()), 0x86DD, trailer=b"\xde\xad\xbe\xef"))
    assert (segment.octets, segment.length) == (c.tcp(), 20)


def test_ip_options_are_skipped() -> None:
    """The TCP header is found behind IPv4 options."""
    assert only(c.ethernet(c.ipv4(SEGMENT, options=b"\x94\x04\0\0" + bytes(36)))).octets == SEGMENT


def test_only_the_first_fragment_is_read() -> None:
    """A first fragment is marked and has its own length; the others are counted, also if small."""
    whole = c.tcp(bytes(range(200)))
    reading = frames(
        c.ethernet(c.ipv4(whole[:120], more=True)),
        c.ethernet(c.ipv4(whole[120:], offset=120)),
        c.ethernet(c.ipv6(c.fragment6(whole[:120]), header=44), 0x86DD),
        c.ethernet(c.ipv6(c.fragment6(whole[120:], offset=120, more=False), header=44), 0x86DD),
        c.ethernet(c.ipv4(b"datagram", protocol=c.UDP, offset=1480)),
    )
    assert [(each.octets, each.fragment) for each in reading.segments] == [(whole[:120], 1)] * 2
    assert [each.length for each in reading.segments] == [120, 120]
    assert reading.notes == {"non-first-fragment": (2, 2)}


def test_an_atomic_fragment_is_a_whole_packet() -> None:
    """An IPv6 fragment header with offset 0 and no more fragments changes nothing."""
    frame = c.ethernet(c.ipv6(c.fragment6(SEGMENT, more=False), header=44), 0x86DD)
    assert (only(frame).fragment, only(frame).octets) == (0, SEGMENT)


def test_extension_headers_are_walked() -> None:
    """Hop-by-hop, destination options, routing, mobility and authentication headers are skipped."""
    inner = c.extension(c.authentication(SEGMENT), following=51, body=bytes(14))
    routing = c.extension(inner, following=60, body=bytes([4, 0]) + bytes(20))
    chain = c.extension(routing, following=43)
    segment = only(c.ethernet(c.ipv6(chain, header=0), 0x86DD))
    assert (segment.octets, str(segment.destination)) == (SEGMENT, c.SERVER6)
    assert only(c.ethernet(c.ipv4(c.authentication(SEGMENT), protocol=51))).octets == SEGMENT
    mobility = c.extension(SEGMENT, body=bytes(6))
    assert only(c.ethernet(c.ipv6(mobility, header=135), 0x86DD)).octets == SEGMENT


@pytest.mark.parametrize(("kind", "stops", "last"), [(0, 3, 2), (2, 1, 0), (4, 3, 0)])
def test_a_routing_header_names_the_destination(kind: int, stops: int, last: int) -> None:
    """While segments are left, the flow's destination is the route's last stop."""
    route = [ip_address(f"2001:db8:5::{i}").packed for i in range(stops)]
    body = bytes([kind, 1]) + bytes(4) + b"".join(route)
    segment = only(c.ethernet(c.ipv6(c.extension(SEGMENT, body=body), header=43), 0x86DD))
    assert segment.destination.packed == route[last]
    unknown = bytes([3, 1]) + body[2:]
    segment = only(c.ethernet(c.ipv6(c.extension(SEGMENT, body=unknown), header=43), 0x86DD))
    assert str(segment.destination) == c.SERVER6


def test_endless_extension_headers_are_bounded() -> None:
    """A chain of extension headers without end is given up and counted."""
    chain = SEGMENT
    for _ in range(60):
        chain = c.extension(chain, following=60)
    reading = frames(c.ethernet(c.ipv6(chain, header=60), 0x86DD))
    assert reading.notes == {"too-many-headers": (1, 1)}


def test_offloaded_packets_take_the_length_of_the_frame() -> None:
    """IP lengths of 0 stand for the frame's length, also in jumbograms, also if cut by a snap."""
    payload = bytes(70_000)
    segment = c.tcp(payload)
    option = b"\xc2\x04" + struct.pack("!I", len(segment) + 8)
    jumbo = c.extension(segment, body=option)
    for frame in (
        c.ethernet(c.ipv4(segment, total=0)),
        c.ethernet(c.ipv6(segment, length=0), 0x86DD),
        c.ethernet(c.ipv6(jumbo, header=0, length=0), 0x86DD, trailer=bytes(3)),
    ):
        (whole,) = frames(frame).segments
        assert (whole.length, whole.octets) == (70_020, segment)
        (short,) = read(c.pcap([c.cut(c.Record(octets=frame), 120)])).segments
        assert short.length == 70_020
        assert 20 <= len(short.octets) < 120


def test_a_bad_jumbo_length_is_counted() -> None:
    """A jumbo payload option below 65,536 contradicts its purpose (RFC 2675 section 3)."""
    jumbo = c.extension(SEGMENT, body=b"\xc2\x04\0\0\0\x30")
    reading = frames(c.ethernet(c.ipv6(jumbo, header=0, length=0), 0x86DD))
    assert (reading.segments, reading.notes) == ([], {"bad-ip-length": (1, 1)})
    padded = c.extension(SEGMENT, body=b"\0\x01\x01\0\xc2\x09")
    assert only(c.ethernet(c.ipv6(padded, header=0, length=0), 0x86DD)).octets == SEGMENT


OUTER = {"source": "203.0.113.1", "destination": "203.0.113.2", "ttl": 9, "identification": 1}
ROUTES = b"\x08\0\0\x04\xcb\0\x71\x01" + b"\0\0\0\0"
TUNNELS = {
    "gre": c.ipv4(c.gre(PACKET4), protocol=c.GRE),
    "gre, checksum": c.ipv4(c.gre(PACKET4, checksum=True), protocol=c.GRE),
    "gre, key": c.ipv4(c.gre(PACKET4, key=True), protocol=c.GRE),
    "gre, sequence": c.ipv4(c.gre(PACKET4, sequence=True), protocol=c.GRE),
    "gre, all": c.ipv4(
        c.gre(PACKET4, checksum=True, key=True, sequence=True, routing=ROUTES), protocol=c.GRE
    ),
    "gre, routing": c.ipv4(c.gre(PACKET4, routing=bytes(4)), protocol=c.GRE),
    "gre, ethernet": c.ipv4(c.gre(c.ethernet(PACKET4), kind=0x6558), protocol=c.GRE),
    "gre, ppp": c.ipv4(c.gre(b"\xff\x03\0\x21" + PACKET4, kind=0x880B), protocol=c.GRE),
    "gre in ipv6": c.ipv6(c.gre(PACKET4), header=c.GRE),
    "4 in 4": c.ipv4(PACKET4, protocol=c.IP4),
    "4 in 6": c.ipv6(PACKET4, header=c.IP4),
    "4 in 4 in 6 in 4": c.ipv4(
        c.ipv6(c.ipv4(PACKET4, protocol=c.IP4, source="10.0.0.1"), header=c.IP4), protocol=c.IP6
    ),
    "vxlan": c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4), number=0)), protocol=c.UDP),
    "vxlan, 8472": c.ipv4(
        c.udp(c.vxlan(c.ethernet(PACKET4), number=0), destination=8472), protocol=c.UDP
    ),
    "vxlan in ipv6": c.ipv6(c.udp(c.vxlan(c.ethernet(PACKET4), number=0)), header=c.UDP),
}


@pytest.mark.parametrize("name", TUNNELS)
def test_tunnelled_segments_belong_to_the_inner_flow(name: str) -> None:
    """Addresses, TTL, identification and octets are those of the innermost packet."""
    packet = TUNNELS[name]
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    segment = only(c.ethernet(packet, kind))
    assert (str(segment.source), str(segment.destination)) == (c.CLIENT4, c.SERVER4)
    assert (segment.octets, segment.ttl, segment.ip_id) == (SEGMENT, 61, 7)
    assert segment.domain == (1 << 24 if "vxlan" in name else 0)


def test_inner_ipv6_is_found_too() -> None:
    """6 in 4, 6 in 6 and GRE carry IPv6 segments."""
    for packet in (
        c.ipv4(PACKET6, protocol=c.IP6),
        c.ipv6(PACKET6, header=c.IP6, source="2001:db8:9::1"),
        c.ipv4(c.gre(PACKET6, kind=0x86DD), protocol=c.GRE),
    ):
        segment = only(packet, c.RAW)
        assert (str(segment.source), segment.octets, segment.ip_id) == (c.CLIENT6, SEGMENT, -1)


def test_vxlan_networks_and_vlans_are_different_domains() -> None:
    """The network identifier and the tags around and inside it all count."""
    found = set()
    for number in (0, 1, 0xFFFFFF):
        for outer, inner in (((), ()), (((0x8100, 5),), ()), ((), ((0x8100, 5),))):
            packet = c.udp(c.vxlan(c.ethernet(PACKET4, tags=inner), number=number))
            found.add(only(c.ethernet(c.ipv4(packet, protocol=c.UDP), tags=outer)).domain)
    assert len(found) == 9
    assert 0 not in found


def test_what_only_looks_like_a_tunnel_is_no_traffic() -> None:
    """Other UDP ports, VXLAN without its flag, PPTP's GRE and unknown GRE payload are ignored."""
    for packet in (
        c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4)), destination=53), protocol=c.UDP),
        c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4), flags=0)), protocol=c.UDP),
        c.ipv4(c.gre(PACKET4, version=1), protocol=c.GRE),
        c.ipv4(c.gre(PACKET4, kind=0x1234), protocol=c.GRE),
        c.ipv4(b"\x45", protocol=c.UDP),
        c.ipv4(c.extension(SEGMENT), protocol=60),
        c.ipv6(SEGMENT, header=59),
    ):
        reading = frames(packet, linktype=c.RAW)
        assert (reading.segments, reading.notes) == ([], {})


def test_udp_bounds_what_it_carries() -> None:
    """A UDP length below the packet's narrows the frame in it; one that is too small does not."""
    inner = c.vxlan(c.ethernet(c.ipv4(SEGMENT, total=0)))
    for length, rest in ((8 + len(inner), 0), (None, 5), (3, 5)):
        packet = c.ipv4(c.udp(inner, length=length) + bytes(5), protocol=c.UDP)
        (segment,) = frames(packet, linktype=c.RAW).segments
        narrowed = len(SEGMENT) if length != 3 else len(SEGMENT) + rest
        assert segment.length == narrowed


def test_an_icmp_error_is_never_traffic() -> None:
    """The TCP header that an ICMP message quotes is not taken for a segment."""
    quote = struct.pack("!BBHI", 3, 4, 0, 1400) + PACKET4
    quote6 = struct.pack("!BBHI", 2, 0, 0, 1280) + PACKET6
    reading = frames(c.ipv4(quote, protocol=c.ICMP), c.ipv6(quote6, header=58), linktype=c.RAW)
    assert (reading.segments, reading.notes, reading.frames) == ([], {}, 2)


def test_the_first_fragment_of_a_tunnel_holds_a_cut_segment() -> None:
    """The inner packet keeps its own length, and the fragment is the outer packet's affair."""
    inner = c.ipv4(c.tcp(bytes(400)))
    reading = frames(c.ipv4(inner[:200], protocol=c.IP4, more=True), linktype=c.RAW)
    (segment,) = reading.segments
    assert (len(segment.octets), segment.length, segment.fragment) == (180, 420, 0)
    assert reading.notes == {}
    later = frames(c.ipv4(inner[200:], protocol=c.IP4, offset=200), linktype=c.RAW)
    assert (later.segments, later.notes) == ([], {"non-first-fragment": (1, 1)})
