"""Frames of every kind to cut anywhere, and the question whether a reader looks behind the cut."""

from __future__ import annotations

from tests.common import captures as c
from tests.common.reading import read

SEGMENT = c.tcp(b"payload", options=bytes(8))
PACKET4 = c.ipv4(SEGMENT)
PACKET6 = c.ipv6(SEGMENT)

CUTS = {
    "ethernet": (c.ETHERNET, c.ethernet(PACKET4)),
    "vlan": (c.ETHERNET, c.ethernet(PACKET6, 0x86DD, tags=((0x88A8, 1), (0x8100, 2)))),
    "cooked": (c.COOKED, c.cooked(PACKET4)),
    "cooked 2": (c.COOKED_2, c.cooked_2(PACKET6, 0x86DD)),
    "null": (c.NULL, b"\x02\0\0\0" + PACKET4),
    "ppp": (c.PPP, b"\xff\x03\0\x21" + PACKET4),
    "hdlc": (c.PPP_HDLC, b"\x0f\0\x08\0" + PACKET4),
    "options": (c.RAW, c.ipv4(SEGMENT, options=bytes(40))),
    "extensions": (
        c.RAW,
        c.ipv6(c.extension(c.extension(SEGMENT, body=bytes(30)), following=43), header=0),
    ),
    "jumbo": (c.RAW, c.ipv6(c.extension(SEGMENT, body=b"\xc2\x04\0\x01\0\0"), header=0, length=0)),
    "route": (
        c.RAW,
        c.ipv6(c.extension(SEGMENT, body=b"\x04\x01" + bytes(4) + bytes(range(32))), header=43),
    ),
    "fragment": (c.RAW, c.ipv6(c.fragment6(SEGMENT), header=44)),
    "gre": (c.RAW, c.ipv4(c.gre(PACKET4, checksum=True, routing=bytes(4)), protocol=c.GRE)),
    "vxlan": (c.RAW, c.ipv4(c.udp(c.vxlan(c.ethernet(PACKET4))), protocol=c.UDP)),
    "6 in 4": (c.RAW, c.ipv4(PACKET6, protocol=c.IP6)),
}
"""Name -> link type and a frame that holds :data:`SEGMENT`."""


def reads_beyond(linktype: int, frame: bytes, size: int) -> bool:
    """Whether reading the first ``size`` octets of a frame depends on what comes behind them.

    The octets behind a cut frame in a file are those of the next record: here they go on as the
    frame did, or contradict it, or the file ends.
    """
    short = c.cut(c.Record(octets=frame), size)
    start = c.pcap([short], linktype=linktype)
    alone = read(start)
    for filler in (frame[size:] + frame, b"\xff" * 80, bytes(80)):
        # It stands in the place of the next record's header, and follows at once.
        both = read(start + filler)
        firsts = [each for each in both.segments if each.frame == 1]
        notes = {code for code, (_, first) in both.notes.items() if first == 1}
        if firsts != alone.segments or notes != set(alone.notes):
            return True
    return False
