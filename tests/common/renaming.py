"""Captures in which only names change, and the facts of them with the names changed back.

A :class:`Renaming` is a capture that says the same as another one with other addresses, ports,
initial sequence numbers, times or link types, or among frames that have nothing to do with it.
:func:`returned` gives the facts of it in the names of the other, so that both must be equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from mptcp_oracle import crypto
from mptcp_oracle.facts import Fact
from mptcp_oracle.model.capture import LINKS, Capture, Frame, Layout, Noise
from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.interleave import noise
from mptcp_oracle.model.trace import Address, Delivery, Endpoint, Sent
from mptcp_oracle.options import AddAddr, Option

__all__ = ["RENAMINGS", "Renaming", "comparable", "merged", "returned"]

FRAMES = {"frame", "first_frame", "last_frame", "state_frame", "announced", "previous"}
MASK_32 = 0xFFFF_FFFF
#: Where new names come from: blocks that neither the model nor its noise uses.
BLOCKS = {4: int(IPv4Address("100.64.0.0")), 6: int(IPv6Address("fd00:64::"))}
HMAC = re.compile(r" hmac=[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Renaming:
    """A renamed capture, and what was renamed: each table from the new name to the old one.

    Attributes:
        capture: The renamed capture.
        addresses, ports: New to old. isns: By subflow: what was added to the initial sequence
            number of each role. later: Nanoseconds that were added to all times.
        frames: New frame numbers to old ones; ``None`` if they are the same.
    """

    capture: Capture
    addresses: dict[str, str] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    isns: dict[int, tuple[int, int]] = field(default_factory=dict)
    later: int = 0
    frames: dict[int, int] | None = None


# ------------------------------------------------------------------ ends


def other_ends(capture: Capture, choices: Choices) -> Renaming:
    """All addresses and ports replaced, one by one, in headers and in ADD_ADDRs."""
    flows, links = capture.trace.subflows, _options(capture)
    addresses: dict[Address, Address] = {}
    ports: dict[int, int] = {}
    named = [(end.address, end.port) for flow in flows for end in flow.ends]
    named += [(each.address, each.port or 0) for each in links if isinstance(each, AddAddr)]
    for address, port in named:
        if address not in addresses:
            step = choices.integer(1, 1000)
            last = int(max((each for each in addresses.values() if each.version ==
                            address.version), key=int, default=type(address)(
                                BLOCKS[address.version])))  # fmt: skip
            addresses[address] = type(address)(last + step)
        if port and port not in ports:
            ports[port] = 0
    if choices.chance(1, 2):
        # Whose address is the lower one changes as well.
        for version in (4, 6):
            old = [each for each in addresses if each.version == version]
            new = [addresses[each] for each in reversed(old)]
            addresses.update(zip(old, new, strict=True))
    base = choices.integer(1, 60_000)
    for turn, port in enumerate(sorted(ports, reverse=choices.chance(1, 2))):
        ports[port] = (base + 7 * turn) % 65_535 + 1

    def end(old: Endpoint) -> Endpoint:
        return Endpoint(address=addresses[old.address], port=ports[old.port])

    hosts = [each.hosts for each in capture.trace.connections]

    def renamed(segment: Sent) -> Sent:
        if not any(isinstance(option, AddAddr) for option in segment.options):
            return segment
        keys = [each.key for each in hosts[flows[segment.subflow].connection]]
        pair = (keys[segment.host], keys[1 - segment.host])
        options = tuple(_announced(each, addresses, ports, pair) for each in segment.options)
        return replace(segment, options=options)

    trace = replace(
        capture.trace,
        subflows=tuple(
            replace(flow, ends=(end(flow.ends[0]), end(flow.ends[1]))) for flow in flows
        ),
    )
    return Renaming(
        replace(_with_segments(capture, renamed), trace=trace),
        addresses={str(new): str(old) for old, new in addresses.items()},
        ports={new: old for old, new in ports.items()},
    )


def _announced(
    option: Option,
    addresses: dict[Address, Address],
    ports: dict[int, int],
    keys: tuple[int, int],
) -> Option:
    """An ADD_ADDR of the new name; a right HMAC stays right and a wrong one wrong."""
    if not isinstance(option, AddAddr):
        return option
    port = None if option.port is None else ports.get(option.port, 0)
    new = replace(option, address=addresses[option.address], port=port)
    if option.hmac is None:
        return new
    old_right, right = (
        crypto.add_addr_hmac(
            sender_key=keys[0], receiver_key=keys[1], address_id=each.address_id,
            address=each.address, port=each.port,
        )
        for each in (option, new)
    )  # fmt: skip
    wrong = int.from_bytes(option.hmac, "big") ^ int.from_bytes(old_right, "big")
    return replace(new, hmac=(int.from_bytes(right, "big") ^ wrong).to_bytes(8, "big"))


def _options(capture: Capture) -> Iterable[Option]:
    return [
        option
        for frame in capture.frames
        if isinstance(frame, Frame)
        for option in frame.segment.options
    ]


def _with_segments(capture: Capture, change: Callable[[Sent], Sent]) -> Capture:
    frames = tuple(
        replace(frame, segment=change(frame.segment)) if isinstance(frame, Frame) else frame
        for frame in capture.frames
    )
    return replace(capture, frames=frames)


# ------------------------------------------------------------------ numbers


def other_isns(capture: Capture, choices: Choices) -> Renaming:
    """All initial sequence numbers moved; those of streams between equal ends by the same."""
    moves: dict[tuple[frozenset[Endpoint], Endpoint], int] = {}
    isns: dict[int, tuple[int, int]] = {}
    flows = []
    for flow in capture.trace.subflows:
        ends = frozenset(flow.ends)
        found = []
        for end, isn in zip(flow.ends, flow.isns, strict=True):
            if (ends, end) not in moves:
                near = MASK_32 - choices.integer(0, 3000)
                new = near if choices.chance(1, 2) else choices.bits(32)
                moves[ends, end] = (new - isn) & MASK_32
            found.append(moves[ends, end])
        isns[flow.number] = (found[0], found[1])
        new_isns = ((flow.isns[0] + found[0]) & MASK_32, (flow.isns[1] + found[1]) & MASK_32)
        flows.append(replace(flow, isns=new_isns))
    trace = replace(capture.trace, subflows=tuple(flows))
    return Renaming(replace(capture, trace=trace), isns=isns)


def later(capture: Capture, choices: Choices) -> Renaming:
    """The same capture at another time."""
    shift = 1_000 * choices.integer(1, 10**14)
    frames = tuple(replace(frame, time=frame.time + shift) for frame in capture.frames)
    return Renaming(replace(capture, frames=frames), later=shift)


# ------------------------------------------------------------------ files


def other_link(capture: Capture, choices: Choices) -> Renaming:
    """Another link type, byte order, VLAN tags or tunnel that tell as much of each packet.

    The snap length leaves as much of each segment. Which packets the host sent, and on which
    interface, has to be told by the new file as well.
    """
    old = capture.layout
    told = {_told(old, frame) for frame in capture.frames}
    several = len({frame.interface for frame in capture.frames}) > 1
    links = [
        link
        for link in LINKS
        if {_told(replace(old, link=link, vlans=()), frame) for frame in capture.frames} == told
        and (old.file == "pcapng" or not several or (link == "sll2") == (old.link == "sll2"))
    ]
    link = choices.pick(links[::-1] or [old.link])
    taggable = link in ("ethernet", "sll", "sll2")
    tags = tuple(choices.integer(1, 4094) for _ in range(choices.integer(0, 2 * taggable)))
    noisy = any(isinstance(frame, Noise) for frame in capture.frames)
    tunnel = old.tunnel if noisy else choices.pick(("", "gre", "vxlan", "ipip"))
    new = replace(old, link=link, vlans=tags, tunnel=tunnel, big_endian=choices.chance(1, 2))
    more = new.before_tcp(4) - old.before_tcp(4)
    new = replace(new, snap_length=min(old.snap_length + more, (1 << 31) - 1))
    return Renaming(replace(capture, layout=new))


def _told(layout: Layout, frame: Frame | Noise) -> tuple[Any, ...]:
    """What a file says of a frame beside its octets."""
    outgoing = frame.outgoing if isinstance(frame, Frame) else None
    return layout.direction(outgoing), outgoing


# ------------------------------------------------------------------ other frames


def with_noise(capture: Capture, choices: Choices) -> Renaming:
    """The capture among packets of other traffic."""
    if not capture.frames or any(isinstance(frame, Noise) for frame in capture.frames):
        return Renaming(capture)
    times = [frame.time for frame in capture.frames]
    strangers = noise(choices, choices.integer(1, 8), min(times), max(times))
    places = sorted(choices.integer(0, len(times)) for _ in strangers)
    return _among(capture, list(zip(places, strangers, strict=True)))


def merged(capture: Capture, other: Capture, choices: Choices) -> Renaming:
    """The capture among the frames of another one, whose ends and keys must be others."""
    trace, more = capture.trace, other.trace
    first_flow, first_connection = len(trace.subflows), len(trace.connections)

    def moved(segment: Sent) -> Sent:
        return replace(segment, subflow=segment.subflow + first_flow)

    flows = tuple(
        replace(
            flow,
            number=flow.number + first_flow,
            connection=flow.connection + first_connection,
        )
        for flow in more.subflows
    )
    arrivals = tuple(
        Delivery(time=each.time, segment=moved(each.segment)) for each in more.deliveries
    )
    together = replace(
        trace,
        connections=(
            *trace.connections,
            *(replace(each, number=each.number + first_connection) for each in more.connections),
        ),
        subflows=(*trace.subflows, *flows),
        deliveries=(*trace.deliveries, *arrivals),
    )
    strangers = [frame for frame in _with_segments(other, moved).frames if isinstance(frame, Frame)]
    begin = capture.frames[0].time if capture.frames else 0
    shift = begin - (strangers[0].time if strangers else 0)
    lowest = min((frame.time for frame in strangers), default=0) + shift
    shift += max(0, -lowest)
    # Three places where the other capture's frames come in one after the other.
    cuts = sorted(choices.integer(0, len(capture.frames)) for _ in range(3))
    third = -(-len(strangers) // 3) or 1
    placed = [
        (cuts[min(at // third, 2)], replace(frame, time=frame.time + shift))
        for at, frame in enumerate(strangers)
    ]
    return _among(replace(capture, trace=together), placed)


def _among(capture: Capture, strangers: list[tuple[int, Any]]) -> Renaming:
    """Frames put before those of given indexes, in order."""
    result: list[Frame | Noise] = []
    frames: dict[int, int] = {}
    turn = 0
    for at in range(len(capture.frames) + 1):
        while turn < len(strangers) and strangers[turn][0] <= at:
            result.append(strangers[turn][1])
            turn += 1
        if at < len(capture.frames):
            result.append(capture.frames[at])
            frames[len(result)] = at + 1
    return Renaming(replace(capture, frames=tuple(result)), frames=frames)


RENAMINGS: dict[str, Callable[[Capture, Choices], Renaming]] = {
    "addresses and ports": other_ends,
    "initial sequence numbers": other_isns,
    "times": later,
    "link types": other_link,
    "unrelated traffic": with_noise,
}
"""What may change without changing a fact, but for other connections (:func:`merged`)."""


# ------------------------------------------------------------------ facts


def comparable(facts: Iterable[Fact]) -> list[Fact]:
    """Facts without what follows from an announced address (its octets, its HMAC), in order."""
    return sorted(map(_scrubbed, facts), key=_order)


def _order(fact: Fact) -> tuple[Any, ...]:
    first = fact.get("frame", fact.get("subflow" if fact["fact"] == "subflow" else "connection"))
    rest = (fact.get("sequence") or 0, fact.get("host") or "", fact.get("what") or "")
    return fact["fact"], -1 if first is None else first, *rest


def _scrubbed(value: Any) -> Any:
    if isinstance(value, dict):
        gone = set()
        if value.get("option") == "add_addr":
            gone = {"hmac", "raw"}
        elif value.get("what") == "add_addr_hmac":
            gone = {"expected", "seen"}
        return {key: _scrubbed(item) for key, item in value.items() if key not in gone}
    if isinstance(value, list):
        return [_scrubbed(item) for item in value]
    return HMAC.sub("", value) if isinstance(value, str) and "add_addr" in value else value


def returned(renaming: Renaming, facts: Iterable[Fact], original: Iterable[Fact]) -> list[Fact]:
    """The facts of a renamed capture in the old names, as :func:`comparable` has them.

    Facts of frames that the old capture does not have are left out. Numbers of connections,
    subflows and streams are those of the original facts for the same frames.
    """
    return comparable(_Return(renaming, list(facts), list(original)).facts())


class _Return:
    """The way back of one capture's facts."""

    def __init__(self, renaming: Renaming, facts: list[Fact], original: list[Fact]) -> None:
        self.renaming = renaming
        self.given = facts
        before = {fact["frame"]: fact for fact in original if fact["fact"] == "segment"}
        streams = {
            fact["subflow"]: fact["stream"] for fact in original if fact["fact"] == "subflow"
        }
        self.connections: dict[int, int] = {}
        self.subflows: dict[int, int] = {}
        self.streams: dict[int, int] = {}
        self.moves: dict[int, tuple[int, int]] = {}
        mine = {fact["subflow"]: fact["stream"] for fact in facts if fact["fact"] == "subflow"}
        for fact in facts:
            if fact["fact"] != "segment" or (frame := self.frame(fact["frame"])) not in before:
                continue
            old = before[frame]
            self.connections.setdefault(fact["connection"], old["connection"])
            self.subflows.setdefault(fact["subflow"], old["subflow"])
            self.streams[mine[fact["subflow"]]] = streams.get(old["subflow"], -1)
            if renaming.isns and fact["subflow"] not in self.moves:
                found = renaming.capture.frames[fact["frame"] - 1]
                assert isinstance(found, Frame)
                pair = renaming.isns[found.segment.subflow]
                by_source = (fact["from"] == "source") == (found.segment.host == 0)
                self.moves[fact["subflow"]] = pair if by_source else (pair[1], pair[0])

    def frame(self, number: int | None) -> int | None:
        frames = self.renaming.frames
        return number if frames is None or number is None else frames.get(number, -number)

    def facts(self) -> Iterable[Fact]:
        for fact in self.given:
            if fact["connection"] not in self.connections:
                continue
            if "frame" in fact and (self.frame(fact["frame"]) or 0) < 0:
                continue
            new = self.back(fact)
            moves = self.moves.get(fact.get("subflow", -1))
            if moves is not None:
                self.numbers(fact["fact"], new, moves)
            yield new

    def numbers(self, kind: str, fact: Fact, moves: tuple[int, int]) -> None:
        """Undo the moves of initial sequence numbers, (source's, destination's)."""
        if kind == "subflow":
            for end, move in zip((fact["source"], fact["destination"]), moves, strict=True):
                if end["isn"] is not None:
                    end["isn"] = (end["isn"] - move) & MASK_32
        elif kind == "segment":
            own, peer = moves if fact["from"] == "source" else moves[::-1]
            fact["sequence_raw"] = (fact["sequence_raw"] - own) & MASK_32
            if fact["ack_raw"] is not None:
                # Without an acknowledgment the field is 0, whatever the numbers.
                fact["ack_raw"] = (fact["ack_raw"] - peer) & MASK_32

    def back(self, value: Any, key: str = "") -> Any:
        """A value in the old names."""
        renaming = self.renaming
        if isinstance(value, dict):
            return {name: self.back(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.back(item, "subflow" if key == "subflows" else "") for item in value]
        if value is None or isinstance(value, bool):
            return value
        if key in FRAMES:
            return self.frame(value)
        tables: dict[str, dict[Any, Any]] = {
            "connection": self.connections,
            "subflow": self.subflows,
            "stream": self.streams,
            "address": renaming.addresses,
            "port": renaming.ports,
        }
        if key in tables:
            return tables[key].get(value, value)
        if key == "time":
            return f"{Decimal(value) - Decimal(renaming.later).scaleb(-9):.9f}"
        if key == "what" and "addr=" in value:
            return self._what(value)
        return value

    def _what(self, text: str) -> str:
        addresses, ports = self.renaming.addresses, self.renaming.ports
        text = re.sub(r"addr=([^ ,]+)", lambda m: f"addr={addresses.get(m[1], m[1])}", text)
        return re.sub(
            r"(addr=\S+) port=(\d+)",
            lambda m: f"{m[1]} port={ports.get(int(m[2]), int(m[2]))}",
            text,
        )
