"""From columns to meaning: subflows, connections, mappings, transmissions, closing.

Tables and lookups have modules of their own, which a trace imports when it is asked for them.
"""

from __future__ import annotations

from mptcp_oracle.analysis.entities import (
    AddressEvent,
    Connection,
    DataFin,
    Event,
    Host,
    JoinCheck,
    Mismatch,
    Scheduler,
    Subflow,
    SubflowEnd,
)
from mptcp_oracle.analysis.trace import Trace, analyze
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.segments import Endpoint

__all__ = [
    "AddressEvent",
    "Connection",
    "DataFin",
    "Endpoint",
    "Event",
    "Host",
    "JoinCheck",
    "Mismatch",
    "Note",
    "Scheduler",
    "Subflow",
    "SubflowEnd",
    "Trace",
    "analyze",
]
