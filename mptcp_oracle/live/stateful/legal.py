"""Events that the RFC allows, and what must come of them."""

from __future__ import annotations

from mptcp_oracle.live.active.joining import is_keepalive
from mptcp_oracle.live.peer.peer import StalledError, own_address
from mptcp_oracle.live.peer.segment import ACK, FIN, PSH, RST
from mptcp_oracle.live.stateful.play import MOST_FLOWS, SOON, FindingError, Play
from mptcp_oracle.options import AddAddr, MpFastclose, MpPrio, RemoveAddr

__all__ = ["EVENTS", "REMOVED_LATE"]

REMOVED_LATE = "a REMOVE_ADDR soon after another has no effect"
"""A known finding."""


def _data(play: Play, number: int) -> None:
    """The next data on one subflow."""
    flow = play.flow(number)
    count = 1 + number * 7 % 1_200
    play.put(flow, play.connection.sent, count)
    play.connection.sent += count
    play.take("D15")
    play.await_acked(flow)


def _short(play: Play, number: int) -> None:
    """The next data with a 4-octet DSN, a 4-octet DATA_ACK, or both."""
    flow, count = play.flow(number), 1 + number % 400
    sizes = {"dsn_size": 8 if number % 3 == 0 else 4, "ack_size": 8 if number % 3 == 1 else 4}
    play.put(flow, play.connection.sent, count, **sizes)
    play.connection.sent += count
    play.await_acked(flow)


def _long(play: Play, number: int) -> None:
    """One mapping over three segments, which it is repeated on or not."""
    flow, peer = play.flow(number), play.peer
    start, piece = play.connection.sent, 1 + number % 300
    option = play.connection.dss(flow, peer.octets(start, 3 * piece))
    for part in range(3):
        payload = peer.octets(start + part * piece, piece)
        options = (option,) if part == 0 or number % 2 else (play.connection.data_ack(),)
        peer.send(flow.segment(ACK | PSH, *options, payload=payload))
    play.connection.sent += 3 * piece
    play.take("D15")
    play.await_acked(flow)


def _redundant(play: Play, number: int) -> None:
    """The next data on every subflow, as a fully redundant scheduler sends it."""
    count = 1 + number * 3 % 900
    for flow in play.alive:
        play.put(flow, play.connection.sent, count)
    play.connection.sent += count
    play.take("D19")
    play.await_acked()


def _redundant_twice(play: Play, number: int) -> None:
    """Two pieces on every subflow, on one of them in the other order: copies out of order."""
    count = 1 + number % 500
    start = play.connection.sent
    for place, flow in enumerate(play.alive):
        pieces = (start, start + count)
        for first in pieces[::-1] if place == number % len(play.alive) else pieces:
            play.put(flow, first, count)
    play.connection.sent += 2 * count
    play.take("D18", "D19")
    play.await_acked()


def _redundant_until_acked(play: Play, number: int) -> None:
    """One piece on one subflow, and once it is DATA_ACKed only the next on all of them."""
    _data(play, number)
    _redundant(play, number)


def _redundant_shifted(play: Play, number: int) -> None:
    """Copies on the second subflow are cut at other places than on the first."""
    count, start = 100 + number, play.connection.sent
    first, second = play.flow(number), play.flow(number + 1)
    play.put(first, start, count)
    play.put(first, start + count, count)
    play.put(second, start + count // 2, count)
    play.connection.sent += 2 * count
    play.take("D19")
    play.await_acked()


def _gap(play: Play, number: int) -> None:
    """The second piece before the first, on two subflows if there are two."""
    count, start = 1 + number % 700, play.connection.sent
    play.put(play.flow(number), start + count, count)
    play.put(play.flow(number + 1), start, count)
    play.connection.sent += 2 * count
    play.take("D18")
    play.await_acked()


def _gap_in_subflow(play: Play, number: int) -> None:
    """Two segments of a subflow change places."""
    flow, peer = play.flow(number), play.peer
    count, start, place = 1 + number % 700, play.connection.sent, flow.place
    for part in (1, 0):
        payload = peer.octets(start + part * count, count)
        where = place + part * count
        option = play.connection.dss(flow, payload, start=start + part * count, place=where)
        peer.send(flow.segment(ACK | PSH, option, payload=payload, place=where))
    flow.next = (flow.isn + place + 2 * count) & 0xFFFF_FFFF
    play.connection.sent += 2 * count
    play.take("D20")
    play.await_acked(flow)


def _again(play: Play, number: int) -> None:
    """Data that was DATA_ACKed before, under new subflow sequence numbers."""
    flow = play.flow(number)
    count = min(1 + number, play.connection.sent - 1)
    play.put(flow, play.connection.sent - count, count)
    play.take("D19")
    play.order(number)


def _retransmission(play: Play, number: int) -> None:
    """The last segment of a subflow once more."""
    flow, peer = play.flow(number), play.peer
    play.put(flow, play.connection.sent, 20)
    place = flow.place - 20
    payload = peer.octets(play.connection.sent, 20)
    option = play.connection.dss(flow, payload, place=place)
    play.connection.sent += 20
    peer.send(flow.segment(ACK | PSH, option, payload=payload, place=place))
    play.take("D21")
    play.await_acked(flow)


def _write(play: Play, number: int) -> None:
    """The application writes, and all of it is acknowledged."""
    play.write(1 + number * 11 % 2_500)


def _write_acked_late(play: Play, number: int) -> None:
    """The application writes; ACKs with an old DATA_ACK first, then a right one elsewhere."""
    connection, peer = play.connection, play.peer
    count, mark, before = 1 + number, play.peer.mark, connection.got
    play.say(count)
    play.heard(
        "data that the application wrote does not come",
        lambda _: connection.got >= before + count,
        mark,
    )
    for flow in play.alive:
        if any(each.frame > mark and each.payload for each in flow.heard):
            peer.send(flow.segment(ACK, connection.data_ack(beyond=before - connection.got)))
    peer.ack(connection, play.flow(number + 1))


def _join(play: Play, number: int) -> None:
    """A second, third, ... subflow, a backup or not."""
    play.addresses += 1
    try:
        flow = play.peer.join(play.connection, play.addresses, backup=bool(number & 1))
    except StalledError as error:
        raise FindingError(f"a lawful join fails: {error.message}") from error
    play.alive.append(flow)
    play.take("S02", "S06")


def _announce(play: Play, number: int) -> None:
    """An address is announced; the implementation echoes it, and joins it if it wants to."""
    del number
    peer, connection = play.peer, play.connection
    play.addresses += 1
    where, address_id = own_address(peer.family, play.addresses), play.addresses + 20
    mark = peer.mark
    peer.send(play.alive[0].segment(ACK, connection.add_addr(address_id, where)))
    play.heard(
        "an ADD_ADDR is not echoed",
        lambda each: any(
            isinstance(option, AddAddr) and option.echo and option.address_id == address_id
            for option in each.options
        ),
        mark,
    )
    play.take("A03", "A04")
    if not any(peer.is_call(connection, each) for each in peer.strays):
        peer.hear(lambda each: peer.is_call(connection, each), SOON)
    if any(peer.is_call(connection, each) for each in peer.strays):
        flow = peer.accept_join(connection, address_id=address_id)
        play.need("the implementation's own join fails", flow.reset is None)
        play.take("S01", "S04")
        play.alive.append(flow)
        play.put(flow, connection.sent, 10)
        connection.sent += 10
        play.await_acked(flow)


def _priority(play: Play, number: int) -> None:
    """A subflow becomes a backup, or regular again."""
    flow = play.flow(number)
    play.take("A09")
    play.harmless(flow, ACK, MpPrio(backup=bool(number & 1)))


def _remove(play: Play, number: int) -> None:
    """The address of a joined subflow is withdrawn; the implementation ends the subflow."""
    victim = play.alive[1 + number % (len(play.alive) - 1)]
    mark = play.peer.mark
    other = next(each for each in play.alive if each is not victim)
    play.peer.send(other.segment(ACK, RemoveAddr(address_ids=(victim.address_id,))))
    play.heard(
        REMOVED_LATE if play.removed else "a REMOVE_ADDR neither asks nor ends its subflow",
        lambda each: victim.is_mine(each) and (each.fin or each.rst or is_keepalive(victim, each)),
        mark,
    )
    play.take("A08")
    play.removed = True
    play.drop(victim)
    if victim.reset is None:
        play.peer.send(victim.segment(FIN | ACK if victim.finished else RST | ACK))
    play.order()


def _fin(play: Play, number: int) -> None:
    """A subflow ends by FIN; the others go on."""
    victim = play.flow(number)
    play.drop(victim)
    play.peer.send(victim.segment(FIN | ACK))
    play.take("S21")
    play.order()


def _reset(play: Play, number: int) -> None:
    """A subflow ends by RST; the others go on."""
    victim = play.flow(number)
    play.drop(victim)
    play.peer.send(victim.segment(RST | ACK))
    play.take("S14")
    play.order()


def _data_fin(play: Play, number: int) -> None:
    """The raw peer's DATA_FIN."""
    flow, connection = play.flow(number), play.connection
    name = {"M_ESTAB": "C13", "M_ESTAB_NEW": "C13", "M_FIN_WAIT_1": "C15", "M_FIN_WAIT_2": "C17"}
    play.peer.send(flow.segment(ACK, connection.dss(flow, b"", fin=True)))
    connection.sent += 1
    play.finished = True
    play.await_acked(flow)
    play.take(name[play.tracker.state])
    play.need("the application sees no end of the stream", _ended(play))
    if play.tracker.state == "M_TIME_WAIT":
        play.alive.clear()


def _ended(play: Play) -> bool:
    """Whether the application sees the end of the stream, now or soon."""
    for _ in range(50):
        play.take_in()
        if play.app.eof:
            return True
        play.peer.hear(lambda _: False, 0.01)
    return False


def _finish(play: Play, number: int) -> None:
    """The application ends its stream, and its DATA_FIN is acknowledged."""
    connection, peer = play.connection, play.peer
    mark = peer.mark
    play.call("shutdown(4, SHUT_WR) = 0")
    play.app.finish()
    play.take("C19" if play.tracker.state == "M_CLOSE_WAIT" else "C12")
    play.heard("no DATA_FIN comes", lambda _: connection.fin is not None, mark)
    peer.ack(connection, play.flow(number))
    last = play.tracker.state == "M_LAST_ACK"
    play.take("C20" if last else "C14")
    if last:
        play.alive.clear()


def _fast_close(play: Play, number: int) -> None:
    """MP_FASTCLOSE with the right key, on an ACK or a RST."""
    flow, option = play.flow(number), MpFastclose(key=play.connection.peer_key)
    on_reset = bool(number & 1)
    mark = play.peer.mark
    play.peer.send(flow.segment(RST | ACK if on_reset else ACK, option))
    play.take("C31" if on_reset else "C30")
    for each in play.alive:
        if each is flow and on_reset:
            continue
        play.heard(
            "an MP_FASTCLOSE does not reset a subflow",
            lambda segment, each=each: each.is_mine(segment) and segment.rst,  # type: ignore[misc]
            mark,
        )
    play.alive.clear()


def _running(play: Play) -> bool:
    return play.open


def _sending(play: Play) -> bool:
    return play.open and play.room


def _writing(play: Play) -> bool:
    return play.open and play.connection.fin is None and play.written < 40_000


def _several(play: Play) -> bool:
    return play.open and len(play.alive) > 1


def _growing(play: Play) -> bool:
    states = ("M_ESTAB_NEW", "M_ESTAB")
    fits = len(play.connection.flows) < MOST_FLOWS and play.tracker.state in states
    return play.open and fits and play.room


EVENTS = {
    "data": (_sending, _data),
    "data-short-numbers": (_sending, _short),
    "data-long-mapping": (_sending, _long),
    "data-redundant": (_sending, _redundant),
    "data-redundant-out-of-order": (_sending, _redundant_twice),
    "data-redundant-at-the-start": (_sending, _redundant_until_acked),
    "data-redundant-cut-elsewhere": (_sending, _redundant_shifted),
    "data-gap": (_sending, _gap),
    "data-gap-in-subflow": (_sending, _gap_in_subflow),
    "data-again": (_sending, _again),
    "data-retransmission": (_sending, _retransmission),
    "write": (_writing, _write),
    "write-acked-late": (_writing, _write_acked_late),
    "join": (lambda play: _growing(play) and not play.calls, _join),
    "announce": (_growing, _announce),
    "priority": (_running, _priority),
    "remove": (lambda play: _several(play) and play.room, _remove),
    "fin": (lambda play: _several(play) and play.room, _fin),
    "reset": (lambda play: _several(play) and play.room, _reset),
    "data-fin": (lambda play: play.open and not play.finished, _data_fin),
    "finish": (_writing, _finish),
    "fast-close": (_running, _fast_close),
}
"""Name to condition and script."""
