"""The result of an analysis: connections, their data plane, and lookups into both."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mptcp_oracle.analysis import checksums, closing, schedulers, story
from mptcp_oracle.analysis.connections import Assembly, assemble
from mptcp_oracle.analysis.dataplane import DataPlane
from mptcp_oracle.analysis.dataplane import analyze as run_data_plane
from mptcp_oracle.analysis.entities import ROLES, Connection, Subflow
from mptcp_oracle.analysis.signals import Signals
from mptcp_oracle.analysis.streams import stream
from mptcp_oracle.analysis.subflows import Handshake, find_subflows
from mptcp_oracle.errors import UsageError
from mptcp_oracle.facts import Fact
from mptcp_oracle.wire.capture import Capture, Source, open_capture
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.segments import Progress, Wire, read

if TYPE_CHECKING:
    from mptcp_oracle.analysis.ground import Ground
    from mptcp_oracle.analysis.lookups import Carrier, Octet, Segment
    from mptcp_oracle.analysis.mappings import MappingTable
    from mptcp_oracle.analysis.tables import SegmentTable
    from mptcp_oracle.analysis.transmissions import TransmissionTable

__all__ = ["Trace", "analyze", "at_full_speed"]


class Trace:
    """What a capture shows of MPTCP. Make one with :func:`analyze`; close it after use.

    Attributes:
        connections: In order of their first frames.
        unattached: Subflows that carry MPTCP but whose connection is not in the capture.
        subflows: All of them, by id.
        capture: The capture it was made from, open until :meth:`close`.
        wire, plane: The columns underneath; their layout may change between versions.
        signals: The options of the control plane, by stream. shakes: The handshakes, likewise.
    """

    def __init__(self, wire: Wire, signals: Signals, build: Assembly, plane: DataPlane) -> None:
        self.capture = wire.capture
        self.wire = wire
        self.plane = plane
        self.signals = signals
        self.shakes: dict[int, Handshake] = build.shakes
        self.connections: list[Connection] = build.connections
        self._pseudo = build.unattached
        self.unattached: list[Subflow] = [group.subflows[0] for group in build.unattached]
        self.subflows: list[Subflow] = sorted(
            (flow for group in self.groups() for flow in group.subflows), key=lambda flow: flow.id
        )

    def groups(self) -> Iterator[Connection]:
        """Connections, then the pseudo-connection of each unattached subflow (negative ids)."""
        yield from self.connections
        yield from self._pseudo

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the capture; lookups that need payload no longer work."""
        self.capture.close()

    @property
    def notes(self) -> list[Note]:
        """What was odd about the capture itself, counted."""
        notes = list(self.capture.notes)
        if self.wire.skipped:
            notes.append(
                Note(
                    code="bad-tcp-header",
                    text="segments whose TCP data offset is impossible",
                    count=self.wire.skipped,
                    frame=self.wire.skipped_frame,
                )
            )
        if self.plane.spilled:
            notes.append(
                Note(
                    code="too-many-mappings",
                    text="segments under more than 256 mappings, the rest of which is unmapped",
                    count=self.plane.spilled,
                    frame=None,
                )
            )
        return notes

    def connection(self, number: int) -> Connection:
        """The connection with this id.

        Raises:
            UsageError: There is none.
        """
        if 0 <= number < len(self.connections):
            return self.connections[number]
        raise UsageError(
            f"there is no connection {number}",
            hint=f"the capture has {len(self.connections)}, numbered from 0",
        )

    def group(self, number: int) -> Connection:
        """A connection by its id, or what stands for that of an unattached subflow (negative).

        Raises:
            UsageError: There is none.
        """
        if -len(self._pseudo) <= number < 0:
            return self._pseudo[-1 - number]
        return self.connection(number)

    def by_token(self, token: int) -> list[Connection]:
        """The connections in which either host has this token."""
        return [
            connection
            for connection in self.connections
            if any(host.token == token for host in connection.hosts)
        ]

    def stream(self, connection: Connection | int, direction: str) -> Iterator[memoryview]:
        """The application's octets of one direction, piece by piece, never all in memory.

        See :func:`mptcp_oracle.analysis.streams.stream`.
        """
        return stream(self.plane, self._of(connection), direction)

    def octet(self, connection: Connection | int, direction: str, dsn: int) -> Octet:
        """Which frames announced and carried a data octet.

        Args:
            connection: A connection or its id.
            direction: Who sent it: ``initiator`` or ``listener``.
            dsn: Its relative DSN; a direction's first octet is 1 (RFC 8684 section 3.1).

        Raises:
            UsageError: There is no such connection or direction.
        """
        from mptcp_oracle.analysis.lookups import octet

        return octet(self, self._of(connection), _role(direction), dsn)

    def carriers(
        self, connection: Connection | int, direction: str, start: int, end: int
    ) -> tuple[Carrier, ...]:
        """All segments that carried any of the data octets ``[start, end)``, in capture order.

        Args:
            connection: A connection or its id.
            direction: Who sent them: ``initiator`` or ``listener``.
            start: Relative DSN of the first octet.
            end: One past that of the last.

        Raises:
            UsageError: There is no such connection or direction.
        """
        from mptcp_oracle.analysis.lookups import carriers

        return carriers(self, self._of(connection), _role(direction), start, end)

    def frame(self, number: int) -> Segment:
        """Everything about the segment in one frame: its options, its octets, who sent them before.

        Raises:
            UsageError: The frame holds no segment of an MPTCP subflow.
        """
        from mptcp_oracle.analysis.lookups import segment

        return segment(self, number)

    def _of(self, connection: Connection | int) -> Connection:
        return self.connection(connection) if isinstance(connection, int) else connection

    def facts(self) -> Iterator[Fact]:
        """Everything the trace knows, fact by fact, in the vocabulary of ``mptcp_oracle.facts``.

        See :func:`mptcp_oracle.analysis.serialise.facts`.
        """
        from mptcp_oracle.analysis.serialise import facts

        return facts(self)

    def direction(self, connection: Connection, role: int) -> int:
        """Index of what host ``role`` of a connection sends in the data plane's tables."""
        return self.plane.direction[connection.subflows[0].halves[role]]

    @cached_property
    def ground(self) -> Ground:
        """What the tables and lookups are computed from."""
        from mptcp_oracle.analysis.ground import Ground

        return Ground(self)

    @cached_property
    def segments(self) -> SegmentTable:
        """One row a segment of an MPTCP subflow, as NumPy arrays."""
        from mptcp_oracle.analysis.tables import SegmentTable

        return SegmentTable(self.ground)

    @cached_property
    def mappings(self) -> MappingTable:
        """One row a declared mapping, as NumPy arrays."""
        from mptcp_oracle.analysis.mappings import MappingTable

        return MappingTable(self.ground)

    @cached_property
    def transmissions(self) -> TransmissionTable:
        """One row a range of one class in a segment, as NumPy arrays."""
        from mptcp_oracle.analysis.transmissions import TransmissionTable

        return TransmissionTable(self.ground)


def _role(direction: str) -> int:
    """The index of a host's role."""
    if direction not in ROLES:
        raise UsageError(
            f"there is no direction {direction!r}", hint=f"choose {' or '.join(ROLES)}"
        )
    return ROLES.index(direction)


def analyze(
    source: Source,
    *,
    linktype: int | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Analyze a capture.

    Args:
        source: A path, ``"-"`` for standard input, a binary file, octets, or an iterable of
            ``(time in seconds, octets)`` for which ``linktype`` is needed.
        linktype: Link type number of an iterable's frames, such as 1 for Ethernet, 101 for IP.
        name: What to call the capture.
        progress: Called now and then with what is done and what there is of the phase at hand:
            octets read, connections put together, segments followed, connections closed.

    Returns:
        The trace. Close it, or use it as a context manager.

    Raises:
        CaptureError: The source is no capture that can be read.
        UsageError: The arguments contradict each other.
    """
    capture = open_capture(source, linktype=linktype, name=name)
    try:
        with at_full_speed():
            return _analyze(capture, progress)
    except BaseException:
        capture.close()
        raise


@contextmanager
def at_full_speed() -> Iterator[None]:
    """Build many small objects that all stay, without a search for dead cycles among them.

    The thread that hashes the capture needs the interpreter rarely and briefly, and is let in
    sooner than usual, so that it does not end after everything else.
    """
    was_on, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if was_on:
            gc.enable()


def _analyze(capture: Capture, progress: Progress | None) -> Trace:
    wire = read(capture, progress)
    signals = Signals(wire)
    build = assemble(wire, find_subflows(wire, signals))
    groups = build.connections + build.unattached
    triggers = []
    for group in _counted(groups, progress):
        triggers += story.tell(build, signals, group)
        for subflow in group.subflows:
            triggers += closing.end_subflow(build, signals, group, subflow)
    triggers.sort(key=lambda trigger: trigger.row)
    plane = run_data_plane(wire, groups, triggers, progress)
    for group in _counted(groups, progress):
        closing.close(build, signals, plane, group)
        schedulers.observe(plane, group)
        checksums.verify(plane, group)
    for group in groups:
        group.mismatches.sort(key=lambda mismatch: mismatch.frame)
    return Trace(wire, signals, build, plane)


def _counted(groups: list[Connection], progress: Progress | None) -> Iterator[Connection]:
    """The groups one by one, with their progress."""
    for done, group in enumerate(groups):
        if progress is not None and done % 1024 == 0:
            progress(done, len(groups))
        yield group
