"""Captures with very many of one thing, written fast: what a hostile host can send."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain

from mptcp_oracle import crypto
from tests.common import captures as c

__all__ = [
    "KEYS", "connections", "equal_tokens", "joins", "long_mappings", "nested_mappings",
    "removals", "removals_of_many", "reused_tuple", "scattered_copies", "single_octets",
]  # fmt: skip

KEYS = (0x0102030405060708, 0xDEADBEEFCAFEBABE)
SERVER, PORT = 0x0A000001, 80
SYN, ACK = 0x02, 0x10
TOKEN = crypto.token(KEYS[1], 1)
IDSN = crypto.idsn(KEYS[0], 1)
START = 1_700_000_000
_HEADER = struct.Struct("<IIII")
_IP = struct.Struct("!BBHHHBBHII")
_TCP = struct.Struct("!HHIIBBHHH")


def _file(frames: Iterator[bytes]) -> bytes:
    """A pcap of raw IP, a microsecond between frames."""
    parts = [c.pcap((), linktype=c.RAW)]
    for number, frame in enumerate(frames):
        seconds, part = divmod(number, 1_000_000)
        parts.append(_HEADER.pack(START + seconds, part, len(frame), len(frame)) + frame)
    return b"".join(parts)


def _segment(
    number: int,
    *,
    back: bool,
    flags: int,
    sequence: int,
    ack: int,
    options: bytes,
    payload: bytes = b"",
    window: int = 500,
) -> bytes:
    """A segment between client ``number`` (an address and port of its own) and the server."""
    client = (0x0B000000 + number // 50_000, 1_024 + number % 50_000)
    ends = (client, (SERVER, PORT)) if not back else ((SERVER, PORT), client)
    head = 20 + len(options)
    ip = _IP.pack(
        0x45, 0, 20 + head + len(payload), number & 0xFFFF, 0, 64, 6, 0, ends[0][0], ends[1][0]
    )
    tcp = _TCP.pack(ends[0][1], ends[1][1], sequence, ack, head << 2, flags, window, 0, 0)
    return ip + tcp + options + payload


def _handshake(number: int, keys: tuple[int, int], *, checksum: bool = False) -> Iterator[bytes]:
    """The three segments of an MP_CAPABLE handshake, version 1."""
    flags = b"\x81" if checksum else b"\x01"
    sender, receiver = (key.to_bytes(8, "big") for key in keys)
    yield _segment(
        number, back=False, flags=SYN, sequence=0, ack=0, options=b"\x1e\x04\x01" + flags
    )
    answer = b"\x1e\x0c\x01" + flags + receiver
    yield _segment(number, back=True, flags=SYN | ACK, sequence=0, ack=1, options=answer)
    third = b"\x1e\x14\x01" + flags + sender + receiver
    yield _segment(number, back=False, flags=ACK, sequence=1, ack=1, options=third)


def connections(count: int) -> bytes:
    """So many complete handshakes, each with its own keys, all held open at once."""

    def frames() -> Iterator[bytes]:
        for number in range(count):
            yield from _handshake(number, (2 * number + 1, 2 * number + 2))

    return _file(frames())


def joins(count: int, *, known: bool) -> bytes:
    """One connection and so many SYNs with MP_JOIN: of its token, or each of its own."""

    def frames() -> Iterator[bytes]:
        yield from _handshake(count, KEYS)
        for number in range(count):
            asked = TOKEN if known else (number * 2_654_435_761) & 0xFFFFFFFF
            option = struct.pack("!BBBBII", 30, 12, 0x10, number & 0xFF, asked, number)
            yield _segment(number, back=False, flags=SYN, sequence=0, ack=0, options=option)

    return _file(frames())


def removals(count: int) -> bytes:
    """One connection and so many segments with a REMOVE_ADDR."""

    def frames() -> Iterator[bytes]:
        yield from _handshake(0, KEYS)
        for number in range(count):
            option = bytes([30, 4, 0x40, 1 + number % 255])
            # Another window each time, or they were duplicates that the capture made.
            yield _segment(
                0,
                back=False,
                flags=ACK,
                sequence=1,
                ack=1,
                options=option,
                window=1 + number % 50_000,
            )

    return _file(frames())


def equal_tokens(count: int) -> bytes:
    """So many connections whose listener has the same key, and as many joins to its token."""

    def frames() -> Iterator[bytes]:
        for number in range(count):
            yield from _handshake(number, (number + 9, KEYS[1]))
        for number in range(count):
            at = count + number
            syn = struct.pack("!BBBBII", 30, 12, 0x10, 1, TOKEN, number)
            yield _segment(at, back=False, flags=SYN, sequence=0, ack=0, options=syn)
            answer = struct.pack("!BBBBQI", 30, 16, 0x10, 1, number, number)
            yield _segment(at, back=True, flags=SYN | ACK, sequence=0, ack=1, options=answer)
            third = bytes([30, 24, 0x10, 0]) + bytes(20)
            yield _segment(at, back=False, flags=ACK, sequence=1, ack=1, options=third)

    return _file(frames())


def _dss(dsn: int, ssn: int, length: int, *, checksum: bool = False) -> bytes:
    """A mapping of the initiator's data."""
    fields = ((IDSN + dsn) % (1 << 64), ssn, length)
    option = struct.pack("!BBBBQIH", 30, 20 if checksum else 18, 0x20, 0x0C, *fields)
    return option + (b"\x0b\xad" if checksum else b"\x01\x01")


def _data(sequence: int, options: bytes, payload: bytes) -> bytes:
    return _segment(
        0, back=False, flags=ACK, sequence=sequence, ack=1, options=options, payload=payload
    )


def _talk(data: Iterator[bytes], *, checksum: bool = False) -> bytes:
    """One connection, then its data."""
    return _file(chain(_handshake(0, KEYS, checksum=checksum), data))


def reused_tuple(count: int) -> bytes:
    """So many SYNs with MP_CAPABLE between the same ports, each with its own ISN."""

    def frames() -> Iterator[bytes]:
        for number in range(count):
            isn = number * 2_654_435_761 & 0xFFFFFFFF
            syn = b"\x1e\x04\x01\x01"
            yield _segment(0, back=False, flags=SYN, sequence=isn, ack=0, options=syn)

    return _file(frames())


def removals_of_many(count: int) -> bytes:
    """Joined subflows that all have the same Address ID, and as many withdrawals of it."""

    def frames() -> Iterator[bytes]:
        yield from _handshake(0, KEYS)
        for number in range(count // 2):
            option = struct.pack("!BBBBII", 30, 12, 0x10, 7, TOKEN, number)
            yield _segment(1 + number, back=False, flags=SYN, sequence=0, ack=0, options=option)
        for number in range(count // 2):
            yield _data(1, b"\x1e\x04\x40\x07", bytes(number % 2))

    return _file(frames())


def long_mappings(count: int) -> bytes:
    """Mappings with checksums over the same 60,000 octets, each shifted by one."""

    def frames() -> Iterator[bytes]:
        for at in range(0, 70_000, 1_400):
            yield _data(1 + at, _dss(1 + at, 1 + at, 1_400, checksum=True), bytes(1_400))
        for number in range(count):
            yield _data(1, _dss(1 + number, 1 + number % 1_000, 60_000, checksum=True), b"")

    return _talk(frames(), checksum=True)


def nested_mappings(count: int) -> bytes:
    """Mappings that overlap and contradict each other wherever they can."""

    def frames() -> Iterator[bytes]:
        for number in range(count):
            option = _dss(number * 7_919 % 100_000, 1 + number * 31 % 100_000, 60_000)
            yield _data(1 + 3 * number, option, b"xyz")

    return _talk(frames())


def scattered_copies(count: int) -> bytes:
    """One large carrier, and segments of two mappings each that copy small parts of it."""

    def frames() -> Iterator[bytes]:
        yield _data(1, _dss(1, 1, 60_000), bytes(60_000))
        for number in range(count // 2):
            at = 100_000 + 20 * number
            yield _data(at + 50, _dss(1 + number * 37 % 50_000, at, 10), b"")
            yield _data(at, _dss(1 + number * 91 % 50_000, at + 10, 10), bytes(20))

    return _talk(frames())


def single_octets(count: int) -> bytes:
    """Every second octet of a stream, each in a segment of its own, the last one first."""
    places = range(2 * count, 0, -2)
    return _talk(_data(at, _dss(at, at, 1), b"x") for at in places)
