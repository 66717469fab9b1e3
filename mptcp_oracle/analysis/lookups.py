"""Lookups: everything about one frame, and who announced and carried given data octets.

The tables never hold a list of frames per segment; these lists are answered here, each in one
vectorised pass over the payload's ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mptcp_oracle.analysis.entities import ROLES, Connection
from mptcp_oracle.analysis.serialise import options_of
from mptcp_oracle.errors import UsageError
from mptcp_oracle.facts import CLASSES
from mptcp_oracle.options import Option
from mptcp_oracle.wire.columns import FLAG_BITS

if TYPE_CHECKING:
    from mptcp_oracle.analysis.ground import Ground
    from mptcp_oracle.analysis.trace import Trace

__all__ = ["Announcement", "Carrier", "Octet", "Range", "Segment", "carriers", "octet", "segment"]

MASK = 0xFFFFFFFFFFFFFFFF
TCP_FLAGS = 0x1FF
SYN, ACK = 0x02, 0x10
#: Bits of a segment's ``dss``: a DATA_ACK; of a mapping's ``flags``: a DATA_FIN.
DATA_ACK, DATA_FIN = 0x01, 0x10


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A mapping that covers a data octet.

    Attributes:
        frame: Where it was declared first. subflow: On which subflow.
        mapping: Its row in the mapping table.
        dsn, dsn_end: Relative DSNs ``[dsn, dsn_end)``; ``dsn_end`` is ``None`` if it is infinite.
        repeats: Frames that declared the same again right after, capture duplicates aside.
        conflict: It contradicts an earlier mapping of the same subflow octets.
    """

    frame: int
    subflow: int
    mapping: int
    dsn: int
    dsn_end: int | None
    repeats: tuple[int, ...]
    conflict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """Consecutive data octets that one segment carried.

    Attributes:
        frame, subflow: Where. sequence: Relative subflow sequence number of the first octet.
        dsn, dsn_end: All of them, relative, ``[dsn, dsn_end)``.
        kind: Their transmission class, one of ``facts.CLASSES``; ``None`` for a duplicate.
        duplicate: The capture holds the same segment before.
    """

    frame: int
    subflow: int
    sequence: int
    dsn: int
    dsn_end: int
    kind: str | None
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Octet:
    """One data octet.

    Attributes:
        connection: Id. direction: Who sent it, ``initiator`` or ``listener``.
        dsn: Its relative DSN, the first is 1. absolute: Its 64-bit DSN.
        announced: The mappings that cover it, by frame. carried: The segments that carried it.
    """

    connection: int
    direction: str
    dsn: int
    absolute: int
    announced: tuple[Announcement, ...]
    carried: tuple[Carrier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Consecutive payload octets of a segment under one mapping (or none) and of one class.

    Attributes:
        sequence: Relative subflow sequence number of the first octet. octets: How many.
        dsn, dsn_end: Relative DSNs ``[dsn, dsn_end)``, absolute: 64-bit DSN of the first octet;
            ``None`` where no mapping covers them.
        mapping: Its row in the mapping table. announced: The frame that declared it first.
        kind: Their transmission class; ``None`` for a duplicate made by the capture.
    """

    sequence: int
    octets: int
    dsn: int | None
    dsn_end: int | None
    absolute: int | None
    mapping: int | None
    announced: int | None
    kind: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Everything about one frame that holds a segment of an MPTCP subflow.

    Attributes:
        frame: Its number. time: Nanoseconds since the epoch.
        connection: Id, negative for an unattached subflow. subflow: Id.
        sender: ``initiator`` or ``listener``; ``None`` if the roles are not known.
        from_source: Whether the end that is the subflow's ``source`` sent it.
        flags: TCP's nine flag bits. window: Unscaled.
        sequence, ack: Relative to the ISNs; ``ack`` is ``None`` without flag ACK or ISN.
        payload, captured: Octets of payload on the wire, and in the capture.
        duplicate: The capture holds the same segment before.
        options: Its MPTCP options, decoded. options_cut: The snap length cut its header.
        data_ack, data_ack_absolute: Its DATA_ACK, relative and as 64-bit number.
        declares: Row of the mapping that its option declares or repeats.
        ranges: Its payload, in order. copies: How many earlier segments carried any of it.
        previous: These, in capture order: an entry for each range they carried.
    """

    frame: int
    time: int
    connection: int
    subflow: int
    sender: str | None
    from_source: bool
    flags: int
    window: int
    sequence: int
    ack: int | None
    payload: int
    captured: int
    duplicate: bool
    options: tuple[Option, ...]
    options_cut: bool
    data_ack: int | None
    data_ack_absolute: int | None
    declares: int | None
    ranges: tuple[Range, ...]
    copies: int
    previous: tuple[Carrier, ...]


def octet(trace: Trace, connection: Connection, role: int, dsn: int) -> Octet:
    """Which frames announced and carried one data octet.

    Args:
        trace: The trace.
        connection: The connection.
        role: Who sent the octet: 0 the initiator, 1 the listener.
        dsn: Its relative DSN.
    """
    direction = trace.direction(connection, role)
    return Octet(
        connection=connection.id,
        direction=ROLES[role],
        dsn=dsn,
        absolute=(trace.plane.base[direction] + dsn) & MASK,
        announced=_announcements(trace, direction, dsn),
        carried=carriers(trace, connection, role, dsn, dsn + 1),
    )


def carriers(
    trace: Trace, connection: Connection, role: int, start: int, end: int
) -> tuple[Carrier, ...]:
    """All segments that carried any of the data octets ``[start, end)``, in capture order.

    Zero-window probes and duplicates made by the capture are among them, and marked.

    Args:
        trace: The trace.
        connection: The connection.
        role: Who sent the octets: 0 the initiator, 1 the listener.
        start: Relative DSN of the first octet.
        end: One past that of the last.
    """
    ground = trace.ground
    spaces, low, high = ground.part_place
    found = (spaces == trace.direction(connection, role)) & (ground.parts.mapping >= 0)
    found &= (low < end) & (high > start)
    return _carriers(ground, found)


def segment(trace: Trace, frame: int) -> Segment:
    """Everything about one frame.

    Args:
        trace: The trace, still open.
        frame: Frame number, 1-based.

    Raises:
        UsageError: It holds no segment of an MPTCP subflow.
    """
    ground, rows = trace.ground, trace.wire.segments
    row = _row(trace, frame)
    half, flags = rows["half"][row], rows["flags"][row]
    direction = trace.plane.direction[half]
    named = {name: values[half].item() for name, values in ground.of_half.items()}
    ack = int(ground.relative_ack[row])
    data_ack = rows["data_ack"][row] if rows["dss"][row] & DATA_ACK else None
    ranges = _ranges(trace, row)
    previous = _previous(ground, row)
    return Segment(
        frame=frame,
        time=rows["time"][row],
        connection=named["connection"],
        subflow=named["subflow"],
        sender=ROLES[named["sender"]] if named["sender"] >= 0 else None,
        from_source=named["from_source"],
        flags=flags & TCP_FLAGS,
        window=rows["window"][row],
        sequence=rows["sequence"][row] - bool(flags & SYN and rows["length"][row]),
        ack=ack if flags & ACK and trace.plane.isn_from[half ^ 1] else None,
        payload=rows["length"][row],
        captured=rows["captured"][row],
        duplicate=bool(flags & FLAG_BITS["duplicate"]),
        options=tuple(options_of(trace, row, trace.subflows[named["subflow"]].version)),
        options_cut=bool(flags & FLAG_BITS["options_cut"]),
        data_ack=data_ack,
        data_ack_absolute=(
            None if data_ack is None else (trace.plane.base[direction ^ 1] + data_ack) & MASK
        ),
        declares=rows["mapping"][row] if rows["mapping"][row] >= 0 else None,
        ranges=ranges,
        copies=len({carrier.frame for carrier in previous}),
        previous=previous,
    )


def _row(trace: Trace, frame: int) -> int:
    """The row of a frame's segment."""
    frames = trace.ground.column("frame")
    row = int(frames.searchsorted(frame))
    if row < len(frames) and frames[row] == frame:
        if trace.ground.direction[row] >= 0:
            return row
        cause = "its TCP stream has no MPTCP option"
    elif 1 <= frame <= trace.wire.frames:
        cause = "it holds no TCP segment"
    else:
        cause = f"the capture has frames 1 to {trace.wire.frames}"
    raise UsageError(f"frame {frame} is no segment of an MPTCP subflow", cause=cause)


def _announcements(trace: Trace, direction: int, dsn: int) -> tuple[Announcement, ...]:
    """The mappings of a direction that cover a DSN."""
    import numpy as np

    table, ground = trace.mappings, trace.ground
    if not len(table):
        return ()
    direction_of = ground.half_direction[ground.mapping("half")]
    covers = (table.dsn <= dsn) & (table.infinite | (dsn < table.dsn_end))
    declares, single = ground.column("mapping"), ~ground.duplicate
    frame = ground.column("frame")
    result = []
    for at in np.flatnonzero((direction_of == direction) & covers).tolist():
        first = int(table.frame[at])
        frames = frame[single & (declares == at)].tolist()
        start = int(table.dsn[at])
        result.append(
            Announcement(
                frame=first,
                subflow=int(table.subflow[at]),
                mapping=at,
                dsn=start,
                dsn_end=None if table.infinite[at] else int(table.dsn_end[at]),
                repeats=tuple(number for number in frames if number != first),
                conflict=bool(table.conflict[at]),
            )
        )
    return tuple(result)


def _carriers(ground: Ground, chosen: Any) -> tuple[Carrier, ...]:
    """The chosen parts, those that continue each other as one."""
    parts = ground.parts.where(chosen)
    frame, half = ground.column("frame"), ground.column("half")
    subflow, duplicate = ground.of_half["subflow"], ground.duplicate
    found: list[Carrier] = []
    columns = (parts.row, parts.start, parts.end, parts.delta, parts.kind)
    last = None
    for row, start, end, delta, kind in zip(*(values.tolist() for values in columns), strict=True):
        if found and last == (row, start, delta, kind):
            before = found.pop()
            start = before.sequence
        found.append(
            Carrier(
                frame=int(frame[row]),
                subflow=int(subflow[half[row]]),
                sequence=start,
                dsn=start + delta,
                dsn_end=end + delta,
                kind=CLASSES[kind] if kind >= 0 else None,
                duplicate=bool(duplicate[row]),
            )
        )
        last = (row, end, delta, kind)
    return tuple(found)


def _previous(ground: Ground, row: int) -> tuple[Carrier, ...]:
    """Earlier carriers of any octet that a segment carries; probes and duplicates aside."""
    import numpy as np

    spaces, low, high = ground.part_place
    own = slice(*ground.parts.row.searchsorted([row, row + 1]))
    touched = np.zeros(own.start, np.bool_)
    before = slice(0, own.start)
    for at in range(own.start, own.stop):
        if ground.carries[at]:
            overlap = (low[before] < high[at]) & (high[before] > low[at])
            touched |= overlap & (spaces[before] == spaces[at])
    return _carriers(ground, np.flatnonzero(touched & ground.carries[before]))


def _ranges(trace: Trace, row: int) -> tuple[Range, ...]:
    """The payload of a segment, range by range."""
    parts = trace.ground.parts.of_row(row)
    base = trace.plane.base[trace.plane.direction[trace.wire.segments["half"][row]]]
    frame = trace.mappings.frame
    columns = (parts.start, parts.end, parts.mapping, parts.delta, parts.kind)
    found = []
    for start, end, mapping, delta, kind in zip(
        *(values.tolist() for values in columns), strict=True
    ):
        mapped = mapping >= 0
        found.append(
            Range(
                sequence=start,
                octets=end - start,
                dsn=start + delta if mapped else None,
                dsn_end=end + delta if mapped else None,
                absolute=(base + start + delta) & MASK if mapped else None,
                mapping=mapping if mapped else None,
                announced=int(frame[mapping]) if mapped else None,
                kind=CLASSES[kind] if kind >= 0 else None,
            )
        )
    return tuple(found)
