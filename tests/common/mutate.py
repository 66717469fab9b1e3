"""Damaged captures, each the same for its seed for ever.

A case starts from the frames of one of :mod:`tests.common.bases`. Most damage is done where it
hurts: frames are taken apart, one field of one layer is set to what a length, a number or an
option should not be, and everything around stays right, so that the code behind the parsers is
reached as well. Then a file is written in one of the formats, and some files are damaged again
octet by octet, at their own length fields or anywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.common import captures as c
from tests.common.bases import Base, bases
from tests.common.files import damage_file, write_file
from tests.common.frames import Place, locate, with_options

__all__ = ["FRAME_MUTATIONS", "Case", "mutated", "mutation"]

EXTREMES = (0, 1, 2, 3, 4, 5, 7, 8, 19, 20, 39, 40, 59, 60, 127, 128, 254, 255)
#: Around the ends of the number spaces, and around the half that wrap-aware comparison needs.
NUMBERS = (0, 1, 2, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 32, 1 << 60, 1 << 61, 1 << 62,
           1 << 63, (1 << 63) - 1, (1 << 64) - 1)  # fmt: skip

Records = list[c.Record]
FrameMutation = Callable[[Random, Records, int, Place], None]
ListMutation = Callable[[Random, Records, int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A damaged capture.

    Attributes:
        name: What it began as. octets: The file. done: The names of what was done to it.
    """

    name: str
    octets: bytes
    done: tuple[str, ...]


def mutated(seed: int, index: int) -> Case:
    """Case ``index`` of a seed's sequence."""
    return mutation(Random(f"{seed} {index}"))


def mutation(rng: Random) -> Case:
    """A case made of a generator's choices."""
    base = rng.choice(bases())
    records = list(base.records)
    done = [_mutate(rng, base, records) for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 8)))]
    octets, form = write_file(rng, records, base.linktype)
    done.append(form)
    if rng.random() < 0.25:
        octets, how = damage_file(rng, octets)
        done += how
    return Case(base.name, octets, tuple(done))


def _mutate(rng: Random, base: Base, records: Records) -> str:
    """Do one thing to the frames, and say what."""
    if not records:
        return "nothing left"
    at = rng.randrange(len(records))
    if rng.random() < 0.7:
        place = locate(base.linktype, records[at].octets)
        if place is not None:
            name, change = rng.choice(FRAME_MUTATIONS)
            change(rng, records, at, place)
            return name
    name, alter = rng.choice(LIST_MUTATIONS)
    alter(rng, records, at)
    return name


# ------------------------------------------------------------------ one field of one frame


def _patch(records: Records, at: int, offset: int, octets: bytes) -> None:
    frame = records[at].octets
    if offset >= 0 and offset + len(octets) <= len(frame):
        changed = frame[:offset] + octets + frame[offset + len(octets) :]
        records[at] = replace(records[at], octets=changed)


def _ip_length(rng: Random, records: Records, at: int, place: Place) -> None:
    offset = place.ip + (2 if place.family == 4 else 4)
    old = struct.unpack_from("!H", records[at].octets, offset)[0]
    near = (old - 1, old + 1, old - 4, old // 2, 0xFFFF)
    _patch(records, at, offset, struct.pack("!H", rng.choice(EXTREMES + near) & 0xFFFF))


def _ip_words(rng: Random, records: Records, at: int, place: Place) -> None:
    if place.family == 4:
        _patch(records, at, place.ip, bytes([0x40 | rng.randrange(16)]))
    else:
        _patch(
            records, at, place.ip + 6, bytes([rng.choice((0, 4, 6, 17, 41, 43, 44, 47, 51, 60))])
        )


def _ip_header(rng: Random, records: Records, at: int, place: Place) -> None:
    """Any octet of the IP header: version, fragment offset, protocol, addresses."""
    _patch(records, at, rng.randrange(place.ip, place.tcp), bytes([rng.choice(EXTREMES)]))


def _extension(rng: Random, records: Records, at: int, place: Place) -> None:
    """IPv6 extension headers with right or wrong lengths; IPv4 options."""
    record, frame = records[at], records[at].octets
    if place.family == 4:
        count = rng.randrange(1, 11)
        filler = bytes(rng.choice((0, 1, 7, 131, 255)) for _ in range(4 * count))
        head = bytes([0x45 + count]) + frame[place.ip + 1 : place.ip + 20]
        inner = filler + frame[place.tcp :]
    else:
        head = frame[place.ip : place.ip + 40]
        following, inner = head[6], frame[place.ip + 40 :]
        for _ in range(rng.randrange(1, 4)):
            kind = rng.choice((0, 43, 44, 51, 60, 135))
            body = bytes([following, rng.choice((0, 0, 0, 1, 5, 31, 255))])
            inner = body + bytes(rng.choice((0, 0, 1, 4, 0xC2)) for _ in range(6)) + inner
            following = kind
        head = head[:6] + bytes([following]) + head[7:]
    octets = frame[: place.ip] + head + inner
    records[at] = replace(record, octets=octets, wire=max(record.wire or 0, len(octets)))
    grown = len(octets) - len(frame)
    offset = place.ip + (2 if place.family == 4 else 4)
    length = struct.unpack_from("!H", octets, offset)[0]
    _patch(records, at, offset, struct.pack("!H", (length + grown) & 0xFFFF))


def _data_offset(rng: Random, records: Records, at: int, place: Place) -> None:
    _patch(records, at, place.tcp + 12, bytes([rng.randrange(16) << 4]))


def _flags(rng: Random, records: Records, at: int, place: Place) -> None:
    old = records[at].octets[place.tcp + 13]
    flags = rng.choice((old ^ 1, old ^ 2, old ^ 4, old ^ 16, 0x02, 0x12, 0x10, 0x14, 0x04, 0xFF, 0))
    _patch(records, at, place.tcp + 13, bytes([flags]))


def _sequence(rng: Random, records: Records, at: int, place: Place) -> None:
    """Sequence or acknowledgment number: elsewhere, or near its place."""
    offset = place.tcp + rng.choice((4, 4, 8))
    old = struct.unpack_from("!I", records[at].octets, offset)[0]
    step = rng.choice((1, -1, 3, -7, 20, -20, 1448, 1 << 16, 1 << 30, 1 << 31, -(1 << 31) + 1))
    number = old + step if rng.random() < 0.8 else rng.getrandbits(32)
    _patch(records, at, offset, struct.pack("!I", number & 0xFFFFFFFF))


def _ports(rng: Random, records: Records, at: int, place: Place) -> None:
    """Ports swapped, or those of another frame: its segment changes streams."""
    frame = records[at].octets
    other = rng.choice(records).octets[place.tcp : place.tcp + 4]
    swapped = frame[place.tcp + 2 : place.tcp + 4] + frame[place.tcp : place.tcp + 2]
    _patch(records, at, place.tcp, rng.choice((swapped, other)))


def _window(rng: Random, records: Records, at: int, place: Place) -> None:
    _patch(records, at, place.tcp + 14, struct.pack("!H", rng.choice((0, 0, 1, 0xFFFF))))


def _option_length(rng: Random, records: Records, at: int, place: Place) -> None:
    spots = [offset for offset, _, _ in place.options]
    if spots:
        _patch(
            records, at, rng.choice(spots) + 1, bytes([rng.choice((0, 1, 2, 3, 255, 4, 12, 41))])
        )


def _option_kind(rng: Random, records: Records, at: int, place: Place) -> None:
    """What was no MPTCP option becomes one, or the other way round."""
    spots = [offset for offset, _, _ in place.options]
    if spots:
        _patch(records, at, rng.choice(spots), bytes([rng.choice((0, 1, 30, 30, 30, 253, 34))]))


def _mptcp_octet(rng: Random, records: Records, at: int, place: Place) -> None:
    """One octet of an MPTCP option: subtype, flags, a number."""
    spots = [(offset, size) for offset, kind, size in place.options if kind == 30]
    if spots:
        offset, size = rng.choice(spots)
        spot = offset + rng.choice((2, 3, rng.randrange(2, max(size, 3))))
        value = rng.choice((rng.getrandbits(8), rng.choice(EXTREMES)))
        _patch(records, at, spot, bytes([value]))


def _subtype(rng: Random, records: Records, at: int, place: Place) -> None:
    spots = [offset for offset, kind, _ in place.options if kind == 30]
    if spots:
        offset = rng.choice(spots) + 2
        if offset < len(records[at].octets):
            low = records[at].octets[offset] & 15
            _patch(records, at, offset, bytes([rng.randrange(16) << 4 | low]))


def _garbage_options(rng: Random, records: Records, at: int, place: Place) -> None:
    """Forty octets of anything, or of MPTCP options with lengths that may fit."""
    octets = bytearray()
    if rng.random() < 0.4:
        octets += rng.randbytes(40)
    while len(octets) < 40:
        size = rng.choice((0, 1, 2, 3, 4, 8, 10, 12, 16, 18, 20, 22, 24, 26, 28, 40, 255))
        body = bytes([rng.randrange(16) << 4 | rng.getrandbits(4), rng.getrandbits(8)])
        octets += bytes([30, size]) + body + rng.randbytes(max(0, min(size, 40) - 4))
    records[at] = with_options(records[at], place, bytes(octets[:40]))


def _extreme_dss(rng: Random, records: Records, at: int, place: Place) -> None:
    """A well-formed DSS whose numbers are at the ends of their spaces."""
    flags = rng.choice((0x04, 0x05, 0x07, 0x0C, 0x0F, 0x14, 0x1F, 0x1C))
    body = bytearray([0x20, flags])
    if flags & 1:
        size = 8 if flags & 2 else 4
        body += (_number(rng) % (1 << 8 * size)).to_bytes(size, "big")
    size = 8 if flags & 8 else 4
    body += (_number(rng) % (1 << 8 * size)).to_bytes(size, "big")
    length = rng.choice((0, 1, 2, 100, 1448, 0x7FFF, 0xFFFE, 0xFFFF))
    body += struct.pack("!IH", _number(rng) & 0xFFFFFFFF, length)
    if rng.random() < 0.3:
        body += rng.randbytes(2)
    records[at] = with_options(records[at], place, bytes([30, len(body) + 2]) + bytes(body))


def _near_dss(rng: Random, records: Records, at: int, place: Place) -> None:
    """Numbers of a DSS that is there, moved: overlaps, holes, contradictions, data far away."""
    spots = [(offset, size) for offset, kind, size in place.options if kind == 30 and size > 10]
    if not spots:
        return
    offset, size = rng.choice(spots)
    width = rng.choice((2, 4, 8))
    spot = offset + rng.randrange(4, max(5, size - width + 1))
    octets = records[at].octets[spot : spot + width]
    step = rng.choice((1, -1, 2, -3, 10, -15, 100, 1 << 16, 1 << 31, 1 << 40, -(1 << 40)))
    number = (int.from_bytes(octets, "big") + step) % (1 << 8 * width)
    _patch(records, at, spot, number.to_bytes(width, "big"))


def _number(rng: Random) -> int:
    return (rng.choice(NUMBERS) + rng.randrange(-3, 4)) % (1 << 64)


def _payload(rng: Random, records: Records, at: int, place: Place) -> None:
    """More, less or other payload, as long as IP says."""
    frame = records[at].octets
    keep = frame[place.payload : place.payload + rng.choice((0, 1, 2, 30, 300))]
    added = rng.randbytes(rng.choice((0, 0, 1, 2, 15, 100, 600)))
    records[at] = with_options(
        replace(records[at], octets=frame[: place.payload] + keep + added, wire=None),
        place,
        frame[place.tcp + 20 : place.payload],
    )


def _copy_data(rng: Random, records: Records, at: int, place: Place) -> None:
    """Data and options of another segment sent here as well: a copy on this subflow."""
    other = rng.choice(records).octets
    options, payload = other[place.tcp + 20 : place.payload], other[place.payload :]
    frame = records[at].octets[: place.payload] + payload
    records[at] = with_options(replace(records[at], octets=frame, wire=None), place, options)


def _snap(rng: Random, records: Records, at: int, place: Place) -> None:
    """What the snap length leaves: an end in the headers, in an option, or in the payload."""
    spots = [place.tcp + 19, place.tcp + 20, place.payload, place.payload + 1, place.payload - 1]
    for offset, _, size in place.options:
        spots += [offset, offset + 1, offset + 2, offset + size - 1, offset + size]
    spots.append(rng.randrange(len(records[at].octets) + 1))
    size = rng.choice(spots)
    every = rng.random() < 0.3
    for other in range(len(records)) if every else (at,):
        octets = records[other].octets
        wire = records[other].wire or len(octets)
        records[other] = replace(records[other], octets=octets[:size], wire=wire)


FRAME_MUTATIONS: Sequence[tuple[str, FrameMutation]] = (
    ("IP length", _ip_length), ("IP header length or protocol", _ip_words),
    ("IP header", _ip_header), ("IP options or extensions", _extension),
    ("data offset", _data_offset), ("TCP flags", _flags), ("sequence", _sequence),
    ("sequence", _sequence), ("ports", _ports), ("window", _window),
    ("option length", _option_length), ("option kind", _option_kind),
    ("MPTCP octet", _mptcp_octet), ("MPTCP octet", _mptcp_octet), ("subtype", _subtype),
    ("garbage options", _garbage_options), ("extreme DSS", _extreme_dss),
    ("extreme DSS", _extreme_dss), ("near DSS", _near_dss), ("near DSS", _near_dss),
    ("payload", _payload), ("snap length", _snap), ("copied data", _copy_data),
    ("copied data", _copy_data),
)  # fmt: skip


# ------------------------------------------------------------------ the frames among each other


def _duplicate(rng: Random, records: Records, at: int) -> None:
    """The same frame again: at once, or anywhere later, at the same time or another."""
    record = records[at]
    if rng.random() < 0.5:
        record = replace(record, time=record.time + rng.choice((0, 1, 1000, 10**9)))
    where = at + 1 if rng.random() < 0.5 else rng.randrange(len(records) + 1)
    records[where:where] = [record] * rng.choice((1, 1, 2, 10))


def _reorder(rng: Random, records: Records, at: int) -> None:
    """Two frames swapped, a stretch turned round, or all of them shuffled."""
    other = rng.randrange(len(records))
    how = rng.randrange(3)
    if how == 0:
        records[at], records[other] = records[other], records[at]
    elif how == 1:
        low, high = min(at, other), max(at, other) + 1
        records[low:high] = records[low:high][::-1]
    else:
        rng.shuffle(records)


def _drop(rng: Random, records: Records, at: int) -> None:
    """A hole: frames that were never captured."""
    del records[at : at + rng.choice((1, 1, 2, 5, 20))]


def _keep_only(rng: Random, records: Records, at: int) -> None:
    """The capture begins late."""
    del records[: min(at, rng.choice((1, 2, 3, 10)))]


def _time(rng: Random, records: Records, at: int) -> None:
    """Clocks that jump: to the ends of their range, backwards, or not at all."""
    extreme = rng.choice((0, 1, (1 << 32) * 10**9 - 1, (1 << 31) * 10**9, 10**18))
    step = rng.choice((-(10**9), 10**9, -1, 10**15))
    for other in range(at, len(records) if rng.random() < 0.5 else at + 1):
        time = extreme if rng.random() < 0.5 else max(0, records[other].time + step)
        records[other] = replace(records[other], time=time)


def _splice(rng: Random, records: Records, at: int) -> None:
    """Frames of another capture in between (of any link type: then they are garbage)."""
    other = list(rng.choice(bases()).records)
    low = rng.randrange(len(other))
    records[at:at] = other[low : low + rng.choice((1, 3, 10, 40))]


def _flip(rng: Random, records: Records, at: int) -> None:
    """Bits anywhere in a frame."""
    frame = bytearray(records[at].octets)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if frame:
            frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    records[at] = replace(records[at], octets=bytes(frame))


def _header(rng: Random, records: Records, at: int) -> None:
    """An octet near the beginning of a frame: link headers, tags, tunnels, IP."""
    frame = bytearray(records[at].octets)
    if frame:
        frame[rng.randrange(min(len(frame), 80))] = rng.choice(EXTREMES)
    records[at] = replace(records[at], octets=bytes(frame))


def _wire_length(rng: Random, records: Records, at: int) -> None:
    """A frame that says to have been longer or shorter on the wire than it was."""
    wire = rng.choice((0, 1, 20, 54, 60, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    records[at] = replace(records[at], wire=wire)


def _empty(rng: Random, records: Records, at: int) -> None:
    records[at] = replace(records[at], octets=b"", wire=rng.choice((0, 100)))


LIST_MUTATIONS: Sequence[tuple[str, ListMutation]] = (
    ("duplicate", _duplicate), ("reorder", _reorder), ("drop", _drop), ("late start", _keep_only),
    ("time", _time), ("splice", _splice), ("flip", _flip), ("header octet", _header),
    ("wire length", _wire_length), ("empty frame", _empty),
)  # fmt: skip
