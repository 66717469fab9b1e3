"""What the classifier of the engine is given, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Map", "Row", "Scene", "Told"]

#: Bits of a row's flags.
SYN, RST, ACK, DUPLICATE, MPTCP = 0x02, 0x04, 0x10, 0x0200, 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A segment as the loop gets it; ``data_ack`` is ``None`` if it has none."""

    time: int
    half: int
    flags: int = ACK
    sequence: int = 0
    length: int = 0
    ack: int = 0
    window: int = 500
    data_ack: int | None = None


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping row, relative."""

    start: int
    dsn: int
    length: int


@dataclass(slots=True)
class Scene:
    """What the classifier is given; ``pieces`` are ``(start, end, map)`` by half, in order.

    ``rtt``, ``at_sender`` and ``isn`` are by half, ``quick`` is by direction; a trigger is
    ``(row, half, kind)``.
    """

    direction: list[int]
    rows: list[Row] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)
    pieces: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    rtt: list[int] = field(default_factory=list)
    at_sender: list[bool] = field(default_factory=list)
    isn: list[int] = field(default_factory=list)
    quick: list[int] = field(default_factory=list)
    triggers: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def directions(self) -> int:
        """How many there are."""
        return len(self.quick)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is said of a scene, by row, half or direction.

    ``intervals`` are ``(space, start, end)``; ``carried`` has for each space and number the row
    that carried it last, its offset, the half that alone carried it or -1, the row that carried
    it first, and that one's offset.
    """

    kinds: list[int]
    previous: list[int]
    splits: list[tuple[int, int, int, int]]
    fillers: list[int]
    spilled: int
    octets: list[int]
    runs: list[tuple[int, int]]
    fresh: list[list[int]]
    tops: list[int]
    acked: list[int]
    loss: list[int]
    ended: list[int]
    backup: list[int]
    unmapped: list[int]
    options: list[int]
    dsn_top: list[int]
    dack_top: list[int]
    shut: list[int]
    regulars: list[int]
    quick: list[int]
    totals: list[int]
    lags: list[int]
    intervals: list[tuple[int, int, int]]
    carried: dict[tuple[int, int], tuple[int, int, int, int, int]]
