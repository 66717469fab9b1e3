"""Moving facts: what a part of a capture says of itself, as the whole capture counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from mptcp_oracle.facts import KEYS, Fact

__all__ = ["Shift", "moved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What comes before a part: frames, TCP streams, subflows, connections, and subflows whose
    connection is not in the capture.
    """

    frames: int = 0
    streams: int = 0
    subflows: int = 0
    connections: int = 0
    unattached: int = 0


Move: TypeAlias = Callable[[Any, Shift], Any]


def moved(fact: Fact, shift: Shift) -> Fact:
    """The fact with its frames and ordinals moved; it is changed.

    Args:
        fact: A fact of a part that counts from its own beginning.
        shift: What comes before that part.
    """
    _object(fact["fact"], fact, shift)
    return fact


def _object(name: str, value: dict[str, Any], shift: Shift) -> dict[str, Any]:
    for key, move in _plan(name):
        if value[key] is not None:
            value[key] = move(value[key], shift)
    return value


@cache
def _plan(name: str) -> tuple[tuple[str, Move], ...]:
    """The keys of an object that have to be moved, and how."""
    found = []
    for key, form in KEYS[name].items():
        form = form.rstrip("?*")
        inner = form.strip("[]")
        move = _move(key, inner)
        if move is not None:
            found.append((key, _each(move) if form != inner else move))
    return tuple(found)


def _move(key: str, form: str) -> Move | None:
    if form == "frame":
        return lambda value, shift: value + shift.frames
    if form == "id":
        return _ORDINALS.get(key, _subflow)
    if form in KEYS and _plan(form):
        return lambda value, shift: _object(form, value, shift)
    return None


def _each(move: Move) -> Move:
    return lambda values, shift: [move(value, shift) for value in values]


def _subflow(value: int, shift: Shift) -> int:
    return value + shift.subflows


def _connection(value: int, shift: Shift) -> int:
    return value + shift.connections if value >= 0 else value - shift.unattached


def _stream(value: int, shift: Shift) -> int:
    return value + shift.streams


_ORDINALS: dict[str, Move] = {"connection": _connection, "stream": _stream}
