# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""DSS checksums: each mapping's checksum against the payload octets that the capture holds.

The checksum covers a pseudo-header (64-bit DSN, SSN, data-level length, zero) and the mapped
octets (RFC 8684 section 3.3.1). A mapping is checked as a whole, out of all the segments that
carried its octets; the first copy of an octet counts.
"""

import cython

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def add(
    data: cython.const[cython.uchar][::1],
    at: cython.Py_ssize_t,
    octets: cython.Py_ssize_t,
    odd: cython.bint,
) -> cython.longlong:
    """The sum of ``octets`` octets as 16-bit words, the first one low if ``odd``."""
    total: cython.longlong = 0
    i: cython.Py_ssize_t = at
    end: cython.Py_ssize_t = at + octets
    if odd and i < end:
        total += data[i]
        i += 1
    while i + 1 < end:
        total += (data[i] << 8) | data[i + 1]
        i += 2
    if i < end:
        total += data[i] << 8
    return total


def verify(
    data: cython.const[cython.uchar][::1],
    half: cython.Py_ssize_t,
    first: cython.uint[::1],
    sorted_maps: cython.uint[::1],
    map_start: cython.longlong[::1],
    map_dsn: cython.longlong[::1],
    map_ssn: cython.uint[::1],
    map_length: cython.ushort[::1],
    map_checksum: cython.ushort[::1],
    map_flags: cython.uchar[::1],
    rows: cython.const[cython.uint][::1],
    sequence: cython.longlong[::1],
    length: cython.uint[::1],
    captured: cython.uint[::1],
    offset: cython.longlong[::1],
    idsn: cython.longlong,
    result: cython.uchar[::1],
) -> None:
    """Check the mappings of one half.

    Args:
        data: The capture. half: Which half's mappings to check.
        first, sorted_maps: Mapping rows grouped by half and sorted by start.
        map_*: The mapping rows, relative. rows: The rows that first carried the half's octets,
            by their sequence numbers, or in order of their ends if there was never a gap.
            sequence ... offset: The columns of the rows.
        idsn: The IDSN of the direction, signed.
        result: Out, per mapping row: 0 no checksum or nothing to check, 1 right, 2 wrong,
            3 some of the octets are not in the capture, or the mappings overlap beyond reason.
    """
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t = 0
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t
    q: cython.Py_ssize_t
    r: cython.Py_ssize_t
    n_rows: cython.Py_ssize_t = len(sequence)
    n: cython.Py_ssize_t = len(rows)
    x: cython.longlong
    end: cython.longlong
    stop: cython.longlong
    low: cython.longlong
    high: cython.longlong
    total: cython.longlong
    # Honest mappings overlap little. Captures made of overlaps must not cost more than reading
    # the payload a few times; what is beyond stays unchecked.
    budget: cython.longlong = 1 << 20
    for k in range(n):
        budget += 32 * (captured[rows[k]] + 1)
    k = 0
    for i in range(first[half], first[half + 1]):
        m = sorted_maps[i]
        result[m] = 0
        if map_flags[m] & 0x20 == 0 or (map_length[m] == 0 and map_flags[m] & 0x10 == 0):
            continue
        if i > first[half]:
            j = sorted_maps[i - 1]
            if (
                map_start[j] == map_start[m]
                and map_dsn[j] == map_dsn[m]
                and map_ssn[j] == map_ssn[m]
                and map_length[j] == map_length[m]
                and map_checksum[j] == map_checksum[m]
                and map_flags[j] & 0x70 == map_flags[m] & 0x70
            ):
                # Repeated with a retransmission: the same answer.
                result[m] = result[j]
                continue
        x = map_start[m]
        end = x + map_length[m]
        if map_flags[m] & 0x10 and map_length[m] > 0:
            end -= 1
        # The pseudo-header, with the DSN absolute again, in two halves.
        low = (map_dsn[m] & LOW_32) + (idsn & LOW_32)
        high = (map_dsn[m] >> 32) + (idsn >> 32) + (low >> 32)
        low = low & LOW_32
        high = high & LOW_32
        total = (high >> 16) + (high & 0xFFFF) + (low >> 16) + (low & 0xFFFF)
        total += (map_ssn[m] >> 16) + (map_ssn[m] & 0xFFFF)
        total += map_length[m]
        total += map_checksum[m]
        if map_flags[m] & 0x10 and map_ssn[m] == 0:
            end = x
        result[m] = 1
        while k < n and sequence[rows[k]] + length[rows[k]] <= x:
            k += 1
        j = k
        stop = x
        while stop < end:
            # The row that carried this octet first, and up to where no earlier row did.
            r = n_rows
            q = j
            while q < n and sequence[rows[q]] <= stop:
                if rows[q] < r and sequence[rows[q]] + length[rows[q]] > stop:
                    r = rows[q]
                q += 1
            budget -= q - j + 1
            if r == n_rows or budget < 0:
                result[m] = 3
                break
            high = sequence[r] + length[r]
            if high > end:
                high = end
            while q < n and sequence[rows[q]] < high:
                budget -= 1
                if rows[q] < r:
                    high = sequence[rows[q]]
                q += 1
            if high > sequence[r] + captured[r]:
                result[m] = 3
                break
            budget -= high - stop
            total += add(
                data,
                offset[r] + (stop - sequence[r]),
                high - stop,
                (stop - x) & 1 != 0,
            )
            stop = high
            while j < n and sequence[rows[j]] + length[rows[j]] <= stop:
                j += 1
        if result[m] == 1:
            while total > 0xFFFF:
                total = (total >> 16) + (total & 0xFFFF)
            if total != 0xFFFF:
                result[m] = 2
