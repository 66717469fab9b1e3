"""From columns to meaning: subflows, connections, mappings, transmissions, closing."""

from __future__ import annotations

from mptcp_oracle.analysis.trace import Trace, analyze

__all__ = ["Trace", "analyze"]
