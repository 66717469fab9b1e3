"""The option walk of the engine against a naive one, on options of every shape and any octets."""

from __future__ import annotations

import random
from array import array
from types import SimpleNamespace

import pytest

from mptcp_oracle.wire.capture import open_capture
from mptcp_oracle.wire.segments import BATCH_COLUMNS
from tests.common import captures as c

MPTCP = 30


def dss_sizes(flags: int) -> set[int]:
    """Lengths that a DSS with these flags may have (RFC 8684 section 3.3)."""
    size = 4 + (0, 4, 0, 8)[flags & 3] + {0: 0, 4: 10, 8: 0, 12: 14}[flags & 12]
    return {size, size + 2} if flags & 4 else {size}


def naive(options: bytes, held: int) -> dict[str, object]:
    """What is to be noted of a header's options, of which ``held`` octets were captured."""
    marks, dss, capable, controls, at = 0, [], -1, [], 0
    if held < len(options):
        marks |= 2
    while at < held:
        kind = options[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        size = options[at + 1] if at + 1 < held else 0
        if size < 2 or at + size > len(options):
            if kind == MPTCP and held == len(options):
                marks |= 1
                controls.append((at, len(options) - at))
            break
        if at + size > held:
            marks |= kind == MPTCP
            break
        if kind == MPTCP:
            marks |= 1
            subtype = options[at + 2] >> 4 if size >= 4 else -1
            plain = False
            if subtype == 2 and size in dss_sizes(options[at + 3]):
                flags = options[at + 3]
                length = at + min(dss_sizes(flags)) - 2
                infinite = flags & 4 and options[length : length + 2] == bytes(2)
                reserved = flags & 0xE0 or options[at + 2] & 0x0F
                plain = len(dss) < 2 and not flags & 0x10 and not reserved and not infinite
                dss.append(at)
            elif subtype == 0 and size >= 20 and capable < 0:
                capable = at
            elif subtype == 1 and size == 24:
                marks |= 4  # the MP_JOIN of a third packet (section 3.2, figure 7)
            if not plain:
                controls.append((at, size))
        at += size
    first, second = [*dss, -1, -1][:2]
    return {"marks": marks, "first": first, "second": second, "capable": capable,
            "controls": controls}  # fmt: skip


def some(generator: random.Random) -> bytes:
    """Options up to 40 octets: well-formed ones, padding, lies and noise."""
    made = b""
    while len(made) < 40 and generator.random() < 0.9:
        shape = generator.randrange(10)
        if shape < 4:
            flags = generator.choice((0, 1, 3, 4, 5, 7, 12, 13, 15, 0x14, 0x1F, 0x0C, 8, 2))
            size = generator.choice(sorted(dss_sizes(flags)))
            body = bytes(generator.choice((0, 0, 1, 255)) for _ in range(size - 4))
            first = generator.choice((0x20, 0x20, 0x20, 0x28))
            flags |= generator.choice((0, 0, 0, 0x20, 0x80))
            made += bytes([MPTCP, size + generator.choice((0, 0, 0, 1)), first, flags]) + body
        elif shape == 4:
            size = generator.choice((4, 12, 19, 20, 22, 24))
            made += bytes([MPTCP, size, 0x01]) + bytes(size - 3)
        elif shape == 5:
            size = generator.randrange(0, 9)
            made += bytes([MPTCP, size]) + generator.randbytes(max(0, size - 2))
        elif shape == 6:
            made += bytes([generator.choice((2, 8, 29, 31)), generator.randrange(12)]) + bytes(5)
        elif shape == 9:
            size = generator.choice((12, 16, 23, 24, 24, 25, 26))
            made += bytes([MPTCP, size, generator.choice((0x10, 0x10, 0x20, 0x30))]) + bytes(
                size - 3
            )
        elif shape == 7:
            made += b"\x01" * generator.randrange(1, 4)
        else:
            made += generator.choice((b"\0", b"\x1e", b"\x05", b"\xff\xff"))
    made = made[:40]
    return made + b"\x01" * (-len(made) % 4)


def check(loops: SimpleNamespace, headers: list[bytes], held: list[int]) -> None:
    """All that is noted of headers with these options, of which so much was captured, is naive."""
    records = [
        c.cut(c.Record(octets=c.ipv4(c.tcp(options=each))), 40 + kept)
        if kept < len(each) else c.Record(octets=c.ipv4(c.tcp(b"data", options=each)))
        for each, kept in zip(headers, held, strict=True)
    ]  # fmt: skip
    with open_capture(c.pcap(records, linktype=c.RAW)) as capture:
        (packets,) = capture.packets()
        n = packets.n
        column = {name: array(code, b"\x55" * (8 * n)) for name, code in BATCH_COLUMNS.items()}
        most = loops.options.CONTROL_PER_SEGMENT * n
        which, place = array("I", bytes(4 * most)), array("q", bytes(8 * most))
        size = array("B", bytes(most))
        count = loops.options.walk(
            capture.data, n, packets.tcp, packets.captured, packets.length,
            column["head"], column["marks"], column["first_dss"], column["second_dss"],
            column["capable"], column["digest"], which, place, size,
        )  # fmt: skip
        found: list[dict[str, object]] = []
        for row in range(n):
            begin = packets.tcp[row] + 20
            relative = {
                name: column[key][row] - begin if column[key][row] >= 0 else -1
                for name, key in (("first", "first_dss"), ("second", "second_dss"),
                                  ("capable", "capable"))
            }  # fmt: skip
            controls = [(place[at] - begin, size[at]) for at in range(count) if which[at] == row]
            found.append({"marks": column["marks"][row], "controls": controls, **relative})
            assert column["head"][row] == 20 + len(headers[row])
    assert n == len(headers)
    for row, (options, kept) in enumerate(zip(headers, held, strict=True)):
        assert found[row] == naive(options, kept), (row, options.hex(), kept)


@pytest.mark.parametrize("seed", range(4))
def test_options_are_noted_as_a_naive_walk_does(loops: SimpleNamespace, seed: int) -> None:
    """Marks, both DSS, MP_CAPABLE and every control option are where the naive walk finds them."""
    generator = random.Random(seed)
    headers = [some(generator) for _ in range(250)]
    held = [
        generator.randrange(len(each) + 1) if generator.random() < 0.3 else len(each)
        for each in headers
    ]
    check(loops, headers, held)


def test_headers_may_be_cut_anywhere(loops: SimpleNamespace) -> None:
    """Behind each octet of kinds, lengths and bodies the capture may have ended."""
    prio, ack = b"\x1e\x04\x50\x00", b"\x1e\x08\x20\x01" + bytes(4)
    fills = (prio * 3, ack + prio, b"\x01\x01" + ack + b"\x01\x01", prio + b"\x05\x02\x1e\x06")
    pairs = [(each, kept) for each in fills for kept in range(len(each) + 1)]
    check(loops, [each for each, _ in pairs], [kept for _, kept in pairs])


@pytest.mark.parametrize(("words", "length"), [(0, 24), (4, 24), (15, 24), (6, 20)])
def test_an_impossible_header_is_left_out(loops: SimpleNamespace, words: int, length: int) -> None:
    """A data offset below 20 octets or beyond the segment gives no header, and stops nothing."""
    segment = bytearray(c.tcp(options=b"\x1e\x03\x20\x01")[:length])
    segment[12] = words << 4
    frames = [c.ipv4(each) for each in (bytes(segment), c.tcp(options=b"\x1e\x04\x30\x01"))]
    with open_capture(c.pcap(c.records(*frames), linktype=c.RAW)) as capture:
        (packets,) = capture.packets()
        column = {name: array(code, b"\x55" * 16) for name, code in BATCH_COLUMNS.items()}
        count = loops.options.walk(
            capture.data, 2, packets.tcp, packets.captured, packets.length,
            column["head"], column["marks"], column["first_dss"], column["second_dss"],
            column["capable"], column["digest"], array("I", bytes(80)), array("q", bytes(160)),
            array("B", bytes(20)),
        )  # fmt: skip
        assert (count, [*column["head"][:2]], [*column["marks"][:2]]) == (1, [0, 24], [0, 1])
        assert column["digest"][0] == 0
        for name in ("first_dss", "second_dss", "capable"):
            assert column[name][0] == -1
