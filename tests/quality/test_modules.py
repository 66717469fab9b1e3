"""Habits of every file: short modules, tests that say what holds, safe engine loops."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mptcp_oracle import engine
from tests.common.checkout import ROOT, tracked
from tests.common.machine import unavailable

LONGEST, LONGEST_TESTS = 450, 700
#: Longer ones, each with its own limit and the reason.
LONGER = {
    "mptcp_oracle/engine/transmissions.py": (
        1050,
        "compiled classes that call each other's C methods have to be one compilation unit",
    ),
}
PYTHON = [path for path in tracked() if path.suffix == ".py"]


def test_no_module_is_long() -> None:
    """Every Python file has at most 450 lines, 700 if it is tests, or gives a reason."""
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in PYTHON}
    limits = {
        path: LONGEST_TESTS if path.startswith("tests/unit/") else LONGEST for path in lengths
    } | {path: row[0] for path, row in LONGER.items()}
    assert {path: lines for path, lines in lengths.items() if lines > limits[path]} == {}
    assert all(lengths[path] > LONGEST for path in LONGER), "an exception that is not needed"


def untold(source: str) -> Iterator[str]:
    """The names of test functions that do not say in one sentence what holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = ast.get_docstring(node) or ""
            if not text.endswith(".") or "\n\n" in text:
                yield node.name


def test_every_test_says_what_holds() -> None:
    """Every test function has a docstring of one paragraph that ends with a full stop."""
    tests = [path for path in PYTHON if path.parts[0] in {"tests", "conformance"}]
    found = [f"{path}: {name}" for path in tests for name in untold((ROOT / path).read_text())]
    assert tests
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "body", ["pass", "'''No full stop'''", "'''First.\n\n    Then a second paragraph.'''"]
)
def test_a_silent_test_is_found(body: str) -> None:
    """The check can fail: a test without a docstring of one sentence is reported."""
    assert list(untold(f"def test_x():\n    {body}\n")) == ["test_x"]


def test_the_engine_lists_its_loops() -> None:
    """The names that the engine offers are exactly its modules."""
    files = {
        path.stem for path in (ROOT / "mptcp_oracle/engine").glob("*.py") if path.stem != "__init__"
    }
    assert set(engine.NAMES) == files


@pytest.mark.parametrize("name", engine.NAMES)
def test_loops_keep_their_bounds_checks(name: str) -> None:
    """Every loop module asks for bounds checks first thing, and never switches them off."""
    text = (ROOT / "mptcp_oracle/engine" / f"{name}.py").read_text()
    header = re.match(r"# cython: (.*)\n", text)
    assert header is not None
    directives = dict(item.strip().split("=") for item in header[1].split(","))
    assert directives["boundscheck"] == "True"
    assert not re.search(r"boundscheck\s*[(=]\s*False", text)


def test_the_compiled_engine_is_not_older_than_its_source() -> None:
    """What the tests run compiled is what the checkout says now."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    compiled = engine.loops("compiled")
    stale = [
        name
        for name in engine.NAMES
        if _changed(ROOT / "mptcp_oracle/engine" / f"{name}.py")
        > _changed(getattr(compiled, name).__file__)
    ]
    assert not stale, f"{stale}: run python setup.py -q build_ext --inplace"


def _changed(path: str | Path) -> float:
    return Path(path).stat().st_mtime


def wide_literals(source: str) -> Iterator[int]:
    """Lines with an integer literal beyond 31 bits that is not declared as a C number."""
    tree = ast.parse(source)
    declared = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "cython.declare"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        number = node.value if isinstance(node, ast.Constant) else None
        if isinstance(number, int) and number >= 1 << 31 and id(node) not in declared:
            yield node.lineno


@pytest.mark.parametrize("name", engine.NAMES)
def test_no_loop_computes_with_python_integers(name: str) -> None:
    """A literal beyond 31 bits would make its whole expression slow once compiled."""
    source = (ROOT / "mptcp_oracle" / "engine" / f"{name}.py").read_text()
    assert list(wide_literals(source)) == []


def test_a_wide_literal_is_found() -> None:
    """The check can fail: a bare mask is reported, a declared one is not."""
    assert list(
        wide_literals("a = cython.declare(cython.uint, 0xFFFFFFFF)\nb = c & 0xFFFFFFFF")
    ) == [2]
