"""Naive per-octet references for the engine's loops: slow, obvious, and written independently."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Mapping", "Segment", "classify", "pieces_by_octet"]

INFINITE = 10_000


@dataclass(frozen=True, slots=True)
class Mapping:
    """A declared mapping: ``octets`` of ``half`` from ``start`` on are DSN ``dsn`` on."""

    half: int
    start: int
    dsn: int
    octets: int
    data_fin: bool = False

    @property
    def length(self) -> int:
        """The data-level length as it stands in the option."""
        return self.octets + self.data_fin

    @property
    def infinite(self) -> bool:
        """Length 0 without DATA_FIN."""
        return self.length == 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of ``half`` with payload ``[start, start + octets)``."""

    half: int
    start: int
    octets: int


def pieces_by_octet(mappings: list[Mapping], half: int) -> dict[int, int]:
    """For each subflow octet the first mapping that covers it; infinite ones up to a bound."""
    owner: dict[int, int] = {}
    for number, mapping in enumerate(mappings):
        if mapping.half != half:
            continue
        end = INFINITE if mapping.infinite else mapping.start + mapping.octets
        for octet in range(mapping.start, end):
            owner.setdefault(octet, number)
    return owner


@dataclass(slots=True)
class Outcome:
    """What the reference finds: class of each octet of each segment, and its nearest carrier."""

    classes: list[list[str]] = field(default_factory=list)
    previous: list[int | None] = field(default_factory=list)


def classify(mappings: list[Mapping], segments: list[Segment]) -> Outcome:
    """Class of every octet; all halves send in one direction, copies are not told apart."""
    owners = {
        half: pieces_by_octet(mappings, half) for half in {segment.half for segment in segments}
    }
    seen: set[tuple[int, int]] = set()
    carriers: dict[int, list[tuple[int, int]]] = {}
    outcome = Outcome()
    for row, segment in enumerate(segments):
        classes = []
        nearest = None
        for octet in range(segment.start, segment.start + segment.octets):
            number = owners[segment.half].get(octet)
            again = (segment.half, octet) in seen
            seen.add((segment.half, octet))
            if number is None:
                classes.append("tcp_retransmission" if again else "unmapped")
                continue
            dsn = mappings[number].dsn + octet - mappings[number].start
            before = carriers.setdefault(dsn, [])
            for carrier, _ in before:
                if carrier < row:
                    nearest = max(nearest if nearest is not None else -1, carrier)
            if again:
                classes.append("tcp_retransmission")
            elif not before:
                classes.append("first_seen")
            elif all(half == segment.half for _, half in before):
                classes.append("remap")
            else:
                classes.append("copy")
            before.append((row, segment.half))
        outcome.classes.append(classes)
        outcome.previous.append(nearest)
    return outcome
