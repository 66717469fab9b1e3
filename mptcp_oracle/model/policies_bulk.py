"""Bulk transfer: what a sending and a receiving stack do by themselves, whatever the scheduler.

The initiator sends, the listener acknowledges. TCP works on each subflow as usual: a congestion
window that grows with acknowledgments, fast retransmission after three duplicate ACKs, a
retransmission time-out that doubles, delayed ACKs. :mod:`mptcp_oracle.model.policies_schedulers`
adds who sends what on which subflow.
"""

from __future__ import annotations

from abc import abstractmethod

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Agent, Turn
from mptcp_oracle.model.events import (
    Acknowledge,
    Close,
    Connect,
    Deliver,
    Event,
    Finish,
    Join,
    Retransmit,
)
from mptcp_oracle.model.network import Network
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import SYN
from mptcp_oracle.model.world import ALIVE, CAN_SEND, JOINING, MPTCP, Half, World

__all__ = ["SENDER", "Carrier", "Endurance", "Transfer"]

MS = 1_000_000
SENDER, RECEIVER = 0, 1
#: Nanoseconds of the least retransmission time-out, of a delayed ACK, of a SYN's time-out.
LEAST_TIMEOUT, DELAYED_ACK, SYN_TIMEOUT = 200 * MS, 40 * MS, 1000 * MS
INITIAL_WINDOW = 10


class Carrier:
    """What a sending TCP remembers of one subflow.

    Attributes:
        number: The subflow. round_trip: Nanoseconds, without queues.
        window: Congestion window in segments. threshold: Where slow start ends.
        una: Highest acknowledgment. repeats: Duplicate ACKs since.
        recovery: Sequence number at which a recovery ends. timeouts: In a row.
        moved: When the acknowledgment moved last, or the queue began.
        lost: Whether a time-out has struck since.
        done: How far a redundant scheduler got on it, as a DSN.
    """

    __slots__ = (
        "done", "lost", "moved", "number", "recovery", "repeats", "round_trip", "threshold",
        "timeouts", "una", "window",
    )  # fmt: skip

    def __init__(self, number: int, round_trip: int) -> None:
        self.number, self.round_trip = number, round_trip
        self.window, self.threshold = float(INITIAL_WINDOW), 1e9
        self.una = self.repeats = self.recovery = self.timeouts = self.moved = 0
        self.lost = False
        self.done = 1

    def timeout(self) -> int:
        """Nanoseconds until TCP sends again what was not acknowledged."""
        return max(LEAST_TIMEOUT, 3 * self.round_trip) << min(self.timeouts, 6)

    def acknowledged(self, una: int, size: int, now: int) -> None:
        """The acknowledgment moved: grow the window, unless a loss is being repaired."""
        if una >= self.recovery:
            segments = max(1, (una - self.una) // size)
            for _ in range(segments):
                self.window += 1 if self.window < self.threshold else 1 / self.window
        self.una, self.moved, self.repeats, self.timeouts = una, now, 0, 0

    def halve(self, until: int) -> None:
        """A loss: half the window, until all that is out is acknowledged."""
        self.threshold = max(2.0, self.window / 2)
        self.window = self.threshold
        self.recovery = until


class Endurance:
    """When a half last made progress in its handshake or close, and how often it tried again."""

    __slots__ = ("since", "state", "tries")

    def __init__(self, state: str, since: int) -> None:
        self.state, self.since, self.tries = state, since, 0


class Transfer(Agent):
    """A bulk transfer at work.

    Args:
        settings: The connection. network: Its paths.
        octets: Data that the initiator sends.
        joins: Subflows to open beside the initial one, each from and to the next address;
            whether it is a backup.
    """

    def __init__(
        self, settings: Settings, network: Network, octets: int, joins: tuple[bool, ...]
    ) -> None:
        self.settings, self.network = settings, network
        self.size, self.end = settings.largest, 1 + octets
        self.joins = joins
        self.carriers: list[Carrier] = []
        self.fresh: dict[int, int] = {}  # segments that came since the last ACK, by subflow
        self.first: dict[int, int] = {}  # when the first of them came
        self.urgent: set[int] = set()
        self.ends: dict[tuple[int, int], Endurance] = {}
        self.clock = 0
        self.wake: int | None = None

    @abstractmethod
    def schedule(self, world: World, now: int) -> Event | None:
        """New data, a copy or whatever else the scheduler wants to send now."""

    def shape(self, world: World, event: Deliver, choices: Choices) -> Deliver:
        """Note what the receiver and the sender learn from a segment that arrives."""
        segment = next(one for one in world.flight if one.number == event.number)
        number = segment.subflow
        half = world.subflows[number].halves[1 - segment.host]
        if segment.payload and segment.host == SENDER:
            if segment.sequence != half.rcv_nxt or half.received:
                self.urgent.add(number)
            if not self.fresh.get(number):
                self.first[number] = self.clock
            self.fresh[number] = self.fresh.get(number, 0) + 1
        elif segment.host == RECEIVER and number < len(self.carriers):
            carrier = self.carriers[number]
            if (
                segment.ack == half.snd_una
                and not segment.payload
                and not segment.flags & SYN
                and half.snd_nxt > half.snd_una
                and half.state == "ESTABLISHED"
            ):
                carrier.repeats += 1
        return Deliver(number=event.number, data_ack=8)

    def turn(self, world: World, now: int, idle: bool, choices: Choices) -> Turn:
        """The most urgent thing to do, or when there will be one."""
        self.clock, self.wake = now, None
        if not world.subflows:
            return Connect(), None
        self._observe(world, now)
        event = (
            self._acknowledge(world, now)
            or self._confirm(world)
            or self._recover(world, now)
            or self._join(world)
            or self.schedule(world, now)
            or self._finish(world)
        )
        return event, None if event else self.wake

    def later(self, time: int) -> None:
        """Ask to be woken at a time, or before."""
        self.wake = time if self.wake is None else min(self.wake, time)

    def usable(self, world: World) -> list[Carrier]:
        """Subflows on which the sender may send data."""
        return [
            carrier
            for carrier in self.carriers
            if world.subflows[carrier.number].halves[SENDER].state in CAN_SEND
        ]

    def room(self, world: World, carrier: Carrier) -> bool:
        """Whether both windows of a subflow have room for a full segment."""
        half = world.subflows[carrier.number].halves[SENDER]
        flight = half.snd_nxt - half.snd_una
        inside = half.snd_nxt + self.size <= half.limit
        return inside and flight + self.size <= carrier.window * self.size

    def _observe(self, world: World, now: int) -> None:
        """Note new subflows and acknowledgments."""
        for number in range(len(self.carriers), len(world.subflows)):
            self.carriers.append(Carrier(number, self.network.path(number).round_trip))
        for carrier in self.carriers:
            half = world.subflows[carrier.number].halves[SENDER]
            if half.snd_una > carrier.una:
                carrier.acknowledged(half.snd_una, self.size, now)
                carrier.lost = False
            elif half.snd_una == half.snd_nxt:
                carrier.moved = now

    def _acknowledge(self, world: World, now: int) -> Event | None:
        """An ACK that is owed: at once for disorder, every other segment, FINs and the like."""
        for number, subflow in enumerate(world.subflows):
            if _answers(subflow.halves[SENDER]):
                return Acknowledge(host=SENDER, subflow=number)
            half = subflow.halves[RECEIVER]
            count = self.fresh.get(number, 0)
            if not _answers(half):
                self._acked(number)
                continue
            if not count:
                return Acknowledge(host=RECEIVER, subflow=number)
            due = self.first[number] + DELAYED_ACK
            if count >= 2 or number in self.urgent or now >= due:
                self._acked(number)
                return Acknowledge(host=RECEIVER, subflow=number)
            self.later(due)
        return None

    def _confirm(self, world: World) -> Event | None:
        """A DATA_ACK that is owed though no subflow owes an ACK."""
        for role, host in enumerate(world.hosts):
            if host.owed and host.state in MPTCP and not any(self.fresh.values()):
                for number, subflow in enumerate(world.subflows):
                    half = subflow.halves[role]
                    if half.state in ALIVE and half.state != "PRE_ESTABLISHED":
                        return Acknowledge(host=role, subflow=number)
        return None

    def _acked(self, number: int) -> None:
        self.fresh[number] = 0
        self.urgent.discard(number)

    def _recover(self, world: World, now: int) -> Event | None:
        """What TCP sends again: handshakes and FINs after a time-out, data also before."""
        for carrier in self.carriers:
            half = world.subflows[carrier.number].halves[SENDER]
            if half.snd_una >= half.snd_nxt or half.state not in CAN_SEND:
                continue
            again = half.snd_una < carrier.recovery and carrier.moved == now
            if carrier.repeats == 3 and half.snd_una >= carrier.recovery:
                carrier.repeats = 4
                carrier.halve(half.snd_nxt)
                again = True
            due = carrier.moved + carrier.timeout()
            if now >= due:
                carrier.timeouts += 1
                carrier.moved = now
                carrier.halve(half.snd_nxt)
                carrier.window = 1.0
                carrier.lost = again = True
            first = next((one for one in half.records if one.end > half.snd_una), None)
            if again and first is not None:
                carrier.moved = now + 1
                return Retransmit(host=SENDER, subflow=carrier.number, sequence=first.sequence)
            self.later(carrier.moved + carrier.timeout())
        return self._persist(world, now)

    def _persist(self, world: World, now: int) -> Event | None:
        """Handshake segments, FINs and the DATA_FIN that got no answer."""
        for number, subflow in enumerate(world.subflows):
            for role in (SENDER, RECEIVER):
                half = subflow.halves[role]
                waits = half.state in JOINING or (half.fin is not None and half.state in (
                    "FIN_WAIT_1", "CLOSING", "LAST_ACK"
                ))  # fmt: skip
                note = self.ends.get((number, role))
                if note is None or note.state != half.state:
                    note = self.ends[number, role] = Endurance(half.state, now)
                if not waits or note.tries > 6:
                    continue
                due = note.since + (SYN_TIMEOUT << note.tries)
                if now < due:
                    self.later(due)
                    continue
                note.tries += 1
                sequence = half.fin if half.fin is not None else 0
                if half.state == "PRE_ESTABLISHED":
                    sequence = 1
                return Retransmit(host=role, subflow=number, sequence=sequence)
        for role in (SENDER, RECEIVER):
            host = world.hosts[role]
            note = self.ends.get((-1, role))
            if note is None or note.state != host.state:
                note = self.ends[-1, role] = Endurance(host.state, now)
            if host.state not in ("M_FIN_WAIT_1", "M_CLOSING", "M_LAST_ACK") or note.tries > 6:
                continue
            due = note.since + (SYN_TIMEOUT << note.tries)
            if now < due:
                self.later(due)
                continue
            note.tries += 1
            talker = self._talker(world, role)
            if talker is not None:
                return Finish(host=role, subflow=talker)
        return None

    def _talker(self, world: World, role: int) -> int | None:
        """The quickest subflow on which a host may send."""
        able = [
            carrier
            for carrier in self.carriers
            if world.subflows[carrier.number].halves[role].state in CAN_SEND
        ]
        return min(able, key=_quick).number if able else None

    def _join(self, world: World) -> Event | None:
        """The next subflow, once a DSS crossed the initial one."""
        opened = len(world.subflows)
        if opened <= len(self.joins) and world.hosts[SENDER].heard:
            here = min(opened, len(self.settings.addresses[SENDER]) - 1)
            return Join(host=SENDER, local=here, remote=0, backup=self.joins[opened - 1])
        return None

    def _finish(self, world: World) -> Event | None:
        """DATA_FINs, when all was acknowledged, then FINs."""
        first, second = world.hosts
        if first.state in ("M_ESTAB", "M_ESTAB_NEW") and first.snd_una >= self.end:
            number = self._talker(world, SENDER)
            if number is not None and not self._owing(world):
                return Finish(host=SENDER, subflow=number)
        if second.state == "M_CLOSE_WAIT":
            number = self._talker(world, RECEIVER)
            if number is not None:
                return Finish(host=RECEIVER, subflow=number)
        if first.state in ("M_TIME_WAIT", "M_CLOSED") or second.state == "M_CLOSED":
            for number, subflow in enumerate(world.subflows):
                for role, half in enumerate(subflow.halves):
                    done = world.hosts[role].state in ("M_TIME_WAIT", "M_CLOSED")
                    if half.state in CAN_SEND and done and not half.removed:  # fmt: skip
                        return Close(host=role, subflow=number, data_ack=8)
        return None

    def _owing(self, world: World) -> bool:
        return any(_unsent(subflow.halves[SENDER]) for subflow in world.subflows)


def _unsent(half: Half) -> bool:
    return half.ahead is not None


def _answers(half: Half) -> bool:
    return half.owed and half.state in ALIVE and half.state != "PRE_ESTABLISHED"


def _quick(carrier: Carrier) -> tuple[int, int]:
    return carrier.round_trip, carrier.number
