"""The checker for sidecar schemas: every keyword finds its own kind of mistake."""

from __future__ import annotations

import json

import pytest
from mptcp_oracle.generators.schema import schema_errors

from tests.common.checkout import ROOT

SCHEMA: dict[str, object] = {
    "$defs": {"name": {"type": "string", "pattern": "^[a-z]+$"}},
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"$ref": "#/$defs/name"},
        "kind": {"enum": ["a", "b"]},
        "version": {"const": 1},
        "count": {"type": ["integer", "null"], "minimum": 0},
        "items": {"type": "array", "minItems": 1, "items": {"type": "boolean"}},
        "more": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "x"},
        {"name": "x", "kind": "b", "version": 1, "count": 0, "items": [True], "more": {"y": 1.5}},
        {"name": "x", "count": None},
    ],
)
def test_a_fitting_value_has_no_errors(value: object) -> None:
    """What the schema allows is accepted."""
    assert schema_errors(value, SCHEMA) == []


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "$"),
        ({}, "$"),
        ({"name": "X"}, "$.name"),
        ({"name": 5}, "$.name"),
        ({"name": "x", "kind": "c"}, "$.kind"),
        ({"name": "x", "version": 2}, "$.version"),
        ({"name": "x", "count": -1}, "$.count"),
        ({"name": "x", "count": True}, "$.count"),
        ({"name": "x", "count": "1"}, "$.count"),
        ({"name": "x", "items": []}, "$.items"),
        ({"name": "x", "items": [True, 1]}, "$.items[1]"),
        ({"name": "x", "more": {"y": "z"}}, "$.more.y"),
        ({"name": "x", "other": 1}, "$"),
    ],
)
def test_each_mistake_is_one_error_at_its_place(value: object, place: str) -> None:
    """One mistake gives one line, which begins with the path of the guilty value."""
    (error,) = schema_errors(value, SCHEMA)
    assert error.startswith(f"{place}:")


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": []},
        {"type": "decimal"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "elsewhere.json"},
    ],
)
def test_a_schema_beyond_the_checker_is_refused(schema: dict[str, object]) -> None:
    """A keyword, type or reference that is not checked is an error, not a silent pass."""
    with pytest.raises(ValueError, match="not known here"):
        schema_errors("value", schema)


def test_the_sidecar_schema_refuses_an_empty_object() -> None:
    """The project's own schema is within the checker's means and asks for every part."""
    schema = json.loads((ROOT / "corpus/schema.json").read_text())
    missing = schema_errors({}, schema)
    assert sorted(missing) == sorted(f"$: {name} is missing" for name in schema["required"])
