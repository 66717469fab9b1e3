"""Coverage of the requirements: judged by which rules, proven by what, met in which recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from mptcp_oracle.conformance.proving import HOSTS, lawful_capture, number, planted, verdicts_of

from mptcp_oracle.live.active.table import RULES
from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.fault import is_shown
from mptcp_oracle.model.faults import FAULTS, tripping
from mptcp_oracle.rules.judging import AREAS
from mptcp_oracle.spec import FATES, Requirement, by_id, catalogue, counterpart
from mptcp_oracle.verdict import Outcome

__all__ = ["Proof", "areas", "fates", "page", "prove", "rows"]

#: Traces that are tried per fault and version before a requirement counts as unproven.
SEEDS = 3

HEAD = """\
# Requirements and how they are covered

Every requirement of RFC 8684 and RFC 6824 in our inventory, with its fate. *Rules* is the module
that judges it, *probe* if a peer that misbehaves brings it out ([probing.md](probing.md)). *Faults*
are the planted deviations that make it fail, *recordings* says how many of the recordings of Linux
in the corpus exercise it. Written by `mptcp-oracle coverage --write`;
`mptcp-oracle coverage --check` proves that each fault fails exactly what it is listed for, at its
frame, and that clean traces pass.
"""


def fates() -> Counter[str]:
    """How many requirements have each fate."""
    return Counter(each.fate for each in catalogue().values())


@cache
def areas() -> dict[str, str]:
    """By id: the module of the rules that judge a requirement, aliases included."""
    found = {}
    for area, rules in AREAS.items():
        for rule in rules:
            for name in rule.requirements:
                for version in (0, 1):
                    alias = counterpart(name, version)
                    if alias is not None:
                        found[alias] = area
    return found


def rows(exercised: Counter[str]) -> Iterator[tuple[str, ...]]:
    """The rows of the page: number, id, level, fate, rules, faults, recordings."""
    for each in catalogue().values():
        faults = [fault.name for fault in tripping(each.number)]
        probes = [rule for rule in RULES if rule.number == each.number]
        faults += dict.fromkeys(rule.fault for rule in probes)
        fate = f"alias of {by_id(each.alias_of).number}" if each.alias_of else each.fate
        yield (
            each.number,
            each.id,
            each.level,
            fate.replace("_", " "),
            "probe" if probes else areas().get(each.id, ""),
            ", ".join(faults),
            str(exercised[each.id]) if each.id in areas() else "",
        )


def page(exercised: Counter[str]) -> str:
    """docs/coverage.md.

    Args:
        exercised: By id: in how many of the bundled recordings it passed or failed.
    """
    counts = fates()
    lines = [HEAD, "| fate | requirements | |", "| --- | --- | --- |"]
    lines += [f"| {each.replace('_', ' ')} | {counts[each]} | {FATES[each]} |" for each in FATES]
    lines += [
        "",
        "| number | id | level | fate | rules | faults | recordings |",
        "|" + " --- |" * 7,
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows(exercised)]
    reasons = [each for each in catalogue().values() if each.reason]
    lines += [
        "",
        "## Why some are not judged",
        "",
        "| number | fate | reason |",
        "|" + " --- |" * 3,
    ]
    lines += [
        f"| {each.number} | {each.fate.replace('_', ' ')} | {each.reason} |" for each in reasons
    ]
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Proof:
    """What planting every fault showed.

    Attributes:
        failed: Numbers of requirements that a fault made fail, as listed. passed: Those that a
            clean trace keeps. problems: What went wrong, a line each.
    """

    failed: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def lawful(self, host: int, capture: Capture, wanted: set[str]) -> Iterator[str]:
        """Judge a lawful trace that was made for some requirements; what is wrong with that."""
        for each in verdicts_of(capture):
            mine = number(each) in wanted and each.host == HOSTS[host]
            if mine and each.outcome is Outcome.PASS:
                self.passed.add(number(each))
            elif each.outcome is Outcome.FAIL and (mine or each.severity == "violation"):
                yield f"LAWFUL {number(each)} for the {each.host} in {each.frames}: {each.why}"

    def missing(self) -> Iterator[str]:
        """The judged requirements that lack a proof, a line each."""
        for each in _judged():
            if each.number not in self.failed:
                yield f"{each.number} {each.id}: no fault makes it fail"
            if each.number not in self.passed:
                yield f"{each.number} {each.id}: no clean trace passes it"


def _judged() -> Iterator[Requirement]:
    for each in catalogue().values():
        target = by_id(each.alias_of) if each.alias_of else each
        if target.fate == "judged":
            yield each


def prove(
    told: Callable[[int, int], None] = lambda _done, _all: None, *, seeds: int = SEEDS
) -> Proof:
    """Plant every fault in every version that it applies to.

    Args:
        told: Called with how many are done, and how many there are.
        seeds: Most traces to try for each, until all that it lists failed.
    """
    judged = {each.number for each in _judged()}
    work = [(fault, version) for fault in FAULTS.values() for version in fault.versions]
    proof = Proof()
    for done, (fault, version) in enumerate(work):
        told(done, len(work))
        wanted = set(fault.requirements(version)) & judged
        for seed in range(seeds):
            shown = planted(fault, version, seed)
            if shown is None:
                proof.problems.append(f"{fault.name} v{version}: no trace has a place for it")
                break
            proof.passed |= shown.passed
            problems = list(shown.problems(judged))
            if is_shown(fault):
                lawful = lawful_capture(fault, version, seed)
                if lawful is None:
                    problems.append("no trace has a place for its lawful edit")
                else:
                    host, capture = lawful
                    problems += proof.lawful(host, capture, wanted)
            proof.problems += [f"{fault.name} v{version} seed {seed}: {each}" for each in problems]
            proof.failed |= {each for each, _ in shown.found} & wanted
            if not problems and wanted <= proof.failed and wanted <= proof.passed:
                break
    return proof
