"""MPTCP conversations written by hand, so that a test reads like a script of packets.

A :class:`Conversation` has two hosts (0 the initiator, 1 the listener) with keys; each
:class:`Flow` is one of its TCP subflows, and its methods send one segment each. What a host would
send is the default (right tokens, HMACs, numbers, everything received so far acknowledged) and
every part of it can be replaced. Relative numbers are the RFC's: a SYN has subflow sequence
number 0, the first data octet of a host has DSN 1.

Only the encoder and the cryptography of the project are used, never its reader or its analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from ipaddress import ip_address

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode, pad
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
)
from tests.common.tape import ACK, FIN, PSH, RST, SYN, Segment, Tape

__all__ = ["KEYS", "Conversation", "Flow", "Mapping"]

KEYS = (0x0102030405060708, 0xDEADBEEFCAFEBABE)
NONCES = (0x11223344, 0xAABBCCDD)
ADDRESSES = (("10.0.0.1", "10.0.0.2"), ("10.0.1.1", "10.0.1.2"), ("10.0.2.1", "10.0.2.2"))
WIDE = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A data sequence mapping: relative DSN, SSN, Data-Level Length, flag F, checksum."""

    dsn: int
    ssn: int
    dll: int
    fin: bool = False
    checksum: int | None = None


class Conversation:
    """One MPTCP connection on a tape.

    Attributes:
        keys, version, checksum: What the hosts negotiate. idsn: What their DSNs count from; a
            test may put in another number than the keys give.
        next_dsn: Next relative DSN of each host. fins: 1 once it sent a DATA_FIN.
        wide: Whether DSN and DATA_ACK have 8 octets.
        captured_at: The role whose host captures (shown by cooked link types), or ``None``.
    """

    def __init__(
        self,
        tape: Tape | None = None,
        *,
        version: int = 1,
        keys: tuple[int, int] = KEYS,
        checksum: bool = False,
        idsn: tuple[int | None, int | None] = (None, None),
        wide: tuple[bool, bool] = (True, True),
        flag_c: tuple[bool, bool] = (False, False),
        captured_at: int | None = None,
    ) -> None:
        self.tape = Tape() if tape is None else tape
        self.version, self.keys, self.checksum, self.wide = version, keys, checksum, wide
        self.token = tuple(crypto.token(key, version) for key in keys)
        self.idsn = [
            crypto.idsn(key, version) if given is None else given
            for key, given in zip(keys, idsn, strict=True)
        ]
        self.flag_c, self.captured_at = flag_c, captured_at
        self.next_dsn = [1, 1]
        self.fins = [0, 0]
        self.flows: list[Flow] = []

    def flow(
        self,
        *,
        opener: int = 0,
        addresses: tuple[str, str] | None = None,
        ports: tuple[int, int] | None = None,
        isn: tuple[int, int] = (1_000, 5_000_000),
        vlan: int | None = None,
        nonces: tuple[int, int] = NONCES,
        address_ids: tuple[int, int] | None = None,
        backup: tuple[bool, bool] = (False, False),
        timestamps: bool = False,
        ip_ids: bool = True,
    ) -> Flow:
        """A new subflow, silent so far. Pairs are (initiator's, listener's); opener sends SYN."""
        number = len(self.flows)
        addresses = addresses or ADDRESSES[number % len(ADDRESSES)]
        ports = ports or (40_000 + number, 80)
        flow = Flow(self, opener, list(zip(addresses, ports, strict=True)), isn, vlan)
        flow.nonces, flow.backup = nonces, backup
        flow.address_ids = (number & 255, number & 255) if address_ids is None else address_ids
        flow.timestamps, flow.ip_ids = timestamps, ip_ids
        self.flows.append(flow)
        return flow

    def opened(self, **settings: object) -> Flow:
        """The initial subflow, after its handshake."""
        flow = self.flow(**settings)  # type: ignore[arg-type]
        flow.handshake()
        return flow

    def joined(self, **settings: object) -> Flow:
        """A joined subflow, after its handshake."""
        flow = self.flow(**settings)  # type: ignore[arg-type]
        flow.join()
        return flow

    @contextmanager
    def lost(self) -> Iterator[None]:
        """Segments sent inside are not captured."""
        before, self.tape.muted = self.tape.muted, True
        try:
            yield
        finally:
            self.tape.muted = before

    def absolute(self, role: int, relative: int) -> int:
        """A host's relative DSN as the 64-bit number on the wire."""
        return (self.idsn[role] + relative) & WIDE

    def mapping(
        self,
        role: int,
        octets: bytes,
        *,
        dsn: int,
        ssn: int,
        fin: bool = False,
        checksum: int | None = None,
    ) -> Mapping:
        """The mapping of some octets, with a right checksum where checksums are in use."""
        dll = len(octets) + fin
        if checksum is None and self.checksum:
            covered_ssn = 0 if fin and not octets else ssn
            checksum = crypto.dss_checksum(self.absolute(role, dsn), covered_ssn, dll, octets)
        return Mapping(dsn=dsn, ssn=ssn, dll=dll, fin=fin, checksum=checksum)

    def dss(
        self, role: int, mapping: Mapping | None = None, *, dack: int | None = None
    ) -> Option | None:
        """A DSS of a host; ``None`` if it would say nothing."""
        if mapping is None and dack is None:
            return None
        flags, narrow = 0, 0xFFFFFFFF
        data_ack = dsn = None
        if dack is not None:
            flags |= 0x03 if self.wide[role] else 0x01
            data_ack = self.absolute(1 - role, dack) & (WIDE if self.wide[role] else narrow)
        if mapping is None:
            return Dss(flags=flags, data_ack=data_ack)
        flags |= 0x0C if self.wide[role] else 0x04
        dsn = self.absolute(role, mapping.dsn) & (WIDE if self.wide[role] else narrow)
        return Dss(
            flags=flags | (0x10 if mapping.fin else 0),
            data_ack=data_ack,
            dsn=dsn,
            ssn=mapping.ssn,
            dll=mapping.dll,
            checksum=mapping.checksum,
        )


class Flow:
    """One TCP subflow of a conversation.

    Attributes:
        next: Next relative subflow sequence number of each role. syn_data: SYN octets of each
            role, which lie outside the data sequence space.
    """

    def __init__(
        self,
        talk: Conversation,
        opener: int,
        ends: list[tuple[str, int]],
        isn: tuple[int, int],
        vlan: int | None,
    ) -> None:
        self.talk, self.opener, self.ends, self.isn, self.vlan = talk, opener, ends, isn, vlan
        self.next = [0, 0]
        self.syn_data = [0, 0]
        self.nonces = NONCES
        self.address_ids = (0, 0)
        self.backup = (False, False)
        self.timestamps, self.ip_ids = False, True

    def segment(
        self,
        role: int,
        flags: int = ACK,
        *options: Option | bytes | None,
        payload: bytes = b"",
        seq: int | None = None,
        ack: int | None = None,
        window: int = 502,
    ) -> int:
        """Send any segment; ``seq`` and ``ack`` are relative. Returns its frame number."""
        tape = self.talk.tape
        start = self.next[role] if seq is None else seq
        if ack is None:
            ack = self.next[1 - role]
        octets = [each if isinstance(each, bytes) else encode(each) for each in options if each]
        if self.timestamps:
            stamp = (tape.now // 1_000_000 & 0xFFFFFFFF).to_bytes(4, "big")
            octets.insert(0, b"\x01\x01\x08\x0a" + stamp + bytes(4))
        after = start + len(payload) + bool(flags & (SYN | FIN))
        self.next[role] = max(self.next[role], after)
        return tape.put(
            Segment(
                source=self.ends[role],
                destination=self.ends[1 - role],
                sequence=self.isn[role] + start,
                acknowledgment=self.isn[1 - role] + ack if flags & ACK else 0,
                flags=flags,
                options=pad(octets),
                payload=payload,
                window=window,
                ip_id=None if self.ip_ids else 0,
                vlan=self.vlan,
                direction=4 if role == self.talk.captured_at else 0,
            )
        )

    def capable(self, form: str, *, key: int | None = None, echo: int | None = None) -> MpCapable:
        """An MP_CAPABLE of a form: ``syn``, ``synack`` or ``ack``."""
        talk = self.talk
        role = 1 - self.opener if form == "synack" else self.opener
        flags = 0x01 | (0x80 if talk.checksum else 0) | (0x20 if talk.flag_c[role] else 0)
        own = talk.keys[role] if key is None else key
        other = talk.keys[1 - role] if echo is None else echo
        return MpCapable(
            version=talk.version,
            flags=flags,
            sender_key=None if form == "syn" and talk.version == 1 else own,
            receiver_key=other if form == "ack" else None,
        )

    def syn(self, *options: Option | bytes | None, payload: bytes = b"") -> int:
        """SYN with MP_CAPABLE, or with the given options instead."""
        shown = options or (self.capable("syn"),)
        return self.segment(0, SYN, *shown, payload=payload, seq=0)

    def synack(self, *options: Option | bytes | None, ack: int | None = None) -> int:
        """SYN/ACK with MP_CAPABLE, or with the given options instead."""
        shown = options or (self.capable("synack"),)
        return self.segment(1, SYN | ACK, *shown, seq=0, ack=ack)

    def third(self, *options: Option | bytes | None) -> int:
        """The third packet with MP_CAPABLE, or with the given options instead."""
        return self.segment(0, ACK, *(options or (self.capable("ack"),)))

    def handshake(self, *, missing: str = "") -> None:
        """SYN, SYN/ACK, third packet; those named in ``missing`` are not captured."""
        self._steps(missing, syn=self.syn, synack=self.synack, third=self.third)

    def _steps(self, missing: str, **steps: Callable[[], int]) -> None:
        for name, send in steps.items():
            with self.talk.lost() if name in missing.split() else nullcontext():
                send()

    def join_syn(self, *, token: int | None = None, nonce: int | None = None) -> int:
        """SYN with MP_JOIN."""
        role = self.opener
        option = MpJoinSyn(
            backup=self.backup[role],
            address_id=self.address_ids[role],
            token=self.talk.token[1 - role] if token is None else token,
            nonce=self.nonces[role] if nonce is None else nonce,
        )
        return self.segment(role, SYN, option, seq=0)

    def join_hmac(self, role: int) -> bytes:
        """The whole right HMAC of a role's message."""
        keys, nonces = self.talk.keys, self.nonces
        return crypto.join_digest(
            version=self.talk.version,
            sender_key=keys[role],
            receiver_key=keys[1 - role],
            sender_nonce=nonces[role],
            receiver_nonce=nonces[1 - role],
        )

    def join_synack(self, *, hmac: bytes | None = None) -> int:
        """SYN/ACK with MP_JOIN."""
        role = 1 - self.opener
        option = MpJoinSynAck(
            backup=self.backup[role],
            address_id=self.address_ids[role],
            hmac=self.join_hmac(role)[:8] if hmac is None else hmac,
            nonce=self.nonces[role],
        )
        return self.segment(role, SYN | ACK, option, seq=0)

    def join_ack(self, *, hmac: bytes | None = None) -> int:
        """The third packet with MP_JOIN."""
        right = self.join_hmac(self.opener)[:20]
        return self.segment(self.opener, ACK, MpJoinAck(hmac=right if hmac is None else hmac))

    def join(self, *, missing: str = "") -> None:
        """The three packets of a join, and the fourth that confirms it."""
        steps = {"syn": self.join_syn, "synack": self.join_synack, "third": self.join_ack}
        self._steps(missing, **steps)
        self.ack(1 - self.opener)

    def data(
        self,
        role: int,
        octets: bytes,
        *options: Option | bytes | None,
        mapping: Mapping | bool | None = True,
        dsn: int | None = None,
        seq: int | None = None,
        fin: bool = False,
        flags: int = ACK | PSH,
        dack: int | bool | None = True,
        **fields: int,
    ) -> int:
        """Data with a mapping of just its octets (or another, or none) and a DATA_ACK."""
        talk = self.talk
        start = self.next[role] if seq is None else seq
        if mapping is True:
            first = talk.next_dsn[role] if dsn is None else dsn
            ssn = start - self.syn_data[role]
            mapping = talk.mapping(role, octets, dsn=first, ssn=ssn, fin=fin)
        shown = mapping if isinstance(mapping, Mapping) else None
        if shown is not None:
            talk.next_dsn[role] = max(talk.next_dsn[role], shown.dsn + shown.dll)
        option = talk.dss(role, shown, dack=self._dack(role, dack))
        return self.segment(role, flags, option, *options, payload=octets, seq=start, **fields)

    def first_data(self, octets: bytes, *, length: int | None = None, seq: int = 1) -> int:
        """The initiator's first data with MP_CAPABLE (22 or 24 octets)."""
        talk = self.talk
        ack = self.capable("ack")
        size = len(octets) if length is None else length
        total = None
        if talk.checksum:
            total = crypto.dss_checksum(talk.absolute(0, 1), 1, size, octets)
        option = MpCapable(
            version=ack.version,
            flags=ack.flags,
            sender_key=ack.sender_key,
            receiver_key=ack.receiver_key,
            data_length=size,
            checksum=total,
        )
        talk.next_dsn[0] = max(talk.next_dsn[0], 1 + size)
        return self.segment(0, ACK | PSH, option, payload=octets, seq=seq)

    def ack(self, role: int, *options: Option | bytes | None, **fields: int | bool | None) -> int:
        """A pure ACK with a DATA_ACK of all data so far (``dack=None`` for none)."""
        dack = self._dack(role, fields.pop("dack", True))
        option = self.talk.dss(role, dack=dack)
        return self.segment(role, ACK, option, *options, **fields)  # type: ignore[arg-type]

    def _dack(self, role: int, given: int | bool | None) -> int | None:
        if given is True:
            return self.talk.next_dsn[1 - role]
        return None if given is False else given

    def add_addr(
        self,
        role: int,
        address: str,
        *,
        address_id: int = 5,
        port: int | None = None,
        echo: bool = False,
        hmac: bytes | None = None,
    ) -> int:
        """An ADD_ADDR on a pure ACK, right for the version."""
        talk, packed = self.talk, ip_address(address)
        if hmac is None and not echo and talk.version == 1:
            hmac = crypto.add_addr_hmac(
                sender_key=talk.keys[role],
                receiver_key=talk.keys[1 - role],
                address_id=address_id,
                address=packed,
                port=port,
            )
        option = AddAddr(
            version=talk.version,
            echo=echo,
            address_id=address_id,
            address=packed,
            port=port,
            hmac=hmac,
        )
        return self.segment(role, ACK, option)

    def remove_addr(self, role: int, *address_ids: int) -> int:
        """A REMOVE_ADDR beside a DATA_ACK."""
        return self.ack(role, RemoveAddr(address_ids=address_ids))

    def prio(self, role: int, *, backup: bool, address_id: int | None = None) -> int:
        """An MP_PRIO beside a DATA_ACK."""
        return self.ack(role, MpPrio(backup=backup, address_id=address_id))

    def data_fin(self, role: int, *, dsn: int | None = None, dack: int | bool = True) -> int:
        """A DATA_FIN without payload; the first one takes the next DSN."""
        talk = self.talk
        if dsn is None:
            dsn = talk.next_dsn[role] - talk.fins[role]
            talk.fins[role] = 1
        mapping = talk.mapping(role, b"", dsn=dsn, ssn=0, fin=True)
        talk.next_dsn[role] = max(talk.next_dsn[role], dsn + 1)
        return self.segment(role, ACK, talk.dss(role, mapping, dack=self._dack(role, dack)))

    def fin(self, role: int) -> int:
        """A subflow FIN with a DATA_ACK."""
        talk = self.talk
        return self.segment(role, FIN | ACK, talk.dss(role, dack=talk.next_dsn[1 - role]))

    def rst(self, role: int, reason: int | None = None, *options: Option | bytes | None) -> int:
        """A RST, with MP_TCPRST if a reason is given."""
        why = None if reason is None else MpTcprst(reason=reason)
        return self.segment(role, RST | ACK, *options, why)

    def fastclose(self, role: int, *, key: int | None = None, flags: int = ACK) -> int:
        """An MP_FASTCLOSE with the receiver's key."""
        value = self.talk.keys[1 - role] if key is None else key
        return self.segment(role, flags, MpFastclose(key=value))

    def fail(self, role: int, dsn: int) -> int:
        """An MP_FAIL for a relative DSN of the peer, beside a DATA_ACK."""
        return self.ack(role, MpFail(dsn=self.talk.absolute(1 - role, dsn)))
