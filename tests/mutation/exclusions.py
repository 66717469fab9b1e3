"""What is not mutated, and why. Everything else in the four strata is.

Each exclusion is a question to a node of the syntax tree; its reason is printed with the number
of mutants that it takes out of the population.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["EXCLUSIONS", "reason_to_exclude"]


def _above(node: Any) -> Iterator[tuple[Any, Any]]:
    """A node and its parent, then that one and its own, up to the module."""
    while node.parent is not None:
        yield node, node.parent
        node = node.parent


def _annotation(node: Any) -> bool:
    for child, parent in _above(node):
        if parent.type == "annassign" and child is parent.children[1]:
            return True
        if parent.type == "tfpdef" and child is not parent.children[0]:
            return True
        if parent.type == "funcdef" and child is parent.annotation:
            return True
        if parent.type == "param" and child is parent.annotation:
            return True
    return False


def _alias(node: Any) -> bool:
    """The value of ``Name: TypeAlias = ...``."""
    for child, parent in _above(node):
        if parent.type == "annassign" and len(parent.children) == 4 and child is parent.children[3]:
            return bool(parent.children[1].get_code().strip() == "TypeAlias")
    return False


def _type_checking(node: Any) -> bool:
    for child, parent in _above(node):
        if parent.type == "if_stmt" and parent.children[1].get_code().strip() == "TYPE_CHECKING":
            return child is parent.children[3]
    return False


def _cython_decorator(node: Any) -> bool:
    if node.type == "decorator":
        return _is_cython(node)
    return any(parent.type == "decorator" and _is_cython(parent) for _, parent in _above(node))


def _is_cython(decorator: Any) -> bool:
    return bool(decorator.get_code().strip().startswith("@cython."))


def _overload(node: Any) -> bool:
    return node.type == "decorator" and node.get_code().strip() == "@overload"


def _signature_star(node: Any) -> bool:
    """A star that is no operator: in a signature, a call or a display."""
    if node.type != "operator" or node.value not in {"*", "**", "/"}:
        return False
    parent = node.parent
    if parent.type in {"parameters", "param", "lambdef", "argument", "star_expr"}:
        return True
    index = parent.children.index(node)
    before = parent.children[index - 1] if index else None
    return before is None or before.type == "operator"


EXCLUSIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "annotation": ("type annotations are not evaluated", _annotation),
    "type alias": ("a TypeAlias is read by type checkers only", _alias),
    "type checking": ("`if TYPE_CHECKING:` never runs", _type_checking),
    "cython decorator": ("they do nothing in the plain form", _cython_decorator),
    "overload": ("declarations for type checkers", _overload),
    "star": ("a star in a signature, call or display is no operator", _signature_star),
}
"""Name to reason and question."""


def reason_to_exclude(node: Any) -> str | None:
    """The name of the exclusion that a node falls under, if any."""
    for name, (_, holds) in EXCLUSIONS.items():
        if holds(node):
            return name
    return None
