"""Active rules of sections 3.5 and 3.6: MP_FASTCLOSE and MP_TCPRST."""

from __future__ import annotations

from mptcp_oracle.live.active.rule import NO_ANSWER, ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage, has
from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.segment import ACK, RST, Segment
from mptcp_oracle.options import MpFastclose, MpTcprst

__all__ = ["RULES"]

GOES_ON, ENDS = "no effect: data goes on as before", "the connection ends"
OPTION_R = "RST with MP_FASTCLOSE at once, of which the requirement does not speak"


def _abort(stage: Stage) -> tuple[Connection, Flow, Segment | None]:
    """The implementation's application aborts; its MP_FASTCLOSE."""
    connection = stage.listened()
    flow = connection.flows[0]
    stage.app.abort()
    heard = stage.peer.hear(lambda each: has(each, MpFastclose))
    return connection, flow, heard


def _abort_unanswered(stage: Stage) -> Reaction:
    _, _, heard = _abort(stage)
    if heard is None:
        return seen("no MP_FASTCLOSE")
    if heard.rst:
        return seen(OPTION_R, heard)
    again = stage.peer.hear(lambda each: has(each, MpFastclose), 10.0)
    if again is None:
        return seen("MP_FASTCLOSE only once", heard)
    last = again if again.rst else stage.peer.hear(lambda each: each.rst, 120.0)
    if last is None or not has(last, MpFastclose):
        return seen("no RST with MP_FASTCLOSE in the end", heard, again)
    return seen("MP_FASTCLOSE again, and RST with it in the end", heard, again, last)


def _abort_crossing(stage: Stage) -> Reaction:
    connection, flow, heard = _abort(stage)
    if heard is None:
        return seen("no MP_FASTCLOSE")
    if heard.rst:
        return seen(OPTION_R, heard)
    stage.stimulus(flow.segment(ACK, MpFastclose(key=connection.peer_key)))
    answer = stage.peer.hear(lambda each: each.rst, 0.5)
    return seen("RST", answer) if answer else seen(NO_ANSWER)


def _wrong_key(stage: Stage) -> Reaction:
    connection = stage.listened()
    flow = connection.flows[0]
    for key in (0, connection.key, connection.peer_key ^ 1):
        stage.stimulus(flow.segment(ACK, MpFastclose(key=key)))
        if not stage.peer.tried(connection, flow) or flow.reset:
            return seen(ENDS, flow.reset)
    return seen(GOES_ON)


def _strange_reset(stage: Stage) -> Reaction:
    """RST with MP_TCPRST and all unassigned flags, then an old ACK that nobody awaits."""
    connection, second = stage.joined()
    peer, first = stage.peer, connection.flows[0]
    stage.stimulus(second.segment(RST | ACK, MpTcprst(flags=0x0E, reason=0)))
    if not peer.tried(connection, first):
        return seen(ENDS, first.reset)
    mark = peer.send(second.segment(ACK, connection.data_ack()))
    gone = peer.hear(lambda each: each.frame > mark and second.is_mine(each))
    if gone is not None and gone.rst:
        return seen("the subflow is closed, the connection goes on", gone)
    return seen("the subflow stays open", gone)


RULES: tuple[ActiveRule, ...] = (
    ActiveRule(
        number="8684-3.5-06",
        stimulus="no RST in answer to the implementation's MP_FASTCLOSE on an ACK",
        allowed=("MP_FASTCLOSE again, and RST with it in the end",),
        wrong=("MP_FASTCLOSE only once", "no RST with MP_FASTCLOSE in the end", "no MP_FASTCLOSE"),
        aside=(OPTION_R,),
        script=_abort_unanswered,
        fault="fastclose-once",
    ),
    ActiveRule(
        number="8684-3.5-07",
        stimulus="MP_FASTCLOSE in answer to the implementation's MP_FASTCLOSE on an ACK",
        allowed=("RST",),
        wrong=(NO_ANSWER, "no MP_FASTCLOSE"),
        aside=(OPTION_R,),
        script=_abort_crossing,
        fault="crossing-fastclose-ignored",
    ),
    ActiveRule(
        number="8684-3.5-08",
        stimulus="MP_FASTCLOSE with key 0, with the sender's own key, and with a wrong bit",
        allowed=(GOES_ON,),
        wrong=(ENDS,),
        script=_wrong_key,
        fault="fastclose-key-not-checked",
    ),
    ActiveRule(
        number="8684-3.6-04",
        stimulus="RST with MP_TCPRST whose flags U, V and W are set, on one of two subflows",
        allowed=("the subflow is closed, the connection goes on",),
        wrong=("the subflow stays open", ENDS),
        script=_strange_reset,
        fault="tcprst-flags-heeded",
    ),
)
