"""Small captures to start mutations from: the beginnings of recorded ones, and hand-made ones.

Each is a list of frames of one link type, so that a mutation can work on frames and the file
format is chosen afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mptcp_oracle.options import Experimental, Unknown
from tests.common import captures as c
from tests.common.conversation import KEYS, Conversation, Mapping
from tests.common.tape import LINK_TYPES, Tape

__all__ = ["Base", "bases", "beginning"]

KERNEL = Path(__file__).parents[2] / "corpus" / "kernel"
FRAMES = 40
#: A recorded frame longer than this is cut, so that mutations meet headers, not bulk payload.
LONGEST = 300
#: Recordings whose first frames differ in kind: link types, families, handshakes, ends, options.
RECORDED = (
    "add-address-ipv6-port", "address-translation", "bulk-two-paths-no-offload",
    "checksum-failure-one-subflow", "checksums-two-paths", "close-without-data",
    "concurrent-connections", "cooked-v1", "fallback-mid-connection", "fallback-syn-stripped",
    "fast-close-unread", "fullmesh", "headers-only", "ipv6-two-paths", "join-over-limit",
    "loss-reinjection", "mixed-families", "no-timestamps", "options-cut", "remove-address",
    "router-any", "server-any", "server-ethernet", "server-never-acknowledges-close",
    "short-connections", "tcp-fast-open", "tuple-reuse", "zero-window",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Base:
    """A capture to mutate: its name, the link type of all frames, the frames."""

    name: str
    linktype: int
    records: tuple[c.Record, ...]


@cache
def bases() -> tuple[Base, ...]:
    """All of them, always in the same order."""
    return (*_recorded(), *(_made(name, talk) for name, talk in _talks()), *_wrapped())


def _recorded() -> Iterator[Base]:
    for slug in RECORDED:
        (path,) = KERNEL.glob(f"{slug}.pcap*")
        yield beginning(path.stem, path.read_bytes(), FRAMES)


def beginning(name: str, octets: bytes, frames: int) -> Base:
    """The first frames of a little-endian pcap or one-interface pcapng, read by hand."""
    records: list[c.Record] = []
    linktype, at = 0, 0
    if octets[:4] == b"\n\r\r\n":
        while at < len(octets) and len(records) < frames:
            kind, size = struct.unpack_from("<II", octets, at)
            if kind == 1:
                linktype = struct.unpack_from("<H", octets, at + 8)[0]
            elif kind == 6:
                high, low, captured, wire = struct.unpack_from("<IIII", octets, at + 12)
                frame = octets[at + 28 : at + 28 + captured]
                time = (high << 32 | low) & 0x7FFF_FFFF_FFFF_FFFF
                records.append(_short(frame, time, wire))
            at += size
    else:
        linktype, at = struct.unpack_from("<I", octets, 20)[0], 24
        while at < len(octets) and len(records) < frames:
            seconds, part, captured, wire = struct.unpack_from("<IIII", octets, at)
            frame = octets[at + 16 : at + 16 + captured]
            records.append(_short(frame, seconds * 1_000_000_000 + part, wire))
            at += 16 + captured
    return Base(name, linktype, tuple(records))


def _short(frame: bytes, time: int, wire: int) -> c.Record:
    return c.Record(octets=frame[:LONGEST], time=time, wire=wire)


def _made(name: str, tape: Tape) -> Base:
    records = tuple(c.Record(octets=octets, time=time) for time, octets in tape.frames)
    return Base(name, LINK_TYPES[tape.link], records)


def _wrapped() -> Iterator[Base]:
    """One conversation inside every link header and tunnel, and one with IPv6 extensions."""
    talk = Conversation(Tape("raw"))
    _whole_life(talk)
    wraps: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
        "QinQ": (c.ETHERNET, lambda p: c.ethernet(p, tags=((0x88A8, 7), (0x8100, 9)))),
        "VXLAN": (c.RAW, lambda p: c.ipv4(c.udp(c.vxlan(c.ethernet(p))), protocol=c.UDP)),
        "GRE": (c.RAW, lambda p: c.ipv4(c.gre(p, key=True, routing=bytes(4)), protocol=c.GRE)),
        "IP in IPv6": (c.RAW, lambda p: c.ipv6(c.extension(p, following=4), header=60)),
        "PPP": (c.PPP, lambda p: b"\xff\x03\0\x21" + p),
        "HDLC": (c.PPP_HDLC, lambda p: b"\x0f\0\x08\0" + p),
        "NULL": (c.NULL, lambda p: b"\x02\0\0\0" + p),
    }
    for name, (linktype, wrap) in wraps.items():
        frames = tuple(
            c.Record(octets=wrap(octets), time=time) for time, octets in talk.tape.frames
        )
        yield Base(name, linktype, frames)


def _talks() -> Iterator[tuple[str, Tape]]:
    """Hand-made conversations for what recordings have rarely, or not in their first frames."""
    for version in (0, 1):
        for link in LINK_TYPES:
            talk = Conversation(Tape(link), version=version, checksum=version == 1)
            _whole_life(talk)
            yield f"whole life v{version} {link}", talk.tape
    wrap = Conversation(
        wide=(False, False), idsn=((1 << 64) - 90, (1 << 63) - 1 << 1 | 1), checksum=True
    )
    _whole_life(wrap)
    yield "wrapping numbers", wrap.tape
    yield "many mappings", _many_mappings()
    yield "copies", _copies()
    yield "fallback", _fallback()
    yield "odd options", _odd_options()


def _whole_life(talk: Conversation) -> None:
    """Handshake, join, data both ways on both subflows, addresses, priority, close."""
    first = talk.opened()
    first.data(0, b"request " * 4)
    second = talk.joined(backup=(True, False))
    first.data(1, b"response")
    second.data(0, b"on the second path", dsn=None)
    first.add_addr(1, "10.0.3.2")
    if talk.version == 1:
        first.add_addr(0, "10.0.3.2", echo=True)
    second.prio(0, backup=False)
    first.data(0, b"again", mapping=Mapping(dsn=1, ssn=1, dll=32), seq=1)
    third = talk.flow(opener=1)
    third.join()
    third.data(1, b"the listener's own path")
    first.remove_addr(1, 5, 2)
    third.rst(1, 3)
    talk.tape.again(hops=1)
    for flow in (first, second):
        flow.fin(0)
    first.data_fin(0)
    second.data_fin(1)
    first.fin(1)


def _many_mappings() -> Tape:
    """One segment under more mappings than are looked at, and one with many classes."""
    talk = Conversation()
    flow = talk.opened()
    with talk.lost():
        flow.data(0, bytes(600), mapping=None)
    for at in range(300):
        mapping = Mapping(dsn=1 + 3 * at, ssn=1 + at, dll=1)
        flow.segment(0, 0x10, talk.dss(0, mapping, dack=1), seq=601)
    flow.data(0, bytes(400), mapping=None, seq=1)
    flow.data(0, bytes(250), mapping=None, seq=30)
    return talk.tape


def _copies() -> Tape:
    """Reinjection, redundant copies, remaps, overlaps and holes on three subflows."""
    talk = Conversation(Tape("sll2"))
    flows = [talk.opened(), talk.joined(), talk.joined()]
    for at in range(10):
        for flow in flows[: 1 + at % 3]:
            flow.data(0, bytes([at]) * 20, dsn=1 + 15 * at)
        if at % 4 == 3:
            flows[0].data(0, bytes([at]) * 50, dsn=1 + 15 * (at - 2), seq=11)
            talk.tape.wait(0.5)
    flows[1].rst(0)
    flows[2].data(0, bytes(80), dsn=20)
    return talk.tape


def _fallback() -> Tape:
    """Data under an infinite mapping, MP_FAIL, then plain TCP."""
    talk = Conversation(checksum=True)
    flow = talk.opened()
    flow.data(0, b"mapped")
    flow.data(0, b"damaged", mapping=Mapping(dsn=7, ssn=7, dll=7, checksum=1))
    flow.fail(1, 7)
    flow.data(0, b"infinite", mapping=Mapping(dsn=7, ssn=14, dll=0, checksum=0))
    for _ in range(4):
        flow.data(0, b"plain " * 9, mapping=None, dack=None)
        flow.data(1, b"answer", mapping=None, dack=None)
    flow.segment(0, 0x11)
    flow.segment(1, 0x11)
    return talk.tape


def _odd_options() -> Tape:
    """Options that no standard defines, MP_FASTCLOSE, equal keys, a reused 4-tuple."""
    talk = Conversation(keys=(KEYS[0], KEYS[0]))
    flow = talk.opened()
    flow.data(0, b"x", Unknown(subtype=9, raw=b"\x1e\x04\x90\x00"))
    flow.data(1, b"y", Experimental(raw=b"\x1e\x08\xf0\x00\x12\x34\x56\x78"))
    flow.ack(0, b"\x1e\x02\x01\x01")
    flow.ack(1, b"\x1e\x03\x20\x01")
    flow.fastclose(0)
    flow.rst(1, 1)
    again = Conversation(talk.tape)
    again.flow(isn=(77, 99)).handshake()
    return talk.tape
