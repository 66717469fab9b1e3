"""The stage of a script: the raw peer, the implementation, and how a connection is set up."""

from __future__ import annotations

from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import PATIENCE, PIECE, Peer, StalledError, own_address
from mptcp_oracle.live.peer.segment import ACK, Segment
from mptcp_oracle.live.peer.target import Application, Target
from mptcp_oracle.options import MpTcprst, Option

__all__ = ["CALLED_PORT", "Stage", "has", "is_plain", "reason"]

CALLED_PORT = 6_000
"""The raw peer's port when it is the listener."""


class Stage:
    """Where a script plays.

    Attributes:
        peer: The raw peer. target: The implementation. app: Its application, once there is one.
        role: What the implementation is: ``listener`` or ``initiator``.
        evidence: Frames that belong to the argument, beside those of the reaction.
    """

    def __init__(self, peer: Peer, target: Target) -> None:
        self.peer, self.target = peer, target
        self.role = "listener"
        self.evidence: list[int] = []
        self._app: Application | None = None

    @property
    def app(self) -> Application:
        """The application's side of the connection.

        Raises:
            StalledError: There is none.
        """
        if self._app is None:
            raise StalledError("the implementation's application has no connection")
        return self._app

    def stimulus(self, segment: Segment) -> int:
        """Send what the rule is about; it belongs to the evidence. The frame."""
        frame = self.peer.send(segment)
        self.evidence.append(frame)
        return frame

    # --- how it begins ---------------------------------------------------------------------

    def listened(self, *, checksum: bool = False, key: int | None = None) -> Connection:
        """The implementation listens; a connection up to its first data, acknowledged."""
        connection = self.greeted(checksum=checksum, key=key)
        self.peer.first_data(connection)
        return connection

    def greeted(self, *, checksum: bool = False, key: int | None = None) -> Connection:
        """The implementation listens; a connection up to the third packet, and accepted."""
        self.target.listen()
        connection = self.peer.connect(checksum=checksum, key=key)
        self.accepted()
        return connection

    def accepted(self) -> Application | None:
        """Let the application accept; what it has then."""
        self._app = self.target.accept()
        return self._app

    def joined(self, *, checksum: bool = False, backup: bool = False) -> tuple[Connection, Flow]:
        """As :meth:`listened`, with a second subflow over which data went."""
        connection = self.listened(checksum=checksum)
        flow = self.peer.join(connection, backup=backup)
        self.peer.data(connection, flow)
        return connection, flow

    def called(self) -> Connection:
        """The implementation connects; a connection over which data went both ways."""
        connection = self.call()
        self.peer.answer(connection)
        self.spoken(connection, PIECE)
        self.peer.data(connection, connection.flows[0])
        return connection

    def call(self) -> Connection:
        """The implementation begins to connect; nothing is answered."""
        self.role = "initiator"
        self._app = self.target.connect(own_address(self.peer.family, 1), CALLED_PORT)
        return self.peer.connection()

    # --- the application -------------------------------------------------------------------

    def write(self, count: int) -> None:
        """Let the application write; what it writes is no zeros."""
        self.app.write(b"\xa5" * count)

    def spoken(self, connection: Connection, count: int) -> Segment:
        """Let the application write, hear all of it and acknowledge it; the last segment.

        Raises:
            StalledError: It does not come.
        """
        goal = connection.got + count
        self.write(count)
        last = self.peer.need("its data", lambda _: connection.got >= goal)
        owner = self.peer.flow_of(last)
        assert owner is not None
        self.peer.ack(connection, owner[1])
        return last

    def delivered(self, count: int) -> bytes:
        """What the application reads, up to a number of octets, within the usual time."""
        until = self.peer.link.now() + PATIENCE
        found = self.app.read()
        while len(found) < count and self.peer.link.now() < until:
            if self.app.eof or self.app.error:
                break
            self.peer.hear(lambda _: True, 0.01)
            found += self.app.read()
        return found

    # --- addresses -------------------------------------------------------------------------

    def announce(
        self, connection: Connection, address_id: int, number: int, port: int | None = None
    ) -> int:
        """Announce an own address by a right ADD_ADDR on the initial subflow; the frame."""
        option = connection.add_addr(address_id, own_address(self.peer.family, number), port)
        return self.peer.send(connection.flows[0].segment(ACK, option))

    def joined_by(self, connection: Connection, address_id: int, number: int) -> Flow:
        """Announce an own address, and let the implementation join it up to the fourth packet.

        Raises:
            StalledError: It does not.
        """
        self.announce(connection, address_id, number)
        flow = self.peer.accept_join(connection, address_id=address_id)
        self.peer.data(connection, flow)
        return flow


def has(segment: Segment | None, kind: type[Option] | tuple[type[Option], ...]) -> bool:
    """Whether a segment has an option of a type."""
    return segment is not None and any(isinstance(each, kind) for each in segment.options)


def is_plain(segment: Segment) -> bool:
    """Whether a segment has no MPTCP option."""
    return not segment.options


def reason(segment: Segment) -> int | None:
    """The reason of a segment's MP_TCPRST, if it has one."""
    return next((each.reason for each in segment.options if isinstance(each, MpTcprst)), None)
