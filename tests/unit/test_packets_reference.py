"""The packet loop against a naive dissector, on frames of every kind: whole, cut, and damaged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.common import captures as c
from tests.common.cuts import CUTS, PACKET4, PACKET6, SEGMENT
from tests.common.dissected import compare

MORE = {
    "gre key and sequence": (
        c.RAW,
        c.ipv4(b"\x30\x00\x08\x00" + bytes(8) + PACKET4, protocol=c.GRE),
    ),
    "gre version 1": (c.RAW, c.ipv4(b"\x00\x01\x08\x00" + PACKET4, protocol=c.GRE)),
    "gre of ethernet": (
        c.RAW,
        c.ipv4(b"\x00\x00\x65\x58" + c.ethernet(PACKET6, 0x86DD), protocol=c.GRE),
    ),
    "gre of ppp": (c.RAW, c.ipv4(b"\x00\x00\x88\x0b\x21" + PACKET4, protocol=c.GRE)),
    "ah": (c.RAW, c.ipv4(bytes([6, 4]) + bytes(22) + SEGMENT, protocol=51)),
    "ah over 6": (c.RAW, c.ipv6(bytes([6, 4]) + bytes(22) + SEGMENT, header=51)),
    "4 in 6": (c.RAW, c.ipv6(PACKET4, header=4)),
    "4 in 4": (c.RAW, c.ipv4(PACKET4, protocol=c.IP4)),
    "later fragment": (c.RAW, c.ipv4(SEGMENT, offset=64)),
    "later fragment 6": (c.RAW, c.ipv6(c.fragment6(SEGMENT, offset=64), header=44)),
    "later fragment of udp": (c.RAW, c.ipv4(SEGMENT, protocol=c.UDP, offset=64)),
    "first fragment": (c.RAW, c.ipv4(SEGMENT, more=True)),
    "first fragment beyond": (c.RAW, c.ipv4(c.ipv4(SEGMENT, total=200), protocol=4, more=True)),
    "last fragment 6": (c.RAW, c.ipv6(c.fragment6(SEGMENT, more=False), header=44)),
    "mobility": (c.RAW, c.ipv6(c.extension(SEGMENT), header=135)),
    "hip": (c.RAW, c.ipv6(c.extension(SEGMENT), header=139)),
    "shim": (c.RAW, c.ipv6(c.extension(SEGMENT), header=140)),
    "icmp": (c.RAW, c.ipv4(PACKET4, protocol=c.ICMP)),
    "route of type 2": (
        c.RAW,
        c.ipv6(c.extension(SEGMENT, body=b"\x02\x01" + bytes(4) + bytes(range(16))), header=43),
    ),
    "route of type 3": (
        c.RAW,
        c.ipv6(c.extension(SEGMENT, body=b"\x03\x01" + bytes(4) + bytes(range(16))), header=43),
    ),
    "no segments left": (
        c.RAW,
        c.ipv6(c.extension(SEGMENT, body=b"\x04\x00" + bytes(4) + bytes(range(16))), header=43),
    ),
    "jumbo behind padding": (
        c.RAW,
        c.ipv6(
            c.extension(SEGMENT, body=b"\x01\x02\0\0\0\0\0\0\xc2\x04\0\x01\0\x20"),
            header=0, length=0,
        ),
    ),
    "vlan 0 and 7": (c.ETHERNET, c.ethernet(PACKET4, tags=((0x8100, 0), (0x9100, 0x2007)))),
    "vlan of 0x9200": (c.ETHERNET, c.ethernet(PACKET4, tags=((0x9200, 0xFFFF),))),
    "arp": (c.ETHERNET, c.ethernet(PACKET4, 0x0806)),
    "old vxlan": (
        c.RAW,
        c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4)), destination=8472), protocol=c.UDP),
    ),
    "no vxlan id": (
        c.RAW,
        c.ipv4(c.udp(bytes(8) + c.ethernet(PACKET4)), protocol=c.UDP),
    ),
    "vxlan of other flags": (
        c.RAW,
        c.ipv4(c.udp(b"\xf7" + c.vxlan(c.ethernet(PACKET4))[1:]), protocol=c.UDP),
    ),
    "vxlan of all flags": (
        c.RAW,
        c.ipv4(c.udp(b"\xff" + c.vxlan(c.ethernet(PACKET4))[1:]), protocol=c.UDP),
    ),
    "vxlan of a shorter datagram": (
        c.RAW,
        c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4)) + bytes(9), length=88), protocol=c.UDP),
    ),
    **{
        f"vxlan of a datagram of {size}": (
            c.RAW,
            c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4)), length=size), protocol=c.UDP),
        )
        for size in (0, 7, 8, 9, 40)
    },
    "dns": (c.RAW, c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4)), destination=53), protocol=c.UDP)),
    "null of the other order": (c.NULL, b"\0\0\0\x02" + PACKET4),
    "null of ipv6": (c.NULL, b"\x1e\0\0\0" + PACKET6),
    "null of something": (c.NULL, b"\x07\0\0\0" + PACKET4),
    "ppp in full": (c.PPP, b"\xff\x03\0\x57" + PACKET6),
    "ppp compressed": (c.PPP, b"\x21" + PACKET4),
    "ppp of something": (c.PPP, b"\xff\x03\xc0\x21" + PACKET4),
    "hdlc of 0x8f": (c.PPP_HDLC, b"\x8f\0\x86\xdd" + PACKET6),
    **{
        f"tcp of {size}": (c.RAW, c.ipv4(SEGMENT[:size])) for size in (0, 19, 20)
    },
    **{
        f"direction {kind}": (c.COOKED, bytes([0, kind]) + c.cooked(PACKET4)[2:])
        for kind in range(6)
    },
    **{
        f"direction {kind} of version 2": (
            c.COOKED_2,
            c.cooked_2(PACKET4)[:10] + bytes([kind]) + c.cooked_2(PACKET4)[11:],
        )
        for kind in range(6)
    },
    **{
        f"{number} tags": (c.ETHERNET, c.ethernet(PACKET4, tags=((0x8100, 0),) * number))
        for number in (30, 31, 32)
    },
}  # fmt: skip
FRAMES = CUTS | MORE
DAMAGES = 60


def _versions(name: str) -> Iterator[c.Record]:
    """A frame whole, padded, cut at each place, and with octets of its headers changed."""
    _, frame = FRAMES[name]
    yield c.Record(octets=frame)
    yield c.Record(octets=frame + bytes(30))
    start = frame.find(SEGMENT[:20])
    headers = len(frame) if start < 0 else start + 24
    yield from (c.cut(c.Record(octets=frame), size) for size in range(headers))
    generator = random.Random(name)
    for _ in range(DAMAGES):
        octets = bytearray(frame)
        place = generator.randrange(headers) % len(octets)
        octets[place] = generator.choice((0, 1, 4, 6, 0xFF, octets[place] ^ 1 << place % 8))
        size = generator.choice((len(octets), generator.randrange(len(octets) + 1)))
        yield c.cut(c.Record(octets=bytes(octets)), size)


@pytest.mark.parametrize("name", FRAMES)
def test_segments_and_reasons_are_those_of_the_naive_dissector(
    name: str, loops: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame gives the same segment with the same facts, or is counted for the same reason."""
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", loops.kind)
    compare(FRAMES[name][0], list(_versions(name)))
