# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Attribute segments to TCP streams: one stream for each use of a pair of endpoints.

A stream is one incarnation of a four-tuple (and VLAN or tunnel): a SYN with another initial
sequence number, or an MP_CAPABLE with another key, begins a new one. Each stream has two halves;
half ``2 * stream`` is what the lower endpoint sends, ``2 * stream + 1`` what the higher one sends.
Sequence numbers leave this loop unwrapped to 64 bits, relative to a base that is the half's
initial sequence number where a SYN showed it, else the number before its first segment.
"""

import cython

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
WINDOW = cython.declare(cython.longlong, 0x40000000)
WRAP_32 = cython.declare(cython.longlong, 0x100000000)
HALF_32 = cython.declare(cython.longlong, 0x80000000)


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
@cython.exceptval(check=False)
def mixed(hashed: cython.longlong, word: cython.longlong) -> cython.longlong:
    """One step of the hash of a flow: FNV-1a on 32 bits, with its high bits folded in."""
    hashed = ((hashed ^ word) * 16777619) & LOW_32
    return hashed ^ (hashed >> 15)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def signed32(value: cython.longlong) -> cython.longlong:
    """The number in [-2**31, 2**31) that is congruent to ``value`` modulo 2**32."""
    value = value & LOW_32
    return value - WRAP_32 if value >= HALF_32 else value


def locate(
    data: cython.const[cython.uchar][::1],
    seed: cython.longlong,
    start: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    tcp: cython.longlong[::1],
    length: cython.uint[::1],
    source: cython.longlong[::1],
    destination: cython.longlong[::1],
    family: cython.uchar[::1],
    domain: cython.longlong[::1],
    head: cython.uchar[::1],
    marks: cython.uchar[::1],
    capable: cython.longlong[::1],
    half: cython.int[::1],
    sequence: cython.longlong[::1],
    slots: cython.int[::1],
    streams: cython.Py_ssize_t,
    address: cython.longlong[::1],
    port: cython.ushort[::1],
    kind: cython.uchar[::1],
    realm: cython.longlong[::1],
    hashes: cython.uint[::1],
    base: cython.uint[::1],
    top: cython.longlong[::1],
    seen: cython.uchar[::1],
    isn: cython.uint[::1],
    isn_from: cython.uchar[::1],
    key: cython.longlong[::1],
    older: cython.int[::1],
    standing: cython.uchar[::1],
) -> tuple:
    """Give each segment its half and its unwrapped relative sequence number.

    Stops early when the stream tables or the slots are full, so that the caller can grow them and
    go on.

    Args:
        data: The whole capture.
        seed: Secret of this run, so that no capture can aim at the hash table.
        start: First index of the batch to handle; ``n`` is the end.
        tcp, length, source, destination, family, domain, head, marks, capable: Columns of the
            batch.
        half: Out: ``2 * stream + side``, or -1 where the TCP header is impossible.
        sequence: Out: the number of the segment's first payload octet relative to the half's
            base; the base, which is the SYN's number, is 0.
        slots: Hash table of stream numbers, -1 where empty; a power of two long.
        streams: Streams known so far.
        address: Four words per stream: lower and higher endpoint's address, as signed halves of
            128 bits.
        port: Two per stream. kind: the IP version. realm: VLAN and tunnel. hashes: the hash.
        base, top, seen, isn: One per half: base of the unwrapped numbers, highest unwrapped
            number reached, whether the half has sent, initial sequence number.
        isn_from: How the initial sequence number is known: 0 not at all, 1 its own SYN, 2 the
            acknowledgment of the other half's SYN/ACK, 3 a third packet of the handshake, 4 not
            surely: a third packet that may have come after data.
        key: The sender's key in the stream's first long MP_CAPABLE, as a signed number.
        older: The stream that the same endpoints had before, -1 if none.
        standing: Bits: 1 the stream's SYN was answered or followed up, 2 a newer one exists.

    Returns:
        ``(index of the first segment not handled, streams known now)``.
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    k: cython.Py_ssize_t
    s: cython.Py_ssize_t
    h: cython.Py_ssize_t = 0
    other: cython.Py_ssize_t = 0
    slot: cython.Py_ssize_t
    mask: cython.Py_ssize_t = len(slots) - 1
    limit: cython.Py_ssize_t = len(kind)
    side: cython.Py_ssize_t
    lead: cython.Py_ssize_t
    flags: cython.int
    fresh: cython.bint
    src: cython.longlong[4]
    dst: cython.longlong[4]
    swap: cython.longlong
    sport: cython.longlong
    dport: cython.longlong
    seq: cython.longlong
    ack: cython.longlong
    hashed: cython.longlong
    a_hi: cython.longlong
    a_lo: cython.longlong
    b_hi: cython.longlong
    b_lo: cython.longlong
    delta: cython.longlong
    relative: cython.longlong
    end: cython.longlong
    payload: cython.longlong
    sender_key: cython.longlong
    before: cython.bint
    goes_on: cython.bint

    if not cython.compiled:
        src = [0, 0, 0, 0]
        dst = [0, 0, 0, 0]

    for i in range(start, n):
        if head[i] == 0:
            half[i] = -1
            sequence[i] = 0
            continue
        if streams >= limit or streams * 2 >= mask:
            return i, streams
        at = tcp[i]
        flags = data[at + 13]
        sport = data[at]
        sport = (sport << 8) | data[at + 1]
        dport = data[at + 2]
        dport = (dport << 8) | data[at + 3]
        seq = be32(data, at + 4)
        ack = be32(data, at + 8)
        payload = length[i]
        payload -= head[i]

        # The endpoints in a canonical order, and a hash of them.
        a = source[i]
        b = destination[i]
        lead = 0
        if family[i] == 4:
            # An IPv4 address is the last of four words.
            lead = 3
            a -= 12
            b -= 12
        for k in range(lead):
            src[k] = 0
            dst[k] = 0
        for k in range(lead, 4):
            src[k] = be32(data, a + 4 * k)
            dst[k] = be32(data, b + 4 * k)
        side = 0
        for k in range(lead, 4):
            if src[k] != dst[k]:
                side = 0 if src[k] < dst[k] else 1
                break
        else:
            side = 0 if sport <= dport else 1
        if side == 1:
            for k in range(lead, 4):
                swap = src[k]
                src[k] = dst[k]
                dst[k] = swap
            swap = sport
            sport = dport
            dport = swap
        a_hi = signed32(src[0]) * WRAP_32 + src[1]
        a_lo = signed32(src[2]) * WRAP_32 + src[3]
        b_hi = signed32(dst[0]) * WRAP_32 + dst[1]
        b_lo = signed32(dst[2]) * WRAP_32 + dst[3]
        hashed = mixed(seed & LOW_32, sport * 65536 + dport)
        for k in range(lead, 4):
            hashed = mixed(hashed, src[k])
            hashed = mixed(hashed, dst[k])
        if domain[i] != 0:
            hashed = mixed(hashed, domain[i] & LOW_32)
            hashed = mixed(hashed, (domain[i] >> 32) & LOW_32)

        slot = hashed & mask
        s = slots[slot]
        while s >= 0:
            if (
                hashes[s] == hashed
                and address[4 * s] == a_hi
                and address[4 * s + 1] == a_lo
                and address[4 * s + 2] == b_hi
                and address[4 * s + 3] == b_lo
                and port[2 * s] == sport
                and port[2 * s + 1] == dport
                and kind[s] == family[i]
                and realm[s] == domain[i]
            ):
                break
            slot = (slot + 1) & mask
            s = slots[slot]

        sender_key = 0
        if capable[i] >= 0 and flags & 0x02 == 0:
            # With both keys it belongs on a third packet; on a SYN it means nothing.
            k = capable[i] + 4
            sender_key = signed32(be32(data, k)) * WRAP_32 + be32(data, k + 4)

        # Is this segment part of the newest stream of its endpoints, or does it begin another?
        fresh = s < 0
        if not fresh:
            h = 2 * s + side
            other = 2 * s + 1 - side
            if flags & 0x02 == 0 and standing[s] & 1 == 0 and older[s] >= 0:
                # A SYN that nothing has come of yet may be a stray one: what goes on where the
                # stream before it stopped belongs there (RFC 5961 section 4).
                k = 2 * older[s] + side
                delta = signed32(seq - base[k] - top[k])
                goes_on = seen[k] != 0 and -1048576 < delta < 1048576
                if goes_on and flags & 0x10 and isn_from[other] == 1:
                    # But not what acknowledges that SYN, and nothing that the other one has sent.
                    delta = signed32(ack - isn[other])
                    if 0 < delta <= top[other]:
                        k = 2 * older[s] + 1 - side
                        delta = signed32(ack - base[k])
                        goes_on = seen[k] != 0 and 0 < delta <= top[k]
                if goes_on:
                    s = older[s]
                    h = 2 * s + side
                    other = 2 * s + 1 - side
                else:
                    standing[s] = standing[s] | 1
            if flags & 0x02:
                # A retransmitted SYN keeps its number; a SYN may also have been captured a
                # little after what it began.
                before = seen[h] != 0 and 0 <= signed32(base[h] + 1 - (seq + 1)) < 1048576
                if flags & 0x10 == 0:
                    if isn_from[h] == 1:
                        fresh = isn[h] != seq
                    elif isn_from[other] == 1 and seen[h] == 0:
                        # Only the SYN/ACK has been seen: it acknowledges this SYN or an older one.
                        fresh = isn_from[h] == 2 and not (0 <= signed32(isn[h] - seq) <= payload)
                    elif seen[h] != 0:
                        fresh = not before
                    else:
                        fresh = False
                elif isn_from[other] == 1:
                    fresh = not (0 <= signed32(ack - (isn[other] + 1)) <= 65535) and not (
                        isn_from[h] == 1 and isn[h] == seq
                    )
                elif isn_from[h] == 1:
                    fresh = isn[h] != seq
                elif seen[h] != 0:
                    fresh = not before
                elif seen[other] != 0:
                    delta = signed32(base[other] + 1 - ack)
                    fresh = not (-1048576 < delta < 1048576)
            elif sender_key != 0 and key[s] != 0 and key[s] != sender_key:
                # Another key in a third packet: another connection whose SYN is not in the
                # capture (unless it only repeats octets of this one).
                delta = signed32(seq - base[h])
                fresh = seen[h] == 0 or not (0 <= delta < 65536)
        if fresh:
            older[streams] = s
            standing[streams] = 0
            if s >= 0:
                standing[s] = standing[s] | 2
            s = streams
            streams += 1
            slots[slot] = s
            address[4 * s] = a_hi
            address[4 * s + 1] = a_lo
            address[4 * s + 2] = b_hi
            address[4 * s + 3] = b_lo
            port[2 * s] = sport
            port[2 * s + 1] = dport
            kind[s] = family[i]
            realm[s] = domain[i]
            hashes[s] = hashed
            key[s] = 0
            for k in range(2 * s, 2 * s + 2):
                base[k] = 0
                top[k] = 0
                seen[k] = 0
                isn[k] = 0
                isn_from[k] = 0
            h = 2 * s + side
            other = 2 * s + 1 - side
        if sender_key != 0 and key[s] == 0:
            key[s] = sender_key

        # What this segment tells of the initial sequence numbers.
        if flags & 0x02:
            isn[h] = seq
            isn_from[h] = 1
            if flags & 0x10 and isn_from[other] == 1:
                if 0 <= signed32(ack - (isn[other] + 1)) <= 65535:
                    standing[s] = standing[s] | 1
            if flags & 0x10 and (isn_from[other] == 0 or isn_from[other] == 4):
                isn[other] = (ack - 1) & LOW_32
                isn_from[other] = 2
        elif (sender_key != 0 or marks[i] & 4) and flags & 0x14 == 0x10 and payload == 0:
            # A third packet with MP_CAPABLE may be sent again after data, before any data came
            # back; one with MP_JOIN is sent again before data only (RFC 8684 sections 3.1, 3.2).
            if isn_from[h] == 0:
                isn[h] = (seq - 1) & LOW_32
                isn_from[h] = 3 if marks[i] & 4 else 4
            if isn_from[other] == 0 or isn_from[other] == 4:
                isn[other] = (ack - 1) & LOW_32
                isn_from[other] = 3

        if seen[h] == 0:
            seen[h] = 1
            if flags & 0x02:
                base[h] = seq
            elif isn_from[h] != 0:
                base[h] = isn[h]
            else:
                base[h] = (seq - 1) & LOW_32
            top[h] = 0
        relative = top[h] + signed32(seq - base[h] - top[h])
        end = relative + payload
        if flags & 0x03:
            end += 1
        # Neither a RST nor an empty segment shows what was sent, and no window is above 2^30.
        if top[h] < end < top[h] + WINDOW and flags & 0x04 == 0 and (payload > 0 or flags & 0x03):
            top[h] = end
        half[i] = h
        # The payload of a SYN begins after the SYN itself (TCP Fast Open).
        sequence[i] = relative + 1 if flags & 0x02 and payload > 0 else relative
    return n, streams


def rehash(
    streams: cython.Py_ssize_t,
    hashes: cython.uint[::1],
    standing: cython.uchar[::1],
    slots: cython.int[::1],
) -> None:
    """Enter the newest stream of each pair of endpoints into a larger, empty hash table."""
    s: cython.Py_ssize_t
    slot: cython.Py_ssize_t
    mask: cython.Py_ssize_t = len(slots) - 1
    for s in range(streams):
        if standing[s] & 2:
            continue
        slot = hashes[s] & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = s
