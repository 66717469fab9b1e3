"""Options as such: layout, lengths, subtypes (RFC 8684 sections 3 and 7.2,
RFC 6824 sections 3 and 8).
"""

from __future__ import annotations

from mptcp_oracle.conformance.session import Finding


def test_requirement(finding: Finding) -> None:
    """Every host in the capture keeps the requirement."""
    finding.settle()
