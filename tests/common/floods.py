"""Captures with very many of one thing, written fast: what a hostile host can send."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mptcp_oracle import crypto
from tests.common import captures as c

__all__ = ["KEYS", "connections", "equal_tokens", "joins", "removals"]

KEYS = (0x0102030405060708, 0xDEADBEEFCAFEBABE)
SERVER, PORT = 0x0A000001, 80
SYN, ACK = 0x02, 0x10
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


def _handshake(number: int, keys: tuple[int, int]) -> Iterator[bytes]:
    """The three segments of an MP_CAPABLE handshake, version 1."""
    sender, receiver = (key.to_bytes(8, "big") for key in keys)
    yield _segment(number, back=False, flags=SYN, sequence=0, ack=0, options=b"\x1e\x04\x01\x01")
    answer = b"\x1e\x0c\x01\x01" + receiver
    yield _segment(number, back=True, flags=SYN | ACK, sequence=0, ack=1, options=answer)
    third = b"\x1e\x14\x01\x01" + sender + receiver
    yield _segment(number, back=False, flags=ACK, sequence=1, ack=1, options=third)


def connections(count: int) -> bytes:
    """So many complete handshakes, each with its own keys, all held open at once."""

    def frames() -> Iterator[bytes]:
        for number in range(count):
            yield from _handshake(number, (2 * number + 1, 2 * number + 2))

    return _file(frames())


def joins(count: int, *, known: bool) -> bytes:
    """One connection and so many SYNs with MP_JOIN: of its token, or each of its own."""
    token = crypto.token(KEYS[1], 1)

    def frames() -> Iterator[bytes]:
        yield from _handshake(count, KEYS)
        for number in range(count):
            asked = token if known else (number * 2_654_435_761) & 0xFFFFFFFF
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
    token = crypto.token(KEYS[1], 1)

    def frames() -> Iterator[bytes]:
        for number in range(count):
            yield from _handshake(number, (number + 9, KEYS[1]))
        for number in range(count):
            at = count + number
            syn = struct.pack("!BBBBII", 30, 12, 0x10, 1, token, number)
            yield _segment(at, back=False, flags=SYN, sequence=0, ack=0, options=syn)
            answer = struct.pack("!BBBBQI", 30, 16, 0x10, 1, number, number)
            yield _segment(at, back=True, flags=SYN | ACK, sequence=0, ack=1, options=answer)
            third = bytes([30, 24, 0x10, 0]) + bytes(20)
            yield _segment(at, back=False, flags=ACK, sequence=1, ack=1, options=third)

    return _file(frames())
