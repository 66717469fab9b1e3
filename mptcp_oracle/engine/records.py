# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Find the frames of a capture file: where each begins, how long it is, when it was seen.

Two loops, one per file format, fill the same columns with at most ``room`` frames per call.
``data`` is the whole file and is never copied; ``state`` says where to go on and, afterwards, why
the loop came back:

* ``FULL``: no room left, or the batch has gone beyond ``stop``; call again;
* ``FINISHED``: the file ends exactly behind the last record;
* ``CUT``: the record at ``state[POSITION]`` reaches beyond the end of the file;
* ``BLOCK`` (pcapng): the block at ``state[POSITION]`` describes the file instead of holding a
  frame (section header, interface, statistics); the caller reads it and moves the position on;
* ``DAMAGED``: the record at ``state[POSITION]`` has an impossible length.

Columns per frame: ``offset`` (of its first octet in ``data``), ``captured`` and ``wire`` (octets
in the file and on the wire), ``time`` (nanoseconds since the epoch), ``interface``, ``direction``
(0 unknown, 1 received, 2 sent by the capturing host), ``ifindex`` (the kernel's number of the
interface, 0 if the record does not say) and ``marks``.  Each frame has
``offset + captured <= end``, where ``end`` is the number of octets that may be read.  A batch
also ends behind the first record that reaches ``stop``.  ``big`` is the file's byte order.
"""

import cython

# Slots of ``state``.
POSITION = cython.declare(cython.Py_ssize_t, 0)
STATUS = cython.declare(cython.Py_ssize_t, 1)
LAST_TIME = cython.declare(cython.Py_ssize_t, 2)
STATE_SLOTS = 3

# Values of ``state[STATUS]``.
FULL = cython.declare(cython.longlong, 0)
FINISHED = cython.declare(cython.longlong, 1)
CUT = cython.declare(cython.longlong, 2)
BLOCK = cython.declare(cython.longlong, 3)
DAMAGED = cython.declare(cython.longlong, 4)

# Values of ``interface`` that are no interface.
UNKNOWN_INTERFACE = cython.declare(cython.uint, 0xFFFFFFFF)
BAD_RECORD = cython.declare(cython.uint, 0xFFFFFFFE)
NO_PACKET = cython.declare(cython.uint, 0xFFFFFFFD)

# Bits of ``marks``.
HAS_COMMENT = cython.declare(cython.int, 1)
BAD_OPTIONS = cython.declare(cython.int, 2)
NO_TIME = cython.declare(cython.int, 4)

# One row of ``table`` describes one pcapng interface.
TABLE_SLOTS = 4
ROW = cython.declare(cython.Py_ssize_t, 4)
SNAPLEN = cython.declare(cython.Py_ssize_t, 0)
UNIT = cython.declare(cython.Py_ssize_t, 1)
FACTOR = cython.declare(cython.Py_ssize_t, 2)
OFFSET = cython.declare(cython.Py_ssize_t, 3)

# Values of ``UNIT``: nanoseconds are ticks * FACTOR, ticks // FACTOR, or ticks * 10^9 / 2^FACTOR.
MULTIPLY = cython.declare(cython.longlong, 0)
DIVIDE = cython.declare(cython.longlong, 1)
BINARY = cython.declare(cython.longlong, 2)

# pcapng block types (draft-ietf-opsawg-pcapng).
INTERFACE_DESCRIPTION = cython.declare(cython.longlong, 1)
OBSOLETE_PACKET = cython.declare(cython.longlong, 2)
SIMPLE_PACKET = cython.declare(cython.longlong, 3)
INTERFACE_STATISTICS = cython.declare(cython.longlong, 5)
ENHANCED_PACKET = cython.declare(cython.longlong, 6)
JOURNAL_EXPORT = cython.declare(cython.longlong, 9)
CUSTOM = cython.declare(cython.longlong, 0x00000BAD)
CUSTOM_UNCOPIED = cython.declare(cython.longlong, 0x40000BAD)
SECTION_HEADER = cython.declare(cython.longlong, 0x0A0D0D0A)

# The same names for callers, to whom the compiled form does not show its C constants.
CODES = {
    "POSITION": POSITION,
    "STATUS": STATUS,
    "FULL": FULL,
    "FINISHED": FINISHED,
    "CUT": CUT,
    "BLOCK": BLOCK,
    "DAMAGED": DAMAGED,
    "HAS_COMMENT": HAS_COMMENT,
    "BAD_OPTIONS": BAD_OPTIONS,
    "NO_TIME": NO_TIME,
    "MULTIPLY": MULTIPLY,
    "DIVIDE": DIVIDE,
    "BINARY": BINARY,
}

# Integer literals above 31 bits are Python objects to Cython: they are named here instead.
BILLION = cython.declare(cython.ulonglong, 1000000000)
# Times lie within 2^62 of the epoch (1824 to 2116), so that differences fit in 64 bits as well.
MOST_NANOSECONDS = cython.declare(cython.ulonglong, 0x3FFFFFFFFFFFFFFF)
MOST_SECONDS = cython.declare(cython.ulonglong, 4611686017)
# No frame is that long; a longer one is the mark of a damaged file (256 MiB).
MOST_OCTETS = cython.declare(cython.longlong, 0x10000000)


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def word16(
    data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t, big: cython.bint
) -> cython.longlong:
    """Two octets in the file's byte order."""
    first: cython.longlong = data[at]
    second: cython.longlong = data[at + 1]
    if big:
        return (first << 8) | second
    return (second << 8) | first


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def word32(
    data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t, big: cython.bint
) -> cython.longlong:
    """Four octets in the file's byte order."""
    first: cython.longlong = data[at]
    second: cython.longlong = data[at + 1]
    third: cython.longlong = data[at + 2]
    fourth: cython.longlong = data[at + 3]
    if big:
        return (first << 24) | (second << 16) | (third << 8) | fourth
    return (fourth << 24) | (third << 16) | (second << 8) | first


def pcap_records(
    data: cython.const[cython.uchar][::1],
    end: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
    room: cython.Py_ssize_t,
    big: cython.bint,
    scale: cython.longlong,
    header: cython.Py_ssize_t,
    state: cython.longlong[::1],
    offset: cython.longlong[::1],
    captured: cython.uint[::1],
    wire: cython.uint[::1],
    time: cython.longlong[::1],
    interface: cython.uint[::1],
    direction: cython.uchar[::1],
    ifindex: cython.uint[::1],
    marks: cython.uchar[::1],
) -> int:
    """Read records of a pcap file; returns their number.

    ``scale`` is the number of nanoseconds in a unit of the time stamp's fraction (1 or 1000),
    ``header`` the octets of a record header: 16, or 24 in the modified form that also names the
    interface and the direction.
    """
    n: cython.Py_ssize_t = 0
    position: cython.Py_ssize_t = state[POSITION]
    status: cython.longlong = FULL
    kept: cython.longlong
    whole: cython.longlong
    kind: cython.longlong
    while n < room and position < stop:
        if end - position < header:
            status = FINISHED if position == end else CUT
            break
        kept = word32(data, position + 8, big)
        whole = word32(data, position + 12, big)
        if kept > MOST_OCTETS:
            status = DAMAGED
            break
        if kept > end - position - header:
            status = CUT
            break
        time[n] = word32(data, position, big) * BILLION + word32(data, position + 4, big) * scale
        offset[n] = position + header
        captured[n] = kept
        wire[n] = whole if whole > kept else kept
        interface[n] = 0
        direction[n] = 0
        ifindex[n] = 0
        marks[n] = 0
        if header == 24:
            ifindex[n] = word32(data, position + 16, big)
            kind = data[position + 22]
            if kind < 3:
                direction[n] = 1
            elif kind == 4:
                direction[n] = 2
        position += header + kept
        n += 1
    state[POSITION] = position
    state[STATUS] = status
    return n


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def nanoseconds(
    table: cython.longlong[::1], row: cython.Py_ssize_t, ticks: cython.ulonglong
) -> cython.longlong:
    """The time stamp in nanoseconds since the epoch, held within 2^62 of it."""
    unit: cython.longlong = table[row + UNIT]
    factor: cython.ulonglong = table[row + FACTOR]
    shift: cython.longlong = table[row + OFFSET]
    value: cython.ulonglong
    seconds: cython.ulonglong
    if unit == MULTIPLY:
        value = MOST_NANOSECONDS
        if factor == 0 or ticks <= MOST_NANOSECONDS // factor:
            value = ticks * factor
    elif unit == DIVIDE:
        value = ticks // factor
    else:
        seconds = ticks >> factor if factor < 64 else 0
        if seconds > MOST_SECONDS:
            value = MOST_NANOSECONDS
        else:
            if factor < 64:
                ticks = ticks - (seconds << factor)
            # At most 34 bits of the fraction keep the product inside 64 bits; one of the bits
            # that are dropped is worth less than a tenth of a nanosecond.
            if factor > 34:
                ticks = ticks >> (factor - 34) if factor < 98 else 0
                factor = 34
            value = seconds * BILLION + ((ticks * BILLION) >> factor)
    if shift > 0 and value > MOST_NANOSECONDS - shift:
        return MOST_NANOSECONDS
    return cython.cast(cython.longlong, value) + shift


@cython.cfunc
@cython.exceptval(-1)
def packet_options(
    data: cython.const[cython.uchar][::1],
    at: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    big: cython.bint,
) -> cython.int:
    """Marks (low 4 bits) and direction (next 2 bits) that the options of a packet block state."""
    found: cython.int = 0
    code: cython.longlong
    size: cython.longlong
    flags: cython.longlong
    while end - at >= 4:
        code = word16(data, at, big)
        size = word16(data, at + 2, big)
        at += 4
        if code == 0:
            return found
        if size > end - at:
            return found | BAD_OPTIONS
        if code == 1:
            found |= HAS_COMMENT
        elif code == 2 and size == 4:
            flags = word32(data, at, big) & 3
            if flags == 1 or flags == 2:
                found = (found & 15) | cython.cast(cython.int, flags << 4)
        at += (size + 3) & ~3
    return found


def pcapng_blocks(
    data: cython.const[cython.uchar][::1],
    end: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
    room: cython.Py_ssize_t,
    big: cython.bint,
    table: cython.longlong[::1],
    first: cython.Py_ssize_t,
    known: cython.Py_ssize_t,
    state: cython.longlong[::1],
    offset: cython.longlong[::1],
    captured: cython.uint[::1],
    wire: cython.uint[::1],
    time: cython.longlong[::1],
    interface: cython.uint[::1],
    direction: cython.uchar[::1],
    ifindex: cython.uint[::1],
    marks: cython.uchar[::1],
) -> int:
    """Read packet blocks of a pcapng section up to a block that describes the file.

    Returns the number of frames.  ``table`` has ``TABLE_SLOTS`` numbers for each interface of the
    file; the section's interfaces begin with number ``first``, and ``known`` of them have been
    described so far.  A packet block whose content contradicts its length stays a frame, without
    octets and with the interface ``BAD_RECORD``, so that frame numbers keep their meaning.
    """
    n: cython.Py_ssize_t = 0
    position: cython.Py_ssize_t = state[POSITION]
    status: cython.longlong = FULL
    last: cython.longlong = state[LAST_TIME]
    kind: cython.longlong
    size: cython.longlong
    room_inside: cython.longlong
    kept: cython.longlong
    whole: cython.longlong
    which: cython.longlong
    begin: cython.Py_ssize_t
    tail: cython.Py_ssize_t
    row: cython.Py_ssize_t
    found: cython.int
    ticks: cython.ulonglong
    while n < room and position < stop:
        if end - position < 12:
            status = FINISHED if position == end else CUT
            break
        kind = word32(data, position, big)
        size = word32(data, position + 4, big)
        if kind == SECTION_HEADER:
            status = BLOCK
            break
        if size < 12 or size & 3 != 0:
            status = DAMAGED
            break
        if size > end - position:
            status = CUT
            break
        if word32(data, position + size - 4, big) != size:
            status = DAMAGED
            break
        if kind == INTERFACE_DESCRIPTION or kind == INTERFACE_STATISTICS:
            status = BLOCK
            break
        if kind == ENHANCED_PACKET or kind == OBSOLETE_PACKET:
            begin = position + 28
            room_inside = size - 32
        elif kind == SIMPLE_PACKET:
            begin = position + 12
            room_inside = size - 16
        elif kind == JOURNAL_EXPORT or kind == CUSTOM or kind == CUSTOM_UNCOPIED:
            # No packets, but Wireshark gives them frame numbers, and so do we.
            begin = position
            room_inside = 0
        else:
            position += size
            continue

        found = 0
        kept = 0
        whole = 0
        which = BAD_RECORD
        if begin == position:
            which = NO_PACKET
        elif room_inside >= 0:
            if kind == SIMPLE_PACKET:
                which = 0
                whole = word32(data, position + 8, big)
                kept = whole if whole < room_inside else room_inside
            else:
                which = (
                    word32(data, position + 8, big)
                    if kind == ENHANCED_PACKET
                    else word16(data, position + 8, big)
                )
                kept = word32(data, position + 20, big)
                whole = word32(data, position + 24, big)
            if kept > room_inside:
                which = BAD_RECORD
                kept = 0
            elif which >= known:
                which = UNKNOWN_INTERFACE
            else:
                which = first + which
                row = which * ROW
                if kind == SIMPLE_PACKET:
                    found = NO_TIME
                    if 0 < table[row + SNAPLEN] < kept:
                        kept = table[row + SNAPLEN]
                else:
                    ticks = word32(data, position + 12, big)
                    ticks = (ticks << 32) | cython.cast(
                        cython.ulonglong, word32(data, position + 16, big)
                    )
                    last = nanoseconds(table, row, ticks)
                    tail = begin + ((kept + 3) & ~3)
                    if position + size - 4 > tail:
                        found = packet_options(data, tail, position + size - 4, big)
        offset[n] = begin
        captured[n] = kept
        wire[n] = whole if whole > kept else kept
        time[n] = last
        interface[n] = which
        direction[n] = found >> 4
        ifindex[n] = 0
        marks[n] = found & 15
        position += size
        n += 1
    state[POSITION] = position
    state[STATUS] = status
    state[LAST_TIME] = last
    return n
