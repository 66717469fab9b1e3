"""Reads, explains and judges Multipath TCP captures (RFC 8684 and RFC 6824).

>>> import mptcp_oracle
>>> trace = mptcp_oracle.analyze("corpus/kernel/bulk-two-paths.pcapng")  # doctest: +SKIP

The public names are the ones in ``__all__``.  Those that need the engine are imported when they
are first used, so that ``import mptcp_oracle`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mptcp_oracle.errors import AdapterError, CaptureError, OracleError, TruthError, UsageError

if TYPE_CHECKING:
    from mptcp_oracle.analysis import Trace, analyze

__version__ = "0.1.0.dev0"

__all__ = [
    "AdapterError",
    "CaptureError",
    "OracleError",
    "Trace",
    "TruthError",
    "UsageError",
    "__version__",
    "analyze",
]

_LAZY = {
    "Trace": "mptcp_oracle.analysis",
    "analyze": "mptcp_oracle.analysis",
}


def __getattr__(name: str) -> object:
    """Import a public name from its home when it is first asked for."""
    home = _LAZY.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
