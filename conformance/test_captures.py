"""The captures themselves: each can be read, and shows something; no waiver is left over."""

from __future__ import annotations

from mptcp_oracle.conformance.session import Check


def test_run(check: Check) -> None:
    """What must hold for the verdicts on the requirements to mean anything."""
    check.settle()
