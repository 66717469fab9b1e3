"""The faults that can be planted in a trace, and the requirements that none can break.

Each area of the RFCs has its table of faults; together they are :data:`FAULTS`. Every
requirement that a capture can decide is tripped by one of them, or has its reason in
:data:`EXCEPTED`.
"""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.errors import UsageError
from mptcp_oracle.model import (
    faults_aborting,
    faults_acknowledging,
    faults_addresses,
    faults_capable,
    faults_checksums,
    faults_closing,
    faults_failing,
    faults_falling,
    faults_features,
    faults_finishing,
    faults_general,
    faults_hmac,
    faults_initiation,
    faults_joining,
    faults_keys,
    faults_mapping,
    faults_priority,
    faults_reaching,
    faults_rejoining,
    faults_repeating,
    faults_spreading,
    faults_twins,
)
from mptcp_oracle.model.fault import NEEDS, Fault
from mptcp_oracle.model.faults_edit import Place
from mptcp_oracle.model.faults_excepted import EXCEPTED
from mptcp_oracle.model.trace import Trace

__all__ = [
    "AREAS",
    "EXCEPTED",
    "FAULTS",
    "NEEDS",
    "Fault",
    "Place",
    "fault",
    "plantable",
    "tripping",
]

AREAS: dict[str, tuple[Fault, ...]] = {
    "general": faults_general.FAULTS,
    "capable": faults_capable.FAULTS,
    "initiation": faults_initiation.FAULTS,
    "keys": (*faults_keys.FAULTS, *faults_twins.FAULTS),
    "hmac": faults_hmac.FAULTS,
    "joining": faults_joining.FAULTS,
    "addresses": faults_addresses.FAULTS,
    "spreading": faults_spreading.FAULTS,
    "reaching": faults_reaching.FAULTS,
    "mapping": (*faults_checksums.FAULTS, *faults_mapping.FAULTS),
    "acknowledging": (*faults_acknowledging.FAULTS, *faults_repeating.FAULTS),
    "closing": faults_closing.FAULTS,
    "finishing": faults_finishing.FAULTS,
    "priority": faults_priority.FAULTS,
    "aborting": faults_aborting.FAULTS,
    "falling": (*faults_failing.FAULTS, *faults_falling.FAULTS),
    "rejoining": faults_rejoining.FAULTS,
    "features": faults_features.FAULTS,
}
"""The tables of faults by area."""

FAULTS: dict[str, Fault] = {each.name: each for area in AREAS.values() for each in area}
"""Every fault by its name, in the order of the tables."""


def fault(name: str) -> Fault:
    """The fault of a name.

    Raises:
        UsageError: There is none of this name.
    """
    try:
        return FAULTS[name]
    except KeyError:
        raise UsageError(
            f"there is no fault {name!r}", hint="faults: " + ", ".join(sorted(FAULTS))
        ) from None


def tripping(requirement: str) -> tuple[Fault, ...]:
    """The faults that trip a requirement, by its id."""
    return tuple(each for each in FAULTS.values() if requirement in (*each.v1, *each.v0))


def plantable(trace: Trace) -> Iterator[Fault]:
    """The edits that have a place in a trace."""
    return (each for each in FAULTS.values() if each.kind == "edit" and each.places(trace))
