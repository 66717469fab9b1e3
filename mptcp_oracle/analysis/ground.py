"""What the tables and lookups of one trace share: whose segments these are, and what they carry."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.ordering import grouped
from mptcp_oracle.analysis.parts import (
    DUPLICATE,
    Parts,
    column,
    cut_by_class,
    cut_by_mapping,
    has_bit,
    probes,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mptcp_oracle.analysis.trace import Trace

    Array = NDArray[Any]

__all__ = ["Ground", "unwrapped"]

ACK = 0x10
#: How an initial sequence number is known that no handshake shows.
FROM_MAPPINGS = 4


class Ground:
    """Derived columns, each made when it is first needed, and kept.

    Attributes:
        trace: The trace. plane: Its data plane. wire: Its columns.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.plane = trace.plane
        self.wire = trace.wire

    def column(self, name: str) -> Array:
        """A column of all segments, MPTCP or not."""
        return column(self.wire.segments[name])

    def mapping(self, name: str) -> Array:
        """A column of all declared mappings."""
        return column(self.wire.mappings[name])

    @cached_property
    def half_direction(self) -> Array:
        """By half: its direction, -1 outside MPTCP."""
        return column(self.plane.direction)

    @cached_property
    def direction(self) -> Array:
        """By row: its direction, -1 outside MPTCP."""
        return self.half_direction[self.column("half")]

    @cached_property
    def duplicate(self) -> Array:
        """By row: whether the capture holds the same segment before."""
        return has_bit(self.column("flags"), DUPLICATE)

    @cached_property
    def of_half(self) -> dict[str, Array]:
        """By half: ``connection``, ``subflow``, ``sender``, ``from_source``."""
        import numpy as np

        halves = self.wire.halves.rows
        found: dict[str, Array] = {
            "connection": np.zeros(halves, np.int32),
            "subflow": np.full(halves, -1, np.int32),
            "sender": np.full(halves, -1, np.int8),
            "from_source": np.zeros(halves, np.bool_),
        }
        for group in self.trace.groups():
            for subflow in group.subflows:
                for role, half in subflow.sides():
                    found["connection"][half] = group.id
                    found["subflow"][half] = subflow.id
                    found["from_source"][half] = role == subflow.source_role
                    if subflow.role_name(role) is not None:
                        found["sender"][half] = role
        return found

    @cached_property
    def base(self) -> Array:
        """By direction: the absolute number that relative DSNs count from."""
        import numpy as np

        return column(self.plane.base).astype(np.uint64)

    @cached_property
    def rows(self) -> Array:
        """Rows of segments of MPTCP subflows."""
        import numpy as np

        return np.flatnonzero(self.direction >= 0)

    @cached_property
    def parts(self) -> Parts:
        """All payload cut by mapping and class, duplicates made by the capture included."""
        return cut_by_class(self.plane, cut_by_mapping(self.plane))

    def parts_of(self, rows: Array) -> Parts:
        """The payload of some segments of MPTCP subflows, cut as all is in ``parts``.

        Args:
            rows: Their rows, ascending; all have payload.
        """
        return cut_by_class(self.plane, cut_by_mapping(self.plane, rows))

    @cached_property
    def part_place(self) -> tuple[Array, Array, Array]:
        """By part: its direction, and the relative DSNs ``[start, end)`` where it is mapped."""
        parts = self.parts
        return self.direction[parts.row], parts.start + parts.delta, parts.end + parts.delta

    @cached_property
    def carries(self) -> Array:
        """By part: whether it counts as a carrier of its DSNs: mapped, no duplicate, no probe."""
        parts = self.parts
        mine = (parts.mapping >= 0) & ~self.duplicate[parts.row]
        return mine & ~probes(self.plane, parts)

    def controls(self, row: int) -> list[bytes]:
        """The options of the control plane that a segment carries, as octets."""
        controls, data = self.wire.controls, self.wire.capture.data
        at, low = controls.of("offset", "size"), bisect_left(controls["row"], row)
        high = bisect_left(controls["row"], row + 1)
        return [bytes(data[at[0][i] : at[0][i] + at[1][i]]) for i in range(low, high)]

    @cached_property
    def relative_ack(self) -> Array:
        """By row: the acknowledgment number relative to the peer's ISN.

        -1 without flag ACK, or where that ISN is not known. Others may be negative, too, where a
        third packet was sent again late and shows another ISN.
        """
        import numpy as np

        half = self.column("half")
        isn_from, isn = (
            column(each).reshape(-1, 2)[:, ::-1].reshape(-1)
            for each in (self.plane.isn_from, self.wire.halves["isn"])
        )
        known = (isn_from > 0) & (self.half_direction >= 0)
        mine = has_bit(self.column("flags"), ACK)
        mine &= known[half]
        # Unsigned numbers of 32 bits: the difference is modulo 2**32.
        low = self.column("ack") - isn[half]
        low[~mine] = 0
        result: Array = low.astype(np.int64)
        result[~mine] = -1
        if not wraps(low):
            return result
        rows = np.flatnonzero(mine)
        # What a handshake shows lies near what is acknowledged first; mappings may lie far off.
        near = isn_from[half[rows]] != FROM_MAPPINGS
        result[rows] = unwrapped(half[rows], low[rows], near)
        return result


def wraps(low: Array) -> bool:
    """Whether any of some 32-bit numbers may be so far apart that one wraps around."""
    return int(low.max(initial=0)) >= 1 << 31


def unwrapped(group: Array, low: Array, near: Array | None = None) -> Array:
    """32-bit numbers made long: each is the nearest one to the number before it in its group.

    Args:
        group: The group of each.
        low: The numbers.
        near: Whether a number that is the first of its group is the nearest one to 0, which may be
            below it, and not one of 32 bits.
    """
    import numpy as np

    if not wraps(low):
        return low.astype(np.int64)
    order = grouped(group, int(group.max()) + 1)
    groups, lows = group[order], low[order].astype(np.int64)
    step = np.diff(lows, prepend=0)
    first = np.ones(len(groups), np.bool_)
    first[1:] = groups[1:] != groups[:-1]
    step = np.where(first, 0, (step + (1 << 31)) % (1 << 32) - (1 << 31))
    long = np.cumsum(step)
    begin = np.flatnonzero(first)
    sizes = np.diff(begin, append=len(groups))
    starts = lows[begin]
    if near is not None:
        starts = np.where(near[order][begin] & (starts >= 1 << 31), starts - (1 << 32), starts)
    long += np.repeat(starts - long[begin], sizes)
    result = np.empty(len(low), dtype=np.int64)
    result[order] = long
    return result
