"""The page of the active rules: what each sends, what is allowed, and what a kernel did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mptcp_oracle.live.active.probing import rules
from mptcp_oracle.live.active.rule import ActiveRule
from mptcp_oracle.spec import catalogue

__all__ = ["MARK", "page"]

MARK = "<!-- from here on written by `mptcp-oracle probe --write` -->"
"""Where the part that is written by the program begins; what stands before it is kept."""


def page(head: str, found: Mapping[str, Any]) -> str:
    """The page.

    Args:
        head: What is kept of the page as it was: all up to the mark.
        found: What probing a kernel gave, as :func:`~mptcp_oracle.live.active.results.body`.
    """
    target = " ".join((found["target"]["name"].capitalize(), found["target"]["version"]))
    rows = {(each["number"], each["variant"] or ""): each for each in found["probes"]}
    return "\n".join([head.rstrip(), "", MARK, "", *_lines(target, rows)]) + "\n"


def _lines(target: str, rows: Mapping[tuple[str, str], Any]) -> Iterator[str]:
    every = rules()
    numbers = {each.number for each in every}
    wanted = [each for each in catalogue().values() if each.fate == "probed"]
    yield f"## What {target} does"
    yield ""
    yield (
        f"{len(every)} rules for {len(numbers)} requirements, of the {len(wanted)} of RFC 8684 "
        "that only a peer brings out."
    )
    yield ""
    yield f"| requirement | level | stimulus | allowed reactions | {target} | verdict |"
    yield "|" + " --- |" * 6
    for rule in every:
        row = rows[rule.number, rule.variant]
        level, allowed = rule.requirement.level, "; or ".join(rule.allowed)
        variant = f" ({rule.variant})" if rule.variant else ""
        yield (
            f"| {rule.number}{variant} | {level} | {rule.stimulus} | {allowed} "
            f"| {row['reaction']} | {_verdict(row)} |"
        )
    failed = [each for each in every if rows[each.number, each.variant]["outcome"] == "fail"]
    yield ""
    yield f"## What {target} does against the words"
    for rule in failed:
        yield from _argument(rule, rows[rule.number, rule.variant], target)


def _verdict(row: Mapping[str, Any]) -> str:
    word = str(row["outcome"]).replace("_", " ")
    if row["outcome"] == "fail":
        word = {"violation": "FAIL", "warning": "WARN", "note": "note"}[row["severity"]]
        word += " (waived)" if row["waived"] else ""
    return word


def _argument(rule: ActiveRule, row: Mapping[str, Any], target: str) -> Iterator[str]:
    """Why a failure is one: the RFC's words, what was sent, and what came."""
    requirement = rule.requirement
    variant = f"-{rule.variant}" if rule.variant else ""
    yield ""
    yield f"### {rule.name}"
    yield ""
    yield f"RFC {requirement.rfc} section {requirement.section} ({requirement.level}):"
    yield ""
    yield "\n>\n".join(f"> {quote}" for quote in requirement.quotes)
    yield ""
    yield f"Sent: {rule.stimulus}. Allowed: {'; or '.join(rule.allowed)}."
    yield f"{target}: {row['reaction']}"
    yield f"(frames {', '.join(map(str, row['frames']))} of"
    yield f"[{rule.number}{variant}.pcapng](probing/{rule.number}{variant}.pcapng))."
    if rule.note:
        yield ""
        yield rule.note
    if row["waived"]:
        yield ""
        yield f"Known as a {row['waived']}."
    yield ""
    yield "```"
    yield from _excerpt(row)
    yield "```"


def _excerpt(row: Mapping[str, Any]) -> Iterator[str]:
    """The packets from a little before the evidence on; ``<`` was sent to the target."""
    frames = row["frames"] or [1]
    first, last, skipped = min(frames) - 2, max(frames), False
    for line in row["packets"]:
        number = _number(line)
        if number is None or first <= number <= last:
            yield line
        elif number < first and not skipped:
            skipped = True
            yield "..."


def _number(line: str) -> int | None:
    word = line.split(" ")[1].rstrip(":") if line[:2] in ("< ", "> ") else ""
    return int(word) if word.isdigit() else None
