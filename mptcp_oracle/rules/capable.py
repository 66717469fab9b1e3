"""The MP_CAPABLE options themselves: forms, flags and keys (RFC 8684 and 6824 section 3.1)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
