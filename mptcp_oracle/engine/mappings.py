# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""DSS mappings: 64-bit numbers from short ones, and who mapped each subflow octet first.

The loops run in this order over a whole capture: :func:`infer` where no handshake gave the
initial sequence number, :func:`absolute`, :func:`order`, :func:`pieces`, :func:`resolve`.
All numbers leave :func:`absolute` relative: a subflow sequence number to the initial sequence
number (the SYN is 0), a DSN to the IDSN (the first octet is 1). See RFC 8684 section 3.3.1.
"""

import cython

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
WRAP_32 = cython.declare(cython.longlong, 0x100000000)
HALF_32 = cython.declare(cython.longlong, 0x80000000)
# A number farther than this beyond the highest one moves nothing.
ABSURD = cython.declare(cython.longlong, 0x10000000000)
ENDLESS = cython.declare(cython.longlong, 0x3FFFFFFFFFFFFFFF)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def signed32(value: cython.longlong) -> cython.longlong:
    """The number in [-2**31, 2**31) that is congruent to ``value`` modulo 2**32."""
    value = value & LOW_32
    return value - WRAP_32 if value >= HALF_32 else value


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def minus64(a: cython.longlong, b: cython.longlong) -> cython.longlong:
    """``a - b`` modulo 2**64 as a signed number, never overflowing on the way."""
    low: cython.longlong = (a & LOW_32) - (b & LOW_32)
    high: cython.longlong = (a >> 32) - (b >> 32)
    if low < 0:
        low += WRAP_32
        high -= 1
    return signed32(high) * WRAP_32 + low


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def mapped(flags: cython.int, length: cython.longlong) -> cython.longlong:
    """Payload octets of a mapping: the data-level length without the DATA_FIN's octet."""
    return length - 1 if flags & 0x10 and length > 0 else length


def absolute(
    rows: cython.Py_ssize_t,
    maps: cython.Py_ssize_t,
    half: cython.int[::1],
    sequence: cython.longlong[::1],
    dss: cython.uchar[::1],
    data_ack: cython.longlong[::1],
    map_row: cython.uint[::1],
    map_half: cython.int[::1],
    map_dsn: cython.longlong[::1],
    map_ssn: cython.uint[::1],
    map_length: cython.ushort[::1],
    map_flags: cython.uchar[::1],
    map_start: cython.longlong[::1],
    direction: cython.int[::1],
    shift: cython.longlong[::1],
    skew: cython.longlong[::1],
    first_skew: cython.longlong[::1],
    idsn: cython.longlong[::1],
    reference: cython.longlong[::1],
) -> None:
    """Make every number relative and 64 bits wide, in place.

    A 4-octet DSN or DATA_ACK is the number nearest to the highest one known so far in its
    direction (RFC 8684 section 3.3.1); 8-octet ones are taken as they are.

    Args:
        rows, half, sequence, dss, data_ack: The rows. maps, map_*: The mapping rows.
        map_start: Out: first subflow sequence number of each mapping.
        direction: Per half: ``2 * connection + sender``, or -1 outside MPTCP.
        shift: Per half: added to the sequence numbers, so that the SYN is 0.
        skew: Per half: octets of SYN data that subflow sequence numbers do not count. first_skew:
            those before the octet that an MP_CAPABLE's mapping begins with.
        idsn: Per direction: the IDSN as a signed number. reference: Per direction: highest
            relative DSN known so far; changed.
    """
    i: cython.Py_ssize_t
    m: cython.Py_ssize_t = 0
    h: cython.Py_ssize_t
    d: cython.Py_ssize_t
    value: cython.longlong
    end: cython.longlong
    for i in range(rows):
        h = half[i]
        if h < 0:
            continue
        sequence[i] = sequence[i] + shift[h]
        d = direction[h]
        if d < 0:
            continue
        while m < maps and map_row[m] < i:
            m += 1
        while m < maps and map_row[m] == i:
            value = first_skew[h] if map_flags[m] & 0x40 else skew[h]
            map_start[m] = sequence[i] + signed32(map_ssn[m] + value - sequence[i])
            value = map_dsn[m]
            if map_flags[m] & 0x40:
                pass
            elif map_flags[m] & 0x08:
                value = minus64(value, idsn[d])
            else:
                value = reference[d] + signed32(value - signed32(idsn[d]) - reference[d])
            map_dsn[m] = value
            end = value + map_length[m] if value < ENDLESS else value
            if reference[d] < end < reference[d] + ABSURD:
                reference[d] = end
            m += 1
        if dss[i] & 0x01:
            d = d ^ 1
            value = data_ack[i]
            if dss[i] & 0x02:
                value = minus64(value, idsn[d])
            else:
                value = reference[d] + signed32(value - signed32(idsn[d]) - reference[d])
            data_ack[i] = value
            if reference[d] < value < reference[d] + ABSURD:
                reference[d] = value


def order(
    maps: cython.Py_ssize_t,
    map_half: cython.int[::1],
    map_start: cython.longlong[::1],
    first: cython.uint[::1],
    sorted_maps: cython.uint[::1],
    spare: cython.uint[::1],
) -> None:
    """Group the mappings by half and sort each group by start, then by time of declaration.

    Args:
        maps, map_half, map_start: The mapping rows.
        first: Out, one more than halves: where each half's group begins.
        sorted_maps: Out: mapping rows in order. spare: Work space of the same length.
    """
    i: cython.Py_ssize_t
    h: cython.Py_ssize_t
    halves: cython.Py_ssize_t = len(first) - 1
    low: cython.Py_ssize_t
    high: cython.Py_ssize_t
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    a_end: cython.Py_ssize_t
    b_end: cython.Py_ssize_t
    to: cython.Py_ssize_t
    runs: cython.Py_ssize_t
    for i in range(maps):
        first[map_half[i] + 1] = first[map_half[i] + 1] + 1
    for h in range(halves):
        first[h + 1] = first[h + 1] + first[h]
    for i in range(maps - 1, -1, -1):
        h = map_half[i] + 1
        first[h] = first[h] - 1
        sorted_maps[first[h]] = i
    # Each entry now holds its own half's begin, one place too far to the right.
    for h in range(halves):
        first[h] = first[h + 1]
    first[halves] = maps

    # A natural merge sort: subflows send in order, so there is mostly nothing to do.
    for h in range(halves):
        low = first[h]
        high = first[h + 1]
        while True:
            runs = 0
            a = low
            while a < high:
                a_end = a + 1
                while a_end < high and (
                    map_start[sorted_maps[a_end]] >= map_start[sorted_maps[a_end - 1]]
                ):
                    a_end += 1
                runs += 1
                if a_end == high:
                    if runs > 1 or a > low:
                        for i in range(a, high):
                            spare[i] = sorted_maps[i]
                    break
                b = a_end
                b_end = b + 1
                while b_end < high and (
                    map_start[sorted_maps[b_end]] >= map_start[sorted_maps[b_end - 1]]
                ):
                    b_end += 1
                to = a
                i = b_end
                while a < a_end or b < b_end:
                    if b >= b_end or (
                        a < a_end and map_start[sorted_maps[a]] <= map_start[sorted_maps[b]]
                    ):
                        spare[to] = sorted_maps[a]
                        a += 1
                    else:
                        spare[to] = sorted_maps[b]
                        b += 1
                    to += 1
                a = i
                runs += 1
            if runs <= 1:
                break
            for i in range(low, high):
                sorted_maps[i] = spare[i]


def pieces(
    first: cython.uint[::1],
    sorted_maps: cython.uint[::1],
    map_start: cython.longlong[::1],
    map_length: cython.ushort[::1],
    map_flags: cython.uchar[::1],
    known: cython.uchar[::1],
    heap: cython.uint[::1],
    piece_first: cython.uint[::1],
    piece_start: cython.longlong[::1],
    piece_end: cython.longlong[::1],
    piece_map: cython.uint[::1],
) -> int:
    """Cut the mappings of each half into pieces that do not overlap.

    An octet belongs to the mapping that covered it first (RFC 8684 section 3.3.1: a mapping is
    fixed). A mapping of length 0 without DATA_FIN is infinite (section 3.7).

    Args:
        first, sorted_maps: From :func:`order`. map_*: The mapping rows.
        known: Per half: how its initial sequence number is known; 0 if it is not, and then nobody
            can say which octets its mappings cover.
        heap: Work space, as long as the mapping rows.
        piece_first: Out, one more than halves: where each half's pieces begin.
        piece_start, piece_end, piece_map: Out, room for twice the mapping rows.

    Returns:
        The number of pieces.
    """
    h: cython.Py_ssize_t
    i: cython.Py_ssize_t
    m: cython.Py_ssize_t
    other: cython.Py_ssize_t
    child: cython.Py_ssize_t
    slot: cython.Py_ssize_t
    size: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    high: cython.Py_ssize_t
    x: cython.longlong
    y: cython.longlong
    end: cython.longlong
    entering: cython.bint
    for h in range(len(first) - 1):
        piece_first[h] = count
        if known[h] == 0:
            continue
        i = first[h]
        high = first[h + 1]
        size = 0
        x = 0
        while True:
            # Mappings that begin at or before x enter the heap, ordered by declaration.
            if size == 0:
                if i == high:
                    break
                x = map_start[sorted_maps[i]]
            entering = True
            while entering:
                entering = False
                if i < high and map_start[sorted_maps[i]] <= x:
                    m = sorted_maps[i]
                    i += 1
                    entering = True
                    end = mapped(map_flags[m], map_length[m])
                    if end == 0 and map_flags[m] & 0x10:
                        continue
                    slot = size
                    size += 1
                    while slot > 0 and heap[(slot - 1) >> 1] > m:
                        heap[slot] = heap[(slot - 1) >> 1]
                        slot = (slot - 1) >> 1
                    heap[slot] = m
            # Those that ended leave it.
            while size > 0:
                m = heap[0]
                end = map_start[m] + mapped(map_flags[m], map_length[m])
                if map_length[m] == 0:
                    end = ENDLESS
                if end > x:
                    break
                size -= 1
                other = heap[size]
                slot = 0
                while True:
                    child = 2 * slot + 1
                    if child >= size:
                        break
                    if child + 1 < size and heap[child + 1] < heap[child]:
                        child += 1
                    if heap[child] >= other:
                        break
                    heap[slot] = heap[child]
                    slot = child
                heap[slot] = other
            if size == 0:
                continue
            # The oldest one holds until it ends or an older one begins.
            y = end
            if i < high and map_start[sorted_maps[i]] < y:
                y = map_start[sorted_maps[i]]
            if count > piece_first[h] and piece_map[count - 1] == m and piece_end[count - 1] == x:
                piece_end[count - 1] = y
            else:
                piece_start[count] = x
                piece_end[count] = y
                piece_map[count] = m
                count += 1
            x = y
    piece_first[len(first) - 1] = count
    return count


def resolve(
    rows: cython.Py_ssize_t,
    half: cython.int[::1],
    sequence: cython.longlong[::1],
    length: cython.uint[::1],
    direction: cython.int[::1],
    piece_first: cython.uint[::1],
    piece_start: cython.longlong[::1],
    piece_end: cython.longlong[::1],
    hint: cython.uint[::1],
    piece: cython.int[::1],
) -> None:
    """Find, for each segment with payload, the first piece that covers any octet of it.

    Args:
        rows, half, sequence, length: The rows. direction: Per half, -1 outside MPTCP.
        piece_*: From :func:`pieces`. hint: Per half, work space of zeros.
        piece: Out: a piece, or -1 if no mapping covers any octet.
    """
    i: cython.Py_ssize_t
    h: cython.Py_ssize_t
    p: cython.Py_ssize_t
    low: cython.Py_ssize_t
    high: cython.Py_ssize_t
    middle: cython.Py_ssize_t
    x: cython.longlong
    for i in range(rows):
        piece[i] = -1
        h = half[i]
        if length[i] == 0 or h < 0 or direction[h] < 0:
            continue
        low = piece_first[h]
        high = piece_first[h + 1]
        if low == high:
            continue
        x = sequence[i]
        p = low + hint[h]
        if p < high and piece_end[p] <= x:
            p += 1
        if p >= high or piece_end[p] <= x or (p > low and piece_end[p - 1] > x):
            while low < high:
                middle = (low + high) >> 1
                if piece_end[middle] <= x:
                    low = middle + 1
                else:
                    high = middle
            p = low
        if p < piece_first[h + 1]:
            hint[h] = p - piece_first[h]
            if piece_start[p] < x + length[i]:
                piece[i] = p
