"""Verdicts for people and for programs: the text and the JSON of ``mptcp-oracle check``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mptcp_oracle.oracle import Judgement
from mptcp_oracle.report import words
from mptcp_oracle.report.layout import Page, plural, printable
from mptcp_oracle.spec import catalogue
from mptcp_oracle.verdict import COUNTS, Outcome, Verdict

__all__ = ["SCHEMA", "body", "grave", "lines", "place", "worst"]

#: Version of the JSON: keys may be added under the same number, none renamed or removed.
SCHEMA = 1
#: Places of one requirement that the text shows.
MOST_SHOWN = 5
_HEADS = {
    "fail": ("violations", "bad"),
    "warn": ("warnings", "odd"),
    "note": ("notes", "dim"),
}
_ORDER = ("fail", "inconclusive", "pass", "not_exercised")


def body(
    judgement: Judgement, verdicts: Sequence[Verdict], counts: Mapping[str, int]
) -> dict[str, object]:
    """The JSON of one capture.

    Args:
        judgement: The judgement, still open.
        verdicts: Those to list.
        counts: How many there are, listed or not.
    """
    capture = judgement.trace.capture
    return {
        "schema": SCHEMA,
        "capture": {
            "name": capture.name,
            "frames": capture.frames,
            "segments": len(judgement.trace.wire.segments),
            "sha256": capture.sha256(),
        },
        "counts": dict(counts),
        "verdicts": [
            {
                "requirement": each.requirement,
                "number": catalogue()[each.requirement].number,
                "outcome": str(each.outcome),
                "severity": each.severity,
                "host": each.host,
                "connection": each.connection,
                "subflow": each.subflow,
                "frames": list(each.frames),
                "why": each.why,
                "seen": each.seen,
                "unseen": each.unseen,
                "waived": each.waived,
            }
            for each in verdicts
        ],
    }


def grave(verdicts: Iterable[Verdict], *, should: bool) -> list[Verdict]:
    """The failures that count: violations that are not waived, with ``should`` also warnings."""
    counts = ("fail", "warn") if should else ("fail",)
    return [each for each in verdicts if each.count in counts and each.waived is None]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """What several verdicts on one requirement amount to."""
    return min(outcomes, key=lambda each: _ORDER.index(str(each)), default=Outcome.NOT_EXERCISED)


def place(verdict: Verdict) -> str:
    """Where a verdict is from, for people."""
    number = verdict.connection
    words = [verdict.host, f"connection {number}" if number >= 0 else "no connection"]
    if verdict.subflow is not None:
        words.append(f"subflow {verdict.subflow}")
    if verdict.frames:
        frames = ", ".join(map(str, verdict.frames))
        words.append(f"frame{'s' if len(verdict.frames) > 1 else ''} {frames}")
    return ", ".join(words)


def lines(
    judgement: Judgement,
    verdicts: Sequence[Verdict],
    counts: Mapping[str, int],
    passed: Iterable[str],
    page: Page,
) -> Iterator[str]:
    """The text of one capture: failures first, then doubts, then how much was exercised.

    Args:
        judgement: The judgement, still open.
        verdicts: What is not a pass; passes do no harm.
        counts: How many verdicts there are.
        passed: Ids of the requirements that were kept.
        page: Where it goes.
    """
    trace = judgement.trace
    name = printable(trace.capture.name)
    count = plural(len(trace.connections), "connection")
    yield page.styled(f"{name}: {count}, {plural(trace.capture.frames, 'frame')}", "title")
    for note in trace.capture.notes:
        yield from page.wrapped(printable(words.note(note)), "! ")
    open_ = [each for each in verdicts if each.waived is None]
    for kind, (head, style) in _HEADS.items():
        found = [each for each in open_ if each.count == kind]
        if found:
            yield page.styled(head, style)
            yield from _failures(found, page)
    waived = [each for each in verdicts if each.waived is not None]
    if waived:
        yield page.styled("expected", "dim")
        yield from _failures(waived, page)
    yield from _doubts([each for each in open_ if each.outcome is Outcome.INCONCLUSIVE], page)
    yield from _summary(verdicts, counts, passed, page)


def _failures(found: Sequence[Verdict], page: Page) -> Iterator[str]:
    by_requirement: defaultdict[str, list[Verdict]] = defaultdict(list)
    for each in found:
        by_requirement[each.requirement].append(each)
    for requirement, verdicts in by_requirement.items():
        row = catalogue()[requirement]
        yield f"  {requirement} ({row.level}, RFC {row.rfc} section {row.section})"
        yield from page.wrapped(row.summary, "      ")
        for each in verdicts[:MOST_SHOWN]:
            why = f"{place(each)}: {each.why}"
            if each.waived is not None:
                why += f" (expected: {each.waived})"
            yield from page.wrapped(printable(why), "    - ")
        if len(verdicts) > MOST_SHOWN:
            yield f"    - and {len(verdicts) - MOST_SHOWN} more"


def _doubts(found: Sequence[Verdict], page: Page) -> Iterator[str]:
    if not found:
        return
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for each in found:
        reasons[each.why].append(each.requirement)
    yield page.styled("inconclusive", "odd")
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    for why, requirements in ordered[: 2 * MOST_SHOWN]:
        ids = ", ".join(dict.fromkeys(requirements))
        yield from page.wrapped(printable(f"{ids}: {why}"), "  ", "      ")
    rest = ordered[2 * MOST_SHOWN :]
    if rest:
        yield f"  and {sum(len(ids) for _, ids in rest)} more (--json has all)"


def _summary(
    verdicts: Sequence[Verdict], counts: Mapping[str, int], passed: Iterable[str], page: Page
) -> Iterator[str]:
    by_rfc: defaultdict[str, set[str]] = defaultdict(set)
    total: Counter[str] = Counter()
    for each in catalogue().values():
        judged = each if not each.alias_of else catalogue()[each.alias_of]
        total[each.rfc] += judged.fate == "judged"
    failed = (each.requirement for each in verdicts if each.outcome is Outcome.FAIL)
    for requirement in (*passed, *failed):
        by_rfc[requirement[:4]].add(requirement)
    sums = [f"{counts[each]} {each.replace('_', ' ')}" for each in COUNTS if counts[each]]
    waived = sum(each.waived is not None for each in verdicts)
    sums += [f"{waived} expected"] if waived else []
    yield from page.wrapped(", ".join(sums) or "nothing to judge", "verdicts: ")
    for rfc, found in sorted(by_rfc.items(), reverse=True):
        yield (
            f"RFC {rfc}: {len(found)} of {total[rfc]} requirements that a capture can decide "
            "were decided"
        )
