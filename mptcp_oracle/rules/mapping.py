"""The DSS option and what its mappings say (RFC 8684 sections 3.3 and 3.3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.parts import column
from mptcp_oracle.constants import Subtype
from mptcp_oracle.options import Dss, Flaw, Malformed, MpCapable, notation
from mptcp_oracle.rules.case import Case, Signal
from mptcp_oracle.rules.context import JITTER, Context
from mptcp_oracle.rules.placing import anchored
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.rules.senders import at_sender, counted, hide, keep, member

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

__all__ = ["RULES"]

LENGTH = "8684-3.3-dss-length"
RESERVED = {1: "8684-3.3-dss-reserved-zero", 0: "6824-3.3-dss-reserved-zero"}
AGREED = "8684-3.3-checksum-as-negotiated"
LAST = "8684-3.3-nothing-after-data-fin"
INFINITE = "8684-3.3.1-infinite-mapping-format"

#: Bit of the ``dss`` column: an MP_CAPABLE maps the payload.
BY_CAPABLE = 0x40
UNKNOWN = "whether the hosts agreed on checksums is not known: no whole handshake is captured"
UNCERTAIN = "its sender may have seen another flag A, in a handshake that is not in the capture"


def reserved_bits(case: Case) -> None:
    """All reserved bits of a DSS are 0; here of those that do more than carry data."""
    requirement = RESERVED[case.version or 0]
    for signal in _standing(case):
        option = signal.option
        if isinstance(option, Dss):
            why = notation(option) if option.reserved else ""
            case.judge(requirement, signal, not why, why)


def lengths(case: Case) -> None:
    """A DSS has no Length but the one that its flags imply."""
    for signal in _standing(case):
        option = signal.option
        if not isinstance(option, Malformed) or option.subtype != Subtype.DSS:
            continue
        if option.reason is Flaw.LAYOUT:
            why = f"the flags of this DSS imply another Length: {notation(option)}"
            case.judge(LENGTH, signal, False, why)


def _standing(case: Case) -> Iterator[Signal]:
    """The options of a connection until it is plain TCP."""
    until = int(case.context.plain_from[2 * case.number])
    return (signal for signal in case.signals if signal.row <= until)


def infinite(case: Case) -> None:
    """An infinite mapping has Data-Level Length 0, and 0 in a checksum field."""
    for signal, option in case.of(Dss):
        if option.dll == 0 and not option.data_fin:
            why = f"the checksum of an infinite mapping is 0: {notation(option)}"
            case.judge(INFINITE, signal, not option.checksum, why)


def plain_options(context: Context) -> None:
    """The reserved bits of a DSS that only carries data are 0: else it were one of the others."""
    import numpy as np

    plain = np.ones(context.trace.wire.segments.rows, np.bool_)
    plain[column(context.trace.wire.controls["row"])] = False
    rows = _dss_rows(context)
    for direction, count in counted(context, rows[plain[rows]]):
        version = context.connections[direction >> 1].version
        if version in RESERVED:
            context.ledger.right(RESERVED[version], direction, count)


def _dss_rows(context: Context) -> Array:
    """Rows of segments with a DSS of a right length, while their connection uses MPTCP."""
    import numpy as np

    dss = context.trace.ground.column("dss")
    return np.flatnonzero((dss != 0) & (dss & BY_CAPABLE == 0) & context.in_use)


def checksum_fields(context: Context) -> None:
    """Every mapping has a checksum if the hosts agreed on checksums, and else none.

    The Length of its DSS is wrong in the other case. The mapping of an MP_CAPABLE and infinite
    mappings are not meant.
    """
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    rows = ground.mapping("row")
    at = np.flatnonzero((table.dsn_size > 0) & ~table.infinite & context.in_use[rows])
    agreed = _agreed(context)[ground.direction[rows[at]]]
    hide(context, AGREED, rows[at[agreed < 0]], UNKNOWN)
    at, agreed = at[agreed >= 0], agreed[agreed >= 0]
    bad = table.has_checksum[at] != (agreed == 1)
    certain = np.zeros(len(at), np.bool_)
    certain[bad] = at_sender(context, rows[at[bad]]) | _aware(context, rows[at[bad]])
    certain[bad] &= member(context, rows[at[bad]])
    certain &= anchored(context)[at] | (table.octets[at] == 0)

    def why(index: int) -> str:
        has, hosts = ("no", "agreed on them") if agreed[index] else ("a", "agreed on none")
        return f"a mapping has {has} checksum, and the hosts {hosts}"

    context.swept(AGREED, rows[at], bad, why, certain=certain, missing=UNCERTAIN)
    if not bad.any():
        keep(context, LENGTH, _dss_rows(context))
        return
    wrong = np.full(len(table), -1, np.int64)
    wrong[at[bad]] = np.flatnonzero(bad)
    _lengths(context, wrong, why, certain)


def _lengths(context: Context, wrong: Array, why: Any, certain: Mask) -> None:
    """Judge the Length of each DSS; ``wrong`` gives the index of each wrong mapping, or -1."""
    import numpy as np

    rows = _dss_rows(context)
    own = context.trace.ground.column("mapping")[rows]
    index = np.full(len(rows), -1, np.int64)
    index[own >= 0] = wrong[own[own >= 0]]
    sure = np.zeros(len(rows), np.bool_)
    sure[index >= 0] = certain[index[index >= 0]]
    context.swept(
        LENGTH,
        rows,
        index >= 0,
        lambda each: f"{why(int(index[each]))}: its DSS is 2 octets too long or too short",
        certain=sure,
        missing=UNCERTAIN,
    )


def _agreed(context: Context) -> Array:
    """By direction: 1 if the hosts agreed on checksums, 0 if on none, -1 if that is not known."""
    import numpy as np

    known = [-1 if each.checksum is None else each.checksum for each in context.connections]
    return np.repeat(np.array(known, np.int8), 2)


def _aware(context: Context, rows: Array) -> Mask:
    """Whether the sender of each of these segments itself has said what the hosts agreed on.

    The initiator does in its third packet, the listener in its SYN/ACK if that asks for checksums.
    """
    import numpy as np

    directions, which = np.unique(context.trace.ground.direction[rows], return_inverse=True)
    known = np.zeros(len(directions), np.bool_)
    for at, direction in enumerate(directions.tolist()):
        connection = context.connections[direction >> 1]
        if connection.initial is not None:
            shake = context.trace.shakes[connection.initial.stream]
            said = (shake.synack if direction & 1 else shake.ack) or (None, None)
            option = said[1]
            asks = isinstance(option, MpCapable) and option.checksum_required
            known[at] = asks if connection.checksum or direction & 1 else option is not None
    found: Mask = known[which]
    return found


def after_data_fin(context: Context) -> None:
    """After a DATA_FIN its host maps nothing beyond it, and puts no DATA_FIN anywhere else."""
    import numpy as np

    ground, table = context.trace.ground, context.trace.mappings
    rows = ground.mapping("row")
    ends = table.data_fin & (table.length > 0)
    direction = ground.half_direction[ground.mapping("half")]
    fins = np.flatnonzero(ends & context.in_use[rows])[::-1]
    if not len(fins):
        return
    # Of the DATA_FINs of a direction the first one is assigned last.
    first = np.full(len(context.plain_from), -1, np.int64)
    first[direction[fins]] = fins
    at = np.flatnonzero(context.in_use[rows] & ~table.infinite)
    at = at[at >= first[direction[at]]]
    at = at[first[direction[at]] >= 0]
    fin = first[direction[at]]
    last = table.dsn[at] + table.length[at] - 1
    limit = table.dsn[fin] + table.length[fin] - 1
    bad = np.where(ends[at], last != limit, table.dsn_end[at] > limit)
    time, half = ground.column("time"), ground.column("half")
    same = half[rows[at]] == half[rows[fin]]
    certain = same | (time[rows[at]] > time[rows[fin]] + JITTER)
    certain[bad] &= member(context, rows[at[bad]]) & member(context, rows[fin[bad]])
    certain &= anchored(context)[at] | (table.octets[at] == 0)

    def why(index: int) -> str:
        mapping = int(at[index])
        what = "another DATA_FIN has" if ends[mapping] else "data is mapped up to"
        return f"the first DATA_FIN has DSN {limit[index]}, and {what} DSN {last[index]}"

    context.swept(
        LAST,
        rows[at],
        bad,
        why,
        certain=certain,
        missing="it may have been sent first, or belong to another connection",
        beside=lambda index: int(rows[fin[index]]),
    )


RULES = (
    Rule(requirements=tuple(RESERVED.values()), judge=reserved_bits, on=(Dss,)),
    Rule(requirements=tuple(RESERVED.values()), sweep=plain_options),
    Rule(requirements=(LENGTH,), judge=lengths, on=(Malformed,)),
    Rule(requirements=(AGREED, LENGTH), sweep=checksum_fields),
    Rule(requirements=(LAST,), sweep=after_data_fin),
    Rule(requirements=(INFINITE,), judge=infinite, on=(Dss,)),
)
