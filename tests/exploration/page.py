"""The page docs/model.md: made of the model's tables and of what exploration found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mptcp_oracle.model import tables
from mptcp_oracle.model.diagrams import diagram, listing, matrix
from mptcp_oracle.model.exploration import SMALL, Bound, Explored
from mptcp_oracle.model.invariants import INVARIANTS
from tests.common.checkout import ROOT

__all__ = ["PAGE", "Row", "rows_of", "written"]

PAGE = ROOT / "docs" / "model.md"

HEAD = """# The model

An MPTCP connection as a labelled transition system (`mptcp_oracle.model`): two hosts, their
subflows, and the segments in flight. A world is a value; `enabled(world)` says what may happen,
`step(world, event)` what follows. Every line of the tables below is taken by the code, and every
change of state is a line of the tables: both are tested. This page is made by
`python -m tests.exploration --renew`.

States of connections are those of RFC 8684 appendix D, completed with set-up, fast close and
fallback; each host has its own. States of subflows are TCP's, and `PRE_ESTABLISHED` (section 3.2).
"""

EXPLORED = """## Explored

Every world that can be reached within a bound was visited, breadth first, and every invariant was
checked on every step between them. A bound says how often each kind of event may happen;
acknowledgments that are due, and deliveries in any order, are never bounded. Worlds that differ
only in the numbers of segments in flight are one. The test command explores the bounds marked *
again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What exploration of one bound found, as the page has it."""

    name: str
    text: str
    bound: str
    states: int
    steps: int
    depth: int
    transitions: int
    broken: int
    complete: bool
    small: bool

    @classmethod
    def of(cls, bound: Bound, found: Explored) -> Row:
        """The row of a bound."""
        counts = [f"{name} {count}" for name, count in bound.settings.bounds if count]
        return cls(
            name=bound.name,
            text=bound.text,
            bound=", ".join(counts),
            states=found.states,
            steps=found.steps,
            depth=found.depth,
            transitions=len(found.transitions),
            broken=len(found.broken),
            complete=found.complete,
            small=bound in SMALL,
        )

    def line(self) -> str:
        """The row as Markdown."""
        mark = "*" if self.small else ""
        return (
            f"| {self.name}{mark} | {self.text} | {self.bound} | {self.states:,} | "
            f"{self.steps:,} | {self.depth} | {self.transitions} |"
        )


def rows_of(page: str) -> list[str]:
    """The lines of a page's table of exploration."""
    part = page.partition("## Explored")[2]
    return [
        line for line in part.splitlines() if re.match(r"\| [^|]+ \| [^|]+ \| [A-Z][a-z]", line)
    ]


def written(rows: Iterable[Row] | Iterable[str]) -> str:
    """The whole page, with rows found now or kept from a page."""
    lines = [row if isinstance(row, str) else row.line() for row in rows]
    parts = [HEAD]
    for title, table in (("Connections", tables.CONNECTION), ("Subflows", tables.SUBFLOW)):
        parts += [f"## {title}\n", diagram(table) + "\n", listing(table) + "\n"]
        parts += [f"### {title}: every state and every event\n", matrix(table) + "\n"]
    parts += ["## Data, addresses and the network\n", listing(tables.DATA) + "\n"]
    parts.append("## Invariants\n")
    parts.append("\n".join(_invariants()) + "\n")
    parts.append(EXPLORED)
    parts.append("| bound | what | events | states | steps | depth | transitions taken |")
    parts.append("| --- | --- | --- | --- | --- | --- | --- |")
    return "\n".join([*parts, *lines]) + "\n"


def _invariants() -> list[str]:
    lines = ["| invariant | what holds | RFC 8684 |", "| --- | --- | --- |"]
    return [*lines, *(f"| {each.name} | {each.text} | {each.section} |" for each in INVARIANTS)]
