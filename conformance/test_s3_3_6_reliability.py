"""Reliability and retransmissions (RFC 8684 and RFC 6824 section 3.3.6)."""

from __future__ import annotations

from mptcp_oracle.conformance.session import Finding


def test_requirement(finding: Finding) -> None:
    """Every host in the capture keeps the requirement."""
    finding.settle()
