"""The context of all rules: one trace, what is known of its capture, and the ledger.

This is where the conditions stand under which evidence counts (docs/decisions/0008-verdicts.md):
what a capture shows is one thing, what a host did another, unless it was made at that host.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.integrity import Integrity
from mptcp_oracle.analysis.ordering import blocks, firsts, grouped, tally
from mptcp_oracle.analysis.parts import column
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.errors import UsageError
from mptcp_oracle.rules.ledger import Finding, Ledger
from mptcp_oracle.rules.progress import Progress
from mptcp_oracle.wire.columns import FLAG_BITS

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

    @cached_property
    def owners(self) -> dict[int, set[tuple[int | None, int | None]]]:
        """By token: keys (its owner's, the peer's) of the connections in which a host has it."""
        found: dict[int, set[tuple[int | None, int | None]]] = {}
        for connection in self.connections:
            for host, peer in (connection.hosts, connection.hosts[::-1]):
                if host.token is not None:
                    found.setdefault(host.token, set()).add((host.key, peer.key))
        return found

    @cached_property
    def cut(self) -> frozenset[int]:
        """Streams with segments of which the capture does not have all TCP options."""
        import numpy as np

        ground, bit = self.trace.ground, FLAG_BITS["options_cut"]
        rows = np.flatnonzero(ground.column("flags") & bit)
        return self._streams(ground.column("half")[rows])

    @cached_property
    def doubled(self) -> frozenset[int]:
        """Streams of which the capture has segments twice: one may be there alone, and late."""
        ground = self.trace.ground
        return self._streams(ground.column("half")[ground.duplicate])

    def _streams(self, halves: Array) -> frozenset[int]:
        """The streams of these halves."""
        import numpy as np

        found = tally(halves >> 1, self.trace.wire.halves.rows >> 1)
        return frozenset(np.flatnonzero(found).tolist())

    def sent(self, half: int) -> Array:
        """Rows of what was sent on a half, in capture order, capture duplicates aside."""
        order, bounds = self._by_half
        return order[bounds[half] : bounds[half + 1]]

    @cached_property
    def _by_half(self) -> tuple[Array, Array]:
        """All rows but duplicates, sorted by half; where each half begins."""
        import numpy as np

        ground = self.trace.ground
        rows = np.flatnonzero(~ground.duplicate)
        half = ground.column("half")[rows]
        halves = self.trace.wire.halves.rows
        order = grouped(half, halves)
        bounds = half[order].searchsorted(np.arange(halves + 1))
        return rows[order], bounds

    @cached_property
    def progress(self) -> Progress:
        """What hosts had sent and acknowledged, by row."""
        return Progress(self)

    @cached_property
    def first_dss(self) -> list[int]:
        """By half: row of its first DSS or MP_CAPABLE with data; beyond all rows without one."""
        return self.first_of(self.trace.ground.column("dss") != 0)

    def first_of(self, mine: Mask) -> list[int]:
        """By half: its first row of some, capture duplicates aside; beyond all rows without one.

        Args:
            mine: By row: whether it is one of them.
        """
        ground = self.trace.ground
        last = column(self.trace.wire.halves["last_row"])
        return list(firsts(ground.column("half"), mine & ~ground.duplicate, last).tolist())

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
                any(ipaddress.ip_address(each) in network for network in self.local) for each in key
            ]
            self._at[key] = None if ends[0] == ends[1] else ends.index(True)
        at = self._at[key]
        return None if at is None else (subflow.source_role if at == 0 else 1 - subflow.source_role)

    @cached_property
    def plain_from(self) -> Array:
        """By direction: the first row from which on its connection is plain TCP.

        An infinite mapping of either host makes it that (RFC 8684 section 3.7); beyond all rows
        where it never is.
        """
        import numpy as np

        frame = self.trace.wire.segments["frame"]
        found = np.full(2 * len(self.connections), self.trace.wire.segments.rows, np.int64)
        for number, connection in enumerate(self.connections):
            if connection.state == "fallback" and connection.state_frame is not None:
                found[2 * number : 2 * number + 2] = bisect_left(frame, connection.state_frame)
        ground = self.trace.ground
        direction = ground.half_direction[ground.mapping("half")]
        endless = self.trace.mappings.infinite & (direction >= 0) & (direction < len(found))
        for other in (0, 1):
            np.minimum.at(found, direction[endless] ^ other, ground.mapping("row")[endless])
        return found

    @cached_property
    def judged_until(self) -> Array:
        """By any direction: :attr:`plain_from`, and 0 where no connection is judged.

        The last one stands for -1, which is the direction of what is outside MPTCP.
        """
        import numpy as np

        most = int(self.trace.ground.half_direction.max(initial=-1))
        found = np.zeros(max(most + 1, len(self.plain_from)) + 1, np.int64)
        found[: len(self.plain_from)] = self.plain_from
        return found

    @cached_property
    def in_use(self) -> Mask:
        """By row: whether its connection is judged and not yet plain TCP; not of duplicates."""
        import numpy as np

        ground = self.trace.ground
        found: Mask = ~ground.duplicate
        for block in blocks(len(found)):
            until = self.judged_until[ground.direction[block]]
            found[block] &= np.arange(block.start, block.stop) < until
        return found

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
        beside: Callable[[int], int] | None = None,
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
            beside: Row of another segment that the proof needs, for an index into ``rows``.
        """
        import numpy as np

        judged = 2 * len(self.trace.connections)
        directions = self.trace.ground.direction[rows]
        broken = np.flatnonzero(bad)
        good = tally(directions[~bad] if len(broken) else directions, judged)
        broken = broken[(directions[broken] >= 0) & (directions[broken] < judged)]
        for direction in np.flatnonzero(good).tolist():
            self.ledger.right(requirement, direction, int(good[direction]))
        taken: dict[int, int] = {}
        for at in broken.tolist():
            direction = int(directions[at])
            taken[direction] = taken.get(direction, 0) + 1
            if taken[direction] > 64:
                continue
            row = int(rows[at])
            text = why if isinstance(why, str) else why(at)
            shown = (row,) if beside is None else (beside(at), row)
            subflow = int(self.trace.ground.of_half["subflow"][self.half(row)])
            if certain is None or certain[at]:
                self.wrong(requirement, direction, shown, text, subflow=subflow, severity=severity)
            else:
                finding = Finding(shown, f"{text}; {missing}", subflow)
                self.ledger.doubt(requirement, direction, finding)

    def half(self, row: int) -> int:
        """The half that a row's segment belongs to."""
        return int(self.trace.wire.segments["half"][row])
