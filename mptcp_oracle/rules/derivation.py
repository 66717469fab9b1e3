"""What follows from keys: tokens, IDSNs, HMACs (RFC 8684 sections 3.1, 3.2 and 3.4.1)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
