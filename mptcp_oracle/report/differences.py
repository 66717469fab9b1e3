"""Differences for people and for programs: what a dissector says otherwise, and why it is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mptcp_oracle.diff import Comparison, Group
from mptcp_oracle.dissectors.case import Case, told
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.report.layout import Page, printable

__all__ = ["Checked", "body", "lines", "new_since"]

SCHEMA = 1
KINDS = {
    "missing": "says nothing",
    "invented": "says something where there is nothing",
    "other": "says something else",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A capture that was compared.

    Attributes:
        capture: Its name. frames: How many frames it has.
        dissector, version: Who was compared. result: The comparison.
        crash: How the dissector broke down, if it did.
    """

    capture: str
    frames: int
    dissector: str
    version: str
    result: Comparison
    crash: AdapterError | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Values that agree and of which nothing is claimed, differences, crashes."""
        return {
            "agree": sum(self.result.equal.values()),
            "differ": sum(each.count for each in self.result.groups.values()),
            "no_claim": sum(self.result.no_claim.values()),
            "crash": int(self.crash is not None),
        }


def body(checked: Checked) -> dict[str, Any]:
    """The comparison of one capture as JSON has it."""
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "capture": {"name": checked.capture, "frames": checked.frames},
        "dissector": {"name": checked.dissector, "version": checked.version},
        "counts": checked.counts,
        "differences": [_difference(each) for each in checked.result.groups.values()],
    }
    if checked.crash is not None:
        found["crash"] = {"message": checked.crash.message, "cause": checked.crash.cause}
    return found


def _difference(group: Group) -> dict[str, Any]:
    case = group.first
    return {
        "field": group.row.name,
        "frame": case.frame,
        "frames": group.frames,
        "count": group.count,
        "subject": _subject(case),
        "oracle": list(case.ours),
        "dissector": list(case.theirs),
        "known": group.known.id if group.known else None,
        "kind": case.kind,
        "section": group.known.section if group.known else group.row.section,
        "why": group.known.why if group.known else _why(group),
    }


def _subject(case: Case) -> str | None:
    """Whose segment it is."""
    if case.segment is None:
        return None
    fact = case.segment.fact
    sender = fact["sender"] or f"the {fact['from']}"
    return f"connection {fact['connection']}, subflow {fact['subflow']}, sent by {sender}"


def _why(group: Group) -> str:
    """What the oracle's value rests on, as far as one frame shows it."""
    case, row = group.first, group.row
    if case.segment is None:
        return "by the oracle the frame is no segment of an MPTCP subflow"
    shown = ", ".join(case.segment.written())
    words = f"the oracle's value is {row.fact}"
    return f"{words}; options in the frame: {shown or 'none'}"


def lines(checked: Checked, page: Page, *, everything: bool = False) -> Iterator[str]:
    """The comparison of one capture for people.

    Args:
        checked: The comparison.
        page: The terminal's measures.
        everything: List known differences one by one.
    """
    counts, result = checked.counts, checked.result
    yield (
        f"{printable(checked.capture)}: {checked.dissector} {printable(checked.version)}, "
        f"{checked.frames} frames"
    )
    if checked.crash is not None:
        yield from page.wrapped(printable(f"crash: {checked.crash}"), "  ")
    if result.new:
        yield "new differences"
        for group in result.new:
            yield from _group(group, page)
    if result.explained:
        yield "known differences"
        if everything:
            for group in result.explained:
                yield from _group(group, page)
        else:
            yield from _summary(result, page)
    yield (
        f"values: {counts['agree']} agree, {counts['differ']} differ "
        f"({sum(each.count for each in result.new)} new), {counts['no_claim']} without a claim"
    )


def _group(group: Group, page: Page) -> Iterator[str]:
    known = group.known
    section = known.section if known else group.row.section
    where = f" (RFC 8684 section {section})" if section[:1].isdigit() else f" ({section})"
    title = known.id if known else KINDS[group.cause]
    times = f", {group.count} times" if group.count > 1 else ""
    yield f"  {group.row.name}{where if section else ''}: {title}{times}"
    case = group.first
    frames = ", ".join(map(str, group.frames))
    more = ", ..." if group.count > len(group.frames) else ""
    word = "frames" if group.count > 1 else "frame"
    yield from page.wrapped(
        f"- {word} {frames}{more}: {_said(case)}, the oracle {told(case.ours)}"
        f"{'' if group.count == 1 else f' in frame {case.frame}'}",
        "    ",
    )
    if known is None:
        yield from page.wrapped(printable(_why(group)), "      ")
    else:
        yield from page.wrapped(known.why, "      ")


def _said(case: Case) -> str:
    return printable(f"the dissector says {told(case.theirs)}")


def _summary(result: Comparison, page: Page) -> Iterator[str]:
    """Known differences, one line each: how often, in which fields."""
    by_id: dict[str, list[Group]] = {}
    for group in result.explained:
        by_id.setdefault(group.cause, []).append(group)
    for name, groups in by_id.items():
        total = sum(each.count for each in groups)
        fields = ", ".join(f"{each.row.name} {each.count}" for each in groups[:6])
        more = f", {len(groups) - 6} fields more" if len(groups) > 6 else ""
        yield from page.wrapped(f"{name}, {total}: {fields}{more}", "  ", "    ")


Key = tuple[str, str, str]


def keys(found: Mapping[str, Any]) -> set[Key]:
    """What is new in a comparison, by capture, field and kind; a crash has no field."""
    name = str(found["capture"]["name"]).rpartition("/")[2]
    new = {
        (name, str(each["field"]), str(each["kind"]))
        for each in found["differences"]
        if each["known"] is None
    }
    return new | ({(name, "", "crash")} if found["counts"]["crash"] else set())


def new_since(old: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> list[Key]:
    """What is new now and was not before, in order."""
    before = set().union(*map(keys, old))
    return sorted(set().union(*map(keys, now)) - before)
