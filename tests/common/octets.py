"""A naive account of who announced and carried each data octet: one entry an octet.

It knows mappings and segments only, each octet belongs to the mapping that covered it first in
declaration order, and everything else is counting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mptcp_oracle.analysis.trace import Trace

__all__ = ["Account", "Declared", "Sent", "account_of", "account_of_trace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A declared mapping; ``octets`` is ``None`` for an infinite one."""

    frame: int
    half: int
    direction: int
    start: int
    dsn: int
    octets: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A segment with payload ``[start, start + octets)``.

    ``silent`` segments (duplicates made by the capture, window probes) carry nothing.
    """

    frame: int
    half: int
    direction: int
    start: int
    octets: int
    silent: bool = False


@dataclass(slots=True)
class Account:
    """The account.

    Attributes:
        dsns: By frame, the DSN of each payload octet, ``None`` where no mapping covers it.
        owner: By frame, the mapping of each payload octet, ``None`` likewise.
        carried: By direction and DSN, the frames that carried it, in order.
        earlier: By frame, the set of earlier frames that carried any of its DSNs.
        first: By direction and DSN, half and sequence number that carried it first.
        again: Halves and sequence numbers sent more than once, window probes aside.
        conflicts: Indices of mappings that give an octet another DSN than an earlier one.
    """

    dsns: dict[int, list[int | None]] = field(default_factory=dict)
    owner: dict[int, list[int | None]] = field(default_factory=dict)
    carried: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    earlier: dict[int, set[int]] = field(default_factory=dict)
    first: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    again: set[tuple[int, int]] = field(default_factory=set)
    conflicts: set[int] = field(default_factory=set)


def account_of(mappings: Iterable[Declared], segments: Iterable[Sent]) -> Account:
    """Count octet by octet; both lists in capture order."""
    account = Account()
    declared = list(mappings)
    owners: dict[tuple[int, int], int] = {}
    endless = [(at, each) for at, each in enumerate(declared) if each.octets is None]
    for at, mapping in enumerate(declared):
        for octet in range(mapping.start, mapping.start + (mapping.octets or 0)):
            older = owners.setdefault((mapping.half, octet), at)
            for other, each in endless:
                if each.half == mapping.half and each.start <= octet:
                    older = min(older, other)
            if declared[older].dsn - declared[older].start != mapping.dsn - mapping.start:
                account.conflicts.add(at)
    seen: set[tuple[int, int]] = set()
    for segment in segments:
        dsns: list[int | None] = []
        owned: list[int | None] = []
        earlier: set[int] = set()
        for octet in range(segment.start, segment.start + segment.octets):
            place = (segment.half, octet)
            candidates = [owners[place]] if place in owners else []
            candidates += [
                at for at, each in endless if each.half == segment.half and each.start <= octet
            ]
            number = min(candidates, default=None)
            owned.append(number)
            if number is None:
                dsns.append(None)
            else:
                dsn = declared[number].dsn + octet - declared[number].start
                dsns.append(dsn)
                if not segment.silent:
                    key = (segment.direction, dsn)
                    earlier.update(account.carried[key])
                    account.carried[key].append(segment.frame)
                    account.first.setdefault(key, place)
            if not segment.silent:
                if place in seen:
                    account.again.add(place)
                seen.add(place)
        account.dsns[segment.frame] = dsns
        account.owner[segment.frame] = owned
        account.earlier[segment.frame] = earlier - {segment.frame}
    return account


def account_of_trace(trace: Trace) -> tuple[list[Declared], list[Sent]]:
    """The mappings and segments of a trace, by its lowest columns; probes by the class it gives."""
    plane, rows, maps = trace.plane, trace.wire.segments, trace.wire.mappings
    declared = []
    for at in range(maps.rows):
        length, fin = maps["length"][at], bool(maps["flags"][at] & 0x10)
        octets = None if not length and not fin else length - (fin and length > 0)
        declared.append(
            Declared(
                frame=rows["frame"][maps["row"][at]],
                half=maps["half"][at],
                direction=plane.direction[maps["half"][at]],
                start=maps["start"][at],
                dsn=maps["dsn"][at],
                octets=octets,
            )
        )
    sent = []
    for row in range(rows.rows):
        half = rows["half"][row]
        if rows["length"][row] and plane.direction[half] >= 0:
            duplicate, probe = rows["flags"][row] & 0x200, rows["kind"][row] == 1 << 6
            sent.append(
                Sent(
                    frame=rows["frame"][row],
                    half=half,
                    direction=plane.direction[half],
                    start=rows["sequence"][row],
                    octets=rows["length"][row],
                    silent=bool(duplicate or probe),
                )
            )
    return declared, sent
