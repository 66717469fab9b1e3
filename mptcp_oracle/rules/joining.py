"""Joins: forms, Address IDs, nonces, order of messages, refusals (RFC 8684 sections 3.2, 3.9 and 5)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
