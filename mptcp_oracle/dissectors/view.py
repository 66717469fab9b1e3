"""The facts of one capture, frame by frame: what our side of a comparison is computed from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any, TypeVar

from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.packets import packets
from mptcp_oracle.facts import ROLES, Fact

__all__ = ["Segment", "View"]

Derived = TypeVar("Derived")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment's fact with what it belongs to.

    Attributes:
        fact: The segment. subflow, connection: Its subflow's and its connection's fact.
    """

    fact: Fact
    subflow: Fact
    connection: Fact

    @property
    def frame(self) -> int:
        """Its frame number."""
        return int(self.fact["frame"])

    @property
    def syn(self) -> bool:
        """Flag SYN."""
        return bool(self.fact["flags"] & 0x02)

    @property
    def end(self) -> Fact:
        """The end of the subflow that sent it."""
        end: Fact = self.subflow[self.fact["from"]]
        return end

    @property
    def other_end(self) -> Fact:
        """The end of the subflow that gets it."""
        end: Fact = self.subflow[self.other]
        return end

    @property
    def other(self) -> str:
        """Which end of the subflow gets it: ``source`` or ``destination``."""
        return "destination" if self.fact["from"] == "source" else "source"

    def host(self, *, other: bool = False) -> Fact | None:
        """The host that sent it, or the other one, as the connection's fact describes it."""
        sender = self.fact["sender"]
        if sender is None:
            return None
        host: Fact = self.connection[ROLES[ROLES.index(sender) ^ other]]
        return host

    def base(self, *, other: bool = False) -> int | None:
        """What absolute DSNs of its sender, or of the other host, count from, or ``None``."""
        host = self.host(other=other)
        return None if host is None or host["base"] is None else int(host["base"])

    def options(self, *names: str) -> Iterator[Fact]:
        """Its options with these names, in order; what is out of place as what it says."""
        for option in self.fact["options"]:
            told = option.get("reading") or option
            if not names or told["option"] in names:
                yield told

    def written(self) -> list[str]:
        """Its options by name, each with its octets on the wire in hexadecimal digits."""
        return [f"{option['option']} {option['raw']}" for option in self.fact["options"]]

    def mapped(self) -> Iterator[Fact]:
        """Its ranges of payload that lie under a mapping."""
        return (item for item in self.fact["ranges"] if item["dsn"] is not None)


class View:
    """All facts of one capture.

    Attributes:
        segments: Segments of MPTCP subflows, by frame number.
        sent: Transmissions by frame number. again: Frames by the class of a transmission in them,
            without what was first seen. signals: Frames by the name of an option that they have,
            a DSS aside.
        connections, subflows: Their facts by id.
    """

    def __init__(self, facts: Iterable[Fact], capture: str | PathLike[str] | None = None) -> None:
        """Take facts.

        Args:
            facts: All of them.
            capture: The file that they are of, for :attr:`layers` and :attr:`headers`.
        """
        self.connections: dict[int, Fact] = {}
        self.subflows: dict[int, Fact] = {}
        self.segments: Blocks[Segment] = Blocks(pack=lambda segment: segment.fact, unpack=self._of)
        self.sent: Blocks[list[Fact]] = Blocks()
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
                self.segments.put(fact["frame"], segment)
                for option in fact["options"]:
                    name = (option.get("reading") or option)["option"]
                    if name != "dss":
                        self.signals.setdefault(name, []).append(fact["frame"])
                for item in fact["ranges"]:
                    if item["dsn"] is not None:
                        entry = (item["dsn"], item["dsn_end"], fact["frame"], fact["subflow"])
                        self._carried.setdefault(direction(segment), []).append(entry)
            elif kind == "transmission":
                before = self.sent.get(fact["frame"], [])
                self.sent.put(fact["frame"], [*before, fact])
                if fact["class"] != "first_seen":
                    self.again.setdefault(fact["class"], set()).add(fact["frame"])

    def _of(self, fact: Fact) -> Segment:
        """A segment's fact with what it belongs to."""
        subflow, connection = fact["subflow"], fact["connection"]
        return Segment(
            fact=fact, subflow=self.subflows[subflow], connection=self.connections[connection]
        )

    def facts(self) -> Iterator[Fact]:
        """The facts of connections, subflows, segments and transmissions."""
        yield from self.connections.values()
        yield from self.subflows.values()
        for frame, segment in self.segments.items():
            yield segment.fact
            yield from self.sent.get(frame, ())

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

    @cached_property
    def _carriers(self) -> dict[tuple[Any, ...], _Carriers]:
        """What carried data, by direction."""
        return {key: _Carriers(entries) for key, entries in self._carried.items()}


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
    return segment.fact["connection"], segment.fact["sender"] or segment.fact["from"]
