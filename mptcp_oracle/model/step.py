"""Steps: what an event does to the world, and the truth about a world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from mptcp_oracle.model import (
    aborting,
    closing,
    falling,
    handshake,
    joining,
    receiving,
    repeating,
    sending,
    signalling,
    windows,
)
from mptcp_oracle.model.closing import OVER
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
from mptcp_oracle.model.trace import ConnectionTruth, HostTruth, Sent, SubflowTruth
from mptcp_oracle.model.turn import IllegalEvent, Turn
from mptcp_oracle.model.world import MPTCP, PLAIN, World, opening

__all__ = ["IllegalEvent", "Step", "opening", "step", "truths"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The outcome of an event.

    Attributes:
        world: The world after it. sent: The segments that were sent, in order.
        transitions: Ids of the transitions taken, in order (:mod:`mptcp_oracle.model.tables`).
    """

    world: World
    sent: tuple[Sent, ...]
    transitions: tuple[str, ...]


_HANDLERS: dict[type, Callable[[Turn, Any], None]] = {
    Connect: handshake.connect,
    Deliver: receiving.deliver,
    Lose: receiving.lose,
    Repeat: receiving.repeat,
    Join: joining.join,
    Send: closing.send,
    Acknowledge: sending.acknowledge,
    Retransmit: repeating.retransmit,
    Remap: sending.remap,
    Copy: sending.copy,
    Finish: closing.finish,
    Close: closing.close,
    Reset: closing.reset,
    FastClose: aborting.fast_close,
    Announce: signalling.announce,
    Echo: signalling.echo,
    Withdraw: signalling.withdraw,
    Prioritise: signalling.prioritise,
    Stall: windows.stall,
    Read: windows.read,
    Probe: windows.probe,
    KeepAlive: windows.keep_alive,
    Alter: falling.alter,
}
_PLACES = {kind: place for place, kind in enumerate(EVENTS)}


def step(world: World, event: Event, now: int = 0) -> Step:
    """The world after an event, and what was sent because of it.

    Args:
        world: Before; it is not changed.
        event: One of :data:`~mptcp_oracle.model.events.EVENTS`.
        now: Virtual time in nanoseconds; it only stamps what is sent.

    Raises:
        IllegalEvent: The event is not possible here, or no host may do this.
    """
    turn = Turn(world, now)
    kind = type(event)
    try:
        _HANDLERS[kind](turn, event)
    except IndexError:
        raise IllegalEvent("there is no such subflow") from None
    taken = world.taken
    if world.settings.bounds:
        place = _PLACES[kind]
        taken = taken or (0,) * len(EVENTS)
        taken = (*taken[:place], taken[place] + 1, *taken[place + 1 :])
    return Step(
        world=turn.world_after(taken),
        sent=tuple(turn.sent),
        transitions=tuple(turn.transitions),
    )


def truths(world: World) -> tuple[ConnectionTruth, tuple[SubflowTruth, ...]]:
    """The truth about the connection and its subflows, both numbered from 0."""
    settings = world.settings
    first, second = (
        HostTruth(
            key=settings.keys[role],
            checksum=settings.checksum[role],
            c_flag=settings.c_flag[role] if world.version else None,
            base=host.base,
        )
        for role, host in enumerate(world.hosts)
    )
    fallback, shown = _fallback(world)
    connection = ConnectionTruth(
        number=0,
        version=world.version,
        hosts=(first, second),
        fallback=fallback,
        fallback_shown=shown,
        closed=_closed(world),
    )
    return connection, tuple(_subflow(world, number) for number in range(len(world.subflows)))


_SHOWN = (
    ("syn", ("syn", "plain_syn", "plain_synack")),
    ("synack", ("syn", "plain_synack")),
    ("third_packet", ("synack", "plain_third")),
    ("infinite_mapping", ("infinite_mapping",)),
    ("no_mapping", ("no_mapping",)),
)
"""Fallbacks, the first that holds, by what shows them together."""


def _fallback(world: World) -> tuple[str | None, tuple[frozenset[int], ...]]:
    """How a connection became plain TCP, and the sets of segments that show it."""
    if all(host.state not in PLAIN for host in world.hosts):
        return None, ()
    for kind, words in _SHOWN:
        numbers = [[number for what, number in world.shown if what == word] for word in words]
        if all(numbers):
            return kind, tuple(frozenset(each) for each in product(*numbers))
    return None, ()


def _closed(world: World) -> str | None:
    if all(host.fin is not None and host.snd_una > host.fin for host in world.hosts):
        return "data_fin"
    if any(host.aborted for host in world.hosts):
        return "fastclose"
    if world.hosts[0].state in MPTCP and all(
        half.state in OVER for each in world.subflows for half in each.halves
    ):
        return "subflows"
    return None


def _subflow(world: World, number: int) -> SubflowTruth:
    settings, path = world.settings, world.subflows[number].path
    ids = [settings.address_id(role, path.local[role]) if number else 0 for role in (0, 1)]
    nonces = [settings.nonce(number, role) if number else 0 for role in (0, 1)]
    return SubflowTruth(
        number=number,
        connection=0,
        initial=number == 0,
        opener=path.opener,
        ends=path.ends,
        isns=(settings.isn(number, 0), settings.isn(number, 1)),
        address_ids=(ids[0], ids[1]),
        nonces=(nonces[0], nonces[1]),
        syn_data=path.syn_data,
        outcome=path.outcome,
    )
