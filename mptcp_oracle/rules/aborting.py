"""MP_FASTCLOSE and MP_TCPRST (RFC 8684 sections 3.5 and 3.6)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
