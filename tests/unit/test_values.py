"""The shape of the values that the analysis hands out: what can be changed, and what cannot."""

from __future__ import annotations

import ast
import dataclasses
from importlib import import_module
from pathlib import Path

import pytest

from tests.common.checkout import ROOT

MODULES = (
    "analysis.dataplane", "analysis.entities", "analysis.lookups", "analysis.owners",
    "analysis.parts", "analysis.subflows", "options",
)  # fmt: skip
#: Filled in while a capture is analyzed.
GROWING = {"Addresses", "Connection", "Handshake", "Host", "Subflow"}
#: Compared by identity: each stands for one thing in one capture.
ENTITIES = {"Connection", "Subflow"}
#: Inside the analysis; made with a few positional arguments.
INTERNAL = {"Addresses", "Found", "Handshake", "Trigger"}


def _values() -> list[type]:
    found = {}
    for name in MODULES:
        module = import_module(f"mptcp_oracle.{name}")
        for each in vars(module).values():
            if dataclasses.is_dataclass(each) and each.__module__ == module.__name__:
                found[each] = None
    return list(found)


@pytest.mark.parametrize("value", _values(), ids=lambda value: value.__name__)
def test_values_have_the_shape_of_their_kind(value: type) -> None:
    """Slotted; frozen unless they grow; equal by their fields unless they are entities."""
    parameters = value.__dataclass_params__  # type: ignore[attr-defined]
    assert "__slots__" in vars(value)
    assert parameters.frozen == (value.__name__ not in GROWING)
    assert parameters.eq == (value.__name__ not in ENTITIES)
    assert parameters.order == (value.__name__ == "Trigger")
    for field in dataclasses.fields(value):
        assert field.kw_only == (value.__name__ not in INTERNAL)


def test_all_kinds_are_there() -> None:
    """The tables above name values that exist."""
    names = {value.__name__ for value in _values()}
    assert names >= GROWING | ENTITIES | INTERNAL


def _annotating(file: Path) -> list[str]:
    """The names that a module imports or makes for its annotations only."""
    found = []
    for statement in ast.parse(file.read_text()).body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            for inner in statement.body:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    found += [alias.asname or alias.name for alias in inner.names]
                elif isinstance(inner, ast.Assign):
                    found += [ast.unparse(target) for target in inner.targets]
    return found


@pytest.mark.parametrize("folder", ["analysis", "wire"])
def test_names_for_annotations_are_not_there_at_run_time(folder: str) -> None:
    """Modules begin without what only type checkers read: NumPy, and modules that need them."""
    files = sorted((ROOT / "mptcp_oracle" / folder).glob("*.py"))
    assert files
    for file in files:
        if names := _annotating(file):
            parts = file.relative_to(ROOT).with_suffix("").parts
            assert not set(names) & set(vars(import_module(".".join(parts)))), file
