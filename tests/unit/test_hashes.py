"""The hash of a flow, its place in the table, and the digest of a header, from their definitions.

No finding depends on them; how many comparisons a hostile capture costs does.
"""

from __future__ import annotations

import os
from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from mptcp_oracle import analyze
from mptcp_oracle.wire import segments as wire_segments
from mptcp_oracle.wire.capture import open_capture
from mptcp_oracle.wire.segments import BATCH_COLUMNS
from tests.common import captures as c

SEED = 0xDECAFBAD


def step(hashed: int, word: int) -> int:
    """FNV-1a for a word of 32 bits, with the high half folded into the low one."""
    product = (hashed ^ word) * 16777619 % 2**32
    return product ^ product // 2**15


def words(octets: bytes) -> list[int]:
    """Numbers of four octets each."""
    return [int.from_bytes(octets[at : at + 4], "big") for at in range(0, len(octets), 4)]


def flows() -> list[tuple[bytes, bytes, int, int, int]]:
    """Addresses, ports and VLAN of flows that differ in one of these."""
    found = []
    for family in (4, 16):
        for last in range(1, 30):
            one, two = bytes(range(1, family)), bytes(range(2, family + 2))
            found.append((one + bytes([last]), two, 1000 + last % 3, 80, 0))
            found.append((two, one + bytes([255 - last]), 80, 1000, 0))
            found.append((one + b"\x07", one + b"\x07", 5000 + last, 5010, 0))
            found.append((one + b"\x07", two, 4000, 443, last))
    return found


def frame(flow: tuple[bytes, bytes, int, int, int]) -> bytes:
    """A SYN of a flow."""
    source, destination, sport, dport, vlan = flow
    segment = c.tcp(source=sport, destination=dport, flags=2)
    tags = ((0x8100, vlan),) if vlan else ()
    text = [".".join(map(str, each)) if len(each) == 4 else _text6(each)
            for each in (source, destination)]  # fmt: skip
    if len(source) == 4:
        return c.ethernet(c.ipv4(segment, source=text[0], destination=text[1]), tags=tags)
    packet = c.ipv6(segment, source=text[0], destination=text[1])
    return c.ethernet(packet, 0x86DD, tags=tags)


def _text6(octets: bytes) -> str:
    return ":".join(octets[at : at + 2].hex() for at in range(0, 16, 2))


def test_the_hash_of_a_flow_is_that_of_its_ordered_endpoints(
    each_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed, ports, words of both addresses in turn, and the network if there is a name for it."""
    monkeypatch.setattr(os, "urandom", lambda size: SEED.to_bytes(4, "big")[:size])
    with analyze(c.pcap(c.records(*map(frame, flows()))), name="flows") as trace:
        hashes = list(trace.wire.streams["hash"])
    expected = []
    for source, destination, sport, dport, vlan in flows():
        ends = sorted([(words(source), sport), (words(destination), dport)])
        (one, low), (two, high) = ends
        hashed = step(SEED, low * 65536 + high)
        for pair in zip(one, two, strict=True):
            for word in pair:
                hashed = step(hashed, word)
        if vlan:
            hashed = step(step(hashed, vlan), 0)
        expected.append(hashed)
    assert hashes == expected


def check_table(hashes: array[int], slots: array[int], streams: set[int]) -> None:
    """Each stream, and no other one, is where a search from its hash finds it."""
    assert {stream for stream in slots if stream >= 0} == streams
    for stream in streams:
        slot = hashes[stream] % len(slots)
        while slots[slot] != stream:
            assert slots[slot] >= 0, f"stream {stream} is not to be found"
            slot = (slot + 1) % len(slots)


def test_streams_stand_where_their_hash_says(
    each_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many flows, those whose places collide stand in the next free ones."""
    monkeypatch.setattr(os, "urandom", lambda size: SEED.to_bytes(4, "big")[:size])
    tables: list[array[int]] = []
    original = wire_segments._locate

    def locate(*arguments: Any) -> array[int]:
        tables.append(original(*arguments))
        return tables[-1]

    monkeypatch.setattr(wire_segments, "_locate", locate)
    ends = [(b"\x0a\0\0\1", b"\x0a\0\0\2", 1024 + number, 80, 0) for number in range(1500)]
    with analyze(c.pcap(c.records(*map(frame, ends))), name="flows") as trace:
        hashes = trace.wire.streams["hash"]
        assert len({hashed % len(tables[-1]) for hashed in hashes}) < len(hashes) == 1500
        check_table(hashes, tables[-1], set(range(1500)))


@pytest.mark.parametrize("old", [(), (3,), (0, 5, 6)])
def test_a_larger_table_holds_the_newest_streams(
    loops: SimpleNamespace, old: tuple[int, ...]
) -> None:
    """Streams that a newer one replaced are left out; all others are found where they belong."""
    hashes = array("I", [7, 7, 0xFFFFFFFF, 15, 8, 31, 7, 0x80000007])
    standing = array("B", [2 if stream in old else stream % 2 for stream in range(8)])
    slots = array("i", [-1]) * 16
    loops.streams.rehash(8, hashes, standing, slots)
    check_table(hashes, slots, set(range(8)) - set(old))


def digest(header: bytes) -> int:
    """FNV-1a over the words of a TCP header, its checksum being 0."""
    hashed = 2166136261
    for word in words(header[:16] + bytes(2) + header[18:]):
        hashed = step(hashed, word)
    return hashed


@pytest.mark.parametrize("size", [0, 4, 12, 40])
def test_the_digest_of_a_header_leaves_out_its_checksum(loops: SimpleNamespace, size: int) -> None:
    """All words count but the checksum's; of a header that was cut, those that were captured."""
    segments = [c.tcp(b"payload", options=bytes(range(2, 2 + size)), ack=ack) for ack in (1, 2)]
    changed = bytearray(segments[0])
    changed[16:18] = b"\xca\xfe"
    frames = [c.ipv4(each) for each in (*segments, bytes(changed))]
    records = [*c.records(*frames), c.cut(c.Record(octets=frames[0]), 20 + 20 + size // 8 * 4)]
    with open_capture(c.pcap(records, linktype=c.RAW)) as capture:
        (packets,) = capture.packets()
        n = packets.n
        columns = {name: array(code, bytes(8 * 64)) for name, code in BATCH_COLUMNS.items()}
        loops.options.walk(
            capture.data, n, packets.tcp, packets.captured, packets.length,
            columns["head"], columns["marks"], columns["first_dss"], columns["second_dss"],
            columns["capable"], columns["digest"], array("I", bytes(400)), array("q", bytes(800)),
            array("B", bytes(100)),
        )  # fmt: skip
        found = list(columns["digest"][:n])
    first, second = (digest(each[: 20 + size]) for each in segments)
    cut = digest(segments[0][: 20 + size // 8 * 4])
    assert found == [first, second, first, cut]
