"""Active rules of section 3.2: joins that are lawful, and joins that are not."""

from __future__ import annotations

from mptcp_oracle.live.active.rule import NO_ANSWER, ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage, has, reason
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import PIECE
from mptcp_oracle.live.peer.segment import ACK, FIN, MASK_32, RST, SYN, Segment
from mptcp_oracle.options import MpJoinAck, MpJoinSynAck, RemoveAddr

__all__ = ["ACCEPTED", "CLOSED_PORT", "RULES", "answered", "closes_only", "is_keepalive"]

CLOSED_PORT = 5_999
"""A port on which the implementation does not listen."""

RESET, REASON = "RST", "RST with MP_TCPRST"
ACCEPTED = "SYN/ACK with MP_JOIN and the right HMAC"
WRONG_HMAC, NO_JOIN = "SYN/ACK with MP_JOIN and a wrong HMAC", "SYN/ACK without MP_JOIN"
HARMLESS, HARMED = "data goes on over the initial subflow", "the initial subflow is harmed"
UNREASONED, OTHER_REASON = "RST without MP_TCPRST", "RST with MP_TCPRST of another reason"


def answered(flow: Flow, right: bytes) -> Reaction:
    """What answers a join's SYN."""
    heard = next((each for each in flow.heard if each.syn or each.rst), None)
    if heard is None:
        return seen(NO_ANSWER)
    if heard.rst:
        return seen(RESET if reason(heard) is None else REASON, heard)
    join = next((each for each in heard.options if isinstance(each, MpJoinSynAck)), None)
    if join is None:
        return seen(NO_JOIN, heard)
    return seen(ACCEPTED if join.hmac == right else WRONG_HMAC, heard)


def _join(stage: Stage, *, unknown: bool = False, port: int | None = None) -> Reaction:
    connection = stage.listened()
    token = stage.peer.random.getrandbits(32) if unknown else None
    remote = None if port is None else (stage.target.address, port)
    stage.evidence.append(stage.peer.mark + 1)
    flow = stage.peer.begin_join(connection, token=token, remote=remote)
    return answered(flow, connection.hmac_expected(flow))


def _unknown(stage: Stage) -> Reaction:
    found = _join(stage, unknown=True)
    return seen(RESET, *found.segments) if found.words == REASON else found


def _unknown_reason(stage: Stage) -> Reaction:
    found = _join(stage, unknown=True)
    if found.words == REASON:
        right = reason(found.segments[0]) in (1, 3)
        return seen("RST with MP_TCPRST 1 or 3" if right else OTHER_REASON, *found.segments)
    return seen(UNREASONED, *found.segments) if found.words == RESET else found


def _third(stage: Stage, *options: MpJoinAck, wrong: bool = False) -> tuple[Flow, Segment | None]:
    """A join whose third packet has a wrong HMAC, or these options; and the RST."""
    connection = stage.listened()
    flow = stage.peer.begin_join(connection)
    chosen = (connection.join_ack(flow, wrong=True),) if wrong else options
    stage.stimulus(flow.segment(ACK, *chosen))
    heard = stage.peer.hear(lambda each: flow.is_mine(each) and not each.syn, 0.5)
    return flow, heard if heard is not None and heard.rst else None


def _bad_hmac(stage: Stage) -> Reaction:
    flow, reset = _third(stage, wrong=True)
    return seen(RESET, reset) if reset else seen("the subflow is not reset", *flow.heard)


def _no_hmac(stage: Stage) -> Reaction:
    """The third packet has no MP_JOIN, and unmapped data follows, lest it wait for more."""
    flow, reset = _third(stage)
    if reset is None:
        data = stage.peer.octets(1, PIECE)
        stage.stimulus(flow.segment(ACK, payload=data))
        reset = stage.peer.hear(lambda each: flow.is_mine(each) and each.rst)
    return seen(RESET, reset) if reset else seen("the subflow is not reset", *flow.heard)


def _harmless(stage: Stage) -> Reaction:
    flow, _ = _third(stage, wrong=True)
    connection = stage.peer.connections[0]
    first = connection.flows[0]
    going = stage.peer.tried(connection, first)
    whole = going and stage.delivered(2 * PIECE) == stage.peer.octets(1, 2 * PIECE)
    return seen(HARMLESS) if whole else seen(HARMED, first.reset or flow.reset)


def _their_join(stage: Stage, *, wrong: bool) -> tuple[Flow, int]:
    """The implementation joins an address that was announced to it; up to the SYN/ACK."""
    connection = stage.called()
    stage.announce(connection, 5, 3)
    flow = stage.peer.take_syn(connection)
    flow.joined = True
    mark = stage.stimulus(flow.segment(SYN | ACK, connection.join_synack(flow, wrong=wrong)))
    return flow, mark


def _bad_synack(stage: Stage) -> Reaction:
    flow, _ = _their_join(stage, wrong=True)
    heard = stage.peer.hear(flow.is_mine)
    if heard is None:
        return seen(NO_ANSWER)
    return seen(RESET if heard.rst else "the join goes on", heard)


def _no_fourth(stage: Stage) -> Reaction:
    flow, mark = _their_join(stage, wrong=False)

    def joins() -> list[Segment]:
        return [each for each in flow.heard if each.frame > mark and has(each, MpJoinAck)]

    stage.peer.hear(lambda each: flow.is_mine(each) and (len(joins()) > 1 or each.rst), 5.0)
    data = next((each for each in flow.heard if each.frame > mark and each.payload), None)
    if data is not None:
        return seen("data before the fourth packet", data)
    if len(joins()) > 1:
        return seen("ACK with MP_JOIN again", *joins()[:2])
    return seen("ACK with MP_JOIN only once", *joins())


def is_keepalive(flow: Flow, segment: Segment) -> bool:
    """Whether a segment asks for an acknowledgment by an old sequence number."""
    old = (flow.expected - 1 - flow.remote_isn) & MASK_32
    quiet = not segment.flags & (SYN | FIN | RST) and len(segment.payload) < 2
    return quiet and flow.relative(segment) == old


def closes_only(stage: Stage, victim: Flow, others: list[Flow], mark: int) -> Reaction:
    """Whether a REMOVE_ADDR touches exactly one subflow."""
    connection = stage.peer.connections[0]

    def touched(flow: Flow) -> Segment | None:
        for each in flow.heard:
            if each.frame > mark and (each.fin or each.rst or is_keepalive(flow, each)):
                return each
        return None

    stage.peer.hear(lambda _: touched(victim) is not None)
    for flow in others:
        if touched(flow) is not None or not stage.peer.tried(connection, flow):
            return seen("it touches another subflow", touched(flow))
    found = touched(victim)
    if found is None:
        return seen("it does not touch that subflow")
    return seen("it probes or closes that subflow alone", found)


def _ids_stored(stage: Stage) -> Reaction:
    connection, second = stage.joined()
    third = stage.peer.join(connection, 3)
    stage.peer.data(connection, third)
    first = connection.flows[0]
    mark = stage.stimulus(first.segment(ACK, RemoveAddr(address_ids=(second.address_id,))))
    return closes_only(stage, second, [first, third], mark)


RULES: tuple[ActiveRule, ...] = (
    ActiveRule(
        number="8684-3.2-05",
        stimulus="REMOVE_ADDR for the Address ID of one of two joined subflows",
        allowed=("it probes or closes that subflow alone",),
        wrong=("it does not touch that subflow", "it touches another subflow"),
        script=_ids_stored,
        fault="address-ids-forgotten",
    ),
    ActiveRule(
        number="8684-3.2-09",
        stimulus="a SYN with MP_JOIN and a valid token",
        allowed=(ACCEPTED, REASON),
        wrong=(RESET, WRONG_HMAC, NO_JOIN, NO_ANSWER),
        script=_join,
        fault="join-hmac-of-the-wrong-end",
    ),
    ActiveRule(
        number="8684-3.2-10",
        stimulus="a SYN with MP_JOIN and a token that no connection has",
        allowed=(RESET,),
        wrong=(ACCEPTED, WRONG_HMAC, NO_JOIN, NO_ANSWER),
        script=_unknown,
        fault="unknown-token-answered",
    ),
    ActiveRule(
        number="8684-3.2-11",
        stimulus="a SYN with MP_JOIN and a token that no connection has",
        allowed=("RST with MP_TCPRST 1 or 3",),
        wrong=(UNREASONED, OTHER_REASON, ACCEPTED, WRONG_HMAC, NO_JOIN, NO_ANSWER),
        script=_unknown_reason,
        fault="refusal-without-reason",
    ),
    ActiveRule(
        number="8684-3.2-15",
        stimulus="no fourth packet in answer to the third packet of the implementation's join",
        allowed=("ACK with MP_JOIN again",),
        wrong=("ACK with MP_JOIN only once", "data before the fourth packet"),
        script=_no_fourth,
        fault="join-ack-once",
    ),
    ActiveRule(
        number="8684-3.2-17",
        stimulus="a SYN/ACK with a wrong HMAC in answer to the implementation's join",
        allowed=(RESET,),
        wrong=("the join goes on", NO_ANSWER),
        script=_bad_synack,
        fault="synack-hmac-not-checked",
    ),
    ActiveRule(
        number="8684-3.2-18",
        stimulus="a third packet of a join with a wrong HMAC",
        allowed=(RESET,),
        wrong=("the subflow is not reset",),
        script=_bad_hmac,
        fault="ack-hmac-not-checked",
    ),
    ActiveRule(
        number="8684-3.2-18",
        variant="no-mp-join",
        stimulus="a third packet of a join without MP_JOIN, then data",
        allowed=(RESET,),
        wrong=("the subflow is not reset",),
        script=_no_hmac,
        fault="ack-hmac-not-checked",
    ),
    ActiveRule(
        number="8684-3.2-21",
        stimulus="a SYN with MP_JOIN and a valid token to a port on which nobody listens",
        allowed=(ACCEPTED, REASON),
        wrong=(RESET, WRONG_HMAC, NO_JOIN, NO_ANSWER),
        script=lambda stage: _join(stage, port=CLOSED_PORT),
        fault="joins-found-by-port",
        note="The same SYN to the port of the listener is accepted (8684-3.2-09), and with an "
        "unknown token it gets MP_TCPRST there (8684-3.2-11). A RST without it is what any SYN to "
        "a closed port gets: the token was not looked at.",
    ),
    ActiveRule(
        number="8684-3.2-22",
        stimulus="a third packet of a join with a wrong HMAC, then data on the initial subflow",
        allowed=(HARMLESS,),
        wrong=(HARMED,),
        script=_harmless,
        fault="failed-join-ends-connection",
    ),
)
