"""One connection of the stack: data sequence numbers, both streams, and its application's door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mptcp_oracle import crypto
from mptcp_oracle.constants import CAPABLE_CHECKSUM, CAPABLE_HMAC
from mptcp_oracle.live.peer.flow import MSS, End
from mptcp_oracle.live.peer.segment import ACK, MASK_32, RST, Segment
from mptcp_oracle.live.stack import signals
from mptcp_oracle.live.stack.incoming import Incoming
from mptcp_oracle.live.stack.subflow import (
    WINDOW,
    Sent,
    Subflow,
    flags_of,
)
from mptcp_oracle.options import (
    Dss,
    MpCapable,
    MpFastclose,
    MpJoinAck,
    MpJoinSynAck,
)
from mptcp_oracle.seq import extend, signed_distance

if TYPE_CHECKING:
    from mptcp_oracle.live.stack.host import StackTarget

__all__ = ["Session"]

VERSION = 1
MASK_64 = (1 << 64) - 1
DATA_RTO = 0.3
MOST_TRIES = 5
FASTCLOSES = 3


class Session:
    """One connection; DSNs are relative, the first octet has 1.

    Attributes:
        plain: Whether it is plain TCP. infinite: Whether it has sent an infinite mapping.
        una, next: First DSN that is not DATA_ACKed; next to be sent. edge: Where the window ends.
        incoming: The peer's stream. over: Whether nothing is left of it.
        error: For the application.
    """

    def __init__(self, host: StackTarget, role: str, key: int) -> None:
        self.host, self.role, self.key = host, role, key
        self.peer_key = 0
        self.checksum = self.plain = self.infinite = self.over = self.aborting = False
        self.flows: list[Subflow] = []
        self.una = self.next = 1
        self.edge = 1 + WINDOW
        self.known: dict[int, set[End]] = {}
        self.failed = False
        self.error = ""
        self.incoming = Incoming(self)
        self._written = bytearray()
        self._fin = 0
        self._timing = False
        self._tries = 0

    @property
    def faults(self) -> frozenset[str]:
        """The host's faults."""
        return self.host.faults

    def subflow(self, local: End, remote: End) -> Subflow:
        """A new subflow."""
        made = Subflow(self, local, remote, self.host.number(), self.host.number() | 1)
        self.flows.append(made)
        return made

    # --- the application -------------------------------------------------------------------

    def write(self, octets: bytes) -> int:
        """Take octets to send."""
        self._written += octets
        self.push()
        return len(octets)

    def read(self) -> bytes:
        """Give what arrived."""
        return self.incoming.read()

    @property
    def eof(self) -> bool:
        """Whether the peer's stream has ended."""
        return self.incoming.ended

    def finish(self) -> None:
        """End the own direction."""
        self._fin = len(self._written) + 1
        self.push()

    def close(self) -> None:
        """Close both directions."""
        self.finish()

    def abort(self, tries: int = 0) -> None:
        """Send MP_FASTCLOSE on an ACK until a RST comes, and in the end on a RST."""
        flow = next((each for each in self.flows if each.usable), None)
        if flow is None or self.over:
            return
        self.aborting = True
        for other in self.flows:
            if other is not flow and other.state == "ESTABLISHED":
                other.reset()
        option = MpFastclose(key=self.peer_key)
        if tries <= FASTCLOSES:
            flow.transmit(ACK, option)
            if "fastclose-once" not in self.faults:
                self.host.after(DATA_RTO * 2**tries, lambda: self.abort(tries + 1))
        else:
            flow.transmit(RST | ACK, option)
            self.over = True
            flow.end()

    # --- options ---------------------------------------------------------------------------

    @property
    def base(self) -> int:
        """The own IDSN."""
        return crypto.idsn(self.key, VERSION)

    @property
    def peer_base(self) -> int:
        """The peer's IDSN."""
        return crypto.idsn(self.peer_key, VERSION)

    def capable(self, payload: bytes = b"") -> MpCapable:
        """MP_CAPABLE with both keys, and the mapping of first data."""
        checksum = None
        if payload and self.checksum:
            checksum = crypto.dss_checksum((self.base + 1) & MASK_64, 1, len(payload), payload)
        return MpCapable(
            version=VERSION,
            flags=CAPABLE_HMAC | (CAPABLE_CHECKSUM if self.checksum else 0),
            sender_key=self.key,
            receiver_key=self.peer_key,
            data_length=len(payload) or None,
            checksum=checksum,
        )

    def data_ack(self) -> Dss:
        """A DSS with a DATA_ACK."""
        return Dss.of(data_ack=self.due())

    def due(self) -> int:
        """The absolute DSN of what it gets next."""
        due = (self.peer_base + self.incoming.expected) & MASK_64
        if "dsn-of-32-bits" in self.faults:
            due = (self.peer_base & ~MASK_32) | (due & MASK_32)
        return due

    def mapping(self, payload: bytes, dsn: int, ssn: int, *, fin: bool = False) -> Dss:
        """A DSS with a mapping and a DATA_ACK."""
        absolute, length = (self.base + dsn) & MASK_64, len(payload) + fin
        checksum = crypto.dss_checksum(absolute, ssn, length, payload) if self.checksum else None
        return Dss.of(
            data_ack=self.due(), dsn=absolute, ssn=ssn, dll=length, checksum=checksum,
            data_fin=fin,
        )  # fmt: skip

    def _hmac(self, flow: Subflow, *, mine: bool) -> dict[str, int]:
        keys, nonces = (self.key, self.peer_key), (flow.nonce, flow.remote_nonce)
        if not mine:
            keys, nonces = keys[::-1], nonces[::-1]
        return {
            "version": VERSION,
            "sender_key": keys[0],
            "receiver_key": keys[1],
            "sender_nonce": nonces[0],
            "receiver_nonce": nonces[1],
        }

    def join_synack(self, flow: Subflow) -> MpJoinSynAck:
        """MP_JOIN of a SYN/ACK."""
        mine = "join-hmac-of-the-wrong-end" not in self.faults
        hmac = crypto.join_synack_hmac(**self._hmac(flow, mine=mine))
        return MpJoinSynAck(address_id=0, hmac=hmac, nonce=flow.nonce)

    def join_ack(self, flow: Subflow) -> MpJoinAck:
        """MP_JOIN of a third packet."""
        return MpJoinAck(hmac=crypto.join_ack_hmac(**self._hmac(flow, mine=True)))

    def expected_synack(self, flow: Subflow) -> bytes:
        """The HMAC that the peer's SYN/ACK must have."""
        return crypto.join_synack_hmac(**self._hmac(flow, mine=False))

    def expected_ack(self, flow: Subflow) -> bytes:
        """The HMAC that the peer's third packet must have."""
        return crypto.join_ack_hmac(**self._hmac(flow, mine=False))

    # --- sending ---------------------------------------------------------------------------

    def push(self) -> None:
        """Send what may be sent."""
        if self.aborting or self.over:
            return
        stopped = bool(self.incoming.fin) and "data-fin-closes-both" in self.faults
        while not stopped and self.next <= len(self._written):
            flow = self._chosen()
            count = min(MSS, len(self._written) + 1 - self.next, self._allowance(flow))
            if flow is None or count <= 0:
                break
            payload = bytes(self._written[self.next - 1 : self.next - 1 + count])
            self._send(flow, payload, self.next)
            self.next += count
        if self._fin and self.next == self._fin:
            self.next += 1
            self._send_fin()

    def _allowance(self, flow: Subflow | None) -> int:
        if flow is None:
            return 0
        if self.plain or self.infinite:
            stuck = "infinite-mapping-needs-data-acks" in self.faults and self.infinite
            return self.edge - self.next if stuck else flow.una + flow.window - flow.next
        return self.edge - self.next

    def _chosen(self) -> Subflow | None:
        """The subflow for the next data: the first regular one, else the first backup."""
        usable = [each for each in self.flows if each.usable]
        regular = [each for each in usable if not each.backup] or usable
        return next((each for each in regular if each.room), None)

    def _send(self, flow: Subflow, payload: bytes, dsn: int) -> None:
        if self.plain:
            flow.transmit(flags_of(payload), payload=payload, dsn=dsn)
            return
        first = self.role == "initiator" and not flow.joined and dsn == 1 and not flow.confirmed
        if self.failed and not self.infinite:
            self.infinite = True
            flow.transmit(flags_of(payload), self._endless(flow, dsn), payload=payload, dsn=dsn)
        elif self.infinite:
            flow.transmit(flags_of(payload), payload=payload, dsn=dsn)
        elif first:
            flow.transmit(flags_of(payload), self.capable(payload), payload=payload, dsn=dsn)
        else:
            option = self.mapping(payload, dsn, flow.next)
            flow.transmit(flags_of(payload), option, payload=payload, dsn=dsn)
        self._arm()

    def _endless(self, flow: Subflow, dsn: int) -> Dss:
        """An infinite mapping, from the last segment known to be intact."""
        place = flow.next
        intact = [x for x in flow.sent if x.payload and x.dsn + len(x.payload) <= self.una]
        if intact and "infinite-mapping-from-new-data" not in self.faults:
            place, dsn = intact[-1].place, intact[-1].dsn
        return Dss.of(
            data_ack=self.due(),
            dsn=(self.base + dsn) & MASK_64,
            ssn=place,
            dll=0,
            checksum=0 if self.checksum else None,
        )

    def _send_fin(self) -> None:
        flow = next((each for each in self.flows if each.usable), None)
        if flow is None:
            return
        if self.plain or self.infinite:
            flow.finish()
            return
        flow.transmit(ACK, self.mapping(b"", self._fin, 0, fin=True))
        self._arm()

    def _arm(self) -> None:
        if not self._timing and not self.plain:
            self._timing = True
            self.host.after(DATA_RTO * 2**self._tries, self._late)

    def _late(self) -> None:
        """Data was not DATA_ACKed in time: send it again, on any subflow."""
        self._timing = False
        done = self.una >= self.next or self.plain or self.infinite or self.over
        if done or self._tries >= MOST_TRIES:
            return
        self._tries += 1
        self.reinject()
        self._arm()

    def reinject(self) -> None:
        """Send again from the first DSN that is not DATA_ACKed."""
        flow = self._chosen()
        if flow is None:
            return
        end = min(self.next, len(self._written) + 1)
        payload = bytes(self._written[self.una - 1 : min(end - 1, self.una - 1 + MSS)])
        if payload:
            option = self.mapping(payload, self.una, flow.next)
            flow.transmit(flags_of(payload), option, payload=payload, dsn=self.una)
        elif self._fin and self.next > self._fin and "data-fin-once" not in self.faults:
            flow.transmit(ACK, self.mapping(b"", self._fin, 0, fin=True))

    def acked(self, value: int, size: int, window: int) -> None:
        """Take a DATA_ACK and the window beside it."""
        if size == 4 and "short-data-ack-refused" in self.faults:
            return
        whole = extend(value, 8 * size, (self.base + self.next) & MASK_64)
        place = signed_distance(whole, self.base, 64)
        if place > self.next:
            return
        if place > self.una:
            self.una, self._tries = place, 0
        edge = place + window
        self.edge = edge if "last-window-counts" in self.faults else max(self.edge, edge)
        self.settle()

    def opened(self, window: int) -> None:
        """Take the window of a segment without DATA_ACK; only a fault does."""
        if "window-of-every-segment" in self.faults:
            self.edge = max(self.edge, self.una + window)

    def first_window(self, window: int) -> None:
        """Take the window of the handshake."""
        self.edge = 1 + window

    def freed_by_subflow(self, records: list[Sent]) -> None:
        """A subflow acknowledged data; what the stack makes of it at data level."""
        inferred = "data-freed-by-subflow-acks" in self.faults
        for each in records:
            if each.payload and (self.plain or self.infinite or inferred):
                self.una = max(self.una, each.dsn + len(each.payload))

    def free_all(self) -> None:
        """Forget all that was sent, as if it were DATA_ACKed."""
        self.una = self.next

    def lost(self, flow: Subflow) -> None:
        """A subflow ended."""
        alive = [each for each in self.flows if each.state != "CLOSED"]
        if not alive and (self.plain or "connection-ends-with-its-subflows" in self.faults):
            self.over = True
        elif self.una < self.next and not self.over and flow.sent:
            self.reinject()

    def reset_all(self) -> None:
        """Reset every subflow; the connection is over."""
        self.over = True
        for each in self.flows:
            if each.state != "CLOSED":
                each.reset()

    def finish_all(self) -> None:
        """Send a FIN on every subflow."""
        for each in self.flows:
            each.acknowledge()
            each.finish()

    def fall_back(self) -> None:
        """Go on as plain TCP."""
        self.plain = True

    def settle(self) -> None:
        """Close the subflows once both DATA_FINs are acknowledged."""
        theirs = self.incoming.fin
        if self._fin and self.una > self._fin and 0 < theirs < self.incoming.expected:
            self.finish_all()

    def signals(self, flow: Subflow, segment: Segment) -> None:
        """Act on the MPTCP options of a segment."""
        if not self.plain:
            signals.heed(self, flow, segment)
