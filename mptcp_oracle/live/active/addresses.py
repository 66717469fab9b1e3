"""Active rules of section 3.4: addresses that are announced and withdrawn."""

from __future__ import annotations

from collections.abc import Callable

from mptcp_oracle import crypto
from mptcp_oracle.live.active.initiation import FAR
from mptcp_oracle.live.active.joining import closes_only, is_keepalive
from mptcp_oracle.live.active.rule import ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage
from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.peer import own_address
from mptcp_oracle.live.peer.segment import ACK, Segment
from mptcp_oracle.options import AddAddr, MpJoinSyn, RemoveAddr

__all__ = ["RULES"]

ECHOED, JOINS = "echo", "MP_JOIN to the address"
IGNORED, OBEYED = "neither echo nor MP_JOIN", "echo or MP_JOIN"
NO_EFFECT, CLOSES = "no effect: data goes on as before", "it closes a subflow"
BAD_ID, GOOD_ID = 5, 6


def _echoes(stage: Stage, address_id: int, mark: int) -> list[Segment]:
    return [
        each
        for each in stage.peer.since(mark)
        if any(
            isinstance(option, AddAddr) and option.echo and option.address_id == address_id
            for option in each.options
        )
    ]


def _joins(stage: Stage, number: int, mark: int) -> list[Segment]:
    """SYNs of the implementation to an own address."""
    where = own_address(stage.peer.family, number)
    return [
        each
        for each in stage.peer.since(mark)
        if each.syn and not each.ack and each.destination == where
    ]


def _ignored(stage: Stage, send: Callable[[Connection, Flow], None]) -> Reaction:
    """An ADD_ADDR that must be ignored, then a right one whose join orders."""
    connection = stage.called()
    flow, mark = connection.flows[0], stage.peer.mark
    send(connection, flow)
    stage.peer.data(connection, flow)
    stage.announce(connection, GOOD_ID, 4)
    stage.peer.need(
        "a join", lambda _: bool(_joins(stage, 4, mark)) or bool(_joins(stage, 3, mark))
    )
    found = _echoes(stage, BAD_ID, mark) + _joins(stage, 3, mark)
    return seen(OBEYED, *found) if found else seen(IGNORED)


def _bad_hmac(stage: Stage) -> Reaction:
    def send(connection: Connection, flow: Flow) -> None:
        where = own_address(stage.peer.family, 3)
        stage.stimulus(flow.segment(ACK, connection.add_addr(BAD_ID, where, wrong=True)))

    return _ignored(stage, send)


def _far_add(stage: Stage) -> Reaction:
    def send(connection: Connection, flow: Flow) -> None:
        option = connection.add_addr(BAD_ID, own_address(stage.peer.family, 3))
        stage.stimulus(flow.segment(ACK, option, place=flow.place + FAR))

    return _ignored(stage, send)


def _reserved(stage: Stage) -> Reaction:
    """ADD_ADDR with every unassigned flag."""
    connection = stage.called()
    where, mark = own_address(stage.peer.family, 3), stage.peer.mark
    option = connection.add_addr(BAD_ID, where, reserved=7)
    stage.stimulus(connection.flows[0].segment(ACK, option))
    stage.peer.hear(lambda _: bool(_echoes(stage, BAD_ID, mark)))
    found = _echoes(stage, BAD_ID, mark)
    return seen(ECHOED, *found) if found else seen("no echo")


def _new_port(stage: Stage) -> Reaction:
    """The same address and ID with a port, and then with another."""
    connection = stage.called()
    for port in (7_001, 7_002):
        mark = stage.peer.mark
        stage.announce(connection, BAD_ID, 3, port)
        stage.evidence.append(mark + 1)
        stage.peer.hear(lambda _, m=mark: bool(_joins(stage, 3, m)))  # type: ignore[misc]
        joins = _joins(stage, 3, mark)
        if not joins or joins[0].destination_port != port:
            first = port == 7_001
            words = "no MP_JOIN to the first port either" if first else "no MP_JOIN to the new port"
            return seen(words, *joins)
        if port == 7_001:
            stage.peer.accept_join(connection)
    return seen("MP_JOIN to the new port", *joins)


def _stored(stage: Stage) -> Reaction:
    """An address learned by ADD_ADDR and joined by the implementation, then removed."""
    connection = stage.called()
    flow = stage.joined_by(connection, BAD_ID, 3)
    other = stage.joined_by(connection, GOOD_ID, 4)
    first = connection.flows[0]
    mark = stage.stimulus(first.segment(ACK, RemoveAddr(address_ids=(BAD_ID,))))
    return closes_only(stage, flow, [first, other], mark)


def _removed(stage: Stage, *, silent: bool) -> Reaction:
    """REMOVE_ADDR for a subflow that is alive, or that answers nothing any more."""
    connection, second = stage.joined()
    first, peer = connection.flows[0], stage.peer
    mark = stage.stimulus(first.segment(ACK, RemoveAddr(address_ids=(second.address_id,))))

    def ended(flow: Flow) -> Segment | None:
        return next((each for each in flow.heard if each.frame > mark and (each.fin or each.rst)),
                    None)  # fmt: skip

    probing = None
    heard = peer.hear(lambda each: second.is_mine(each) and (
        each.fin or each.rst or is_keepalive(second, each)), 5.0)  # fmt: skip
    if heard is not None and is_keepalive(second, heard) and not (heard.fin or heard.rst):
        probing = heard
        if not silent:
            peer.ack(connection, second)
            peer.data(connection, first)
            if peer.tried(connection, second) and ended(second) is None:
                return seen("keepalive, and the subflow is kept", probing)
        else:
            peer.hear(lambda _: ended(second) is not None, 120.0)
    end = ended(second)
    if end is None:
        return seen("the subflow stays open", probing)
    if silent:
        return seen("RST" if end.rst else "FIN", end)
    return seen("keepalive, but the subflow is closed" if probing else
                "the subflow is closed without a keepalive", end)  # fmt: skip


def _no_effect(stage: Stage, address_id: int, far: int) -> Reaction:
    """A REMOVE_ADDR that must do nothing, then one that does, then data on the others."""
    connection, second = stage.joined()
    third = stage.peer.join(connection, 3)
    first, peer = connection.flows[0], stage.peer
    mark = stage.stimulus(
        first.segment(ACK, RemoveAddr(address_ids=(address_id,)), place=first.place + far)
    )
    peer.data(connection, first)
    peer.send(first.segment(ACK, RemoveAddr(address_ids=(third.address_id,))))
    peer.hear(
        lambda each: third.is_mine(each) and (each.fin or each.rst or is_keepalive(third, each))
    )
    for flow in (first, second):
        end = next(
            (
                each
                for each in flow.heard
                if each.frame > mark and (each.fin or each.rst or is_keepalive(flow, each))
            ),
            None,
        )
        if end is not None or not peer.tried(connection, flow):
            return seen(CLOSES, end)
    return seen(NO_EFFECT)


def _other_connection(stage: Stage) -> Reaction:
    """An address announced on one of two connections; a join of the other orders."""
    one = stage.called()
    two = stage.called()
    mark, token = stage.peer.mark, crypto.token(two.key, 1)
    stage.announce(one, BAD_ID, 3)
    stage.evidence.append(mark + 1)
    stage.peer.need("a join", lambda _: bool(_joins(stage, 3, mark)))
    stage.announce(two, GOOD_ID, 4)
    stage.peer.need("a join", lambda _: bool(_joins(stage, 4, mark)))
    strange = [
        each
        for each in _joins(stage, 3, mark)
        if any(isinstance(option, MpJoinSyn) and option.token == token for option in each.options)
    ]
    return seen("the other connection joins too", *strange) if strange else seen(
        "only its own connection joins")  # fmt: skip


def _harmless(number: str, stimulus: str, address_id: int, far: int, fault: str) -> ActiveRule:
    return ActiveRule(
        number=number,
        stimulus=stimulus,
        allowed=(NO_EFFECT,),
        wrong=(CLOSES,),
        script=lambda stage: _no_effect(stage, address_id, far),
        fault=fault,
    )


RULES: tuple[ActiveRule, ...] = (
    ActiveRule(
        number="8684-3.4.1-01",
        stimulus="ADD_ADDR with a right HMAC, 2^30 octets out of the window",
        allowed=(IGNORED,),
        wrong=(OBEYED,),
        script=_far_add,
        fault="signals-before-checks",
    ),
    ActiveRule(
        number="8684-3.4.1-04",
        stimulus="REMOVE_ADDR for an address that the implementation learned by ADD_ADDR",
        allowed=("it probes or closes that subflow alone",),
        wrong=("it does not touch that subflow", "it touches another subflow"),
        script=_stored,
        fault="announced-ids-forgotten",
    ),
    ActiveRule(
        number="8684-3.4.1-08",
        stimulus="ADD_ADDR with a wrong HMAC",
        allowed=(IGNORED,),
        wrong=(OBEYED,),
        script=_bad_hmac,
        fault="add-addr-hmac-not-checked",
    ),
    ActiveRule(
        number="8684-3.4.1-10",
        stimulus="ADD_ADDR whose three unassigned flags are set",
        allowed=(ECHOED,),
        wrong=("no echo",),
        script=_reserved,
        fault="add-addr-flags-heeded",
    ),
    ActiveRule(
        number="8684-3.4.1-16",
        stimulus="ADD_ADDR with a port, and again with another port",
        allowed=("MP_JOIN to the new port",),
        wrong=("no MP_JOIN to the new port",),
        aside=("no MP_JOIN to the first port either",),
        script=_new_port,
        fault="ports-of-known-addresses-ignored",
    ),
    ActiveRule(
        number="8684-3.4.2-03",
        stimulus="REMOVE_ADDR for a subflow that is alive and answers",
        allowed=("keepalive, and the subflow is kept",),
        wrong=(
            "the subflow is closed without a keepalive",
            "keepalive, but the subflow is closed",
            "the subflow stays open",
        ),
        script=lambda stage: _removed(stage, silent=False),
        fault="removal-without-keepalive",
    ),
    _harmless(
        "8684-3.4.2-06",
        "REMOVE_ADDR for a live subflow, 2^30 octets out of the window",
        1,
        FAR,
        "signals-before-checks",
    ),
    ActiveRule(
        number="8684-3.4.2-07",
        stimulus="REMOVE_ADDR for a subflow on which nothing is answered any more",
        allowed=("RST",),
        wrong=("FIN", "the subflow stays open"),
        script=lambda stage: _removed(stage, silent=True),
        fault="removal-by-fin",
    ),
    _harmless(
        "8684-3.4.2-08",
        "REMOVE_ADDR for an Address ID that was never used",
        77,
        0,
        "unknown-ids-close-all",
    ),
    ActiveRule(
        number="8684-4-03",
        stimulus="ADD_ADDR on one of two connections",
        allowed=("only its own connection joins",),
        wrong=("the other connection joins too",),
        script=_other_connection,
        fault="addresses-of-all-connections",
    ),
)
