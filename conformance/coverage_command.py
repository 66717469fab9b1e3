"""The command ``mptcp-oracle coverage``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from mptcp_oracle.errors import UsageError

__all__ = ["coverage_command"]

EXAMPLES = """
\b
Examples:
  mptcp-oracle coverage
  mptcp-oracle coverage --requirement 8684-3.4
  mptcp-oracle coverage --check
  mptcp-oracle coverage --write docs/coverage.md

\b
Exit status:
  0  done; with --check: each judged requirement is proven by a fault and by a clean trace
  1  with --check: one lacks a proof, or a fault fails something else
  2  wrong usage
"""


@click.command("coverage", epilog=EXAMPLES)
@click.option("--requirement", metavar="PREFIX", default="", help="Only these, by id or number.")
@click.option("--check", is_flag=True, help="Plant every fault and judge: about half a minute.")
@click.option("--write", metavar="FILE", help="Write the page of all requirements.")
def coverage_command(*, requirement: str, check: bool, write: str | None) -> None:
    """List the requirements of the RFCs and what becomes of each; prove that the rules work.

    A fault is a planted deviation: it must make exactly those fail that it is listed for.
    """
    from mptcp_oracle.conformance.coverage import areas, fates, page, prove

    from mptcp_oracle.model.faults import tripping
    from mptcp_oracle.spec import FATES, by_id, matching

    if requirement and next(matching(requirement), None) is None:
        by_id(requirement)
    if write is not None:
        Path(write).write_text(page(exercised()), encoding="utf-8")
        return
    if check:
        proof = prove(_progress)
        wrong = [*proof.problems, *proof.missing()]
        for line in wrong:
            click.echo(line)
        click.echo(f"{len(proof.failed)} requirements fail by a fault, {len(proof.passed)} pass in "
                   f"clean traces, {len(wrong)} problems")  # fmt: skip
        sys.exit(1 if wrong else 0)
    for each in matching(requirement):
        words = [each.number, each.id, each.fate.replace("_", " ")]
        if each.alias_of:
            words.append(f"of {by_id(each.alias_of).number}")
        if each.id in areas():
            words.append(f"(rules: {areas()[each.id]}; faults: {len(tripping(each.number))})")
        click.echo(" ".join(words))
    for fate, count in fates().items():
        click.echo(f"{count:4} {fate.replace('_', ' ')}: {FATES[fate]}")


def exercised() -> Counter[str]:
    """By id: in how many of the bundled recordings a requirement passed or failed."""
    from mptcp_oracle.conformance.session import bundled
    from mptcp_oracle.conformance.sidecars import sidecar_of

    from mptcp_oracle.oracle import judge
    from mptcp_oracle.verdict import Outcome

    found: Counter[str] = Counter()
    captures = bundled()
    if not captures:
        raise UsageError("the recordings are not installed")
    for path in captures:
        with judge(path, whole=sidecar_of(path).whole) as judgement:
            found.update(
                {
                    each.requirement
                    for each in judgement.verdicts()
                    if each.outcome in (Outcome.PASS, Outcome.FAIL)
                }
            )
    return found


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {total} ", nl=False, err=True)
