"""Reads the imports of a module from its syntax tree, wherever in the module they stand."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ["Import", "imports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module.

    Attributes:
        target: Dotted name of the module; ``"?"`` for a relative import or a name computed at run
            time, which nobody can check.
        line: Line of the statement, 1-based.
        eager: Whether importing the importer executes it (outside functions).
        typing: Whether only type checkers see it (under ``if TYPE_CHECKING``).
    """

    target: str
    line: int
    eager: bool
    typing: bool


def imports(source: str, *, known: Collection[str]) -> list[Import]:
    """All imports in the text of a module.

    Args:
        source: The text.
        known: Names of modules that exist, so that ``from package import name`` is seen as an
            import of the module ``package.name`` where there is one.
    """
    return list(_visit(ast.parse(source).body, known, eager=True, typing=False))


def _visit(
    nodes: Collection[ast.AST], known: Collection[str], *, eager: bool, typing: bool
) -> Iterator[Import]:
    for node in nodes:
        for target in _targets(node, known):
            line = getattr(node, "lineno", 0)
            yield Import(target=target, line=line, eager=eager, typing=typing)
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _visit(node.body, known, eager=eager, typing=True)
            yield from _visit(node.orelse, known, eager=eager, typing=typing)
        else:
            deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            children = list(ast.iter_child_nodes(node))
            yield from _visit(children, known, eager=eager and not deferred, typing=typing)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _targets(node: ast.AST, known: Collection[str]) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(level=level) if level:
            return ["?"]
        case ast.ImportFrom(module=str(origin), names=names):
            full = [f"{origin}.{alias.name}" for alias in names]
            return sorted({name if name in known else origin for name in full})
        case ast.Call(func=func, args=[first, *_]) if _name(func) in {
            "import_module",
            "__import__",
        }:
            return [str(first.value) if isinstance(first, ast.Constant) else "?"]
    return []


def _name(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
