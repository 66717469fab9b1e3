"""Progress of long work, on standard error: one line that is wiped in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from mptcp_oracle.report.layout import printable

__all__ = ["Progress"]

#: Seconds of work before anything is shown, and between two lines that cannot be wiped.
PATIENCE = 1.0
#: Seconds between two updates of a line that can.
PAUSE = 0.1


class Progress:
    """Call it with what is done and what there is; use it as a context manager.

    Work comes in phases, of which each has its own total: octets to read, connections to put
    together, segments to follow, connections to close.
    """

    PHASES = ("reading", "finding connections", "following octets", "closing connections")

    def __init__(
        self,
        name: str,
        file: IO[str],
        *,
        wanted: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is shown yet.

        Args:
            name: What is worked on.
            file: Where to.
            wanted: Whether to show it at all; by default if ``file`` is a terminal.
            clock: Seconds.
        """
        self._name = printable(name)
        self._file = file
        self._wipes = file.isatty()
        self._on = self._wipes if wanted is None else wanted
        self._clock = clock
        self._next = clock() + PATIENCE
        self._phase = -1
        self._total = -1
        self._shown = 0

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` are done; another total means that the next phase began."""
        if not self._on:
            return
        if total != self._total and self._phase + 1 < len(self.PHASES):
            self._total = total
            self._phase += 1
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (PAUSE if self._wipes else PATIENCE)
        share = 100 * done // max(total, 1)
        text = f"{self._name}: {self.PHASES[self._phase]} {share}%"
        if self._wipes:
            text = text[-78:]
            self._file.write(f"\r{text}" + " " * (self._shown - len(text)))
            self._shown = len(text)
        else:
            self._file.write(text + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._file.write("\r" + " " * self._shown + "\r")
            self._file.flush()
