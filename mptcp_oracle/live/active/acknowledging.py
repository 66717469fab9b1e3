"""Active rules of sections 3.3.2 to 3.3.8: acknowledgments, windows, closing, priorities."""

from __future__ import annotations

from mptcp_oracle.live.active.mapping import ends
from mptcp_oracle.live.active.rule import ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage
from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import PIECE
from mptcp_oracle.live.peer.segment import ACK, FIN, PSH, RST, Segment
from mptcp_oracle.options import Dss, MpPrio

__all__ = ["RULES", "again_on", "await_data", "data_on"]

WINDOW = 2_000
"""Octets that the raw peer announces where a rule is about windows."""

AGAIN, NOT_AGAIN = "the data is sent again", "the data is never sent again"
ON_OTHER, NOT_ON_OTHER = "the data is sent again on the other subflow", NOT_AGAIN
GOES_ON, STOPS = "new data goes on", "no new data comes"
KEPT = "no octet beyond the right edge of the last DATA_ACK"
BEYOND = "data beyond the right edge of the last DATA_ACK"


def _filled(stage: Stage) -> tuple[Connection, Flow]:
    """A connection whose small window the implementation has filled, and wants to go on."""
    stage.peer.window = WINDOW
    connection = stage.listened()
    stage.write(4 * WINDOW)
    await_data(stage, connection, 1 + WINDOW)
    return connection, connection.flows[0]


def await_data(stage: Stage, connection: Connection, dsn: int) -> bool:
    """Hear the implementation's data up to a DSN; whether it came."""
    if connection.got >= dsn:
        return True
    return stage.peer.hear(lambda _: connection.got >= dsn) is not None


def _ack_sizes(stage: Stage) -> Reaction:
    """A full window opened by DATA_ACKs of 4 and of 8 octets."""
    connection, flow = _filled(stage)
    for size in (4, 8, 4):
        goal = connection.got + WINDOW
        stage.stimulus(flow.segment(ACK, connection.data_ack(size=size)))
        if not await_data(stage, connection, goal):
            return seen(STOPS, *flow.heard[-1:])
    return seen(GOES_ON)


def _window_without_ack(stage: Stage) -> Reaction:
    """A larger window on an ACK without DSS, then data that orders."""
    connection, flow = _filled(stage)
    edge, mark = connection.got + WINDOW, stage.peer.mark
    peer = stage.peer
    peer.send(flow.segment(ACK, connection.data_ack(), window=WINDOW))
    await_data(stage, connection, edge)
    mark = stage.stimulus(flow.segment(ACK, window=10 * WINDOW))
    _order(stage, connection, flow, window=10 * WINDOW)
    beyond = [each for each in peer.since(mark) if _last(connection, flow, each) > edge]
    return seen(BEYOND, *beyond) if beyond else seen(KEPT)


def _last(connection: Connection, flow: Flow, segment: Segment) -> int:
    """The DSN after a segment's payload, or 0."""
    span = connection.span(flow, segment) if flow.is_mine(segment) else None
    return span[1] if span else 0


def _order(stage: Stage, connection: Connection, flow: Flow, *, window: int) -> None:
    """Data without DATA_ACK, until it is acknowledged."""
    payload = stage.peer.octets(connection.sent, PIECE)
    option = connection.dss(flow, payload, ack=False)
    stage.peer.send(flow.segment(ACK | PSH, option, payload=payload, window=window))
    connection.sent += PIECE
    stage.peer.until_acked(connection)


def data_on(stage: Stage, connection: Connection, count: int = PIECE) -> Flow:
    """Let the implementation send data: the subflow it came on, nothing acknowledged."""
    goal = connection.got + count
    stage.write(count)
    last = stage.peer.need("its data", lambda _: connection.got >= goal)
    owner = stage.peer.flow_of(last)
    assert owner is not None
    return owner[1]


def again_on(stage: Stage, connection: Connection, dsn: int, mark: int, flows: list[Flow],
             within: float = 5.0) -> Segment | None:  # fmt: skip
    """The segment that brings a DSN again on one of some subflows, as another transmission."""

    def brings(segment: Segment) -> bool:
        for flow in flows:
            if segment.frame > mark and flow.is_mine(segment):
                span = connection.span(flow, segment)
                if span is not None and span[0] <= dsn < span[1]:
                    return True
        return False

    known = next((each for each in stage.peer.since(mark) if brings(each)), None)
    return known or stage.peer.hear(brings, within)


def _unacked_then_reset(stage: Stage) -> Reaction:
    """Data acknowledged on its subflow but not by a DATA_ACK; then that subflow is reset."""
    connection, second = stage.joined()
    dsn = connection.got
    flow = data_on(stage, connection)
    other = connection.flows[0] if flow is second else second
    held = connection.data_ack(beyond=-PIECE)
    stage.stimulus(flow.segment(ACK, held))
    mark = stage.stimulus(flow.segment(RST | ACK))
    found = again_on(stage, connection, dsn, mark, [other])
    return seen(ON_OTHER, found) if found else seen(NOT_ON_OTHER)


def _never_data_acked(stage: Stage) -> Reaction:
    """Everything acknowledged on the subflow, nothing by a DATA_ACK."""
    connection = stage.listened()
    flow, dsn = connection.flows[0], connection.got
    data_on(stage, connection)
    mark = stage.stimulus(flow.segment(ACK, connection.data_ack(beyond=-PIECE)))
    found = again_on(stage, connection, dsn, mark, [flow])
    return seen(AGAIN, found) if found else seen(NOT_AGAIN)


def _plain_acks(stage: Stage) -> Reaction:
    """After DSS options went both ways, ACKs without DSS that acknowledge data."""
    connection = stage.listened()
    flow = connection.flows[0]
    stage.spoken(connection, PIECE)
    data_on(stage, connection)
    stage.stimulus(flow.segment(ACK))
    stage.stimulus(flow.segment(ACK))
    if not stage.peer.tried(connection, flow) or flow.reset is not None:
        return seen("it resets or falls back", flow.reset)
    stage.spoken(connection, PIECE)
    return seen("MPTCP goes on")


def _fin_of_one(stage: Stage, flags: int) -> Reaction:
    """One of two subflows ends; data goes on both ways over the other."""
    connection, second = stage.joined()
    first = connection.flows[0]
    stage.stimulus(second.segment(flags))
    if not stage.peer.tried(connection, first) or first.reset or first.finished:
        return seen("the connection ends with it", first.reset or first.finished)
    goal = connection.got + PIECE
    stage.write(PIECE)
    if stage.peer.hear(lambda _: connection.got >= goal) is None:
        return seen(STOPS)
    return seen("data goes on over the other subflow")


def _data_fin_lost(stage: Stage) -> Reaction:
    """The implementation's DATA_FIN is not acknowledged."""
    stage.listened()
    stage.app.finish()
    peer = stage.peer

    def fin(segment: Segment) -> bool:
        return any(isinstance(each, Dss) and each.data_fin for each in segment.options)

    first = peer.need("a DATA_FIN", fin)
    stage.evidence.append(first.frame)
    again = peer.hear(fin, 5.0)
    return seen("DATA_FIN again", again) if again else seen("DATA_FIN only once")


def _half_closed(stage: Stage) -> Reaction:
    """A DATA_FIN of the raw peer; then the implementation's application writes."""
    connection = stage.listened()
    flow, peer = connection.flows[0], stage.peer
    stage.stimulus(flow.segment(ACK, connection.dss(flow, b"", fin=True)))
    connection.sent += 1
    if not peer.is_acked(connection):
        return seen("the DATA_FIN is not acknowledged", *flow.heard[-1:])
    for _ in range(2):
        goal = connection.got + PIECE
        stage.write(PIECE)
        if not await_data(stage, connection, goal):
            return seen(STOPS, flow.reset)
        peer.ack(connection, flow)
    return seen(GOES_ON)


def _sanity(stage: Stage) -> Reaction:
    """A gap in the subflow, and behind it a mapping of the very next DSN."""
    connection = stage.listened()
    flow, peer = connection.flows[0], stage.peer
    payload, place = peer.octets(connection.sent, PIECE), flow.place + 5 * PIECE
    option = connection.dss(flow, payload, place=place)
    before = connection.acked
    stage.stimulus(flow.segment(ACK | PSH, option, payload=payload, place=place))
    heard = peer.hear(flow.is_mine)
    if connection.acked > before:
        return seen("the data is DATA_ACKed", heard)
    return seen("the data is not DATA_ACKed", heard)


def _beyond_window(stage: Stage) -> Reaction:
    """Data in order on its subflow, its DSN far beyond the window; then what is due."""
    connection, second = stage.joined()
    peer, first, before = stage.peer, connection.flows[0], connection.acked
    payload = peer.octets(1, PIECE)
    option = connection.dss(second, payload, start=connection.sent + (1 << 24))
    stage.stimulus(second.segment(ACK | PSH, option, payload=payload))
    heard = peer.hear(second.is_mine)
    if connection.acked > before:
        return seen("it is DATA_ACKed", heard)
    going = peer.tried(connection, first)
    if not going or connection.acked > connection.sent:
        return seen("the connection is harmed", first.reset)
    return seen("no DATA_ACK of it, and the connection goes on", heard)


def _edge_back(stage: Stage) -> Reaction:
    """A DATA_ACK with a smaller right edge than before; then the application writes."""
    stage.peer.window = WINDOW
    connection = stage.listened()
    flow, edge = connection.flows[0], connection.got + WINDOW
    stage.stimulus(flow.segment(ACK, connection.data_ack(), window=WINDOW // 4))
    stage.write(WINDOW)
    return seen("data up to the larger edge" if await_data(stage, connection, edge)
                else "data up to the smaller edge only", *flow.heard[-1:])  # fmt: skip


def _largest_window(stage: Stage) -> Reaction:
    """A small window on one subflow, a larger one on the other; then much data."""
    stage.peer.window = WINDOW
    connection, second = stage.joined()
    edge = connection.got + 2 * WINDOW
    stage.stimulus(second.segment(ACK, connection.data_ack(), window=2 * WINDOW))
    stage.stimulus(connection.flows[0].segment(ACK, connection.data_ack(), window=WINDOW))
    stage.write(4 * WINDOW)
    return seen("data up to the largest edge" if await_data(stage, connection, edge)
                else "data up to the smaller edge only", *second.heard[-1:])  # fmt: skip


def _old_priority(stage: Stage) -> Reaction:
    """MP_PRIO as version 0 has it, on a regular subflow: the backup shall be regular."""
    connection, second = stage.joined(backup=True)
    first, peer = connection.flows[0], stage.peer
    stage.stimulus(first.segment(ACK, MpPrio(backup=False, address_id=second.address_id)))
    peer.data(connection, first)
    mark = peer.mark
    stage.write(24 * first.mss)
    for _ in range(24):
        if peer.hear(lambda each: bool(each.payload), 0.05) is None:
            break
    moved = [each for each in peer.since(mark) if each.payload and second.is_mine(each)]
    if moved:
        return seen("data goes over the other subflow", *moved[:1])
    return seen("the priority of the other subflow is kept")


def _no_inference(stage: Stage) -> Reaction:
    """Data and DATA_FIN acknowledged on the subflow alone."""
    connection = stage.listened()
    flow, dsn = connection.flows[0], connection.got
    data_on(stage, connection)
    stage.app.finish()
    stage.peer.hear(lambda _: connection.fin is not None, 0.5)
    held = dsn - connection.got
    mark = stage.stimulus(flow.segment(ACK, connection.data_ack(beyond=held)))
    found = again_on(stage, connection, dsn, mark, [flow])
    if flow.finished is not None:
        return seen("the subflow is closed", flow.finished)
    return seen(AGAIN, found) if found else seen(NOT_AGAIN)


RULES: tuple[ActiveRule, ...] = (
    ActiveRule(
        number="8684-3.3.2-04",
        stimulus="DATA_ACKs of 4 and of 8 octets, each of which opens a full window",
        allowed=(GOES_ON,),
        wrong=(STOPS,),
        script=_ack_sizes,
        fault="short-data-ack-refused",
    ),
    ActiveRule(
        number="8684-3.3.2-05",
        stimulus="a larger window on an ACK without DSS while the window is full",
        allowed=(KEPT,),
        wrong=(BEYOND,),
        script=_window_without_ack,
        fault="window-of-every-segment",
    ),
    ActiveRule(
        number="8684-3.3.2-06",
        stimulus="data acknowledged on its subflow but not by a DATA_ACK, then RST there",
        allowed=(ON_OTHER,),
        wrong=(NOT_ON_OTHER,),
        script=_unacked_then_reset,
        fault="data-freed-by-subflow-acks",
    ),
    ActiveRule(
        number="8684-3.3.2-08",
        stimulus="ACKs of data without DSS, after DSS options went both ways",
        allowed=("MPTCP goes on",),
        wrong=("it resets or falls back",),
        script=_plain_acks,
        fault="every-ack-needs-data-ack",
    ),
    ActiveRule(
        number="8684-3.3.3-01",
        stimulus="FIN on one of two subflows",
        allowed=("data goes on over the other subflow",),
        wrong=("the connection ends with it", STOPS),
        script=lambda stage: _fin_of_one(stage, FIN | ACK),
        fault="fin-ends-connection",
    ),
    ActiveRule(
        number="8684-3.3.3-13",
        stimulus="FIN on the only subflow, answered or not, then a SYN with MP_JOIN and its token",
        allowed=("the connection lives on",),
        wrong=("the connection is gone",),
        script=lambda stage: ends(stage, FIN | ACK),
        fault="connection-ends-with-its-subflows",
    ),
    ActiveRule(
        number="8684-3.3.3-14",
        stimulus="no DATA_ACK of the implementation's DATA_FIN",
        allowed=("DATA_FIN again",),
        wrong=("DATA_FIN only once",),
        script=_data_fin_lost,
        fault="data-fin-once",
    ),
    ActiveRule(
        number="8684-3.3.3-15",
        stimulus="DATA_FIN, then the implementation's application writes",
        allowed=(GOES_ON,),
        wrong=(STOPS, "the DATA_FIN is not acknowledged"),
        script=_half_closed,
        fault="data-fin-closes-both",
    ),
    ActiveRule(
        number="8684-3.3.4-03",
        stimulus="a mapping of the DSN that is due, 500 octets ahead in its subflow",
        allowed=("the data is not DATA_ACKed",),
        wrong=("the data is DATA_ACKed",),
        script=_sanity,
        fault="subflow-order-ignored",
    ),
    ActiveRule(
        number="8684-3.3.4-04",
        stimulus="a mapping whose DSN is 2^24 octets beyond what is due",
        allowed=("no DATA_ACK of it, and the connection goes on",),
        wrong=("it is DATA_ACKed", "the connection is harmed"),
        script=_beyond_window,
        fault="every-dsn-taken",
    ),
    ActiveRule(
        number="8684-3.3.5-01",
        stimulus="a DATA_ACK with a smaller right edge, then data to send",
        allowed=("data up to the larger edge",),
        wrong=("data up to the smaller edge only",),
        script=_edge_back,
        fault="last-window-counts",
    ),
    ActiveRule(
        number="8684-3.3.5-02",
        stimulus="a larger window on one subflow, then a smaller one on the other",
        allowed=("data up to the largest edge",),
        wrong=("data up to the smaller edge only",),
        script=_largest_window,
        fault="last-window-counts",
    ),
    ActiveRule(
        number="8684-3.3.6-03",
        stimulus="data acknowledged on its subflow but never by a DATA_ACK",
        allowed=(AGAIN,),
        wrong=(NOT_AGAIN,),
        script=_never_data_acked,
        fault="data-freed-by-subflow-acks",
    ),
    ActiveRule(
        number="8684-3.3.8-03",
        stimulus="MP_PRIO as version 0 has it: on a regular subflow, naming a backup to be regular",
        allowed=("the priority of the other subflow is kept",),
        wrong=("data goes over the other subflow",),
        script=_old_priority,
        fault="old-priority-heeded",
    ),
    ActiveRule(
        number="8684-4-01",
        stimulus="the application ends its stream; all is acknowledged on the subflow, "
        "nothing by a DATA_ACK",
        allowed=(AGAIN,),
        wrong=(NOT_AGAIN, "the subflow is closed"),
        script=_no_inference,
        fault="data-freed-by-subflow-acks",
    ),
    ActiveRule(
        number="8684-4-02",
        stimulus="RST on one of two subflows",
        allowed=("data goes on over the other subflow",),
        wrong=("the connection ends with it", STOPS),
        script=lambda stage: _fin_of_one(stage, RST | ACK),
        fault="rst-ends-connection",
    ),
)
