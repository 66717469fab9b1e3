# cython: boundscheck=True, wraparound=False, cdivision=True, language_level=3
"""Find the TCP segment in each frame of a batch, through link, network and tunnel headers.

A frame is a walk through a bounded number of layers.  Each is one small method that reads the
header at ``at``, narrows what may still be read, and hands over to the next; the last answers how
the walk ended.  ``limit`` is behind the last octet that was captured, ``end`` behind the last that
the enclosing lengths say was on the wire.  No octet at or behind ``limit`` is ever read, so that
Ethernet padding is never payload and a snap length may cut anywhere.

Flow facts (addresses, family, TTL, identification, fragment) are those of the innermost IP
header: a tunnelled segment belongs to the inner flow.  VLAN ids and VXLAN network identifiers on
the way are folded into the ``domain``.  An ICMP message ends the walk, whatever it quotes.
"""

import cython

# What a frame begins with: index of LAYERS.
LAYERS = ("unknown", "ethernet", "cooked", "cooked-2", "raw", "loopback", "ppp")
ETHERNET = cython.declare(cython.int, 1)
COOKED = cython.declare(cython.int, 2)
COOKED_2 = cython.declare(cython.int, 3)
RAW = cython.declare(cython.int, 4)
LOOPBACK = cython.declare(cython.int, 5)
PPP = cython.declare(cython.int, 6)

# How a walk ends: with a segment, with something else, or with a reason: index of REASONS + 2.
REASONS = (
    *("unknown-linktype", "unknown-interface", "bad-record"),
    *("link-header-cut", "ip-header-cut", "tunnel-header-cut", "tcp-header-cut"),
    *("bad-ip-version", "bad-ip-length", "bad-tcp-length"),
    *("non-first-fragment", "too-many-headers", "ip-length-beyond-frame"),
)
FOUND = cython.declare(cython.int, 0)
OTHER = cython.declare(cython.int, 1)
NO_LINK = cython.declare(cython.int, 2)
NO_INTERFACE = cython.declare(cython.int, 3)
BAD_RECORD = cython.declare(cython.int, 4)
LINK_CUT = cython.declare(cython.int, 5)
IP_CUT = cython.declare(cython.int, 6)
TUNNEL_CUT = cython.declare(cython.int, 7)
TCP_CUT = cython.declare(cython.int, 8)
BAD_IP_VERSION = cython.declare(cython.int, 9)
BAD_IP_LENGTH = cython.declare(cython.int, 10)
BAD_TCP_LENGTH = cython.declare(cython.int, 11)
LATER_FRAGMENT = cython.declare(cython.int, 12)
TOO_DEEP = cython.declare(cython.int, 13)
LONG_IP = cython.declare(cython.int, 14)

MOST_LAYERS = cython.declare(cython.int, 32)
MASK_32 = cython.declare(cython.longlong, 0xFFFFFFFF)
MASK_63 = cython.declare(cython.ulonglong, 0x7FFFFFFFFFFFFFFF)
# Values of ``interface`` that the records loop gives to frames without one.
NOT_A_PACKET = cython.declare(cython.uint, 0xFFFFFFFD)
BROKEN_RECORD = cython.declare(cython.uint, 0xFFFFFFFE)


@cython.final
@cython.cclass
class Walk:
    """The walk through one frame: what may be read, and what has been learnt."""

    data: cython.const[cython.uchar][::1]
    limit: cython.Py_ssize_t
    end: cython.Py_ssize_t
    layers: cython.int
    domain: cython.ulonglong
    direction: cython.int
    ifindex: cython.longlong
    family: cython.int
    source: cython.Py_ssize_t
    destination: cython.Py_ssize_t
    ttl: cython.int
    ip_id: cython.int
    fragment: cython.int
    jumbo: cython.Py_ssize_t  # where a jumbo length counts from, or -1
    beyond: cython.int  # an IP length reached beyond what encloses it
    tcp: cython.Py_ssize_t

    @cython.cfunc
    @cython.exceptval(-1)
    def be16(self, at: cython.Py_ssize_t) -> cython.int:
        """Two octets in network order."""
        first: cython.int = self.data[at]
        return (first << 8) | self.data[at + 1]

    @cython.cfunc
    @cython.exceptval(-1)
    def be32(self, at: cython.Py_ssize_t) -> cython.longlong:
        """Four octets in network order."""
        first: cython.longlong = self.be16(at)
        return (first << 16) | self.be16(at + 2)

    @cython.cfunc
    @cython.exceptval(check=False)
    def fold(self, width: cython.int, value: cython.ulonglong) -> cython.void:
        """Append an identifier of ``width`` bits to the domain; exact for its first 63 bits."""
        overflow: cython.ulonglong = self.domain >> (63 - width)
        self.domain = ((self.domain << width) & MASK_63) ^ overflow ^ value

    @cython.cfunc
    @cython.exceptval(check=False)
    def bound(self, end: cython.Py_ssize_t) -> cython.void:
        """Let an IP packet that ends at ``end`` narrow what follows."""
        if end > self.end and self.fragment == 0:
            self.beyond = 1
        self.end = end
        if end < self.limit:
            self.limit = end

    @cython.cfunc
    @cython.exceptval(-1)
    def frame(self, at: cython.Py_ssize_t, link: cython.int) -> cython.int:
        """Begin with what the interface's link type says."""
        if link == ETHERNET:
            return self.tagged(at, 14, 12)
        if link == COOKED or link == COOKED_2:
            return self.cooked(at, link)
        if link == RAW:
            return self.raw(at)
        if link == LOOPBACK:
            return self.loopback(at)
        return self.ppp(at) if link == PPP else NO_LINK

    @cython.cfunc
    @cython.exceptval(-1)
    def tagged(self, at: cython.Py_ssize_t, size: cython.int, place: cython.int) -> cython.int:
        """Skip a link header of ``size`` octets with an EtherType at ``place``."""
        if self.limit - at < size:
            return LINK_CUT
        return self.ethertype(at + size, self.be16(at + place))

    @cython.cfunc
    @cython.exceptval(-1)
    def ethertype(self, at: cython.Py_ssize_t, value: cython.int) -> cython.int:
        """Go on with the layer that an EtherType names."""
        self.layers += 1
        if self.layers > MOST_LAYERS:
            return TOO_DEEP
        if value == 0x0800:
            return self.ipv4(at)
        if value == 0x86DD:
            return self.ipv6(at)
        if value in (0x8100, 0x88A8, 0x9100, 0x9200):
            # IEEE 802.1Q: id 0 only carries a priority and names no VLAN.
            if self.limit - at >= 4 and self.be16(at) & 0x0FFF != 0:
                self.fold(12, self.be16(at) & 0x0FFF)
            return self.tagged(at, 4, 2)
        if value == 0x6558:
            return self.tagged(at, 14, 12)
        if value == 0x880B:
            return self.ppp(at)
        return OTHER

    @cython.cfunc
    @cython.exceptval(-1)
    def cooked(self, at: cython.Py_ssize_t, link: cython.int) -> cython.int:
        """Linux cooked capture, version 1 or 2: it knows the direction."""
        kind: cython.int
        if self.limit - at < (16 if link == COOKED else 20):
            return LINK_CUT
        kind = self.be16(at) if link == COOKED else self.data[at + 10]
        # 0 to us, 1 broadcast, 2 multicast, 3 between others, 4 sent by us
        if kind < 3 or kind == 4:
            self.direction = 1 + kind // 4
        if link == COOKED:
            return self.tagged(at, 16, 14)
        self.ifindex = self.be32(at + 4)
        return self.tagged(at, 20, 0)

    @cython.cfunc
    @cython.exceptval(-1)
    def raw(self, at: cython.Py_ssize_t) -> cython.int:
        """No link header: the IP version is in the packet's first octet."""
        if self.limit - at < 1:
            return LINK_CUT
        return self.ipv6(at) if self.data[at] >> 4 == 6 else self.ipv4(at)

    @cython.cfunc
    @cython.exceptval(-1)
    def loopback(self, at: cython.Py_ssize_t) -> cython.int:
        """BSD loopback: an address family, of either byte order and any BSD's number for IPv6."""
        family: cython.int
        if self.limit - at < 4:
            return LINK_CUT
        family = self.be16(at + 2) if self.be16(at) == 0 else self.data[at]
        return self.raw(at + 4) if family in (2, 10, 23, 24, 28, 30) else OTHER

    @cython.cfunc
    @cython.exceptval(-1)
    def ppp(self, at: cython.Py_ssize_t) -> cython.int:
        """PPP (RFC 1661, 1662), with address and control octets or not; Cisco's HDLC instead."""
        value: cython.int
        if self.limit - at < 2:
            return LINK_CUT
        value = self.be16(at)
        if value in (0x0F00, 0x8F00):
            return self.tagged(at, 4, 2)
        if value == 0xFF03:
            at += 2
            if self.limit - at < 2:
                return LINK_CUT
        value = self.data[at]
        at += 1
        if value & 1 == 0:  # else the protocol field is compressed (RFC 1661 section 6.5)
            value = (value << 8) | self.data[at]
            at += 1
        return self.raw(at) if value in (0x0021, 0x0057) else OTHER

    @cython.cfunc
    @cython.exceptval(-1)
    def protocol(self, at: cython.Py_ssize_t, kind: cython.int, later: cython.int) -> cython.int:
        """Go on with what a protocol number names; count ``later`` fragments that may hold TCP."""
        known: cython.bint = kind in (4, 6, 41, 47, 51)
        self.layers += 1
        if self.family == 6 and not known:
            known = kind in (0, 43, 44, 60, 135, 139, 140)
        if later:
            return LATER_FRAGMENT if known else OTHER
        if kind == 6:
            return self.segment(at)
        if self.layers > MOST_LAYERS:
            return TOO_DEEP
        if kind == 17:
            return self.udp(at)
        if kind == 47:
            return self.gre(at)
        if kind == 4:
            return self.ipv4(at)
        if kind == 41:
            return self.ipv6(at)
        return self.extension(at, kind) if known else OTHER

    @cython.cfunc
    @cython.exceptval(-1)
    def ipv4(self, at: cython.Py_ssize_t) -> cython.int:
        """RFC 791; total length 0 means that segmentation was left to the network card."""
        size: cython.Py_ssize_t
        total: cython.Py_ssize_t
        place: cython.int
        if self.limit - at < 20:
            return IP_CUT if self.end - at >= 20 else BAD_IP_LENGTH
        if self.data[at] >> 4 != 4:
            return BAD_IP_VERSION
        size = (self.data[at] & 15) * 4
        total = self.be16(at + 2)
        if total == 0:
            total = self.end - at
        if size < 20 or total < size:
            return BAD_IP_LENGTH
        self.bound(at + total)
        place = self.be16(at + 6)
        self.fragment = (place >> 13) & 1
        self.family = 4
        self.source = at + 12
        self.destination = at + 16
        self.ttl = self.data[at + 8]
        self.ip_id = self.be16(at + 4)
        return self.protocol(at + size, self.data[at + 9], place & 0x1FFF)

    @cython.cfunc
    @cython.exceptval(-1)
    def ipv6(self, at: cython.Py_ssize_t) -> cython.int:
        """RFC 8200; payload length 0: a jumbogram, or segmentation left to the network card."""
        payload: cython.int
        if self.limit - at < 40:
            return IP_CUT if self.end - at >= 40 else BAD_IP_LENGTH
        if self.data[at] >> 4 != 6:
            return BAD_IP_VERSION
        payload = self.be16(at + 4)
        self.jumbo = at + 40 if payload == 0 else -1
        if payload != 0:
            self.bound(at + 40 + payload)
        self.fragment = 0
        self.family = 6
        self.source = at + 8
        self.destination = at + 24
        self.ttl = self.data[at + 7]
        self.ip_id = -1
        return self.protocol(at + 40, self.data[at + 6], 0)

    @cython.cfunc
    @cython.exceptval(-1)
    def extension(self, at: cython.Py_ssize_t, header: cython.int) -> cython.int:
        """IPv6 hop-by-hop, routing, fragment, destination options and alike; AH (RFC 4302)."""
        size: cython.Py_ssize_t
        last: cython.Py_ssize_t
        kind: cython.int
        place: cython.int = 0
        if self.limit - at < 8:
            return IP_CUT if self.end - at >= 8 else BAD_IP_LENGTH
        size = self.data[at + 1]
        size = (size + 2) * 4 if header == 51 else (size + 1) * 8
        if header == 44:
            size = 8
            place = self.be16(at + 2)
            self.fragment = place & 1
        if size > self.end - at:
            return BAD_IP_LENGTH
        if header == 0 and self.jumbo >= 0 and not self.jumbogram(at + 2, at + size):
            return BAD_IP_LENGTH
        if header == 43 and self.data[at + 3] != 0 and size >= 24:
            # Segments are left: the last stop stands here still, not in the IPv6 header.
            kind = self.data[at + 2]
            last = at + size - 16 if kind == 0 else at + 8
            if last + 16 <= self.limit and kind in (0, 2, 4):
                self.destination = last
        self.jumbo = -1
        return self.protocol(at + size, self.data[at], place & 0xFFF8)

    @cython.cfunc
    @cython.exceptval(-1)
    def jumbogram(self, at: cython.Py_ssize_t, behind: cython.Py_ssize_t) -> cython.bint:
        """Take the length of a jumbo payload option (RFC 2675), if one is there; false if bad."""
        size: cython.Py_ssize_t
        length: cython.longlong
        end: cython.Py_ssize_t = behind if behind < self.limit else self.limit
        while end - at >= 2:
            size = 2 + self.data[at + 1] if self.data[at] != 0 else 1
            if self.data[at] == 0xC2 and size == 6 and end - at >= 6:
                length = self.be32(at + 2)
                if length < 65536 or self.jumbo + length < behind:
                    return False
                self.bound(self.jumbo + length)
                return True
            at += size
        return True

    @cython.cfunc
    @cython.exceptval(-1)
    def gre(self, at: cython.Py_ssize_t) -> cython.int:
        """GRE with any of its optional fields (RFC 1701, 2784, 2890)."""
        flags: cython.int
        kind: cython.int
        if self.limit - at < 4:
            return TUNNEL_CUT
        flags = self.be16(at)
        kind = self.be16(at + 2)
        if flags & 7 != 0:
            return OTHER
        at += 8 if flags & 0xC000 else 4
        at += 4 if flags & 0x2000 else 0
        at += 4 if flags & 0x1000 else 0
        while flags & 0x4000:
            # Source route entries: family, offset, length, octets; an empty entry ends them.
            if self.limit - at < 4:
                return TUNNEL_CUT
            if self.data[at + 3] == 0:
                flags = 0
            at += 4 + self.data[at + 3]
        return self.ethertype(at, kind) if at <= self.limit else TUNNEL_CUT

    @cython.cfunc
    @cython.exceptval(-1)
    def udp(self, at: cython.Py_ssize_t) -> cython.int:
        """UDP matters only where it carries VXLAN (RFC 7348; 8472 is Linux's older port)."""
        size: cython.int
        if self.limit - at < 8 or self.be16(at + 2) not in (4789, 8472):
            return OTHER
        size = self.be16(at + 4)
        if size >= 8 and at + size < self.end:
            self.bound(at + size)
        if self.limit - at < 16:
            return TUNNEL_CUT
        if self.data[at + 8] & 0x08 == 0:
            return OTHER
        self.fold(25, (self.be32(at + 12) >> 8) | 0x1000000)
        return self.ethertype(at + 16, 0x6558)

    @cython.cfunc
    @cython.exceptval(-1)
    def segment(self, at: cython.Py_ssize_t) -> cython.int:
        """A segment counts if its fixed header of 20 octets was captured (RFC 9293 section 3.1)."""
        self.tcp = at
        if self.end - at < 20:
            return BAD_TCP_LENGTH
        return FOUND if self.limit - at >= 20 else TCP_CUT


# fmt: off
def find_segments(
    data: cython.const[cython.uchar][::1], count: cython.Py_ssize_t, first: cython.longlong,
    offset: cython.longlong[::1], captured: cython.uint[::1], wire: cython.uint[::1],
    time: cython.longlong[::1], interface: cython.uint[::1], direction: cython.uchar[::1],
    ifindex: cython.uint[::1], links: cython.uchar[::1], checks: cython.uchar[::1],
    counts: cython.longlong[::1], firsts: cython.longlong[::1], out_frame: cython.uint[::1],
    out_time: cython.longlong[::1], out_tcp: cython.longlong[::1], out_captured: cython.uint[::1],
    out_length: cython.uint[::1], out_source: cython.longlong[::1],
    out_destination: cython.longlong[::1], out_family: cython.uchar[::1],
    out_domain: cython.longlong[::1], out_ttl: cython.uchar[::1], out_ip_id: cython.int[::1],
    out_direction: cython.uchar[::1], out_interface: cython.uint[::1],
    out_ifindex: cython.uint[::1], out_fragment: cython.uchar[::1],
) -> int:
    # fmt: on
    """Walk through ``count`` frames and fill one row for each TCP segment; returns their number.

    ``first`` numbers the first frame.  ``links`` holds for each interface an index of ``LAYERS``,
    ``checks`` the octets of frame check sequence.  ``counts`` and ``firsts`` say for each of
    ``REASONS`` how often and where first it was met, and are added to.  The frames' columns are
    those of the records loop, ``out_`` columns those of mptcp_oracle.wire.batches.Packets.
    """
    walk = Walk()
    n: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t
    which: cython.longlong
    interfaces: cython.longlong = len(links)
    result: cython.int
    walk.data = data
    for i in range(count):
        which = interface[i]
        if which == NOT_A_PACKET:
            continue
        walk.beyond = 0
        if which >= interfaces:
            result = BAD_RECORD if which == BROKEN_RECORD else NO_INTERFACE
        else:
            walk.end = offset[i] + wire[i] - checks[which]
            walk.limit = offset[i] + captured[i]
            if walk.end < walk.limit:
                walk.limit = walk.end
            walk.layers = 0
            walk.domain = 0
            walk.direction = direction[i]
            walk.ifindex = ifindex[i]
            walk.fragment = 0
            result = walk.frame(offset[i], links[which])
        if result == FOUND:
            out_frame[n] = (first + i) & MASK_32
            out_time[n] = time[i]
            out_tcp[n] = walk.tcp
            out_captured[n] = walk.limit - walk.tcp
            out_length[n] = walk.end - walk.tcp
            out_source[n] = walk.source
            out_destination[n] = walk.destination
            out_family[n] = walk.family
            out_domain[n] = walk.domain
            out_ttl[n] = walk.ttl
            out_ip_id[n] = walk.ip_id
            out_direction[n] = walk.direction
            out_interface[n] = which
            out_ifindex[n] = walk.ifindex
            out_fragment[n] = walk.fragment
            n += 1
        if walk.beyond and result < NO_LINK:
            result = LONG_IP
        if result >= NO_LINK:
            if counts[result - NO_LINK] == 0:
                firsts[result - NO_LINK] = first + i
            counts[result - NO_LINK] += 1
    return n
