"""What the handshake settles for all data: checksums, and where numbers begin (section 3.1).

RFC 8684 section 3.1, RFC 6824 section 3.1: these rules look at every mapping and DATA_ACK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import Connection
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import MpCapable
from mptcp_oracle.rules.context import Context
from mptcp_oracle.rules.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["RULES"]

CHECKSUMS = {1: "8684-3.1-checksums-if-either-asks", 0: "6824-3.1-checksum-if-either-requires"}
SYN_COUNTS = "8684-3.1-syn-occupies-idsn"

#: Bits of a mapping's flags: it has a checksum; an MP_CAPABLE implies it.
HAS_CHECKSUM, BY_CAPABLE = 0x20, 0x40
#: Bit of a segment's ``kind``: it has an octet that only probes a closed window.
PROBE = 1 << CLASSES.index("zero_window_probe")
#: Numbers so far below the first one that they were counted from the IDSN: a largest window.
NEAR = 1 << 16

ALTERED = "a middlebox may have set flag A on the way, and the capture was not made at this host"


def checksums(context: Context) -> None:
    """Where either host asked for checksums, both put them on their mappings.

    The mapping of an MP_CAPABLE is left to the rule about its Length, and an infinite one has
    nothing to sum.
    """
    asking = [
        (number, connection)
        for number, connection in enumerate(context.connections)
        if connection.checksum and connection.version in CHECKSUMS
    ]
    if not asking:
        return
    import numpy as np

    ground, directions = context.trace.ground, 2 * len(context.connections)
    certain, version = np.zeros(directions, np.bool_), np.full(directions, -1, np.int8)
    for number, connection in asking:
        version[2 * number : 2 * number + 2] = int(connection.version or 0)
        for role in (0, 1):
            certain[2 * number + role] = _knows(context, connection, role)
    row, flags = ground.mapping("row"), ground.mapping("flags")
    direction = ground.direction[row]
    looked = (direction >= 0) & (direction < directions)
    looked &= (ground.mapping("length") > 0) & ((flags & BY_CAPABLE) == 0)
    looked[looked] = row[looked] < context.plain_from[direction[looked]]
    for number, requirement in CHECKSUMS.items():
        mine = looked.copy()
        mine[looked] = version[direction[looked]] == number
        context.swept(
            requirement,
            row[mine],
            (flags[mine] & HAS_CHECKSUM) == 0,
            "A = 1 asked for checksums, and the mapping has none",
            certain=certain[direction[mine]],
            missing=ALTERED,
        )


def _knows(context: Context, connection: Connection, role: int) -> bool:
    """Whether a host certainly knows that checksums are in use: it says so itself, or was there."""
    initial = connection.initial
    if initial is None:
        return False
    shake = context.trace.shakes[initial.stream]
    own = [shake.synack] if role else [shake.syn, shake.ack]
    if any(
        each is not None and isinstance(each[1], MpCapable) and each[1].checksum_required
        for each in own
    ):
        return True
    return context.tap(initial) == role


def numbers(context: Context) -> None:
    """The SYN is the octet IDSN: no data and no DATA_ACK is lower than IDSN + 1."""
    import numpy as np

    ground, plane = context.trace.ground, context.trace.plane
    directions = 2 * len(context.connections)
    keyed = np.array([each == "key" for each in plane.base_from[:directions]], np.bool_)
    if not keyed.any():
        return
    data_ack, below = ground.column("data_ack"), "the SYN has the IDSN"
    rows = np.flatnonzero((ground.column("dss") & 1) & context.in_use)
    peers = keyed.reshape(-1, 2)[:, ::-1].reshape(-1)
    rows = rows[_counted(context, rows, peers, data_ack[rows])]
    context.swept(
        SYN_COUNTS,
        rows,
        data_ack[rows] <= 0,
        lambda at: (
            f"DATA_ACK of IDSN + {int(data_ack[rows[at]])}, and {below}, so that no "
            "valid one is below IDSN + 1"
        ),
    )
    dsn, row = ground.mapping("dsn"), ground.mapping("row")
    maps = np.flatnonzero(ground.mapping("length") > 0)
    maps = maps[_counted(context, row[maps], keyed, dsn[maps])]
    probe = (ground.column("kind")[row[maps]] & PROBE) != 0
    maps = maps[~((dsn[maps] == 0) & probe)]
    context.swept(
        SYN_COUNTS,
        row[maps],
        dsn[maps] <= 0,
        lambda at: (
            f"a mapping from IDSN + {int(dsn[maps[at]])} on, and {below}, so that data "
            "begins with IDSN + 1"
        ),
    )


def _counted(context: Context, rows: Array, keyed: Mask, value: Array) -> Mask:
    """Which numbers count from the IDSN of a known key, in a connection not yet plain TCP.

    Args:
        context: The context.
        rows: Rows of the segments with the numbers.
        keyed: By direction of their senders: whether that key is known.
        value: The numbers.
    """
    until = context.judged_until.copy()
    until[: len(keyed)][~keyed] = 0
    found: Mask = rows < until[context.trace.ground.direction[rows]]
    found &= value > -NEAR
    return found


RULES = (
    Rule(requirements=tuple(CHECKSUMS.values()), sweep=checksums),
    Rule(requirements=(SYN_COUNTS,), sweep=numbers),
)
