"""All active rules, in the order of the RFC."""

from __future__ import annotations

from mptcp_oracle.live.active import initiation, joining, mapping
from mptcp_oracle.live.active.rule import ActiveRule

__all__ = ["RULES"]

RULES: tuple[ActiveRule, ...] = (*initiation.RULES, *joining.RULES, *mapping.RULES)
"""Every active rule."""
