"""The two ends of a scripted connection: their sockets, streams, and what they went through."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import random
import socket
import struct
import termios
import time
from dataclasses import dataclass, field

from mptcp_oracle.live.sockets import (
    MptcpInfo,
    SubflowView,
    plain_address,
    read_info,
    read_subflows,
)

__all__ = ["Conversation", "Side"]

# Octets per read; several reads happen while the socket has more.
READ_SIZE = 1 << 16
# Octets of a stream that are made at once: the same stream, however a script asks for it.
BLOCK = 1 << 16


class Stream:
    """A seeded, endless stream of octets, made as it is asked for."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        self._spare = b""

    def take(self, octets: int) -> bytes:
        """The next octets of the stream."""
        pieces = [self._spare]
        have = len(self._spare)
        while have < octets:
            pieces.append(self._random.randbytes(BLOCK))
            have += BLOCK
        whole = b"".join(pieces)
        self._spare = whole[octets:]
        return whole[:octets]


class Digest:
    """Count and SHA-256 of a stream of octets."""

    def __init__(self) -> None:
        self.octets = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """Append to the stream."""
        self.octets += len(piece)
        self._hash.update(piece)

    def to_json(self) -> dict[str, object]:
        """JSON form."""
        return {"octets": self.octets, "sha256": self._hash.hexdigest()}


@dataclass(slots=True, kw_only=True)
class Side:
    """One end of one connection.

    Attributes:
        role: ``client`` or ``server``.
        handle: The socket, non-blocking; ``None`` before it exists and after it was closed.
        local, remote: Address and port of the initial subflow.
        written, read: The streams that this application wrote and read.
        queue: Octets that wait for the kernel to take them; filled from ``stream`` as needed.
        owed: Octets that it was told to write and that are not in the queue yet.
        queued: Octets it was told to write so far, written or not.
        piece: Octets of each write, ``None`` for as many as the kernel takes.
        syn_octets: Octets of the written stream that left inside the SYN.
        eof: The end of the peer's stream was read.
        error: Name of the first error of the socket, such as ``ECONNRESET``.
        actions: How it closed: each call with its time.
        token: Names the connection at this host; from the first ``MPTCP_INFO``.
        info: ``MPTCP_INFO`` read last before this end began to close (or the other end closed
            altogether), so that ``write_seq`` counts no DATA_FIN; ``info_unknown`` says why
            there is none (``EOPNOTSUPP``: the socket speaks plain TCP, from the start or since
            it fell back).
        last_info: The last ``MPTCP_INFO`` that the kernel gave at all.
        tester: Whether this end is a tester, which speaks MPTCP itself (:mod:`.tester`).
    """

    role: str
    stream: Stream
    handle: socket.socket | None = None
    local: tuple[str, int] | None = None
    remote: tuple[str, int] | None = None
    written: Digest = field(default_factory=Digest)
    read: Digest = field(default_factory=Digest)
    queue: bytes = b""
    owed: int = 0
    queued: int = 0
    piece: int | None = None
    syn_octets: int = 0
    paused: bool = False
    eof: bool = False
    finishing: bool = False
    error: str | None = None
    actions: list[dict[str, object]] = field(default_factory=list)
    token: int | None = None
    info: MptcpInfo | None = None
    info_unknown: str | None = "the connection was never established"
    last_info: MptcpInfo | None = None
    frozen: bool = False
    tester: bool = False
    subflows: list[SubflowView] | None = None

    def adopt(self, made: socket.socket) -> None:
        """Take over a connected socket."""
        self.handle = made
        self.local = _pair(made.getsockname())
        self.remote = _pair(made.getpeername())

    def cut_into(self, piece: int | None) -> None:
        """Write in pieces of so many octets from now on, each sent at once."""
        if piece is not None and self.handle is not None:
            self.handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.piece = piece

    def tell(self, octets: int) -> None:
        """Queue the next ``octets`` of this end's seeded stream for writing."""
        self.owed += octets
        self.queued += octets
        self.refill()

    def refill(self) -> None:
        """Keep up to a block of what is owed at hand."""
        if not self.queue and self.owed:
            step = min(self.owed, BLOCK)
            self.queue = self.stream.take(step)
            self.owed -= step

    def beginning(self, octets: int) -> dict[str, object]:
        """Count and digest of the first octets of what this end writes."""
        digest = Digest()
        digest.add(Stream(self.stream.seed).take(octets))
        return digest.to_json()

    @property
    def token_text(self) -> str | None:
        """The token as ``ip mptcp monitor`` prints it, 8 hex digits."""
        return None if self.token is None else f"{self.token:08x}"

    @property
    def wants_read(self) -> bool:
        """Whether a selector should watch for input."""
        return self.handle is not None and not (self.paused or self.eof or self.error)

    @property
    def wants_write(self) -> bool:
        """Whether a selector should watch for room."""
        return self.handle is not None and bool(self.queue) and self.error is None

    def on_readable(self) -> None:
        """Read all that waits."""
        while self.wants_read:
            assert self.handle is not None
            try:
                piece = self.handle.recv(READ_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error)
                return
            if not piece:
                self.eof = True
            self.read.add(piece)

    def on_writable(self) -> None:
        """Write as much as the socket takes."""
        while self.wants_write:
            assert self.handle is not None
            try:
                count = self.handle.send(self.queue[: self.piece])
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error)
                return
            self.note_written(count)
        if self.finishing and not self.queue:
            self.shut_down()

    def note_written(self, count: int) -> None:
        """The first ``count`` octets of the queue have been handed to the kernel."""
        self.written.add(self.queue[:count])
        self.queue = self.queue[count:]
        self.refill()

    def finish(self) -> None:
        """Shut down writing as soon as the queue is empty."""
        self.finishing = True
        if not self.queue:
            self.shut_down()

    def shut_down(self) -> None:
        """``shutdown(SHUT_WR)``, once."""
        self.finishing = False
        if self.handle is None:
            return
        self.freeze()
        self._act("shutdown(SHUT_WR)")
        try:
            self.handle.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(error)

    def close(self, *, abort: bool = False) -> None:
        """``close()``, with SO_LINGER 0 first if ``abort``; nothing if closed already."""
        if self.handle is None:
            return
        self.freeze()
        unread = self.unread()
        if abort:
            self.handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._act("SO_LINGER 0", unread=unread)
        self._act("close()", unread=unread, unsent=len(self.queue) + self.owed)
        self.handle.close()
        self.handle = None
        self._forget()

    def unread(self) -> int:
        """Octets in the receive queue (FIONREAD, which counts a DATA_FIN that was read as 1)."""
        assert self.handle is not None
        if self.eof:
            return 0
        answer = bytearray(4)
        try:
            fcntl.ioctl(self.handle.fileno(), termios.FIONREAD, answer, True)
        except OSError:
            return 0
        return int(struct.unpack("i", answer)[0])

    def snapshot(self) -> None:
        """Take the kernel's view of the connection while it still has one."""
        if self.handle is None:
            return
        info, why = read_info(self.handle)
        if info is not None:
            self.last_info = info
            self.token = self.token if self.token is not None else info.token
        if not self.frozen:
            self.info, self.info_unknown = info, why
            self.subflows = read_subflows(self.handle)

    def freeze(self) -> None:
        """Take the view for the last time before closing begins."""
        self.snapshot()
        self.frozen = True

    def to_json(self) -> dict[str, object]:
        """JSON form; the token is the one that names the connection at this host."""
        body: dict[str, object] = {
            "address": self.local[0] if self.local else None,
            "port": self.local[1] if self.local else None,
            "token": self.token_text,
            "written": self.written.to_json(),
            "read": self.read.to_json(),
            "syn_octets": self.syn_octets,
            "eof": self.eof,
            "error": self.error,
            "close": self.actions,
            "mptcp_info": self.info.to_json() if self.info else None,
            "mptcp_info_last": self.last_info.to_json() if self.last_info else None,
            "subflows_before_close": [each.to_json() for each in self.subflows or []],
        }
        if self.tester:
            body["tester"] = True
        unknown = [key for key in ("token", "mptcp_info") if body[key] is None]
        if unknown:
            body["unknown"] = dict.fromkeys(unknown, self.info_unknown)
        return body

    def _act(self, call: str, **details: object) -> None:
        self.actions.append({"time_ns": time.time_ns(), "call": call, **details})

    def _fail(self, error: OSError) -> None:
        if self.error is None:
            self.error = errno.errorcode.get(error.errno or 0, str(error))
        self._forget()

    def _forget(self) -> None:
        """Nothing more will be written."""
        self.queue, self.owed = b"", 0


@dataclass(slots=True, kw_only=True)
class Conversation:
    """One connection of a scenario, seen from both of its applications."""

    ordinal: int
    client: Side
    server: Side

    def side(self, role: str) -> Side:
        """The end with this role."""
        return self.client if role == "client" else self.server

    def other(self, role: str) -> Side:
        """The end that reads what ``role`` writes."""
        return self.server if role == "client" else self.client

    @classmethod
    def begin(cls, ordinal: int, seed: int) -> Conversation:
        """Both ends, with streams that depend on nothing but seed, ordinal and role."""
        return cls(
            ordinal=ordinal,
            client=Side(role="client", stream=Stream(f"{seed}/{ordinal}/client")),
            server=Side(role="server", stream=Stream(f"{seed}/{ordinal}/server")),
        )


def _pair(name: tuple[object, ...]) -> tuple[str, int]:
    """Address and port of a socket name."""
    return plain_address(str(name[0])), int(str(name[1]))
