"""A mutant is really what runs: its code is exchanged, or its module imported in another form."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("cosmic_ray", reason="needs the optional dependencies `mutation`")

from tests.common.checkout import ROOT
from tests.mutation.population import Mutant, read
from tests.mutation.swap import Importer, Living, Watch, compiled, functions_in

TEXT = """
import functools

LIMIT = 3

def within(value):
    return value < LIMIT

@functools.cache
def cached(value):
    return [item for item in range(value) if item < LIMIT]

class Box:
    def __init__(self, value):
        self.value = value

    @property
    def small(self):
        return self.value < LIMIT

    def counter(self):
        def count():
            return self.value < LIMIT
        return count
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The text as an imported module."""
    (tmp_path / "mutable_module.py").write_text(TEXT)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("mutable_module")
    del sys.modules["mutable_module"]


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("within", lambda it: it.within(3)),
        ("cached", lambda it: 3 in it.cached(9)),
        ("Box.small", lambda it: it.Box(3).small),
        ("Box.counter", lambda it: it.Box(3).counter()()),
    ],
)
def test_exchanged_code_is_what_runs(module: ModuleType, name: str, ask) -> None:  # type: ignore[no-untyped-def]
    """With ``<`` made ``<=``, functions, methods, properties and closures answer differently."""
    file = str(module.__file__)
    mutated = compiled(TEXT.replace("< LIMIT", "<= LIMIT"), file)
    living = Living({file: compiled(TEXT, file)})
    assert living.exchange(mutated, name) == 1
    assert ask(module)
    assert living.exchange(compiled(TEXT, file), name) == 1
    module.cached.cache_clear()
    assert not ask(module)


def test_what_is_not_in_a_body_cannot_be_exchanged(module: ModuleType) -> None:
    """A text with other functions is refused."""
    file = str(module.__file__)
    with pytest.raises(ValueError, match="not within its body"):
        Living({file: compiled(TEXT, file)}).exchange(compiled("def other(): pass", file), "within")


def test_a_mutated_module_is_imported_in_place_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module-level change is there once the module is imported."""
    file = tmp_path / "mutable_again.py"
    file.write_text(TEXT)
    monkeypatch.syspath_prepend(str(tmp_path))
    importer = Importer(str(file), TEXT.replace("LIMIT = 3", "LIMIT = 4"))
    monkeypatch.setattr(sys, "meta_path", [importer, *sys.meta_path])
    assert importlib.import_module("mutable_again").within(3)
    del sys.modules["mutable_again"]


def test_functions_that_ran_are_seen(module: ModuleType) -> None:
    """Each by its outermost name, whatever is nested in it."""
    file = Path(str(module.__file__))
    with Watch([file]) as watch:
        module.Box(1).counter()()
        module.cached(2)
    assert {name for _, name in watch.seen} == {"Box.__init__", "Box.counter", "cached"}


def test_every_outer_function_of_the_population_can_be_found() -> None:
    """The names that mutants carry are those of compiled functions."""
    for path in ("mptcp_oracle/engine/streams.py", "mptcp_oracle/analysis/tables.py"):
        names = {code.co_qualname for code in functions_in(compiled((ROOT / path).read_text(), ""))}
        for site in read(path).sites:
            assert site.mutants[0].outer in names | {""}


def _mutant(path: str, function: str, operator: str) -> Mutant:
    return next(
        mutant
        for site in read(path).sites
        for mutant in site.mutants
        if mutant.function == function and mutant.operator == f"core/{operator}"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "function", "operator", "check"),
    [
        (
            "mptcp_oracle/engine/options.py",
            "dss_size",
            "NumberReplacer",
            "from mptcp_oracle.engine import loops\n"
            "def test_it(): assert loops().options.dss_size(0) == 4\n",
        ),
        (
            "mptcp_oracle/analysis/owners.py",
            "",
            "NumberReplacer",
            "import ast\nfrom pathlib import Path\nfrom mptcp_oracle.analysis import owners\n"
            "def test_it():\n"
            "    for node in ast.parse(Path(owners.__file__).read_text()).body:\n"
            "        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):\n"
            "            assert getattr(owners, node.targets[0].id) == node.value.value\n",
        ),
    ],
    ids=["exchanged", "imported"],
)
def test_a_known_mutant_is_executed(
    path: str, function: str, operator: str, check: str, tmp_path: Path
) -> None:
    """The command kills it by a test of its effect, and cannot by a test of anything else."""
    mutant = _mutant(path, function, operator)
    effect, other = tmp_path / "test_effect.py", tmp_path / "test_other.py"
    effect.write_text(check)
    other.write_text("def test_other(): assert 1 < 2\n")
    for tier, word in ((effect, "killed"), (other, "survived")):
        done = subprocess.run(
            [sys.executable, "-m", "tests.mutation", "--mutant", mutant.name, "--jobs", "1",
             "--tier", str(tier)],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert f"status='{word}'" in done.stdout, done.stderr
