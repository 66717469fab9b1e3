"""Announced: the receive windows that segments announce, and how far they let the peer send.

On a subflow the right edge is acknowledgment plus window (RFC 9293); for the connection it is
DATA_ACK plus window, on whichever subflow (RFC 8684 sections 3.3.4 and 3.3.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.integrity import MOST_SCALE, WINDOW_SCALE
from mptcp_oracle.analysis.ordering import Tops, span
from mptcp_oracle.analysis.parts import column, has_bit
from mptcp_oracle.wire.columns import FLAG_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mptcp_oracle.analysis.trace import Trace

    Array = NDArray[Any]

__all__ = ["Limits", "scales", "windows"]

SYN, ACK, DATA_ACK = 0x02, 0x10, 0x01
#: The longest TCP options, and the kinds that are not followed by a length.
LONGEST, END, NOP = 40, 0, 1


def scales(trace: Trace) -> Array:
    """By half: by how many bits the windows that it announces are shifted; -1 if not known.

    As :meth:`~mptcp_oracle.analysis.integrity.Integrity.window_scale` has it, for all halves.
    """
    found: Array | None = trace.ground.__dict__.get("_scales")
    if found is None:
        found = trace.ground.__dict__["_scales"] = _scales(trace)
    return found


def _scales(trace: Trace) -> Array:
    import numpy as np

    rows = np.array(trace.wire.events, np.int64)
    segments = trace.wire.segments
    flags, half = column(segments["flags"]), column(segments["half"])
    rows = rows[has_bit(flags[rows], SYN)]
    names, first = np.unique(half[rows], return_index=True)
    rows = rows[first]
    offered = np.full(trace.wire.halves.rows, -2, np.int64)
    whole = ~has_bit(flags[rows], FLAG_BITS["options_cut"])
    offered[names[whole]] = _offered(trace, rows[whole])
    peer = offered.reshape(-1, 2)[:, ::-1].reshape(-1)
    both = np.minimum(offered, peer)
    return np.where(both == -2, -1, np.where(both < 0, 0, offered))


def _offered(trace: Trace, rows: Array) -> Array:
    """The window scale option of each of some SYNs; -1 where there is none."""
    import numpy as np

    data = np.frombuffer(trace.capture.data, np.uint8)
    offset = column(trace.wire.segments["offset"])[rows]
    at = offset - column(trace.wire.segments["header"])[rows] + 20
    found = np.full(len(rows), -1, np.int64)
    live = np.arange(len(rows))
    for _ in range(LONGEST):
        live = live[at[live] < offset[live]]
        kind = data[at[live]]
        live, kind = live[kind != END], kind[kind != END]
        if not len(live):
            break
        long = kind != NOP
        size = np.ones(len(live), np.int64)
        told = np.minimum(at[live[long]] + 1, offset[live[long]] - 1)
        size[long] = data[told]
        broken = long & ((size < 2) | (at[live] + size > offset[live]))
        scale = ~broken & (kind == WINDOW_SCALE) & (size == 3)
        found[live[scale]] = np.minimum(data[at[live[scale]] + 2], MOST_SCALE)
        at[live] += size
        live = live[~broken & ~scale]
    return found


def windows(trace: Trace, rows: Array, scale: Array) -> Array:
    """The window that each of some segments announces, in octets; that of a SYN is not shifted."""
    import numpy as np

    ground, at = trace.ground, span(rows)
    shift = np.maximum(scale[ground.column("half")[at]], 0)
    shift[has_bit(ground.column("flags")[at], SYN)] = 0
    found: Array = ground.column("window")[at].astype(np.int64) << shift
    return found


class Limits:
    """How far the peers let each host send, on subflows or of data, block by block."""

    def __init__(self, groups: int) -> None:
        """Begin.

        Args:
            groups: Number of halves, or of directions: the two of a pair differ in the last bit.
        """
        self._sides = Tops(groups >> 1), Tops(groups >> 1)

    def before(self, side: Array, edge: Array) -> Array:
        """The highest right edge that the other side had announced before each segment.

        Args:
            side: The half or direction of each segment.
            edge: The right edge that it announces; 0 for none.
        """
        import numpy as np

        second = (side & 1) == 1
        first_edges = self._sides[0].before(side >> 1, np.where(second, 0, edge))
        second_edges = self._sides[1].before(side >> 1, np.where(second, edge, 0))
        found: Array = np.where(second, first_edges, second_edges)
        return found
