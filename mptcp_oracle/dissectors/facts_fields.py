"""Facts as fields: what a document of facts states of each frame, whoever wrote it.

A fact about a subflow stands in its first frame, one about a connection in the first frame of its
subflows. Numbers of connections, subflows and streams only name groups of frames; sentences for
people, and what they explain, are not compared.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping

from mptcp_oracle.dissectors.dissector import Field, Ours, Value, Words
from mptcp_oracle.dissectors.view import Segment, View
from mptcp_oracle.facts import CLASSES, FORMS, KEYS, OPTIONS, Fact

__all__ = ["FIELDS", "stated"]

#: Forms that are not compared: names of things, which differ from program to program, and words
#: for people.
ASIDE = {"id", "text", "unknown", "[note]", "[event]", "[id]", "thresholds", "[lag]"}
#: Keys that name groups of frames.
GROUPS = ("segment.connection", "segment.subflow")
#: Where RFC 8684 speaks of it, by the beginning of a field's name; the first that fits counts.
SECTIONS = {
    "segment.options": "3",
    "segment.data_ack": "3.3.2",
    "segment.ranges": "3.3.1",
    "segment.connection": "3.1, 3.2",
    "segment.subflow": "2",
    "segment": "RFC 9293 3.1",
    "transmission": "3.3.6",
    "subflow.join": "3.2",
    "subflow.end": "3.6",
    "subflow": "3.1, 3.2",
    "connection.addresses": "3.4",
    "connection.fallback": "3.7",
    "connection": "3.1",
}
#: Keys whose values are numbers of frames.
FRAMES = {key for keys in KEYS.values() for key, form in keys.items() if form.startswith("frame")}
OPTION_KEYS = {"option", "raw", "data_ack_size", "dsn_size", "data_fin"} | {
    field.name for option in OPTIONS for field in dataclasses.fields(option)
}


def stated(facts: Iterable[Fact]) -> dict[int, Words]:
    """What facts state, by frame and field; a key that an object lacks is no field.

    Args:
        facts: Facts of any kinds, in any order.
    """
    facts = list(facts)
    every = [fact for fact in facts if fact.get("fact") in ("segment", "transmission")]
    subflows = [fact for fact in facts if fact.get("fact") == "subflow"]
    begins: dict[object, int] = {}
    for fact in [*subflows, *every]:
        frame = fact.get("first_frame", fact.get("frame"))
        number = fact.get("connection")
        if isinstance(frame, int):
            begins[number] = min(frame, begins.get(number, frame))
    found: dict[int, dict[str, list[str]]] = {}

    def state(frame: object, fact: Fact) -> None:
        if isinstance(frame, int):
            words = found.setdefault(frame, {})
            kind = str(fact["fact"])
            for name, value in _flat(kind, kind, fact):
                values = words.setdefault(name, [])
                if value is not None:
                    values.append(json.dumps(value))

    for fact in facts:
        match fact.get("fact"):
            case "segment" | "transmission":
                state(fact.get("frame"), fact)
            case "subflow":
                state(fact.get("first_frame"), fact)
            case "connection":
                state(begins.get(fact.get("connection")), fact)
    return {
        frame: {name: tuple(values) for name, values in words.items()}
        for frame, words in sorted(found.items())
    }


def _flat(path: str, kind: str, fact: Mapping[str, object]) -> Iterator[tuple[str, Value | None]]:
    """The fields of an object and of those in it, with a value or ``None``."""
    for key, form, inner in _keys(path, kind):
        if key not in fact:
            continue
        name, value = f"{path}.{key}", fact[key]
        if form == "transmissions":
            if isinstance(value, dict):
                for each in CLASSES:
                    if each in value:
                        yield f"{name}.{each}", value[each]
        elif form == "option":
            yield from _options(name, value)
        elif inner is None:
            yield name, _scalar(form, value)
        elif value is None:
            yield name, None
        else:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    yield from _flat(name, inner, item)


def _options(path: str, options: object) -> Iterator[tuple[str, Value | None]]:
    for option in options if isinstance(options, list) else []:
        for key in OPTION_KEYS & option.keys() if isinstance(option, dict) else ():
            value = option[key]
            if not isinstance(value, list | dict):
                yield f"{path}.{key}", value


def _scalar(form: str, value: object) -> Value | None:
    if form == "seconds" and isinstance(value, int | float):
        return round(value * 1e6)
    return value if isinstance(value, int | str) else None


def _keys(path: str, kind: str) -> Iterator[tuple[str, str, str | None]]:
    """The keys of a kind of objects: name, form, and the kind of objects in it, if any are."""
    for key, form in KEYS[kind].items():
        plain = form.rstrip("?*")
        if f"{path}.{key}" in GROUPS:
            yield key, plain, None
        elif key == "fact" or plain in ASIDE:
            continue
        elif plain == "[option]":
            yield key, "option", None
        elif plain in FORMS or plain == "transmissions":
            yield key, plain, None
        else:
            yield key, plain, plain.strip("[]")


def _names(path: str, kind: str) -> Iterator[str]:
    """The names of all fields of a kind of objects."""
    for key, form, inner in _keys(path, kind):
        name = f"{path}.{key}"
        if form == "transmissions":
            yield from (f"{name}.{each}" for each in CLASSES)
        elif form == "option":
            yield from (f"{name}.{each}" for each in sorted(OPTION_KEYS))
        elif inner is None:
            yield name
        else:
            yield from _names(name, inner)


def _ours(name: str) -> Ours:
    def ours(view: View, segment: Segment) -> Iterable[Value]:
        words = view.derived("stated", lambda: stated(view.facts())).get(segment.frame, {})
        return [json.loads(text) for text in words.get(name, ())]

    return ours


def _section(name: str) -> str:
    return next((part for begin, part in SECTIONS.items() if name.startswith(begin)), "")


FIELDS: tuple[Field, ...] = tuple(
    Field(
        name=name,
        section=_section(name),
        fact=name,
        read=json.loads,
        ours=_ours(name),
        names=name in GROUPS,
        frames=name.rpartition(".")[2] in FRAMES,
    )
    for kind in ("segment", "transmission", "subflow", "connection")
    for name in _names(kind, kind)
)
"""Every value that facts can state, one row a field."""
