"""Addresses and priorities: ADD_ADDR, REMOVE_ADDR, MP_PRIO (RFC 8684 sections 3.3.8, 3.4)."""

from __future__ import annotations

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode
from mptcp_oracle.model.closing import end
from mptcp_oracle.model.events import Announce, Echo, Prioritise, Withdraw
from mptcp_oracle.model.trace import ACK, Sent
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import ALIVE, BOTH_ENDED, MPTCP, World
from mptcp_oracle.options import AddAddr, MpPrio, Option, RemoveAddr

__all__ = ["SPEAKS", "announce", "echo", "prioritise", "signals_arrive", "unanswered", "withdraw"]

SPEAKS = ALIVE - {"PRE_ESTABLISHED", "TIME_WAIT"}
"""States of a half that may carry signals."""

ROOM = 28
"""Octets for MPTCP options beside a TCP timestamp option."""


def _signal(turn: Turn, subflow: int, role: int, option: Option, width: int) -> Sent:
    """An ACK with a signal, and a DATA_ACK if it may have one and there is room."""
    if turn.halves[subflow][role].state not in SPEAKS or turn.hosts[role].state not in MPTCP:
        raise IllegalEvent("nothing can be signalled on this subflow")
    needed = turn.width(subflow, role, 0)
    width = turn.width(subflow, role, width)
    size = len(encode(option)) + 3 & ~3
    if width and size + 4 + width > ROOM:
        if needed:
            raise IllegalEvent("the peer needs a DATA_ACK, and there is no room for it")
        width = 0
    dss, relative = turn.dss(role, width)
    return turn.send(subflow, role, ACK, dss, option, data_ack=relative)


def _add_addr(turn: Turn, role: int, index: int, port: int | None) -> AddAddr:
    """The ADD_ADDR for an address of a host."""
    settings = turn.settings
    address, number = settings.addresses[role][index], settings.address_id(role, index)
    digest = None
    if turn.version:
        digest = crypto.add_addr_hmac(
            sender_key=settings.keys[role],
            receiver_key=settings.keys[1 - role],
            address_id=number,
            address=address,
            port=port,
        )
        flip = settings.deviations[role].add_addr_hmac_flip
        if flip:
            digest = (int.from_bytes(digest, "big") ^ flip).to_bytes(8, "big")
    return AddAddr(version=turn.version, address_id=number, address=address, port=port, hmac=digest)


def unanswered(world: World | Turn, role: int) -> list[tuple[int, int | None]]:
    """The addresses that a host announced and that may be announced again: no echo came."""
    return [(index, port) for index, port, echoed in world.hosts[role].announced if not echoed]


def announce(turn: Turn, event: Announce) -> None:
    """A host announces an address."""
    role, index, port = event.host, event.address, event.port
    host, settings = turn.hosts[role], turn.settings
    if host.state in BOTH_ENDED:
        raise IllegalEvent("no address is of use to a connection that is closed")
    if not 0 < index < len(settings.addresses[role]):
        raise IllegalEvent("there is no such further address")
    if port is not None and port not in settings.extra_ports[role]:
        raise IllegalEvent("the host does not listen on this port")
    before = [each for each in host.announced if each[:2] == (index, port)]
    if before and before[0][2]:
        raise IllegalEvent("the address was announced, and the peer echoed that")
    _signal(turn, event.subflow, role, _add_addr(turn, role, index, port), event.data_ack)
    turn.took("A02" if before else "A01")
    if not before:
        turn.host(role, announced=(*host.announced, (index, port, False)))


def echo(turn: Turn, event: Echo) -> None:
    """A host echoes an ADD_ADDR."""
    role, host = event.host, turn.hosts[event.host]
    if not host.echoes or host.state in BOTH_ENDED:
        raise IllegalEvent("there is nothing to echo, or no use for it any more")
    index, port = host.echoes[0]
    settings = turn.settings
    option = AddAddr(
        echo=True,
        address_id=settings.address_id(1 - role, index),
        address=settings.addresses[1 - role][index],
        port=port,
    )
    _signal(turn, event.subflow, role, option, event.data_ack)
    turn.host(role, echoes=host.echoes[1:])
    turn.took("A04")


def withdraw(turn: Turn, event: Withdraw) -> None:
    """A host has lost addresses; subflows from them are dead."""
    role, settings = event.host, turn.settings
    host = turn.hosts[role]
    used = {path.local[role] for path in turn.paths}
    known = used | {index for index, _, _ in host.announced}
    if not event.addresses or not known.issuperset(event.addresses):
        raise IllegalEvent("only addresses that the peer has heard of are withdrawn")
    if turn.paths[event.subflow].local[role] in event.addresses:
        raise IllegalEvent("this subflow is on an address that is no longer there")
    ids = tuple(settings.address_id(role, index) for index in event.addresses)
    _signal(turn, event.subflow, role, RemoveAddr(address_ids=ids), event.data_ack)
    turn.took("A05")
    kept = tuple(each for each in host.announced if each[0] not in event.addresses)
    turn.host(role, announced=kept)
    for number, path in enumerate(turn.paths):
        if path.local[role] in event.addresses and turn.halves[number][role].state != "CLOSED":
            turn.took("S39")
            end(turn, number, role, "GONE")


def prioritise(turn: Turn, event: Prioritise) -> None:
    """A host changes flag B of a subflow, or in version 0 of all subflows from an address."""
    role, address = event.host, event.address
    number = None
    if address is not None:
        if turn.version:
            raise IllegalEvent("MP_PRIO names no address in version 1")
        if all(path.local[role] != address for path in turn.paths):
            raise IllegalEvent("no subflow has this address")
        number = turn.settings.address_id(role, address)
    option = MpPrio(backup=event.backup, address_id=number)
    _signal(turn, event.subflow, role, option, event.data_ack)
    for subflow, path in enumerate(turn.paths):
        if subflow == event.subflow if address is None else path.local[role] == address:
            turn.half(subflow, role, backup=event.backup)
    turn.took("S16")


def signals_arrive(turn: Turn, segment: Sent, option: Option) -> None:
    """What a host learns from ADD_ADDR, REMOVE_ADDR and MP_PRIO."""
    role = 1 - segment.host
    if isinstance(option, AddAddr):
        (_echoed if option.echo else _learned)(turn, role, option)
    elif isinstance(option, RemoveAddr):
        _removed(turn, role, option)
    elif isinstance(option, MpPrio):
        _prioritised(turn, segment, option)


def _index(turn: Turn, role: int, number: int) -> int | None:
    """Index of the address that a host gives an Address ID."""
    for index in range(len(turn.settings.addresses[role])):
        if turn.settings.address_id(role, index) == number:
            return index
    return None


def _learned(turn: Turn, role: int, option: AddAddr) -> None:
    host, index = turn.hosts[role], _index(turn, 1 - role, option.address_id)
    if index is None:
        return
    right = _right(turn, role, option)
    turn.took("A03" if right else "A06")
    if not right:
        return
    known, lost = host.known, tuple(each for each in host.lost if each != index)
    if (index, option.port) not in known:
        known = (*known, (index, option.port))
    echoes = host.echoes
    if option.version and (index, option.port) not in echoes:
        echoes = (*echoes, (index, option.port))
    turn.host(role, known=known, lost=lost, echoes=echoes)


def _right(turn: Turn, role: int, option: AddAddr) -> bool:
    """Whether the HMAC is right (RFC 8684 section 3.4.1); version 0 has none."""
    if not turn.version:
        return True
    keys = turn.settings.keys
    return option.hmac == crypto.add_addr_hmac(
        sender_key=keys[1 - role],
        receiver_key=keys[role],
        address_id=option.address_id,
        address=option.address,
        port=option.port,
    )


def _echoed(turn: Turn, role: int, option: AddAddr) -> None:
    host, index = turn.hosts[role], _index(turn, role, option.address_id)
    announced = tuple(
        (at, port, echoed or (at, port) == (index, option.port))
        for at, port, echoed in host.announced
    )
    turn.host(role, announced=announced)
    turn.took("A07")


def _removed(turn: Turn, role: int, option: RemoveAddr) -> None:
    host = turn.hosts[role]
    known, lost = host.known, host.lost
    for number in option.address_ids:
        index = _index(turn, 1 - role, number)
        if index is None:
            continue
        known = tuple(each for each in known if each[0] != index)
        lost = lost if index in lost else (*lost, index)
        for subflow, path in enumerate(turn.paths):
            if path.local[1 - role] == index:
                turn.half(subflow, role, removed=True)
    turn.host(role, known=known, lost=lost)
    turn.took("A08")


def _prioritised(turn: Turn, segment: Sent, option: MpPrio) -> None:
    role = 1 - segment.host
    index = None if option.address_id is None else _index(turn, 1 - role, option.address_id)
    for subflow, path in enumerate(turn.paths):
        if subflow == segment.subflow if index is None else path.local[1 - role] == index:
            turn.half(subflow, role, backup_heard=option.backup)
    turn.took("A09")
