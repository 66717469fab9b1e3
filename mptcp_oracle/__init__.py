"""Reads, explains and judges Multipath TCP captures (RFC 8684 and RFC 6824).

>>> import mptcp_oracle
>>> trace = mptcp_oracle.analyze("corpus/kernel/bulk-two-paths.pcapng")
>>> [len(connection.subflows) for connection in trace.connections]
[2]

The public names are the ones in ``__all__``, beside the modules :mod:`mptcp_oracle.facts`,
:mod:`mptcp_oracle.options`, :mod:`mptcp_oracle.crypto` and :mod:`mptcp_oracle.errors`. Those that
need the engine are imported when they are first used, so that ``import mptcp_oracle`` costs next
to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from mptcp_oracle.errors import AdapterError, CaptureError, OracleError, TruthError, UsageError
from mptcp_oracle.version import __version__

# In a checkout the suite, the generators and the corpus lie beside this package. So they are found
# where pytest takes the checkout for the package, whatever is installed.
_CHECKOUT = os.path.dirname(__path__[0])
if os.path.isfile(os.path.join(_CHECKOUT, "conformance", "session.py")):
    __path__.append(_CHECKOUT)

if TYPE_CHECKING:
    from mptcp_oracle.analysis import (
        AddressEvent,
        Connection,
        DataFin,
        Endpoint,
        Event,
        Host,
        JoinCheck,
        Mismatch,
        Note,
        Scheduler,
        Subflow,
        SubflowEnd,
        Trace,
        analyze,
    )
    from mptcp_oracle.analysis.lookups import Announcement, Carrier, Octet, Range, Segment
    from mptcp_oracle.analysis.mappings import MappingTable
    from mptcp_oracle.analysis.tables import SegmentTable
    from mptcp_oracle.analysis.transmissions import TransmissionTable
    from mptcp_oracle.oracle import Judgement, NonconformingError, Waivers, judge
    from mptcp_oracle.verdict import Outcome, Verdict

__all__ = [
    "AdapterError",
    "AddressEvent",
    "Announcement",
    "CaptureError",
    "Carrier",
    "Connection",
    "DataFin",
    "Endpoint",
    "Event",
    "Host",
    "JoinCheck",
    "Judgement",
    "MappingTable",
    "Mismatch",
    "NonconformingError",
    "Note",
    "Octet",
    "OracleError",
    "Outcome",
    "Range",
    "Scheduler",
    "Segment",
    "SegmentTable",
    "Subflow",
    "SubflowEnd",
    "Trace",
    "TransmissionTable",
    "TruthError",
    "UsageError",
    "Verdict",
    "Waivers",
    "__version__",
    "analyze",
    "judge",
]

_LAZY = {
    "mptcp_oracle.analysis": (
        "AddressEvent", "Connection", "DataFin", "Endpoint", "Event", "Host", "JoinCheck",
        "Mismatch", "Note", "Scheduler", "Subflow", "SubflowEnd", "Trace", "analyze",
    ),
    "mptcp_oracle.analysis.lookups": ("Announcement", "Carrier", "Octet", "Range", "Segment"),
    "mptcp_oracle.analysis.mappings": ("MappingTable",),
    "mptcp_oracle.analysis.tables": ("SegmentTable",),
    "mptcp_oracle.analysis.transmissions": ("TransmissionTable",),
    "mptcp_oracle.oracle": ("Judgement", "NonconformingError", "Waivers", "judge"),
    "mptcp_oracle.verdict": ("Outcome", "Verdict"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first asked for."""
    for home, names in _LAZY.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
