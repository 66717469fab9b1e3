"""Variations: the parameters of an event, drawn from choices within what is legal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.closing import may_combine
from mptcp_oracle.model.events import (
    Acknowledge,
    Alter,
    Announce,
    Close,
    Connect,
    Copy,
    Deliver,
    Echo,
    Event,
    FastClose,
    Finish,
    Join,
    KeepAlive,
    Prioritise,
    Probe,
    Read,
    Remap,
    Reset,
    Retransmit,
    Send,
    Withdraw,
)
from mptcp_oracle.model.sending import fresh
from mptcp_oracle.model.signalling import SPEAKS
from mptcp_oracle.model.trace import SYN
from mptcp_oracle.model.world import CAN_SEND, DATA_OUT, PLAIN, World

__all__ = ["vary"]

DSN = ((3, 8), (1, 4))
DATA_ACK = ((4, 8), (2, 4), (1, 0))
BESIDE = ((2, 0), (1, 4), (1, 8))
TRIGGERS = ("timeout", "", "loss", "opportunistic")
REASONS = (0, 1, 2, 3, 4, 5, 6)


def vary(world: World, event: Event, choices: Choices) -> Event:
    """The event with other parameters, as legal as it was.

    Args:
        world: Where it is enabled.
        event: As :func:`~mptcp_oracle.model.enabling.enabled` offers it; who acts, and on which
            subflow data goes, stays; signals may go on another one.
        choices: Where the parameters come from.
    """
    variation = _VARIATIONS.get(type(event))
    return event if variation is None else variation(world, event, choices)


def _size(choices: Choices, usual: int, most: int) -> int:
    """Octets: mostly the usual size, sometimes any, sometimes few."""
    kind = choices.integer(0, 7)
    if kind < 4:
        return min(usual, most)
    return choices.integer(1, min(most, 8) if kind == 7 else most)


def _deliver(world: World, event: Deliver, choices: Choices) -> Event:
    segment = next((each for each in world.flight if each.number == event.number), None)
    if segment is None:
        return event
    data, backup, plain, data_ack = 0, False, False, 0
    settings = world.settings
    if segment.flags & SYN:
        if segment.ack is None:
            backup = segment.subflow > 0 and choices.chance(1, 4)
            plain = segment.subflow > 0 and choices.chance(1, 30)
        elif segment.subflow == 0 and choices.chance(1, 4):
            data = choices.integer(1, min(settings.unit, settings.largest, segment.window))
    elif segment.subflow and segment.sequence == 1 and not segment.payload:
        data_ack = choices.weighted(((2, 0), (1, 8), (1, 4)))
    return Deliver(number=event.number, data=data, backup=backup, plain=plain, data_ack=data_ack)


def _join(world: World, event: Join, choices: Choices) -> Event:
    addresses = world.settings.addresses
    family = addresses[1 - event.host][event.remote].version
    here = [at for at, each in enumerate(addresses[event.host]) if each.version == family]
    here.remove(event.local)
    local = choices.pick((event.local, event.local, *here))
    source = None
    if choices.chance(1, 4):
        source = _same_port(world, replace(event, local=local))
    return replace(event, local=local, backup=choices.chance(1, 4), source_port=source)


def _same_port(world: World, event: Join) -> int | None:
    """The local port of the initial subflow (RFC 8684 section 3.9.2), if it is free here."""
    settings, role = world.settings, event.host
    local, remote = (event.local, event.remote)[:: 1 if role == 0 else -1]
    for each in world.subflows:
        path = each.path
        if path.local == (local, remote) and path.ends[role].port == settings.ports[role]:
            return None
    return settings.ports[role]


def _connect(world: World, event: Connect, choices: Choices) -> Event:
    if not world.settings.fast_open or not choices.chance(1, 2):
        return event
    return Connect(data=choices.integer(1, min(world.settings.largest, 200)))


def _alter(world: World, event: Alter, choices: Choices) -> Event:
    if event.octet is None:
        return event
    segment = next(each for each in world.flight if each.number == event.number)
    octet = choices.integer(0, len(segment.payload) - 1)
    return replace(event, octet=octet, flip=choices.integer(1, 255))


def _send(world: World, event: Send, choices: Choices) -> Event:
    role, settings = event.host, world.settings
    host, half = world.hosts[role], world.subflows[event.subflow].halves[role]
    window = min(settings.largest, half.limit - half.snd_nxt)
    if host.state in PLAIN or host.state == "M_SYN_RCVD":
        room = window if host.state in PLAIN else min(window, host.limit - host.snd_nxt)
        return replace(
            event,
            octets=_size(choices, settings.unit, room),
            repeat=not choices.chance(1, 2),
            dsn=choices.weighted(DSN),
            push=not choices.chance(1, 3),
            last=host.state in PLAIN and half.ahead is None and choices.chance(1, 16),
        )
    left = 0
    if half.ahead is not None:
        left = half.ahead.sequence + half.ahead.octets - half.snd_nxt
    room = fresh(host)[1] if host.state in DATA_OUT else 0
    octets = _size(choices, settings.unit, min(window, left + max(room, 0)))
    if left and choices.chance(1, 2):
        octets = min(octets, left)
    ahead, fin = 0, False
    if octets > left:
        if choices.chance(1, 4):
            ahead = min(choices.integer(1, 2 * settings.unit), room + left - octets)
        elif choices.chance(1, 12):
            fin = _may_finish(world, event)
    repeat, dsn = not choices.chance(1, 2), choices.weighted(DSN)
    data_ack, push = choices.weighted(DATA_ACK), not choices.chance(1, 3)
    last = octets >= left and not ahead and _others(world, event) and choices.chance(1, 30)
    if last and fin:
        halves = [each.halves[role] for each in world.subflows]
        last = may_combine(host, halves, event.subflow)
    return Send(
        host=role,
        subflow=event.subflow,
        octets=octets,
        ahead=ahead,
        repeat=repeat,
        dsn=dsn,
        data_ack=data_ack,
        fin=fin,
        push=push,
        last=last,
    )


def _others(world: World, event: Send) -> bool:
    """Whether data can go over other subflows, so that this one may end."""
    return any(
        each.halves[event.host].state in CAN_SEND
        for number, each in enumerate(world.subflows)
        if number != event.subflow
    )


def _may_finish(world: World, event: Send) -> bool:
    """Whether a DATA_FIN may end the mapping of this segment."""
    role, host = event.host, world.hosts[event.host]
    if host.orphans or not (role or host.peer_knows):
        return False
    return not any(
        each.halves[role].ahead is not None
        for number, each in enumerate(world.subflows)
        if number != event.subflow
    )


def _acknowledge(world: World, event: Acknowledge, choices: Choices) -> Event:
    return replace(event, data_ack=choices.weighted(DATA_ACK))


def _retransmit(world: World, event: Retransmit, choices: Choices) -> Event:
    half = world.subflows[event.subflow].halves[event.host]
    if half.state == "SYN_SENT" and event.subflow == 0 and world.hosts[0].state != "TCP":
        return replace(event, plain=choices.chance(1, 6))
    records = [each for each in half.records if each.end > half.snd_una]
    if not any(each.sequence == event.sequence for each in records) or event.sequence == half.fin:
        return replace(event, data_ack=choices.weighted(DATA_ACK))
    record = choices.pick(records) if choices.chance(1, 3) else records[0]
    sequence, octets, fin = record.sequence, None, False
    kind = choices.integer(0, 5)
    length = record.end - record.sequence
    if kind == 4 and length > 1:
        start = max(0, half.snd_una - record.sequence)
        start = choices.integer(start, length - 1)
        sequence, octets = record.sequence + start, choices.integer(1, length - start)
    elif kind == 5 and record.mapping is not None:
        end = record.mapping.sequence + record.mapping.octets
        last = max((each.end for each in half.records if each.end <= end), default=record.end)
        whole = min(last, sequence + world.settings.largest)
        if record.mapping.sequence <= sequence and whole > record.end:
            octets = whole - sequence
    host, mapping = world.hosts[event.host], record.mapping
    if (
        kind < 4 and mapping is not None and host.fin == mapping.dsn + mapping.octets
        and (host.peer_knows or not mapping.by_capable)
    ):  # fmt: skip
        fin = choices.chance(1, 2) and not record.last
    return Retransmit(
        host=event.host,
        subflow=event.subflow,
        sequence=sequence,
        octets=octets,
        dsn=choices.weighted(DSN),
        data_ack=choices.weighted(DATA_ACK),
        fin=fin,
    )


def _remap(world: World, event: Remap, choices: Choices) -> Event:
    octets = choices.integer(1, event.octets) if choices.chance(1, 3) else event.octets
    return replace(
        event, octets=octets, dsn=choices.weighted(DSN), data_ack=choices.weighted(DATA_ACK)
    )


def _copy(world: World, event: Copy, choices: Choices) -> Event:
    trigger = event.trigger
    if trigger == "timeout":
        trigger = choices.pick(TRIGGERS)
    octets = choices.integer(1, event.octets) if choices.chance(1, 3) else event.octets
    return replace(
        event,
        octets=octets,
        dsn=choices.weighted(DSN),
        data_ack=choices.weighted(DATA_ACK),
        trigger=trigger,
    )


def _finish(world: World, event: Finish, choices: Choices) -> Event:
    return replace(event, dsn=choices.weighted(DSN), data_ack=choices.weighted(DATA_ACK))


def _close(world: World, event: Close, choices: Choices) -> Event:
    return replace(event, data_ack=choices.weighted(DATA_ACK))


def _reset(world: World, event: Reset, choices: Choices) -> Event:
    plain = world.version == 0 or world.hosts[event.host].state in PLAIN
    if plain or not choices.chance(2, 3):
        return event
    return replace(event, reason=choices.pick(REASONS), transient=choices.chance(1, 4))


def _fast_close(world: World, event: FastClose, choices: Choices) -> Event:
    if world.version == 0 or not choices.chance(1, 2):
        return event
    return replace(event, reset=True, reason=choices.pick((None, 0)))


def _speaking(world: World, role: int, choices: Choices, first: int) -> int:
    """A subflow for a signal."""
    numbers = [
        number
        for number, each in enumerate(world.subflows)
        if number != first
        and each.halves[role].state in SPEAKS
        and (each.halves[1 - role].confirmed or each.halves[role].rcv_nxt == 1)
    ]
    return choices.pick((first, *numbers))


def _announce(world: World, event: Announce, choices: Choices) -> Event:
    port, role = event.port, event.host
    told = [each for each in world.hosts[role].announced if each[0] == event.address]
    if not told and choices.chance(1, 2):
        port = choices.pick((None, *world.settings.extra_ports[role]))
    return replace(
        event,
        subflow=_speaking(world, role, choices, event.subflow),
        port=port,
        data_ack=choices.weighted(BESIDE),
    )


def _echo(world: World, event: Echo, choices: Choices) -> Event:
    subflow = _speaking(world, event.host, choices, event.subflow)
    return replace(event, subflow=subflow, data_ack=choices.weighted(BESIDE))


def _withdraw(world: World, event: Withdraw, choices: Choices) -> Event:
    role = event.host
    own = world.subflows[event.subflow].path.local[role]
    known = [each.path.local[role] for each in world.subflows]
    known += [index for index, _, _ in world.hosts[role].announced]
    others = [index for index in dict.fromkeys(known) if index != own]
    addresses: tuple[int, ...] = (choices.pick(others),)
    if len(others) > 1 and choices.chance(1, 4):
        addresses = tuple(others)
    return replace(event, addresses=addresses, data_ack=choices.weighted(DATA_ACK))


def _prioritise(world: World, event: Prioritise, choices: Choices) -> Event:
    path = world.subflows[event.subflow].path
    address = path.local[event.host] if world.version == 0 and choices.chance(1, 2) else None
    return replace(
        event,
        address=address,
        backup=event.backup ^ choices.chance(1, 6),
        data_ack=choices.weighted(DATA_ACK),
    )


def _read(world: World, event: Read, choices: Choices) -> Event:
    return replace(event, stays=choices.chance(1, 3), data_ack=choices.weighted(DATA_ACK))


def _probe(world: World, event: Probe, choices: Choices) -> Event:
    return replace(event, dsn=choices.weighted(DSN), data_ack=choices.weighted(DATA_ACK))


def _keep_alive(world: World, event: KeepAlive, choices: Choices) -> Event:
    return replace(event, data_ack=choices.weighted(BESIDE))


_VARIATIONS: dict[type, Callable[[World, Any, Choices], Event]] = {
    Connect: _connect,
    Alter: _alter,
    Deliver: _deliver,
    Join: _join,
    Send: _send,
    Acknowledge: _acknowledge,
    Retransmit: _retransmit,
    Remap: _remap,
    Copy: _copy,
    Finish: _finish,
    Close: _close,
    Reset: _reset,
    FastClose: _fast_close,
    Announce: _announce,
    Echo: _echo,
    Withdraw: _withdraw,
    Prioritise: _prioritise,
    Read: _read,
    Probe: _probe,
    KeepAlive: _keep_alive,
}
