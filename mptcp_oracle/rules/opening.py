"""TCP Fast Open (RFC 8684 appendix B)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
