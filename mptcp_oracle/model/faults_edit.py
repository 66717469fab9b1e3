"""Editing a finished trace: change, insert or remove segments, deliveries with them.

A :class:`Draft` names segments by keys that stay the same while others come and go: a segment of
the trace has its number as key. :meth:`Draft.finish` numbers what is left anew and gives a
:class:`~mptcp_oracle.model.trace.Trace` whose labels are again true of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from mptcp_oracle.encode import encode, pad
from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.trace import (
    ConnectionTruth,
    Delivery,
    HostTruth,
    Planted,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import Dss, Option

__all__ = ["STEP", "Draft", "Place", "fits"]

STEP = 1_000
"""Nanoseconds between a segment and one inserted after it, if nothing comes between."""

TRANSIT = 10_000_000
"""Nanoseconds that a segment takes which is sent after all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fault can be planted, or was found.

    Attributes:
        host: Role of the host that is to blame.
        segments: Numbers of the segments that are to be edited, or that are the evidence.
    """

    host: int
    segments: tuple[int, ...]


@dataclass(slots=True)
class _Arrival:
    time: int
    key: int
    segment: Sent


class Draft:
    """A trace under edit.

    Attributes:
        trace: The trace as it was. choices: What decides details of the edit.
        connections, subflows: Truths, to be replaced in place by :meth:`host` and its like.
    """

    def __init__(self, trace: Trace, choices: Choices) -> None:
        self.trace, self.choices = trace, choices
        self.connections: list[ConnectionTruth] = list(trace.connections)
        self.subflows: list[SubflowTruth] = list(trace.subflows)
        self._order: list[int] = [sent.number for sent in trace.segments]
        self._sent: dict[int, Sent] = {sent.number: sent for sent in trace.segments}
        self._arrivals = [
            _Arrival(arrival.time, arrival.segment.number, arrival.segment)
            for arrival in trace.deliveries
        ]
        self._evidence: list[int] = []

    def sent(self, key: int) -> Sent:
        """A segment as it is sent by now; its ``number`` means nothing."""
        return self._sent[key]

    @property
    def order(self) -> tuple[int, ...]:
        """Keys of all segments, in order of sending."""
        return tuple(self._order)

    def connection_of(self, key: int) -> ConnectionTruth:
        """The connection of a segment."""
        return self.connections[self.subflows[self._sent[key].subflow].connection]

    def hosts_of(self, key: int) -> tuple[HostTruth, HostTruth]:
        """The sender of a segment, and its peer."""
        hosts = self.connection_of(key).hosts
        return hosts[self._sent[key].host], hosts[1 - self._sent[key].host]

    def change(self, key: int, edit: Callable[[Sent], Sent]) -> None:
        """Change a segment and its arrivals; one that a middlebox changed arrives as it did."""
        before = self._sent[key]
        after = self._sent[key] = edit(before)
        for arrival in self._arrivals:
            if arrival.key == key and arrival.segment == before:
                arrival.segment = after

    def set(self, key: int, **fields: Any) -> None:
        """Replace fields of a segment and its arrivals."""
        self.change(key, lambda sent: replace(sent, **fields))

    def options(self, key: int, edit: Callable[[Option], Option | None]) -> None:
        """Put each option of a segment through a function; ``None`` takes it away."""
        options = tuple(
            changed for option in self._sent[key].options if (changed := edit(option)) is not None
        )
        self.set(key, options=options)

    def add(self, key: int, *options: Option) -> None:
        """Append options to a segment.

        Raises:
            UsageError: They do not fit in its TCP header.
        """
        if not fits(self._sent[key], *options):
            raise UsageError("no room for the options of a fault")
        self.set(key, options=(*self._sent[key].options, *options))

    def insert(self, after: int, sent: Sent, *, lost: bool = False, gap: int = STEP) -> int:
        """Send one more segment, right after another of the same host, arriving right after it.

        Args:
            after: Key of the segment before it.
            sent: The segment; its time is chosen here.
            lost: Whether it never arrives; it does not either if the one before it did not.
            gap: Most nanoseconds between the two; only half of what there is before the next.

        Returns:
            Its key.
        """
        place = self._order.index(after)
        later = self._order[place + 1] if place + 1 < len(self._order) else None
        time = self._sent[after].time
        time += gap if later is None else min(gap, (self._sent[later].time - time) // 2)
        key = max(self._sent) + 1
        self._order.insert(place + 1, key)
        self._sent[key] = replace(sent, time=time)
        arrived = [at for at, arrival in enumerate(self._arrivals) if arrival.key == after]
        if arrived and not lost:
            at = arrived[0]
            time = self._arrivals[at].time
            following = self._arrivals[at + 1 : at + 2]
            time += min([gap, *((arrival.time - time) // 2 for arrival in following)])
            self._arrivals.insert(at + 1, _Arrival(time, key, self._sent[key]))
        return key

    def append(self, sent: Sent, *, gap: int = STEP, lost: bool = False) -> int:
        """Send one more segment after everything else was sent and has arrived; its key.

        Args:
            sent: The segment; its time is chosen here.
            gap: Nanoseconds after the last thing that happened.
            lost: Whether it never arrives.
        """
        last = max(each.time for each in self._sent.values())
        last = max([last, *(each.time for each in self._arrivals)])
        key, time = max(self._sent) + 1, last + gap
        self._order.append(key)
        self._sent[key] = replace(sent, time=time)
        if not lost:
            self._arrivals.append(_Arrival(time + TRANSIT, key, self._sent[key]))
        return key

    def remove(self, key: int) -> None:
        """Never send a segment."""
        self._order.remove(key)
        del self._sent[key]
        self._arrivals = [arrival for arrival in self._arrivals if arrival.key != key]

    def cut(self, after: int) -> None:
        """End the trace with a segment: what was sent later never was.

        Subflows of which nothing is left are forgotten; of the connections nobody knows how
        they end.
        """
        place = self._order.index(after)
        for key in self._order[place + 1 :]:
            del self._sent[key]
        del self._order[place + 1 :]
        self._arrivals = [arrival for arrival in self._arrivals if arrival.key in self._sent]
        used = {sent.subflow for sent in self._sent.values()}
        while self.subflows and len(self.subflows) - 1 not in used:
            self.subflows.pop()
        for connection in self.connections:
            shown = tuple(each for each in connection.fallback_shown if each <= self._sent.keys())
            self.connection(
                connection.number,
                closed=None,
                fallback=connection.fallback if shown else None,
                fallback_shown=shown,
            )

    def open_subflow(self, after: int, truth: SubflowTruth, sent: Sent) -> int:
        """Begin one more subflow with a segment that is lost, right after another segment.

        Args:
            after: Key of the segment before it.
            truth: The subflow; its number is chosen here.
            sent: Its SYN; its subflow is put in here.

        Returns:
            The SYN's key.
        """
        number = len(self.subflows)
        self.subflows.append(replace(truth, number=number))
        return self.insert(after, replace(sent, subflow=number), lost=True)

    def lose(self, key: int) -> None:
        """Let the network lose a segment."""
        self._arrivals = [arrival for arrival in self._arrivals if arrival.key != key]

    def arrived(self, key: int) -> int | None:
        """When a segment arrived first."""
        return next((arrival.time for arrival in self._arrivals if arrival.key == key), None)

    def pause(self, after: int, nanoseconds: int) -> None:
        """Let everything that is sent or arrives after a moment happen so much later."""
        self._sent = {
            key: replace(sent, time=sent.time + nanoseconds) if sent.time > after else sent
            for key, sent in self._sent.items()
        }
        for arrival in self._arrivals:
            if arrival.segment.time > after:
                moved = arrival.segment.time + nanoseconds
                arrival.segment = replace(arrival.segment, time=moved)
            if arrival.time > after:
                arrival.time += nanoseconds

    def connection(self, number: int, **fields: Any) -> None:
        """Replace fields of a connection's truth."""
        self.connections[number] = replace(self.connections[number], **fields)

    def host(self, number: int, role: int, **fields: Any) -> None:
        """Replace fields of the truth of one host of a connection."""
        hosts = self.connections[number].hosts
        changed = replace(hosts[role], **fields)
        self.connection(number, hosts=(changed, hosts[1]) if role == 0 else (hosts[0], changed))

    def acknowledge(self, key: int, data_ack: int) -> None:
        """Put another relative DATA_ACK into the DSS of a segment that has one."""
        base = self.hosts_of(key)[1].base

        def changed(option: Option) -> Option:
            if not isinstance(option, Dss) or option.data_ack is None:
                return option
            mask = (1 << 8 * option.data_ack_size) - 1
            return replace(option, data_ack=(base + data_ack) & mask)

        self.options(key, changed)
        self.set(key, data_ack=data_ack)

    def recount(self, number: int, role: int, base: int) -> None:
        """Let the relative DSNs of a host count from another number; the wire stays as it is."""
        by = (self.connections[number].hosts[role].base - base) & (1 << 64) - 1
        by -= (by >> 63) << 64

        def moved(sent: Sent) -> Sent:
            if self.subflows[sent.subflow].connection != number:
                return sent
            if sent.host != role:
                return sent if sent.data_ack is None else replace(sent, data_ack=sent.data_ack + by)
            return replace(
                sent,
                mapping=sent.mapping and replace(sent.mapping, dsn=sent.mapping.dsn + by),
                ranges=tuple(
                    part if part.dsn is None else replace(part, dsn=part.dsn + by)
                    for part in sent.ranges
                ),
            )

        self._sent = {key: moved(sent) for key, sent in self._sent.items()}
        for arrival in self._arrivals:
            arrival.segment = moved(arrival.segment)
        self.host(number, role, base=base)

    def subflow(self, number: int, **fields: Any) -> None:
        """Replace fields of a subflow's truth."""
        self.subflows[number] = replace(self.subflows[number], **fields)

    def blame(self, *keys: int) -> None:
        """Name segments as evidence."""
        self._evidence += keys

    def finish(self, *, name: str, requirements: tuple[str, ...], host: int) -> Trace:
        """The edited trace, with the fault in its list.

        Raises:
            OracleError: The edit named no evidence, which is an error of the fault.
        """
        if not self._evidence:
            raise OracleError(f"the fault {name} has no evidence")
        self._sort_subflows()
        numbers = {key: number for number, key in enumerate(self._order)}
        planted = Planted(
            name=name,
            requirements=requirements,
            host=host,
            segments=tuple(sorted({numbers[key] for key in self._evidence})),
        )
        return replace(
            self.trace,
            connections=tuple(_renumbered(each, numbers) for each in self.connections),
            subflows=tuple(self.subflows),
            segments=tuple(_numbered(self._sent[key], numbers[key]) for key in self._order),
            deliveries=tuple(
                Delivery(time=each.time, segment=_numbered(each.segment, numbers[each.key]))
                for each in self._arrivals
            ),
            planted=(*(_moved(each, numbers) for each in self.trace.planted), planted),
        )

    def _sort_subflows(self) -> None:
        """Number subflows by their first segments, as the model does."""
        first: dict[int, int] = {}
        for key in self._order:
            first.setdefault(self._sent[key].subflow, len(first))
        places = {old: first.get(old, old) for old in range(len(self.subflows))}
        if all(old == new for old, new in places.items()):
            return
        truths = sorted(self.subflows, key=lambda truth: places[truth.number])
        self.subflows = [replace(truth, number=places[truth.number]) for truth in truths]
        self._sent = {key: _placed(sent, places) for key, sent in self._sent.items()}
        for arrival in self._arrivals:
            arrival.segment = _placed(arrival.segment, places)


def _placed(sent: Sent, places: dict[int, int]) -> Sent:
    return replace(sent, subflow=places[sent.subflow])


def fits(sent: Sent, *options: Option) -> bool:
    """Whether a segment's TCP header has room for more options."""
    try:
        pad(encode(option) for option in (*sent.options, *options))
    except UsageError:
        return False
    return True


def _numbered(sent: Sent, number: int) -> Sent:
    return sent if sent.number == number else replace(sent, number=number)


def _moved(planted: Planted, numbers: dict[int, int]) -> Planted:
    return replace(planted, segments=_kept(planted.segments, numbers))


def _kept(segments: Iterable[int], numbers: dict[int, int]) -> tuple[int, ...]:
    return tuple(numbers[each] for each in segments if each in numbers)


def _renumbered(connection: ConnectionTruth, numbers: dict[int, int]) -> ConnectionTruth:
    """A connection with the new numbers of the segments that show its fallback."""
    shown = tuple(
        frozenset(numbers[each] for each in segments)
        for segments in connection.fallback_shown
        if segments <= numbers.keys()
    )
    return connection if not shown else replace(connection, fallback_shown=shown)
