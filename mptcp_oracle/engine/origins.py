# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Origins: where the numbers of a half begin, as its mappings show it.

Without a SYN the initial sequence number is not known, and after data on a SYN it is not known
whether subflow sequence numbers of mappings count that data (RFC 8684 section 3.3.1) or not
(appendix B). Mappings tell both, if one trusts that they mostly begin and end with segments.
"""

import cython

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
WRAP_32 = cython.declare(cython.longlong, 0x100000000)
HALF_32 = cython.declare(cython.longlong, 0x80000000)
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
def mapped(flags: cython.int, length: cython.longlong) -> cython.longlong:
    """Payload octets of a mapping: the data-level length without the DATA_FIN's octet."""
    return length - 1 if flags & 0x10 and length > 0 else length


def infer(
    rows: cython.Py_ssize_t,
    maps: cython.Py_ssize_t,
    half: cython.int[::1],
    sequence: cython.longlong[::1],
    length: cython.uint[::1],
    mapping: cython.int[::1],
    map_half: cython.int[::1],
    map_ssn: cython.uint[::1],
    map_length: cython.ushort[::1],
    map_flags: cython.uchar[::1],
    low: cython.longlong[::1],
    high: cython.longlong[::1],
    wanted: cython.uchar[::1],
    hint: cython.longlong[::1],
    hinted: cython.uchar[::1],
    shift: cython.longlong[::1],
    first: cython.int[::1],
) -> None:
    """Infer missing initial sequence numbers from mappings on the segments they came with.

    A mapping need not lie on the segment that carries it: it may begin inside, after the rest of
    the mapping before, and go on in the next segment. Where the segments that carry a mapping are
    together as long as it is, it most likely begins and ends with them. That is taken for proof
    if another mapping begins or ends with its segments at the same place, or a third packet of the
    handshake says the same; and by itself on an MP_CAPABLE, before which there is no mapping. It
    is none if another such mapping contradicts it.

    The mapping of an MP_CAPABLE begins after data on the SYN, which subflow sequence numbers of the
    others may count: unless it, too, begins or ends with its segments, its place is not known.

    Args:
        rows, half ... mapping: The rows. maps, map_*: The mapping rows.
        low, high: Out, as long as the mapping rows: where the segments of a mapping begin, and
            end, less where the mapping does; ``low`` is above ``high`` if there are none.
        wanted: Per half: 1 to infer, 5 to fill in ``low`` and ``high`` only; set to 2 where it was
            inferred, 3 where mappings do not prove it, 4 where they contradict each other, 6 where
            it was inferred and the place of an MP_CAPABLE's mapping is not known.
        hint: Per half: what a third packet says ``shift`` should be. hinted: whether it does.
        shift: Out: what to add to the sequence numbers of a half.
        first: Work space, one a half: the first mapping that fits, plus 1; later -1 where an
            MP_CAPABLE's fits.
    """
    i: cython.Py_ssize_t
    h: cython.Py_ssize_t
    m: cython.Py_ssize_t
    before: cython.longlong
    beyond: cython.longlong
    for m in range(maps):
        low[m] = ENDLESS
        high[m] = -ENDLESS
    for i in range(rows):
        h = half[i]
        if h < 0 or wanted[h] == 0 or length[i] == 0 or mapping[i] < 0:
            continue
        m = mapping[i]
        if mapped(map_flags[m], map_length[m]) == 0:
            continue
        before = signed32(sequence[i] - map_ssn[m])
        beyond = before + length[i] - mapped(map_flags[m], map_length[m])
        if before < low[m]:
            low[m] = before
        if beyond > high[m]:
            high[m] = beyond
        if wanted[h] == 1:
            wanted[h] = 3
    for m in range(maps):
        h = map_half[m]
        if h < 0 or low[m] != high[m] or wanted[h] == 0 or wanted[h] == 5:
            continue
        if first[h] == 0:
            first[h] = m + 1
            shift[h] = -low[m]
            if map_flags[m] & 0x40 or (hinted[h] and hint[h] == shift[h]):
                wanted[h] = 2
        elif shift[h] != -low[m]:
            wanted[h] = 4
    for m in range(maps):
        h = map_half[m]
        if h < 0 or wanted[h] != 3 or first[h] == 0 or map_ssn[m] == map_ssn[first[h] - 1]:
            continue
        if low[m] == -shift[h] or high[m] == -shift[h]:
            wanted[h] = 2
    for m in range(maps):
        h = map_half[m]
        if h < 0 or map_flags[m] & 0x40 == 0 or (wanted[h] != 2 and wanted[h] != 6):
            continue
        if low[m] == -shift[h] or high[m] == -shift[h] or (hinted[h] and hint[h] == shift[h]):
            first[h] = -1
            wanted[h] = 2
        elif first[h] != -1:
            wanted[h] = 6
