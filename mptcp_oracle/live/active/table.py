"""All active rules, in the order of the RFC."""

from __future__ import annotations

from mptcp_oracle.live.active import (
    aborting,
    acknowledging,
    addresses,
    failing,
    initiation,
    joining,
    mapping,
)
from mptcp_oracle.live.active.rule import ActiveRule
from mptcp_oracle.spec import catalogue

__all__ = ["RULES"]


def _in_order() -> tuple[ActiveRule, ...]:
    areas = (initiation, joining, mapping, acknowledging, addresses, aborting, failing)
    every = [rule for area in areas for rule in area.RULES]
    places = {each.number: place for place, each in enumerate(catalogue().values())}
    return tuple(sorted(every, key=lambda rule: places[rule.number]))


RULES: tuple[ActiveRule, ...] = _in_order()
"""Every active rule."""
