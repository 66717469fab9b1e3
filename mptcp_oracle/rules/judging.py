"""Judging: every rule over every connection of a trace, and the verdicts that come of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.rules import (
    aborting,
    acknowledging,
    addresses,
    capable,
    closing,
    derivation,
    falling,
    general,
    initiation,
    joining,
    mapping,
    opening,
    priority,
    repeating,
    summing,
    windows,
)
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.context import Context, networks
from mptcp_oracle.rules.ledger import Ledger
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.spec import catalogue, counterpart
from mptcp_oracle.verdict import Outcome, Verdict

__all__ = ["AREAS", "RULES", "judge", "verdicts"]

AREAS: dict[str, tuple[Rule, ...]] = {
    "general": general.RULES,
    "capable": capable.RULES,
    "initiation": initiation.RULES,
    "derivation": derivation.RULES,
    "joining": joining.RULES,
    "addresses": addresses.RULES,
    "priority": priority.RULES,
    "mapping": mapping.RULES,
    "summing": summing.RULES,
    "acknowledging": acknowledging.RULES,
    "windows": windows.RULES,
    "repeating": repeating.RULES,
    "closing": closing.RULES,
    "aborting": aborting.RULES,
    "falling": falling.RULES,
    "opening": opening.RULES,
}
"""The tables of rules by area."""

RULES: tuple[Rule, ...] = tuple(rule for area in AREAS.values() for rule in area)
"""Every rule."""


def judge(
    trace: Trace,
    *,
    local: Sequence[str] = (),
    whole: bool | None = None,
    rules: Iterable[Rule] = RULES,
) -> Ledger:
    """Apply rules to the connections of a trace.

    Args:
        trace: The trace, still open.
        local: Addresses or networks of the host at which the capture was made.
        whole: Whether the capture lacks no frame that passed its tap; by default what it states.
        rules: Those to apply.

    Raises:
        UsageError: A local address is none.
    """
    chosen = tuple(rules)
    ids = dict.fromkeys(each for rule in chosen for each in rule.requirements)
    ledger = Ledger(ids, 2 * len(trace.connections))
    whole = trace.capture.whole if whole is None else whole
    context = Context(trace, ledger, networks(local), whole)
    judges = {
        version: [
            (rule.judge, frozenset(rule.on))
            for rule in chosen
            if rule.judge is not None and version in rule.versions
        ]
        for version in (0, 1)
    }
    for number, connection in enumerate(trace.connections):
        if connection.version not in judges:
            continue
        case = Case(context, number, connection)
        for apply, on in judges[connection.version]:
            if not on or not on.isdisjoint(case.present):
                apply(case)
    for rule in chosen:
        if rule.sweep is not None:
            rule.sweep(context)
    return ledger


def verdicts(
    trace: Trace, ledger: Ledger, *, everything: bool = False, only: Sequence[str] = ()
) -> Iterator[Verdict]:
    """The verdicts of a ledger, connection by connection, in the order of the catalogue.

    Args:
        trace: The trace that was judged.
        ledger: What was found.
        everything: Whether requirements that a connection does not exercise are there, too.
        only: Prefixes of ids or numbers; by default all.
    """
    judged = set(ledger.requirements())
    rows = {
        version: [
            (each, found)
            for each in catalogue()
            if each in judged and (found := counterpart(each, version)) is not None
        ]
        for version in (0, 1)
    }
    prefixes = tuple(only)
    for number, connection in enumerate(trace.connections):
        if connection.version not in rows:
            continue
        for requirement, name in rows[connection.version]:
            row = catalogue()[name]
            if prefixes and not (row.id.startswith(prefixes) or row.number.startswith(prefixes)):
                continue
            for role in (0, 1):
                direction = 2 * number + role
                outcome = ledger.outcome(requirement, direction)
                if outcome is Outcome.NOT_EXERCISED and not everything:
                    continue
                yield _verdict(trace, ledger, requirement, name, connection.id, direction, outcome)


def _verdict(
    trace: Trace,
    ledger: Ledger,
    requirement: str,
    name: str,
    connection: int,
    direction: int,
    outcome: Outcome,
) -> Verdict:
    frame = trace.wire.segments["frame"]
    findings = ledger.findings(requirement, direction)
    right, unseen = ledger.counts(requirement, direction)
    own = catalogue()[name].severity
    gravest = ledger.severity(requirement, direction, own)
    # One finding that is as grave as all is enough to show; the first is the earliest met.
    shown = next((each for each in findings if (each.severity or own) == gravest), None)
    shown = shown or (findings[0] if findings else None)
    return Verdict(
        requirement=name,
        outcome=outcome,
        severity=gravest,
        host=ROLES[direction & 1],
        connection=connection,
        subflow=None if shown is None else shown.subflow,
        frames=() if shown is None else tuple(dict.fromkeys(int(frame[row]) for row in shown.rows)),
        why="" if shown is None else shown.why,
        seen=right,
        unseen=unseen,
    )
