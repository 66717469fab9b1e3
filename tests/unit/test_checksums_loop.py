"""The loop that verifies DSS checksums against sums of Python's integers."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from mptcp_oracle import engine
from tests.common.numbers import signed

NONE, RIGHT, WRONG, UNKNOWN = range(4)
WIDE, FIN, CHECKSUM, CAPABLE = 0x08, 0x10, 0x20, 0x40
IDSNS = (0, 5, -1, (1 << 63) - 1, -(1 << 63), 0x0123456789ABCDEF, (1 << 32) - 1, -(1 << 32))


@dataclass(frozen=True)
class Mapping:
    """A mapping row, relative."""

    start: int
    dsn: int
    ssn: int
    length: int
    checksum: int
    flags: int

    @property
    def octets(self) -> int:
        """Payload octets: those of a DATA_FIN that has no SSN are none (section 3.3.3)."""
        if self.flags & FIN:
            return self.length - 1 if self.ssn and self.length else 0
        return self.length


@dataclass
class Half:
    """Rows ``(sequence, length, captured)`` in capture order, each with its octets."""

    idsn: int
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    octets: list[bytes] = field(default_factory=list)
    maps: list[Mapping] = field(default_factory=list)


def total(octets: bytes) -> int:
    """The ones' complement sum of octets (RFC 1071)."""
    octets += bytes(len(octets) % 2)
    words = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    while words > 0xFFFF:
        words = words % 65536 + words // 65536
    return words


def header(mapping: Mapping, idsn: int) -> bytes:
    """The pseudo-header (section 3.3.1, figure 10), without its checksum."""
    dsn = (mapping.dsn + idsn) % 2**64
    parts = ((dsn, 8), (mapping.ssn, 4), (mapping.length, 2))
    return b"".join(value.to_bytes(size, "big") for value, size in parts)


def payload(half: Half, mapping: Mapping) -> bytes | None:
    """The first copy of each octet of a mapping, or ``None`` if one is not in the capture."""
    found = b""
    for at in range(mapping.start, mapping.start + mapping.octets):
        for (begin, length, captured), octets in zip(half.rows, half.octets, strict=True):
            if begin <= at < begin + length:
                if at >= begin + captured:
                    return None
                found += octets[at - begin : at - begin + 1]
                break
        else:
            return None
    return found


def naive(half: Half, mapping: Mapping) -> int:
    """What is to be said of a mapping."""
    if not mapping.flags & CHECKSUM or not (mapping.length or mapping.flags & FIN):
        return NONE
    octets = payload(half, mapping)
    if octets is None:
        return UNKNOWN
    whole = total(mapping.checksum.to_bytes(2, "big") + header(mapping, half.idsn) + octets)
    return RIGHT if whole == 0xFFFF else WRONG


def some(generator: random.Random) -> Half:
    """Segments with holes, and mappings that lie on them in any way."""
    half, at = Half(generator.choice(IDSNS)), generator.choice((1, 1, 0, -9))
    fills = generator.choice((0, 0.4))
    for _ in range(generator.randrange(6 if not fills else 12)):
        if half.rows and generator.random() < fills:
            # Sent again in other pieces, some of which fill what was missing.
            begin, length = generator.randint(half.rows[0][0], at), generator.randint(1, 9)
            captured = length - generator.choice((0, 0, 1, length // 2))
            half.rows.append((begin, length, captured))
            half.octets.append(generator.randbytes(length))
            at = max(at, begin + length)
            continue
        begin = at - generator.choice((0, 0, 0, 1, 4)) + generator.choice((0, 0, 0, 0, 3))
        length = at - begin + generator.randint(1, 9) if begin < at else generator.randint(1, 9)
        captured = length - generator.choice((0, 0, 0, 0, 0, 1, length))
        half.rows.append((begin, length, captured))
        half.octets.append(generator.choice((generator.randbytes(length), b"\xff" * length)))
        at = begin + length
    begin = 1
    for _ in range(generator.randrange(7)):
        begin = generator.choice((begin, begin, *(row[0] for row in half.rows)))
        flags = CHECKSUM | generator.choice((0, 0, FIN, WIDE, CAPABLE)) | generator.choice((0, 7))
        mapping = Mapping(
            start=begin + generator.choice((0, 0, 0, 1, 2)),
            dsn=generator.choice((1, 1, 77, -5, (1 << 32) - 1, 1 << 40)),
            ssn=generator.choice((0, 1, 1, 65535, 1 << 31, (1 << 32) - 1)),
            length=generator.choice((0, 1, 2, 3, 8, 9, 17, 40)), checksum=0,
            flags=flags if generator.random() < 0.95 else flags ^ CHECKSUM,
        )  # fmt: skip
        right = 0xFFFF - total(header(mapping, half.idsn) + (payload(half, mapping) or b""))
        wrong = (right + generator.choice((1, 255, 256, 65534))) % 65536
        checksum = right if generator.random() < 0.7 else wrong
        half.maps.append(Mapping(*(mapping.start, mapping.dsn, mapping.ssn, mapping.length,
                                   checksum, mapping.flags)))  # fmt: skip
        if generator.random() < 0.4:
            half.maps.append(half.maps[-1])
            twin = list(vars(half.maps[-1]).values())
            twin[generator.randrange(1, 5)] ^= generator.choice((0, 1, 256))
            half.maps.append(Mapping(*twin))
    half.maps.sort(key=lambda each: each.start)
    return half


def carriers(half: Half) -> list[int]:
    """Rows that carried octets first: as they came, or by their places if some filled a gap."""
    seen: set[int] = set()
    found, fills = [], False
    for row, (begin, length, _) in enumerate(half.rows):
        fresh = set(range(begin, begin + length)) - seen
        if fresh:
            found.append(row)
            fills = fills or (bool(seen) and min(fresh) < max(seen))
            seen |= fresh
    return sorted(found, key=lambda row: (half.rows[row][0], row)) if fills else found


def verified(loops: SimpleNamespace, half: Half) -> list[int]:
    """The results of the loop, of a half behind another one that has a mapping of its own."""
    data, offsets = bytearray(b"\x99\x99\x99"), []
    for (_, _, captured), octets in zip(half.rows, half.octets, strict=True):
        offsets.append(len(data))
        data += octets[:captured]
        data += b"\x99" * 3
    # Other rows lie between; mapping rows stand in another order than they are named in.
    most = len(half.maps) + 1
    places = [most - 1 - at for at in range(most)]
    # The other half has the same mapping as this one's first, and has not been checked.
    maps = [*(half.maps[:1] or [Mapping(1, 1, 1, 1, 0, CHECKSUM)]), *half.maps]
    column = {}
    for name, code in zip(vars(maps[0]), "qqIHHB", strict=True):
        column[name] = array(code, [0] * most)
        for place, mapping in zip(places, maps, strict=True):
            column[name][place] = getattr(mapping, name)
    result = array("B", [77] * most)
    loops.checksums.verify(
        bytes(data), 1, array("I", [0, 1, most]), array("I", places), *column.values(),
        array("I", [2 * row + 1 for row in carriers(half)]),
        array("q", [each for row in half.rows for each in (0, row[0])]),
        array("I", [each for row in half.rows for each in (99, row[1])]),
        array("I", [each for row in half.rows for each in (99, row[2])]),
        array("q", [each for offset in offsets for each in (0, offset)]),
        signed(half.idsn, 64), result,
    )  # fmt: skip
    assert result[places[0]] == 77
    return [result[place] for place in places[1:]]


@pytest.mark.parametrize("seed", range(6))
def test_checksums_are_right_where_the_sum_is(loops: SimpleNamespace, seed: int) -> None:
    """Each mapping is right, wrong, not to be checked or not complete as the naive sum says."""
    generator = random.Random(seed)
    met: set[int] = set()
    for _ in range(120):
        half = some(generator)
        expected = [naive(half, mapping) for mapping in half.maps]
        assert verified(loops, half) == expected, half
        met.update(expected)
    assert met == {NONE, RIGHT, WRONG, UNKNOWN}


@pytest.mark.parametrize("odd", [False, True])
def test_sums_of_octets(odd: bool) -> None:
    """Any stretch of octets sums to its words; behind an odd number of octets they are shifted."""
    add = engine.loops("plain").checksums.add
    data = bytes(range(250, 256)) + b"\x01\x80\xff\xff\x00\x7f"
    for at in range(len(data)):
        for octets in range(len(data) - at + 1):
            part = bytes(odd) + data[at : at + octets]
            part += bytes(len(part) % 2)
            words = [int.from_bytes(part[i : i + 2], "big") for i in range(0, len(part), 2)]
            assert add(data, at, octets, odd) == sum(words)


def test_mappings_made_of_overlaps_cost_a_bounded_time(loops: SimpleNamespace) -> None:
    """Of a thousand mappings of the same octets most are checked, the last are left undecided."""
    octets = bytes(1000)
    half = Half(0, [(1, 1000, 1000)], [octets])
    for dsn in range(1, 1100):
        plain = Mapping(1, dsn, 1, 1000, 0, CHECKSUM)
        checksum = 0xFFFF - total(header(plain, 0))
        half.maps.append(Mapping(1, dsn, 1, 1000, checksum, CHECKSUM))
    found = verified(loops, half)
    checked = found.index(UNKNOWN)
    assert found == [RIGHT] * checked + [UNKNOWN] * (len(found) - checked)
    assert (1 << 20) // 1000 <= checked <= (1 << 20) // 1000 + 40
