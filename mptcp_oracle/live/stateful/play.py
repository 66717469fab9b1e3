"""One sequence at work: the connection, what the application has read, and what must hold."""

from __future__ import annotations

from collections.abc import Callable

from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import Peer, own_address
from mptcp_oracle.live.peer.segment import ACK, PSH, RST, Segment
from mptcp_oracle.live.peer.target import Application, Target
from mptcp_oracle.live.stateful.tracker import Tracker
from mptcp_oracle.options import Option

__all__ = ["MOST_FLOWS", "FindingError", "Play"]

MOST_FLOWS = 5
MOST_OCTETS = 30_000
SOON = 0.5
"""Seconds that an answer may take; a kernel gives it within the peer's own call."""


class FindingError(Exception):
    """The implementation did what it must not do, or not what it must.

    Attributes:
        kind: What, without the numbers of the sequence.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Play:
    """One connection of a sequence.

    Attributes:
        peer, target: The two ends. connection: The raw peer's view.
        tracker: Where the implementation is in the model's tables.
        alive: Subflows on which data can go both ways.
        read: What the application has read. written: How much it has written.
        finished: Whether the raw peer has sent its DATA_FIN.
        calls: Whether the implementation is the initiator.
        called: What the application called, in packetdrill's words, and the frame before it.
        removed: Whether a REMOVE_ADDR was sent before.
        copied: Whether a subflow brought octets that are no new ones of the stream.
    """

    def __init__(self, peer: Peer, target: Target) -> None:
        self.peer, self.target = peer, target
        self.connection: Connection
        self.app: Application
        self.tracker = Tracker("M_LISTEN")
        self.alive: list[Flow] = []
        self.read = bytearray()
        self.written = 0
        self.finished = False
        self.addresses = 1
        self.calls = self.copied = self.removed = False
        self.called: list[tuple[int, str]] = []
        self._ranges: list[tuple[int, int]] = []

    # --- how it begins and ends ------------------------------------------------------------

    def begin(self, *, calls: bool, checksum: bool) -> None:
        """Set the connection up, with data both ways.

        Args:
            calls: Whether the implementation connects, not the raw peer.
            checksum: Whether checksums are in use.
        """
        peer, self.calls = self.peer, calls
        if calls:
            self.tracker = Tracker("M_CLOSED")
            self.app = self.target.connect(own_address(peer.family, 1), 6_000)
            self.connection = peer.connection(checksum=checksum)
            flow = peer.answer(self.connection)
            self.take("C01", "S01", "C04", "S29", "D07")
            self.alive = [flow]
            self.write(50)
            self.put(flow, 1, 50)
            self.connection.sent += 50
            self.await_acked(flow)
        else:
            self.connection = peer.connect(checksum=checksum)
            peer.first_data(self.connection, 50)
            accepted = self.target.accept()
            if accepted is None:
                raise FindingError("a connection is not accepted")
            self.app = accepted
            self.call("accept(3, ..., ...) = 4")
            self.alive = [self.connection.flows[0]]
            self.take("C02", "S19", "C06", "S20", "C09")

    def end(self) -> None:
        """Check the streams once more, reset what is left, and let the application close."""
        try:
            self.check()
        finally:
            for flow in self.connection.flows:
                if flow.reset is None and flow.remote_isn:
                    self.peer.send(flow.segment(RST | ACK))
            self.app.close()

    def take(self, *names: str) -> None:
        """Take transitions of the implementation."""
        for name in names:
            self.tracker.take(name)

    # --- what must hold --------------------------------------------------------------------

    def need(self, kind: str, holds: bool) -> None:
        """Hold the implementation to something.

        Raises:
            FindingError: It does not hold.
        """
        if not holds:
            raise FindingError(kind)

    def check(self) -> None:
        """What always holds: both streams are right, no subflow ends by itself."""
        connection = self.connection
        self.take_in()
        sent = self.peer.octets(1, len(self.read))
        self.need("the application reads octets that were not sent", bytes(self.read) == sent)
        self.need(
            "the application reads octets that no DATA_ACK covers",
            self.tracker.ended or len(self.read) < connection.acked,
        )
        self.need("a DATA_ACK covers what was not sent", connection.acked <= connection.sent)
        got = bytes(connection.content[: connection.got - 1])
        self.need("octets come that the application did not write", not got.strip(b"\xa5"))
        self.need("more comes than the application wrote", len(got) <= self.written)
        if not self.tracker.ended:
            for flow in self.alive:
                self.need("a subflow is reset without a cause", flow.reset is None)
                self.need("a subflow is closed without a cause", flow.finished is None)

    def await_acked(self, flow: Flow | None = None) -> None:
        """Data must be DATA_ACKed; an old octet makes a delayed acknowledgment come at once."""
        peer, connection = self.peer, self.connection
        if connection.acked < connection.sent and not peer.is_acked(connection, 0.001):
            for each in [flow] if flow is not None else self.alive:
                self.poke(each)
            self.need("data is not DATA_ACKed", peer.is_acked(connection, SOON))

    def poke(self, flow: Flow) -> None:
        """Send an octet that the subflow has received before: TCP answers at once."""
        if flow.place > 1:
            self.peer.send(flow.segment(ACK, payload=b"?", place=flow.place - 1))

    def heard(self, kind: str, wanted: Callable[[Segment], bool], mark: int) -> Segment:
        """A segment that must come after a frame."""
        for each in self.peer.since(mark):
            if wanted(each):
                return each
        found = self.peer.hear(wanted, SOON)
        if found is None:
            raise FindingError(kind)
        return found

    # --- what events are made of -----------------------------------------------------------

    @property
    def room(self) -> bool:
        """Whether more data fits the sequence."""
        return self.connection.sent + 2_000 < MOST_OCTETS and not self.finished

    @property
    def open(self) -> bool:
        """Whether MPTCP goes on, and a subflow is there."""
        return bool(self.alive) and not self.tracker.ended

    def flow(self, number: int) -> Flow:
        """One of the subflows that are alive."""
        return self.alive[number % len(self.alive)]

    def put(self, flow: Flow, start: int, count: int, **changes: int | bool) -> None:
        """Send a range of the stream on a subflow; it does not count as sent."""
        known = [(0, self.connection.sent), *self._ranges]
        self.copied |= any(start < last and first < start + count for first, last in known)
        self._ranges.append((start, start + count))
        payload = self.peer.octets(start, count)
        option = self.connection.dss(flow, payload, start=start, **changes)  # type: ignore[arg-type]
        self.peer.send(flow.segment(ACK | PSH, option, payload=payload))

    def order(self, number: int = 0) -> None:
        """Show by data (or a poke, after the DATA_FIN) that what was sent before is dealt with."""
        flow = self.flow(number)
        if self.room:
            self.put(flow, self.connection.sent, 10)
            self.connection.sent += 10
            self.await_acked(flow)
        elif flow.place > 1:
            mark = self.peer.mark
            self.poke(flow)
            self.heard("an old octet is not answered", flow.is_mine, mark)

    def harmless(self, flow: Flow, flags: int, *options: Option, far: int = 0) -> None:
        """Send what must have no effect, and show by data that it has none."""
        place = flow.place + far if far else None
        self.peer.send(flow.segment(flags, *options, place=place))
        self.order(self.alive.index(flow))

    def write(self, count: int) -> None:
        """Let the application write, hear all of it, and acknowledge it."""
        goal = self.connection.got + count
        mark = self.peer.mark
        self.say(count)
        if self.connection.got < goal:
            self.heard(
                "data that the application wrote does not come",
                lambda _: self.connection.got >= goal,
                mark,
            )
        for flow in self.alive:
            if any(each.frame > mark and each.payload for each in flow.heard):
                self.peer.ack(self.connection, flow)

    def call(self, words: str) -> None:
        """Note a call of the application."""
        self.called.append((self.peer.mark, words))

    def take_in(self) -> None:
        """Let the application read all that is there."""
        found = self.app.read()
        if found:
            self.call(f"read(4, ..., {len(found)}) = {len(found)}")
        self.read += found

    def say(self, count: int) -> None:
        """Let the application write."""
        self.call(f"write(4, ..., {count}) = {count}")
        self.app.write(b"\xa5" * count)
        self.written += count

    def drop(self, flow: Flow) -> None:
        """A subflow is no more."""
        self.alive.remove(flow)
