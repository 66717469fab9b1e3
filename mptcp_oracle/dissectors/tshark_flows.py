"""TCP streams as tshark keeps them: which segments are one, what numbers count from, what is sent
again.

Only what MPTCP's fields rest on, and what is compared: no windows beyond their being zero, no
bytes in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from mptcp_oracle.dissectors.view import Segment
from mptcp_oracle.seq import signed_distance

__all__ = ["Flow", "Stream", "Streams"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
MODULO = 1 << 32
#: Nanoseconds: after the segment with the highest number, within which a lower one is called out
#: of order before a round-trip time is known; after the last ACK, for a fast retransmission.
EARLY, FAST = 3_000_000, 20_000_000

Endpoint = tuple[str, int]


@dataclass(slots=True, eq=False)
class Flow:
    """One direction of a stream.

    Attributes:
        base: What sequence numbers count from, ``None`` at first. syn: Whether a SYN gave it.
        subflow: What MPTCP makes of it. next: The next sequence number, 0 if there is none yet.
        seen: Whether there is one.
    """

    base: int | None = None
    syn: bool = False
    subflow: Any = None
    next: int = 0
    seen: bool = False
    next_time: int = 0
    proved: int = 0
    window: int = MODULO - 1
    ack: int = 0
    ack_time: int = 0
    repeated: int = 0
    alive: bool = False
    probed: bool = False
    operations: int = 0


@dataclass(slots=True, eq=False)
class Stream:
    """One stream.

    Attributes:
        number: As tshark counts. flows: By endpoint of the sender. mptcp: Its MPTCP connection.
        joins: How many MP_JOIN SYNs it has had. failed: Whether its handshake failed an assertion.
        syn_time, rtt: Of its handshake, in nanoseconds.
    """

    number: int
    flows: dict[Endpoint, Flow] = field(default_factory=dict)
    mptcp: Any = None
    joins: int = 0
    failed: bool = False
    syn_time: int = 0
    rtt: int = 0
    _ordered: list[Endpoint] = field(default_factory=list)

    def flow(self, endpoint: Endpoint) -> Flow:
        """What an endpoint sends."""
        found = self.flows.get(endpoint)
        if found is None:
            found = self.flows[endpoint] = Flow()
            self._ordered = sorted(self.flows, key=_order, reverse=True)
        return found

    def by_address(self) -> list[Flow]:
        """The flows, that from the higher address first."""
        return [self.flows[each] for each in self._ordered]


def _order(endpoint: Endpoint) -> tuple[int, int, int]:
    address = ip_address(endpoint[0])
    return address.version, int(address), endpoint[1]


def endpoints(segment: Segment) -> tuple[Endpoint, Endpoint]:
    """Where a segment comes from and where it goes."""
    end, other = segment.end, segment.other_end
    return (end["address"], end["port"]), (other["address"], other["port"])


class Streams:
    """All streams of a capture, fed segment by segment."""

    def __init__(self) -> None:
        self._latest: dict[frozenset[Endpoint], Stream] = {}
        self._ends: dict[tuple[int, str], tuple[Endpoint, Endpoint, frozenset[Endpoint]]] = {}
        self._count = 0

    def take(self, segment: Segment) -> tuple[Stream, Flow, Flow]:
        """The stream of a segment, and its flows from its sender and to it."""
        whose = (segment.subflow["subflow"], segment.origin)
        ends = self._ends.get(whose)
        if ends is None:
            both = endpoints(segment)
            ends = self._ends[whose] = (*both, frozenset(both))
        one, other, key = ends
        flags, number = segment.flags, segment.number
        stream = self._latest.get(key) or self._new(key)
        own = stream.flow(one)
        if flags & (SYN | ACK) == SYN and own.base is not None:
            if own.base != number:
                stream = self._new(key)
                own = stream.flow(one)
            else:
                own.next = own.proved
        if flags & (SYN | ACK) == SYN | ACK and own.base not in (None, number):
            own.base = number
        return stream, own, stream.flow(other)

    def _new(self, key: frozenset[Endpoint]) -> Stream:
        stream = self._latest[key] = Stream(self._count)
        self._count += 1
        return stream


def based(segment: Segment, own: Flow, other: Flow) -> None:
    """Learn what numbers count from."""
    if own.base is None:
        own.syn = segment.syn
        own.base = segment.number if own.syn else (segment.number - 1) % MODULO
    if other.base is None and segment.ack is not None:
        other.base = (segment.ack - 1) % MODULO


def sent_again(segment: Segment, stream: Stream, own: Flow, other: Flow) -> set[str]:
    """What the sequence analysis says of a segment, after which it has learnt from it.

    Returns:
        Some of ``retransmission``, ``out_of_order``, ``zero_window_probe``.
    """
    flags, length, window = segment.flags, segment.payload, segment.window
    number = segment.number
    ack = 0 if segment.ack is None else segment.ack
    now, control = segment.time, flags & (SYN | FIN)
    quiet = not flags & (SYN | FIN | RST)
    said: set[str] = set()
    alive = probe = False
    if length == 1 and number == own.next and other.window == 0:
        said.add("zero_window_probe")
        probe = True
    else:
        alive = length <= 1 and number == (own.next - 1) % MODULO and quiet
        again = (
            length == 0 and window == own.window and number == own.next and ack == own.ack
            and quiet
        )  # fmt: skip
        answer = again and ((window and other.alive) or (not window and other.probed))
        if again and window and not answer and not _changed(stream, own):
            own.repeated = 1 if own.repeated == -1 else own.repeated + 1
    if ack != own.ack:
        own.repeated = 0
    if other.proved and flags & ACK and _after(ack, other.proved):
        if _after(other.next, other.proved):
            other.proved = other.next
        else:
            other.repeated = -1
    if (length or control) and not alive:
        said |= _copied(number, length, control, now, stream, own, other)
    end = number + length + ((1 if control else 0) if length or control else 0)
    end %= MODULO
    if (_after(end, own.next) or not own.next) and not probe:
        own.next, own.next_time, own.seen = end, now, True
    if (number == own.proved or not own.proved) and not probe:
        own.proved = own.next
    own.window, own.ack, own.ack_time = window, ack, now
    own.alive, own.probed = alive, probe
    if stream.mptcp is not None:
        own.operations = stream.mptcp.operations
    return said


def _copied(
    number: int, length: int, control: int, now: int, stream: Stream, own: Flow, other: Flow
) -> set[str]:
    low = bool(own.next) and _after(own.next, number)
    if length > 1 and (own.next - 1) % MODULO == number:
        low = False
    if length and other.ack and not _after((number + length) % MODULO, other.ack):
        return {"retransmission"}
    if low and other.repeated >= 2 and other.ack == number and now - other.ack_time < FAST:
        return {"retransmission"}
    end = (number + length + (1 if control else 0)) % MODULO
    if low and now - own.next_time < (stream.rtt or EARLY) and own.next != end:
        return {"out_of_order"}
    return {"retransmission"} if low else set()


def timed(segment: Segment, stream: Stream) -> None:
    """Learn the round-trip time of the handshake."""
    flags = segment.flags
    if flags & (SYN | ACK) == SYN:
        stream.syn_time = segment.time
    if flags & (SYN | ACK) == ACK and stream.syn_time and not stream.rtt:
        stream.rtt = segment.time - stream.syn_time


def _changed(stream: Stream, own: Flow) -> bool:
    return stream.mptcp is not None and stream.mptcp.operations != own.operations


def _after(one: int, other: int) -> bool:
    """Whether a sequence number comes after another one."""
    return signed_distance(one, other, 32) > 0
