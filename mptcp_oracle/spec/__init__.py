"""The requirements of RFC 8684 and RFC 6824 as data: every one has a fate."""

from __future__ import annotations

from mptcp_oracle.spec.catalogue import (
    CHECKS,
    FATES,
    LEVELS,
    NEEDS,
    Requirement,
    by_id,
    catalogue,
    counterpart,
    matching,
)

__all__ = [
    "CHECKS",
    "FATES",
    "LEVELS",
    "NEEDS",
    "Requirement",
    "by_id",
    "catalogue",
    "counterpart",
    "matching",
]
