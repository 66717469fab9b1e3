"""Receive windows of connection and subflow (RFC 8684 sections 3.3.4 and 3.3.5)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
