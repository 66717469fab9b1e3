"""The scenarios of ``mptcp-oracle generate``, by name."""

from __future__ import annotations

from mptcp_oracle.generators.scenario import Scenario
from mptcp_oracle.generators.scenarios_capture import CAPTURES
from mptcp_oracle.generators.scenarios_closing import CLOSING
from mptcp_oracle.generators.scenarios_data import DATA
from mptcp_oracle.generators.scenarios_falling import FALLING
from mptcp_oracle.generators.scenarios_joining import JOINING
from mptcp_oracle.generators.scenarios_opening import OPENING

__all__ = ["AREAS", "SCENARIOS", "Scenario"]

AREAS: dict[str, tuple[Scenario, ...]] = {
    "any": CAPTURES[:1],
    "opening": OPENING,
    "joining": JOINING,
    "data": DATA,
    "closing": CLOSING,
    "fallback": FALLING,
    "captures": CAPTURES[1:],
}
"""The tables of scenarios by what they are about."""

SCENARIOS: dict[str, Scenario] = {each.name: each for area in AREAS.values() for each in area}
"""Every scenario by its name, in the order of the tables."""
