"""A case: one connection before the rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

from mptcp_oracle.analysis.entities import Connection, Host, Subflow
from mptcp_oracle.analysis.signals import FIN, RST, SYN, Raw
from mptcp_oracle.analysis.subflows import Handshake
from mptcp_oracle.options import Dss, Option
from mptcp_oracle.rules.context import JITTER, Context
from mptcp_oracle.rules.ledger import Finding

__all__ = ["INCOMPLETE", "Case", "Signal"]

INCOMPLETE = "a frame may be missing: nothing shows that all of what this host sent was captured"
"""Why absence proves nothing, as a rule."""

Kind = TypeVar("Kind", bound=Option)


class Signal(NamedTuple):
    """One MPTCP option of the control plane where it stands.

    Attributes:
        row: Row of its segment. subflow: Its subflow. role: Who sent it, 0 the initiator.
        flags: TCP flags. payload: Octets of payload in the segment. option: Its value.
    """

    row: int
    subflow: Subflow
    role: int
    flags: int
    payload: int
    option: Option


class Case:
    """One connection, with what the capture has of its control plane.

    Attributes:
        context: What all cases share. connection: The connection.
        number: Its place in the data plane's tables. version: 0 or 1; of a handshake that made no
            connection, the one that its SYN offers.
        stray: Whether it is no connection of a version that is judged; of it the SYNs count alone.
        kept: What rules made of it and keep for one another, by class.
    """

    def __init__(
        self,
        context: Context,
        number: int,
        connection: Connection,
        version: int | None = None,
        *,
        stray: bool = False,
    ) -> None:
        self.context = context
        self.connection = connection
        self.number = number
        self.version = connection.version if version is None else version
        self.columns = context.trace.wire.segments
        self.kept: dict[type, object] = {}
        self.stray = stray
        self._enter = context.ledger.right

    # What there is to look at

    @property
    def hosts(self) -> tuple[Host, Host]:
        """Initiator and listener."""
        return self.connection.hosts

    @property
    def subflows(self) -> list[Subflow]:
        """Its subflows, by first frame."""
        return self.connection.subflows

    @cached_property
    def initial(self) -> Subflow | None:
        """Its initial subflow, if that is in the capture."""
        return self.connection.initial

    def shake(self, subflow: Subflow) -> Handshake:
        """The handshake of a subflow."""
        return self.context.trace.shakes[subflow.stream]

    @cached_property
    def signals(self) -> list[Signal]:
        """Its options of the control plane, malformed ones too, in capture order.

        DSS options are here only if they do more than carry data: DATA_FIN, infinite mappings,
        reserved bits, a wrong length.
        """
        found = []
        options = self.context.trace.signals.options
        for subflow in self.subflows:
            for raw in options.get(subflow.stream, ()):
                if self.stray and not raw.flags & SYN:
                    continue
                role = subflow.halves.index(raw.half)
                option = raw.decode(self.version)
                found.append(Signal(raw.row, subflow, role, raw.flags, raw.payload, option))
        if len(self.subflows) > 1:
            found.sort(key=lambda signal: signal.row)
        return found

    @cached_property
    def present(self) -> set[type | str]:
        """What the connection has, as rules ask for it with ``on``."""
        found: set[type | str] = {type(signal.option) for signal in self.signals}
        if any(isinstance(each.option, Dss) and each.option.data_fin for each in self.signals):
            found.add("data_fin")
        if len(self.subflows) > 1 or (self.subflows and self.subflows[0].kind == "joined"):
            found.add("join")
        events = self.context.trace.signals.events
        flags = 0
        for subflow in self.subflows:
            for raw in events.get(subflow.stream, ()):
                flags |= raw.flags
        found |= {word for word, bit in (("fin", FIN), ("rst", RST)) if flags & bit}
        return found

    def of(self, *kinds: type[Kind]) -> Iterator[tuple[Signal, Kind]]:
        """The options of some types, in capture order."""
        if self.present.isdisjoint(kinds):
            return
        for signal in self.signals:
            if isinstance(signal.option, kinds):
                yield signal, signal.option

    def events(self, subflow: Subflow) -> list[Raw]:
        """The segments of a subflow with SYN, FIN or RST, in capture order."""
        return self.context.trace.signals.events.get(subflow.stream, [])

    def frame(self, row: int) -> int:
        """The frame number of a row."""
        return int(self.columns["frame"][row])

    def time(self, row: int) -> int:
        """When a row was captured, in nanoseconds since the epoch."""
        return int(self.columns["time"][row])

    # What may be concluded from it

    def sent_here(self, subflow: Subflow, role: int) -> bool:
        """Whether the capture was made at the end of ``role``, so that what that host sent on this
        subflow is in it as it was sent. Holes are possible all the same.
        """
        return self.context.tap(subflow) == role

    def witnessed(self, subflow: Subflow, role: int) -> bool:
        """Whether everything that a host sent on a subflow since its first frame is captured.

        Only then does it prove anything that a segment or an option is absent.
        """
        if not (self.context.whole and self.sent_here(subflow, role)):
            return False
        return subflow.stream not in self.context.cut

    @cached_property
    def tapped_at(self) -> int | None:
        """The role at whose end all captured subflows were captured, if that is known."""
        taps = {self.context.tap(subflow) for subflow in self.subflows}
        return taps.pop() if len(taps) == 1 else None

    def witnessed_all(self, role: int) -> bool:
        """Whether everything that a host sent on any captured subflow is in the capture."""
        return all(self.witnessed(subflow, role) for subflow in self.subflows)

    def before(self, first: int, second: int) -> bool:
        """Whether one row certainly passed the tap before another.

        On one subflow the order of frames says so; between subflows, which may have interfaces and
        clocks of their own, only times that are clearly apart.
        """
        half = self.columns["half"]
        if half[first] >> 1 == half[second] >> 1:
            return first < second
        return first < second and self.time(first) + JITTER < self.time(second)

    @cached_property
    def over(self) -> int | None:
        """The row from which on the connection is plain TCP; ``None`` if it is not."""
        if self.connection.state != "fallback" or self.connection.state_frame is None:
            return None
        from bisect import bisect_left

        return bisect_left(self.columns["frame"], self.connection.state_frame)

    # What is found

    def right(self, requirement: str, role: int, count: int = 1) -> None:
        """A requirement was kept by a host, so many times."""
        self._enter(requirement, 2 * self.number + role, count)

    def wrong(
        self,
        requirement: str,
        role: int,
        *rows: int,
        why: str,
        subflow: Subflow | None = None,
        severity: str | None = None,
    ) -> None:
        """A requirement was broken by a host, which these segments prove."""
        self.context.wrong(
            requirement,
            2 * self.number + role,
            rows,
            why,
            subflow=None if subflow is None else subflow.id,
            severity=severity,
        )

    def doubt(
        self, requirement: str, role: int, *rows: int, why: str, subflow: Subflow | None = None
    ) -> None:
        """It looks broken, and ``why`` says what the proof lacks."""
        finding = Finding(rows, why, None if subflow is None else subflow.id)
        self.context.ledger.doubt(requirement, 2 * self.number + role, finding)

    def unseen(self, requirement: str, role: int, *rows: int, why: str) -> None:
        """It was exercised, and could not be looked at."""
        self.context.ledger.unseen(requirement, 2 * self.number + role, why, rows=rows)

    def judge(
        self,
        requirement: str,
        signal: Signal,
        kept: bool,
        why: str,
        *,
        severity: str | None = None,
    ) -> None:
        """One option: its sender kept the requirement, or broke it at this segment."""
        if kept:
            self.right(requirement, signal.role)
        else:
            self.wrong(
                requirement,
                signal.role,
                signal.row,
                why=why,
                subflow=signal.subflow,
                severity=severity,
            )
