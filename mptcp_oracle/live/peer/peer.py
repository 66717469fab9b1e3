"""The raw peer at work: it sends what a script says, and hears what comes within a time.

It never waits for silence. That nothing came is shown by an exchange that must follow it: the
implementation handles packets in order, so what it had to say of the first it has said before it
acknowledges the second (:meth:`Peer.data`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from mptcp_oracle import crypto
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import End, Flow
from mptcp_oracle.live.peer.link import Frame, Link, Log
from mptcp_oracle.live.peer.segment import ACK, PSH, RST, SYN, Segment, packed, parsed
from mptcp_oracle.options import Address, MpCapable, MpJoinSyn, MpJoinSynAck, Option

__all__ = ["PATIENCE", "PIECE", "PORT", "Peer", "StalledError", "own_address", "target_address"]

PORT = 5_201
"""The port on which the implementation listens."""

PATIENCE = 2.0
"""Seconds that an answer may take."""

PIECE = 100
"""Octets of a piece of data."""

MOST = 4_000
"""Segments of the implementation that are read while one answer is waited for."""

_TARGET = {4: "10.99.0.1", 6: "fd99::1"}
_OWN = {4: "10.99.{0}.9", 6: "fd99::{0}:9"}


def target_address(family: int) -> Address:
    """The implementation's address in a family, 4 or 6."""
    return ip_address(_TARGET[family])


def own_address(family: int, number: int) -> Address:
    """The raw peer's address of a number from 1 on."""
    return ip_address(_OWN[family].format(number))


class StalledError(AdapterError):
    """The implementation did not answer what a script needs before its stimulus."""


class Peer:
    """A raw peer on a link.

    Args:
        link: Where the implementation is.
        family: 4 or 6.
        seed: Decides keys, numbers and ports.
        telling: Whether the log has lines for people, too.

    Attributes:
        log: Every packet, for evidence. connections: All of them. strays: Segments that belong to
            no subflow, such as the implementation's SYNs.
    """

    def __init__(
        self, link: Link, family: int = 4, seed: str = "peer", *, telling: bool = True
    ) -> None:
        self.link, self.family = link, family
        self._telling = telling
        self.log = Log()
        self.connections: list[Connection] = []
        self.strays: list[Segment] = []
        self.heard: list[Segment] = []
        self.random = random.Random(seed)
        self.window = 65_535
        self._stream = random.Random(f"{seed}/stream").randbytes(1 << 17)

    # --- octets ----------------------------------------------------------------------------

    def octets(self, start: int, count: int) -> bytes:
        """Octets of the stream that it sends, from a relative DSN on."""
        return self._stream[start - 1 : start - 1 + count]

    def other(self, start: int, count: int) -> bytes:
        """As :meth:`octets`, each octet another one."""
        return bytes(each ^ 0xFF for each in self.octets(start, count))

    @property
    def mark(self) -> int:
        """The number of the last frame, for :meth:`since`."""
        return len(self.log.frames)

    def since(self, mark: int) -> list[Segment]:
        """What the implementation sent after a frame."""
        return [each for each in self.heard if each.frame > mark]

    def flow_of(self, segment: Segment) -> tuple[Connection, Flow] | None:
        """The connection and subflow of a segment of the implementation; the newest one."""
        for connection in reversed(self.connections):
            for flow in connection.flows:
                if flow.is_mine(segment):
                    return connection, flow
        return None

    def send(self, segment: Segment) -> int:
        """Send a segment; the number of its frame."""
        packet = packed(segment)
        frame = self.log.note(Frame(time=self.link.now(), packet=packet, outgoing=True))
        self._line("<", frame, segment)
        self.link.send(packet)
        return frame

    def say(self, remark: str) -> None:
        """Write a remark into the log."""
        self.log.lines.append(f"// {remark}")

    def hear(
        self, wanted: Callable[[Segment], bool], within: float | None = None
    ) -> Segment | None:
        """The next segment of the implementation that is wanted; ``None`` if none comes in time.

        All others are noted too: see :meth:`since`.
        """
        until = self.link.now() + (PATIENCE if within is None else within)
        for _ in range(MOST):
            packet = self.link.receive(max(0.0, until - self.link.now()))
            if packet is None:
                return None
            segment = self._note(packet)
            if segment is not None and wanted(segment):
                return segment
        return None

    def need(self, what: str, wanted: Callable[[Segment], bool]) -> Segment:
        """As :meth:`hear`, where a script cannot go on without it.

        Raises:
            StalledError: It did not come.
        """
        found = self.hear(wanted)
        if found is None:
            raise StalledError(f"the implementation did not send {what}", cause=f"{PATIENCE} s")
        return found

    def _note(self, packet: bytes) -> Segment | None:
        segment = parsed(packet)
        frame = self.log.note(Frame(time=self.link.now(), packet=packet, outgoing=False))
        if segment is None:
            self.log.lines.append(f"> (frame {frame}: no TCP segment)")
            return None
        segment = replace(segment, frame=frame)
        self.heard.append(segment)
        owner = self.flow_of(segment)
        if owner is None:
            self.strays.append(segment)
        else:
            connection, flow = owner
            flow.take(segment)
            connection.take(flow, segment)
        self._line(">", frame, segment)
        return segment

    def _line(self, way: str, frame: int, segment: Segment) -> None:
        if not self._telling:
            return
        owner = self.flow_of(segment if way == ">" else _turned(segment))
        if owner is None:
            words, place = segment.text(segment.sequence, segment.acknowledgment), "new"
        else:
            connection, flow = owner
            mine, theirs = flow.isn, flow.remote_isn
            words = segment.text(*((mine, theirs) if way == "<" else (theirs, mine)))
            number = connection.flows.index(flow)
            place = f"subflow {number}"
            if len(self.connections) > 1:
                place = f"connection {self.connections.index(connection)} {place}"
        self.log.lines.append(f"{way} {frame}: {place}: {words}")

    # --- connections -----------------------------------------------------------------------

    def connection(self, *, key: int | None = None, checksum: bool = False) -> Connection:
        """A new connection, nothing sent yet."""
        made = Connection(self.random.getrandbits(64) if key is None else key, checksum=checksum)
        self.connections.append(made)
        return made

    def flow(
        self, connection: Connection, number: int = 1, remote: End | None = None, port: int = 0
    ) -> Flow:
        """A new subflow from the own address of a number, nothing sent yet."""
        made = Flow(
            local=(
                own_address(self.family, number),
                port or 40_000 + self.random.randrange(20_000),
            ),
            remote=remote or (target_address(self.family), PORT),
            isn=self.random.getrandbits(32),
            address_id=number - 1,
            nonce=self.random.getrandbits(32),
            joined=bool(connection.flows),
            window=self.window,
        )
        connection.flows.append(made)
        return made

    def open(self, connection: Connection, *options: Option) -> Segment | None:
        """Send the SYN of a new initial subflow and hear the answer.

        Args:
            connection: The connection.
            *options: Instead of a right MP_CAPABLE.
        """
        flow = self.flow(connection)
        right = MpCapable(version=1, flags=connection.flags())
        self.send(flow.segment(SYN, *(options or (right,))))
        heard = self.hear(lambda each: flow.is_mine(each) and (each.syn or each.rst))
        if heard is not None:
            for option in heard.options:
                if isinstance(option, MpCapable) and option.sender_key is not None:
                    connection.learn(option.sender_key)
                    connection.checksum |= option.checksum_required
        return heard

    def connect(self, *, key: int | None = None, checksum: bool = False) -> Connection:
        """A connection to the implementation, up to the third packet.

        Raises:
            StalledError: It does not answer with a key.
        """
        connection = self.connection(key=key, checksum=checksum)
        self.open(connection)
        if not connection.peer_key:
            raise StalledError("the implementation does not answer a right MP_CAPABLE")
        self.send(connection.flows[0].segment(ACK, connection.capable()))
        return connection

    def answer(self, connection: Connection, *options: Option) -> Flow:
        """Answer the implementation's SYN for a new connection, and hear the third packet.

        Raises:
            StalledError: No SYN came.
        """
        flow = self.take_syn(connection)
        right = MpCapable(version=1, flags=connection.flags(), sender_key=connection.key)
        self.send(flow.segment(SYN | ACK, *(options or (right,))))
        self.need("the third packet", lambda each: flow.is_mine(each) and not each.syn)
        for segment in flow.heard:
            for option in segment.options:
                if isinstance(option, MpCapable) and option.sender_key is not None:
                    connection.learn(option.sender_key)
                    connection.take(flow, segment)
        return flow

    def is_call(self, connection: Connection, segment: Segment) -> bool:
        """Whether a segment opens a subflow of a connection; its first one, or a join."""
        tokens = {each.token for each in segment.options if isinstance(each, MpJoinSyn)}
        if not segment.syn or segment.ack or not connection.flows:
            return segment.syn and not segment.ack and not tokens
        return crypto.token(connection.key, 1) in tokens

    def take_syn(self, connection: Connection) -> Flow:
        """The subflow that the implementation's next SYN opens; nothing is answered yet."""
        syn = next((each for each in self.strays if self.is_call(connection, each)), None)
        if syn is None:
            syn = self.need("a SYN", lambda each: self.is_call(connection, each))
        self.strays.remove(syn)
        flow = self.flow(connection, remote=(syn.source, syn.source_port))
        flow.local = (syn.destination, syn.destination_port)
        flow.take(syn)
        for option in syn.options:
            if isinstance(option, MpJoinSyn):
                flow.remote_nonce, flow.remote_id = option.nonce, option.address_id
        return flow

    def join(self, connection: Connection, number: int = 2, *, backup: bool = False) -> Flow:
        """A second subflow from an own address, up to the fourth packet.

        Raises:
            StalledError: The implementation refuses it, or does not answer.
        """
        flow = self.begin_join(connection, number, backup=backup)
        if flow.reset is not None or not flow.remote_nonce:
            raise StalledError("the implementation refuses a lawful join")
        self.send(flow.segment(ACK, connection.join_ack(flow)))
        self.need("the fourth packet", lambda each: flow.is_mine(each))
        if flow.reset is not None:
            raise StalledError("the implementation resets a lawful join")
        return flow

    def begin_join(
        self,
        connection: Connection,
        number: int = 2,
        *,
        token: int | None = None,
        backup: bool = False,
        remote: End | None = None,
    ) -> Flow:
        """A join's SYN, and what answers it."""
        flow = self.flow(connection, number, remote)
        self.send(flow.segment(SYN, connection.join_syn(flow, token=token, backup=backup)))
        heard = self.hear(lambda each: flow.is_mine(each) and (each.syn or each.rst))
        for option in heard.options if heard else ():
            if isinstance(option, MpJoinSynAck):
                flow.remote_nonce, flow.remote_id = option.nonce, option.address_id
        return flow

    def accept_join(
        self, connection: Connection, *, address_id: int = 0, wrong: bool = False
    ) -> Flow:
        """Answer the implementation's own join up to the third packet."""
        flow = self.take_syn(connection)
        flow.joined, flow.address_id = True, address_id
        self.send(flow.segment(SYN | ACK, connection.join_synack(flow, wrong=wrong)))
        self.hear(lambda each: flow.is_mine(each) and not each.syn)
        return flow

    # --- data ------------------------------------------------------------------------------

    def first_data(self, connection: Connection, count: int = PIECE) -> None:
        """Its first data, with MP_CAPABLE, until a DATA_ACK covers it."""
        flow, payload = connection.flows[0], self.octets(connection.sent, count)
        self.send(flow.segment(ACK | PSH, connection.capable(payload), payload=payload))
        connection.sent += count
        self.until_acked(connection)

    def put(self, connection: Connection, flow: Flow, count: int = PIECE, *, ack: bool = True,
            **changes: int | bool) -> int:  # fmt: skip
        """Send its next data on a subflow, mapped; the frame. See :meth:`Connection.dss`."""
        payload = self.octets(connection.sent, count)
        dss = connection.dss(flow, payload, ack=ack, **changes)  # type: ignore[arg-type]
        frame = self.send(flow.segment(ACK | PSH, dss, payload=payload))
        connection.sent += count
        return frame

    def data(self, connection: Connection, flow: Flow, count: int = PIECE) -> list[Segment]:
        """Send data until a DATA_ACK covers it: what came meanwhile.

        This orders: what the implementation says of earlier packets comes before.

        Raises:
            StalledError: No DATA_ACK covers it in time.
        """
        mark = self.mark
        self.put(connection, flow, count)
        self.until_acked(connection)
        return self.since(mark)

    def tried(self, connection: Connection, flow: Flow, count: int = PIECE) -> bool:
        """Whether data is DATA_ACKed; for scripts whose question that is."""
        self.put(connection, flow, count)
        return self.is_acked(connection)

    def is_acked(self, connection: Connection, within: float | None = None) -> bool:
        """Whether a DATA_ACK covers all that was sent, now or soon."""
        if connection.acked >= connection.sent:
            return True
        done = self.hear(lambda _: connection.acked >= connection.sent, within)
        return done is not None

    def until_acked(self, connection: Connection) -> None:
        """Wait until a DATA_ACK covers all that was sent.

        Raises:
            StalledError: None does in time.
        """
        if not self.is_acked(connection):
            raise StalledError("the implementation does not acknowledge data by a DATA_ACK")

    def ack(self, connection: Connection, flow: Flow) -> None:
        """Acknowledge on a subflow what came, at both levels."""
        self.send(flow.segment(ACK, connection.data_ack()))

    def leave(self) -> None:
        """Reset every subflow, so that the implementation forgets the connections."""
        for connection in self.connections:
            for flow in connection.flows:
                if flow.reset is None and flow.remote_isn:
                    self.link.send(packed(flow.segment(RST | ACK)))


def _turned(segment: Segment) -> Segment:
    return replace(
        segment,
        source=segment.destination,
        source_port=segment.destination_port,
        destination=segment.source,
        destination_port=segment.source_port,
    )
