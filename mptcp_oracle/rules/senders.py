"""Senders: whose segments many rows are, and whether the capture shows them as they were sent.

What a :class:`~mptcp_oracle.rules.case.Case` says of one connection, said of rows of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.ordering import tally
from mptcp_oracle.rules.context import Context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = [
    "at_sender",
    "counted",
    "few",
    "grouped",
    "hide",
    "keep",
    "member",
    "sender",
    "versions",
]


def sender(context: Context, half: int) -> tuple[Subflow, int]:
    """The subflow of a half, and the role of the host that sends on it."""
    subflow = context.trace.subflows[int(context.trace.ground.of_half["subflow"][half])]
    return subflow, subflow.halves.index(half)


def at_sender(context: Context, rows: Array, *, whole: bool = False) -> Mask:
    """Which segments were captured where they were sent, so that the capture has them as sent.

    Args:
        context: The context.
        rows: Their rows; all of connections or of unattached subflows.
        whole: Whether everything else that passed there must be in the capture as well.
    """
    import numpy as np

    if whole and not context.whole:
        return np.zeros(len(rows), np.bool_)
    halves, which = np.unique(context.trace.ground.column("half")[rows], return_inverse=True)
    here = np.zeros(len(halves), np.bool_)
    for at, half in enumerate(halves.tolist()):
        subflow, role = sender(context, half)
        here[at] = context.tap(subflow) == role and not (whole and subflow.stream in context.cut)
    found: Mask = here[which]
    return found


def member(context: Context, rows: Array) -> Mask:
    """Which segments are of a subflow that certainly is one of its connection.

    The initial subflow is, and a join with a right HMAC. A token alone may be that of two
    connections, and data sequence numbers may be near each other.
    """
    import numpy as np

    halves, which = np.unique(context.trace.ground.column("half")[rows], return_inverse=True)
    known = np.zeros(len(halves), np.bool_)
    for at, half in enumerate(halves.tolist()):
        subflow, _ = sender(context, half)
        join = subflow.join
        proven = join is not None and (join.synack_hmac is True or join.ack_hmac is True)
        known[at] = subflow.kind == "initial" or proven
    found: Mask = known[which]
    return found


def few(directions: Array, values: Array, most: int) -> Array:
    """The first ``most`` of these values in each direction, in order."""
    import numpy as np

    order = np.argsort(directions, kind="stable")
    ordered = directions[order]
    place = np.arange(len(ordered)) - ordered.searchsorted(ordered)
    found: Array = values[np.sort(order[place < most])]
    return found


def grouped(values: Array) -> Iterator[tuple[int, Array]]:
    """Each different value, and the places where it stands, in order."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    names, begins = np.unique(values[order], return_index=True)
    if len(names):
        yield from zip(names.tolist(), np.split(order, begins[1:]), strict=True)


def keep(context: Context, requirement: str, rows: Array) -> None:
    """Senders of segments kept a requirement, once for each of these rows."""
    for direction, count in counted(context, rows):
        context.ledger.right(requirement, direction, count)


def hide(context: Context, requirement: str, rows: Array, why: str) -> None:
    """A requirement could not be looked at, once for each of these rows."""
    for direction, count in counted(context, rows):
        context.ledger.unseen(requirement, direction, why, count)


def counted(context: Context, rows: Array) -> Iterator[tuple[int, int]]:
    """How many of these rows each direction has that has any."""
    import numpy as np

    counts = tally(context.trace.ground.direction[rows], len(context.trace.plane.base))
    for direction in np.flatnonzero(counts).tolist():
        yield direction, int(counts[direction])


def versions(context: Context) -> Array:
    """By direction of a connection: its version; -1 if it is not known."""
    import numpy as np

    known = [-1 if each.version is None else each.version for each in context.connections]
    return np.repeat(np.array(known, np.int8), 2)
