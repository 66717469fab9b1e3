"""Diagrams: the tables of transitions as state diagrams and as a matrix, for people.

Everything is text for Markdown; diagrams are in the language of Mermaid, which forges draw.
"""

from __future__ import annotations

from collections.abc import Sequence

from mptcp_oracle.model.tables import Transition

__all__ = ["diagram", "listing", "matrix"]


def _states(lines: Sequence[Transition]) -> list[str]:
    """States in the order of the tables."""
    named = [state for line in lines for state in (*line.states, *line.state.split())]
    return list(dict.fromkeys(named))


def diagram(lines: Sequence[Transition]) -> str:
    """A state diagram: an arrow for each pair of states, with the ids of its transitions.

    Transitions that may start in any state are drawn from a state called ``any``.
    """
    arrows: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        for start in line.states or ("any",):
            for end in line.state.split() or (() if start == "any" else (start,)):
                arrows.setdefault((start, end), []).append(line.id)
    drawn = [f"    {start} --> {end}: {' '.join(ids)}" for (start, end), ids in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *drawn, "```"])


def matrix(lines: Sequence[Transition]) -> str:
    """Every state against every event: the transition and where it leads; a dot where none is.

    A transition that starts in any state stands in every column of its row.
    """
    states = _states(lines)
    rows = [f"| event | {' | '.join(f'`{state}`' for state in states)} |"]
    rows.append("| --- |" + " --- |" * len(states))
    events = list(dict.fromkeys(line.event for line in lines))
    for event in events:
        cells = []
        for state in states:
            here = [
                line
                for line in lines
                if line.event == event and (not line.states or state in line.states)
            ]
            cells.append("<br>".join(_cell(line) for line in here) or "·")
        rows.append(f"| {event} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(line: Transition) -> str:
    return f"{line.id} → {' / '.join(line.state.split())}" if line.state else line.id


def listing(lines: Sequence[Transition]) -> str:
    """The transitions themselves, with what the host does and the section."""
    rows = [
        "| id | from | event | action | to | RFC 8684 | RFC 6824 | versions |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines:
        cells = (
            line.id,
            " ".join(line.states) or "any",
            line.event,
            line.action or "·",
            " / ".join(line.state.split()) or "the same",
            line.section,
            line.v0 or line.section if 0 in line.versions else "·",
            " ".join(str(version) for version in line.versions),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
