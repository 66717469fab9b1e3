"""Hearing: what a host had received, as far as it must wait for it (RFC 8684 section 3.1)."""

from __future__ import annotations

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.constants import Subtype
from mptcp_oracle.rules.case import Case

__all__ = ["AT_ONCE", "first_dss", "heard_before"]

#: Nanoseconds within which a host's interfaces may note in either order what it gets and sends.
AT_ONCE = 20_000


def first_dss(case: Case, subflow: Subflow, role: int) -> int | None:
    """The row of the first DSS, or MP_CAPABLE with data, that a host sent on a subflow.

    One with an impossible Length counts, for nobody knows what its receiver made of it.
    """
    half = subflow.halves[role]
    row = case.context.first_dss[half]
    found = [] if row == case.columns.rows else [row]
    for raw in case.context.trace.signals.of(subflow.stream, Subtype.DSS):
        if raw.half == half:
            found.append(raw.row)
            break
    return min(found, default=None)


def heard_before(case: Case, first: int, second: int) -> bool | None:
    """Whether a host got one segment before it sent another, from a capture made at that host.

    It has one clock. ``None`` if both passed at the same time, on different subflows.
    """
    half, apart = case.columns["half"], case.time(second) - case.time(first)
    if half[first] >> 1 == half[second] >> 1:
        return first < second
    return None if abs(apart) <= AT_ONCE else apart > 0
