"""The columns that pass a batch of frames from loop to loop."""

from __future__ import annotations

from array import array

__all__ = ["Frames", "Packets"]


def _filled(typecode: str, size: int) -> array[int]:
    return array(typecode, bytes(array(typecode).itemsize * size))


class Frames:
    """One batch of frames, as the records loop fills it and the packets loop reads it.

    Attributes:
        size: Most frames in a batch.
        offset: Position of the frame's first octet in the capture's data, array of int64.
        captured: Octets of it in the file, uint32.
        wire: Octets of it on the wire, uint32, at least ``captured``.
        time: Nanoseconds since the epoch, int64.
        interface: Index of the interface in the capture, uint32, or one of the values above the
            last index that the records loop gives to frames without one.
        direction: 0 unknown, 1 received, 2 sent by the capturing host, uint8.
        ifindex: The capturing kernel's interface number, 0 if not recorded, uint32.
        marks: What else the record said, uint8.
    """

    __slots__ = (
        "captured",
        "direction",
        "ifindex",
        "interface",
        "marks",
        "offset",
        "size",
        "time",
        "wire",
    )

    def __init__(self, size: int) -> None:
        self.size = size
        self.offset = _filled("q", size)
        self.captured = _filled("I", size)
        self.wire = _filled("I", size)
        self.time = _filled("q", size)
        self.interface = _filled("I", size)
        self.direction = _filled("B", size)
        self.ifindex = _filled("I", size)
        self.marks = _filled("B", size)


class Packets:
    """The TCP segments of one batch of frames; each column is valid in ``[0, n)``.

    Attributes:
        n: Segments in the batch.
        frames: Frames in the batch, whatever they held.
        position: Octets of the capture consumed so far, for progress.
        frame: Frame number, 1-based as in Wireshark, uint32.
        time: Nanoseconds since the epoch, int64.
        tcp: Position of the TCP header in the capture's data, int64.
        captured: Octets captured from the TCP header on, at least 20, never beyond the end of
            the IP packet, uint32.
        length: Octets of TCP header and payload on the wire, by the IP length, uint32; where
            that is absent (segmentation offload), by the frame's length.
        source: Position of the source address (4 or 16 octets) in the data, int64.
        destination: Position of the destination address, int64; of the last stop if an IPv6
            routing header still leads there.
        family: 4 or 6, uint8.
        domain: What distinguishes flows beside addresses, int64: VLAN ids (12 bits each) and
            VXLAN network identifiers (25 bits each, the highest set) from the outside in; 0 if
            none.  Exact for 63 bits, mixed beyond.
        ttl: TTL or hop limit of the innermost IP header, uint8.
        ip_id: IPv4 identification, int32; -1 for IPv6.
        direction: 0 unknown, 1 received, 2 sent by the capturing host, uint8.
        interface: Index into the capture's interfaces, uint32.
        ifindex: The capturing kernel's interface number (cooked v2), 0 if not recorded, uint32.
        fragment: 1 for the first fragment of a larger packet: the payload goes on in fragments
            that are not analyzed, uint8.
    """

    __slots__ = (
        "captured",
        "destination",
        "direction",
        "domain",
        "family",
        "fragment",
        "frame",
        "frames",
        "ifindex",
        "interface",
        "ip_id",
        "length",
        "n",
        "position",
        "source",
        "tcp",
        "time",
        "ttl",
    )

    COLUMNS = (
        ("frame", "I"),
        ("time", "q"),
        ("tcp", "q"),
        ("captured", "I"),
        ("length", "I"),
        ("source", "q"),
        ("destination", "q"),
        ("family", "B"),
        ("domain", "q"),
        ("ttl", "B"),
        ("ip_id", "i"),
        ("direction", "B"),
        ("interface", "I"),
        ("ifindex", "I"),
        ("fragment", "B"),
    )
    """Name and typecode of each column, in the order in which the packets loop takes them."""

    def __init__(self, size: int) -> None:
        self.n = 0
        self.frames = 0
        self.position = 0
        self.frame = _filled("I", size)
        self.time = _filled("q", size)
        self.tcp = _filled("q", size)
        self.captured = _filled("I", size)
        self.length = _filled("I", size)
        self.source = _filled("q", size)
        self.destination = _filled("q", size)
        self.family = _filled("B", size)
        self.domain = _filled("q", size)
        self.ttl = _filled("B", size)
        self.ip_id = _filled("i", size)
        self.direction = _filled("B", size)
        self.interface = _filled("I", size)
        self.ifindex = _filled("I", size)
        self.fragment = _filled("B", size)
