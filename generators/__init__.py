"""Generators of MPTCP traffic whose truth is known: Hypothesis strategies, and what they use.

Captures, faults and malformed options for the tests of anything that reads MPTCP: see
docs/generators.md. The names below are imported when they are first asked for, since scapy and
Hypothesis take their time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mptcp_oracle.generators.drawn import Drawn
    from mptcp_oracle.generators.notation import lines, text
    from mptcp_oracle.generators.sample import Sample
    from mptcp_oracle.generators.strategies import (
        BEHAVIOURS,
        captures,
        connections,
        damaged_captures,
        faults,
        malformed_captures,
        malformed_options,
    )

__all__ = [
    "BEHAVIOURS",
    "Drawn",
    "Sample",
    "captures",
    "connections",
    "damaged_captures",
    "faults",
    "lines",
    "malformed_captures",
    "malformed_options",
    "text",
]

_LAZY = {
    "mptcp_oracle.generators.drawn": ("Drawn",),
    "mptcp_oracle.generators.notation": ("lines", "text"),
    "mptcp_oracle.generators.sample": ("Sample",),
    "mptcp_oracle.generators.strategies": (
        "BEHAVIOURS", "captures", "connections", "damaged_captures", "faults",
        "malformed_captures", "malformed_options",
    ),
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first asked for."""
    for home, names in _LAZY.items():
        if name in names:
            value: object = getattr(import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
