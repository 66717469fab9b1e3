"""The tables of scoring, as Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tests.scoring.trials import KINDS, VANTAGES, Result

__all__ = ["copies", "precision", "schedulers"]

#: Kinds of redundant schedulers in the table, and what they are called there.
NAMES = {
    "full": "full copies",
    "unacked": "copies of what is not DATA_ACKed",
    "backup": "the same, with a backup subflow",
    "start": "only at the start",
    "negative": "not redundant",
}


def schedulers(results: Iterable[Result]) -> str:
    """True and false positives and unknowns, by vantage, kind of scheduler and length."""
    counts: defaultdict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    for result in results:
        kind = KINDS[result.trial.policy]
        if kind == "full" and result.vantage == "sender" and not result.both:
            kind = "full, one copy seen"
        here = counts[result.vantage, kind, result.trial.length]
        here["all"] += 1
        here[{True: "yes", False: "no", None: "unknown"}[result.redundant]] += 1
    lines = [
        "| tap | scheduler | segments | trials | called redundant | not | unknown |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    order = [*NAMES, "full, one copy seen"]
    for vantage in VANTAGES:
        for kind in order:
            for where, what, length in sorted(counts):
                if (where, what) != (vantage, kind):
                    continue
                here = counts[where, what, length]
                parts = (
                    f"{here[name]} ({here[name] / here['all']:.1%})"
                    for name in ("yes", "no", "unknown")
                )
                name = NAMES.get(kind, kind)
                lines.append(
                    f"| {vantage} | {name} | {length} | {here['all']} | {' | '.join(parts)} |"
                )
    return "\n".join(lines)


def copies(results: Iterable[Result]) -> str:
    """Octets of copies by the sender's intention and the class that they were given."""
    octets: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for result in results:
        octets[result.vantage].update(result.octets)
    lines = [
        "| tap | class given | octets | sent as reinjection | sent as redundant copy | "
        "other | precision | share of all |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for vantage in VANTAGES:
        here = octets[vantage]
        total = here.total()
        for given in ("reinjection", "redundant", "unclassified"):
            whole = sum(count for (_, name), count in here.items() if name == given)
            again, copied = here["reinjection", given], here["redundant", given]
            right = {"reinjection": again, "redundant": copied}.get(given)
            shown = "" if right is None or not whole else f"{right / whole:.4%}"
            lines.append(
                f"| {vantage} | {given} | {whole:,} | {again:,} | {copied:,} | "
                f"{whole - again - copied:,} | {shown} | {whole / max(total, 1):.1%} |"
            )
    return "\n".join(lines)


def precision(results: Iterable[Result], vantage: str, given: str) -> tuple[int, int]:
    """Octets of copies called ``given`` at a vantage: those that are, and all."""
    right = whole = 0
    for result in results:
        if result.vantage == vantage:
            for (cause, name), count in result.octets.items():
                whole += count if name == given else 0
                right += count if cause == name == given else 0
    return right, whole
