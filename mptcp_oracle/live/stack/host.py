"""The host: its clock, its sockets, and which session a segment is for."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Self

from mptcp_oracle import crypto
from mptcp_oracle.constants import CAPABLE_CHECKSUM, CAPABLE_EXTENSION, CAPABLE_HMAC
from mptcp_oracle.errors import UsageError
from mptcp_oracle.live.peer.peer import PORT, target_address
from mptcp_oracle.live.peer.segment import ACK, MASK_32, RST, SYN, Segment, packed, parsed
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.live.stack.faults import FAULTS
from mptcp_oracle.live.stack.session import Session
from mptcp_oracle.live.stack.subflow import Subflow
from mptcp_oracle.options import Address, MpCapable, MpJoinSyn, MpTcprst, Option
from mptcp_oracle.version import __version__

__all__ = ["StackTarget"]

VERSION = 1
CRYPTO = 0x1F
MPTCP_ERROR, PROHIBITED = 1, 3
SYN_TIMEOUT, SYN_TRIES = 1.0, 2


class StackTarget:
    """The stack as an implementation that can be probed; it is its own link.

    Args:
        settings: How it is set up.
        faults: Names of :data:`~mptcp_oracle.live.stack.faults.FAULTS`.

    Raises:
        UsageError: There is no such fault.
    """

    name = "stack"
    lacks = ""

    def __init__(
        self, settings: Settings | None = None, faults: frozenset[str] = frozenset()
    ) -> None:
        unknown = faults - FAULTS.keys()
        if unknown:
            raise UsageError(f"the stack has no fault {', '.join(sorted(unknown))}")
        self.settings = settings or Settings()
        self.faults = faults
        self.link = self
        self.random = random.Random("stack")
        self.sessions: list[Session] = []
        self._ready: deque[Session] = deque()
        self._listening = False
        self._clock = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._out: deque[bytes] = deque()

    @property
    def version(self) -> str:
        """The project's version."""
        return __version__

    @property
    def address(self) -> Address:
        """Its address."""
        return target_address(self.settings.family)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held."""

    # --- the link --------------------------------------------------------------------------

    def send(self, packet: bytes) -> None:
        """Take a packet."""
        segment = parsed(packet)
        if segment is not None and segment.destination == self.address:
            self._take(segment)

    def receive(self, within: float) -> bytes | None:
        """The next packet; the clock moves on until there is one, or the time is over."""
        until = self._clock + within
        while not self._out and self._timers and self._timers[0][0] <= until:
            self._clock, _, work = heapq.heappop(self._timers)
            work()
        if self._out:
            return self._out.popleft()
        self._clock = max(self._clock, until)
        return None

    def now(self) -> float:
        """Seconds of the virtual clock."""
        return self._clock

    def close(self) -> None:
        """Nothing is held."""

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._timers, (self._clock + seconds, next(self._order), work))

    def emit(self, segment: Segment) -> None:
        """Send a segment."""
        self._out.append(packed(segment))

    # --- the application -------------------------------------------------------------------

    def listen(self) -> None:
        """Listen at the usual port."""
        self._listening = True

    def accept(self) -> Session | None:
        """The next accepted connection."""
        return self._ready.popleft() if self._ready else None

    def connect(self, address: Address, port: int) -> Session:
        """Begin to connect."""
        session = self._session("initiator")
        flow = session.subflow((self.address, self._port()), (address, port))
        self._dial(session, flow, 0)
        return session

    def _dial(self, session: Session, flow: Subflow, tries: int) -> None:
        """Send the SYN; without MP_CAPABLE if it was lost too often."""
        if flow.state != "SYN_SENT" or tries > 2 * SYN_TRIES + 1:
            return
        plain = tries > SYN_TRIES and "mptcp-or-nothing" not in self.faults
        session.plain = plain
        flags = CAPABLE_HMAC | (CAPABLE_CHECKSUM if session.checksum else 0)
        options = () if plain else (MpCapable(version=VERSION, flags=flags),)
        flow.transmit(SYN, *options, place=0)
        self.after(SYN_TIMEOUT * 2**tries, lambda: self._dial(session, flow, tries + 1))

    def _session(self, role: str) -> Session:
        made = Session(self, role, self.random.getrandbits(64))
        made.checksum = self.settings.checksum == "required"
        self.sessions.append(made)
        return made

    def _port(self) -> int:
        return 30_000 + self.random.randrange(9_000)

    # --- segments --------------------------------------------------------------------------

    def _take(self, segment: Segment) -> None:
        for session in reversed(self.sessions):
            for flow in session.flows:
                if flow.is_mine(segment) and flow.state != "CLOSED":
                    flow.take(segment)
                    return
        if segment.rst:
            return
        if segment.syn and not segment.ack:
            self._opened(segment)
        else:
            self.refuse(segment)

    def refuse(self, segment: Segment, *options: Option) -> None:
        """Answer a segment of no subflow with a RST."""
        self.emit(
            Segment(
                source=segment.destination,
                destination=segment.source,
                source_port=segment.destination_port,
                destination_port=segment.source_port,
                sequence=segment.acknowledgment if segment.ack else 0,
                acknowledgment=segment.end,
                flags=RST if segment.ack else RST | ACK,
                options=options,
            )
        )

    def _opened(self, segment: Segment) -> None:
        join = next((each for each in segment.options if isinstance(each, MpJoinSyn)), None)
        reachable = self._listening and segment.destination_port == PORT
        if join is not None and (reachable or "joins-found-by-port" not in self.faults):
            self._joined(segment, join)
        elif not reachable:
            self.refuse(segment)
        else:
            self._called(segment)

    def acceptable(self, capable: MpCapable) -> bool:
        """Whether an MP_CAPABLE of a SYN or SYN/ACK is one to go on with."""
        faults = self.faults
        offered = capable.flags & CRYPTO
        answered = capable.sender_key is not None
        unchecked = answered and "synack-version-not-checked" in faults
        if capable.version != VERSION and not unchecked:
            return False
        if capable.flags & CAPABLE_EXTENSION and "flag-b-taken" not in faults:
            return False
        if not offered and "no-algorithm-taken" not in faults:
            return False
        if offered and not offered & CAPABLE_HMAC and "unknown-algorithm-taken" not in faults:
            return False
        unwanted = capable.checksum_required and self.settings.checksum == "never"
        return not unwanted or "unwanted-checksums-taken" in faults

    def _called(self, segment: Segment) -> None:
        session = self._session("listener")
        flow = session.subflow(
            (segment.destination, segment.destination_port), (segment.source, segment.source_port)
        )
        capable = next((each for each in segment.options if isinstance(each, MpCapable)), None)
        session.plain = capable is None or not self.acceptable(capable)
        flow.state = "SYN_RCVD"
        flow.begin(segment)
        options: tuple[Option, ...] = ()
        if capable is not None and not session.plain:
            session.checksum |= capable.checksum_required
            flags = CAPABLE_HMAC | (CAPABLE_CHECKSUM if session.checksum else 0)
            options = (MpCapable(version=VERSION, flags=flags, sender_key=session.key),)
        flow.transmit(SYN | ACK, *options)

    def accepted(self, session: Session) -> None:
        """A session is there for the application."""
        self._ready.append(session)

    def _joined(self, segment: Segment, join: MpJoinSyn) -> None:
        known = [
            each
            for each in self.sessions
            if not each.over and not each.plain and crypto.token(each.key, VERSION) == join.token
        ]
        if not known and "unknown-token-answered" in self.faults:
            known = self.sessions[-1:]
        if not known:
            self.refuse(segment, *self.reasons(MPTCP_ERROR, refusal=True))
            return
        session = known[0]
        joined = [each for each in session.flows if each.joined and each.state != "CLOSED"]
        if len(joined) >= self.settings.subflows:
            self.refuse(segment, *self.reasons(PROHIBITED, refusal=True))
            return
        flow = session.subflow(
            (segment.destination, segment.destination_port), (segment.source, segment.source_port)
        )
        flow.joined, flow.state = True, "SYN_RCVD"
        flow.remote_id, flow.remote_nonce, flow.backup = join.address_id, join.nonce, join.backup
        flow.begin(segment)
        flow.transmit(SYN | ACK, session.join_synack(flow))

    def reasons(self, code: int, *, refusal: bool = False) -> tuple[Option, ...]:
        """The MP_TCPRST of a RST, if it has one."""
        omitted = "resets-without-reason" in self.faults
        if omitted or (refusal and "refusal-without-reason" in self.faults):
            return ()
        return (MpTcprst(reason=code),)

    def join_to(self, session: Session, where: tuple[Address, int], address_id: int) -> None:
        """Open a subflow to an announced address."""
        flow = session.subflow((self.address, self._port()), where)
        flow.joined, flow.remote_id = True, address_id
        option = MpJoinSyn(
            address_id=0, token=crypto.token(session.peer_key, VERSION), nonce=flow.nonce
        )
        flow.transmit(SYN, option)

    def number(self) -> int:
        """A random 32-bit number."""
        return self.random.getrandbits(32) & MASK_32
