"""What there is to generate: scenarios, faults and schedulers, as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from mptcp_oracle.generators.scenarios import AREAS, SCENARIOS

from mptcp_oracle.model.faults import AREAS as FAULT_AREAS
from mptcp_oracle.model.faults import FAULTS
from mptcp_oracle.model.policies_schedulers import SCHEDULERS

__all__ = ["MEANINGS", "listed", "to_json"]

MEANINGS = {
    "lowest_rtt": "New data goes to the subflow with the shortest round trip that has room.",
    "round_robin": "Subflows take turns, segment by segment.",
    "backup_aware": "Backups carry data only if nothing else can.",
    "redundant": "Every octet on every subflow at the same time; the slowest sets the pace.",
    "redundant_unacked": "Every subflow sends all that is not DATA_ACKed, as fast as it goes.",
    "redundant_start": "Redundant for the first part of the data, then by round trip.",
    "redundant_backup_aware": "Redundant on regular subflows, nothing on backups.",
    "data_timeout": "Without DATA_ACK for 250 ms the oldest data goes over another subflow.",
    "aggressive_timeout": "The same after 60 ms, which is often too early.",
    "after_loss": "What a subflow had in flight at a TCP time-out goes over another one.",
    "opportunistic": "Data that keeps the window closed is repeated on a quicker subflow.",
    "subflow_end": "A subflow is reset half way; what it held goes over another one.",
    "address_removed": "An address is withdrawn half way; what its subflow held goes elsewhere.",
}
"""What each scheduler does, in a sentence."""


def listed(width: int = 100) -> str:
    """All of it as text, with the reasons."""
    return "\n".join(_lines(width))


def _lines(width: int) -> Iterator[str]:
    for area, scenarios in AREAS.items():
        yield f"Scenarios: {area}"
        for scenario in scenarios:
            versions = "" if len(scenario.versions) > 1 else f"  (version {scenario.versions[0]})"
            yield f"  {scenario.name}{versions}"
            yield from _wrapped(scenario.why, width)
        yield ""
    yield "Schedulers (--scheduler), of a bulk transfer from the initiator"
    for name in SCHEDULERS:
        yield f"  {name}"
        yield from _wrapped(MEANINGS[name], width)
    yield ""
    for area, faults in FAULT_AREAS.items():
        yield f"Faults: {area}"
        for fault in faults:
            yield f"  {fault.name}  (breaks {', '.join((*fault.v1, *fault.v0))})"
            yield from _wrapped(fault.meaning, width)
        yield ""


def _wrapped(text: str, width: int) -> Iterator[str]:
    for line in wrap(text, max(20, width - 6)):
        yield f"      {line}"


def to_json() -> dict[str, object]:
    """All of it as JSON values."""
    return {
        "scenarios": {
            each.name: {"why": each.why, "versions": sorted(each.versions)}
            for each in SCENARIOS.values()
        },
        "schedulers": {name: MEANINGS[name] for name in SCHEDULERS},
        "faults": {
            each.name: {
                "meaning": each.meaning,
                "requirements": {"1": list(each.v1), "0": list(each.v0)},
            }
            for each in FAULTS.values()
        },
    }
