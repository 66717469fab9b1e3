"""Faults of DATA_ACKs, windows and repeated data (sections 3.3.2, 3.3.4, 3.3.5 and 3.3.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Edit, Fault, Find
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    LATER,
    Room,
    acknowledgment,
    alive,
    checked,
    data_places,
    early,
    ends,
    fresh,
    mptcp_only,
    next_dsn,
    plain_dss,
    remapped,
    room_after,
    said,
    whole,
)
from mptcp_oracle.model.faults_places import connection_of, has, lacks, option_of, quiet, subflow_of
from mptcp_oracle.model.trace import SYN, Range, Sent, Trace
from mptcp_oracle.model.world import added
from mptcp_oracle.options import AddAddr, Dss, RemoveAddr

__all__ = ["FAULTS"]

NARROW = (1 << 32) - 1
LARGEST, MOST = 1_400, 8
"""Octets in a segment that goes beyond a window, and how many segments may be needed."""


def _acked(_trace: Trace, sent: Sent) -> bool:
    return (sent.data_ack or 0) > 1


def _beyond(draft: Draft, place: Place) -> None:
    """A DATA_ACK of data that was never sent; the trace ends with it."""
    key = place.segments[0]
    sent = draft.sent(key)
    draft.cut(key)
    peer = next_dsn(draft, draft.connection_of(key).number, 1 - sent.host)
    wrong = peer + draft.choices.integer(2, 2_000)
    draft.blame(draft.append(acknowledgment(draft, sent.subflow, sent.host, data_ack=wrong)))


def _may_fall(_trace: Trace, sent: Sent) -> bool:
    """Whether a smaller DATA_ACK can go with a window that keeps the right edge."""
    return (sent.data_ack or 0) > 1 and 0 < sent.window < 65_535


def _falls(draft: Draft, place: Place) -> None:
    """The ACK once more, with a smaller DATA_ACK and the same right edge of the window."""
    sent = draft.sent(place.segments[0])
    was = sent.data_ack or 1
    less = draft.choices.integer(1, min(was - 1, 65_535 - sent.window))
    options = tuple(_moved(each, -less) for each in sent.options if isinstance(each, Dss))
    lower = replace(sent, data_ack=was - less, window=sent.window + less, options=options)
    draft.blame(draft.insert(place.segments[0], lower))


def _moved(option: Dss, by: int) -> Dss:
    """A DSS with another DATA_ACK of the same width."""
    if option.data_ack is None:
        return option
    return replace(option, data_ack=(option.data_ack + by) & (1 << 8 * option.data_ack_size) - 1)


def _wide_only(trace: Trace) -> Iterator[Place]:
    """All wide DATA_ACKs of a host from the first on that covers data sent with wide DSNs alone."""
    for connection in trace.connections:
        for host in (0, 1):
            wide = _wide_spans(trace, connection.number, 1 - host)
            reached, found = 1, list[int]()
            for sent in trace.segments:
                if (
                    sent.host != host
                    or subflow_of(trace, sent).connection != connection.number
                    or sent.data_ack is None
                ):
                    continue
                dss = option_of(sent, Dss)
                if dss is None or dss.data_ack_size != 8:
                    reached = max(reached, sent.data_ack)
                    continue
                covers = any(low < sent.data_ack and reached < high for low, high in wide)
                if found or covers:
                    found.append(sent.number)
                reached = max(reached, sent.data_ack)
            if found:
                yield Place(host=host, segments=tuple(found))


def _wide_spans(trace: Trace, connection: int, host: int) -> tuple[tuple[int, int], ...]:
    """DSNs that a host sent under DSSs with 8 octets of DSN, and never with 4 or MP_CAPABLE."""
    spans: tuple[tuple[int, int], ...] = ()
    short: list[tuple[int, int]] = []
    for sent in trace.segments:
        mapping, dss = sent.mapping, option_of(sent, Dss)
        if sent.host != host or subflow_of(trace, sent).connection != connection:
            continue
        if mapping is None or not mapping.octets:
            continue
        first, last = mapping.dsn, mapping.dsn + mapping.octets
        if dss is not None and dss.dsn_size == 8:
            spans = added(spans, first, last)
        else:
            short.append((first, last))
    return tuple(
        (low, high)
        for low, high in spans
        if not any(first < high and low < last for first, last in short)
    )


def _narrowed(draft: Draft, place: Place) -> None:
    for key in place.segments:
        draft.options(key, plain_dss(_short))
        draft.blame(key)


def _short(option: Dss) -> Dss:
    if option.data_ack is None:
        return option
    return replace(option, flags=option.flags & ~0x02, data_ack=option.data_ack & NARROW)


def _open(_trace: Trace, sent: Sent) -> bool:
    return sent.window > 2 and sent.data_ack is not None


def _shrinks(draft: Draft, place: Place) -> None:
    """The ACK once more, with a smaller window; what else it carried is not said again."""
    sent = draft.sent(place.segments[0])
    less = sent.window - draft.choices.integer(2, sent.window - 1)
    options = tuple(each for each in sent.options if isinstance(each, Dss))
    draft.blame(draft.insert(place.segments[0], replace(sent, window=less, options=options)))


def _windows(fits: Callable[[Room], bool]) -> Find:
    """Data after which few octets fit into the windows, of this kind; no larger one was lost."""

    def find(trace: Trace) -> Iterator[Place]:
        arrived = {each.segment.number for each in trace.deliveries}
        lost = frozenset(range(len(trace.segments))) - arrived
        for place in data_places(_in_front)(trace):
            room = room_after(trace, place.segments[0])
            if room != room_after(trace, place.segments[0], lost):
                continue
            if early(trace, trace.segments[place.segments[0]]):
                continue
            most = max(room.subflow, room.data)
            if min(room.subflow, room.data) >= 0 and most < LARGEST * (MOST - 1) and fits(room):
                yield place

    return find


def _in_front(trace: Trace, sent: Sent) -> bool:
    """Whether data is the last that its sender mapped anywhere so far, and so can go on."""
    connection, mapping = subflow_of(trace, sent).connection, sent.mapping
    assert mapping is not None
    return all(
        each.mapping is None
        or each.host != sent.host
        or subflow_of(trace, each).connection != connection
        or each.mapping.dsn + each.mapping.octets <= mapping.dsn + mapping.octets
        for each in trace.segments[: sent.number]
    )


def _floods(octets: Callable[[Room], tuple[int, int]]) -> Edit:
    """Go on to send new data: so many octets that fit, and at most so many that do not."""

    def edit(draft: Draft, place: Place) -> None:
        key = place.segments[0]
        sent = draft.sent(key)
        fit, most = octets(room_after(draft.trace, key))
        draft.cut(key)
        while fit:
            size = min(fit, LARGEST)
            draft.append(fresh(draft, sent.subflow, sent.host, size))
            fit -= size
        size = draft.choices.integer(2, max(2, min(most, 200)))
        draft.blame(draft.append(fresh(draft, sent.subflow, sent.host, size)))

    return edit


def _reinjected(trace: Trace) -> Iterator[Place]:
    """Lost data and its reinjection, which arrived, while both subflows live."""
    arrived = {each.segment.number for each in trace.deliveries}
    over: set[int] = set()
    for sent in trace.segments:
        connection = subflow_of(trace, sent).connection
        if ends(sent):
            over.add(connection)
        if (
            connection in over
            or sent.number not in arrived
            or not mptcp_only(trace, sent)
            or early(trace, sent)
            or not lacks(trace, sent, AddAddr)
            or not sent.ranges
            or any(part.cause != "reinjection" for part in sent.ranges)
        ):
            continue
        lost = _lost_original(trace, sent, arrived)
        if lost is not None:
            yield Place(host=sent.host, segments=(lost, sent.number))


def _lost_original(trace: Trace, copy: Sent, arrived: set[int]) -> int | None:
    """Data on another subflow of which a segment has a copy, if no other of it arrived."""
    first = copy.ranges[0].dsn
    found = [
        sent
        for sent in trace.segments[: copy.number]
        if sent.host == copy.host
        and sent.subflow != copy.subflow
        and connection_of(trace, sent) is connection_of(trace, copy)
        and any(_holds(part, first) for part in sent.ranges)
    ]
    if not found or len({sent.subflow for sent in found}) > 1:
        return None
    if any(sent.number in arrived for sent in found) or not mptcp_only(trace, found[0]):
        return None
    return found[0].number if _waited_for(trace, found[0], copy, arrived) else None


def _waited_for(trace: Trace, lost: Sent, copy: Sent, arrived: set[int]) -> bool:
    """Whether lost data is the first that is missing on a subflow which the peer has used, too.

    What is behind other missing data waits for its turn; nobody has withdrawn an address.
    """
    before = trace.segments[: copy.number]
    same = [sent for sent in before if sent.subflow == lost.subflow]
    spans: tuple[tuple[int, int], ...] = ()
    for sent in same:
        if sent.host == lost.host and sent.number in arrived:
            spans = added(spans, sent.sequence, sent.sequence + len(sent.payload))
    return (
        all(
            any(low <= sent.sequence and sent.sequence + len(sent.payload) <= high
                for low, high in spans)
            for sent in same
            if sent.host == lost.host and sent.payload and sent.sequence < lost.sequence
        )
        and any(sent.host != lost.host and not sent.flags & SYN for sent in same)
        and not any(
            has(sent, RemoveAddr)
            for sent in before
            if connection_of(trace, sent) is connection_of(trace, lost)
        )
    )  # fmt: skip


def _holds(part: Range, dsn: int | None) -> bool:
    return part.dsn is not None and dsn is not None and part.dsn <= dsn < part.dsn + part.octets


def _never_again(draft: Draft, place: Place) -> None:
    """The trace goes on for minutes without the retransmission on the first subflow."""
    lost, copy = place.segments
    first, second = draft.sent(lost), draft.sent(copy)
    draft.cut(copy)
    peer = 1 - second.host
    reached = said(draft, draft.connection_of(copy).number, peer)
    for part in second.ranges:
        if part.dsn is not None and _holds(part, reached):
            reached = part.dsn + part.octets
    draft.append(acknowledgment(draft, second.subflow, peer, data_ack=reached), gap=LATER)
    draft.append(acknowledgment(draft, second.subflow, second.host), gap=75 * LATER)
    if alive(draft, first.subflow, peer):
        draft.append(acknowledgment(draft, first.subflow, peer, data_ack=reached), gap=LATER)
    draft.blame(lost, copy)


def _second_copies(trace: Trace) -> Iterator[Place]:
    """Data under a second mapping, sent only once under it."""
    for sent in trace.segments:
        if (
            len(sent.payload) > 1
            and mptcp_only(trace, sent)
            and not early(trace, sent)
            and whole(trace, sent)
            and all(part.cause in ("reinjection", "redundant", "remap") for part in sent.ranges)
            and not any(
                (each.subflow, each.host) == (sent.subflow, sent.host)
                and each.number != sent.number
                and each.sequence < sent.sequence + len(sent.payload)
                and sent.sequence < each.sequence + len(each.payload)
                for each in trace.segments
            )
        ):
            yield Place(host=sent.host, segments=(sent.number,))


def _resent(trace: Trace) -> Iterator[Place]:
    """TCP's retransmissions of mapped data."""
    for sent in trace.segments:
        if (
            sent.payload
            and mptcp_only(trace, sent)
            and not early(trace, sent)
            and sent.ranges
            and all(part.cause == "retransmission" and part.dsn is not None for part in sent.ranges)
            and (not checked(connection_of(trace, sent)) or _spurious(trace, sent))
        ):
            yield Place(host=sent.host, segments=(sent.number,))


def _spurious(trace: Trace, copy: Sent) -> bool:
    """Whether all octets of a retransmission had arrived before, so that they are not judged."""
    spans: tuple[tuple[int, int], ...] = ()
    arrived = {each.segment.number for each in trace.deliveries}
    for sent in trace.segments[: copy.number]:
        if (sent.subflow, sent.host) == (copy.subflow, copy.host) and sent.number in arrived:
            spans = added(spans, sent.sequence, sent.sequence + len(sent.payload))
    last = copy.sequence + len(copy.payload)
    return any(low <= copy.sequence and last <= high for low, high in spans)


def _other_octets(draft: Draft, place: Place) -> None:
    """The payload differs from what was sent before; a checksum of its own is right for it."""
    key = place.segments[0]
    sent = draft.sent(key)
    octets = bytearray(sent.payload)
    at = draft.choices.integer(0, len(octets) - 1)
    for number in range(at, len(octets)):
        octets[number] ^= 0x5A
    payload, mapping = bytes(octets), sent.mapping
    own = all(part.cause != "retransmission" for part in sent.ranges)

    def changed(each: Sent) -> Sent:
        new = replace(each, payload=payload, copied=False)
        if mapping is None or not own:
            return new
        return remapped(draft, new, mapping, payload=payload)

    draft.change(key, changed)
    draft.blame(key)


FAULTS = (
    Fault(
        name="data-ack-of-unsent-data",
        meaning="A DATA_ACK is beyond all that the peer has sent.",
        v1=("8684-3.3.1-11", "8684-3.3.2-01"),
        v0=("6824-3.3.1-18", "6824-3.3.2-10"),
        needs=("pure_ack", "data"),
        find=quiet(),
        edit=_beyond,
    ),
    Fault(
        name="data-ack-falls",
        meaning="A DATA_ACK is smaller than an earlier one on the subflow.",
        v1=("8684-3.3.2-02",),
        v0=("6824-3.3.2-11",),
        needs=("pure_ack", "data"),
        find=quiet(_may_fall),
        edit=_falls,
    ),
    Fault(
        name="data-ack-too-short",
        meaning="Data with DSNs of 8 octets is acknowledged with DATA_ACKs of 4.",
        v1=("8684-3.3.2-03",),
        v0=("6824-3.3.2-12",),
        needs=("data",),
        find=_wide_only,
        edit=_narrowed,
    ),
    Fault(
        name="window-shrinks",
        meaning="The right edge of the receive window moves left.",
        v1=("8684-3.3.4-02",),
        v0=("6824-3.3.4-11",),
        needs=("pure_ack", "data"),
        find=quiet(_open),
        edit=_shrinks,
    ),
    Fault(
        name="windows-exceeded",
        meaning="New data goes beyond the windows of the subflow and of the connection.",
        v1=("8684-3.3.5-04", "8684-3.3.5-03"),
        v0=("6824-3.3.5-13", "6824-3.3.5-12"),
        needs=("window",),
        find=_windows(lambda room: room.subflow == room.data),
        edit=_floods(lambda room: (room.data, LARGEST)),
        arranges=True,
    ),
    Fault(
        name="subflow-window-exceeded",
        meaning="New data is inside the connection's window, and beyond that of its subflow.",
        v1=("8684-3.3.5-03",),
        v0=("6824-3.3.5-12",),
        needs=("window", "join"),
        find=_windows(lambda room: room.subflow + 2 <= room.data),
        edit=_floods(lambda room: (room.subflow, room.data - room.subflow)),
        arranges=True,
    ),
    Fault(
        name="connection-window-exceeded",
        meaning="New data is inside its subflow's window, and beyond that of the connection.",
        v1=("8684-3.3.5-04",),
        v0=("6824-3.3.5-13",),
        needs=("window", "join"),
        find=_windows(lambda room: room.data + 2 <= room.subflow),
        edit=_floods(lambda room: (room.data, room.subflow - room.data)),
        arranges=True,
    ),
    Fault(
        name="lost-data-only-reinjected",
        meaning="Data that was reinjected is never sent again on the subflow that lost it.",
        v1=("8684-3.3.6-01",),
        v0=("6824-3.3.6-10",),
        needs=("reinjection", "lost"),
        find=_reinjected,
        edit=_never_again,
        arranges=True,
        at_sender=True,
    ),
    Fault(
        name="copy-of-other-octets",
        meaning="Data that is mapped a second time has other octets than the first time.",
        v1=("8684-3.3.6-02",),
        v0=("6824-3.3.6-11",),
        needs=("reinjection",),
        find=_second_copies,
        edit=_other_octets,
        at_sender=True,
    ),
    Fault(
        name="retransmission-of-other-octets",
        meaning="A retransmission by TCP has other octets than the segment before.",
        v1=("8684-3.3.6-04", "8684-3.3.6-02"),
        v0=("6824-3.3.6-13", "6824-3.3.6-11"),
        needs=("retransmission",),
        find=_resent,
        edit=_other_octets,
        at_sender=True,
    ),
)
