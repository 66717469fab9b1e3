"""One MPTCP connection of the raw peer: keys, data sequence numbers, and its options. No I/O.

DSNs are relative: the first octet of data has 1. Each option comes as the RFC has it, from
keyword arguments that say what is different, so that a script names its deviation and nothing
else.
"""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.constants import CAPABLE_CHECKSUM, CAPABLE_HMAC
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.segment import Segment
from mptcp_oracle.options import (
    AddAddr,
    Address,
    Dss,
    MpCapable,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
)
from mptcp_oracle.seq import extend, signed_distance

__all__ = ["Connection"]

VERSION = 1
MASK_64 = (1 << 64) - 1


class Connection:
    """The raw peer's view of a connection.

    Args:
        key: Its own key.
        checksum: Whether it asks for checksums.

    Attributes:
        key, peer_key: Both keys; the other's is 0 until it is known.
        checksum: Whether checksums are in use.
        flows: Its subflows; the first is the initial one.
        sent: DSN of the next octet that it sends. got: DSN of the next octet that it gets.
        acked: The highest DATA_ACK that came. fin: DSN of the other's DATA_FIN, if it came.
        content: The other's octets, those that are missing as zeros.
    """

    def __init__(self, key: int, *, checksum: bool = False) -> None:
        self.key, self.peer_key = key, 0
        self.checksum = checksum
        self.flows: list[Flow] = []
        self.sent = self.got = self.acked = 1
        self.fin: int | None = None
        self.content = bytearray()
        self._spans: list[tuple[int, int]] = []

    def learn(self, peer_key: int) -> None:
        """Take the other's key from its MP_CAPABLE."""
        self.peer_key = peer_key

    @property
    def base(self) -> int:
        """The own IDSN."""
        return crypto.idsn(self.key, VERSION)

    @property
    def peer_base(self) -> int:
        """The other's IDSN."""
        return crypto.idsn(self.peer_key, VERSION)

    # --- options ---------------------------------------------------------------------------

    def flags(self) -> int:
        """The flags of its MP_CAPABLE."""
        return CAPABLE_HMAC | (CAPABLE_CHECKSUM if self.checksum else 0)

    def capable(self, payload: bytes = b"", *, length: int | None = None) -> MpCapable:
        """MP_CAPABLE with both keys; with the length (and checksum) of data if there is some.

        Args:
            payload: The data that it maps.
            length: Another Data-Level Length.
        """
        octets = len(payload) if length is None else length
        checksum = None
        if octets and self.checksum:
            checksum = crypto.dss_checksum((self.base + 1) & MASK_64, 1, octets, payload)
        return MpCapable(
            version=VERSION,
            flags=self.flags(),
            sender_key=self.key,
            receiver_key=self.peer_key,
            data_length=octets or None,
            checksum=checksum,
        )

    def join_syn(self, flow: Flow, *, token: int | None = None, backup: bool = False) -> MpJoinSyn:
        """MP_JOIN for a SYN; its token names the connection at the other host."""
        right = crypto.token(self.peer_key, VERSION)
        return MpJoinSyn(
            backup=backup,
            address_id=flow.address_id,
            token=right if token is None else token,
            nonce=flow.nonce,
        )

    def join_synack(self, flow: Flow, *, wrong: bool = False) -> MpJoinSynAck:
        """MP_JOIN for a SYN/ACK."""
        hmac = crypto.join_synack_hmac(**self._hmac_of(flow))
        return MpJoinSynAck(
            address_id=flow.address_id, hmac=_bent(hmac) if wrong else hmac, nonce=flow.nonce
        )

    def join_ack(self, flow: Flow, *, wrong: bool = False) -> MpJoinAck:
        """MP_JOIN for the third packet."""
        hmac = crypto.join_ack_hmac(**self._hmac_of(flow))
        return MpJoinAck(hmac=_bent(hmac) if wrong else hmac)

    def hmac_expected(self, flow: Flow) -> bytes:
        """The HMAC that the other host's SYN/ACK must have."""
        return crypto.join_synack_hmac(
            version=VERSION,
            sender_key=self.peer_key,
            receiver_key=self.key,
            sender_nonce=flow.remote_nonce,
            receiver_nonce=flow.nonce,
        )

    def add_addr(
        self,
        address_id: int,
        address: Address,
        port: int | None = None,
        *,
        wrong: bool = False,
        reserved: int = 0,
    ) -> AddAddr:
        """ADD_ADDR for an address of its own."""
        hmac = crypto.add_addr_hmac(
            sender_key=self.key,
            receiver_key=self.peer_key,
            address_id=address_id,
            address=address,
            port=port,
        )
        return AddAddr(
            version=VERSION,
            address_id=address_id,
            address=address,
            port=port,
            hmac=_bent(hmac) if wrong else hmac,
            reserved=reserved,
        )

    def data_ack(self, *, size: int = 8, beyond: int = 0) -> Dss:
        """A DSS with the DATA_ACK that is due, plus ``beyond``."""
        return Dss.of(data_ack=self._short(self.peer_base + self.got + beyond, size),
                      data_ack_size=size)  # fmt: skip

    def dss(
        self,
        flow: Flow,
        payload: bytes,
        *,
        start: int | None = None,
        place: int | None = None,
        length: int | None = None,
        ack: bool = True,
        ack_size: int = 8,
        dsn_size: int = 8,
        checksum: bool | None = None,
        wrong: bool = False,
        fin: bool = False,
    ) -> Dss:
        """A DSS that maps what a subflow sends next.

        Args:
            flow: The subflow.
            payload: The data.
            start: DSN, if not the next.
            place: Subflow sequence number, if not the next.
            length: Data-Level Length, if not that of the payload (and the DATA_FIN).
            ack: Whether there is a DATA_ACK.
            ack_size: Its octets, 4 or 8.
            dsn_size: The DSN's octets, 4 or 8.
            checksum: Whether there is a checksum, if not as negotiated.
            wrong: Whether the checksum is a wrong one.
            fin: Whether there is a DATA_FIN.
        """
        dsn = (self.base + (self.sent if start is None else start)) & MASK_64
        ssn = flow.place if place is None else place
        if not payload and fin:
            ssn = 0  # a DATA_FIN alone maps no octet of the subflow
        dll = len(payload) + fin if length is None else length
        value = None
        if self.checksum if checksum is None else checksum:
            value = crypto.dss_checksum(dsn, ssn, dll, payload) ^ (0x5A5A if wrong else 0)
        due = self._short(self.peer_base + self.got, ack_size) if ack else None
        return Dss.of(
            data_ack=due,
            data_ack_size=ack_size,
            dsn=self._short(dsn, dsn_size),
            dsn_size=dsn_size,
            ssn=ssn,
            dll=dll,
            checksum=value,
            data_fin=fin,
        )

    # --- what the other host says ----------------------------------------------------------

    def take(self, flow: Flow, segment: Segment) -> None:
        """Note the DSS of a segment, and the data that it brings."""
        for option in segment.options:
            match option:
                case Dss():
                    self._take_dss(flow, option)
                case MpCapable(data_length=int(length)) if not segment.syn:
                    flow.maps.append((1, 1, length))
        span = self.span(flow, segment)
        if span is not None:
            first, last = span
            if last - 1 > len(self.content):
                self.content += bytes(last - 1 - len(self.content))
            self.content[first - 1 : last - 1] = segment.payload[: last - first]
            self._spans.append(span)
            self._advance()

    def span(self, flow: Flow, segment: Segment) -> tuple[int, int] | None:
        """The DSNs of the other host's payload: first, and one after the last."""
        place = flow.relative(segment)
        for ssn, dsn, length in reversed(flow.maps):
            if segment.payload and ssn <= place < ssn + length:
                first = dsn + place - ssn
                return first, first + min(len(segment.payload), ssn + length - place)
        return None

    def data_acks(self, segment: Segment) -> list[int]:
        """The DATA_ACKs of a segment, as relative DSNs."""
        return [
            self._relative(each.data_ack, each.data_ack_size, self.base, self.sent)
            for each in segment.options
            if isinstance(each, Dss) and each.data_ack is not None
        ]

    def _take_dss(self, flow: Flow, option: Dss) -> None:
        if option.data_ack is not None:
            ack = self._relative(option.data_ack, option.data_ack_size, self.base, self.sent)
            self.acked = max(self.acked, ack)
        if option.dsn is not None and option.ssn is not None and option.dll:
            dsn = self._relative(option.dsn, option.dsn_size, self.peer_base, self.got)
            octets = option.dll - option.data_fin
            if octets:
                flow.maps.append((option.ssn, dsn, octets))
            if option.data_fin:
                self.fin = dsn + octets
                self._advance()

    def _advance(self) -> None:
        moved = True
        while moved:
            moved = False
            for first, last in self._spans:
                if first <= self.got < last:
                    self.got, moved = last, True
        if self.fin is not None and self.got == self.fin:
            self.got += 1

    def _relative(self, value: int, size: int, base: int, near: int) -> int:
        whole = extend(value, 8 * size, (base + near) & MASK_64)
        return signed_distance(whole, base, 64)

    def _short(self, value: int, size: int) -> int:
        return value & ((1 << 8 * size) - 1)

    def _hmac_of(self, flow: Flow) -> dict[str, int]:
        return {
            "version": VERSION,
            "sender_key": self.key,
            "receiver_key": self.peer_key,
            "sender_nonce": flow.nonce,
            "receiver_nonce": flow.remote_nonce,
        }


def _bent(octets: bytes) -> bytes:
    """The octets with their last bit changed."""
    return octets[:-1] + bytes([octets[-1] ^ 1])
