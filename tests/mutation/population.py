"""Every mutant that there is: strata, modules, functions, sites.

A *site* is a place in the text and a kind of change there (another binary operator, another
number ...); its mutants are the changes that the operators know. Sites, not mutants, are sampled:
else one ``+`` with its eleven replacements would weigh as much as eleven conditions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutation.exclusions import reason_to_exclude
from tests.mutation.operators import OWN

__all__ = [
    "GATES",
    "ROOT",
    "SAME",
    "STRATA",
    "UNUSED",
    "Function",
    "Module",
    "Mutant",
    "Site",
    "files",
    "mutate",
    "operators",
    "population",
    "read",
]

ROOT = Path(__file__).resolve().parents[2]

#: Stratum to the files in it.
STRATA = {
    "engine": ("mptcp_oracle/engine/*.py",),
    "analysis": ("mptcp_oracle/analysis/*.py",),
    "options": ("mptcp_oracle/wire/mptcp.py", "mptcp_oracle/options.py"),
    "crypto": ("mptcp_oracle/crypto.py",),
    "rules": ("mptcp_oracle/rules/*.py",),
}

#: What is gated together, against one tier of tests: strata.
GATES = {"facts": ("engine", "analysis", "options", "crypto"), "rules": ("rules",)}

#: Operators of Cosmic Ray that are not used, by the beginning of their name, and why.
UNUSED = {
    "NoOp": "changes nothing",
    "Variable": "needs the names of two variables, and draws numbers without a seed",
}

#: Replacements that cannot be noticed or read, by operator name, and why: left out of their sites.
SAME = {
    "ReplaceUnaryOperator_Invert_Not": "`a & not b` is no Python",
    "ReplaceComparisonOperator_Eq_Is": "equal small integers are identical in CPython",
    "ReplaceComparisonOperator_NotEq_IsNot": "equal small integers are identical in CPython",
    "ReplaceComparisonOperator_Is_Eq": "identical values are equal",
    "ReplaceComparisonOperator_IsNot_NotEq": "identical values are equal",
}


@cache
def operators() -> dict[str, type]:
    """Name to class of every operator in use."""
    found = {}
    for name in operator_names():
        short = name.partition("/")[2]
        if not short.startswith(tuple(UNUSED)) and short not in SAME:
            found[name] = get_operator(name)
    return found | OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: the operator, and the how-manieth of its positions in the file.

    Attributes:
        path: The file, relative to the root.
        function: Qualified name of the innermost function, or ``""`` outside any.
        outer: The same of the outermost function, as the interpreter names it; ``""`` if the
            change is in no function's body (a default value, a decorator, a class body).
        line: Where.
    """

    path: str
    function: str
    outer: str
    operator: str
    occurrence: int
    line: int

    @property
    def name(self) -> str:
        """What the command line takes."""
        return f"{self.path}:{self.operator}:{self.occurrence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place and a kind of change, with the mutants there."""

    path: str
    function: str
    family: str
    start: tuple[int, int]
    mutants: tuple[Mutant, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function's name and whether it has any statement that does something."""

    path: str
    name: str
    empty: bool


@dataclass(slots=True)
class Module:
    """What there is to mutate in a file."""

    path: str
    functions: list[Function]
    sites: list[Site]
    excluded: Counter[str] = field(default_factory=Counter)

    def without_mutants(self) -> list[Function]:
        """Functions that do something and have no mutant."""
        covered = {site.function for site in self.sites}
        return [each for each in self.functions if each.name not in covered and not each.empty]


def files(stratum: str) -> list[str]:
    """The files of a stratum, relative to the root, in order."""
    found = {path for pattern in STRATA[stratum] for path in ROOT.glob(pattern)}
    return sorted(str(path.relative_to(ROOT)) for path in found)


def read(path: str) -> Module:
    """The population of a file."""
    nodes = list(ast_nodes(get_ast((ROOT / path).read_text())))
    names = {id(node): _qualified(node) for node in nodes if node.type == "funcdef"}
    functions = [
        Function(path, names[id(node)], _empty(node)) for node in nodes if node.type == "funcdef"
    ]
    module = Module(path, functions, [])
    found: dict[tuple[Any, ...], list[Mutant]] = {}
    for name, make in operators().items():
        operator, occurrence = make(), -1
        family = name.partition("/")[2].partition("_")[0]
        for node in nodes:
            for start, end in operator.mutation_positions(node):
                occurrence += 1
                at = _leaf(node, start)
                reason = reason_to_exclude(node) or reason_to_exclude(at)
                if reason is not None:
                    module.excluded[reason] += 1
                    continue
                function, outer = _places(at, names)
                mutant = Mutant(
                    path=path,
                    function=function,
                    outer=outer,
                    operator=name,
                    occurrence=occurrence,
                    line=start[0],
                )
                found.setdefault((start, end, family, function), []).append(mutant)
    module.sites = [
        Site(path=path, function=key[3], family=key[2], start=key[0], mutants=tuple(mutants))
        for key, mutants in sorted(found.items())
    ]
    return module


def _leaf(node: Any, start: tuple[int, int]) -> Any:
    leaf = node.get_leaf_for_position(start) if hasattr(node, "children") else node
    return leaf if leaf is not None else node


def _places(leaf: Any, names: dict[int, str]) -> tuple[str, str]:
    """The innermost function around a leaf, and the outermost whose code it is part of."""
    inner, outer = "", ""
    child, parent = leaf, leaf.parent
    while parent is not None:
        if parent.type == "funcdef":
            inside = child is parent.children[-1]
            inner = inner or names[id(parent)]
            # A default value belongs to what surrounds the function.
            outer = names[id(parent)] if inside else ""
        elif parent.type == "decorated" and child.type in {"decorator", "decorators"}:
            inner = inner or names.get(id(parent.children[-1]), "")
        child, parent = parent, parent.parent
    return inner, outer


def _qualified(node: Any) -> str:
    """The ``__qualname__`` that the interpreter gives a function."""
    parts = [node.name.value]
    parent = node.parent
    while parent is not None:
        if parent.type == "funcdef":
            parts += ["<locals>", parent.name.value]
        elif parent.type == "classdef":
            parts.append(parent.name.value)
        parent = parent.parent
    return ".".join(reversed(parts))


def _empty(node: Any) -> bool:
    """Whether a body has nothing but docstrings, ``pass`` and ``...``."""
    body = node.children[-1]
    statements = [
        child.children[0] if child.type == "simple_stmt" else child
        for child in (body.children if body.type == "suite" else [body])
        if child.type not in {"newline"}
    ]
    idle = {"string", "strings", "pass_stmt"}
    return all(
        statement.type in idle or statement.get_code().strip() in {"...", "pass"}
        for statement in statements
    )


def mutate(mutant: Mutant, tree: Any = None) -> str:
    """The text of the file with the change.

    Args:
        mutant: The change.
        tree: The file's syntax tree, which is changed; read anew if not given.
    """
    visitor = MutationVisitor(mutant.occurrence, operators()[mutant.operator]())
    tree = visitor.walk(get_ast((ROOT / mutant.path).read_text()) if tree is None else tree)
    if not visitor.mutation_applied:
        raise LookupError(f"there is no mutant {mutant.name}")
    code: str = tree.get_code()
    return code


def population(gate: str) -> dict[str, list[Module]]:
    """The modules of a gate's strata."""
    return {stratum: [read(path) for path in files(stratum)] for stratum in GATES[gate]}
