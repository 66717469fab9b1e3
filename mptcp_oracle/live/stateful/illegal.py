"""Events that the RFC does not allow, or that a host must not heed, and what must come of them."""

from __future__ import annotations

from mptcp_oracle.live.peer.peer import own_address
from mptcp_oracle.live.peer.segment import ACK, PSH, RST
from mptcp_oracle.live.stateful.play import MOST_FLOWS, Play
from mptcp_oracle.options import Flaw, Malformed, MpFastclose, MpJoinSynAck, MpTcprst, RemoveAddr

__all__ = ["EVENTS"]

FAR = 1 << 30

#: Options that no receiver can read: (octets after Kind and Length).
ODD = (
    b"\xb0",  # an unknown subtype
    b"\xf0\x01\x02",  # a private experiment
    b"\x20",  # a DSS without its flags
    b"\x20\x05\x00",  # a DSS whose fields are missing
    b"\x30\x07",  # an ADD_ADDR without address
    b"\x40",  # a REMOVE_ADDR that names nothing
    b"\x70\x00\x01\x02\x03",  # an MP_FASTCLOSE with half a key
    b"\x60\x00\x00",  # an MP_FAIL without DSN
    b"\x10\x00" + bytes(20),  # an MP_JOIN's third packet where none is due
)


def _wrong_hmac(play: Play, number: int) -> None:
    """A join whose third packet has a wrong HMAC."""
    play.addresses += 1
    peer, connection = play.peer, play.connection
    flow = peer.begin_join(connection, play.addresses)
    play.need("a lawful join is refused", flow.reset is None and bool(flow.remote_nonce))
    mark = peer.mark
    peer.send(flow.segment(ACK, connection.join_ack(flow, wrong=True)))
    play.heard("a wrong HMAC is not reset", lambda each: flow.is_mine(each) and each.rst, mark)
    play.take("S07")
    play.order(number)


def _unknown_token(play: Play, number: int) -> None:
    """A join with a token that no connection has."""
    play.addresses += 1
    peer = play.peer
    flow = peer.begin_join(play.connection, play.addresses, token=peer.random.getrandbits(32))
    play.need("an unknown token is not refused", flow.reset is not None)
    play.take("S03")
    answered = any(isinstance(x, MpJoinSynAck) for each in flow.heard for x in each.options)
    play.need("an unknown token is answered", not answered)
    play.order(number)


def _wrong_key(play: Play, number: int) -> None:
    """MP_FASTCLOSE with a wrong key."""
    keys = (0, play.connection.key, play.connection.peer_key ^ 1 << number % 64)
    play.harmless(play.flow(number), ACK, MpFastclose(key=keys[number % 3]))


def _far_signal(play: Play, number: int) -> None:
    """A signal whose sequence number is out of the window."""
    flow = play.flow(number)
    key = play.connection.peer_key
    flags, option = (
        (ACK, MpFastclose(key=key)),
        (RST | ACK, MpFastclose(key=key)),
        (RST | ACK, MpTcprst(reason=0)),
        (ACK, RemoveAddr(address_ids=(flow.address_id,))),
    )[number % 4]
    play.harmless(flow, flags, option, far=FAR)


def _wrong_address(play: Play, number: int) -> None:
    """ADD_ADDR with a wrong HMAC."""
    where = own_address(play.peer.family, 200)
    option = play.connection.add_addr(number, where, wrong=True)
    play.take("A06")
    play.harmless(play.flow(number), ACK, option)


def _unknown_id(play: Play, number: int) -> None:
    """REMOVE_ADDR for an Address ID that was never used."""
    play.removed = True
    play.harmless(play.flow(number), ACK, RemoveAddr(address_ids=(100 + number % 100,)))


def _beyond_window(play: Play, number: int) -> None:
    """Data whose DSN is far beyond the window."""
    flow, start = play.flow(number), play.connection.sent + (1 << 24)
    payload = play.peer.octets(1, 1 + number)
    option = play.connection.dss(flow, payload, start=start)
    before, play.copied = play.connection.acked, True
    play.peer.send(flow.segment(ACK | PSH, option, payload=payload))
    play.order(number)
    play.need("data beyond the window moves the DATA_ACK", play.connection.acked >= before)


def _unsent_acked(play: Play, number: int) -> None:
    """A DATA_ACK for what was never sent."""
    option = play.connection.data_ack(beyond=100_000 + number)
    play.harmless(play.flow(number), ACK, option)


def _odd_option(play: Play, number: int) -> None:
    """An option that no receiver can read, beside a right DATA_ACK."""
    body = ODD[number % len(ODD)]
    raw = bytes([30, 2 + len(body)]) + body
    option = Malformed(reason=Flaw.LAYOUT, raw=raw)
    play.harmless(play.flow(number), ACK, play.connection.data_ack(), option)


def _random_option(play: Play, number: int) -> None:
    """Random octets as an option, of a subtype whose options need a key or a place to count."""
    body = bytearray(play.peer.random.randbytes(1 + number % 22))
    body[0] = (1, 3, 5, 7, 8, 9, 12, 15)[number % 8] << 4 | body[0] & 0x0F
    option = Malformed(reason=Flaw.LAYOUT, raw=bytes([30, 2 + len(body)]) + bytes(body))
    play.harmless(play.flow(number), ACK, option)


def _unmapped(play: Play, number: int) -> None:
    """Data without mapping on a joined subflow, which is reset soon; the others go on."""
    flow = play.alive[1 + number % (len(play.alive) - 1)]
    payload = play.peer.octets(1, 1 + number)
    before = play.connection.acked
    play.drop(flow)
    play.peer.send(flow.segment(ACK | PSH, payload=payload))
    play.peer.hear(lambda each: flow.is_mine(each) and each.rst, 0.01)
    if flow.reset is None:  # it may wait for a window of such data
        play.peer.send(flow.segment(RST | ACK))
    play.need("data without mapping is DATA_ACKed", play.connection.acked == before)
    play.take("S11")
    play.order(number)


def _wrong_checksum(play: Play, number: int) -> None:
    """Data with a wrong checksum on one of several subflows."""
    flow = play.flow(number)
    payload = play.peer.octets(play.connection.sent, 1 + number)
    option = play.connection.dss(flow, payload, wrong=True)
    mark = play.peer.mark
    play.drop(flow)
    play.peer.send(flow.segment(ACK | PSH, option, payload=payload))
    play.heard(
        "a wrong checksum does not reset its subflow",
        lambda each: flow.is_mine(each) and each.rst,
        mark,
    )
    play.take("S13")
    play.order(number)


def _sending(play: Play) -> bool:
    return play.open and play.room


def _several(play: Play) -> bool:
    return _sending(play) and len(play.alive) > 1


def _joining(play: Play) -> bool:
    return _sending(play) and len(play.connection.flows) < MOST_FLOWS + 2 and not play.calls


EVENTS = {
    "wrong-hmac": (_joining, _wrong_hmac),
    "unknown-token": (_sending, _unknown_token),
    "wrong-key": (_sending, _wrong_key),
    "far-signal": (_sending, _far_signal),
    "wrong-address": (_sending, _wrong_address),
    "unknown-id": (_sending, _unknown_id),
    "beyond-window": (_sending, _beyond_window),
    "unsent-acked": (_sending, _unsent_acked),
    "odd-option": (_sending, _odd_option),
    "random-option": (_sending, _random_option),
    "unmapped": (lambda play: _several(play) and play.alive[1:] != [], _unmapped),
    "wrong-checksum": (lambda play: _several(play) and play.connection.checksum, _wrong_checksum),
}
"""Name to condition and script."""
