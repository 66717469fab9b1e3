"""Vantage points: which packets a tap sees, when, and in which form.

At a host the tap sees the host's own segments as and when they are sent, and the peer's as and
when they arrive. Between the hosts it sees what gets so far: a lost segment only if it was lost
beyond the tap, a middlebox's changes only behind it. Two taps into one file see what reaches
both twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mptcp_oracle.model.capture import Frame
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.trace import Sent, Trace

__all__ = ["ID_STEP", "Tap", "mark", "same_packet", "tap"]

#: Difference of the IP identifications of successive packets of one host; the pieces of a
#: packet that offload cuts take those between.
ID_STEP = 8

Item = tuple[int, int, int, Frame]  # time, 0 arrival or 1 sending, turn, frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Where and how packets are captured.

    Attributes:
        vantage: One of :data:`~mptcp_oracle.model.capture.VANTAGES`.
        epoch: Time of capture of the virtual clock's zero, in nanoseconds since the epoch.
        position: For a tap in the middle: how far it is from the initiator, in parts of a
            thousand of the way.
        box_first: For a tap in the middle: whether middleboxes are between it and the initiator,
            rather than the listener.
        lost_beyond: Parts of a thousand lost segments that are lost beyond a tap in the middle.
        hops: Routers between the hosts; a tap in the middle has half of them on each side.
        ids: First IP identification of initiator and listener; ``None`` for one that sends 0.
        apart: Whether the tap has an interface for each subflow, rather than one for all.
    """

    vantage: str = "middle"
    epoch: int = 0
    position: int = 500
    box_first: bool = False
    lost_beyond: int = 500
    hops: int = 2
    ids: tuple[int | None, int | None] = (1, 1)
    apart: bool = False


def tap(trace: Trace, where: Tap, choices: Choices) -> tuple[Frame, ...]:
    """What a tap sees of a trace, in order of time.

    Args:
        trace: The trace.
        where: The tap.
        choices: Asked once for each lost segment, by a tap in the middle only.
    """
    ids = _identifications(trace, where)
    items: list[Item]
    if where.vantage == "initiator":
        items = _at_host(trace, where, ids, 0, 0)
    elif where.vantage == "listener":
        items = _at_host(trace, where, ids, 1, 0)
    elif where.vantage == "both":
        width = len(trace.subflows) if where.apart else 1
        items = _at_host(trace, where, ids, 0, 0) + _at_host(trace, where, ids, 1, width)
    else:
        items = _between(trace, where, ids, choices)
    items.sort(key=_moment)
    return mark(frame for _, _, _, frame in items)


def mark(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """The frames, each with ``again`` true exactly if an earlier one holds the same packet."""
    seen: dict[int, list[Sent]] = {}
    marked = []
    for frame in frames:
        segment = frame.segment
        earlier = seen.get(segment.number)
        again = False
        if earlier is None:
            seen[segment.number] = [segment]
        elif any(other is segment or same_packet(other, segment) for other in earlier):
            again = True
        else:
            earlier.append(segment)
        marked.append(frame if frame.again is again else replace(frame, again=again))
    return tuple(marked)


def same_packet(one: Sent, two: Sent) -> bool:
    """Whether two segments of one number look like one packet: by header and length.

    A packet stays the same one where only octets of its payload were changed on the way.
    """
    return (
        one.sequence == two.sequence
        and len(one.payload) == len(two.payload)
        and one.flags == two.flags
        and one.ack == two.ack
        and one.window == two.window
        and one.options == two.options
    )


def _moment(item: Item) -> tuple[int, int, int]:
    return item[:3]


def _identifications(trace: Trace, where: Tap) -> list[int | None]:
    """The IP identification of each segment: a counter for each host of each connection."""
    counters: dict[tuple[int, int], int] = {}
    owner = [subflow.connection for subflow in trace.subflows]
    ids: list[int | None] = []
    for segment in trace.segments:
        first = where.ids[segment.host]
        if first is None:
            ids.append(None)
            continue
        key = (owner[segment.subflow], segment.host)
        turn = counters.get(key, 0)
        counters[key] = turn + 1
        ids.append((first + turn * ID_STEP - 1) % 0xFFF8 + 1)
    return ids


def _at_host(
    trace: Trace, where: Tap, ids: Sequence[int | None], host: int, interface: int
) -> list[Item]:
    """What a tap at a host sees; its interfaces are numbered from ``interface`` on."""
    epoch, apart = where.epoch, where.apart
    items: list[Item] = [
        (
            segment.time,
            1,
            segment.number,
            Frame(
                segment=segment,
                time=epoch + segment.time,
                ip_id=ids[segment.number],
                interface=interface + segment.subflow if apart else interface,
                outgoing=True,
            ),
        )
        for segment in trace.segments
        if segment.host == host
    ]
    arrived: set[int] = set()
    for turn, delivery in enumerate(trace.deliveries):
        segment = delivery.segment
        if segment.host == host:
            continue
        frame = Frame(
            segment=segment,
            time=epoch + delivery.time,
            ip_id=ids[segment.number],
            # The second copy of a packet that the network doubled went another way.
            hops=where.hops + (segment.number in arrived),
            interface=interface + segment.subflow if apart else interface,
            outgoing=False,
        )
        arrived.add(segment.number)
        items.append((delivery.time, 0, turn, frame))
    return items


def _between(trace: Trace, where: Tap, ids: Sequence[int | None], choices: Choices) -> list[Item]:
    """What a tap between the hosts sees."""
    arrivals: dict[int, list[tuple[int, Sent]]] = {}
    usual: dict[tuple[int, int], int] = {}
    boxed: set[tuple[int, int]] = set()
    for delivery in trace.deliveries:
        number = delivery.segment.number
        arrivals.setdefault(number, []).append((delivery.time, delivery.segment))
        sent = trace.segments[number]
        way = (sent.subflow, sent.host)
        if delivery.segment is not sent and delivery.segment != sent:
            boxed.add(way)
        took = delivery.time - sent.time
        usual[way] = min(took, usual.get(way, took))
    near = where.hops // 2
    hops = (near, where.hops - near)
    items: list[Item] = []
    for sent in trace.segments:
        number, host = sent.number, sent.host
        share = where.position if host == 0 else 1000 - where.position
        # Whether a middlebox on the way has had its turn when the tap sees the segment.
        changed = where.box_first is (host == 0)
        seen = arrivals.get(number)
        if seen is None:
            # What a middlebox made of a segment that was lost behind it, nobody knows.
            way = (sent.subflow, host)
            if (changed and way in boxed) or not choices.chance(where.lost_beyond, 1000):
                continue
            seen = [(sent.time + usual.get(way, 0), sent)]
        for turn, (arrival, received) in enumerate(seen):
            time = sent.time + (arrival - sent.time) * share // 1000
            frame = Frame(
                segment=received if changed else sent,
                time=where.epoch + time,
                ip_id=ids[number],
                hops=hops[host] + (turn > 0),
                interface=sent.subflow if where.apart else 0,
            )
            items.append((time, 1, number, frame))
    return items
