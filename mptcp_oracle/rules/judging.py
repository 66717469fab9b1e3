"""Judging: every rule over every connection of a trace, and the verdicts that come of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

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
from mptcp_oracle.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["AREAS", "RULES", "judge", "passed", "unexercised", "verdicts"]

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

OPENING = frozenset(each for rule in RULES if rule.strays for each in rule.requirements)
"""Requirements on the packets that open a connection."""


LOSING = frozenset(
    {
        "bad-block",
        "bad-compression",
        "bad-interface",
        "bad-record",
        "bad-section",
        "packets-dropped",
        "too-many-interfaces",
        "unknown-interface",
    }
)
"""Notes of a capture that has lost frames between others, not only at its end."""


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
    # Whoever says that all is there cannot know what the file itself has lost.
    whole = whole and LOSING.isdisjoint(note.code for note in trace.capture.notes)
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
    # Connections are much alike: what applies to one that has the same applies to the next.
    chosen_for: dict[object, list[Callable[[Case], None]]] = {}
    for number, group in enumerate(groups):
        version = offered(trace, group) if (stray := is_stray(group)) else group.version
        if version is None:
            continue
        case = Case(context, number, group, version, stray=stray)
        key = version, stray, frozenset(case.present)
        if key not in chosen_for:
            chosen_for[key] = [
                apply
                for apply, on in judges[version, stray]
                if not on or not on.isdisjoint(case.present)
            ]
        for apply in chosen_for[key]:
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
    trace: Trace,
    ledger: Ledger,
    *,
    everything: bool = False,
    passes: bool = True,
    only: Sequence[str] = (),
    among: Array | None = None,
) -> Iterator[Verdict]:
    """The verdicts of a ledger, connection by connection, in the order of the catalogue.

    Unattached subflows, of which only a handshake is judged, come last.

    Args:
        trace: The trace that was judged.
        ledger: What was found.
        everything: Whether requirements that a connection does not exercise are there, too.
        passes: Whether those that were kept are; :func:`passed` counts them.
        only: Prefixes of ids or numbers; by default all.
        among: By direction: which hosts count; by default all.
    """
    import numpy as np

    entries, chosen = _rows(ledger, tuple(only)), _Versions(trace)
    order, whose = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for at, (requirement, _, version) in enumerate(entries):
        mask = ledger.exercised(requirement)
        if everything:
            mask |= chosen.opened
        if not passes:
            mask &= ~ledger.passed(requirement)
        mask &= chosen.of(requirement, version)
        if among is not None:
            mask &= among
        whose.append(np.flatnonzero(mask))
        order.append(np.full(len(whose[-1]), at))
    orders, directions = np.concatenate(order), np.concatenate(whose)
    ids = [group.id for group in trace.groups()]
    for at in np.lexsort((directions, orders, directions >> 1)).tolist():
        direction, (requirement, name, _) = int(directions[at]), entries[orders[at]]
        yield _verdict(trace, ledger, requirement, name, ids[direction >> 1], direction)


def passed(
    trace: Trace, ledger: Ledger, *, only: Sequence[str] = (), among: Array | None = None
) -> Counter[str]:
    """How many hosts kept each requirement, by its id; one for each connection.

    Args:
        trace: The trace that was judged.
        ledger: What was found.
        only: Prefixes of ids or numbers; by default all.
        among: By direction: which hosts count; by default all.
    """
    chosen, found = _Versions(trace), Counter[str]()
    for requirement, name, version in _rows(ledger, tuple(only)):
        kept = chosen.of(requirement, version) & ledger.passed(requirement)
        found[name] += int((kept if among is None else kept & among).sum())
    return +found


def unexercised(
    trace: Trace, ledger: Ledger, *, only: Sequence[str] = (), among: Array | None = None
) -> int:
    """How many verdicts :func:`verdicts` leaves out unless everything is asked for.

    The arguments are those of :func:`passed`.
    """
    chosen = _Versions(trace)
    asked = chosen.opened if among is None else chosen.opened & among
    return sum(
        int((chosen.of(requirement, version) & asked & ~ledger.exercised(requirement)).sum())
        for requirement, _, version in _rows(ledger, tuple(only))
    )


class _Versions:
    """By direction: the version that a host is judged by.

    Attributes:
        opened: Whether it is a host of a connection, and not only of a handshake.
    """

    def __init__(self, trace: Trace) -> None:
        import numpy as np

        groups = list(trace.groups())
        strays = [is_stray(group) for group in groups]
        versions = [
            offered(trace, group) if stray else group.version
            for group, stray in zip(groups, strays, strict=True)
        ]
        known = [-1 if version is None else version for version in versions]
        self._version = np.repeat(np.array(known, np.int8), 2)
        self.opened: Array = ~np.repeat(np.array(strays, np.bool_), 2)

    def of(self, requirement: str, version: int) -> Array:
        """Which directions a requirement is judged for, under a version."""
        found: Array = self._version == version
        return found if requirement in OPENING else found & self.opened


def _rows(ledger: Ledger, only: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """The requirements that are judged, their ids in a version, and the version, in order."""
    order = {each: at for at, each in enumerate(catalogue())}
    found = [
        (each, name, version)
        for version in VERSIONS
        for each in ledger.requirements()
        if (name := counterpart(each, version)) is not None
        and (not only or _chosen(catalogue()[name], only))
    ]
    return sorted(found, key=lambda row: order[row[1]])


def _chosen(row: Requirement, only: tuple[str, ...]) -> bool:
    return row.id.startswith(only) or row.number.startswith(only)


def _verdict(
    trace: Trace, ledger: Ledger, requirement: str, name: str, connection: int, direction: int
) -> Verdict:
    """The verdict on the host of a direction."""
    right, unseen = ledger.counts(requirement, direction)
    own = catalogue()[name].severity
    outcome = ledger.outcome(requirement, direction)
    gravest, shown = own, None
    if outcome is not Outcome.PASS:
        findings = ledger.findings(requirement, direction)
        gravest = ledger.severity(requirement, direction, own)
        # One finding that is as grave as all is enough to show; the first is the earliest met.
        shown = next((each for each in findings if (each.severity or own) == gravest), None)
        shown = shown or (findings[0] if findings else None)
    frame = trace.wire.segments["frame"]
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
