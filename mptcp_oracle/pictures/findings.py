"""Findings: verdicts as HTML, violations first, each with frames, filter and the RFC's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mptcp_oracle.pictures.markup import Markup, joined, tag
from mptcp_oracle.pictures.view import View
from mptcp_oracle.report.filters import frames_filter
from mptcp_oracle.report.layout import number, plural
from mptcp_oracle.spec import Requirement, catalogue
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = ["NAMES", "appendix", "findings", "summary"]

#: Failures of one connection that are told of one by one, and reasons for doubt.
MOST_FAILURES, MOST_DOUBTS = 60, 12
#: Frames of one failure.
MOST_FRAMES = 12

NAMES = {
    "fail": ("violation", "violations"),
    "warn": ("warning", "warnings"),
    "note": ("note", "notes"),
    "inconclusive": ("inconclusive", "inconclusive"),
    "pass": ("pass", "passes"),
    "not_exercised": ("not exercised", "not exercised"),
}
"""What the counts of verdicts are called, for one and for many, the worst ones first."""
_ORDER = {"fail": 0, "warn": 1, "note": 2}


def summary(counts: Mapping[str, int], waived: int) -> Markup:
    """How many verdicts there are of each kind."""
    found = [
        tag("li", tag("b", number(counts[name])), f" {words[counts[name] != 1]}", class_=name)
        for name, words in NAMES.items()
        if counts[name] or name in ("fail", "pass")
    ]
    if waived:
        found.append(tag("li", tag("b", number(waived)), " expected failures", class_="note"))
    return tag("ul", *found, class_="counts")


def findings(view: View, used: set[str]) -> Markup:
    """The verdicts on one connection.

    Args:
        view: The connection.
        used: Ids of requirements; those that are linked to are added.
    """
    failures = [each for each in view.verdicts if each.outcome is Outcome.FAIL]
    failures.sort(key=lambda each: (each.waived is not None, _ORDER[each.count]))
    shown, left = failures[:MOST_FAILURES], len(failures) - MOST_FAILURES
    used.update(each.requirement for each in shown)
    grave = [each for each in shown if each.waived is None and each.count != "note"]
    others = [_failure(view, each) for each in shown if each not in grave]
    found: list[Markup] = []
    if grave:
        found.append(tag("ol", *(_failure(view, each) for each in grave), class_="verdicts"))
    else:
        found.append(tag("p", "No requirement is shown to be broken."))
    if left > 0:
        more = plural(left, "more failure")
        found.append(tag("p", f"{more}: mptcp-oracle check lists all.", class_="dim"))
    if others:
        expected = sum(each.waived is not None for each in shown)
        kinds = [(len(others) - expected, "note"), (expected, "expected failure")]
        told = " and ".join(plural(count, name) for count, name in kinds if count)
        head = tag("summary", told)
        found.append(tag("details", head, tag("ol", *others, class_="verdicts")))
    found += _doubts([each for each in view.verdicts if each.outcome is Outcome.INCONCLUSIVE], used)
    return tag("div", *found, class_="findings")


def _failure(view: View, verdict: Verdict) -> Markup:
    row = catalogue()[verdict.requirement]
    word = NAMES[verdict.count][0] if verdict.waived is None else "expected"
    kind = verdict.count if verdict.waived is None else "note"
    where = f"by the {_host(view, verdict)}"
    if verdict.subflow is not None:
        where += f", subflow {verdict.subflow}"
    waived = f"Expected: {verdict.waived}" if verdict.waived is not None else None
    return tag(
        "li",
        tag("span", word, class_=f"badge {kind}"),
        " ",
        tag("a", verdict.requirement, href=f"#{_anchor(row)}"),
        f" ({row.level}, RFC {row.rfc} section {row.section}) {where}: ",
        verdict.why,
        tag("p", waived, class_="dim") if waived else None,
        _frames(view, verdict.frames) if verdict.frames else None,
    )


def _host(view: View, verdict: Verdict) -> str:
    return dict(zip(("initiator", "listener"), view.roles, strict=True))[verdict.host]


def _frames(view: View, frames: Sequence[int]) -> Markup:
    shown = frames[:MOST_FRAMES]
    buttons = [
        tag(
            "button", f"frame {frame}", type="button", class_="goto", data_frame=frame,
            data_time=f"{view.seconds(frame):.9f}", title="show it in the pictures",
        )
        for frame in shown
    ]  # fmt: skip
    more = f" and {len(frames) - len(shown)} more" if len(frames) > len(shown) else None
    code = tag("code", frames_filter(shown), class_="filter")
    return tag("p", joined(buttons, " "), more, " Wireshark: ", code, class_="frames")


def _doubts(doubts: Sequence[Verdict], used: set[str]) -> Iterator[Markup]:
    """What could not be decided, by reason."""
    if not doubts:
        return
    reasons: dict[str, list[str]] = {}
    for each in doubts:
        reasons.setdefault(each.why, []).append(each.requirement)
    ordered = sorted(reasons.items(), key=lambda item: -len(item[1]))
    shown = []
    for why, ids in ordered[:MOST_DOUBTS]:
        unique = list(dict.fromkeys(ids))
        used.update(unique)
        links = [tag("a", each, href=f"#{_anchor(catalogue()[each])}") for each in unique]
        shown.append(tag("li", joined(links, ", "), f": {why}"))
    rest = sum(len(ids) for _, ids in ordered[MOST_DOUBTS:])
    if rest:
        shown.append(tag("li", f"and {number(rest)} more"))
    head = tag("summary", f"{number(len(doubts))} could not be decided")
    yield tag("details", head, tag("ul", *shown))


def appendix(used: Iterable[str]) -> Markup:
    """The RFC's words of every requirement that the page links to."""
    found = []
    wanted = Counter(used)
    for row in catalogue().values():
        if row.id in wanted:
            link = tag(
                "a", f"RFC {row.rfc}, section {row.section}",
                href=f"https://www.rfc-editor.org/rfc/rfc{row.rfc}#section-{row.section}",
                rel="noreferrer noopener",
            )  # fmt: skip
            found.append(tag("dt", tag("b", row.id), f" ({row.level}), ", link, id=_anchor(row)))
            found.append(tag("dd", tag("p", row.summary), *map(_quote, row.quotes)))
    return tag("dl", *found)


def _quote(text: str) -> Markup:
    return tag("blockquote", text)


def _anchor(row: Requirement) -> str:
    return f"r-{row.id}"
