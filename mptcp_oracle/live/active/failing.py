"""Active rules of sections 3.7 and 3.9: fallback, failed checksums, paths without MPTCP."""

from __future__ import annotations

from mptcp_oracle.live.active.acknowledging import again_on, data_on
from mptcp_oracle.live.active.rule import ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage, has, reason
from mptcp_oracle.live.peer.connection import MASK_64, Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import PIECE
from mptcp_oracle.live.peer.segment import ACK, MASK_32, PSH, RST, Segment
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.options import Dss, MpCapable, MpFail, MpPrio

__all__ = ["RULES"]

CHECKED = Settings(checksum="required")
INTERFERENCE = 6
SMALL = 8_000
"""A window that is full soon, in octets."""
PLAIN, MPTCP = "no MPTCP option from then on", "MPTCP options go on"
RESET_FAIL = "RST with MP_FAIL"


def _moved_to(stage: Stage) -> tuple[Connection, Flow]:
    """Two subflows, the initial one a backup, so that data comes on the joined one."""
    connection = stage.listened()
    second = stage.peer.join(connection)
    first = connection.flows[0]
    stage.peer.send(first.segment(ACK, MpPrio(backup=True)))
    stage.peer.data(connection, first)
    return connection, second


def _no_data_ack_joined(stage: Stage) -> tuple[Flow, Segment | None]:
    """Data on a joined subflow, acknowledged by ACKs without DSS alone."""
    connection, second = _moved_to(stage)
    for _ in range(3):
        flow = data_on(stage, connection)
        if flow is not second:
            break
        stage.stimulus(flow.segment(ACK))
    found = second.reset or stage.peer.hear(lambda each: second.is_mine(each) and each.rst, 1.0)
    return second, found


def _unconfirmed(stage: Stage) -> Reaction:
    second, found = _no_data_ack_joined(stage)
    if not any(each.payload for each in second.heard):
        return seen("no data comes on the joined subflow")
    return seen("RST", found) if found else seen("the subflow stays open", *second.heard[-1:])


def _unconfirmed_reason(stage: Stage) -> Reaction:
    second, found = _no_data_ack_joined(stage)
    if not any(each.payload for each in second.heard):
        return seen("no data comes on the joined subflow")
    if found is None:
        return seen("no RST at all", *second.heard[-1:])
    right = reason(found) == INTERFERENCE
    return seen("RST with MP_TCPRST 6" if right else "RST with another reason or none", found)


def _unconfirmed_first(stage: Stage) -> Reaction:
    """First data of the initiator, acknowledged by ACKs without DSS alone."""
    connection = stage.call()
    flow = stage.peer.answer(connection)
    for _ in range(2):
        stage.write(PIECE)
        if stage.peer.hear(lambda each: bool(each.payload)) is None:
            return seen("no data comes", *flow.heard[-1:])
        mark = stage.stimulus(flow.segment(ACK))
    stage.write(PIECE)
    data = stage.peer.hear(lambda each: each.frame > mark and bool(each.payload))
    if data is None:
        return seen("RST" if flow.reset else "no data comes", flow.reset)
    infinite = any(isinstance(each, Dss) and each.dll == 0 for each in data.options)
    return seen(PLAIN if not data.options or infinite else MPTCP, data)


def _loses_mappings(stage: Stage, *, joined: bool) -> Reaction:
    """Data without mapping after data with it, up to a window of it."""
    if joined:
        connection, flow = stage.joined()
    else:
        connection = stage.listened()
        flow = connection.flows[0]
        stage.spoken(connection, PIECE)
    window, sent, before = flow.heard[-1].window, 0, stage.delivered(connection.sent - 1)
    while sent <= window and flow.reset is None:
        payload = stage.peer.octets(connection.sent, flow.mss)
        stage.stimulus(flow.segment(ACK | PSH, payload=payload))
        sent += len(payload)
        stage.peer.hear(flow.is_mine, 0.05)
        if stage.app.read():
            return seen("the data is delivered: fallback to TCP", *flow.heard[-1:])
    if flow.reset is None:
        return seen("the subflow stays open", *flow.heard[-1:])
    del before
    right = reason(flow.reset) == INTERFERENCE
    return seen("RST with MP_TCPRST 6" if right else "RST with another reason or none", flow.reset)


def _bad_sum(stage: Stage, connection: Connection, flow: Flow) -> Segment | None:
    """Data with a wrong checksum on a subflow; what answers there."""
    payload = stage.peer.octets(connection.sent, PIECE)
    option = connection.dss(flow, payload, wrong=True)
    stage.stimulus(flow.segment(ACK | PSH, option, payload=payload))
    return stage.peer.hear(lambda each: flow.is_mine(each) and (each.rst or has(each, MpFail)), 1.0)


def _failed(flow: Flow, heard: Segment | None, dsn: int) -> Reaction:
    """What follows a failed checksum, in words."""
    if heard is None:
        return seen("no MP_FAIL", *flow.heard[-1:])
    fail = next((each for each in heard.options if isinstance(each, MpFail)), None)
    if heard.rst:
        return seen("RST without MP_FAIL" if fail is None else RESET_FAIL, heard)
    return seen("ACK with MP_FAIL", heard)


def _sum_of_two(stage: Stage) -> Reaction:
    connection, second = stage.joined(checksum=True)
    return _failed(second, _bad_sum(stage, connection, second), connection.sent)


def _sum_of_one(stage: Stage) -> Reaction:
    connection = stage.listened(checksum=True)
    flow = connection.flows[0]
    stage.peer.data(connection, flow)
    return _failed(flow, _bad_sum(stage, connection, flow), connection.sent)


def _sum_in_gap(stage: Stage) -> Reaction:
    """One subflow left, data missing from the other one; then a failed checksum."""
    connection, second = stage.joined(checksum=True)
    peer, first = stage.peer, connection.flows[0]
    start = connection.sent
    payload = peer.octets(start + PIECE, PIECE)
    option = connection.dss(second, payload, start=start + PIECE)
    peer.send(second.segment(ACK | PSH, option, payload=payload))
    peer.hear(second.is_mine)
    stage.stimulus(first.segment(RST | ACK))
    return _failed(second, _bad_sum(stage, connection, second), start)


def _told_of_failure(stage: Stage) -> Reaction:
    """MP_FAIL on the RST of the subflow that brought data."""
    connection, second = stage.joined(checksum=True)
    dsn = connection.got
    flow = data_on(stage, connection)
    other = connection.flows[0] if flow is second else second
    fail = MpFail(dsn=(connection.peer_base + dsn) & MASK_64)
    mark = stage.stimulus(flow.segment(RST | ACK, fail))
    found = again_on(stage, connection, dsn, mark, [other])
    if found is None:
        return seen("the data is not sent again")
    return seen("the data is sent again on the other subflow", found)


def _infinite(stage: Stage) -> tuple[Connection, Flow, Segment | None, int]:
    """MP_FAIL for the second of two pieces of data on the only subflow; what comes then."""
    connection = stage.listened(checksum=True)
    flow = connection.flows[0]
    intact = stage.spoken(connection, PIECE)
    dsn = connection.got
    data_on(stage, connection)
    fail = MpFail(dsn=(connection.peer_base + dsn) & MASK_64)
    mark = stage.stimulus(flow.segment(ACK, connection.data_ack(beyond=-PIECE), fail))

    def found(segment: Segment) -> bool:
        return any(isinstance(each, Dss) and each.dll == 0 for each in segment.options)

    stage.write(PIECE)
    heard = stage.peer.hear(lambda each: each.frame > mark and found(each))
    return connection, flow, heard, flow.relative(intact)


def _infinite_place(stage: Stage) -> Reaction:
    _, flow, heard, place = _infinite(stage)
    if heard is None:
        return seen("no infinite mapping", *flow.heard[-1:])
    ssn = next(each.ssn for each in heard.options if isinstance(each, Dss))
    right = ssn == place
    return seen("infinite mapping from the last intact segment on" if right
                else "infinite mapping from the new data on", heard)  # fmt: skip


def _infinite_acks(stage: Stage) -> Reaction:
    """After its infinite mapping much data, acknowledged by the subflow alone."""
    stage.peer.window = SMALL
    _, flow, heard, _ = _infinite(stage)
    if heard is None:
        return seen("no infinite mapping")
    goal = (flow.expected + 4 * SMALL) & MASK_32
    stage.write(4 * SMALL)
    for _ in range(100):
        if flow.expected == goal:
            return seen("new data goes on")
        stage.peer.send(flow.segment(ACK))
        if stage.peer.hear(lambda each: bool(each.payload), 1.0) is None:
            break
    return seen("no new data comes", *flow.heard[-1:])


def _silent_path(stage: Stage) -> Reaction:
    """Every SYN with MP_CAPABLE is lost."""
    connection = stage.call()
    del connection
    plain = stage.peer.hear(lambda each: each.syn and not has(each, MpCapable), 10.0)
    stage.evidence += [each.frame for each in stage.peer.heard if each.syn]
    return seen("SYN without MP_CAPABLE", plain) if plain else seen("no SYN without MP_CAPABLE")


RULES: tuple[ActiveRule, ...] = (
    ActiveRule(
        number="8684-3.7-03",
        stimulus="ACKs without DSS, alone, for data on a joined subflow",
        allowed=("RST",),
        wrong=("the subflow stays open",),
        aside=("no data comes on the joined subflow",),
        script=_unconfirmed,
        fault="missing-data-acks-ignored",
        note="The initial subflow is a backup here, so that data comes on the joined one. No "
        "DATA_ACK ever came on that one: the path drops DSS options for all that its sender can "
        "know, and goes on being used.",
    ),
    ActiveRule(
        number="8684-3.7-04",
        stimulus="ACKs without DSS, alone, for data on a joined subflow",
        allowed=("RST with MP_TCPRST 6",),
        wrong=("RST with another reason or none",),
        aside=("no data comes on the joined subflow", "no RST at all"),
        script=_unconfirmed_reason,
        fault="resets-without-reason",
    ),
    ActiveRule(
        number="8684-3.7-05",
        stimulus="ACKs without DSS, alone, for the first data of the initiator",
        allowed=(PLAIN,),
        wrong=(MPTCP, "RST", "no data comes"),
        script=_unconfirmed_first,
        fault="missing-data-acks-ignored",
    ),
    ActiveRule(
        number="8684-3.7-07",
        stimulus="data without mapping on a joined subflow, after data with it",
        allowed=("RST with MP_TCPRST 6",),
        wrong=(
            "RST with another reason or none",
            "the subflow stays open",
            "the data is delivered: fallback to TCP",
        ),
        script=lambda stage: _loses_mappings(stage, joined=True),
        fault="unmapped-data-for-ever",
    ),
    ActiveRule(
        number="8684-3.7-07",
        variant="only-subflow",
        stimulus="data without mapping on the only subflow, after data with it both ways",
        allowed=("RST with MP_TCPRST 6",),
        wrong=(
            "RST with another reason or none",
            "the subflow stays open",
            "the data is delivered: fallback to TCP",
        ),
        script=lambda stage: _loses_mappings(stage, joined=False),
        fault="unmapped-data-for-ever",
    ),
    ActiveRule(
        number="8684-3.7-08",
        stimulus="a wrong checksum on one of two subflows",
        allowed=(RESET_FAIL,),
        wrong=("RST without MP_FAIL", "ACK with MP_FAIL", "no MP_FAIL"),
        script=_sum_of_two,
        fault="failed-subflow-kept",
        settings=CHECKED,
    ),
    ActiveRule(
        number="8684-3.7-10",
        stimulus="RST with MP_FAIL on the subflow that brought data, one of two",
        allowed=("the data is sent again on the other subflow",),
        wrong=("the data is not sent again",),
        script=_told_of_failure,
        fault="failed-data-not-sent-again",
        settings=CHECKED,
    ),
    ActiveRule(
        number="8684-3.7-12",
        stimulus="a wrong checksum on the only subflow, after a right one",
        allowed=("ACK with MP_FAIL",),
        wrong=(RESET_FAIL, "RST without MP_FAIL", "no MP_FAIL"),
        script=_sum_of_one,
        fault="failed-checksum-untold",
        settings=CHECKED,
    ),
    ActiveRule(
        number="8684-3.7-13",
        stimulus="MP_FAIL on the only subflow, for the second of two pieces of data",
        allowed=("infinite mapping from the last intact segment on",),
        wrong=("infinite mapping from the new data on", "no infinite mapping"),
        script=_infinite_place,
        fault="infinite-mapping-from-new-data",
        settings=CHECKED,
    ),
    ActiveRule(
        number="8684-3.7-15",
        stimulus="a wrong checksum on the last subflow, data from a reset one still missing",
        allowed=(RESET_FAIL,),
        wrong=("RST without MP_FAIL", "ACK with MP_FAIL", "no MP_FAIL"),
        script=_sum_in_gap,
        fault="gaps-do-not-count",
        settings=CHECKED,
    ),
    ActiveRule(
        number="8684-3.7-17",
        stimulus="ACKs without DATA_ACK after the implementation's infinite mapping",
        allowed=("new data goes on",),
        wrong=("no new data comes",),
        aside=("no infinite mapping",),
        script=_infinite_acks,
        fault="infinite-mapping-needs-data-acks",
        settings=CHECKED,
    ),
    ActiveRule(
        number="8684-3.9.3-01",
        stimulus="no answer to any SYN with MP_CAPABLE",
        allowed=("SYN without MP_CAPABLE",),
        wrong=("no SYN without MP_CAPABLE",),
        script=_silent_path,
        fault="mptcp-or-nothing",
    ),
)
