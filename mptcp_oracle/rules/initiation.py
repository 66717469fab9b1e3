"""Who may do what when a connection begins: three packets, first data, first joins (section 3.1)."""

from __future__ import annotations

from mptcp_oracle.rules.rule import Rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = ()
