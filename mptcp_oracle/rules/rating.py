"""How fast data sequence numbers grow (RFC 8684 section 3.3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.rule import Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["RULES", "grown"]

LONG = "8684-3.3.1-long-dsn-at-high-rate"

LIFETIME = 120_000_000_000
"""Maximum Segment Lifetime in nanoseconds, by convention (RFC 9293 section 3.4.1)."""

MOST = 1 << 31
"""Octets of new data in that time beyond which 32 bits may be taken for those before a wrap."""


def grown(time: Array, dsn: Array, octets: Array) -> Array:
    """New octets that one host mapped within a lifetime, at each of its mappings.

    Args:
        time: When each mapping was declared, in nanoseconds.
        dsn: Relative DSN of its first octet.
        octets: How many it maps.
    """
    import numpy as np

    time, top = np.maximum.accumulate(time), np.maximum.accumulate(dsn + octets)
    # A mapping far ahead says nothing of what lies between.
    new = np.minimum(np.diff(top, prepend=top[:1] - octets[:1]), octets)
    total = np.cumsum(new)
    begin = time.searchsorted(time - LIFETIME)
    found: Array = total - total[begin] + new[begin]
    return found


def long_numbers(context: Context) -> None:
    """Whoever sends so fast that 32 bits could wrap within a segment's lifetime uses 64."""
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    rows = ground.mapping("row")
    at = np.flatnonzero((table.octets > 0) & context.in_use[rows])
    directions = ground.direction[rows[at]]
    much = np.bincount(directions, weights=table.octets[at], minlength=1) > MOST
    for direction in np.flatnonzero(much).tolist():
        mine = at[directions == direction]
        octets = grown(ground.column("time")[rows[mine]], table.dsn[mine], table.octets[mine])
        fast = octets > MOST
        mine, octets = mine[fast], octets[fast]
        context.swept(LONG, rows[mine], table.dsn_size[mine] == 4, _why(octets))


def _why(octets: Array) -> Callable[[int], str]:
    return lambda at: f"a DSN of 4 octets, after {octets[at]} octets of new data in 120 seconds"


RULES = (Rule(requirements=(LONG,), sweep=long_numbers),)
