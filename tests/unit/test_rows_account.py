"""The loop that makes rows of segments against a naive account, and the search for events."""

from __future__ import annotations

import random
import struct
from array import array
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.common.rows import Half, Mapping, Packet, Row, Rows, step

BATCH = {
    "frame": "I", "time": "q", "tcp": "q", "captured": "I", "length": "I", "ip_id": "i",
    "ttl": "B", "direction": "B", "interface": "I", "fragment": "B", "head": "B", "marks": "B",
    "first_dss": "q", "second_dss": "q", "capable": "q", "digest": "I", "half": "i",
    "sequence": "q", "row": "i",
}  # fmt: skip
ROWS = "IqiHqIHIIqBBqi"
MAPS = "IiqIHHB"
HALVES = "iiiIBqq"
COUNT = 6
MS = 1_000_000
STEPS = (0, 0, 0, 1, MS - 1, MS, MS + 1, 150 * MS - 1, 150 * MS, 1000 * MS - 1, 1000 * MS,
         -1, 1 - MS, -MS, 1 - 1000 * MS, -1000 * MS)  # fmt: skip
NUMBERS = (0, 1, 5, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
WIDE = (0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 32) - 1, 1 << 32, 0x0102030405060708)


def dss(generator: random.Random) -> bytes:
    """A DSS of any of its lengths."""
    flags = generator.choice((0, 1, 2, 3, 4, 5, 7, 9, 12, 13, 15, 17, 20, 21, 24, 28, 31))
    body = b""
    if flags & 1:
        value = generator.choice(WIDE) if flags & 2 else generator.choice(NUMBERS)
        body += struct.pack("!Q" if flags & 2 else "!I", value)
    if flags & 4:
        value = generator.choice(WIDE[:4]) if flags & 8 else generator.choice(NUMBERS[:3])
        body += struct.pack("!Q" if flags & 8 else "!I", value)
        body += struct.pack("!IH", generator.choice(NUMBERS[:2]), generator.choice((7, 7, 65535)))
        if generator.random() < 0.4:
            body += struct.pack("!H", generator.choice((0, 0xFFFF, 0x0102)))
    return bytes([30, 4 + len(body), 0x20, flags]) + body


def capable(generator: random.Random) -> bytes:
    """An MP_CAPABLE of 20 octets or more."""
    size = generator.choice((20, 22, 22, 23, 24, 24, 25, 26))
    body = generator.choice((bytes(size - 4), bytes(range(1, size - 3))))
    return bytes([30, size, generator.choice((0, 1, 1, 1, 15)), 0x81]) + body


def some(generator: random.Random, count: int) -> list[Packet]:
    """Packets of a few halves; many repeat an earlier one, changed in one thing or two."""
    made: list[Packet] = []
    now = 10**12
    for number in range(count):
        now += generator.choice(STEPS)
        fresh = {
            "half": generator.randrange(COUNT), "sequence": generator.choice((1, 1, 6, -4)),
            "flags": generator.choice((0x10, 0x12, 0x11, 0x1FF, 0x100)),
            "ack": generator.choice(NUMBERS), "window": generator.choice((0, 1, 256, 65535)),
            "payload": generator.choice((0, 0, 5, 6, 1400)),
            "missing": generator.choice((0, 0, 0, 0, 1, 5, 2000)),
            "first": dss(generator) if generator.random() < 0.7 else b"",
            "second": dss(generator) if generator.random() < 0.3 else b"",
            "capable": capable(generator) if generator.random() < 0.3 else b"",
            "marks": generator.randrange(8), "fragment": generator.choice((0, 0, 1)),
            "direction": generator.choice((0, 0, 1, 2)),
            "interface": generator.choice((1, 2, 0x400001, 0x3FFFFF)),
            "ttl": generator.choice((63, 64, 255)),
            "ip_id": generator.choice((-1, 0, 1, 2, 3, 65535)),
            "digest": generator.choice((0, 1, 5, 0xFFFFFFFF, generator.randrange(1 << 32))),
        }  # fmt: skip
        packet = Packet(**fresh)
        if made and generator.random() < 0.7:
            packet = generator.choice(made[-3:])
            for name in generator.sample(sorted(fresh), generator.choice((0, 0, 1, 1, 2))):
                packet = replace(packet, **{name: fresh[name]})
        made.append(replace(packet, frame=number + 7, time=now, possible=generator.random() < 0.97))
    return made


def packed(packets: list[Packet]) -> tuple[bytes, dict[str, array[Any]]]:
    """The octets of the headers, and the columns of their batch."""
    data, columns = bytearray(b"\xa5" * 3), {name: array(code) for name, code in BATCH.items()}
    for each in packets:
        at = len(data)
        head = bytes(8) + struct.pack("!I", each.ack)
        head += bytes([0xA0 | each.flags >> 8, each.flags & 0xFF])
        data += head + struct.pack("!H", each.window) + b"\xff" * 4 + each.options + b"\xa5" * 9
        places = {}
        begin = at + 20
        for name in ("first", "second", "capable"):
            option = getattr(each, name)
            places[name if name == "capable" else f"{name}_dss"] = begin if option else -1
            begin += len(option)
        values = places | {
            "tcp": at, "captured": each.head + each.payload - each.missing,
            "length": each.head + each.payload, "head": each.head if each.possible else 0,
            "row": 77,
        }  # fmt: skip
        values["captured"] = max(20, values["captured"])
        for name, column in columns.items():
            column.append(values[name] if name in values else getattr(each, name))
    return bytes(data), columns


def appended(
    loops: SimpleNamespace, batches: list[list[Packet]], buckets: int
) -> tuple[list[int], list[Row], list[Mapping], list[Half]]:
    """What the loop makes of batches: row numbers, rows, mapping rows and halves."""
    room = sum(map(len, batches)) + 1
    # Where nothing was written yet stands what a segment might have: it must not be read.
    rows = [array(code, [{4: 1, 7: 0}.get(at, 99)] * room) for at, code in enumerate(ROWS)]
    maps = [array(code, [99] * (2 * room)) for code in MAPS]
    halves = [array(code, [value] * COUNT) for code, value in zip(HALVES, (-1, -1, -1, 0, 0, 0, 0),
                                                                  strict=True)]  # fmt: skip
    cache = array("I", [0] * (16 * buckets))
    numbers, done, count = [], 0, 0
    for packets in batches:
        data, columns = packed(packets)
        begin = done
        done, count = loops.segments.append(
            data, len(packets), done, count, *columns.values(), *rows, *maps, *halves, cache
        )
        numbers += columns["row"]
        tcp = [at for at, head in zip(columns["tcp"], columns["head"], strict=True) if head]
        for row in range(begin, done):
            rows[9][row] -= tcp[row - begin]
    found = [Row(*row) for row in zip(*(column[:done] for column in rows), strict=True)]
    declared = [Mapping(*row) for row in zip(*(column[:count] for column in maps), strict=True)]
    return numbers, found, declared, [Half(*half) for half in zip(*halves, strict=True)]


@pytest.mark.parametrize("buckets", [1, 4, 256])
@pytest.mark.parametrize("seed", range(6))
def test_rows_are_those_of_the_account(loops: SimpleNamespace, seed: int, buckets: int) -> None:
    """Rows, mappings, halves and copies made by the capture are the account's."""
    generator = random.Random(seed)
    for _ in range(3):
        batches = [some(generator, generator.randrange(30)) for _ in range(3)]
        account = Rows(buckets)
        numbers = [account.put(packet) for packets in batches for packet in packets]
        found = appended(loops, batches, buckets)
        assert found[0] == numbers
        assert found[1] == account.rows
        assert found[2] == account.mappings
        assert found[3] == [account.halves.get(half, Half()) for half in range(COUNT)]


def colliding(count: int, ip_id: int) -> list[int]:
    """Digests of segments without payload whose hashes differ and fall into one bucket of 16."""
    generator = random.Random(3)
    digests = [generator.randrange(1 << 32) for _ in range(1000)]
    hashes = [step(step(each) ^ ip_id * 40503) if ip_id else step(each) for each in digests]
    found = [digest for digest, each in zip(digests, hashes, strict=True) if each % 16 == 3]
    return found[:count]


@pytest.mark.parametrize("ip_id", [0, 3])
@pytest.mark.parametrize(("others", "known"), [(0, True), (3, True), (4, False)])
def test_the_place_that_was_not_used_for_longest_is_given_up(
    loops: SimpleNamespace, others: int, known: bool, ip_id: int
) -> None:
    """A copy is known behind three segments of the same bucket, and forgotten behind four."""
    packets = [
        Packet(digest=each, sequence=each, ip_id=ip_id) for each in colliding(others + 1, ip_id)
    ]
    packets.append(replace(packets[0], interface=2))
    _, rows, _, _ = appended(loops, [packets], 16)
    assert [bool(row.flags & 0x0200) for row in rows] == [False] * (others + 1) + [known]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mask", [7, 1, 0x8000, 0])
def test_rows_with_a_flag_are_found(loops: SimpleNamespace, seed: int, mask: int) -> None:
    """In streams with MPTCP options, no copy made by the capture; what does not fit is counted."""
    generator = random.Random(seed)
    rows = 40
    half = array("i", [generator.randrange(COUNT) for _ in range(rows)])
    bits = (0x10, 0x12, 0x11, 0x14, 0x0211, 0x0200, 0x8010, 0)
    flags = array("H", [generator.choice(bits) for _ in range(rows)])
    mptcp = array("B", [generator.choice((0, 0, 1, 2, 255)) for _ in range(COUNT)])
    expected = [
        row for row in range(rows)
        if flags[row] & mask and not flags[row] & 0x0200
        and any(mptcp[each] & 1 for each in (half[row], half[row] ^ 1))
    ]  # fmt: skip
    for room in (0, 1, len(expected), rows):
        out = array("I", [77] * room)
        assert loops.segments.marked(rows, half, flags, mptcp, mask, out) == len(expected)
        assert [*out] == [*expected[:room], *[77] * (room - len(expected))]
