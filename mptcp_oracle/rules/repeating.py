"""What is sent again: the same octets, on the subflow that lost them too (RFC 8684 section 3.3.6)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
