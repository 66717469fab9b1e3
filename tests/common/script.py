"""Traces of the model written by hand: each call is one segment, sent and delivered.

The script keeps the numbers that a TCP endpoint would keep; everything else is said by the test.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from mptcp_oracle import crypto
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
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    MpCapable,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
)

__all__ = ["Script", "story"]

KEYS = (0x0102030405060708, 0xDEADBEEFCAFEBABE)
NONCES = (0x11223344, 0xAABBCCDD)
WIDE = (1 << 64) - 1
GAP = 20_000_000
DELAY = 10_000_000


@dataclass
class Script:
    """A connection being written down."""

    version: int = 1
    checksum: bool = False
    segments: list[Sent] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    subflows: list[SubflowTruth] = field(default_factory=list)
    next: list[list[int]] = field(default_factory=list)
    got: list[list[int]] = field(default_factory=list)
    dsn: list[int] = field(default_factory=lambda: [1, 1])
    acked: list[int] = field(default_factory=lambda: [1, 1])
    fallback: str | None = None
    closed: str | None = None

    def base(self, host: int) -> int:
        """A host's IDSN."""
        return crypto.idsn(KEYS[host], self.version)

    def begin(self, *, opener: int = 0, outcome: str = "established", initial: bool = False) -> int:
        """A new subflow, ``initial`` if to the peer's initial address and port; its number."""
        number = len(self.subflows)
        ends = tuple(
            Endpoint(address=ip_address(f"10.0.{number}.{side + 1}"), port=port)
            for side, port in ((0, 40_000 + number), (1, 80))
        )
        if initial:
            peer = 1 - opener
            there = self.subflows[0].ends[peer]
            ends = (ends[0], there) if peer else (there, ends[1])
        self.subflows.append(
            SubflowTruth(
                number=number,
                connection=0,
                initial=number == 0,
                opener=opener,
                ends=(ends[0], ends[1]),
                isns=(1_000 * number + 7, 4_294_967_000 + number),
                address_ids=(number, number),
                nonces=NONCES if number else (0, 0),
                outcome=outcome,
            )
        )
        self.next.append([0, 0])
        self.got.append([0, 0])
        return number

    def send(
        self,
        subflow: int,
        host: int,
        flags: int,
        *options: Option,
        payload: bytes = b"",
        mapping: Mapping | None = None,
        data_ack: int | None = None,
        ranges: tuple[Range, ...] = (),
        again: int | None = None,
    ) -> int:
        """One segment, delivered at once, or an old one ``again`` at its number; its number."""
        number = len(self.segments)
        sent = Sent(
            number=number,
            time=GAP * number,
            subflow=subflow,
            host=host,
            sequence=self.next[subflow][host] if again is None else again,
            ack=self.got[subflow][host] if flags & ACK else None,
            flags=flags,
            window=65_000,
            options=options,
            payload=payload,
            mapping=mapping,
            data_ack=data_ack,
            ranges=ranges,
        )
        self.segments.append(sent)
        self.deliveries.append(Delivery(time=sent.time + DELAY, segment=sent))
        if again is not None:
            return number
        self.next[subflow][host] += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        self.got[subflow][1 - host] = self.next[subflow][host]
        return number

    def ack(self, subflow: int, host: int, *options: Option, wide: bool = True) -> int:
        """A pure ACK with a DATA_ACK of everything so far."""
        data_ack = self.dsn[1 - host]
        dss = Dss.of(
            data_ack=self._number(1 - host, data_ack, wide), data_ack_size=8 if wide else 4
        )
        return self.send(subflow, host, ACK, dss, *options, data_ack=data_ack)

    def bare(self, subflow: int, host: int, *options: Option) -> int:
        """A pure ACK without DSS."""
        return self.send(subflow, host, ACK, *options)

    def data(self, subflow: int, host: int, payload: bytes, *, again: int | None = None) -> int:
        """Mapped data: new, or ``again`` from a DSN on as a reinjection."""
        dsn = self.dsn[host] if again is None else again
        sequence = self.next[subflow][host]
        if again is None:
            self.dsn[host] += len(payload)
        checksum = self._checksum(host, dsn, sequence, len(payload), payload)
        dss = Dss.of(
            data_ack=self._number(1 - host, self.dsn[1 - host], True),
            dsn=self._number(host, dsn, True),
            ssn=sequence,
            dll=len(payload),
            checksum=checksum,
        )
        return self.send(
            subflow,
            host,
            ACK | PSH,
            dss,
            payload=payload,
            mapping=Mapping(
                sequence=sequence, dsn=dsn, octets=len(payload), checksum=self.checksum or None
            ),
            data_ack=self.dsn[1 - host],
            ranges=(
                Range(
                    sequence=sequence,
                    octets=len(payload),
                    dsn=dsn,
                    cause="new" if again is None else "reinjection",
                    trigger="" if again is None else "loss",
                ),
            ),
        )

    def data_fin(self, subflow: int, host: int) -> int:
        """A DATA_FIN without data."""
        dsn = self.dsn[host]
        self.dsn[host] += 1
        dss = Dss.of(
            data_ack=self._number(1 - host, self.dsn[1 - host], True),
            dsn=self._number(host, dsn, True),
            dll=1,
            checksum=self._checksum(host, dsn, 0, 1, b""),
            data_fin=True,
        )
        mapping = Mapping(sequence=0, dsn=dsn, octets=0, fin=True, checksum=self.checksum or None)
        return self.send(subflow, host, ACK, dss, mapping=mapping, data_ack=self.dsn[1 - host])

    def initial(
        self, *, first: bytes = b"", plain: str = "", resent: bool = False, early: int = 0
    ) -> int:
        """The initial subflow.

        Args:
            first: Data that goes under an MP_CAPABLE.
            plain: A fallback.
            resent: Whether the third packet is lost and sent again.
            early: Octets of first data that the SYN has already, all but 5 of them accepted.
        """
        number, flags = self.begin(), 0x81 if self.checksum else 0x01
        own, peer = KEYS
        old = self.version == 0
        syn = MpCapable(version=self.version, flags=flags, sender_key=own if old else None)
        synack = MpCapable(version=self.version, flags=flags, sender_key=peer)
        third = MpCapable(version=self.version, flags=flags, sender_key=own, receiver_key=peer)
        unmapped = (Range(sequence=1, octets=early, dsn=None, cause="unmapped"),) if early else ()
        self.send(number, 0, SYN, syn, payload=bytes(early), ranges=unmapped)
        accepted = max(0, early - 5)
        self.next[number][0] = self.got[number][1] = 1 + accepted
        self.subflows[0] = replace(self.subflows[0], syn_data=(accepted, 0))
        self.send(number, 1, SYN | ACK, *(() if plain == "synack" else (synack,)))
        self.send(number, 0, ACK, *(() if plain else (third,)))
        if resent:
            self.deliveries.pop()
            self.send(number, 1, SYN | ACK, synack, again=0)
            self.send(number, 0, ACK, third)
        if plain:
            self.fallback = "third_packet" if plain == "third" else plain
        if first:
            checksum = self._checksum(0, 1, 1, len(first), first)
            option = replace(third, data_length=len(first), checksum=checksum)
            self.dsn[0] += len(first)
            at, again = self.next[number][0], early - accepted
            parts = [
                Range(sequence=at, octets=again, dsn=1, cause="retransmission"),
                Range(sequence=at + again, octets=len(first) - again, dsn=1 + again),
            ]
            self.send(
                number,
                0,
                ACK | PSH,
                option,
                payload=first,
                mapping=Mapping(
                    sequence=at,
                    dsn=1,
                    octets=len(first),
                    by_capable=True,
                    checksum=self.checksum or None,
                ),
                ranges=tuple(part for part in parts if part.octets),
            )
        return number

    def join(self, opener: int = 0, *, refused: str = "", initial: bool = False) -> int:
        """A joined subflow; ``refused`` is ``syn`` or ``ack`` for where it ends with a RST."""
        outcome = "refused" if refused else "established"
        number = self.begin(opener=opener, outcome=outcome, initial=initial)
        other = 1 - opener
        shared = {
            side: {
                "version": self.version,
                "sender_key": KEYS[side],
                "receiver_key": KEYS[1 - side],
                "sender_nonce": NONCES[side],
                "receiver_nonce": NONCES[1 - side],
            }
            for side in (0, 1)
        }
        token = crypto.token(KEYS[other], self.version)
        reset = (MpTcprst(reason=3),) if self.version else ()
        syn = MpJoinSyn(address_id=number, token=token, nonce=NONCES[opener])
        self.send(number, opener, SYN, syn)
        if refused == "syn":
            self.send(number, other, RST | ACK, *reset)
            return number
        hmac = crypto.join_synack_hmac(**shared[other])
        synack = MpJoinSynAck(address_id=number, hmac=hmac, nonce=NONCES[other])
        self.send(number, other, SYN | ACK, synack)
        self.send(number, opener, ACK, MpJoinAck(hmac=crypto.join_ack_hmac(**shared[opener])))
        if refused == "ack":
            self.send(number, other, RST | ACK, *reset)
        else:
            self.ack(number, other)
        return number

    def add_addr(
        self, subflow: int, host: int, address: str, port: int | None = None, name: int = 9
    ) -> int:
        """An ADD_ADDR with Address ID ``name``, and in version 1 its echo."""
        where = ip_address(address)
        hmac = crypto.add_addr_hmac(
            sender_key=KEYS[host],
            receiver_key=KEYS[1 - host],
            address_id=name,
            address=where,
            port=port,
        )
        option = AddAddr(
            version=self.version,
            address_id=name,
            address=where,
            port=port,
            hmac=hmac if self.version else None,
        )
        number = self.bare(subflow, host, option)
        if self.version:
            self.bare(subflow, 1 - host, replace(option, echo=True, hmac=None))
        return number

    def trace(self) -> Trace:
        """What was written."""
        hosts = [
            HostTruth(
                key=KEYS[host],
                checksum=self.checksum,
                c_flag=False if self.version else None,
                base=self.base(host),
            )
            for host in (0, 1)
        ]
        connection = ConnectionTruth(
            number=0,
            version=self.version,
            hosts=(hosts[0], hosts[1]),
            fallback=self.fallback,
            fallback_shown=(frozenset({1}),) if self.fallback else (),
            closed=self.closed,
        )
        return Trace(
            connections=(connection,),
            subflows=tuple(self.subflows),
            segments=tuple(self.segments),
            deliveries=tuple(self.deliveries),
        )

    def _number(self, host: int, relative: int, wide: bool) -> int:
        return (self.base(host) + relative) & (WIDE if wide else WIDE >> 32)

    def _checksum(self, host: int, dsn: int, ssn: int, dll: int, payload: bytes) -> int | None:
        if not self.checksum:
            return None
        return crypto.dss_checksum((self.base(host) + dsn) & WIDE, ssn, dll, payload)


def story(
    version: int = 1,
    *,
    checksum: bool = False,
    plain: str = "",
    resent: bool = False,
    ends: bool = True,
    early: int = 0,
) -> Trace:
    """A connection in which most things happen once, or one that is plain TCP from its start."""
    script = Script(version=version, checksum=checksum)
    if plain:
        first = script.initial(plain=plain)
        for host in (0, 1):
            script.send(first, host, ACK | PSH, payload=b"plain" * 9)
            script.bare(first, 1 - host)
        return script.trace()
    first = script.initial(first=b"a" * 40 if version else b"", resent=resent, early=early)
    script.ack(first, 1)
    script.data(first, 0, b"b" * 30)
    script.ack(first, 1, wide=False)
    script.data(first, 1, b"c" * 50)
    script.ack(first, 0)
    script.add_addr(first, 1, "10.0.1.2", name=1)
    script.add_addr(first, 0, "2001:db8::7")
    script.add_addr(first, 1, "10.0.4.2", 80)
    script.ack(first, 1)
    second = script.join(0)
    script.data(second, 0, b"d" * 60)
    script.ack(second, 1)
    script.data(first, 0, b"d" * 60, again=script.dsn[0] - 60)
    script.ack(first, 1, MpPrio(backup=True))
    third = script.join(1)
    fourth = script.join(0, initial=True)
    script.data(third, 1, b"e" * 70)
    script.ack(third, 0)
    script.join(0, refused="syn")
    script.join(0, refused="ack")
    last = script.join(0)
    script.ack(first, 0, RemoveAddr(address_ids=(1,)))
    if not ends:
        return script.trace()
    script.data_fin(first, 0)
    script.ack(first, 1)
    script.data_fin(first, 1)
    script.ack(first, 0)
    for subflow in (first, second, third, fourth, last):
        script.send(subflow, 0, ACK | FIN)
        script.send(subflow, 1, ACK | FIN)
        script.bare(subflow, 0)
    script.closed = "data_fin"
    return script.trace()
