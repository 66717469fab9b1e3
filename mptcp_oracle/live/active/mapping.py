"""Active rules of sections 3.3 and 3.3.1: DSS options, their mappings, and 64-bit numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mptcp_oracle.constants import DSS_ACK8
from mptcp_oracle.live.active.joining import ACCEPTED, answered
from mptcp_oracle.live.active.rule import NO_ANSWER, ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage, reason
from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import PIECE
from mptcp_oracle.live.peer.segment import ACK, PSH, RST, URG
from mptcp_oracle.live.peer.target import Settings

__all__ = ["RULES", "WRAPPING_KEY", "ends"]

WRAPPING_KEY = 0x3D9A2
"""A key whose IDSN has 1445 octets to go until its lower half wraps."""

WRAP = 1_445
TAKEN, NOT_TAKEN = "data is DATA_ACKed and delivered", "data is not DATA_ACKed"
FALSE = "wrong data delivered"
RESET, GOES_ON, FALLS_BACK = "RST", "the data is DATA_ACKed", "fallback to TCP"
SILENT = "the data is ignored"
REASONED, UNREASONED = "RST with MP_TCPRST 1", "RST with another reason or none"


def taken(stage: Stage, connection: Connection) -> Reaction:
    """Whether all that was sent is DATA_ACKed, and whether the application reads it."""
    if not stage.peer.is_acked(connection):
        return seen(NOT_TAKEN, *connection.flows[-1].heard[-1:])
    count = connection.sent - 1
    whole = stage.delivered(count) == stage.peer.octets(1, count)
    return seen(TAKEN if whole else FALSE)


def _size_flags(stage: Stage) -> Reaction:
    """A mapping without DATA_ACK whose flag `a` is set all the same."""
    connection = stage.listened()
    flow, payload = connection.flows[0], stage.peer.octets(connection.sent, PIECE)
    option = connection.dss(flow, payload, ack=False)
    option = replace(option, flags=option.flags | DSS_ACK8)
    stage.stimulus(flow.segment(ACK | PSH, option, payload=payload))
    connection.sent += PIECE
    return taken(stage, connection)


def _checksum(stage: Stage, *, negotiated: bool, joined: bool) -> Reaction:
    """A mapping with a checksum that was not negotiated, or without one that was."""
    if joined:
        connection, flow = stage.joined(checksum=negotiated)
    else:
        connection = stage.listened(checksum=negotiated)
        flow = connection.flows[0]
    peer, before = stage.peer, connection.acked
    payload = peer.octets(connection.sent, PIECE)
    option = connection.dss(flow, payload, checksum=not negotiated)
    stage.stimulus(flow.segment(ACK | PSH, option, payload=payload))
    heard = peer.hear(flow.is_mine)
    if heard is None:
        return seen(NO_ANSWER)
    if heard.rst:
        if joined:
            return seen(REASONED if reason(heard) == 1 else UNREASONED, heard)
        return seen(RESET, heard)
    if connection.acked > before:
        return seen(GOES_ON, heard)
    return seen(SILENT if heard.options else FALLS_BACK, heard)


def ends(stage: Stage, flags: int) -> Reaction:
    """The only subflow ends without DATA_FIN; then a lawful join."""
    connection = stage.listened()
    flow = connection.flows[0]
    stage.stimulus(flow.segment(flags))
    if not flags & RST:
        stage.peer.hear(lambda each: flow.is_mine(each) and each.fin, 0.5)
        if flow.finished is not None:
            stage.peer.send(flow.segment(ACK))
    second = stage.peer.begin_join(connection)
    found = answered(second, connection.hmac_expected(second))
    if found.words != ACCEPTED:
        return seen("the connection is gone", *found.segments)
    stage.peer.send(second.segment(ACK, connection.join_ack(second)))
    stage.peer.hear(second.is_mine)
    if not stage.peer.tried(connection, second):
        return seen("the connection is gone", second.reset)
    return seen("the connection lives on", *found.segments)


def _first_data(stage: Stage) -> Reaction:
    """Data out of order on one subflow, then other data for its DSNs in order on another."""
    connection, second = stage.joined()
    peer, first = stage.peer, connection.flows[0]
    start = connection.sent
    mine = peer.octets(start + PIECE, PIECE)
    option = connection.dss(second, mine, start=start + PIECE)
    stage.stimulus(second.segment(ACK | PSH, option, payload=mine))
    peer.hear(second.is_mine)
    other = peer.octets(start, PIECE) + peer.other(start + PIECE, PIECE)
    option = connection.dss(first, other, start=start)
    stage.stimulus(first.segment(ACK | PSH, option, payload=other))
    connection.sent += 2 * PIECE
    peer.until_acked(connection)
    got = stage.delivered(connection.sent - 1)[-PIECE:]
    if got == mine:
        return seen("the data that came first is delivered")
    late = got == peer.other(start + PIECE, PIECE)
    return seen("the data that came later is delivered" if late else FALSE)


def _urgent(stage: Stage) -> Reaction:
    connection = stage.listened()
    flow, payload = connection.flows[0], stage.peer.octets(connection.sent, PIECE)
    option = connection.dss(flow, payload)
    stage.stimulus(flow.segment(ACK | PSH | URG, option, payload=payload, urgent=PIECE))
    connection.sent += PIECE
    return taken(stage, connection)


def _unmapped(stage: Stage) -> Reaction:
    connection = stage.listened()
    flow, before = connection.flows[0], connection.acked
    stage.stimulus(flow.segment(ACK | PSH, payload=stage.peer.octets(connection.sent, PIECE)))
    heard = stage.peer.hear(
        lambda each: flow.is_mine(each) and (each.rst or flow.acknowledged() == flow.place)
    )
    if heard is None:
        return seen("the subflow does not acknowledge it", *flow.heard[-1:])
    if heard.rst:
        return seen(RESET, heard)
    moved = connection.acked > before
    return seen("DATA_ACK of unmapped data" if moved else "the subflow acknowledges it", heard)


def _unmapped_window(stage: Stage) -> Reaction:
    """Data without mapping on a joined subflow until it is reset, or a window was sent."""
    _, flow = stage.joined()
    window = flow.heard[-1].window
    sent = 0
    while sent <= window and flow.reset is None:
        payload = stage.peer.octets(1, flow.mss)
        stage.stimulus(flow.segment(ACK | PSH, payload=payload))
        sent += len(payload)
        stage.peer.hear(flow.is_mine, 0.05)
    if flow.reset is None:
        return seen("the subflow stays open")
    return seen(RESET, flow.reset)


def _wrap(stage: Stage, *sizes: int) -> Reaction:
    """Data past a wrap of the lower half of the DSN, its DSNs of these sizes in turn."""
    connection = stage.listened(key=WRAPPING_KEY)
    flow = connection.flows[0]
    while connection.sent < WRAP + 4 * PIECE:
        for size in sizes:
            stage.evidence[:] = [stage.peer.put(connection, flow, dsn_size=size)]
            if not stage.peer.is_acked(connection):
                return seen(NOT_TAKEN, *flow.heard[-1:])
    return taken(stage, connection)


def _old_after_wrap(stage: Stage) -> Reaction:
    """After the wrap an old mapping from before it, with a short DSN, then new data."""
    connection, second = stage.listened(key=WRAPPING_KEY), None
    peer, flow = stage.peer, connection.flows[0]
    second = peer.join(connection)
    while connection.sent < WRAP + 2 * PIECE:
        peer.put(connection, flow, dsn_size=4)
        peer.until_acked(connection)
    old = peer.octets(1 + PIECE, PIECE)
    option = connection.dss(second, old, start=1 + PIECE, dsn_size=4)
    stage.stimulus(second.segment(ACK | PSH, option, payload=old))
    peer.hear(second.is_mine)
    for each in (flow, second):
        stage.evidence.append(peer.put(connection, each, dsn_size=4))
        if not peer.is_acked(connection):
            return seen(NOT_TAKEN, *each.heard[-1:])
    return taken(stage, connection)


def _alternate(stage: Stage) -> Reaction:
    connection = stage.listened()
    flow: Flow = connection.flows[0]
    for dsn_size, ack_size in ((4, 4), (8, 4), (4, 8), (8, 8), (4, 4)):
        stage.evidence[:] = [stage.peer.put(connection, flow, dsn_size=dsn_size, ack_size=ack_size)]
        if not stage.peer.is_acked(connection):
            return seen(NOT_TAKEN, *flow.heard[-1:])
    return taken(stage, connection)


def _data(
    number: str, stimulus: str, script: Callable[[Stage], Reaction], fault: str
) -> ActiveRule:
    """A rule whose data has to be taken."""
    return ActiveRule(
        number=number,
        stimulus=stimulus,
        allowed=(TAKEN,),
        wrong=(NOT_TAKEN, FALSE),
        script=script,
        fault=fault,
    )


RULES: tuple[ActiveRule, ...] = (
    _data(
        "8684-3.3-02",
        "a mapping without DATA_ACK whose flag a is set",
        _size_flags,
        "size-flags-heeded",
    ),
    ActiveRule(
        number="8684-3.3-04",
        stimulus="a mapping with a checksum on the only subflow, checksums not negotiated",
        allowed=(RESET,),
        wrong=(GOES_ON, FALLS_BACK, SILENT, NO_ANSWER),
        script=lambda stage: _checksum(stage, negotiated=False, joined=False),
        fault="checksum-presence-not-checked",
    ),
    ActiveRule(
        number="8684-3.3-05",
        stimulus="a mapping without checksum on the only subflow, checksums negotiated",
        allowed=(RESET,),
        wrong=(GOES_ON, FALLS_BACK, SILENT, NO_ANSWER),
        script=lambda stage: _checksum(stage, negotiated=True, joined=False),
        fault="checksum-presence-not-checked",
        settings=Settings(checksum="required"),
    ),
    ActiveRule(
        number="8684-3.3-07",
        stimulus="a mapping with a checksum on a joined subflow, checksums not negotiated",
        allowed=(REASONED,),
        wrong=(UNREASONED, GOES_ON, FALLS_BACK, SILENT, NO_ANSWER),
        script=lambda stage: _checksum(stage, negotiated=False, joined=True),
        fault="resets-without-reason",
    ),
    ActiveRule(
        number="8684-3.3-07",
        variant="missing",
        stimulus="a mapping without checksum on a joined subflow, checksums negotiated",
        allowed=(REASONED,),
        wrong=(UNREASONED, GOES_ON, FALLS_BACK, SILENT, NO_ANSWER),
        script=lambda stage: _checksum(stage, negotiated=True, joined=True),
        fault="resets-without-reason",
        settings=Settings(checksum="required"),
    ),
    ActiveRule(
        number="8684-3.3-08",
        stimulus="RST on the only subflow, then a SYN with MP_JOIN and its token",
        allowed=("the connection lives on",),
        wrong=("the connection is gone",),
        script=lambda stage: ends(stage, RST | ACK),
        fault="connection-ends-with-its-subflows",
    ),
    ActiveRule(
        number="8684-3.3.1-03",
        stimulus="data out of order on one subflow, then other data for its DSNs on another",
        allowed=("the data that came first is delivered",),
        wrong=("the data that came later is delivered", FALSE),
        script=_first_data,
        fault="later-data-wins",
    ),
    _data("8684-3.3.1-09", "mapped data with flag URG", _urgent, "urgent-data-dropped"),
    ActiveRule(
        number="8684-3.3.1-10",
        stimulus="data without mapping on the only subflow",
        allowed=("the subflow acknowledges it",),
        wrong=("the subflow does not acknowledge it", "DATA_ACK of unmapped data", RESET),
        script=_unmapped,
        fault="unmapped-data-not-acked",
    ),
    ActiveRule(
        number="8684-3.3.1-13",
        stimulus="up to a window of data without mapping on a joined subflow",
        allowed=(RESET,),
        wrong=("the subflow stays open",),
        script=_unmapped_window,
        fault="unmapped-data-for-ever",
    ),
    _data(
        "8684-3.3.1-14",
        "8-octet and 4-octet DSNs past 2^32",
        lambda stage: _wrap(stage, 8, 4),
        "dsn-of-32-bits",
    ),
    _data(
        "8684-3.3.1-16",
        "DSNs and DATA_ACKs of 4 and 8 octets in turn",
        _alternate,
        "short-dsn-refused",
    ),
    _data(
        "8684-3.3.1-18",
        "4-octet DSNs past 2^32",
        lambda stage: _wrap(stage, 4),
        "short-dsn-not-promoted",
    ),
    _data(
        "8684-3.3.1-19",
        "after 2^32 was passed, an old mapping from before it with a 4-octet DSN, then new data",
        _old_after_wrap,
        "every-wrap-counts",
    ),
)
