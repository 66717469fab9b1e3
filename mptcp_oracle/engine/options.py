# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Walk the TCP options of a batch of segments and pick out what MPTCP put there.

The options of the data plane (a well-formed DSS, an MP_CAPABLE that maps the first data) are
left where they are and only their place is noted; every other option of kind 30, and each DSS
that also says something about the connection (DATA_FIN, infinite mapping, reserved bits, a wrong
length), goes to the control list, which is read by people-sized code. See RFC 8684 sections 3.1
and 3.3.
"""

import cython

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
DIGEST_SEED = cython.declare(cython.longlong, 2166136261)

# Bits of ``marks``.
HAS_MPTCP = cython.declare(cython.int, 1)
OPTIONS_CUT = cython.declare(cython.int, 2)
JOIN_ACK = cython.declare(cython.int, 4)

# Most options of kind 30 that 40 octets can hold, and therefore control entries per segment.
CONTROL_PER_SEGMENT = 20


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def be32(data: cython.const[cython.uchar][::1], at: cython.Py_ssize_t) -> cython.longlong:
    """Four octets as a number, most significant first."""
    word: cython.longlong = data[at]
    word = (word << 8) | data[at + 1]
    word = (word << 8) | data[at + 2]
    return (word << 8) | data[at + 3]


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def dss_size(flags: cython.int) -> cython.int:
    """Octets of a DSS with these flags, without a checksum (RFC 8684 section 3.3, figure 9)."""
    size: cython.int = 4
    if flags & 0x01:
        size += 8 if flags & 0x02 else 4
    if flags & 0x04:
        size += 14 if flags & 0x08 else 10
    return size


def walk(
    data: cython.const[cython.uchar][::1],
    n: cython.Py_ssize_t,
    tcp: cython.longlong[::1],
    captured: cython.uint[::1],
    length: cython.uint[::1],
    head: cython.uchar[::1],
    marks: cython.uchar[::1],
    first_dss: cython.longlong[::1],
    second_dss: cython.longlong[::1],
    capable: cython.longlong[::1],
    digest: cython.uint[::1],
    control_packet: cython.uint[::1],
    control_at: cython.longlong[::1],
    control_size: cython.uchar[::1],
) -> int:
    """Note, for each of ``n`` segments, where its MPTCP options are.

    Args:
        data: The whole capture.
        n: Segments in this batch; the arrays are valid in ``[0, n)``.
        tcp: Offset of each TCP header.
        captured: Octets captured from the TCP header on, at least 20.
        length: Octets of TCP header and payload on the wire.
        head: Out: octets of the TCP header, 0 if the data offset is impossible.
        marks: Out: ``HAS_MPTCP``, ``OPTIONS_CUT``, and ``JOIN_ACK`` if an MP_JOIN has the size
            that it has on a third packet.
        first_dss: Out: offset of the first well-formed DSS, or -1.
        second_dss: Out: offset of a second one, or -1 (40 octets hold two mappings at most).
        capable: Out: offset of an MP_CAPABLE of 20 octets or more, or -1.
        digest: Out: a 32-bit digest of the header without its checksum, the same for two copies
            of one segment.
        control_packet: Out: index in the batch of each control option.
        control_at: Out: offset of each control option.
        control_size: Out: its octets; what a length of 0, 1 or past the header leaves is taken
            to the header's end.

    Returns:
        The number of control options written.
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    end: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    size: cython.int
    kind: cython.int
    flags: cython.int
    need: cython.int
    subtype: cython.int
    words: cython.Py_ssize_t
    hashed: cython.longlong
    word: cython.longlong
    controls: cython.Py_ssize_t = 0
    is_control: cython.bint

    for i in range(n):
        at = tcp[i]
        size = (data[at + 12] >> 4) * 4
        first_dss[i] = -1
        second_dss[i] = -1
        capable[i] = -1
        marks[i] = 0
        digest[i] = 0
        if size < 20 or cython.cast(cython.longlong, size) > length[i]:
            head[i] = 0
            continue
        head[i] = size
        end = at + size
        stop = at + captured[i]
        if stop < end:
            marks[i] = OPTIONS_CUT
        else:
            stop = end

        # Two copies of one frame agree in all of the header; the checksum may be filled in
        # between two interfaces and is left out.
        hashed = DIGEST_SEED
        words = at
        while words + 4 <= stop:
            word = be32(data, words)
            if words == at + 16:
                word = word & 0xFFFF
            hashed = ((hashed ^ word) * 16777619) & LOW_32
            hashed = hashed ^ (hashed >> 15)
            words += 4
        digest[i] = hashed

        at += 20
        while at < stop:
            kind = data[at]
            if kind == 0:
                break
            if kind == 1:
                at += 1
                continue
            if at + 1 >= stop:
                size = 0
            else:
                size = data[at + 1]
            if size < 2 or at + size > end:
                # Nothing after an impossible length can be read; unless the capture cut it off,
                # an option of kind 30 keeps its octets as a malformed one.
                if kind == 30 and stop == end:
                    marks[i] = marks[i] | HAS_MPTCP
                    control_packet[controls] = i
                    control_at[controls] = at
                    control_size[controls] = end - at
                    controls += 1
                break
            if at + size > stop:
                if kind == 30:
                    marks[i] = marks[i] | HAS_MPTCP
                break
            if kind == 30:
                marks[i] = marks[i] | HAS_MPTCP
                is_control = True
                if size >= 4:
                    subtype = data[at + 2] >> 4
                    if subtype == 2:
                        flags = data[at + 3]
                        need = dss_size(flags)
                        if size == need or (flags & 0x04 and size == need + 2):
                            is_control = False
                            if first_dss[i] < 0:
                                first_dss[i] = at
                            elif second_dss[i] < 0:
                                second_dss[i] = at
                            else:
                                is_control = True
                            if flags & 0xF0 or data[at + 2] & 0x0F:
                                is_control = True
                            elif flags & 0x04:
                                words = at + need - 2
                                if data[words] == 0 and data[words + 1] == 0:
                                    is_control = True
                    elif subtype == 0 and size >= 20 and capable[i] < 0:
                        capable[i] = at
                    elif subtype == 1 and size == 24:
                        marks[i] = marks[i] | JOIN_ACK
                if is_control:
                    control_packet[controls] = i
                    control_at[controls] = at
                    control_size[controls] = size
                    controls += 1
            at += size
    return controls
