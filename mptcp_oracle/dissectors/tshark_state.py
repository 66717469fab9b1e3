"""What tshark remembers of MPTCP while it reads, and in what state it spoke of a frame."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from mptcp_oracle.dissectors.blocks import Blocks
from mptcp_oracle.dissectors.sides import Names
from mptcp_oracle.dissectors.tshark_flows import Flow, Stream
from mptcp_oracle.dissectors.tshark_intervals import Intervals

__all__ = ["Connection", "Mapping", "Note", "Replay", "Said", "Side", "Subflow"]


@dataclass(slots=True, eq=False)
class Side:
    """What data of one host of a connection count from.

    Attributes:
        base: That number, 0 at first. wide: Whether a number of 64 bits was seen, from which on it
            counts as known. key, token, version: What is known of the host.
        refused: Whether a key came and was passed over, because a wide number was seen before.
    """

    base: int = 0
    wide: bool = False
    key: int | None = None
    token: int | None = None
    version: int = 0
    refused: bool = False
    _seen: Side | None = None

    def learn(self, **known: int | None) -> None:
        """Know something from now on."""
        for name, value in known.items():
            setattr(self, name, value)
        self._seen = None

    def seen(self) -> Side:
        """What is known now, which stays as it is."""
        if self._seen is None:
            known = (self.base, self.wide, self.key, self.token, self.version, self.refused)
            self._seen = Side(*known)
        return self._seen


@dataclass(slots=True, eq=False)
class Connection:
    """A connection as tshark sees it.

    Attributes:
        number: As it counts. sides: Of both hosts, in the order in which they came up.
        streams: Those that belong to it. master: The latest stream with an MP_CAPABLE.
        operations: Kinds of options that were seen, as bits. made: In which frame it began, and
            by what: ``key``, ``token`` or ``option``.
    """

    number: int
    made: tuple[int, str]
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    streams: list[Stream] = field(default_factory=list)
    master: Stream | None = None
    operations: int = 0
    _listed: tuple[str, ...] = ()
    _length: int = -1

    def listed(self) -> tuple[str, ...]:
        """The numbers of the streams, as one text."""
        if self._length != len(self.streams):
            self._length = len(self.streams)
            self._listed = (" ".join(str(stream.number) for stream in self.streams),)
        return self._listed


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A mapping of a flow: ``[low, high]`` of subflow sequence numbers to data from ``dsn`` on.

    ``extended``: whether tshark takes the number for one of 64 bits. ``option``: ``dss`` or
    ``mp_capable``.
    """

    low: int
    high: int
    dsn: int
    extended: bool
    frame: int
    option: str


@dataclass(slots=True, eq=False)
class Subflow:
    """What a flow is to MPTCP."""

    side: Side | None = None
    mappings: Intervals[Mapping] = field(default_factory=Intervals)
    carried: Intervals[int] = field(default_factory=Intervals)


@dataclass(slots=True, eq=False)
class Note:
    """The state in which tshark spoke of a frame.

    Attributes:
        stream, own, other: The stream, and its flows from the sender and to it.
        connection: What the stream belonged to then.
        silent: Why the frame has no analysis, or empty: ``cut``, ``plain`` (no MPTCP option),
            ``keyless`` (no connection yet), ``malformed``, ``bug``.
        side: That of the sender. saw, peer: What was known then of the sender's side, from which
            its numbers count, and of the other one, for DATA_ACKs.
        mapping: The mapping that gave the DSN. every: All that were found.
        lost: That the lookup was not made, because the SYN was not seen to come first.
        blurred: That options before in the stream are cut, so that the state is not certain.
        joins: How many MP_JOIN SYNs the stream has had. passed: Whether a search for mappings, or
            for frames with the same data, passed over some. zero: Whether the next sequence number
            is 0, which tshark takes for none.
        options: How many options it has read. hidden: What it does not show of the last one.
    """

    stream: Stream
    own: Flow
    other: Flow
    connection: Connection | None = None
    silent: str = ""
    side: Side | None = None
    saw: Side | None = None
    peer: Side | None = None
    mapping: Mapping | None = None
    every: tuple[Mapping, ...] = ()
    lost: bool = False
    blurred: bool = False
    joins: int = 0
    passed: tuple[bool, bool] = (False, False)
    zero: bool = False
    options: int = 0
    hidden: Collection[str] = ()


Said = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Replay:
    """What tshark says of each frame beside its options, and the state behind it.

    Attributes:
        said: Its words. notes: The state. begins: The first frame of each stream. names: What it
            calls connections, and what facts call them.
    """

    said: Blocks[Said]
    notes: dict[int, Note]
    begins: dict[str, int]
    names: Names
