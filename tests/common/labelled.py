"""Labelled traces written by hand: what is sent, and the truth beside it.

A :class:`Script` is one connection; its methods send one segment each and return its number.
Relative numbers are those of the labels: the SYN is 0, the first data octet has DSN 1. Nothing of
the model but its values is used, so that a test of the model's stages can trust it.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from mptcp_oracle import crypto
from mptcp_oracle.model.capture import Capture, Frame, Layout
from mptcp_oracle.model.trace import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    ConnectionTruth,
    Delivery,
    Endpoint,
    HostTruth,
    Mapping,
    Range,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import Dss, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, Option

__all__ = ["KEYS", "Script"]

KEYS = (0x0102030405060708, 0xDEADBEEFCAFEBABE)
NONCES = (0x11223344, 0xAABBCCDD)
MILLISECOND = 1_000_000
START = 1_700_000_000_000_000_000
WIDE = (1 << 64) - 1


class Script:
    """One connection with its subflows, written segment by segment.

    Attributes:
        segments: What was sent. now: The clock, which moves by a millisecond a segment.
        connection: Its truth, to be replaced as the test wants it.
    """

    def __init__(self, *, version: int = 1, checksum: bool = False) -> None:
        self.version = version
        self.segments: list[Sent] = []
        self.subflows: list[SubflowTruth] = []
        self.now = 0
        hosts = tuple(
            HostTruth(
                key=key,
                checksum=checksum,
                c_flag=False if version else None,
                base=crypto.idsn(key, version),
            )
            for key in KEYS
        )
        self.connection = ConnectionTruth(number=0, version=version, hosts=(hosts[0], hosts[1]))
        self._next: dict[tuple[int, int], int] = {}
        self._dsn = [1, 1]

    def flow(self, opener: int = 0, **fields: Any) -> int:
        """A new subflow, silent so far; the first one is the initial one."""
        number = len(self.subflows)
        ends = tuple(
            Endpoint(address=ip_address(f"10.0.{number}.{host + 1}"), port=40_000 + host + number)
            for host in (0, 1)
        )
        truth: dict[str, Any] = {
            "number": number, "connection": 0, "initial": number == 0, "opener": opener,
            "ends": ends, "isns": (1_000, 0xFFFF_FFF0), "address_ids": (number, number),
            "nonces": NONCES,
        }  # fmt: skip
        self.subflows.append(SubflowTruth(**(truth | fields)))
        return number

    def send(self, flow: int, host: int, flags: int = ACK, **fields: Any) -> int:
        """Any segment; what is not given is what follows from the segments before."""
        sequence = fields.pop("sequence", self._next.get((flow, host), 0))
        payload = fields.pop("payload", b"")
        ack = fields.pop("ack", self._next.get((flow, 1 - host), 0) if flags & ACK else None)
        ends = sequence + len(payload) + bool(flags & (SYN | FIN))
        self._next[flow, host] = max(ends, self._next.get((flow, host), 0))
        segment = Sent(
            number=len(self.segments), time=self.now, subflow=flow, host=host, sequence=sequence,
            ack=ack, flags=flags, payload=payload,
            window=fields.pop("window", 500 + len(self.segments)), **fields,
        )  # fmt: skip
        self.segments.append(segment)
        self.now += MILLISECOND
        return segment.number

    def absolute(self, host: int, dsn: int) -> int:
        """A relative DSN of a host as 64-bit number."""
        return (self.connection.hosts[host].base + dsn) & WIDE

    def handshake(self, flow: int, missing: str = "") -> None:
        """The three packets of the initial subflow; those named are sent later by the test."""
        flags = 0x01 | (0x80 if self.connection.hosts[0].checksum else 0)
        offer = MpCapable(
            version=self.version, flags=flags, sender_key=None if self.version else KEYS[0]
        )
        answer = MpCapable(version=self.version, flags=flags, sender_key=KEYS[1])
        third = replace(answer, sender_key=KEYS[0], receiver_key=KEYS[1])
        self.send(flow, 0, SYN, options=(offer,))
        self.send(flow, 1, SYN | ACK, options=(answer,))
        if "third" not in missing:
            self.send(flow, 0, options=(third,))

    def join(self, flow: int) -> None:
        """The three packets of a join, and the fourth that confirms it."""
        truth = self.subflows[flow]
        opener, owner = truth.opener, 1 - truth.opener
        self.send(flow, opener, SYN, options=(MpJoinSyn(
            address_id=truth.address_ids[opener],
            token=crypto.token(KEYS[owner], self.version), nonce=truth.nonces[opener],
        ),))  # fmt: skip
        hmacs = [
            crypto.join_digest(
                version=self.version, sender_key=KEYS[host], receiver_key=KEYS[1 - host],
                sender_nonce=truth.nonces[host], receiver_nonce=truth.nonces[1 - host],
            )
            for host in (0, 1)
        ]  # fmt: skip
        self.send(flow, owner, SYN | ACK, options=(MpJoinSynAck(
            address_id=truth.address_ids[owner], hmac=hmacs[owner][:8],
            nonce=truth.nonces[owner],
        ),))  # fmt: skip
        self.send(flow, opener, options=(MpJoinAck(hmac=hmacs[opener][:20]),))
        self.ack(flow, owner)

    def data(
        self,
        flow: int,
        host: int,
        octets: int,
        *,
        dsn: int | None = None,
        mapped: int | None = None,
        mapping: Mapping | None = None,
        cause: str = "new",
        fin: bool = False,
        wide: bool = True,
        **fields: Any,
    ) -> int:
        """Payload with a mapping of it, of ``mapped`` octets from it on, or with a given one."""
        start = fields.pop("sequence", self._next.get((flow, host), 0))
        first = self._dsn[host] if dsn is None else dsn
        if mapping is None:
            size = octets if mapped is None else mapped
            mapping = Mapping(sequence=start if octets else 0, dsn=first, octets=size, fin=fin)
        else:
            first = mapping.dsn + start - mapping.sequence
        end = mapping.dsn + mapping.octets + mapping.fin
        self._dsn[host] = max(self._dsn[host], end)
        size = 8 if wide else 4
        option = Dss.of(
            data_ack=self.absolute(1 - host, self._dsn[1 - host]) & (WIDE >> 64 - 8 * size),
            data_ack_size=size,
            dsn=self.absolute(host, mapping.dsn) & (WIDE >> 64 - 8 * size),
            dsn_size=size, ssn=mapping.sequence,
            dll=mapping.octets + mapping.fin, data_fin=mapping.fin,
        )  # fmt: skip
        ranges = (Range(sequence=start, octets=octets, dsn=first, cause=cause),) if octets else ()
        return self.send(
            flow, host, ACK | PSH, sequence=start, payload=bytes(range(first, first + octets)),
            options=(option,), mapping=mapping, data_ack=self._dsn[1 - host], ranges=ranges,
            **fields,
        )  # fmt: skip

    def plain(self, flow: int, host: int, octets: int, **fields: Any) -> int:
        """Payload without a mapping on it."""
        return self.send(flow, host, ACK | PSH, payload=bytes(octets), **fields)

    def ack(self, flow: int, host: int, *options: Option, **fields: Any) -> int:
        """A pure acknowledgment with a DATA_ACK of everything so far."""
        upto = self._dsn[1 - host]
        option = Dss.of(data_ack=self.absolute(1 - host, upto))
        return self.send(flow, host, options=(option, *options), data_ack=upto, **fields)

    def reset(self, flow: int, host: int, *options: Option) -> int:
        """A RST."""
        return self.send(flow, host, RST | ACK, options=options)

    def trace(self) -> Trace:
        """Everything so far; every segment arrives ten milliseconds later."""
        sent = tuple(self.segments)
        return Trace(
            connections=(self.connection,),
            subflows=tuple(self.subflows),
            segments=sent,
            deliveries=tuple(
                Delivery(time=each.time + 10 * MILLISECOND, segment=each) for each in sent
            ),
        )

    def capture(
        self,
        *,
        without: tuple[int, ...] = (),
        only: tuple[int, ...] | None = None,
        layout: Layout | None = None,
    ) -> Capture:
        """The segments as frames in order, but for those without; or only some of them."""
        frames = tuple(
            Frame(segment=each, time=START + each.time, ip_id=100 + each.number)
            for each in self.segments
            if each.number not in without and (only is None or each.number in only)
        )
        return Capture(trace=self.trace(), frames=frames, layout=layout or Layout())

    def relabel(self, number: int, **fields: Any) -> None:
        """Change a segment that was sent."""
        self.segments[number] = replace(self.segments[number], **fields)
