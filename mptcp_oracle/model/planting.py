"""Planting on demand: a trace that has a place for a fault, with the fault in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mptcp_oracle.model.choices import Choices
from mptcp_oracle.model.compose import Plan
from mptcp_oracle.model.drawing import network_of, settings_of
from mptcp_oracle.model.driver import Limits, drive
from mptcp_oracle.model.fault import Fault
from mptcp_oracle.model.interleave import interleave
from mptcp_oracle.model.policies import DATA, Profile, Wanderer
from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import Trace

__all__ = ["PLANS", "TRIES", "planted", "soil"]

MS = 1_000_000
TRIES = 200
"""How many traces are made, at most, until one has a place for a fault."""

_STIRRED = {
    **DATA,
    "Join": 30,
    "Announce": 16,
    "Withdraw": 4,
    "Prioritise": 6,
    "Echo": 20,
    "Retransmit": 4,
    "FastClose": 1,
}
_PROFILE = Profile(length=(24, 60), data=_STIRRED, subflows=(3, 2, 4, 1, 5))

NEEDED: dict[str, dict[str, Any]] = {
    "checksum": {"checksum": (True, False)},
    "no_checksum": {"checksum": (False, False)},
    "fallback_synack": {"answers": None},
    "fallback_third": {"lowest": 2},
    "syn_data": {"fast_open": 30, "ssn_after_fast_open": True},
    "join_initial": {"c_flag": (False, False)},
    "refused_syn": {"accepts": 2},
    "refused_join_reset": {"accepts": 2},
    "fail": {"checksum": (True, False), "subflows": 1},
    "fail_reset": {"checksum": (True, False), "subflows": 1},
    "infinite": {"checksum": (True, False), "subflows": 1, "buffers": (65_535, 65_535)},
    "window": {"buffers": (2_800, 2_800), "largest": 1_400, "unit": 700},
}
"""Settings without which a trace never, or hardly ever, has what some faults need."""

_CORRUPTED = {"loss": 0, "middlebox": "corrupt", "altered": 120, "from_segment": 2}

ROADS: dict[str, dict[str, Any]] = {
    "fail": _CORRUPTED,
    "infinite": _CORRUPTED,
    "fail_reset": _CORRUPTED | {"loss": 150},
    "lost": {"loss": 200},
}
"""What all paths of the network are like, likewise."""

_UNTOLD = {**_STIRRED, "Announce": 0, "Withdraw": 0}
_JOINING = {**_UNTOLD, "Join": 60}

HABITS: dict[str, dict[str, Any]] = {
    "two_joins": {"data": _JOINING, "subflows": (4,)},
    "open": {"ends": ((1, "stop"),)},
    "silent": {"data": _UNTOLD | {"Prioritise": 0, "FastClose": 0}},
    "unannounced": {"data": _UNTOLD},
    "tcprst": {"data": _JOINING | {"Reset": 12}, "subflows": (4,)},
    "fail": {"subflows": (1,)},
    "infinite": {"subflows": (1,), "ends": ((1, "stop"),)},
    "fail_reset": {"subflows": (1,), "length": (50, 90)},
    "fastclose": {"ends": ((1, "abort"),)},
    "fastclose_reset": {"ends": ((1, "abort"),)},
    "closed": {"ends": ((1, "close"),)},
    "data_fin": {"ends": ((1, "close"),)},
    "lost": {
        "data": _UNTOLD | {"Copy": 40, "Retransmit": 0},
        "subflows": (3,),
    },
    "plain_first": {"data": _STIRRED | {"Send": 12, "Acknowledge": 90}},
    "window": {"data": _STIRRED | {"Send": 80, "Stall": 10, "Read": 10}},
}
"""How the hosts behave, likewise."""

PLANS: dict[bool, Plan] = {
    False: Plan(profile=_PROFILE, limits=Limits(segments=100), boxes=False),
    True: Plan(profile=_PROFILE, limits=Limits(segments=100), boxes=True),
}
"""What traces to look for a place in: without and with middleboxes."""


def soil(fault: Fault, choices: Choices, *, plan: Plan = PLANS[False]) -> Trace:
    """A trace in which a fault may have a place; under a deviation if it is one.

    Args:
        fault: The fault.
        choices: Where all that is undetermined comes from.
        plan: What traces to make; versions that the fault does not apply to are left out.
    """
    versions = tuple(each for each in plan.versions if each in fault.versions)
    host = choices.pick(fault.hosts)
    each = [
        _apt(settings_of(choices, index, versions), fault)
        for index in range(2 if fault.pair else 1)
    ]
    if fault.pair is not None:
        each = list(fault.pair(each[0], each[1], host))
    each[0] = fault.deviant(each[0], host)
    traces = [_driven(settings, fault, choices, plan) for settings in each]
    return interleave(traces, [0, *(choices.integer(0, 100) * MS for _ in traces[1:])])


def _apt(settings: Settings, fault: Fault) -> Settings:
    """Settings as a fault needs them."""
    for need in fault.needs:
        settings = replace(settings, **NEEDED.get(need, {}))
    return settings


def _driven(settings: Settings, fault: Fault, choices: Choices, plan: Plan) -> Trace:
    network, profile = network_of(choices, boxes=plan.boxes), plan.profile
    for need in fault.needs:
        profile = replace(profile, **HABITS.get(need, {}))
        paths = tuple(replace(path, **ROADS.get(need, {})) for path in network.paths)
        network = replace(network, paths=paths)
    return drive(settings, Wanderer(profile=profile), network, choices, plan.limits)


def planted(
    fault: Fault, choices: Choices, *, plan: Plan = PLANS[False], tries: int = TRIES
) -> Trace | None:
    """A trace with a fault in it.

    Args:
        fault: The fault.
        choices: Where all that is undetermined comes from.
        plan: What traces to make.
        tries: How many, at most.

    Returns:
        The trace; ``None`` if no trace had a place.
    """
    for _ in range(tries):
        trace = soil(fault, choices, plan=plan)
        if fault.places(trace):
            return fault.plant(trace, choices)
    return None
