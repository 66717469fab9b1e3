"""Facts of one host that come from columns: mappings, payload, checksums, fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.counters.streams import Stream
from mptcp_oracle.facts import CLASSES, COPIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["DATA"]

#: Values of a mapping's check (:mod:`mptcp_oracle.analysis.checksums`).
WRONG, INCOMPLETE = 2, 3
_COPIES = sum(1 << CLASSES.index(name) for name in COPIES)
_PROBE = 1 << CLASSES.index("zero_window_probe")


def _halves(streams: list[Stream], *, mine: bool) -> list[int]:
    return [each.half if mine else each.half ^ 1 for each in streams]


def _segments(trace: Trace, streams: list[Stream], *, mine: bool) -> Mask:
    """By row: whether it is a segment of these streams that the host sent, or received."""
    import numpy as np

    ground = trace.ground
    return np.isin(ground.column("half"), _halves(streams, mine=mine)) & ~ground.duplicate


def _infinite(trace: Trace, streams: list[Stream], *, mine: bool) -> int:
    """Subflows with an infinite mapping."""
    import numpy as np

    half = trace.ground.mapping("half")[trace.mappings.infinite]
    return len(np.intersect1d(half, _halves(streams, mine=mine)))


def _payloads(trace: Trace, streams: list[Stream]) -> int:
    """Segments with payload that came."""
    length = trace.ground.column("length")
    return int((_segments(trace, streams, mine=False) & (length > 0)).sum())


def _of_kind(trace: Trace, streams: list[Stream], *, mine: bool, kinds: int) -> int:
    kind = trace.ground.column("kind")
    return int((_segments(trace, streams, mine=mine) & ((kind & kinds) > 0)).sum())


def _resent(trace: Trace, streams: list[Stream]) -> int:
    """1 if data was sent again before any subflow of its connection had ended, else 0.

    What was under way on a subflow that ends is queued as if it were new.
    """
    import numpy as np

    copies = _segments(trace, streams, mine=True) & ((trace.ground.column("kind") & _COPIES) > 0)
    frame, half = (trace.ground.column(name)[copies] for name in ("frame", "half"))
    for each in streams:
        ends = [flow.end.frame for flow in each.connection.subflows if flow.end is not None]
        mine = frame[half == each.half]
        if len(mine) and int(np.min(mine)) < min(ends, default=1 << 62):
            return 1
    return 0


def _if_copied(trace: Trace, streams: list[Stream]) -> int:
    copied = _of_kind(trace, streams, mine=False, kinds=_COPIES | _PROBE)
    return _payloads(trace, streams) if copied else 0


def _out_of_order(trace: Trace, streams: list[Stream]) -> int:
    """Segments with payload that came, of connections that had it on more than one subflow."""
    import numpy as np

    rows = _segments(trace, streams, mine=False) & (trace.ground.column("length") > 0)
    used = set(np.unique(trace.ground.column("half")[rows]).tolist())
    carried: dict[int, list[Stream]] = {}
    for each in streams:
        if each.half ^ 1 in used:
            carried.setdefault(each.connection.id, []).append(each)
    several = [each for group in carried.values() if len(group) > 1 for each in group]
    copied = _of_kind(trace, streams, mine=False, kinds=_COPIES)
    return _payloads(trace, streams if copied else several)


def _checksums_wrong(trace: Trace, streams: list[Stream]) -> int:
    """Mappings that came whose checksum is wrong, or cannot be checked."""
    import numpy as np

    if not len(trace.plane.checksum):
        return 0
    check = np.asarray(trace.plane.checksum)
    mine = np.isin(trace.ground.mapping("half"), _halves(streams, mine=False))
    return int((mine & ((check == WRONG) | (check == INCOMPLETE))).sum())


def _fallbacks(trace: Trace, streams: list[Stream]) -> int:
    fallen = {each.connection.id for each in streams if each.connection.state == "fallback"}
    return len(fallen)


DATA: dict[str, tuple[str, str, Callable[[Trace, list[Stream]], int]]] = {
    "infinite_sent": (
        "subflows on which the host sent an infinite mapping",
        "sent",
        lambda trace, streams: _infinite(trace, streams, mine=True),
    ),
    "infinite_received": (
        "subflows on which an infinite mapping came",
        "received",
        lambda trace, streams: _infinite(trace, streams, mine=False),
    ),
    "payloads_received": ("segments with payload that came", "received", _payloads),
    "segments_if_copied": (
        "segments with payload that came; 0 if none carried octets that had come before",
        "both",
        _if_copied,
    ),
    "segments_out_of_order": (
        "segments with payload that came; only of connections that had it on several subflows, "
        "unless octets came again",
        "both",
        _out_of_order,
    ),
    "resent": (
        "1 if the host sent data again under another subflow sequence number while all subflows of "
        "the connection lived, else 0",
        "sent",
        _resent,
    ),
    "probes_sent": (
        "probes of a closed window that the host sent, TCP's repetitions aside",
        "both",
        lambda trace, streams: _of_kind(trace, streams, mine=True, kinds=_PROBE),
    ),
    "checksums_wrong": (
        "mappings that came with a wrong checksum, or one that cannot be checked",
        "both",
        _checksums_wrong,
    ),
    "fallbacks": ("connections of the host that fell back to plain TCP", "both", _fallbacks),
}
"""By name: what is counted, the side (:class:`mptcp_oracle.counters.tally.Fact`), and how."""
