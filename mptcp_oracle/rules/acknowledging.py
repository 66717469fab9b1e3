"""DATA_ACKs (RFC 8684 section 3.3.2)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
