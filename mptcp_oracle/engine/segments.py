# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Turn a batch of segments into rows: one row a segment, one mapping row a declared mapping.

A DSS is decoded here as far as the data plane needs it (RFC 8684 section 3.3): DATA_ACK, DSN,
SSN, data-level length, checksum. A mapping that repeats the one before it on the same half (as
segmentation offload does on each piece) is not stored again. A segment that equals an earlier one
in header, length and IP identification, and cannot be a retransmission, is a duplicate made by
the capture, not by TCP.
"""

import cython

# Nanoseconds within which an equal frame at one place of capture is no retransmission.
# Nanoseconds within which no time-out makes TCP send the same again.
BEFORE_TIMEOUT = cython.declare(cython.longlong, 150000000)
AT_ONCE = cython.declare(cython.longlong, 1000000)

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
WRAP_32 = cython.declare(cython.longlong, 0x100000000)
HALF_32 = cython.declare(cython.longlong, 0x80000000)


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def be16(data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t) -> cython.int:
    """Two octets as a number, most significant first."""
    word: cython.int = data[at]
    return (word << 8) | data[at + 1]


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def be32(data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t) -> cython.longlong:
    """Four octets as a number, most significant first."""
    word: cython.longlong = data[at]
    word = (word << 8) | data[at + 1]
    word = (word << 8) | data[at + 2]
    return (word << 8) | data[at + 3]


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=True)
def signed64(data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t) -> cython.longlong:
    """Eight octets as a signed number: the same bits, and the same in C and in Python."""
    high: cython.longlong = be32(data, at)
    if high >= HALF_32:
        high -= WRAP_32
    return high * WRAP_32 + be32(data, at + 4)


def append(
    data: cython.const[cython.uchar][::1],
    n: cython.Py_ssize_t,
    rows: cython.Py_ssize_t,
    maps: cython.Py_ssize_t,
    # columns of the batch
    b_frame: cython.uint[::1],
    b_time: cython.longlong[::1],
    b_tcp: cython.longlong[::1],
    b_captured: cython.uint[::1],
    b_length: cython.uint[::1],
    b_ip_id: cython.int[::1],
    b_ttl: cython.uchar[::1],
    b_direction: cython.uchar[::1],
    b_interface: cython.uint[::1],
    b_fragment: cython.uchar[::1],
    b_head: cython.uchar[::1],
    b_marks: cython.uchar[::1],
    b_first_dss: cython.longlong[::1],
    b_second_dss: cython.longlong[::1],
    b_capable: cython.longlong[::1],
    b_digest: cython.uint[::1],
    b_half: cython.int[::1],
    b_sequence: cython.longlong[::1],
    b_row: cython.int[::1],
    # rows
    frame: cython.uint[::1],
    time: cython.longlong[::1],
    half: cython.int[::1],
    flags: cython.ushort[::1],
    sequence: cython.longlong[::1],
    ack: cython.uint[::1],
    window: cython.ushort[::1],
    length: cython.uint[::1],
    captured: cython.uint[::1],
    offset: cython.longlong[::1],
    header: cython.uchar[::1],
    dss: cython.uchar[::1],
    data_ack: cython.longlong[::1],
    mapping: cython.int[::1],
    # mapping rows
    map_row: cython.uint[::1],
    map_half: cython.int[::1],
    map_dsn: cython.longlong[::1],
    map_ssn: cython.uint[::1],
    map_length: cython.ushort[::1],
    map_checksum: cython.ushort[::1],
    map_flags: cython.uchar[::1],
    # state of the halves and of the duplicate search
    last_map: cython.int[::1],
    first_row: cython.int[::1],
    last_row: cython.int[::1],
    count: cython.uint[::1],
    mptcp: cython.uchar[::1],
    first_dsn: cython.longlong[::1],
    first_data_ack: cython.longlong[::1],
    cache: cython.uint[::1],
) -> tuple:
    """Append the batch to the rows.

    Args:
        data: The whole capture.
        n: Segments in the batch.
        rows, maps: Rows and mapping rows so far.
        b_*: Columns of the batch, from the packet, option and stream loops; ``b_row`` is out: the
            row of each segment, or -1.
        frame ... mapping: Columns of the rows; room for ``n`` more is the caller's duty.
        map_*: Columns of the mapping rows; room for ``2 * n`` more.
        last_map: Newest mapping row of each half; first_row, last_row: its first and newest
            row; -1 if none. count: its rows, without duplicates made by the capture.
        mptcp: Per half, bits: 1 an MPTCP option was seen, 2 ``first_dsn`` holds an 8-octet DSN,
            4 ``first_data_ack`` an 8-octet DATA_ACK, 8 and 16 the same with only 4 octets; 32 the
            capturing host sent some of its segments, 64 it received some.
        cache: A table of recent segments, a power of two long: four words a segment (row + 1 or
            0, digest, IP identification, place of capture), four segments a bucket.

    Returns:
        ``(rows, maps)`` after the batch.
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    h: cython.Py_ssize_t
    k: cython.Py_ssize_t
    slot: cython.Py_ssize_t
    bucket: cython.Py_ssize_t
    before: cython.Py_ssize_t
    cache_mask: cython.Py_ssize_t = len(cache) - 1
    turn: cython.int
    size: cython.int
    bits: cython.int
    f: cython.int
    m: cython.int
    new: cython.bint
    mark: cython.int
    hashed: cython.longlong
    place: cython.longlong
    ip_id: cython.longlong
    apart: cython.longlong
    payload: cython.longlong
    held: cython.longlong
    dsn: cython.longlong
    ssn: cython.longlong
    dll: cython.longlong
    checksum: cython.longlong

    for i in range(n):
        if b_head[i] == 0:
            b_row[i] = -1
            continue
        at = b_tcp[i]
        h = b_half[i]
        payload = b_length[i]
        payload -= b_head[i]
        held = b_captured[i]
        held -= b_head[i]
        if held < 0:
            held = 0
        mark = ((data[at + 12] & 1) << 8) | data[at + 13]
        if b_marks[i] & 2:
            mark = mark | 0x0400
        if held < payload:
            mark = mark | 0x0800
        if b_fragment[i]:
            mark = mark | 0x1000
        if b_direction[i] == 2:
            mark = mark | 0x2000
            mptcp[h] = mptcp[h] | 32
        elif b_direction[i] == 1:
            mark = mark | 0x4000
            mptcp[h] = mptcp[h] | 64
        if b_marks[i] & 1:
            mark = mark | 0x8000
            mptcp[h] = mptcp[h] | 1

        frame[rows] = b_frame[i]
        time[rows] = b_time[i]
        half[rows] = h
        sequence[rows] = b_sequence[i]
        ack[rows] = be32(data, at + 8)
        window[rows] = be16(data, at + 14)
        length[rows] = payload
        captured[rows] = held
        offset[rows] = at + b_head[i]
        header[rows] = b_head[i]
        dss[rows] = 0
        data_ack[rows] = 0
        mapping[rows] = -1
        b_row[i] = rows

        # A duplicate made by the capture: the same header and length, and either the same
        # nonzero IP identification or, where there is none, another place of capture; at the
        # same place only at once, since TCP may send the same header again after a time-out.
        # The first copy stays in the table, so that a retransmission is met at its own place.
        hashed = b_digest[i] ^ payload
        hashed = (hashed * 16777619) & LOW_32
        hashed = hashed ^ (hashed >> 15)
        place = b_interface[i] & 0x3FFFFF
        place = (place << 10) | (b_direction[i] << 8) | b_ttl[i]
        ip_id = b_ip_id[i]
        ip_id = ip_id & LOW_32
        if b_ip_id[i] > 0:
            # Equal headers of different packets each have a place of their own.
            hashed = ((hashed ^ (ip_id * 40503)) * 16777619) & LOW_32
            hashed = hashed ^ (hashed >> 15)
        # Four places where it may stand; the one not used for longest is given up.
        bucket = ((hashed ^ h) * 16) & cache_mask
        slot = bucket
        before = -1
        for k in range(bucket, bucket + 16, 4):
            if cache[k] < cache[slot]:
                slot = k
            if cache[k] != 0 and cache[k + 1] == hashed and half[cache[k] - 1] == h:
                slot = k
                before = cache[k]
                before -= 1
                break
        apart = 1000000000
        if before >= 0:
            apart = b_time[i] - time[before]
            if apart < 0:
                apart = -apart
        if (
            apart < 1000000000
            and sequence[before] == b_sequence[i]
            and length[before] == payload
            and cache[slot + 2] == ip_id
            and (
                cache[slot + 3] != place
                or (b_ip_id[i] > 0 and apart < BEFORE_TIMEOUT)
                or (apart < AT_ONCE and last_row[h] >= before and last_row[h ^ 1] < before)
            )
        ):
            mark = mark | 0x0200
        else:
            cache[slot] = rows + 1
            cache[slot + 1] = hashed
            cache[slot + 2] = ip_id
            cache[slot + 3] = place
        flags[rows] = mark
        if first_row[h] < 0:
            first_row[h] = rows
        last_row[h] = rows
        if mark & 0x0200 == 0:
            count[h] = count[h] + 1

        for turn in range(3):
            if turn == 0:
                at = b_first_dss[i]
            elif turn == 1:
                at = b_second_dss[i]
            else:
                # MP_CAPABLE on the first data: an implicit mapping of SSN 1 to IDSN + 1
                # (RFC 8684 section 3.1); its DSN is relative already.
                at = b_capable[i]
                if at < 0 or data[at + 1] < 22 or data[at + 1] > 24 or data[at + 2] & 15 == 0:
                    break
                size = data[at + 1]
                dll = be16(data, at + 20)
                checksum = 0
                bits = 0x40
                if size == 24:
                    checksum = be16(data, at + 22)
                    bits = bits | 0x20
                elif size == 23:
                    break
                if payload == 0:
                    break
                dsn = 1
                ssn = 1
            if at < 0:
                continue
            if turn < 2:
                size = data[at + 1]
                f = data[at + 3]
                bits = 0
                k = at + 4
                if f & 0x01:
                    if f & 0x02:
                        dsn = signed64(data, k)
                        k += 8
                    else:
                        dsn = be32(data, k)
                        k += 4
                    if dss[rows] & 0x01 == 0:
                        data_ack[rows] = dsn
                        dss[rows] = dss[rows] | 0x01 | (f & 0x02)
                        if f & 0x02:
                            if mptcp[h] & 4 == 0:
                                mptcp[h] = mptcp[h] | 4
                                first_data_ack[h] = dsn
                        elif mptcp[h] & 20 == 0:
                            mptcp[h] = mptcp[h] | 16
                            first_data_ack[h] = dsn
                if f & 0x04 == 0:
                    continue
                if f & 0x08:
                    dsn = signed64(data, k)
                    k += 8
                    bits = 0x08
                    if mptcp[h] & 2 == 0:
                        mptcp[h] = mptcp[h] | 2
                        first_dsn[h] = dsn
                else:
                    dsn = be32(data, k)
                    k += 4
                    if mptcp[h] & 10 == 0:
                        mptcp[h] = mptcp[h] | 8
                        first_dsn[h] = dsn
                ssn = be32(data, k)
                dll = be16(data, k + 4)
                checksum = 0
                if k + 6 < at + size:
                    checksum = be16(data, k + 6)
                    bits = bits | 0x20
                if f & 0x10:
                    bits = bits | 0x10
            dss[rows] = dss[rows] | 0x04 | (bits & 0x78)
            if flags[rows] & 0x0200:
                # The copy's mapping is the original's; a capture duplicate declares nothing.
                if mapping[rows] < 0:
                    mapping[rows] = mapping[before]
                continue
            m = last_map[h]
            new = (
                m < 0
                or map_dsn[m] != dsn
                or map_ssn[m] != ssn
                or map_length[m] != dll
                or map_checksum[m] != checksum
                or map_flags[m] != bits
            )
            if new:
                m = maps
                map_row[m] = rows
                map_half[m] = h
                map_dsn[m] = dsn
                map_ssn[m] = ssn
                map_length[m] = dll
                map_checksum[m] = checksum
                map_flags[m] = bits
                last_map[h] = m
                maps += 1
            if mapping[rows] < 0:
                mapping[rows] = m
        rows += 1
    return rows, maps


def marked(
    rows: cython.Py_ssize_t,
    half: cython.int[::1],
    flags: cython.ushort[::1],
    mptcp: cython.uchar[::1],
    mask: cython.int,
    out: cython.uint[::1],
) -> int:
    """Find the rows of MPTCP streams that carry any of the flags in ``mask``.

    Duplicates made by the capture are left out.

    Args:
        rows: Rows to look at.
        half, flags: Columns of the rows.
        mptcp: Per half, bit 1 if an MPTCP option was seen.
        mask: TCP flags, such as 7 for FIN, SYN and RST.
        out: Out: row numbers in capture order; more than fit are counted only.

    Returns:
        How many there are.
    """
    i: cython.Py_ssize_t
    h: cython.Py_ssize_t
    found: cython.Py_ssize_t = 0
    room: cython.Py_ssize_t = len(out)
    for i in range(rows):
        if flags[i] & mask != 0 and flags[i] & 0x0200 == 0:
            h = half[i]
            if (mptcp[h] | mptcp[h ^ 1]) & 1:
                if found < room:
                    out[found] = i
                found += 1
    return found
