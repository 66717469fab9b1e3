"""Schedulers: who sends what on which subflow, and what is sent again elsewhere (sections 3.3.6
and 3.3.8 of RFC 8684 leave it open).

Each is a policy that chooses events. Copies that a redundant scheduler makes by itself have no
trigger; those that answer an event name it. The truth of a trace has the sender's intention, which
a capture does not show; the schedulers here serve to score how well it can be guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.driver import Agent, Limits, Policy, drive
from mptcp_oracle.model.events import Copy, Event, Reset, Send, Withdraw
from mptcp_oracle.model.network import Network, Path
from mptcp_oracle.model.policies_bulk import SENDER, Carrier, Transfer
from mptcp_oracle.model.sending import carried
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import Trace
from mptcp_oracle.model.world import DATA_OUT, Spans, World

__all__ = ["SCHEDULERS", "TRIGGERS", "Scheduler", "transfer"]

MS = 1_000_000

TRIGGERS: Mapping[str, str] = MappingProxyType(
    {
        "timeout": "nothing was DATA_ACKed for the MPTCP-level retransmission time-out",
        "loss": "TCP's time-out struck on the subflow that carried it",
        "opportunistic": "the receive window is full of data that a slow subflow holds up",
        "subflow_end": "the subflow that carried it ended",
        "address_removed": "the address of the subflow that carried it was withdrawn",
    }
)
"""What reinjections answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler(Policy):
    """A bulk transfer from the initiator to the listener.

    Attributes:
        octets: Data to send. joins: Further subflows; whether each is a backup.
        copies: ``""`` for a scheduler that sends each octet once; ``all`` on every subflow at the
            same time, waiting for the slowest; ``unacked`` on every subflow as fast as it goes,
            but for what was DATA_ACKed meanwhile; ``start`` like ``unacked``, for the beginning.
        rotate: Whether subflows take turns; else the one with the lowest round trip has priority.
        beginning: Octets that ``start`` means.
        timeout: Nanoseconds of the MPTCP-level retransmission time-out; 0 for none.
        after_loss: Whether a TCP time-out makes it send the data on another subflow.
        opportunistic: Whether it sends again elsewhere, and halves the slow subflow's window,
            what keeps the receive window full.
        ends: Which of the joined subflows ends, from 0, when half of the data was sent.
        withdraws: Whether it ends because the sender lost its address and says so by REMOVE_ADDR;
            else by a reset.
    """

    octets: int = 140_000
    joins: tuple[bool, ...] = (False,)
    copies: str = ""
    rotate: bool = False
    beginning: int = 14_000
    timeout: int = 0
    after_loss: bool = False
    opportunistic: bool = False
    ends: int | None = None
    withdraws: bool = False

    @property
    def redundant(self) -> bool:
        """Whether it sends octets on several subflows before it knows anything about them."""
        return bool(self.copies)

    def start(self, settings: Settings, network: Network) -> Agent:
        """The scheduler at work."""
        return _Scheduling(self, settings, network)


SCHEDULERS: Mapping[str, Scheduler] = MappingProxyType(
    {
        "lowest_rtt": Scheduler(),
        "round_robin": Scheduler(rotate=True),
        "backup_aware": Scheduler(joins=(True, False)),
        "redundant": Scheduler(copies="all"),
        "redundant_unacked": Scheduler(copies="unacked"),
        "redundant_start": Scheduler(copies="start"),
        "redundant_backup_aware": Scheduler(copies="unacked", joins=(True, False)),
        "data_timeout": Scheduler(timeout=250 * MS, rotate=True),
        "aggressive_timeout": Scheduler(timeout=60 * MS, rotate=True),
        "after_loss": Scheduler(after_loss=True, rotate=True),
        "opportunistic": Scheduler(opportunistic=True),
        "subflow_end": Scheduler(ends=0, rotate=True),
        "address_removed": Scheduler(ends=0, withdraws=True, rotate=True),
    }
)
"""By name."""


def transfer(
    scheduler: Scheduler,
    choices: Choices,
    *,
    segments: int = 100,
    loss: int = 0,
    delays: Sequence[int] = (10 * MS, 10 * MS, 15 * MS),
    rate: int = 4_000_000,
    settings: Settings | None = None,
    limits: Limits | None = None,
) -> Trace:
    """A bulk transfer until it is over: one cell of a table of schedulers and networks.

    Args:
        scheduler: How the initiator sends.
        choices: Where losses come from.
        segments: Full segments of data.
        loss: Parts of a thousand segments that each path loses.
        delays: Nanoseconds one way, by subflow.
        rate: Octets a second of each path.
        settings: The connection; by default version 1 without checksums.
        limits: When to give up; by default some twenty times what it takes.
    """
    settings = settings or Settings()
    paths = tuple(Path(delay=delay, loss=loss, rate=rate) for delay in delays)
    limits = limits or Limits(
        segments=20 * segments + 200, time=600_000 * MS, events=100 * segments + 1000
    )
    policy = replace(scheduler, octets=segments * settings.largest)
    return drive(settings, policy, Network(paths=paths), choices, limits)


class _Scheduling(Transfer):
    """A scheduler at work."""

    def __init__(self, policy: Scheduler, settings: Settings, network: Network) -> None:
        super().__init__(settings, network, policy.octets, policy.joins)
        self.policy = policy
        self.turns = 0
        self.head, self.stuck = 1, 0  # lowest DSN without DATA_ACK, and since when it waits
        self.rescued: dict[str, int] = {}  # up to which DSN each trigger was answered
        self.owed: list[tuple[int, int, str]] = []  # DSNs to send again elsewhere, and why
        self.ended = False

    def schedule(self, world: World, now: int) -> Event | None:
        """What to send now, if windows allow anything."""
        host = world.hosts[SENDER]
        if host.snd_una != self.head or host.snd_una == host.snd_nxt:
            self.head, self.stuck = host.snd_una, now
        if host.state not in DATA_OUT or not self._started(world):
            return None
        return (
            self._end(world)
            or self._reinject(world, now)
            or (
                self._copied(world) if self.policy.copies else self._fresh(world, self._able(world))
            )
        )

    def _started(self, world: World) -> bool:
        """Whether the subflows are all there; one of them has to carry data before."""
        if not self.joins or not world.hosts[SENDER].heard:
            return True
        states = {subflow.halves[SENDER].state for subflow in world.subflows}
        return len(world.subflows) > len(self.joins) and not states & {
            "SYN_SENT", "PRE_ESTABLISHED"
        }  # fmt: skip

    def _able(self, world: World) -> list[Carrier]:
        """Usable subflows, backups only if there are no others; the preferred one first."""
        usable = self.usable(world)
        regular = [
            carrier
            for carrier in usable
            if not world.subflows[carrier.number].halves[SENDER].backup
            and not world.subflows[carrier.number].halves[SENDER].backup_heard
        ]
        able = sorted(regular or usable, key=lambda carrier: (carrier.round_trip, carrier.number))
        if self.policy.rotate and able:
            able.sort(key=lambda carrier: carrier.number)
            shift = self.turns % len(able)
            able = able[shift:] + able[:shift]
        return able

    def _fresh(self, world: World, able: list[Carrier]) -> Event | None:
        """New data on the first subflow with room."""
        host = world.hosts[SENDER]
        octets = min(self.size, self.end - host.snd_nxt)
        if octets <= 0 or host.snd_nxt + octets > host.limit:
            return None
        if not host.heard and host.snd_nxt > 1:
            # Until a DSS has crossed the initial path there is one segment to show it.
            return None
        for carrier in able:
            if self.room(world, carrier):
                self.turns += 1
                return Send(host=SENDER, subflow=carrier.number, octets=octets)
        return None

    def _copied(self, world: World) -> Event | None:
        """New data, or a copy of data, as a redundant scheduler sends it."""
        policy, host, able = self.policy, world.hosts[SENDER], self._able(world)
        if policy.copies == "start" and host.snd_nxt > policy.beginning:
            return self._fresh(world, able)
        for carrier in able:
            carrier.done = max(carrier.done, host.snd_una)
            if carrier.done >= host.snd_nxt or not self.room(world, carrier):
                continue
            copy = self._copy(world, carrier, carrier.done, host.snd_nxt, "")
            if copy is not None:
                carrier.done = copy.at + copy.octets
                return copy
            carrier.done = host.snd_nxt
        if policy.copies == "all" and not all(self.room(world, carrier) for carrier in able):
            return None
        new = self._fresh(world, able)
        if isinstance(new, Send):
            for carrier in able:
                if carrier.number == new.subflow and carrier.done == host.snd_nxt:
                    carrier.done = host.snd_nxt + new.octets
        return new

    def _copy(
        self, world: World, carrier: Carrier, first: int, last: int, trigger: str
    ) -> Copy | None:
        """A copy of the first data in ``[first, last)`` that this subflow may copy."""
        host = world.hosts[SENDER]
        own = carried(world, carrier.number, SENDER)
        first = max(first, host.snd_una)
        others: Spans = ()
        for subflow in range(len(world.subflows)):
            if subflow != carrier.number:
                others += carried(world, subflow, SENDER)
        for low, high in sorted(others):
            start, stop = max(low, first), min(high, last)
            for mine, until in own:
                if mine <= start < until:
                    start = until
                elif start < mine < stop:
                    stop = mine
            if start < stop:
                return Copy(
                    host=SENDER,
                    subflow=carrier.number,
                    at=start,
                    octets=min(self.size, stop - start),
                    trigger=trigger,
                )
        return None

    def _reinject(self, world: World, now: int) -> Event | None:
        """A copy that answers an event, the oldest data first."""
        policy, host = self.policy, world.hosts[SENDER]
        outstanding = host.snd_nxt > host.snd_una
        if policy.timeout and outstanding:
            due = max(self.stuck, self.rescued.get("clock", 0)) + policy.timeout
            if now >= due:
                self.rescued["clock"] = now
                self.owed.append((host.snd_una, host.snd_una + self.size, "timeout"))
            else:
                self.later(due)
        if policy.after_loss:
            for carrier in self.carriers:
                if carrier.lost:
                    carrier.lost = False
                    self._owe(world, carrier, "loss")
        if policy.opportunistic and outstanding and host.snd_nxt + self.size > host.limit:
            self._penalize(world)
        while self.owed:
            first, last, trigger = self.owed[0]
            for carrier in sorted(self.usable(world), key=lambda one: one.round_trip):
                if not self.room(world, carrier):
                    continue
                copy = self._copy(world, carrier, first, last, trigger)
                if copy is not None:
                    self.owed[0] = (copy.at + copy.octets, last, trigger)
                    return copy
            if last > host.snd_una and not all(
                self.room(world, carrier) for carrier in self.usable(world)
            ):
                return None
            del self.owed[0]
        return None

    def _owe(self, world: World, carrier: Carrier, trigger: str) -> None:
        """All that a subflow carried and that was not DATA_ACKed is to go elsewhere."""
        for low, high in carried(world, carrier.number, SENDER):
            if high > world.hosts[SENDER].snd_una:
                self.owed.append((low, high, trigger))

    def _penalize(self, world: World) -> None:
        """The window is full: send its first data on a quicker subflow, slow down the holder."""
        head = world.hosts[SENDER].snd_una
        if self.rescued.get("opportunistic", 0) > head:
            return
        usable = self.usable(world)
        for carrier in usable:
            spans = carried(world, carrier.number, SENDER)
            if any(low <= head < high for low, high in spans) and any(
                other.round_trip < carrier.round_trip for other in usable
            ):
                self.rescued["opportunistic"] = head + self.size
                self.owed.append((head, head + self.size, "opportunistic"))
                carrier.window = max(1.0, carrier.window / 2)
                return

    def _end(self, world: World) -> Event | None:
        """The end of a subflow, half way."""
        policy, host = self.policy, world.hosts[SENDER]
        if policy.ends is None or self.ended or host.snd_nxt <= policy.octets // 2:
            return None
        self.ended = True
        number = policy.ends + 1
        if number >= len(self.carriers):
            return None
        if policy.withdraws:
            self._owe(world, self.carriers[number], "address_removed")
            index = world.subflows[number].path.local[SENDER]
            return Withdraw(host=SENDER, subflow=0, addresses=(index,))
        self._owe(world, self.carriers[number], "subflow_end")
        return Reset(host=SENDER, subflow=number, reason=3 if world.version else None)
