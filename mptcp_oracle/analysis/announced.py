"""Announced: the receive windows that segments announce, and how far they let the peer send.

On a subflow the right edge is acknowledgment plus window (RFC 9293); for the connection it is
DATA_ACK plus window, on whichever subflow (RFC 8684 sections 3.3.4 and 3.3.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.integrity import MOST_SCALE, WINDOW_SCALE
from mptcp_oracle.analysis.parts import column, has_bit
from mptcp_oracle.wire.columns import FLAG_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mptcp_oracle.analysis.ground import Ground
    from mptcp_oracle.analysis.trace import Trace

    Array = NDArray[Any]

__all__ = ["scales", "windows"]

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


def windows(trace: Trace) -> Array:
    """By row: the window that a segment announces, in octets; that of a SYN is not shifted."""
    found: Array | None = trace.ground.__dict__.get("_windows")
    if found is None:
        found = trace.ground.__dict__["_windows"] = _windows(trace.ground, scales(trace))
    return found


def _windows(ground: Ground, scale: Array) -> Array:
    import numpy as np

    shift = np.maximum(scale, 0).astype(np.uint8)[ground.column("half")]
    shift[has_bit(ground.column("flags"), SYN)] = 0
    # A window of 16 bits, shifted by 14 at most, has 30.
    found: Array = ground.column("window").astype(np.int32)
    found <<= shift
    return found
