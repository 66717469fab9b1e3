"""Events after which MPTCP is over: fallbacks and aborts, and what must come of them."""

from __future__ import annotations

from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.segment import ACK, MASK_32, PSH, Segment
from mptcp_oracle.live.stateful.play import SOON, Play
from mptcp_oracle.options import Dss, MpFail, MpFastclose

__all__ = ["EVENTS", "STALLED"]

MASK_64 = (1 << 64) - 1
STALLED = "after a fallback, data is acknowledged and not delivered"
"""A known finding, where the subflow brought octets before that were none of the stream."""


def _plain(play: Play, flow: Flow, count: int, *options: Dss) -> None:
    """Data of the stream without mapping; the subflow must acknowledge it."""
    payload = play.peer.octets(play.connection.sent, count)
    play.peer.send(flow.segment(ACK | PSH, *options, payload=payload))
    play.connection.sent += count
    for wait in (0.001, SOON):
        if flow.acknowledged() >= flow.place:
            return
        play.peer.hear(lambda _: flow.acknowledged() >= flow.place, wait)
        play.poke(flow)
    play.need("plain data is not acknowledged", flow.acknowledged() >= flow.place)


def _all_read(play: Play) -> None:
    """The application must read all of the stream."""
    goal = play.connection.sent - 1
    for _ in range(5 if play.copied else 50):
        play.take_in()
        if len(play.read) >= goal:
            return
        play.peer.hear(lambda _: False, 0.01)
    if len(play.read) < goal:
        count = goal - len(play.read)
        play.call(f"read(4, ..., {count}) = {count}")
    kind = STALLED if play.copied else "the application does not read what was acknowledged"
    play.need(kind, len(play.read) >= goal)


def _plain_back(play: Play, flow: Flow, count: int) -> None:
    """The application writes, and its data comes without DSS; an infinite mapping may be there."""
    goal, mark = (flow.expected + count) & MASK_32, play.peer.mark
    play.say(count)
    play.heard("plain data does not come", lambda _: flow.expected == goal, mark)
    for each in flow.heard:
        if each.frame > mark and each.payload:
            mapped = [x for x in each.options if isinstance(x, Dss) and x.dll]
            play.need("MPTCP goes on after the fallback", not mapped)
    play.peer.send(flow.segment(ACK))


def _lose_mappings(play: Play, number: int) -> None:
    """Data without mapping on the only subflow: Linux falls back, and loses nothing."""
    (flow,) = play.alive
    play.tracker.leave("C11")
    for _ in range(2):
        _plain(play, flow, 1 + number)
    _all_read(play)
    _plain_back(play, flow, 1 + number)
    play.alive.clear()


def _failed_checksum(play: Play, number: int) -> None:
    """A wrong checksum on the only subflow, and an infinite mapping in answer to MP_FAIL."""
    (flow,) = play.alive
    connection, peer = play.connection, play.peer
    count, mark = 1 + number, peer.mark
    payload = peer.octets(connection.sent, count)
    option = connection.dss(flow, payload, wrong=True)
    peer.send(flow.segment(ACK | PSH, option, payload=payload))
    play.heard(
        "a wrong checksum brings no MP_FAIL",
        lambda each: any(isinstance(x, MpFail) for x in each.options),
        mark,
    )
    play.take("C32")
    endless = _endless(play, flow)
    connection.sent += count
    play.take("C34")
    play.tracker.leave("C36")
    _plain(play, flow, count, endless)
    _plain(play, flow, count)
    _all_read(play)
    play.alive.clear()


def _endless(play: Play, flow: Flow) -> Dss:
    """An infinite mapping, from the next octet of the stream on."""
    connection = play.connection
    return Dss.of(
        data_ack=(connection.peer_base + connection.got) & MASK_64,
        dsn=(connection.base + connection.sent) & MASK_64,
        ssn=flow.place,
        dll=0,
        checksum=0 if connection.checksum else None,
    )


def _told_of_failure(play: Play, number: int) -> None:
    """MP_FAIL on the only subflow: each next data has an infinite mapping, then TCP goes on."""
    (flow,) = play.alive
    connection = play.connection
    fail = MpFail(dsn=(connection.peer_base + connection.got) & MASK_64)
    play.peer.send(flow.segment(ACK, connection.data_ack(), fail))
    play.take("C33")
    play.tracker.leave("C35")
    _plain_back(play, flow, 1 + number)
    _plain(play, flow, 1 + number, _endless(play, flow))
    _plain(play, flow, 1 + number)
    _all_read(play)
    play.alive.clear()


def _abort(play: Play, number: int) -> None:
    """The application aborts: MP_FASTCLOSE on the RSTs of all subflows, or on an ACK of one."""
    del number
    mark, key = play.peer.mark, play.connection.key
    play.take_in()
    play.call("close(4) = 0")
    play.app.abort()
    first = play.heard("an abort brings no MP_FASTCLOSE", lambda each: bool(_keys(each)), mark)
    play.need("an MP_FASTCLOSE has not the peer's key", _keys(first) == [key])
    play.take("C26" if first.rst else "C25")
    for flow in play.alive:
        if first.rst or not flow.is_mine(first):
            play.heard(
                "an abort does not reset a subflow",
                lambda each, flow=flow: flow.is_mine(each) and each.rst,  # type: ignore[misc]
                mark,
            )
    play.alive.clear()


def _keys(segment: Segment) -> list[int]:
    """The keys of a segment's MP_FASTCLOSE."""
    return [each.key for each in segment.options if isinstance(each, MpFastclose)]


def _linux(play: Play) -> bool:
    """As :func:`_alone`, for what Linux does where the RFC wants a RST, or no delivery."""
    return _alone(play) and play.target.name == "linux"


def _alone(play: Play) -> bool:
    """Whether the connection never had another subflow, and no DSN was sent twice."""
    return _only(play) and not play.copied


def _only(play: Play) -> bool:
    return play.open and play.room and len(play.connection.flows) == 1 and _before_end(play)


def _copied(play: Play) -> bool:
    """As :func:`_linux`, where the subflow brought octets that are none of the stream."""
    return _only(play) and play.copied and play.target.name == "linux"


def _before_end(play: Play) -> bool:
    return play.connection.fin is None and play.tracker.state in ("M_ESTAB_NEW", "M_ESTAB")


EVENTS = {
    "lose-mappings": (_linux, _lose_mappings),
    "failed-checksum": (lambda play: _linux(play) and play.connection.checksum, _failed_checksum),
    "told-of-failure": (_alone, _told_of_failure),
    "lose-mappings-after-copies": (_copied, _lose_mappings),
    "abort": (lambda play: play.open and play.tracker.may("C26"), _abort),
}
"""Name to condition and script."""
