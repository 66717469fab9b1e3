"""Active rules of sections 3 and 3.1: TCP's checks first, and the handshake of a connection."""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.constants import CAPABLE_CHECKSUM, CAPABLE_EXTENSION, CAPABLE_HMAC
from mptcp_oracle.live.active.rule import NO_ANSWER, ActiveRule, Reaction, seen
from mptcp_oracle.live.active.stage import Stage, has
from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.peer import PIECE
from mptcp_oracle.live.peer.segment import ACK, PSH, RST, SYN
from mptcp_oracle.live.peer.target import Settings
from mptcp_oracle.options import MpCapable, MpFastclose, MpPrio, MpTcprst, RemoveAddr

__all__ = ["FAR", "RULES"]

FAR = 1 << 30
"""Octets by which a sequence number is out of every window."""

PLAIN, CAPABLE, REFUSED = "SYN/ACK without MP_CAPABLE", "SYN/ACK with MP_CAPABLE", "RST"
NO_OPTIONS = "no MPTCP option from then on"
OPTIONS = "MPTCP options go on"
NO_EFFECT = "no effect: data goes on as before"


def _answered(stage: Stage, flags: int) -> Reaction:
    """What answers a SYN whose MP_CAPABLE has some flags."""
    stage.target.listen()
    connection = stage.peer.connection()
    heard = stage.peer.open(connection, MpCapable(version=1, flags=flags))
    stage.evidence.append(1)
    if heard is None:
        return seen(NO_ANSWER)
    if heard.rst:
        return seen(REFUSED, heard)
    return seen(CAPABLE if has(heard, MpCapable) else PLAIN, heard)


def _completed(stage: Stage, flags: int, version: int = 1) -> Reaction:
    """What third packet follows a SYN/ACK whose MP_CAPABLE has some flags, and a version."""
    connection = stage.call()
    flow = stage.peer.take_syn(connection)
    option = MpCapable(version=version, flags=flags, sender_key=connection.key)
    stage.stimulus(flow.segment(SYN | ACK, option))
    third = stage.peer.hear(flow.is_mine)
    if third is None:
        return seen(NO_ANSWER)
    if third.rst:
        return seen(REFUSED, third)
    return seen(OPTIONS if third.options else NO_OPTIONS, third)


def _third(stage: Stage, **changed: int) -> Reaction:
    """What comes after a third packet without MP_CAPABLE, or with one that is changed."""
    stage.target.listen()
    connection = stage.peer.connection()
    if stage.peer.open(connection) is None or not connection.peer_key:
        return seen(NO_ANSWER)
    flow = connection.flows[0]
    right = connection.capable()
    version, flags = changed.get("version", right.version), changed.get("flags", right.flags)
    options = (replace(right, version=version, flags=flags),) if changed else ()
    stage.stimulus(flow.segment(ACK, *options))
    mark = stage.peer.send(flow.segment(ACK | PSH, payload=stage.peer.octets(1, PIECE)))
    stage.peer.hear(lambda each: flow.acknowledged() > PIECE or each.rst)
    if flow.reset is None and stage.accepted() is not None:
        stage.write(PIECE)
        stage.peer.hear(lambda each: bool(each.payload) or each.rst)
    later = stage.peer.since(mark)
    if flow.reset is not None:
        return seen(REFUSED, flow.reset)
    speaking = next((each for each in later if each.options), None)
    if speaking is not None:
        return seen(OPTIONS, speaking)
    return seen(NO_OPTIONS, *later[-1:]) if later else seen(NO_ANSWER)


def _out_of_window(stage: Stage) -> Reaction:
    """Signals whose sequence number is out of every window, each followed by data."""
    connection, second = stage.joined()
    first = connection.flows[0]
    flow = stage.joined_by(connection, 7, 4) if stage.role == "initiator" else second
    for flags, option in (
        (ACK, MpFastclose(key=connection.peer_key)),
        (RST | ACK, MpFastclose(key=connection.peer_key)),
        (RST | ACK, MpTcprst(reason=0)),
        (ACK, RemoveAddr(address_ids=(flow.address_id,))),
    ):
        on = first if isinstance(option, RemoveAddr) else flow
        stage.stimulus(on.segment(flags, option, place=on.place + FAR))
        for each in (first, flow):
            if not stage.peer.tried(connection, each) or each.reset or each.finished:
                return seen("it acts on the signal", each.reset or each.finished)
    return seen(NO_EFFECT)


def _duplicate_acks(stage: Stage) -> Reaction:
    """Data in flight, then duplicate ACKs that carry MP_PRIO or REMOVE_ADDR."""
    connection = stage.listened()
    flow, peer = connection.flows[0], stage.peer
    began = peer.link.now()
    stage.write(8 * flow.mss)
    first = peer.need("its data", lambda each: bool(each.payload))
    peer.hear(lambda _: connection.got > 6 * flow.mss, 0.1)
    mark = peer.mark
    for _ in range(3):
        for option in (MpPrio(backup=False), RemoveAddr(address_ids=(77,))):
            stage.stimulus(flow.segment(ACK, option, acknowledgment=first.sequence))
    payload = peer.octets(connection.sent, PIECE)
    dss = connection.dss(flow, payload, ack=False)
    peer.send(flow.segment(ACK | PSH, dss, payload=payload, acknowledgment=first.sequence))
    connection.sent += PIECE
    peer.until_acked(connection)
    if peer.link.now() - began > 0.15:
        return seen("too slow to tell from a retransmission time-out")
    again = [each for each in peer.since(mark) if each.payload and each.sequence == first.sequence]
    return seen("it retransmits as after a loss", *again) if again else seen("no retransmission")


def _duplicate_capable(stage: Stage) -> Reaction:
    """One mapping of MP_CAPABLE on two segments, and again as a DSS."""
    connection = stage.greeted()
    flow, peer = connection.flows[0], stage.peer
    option = connection.capable(peer.octets(1, 2 * PIECE))
    stage.stimulus(flow.segment(ACK | PSH, option, payload=peer.octets(1, PIECE)))
    stage.stimulus(flow.segment(ACK | PSH, option, payload=peer.octets(1 + PIECE, PIECE)))
    connection.sent += 2 * PIECE
    if not peer.is_acked(connection):
        return _stuck(connection)
    again = connection.dss(flow, peer.octets(1, 2 * PIECE), start=1, place=1)
    stage.stimulus(flow.segment(ACK | PSH, again, payload=peer.octets(1, 2 * PIECE), place=1))
    if not peer.tried(connection, flow):
        return _stuck(connection)
    whole = stage.delivered(3 * PIECE) == peer.octets(1, 3 * PIECE)
    return seen("all data DATA_ACKed and delivered once" if whole else "wrong data delivered")


def _stuck(connection: Connection) -> Reaction:
    return seen("data is not DATA_ACKed", *connection.flows[0].heard[-1:])


def _crossing(stage: Stage) -> Reaction:
    """The implementation's first data crosses the raw peer's, which acknowledges it later."""
    connection = stage.greeted()
    flow, peer = connection.flows[0], stage.peer
    due = flow.expected
    stage.write(PIECE)
    data = peer.need("its data", lambda each: bool(each.payload))
    payload = peer.octets(1, PIECE)
    stage.stimulus(
        flow.segment(ACK | PSH, connection.capable(payload), payload=payload, acknowledgment=due)
    )
    connection.sent += PIECE
    if not peer.is_acked(connection) or connection.got <= PIECE:
        return _stuck(connection)
    peer.ack(connection, flow)
    peer.data(connection, flow)
    stage.spoken(connection, PIECE)
    return seen("both streams go on", data)


def _rule(
    number: str, stimulus: str, flags: int, fault: str, settings: Settings | None = None
) -> ActiveRule:
    """A rule about the flags of a SYN's MP_CAPABLE."""
    return ActiveRule(
        number=number,
        stimulus=stimulus,
        allowed=(PLAIN,),
        wrong=(CAPABLE, REFUSED, NO_ANSWER),
        script=lambda stage: _answered(stage, flags),
        fault=fault,
        settings=settings or Settings(),
    )


def _rule_back(number: str, stimulus: str, flags: int, fault: str) -> ActiveRule:
    """A rule about the flags of a SYN/ACK's MP_CAPABLE."""
    return ActiveRule(
        number=number,
        variant="syn-ack",
        stimulus=stimulus,
        allowed=(NO_OPTIONS,),
        wrong=(OPTIONS, REFUSED, NO_ANSWER),
        script=lambda stage: _completed(stage, flags),
        fault=fault,
    )


RULES: tuple[ActiveRule, ...] = (
    ActiveRule(
        number="8684-3-03",
        stimulus="six duplicate ACKs with MP_PRIO or REMOVE_ADDR, eight segments in flight",
        allowed=("no retransmission",),
        wrong=("it retransmits as after a loss",),
        aside=("too slow to tell from a retransmission time-out",),
        script=_duplicate_acks,
        fault="signals-count-as-duplicate-acks",
        note="Nothing was lost, and all of it ends before the shortest retransmission time-out "
        "(200 ms). New segments that come with the first two of the six are TCP's limited "
        "transmission (RFC 3042): these too were counted as signs of loss.",
    ),
    ActiveRule(
        number="8684-3-05",
        stimulus="MP_FASTCLOSE, RST with MP_FASTCLOSE, RST with MP_TCPRST and REMOVE_ADDR, "
        "each 2^30 octets out of the window",
        allowed=(NO_EFFECT,),
        wrong=("it acts on the signal",),
        script=_out_of_window,
        fault="signals-before-checks",
    ),
    ActiveRule(
        number="8684-3.1-20",
        stimulus="one MP_CAPABLE mapping on two segments, and its range again with an equal DSS",
        allowed=("all data DATA_ACKed and delivered once",),
        wrong=("data is not DATA_ACKed", "wrong data delivered"),
        script=_duplicate_capable,
        fault="capable-mapping-once",
    ),
    ActiveRule(
        number="8684-3.1-21",
        stimulus="MP_CAPABLE with data that crosses the listener's first DSS data",
        allowed=("both streams go on",),
        wrong=("data is not DATA_ACKed",),
        script=_crossing,
        fault="crossing-data-refused",
    ),
    ActiveRule(
        number="8684-3.1-22",
        stimulus="a third packet without MP_CAPABLE, then data without DSS",
        allowed=(NO_OPTIONS, REFUSED),
        wrong=(OPTIONS, NO_ANSWER),
        script=_third,
        fault="third-packet-not-checked",
    ),
    ActiveRule(
        number="8684-3.1-22",
        variant="version",
        stimulus="a third packet whose MP_CAPABLE has version 0, then data without DSS",
        allowed=(NO_OPTIONS, REFUSED),
        wrong=(OPTIONS, NO_ANSWER),
        script=lambda stage: _third(stage, version=0),
        fault="third-packet-not-checked",
    ),
    ActiveRule(
        number="8684-3.1-22",
        variant="flag-b",
        stimulus="a third packet whose MP_CAPABLE has flag B, then data without DSS",
        allowed=(NO_OPTIONS, REFUSED),
        wrong=(OPTIONS, NO_ANSWER),
        script=lambda stage: _third(stage, flags=CAPABLE_HMAC | CAPABLE_EXTENSION),
        fault="third-packet-not-checked",
    ),
    ActiveRule(
        number="8684-3.1-22",
        variant="no-algorithm",
        stimulus="a third packet whose MP_CAPABLE has no flag set, then data without DSS",
        allowed=(NO_OPTIONS, REFUSED),
        wrong=(OPTIONS, NO_ANSWER),
        script=lambda stage: _third(stage, flags=0),
        fault="third-packet-not-checked",
    ),
    ActiveRule(
        number="8684-3.1-22",
        variant="syn-ack-version",
        stimulus="a SYN/ACK whose MP_CAPABLE has version 0",
        allowed=(NO_OPTIONS,),
        wrong=(OPTIONS, REFUSED, NO_ANSWER),
        script=lambda stage: _completed(stage, CAPABLE_HMAC, version=0),
        fault="synack-version-not-checked",
    ),
    _rule(
        "8684-3.1-26",
        "a SYN whose MP_CAPABLE has flag B",
        CAPABLE_HMAC | CAPABLE_EXTENSION,
        "flag-b-taken",
    ),
    _rule_back(
        "8684-3.1-26",
        "a SYN/ACK whose MP_CAPABLE has flag B",
        CAPABLE_HMAC | CAPABLE_EXTENSION,
        "flag-b-taken",
    ),
    _rule("8684-3.1-30", "a SYN whose MP_CAPABLE has no flag set", 0, "no-algorithm-taken"),
    _rule_back(
        "8684-3.1-30", "a SYN/ACK whose MP_CAPABLE has no flag set", 0, "no-algorithm-taken"
    ),
    _rule(
        "8684-3.1-37",
        "a SYN with flag A towards a host that refuses checksums",
        CAPABLE_HMAC | CAPABLE_CHECKSUM,
        "unwanted-checksums-taken",
        settings=Settings(checksum="never"),
    ),
    _rule(
        "8684-3.1-39",
        "a SYN whose MP_CAPABLE offers an unassigned algorithm (flag G) alone",
        0x02,
        "unknown-algorithm-taken",
    ),
)
