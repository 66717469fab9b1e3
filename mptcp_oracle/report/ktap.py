"""KTAP, the test protocol of the Linux kernel's selftests, for ``mptcp-oracle check --ktap``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mptcp_oracle.report.layout import printable
from mptcp_oracle.report.verdicts import place
from mptcp_oracle.spec import by_id, catalogue
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = ["document"]


def document(groups: Sequence[tuple[str, Sequence[Verdict]]], *, should: bool) -> Iterator[str]:
    """One test a requirement, over all captures; not exercised and inconclusive ones are skipped.

    Args:
        groups: Name and verdicts of each capture.
        should: Whether warnings count as failures.
    """
    rows: dict[str, list[tuple[str, Verdict]]] = {}
    for name, verdicts in groups:
        for each in verdicts:
            rows.setdefault(each.requirement, []).append((name, each))
    order = [each for each in catalogue() if each in rows]
    yield "KTAP version 1"
    yield f"1..{len(order)}"
    for number, requirement in enumerate(order, start=1):
        yield from _test(number, requirement, rows[requirement], should=should)


def _test(
    number: int, requirement: str, found: Sequence[tuple[str, Verdict]], *, should: bool
) -> Iterator[str]:
    kinds = ("fail", "warn") if should else ("fail",)
    failed = [(name, each) for name, each in found if each.count in kinds and each.waived is None]
    title = by_id(requirement).id
    if failed:
        yield f"not ok {number} {title}"
        for name, each in failed:
            yield f"# {printable(name)}: {place(each)}: {printable(each.why)}"
        return
    waived = next((each for _, each in found if each.waived is not None), None)
    if waived is not None:
        yield f"ok {number} {title} # XFAIL {printable(waived.waived or '')}"
    elif any(each.outcome is Outcome.PASS for _, each in found):
        yield f"ok {number} {title}"
    else:
        doubt = next((each for _, each in found if each.outcome is Outcome.INCONCLUSIVE), None)
        reason = "not exercised" if doubt is None else f"inconclusive: {doubt.why}"
        warned = next((each for _, each in found if each.outcome is Outcome.FAIL), None)
        reason = reason if warned is None else f"{warned.severity}: {warned.why}"
        yield f"ok {number} {title} # SKIP {printable(reason)}"
