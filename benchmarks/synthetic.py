"""A synthetic capture of many short connections, the same octets on every machine.

Each connection has two subflows, exchanges a few segments each way on both, and closes by
DATA_FIN; tokens, HMACs and IDSNs are right. Connections begin at a steady pace, so that about a
hundred overlap at any time. The payload is zeros, and checksums (IPv4 and TCP) are right.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks.pcap import ETHERNET, Writer
from mptcp_oracle.crypto import idsn, join_ack_hmac, join_synack_hmac, ones_sum, token
from mptcp_oracle.encode import encode, pad
from mptcp_oracle.options import Dss, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, Option

__all__ = ["REQUESTS", "RESPONSES", "SEGMENTS_PER_CONNECTION", "write_many"]

VERSION = 1
MASK32, MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
MAXIMUM_SEGMENT_SIZE = b"\x02\x04\x05\xb4"
ETHERNET_HEADER = bytes.fromhex("02000000000102000000000a0800")

BEGIN = 1_700_000_000_000_000_000
SPACING = 2_000_000
HALF_TRIP = 4_000_000
SERVER = IPv4Address("10.200.0.1")
PORT = 443
PER_ADDRESS = 200

# Octets of the data segments of the initiator and of the listener, over the subflows in turn.
REQUESTS = (400, 1_200, 1_200, 300)
RESPONSES = (1_400, 1_400, 1_400, 1_400, 1_400, 700)
TURNS = ((0, REQUESTS), (1, RESPONSES))
# 5 with the first data, 4 for the join, each further data segment and each DATA_FIN with its
# acknowledgement, and 3 to close each subflow.
SEGMENTS_PER_CONNECTION = 5 + 4 + 2 * (sum(len(sizes) for _, sizes in TURNS) - 1) + 2 * 2 + 2 * 3

Timed = tuple[int, int, int, bytes, int]
"""Time (ns), connection, ordinal in it, headers of the frame, octets of the frame."""


class Draw:
    """Numbers that depend on nothing but a label: SHA-256 in counter mode."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0

    def bits(self, count: int) -> int:
        """A number in ``[0, 2**count)``, ``count`` at most 64."""
        self._count += 1
        digest = hashlib.sha256(f"{self._label}/{self._count}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> (64 - count)


@dataclass(slots=True, kw_only=True)
class Side:
    """One host of one connection: its key, the next DSN it sends, and the next one it expects."""

    key: int
    send_dsn: int
    expect_dsn: int


@dataclass(slots=True, kw_only=True)
class Port:
    """One end of one subflow; ``isn`` and ``next`` are absolute TCP sequence numbers."""

    address: IPv4Address
    port: int
    isn: int
    next: int


class Talk:
    """One connection, written down segment by segment.

    Args:
        ordinal: Which one; decides keys, addresses and times.
    """

    def __init__(self, ordinal: int) -> None:
        draw = Draw(f"mptcp-oracle benchmark, connection {ordinal}")
        self.ordinal = ordinal
        self.now = BEGIN + ordinal * SPACING + draw.bits(20)
        self.frames: list[Timed] = []
        keys = draw.bits(64), draw.bits(64)
        first = [(idsn(key, VERSION) + 1) & MASK64 for key in keys]
        self.sides = (
            Side(key=keys[0], send_dsn=first[0], expect_dsn=first[1]),
            Side(key=keys[1], send_dsn=first[1], expect_dsn=first[0]),
        )
        self.nonces = draw.bits(32), draw.bits(32)
        number = ordinal // PER_ADDRESS
        self.subflows: list[tuple[Port, Port]] = []
        for lane in (1, 2):
            client = IPv4Address(f"10.{lane}.{number >> 8}.{number & 0xFF}")
            isn = draw.bits(32), draw.bits(32)
            port = 10_000 + 2 * (ordinal % PER_ADDRESS) + lane
            self.subflows.append(
                (
                    Port(address=client, port=port, isn=isn[0], next=isn[0]),
                    Port(address=SERVER, port=PORT, isn=isn[1], next=isn[1]),
                )
            )

    def play(self) -> list[Timed]:
        """The whole connection in order of time."""
        self._open(REQUESTS[0])
        self._join()
        for role, sizes in TURNS:
            for step, octets in enumerate(sizes):
                if (role, step) != (0, 0):
                    self._data(step % 2, role, octets)
        self._data_fin(0)
        self._data_fin(1)
        for subflow in (0, 1):
            self._send(subflow, 0, FIN | ACK, self._data_ack(0))
            self._send(subflow, 1, FIN | ACK, self._data_ack(1))
            self._send(subflow, 0, ACK, self._data_ack(0))
        return self.frames

    def _open(self, octets: int) -> None:
        """The handshake, and the first data, whose mapping MP_CAPABLE implies."""
        initiator, listener = self.sides
        self._send(0, 0, SYN, MpCapable(version=VERSION))
        self._send(0, 1, SYN | ACK, MpCapable(version=VERSION, sender_key=listener.key))
        keys = MpCapable(version=VERSION, sender_key=initiator.key, receiver_key=listener.key)
        self._send(0, 0, ACK, keys)
        first = MpCapable(
            version=VERSION,
            sender_key=initiator.key,
            receiver_key=listener.key,
            data_length=octets,
        )
        self._send(0, 0, PSH | ACK, first, octets)
        self._advance(0, octets)
        self._send(0, 1, ACK, self._data_ack(1))

    def _join(self) -> None:
        """The second subflow, opened by the initiator."""
        initiator, listener = self.sides
        mine, theirs = self.nonces
        ask = MpJoinSyn(address_id=2, token=token(listener.key, VERSION), nonce=mine)
        answer = join_synack_hmac(
            version=VERSION,
            sender_key=listener.key,
            receiver_key=initiator.key,
            sender_nonce=theirs,
            receiver_nonce=mine,
        )
        proof = join_ack_hmac(
            version=VERSION,
            sender_key=initiator.key,
            receiver_key=listener.key,
            sender_nonce=mine,
            receiver_nonce=theirs,
        )
        self._send(1, 0, SYN, ask)
        self._send(1, 1, SYN | ACK, MpJoinSynAck(address_id=0, hmac=answer, nonce=theirs))
        self._send(1, 0, ACK, MpJoinAck(hmac=proof))
        self._send(1, 1, ACK, self._data_ack(1))

    def _data(self, subflow: int, role: int, octets: int) -> None:
        """A data segment and its acknowledgement."""
        sender, port = self.sides[role], self.subflows[subflow][role]
        mapping = Dss.of(
            data_ack=sender.expect_dsn,
            dsn=sender.send_dsn,
            ssn=(port.next - port.isn) & MASK32,
            dll=octets,
        )
        self._send(subflow, role, PSH | ACK, mapping, octets)
        self._advance(role, octets)
        self._send(subflow, 1 - role, ACK, self._data_ack(1 - role))

    def _data_fin(self, role: int) -> None:
        """A DATA_FIN without data (RFC 8684 section 3.3.3) and its DATA_ACK."""
        side = self.sides[role]
        last = Dss.of(data_ack=side.expect_dsn, dsn=side.send_dsn, ssn=0, dll=1, data_fin=True)
        self._send(0, role, ACK, last)
        self._advance(role, 1)
        self._send(0, 1 - role, ACK, self._data_ack(1 - role))

    def _data_ack(self, role: int) -> Dss:
        return Dss.of(data_ack=self.sides[role].expect_dsn)

    def _advance(self, role: int, octets: int) -> None:
        """Count octets as sent by one host and received by the other."""
        sender, receiver = self.sides[role], self.sides[1 - role]
        sender.send_dsn = receiver.expect_dsn = (sender.send_dsn + octets) & MASK64

    def _send(self, subflow: int, role: int, flags: int, option: Option, payload: int = 0) -> None:
        """Write one segment down: half a round trip after the one before."""
        port, peer = self.subflows[subflow][role], self.subflows[subflow][1 - role]
        options = pad([MAXIMUM_SEGMENT_SIZE] if flags & SYN else []) + pad([encode(option)])
        header = _tcp(port, peer, flags, options, payload)
        packet = _ipv4(port.address, peer.address, header, payload, len(self.frames))
        port.next = (port.next + payload + bool(flags & (SYN | FIN))) & MASK32
        frame = ETHERNET_HEADER + packet
        self.frames.append((self.now, self.ordinal, len(self.frames), frame, len(frame) + payload))
        self.now += HALF_TRIP


def _tcp(port: Port, peer: Port, flags: int, options: bytes, payload: int) -> bytes:
    size = 20 + len(options)
    ack = peer.next if flags & ACK else 0
    fields = port.port, peer.port, port.next, ack, size >> 2 << 4, flags, 0xFFFF
    pseudo = port.address.packed + peer.address.packed + struct.pack(">HH", 6, size + payload)
    head = struct.pack(">HHIIBBH", *fields)
    checksum = 0xFFFF - ones_sum(pseudo + head + bytes(4) + options)
    return head + struct.pack(">HH", checksum, 0) + options


def _ipv4(
    source: IPv4Address, destination: IPv4Address, header: bytes, payload: int, ip_id: int
) -> bytes:
    size = 20 + len(header) + payload
    before = struct.pack(">BBHHHBB", 0x45, 0, size, ip_id, 0x4000, 64, 6)
    after = source.packed + destination.packed
    return before + struct.pack(">H", 0xFFFF - ones_sum(before + after)) + after + header


def write_many(target: Path, connections: int) -> int:
    """Write the capture.

    Args:
        target: The pcap file.
        connections: How many, at most 13,107,200 (by the addresses).

    Returns:
        Frames written.
    """
    waiting: list[Timed] = []
    with open(target, "wb") as file:
        writer = Writer(file, ETHERNET)
        for ordinal in range(connections + 1):
            horizon = BEGIN + ordinal * SPACING
            while waiting and (waiting[0][0] < horizon or ordinal == connections):
                time, _, _, frame, length = heapq.heappop(waiting)
                writer.add(time, frame, length)
            if ordinal < connections:
                for timed in Talk(ordinal).play():
                    heapq.heappush(waiting, timed)
        return writer.frames
