"""The packet loop against the naive dissector, with one field of a frame at many values."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from mptcp_oracle import engine
from tests.common import captures as c
from tests.common.cuts import PACKET4, PACKET6, SEGMENT
from tests.common.dissected import compare

pytestmark = pytest.mark.usefixtures("_engine")

TYPES = (0x0800, 0x86DD, 0x8100, 0x88A8, 0x9100, 0x9200, 0x6558, 0x880B)
WORDS = sorted({0, 1, 0xFFFF, *(1 << bit for bit in range(16)), *(3 << bit for bit in range(15))})


@pytest.fixture
def _engine(loops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", loops.kind)


def near(value: int, bits: int = 16) -> Iterator[int]:
    """A number, and those that differ from it in a bit or by one."""
    yield value
    yield from (value ^ 1 << bit for bit in range(bits))
    yield from ((value + step) % (1 << bits) for step in (-1, 1))


def put(frame: bytes, at: int, octets: bytes) -> bytes:
    """A frame with other octets at a place."""
    return frame[:at] + octets + frame[at + len(octets) :]


def inner(kind: int) -> bytes:
    """What may follow a type."""
    return PACKET6 if kind == 0x86DD else b"\x21" + PACKET4 if kind == 0x880B else PACKET4


def links() -> Iterator[tuple[int, bytes]]:
    """EtherTypes, tags, directions, families and protocols of each link type."""
    for kind in sorted({each for known in TYPES for each in near(known)}):
        for body in (PACKET4, PACKET6):
            yield c.ETHERNET, c.ethernet(body, kind)
            yield c.COOKED, c.cooked(body, kind)
            yield c.COOKED_2, c.cooked_2(body, kind)
            yield c.ETHERNET, c.ethernet(body, tags=((kind, 0x1234),))
    for kind in range(256):
        yield c.COOKED, c.cooked(PACKET4, direction=kind)
        yield c.COOKED, c.cooked(PACKET4, direction=kind << 8)
        yield c.COOKED_2, c.cooked_2(PACKET4, direction=kind)
        for family in (bytes([kind, 0, 0, 0]), bytes([0, 0, 0, kind]), bytes([0, 0, kind, 0])):
            yield c.NULL, family + PACKET4
        for head in (bytes([kind]), bytes([0, kind]), bytes([255, 3, 0, kind]),
                     bytes([255, kind, 0x21]), bytes([kind, 0, 8, 0]), bytes([15, 0, kind, 0]),
                     bytes([kind, 3, 0x21])):  # fmt: skip
            yield c.PPP, head + PACKET4
            yield c.PPP, head + PACKET6
        yield c.RAW, bytes([kind]) + PACKET4[1:]
        yield c.RAW, bytes([kind]) + PACKET6[1:]
    for value in WORDS:
        tags = ((0x8100, value), (0x88A8, value ^ 0xFFFF))
        yield c.ETHERNET, c.ethernet(PACKET4, tags=tags)
    for ifindex in (0, 1, 0x80000000, 0xFFFFFFFF, 0x01020304):
        yield c.COOKED_2, c.cooked_2(PACKET4, ifindex=ifindex)


def packets() -> Iterator[tuple[int, bytes]]:
    """Every protocol, first and later fragments, and lengths of both versions of IP."""
    for kind in range(256):
        for body in (SEGMENT, PACKET4, PACKET6, c.extension(SEGMENT)):
            yield c.RAW, c.ipv4(body, protocol=kind)
            yield c.RAW, c.ipv6(body, header=kind)
        yield c.RAW, c.ipv4(SEGMENT, protocol=kind, offset=8)
        yield c.RAW, c.ipv6(c.fragment6(SEGMENT, following=kind, offset=8), header=44)
        yield c.RAW, c.ipv6(c.fragment6(SEGMENT, following=kind, offset=0), header=44)
    for place in WORDS:
        yield c.RAW, put(PACKET4, 6, place.to_bytes(2, "big"))
        fragment = c.fragment6(SEGMENT)
        yield c.RAW, c.ipv6(put(fragment, 2, place.to_bytes(2, "big")), header=44)
    for length in range(len(PACKET4) + 9):
        for words in (5, 6, 15):
            whole = c.ipv4(SEGMENT, options=bytes(4 * words - 20), total=length)
            yield c.RAW, whole
            yield c.RAW, put(whole, 6, b"\x20\x00")
            yield c.ETHERNET, c.ethernet(whole, trailer=bytes(7))
        yield c.RAW, c.ipv6(SEGMENT, length=length)
        yield c.RAW, c.ipv6(c.ipv4(SEGMENT, total=length), header=4)
        yield c.RAW, c.ipv4(c.ipv6(SEGMENT, length=length), protocol=41)
    for value in range(256):
        yield c.RAW, c.ipv4(SEGMENT, ttl=value, identification=257 * value)
        yield c.RAW, c.ipv6(SEGMENT, hops=value)


def extensions() -> Iterator[tuple[int, bytes]]:
    """Headers of each kind, length and routing type, and options of jumbograms."""
    for kind in (0, 43, 44, 51, 60, 135, 139, 140):
        for length in (0, 1, 2, 3, 4, 5, 255):
            for route, left in ((0, 0), (0, 1), (1, 1), (2, 1), (3, 9), (4, 0), (4, 255), (5, 1)):
                body = bytes([6, length, route, left]) + bytes(range(60)) + SEGMENT
                yield c.RAW, c.ipv6(body, header=kind)
                yield c.RAW, c.ipv6(bytes([6, 0]) + bytes(6) + body, header=kind)
    for kind in near(0xC2, 8):
        for size in (0, 3, 4, 5, 40):
            for total in (0, 8, 0xFFFF, 0x10000, 0x10001, 0xFFFFFFFF):
                for before in (b"", b"\0", b"\1\2\0\0", b"\0" * 9, b"\1\x07" + bytes(7)):
                    option = before + bytes([kind, size]) + total.to_bytes(4, "big")
                    option += bytes((6 - len(option)) % 8)
                    body = c.extension(SEGMENT, body=option)
                    yield c.RAW, c.ipv6(body, header=0, length=0)
    second = c.extension(SEGMENT, body=b"\xc2\4\0\0\0\0")
    for length in (0, len(second) + 8):
        yield c.RAW, c.ipv6(c.extension(second, following=0), header=0, length=length)
        yield c.RAW, c.ipv6(c.extension(second, following=0), header=60, length=length)
    big = c.extension(bytes(66_000), body=b"\xc2\4\0\1\0\0", following=59)
    for total in (65_535, 65_536, len(big), len(big) + 1):
        yield c.RAW, c.ipv6(put(big, 4, total.to_bytes(4, "big")), header=0, length=0)
    long = bytes([6, 255, 0xC2, 4, 0, 1, 0, 0]) + bytes(2040) + SEGMENT
    yield c.RAW, c.ipv6(long, header=0, length=0)


def tunnels() -> Iterator[tuple[int, bytes]]:
    """Flags and fields of GRE, source routes, ports, lengths and flags of VXLAN."""
    for flags in WORDS:
        for kind in (0x0800, 0x6558):
            body = bytes(4) * 2 + PACKET4
            yield c.RAW, c.ipv4(struct.pack("!HH", flags, kind) + body, protocol=c.GRE)
    for flags in (0, 0x8000, 0x4000, 0xC000, 0x2000, 0x1000, 0x3000, 0xF000, 0x7000, 0x0808):
        for kind in TYPES:
            head = struct.pack("!HH", flags, kind)
            head += bytes(4 * bool(flags & 0xC000))
            head += bytes(4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000))
            for routes in ((0,), (4, 0), (8, 12, 0), (255,), (4,)):
                route = b"".join(b"\x08\0\0" + bytes([size]) + bytes(size) for size in routes)
                route = route if flags & 0x4000 else b""
                yield c.RAW, c.ipv4(head + route + inner(kind), protocol=c.GRE)
    whole = c.udp(c.vxlan(c.ethernet(PACKET4)))
    for port in (*near(4789), *near(8472)):
        yield c.RAW, c.ipv4(put(whole, 2, port.to_bytes(2, "big")), protocol=c.UDP)
    for length in (*range(30), *range(len(whole) - 9, len(whole) + 3), 0xFFFF):
        yield c.RAW, c.ipv4(put(whole, 4, length.to_bytes(2, "big")), protocol=c.UDP)
    for value in range(256):
        yield c.RAW, c.ipv4(put(whole, 8, bytes([value])), protocol=c.UDP)
        yield c.RAW, c.ipv4(put(whole, 12, bytes([value, 1, 255 - value, 7])), protocol=c.UDP)
    for depth in range(13, 18):
        body = SEGMENT
        for _ in range(depth):
            body = c.ipv4(bytes([0, 0, 8, 0]) + c.ipv4(body, protocol=6), protocol=c.GRE)
            body = body[:20] + body[20:]
        yield c.RAW, body
        for kind in (c.IP4, c.IP6, c.UDP):
            packet = PACKET4 if kind != c.IP6 else PACKET6
            for _ in range(2 * depth):
                packet = c.ipv4(packet, protocol=c.IP4)
            yield c.RAW, c.ipv4(packet, protocol=kind)


@pytest.mark.parametrize("frames", [links, packets, extensions, tunnels])
def test_fields_at_all_values_give_what_the_dissector_gives(frames: object) -> None:
    """Each frame, whole and with fewer octets captured, is read as the naive dissector reads it."""
    generator = random.Random(1)
    by_link: dict[int, list[c.Record]] = {}
    for linktype, frame in frames():  # type: ignore[operator]
        records = by_link.setdefault(linktype, [])
        records.append(c.Record(octets=frame))
        if generator.random() < 0.1:
            records.append(c.cut(c.Record(octets=frame), generator.randrange(len(frame))))
    for linktype, records in by_link.items():
        compare(linktype, records)


def domain(*identifiers: tuple[int, int]) -> int:
    """The domain that identifiers of so many bits give."""
    walk = engine.loops("plain").packets.Walk()
    walk.domain = 0
    for width, value in identifiers:
        walk.fold(width, value)
    found: int = walk.domain
    return found


def test_identifiers_on_the_way_are_exact_in_63_bits() -> None:
    """As many as fit are written one behind the other; more change every domain they differ in."""
    generator = random.Random(2)
    for widths in ((12,), (25,), (12, 12), (25, 12), (12, 25, 12), (25, 25, 12), (12,) * 5):
        for _ in range(20):
            values = [generator.randrange(1, 1 << width) for width in widths]
            text = "".join(f"{v:0{w}b}" for w, v in zip(widths, values, strict=True))
            assert domain(*zip(widths, values, strict=True)) == int(text, 2)
    for _ in range(50):
        many = [(generator.choice((12, 25)), generator.randrange(1, 4096)) for _ in range(9)]
        whole = domain(*many)
        assert 0 < whole < 1 << 63
        for at, (width, value) in enumerate(many):
            other = [*many]
            other[at] = width, value ^ 1 << generator.randrange(12)
            assert domain(*other) != whole
