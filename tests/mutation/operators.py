"""Two operators in Cosmic Ray's own terms, for what its operators leave alone.

Cosmic Ray changes expressions. A function that only stores, calls or returns would have no
mutant at all; these two give it some: a statement that is not executed, a result that is lost.
Both work on statements inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

__all__ = ["OWN", "DeleteStatement", "LoseResult"]

Span = tuple[tuple[int, int], tuple[int, int]]

#: Statements that do nothing at run time, or whose loss is no change of the program's meaning.
IDLE = {"import_name", "import_from", "global_stmt", "nonlocal_stmt", "pass_stmt"}


def _function(node: Any) -> Any:
    while node is not None and node.type != "funcdef":
        if node.type == "classdef":
            return None
        node = node.parent
    return node


def _statement(node: Any) -> Any:
    """The only small statement of a line inside a function, if it is one."""
    if node.type != "simple_stmt" or len(node.children) != 2 or _function(node) is None:
        return None
    return node.children[0]


class DeleteStatement(Operator):  # type: ignore[misc]
    """Replace an assignment, a call or a ``raise`` by ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        """Where: at each such statement."""
        statement = _statement(node)
        if statement is None or statement.type in IDLE or statement.type == "return_stmt":
            return
        if statement.type in {"string", "strings", "keyword", "operator", "name", "number"}:
            return  # a docstring, pass, `...`, break and continue, or nothing that does anything
        if statement.type == "expr_stmt" and _only_annotates(statement):
            return
        yield statement.start_pos, statement.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """``pass`` in its place, on as many lines as before."""
        assert index == 0
        statement = node.children[0]
        lines = statement.end_pos[0] - statement.start_pos[0]
        prefix = statement.get_first_leaf().prefix
        node.children[0] = parso.parse(f"{prefix}pass" + " \\\n" * lines + " " * bool(lines))
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What it does."""
        return (Example("def f():\n    x = 1\n", "def f():\n    pass\n"),)


def _only_annotates(statement: Any) -> bool:
    annotation = statement.children[1]
    return annotation.type == "annassign" and len(annotation.children) == 2


class LoseResult(Operator):  # type: ignore[misc]
    """Replace the value of a ``return`` by ``None``."""

    def mutation_positions(self, node: Any) -> Iterator[Span]:
        """Where: at each value that is returned and is not ``None`` already."""
        if node.type == "return_stmt" and _function(node) is not None:
            value = node.children[1]
            if getattr(value, "value", "") != "None":
                yield value.start_pos, value.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """``None`` in its place, on as many lines as before."""
        assert index == 0
        value = node.children[1]
        lines = value.end_pos[0] - value.start_pos[0]
        node.children[1] = parso.parse(" None" + " \\\n" * lines + " " * bool(lines))
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What it does."""
        return (Example("def f():\n    return 1\n", "def f():\n    return None\n"),)


OWN = {"own/DeleteStatement": DeleteStatement, "own/LoseResult": LoseResult}
