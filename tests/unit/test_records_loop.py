"""The loops over capture files, record by record, against what was written into the file."""

from __future__ import annotations

import random
import struct
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace

import pytest

from mptcp_oracle import engine

FULL, FINISHED, CUT, BLOCK, DAMAGED = range(5)
UNKNOWN, BAD, NO_PACKET = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
COMMENT, BAD_OPTIONS, NO_TIME = 1, 2, 4
MOST_OCTETS = 1 << 28
MOST = (1 << 62) - 1
COLUMNS = {"offset": "q", "captured": "I", "wire": "I", "time": "q", "interface": "I",
           "direction": "B", "ifindex": "I", "marks": "B"}  # fmt: skip
#: Snap length, unit, factor and offset of the interfaces; those of the section begin with 2.
TABLE = [(7, 0, 1, 0), (8, 0, 1, 0), (9, 0, 1000, 0), (6, 1, 1000, 5), (0, 2, 32, -(10**9))]
FIRST, KNOWN = 2, 3


@dataclass
class File:
    """Octets of a file, the frames in it, and how reading ends.

    Attributes:
        frames: Values of the columns in their order. ends: Offset behind each frame's record.
        status: Why reading ends, and where, if there is room.
    """

    big: bool
    data: bytearray = field(default_factory=bytearray)
    frames: list[tuple[int, ...]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    status: tuple[int, int] = (FINISHED, 0)

    def pack(self, code: str, *values: int) -> bytes:
        """Numbers in the order of the file."""
        return struct.pack((">" if self.big else "<") + code, *values)

    def frame(self, *values: int) -> None:
        """One more frame, whose record is written."""
        self.frames.append(values)
        self.ends.append(len(self.data))


def read(
    loop: object,
    file: File,
    state: list[int],
    room: int,
    stop: int,
    *arguments: object,
) -> tuple[list[tuple[int, ...]], list[int]]:
    """One call of a loop; the columns are full of other values before."""
    columns = [array(code, [77] * (room + 1)) for code in COLUMNS.values()]
    now = array("q", state)
    count = loop(  # type: ignore[operator]
        bytes(file.data), len(file.data), stop, room, file.big, *arguments, now, *columns
    )
    assert all(column[count] == 77 for column in columns)
    return [*zip(*(column[:count] for column in columns), strict=True)], [*now]


def check(loop: object, file: File, generator: random.Random, *arguments: object) -> None:
    """The frames come in one call, in calls with little room, and with a place to stop."""
    whole = len(file.frames)
    found, state = read(loop, file, [0, 9, 5], whole + 1, len(file.data) + 1, *arguments)
    assert found == file.frames
    assert (state[1], state[0]) == file.status
    state, found = [0, 9, 5], []
    while True:
        room, stop = generator.randrange(1, 4), state[0] + generator.choice((1, 40, 1000))
        more, state = read(loop, file, state, room, stop, *arguments)
        found += more
        assert len(more) <= room
        assert all(end < stop for end in file.ends[len(found) - len(more) : len(found)][:-1])
        if state[1] != FULL or state[0] >= len(file.data):
            break
        assert len(more) == room or state[0] >= stop
    assert found == file.frames
    if state[1] != FULL:
        assert (state[1], state[0]) == file.status


def records(generator: random.Random, size: int) -> File:
    """A pcap file behind its header, with record headers of 16 or 24 octets."""
    file = File(generator.random() < 0.5)
    for _ in range(generator.randrange(7)):
        octets = generator.randbytes(generator.choice((0, 1, 5, 60)))
        wire = generator.choice((len(octets), len(octets) + 9, len(octets) - 1, 0, 1 << 31))
        wire = max(0, wire)
        seconds, part = generator.choice((0, 1, (1 << 32) - 1)), generator.choice((0, 7, 10**9))
        head = file.pack("IIII", seconds, part, len(octets), wire)
        ifindex, kind = 0, 3
        if size == 24:
            ifindex, kind = generator.choice((0, 3, (1 << 32) - 1)), generator.randrange(7)
            head += file.pack("IH", ifindex, 0x0102) + bytes([kind, 9])
        begin = len(file.data) + size
        file.data += head + octets
        file.frame(
            begin, len(octets), max(wire, len(octets)), seconds * 10**9 + part * 1000, 0,
            {0: 1, 1: 1, 2: 1, 4: 2}.get(kind, 0), ifindex, 0,
        )  # fmt: skip
    end = len(file.data)
    tail = generator.choice(("none", "cut", "short", "huge", "most"))
    if tail == "cut":
        file.data += file.pack("IIII", 1, 1, 50, 50) + bytes(size - 16)
        file.data += bytes(generator.randrange(50))
    elif tail == "short":
        file.data += bytes(generator.randrange(1, size))
    elif tail in ("huge", "most"):
        length = MOST_OCTETS + (tail == "huge")
        file.data += file.pack("IIII", 1, 1, length, 50) + bytes(size - 16)
    status = {"none": FINISHED, "huge": DAMAGED}.get(tail, CUT)
    file.status = (status, end)
    return file


@pytest.mark.parametrize("size", [16, 24])
@pytest.mark.parametrize("seed", range(3))
def test_records_of_pcap_files(loops: SimpleNamespace, size: int, seed: int) -> None:
    """Each record is a frame with the values that were written; the end is what it is."""
    generator = random.Random(seed)
    for _ in range(40):
        check(loops.records.pcap_records, records(generator, size), generator, 1000, size)


def block(file: File, kind: int, body: bytes, again: int = 0) -> None:
    """A block around its body; ``again`` is added to its second length."""
    body += bytes(-len(body) % 4)
    size = 12 + len(body)
    file.data += file.pack("II", kind, size) + body + file.pack("I", size + again)


def options(file: File, generator: random.Random) -> tuple[bytes, int, int]:
    """Options of a packet block, with the marks and the direction that they give."""
    made, marks, direction = b"", 0, 0
    for _ in range(generator.choice((0, 0, 1, 2, 3))):
        code = generator.choice((1, 2, 2, 3, 0x8001))
        size = 4 if code == 2 and generator.random() < 0.8 else generator.randrange(9)
        body = generator.randbytes(size)
        if code == 1:
            marks |= COMMENT
        if code == 2 and size == 4:
            value = generator.choice((0, 1, 2, 3, 0xFFFFFFFD, 0xFFFFFFFE))
            body = file.pack("I", value)
            direction = {1: 1, 2: 2}.get(value % 4, direction)
        made += file.pack("HH", code, size) + body + bytes(-size % 4)
    end = generator.choice(("none", "none", "end", "broken", "long"))
    if end == "end":
        made += file.pack("HH", 0, 0) + file.pack("HH", 1, 4) + bytes(4)
    elif end == "broken":
        made += file.pack("HH", generator.choice((1, 2)), generator.choice((1, 4, 999)))
        marks |= BAD_OPTIONS
    elif end == "long":
        left = 4 * generator.randrange(1, 5)
        made += file.pack("HH", generator.choice((1, 2)), left + generator.randrange(1, 30))
        made += bytes(left)
        marks |= BAD_OPTIONS
    return made, marks, direction


def nanoseconds(row: tuple[int, ...], ticks: int) -> Fraction:
    """The exact time of so many ticks, held within 2^62 of the epoch."""
    _, unit, factor, shift = row
    if unit == 0:
        exact = Fraction(ticks * factor)
    else:
        exact = Fraction(ticks, factor) if unit == 1 else Fraction(ticks * 10**9, 1 << factor)
    if unit == 2 and exact // 10**9 >= MOST // 10**9:
        exact = Fraction(MOST)  # the last second, which the bound cuts, is not told apart
    return min(Fraction(MOST), min(Fraction(MOST), exact // 1) + shift)


def packet(file: File, generator: random.Random, last: int) -> int:
    """A packet block, right or contradicting itself; the time of the newest frame."""
    kind = generator.choice((2, 3, 6, 6, 6))
    begin = len(file.data)
    octets = generator.randbytes(generator.choice((0, 1, 4, 7, 30)))
    padded = octets + bytes(-len(octets) % 4)
    lie = generator.choice((0, 0, 0, 0, 0, 1, 500, (1 << 32) - 64))
    wire = generator.choice((len(octets), len(octets) + 3, 0, (1 << 32) - 1))
    which = generator.choice((0, 0, 1, 2, 2, 3, 65535))
    marks, direction = 0, 0
    if kind == 3:
        wire = generator.choice((len(octets), len(octets) + 300))
        block(file, 3, file.pack("I", wire) + octets)
        held = min(wire, len(padded), TABLE[FIRST][0])
        file.frame(begin + 12, held, max(wire, held), last, FIRST, 0, 0, NO_TIME)
        return last
    captured = len(octets) + lie
    ticks = generator.choice((0, 1, 10**15 + 7, 1 << 63, (1 << 64) - 1, 5 << 32))
    tail, marks, direction = options(file, generator)
    names = file.pack("HH", which, 0x0102) if kind == 2 else file.pack("I", which)
    body = names + file.pack("IIII", ticks >> 32, ticks % 2**32, captured, wire) + padded + tail
    block(file, kind, body)
    if captured > len(padded) + len(tail):
        file.frame(begin + 28, 0, wire, last, BAD, 0, 0, 0)
        return last
    if which >= KNOWN:
        file.frame(begin + 28, captured, max(wire, captured), last, UNKNOWN, 0, 0, 0)
        return last
    last = int(nanoseconds(TABLE[FIRST + which], ticks))
    if lie and captured > len(padded):
        # The frame takes octets of the options: what is left of them is not what was written.
        return -1
    file.frame(begin + 28, captured, max(wire, captured), last, FIRST + which, direction, 0, marks)
    return last


def blocks(generator: random.Random) -> File:
    """A pcapng section behind its header."""
    file, last = File(generator.random() < 0.5), 5
    for _ in range(generator.randrange(9)):
        begin = len(file.data)
        shape = generator.random()
        if shape < 0.65:
            kept = len(file.frames)
            last, before = packet(file, generator, last), last
            if last < 0:
                del file.data[begin:], file.frames[kept:], file.ends[kept:]
                last = before
        elif shape < 0.75:
            block(file, generator.choice((9, 0xBAD, 0x40000BAD)), bytes(generator.randrange(9)))
            file.frame(begin, 0, 0, last, NO_PACKET, 0, 0, 0)
        elif shape < 0.85:
            kind, short = generator.choice(((2, 16), (3, 0), (6, 16), (6, 0), (6, 15)))
            block(file, kind, bytes(short))
            file.frame(begin + (12 if kind == 3 else 28), 0, 0, last, BAD, 0, 0, 0)
        else:
            block(
                file,
                generator.choice((0, 4, 7, 8, 10, 0x777, 0xBAC)),
                bytes(generator.randrange(9)),
            )
    end = len(file.data)
    tail = generator.choice(
        ("none", "section", "interface", "statistics", "damage", "cut", "odd", "short")
    )
    status = {"none": FINISHED, "odd": DAMAGED, "damage": DAMAGED}.get(tail, BLOCK)
    if tail in ("cut", "short"):
        status = CUT
    if tail == "section":
        file.data += file.pack("II", 0x0A0D0D0A, generator.choice((0, 28, 13))) + bytes(20)
    elif tail in ("interface", "statistics"):
        block(file, 1 if tail == "interface" else 5, bytes(8))
    elif tail == "damage":
        block(file, generator.choice((1, 6, 0x777)), bytes(32), generator.choice((1, -4, 1 << 20)))
    elif tail == "odd":
        file.data += file.pack("II", 6, generator.choice((0, 4, 11, 13, 14, 15))) + bytes(60)
    elif tail == "short":
        kind = generator.choice((1, 6, 0x0A0D0D0A))
        begin = file.pack("II", kind, generator.choice((0, 7, 12, 28))) + bytes(3)
        file.data += begin[: generator.choice((1, 7, 8, 10, 11, 11))]
    elif tail == "cut":
        block(file, generator.choice((1, 6, 0x777)), bytes(32))
        del file.data[end + generator.randrange(1, 44) :]
    file.status = (status, end)
    return file


@pytest.mark.parametrize("seed", range(8))
def test_blocks_of_pcapng_sections(loops: SimpleNamespace, seed: int) -> None:
    """Each packet block is a frame with the values that were written, whatever is between."""
    generator = random.Random(seed)
    table = array("q", [value for row in TABLE for value in row])
    for _ in range(60):
        file = blocks(generator)
        check(loops.records.pcapng_blocks, file, generator, table, FIRST, KNOWN)


BITS = (0, 1, 10, 30, 31, 32, 34, 35, 53, 62, 63)
EDGES = (MOST // 1000, 4611686017 << 20, 4611686018 << 20)
TICKS = sorted({
    0, (1 << 64) - 1,
    *(each + step for each in (*EDGES, *(1 << bits for bits in BITS)) for step in (-1, 0, 1)),
})  # fmt: skip


@pytest.mark.parametrize("shift", [0, 1, -1, 10**18, -(10**18), MOST, -MOST])
def test_times_are_exact_and_held_in_their_bounds(shift: int) -> None:
    """Multiples, fractions and powers of two of a tick, down to the last nanosecond."""
    read_time = engine.loops("plain").records.nanoseconds
    rows = [(0, 0, factor, shift) for factor in (0, 1, 1000, 10**9, MOST, MOST + 1)]
    rows += [(0, 1, factor, shift) for factor in (10, 1000, 10**10)]
    rows += [(0, 2, factor, shift) for factor in (0, 1, 20, 33, 34, 35, 50, 63, 64, 97, 98, 127)]
    for row in rows:
        table = array("q", [77] * 4 + list(row))
        for ticks in TICKS:
            found, exact = read_time(table, 4, ticks), nanoseconds(row, ticks)
            if row[1] == 2 and row[2] > 34:
                # One of the bits that are dropped may be worth the last nanosecond.
                assert exact - 1 <= found <= exact, (row, ticks)
            else:
                assert found == exact, (row, ticks)
