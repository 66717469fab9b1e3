"""Recordings made for this run: each is there, and agrees with what the kernel knows."""

from __future__ import annotations

from mptcp_oracle.conformance.session import Check


def test_recording(check: Check) -> None:
    """The scenario was recorded, and its counters show what it claims."""
    check.settle()


def test_agreement(check: Check) -> None:
    """What the oracle finds is what the kernel and the applications know from elsewhere."""
    check.settle()
