"""Closing a connection (RFC 8684 section 3.3.3 and appendix D,
RFC 6824 section 3.3.3 and appendix C).
"""

from __future__ import annotations

from mptcp_oracle.conformance.session import Finding


def test_requirement(finding: Finding) -> None:
    """Every host in the capture keeps the requirement."""
    finding.settle()
