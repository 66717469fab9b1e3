# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Transmissions: what each segment's octets were when they passed, and who carried them before.

One pass in capture order over all segments with payload. Two interval maps answer for every
octet: was this subflow sequence number seen before (then TCP retransmitted it), and which segment
carried this data sequence number last, and did one subflow alone carry it or several (then the
segment is a remap, or a copy of another subflow's octets). See RFC 8684 section 3.3.6.

Consecutive new data of one subflow is one interval, however many segments it took, so that the
maps stay small; the segment behind an octet of such a run is found in the list of the segments
that first carried the half's octets, which is in order.
"""

from array import array

import cython

# Larger literals than 31 bits would be Python integers in the compiled form.
LOW_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
WRAP_32 = cython.declare(cython.longlong, 0x100000000)
HALF_32 = cython.declare(cython.longlong, 0x80000000)
FAR_BELOW = cython.declare(cython.longlong, 0x4000000000000000)
LOWEST = cython.declare(cython.longlong, 0x7FFFFFFFFFFFFFFF)
PLAUSIBLE = cython.declare(cython.longlong, 0x2000000000000000)

# Octets are counted, and ``kind`` has a bit, for each of these classes in this order.
CLASSES = (
    "first_seen",
    "tcp_retransmission",
    "remap",
    "reinjection",
    "redundant",
    "unclassified",
    "zero_window_probe",
    "unmapped",
)

# Pieces of mappings looked at in one segment; a segment with more is marked and left.
MOST_PIECES = 256


# Least time after which silence is a reason to reinject: TCP's least retransmission time-out.
SILENCE = cython.declare(cython.longlong, 200000000)
# No timer is as short as this: what is copied sooner was copied when it was sent.
AT_ONCE = cython.declare(cython.longlong, 1000000)

# Octets that a DATA_ACK cannot be ahead of the one before it.
ABSURD = cython.declare(cython.longlong, 0x10000000000)


@cython.cclass
class Intervals:
    """Disjoint half-open intervals in numbered spaces, in a skip list of flat arrays.

    Node 0 is the head. A node stands for ``[start, end)`` of its space with attributes whose
    meaning is the user's: ``owner``, ``delta``, ``sole``, ``content`` and ``shift``. Every
    operation is logarithmic in the number of nodes, whatever the order of insertions.
    """

    space: cython.int[::1]
    start: cython.longlong[::1]
    end: cython.longlong[::1]
    owner: cython.int[::1]
    delta: cython.longlong[::1]
    sole: cython.int[::1]
    content: cython.int[::1]
    shift: cython.longlong[::1]
    link: cython.uint[::1]
    height: cython.uchar[::1]
    pool: cython.uint[::1]
    spare: cython.uint[::1]
    path: cython.uint[::1]
    nodes: cython.Py_ssize_t
    links: cython.Py_ssize_t
    dice: cython.longlong

    def __init__(self) -> None:
        self.space = array("i", bytes(4 * 64))
        self.start = array("q", bytes(8 * 64))
        self.end = array("q", bytes(8 * 64))
        self.owner = array("i", bytes(4 * 64))
        self.delta = array("q", bytes(8 * 64))
        self.sole = array("i", bytes(4 * 64))
        self.content = array("i", bytes(4 * 64))
        self.shift = array("q", bytes(8 * 64))
        self.link = array("I", bytes(4 * 64))
        self.height = array("B", bytes(64))
        self.pool = array("I", bytes(4 * 256))
        self.spare = array("I", bytes(4 * 16))
        self.path = array("I", bytes(4 * 16))
        self.nodes = 1
        self.links = 14
        self.height[0] = 14
        self.dice = 0x2545F491

    def _grow(self) -> None:
        """Double the room for nodes, and for links with it."""
        n: cython.Py_ssize_t = self.nodes
        self.space = _longer(self.space, "i", 2 * n)
        self.start = _longer(self.start, "q", 2 * n)
        self.end = _longer(self.end, "q", 2 * n)
        self.owner = _longer(self.owner, "i", 2 * n)
        self.delta = _longer(self.delta, "q", 2 * n)
        self.sole = _longer(self.sole, "i", 2 * n)
        self.content = _longer(self.content, "i", 2 * n)
        self.shift = _longer(self.shift, "q", 2 * n)
        self.link = _longer(self.link, "I", 2 * n)
        self.height = _longer(self.height, "B", 2 * n)

    @cython.cfunc
    @cython.exceptval(-1)
    def find(self, space: cython.int, at: cython.longlong) -> cython.Py_ssize_t:
        """The first node of ``space`` that ends after ``at``, or 0; ``path`` leads to it."""
        level: cython.Py_ssize_t = 13
        node: cython.Py_ssize_t = 0
        after: cython.Py_ssize_t
        while level >= 0:
            while True:
                after = self.pool[self.link[node] + level]
                if after == 0 or self.space[after] > space:
                    break
                if self.space[after] == space and self.end[after] > at:
                    break
                node = after
            self.path[level] = node
            level -= 1
        after = self.pool[self.link[node]]
        if after != 0 and self.space[after] == space:
            return after
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def after(self, node: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The next node of the same space, or 0."""
        following: cython.Py_ssize_t = self.pool[self.link[node]]
        if following != 0 and self.space[following] == self.space[node]:
            return following
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def insert(
        self, space: cython.int, start: cython.longlong, end: cython.longlong
    ) -> cython.Py_ssize_t:
        """Add ``[start, end)``, which nothing may overlap; its attributes are left to set."""
        node: cython.Py_ssize_t
        level: cython.Py_ssize_t
        tall: cython.Py_ssize_t = 1
        at: cython.Py_ssize_t
        self.dice = (self.dice * 1103515245 + 12345) & 0x7FFFFFFF
        at = self.dice >> 3
        while at & 3 == 0 and tall < 14:
            tall += 1
            at >>= 2
        self.find(space, start)
        if self.spare[tall] != 0:
            node = self.spare[tall]
            self.spare[tall] = self.pool[self.link[node]]
        else:
            if self.nodes >= len(self.space):
                self._grow()
            if self.links + tall > len(self.pool):
                self.pool = _longer(self.pool, "I", 2 * self.links + 16)
            node = self.nodes
            self.nodes += 1
            self.link[node] = self.links
            self.height[node] = tall
            self.links += tall
        self.space[node] = space
        self.start[node] = start
        self.end[node] = end
        for level in range(tall):
            at = self.link[self.path[level]] + level
            self.pool[self.link[node] + level] = self.pool[at]
            self.pool[at] = node
        return node

    @cython.cfunc
    @cython.exceptval(-1)
    def remove(self, node: cython.Py_ssize_t) -> cython.int:
        """Take a node out."""
        level: cython.Py_ssize_t
        tall: cython.Py_ssize_t = self.height[node]
        at: cython.Py_ssize_t
        self.find(self.space[node], self.end[node] - 1)
        for level in range(tall):
            at = self.link[self.path[level]] + level
            if self.pool[at] == node:
                self.pool[at] = self.pool[self.link[node] + level]
        self.space[node] = -1
        self.end[node] = -FAR_BELOW
        self.pool[self.link[node]] = self.spare[tall]
        self.spare[tall] = node
        return 0

    def first_of(self, space: cython.int) -> int:
        """The first node of a space, or 0."""
        return self.find(space, -LOWEST)

    def next_of(self, node: cython.Py_ssize_t) -> int:
        """The node after this one in its space, or 0."""
        return self.after(node)

    def at(self, space: cython.int, value: cython.longlong) -> int:
        """The first node of a space that ends after ``value``, or 0."""
        return self.find(space, value)

    def source(self, node: cython.Py_ssize_t) -> tuple:
        """``(start, end, content, shift)`` of a node."""
        return self.start[node], self.end[node], self.content[node], self.shift[node]

    def get(self, node: cython.Py_ssize_t) -> tuple:
        """``(start, end, owner, delta, sole)`` of a node."""
        return (
            self.start[node],
            self.end[node],
            self.owner[node],
            self.delta[node],
            self.sole[node],
        )


def _longer(old: object, code: str, room: int) -> object:
    """A copy of an array with more room, zeros at the end."""
    new = array(code)
    new.frombytes(memoryview(old).cast("B"))  # type: ignore[arg-type]
    new.frombytes(bytes(new.itemsize * (room - len(new))))
    return new


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def signed32(value: cython.longlong) -> cython.longlong:
    """The number in [-2**31, 2**31) that is congruent to ``value`` modulo 2**32."""
    value = value & LOW_32
    return value - WRAP_32 if value >= HALF_32 else value


@cython.cclass
class Classifier:
    """The pass over the segments, with all its state; :meth:`run` may be called range by range.

    Column arrays are shared with the caller and bound with :meth:`bind_rows`,
    :meth:`bind_pieces`, :meth:`bind_halves` and :meth:`bind_directions` first.
    """

    seen: Intervals
    carried: Intervals
    time: cython.longlong[::1]
    half: cython.int[::1]
    flags: cython.ushort[::1]
    sequence: cython.longlong[::1]
    ack: cython.uint[::1]
    window: cython.ushort[::1]
    length: cython.uint[::1]
    dss: cython.uchar[::1]
    data_ack: cython.longlong[::1]
    piece: cython.int[::1]
    previous: cython.uint[::1]
    kind: cython.uchar[::1]
    piece_first: cython.uint[::1]
    piece_start: cython.longlong[::1]
    piece_end: cython.longlong[::1]
    piece_map: cython.uint[::1]
    map_start: cython.longlong[::1]
    map_dsn: cython.longlong[::1]
    map_length: cython.ushort[::1]
    direction: cython.int[::1]
    isn: cython.uint[::1]
    rtt: cython.longlong[::1]
    at_sender: cython.uchar[::1]
    timed_end: cython.longlong[::1]
    timed_from: cython.longlong[::1]
    fresh_first: cython.uint[::1]
    fresh_count: cython.uint[::1]
    fresh: cython.uint[::1]
    fresh_top: cython.longlong[::1]
    low: cython.longlong[::1]
    high: cython.longlong[::1]
    seek: cython.uint[::1]
    finger: cython.uint[::1]
    acked: cython.longlong[::1]
    loss_time: cython.longlong[::1]
    end_time: cython.longlong[::1]
    backup: cython.uchar[::1]
    regular: cython.uchar[::1]
    octets: cython.longlong[::1]
    unmapped_row: cython.int[::1]
    mptcp_row: cython.int[::1]
    dsn_top: cython.longlong[::1]
    dack_top: cython.longlong[::1]
    shut: cython.uchar[::1]
    regulars: cython.int[::1]
    quick: cython.longlong[::1]
    shown: cython.longlong[::1]
    answer: cython.longlong[::1]
    reached: cython.longlong[::1]
    totals: cython.longlong[::1]
    lags: cython.longlong[::1]
    split_row: cython.uint[::1]
    split_start: cython.longlong[::1]
    split_end: cython.longlong[::1]
    split_kind: cython.uchar[::1]
    trigger_row: cython.uint[::1]
    trigger_half: cython.int[::1]
    trigger_kind: cython.uchar[::1]
    triggers: cython.Py_ssize_t
    plain_finger: cython.uint[::1]
    filler_row: cython.uint[::1]
    fillers: cython.Py_ssize_t
    fills: cython.bint
    splits: cython.Py_ssize_t
    row: cython.Py_ssize_t
    prior: cython.Py_ssize_t
    spilled: cython.Py_ssize_t

    def __init__(self) -> None:
        self.seen = Intervals()
        self.carried = Intervals()
        self.trigger_row = array("I", bytes(0))
        self.trigger_half = array("i", bytes(0))
        self.trigger_kind = array("B", bytes(0))
        self.triggers = 0
        self.filler_row = array("I", bytes(4 * 64))
        self.fillers = 0
        self.fills = False
        self.splits = 0
        self.spilled = 0

    def bind_rows(
        self, time, half, flags, sequence, ack, window, length, dss, data_ack, piece, previous, kind
    ) -> None:
        """The columns of the rows; ``previous`` (row + 1) and ``kind`` (bits) are filled."""
        self.time = time
        self.half = half
        self.flags = flags
        self.sequence = sequence
        self.ack = ack
        self.window = window
        self.length = length
        self.dss = dss
        self.data_ack = data_ack
        self.piece = piece
        self.previous = previous
        self.kind = kind

    def bind_pieces(
        self, piece_first, piece_start, piece_end, piece_map, map_start, map_dsn, map_length
    ) -> None:
        """The pieces of mappings by half, and the mapping rows' relative numbers."""
        self.piece_first = piece_first
        self.piece_start = piece_start
        self.piece_end = piece_end
        self.piece_map = piece_map
        self.map_start = map_start
        self.map_dsn = map_dsn
        self.map_length = map_length

    def bind_halves(
        self, direction, isn, rtt, at_sender, fresh_first, fresh_count, fresh, fresh_top,
        low, high, seek, finger, acked, loss_time, end_time, backup, regular, octets,
        unmapped_row, mptcp_row,
    ) -> None:  # fmt: skip
        """State of each half.

        ``octets`` has eight counters a half, one for each class; ``unmapped_row`` is filled with
        the first row with payload outside every mapping since ``mptcp_row``, the last one that has
        an MPTCP option; -1 if there is none.
        """
        self.direction = direction
        self.isn = isn
        self.rtt = rtt
        self.at_sender = at_sender
        self.fresh_first = fresh_first
        self.fresh_count = fresh_count
        self.fresh = fresh
        self.fresh_top = fresh_top
        self.low = low
        self.high = high
        self.seek = seek
        self.finger = finger
        self.acked = acked
        self.loss_time = loss_time
        self.end_time = end_time
        self.backup = backup
        self.regular = regular
        self.octets = octets
        self.unmapped_row = unmapped_row
        self.mptcp_row = mptcp_row
        self.plain_finger = array("I", bytes(4 * len(direction)))
        self.timed_end = array("q", bytes(8 * len(direction)))
        self.timed_from = array("q", bytes(8 * len(direction)))
        self.answer = array("q", bytes(8 * len(direction)))
        # The DSN behind the last octet that the half carried.
        self.reached = array("q", [-1 << 62]) * len(direction)

    def bind_directions(self, dsn_top, dack_top, shut, regulars, quick, totals, lags) -> None:
        """State of each direction of a connection.

        ``quick`` is the shortest round trip of its subflows so far, 0 if none is known. ``totals``
        has four counters a direction: octets carried by two subflows or more, new
        octets below the highest DSN so far, new octets on a backup subflow while a regular one
        was alive, and copies. ``lags`` has 32: octets of copies by the binary logarithm of their
        lag behind the previous carrier in microseconds.
        """
        self.dsn_top = dsn_top
        self.dack_top = dack_top
        self.shut = shut
        self.regulars = regulars
        self.quick = quick
        self.shown = array("q", bytes(8 * len(quick)))
        self.totals = totals
        self.lags = lags

    def bind_triggers(self, row, half, kind) -> None:
        """What the control plane tells, by row: it holds from that row on.

        ``kind`` is 0 if the subflow ended or its address was withdrawn, 1 if the half became
        usable or regular, 2 if it became backup.
        """
        self.trigger_row = row
        self.trigger_half = half
        self.trigger_kind = kind
        self.triggers = 0

    def bind_splits(self, row, start, end, kind) -> None:
        """Where transmissions of segments with several classes go, 64 a segment at most."""
        self.split_row = row
        self.split_start = start
        self.split_end = end
        self.split_kind = kind
        self.splits = 0

    def carriers(self) -> Intervals:
        """Who carried each DSN last: spaces are directions, owners halves or ``-1 - row``."""
        return self.carried

    def gap_fillers(self) -> list:
        """Rows that carried octets for the first time below the highest one of their half."""
        return list(self.filler_row[: self.fillers])

    def counts(self) -> tuple:
        """``(splits written since they were bound, segments with more pieces than looked at)``."""
        return self.splits, self.spilled

    @cython.cfunc
    @cython.exceptval(-1)
    def end(self, half: cython.Py_ssize_t, time: cython.longlong) -> cython.int:
        """A half ended or was withdrawn: from now on its data may be reinjected."""
        d: cython.Py_ssize_t
        if self.end_time[half] < 0:
            self.end_time[half] = time
            d = self.direction[half]
            if d >= 0 and self.regular[half]:
                self.regular[half] = 0
                self.regulars[d] = self.regulars[d] - 1
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def usable(self, half: cython.Py_ssize_t, backup: cython.int) -> cython.int:
        """A half is established, or its priority changed: regular or backup."""
        d: cython.Py_ssize_t = self.direction[half]
        self.backup[half] = backup
        if d >= 0 and self.end_time[half] < 0 and self.regular[half] != 1 - backup:
            self.regular[half] = 1 - backup
            self.regulars[d] = self.regulars[d] + (1 - 2 * backup)
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def heed(self, i: cython.Py_ssize_t) -> cython.int:
        """Apply the triggers up to row ``i``."""
        at: cython.Py_ssize_t = self.triggers
        while at < len(self.trigger_row) and self.trigger_row[at] <= i:
            if self.trigger_kind[at] == 0:
                self.end(self.trigger_half[at], self.time[self.trigger_row[at]])
            else:
                self.usable(self.trigger_half[at], self.trigger_kind[at] - 1)
            at += 1
        self.triggers = at
        return 0

    def run(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> int:
        """Classify the rows ``[start, stop)``; stops early when the split table is nearly full.

        Returns:
            The first row not handled.
        """
        i: cython.Py_ssize_t
        h: cython.Py_ssize_t
        d: cython.Py_ssize_t
        p: cython.Py_ssize_t
        m: cython.Py_ssize_t
        last: cython.Py_ssize_t
        looked: cython.Py_ssize_t
        begun: cython.Py_ssize_t
        room: cython.Py_ssize_t = len(self.split_row)
        told: cython.Py_ssize_t = len(self.trigger_row)
        x: cython.longlong
        y: cython.longlong
        end: cython.longlong
        value: cython.longlong
        old_top: cython.longlong
        for i in range(start, stop):
            if self.splits + 64 > room:
                return i
            if self.triggers < told and self.trigger_row[self.triggers] <= i:
                self.heed(i)
            h = self.half[i]
            if h < 0 or self.flags[i] & 0x0200:
                continue
            d = self.direction[h]
            if d < 0:
                continue
            if self.flags[i] & 0x8000:
                self.mptcp_row[h] = i
                self.unmapped_row[h] = -1
            # What this segment says about the other half's data.
            if self.flags[i] & 0x0014 == 0x0010:
                value = self.acked[h ^ 1]
                value = value + signed32(self.ack[i] - self.isn[h ^ 1] - value)
                if value > self.acked[h ^ 1]:
                    self.acked[h ^ 1] = value
                    if 0 < self.timed_end[h ^ 1] <= value:
                        self.clock(h ^ 1, d ^ 1, self.time[i] - self.timed_from[h ^ 1])
            # A window stays shut, whatever updates say, until more data is acknowledged.
            if self.dss[i] & 0x01:
                # A number absurdly far beyond the last acknowledges nothing.
                value = self.data_ack[i] - self.dack_top[d ^ 1]
                if 0 < value < ABSURD:
                    self.dack_top[d ^ 1] = self.data_ack[i]
                    self.shut[d ^ 1] = 0
            if self.window[i] == 0 and self.flags[i] & 0x0006 == 0:
                self.shut[d ^ 1] = 1
            # What a RST carries is a text about it, no data (RFC 9293 section 3.5.3).
            if self.length[i] == 0 or self.flags[i] & 0x0004:
                continue
            x = self.sequence[i]
            end = x + self.length[i]
            old_top = self.fresh_top[h]
            if end > old_top:
                self.fresh_top[h] = end
                self.fresh[self.fresh_first[h] + self.fresh_count[h]] = i
                self.fresh_count[h] = self.fresh_count[h] + 1
                if self.timed_end[h] == 0 and x >= old_top:
                    self.timed_end[h] = end
                    self.timed_from[h] = self.time[i]
            p = self.piece[i]
            self.row = i
            self.prior = -1
            self.fills = False
            begun = self.splits
            last = self.piece_first[h + 1]
            looked = 0
            while x < end:
                if p < 0 or p >= last or self.piece_start[p] >= end or looked >= 256:
                    if looked >= 256:
                        self.spilled += 1
                    self.part(h, d, x, end, 0, old_top, -1)
                    break
                if self.piece_start[p] > x:
                    self.part(h, d, x, self.piece_start[p], 0, old_top, -1)
                    x = self.piece_start[p]
                y = self.piece_end[p] if self.piece_end[p] < end else end
                m = self.piece_map[p]
                value = self.map_dsn[m]
                if -PLAUSIBLE < value < PLAUSIBLE:
                    self.part(h, d, x, y, value - self.map_start[m], old_top, m)
                else:
                    self.part(h, d, x, y, 0, old_top, -1)
                x = y
                p += 1
                looked += 1
            self.note_seen(h, self.sequence[i], end)
            if self.fills:
                if self.fillers >= len(self.filler_row):
                    self.filler_row = _longer(self.filler_row, "I", 2 * self.fillers)
                self.filler_row[self.fillers] = i
                self.fillers += 1
            if self.prior >= 0:
                self.previous[i] = self.prior + 1
            if self.splits == begun + 1:
                # One class for the whole segment: the row itself says it all.
                self.splits = begun
        return stop

    @cython.cfunc
    @cython.exceptval(-1)
    def count(
        self,
        h: cython.Py_ssize_t,
        kind: cython.Py_ssize_t,
        x: cython.longlong,
        y: cython.longlong,
        dsn: cython.longlong,
    ) -> cython.int:
        """Book the octets ``[x, y)`` of half ``h`` under a class."""
        at: cython.Py_ssize_t = 8 * h + kind
        last: cython.Py_ssize_t = self.splits - 1
        if kind == 7 and self.unmapped_row[h] < 0:
            self.unmapped_row[h] = self.row
        self.octets[at] = self.octets[at] + (y - x)
        self.kind[self.row] = self.kind[self.row] | (1 << kind)
        if last >= 0 and self.split_row[last] == self.row:
            if self.split_kind[last] == kind and self.split_end[last] == dsn:
                self.split_end[last] = dsn + (y - x)
                return 0
            if last >= 63 and self.split_row[last - 63] == self.row:
                return 0
        last += 1
        self.split_row[last] = self.row
        self.split_start[last] = dsn
        self.split_end[last] = dsn + (y - x)
        self.split_kind[last] = kind
        self.splits += 1
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def note_seen(self, h: cython.Py_ssize_t, x: cython.longlong, y: cython.longlong) -> cython.int:
        """Remember that half ``h`` has sent the octets ``[x, y)``.

        The highest block is kept in ``low`` and ``high``; lower ones, which gaps left behind, are
        in the interval map.
        """
        node: cython.Py_ssize_t
        if self.high[h] == self.low[h]:
            self.low[h] = x
            self.high[h] = y
            return 0
        if x > self.high[h]:
            node = self.seen.insert(h, self.low[h], self.high[h])
            self.low[h] = x
            self.high[h] = y
            return 0
        if y > self.high[h]:
            self.high[h] = y
        if x >= self.low[h]:
            return 0
        if y >= self.low[h]:
            y = self.low[h]
        # Below the highest block: one interval out of all that touch [x, y).
        node = self.seen.find(h, x - 1)
        while node != 0 and self.seen.start[node] <= y:
            if self.seen.start[node] < x:
                x = self.seen.start[node]
            if self.seen.end[node] > y:
                y = self.seen.end[node]
            self.seen.remove(node)
            node = self.seen.find(h, x - 1)
        if y >= self.low[h]:
            self.low[h] = x
        else:
            self.seen.insert(h, x, y)
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def part(
        self,
        h: cython.Py_ssize_t,
        d: cython.Py_ssize_t,
        x: cython.longlong,
        end: cython.longlong,
        delta: cython.longlong,
        old_top: cython.longlong,
        m: cython.Py_ssize_t,
    ) -> cython.int:
        """Classify the octets ``[x, end)`` of the present row, all under mapping ``m`` or -1."""
        y: cython.longlong
        node: cython.Py_ssize_t
        again: cython.bint
        # Since the window closed nothing new was acknowledged, and one octet that had been
        # DATA_ACKed before is mapped alone: a probe, which need not have that octet's value.
        if (
            m >= 0
            and end - x == 1
            and self.map_length[m] == 1
            and x + delta < self.dack_top[d]
            and self.shut[d]
        ):
            again = x < self.high[h] and self.low[h] <= x
            if not again and x < self.low[h]:
                node = self.seen.find(h, x)
                again = node != 0 and self.seen.start[node] <= x
            if not again and x < old_top:
                self.fills = True
            self.count(h, 1 if again else 6, x, end, x + delta)
            return 0
        while x < end:
            y = end
            again = False
            if x >= self.high[h] or self.low[h] == self.high[h]:
                pass
            elif x >= self.low[h]:
                again = True
                if self.high[h] < y:
                    y = self.high[h]
            else:
                if self.low[h] < y:
                    y = self.low[h]
                node = self.seen.find(h, x)
                if node != 0 and self.seen.start[node] <= x:
                    again = True
                    if self.seen.end[node] < y:
                        y = self.seen.end[node]
                elif node != 0 and self.seen.start[node] < y:
                    y = self.seen.start[node]
            if again:
                self.loss_time[h] = self.time[self.row]
                # Which copy an acknowledgment answers is not known: it times nothing.
                self.timed_end[h] = 0
            if not again and x < old_top:
                self.fills = True
            if m < 0:
                self.count(h, 1 if again else 7, x, y, x)
                if not again:
                    self.plainly(h, x, y, h if x >= old_top else -1 - self.row)
            else:
                self.carry(h, d, x, y, delta, again, x >= old_top)
            x = y
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def plainly(
        self,
        h: cython.Py_ssize_t,
        x: cython.longlong,
        y: cython.longlong,
        owner: cython.int,
    ) -> cython.int:
        """Remember unmapped octets ``[x, y)`` of half ``h``: after a fallback they are the stream.

        They have a space of their own beyond those of the directions, counted in subflow
        sequence numbers.
        """
        map_: Intervals = self.carried
        space: cython.int = len(self.dsn_top) + h
        node: cython.Py_ssize_t = self.plain_finger[h]
        if (
            node != 0
            and owner >= 0
            and map_.space[node] == space
            and map_.end[node] == x
            and map_.owner[node] == owner
        ):
            map_.end[node] = y
            return 0
        node = map_.insert(space, x, y)
        map_.owner[node] = owner
        map_.delta[node] = 0
        map_.sole[node] = h
        map_.content[node] = owner
        map_.shift[node] = 0
        self.plain_finger[h] = node
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def carry(
        self,
        h: cython.Py_ssize_t,
        d: cython.Py_ssize_t,
        x: cython.longlong,
        end: cython.longlong,
        delta: cython.longlong,
        again: cython.bint,
        runs: cython.bint,
    ) -> cython.int:
        """Classify ``[x, end)`` of half ``h`` by its DSNs and make this row their last carrier.

        Args:
            h: The half. d: Its direction. x, end: Subflow sequence numbers.
            delta: DSN minus subflow sequence number.
            again: This subflow has sent these sequence numbers before.
            runs: The row is the first with these sequence numbers in the half's list.
        """
        map_: Intervals = self.carried
        a: cython.longlong = x + delta
        b: cython.longlong = end + delta
        y: cython.longlong
        stop: cython.longlong
        node: cython.Py_ssize_t
        behind: cython.Py_ssize_t
        first: cython.Py_ssize_t
        finger: cython.Py_ssize_t
        follows: cython.bint
        owner: cython.int
        sole: cython.int
        content: cython.int
        shift: cython.longlong
        kind: cython.Py_ssize_t
        while a < b:
            follows = self.reached[h] == a
            finger = self.finger[h]
            if finger != 0 and map_.space[finger] == d and map_.end[finger] == a:
                node = map_.after(finger)
            else:
                finger = 0
                node = map_.find(d, a)
            y = b
            sole = h
            owner = h if runs else -1 - self.row
            content = owner
            shift = delta
            if node == 0 or map_.start[node] > a:
                # Nobody carried these octets yet.
                if node != 0 and map_.start[node] < y:
                    y = map_.start[node]
                self.count(h, 1 if again else 0, a - delta, y - delta, a)
                if not again:
                    if a < self.dsn_top[d]:
                        self.totals[4 * d + 1] = self.totals[4 * d + 1] + (y - a)
                    if self.backup[h] and self.regulars[d] > 0:
                        self.totals[4 * d + 2] = self.totals[4 * d + 2] + (y - a)
                node = 0
            else:
                if map_.end[node] < y:
                    y = map_.end[node]
                behind = self.carrier(map_.owner[node], y - 1 - map_.delta[node])
                if behind == self.row and a - map_.delta[node] < self.sequence[behind]:
                    # This row maps one DSN twice: who was it before this row?
                    behind = self.carrier(map_.owner[node], self.sequence[behind] - 1)
                if self.prior < behind < self.row:
                    self.prior = behind
                if again:
                    kind = 1
                elif map_.sole[node] == h:
                    kind = 2
                else:
                    first = behind
                    if map_.sole[node] < 0 or map_.content[node] != map_.owner[node]:
                        first = self.carrier(map_.content[node], y - 1 - map_.shift[node])
                        if first >= self.row:
                            first = behind
                    kind = self.judge(
                        h, d, behind, first, y - 1 - map_.delta[node], a, y, follows, runs
                    )
                if map_.sole[node] != h:
                    if map_.sole[node] >= 0 and not again:
                        self.totals[4 * d] = self.totals[4 * d] + (y - a)
                    sole = -1
                self.count(h, kind, a - delta, y - delta, a)
                # What was sent first stays the octet's content, whatever copies hold.
                content = map_.content[node]
                shift = map_.shift[node]
            if y > self.dsn_top[d]:
                self.dsn_top[d] = y
            # Take [a, y) away from the old owner ...
            if node != 0:
                stop = map_.end[node]
                if map_.start[node] < a:
                    map_.end[node] = a
                    if y < stop:
                        behind = map_.insert(d, y, stop)
                        map_.owner[behind] = map_.owner[node]
                        map_.delta[behind] = map_.delta[node]
                        map_.sole[behind] = map_.sole[node]
                        map_.content[behind] = map_.content[node]
                        map_.shift[behind] = map_.shift[node]
                elif y < stop:
                    map_.start[node] = y
                else:
                    map_.remove(node)
            # ... and give it to this row, as part of the run it continues if it can.
            if (
                finger != 0
                and owner >= 0
                and map_.owner[finger] == owner
                and map_.sole[finger] == sole
                and map_.delta[finger] == delta
                and map_.content[finger] == content
                and map_.shift[finger] == shift
            ):
                map_.end[finger] = y
            else:
                node = map_.insert(d, a, y)
                map_.owner[node] = owner
                map_.delta[node] = delta
                map_.sole[node] = sole
                map_.content[node] = content
                map_.shift[node] = shift
                self.finger[h] = node
            self.reached[h] = y
            a = y
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def carrier(self, owner: cython.int, at: cython.longlong) -> cython.Py_ssize_t:
        """The row that stands for an owner at subflow sequence number ``at``."""
        low: cython.Py_ssize_t
        high: cython.Py_ssize_t
        middle: cython.Py_ssize_t
        row: cython.Py_ssize_t
        if owner < 0:
            return -1 - owner
        low = self.fresh_first[owner]
        high = low + self.fresh_count[owner]
        # Copies mostly follow their originals in order: try the last place and the one after.
        middle = low + self.seek[owner]
        if middle < high:
            row = self.fresh[middle]
            if self.sequence[row] + self.length[row] <= at and middle + 1 < high:
                low = middle + 1
                row = self.fresh[low]
                if self.sequence[row] + self.length[row] > at:
                    self.seek[owner] = self.seek[owner] + 1
                    return row
        while low < high:
            middle = (low + high) >> 1
            row = self.fresh[middle]
            if self.sequence[row] + self.length[row] > at:
                high = middle
            else:
                low = middle + 1
        self.seek[owner] = low - self.fresh_first[owner]
        return self.fresh[low]

    @cython.cfunc
    @cython.exceptval(-1)
    def clock(
        self, h: cython.Py_ssize_t, d: cython.Py_ssize_t, took: cython.longlong
    ) -> cython.int:
        """The octets that were timed on half ``h`` are acknowledged: a round trip at most."""
        self.timed_end[h] = 0
        if self.at_sender[h] and 0 < took and (self.quick[d] == 0 or took < self.quick[d]):
            self.quick[d] = took
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def judge(
        self,
        h: cython.Py_ssize_t,
        d: cython.Py_ssize_t,
        before: cython.Py_ssize_t,
        first: cython.Py_ssize_t,
        at: cython.longlong,
        a: cython.longlong,
        b: cython.longlong,
        follows: cython.bint,
        runs: cython.bint,
    ) -> cython.Py_ssize_t:
        """The class of a copy ``[a, b)`` of what row ``before`` carried on another subflow.

        A reason for a reinjection is that the other subflow ended, that TCP had to retransmit on
        it since, or that its segment stayed unacknowledged for longer than a minimal
        retransmission time-out and two round trips; at the sender also that the octets were the
        first without DATA_ACK and older than the quickest round trip, and that the subflow that
        carries the copy had carried data before.

        A copy sent within the quickest round trip cannot answer anything about its original. At
        the sender's vantage it is redundant if it continues what its subflow carried, behind the
        first octets without DATA_ACK (those may be sent again because the window is full or the
        sender is impatient), or if it follows the newest octets at once. A run of copies that
        began with older octets may answer a timer, which strikes at any age: it shows nothing
        until it has caught up with the newest octets.

        Where a direction has shown copies without a reason before, a reason proves nothing: what
        is not redundant stays unclassified then.

        Args:
            h: The half that sends the copy. d: Its direction.
            before: Row of the last carrier. first: Row of the first one.
            at: The last octet's subflow sequence number in ``before``.
            a, b: DSNs. follows: Whether the half sent the octets right before ``a`` last.
            runs: Whether the row is the first with these subflow sequence numbers.
        """
        q: cython.Py_ssize_t = self.half[before]
        now: cython.longlong = self.time[self.row]
        lag: cython.longlong = now - self.time[before]
        age: cython.longlong = now - self.time[first]
        heard: cython.longlong = now if self.at_sender[h] else now - self.rtt[h]
        reason: cython.bint = False
        bucket: cython.Py_ssize_t = 0
        shown: cython.longlong = lag // 1000 if lag > 0 else 0
        while shown > 1 and bucket < 31:
            shown = shown >> 1
            bucket += 1
        self.lags[32 * d + bucket] = self.lags[32 * d + bucket] + (b - a)
        self.totals[4 * d + 3] = self.totals[4 * d + 3] + (b - a)
        if lag < 0 or age < 0:
            return 5
        if self.end_time[q] >= 0 and self.end_time[q] <= heard:
            reason = True
        elif self.time[before] <= self.loss_time[q] <= heard:
            reason = True
        elif lag >= SILENCE and lag // 2 >= self.rtt[q] and self.acked[q] <= at:
            reason = True
        if not self.at_sender[h]:
            # A late original may pass after its copy, or a retransmission whose original is gone.
            reason = reason and runs
        else:
            if not reason and 0 < self.quick[d]:
                if age >= self.quick[d]:
                    reason = a == self.dack_top[d] and self.fresh_count[h] > 1
                elif (follows and self.dack_top[d] < a != self.answer[h]) or (
                    b == self.dsn_top[d] and age < AT_ONCE
                ):
                    self.shown[d] = self.shown[d] + (b - a)
                    return 4
            if b == self.dsn_top[d]:
                self.answer[h] = 0
            elif age >= AT_ONCE or a == self.answer[h] or not (follows or a == self.dack_top[d]):
                self.answer[h] = b
        if reason and self.shown[d] == 0:
            return 3
        if not self.at_sender[h]:
            self.shown[d] = self.shown[d] + (b - a)
        return 5
