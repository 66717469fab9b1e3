"""What each stage of an analysis costs: every engine loop and every step of the control plane.

The engine's modules and the analysis' functions are wrapped with a timer while one capture is
analyzed in this process. A step that calls others is shown with them included.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

__all__ = ["Profile", "profile", "show"]

#: Functions of the Python parts: module, attribute.
STEPS = (
    ("mptcp_oracle.analysis.trace", "open_capture"),
    ("mptcp_oracle.analysis.trace", "read"),
    ("mptcp_oracle.wire.segments", "_locate"),
    ("mptcp_oracle.wire.segments", "_keep_controls"),
    ("mptcp_oracle.wire.segments", "_find_events"),
    ("mptcp_oracle.wire.columns.Columns", "reserve"),
    ("mptcp_oracle.wire.columns.Columns", "trim"),
    ("mptcp_oracle.analysis.trace", "Signals"),
    ("mptcp_oracle.analysis.trace", "find_subflows"),
    ("mptcp_oracle.analysis.trace", "assemble"),
    ("mptcp_oracle.analysis.story", "tell"),
    ("mptcp_oracle.analysis.trace", "run_data_plane"),
    ("mptcp_oracle.analysis.dataplane", "_pieces"),
    ("mptcp_oracle.analysis.dataplane", "_transmissions"),
    ("mptcp_oracle.analysis.closing", "close"),
    ("mptcp_oracle.analysis.schedulers", "observe"),
    ("mptcp_oracle.analysis.checksums", "verify"),
)


@dataclass(slots=True)
class Profile:
    """Times of one analysis.

    Attributes:
        segments: How many. imports, total, hashing: Seconds of the imports, of the analysis, and
            of waiting for the SHA-256 after it.
        steps: Seconds and calls by name.
    """

    segments: int = 0
    imports: float = 0.0
    total: float = 0.0
    hashing: float = 0.0
    steps: dict[str, tuple[float, int]] = field(default_factory=dict)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its calls counted under ``name``."""

        @functools.wraps(function)
        def call(*arguments: Any, **words: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **words)
            finally:
                seconds, calls = self.steps.get(name, (0.0, 0))
                self.steps[name] = seconds + time.perf_counter() - begin, calls + 1

        return call


class _Timed:
    """Stands for an extension object; the calls of its methods are counted."""

    def __init__(self, found: Any, name: str, watch: Profile) -> None:
        self._found, self._name, self._watch = found, name, watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._found, name)
        return self._watch.timed(f"{self._name}.{name}", value) if callable(value) else value


def profile(capture: Path) -> Profile:
    """Analyze a capture once, every stage under a timer."""
    begin = time.perf_counter()
    from mptcp_oracle import engine
    from mptcp_oracle.analysis.trace import analyze

    watch = Profile(imports=time.perf_counter() - begin)
    with ExitStack() as stack:
        for name in engine.NAMES:
            module = getattr(engine.loops(), name)
            for attribute, value in list(vars(module).items()):
                if getattr(value, "__module__", None) != module.__name__:
                    continue
                if attribute == "Classifier":
                    made = _maker(value, f"engine {name}", watch)
                    stack.enter_context(patch.object(module, attribute, made))
                elif callable(value) and not isinstance(value, type):
                    timed = watch.timed(f"engine {name}.{attribute}", value)
                    stack.enter_context(patch.object(module, attribute, timed))
        for place, attribute in STEPS:
            owner = _find(place)
            if hasattr(owner, attribute):
                timed = watch.timed(
                    f"{place.split('.', 1)[1]}.{attribute}", getattr(owner, attribute)
                )
                stack.enter_context(patch.object(owner, attribute, timed))
        begin = time.perf_counter()
        trace = stack.enter_context(analyze(capture))
        watch.total = time.perf_counter() - begin
        watch.segments = len(trace.wire.segments)
        begin = time.perf_counter()
        trace.capture.sha256()
        watch.hashing = time.perf_counter() - begin
    return watch


def _find(place: str) -> Any:
    """A module or a class by its dotted name."""
    import importlib

    try:
        return importlib.import_module(place)
    except ModuleNotFoundError:
        module, name = place.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)


def _maker(kind: Any, name: str, watch: Profile) -> Callable[..., _Timed]:
    return lambda *arguments: _Timed(kind(*arguments), name, watch)


def show(found: Profile) -> str:
    """The profile as text, the dearest step first."""
    per = 1e9 / max(1, found.segments)
    lines = [
        f"{found.segments:,} segments: imports {found.imports * 1e3:.0f} ms, analysis "
        f"{found.total * 1e3:.0f} ms ({found.total * per:.0f} ns a segment), then waiting for the "
        f"SHA-256 {found.hashing * 1e3:.0f} ms",
        f"{'step (with what it calls)':44} {'ms':>9} {'ns/segment':>11} {'calls':>9}",
    ]
    for name, (seconds, calls) in sorted(found.steps.items(), key=lambda item: -item[1][0]):
        lines.append(f"{name:44} {seconds * 1e3:9.1f} {seconds * per:11.1f} {calls:9}")
    return "\n".join(lines)
