"""Captures to judge: with a known fault, and without any."""

from __future__ import annotations

from functools import cache

from mptcp_oracle.generators.emit import emit

from mptcp_oracle.model.faults import FAULTS
from tests.verdicts.checking import Shown, planted

__all__ = ["FAULT", "REQUIREMENT", "faulty", "octets"]

FAULT, REQUIREMENT = "reset-flags", "8684-3.6-tcprst-flags-zero"
"""A fault that one segment shows, and the one requirement that it breaks."""


@cache
def faulty(name: str = FAULT, version: int = 1, seed: int = 0) -> Shown:
    """A capture with a fault planted, made at the host to blame.

    Raises:
        LookupError: No trace has a place for it.
    """
    shown = planted(FAULTS[name], version, seed)
    if shown is None:
        raise LookupError(name)
    return shown


def octets(name: str = FAULT) -> bytes:
    """Its capture file."""
    return emit(faulty(name).capture)
