"""One TCP stream as one host has it: what it sent and received of MPTCP, in capture order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.signals import ACK, RST, SYN, Raw
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.options import Malformed, MpCapable, Option
from mptcp_oracle.wire.columns import FLAG_BITS

__all__ = ["Signal", "Stream", "streams"]

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One option on one segment.

    Attributes:
        row: Row of the segment. frame: Its frame number. flags: TCP flags. mine: Whether the host
            sent it. option: The option, read as the subflow's version has it.
    """

    row: int
    frame: int
    flags: int
    mine: bool
    option: Option


@dataclass(slots=True, kw_only=True)
class Stream:
    """What one host sent and received on one TCP stream.

    Attributes:
        trace: The trace. subflow: The stream. connection: Its connection, or what stands for it.
        role: The host's role. signals: Options. syns: ``(row, whether mine, flags)`` of SYNs.
        resets: Whether the host sent a RST.
    """

    trace: Trace
    subflow: Subflow
    connection: Connection
    role: int
    signals: list[Signal] = field(default_factory=list)
    syns: list[tuple[int, bool, int]] = field(default_factory=list)
    resets: bool = False

    @property
    def opened(self) -> bool:
        """Whether the host sent the first SYN."""
        return self.subflow.opener == self.role

    @property
    def half(self) -> int:
        """The half on which the host sends."""
        return self.subflow.halves[self.role]

    def of(
        self, kind: type[Kind], *, mine: bool, syn: bool | None = None
    ) -> Iterator[tuple[Signal, Kind]]:
        """The options of one kind that the host sent, or received.

        Args:
            kind: The option's class.
            mine: Whether the host sent them.
            syn: Only on segments with, or without, flag SYN.
        """
        for each in self.signals:
            on_syn = bool(each.flags & SYN)
            if each.mine == mine and syn in (None, on_syn) and isinstance(each.option, kind):
                yield each, each.option

    @property
    def first_answer(self) -> int | None:
        """Row of the first SYN/ACK."""
        return next((row for row, _, flags in self.syns if flags & ACK), None)

    def first_plain_row(self, *, mine: bool) -> int | None:
        """Row of the first segment of one end that is neither SYN nor RST, duplicates aside."""
        segments = self.trace.wire.segments
        half, flags = segments.of("half", "flags")
        wanted = self.half if mine else self.half ^ 1
        first, last = self.trace.wire.halves.of("first_row", "last_row")
        if first[wanted] < 0:
            return None
        for row in range(first[wanted], last[wanted] + 1):
            if half[row] == wanted and not flags[row] & (SYN | RST | FLAG_BITS["duplicate"]):
                return row
        return None

    @property
    def other_port(self) -> bool:
        """Whether the end that was asked has another port than in the initial subflow."""
        asked = self.subflow.destination
        if self.connection.id < 0 or self.subflow.opener is None:
            return False
        end = self.connection.hosts[1 - self.subflow.opener].endpoint
        return end is not None and end.port != asked.port


def streams(trace: Trace, role_of: dict[int, int]) -> Iterator[Stream]:
    """The MPTCP streams of one host.

    Args:
        trace: The trace.
        role_of: Its role in each of its subflows, by the subflow's id.
    """
    for connection in trace.groups():
        for subflow in connection.subflows:
            role = role_of.get(subflow.id)
            if role is not None:
                yield _stream(trace, connection, subflow, role)


def _stream(trace: Trace, connection: Connection, subflow: Subflow, role: int) -> Stream:
    mine = subflow.halves[role]
    made = Stream(trace=trace, subflow=subflow, connection=connection, role=role)
    flags, frame = trace.wire.segments.of("flags", "frame")

    def counts(raw: Raw) -> bool:
        return not flags[raw.row] & FLAG_BITS["duplicate"]

    for raw in trace.signals.options.get(subflow.stream, ()):
        if counts(raw):
            made.signals.append(
                Signal(
                    row=raw.row,
                    frame=frame[raw.row],
                    flags=raw.flags,
                    mine=raw.half == mine,
                    option=_read(raw, subflow.version),
                )
            )
    for raw in trace.signals.events.get(subflow.stream, ()):
        if not counts(raw):
            continue
        if raw.flags & SYN:
            made.syns.append((raw.row, raw.half == mine, raw.flags))
        elif raw.flags & RST and raw.half == mine:
            made.resets = True
    return made


def _read(raw: Raw, version: int | None) -> Option:
    """An option's value; an MP_CAPABLE that receive offload put on another segment is one, too."""
    option = raw.decode(version)
    if isinstance(option, Malformed) and isinstance(option.reading, MpCapable):
        return option.reading if option.reading.receiver_key is not None else option
    return option
