"""Which events a world offers: what its hosts may do, and what the network may do."""

from __future__ import annotations

from functools import lru_cache

from mptcp_oracle.model.aborting import ABORTS
from mptcp_oracle.model.closing import may_end, may_reset
from mptcp_oracle.model.events import (
    EVENTS,
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
    Lose,
    Prioritise,
    Probe,
    Read,
    Remap,
    Repeat,
    Reset,
    Retransmit,
    Send,
    Stall,
    Withdraw,
)
from mptcp_oracle.model.joining import targets
from mptcp_oracle.model.repeating import AGAIN
from mptcp_oracle.model.sending import bound, carried, early, elsewhere, fresh
from mptcp_oracle.model.signalling import SPEAKS
from mptcp_oracle.model.windows import may_keep_alive, may_probe
from mptcp_oracle.model.world import (
    ALIVE,
    BOTH_ENDED,
    CAN_SEND,
    DATA_OUT,
    JOINING,
    LISTENS,
    MPTCP,
    PLAIN,
    Half,
    Spans,
    World,
)

__all__ = ["acts", "enabled", "fates"]


def enabled(world: World) -> tuple[Event, ...]:
    """Events that are legal here, with default parameters, always in the same order.

    First what hosts may do (:func:`acts`), then what the network may do (:func:`fates`).
    Events that the settings bound, and that were taken as often, are left out.
    """
    return (*acts(world), *fates(world))


def _within(world: World, events: list[Event]) -> tuple[Event, ...]:
    bounds = world.settings.bounds
    if not bounds or not events:
        return tuple(events)
    taken = world.taken or (0,) * len(EVENTS)
    used = {kind.__name__: count for kind, count in zip(EVENTS, taken, strict=True)}
    spent = {name for name, most in bounds if used[name] >= most}
    return tuple(event for event in events if type(event).__name__ not in spent)


@lru_cache(maxsize=4096)
def _simple(kind: type[Event], host: int, subflow: int) -> Event:
    """An event that needs no more than who acts and where; values can be shared."""
    return kind(host=host, subflow=subflow)  # type: ignore[call-arg]


@lru_cache(maxsize=4096)
def _fates(number: int) -> tuple[Event, ...]:
    return Deliver(number=number), Lose(number=number), Repeat(number=number)


def fates(world: World) -> tuple[Event, ...]:
    """What may happen to each segment in flight: it is delivered, lost, or delivered and kept."""
    events: list[Event] = []
    for segment in world.flight:
        number = segment.number
        events += _fates(number)
        if world.settings.middlebox:
            if segment.options:
                events.append(Alter(number=number))
            if segment.payload:
                events.append(Alter(number=number, octet=0))
    return _within(world, events)


def acts(world: World, roles: tuple[int, ...] = (0, 1)) -> tuple[Event, ...]:
    """What the hosts in these roles may do of their own accord."""
    if not world.subflows:
        opened = [Connect()]
        if world.settings.fast_open:
            opened.append(Connect(data=world.settings.unit))
        return _within(world, [*opened])
    events: list[Event] = []
    for role in roles:
        _of_host(world, role, events)
    return _within(world, events)


def _of_host(world: World, role: int, events: list[Event]) -> None:
    host, settings = world.hosts[role], world.settings
    if host.state == "M_FASTCLOSE_WAIT":
        for number, each in enumerate(world.subflows):
            if each.halves[role].state in SPEAKS:
                events.append(_simple(FastClose, role, number))
        return
    mptcp, plain = host.state in MPTCP, host.state in PLAIN and host.fin is None
    halves = [each.halves[role] for each in world.subflows]
    live = [number for number, half in enumerate(halves) if half.state in CAN_SEND]
    regular = any(not (halves[n].backup_heard or halves[n].removed) for n in live)
    announced = any(half.ahead is not None for half in halves)
    owes = mptcp and host.owed and not any(half.owed for half in halves)
    may_finish = mptcp and (
        (host.state in DATA_OUT and not announced and not host.orphans)
        or (host.fin is not None and host.snd_una <= host.fin)
    )
    held: list[Spans] = []
    if mptcp and live and host.snd_una < host.snd_nxt:
        held = [carried(world, number, role) for number in range(len(halves))]
    for number, half in enumerate(halves):
        state = half.state
        if state in JOINING:
            if not number or host.state not in PLAIN:
                events.append(_simple(Retransmit, role, number))
            if early(world, role, number) and half.ahead is None:
                octets = min(settings.unit, host.limit - host.snd_nxt, half.limit - half.snd_nxt)
                if octets > 0:
                    events.append(Send(host=role, subflow=number, octets=octets))
            if state == "PRE_ESTABLISHED":
                events.append(_simple(Reset, role, number))
            continue
        if state not in ALIVE:
            continue
        if state in CAN_SEND and plain:
            most = half.limit - half.snd_nxt
            if most > 0:
                octets = min(most, settings.unit)
                events.append(Send(host=role, subflow=number, octets=octets))
        if state in CAN_SEND and mptcp:
            if not (regular and (half.backup_heard or half.removed)):
                _new(world, role, number, half, events)
            if half.ahead is None and held and not (role == number == 0 and bound(world)):
                _old(world, role, number, held, events)
        if half.owed or owes:
            events.append(_simple(Acknowledge, role, number))
            owes = False
        if state in AGAIN:
            _again(role, number, half, events)
        if state != "TIME_WAIT":
            if may_finish:
                events.append(_simple(Finish, role, number))
            if may_end(host, len(live) > (number in live)):
                if state in CAN_SEND and half.ahead is None:
                    events.append(_simple(Close, role, number))
                if may_reset(host, half):
                    events.append(_simple(Reset, role, number))
    speaking = [number for number, half in enumerate(halves) if half.state in SPEAKS]
    if mptcp and speaking:
        _signals(world, role, speaking, events)
    if mptcp and live:
        _windows(world, role, live, events)
    joinable = host.state in LISTENS and host.heard and host.peer_knows
    if joinable and len(halves) < settings.subflows:
        _joins(world, role, events)


def _free(world: World, role: int, number: int) -> bool:
    """Whether a segment without DATA_ACK does no harm on a subflow."""
    subflow = world.subflows[number]
    if role == 0 and not world.hosts[0].peer_knows:
        return False
    return (
        subflow.halves[1 - role].confirmed
        or subflow.halves[role].rcv_nxt <= 1 + subflow.path.syn_data[1 - role]
    )


def _signals(world: World, role: int, speaking: list[int], events: list[Event]) -> None:
    """Fast close, addresses and priorities, on the first subflow that will do."""
    host, settings, first = world.hosts[role], world.settings, speaking[0]
    if host.state in ABORTS:
        events.append(_simple(FastClose, role, first))
    free = next((number for number in speaking if _free(world, role, number)), None)
    if free is not None and host.state not in BOTH_ENDED:
        told = {index for index, _, _ in host.announced}
        for index in range(1, len(settings.addresses[role])):
            if index not in told:
                events.append(Announce(host=role, subflow=free, address=index))
                break
        for index, port, echoed in host.announced:
            if not echoed:
                event = Announce(host=role, subflow=free, address=index, port=port)
                events.append(event)
                break
        if host.echoes:
            events.append(_simple(Echo, role, free))
    own = world.subflows[first].path.local[role]
    for index in dict.fromkeys(
        (*(each.path.local[role] for each in world.subflows), *(at for at, _, _ in host.announced))
    ):
        if index != own:
            events.append(Withdraw(host=role, subflow=first, addresses=(index,)))
            break
    last = speaking[-1]
    backup = not world.subflows[last].halves[role].backup
    events.append(Prioritise(host=role, subflow=last, backup=backup))


def _windows(world: World, role: int, live: list[int], events: list[Event]) -> None:
    """What an application that does not read leads to, and probes."""
    host = world.hosts[role]
    if host.stalled:
        events.append(_simple(Read, role, live[0]))
    else:
        events.append(Stall(host=role))
    halves = [(number, world.subflows[number].halves[role]) for number in live]
    for number, half in halves:
        if may_probe(host, half) and not (role == number == 0 and bound(world)):
            events.append(_simple(Probe, role, number))
            break
    idle = [(not half.removed, number) for number, half in halves if may_keep_alive(half)]
    if idle:
        events.append(_simple(KeepAlive, role, min(idle)[1]))


def _new(world: World, role: int, number: int, half: Half, events: list[Event]) -> None:
    """New data; more of what was announced."""
    host, most = world.hosts[role], half.limit - half.snd_nxt
    if half.ahead is not None:
        most = min(most, half.ahead.sequence + half.ahead.octets - half.snd_nxt)
    elif host.state in DATA_OUT and not elsewhere(world, role, number):
        most = min(most, fresh(host)[1])
    else:
        return
    if most > 0:
        octets = min(most, world.settings.unit)
        events.append(Send(host=role, subflow=number, octets=octets))


def _old(world: World, role: int, number: int, held: list[Spans], events: list[Event]) -> None:
    """Data once more, under a new mapping: here, or from another subflow."""
    host, half = world.hosts[role], world.subflows[number].halves[role]
    unit = min(world.settings.unit, half.limit - half.snd_nxt)
    if unit <= 0:
        return
    own = held[number]
    for low, high in own:
        low = max(low, host.snd_una)
        if low < high:
            octets = min(unit, high - low)
            events.append(Remap(host=role, subflow=number, at=low, octets=octets))
            break
    for other, subflow in enumerate(world.subflows):
        if other == number or not held[other]:
            continue
        half = subflow.halves[role]
        gone = half.removed or half.state == "GONE"
        trigger = "address_removed" if gone else "subflow_end" if half.state == "CLOSED" else (
            "timeout")  # fmt: skip
        for low, high in held[other]:
            low = max(low, host.snd_una)
            for first, last in own:
                if first <= low < last:
                    low = last
                elif low < first:
                    high = min(high, first)
            if low < high:
                octets = min(unit, high - low)
                events.append(
                    Copy(host=role, subflow=number, at=low, octets=octets, trigger=trigger)
                )
                break


def _again(role: int, number: int, half: Half, events: list[Event]) -> None:
    """TCP retransmission of the first segment that was not acknowledged."""
    for record in half.records:
        if record.end > half.snd_una:
            event = Retransmit(host=role, subflow=number, sequence=record.sequence)
            events.append(event)
            return
    if half.fin is not None and half.snd_una <= half.fin:
        events.append(Retransmit(host=role, subflow=number, sequence=half.fin))


def _joins(world: World, role: int, events: list[Event]) -> None:
    """A join from the first own address of the peer address's family, to each of those."""
    addresses = world.settings.addresses
    used = {each.path.local[role] for each in world.subflows}
    for remote, port in targets(world, role):
        family = addresses[1 - role][remote].version
        here = [at for at, each in enumerate(addresses[role]) if each.version == family]
        if here:
            local = next((at for at in here if at not in used), here[0])
            events.append(Join(host=role, local=local, remote=remote, port=port))
