"""The scenarios of ``mptcp-oracle record``, by name."""

from __future__ import annotations

from mptcp_oracle.live.scenario import Scenario
from mptcp_oracle.live.table_addresses import ADDRESSES
from mptcp_oracle.live.table_closing import CLOSINGS
from mptcp_oracle.live.table_failures import FAILURES
from mptcp_oracle.live.table_load import LOADS
from mptcp_oracle.live.table_middlebox import MIDDLEBOXES
from mptcp_oracle.live.table_paths import PATHS
from mptcp_oracle.live.table_tester import TESTERS
from mptcp_oracle.live.table_transfer import TRANSFERS
from mptcp_oracle.live.table_vantage import VANTAGES

__all__ = ["SCENARIOS", "TABLES"]

TABLES: tuple[tuple[Scenario, ...], ...] = (
    TRANSFERS,
    LOADS,
    CLOSINGS,
    PATHS,
    ADDRESSES,
    FAILURES,
    MIDDLEBOXES,
    VANTAGES,
    TESTERS,
)

SCENARIOS: dict[str, Scenario] = {item.name: item for table in TABLES for item in table}
