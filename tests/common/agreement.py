"""Whether two accounts of one capture agree: the analyzer's facts and the observable truth.

:func:`canonical` leaves out what the wire does not show, by one table with the reasons, and
:func:`differences` says in words what is left that differs. Everything else has to be equal, known
and unknown alike: of what is unknown the keys count, not the wording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mptcp_oracle.facts import CLASSES, KEYS, Fact

__all__ = ["COPY", "LEFT_OUT", "Facts", "canonical", "differences"]

Facts = dict[tuple[str, Any], Fact]
"""Facts by kind and place: a connection's or subflow's number, a frame, a frame and a turn."""

COPY = "cross_subflow_copy"
"""What the three classes of copies of another subflow's octets have in common."""

PRESENTATION = "a sentence for people"
INTENTION = "follows from what the sender meant, which no wire shows"

LEFT_OUT: dict[str, str] = {
    "connection.why": PRESENTATION,
    "event.what": PRESENTATION,
    "mismatch.why": PRESENTATION,
    "note.text": PRESENTATION,
    "observation": INTENTION,
    "transmission.needed": INTENTION,
    "subflow.vantage": "without packet types, a guess from the handshake's timing",
}
"""What is outside the equation: an object's key or a kind of facts, and why. Beside these, the
classes of copies are one word, for :data:`INTENTION`."""

COLLAPSED = dict.fromkeys(("reinjection", "redundant", "unclassified"), COPY)


def canonical(facts: Iterable[Fact]) -> Facts:
    """What of some facts the equation is about, by kind and place.

    Args:
        facts: Facts in the order that :mod:`mptcp_oracle.facts` describes; they are not changed.
    """
    found: Facts = {}
    turn, frame = 0, None
    last: Fact | None = None
    for fact in facts:
        kind = fact["fact"]
        if kind in LEFT_OUT:
            continue
        plain = _object(kind, fact)
        if kind != "transmission":
            place = fact["frame"] if kind == "segment" else fact[kind]
            found[kind, place] = plain
            last = None
            continue
        turn = turn + 1 if fact["frame"] == frame else 0
        frame = fact["frame"]
        if last is not None and _continues(last, plain):
            last["octets"] += plain["octets"]
            last["dsn_end"] = plain["dsn_end"]
            turn -= 1
            continue
        found[kind, (frame, turn)] = last = plain
    return found


def _continues(one: Fact, two: Fact) -> bool:
    """Whether two transmissions are one, the classes of copies being one."""
    if one["class"] != COPY or two["class"] != COPY:
        return False
    return bool(one["frame"] == two["frame"] and one["dsn_end"] == two["dsn"])


def _plan(kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Of a kind of objects: the keys that are left out, and the forms of those that hold more."""
    gone = (name.split(".") for name in LEFT_OUT if "." in name)
    forms = ((key, form.strip("*?")) for key, form in KEYS.get(kind, {}).items())
    holding = tuple(
        (key, form)
        for key, form in forms
        if form == "transmissions" or form.startswith("[") or form in KEYS
    )
    return tuple(key for owner, key in gone if owner == kind), holding


PLANS = {kind: _plan(kind) for kind in KEYS}


def _object(kind: str, fact: Fact) -> Fact:
    """An object without what is left out, and so with the objects in it."""
    found = dict(fact)
    gone, holding = PLANS.get(kind, ((), ()))
    gone = tuple(key for key in gone if key != "vantage" or not fact["vantage_known"])
    for key in gone:
        found.pop(key, None)
    for key, form in holding:
        if key in found:
            found[key] = _value(form, found[key])
    if "unknown" in found:
        found["unknown"] = sorted(set(found["unknown"]).difference(gone))
    if "class" in found:
        found["class"] = COLLAPSED.get(found["class"], found["class"])
    return found


def _value(form: str, value: Any) -> Any:
    if form == "transmissions":
        return _summed(value)
    if form.startswith("["):
        inner = form.strip("[]")
        return [_value(inner, each) for each in value]
    return _object(form, value) if isinstance(value, dict) and form in KEYS else value


def _summed(octets: dict[str, int]) -> dict[str, int]:
    """Octets by class, those of copies in one sum."""
    found = dict.fromkeys((COLLAPSED.get(name, name) for name in CLASSES), 0)
    for name, count in octets.items():
        found[COLLAPSED.get(name, name)] += count
    return found


def differences(ours: Iterable[Fact], truth: Iterable[Fact]) -> list[str]:
    """What differs between the analyzer's facts and the truth, a line each; nothing if equal.

    Args:
        ours: Facts of the analyzer.
        truth: Facts of the model.
    """
    one, two = canonical(ours), canonical(truth)
    lines: list[str] = []
    for place in sorted({*one, *two}, key=_order):
        if place not in one or place not in two:
            owner = "ours" if place in one else "the truth"
            lines.append(f"{_name(place)}: only in {owner}: {one.get(place) or two.get(place)}")
            continue
        if repr(one[place]) == repr(two[place]):
            continue
        for path, mine, theirs in _compared("", one[place], two[place]):
            lines.append(f"{_name(place)}: {path}: ours {mine!r}, truth {theirs!r}")
    if not lines and list(one) != list(two):
        lines.append("the facts are equal, but not in the same order")
    return lines


def _order(place: tuple[str, Any]) -> tuple[int, Any]:
    kinds = ("connection", "subflow", "segment", "transmission")
    kind, at = place
    at = at if isinstance(at, tuple) else (at, -1)
    # A wrong fact may have anything for a number.
    typed = tuple((type(each).__name__, each) for each in at)
    return (kinds.index(kind) if kind in kinds[:2] else 2, typed)


def _name(place: tuple[str, Any]) -> str:
    kind, at = place
    if kind == "transmission":
        return f"frame {at[0]}, transmission {at[1]}"
    return f"frame {at}" if kind == "segment" else f"{kind} {at}"


def _compared(path: str, mine: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """The innermost values that differ, with the way to them."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*mine, *theirs]):
            inner = f"{path}.{key}" if path else key
            if key not in mine or key not in theirs:
                yield inner, mine.get(key, "nothing"), theirs.get(key, "nothing")
            else:
                yield from _compared(inner, mine[key], theirs[key])
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for at, (one, two) in enumerate(zip(mine, theirs, strict=True)):
            yield from _compared(f"{path}[{at}]", one, two)
    elif mine != theirs or type(mine) is not type(theirs):
        yield path, mine, theirs
