"""The facts of one capture, frame by frame: what our side of a comparison is computed from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any, Protocol, TypeVar

from mptcp_oracle.dissectors.blocks import Blocked, Blocks
from mptcp_oracle.dissectors.packets import packets
from mptcp_oracle.facts import ROLES, Fact

__all__ = ["Segment", "View"]

Derived = TypeVar("Derived")


class Maker(Protocol):
    """Makes what is seldom asked of segments, each given by a number."""

    def one(self, at: int, /) -> Fact:
        """The fact of a segment."""

    def options(self, at: int, /) -> list[Fact]:
        """Its MPTCP options, as the fact has them."""

    def raws(self, at: int, /) -> list[bytes]:
        """Their octets."""


class _Made:
    """What is there already."""

    def __init__(self, fact: Fact) -> None:
        self._fact = fact

    def one(self, at: int, /) -> Fact:
        return self._fact

    def options(self, at: int, /) -> list[Fact]:
        options: list[Fact] = self._fact["options"]
        return options

    def raws(self, at: int, /) -> list[bytes]:
        return [bytes.fromhex(option["raw"]) for option in self._fact["options"]]


class Segment:
    """A segment with what it belongs to; its fact is made when it is asked for.

    Attributes:
        frame, flags, payload, window: As in its fact. number, ack: Its raw sequence number, and
            its raw acknowledgment number, if it has one.
        time: When it was captured, in nanoseconds since the epoch.
        sender: Its host's role, if known. origin: Which end of the subflow sent it: ``source`` or
            ``destination``.
        options_cut: Whether the snap length cuts its options.
        subflow, connection: Its subflow's and its connection's fact.
    """

    __slots__ = (
        "_at", "_fact", "_maker", "_options", "ack", "connection", "flags", "frame", "number",
        "options_cut", "origin", "payload", "sender", "subflow", "time", "window",
    )  # fmt: skip

    def __init__(
        self,
        frame: int,
        time: int,
        flags: int,
        number: int,
        ack: int | None,
        window: int,
        payload: int,
        sender: str | None,
        origin: str,
        subflow: Fact,
        connection: Fact,
        maker: Maker,
        at: int,
        *,
        options_cut: bool,
    ) -> None:
        """Take what is read of nearly every segment, and what makes the rest, given ``at``."""
        self.frame, self.time, self.flags = frame, time, flags
        self.number, self.ack, self.window, self.payload = number, ack, window, payload
        self.sender, self.origin, self.options_cut = sender, origin, options_cut
        self.subflow, self.connection = subflow, connection
        self._maker, self._at = maker, at
        self._fact: Fact | None = None
        self._options: list[Fact] | None = None

    @classmethod
    def of(cls, fact: Fact, subflow: Fact, connection: Fact) -> Segment:
        """A segment whose fact is there."""
        seconds, _, rest = fact["time"].partition(".")
        made = cls(
            fact["frame"],
            int(seconds) * 10**9 + int(rest.ljust(9, "0")),
            fact["flags"],
            fact["sequence_raw"],
            fact["ack_raw"],
            fact["window"],
            fact["payload"],
            fact["sender"],
            fact["from"],
            subflow,
            connection,
            _Made(fact),
            0,
            options_cut=fact["options_cut"],
        )
        made._fact = fact
        return made

    def having(self, options: list[Fact]) -> Segment:
        """The segment as it would be with other options."""
        return Segment.of(self.fact | {"options": options}, self.subflow, self.connection)

    @property
    def fact(self) -> Fact:
        """Its fact."""
        if self._fact is None:
            self._fact = self._maker.one(self._at)
        return self._fact

    @property
    def syn(self) -> bool:
        """Flag SYN."""
        return bool(self.flags & 0x02)

    @property
    def end(self) -> Fact:
        """The end of the subflow that sent it."""
        end: Fact = self.subflow[self.origin]
        return end

    @property
    def other_end(self) -> Fact:
        """The end of the subflow that gets it."""
        end: Fact = self.subflow[self.other]
        return end

    @property
    def other(self) -> str:
        """Which end of the subflow gets it: ``source`` or ``destination``."""
        return "destination" if self.origin == "source" else "source"

    def host(self, *, other: bool = False) -> Fact | None:
        """The host that sent it, or the other one, as the connection's fact describes it."""
        if self.sender is None:
            return None
        host: Fact = self.connection[ROLES[ROLES.index(self.sender) ^ other]]
        return host

    def base(self, *, other: bool = False) -> int | None:
        """What absolute DSNs of its sender, or of the other host, count from, or ``None``."""
        host = self.host(other=other)
        return None if host is None or host["base"] is None else int(host["base"])

    @property
    def listed(self) -> list[Fact]:
        """Its options, as the fact has them."""
        if self._options is None:
            known = self._fact
            self._options = self._maker.options(self._at) if known is None else known["options"]
        return self._options

    def options(self, *names: str) -> Iterator[Fact]:
        """Its options with these names, in order; what is out of place as what it says."""
        for option in self.listed:
            told = option.get("reading") or option
            if not names or told["option"] in names:
                yield told

    def raws(self) -> list[bytes]:
        """The octets of its MPTCP options, in order."""
        return self._maker.raws(self._at)

    def written(self) -> list[str]:
        """Its options by name, each with its octets on the wire in hexadecimal digits."""
        return [f"{option['option']} {option['raw']}" for option in self.listed]

    @property
    def ranges(self) -> Sequence[Fact]:
        """Its ranges of payload."""
        ranges: Sequence[Fact] = self.fact["ranges"] if self.payload else ()
        return ranges

    def mapped(self) -> Iterator[Fact]:
        """Its ranges of payload that lie under a mapping."""
        return (item for item in self.ranges if item["dsn"] is not None)


class View:
    """All facts of one capture.

    Attributes:
        segments: Segments of MPTCP subflows, by frame number.
        again: Frames by the class of a transmission in them, without what was first seen.
        signals: Frames by the name of an option that they have, a DSS aside.
        connections, subflows: Their facts by id.
    """

    def __init__(
        self,
        facts: Iterable[Fact],
        capture: str | PathLike[str] | None = None,
        first_declaring: Mapping[int | str, int | str] | None = None,
    ) -> None:
        """Take facts.

        Args:
            facts: All of them.
            capture: The file that they are of, for :attr:`layers` and :attr:`headers`.
            first_declaring: Of frames that repeat a mapping, which one declares it first.
        """
        self._first_declaring = first_declaring or {}
        self.connections: dict[int, Fact] = {}
        self.subflows: dict[int, Fact] = {}
        segments = Blocks(pack=lambda segment: segment.fact, unpack=self._of)
        self.segments: Blocked[Segment] = segments
        self._sent: Blocks[list[Fact]] = Blocks()
        self.again: dict[str, set[int]] = {}
        self.signals: dict[str, list[int]] = {}
        self._capture = capture
        self._derived: dict[str, Any] = {}
        self._carried: dict[tuple[Any, ...], list[tuple[int, int, int, int]]] = {}
        for fact in facts:
            kind = fact["fact"]
            if kind == "connection":
                self.connections[fact["connection"]] = fact
            elif kind == "subflow":
                self.subflows[fact["subflow"]] = fact
            elif kind == "segment":
                segment = self._of(fact)
                segments.put(fact["frame"], segment)
                for option in fact["options"]:
                    name = (option.get("reading") or option)["option"]
                    if name != "dss":
                        self.signals.setdefault(name, []).append(fact["frame"])
                for item in fact["ranges"]:
                    if item["dsn"] is not None:
                        entry = (item["dsn"], item["dsn_end"], fact["frame"], fact["subflow"])
                        self._carried.setdefault(direction(segment), []).append(entry)
            elif kind == "transmission":
                before = self._sent.get(fact["frame"], [])
                self._sent.put(fact["frame"], [*before, fact])
                if fact["class"] != "first_seen":
                    self.again.setdefault(fact["class"], set()).add(fact["frame"])

    def _of(self, fact: Fact) -> Segment:
        """A segment's fact with what it belongs to."""
        subflow, connection = fact["subflow"], fact["connection"]
        return Segment.of(fact, self.subflows[subflow], self.connections[connection])

    def facts(self) -> Iterator[Fact]:
        """The facts of connections, subflows, segments and transmissions."""
        yield from self.connections.values()
        yield from self.subflows.values()
        for frame, segment in self.segments.items():
            yield segment.fact
            yield from self._sent.get(frame, ())

    def derived(self, name: str, make: Callable[[], Derived]) -> Derived:
        """What follows from all facts, made when it is first asked for, and kept."""
        if name not in self._derived:
            self._derived[name] = make()
        found: Derived = self._derived[name]
        return found

    @cached_property
    def layers(self) -> Mapping[int, tuple[int, tuple[str, ...]]]:
        """Link type and layers before TCP of each frame; none without a capture.

        Raises:
            CaptureError: It cannot be read.
        """
        return {frame: (link, layers) for frame, (link, layers, _) in self._octets.items()}

    @cached_property
    def headers(self) -> Mapping[int, bytes]:
        """The TCP header of each frame, as far as it was captured; none without a capture.

        Raises:
            CaptureError: It cannot be read.
        """
        return {frame: header for frame, (_, _, header) in self._octets.items()}

    @cached_property
    def _octets(self) -> Mapping[int, tuple[int, tuple[str, ...], bytes]]:
        """What the octets of each frame show: its link type, layers, and TCP header."""
        if self._capture is None:
            return {}
        return {
            each.frame: (each.link, each.layers, each.header) for each in packets(self._capture)
        }

    def first_declaring(self) -> Mapping[int | str, int | str]:
        """By frame: the first one that declares its mapping, if it is an earlier one."""
        return self._first_declaring

    def copies_elsewhere(self, segment: Segment) -> set[int]:
        """Earlier frames that carried any of a segment's DSNs on another subflow."""
        frame = segment.frame
        if not any(frame in frames for frames in self.again.values()):
            return set()
        carriers = self._carriers.get(direction(segment))
        if carriers is None:
            return set()
        found = {
            (each, subflow)
            for item in segment.mapped()
            for each, subflow in carriers.within(item["dsn"], item["dsn_end"])
        }
        own = segment.subflow["subflow"]
        return {each for each, subflow in found if each < frame and subflow != own}

    def carried(self) -> dict[tuple[Any, ...], list[tuple[int, int, int, int]]]:
        """What carried data, by direction: DSNs ``[start, end)``, frame and subflow."""
        return self._carried

    @cached_property
    def _carriers(self) -> dict[tuple[Any, ...], _Carriers]:
        """That, to be searched."""
        return {key: _Carriers(entries) for key, entries in self.carried().items()}


class _Carriers:
    """Ranges of data of one direction, found by what they overlap."""

    def __init__(self, entries: list[tuple[int, int, int, int]]) -> None:
        self._entries = sorted(entries)
        self._starts = [start for start, *_ in self._entries]
        self._longest = max(end - start for start, end, *_ in entries)

    def within(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Frame and subflow of each range that has an octet of ``[low, high)``."""
        begin = bisect_left(self._starts, low - self._longest)
        for start, end, frame, subflow in self._entries[begin : bisect_left(self._starts, high)]:
            if start < high and end > low:
                yield frame, subflow


def direction(segment: Segment) -> tuple[Any, ...]:
    """Whose data a segment carries: a host of a connection."""
    return segment.connection["connection"], segment.sender or segment.origin
