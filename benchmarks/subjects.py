"""What is measured: one table of captures, how often each is read, and its budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SUBJECTS", "Budget", "Subject"]

Kind = Literal["bulk", "repeat", "many", "payload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a capture's measurement must reach; ``None`` is no demand.

    Attributes:
        speed: Least ratio of tshark's time to ours.
        memory: Largest ratio of our peak memory to tshark's.
        octets: Most octets of our anonymous memory for each segment more than in ``smaller``.
        smaller: Name of the capture to compare with.
    """

    speed: float | None = None
    memory: float | None = None
    octets: float | None = None
    smaller: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One capture.

    Attributes:
        name: Slug; also the capture's file name.
        kind: ``bulk``: a real transfer over two paths, cut at 120 octets; ``repeat``: such a
            transfer, repeated with renumbered connections; ``many``: synthetic short
            connections; ``payload``: a real transfer with all its octets and DSS checksums.
        segments: How many at least.
        what: A few words for the table.
        ours, tshark: How often each program reads it in turn.
        budget: What must be reached.
        connections: Number of connections of kind ``many``.
        times, source: For ``repeat``: how often, and which capture.
    """

    name: str
    kind: Kind
    segments: int
    what: str
    ours: int = 5
    tshark: int = 5
    budget: Budget = Budget()
    connections: int = 0
    times: int = 0
    source: str = ""


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        name="bulk-1k",
        kind="bulk",
        segments=1_000,
        what="one real connection, two paths",
        budget=Budget(speed=1.0),
    ),
    Subject(
        name="bulk-100k",
        kind="bulk",
        segments=100_000,
        what="one real connection, two paths",
        tshark=3,
    ),
    Subject(
        name="bulk-200k",
        kind="bulk",
        segments=200_000,
        what="one real connection, two paths",
        budget=Budget(speed=20.0),
    ),
    Subject(
        name="bulk-1m",
        kind="bulk",
        segments=1_000_000,
        what="one real connection, two paths",
        tshark=3,
        budget=Budget(speed=50.0, memory=0.25),
    ),
    Subject(
        name="repeat-10m",
        kind="repeat",
        segments=10_000_000,
        what="bulk-1m ten times, renumbered",
        ours=3,
        tshark=1,
        budget=Budget(speed=80.0, octets=100.0, smaller="bulk-1m"),
        times=10,
        source="bulk-1m",
    ),
    Subject(
        name="many-20k",
        kind="many",
        segments=740_000,
        what="20,000 synthetic connections",
        ours=3,
        tshark=2,
        connections=20_000,
    ),
    Subject(
        name="payload-200k",
        kind="payload",
        segments=200_000,
        what="full payload, DSS checksums",
        tshark=3,
    ),
)
