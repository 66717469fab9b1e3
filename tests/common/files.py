"""Capture files for mutated frames, in every format, and damage to the files themselves."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from tests.common import captures as c

__all__ = ["damage_file", "length_fields", "write_file"]

LENGTHS = (0, 1, 3, 4, 8, 11, 12, 16, 28, 32, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
#: What if_tsresol and if_tsoffset may say: powers of ten and of two, absurd ones among them.
CLOCKS = (b"\x00", b"\x06", b"\x09", b"\x12", b"\x7f", b"\x80", b"\xa0", b"\xff")


def write_file(rng: Random, records: list[c.Record], linktype: int) -> tuple[bytes, str]:
    """A right file of these frames, and what its format is called."""
    form = rng.choice(("pcap", "pcap", "pcap ns", "pcap modified", "pcapng", "pcapng", "blocks"))
    order = rng.choice("<<>")
    # What the classic format cannot say is cut to fit.
    fitting = [
        replace(each, time=each.time % (1 << 62), wire=_wire(each) & 0xFFFFFFFF) for each in records
    ]
    if form in ("pcap", "pcap ns", "pcap modified"):
        small = [replace(each, time=each.time % ((1 << 32) * 10**9)) for each in fitting]
        octets = c.pcap(
            small, linktype=linktype, order=order, nano=form == "pcap ns",
            modified=form == "pcap modified",
        )  # fmt: skip
    elif form == "pcapng":
        octets = c.section(order) + _interface(linktype, order)
        octets += b"".join(c.enhanced(each, order, ticks=each.time) for each in fitting)
    else:
        octets = b"".join(_blocks(rng, fitting, linktype, order))
    name = f"{form} {'little' if order == '<' else 'big'}"
    if rng.random() < 0.04:
        return gzip.compress(octets, 1, mtime=0), name + " gzip"
    return octets, name


def _wire(record: c.Record) -> int:
    return len(record.octets) if record.wire is None else record.wire


def _interface(linktype: int, order: str) -> bytes:
    clock = c.option(9, b"\x09", order) + c.option(0, b"", order)
    return c.interface(linktype, order, options=clock)


def _blocks(rng: Random, records: Iterable[c.Record], linktype: int, order: str) -> Iterable[bytes]:
    """Blocks of every kind: several sections and interfaces, comments, odd clocks."""
    yield c.section(order) + _interface(linktype, order)
    interfaces = 1
    for each in records:
        luck = rng.randrange(40)
        if luck == 0:
            order, interfaces = rng.choice("<>"), 1
            yield c.section(order) + _interface(linktype, order)
        elif luck == 1:
            clock = c.option(9, rng.choice(CLOCKS), order)
            clock += c.option(14, struct.pack(order + "q", rng.choice((0, 7, -(1 << 62)))), order)
            yield c.interface(linktype, order, options=clock + c.option(0, b"", order))
            interfaces += 1
        elif luck == 2:
            yield c.block(rng.choice((4, 5, 10, 0xBAD)), rng.randbytes(rng.randrange(40)), order)
        which = replace(each, interface=rng.choice((0, 0, 0, interfaces - 1)))
        kind = rng.randrange(8)
        if kind == 0:
            yield c.simple(which, order)
        elif kind == 1:
            yield c.obsolete(which, order)
        elif kind == 2:
            comment = c.option(1, b"note", order) + c.option(2, struct.pack(order + "I", 2), order)
            commented = replace(which, options=comment + c.option(0, b"", order))
            yield c.enhanced(commented, order, ticks=each.time)
        else:
            yield c.enhanced(which, order, ticks=each.time)


def length_fields(octets: bytes) -> list[tuple[int, str]]:
    """Offset and byte order of each 4-octet length of a right file: blocks, records, frames."""
    found: list[tuple[int, str]] = []
    if octets[:4] == b"\n\r\r\n":
        at, order = 0, "<"
        while at + 12 <= len(octets):
            if octets[at : at + 4] == b"\n\r\r\n":
                order = "<" if octets[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            kind, size = struct.unpack_from(order + "II", octets, at)
            if size < 12 or size % 4:
                break
            found += [(at + 4, order), (at + size - 4, order)]
            if kind in (2, 6):
                found += [(at + 20, order), (at + 24, order)]
            at += size
    elif len(octets) > 24 and octets[:4] != b"\x1f\x8b\x08\x00":
        order = "<" if octets[3:4] == b"\xa1" else ">"
        header = 24 if b"\xcd" in octets[:4] else 16
        at = 24
        while at + header <= len(octets):
            found += [(at + 8, order), (at + 12, order)]
            at += header + int(struct.unpack_from(order + "I", octets, at + 8)[0])
    return [(at, order) for at, order in found if at + 4 <= len(octets)]


def damage_file(rng: Random, octets: bytes) -> tuple[bytes, list[str]]:
    """The file with octets changed, put in, taken out or cut off; and what was done."""
    done = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        how = rng.choice(("flip", "octet", "length", "length", "cut", "insert", "delete", "join"))
        done.append(f"file: {how}")
        octets = _damaged(rng, octets, how)
    return octets, done


def _damaged(rng: Random, octets: bytes, how: str) -> bytes:
    if not octets:
        return rng.randbytes(rng.randrange(60))
    file = bytearray(octets)
    at = rng.randrange(len(file))
    if how == "flip":
        file[at] ^= 1 << rng.randrange(8)
    elif how == "octet":
        file[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.getrandbits(8)))
    elif how == "length":
        fields = length_fields(octets)
        if fields:
            at, order = rng.choice(fields)
            old = struct.unpack_from(order + "I", file, at)[0]
            near = (old - 4, old + 4, old - 1, old + 1, old * 2)
            struct.pack_into(order + "I", file, at, rng.choice(LENGTHS + near) & 0xFFFFFFFF)
    elif how == "cut":
        # Where most of the file is left more often than not.
        del file[at if rng.random() < 0.3 else len(file) - at // 4 :]
    elif how == "insert":
        file[at:at] = rng.randbytes(rng.choice((1, 2, 4, 40)))
    elif how == "delete":
        del file[at : at + rng.choice((1, 2, 4, 40, 400))]
    else:
        other = rng.choice((octets, octets[:at], octets[at:], c.pcapng(c.records(b"x"))))
        file += other
    return bytes(file)
