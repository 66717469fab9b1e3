"""A naive account of the rows of a capture: what each segment's header, DSS and place say.

:class:`Rows` takes what the loops before found of each segment and decodes the rest by the figures
of RFC 8684; :mod:`tests.unit.test_rows_account` holds the loop against it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

__all__ = ["Half", "Mapping", "Packet", "Row", "Rows", "step"]

SECOND, TIMEOUT, AT_ONCE = 1_000_000_000, 150_000_000, 1_000_000
CUT, SHORT, FRAGMENT, SENT, RECEIVED, MPTCP, TWICE = (
    0x0400, 0x0800, 0x1000, 0x2000, 0x4000, 0x8000, 0x0200,
)  # fmt: skip
#: Bits of a mapping: an 8-octet DSN, DATA_FIN, a checksum, by an MP_CAPABLE.
WIDE, FIN, CHECKSUM, CAPABLE = 0x08, 0x10, 0x20, 0x40


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A segment as the loops before describe it; options as they stand in the header."""

    frame: int = 1
    time: int = 0
    half: int = 0
    sequence: int = 1
    flags: int = 0x10
    ack: int = 0
    window: int = 0
    payload: int = 0
    missing: int = 0
    first: bytes = b""
    second: bytes = b""
    capable: bytes = b""
    marks: int = 0
    fragment: int = 0
    direction: int = 0
    interface: int = 1
    ttl: int = 64
    ip_id: int = -1
    digest: int = 0
    possible: bool = True

    @property
    def options(self) -> bytes:
        """All options."""
        return self.first + self.second + self.capable

    @property
    def head(self) -> int:
        """Octets of the header."""
        return 20 + len(self.options)


@dataclass(slots=True)
class Row:
    """What is expected of a row; ``offset`` counts from the TCP header."""

    frame: int
    time: int
    half: int
    flags: int
    sequence: int
    ack: int
    window: int
    length: int
    captured: int
    offset: int
    header: int
    dss: int = 0
    data_ack: int = 0
    mapping: int = -1


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping row."""

    row: int
    half: int
    dsn: int
    ssn: int
    length: int
    checksum: int
    flags: int


@dataclass(slots=True)
class Half:
    """State of a half."""

    last_map: int = -1
    first_row: int = -1
    last_row: int = -1
    count: int = 0
    mptcp: int = 0
    first_dsn: int = 0
    first_data_ack: int = 0


@dataclass(slots=True)
class Kept:
    """A segment among which duplicates are sought."""

    row: int
    hashed: int
    half: int
    ip_id: int
    place: tuple[int, int, int]


def step(hashed: int) -> int:
    """The last step of the hash of a segment."""
    product = hashed * 16777619 % 2**32
    return product ^ product // 2**15


@dataclass(slots=True)
class Rows:
    """The account; ``buckets`` is how many buckets of four places the search for copies has."""

    buckets: int
    rows: list[Row] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    halves: dict[int, Half] = field(default_factory=dict)
    kept: dict[int, list[Kept]] = field(default_factory=dict)

    def put(self, packet: Packet) -> int:
        """One segment more; its row, or -1."""
        if not packet.possible:
            return -1
        half = self.halves.setdefault(packet.half, Half())
        held = max(0, packet.payload - packet.missing)
        flags = packet.flags
        for bit, holds in (
            (CUT, packet.marks & 2), (SHORT, packet.missing and packet.payload),
            (FRAGMENT, packet.fragment), (SENT, packet.direction == 2),
            (RECEIVED, packet.direction == 1), (MPTCP, packet.marks & 1),
        ):  # fmt: skip
            flags |= bit * bool(holds)
        half.mptcp |= (packet.marks & 1) | 32 * (packet.direction == 2)
        half.mptcp |= 64 * (packet.direction == 1)
        number = len(self.rows)
        before = self._copy_of(packet, number)
        if before is None:
            half.count += 1
        row = Row(
            packet.frame, packet.time, packet.half, flags | TWICE * (before is not None),
            packet.sequence, packet.ack, packet.window, packet.payload, held, packet.head,
            packet.head,
        )  # fmt: skip
        self.rows.append(row)
        half.first_row = number if half.first_row < 0 else half.first_row
        half.last_row = number
        for option in (packet.first, packet.second):
            if option:
                self._acknowledgment(row, half, option)
                self._mapping(row, half, before, *self._declared(half, option))
        self._mapping(row, half, before, *self._first_data(packet))
        return number

    def _copy_of(self, packet: Packet, number: int) -> int | None:
        """The row that a segment is a copy of, made by the capture; else it is kept for later."""
        hashed = step(packet.digest ^ packet.payload)
        if packet.ip_id > 0:
            hashed = step(hashed ^ packet.ip_id * 40503)
        bucket = self.kept.setdefault((hashed ^ packet.half) % self.buckets, [])
        place = (packet.interface % 2**22, packet.direction, packet.ttl)
        mine = Kept(number, hashed, packet.half, packet.ip_id, place)
        for at, each in enumerate(bucket):
            if (each.hashed, each.half) == (hashed, packet.half):
                old = self.rows[each.row]
                apart = abs(packet.time - old.time)
                equal = (old.sequence, old.length, each.ip_id) == (
                    packet.sequence, packet.payload, packet.ip_id,
                )  # fmt: skip
                other = self.halves.get(packet.half ^ 1, Half()).last_row
                if equal and apart < SECOND and (
                    each.place != place
                    or (packet.ip_id > 0 and apart < TIMEOUT)
                    or (apart < AT_ONCE and other < each.row)
                ):  # fmt: skip
                    return each.row
                bucket[at] = mine
                return None
        if len(bucket) == 4:
            bucket.remove(min(bucket, key=lambda each: each.row))
        bucket.append(mine)
        return None

    @staticmethod
    def _acknowledgment(row: Row, half: Half, option: bytes) -> None:
        """Figure 9: the DATA_ACK comes first, 8 octets with flag ``a``; one a segment counts."""
        flags = option[3]
        if not flags & 1 or row.dss & 1:
            return
        wide = bool(flags & 2)
        (value,) = struct.unpack_from("!q" if wide else "!I", option, 4)
        row.data_ack = value
        row.dss |= 1 | 2 * wide
        if not half.mptcp & 4 and (wide or not half.mptcp & 16):
            half.first_data_ack = value
            half.mptcp |= 4 if wide else 16

    @staticmethod
    def _declared(half: Half, option: bytes) -> tuple[int, ...]:
        """Figure 9: DSN of 4 or 8 octets, SSN, length, and a checksum if there is room."""
        flags = option[3]
        if not flags & 4:
            return ()
        at = 4 + (0, 4, 0, 8)[flags & 3]
        wide = bool(flags & 8)
        dsn, ssn, length = struct.unpack_from("!qIH" if wide else "!IIH", option, at)
        at += struct.calcsize("!qIH" if wide else "!IIH")
        if not half.mptcp & 2 and (wide or not half.mptcp & 8):
            half.first_dsn = dsn
            half.mptcp |= 2 if wide else 8
        bits = WIDE * wide | flags & FIN
        if at < len(option):
            return dsn, ssn, length, *struct.unpack_from("!H", option, at), bits | CHECKSUM
        return dsn, ssn, length, 0, bits

    @staticmethod
    def _first_data(packet: Packet) -> tuple[int, ...]:
        """Section 3.1: MP_CAPABLE of version 1 with data maps it to SSN 1 and the first DSN."""
        option = packet.capable
        if len(option) not in (22, 24) or option[2] % 16 == 0 or not packet.payload:
            return ()
        length, checksum = struct.unpack_from("!HH", option + bytes(2), 20)
        return 1, 1, length, checksum, CAPABLE | CHECKSUM * (len(option) == 24)

    def _mapping(self, row: Row, half: Half, before: int | None, *what: int) -> None:
        if not what:
            return
        row.dss |= 4 | what[-1]
        number = half.last_map
        if before is not None:
            number = self.rows[before].mapping
        else:
            last = self.mappings[number] if number >= 0 else None
            new = Mapping(len(self.rows) - 1, row.half, *what)
            if last is None or (last.dsn, last.ssn, last.length, last.checksum, last.flags) != what:
                number = half.last_map = len(self.mappings)
                self.mappings.append(new)
        if row.mapping < 0:
            row.mapping = number
