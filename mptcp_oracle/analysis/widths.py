"""Widths: which data was mapped with data sequence numbers of 8 octets only (RFC 8684, 3.3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.ground import Ground
from mptcp_oracle.analysis.ordering import FAR
from mptcp_oracle.analysis.parts import has_bit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["LongData"]

#: Bits of a mapping's flags: its DSN has 8 octets; its last number is a DATA_FIN's.
LONG_DSN, DATA_FIN = 0x08, 0x10


class LongData:
    """The octets that mappings with 8 octets of DSN cover, and no other mapping.

    DATA_FINs are none of them, nor is what an infinite mapping covers.

    Attributes:
        lowest, highest: By direction: the lowest such DSN, and one past the highest; equal if
            there is none.
    """

    def __init__(self, ground: Ground) -> None:
        import numpy as np

        flags = ground.mapping("flags")
        length = ground.mapping("length").astype(np.int64)
        low = ground.mapping("dsn")
        high = low + length - (has_bit(flags, DATA_FIN) & (length > 0))
        direction = ground.half_direction[ground.mapping("half")].astype(np.int64)
        sound = np.flatnonzero((high > low) & (low > 0) & (high < FAR) & (direction >= 0))
        base, long = direction[sound] * FAR, has_bit(flags[sound], LONG_DSN)
        # Where each mapping begins and ends; how many of both widths cover what follows.
        edges = np.concatenate([base + low[sound], base + high[sound]])
        step = np.repeat([1, -1], len(sound))
        order = np.argsort(edges, kind="stable")
        edges, step, long = edges[order], step[order], np.tile(long, 2)[order]
        depth, others = np.cumsum(step * long), np.cumsum(step * ~long)
        only = np.flatnonzero((depth > 0) & (others == 0))
        only = only[edges[only] < edges[only + 1]]
        self._low, self._high = edges[only], edges[only + 1]
        self._before = np.cumsum(self._high - self._low) - (self._high - self._low)
        count = len(ground.plane.base)
        bounds = np.searchsorted(self._low, np.arange(count + 1) * FAR)
        some = np.flatnonzero(bounds[1:] > bounds[:-1])
        self.lowest, self.highest = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.lowest[some] = self._low[bounds[some]] - some * FAR
        self.highest[some] = self._high[bounds[some + 1] - 1] - some * FAR

    def between(self, direction: Array, low: Array, high: Array) -> Array:
        """How many such octets of a direction have DSNs in ``[low, high)``."""
        found: Array = self._below(direction, high) - self._below(direction, low)
        return found

    def _below(self, direction: Array, dsn: Array) -> Array:
        import numpy as np

        if not len(self._low):
            return np.zeros(len(dsn), np.int64)
        place = direction.astype(np.int64) * FAR + np.clip(dsn, 0, FAR - 1)
        at = np.searchsorted(self._low, place, side="right") - 1
        inside = np.minimum(place, self._high[at]) - self._low[at]
        return np.where(at >= 0, self._before[at] + inside, 0)
