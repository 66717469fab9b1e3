"""The data plane's loops, and the choice between their compiled and their plain form.

Each module of :data:`NAMES` is one ``.py`` file written in Cython's pure-Python mode.  An install
with a C compiler also builds it as ``mptcp_oracle.engine.compiled.<name>``.  Both forms take and
fill the same arrays and give the same results; the plain one is some fifty times slower.

``MPTCP_ORACLE_ENGINE`` forces a form: ``compiled`` or ``plain``.  Unset, the compiled form is
taken where it is installed, else the plain one with a single :class:`RuntimeWarning`.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

from mptcp_oracle.errors import UsageError

__all__ = ["KINDS", "NAMES", "available", "loops"]

NAMES = (
    "records",
    "packets",
    "options",
    "streams",
    "segments",
    "origins",
    "mappings",
    "transmissions",
    "checksums",
    "tops",
)
"""The loop modules, in the order in which a capture runs through them."""

KINDS = ("compiled", "plain")
"""The two forms of the engine."""

_VARIABLE = "MPTCP_ORACLE_ENGINE"
_PACKAGES = {"compiled": f"{__name__}.compiled", "plain": __name__}
_NOTICE = (
    "mptcp-oracle runs its plain engine, which is slower: {reason}. "
    "Install a C compiler and the Python headers, then install mptcp-oracle again; "
    f"or set {_VARIABLE}=plain to accept this."
)


def available() -> bool:
    """Whether the compiled form of every loop is installed (it is not imported)."""
    return not _absent()


def loops(kind: str | None = None) -> SimpleNamespace:
    """The loop modules as one namespace.

    Args:
        kind: ``"compiled"`` or ``"plain"``; ``None`` asks the environment, then takes the best
            form that is installed.

    Returns:
        A namespace with one attribute for each of :data:`NAMES`, the module, and ``kind``, the
        form that was taken.  The same object at each call.

    Raises:
        UsageError: The form is unknown, or the compiled form is demanded and cannot be imported.
    """
    wanted = kind if kind is not None else os.environ.get(_VARIABLE) or None
    if wanted is None:
        return _best()
    if wanted not in KINDS:
        origin = _VARIABLE if kind is None else "kind"
        raise UsageError(
            f"there is no engine {wanted!r}",
            cause=f"given as {origin}",
            hint=f"choose {' or '.join(KINDS)}",
            kind=wanted,
        )
    try:
        return _load(wanted)
    except ImportError as error:
        raise UsageError(
            f"the {wanted} engine cannot be used",
            cause=str(error),
            hint="install a C compiler and the Python headers, then install mptcp-oracle again",
            kind=wanted,
        ) from error


def _absent() -> list[str]:
    package = _PACKAGES["compiled"]
    return [name for name in NAMES if find_spec(f"{package}.{name}") is None]


@cache
def _best() -> SimpleNamespace:
    try:
        return _load("compiled")
    except ImportError as error:
        warnings.warn(_NOTICE.format(reason=error), RuntimeWarning, stacklevel=3)
        return _load("plain")


@cache
def _load(kind: str) -> SimpleNamespace:
    if kind == "compiled" and (absent := _absent()):
        raise ImportError(f"no compiled form of {', '.join(absent)} is installed")
    package = _PACKAGES[kind]
    modules = {name: import_module(f"{package}.{name}") for name in NAMES}
    return SimpleNamespace(kind=kind, **modules)
