"""Judging: every rule over every connection of a trace, and the verdicts that come of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mptcp_oracle.analysis.entities import ROLES, Connection
from mptcp_oracle.analysis.signals import ACK, SYN
from mptcp_oracle.analysis.trace import Trace
from mptcp_oracle.constants import Subtype
from mptcp_oracle.rules import (
    aborting,
    acknowledging,
    addresses,
    capable,
    closing,
    covering,
    derivation,
    failing,
    falling,
    general,
    identities,
    initiation,
    joining,
    mapping,
    opening,
    placing,
    priority,
    rating,
    refusing,
    rejoining,
    repeating,
    signing,
    summing,
    windows,
)
from mptcp_oracle.rules.case import Case
from mptcp_oracle.rules.context import Context, networks
from mptcp_oracle.rules.ledger import Ledger
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.spec import Requirement, catalogue, counterpart
from mptcp_oracle.verdict import Verdict

__all__ = ["AREAS", "RULES", "judge", "unexercised", "verdicts"]

VERSIONS = (0, 1)
"""Versions of MPTCP that are judged."""

AREAS: dict[str, tuple[Rule, ...]] = {
    "general": general.RULES,
    "capable": capable.RULES,
    "initiation": initiation.RULES,
    "derivation": derivation.RULES,
    "signing": signing.RULES,
    "joining": joining.RULES,
    "identities": identities.RULES,
    "refusing": refusing.RULES,
    "rejoining": rejoining.RULES,
    "addresses": addresses.RULES,
    "priority": priority.RULES,
    "mapping": mapping.RULES,
    "placing": placing.RULES,
    "covering": covering.RULES,
    "rating": rating.RULES,
    "summing": summing.RULES,
    "acknowledging": acknowledging.RULES,
    "windows": windows.RULES,
    "repeating": repeating.RULES,
    "closing": closing.RULES,
    "aborting": aborting.RULES,
    "failing": failing.RULES,
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
    groups = list(trace.groups())
    ledger = Ledger(ids, 2 * len(groups))
    whole = trace.capture.whole if whole is None else whole
    context = Context(trace, ledger, networks(local), whole)
    judges = {
        (version, stray): [
            (rule.judge, frozenset(rule.on))
            for rule in chosen
            if rule.judge is not None and version in rule.versions and (rule.strays or not stray)
        ]
        for version in VERSIONS
        for stray in (False, True)
    }
    for number, group in enumerate(groups):
        version = offered(trace, group) if (stray := is_stray(group)) else group.version
        if version is None:
            continue
        case = Case(context, number, group, version)
        for apply, on in judges[version, stray]:
            if not on or not on.isdisjoint(case.present):
                apply(case)
    for rule in chosen:
        if rule.sweep is not None:
            rule.sweep(context)
    return ledger


def is_stray(group: Connection) -> bool:
    """Whether this is no connection of a version that is judged."""
    return group.id < 0 or group.version not in VERSIONS


def offered(trace: Trace, group: Connection) -> int | None:
    """The version of MP_CAPABLE, well-formed or not, on the SYN of a handshake; if it is judged."""
    stream, opener = group.subflows[0].stream, group.subflows[0].halves[0]
    for raw in trace.signals.of(stream, Subtype.MP_CAPABLE):
        if raw.half == opener and raw.flags & (SYN | ACK) == SYN:
            version = raw.raw[2] & 0x0F
            return version if version in VERSIONS else None
    return None


def verdicts(
    trace: Trace, ledger: Ledger, *, everything: bool = False, only: Sequence[str] = ()
) -> Iterator[Verdict]:
    """The verdicts of a ledger, connection by connection, in the order of the catalogue.

    Handshakes that made no connection come last.

    Args:
        trace: The trace that was judged.
        ledger: What was found.
        everything: Whether requirements that a connection does not exercise are there, too.
        only: Prefixes of ids or numbers; by default all.
    """
    rows = _rows(ledger, tuple(only))
    told: dict[int, list[str]] = {}
    for requirement in dict.fromkeys(each for pairs in rows.values() for each, _ in pairs):
        for direction in ledger.exercised(requirement):
            told.setdefault(direction, []).append(requirement)
    for number, group in enumerate(trace.groups()):
        both = [frozenset(told.get(2 * number + role, ())) for role in (0, 1)]
        stray = is_stray(group)
        version = offered(trace, group) if stray and any(both) else group.version
        if version is None or not (any(both) or (everything and not stray)):
            continue
        for requirement, name in rows[version]:
            for role in (0, 1):
                if requirement in both[role] or (everything and not stray):
                    yield _verdict(trace, ledger, requirement, name, (number, group.id, role))


def unexercised(trace: Trace, ledger: Ledger, *, only: Sequence[str] = ()) -> int:
    """How many verdicts :func:`verdicts` leaves out unless everything is asked for."""
    rows = _rows(ledger, tuple(only))
    judged = {group.id: group.version for group in trace.connections if not is_stray(group)}
    every = sum(2 * len(rows[version]) for version in judged.values() if version is not None)
    told = verdicts(trace, ledger, only=only)
    return every - sum(1 for each in told if each.connection in judged)


def _rows(ledger: Ledger, only: tuple[str, ...]) -> dict[int, list[tuple[str, str]]]:
    """By version: the requirements that are judged, and the ids that they have there, in order."""
    rows: dict[int, list[tuple[str, str]]] = {}
    order = {each: at for at, each in enumerate(catalogue())}
    for version in (0, 1):
        found = [
            (each, name)
            for each in ledger.requirements()
            if (name := counterpart(each, version)) is not None
            and (not only or _chosen(catalogue()[name], only))
        ]
        rows[version] = sorted(found, key=lambda pair: order[pair[1]])
    return rows


def _chosen(row: Requirement, only: tuple[str, ...]) -> bool:
    return row.id.startswith(only) or row.number.startswith(only)


def _verdict(
    trace: Trace,
    ledger: Ledger,
    requirement: str,
    name: str,
    whose: tuple[int, int, int],
) -> Verdict:
    """The verdict on a host; ``whose`` is its connection's place in tables and id, and its role."""
    number, connection, role = whose
    frame, direction = trace.wire.segments["frame"], 2 * number + role
    findings = ledger.findings(requirement, direction)
    right, unseen = ledger.counts(requirement, direction)
    own = catalogue()[name].severity
    gravest = ledger.severity(requirement, direction, own)
    # One finding that is as grave as all is enough to show; the first is the earliest met.
    shown = next((each for each in findings if (each.severity or own) == gravest), None)
    shown = shown or (findings[0] if findings else None)
    return Verdict(
        requirement=name,
        outcome=ledger.outcome(requirement, direction),
        severity=gravest,
        host=ROLES[role],
        connection=connection,
        subflow=None if shown is None else shown.subflow,
        frames=() if shown is None else tuple(dict.fromkeys(int(frame[row]) for row in shown.rows)),
        why="" if shown is None else shown.why,
        seen=right,
        unseen=unseen,
    )
