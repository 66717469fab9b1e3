"""One subflow of the raw peer: its numbers, and the segments that they make. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from mptcp_oracle.live.peer.segment import ACK, MASK_32, SYN, Segment
from mptcp_oracle.options import Address, Option
from mptcp_oracle.seq import signed_distance

__all__ = ["MSS", "End", "Flow"]

End = tuple[Address, int]
"""An address and a port."""

MSS = 1_400
WINDOW = 65_535


@dataclass(slots=True, kw_only=True, eq=False)
class Flow:
    """The raw peer's side of a subflow.

    Attributes:
        local, remote: Both ends.
        isn: Its own initial sequence number. next: What it sends next.
        remote_isn: The other side's, once known. expected: What it gets next.
        window: What it announces, in octets (there is no window scale).
        mss: The largest segment that it offers to take, in octets of payload.
        address_id: The Address ID of its local address. remote_id: Of the other, from MP_JOIN.
        nonce, remote_nonce: The random numbers of a join.
        joined: Whether it is a joined subflow, not the initial one.
        heard: The other side's segments, in order of arrival.
        maps: The other side's mappings: subflow sequence number, DSN (both relative), length.
        extra: TCP options of its own that go on its SYN after the MSS, as octets.
    """

    local: End
    remote: End
    isn: int
    next: int = -1
    remote_isn: int = 0
    expected: int = 0
    window: int = WINDOW
    mss: int = MSS
    address_id: int = 0
    remote_id: int = 0
    nonce: int = 0
    remote_nonce: int = 0
    joined: bool = False
    heard: list[Segment] = field(default_factory=list)
    maps: list[tuple[int, int, int]] = field(default_factory=list)
    extra: bytes = b""

    def __post_init__(self) -> None:
        if self.next < 0:
            self.next = self.isn

    @property
    def place(self) -> int:
        """The subflow sequence number of what it sends next; the first octet of data has 1."""
        return (self.next - self.isn) & MASK_32

    @property
    def reset(self) -> Segment | None:
        """The other side's RST, if one came."""
        return next((each for each in self.heard if each.rst), None)

    @property
    def finished(self) -> Segment | None:
        """The other side's FIN, if one came."""
        return next((each for each in self.heard if each.fin), None)

    def segment(
        self,
        flags: int,
        *options: Option,
        payload: bytes = b"",
        place: int | None = None,
        acknowledgment: int | None = None,
        window: int | None = None,
        urgent: int = 0,
    ) -> Segment:
        """A segment; what it takes of the sequence space counts as sent.

        Args:
            flags: TCP flags.
            *options: MPTCP options.
            payload: Data.
            place: Relative sequence number, if not the next one; then nothing counts as sent.
            acknowledgment: Instead of what is due, 32 bits.
            window: Instead of its own.
            urgent: The urgent pointer.
        """
        sequence = self.next if place is None else (self.isn + place) & MASK_32
        others = b"\x02\x04" + self.mss.to_bytes(2, "big") + self.extra if flags & SYN else b""
        due = self.expected if acknowledgment is None else acknowledgment
        made = Segment(
            source=self.local[0],
            destination=self.remote[0],
            source_port=self.local[1],
            destination_port=self.remote[1],
            sequence=sequence,
            acknowledgment=due if flags & ACK else 0,
            flags=flags,
            window=self.window if window is None else window,
            urgent=urgent,
            options=options,
            others=others,
            payload=payload,
        )
        if place is None:
            self.next = made.end
        return made

    def is_mine(self, segment: Segment) -> bool:
        """Whether a segment from the link belongs to this subflow."""
        return (segment.source, segment.source_port) == self.remote and (
            segment.destination,
            segment.destination_port,
        ) == self.local

    def take(self, segment: Segment) -> None:
        """Note a segment of the other side; what is in order counts as received."""
        self.heard.append(segment)
        if segment.syn:
            self.remote_isn = segment.sequence
            self.expected = segment.end
        elif not segment.rst:
            ahead = signed_distance(segment.sequence, self.expected, 32)
            if ahead <= 0 and signed_distance(segment.end, self.expected, 32) > 0:
                self.expected = segment.end

    def relative(self, segment: Segment) -> int:
        """The relative sequence number of the other side's segment."""
        return (segment.sequence - self.remote_isn) & MASK_32

    def acknowledged(self) -> int:
        """How far the other side has acknowledged, as a relative sequence number."""
        known = [each.acknowledgment for each in self.heard if each.ack and not each.rst]
        return max((signed_distance(each, self.isn, 32) for each in known), default=0)
