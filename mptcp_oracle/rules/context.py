"""The context of all rules: one trace, what is known of its capture, and the ledger.

This is where the conditions stand under which evidence counts (docs/decisions/0008-verdicts.md): what
a capture shows is one thing, what a host did another, unless the capture was made at that host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.integrity import Integrity
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.errors import UsageError
from mptcp_oracle.rules.ledger import Finding, Ledger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["JITTER", "Context", "Network", "networks"]

JITTER = 20_000_000
"""Nanoseconds within which events on different subflows have no certain order."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(local: Sequence[str]) -> tuple[Network, ...]:
    """Addresses or networks as text, as networks.

    Raises:
        UsageError: One of them is neither.
    """
    found = []
    for text in local:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError as error:
            raise UsageError(
                f"{text!r} is no address and no network",
                cause=str(error),
                hint="for example 10.1.1.1 or 2001:db8::/64",
            ) from error
    return tuple(found)


class Context:
    """What all rules share while one capture is judged.

    Attributes:
        trace: The trace. ledger: Takes the findings.
        local: Networks of the host that made the capture, if somebody said so.
        whole: Whether the capture is known to lack no frame that passed its tap: the file states
            that nothing was dropped, or somebody said so.
    """

    def __init__(
        self, trace: Trace, ledger: Ledger, local: tuple[Network, ...], whole: bool
    ) -> None:
        self.trace = trace
        self.ledger = ledger
        self.local = local
        self.whole = whole
        self.integrity = Integrity(trace)
        self._at: dict[tuple[str, str], int | None] = {}

    @cached_property
    def connections(self) -> list[Connection]:
        """The connections that are judged, by their place in the data plane's tables."""
        return self.trace.connections

    def tap(self, subflow: Subflow) -> int | None:
        """The role at whose end the capture of a subflow was made, if that is known for certain.

        Packet types and direction flags say so, or ``local``; a guess by timing does not count.
        """
        end, known = subflow.vantage
        if known and end is not None:
            return subflow.source_role if end == "source" else 1 - subflow.source_role
        if not self.local:
            return None
        key = (subflow.source.address, subflow.destination.address)
        if key not in self._at:
            ends = [
                any(ipaddress.ip_address(each) in network for network in self.local)
                for each in key
            ]
            self._at[key] = None if ends[0] == ends[1] else ends.index(True)
        at = self._at[key]
        return None if at is None else (subflow.source_role if at == 0 else 1 - subflow.source_role)

    def wrong(
        self,
        requirement: str,
        direction: int,
        rows: Sequence[int],
        why: str,
        *,
        subflow: int | None = None,
        severity: str | None = None,
    ) -> None:
        """A requirement was broken; a doubt only if a segment that shows it was damaged."""
        finding = Finding(tuple(rows), why, subflow, severity)
        damaged = next((row for row in rows if self.integrity.damaged(row)), None)
        if damaged is not None:
            why = f"{why}; but the TCP checksum of frame {self.frame(damaged)} is wrong"
            self.ledger.doubt(requirement, direction, Finding(tuple(rows), why, subflow))
        else:
            self.ledger.wrong(requirement, direction, finding)

    def frame(self, row: int) -> int:
        """The frame number of a row."""
        return int(self.trace.wire.segments["frame"][row])

    def swept(
        self,
        requirement: str,
        rows: Array,
        bad: Mask,
        why: str | Callable[[int], str],
        *,
        certain: Mask | None = None,
        missing: str = "",
        severity: str | None = None,
    ) -> None:
        """Enter instances of a whole capture at once.

        Args:
            requirement: The id.
            rows: Row of each instance's segment; its sender is judged.
            bad: Which instances are broken.
            why: The argument, or what makes it for an index into ``rows``.
            certain: Which of the bad ones are proven; all by default. The others are in doubt.
            missing: What the proof of those lacks.
            severity: If it is less than the requirement's own.
        """
        import numpy as np

        directions = self.trace.ground.direction[rows]
        judged = (directions >= 0) & (directions < 2 * len(self.trace.connections))
        good = np.bincount(directions[judged & ~bad], minlength=1)
        for direction in np.flatnonzero(good).tolist():
            self.ledger.right(requirement, direction, int(good[direction]))
        taken: dict[int, int] = {}
        for at in np.flatnonzero(judged & bad).tolist():
            direction = int(directions[at])
            taken[direction] = taken.get(direction, 0) + 1
            if taken[direction] > 64:
                continue
            row = int(rows[at])
            text = why if isinstance(why, str) else why(at)
            subflow = int(self.trace.ground.of_half["subflow"][self.half(row)])
            if certain is None or certain[at]:
                self.wrong(requirement, direction, (row,), text, subflow=subflow, severity=severity)
            else:
                finding = Finding((row,), f"{text}; {missing}", subflow)
                self.ledger.doubt(requirement, direction, finding)

    def half(self, row: int) -> int:
        """The half that a row's segment belongs to."""
        return int(self.trace.wire.segments["half"][row])
