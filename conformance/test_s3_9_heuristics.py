"""Heuristics: port usage (RFC 8684 section 3.9.1, RFC 6824 section 3.8.1)."""

from __future__ import annotations

from mptcp_oracle.conformance.session import Finding


def test_requirement(finding: Finding) -> None:
    """Every host in the capture keeps the requirement."""
    finding.settle()
