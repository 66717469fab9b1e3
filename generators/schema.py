"""A checker for the part of JSON Schema that this project's own schemas use.

Small on purpose: the keywords of :data:`KEYWORDS` and nothing else. A schema with any other
keyword is refused, so that nobody relies on a check that is not made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

__all__ = ["KEYWORDS", "schema_errors"]

_TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}

# Keywords that say something about the schema, not about the value.
_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "title", "description"})
KEYWORDS = frozenset(
    {
        "$ref",
        "type",
        "const",
        "enum",
        "pattern",
        "minimum",
        "minItems",
        "required",
        "properties",
        "additionalProperties",
        "items",
    }
)


def schema_errors(value: object, schema: Mapping[str, object]) -> list[str]:
    """What is wrong with a JSON value, one line each; empty if it fits.

    Args:
        value: Parsed JSON.
        schema: Parsed JSON Schema with the keywords of :data:`KEYWORDS`; references are
            ``#/$defs/<name>``.

    Raises:
        ValueError: The schema itself uses a keyword, type or reference that is not known here.
    """
    return list(_check(value, schema, schema, "$"))


def _check(
    value: object, schema: Mapping[str, object], root: Mapping[str, object], place: str
) -> Iterator[str]:
    unknown = set(schema) - KEYWORDS - _ANNOTATIONS
    if unknown:
        raise ValueError(f"schema keywords not known here: {', '.join(sorted(unknown))}")
    if "$ref" in schema:
        yield from _check(value, _resolve(str(schema["$ref"]), root), root, place)
    if "type" in schema and not _has_type(value, schema["type"]):
        yield f"{place}: {type(value).__name__} is not {schema['type']}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{place}: {value!r} is not {schema['const']!r}"
    options = schema.get("enum")
    if isinstance(options, list) and value not in options:
        yield f"{place}: {value!r} is none of {options}"
    if isinstance(value, str) and "pattern" in schema:
        pattern = str(schema["pattern"])
        if re.search(pattern, value) is None:
            yield f"{place}: {value!r} does not match {pattern}"
    minimum = schema.get("minimum")
    if isinstance(value, int | float) and isinstance(minimum, int) and value < minimum:
        yield f"{place}: {value} is less than {minimum}"
    if isinstance(value, dict):
        yield from _check_object(value, schema, root, place)
    if isinstance(value, list):
        yield from _check_array(value, schema, root, place)


def _check_object(
    value: dict[str, object], schema: Mapping[str, object], root: Mapping[str, object], place: str
) -> Iterator[str]:
    required = schema.get("required")
    for name in required if isinstance(required, list) else []:
        if name not in value:
            yield f"{place}: {name} is missing"
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            yield from _check(item, known[name], root, f"{place}.{name}")
        elif isinstance(others, dict):
            yield from _check(item, others, root, f"{place}.{name}")
        elif others is False:
            yield f"{place}: {name} is not known"


def _check_array(
    value: list[object], schema: Mapping[str, object], root: Mapping[str, object], place: str
) -> Iterator[str]:
    least = schema.get("minItems")
    if isinstance(least, int) and len(value) < least:
        yield f"{place}: {len(value)} items, at least {least} expected"
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from _check(item, items, root, f"{place}[{index}]")


def _has_type(value: object, wanted: object) -> bool:
    names = [str(name) for name in wanted] if isinstance(wanted, list) else [str(wanted)]
    for name in names:
        if name not in _TYPES:
            raise ValueError(f"schema type not known here: {name}")
    return any(_TYPES[name](value) for name in names)


def _resolve(reference: str, root: Mapping[str, object]) -> Mapping[str, object]:
    definitions = root.get("$defs")
    name = reference.removeprefix("#/$defs/")
    if not isinstance(definitions, dict) or name not in definitions or name == reference:
        raise ValueError(f"schema reference not known here: {reference}")
    found = definitions[name]
    assert isinstance(found, dict)
    return found
