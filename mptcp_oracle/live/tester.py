"""A tester: a host that speaks MPTCP by itself, and breaks rules that no kernel would break.

It stands beside the scenario's client, on addresses that no kernel owns, so that nobody else
answers what is sent to them. It is no TCP: every segment is sent once, and what the peer must
answer is waited for.
"""

from __future__ import annotations

import ipaddress
import random
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from mptcp_oracle import crypto, encode
from mptcp_oracle.constants import KIND_MPTCP
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.namespaces import Namespace
from mptcp_oracle.live.peers import Side
from mptcp_oracle.live.topology import PORT, Topology, address
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    MpCapable,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    Option,
)
from mptcp_oracle.wire.mptcp import decode_option, walk

__all__ = ["ACTS", "Tester", "tester_address"]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
ETHERTYPE = 0x0800
WINDOW = 65_535
MSS = 1460
VERSION = 1
MASK_32, MASK_64 = (1 << 32) - 1, (1 << 64) - 1
#: Seconds that an answer may take.
PATIENCE = 5.0
#: Octets of each piece of data.
PIECE = 500
#: Octets by which a number is wrong: more than any window of a connection without window scale.
FAR_OFF = 100_000


def tester_address(lane: int) -> str:
    """The tester's address on a lane, in the client's network there."""
    return address("client", lane, 4).rpartition(".")[0] + ".66"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A segment of the peer."""

    flags: int
    sequence: int
    acknowledgment: int
    options: tuple[Option, ...]
    octets: int


class Path:
    """How frames get from the tester to the router and back, on one lane."""

    def __init__(self, topology: Topology, lane: int) -> None:
        self.own = tester_address(lane)
        self.far = address("server", lane, 4)
        self.socket = _packet_socket(topology.client, f"c{lane}")
        with _packet_socket(topology.router, f"rc{lane}") as there:
            router = there.getsockname()[4]
        mine = self.socket.getsockname()[4]
        self._ethernet = router + mine + struct.pack("!H", ETHERTYPE)
        topology.router.ip(
            *("neigh", "replace", self.own, "dev", f"rc{lane}", "nud", "permanent"),
            *("lladdr", mine.hex(":")),
        )

    def send(self, segment: bytes) -> None:
        """Send a TCP segment whose checksum field is zero."""
        pair = socket.inet_aton(self.own) + socket.inet_aton(self.far)
        pseudo = pair + struct.pack("!HH", socket.IPPROTO_TCP, len(segment))
        total = _checksum(pseudo + segment)
        segment = segment[:16] + struct.pack("!H", total) + segment[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0) + pair
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        self.socket.send(self._ethernet + head + segment)


class Flow:
    """One of the tester's subflows.

    Attributes:
        sequence: Sequence number of what it sends next. first: That of its first octet of data.
        expected: Sequence number of what it gets next.
    """

    def __init__(self, path: Path, port: int, isn: int) -> None:
        self.path, self.port = path, port
        self.sequence, self.first = isn, (isn + 1) & MASK_32
        self.expected = 0

    def send(self, flags: int, *options: Option, payload: bytes = b"") -> None:
        """Send a segment, and count what it takes of the sequence space."""
        space = encode.pad([encode.encode(each) for each in options])
        if flags & SYN:
            space = struct.pack("!BBH", 2, 4, MSS) + space
        offset = (20 + len(space)) // 4 << 4
        head = struct.pack(
            *("!HHIIBBHHH", self.port, PORT, self.sequence),
            *(self.expected if flags & ACK else 0, offset, flags, WINDOW, 0, 0),
        )
        self.path.send(head + space + payload)
        taken = len(payload) + bool(flags & (SYN | FIN))
        self.sequence = (self.sequence + taken) & MASK_32

    def hear(self, what: str, wanted: Callable[[Heard], bool]) -> Heard:
        """Wait for a segment of the peer.

        Raises:
            AdapterError: None came in time.
        """
        until = time.monotonic() + PATIENCE
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.path.socket], [], [], left)[0]:
                raise AdapterError(f"the tester waited in vain for {what}", cause=f"{PATIENCE} s")
            heard = self._segment(self.path.socket.recv(1 << 16))
            if heard is None:
                continue
            taken = heard.octets + bool(heard.flags & (SYN | FIN))
            if heard.flags & SYN or heard.sequence == self.expected:
                self.expected = (heard.sequence + taken) & MASK_32
            if wanted(heard):
                return heard

    def _segment(self, frame: bytes) -> Heard | None:
        """The segment in a frame, if it is one of this subflow."""
        packet = frame[14:]
        head = (packet[0] & 0x0F) * 4
        if packet[9] != socket.IPPROTO_TCP or socket.inet_ntoa(packet[16:20]) != self.path.own:
            return None
        packet = packet[: int.from_bytes(packet[2:4], "big")]
        source, port, sequence, number, offset, flags = struct.unpack_from("!HHIIBB", packet, head)
        if (source, port) != (PORT, self.port):
            return None
        data = head + (offset >> 4) * 4
        octets = len(packet) - data
        options = tuple(
            decode_option(
                each.raw,
                syn=bool(flags & SYN),
                ack=bool(flags & ACK),
                payload=octets,
                version=VERSION,
            )
            for each in walk(packet[head + 20 : data])
            if each.kind == KIND_MPTCP
        )
        return Heard(
            flags=flags, sequence=sequence, acknowledgment=number, options=options, octets=octets
        )


class Tester:
    """The tester of one connection, as its initiator.

    Attributes:
        side: What the sidecar says of it.
    """

    def __init__(self, topology: Topology, side: Side, seed: str) -> None:
        self.side = side
        self._topology = topology
        self._random = random.Random(f"{seed}/tester")
        self._paths: dict[int, Path] = {}
        self._flows: list[Flow] = []
        self._key, self._peer = self._random.getrandbits(64), 0
        self._sent = self._got = 0
        side.info_unknown = "this end is a tester, no kernel"
        side.tester = True

    def close(self) -> None:
        """Release the sockets."""
        for path in self._paths.values():
            path.socket.close()
        self._paths.clear()

    # --- what is lawful --------------------------------------------------------------------

    def connect(self) -> None:
        """The initial subflow: keys exchanged (RFC 8684 section 3.1)."""
        flow = self._flow(1)
        flow.send(SYN, MpCapable(version=VERSION))
        heard = flow.hear("the SYN/ACK", lambda each: bool(each.flags & SYN))
        theirs = next((each for each in heard.options if isinstance(each, MpCapable)), None)
        if theirs is None or theirs.sender_key is None:
            raise AdapterError("the peer of the tester does not speak MPTCP")
        self._peer = theirs.sender_key
        flow.send(ACK, self._capable())
        self._sent = (crypto.idsn(self._key, VERSION) + 1) & MASK_64
        self._got = (crypto.idsn(self._peer, VERSION) + 1) & MASK_64
        self.side.token = crypto.token(self._key, VERSION)
        self.side.local, self.side.remote = (flow.path.own, flow.port), (flow.path.far, PORT)

    def first_data(self) -> None:
        """The first data, with MP_CAPABLE, acknowledged by a DATA_ACK."""
        payload = self._payload()
        self._flows[0].send(ACK | PSH, self._capable(PIECE), payload=payload)
        self._until_acked(self._flows[0])

    def data(self) -> None:
        """Data on each subflow, acknowledged."""
        for flow in self._flows:
            start, payload = self._sent, self._payload()
            flow.send(ACK | PSH, self._dss(flow, start), payload=payload)
            self._until_acked(flow)

    def join(self) -> None:
        """A second subflow from the second lane's address."""
        self._join(0)

    def abort(self) -> None:
        """Resets with the peer's key (RFC 8684 section 3.5, option R)."""
        for flow in self._flows:
            flow.send(RST | ACK, MpFastclose(key=self._peer))

    # --- what is not -----------------------------------------------------------------------

    def join_with_wrong_hmac(self) -> None:
        """The third packet of a join has an HMAC with a wrong bit; the peer resets the subflow."""
        self._join(1)
        self._flows.pop().hear("the reset of the join", lambda each: bool(each.flags & RST))

    def announce_with_wrong_hmac(self) -> None:
        """An ADD_ADDR has an HMAC with a wrong bit."""
        where = ipaddress.ip_address(tester_address(2))
        hmac = crypto.add_addr_hmac(
            sender_key=self._key, receiver_key=self._peer, address_id=9, address=where
        )
        self._flows[0].send(ACK, AddAddr(version=1, address_id=9, address=where, hmac=_bent(hmac)))

    def acknowledge_unsent(self) -> None:
        """A DATA_ACK for data that the peer never sent."""
        ack = (self._got + FAR_OFF) & MASK_64
        self._flows[0].send(ACK, Dss.of(data_ack=ack))

    def overrun_window(self) -> None:
        """Data beyond every window that the peer announced."""
        flow, start = self._flows[0], (self._sent + FAR_OFF) & MASK_64
        octets = self._random.randbytes(PIECE)
        flow.send(ACK | PSH, self._dss(flow, start), payload=octets)

    def fast_close_with_wrong_key(self) -> None:
        """An MP_FASTCLOSE with the sender's own key."""
        self._flows[0].send(ACK, MpFastclose(key=self._key))

    # --- its parts -------------------------------------------------------------------------

    def _flow(self, lane: int) -> Flow:
        if lane not in self._paths:
            self._paths[lane] = Path(self._topology, lane)
        port = 40_000 + self._random.randrange(20_000)
        flow = Flow(self._paths[lane], port, self._random.getrandbits(32))
        self._flows.append(flow)
        return flow

    def _join(self, wrong: int) -> None:
        flow, nonce = self._flow(2), self._random.getrandbits(32)
        token = crypto.token(self._peer, VERSION)
        flow.send(SYN, MpJoinSyn(address_id=2, token=token, nonce=nonce))
        heard = flow.hear("the SYN/ACK of a join", lambda each: bool(each.flags & SYN))
        theirs = next((each for each in heard.options if isinstance(each, MpJoinSynAck)), None)
        if theirs is None:
            raise AdapterError("the peer of the tester refuses its join")
        hmac = crypto.join_ack_hmac(
            version=VERSION,
            sender_key=self._key,
            receiver_key=self._peer,
            sender_nonce=nonce,
            receiver_nonce=theirs.nonce,
        )
        flow.send(ACK, MpJoinAck(hmac=_bent(hmac) if wrong else hmac))
        if not wrong:
            flow.hear("the ACK of a join", lambda each: bool(each.flags & ACK))

    def _capable(self, octets: int | None = None) -> MpCapable:
        return MpCapable(
            version=VERSION,
            sender_key=self._key,
            receiver_key=self._peer,
            data_length=octets,
        )

    def _dss(self, flow: Flow, start: int) -> Dss:
        """A mapping of the piece that the subflow sends next, and the DATA_ACK."""
        place = (flow.sequence - flow.first + 1) & MASK_32
        return Dss.of(data_ack=self._got, dsn=start, ssn=place, dll=PIECE)

    def _payload(self) -> bytes:
        """The next piece of its stream; it counts as written."""
        self.side.tell(PIECE)
        octets = self.side.queue[:PIECE]
        self.side.note_written(PIECE)
        self._sent = (self._sent + PIECE) & MASK_64
        return octets

    def _until_acked(self, flow: Flow) -> None:
        low = self._sent & MASK_32

        def done(heard: Heard) -> bool:
            return any(
                isinstance(each, Dss)
                and each.data_ack is not None
                and each.data_ack & MASK_32 == low
                for each in heard.options
            )

        flow.hear("a DATA_ACK", done)


ACTS: dict[str, Callable[[Tester], None]] = {
    "connect": Tester.connect,
    "first data": Tester.first_data,
    "data": Tester.data,
    "join": Tester.join,
    "abort": Tester.abort,
    "join with wrong HMAC": Tester.join_with_wrong_hmac,
    "announce with wrong HMAC": Tester.announce_with_wrong_hmac,
    "acknowledge what was not sent": Tester.acknowledge_unsent,
    "overrun the window": Tester.overrun_window,
    "fast close with wrong key": Tester.fast_close_with_wrong_key,
}
"""What a script can let the tester do, the first one first."""


def _packet_socket(space: Namespace, interface: str) -> socket.socket:
    """A socket for the IPv4 frames of an interface."""
    made = space.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    made.bind((interface, ETHERTYPE))
    return made


def _bent(octets: bytes) -> bytes:
    """The octets with their last bit changed."""
    return octets[:-1] + bytes([octets[-1] ^ 1])


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    return ~crypto.ones_sum(octets) & 0xFFFF
