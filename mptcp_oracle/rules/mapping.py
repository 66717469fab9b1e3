"""The DSS option and data sequence mappings (RFC 8684 sections 3.3 and 3.3.1)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
