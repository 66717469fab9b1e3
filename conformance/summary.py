"""What the suite says at its end: violations, warnings, doubts, and how much was exercised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["lines"]

HEADS = (("fail", "violations"), ("warn", "warnings"), ("note", "notes"), ("expected", "expected"))
#: Doubts that are shown; the others are counted.
MOST_SHOWN = 10
#: Captures that are shown of one requirement.
MOST_PLACES = 3


def _places(found: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Some reports, requirement by requirement, the first places of each."""
    by_requirement: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
    for each in found:
        by_requirement[each["requirement"]].append(each)
    for requirement, places in by_requirement.items():
        for each in places[:MOST_PLACES]:
            frames = f" frames {each['frames']}" if each["frames"] else ""
            yield f"  {requirement} ({each['level']}) {each['capture']}{frames}"
            yield f"      {each['why']}"
        if len(places) > MOST_PLACES:
            yield f"      and in {len(places) - MOST_PLACES} more captures"


def lines(
    reports: Sequence[Mapping[str, str]], complaints: Sequence[str], exercised: Sequence[str]
) -> Iterator[str]:
    """The summary.

    Args:
        reports: The properties of each test of the suite.
        complaints: What else fails the run.
        exercised: How much of the RFCs was decided.
    """
    for severity, head in HEADS:
        found = [each for each in reports if each["severity"] == severity]
        if found:
            yield f"{head}:"
        yield from _places(found)
    doubts: defaultdict[str, list[str]] = defaultdict(list)
    for each in reports:
        if each["outcome"] == "inconclusive":
            doubts[each["why"]].append(each["requirement"])
    if doubts:
        yield "inconclusive:"
    ordered = sorted(doubts.items(), key=lambda item: -len(item[1]))
    for why, requirements in ordered[:MOST_SHOWN]:
        yield f"  {', '.join(dict.fromkeys(requirements))}: {why}"
    if len(ordered) > MOST_SHOWN:
        yield f"  and {sum(len(ids) for _, ids in ordered[MOST_SHOWN:])} more (-rs shows all)"
    yield from exercised
    for complaint in complaints:
        yield f"FAILED: {complaint}"
