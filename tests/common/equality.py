"""Everything that an analysis found, in a form whose parts can be compared one by one.

:func:`parts` walks through a trace without a list of its attributes: whatever the tables, the
connections and the notes hold is in it, columns that are added later too. What depends on the
moment and not on the capture is left out: the random seed of the stream table's hashes, the
capture's file handles.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from mptcp_oracle.analysis.entities import Connection, Subflow
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.wire.columns import Columns

__all__ = ["Parts", "differences", "parts", "value"]

Parts = dict[str, str]
"""Name of a part to its contents, or to a digest of them if they are long."""

LONGEST = 200
#: Attributes that are no findings.
LEFT_OUT = {"wire": {"capture"}, "plane": {"wire", "classifier"}}
#: Columns that depend on a random seed.
SEEDED = {"wire.streams.hash"}


def parts(trace: Trace) -> Parts:
    """The tables, entities and notes of a trace."""
    found: dict[str, str] = {}
    for place, owner in (("wire", trace.wire), ("plane", trace.plane)):
        for name, held in vars(owner).items():
            if name not in LEFT_OUT[place]:
                found.update(_columns(f"{place}.{name}", held))
    for name, intervals in (("carried", trace.plane.classifier.carriers()),):
        # The directions, then what each half sent outside every mapping.
        for space in range(len(trace.plane.base) + trace.wire.halves.rows):
            found[f"{name}[{space}]"] = _short(_nodes(intervals, space))
    for group in trace.groups():
        found[f"connection {group.id}"] = _short(value(group, whole=True))
    found["subflows"] = _short([flow.id for flow in trace.subflows])
    capture = trace.capture
    found["notes"] = _short(value(trace.notes))
    found["capture"] = _short(value((capture.format, capture.frames, capture.interfaces)))
    found["comments"] = _short(value(capture.comments))
    return found


def _columns(name: str, held: Any) -> Iterator[tuple[str, str]]:
    if name in SEEDED:
        return
    if isinstance(held, Columns):
        yield name, str(held.rows)
        for column in held:
            yield from _columns(f"{name}.{column}", held[column])
    elif isinstance(held, array | memoryview):
        code = held.typecode if isinstance(held, array) else held.format
        yield name, _short(f"{code} {held.tolist()}")
    else:
        yield name, _short(value(held))


def _nodes(intervals: Any, space: int) -> list[tuple[int, ...]]:
    found = []
    node = intervals.first_of(space)
    while node:
        found.append((*intervals.get(node), *intervals.source(node)[2:]))
        node = intervals.next_of(node)
    return found


def value(held: Any, *, whole: bool = False) -> Any:
    """A finding as nested tuples of plain values; connections inside others by their id only."""
    if isinstance(held, Connection | Subflow) and not whole:
        return type(held).__name__, held.id
    if is_dataclass(held) and not isinstance(held, type):
        # What a private field holds is shown by a property, if by anything.
        named = [
            (each.name, getattr(held, each.name)) for each in fields(held) if _shown(each.name)
        ]
        named += [("events", held.events)] if isinstance(held, Connection) else []
        inside = whole and isinstance(held, Connection)
        return type(held).__name__, *(
            (name, [value(flow, whole=True) for flow in item])
            if inside and name == "subflows"
            else (name, value(item))
            for name, item in named
        )
    if isinstance(held, Mapping):
        return tuple((value(key), value(item)) for key, item in held.items())
    if isinstance(held, set | frozenset):
        return tuple(sorted(map(repr, map(value, held))))
    if isinstance(held, array):
        return held.typecode, held.tolist()
    if isinstance(held, bytes | str | int | float | IPv4Address | IPv6Address | Enum | None):
        return held
    if isinstance(held, Iterable):
        return tuple(map(value, held))
    raise TypeError(f"a {type(held).__name__} cannot be compared")


def _shown(name: str) -> bool:
    return not name.startswith("_") and name != "teller"


def _short(held: Any) -> str:
    text = held if isinstance(held, str) else repr(held)
    if len(text) <= LONGEST:
        return text
    return f"{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()} of {len(text)}"


def differences(one: Parts, other: Parts) -> list[str]:
    """What differs, for people: name and both contents."""
    return [
        f"{name}: {one.get(name)} != {other.get(name)}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]
