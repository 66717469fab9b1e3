"""Faults of DATA_ACKs and windows (RFC 8684 and 6824, sections 3.3.2, 3.3.4 and 3.3.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mptcp_oracle.model.fault import Edit, Fault, Find
from mptcp_oracle.model.faults_edit import Draft, Place
from mptcp_oracle.model.faults_flow import (
    Room,
    acknowledgment,
    data_places,
    early,
    fresh,
    next_dsn,
    plain_dss,
    room_after,
)
from mptcp_oracle.model.faults_places import option_of, quiet, subflow_of
from mptcp_oracle.model.trace import Sent, Trace
from mptcp_oracle.model.world import added
from mptcp_oracle.options import Dss

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
)
