"""DATA_FIN and the end of subflows (RFC 8684 section 3.3.3 and appendix D)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
