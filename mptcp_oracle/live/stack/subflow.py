"""One subflow of the stack: TCP, with MPTCP's handshakes. Numbers are relative; the SYN has 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mptcp_oracle.live.peer.flow import MSS, End
from mptcp_oracle.live.peer.segment import ACK, FIN, MASK_32, PSH, RST, SYN, Segment
from mptcp_oracle.options import Dss, MpCapable, MpFail, MpJoinAck, MpJoinSynAck, MpTcprst, Option
from mptcp_oracle.seq import signed_distance

if TYPE_CHECKING:
    from mptcp_oracle.live.stack.session import Session

__all__ = ["WINDOW", "Sent", "Subflow"]

WINDOW = 65_535
RTO, KEEPALIVE = 0.2, 1.0
MOST_TRIES = 6
CREDIT = 10
"""Segments that may be in flight on a subflow."""
INTERFERENCE, MPTCP_ERROR = 6, 1


@dataclass(slots=True, kw_only=True)
class Sent:
    """A segment that may have to be sent again: what it took, and the DSN of its first octet."""

    place: int
    flags: int
    options: tuple[Option, ...]
    payload: bytes
    dsn: int = 0

    @property
    def end(self) -> int:
        """The sequence number after it."""
        return self.place + len(self.payload) + bool(self.flags & (SYN | FIN))


class Subflow:
    """One subflow.

    Attributes:
        state: ``SYN_SENT``, ``SYN_RCVD``, ``PRE_ESTABLISHED``, ``ESTABLISHED`` or ``CLOSED``.
        next, una: What it sends next; the first that is not acknowledged.
        expected: What it gets next. window: What the peer announced last.
        sent: Everything with payload that it ever sent. unmapped: Octets without mapping so far.
        confirmed: Whether a DATA_ACK came on it. finished: Whether it sent a FIN.
    """

    def __init__(self, session: Session, local: End, remote: End, isn: int, nonce: int) -> None:
        self.session, self.local, self.remote = session, local, remote
        self.isn, self.nonce = isn, nonce
        self.state = "SYN_SENT"
        self.next = self.una = self.expected = 0
        self.remote_isn = self.remote_nonce = self.remote_id = 0
        self.window = WINDOW
        self.joined = self.backup = self.confirmed = self.finished = self.ended = False
        self.sent: list[Sent] = []
        self.unmapped = self.duplicates = self.tries = 0
        self.answers = 0
        self._queue: list[Sent] = []
        self._early: dict[int, Segment] = {}
        self._timing = False

    @property
    def faults(self) -> frozenset[str]:
        """The host's faults."""
        return self.session.host.faults

    @property
    def usable(self) -> bool:
        """Whether new data may go over it."""
        return self.state == "ESTABLISHED" and not self.finished and not self.ended

    @property
    def room(self) -> bool:
        """Whether another segment may be in flight."""
        return len(self._queue) < CREDIT

    def is_mine(self, segment: Segment) -> bool:
        """Whether a segment is one of this subflow."""
        return (segment.source, segment.source_port) == self.remote and (
            segment.destination,
            segment.destination_port,
        ) == self.local

    # --- sending ---------------------------------------------------------------------------

    def transmit(
        self, flags: int, *options: Option, payload: bytes = b"", place: int | None = None,
        dsn: int = 0,
    ) -> None:  # fmt: skip
        """Send a segment; what takes sequence numbers is kept until it is acknowledged."""
        where = self.next if place is None else place
        if place is None and (payload or flags & (SYN | FIN)):
            made = Sent(place=where, flags=flags, options=options, payload=payload, dsn=dsn)
            self.next = made.end
            self._queue.append(made)
            self.sent.append(made)
            self._arm()
        elif flags & SYN:
            self.next = 1
        others = b"\x02\x04" + MSS.to_bytes(2, "big") if flags & SYN else b""
        self.session.host.emit(
            Segment(
                source=self.local[0],
                destination=self.remote[0],
                source_port=self.local[1],
                destination_port=self.remote[1],
                sequence=(self.isn + where) & MASK_32,
                acknowledgment=(self.remote_isn + self.expected) & MASK_32 if flags & ACK else 0,
                flags=flags,
                window=WINDOW,
                options=options,
                others=others,
                payload=payload,
            )
        )

    def acknowledge(self, *more: Option) -> None:
        """Send an ACK, with the DATA_ACK that is due."""
        options = () if self.session.plain else (self.session.data_ack(),)
        if self.state in ("ESTABLISHED", "PRE_ESTABLISHED"):
            self.transmit(ACK, *(options if self.session.peer_key else ()), *more)

    def reset(self, code: int = 0, *more: Option) -> None:
        """Send a RST and forget the subflow."""
        reasons = () if self.session.plain else self.session.host.reasons(code)
        self.transmit(RST | ACK, *more, *reasons)
        self.end()

    def end(self) -> None:
        """Be closed, without a word."""
        if self.state != "CLOSED":
            self.state = "CLOSED"
            self._queue.clear()
            self.session.lost(self)

    def finish(self) -> None:
        """Send a FIN."""
        if not self.finished and self.state == "ESTABLISHED":
            self.finished = True
            options = () if self.session.plain else (self.session.data_ack(),)
            self.transmit(FIN | ACK, *options)

    def probe(self, tries: int = 0, heard: int | None = None) -> None:
        """Ask by keepalives whether the path is alive; if nothing answers, end it."""
        if self.state != "ESTABLISHED" or (heard is not None and self.answers > heard):
            return
        if tries == 3:
            if "removal-by-fin" in self.faults:
                self.finish()
            else:
                self.reset()
            return
        known = self.answers
        self.transmit(ACK, place=self.next - 1)
        self.session.host.after(KEEPALIVE, lambda: self.probe(tries + 1, known))

    def _arm(self) -> None:
        if not self._timing:
            self._timing = True
            self.session.host.after(RTO * 2**self.tries, self._late)

    def _late(self) -> None:
        self._timing = False
        if not self._queue or self.state == "CLOSED":
            return
        if self.tries >= MOST_TRIES:
            self.end()
            return
        self.tries += 1
        self._again()
        self._arm()

    def _again(self) -> None:
        first = self._queue[0]
        self.transmit(first.flags, *first.options, payload=first.payload, place=first.place)

    # --- hearing ---------------------------------------------------------------------------

    def begin(self, syn: Segment) -> None:
        """Take the peer's SYN."""
        self.remote_isn, self.expected = syn.sequence, 1
        self.window = syn.window
        if not self.joined:
            self.session.first_window(syn.window)

    def take(self, segment: Segment) -> None:
        """Take a segment of the peer."""
        place = signed_distance(segment.sequence, (self.remote_isn + 1) & MASK_32, 32) + 1
        if self.state == "SYN_SENT":
            self._take_synack(segment)
            return
        fits = -WINDOW <= place - self.expected < WINDOW
        if not fits or (segment.rst and place != self.expected):
            if "signals-before-checks" in self.faults and self.state == "ESTABLISHED":
                self.session.signals(self, segment)
            elif not segment.rst:
                self.acknowledge()
            return
        self.answers += 1
        if segment.rst:
            self._take_reset(segment)
            return
        if segment.syn:
            self.acknowledge()
            return
        if self.state == "SYN_RCVD" and not self._complete(segment):
            return
        if self.state == "PRE_ESTABLISHED":
            self.state = "ESTABLISHED"
        self._take_ack(segment)
        if self.state == "CLOSED":
            return
        self.session.signals(self, segment)
        if self.state != "CLOSED" and (segment.payload or segment.fin):
            self._take_payload(place, segment)
        elif place < self.expected:
            self.acknowledge()
        self.session.push()

    def _take_synack(self, segment: Segment) -> None:
        session = self.session
        if segment.rst:
            self.end()
            return
        if not segment.syn or not segment.ack:
            return
        self.begin(segment)
        self.una, self._queue, self.next = 1, [], 1
        if self.joined:
            join = next((x for x in segment.options if isinstance(x, MpJoinSynAck)), None)
            self.remote_nonce = join.nonce if join else 0
            right = join is not None and join.hmac == session.expected_synack(self)
            if not right and "synack-hmac-not-checked" not in self.faults:
                self.reset(MPTCP_ERROR)
                return
            self.state = "PRE_ESTABLISHED"
            self._third(0)
            return
        capable = next((x for x in segment.options if isinstance(x, MpCapable)), None)
        good = capable is not None and session.host.acceptable(capable)
        if capable is None or not good or capable.sender_key is None or session.plain:
            session.plain = True
            self.state = "ESTABLISHED"
            self.acknowledge()
        else:
            session.checksum |= capable.checksum_required
            session.peer_key = capable.sender_key
            self.state = "ESTABLISHED"
            self.transmit(ACK, session.capable())
        session.push()

    def _third(self, tries: int) -> None:
        """Send the third packet of a join until the fourth comes."""
        if self.state == "PRE_ESTABLISHED" and tries <= MOST_TRIES:
            self.transmit(ACK, self.session.join_ack(self))
            if "join-ack-once" not in self.faults:
                self.session.host.after(RTO * 2**tries, lambda: self._third(tries + 1))

    def _complete(self, segment: Segment) -> bool:
        """Take the third packet; whether it may go on."""
        session = self.session
        self.una, self._queue = 1, []
        if self.joined:
            join = next((x for x in segment.options if isinstance(x, MpJoinAck)), None)
            right = join is not None and join.hmac == session.expected_ack(self)
            if not right and "ack-hmac-not-checked" not in self.faults:
                if "failed-join-ends-connection" in self.faults:
                    session.reset_all()
                self.reset(MPTCP_ERROR)
                return False
            self.state = "ESTABLISHED"
            self.acknowledge()
            return True
        capable = next((x for x in segment.options if isinstance(x, MpCapable)), None)
        self.state = "ESTABLISHED"
        good = capable is not None and session.host.acceptable(capable)
        if capable is not None and good and capable.receiver_key == session.key:
            session.peer_key = capable.sender_key or 0
        elif "third-packet-not-checked" in self.faults:
            session.peer_key = session.peer_key or 1
        else:
            session.plain = True
        session.host.accepted(session)
        return True

    def _take_reset(self, segment: Segment) -> None:
        option = next((x for x in segment.options if isinstance(x, MpTcprst)), None)
        if option is not None and option.flags & 0x0E and "tcprst-flags-heeded" in self.faults:
            return
        told = any(isinstance(each, MpFail) for each in segment.options)
        if told and "failed-data-not-sent-again" in self.faults:
            self.session.free_all()
        if self.session.aborting:
            self.session.over = True
        self.session.signals(self, segment)
        self.end()
        if "rst-ends-connection" in self.faults:
            self.session.reset_all()

    def _take_ack(self, segment: Segment) -> None:
        place = signed_distance(segment.acknowledgment, self.isn, 32)
        if place > self.next:
            return
        dss = next((x for x in segment.options if isinstance(x, Dss)), None)
        covers = dss is not None and dss.data_ack is not None
        self.confirmed |= covers
        if place > self.una:
            data = any(each.payload for each in self._queue if each.end <= place)
            self.session.freed_by_subflow([x for x in self._queue if x.end <= place])
            self._queue = [each for each in self._queue if each.end > place]
            self.una, self.duplicates, self.tries = place, 0, 0
            if data and not covers:
                self._unconfirmed()
        elif place == self.una and self._queue and not segment.payload and not segment.fin:
            signals = any(not isinstance(each, Dss) for each in segment.options)
            if not signals or "signals-count-as-duplicate-acks" in self.faults:
                self.duplicates += 1
                if self.duplicates == 3:
                    self._again()
        self.window = segment.window
        if self.finished and self.ended and not self._queue:
            self.end()

    def _unconfirmed(self) -> None:
        """Data was acknowledged without a DATA_ACK (RFC 8684 section 3.7)."""
        session = self.session
        always = "every-ack-needs-data-ack" in self.faults
        if session.plain or session.infinite or (self.confirmed and not always):
            return
        if "missing-data-acks-ignored" in self.faults:
            return
        if self.joined or len(session.flows) > 1:
            self.reset(INTERFERENCE)
        else:
            session.fall_back()

    def _take_payload(self, place: int, segment: Segment) -> None:
        session = self.session
        if place > self.expected:
            self._early[place] = segment
            if "subflow-order-ignored" in self.faults:
                session.incoming.arrived(self, place, segment)
            self.acknowledge()
            return
        took = self._in_order(place, segment)
        while took and self.expected in self._early:
            took = self._in_order(self.expected, self._early.pop(self.expected))
        if took and self.state == "ESTABLISHED":
            self.acknowledge()
            session.settle()

    def _in_order(self, place: int, segment: Segment) -> bool:
        """Take payload that is in order; whether it is acknowledged."""
        end = place + len(segment.payload)
        new = end > self.expected
        before = self.expected
        self.expected = max(self.expected, end)
        if new and not self.session.incoming.arrived(self, place, segment):
            self.expected = before
            return False
        if segment.fin and end == self.expected and self.state != "CLOSED":
            self.expected += 1
            self.ended = True
            if "fin-ends-connection" in self.faults:
                self.session.finish_all()
            elif not self.session.plain:
                self.acknowledge()
                self.finish()
        return self.state != "CLOSED"


def flags_of(payload: bytes) -> int:
    """The flags of a segment with payload."""
    return ACK | PSH if payload else ACK
