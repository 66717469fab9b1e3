"""What is arranged so that a trace has a place for a fault: settings and the hosts' likings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from mptcp_oracle.model.policies import Wanderer
from mptcp_oracle.model.settings import Settings

__all__ = ["arranged", "inclined"]

SETTINGS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "checksum": {"checksum": (True, True)},
        "no_checksum": {"checksum": (False, False)},
        "syn_data": {"fast_open": 60},
        "refused_syn": {"accepts": 2, "refuses_late": False},
        "refused_ack": {"accepts": 2, "refuses_late": True},
        "refused_join_reset": {"accepts": 2},
        "join_initial": {"c_flag": (False, False)},
        "fallback_synack": {"answers": None},
        "fallback_third": {"lowest": 2},
        "window": {"buffers": (5_600, 5_600)},
    }
)
"""What settings a need of a fault asks for."""

LIKINGS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "join": {"Join": 60},
        "join_initial": {"Join": 60},
        "two_joins": {"Join": 90},
        "join_data": {"Join": 60},
        "refused_syn": {"Join": 90},
        "refused_ack": {"Join": 90},
        "refused_join_reset": {"Join": 90},
        "add_addr": {"Announce": 30},
        "add_addr_port": {"Announce": 30},
        "echo": {"Announce": 30, "Echo": 30},
        "join_announced": {"Announce": 40, "Join": 60},
        "remove_addr": {"Withdraw": 15, "Join": 60},
        "prio": {"Prioritise": 25, "Join": 60},
        "backup": {"Prioritise": 15, "Join": 60},
        "window": {"Stall": 15, "Read": 15, "Send": 90},
        "tcprst": {"Reset": 12, "Join": 60},
        "unannounced": {"Announce": 0, "Withdraw": 0},
        "reinjection": {"Copy": 30, "Join": 60},
        "retransmission": {"Retransmit": 20},
    }
)
"""What hosts have to like more than usual, or less, for a need to be met, by classes of events."""


ENDS: Mapping[str, str] = MappingProxyType(
    {
        "closed": "close",
        "data_fin": "close",
        "data_fin_on_data": "close",
        "fastclose": "abort",
        "fastclose_reset": "abort",
        "open": "stop",
    }
)
"""How a connection has to end for a need."""


def arranged(settings: Settings, needs: Iterable[str]) -> Settings:
    """Settings under which what a fault needs can happen."""
    for need in needs:
        changes = SETTINGS.get(need)
        if changes:
            settings = replace(settings, **changes)  # type: ignore[arg-type]
    return settings


def inclined(policy: Wanderer, needs: Iterable[str]) -> Wanderer:
    """Random behaviour in which what a fault needs is likely to happen."""
    needs = set(needs)
    weights = {name: n for need in sorted(needs) for name, n in LIKINGS.get(need, {}).items()}
    profile = replace(policy.profile, data={**policy.profile.data, **weights})
    for need, end in ENDS.items():
        if need in needs:
            profile = replace(profile, ends=((1, end),))
    return replace(policy, profile=profile)
