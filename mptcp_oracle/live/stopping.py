"""Ends of processes: SIGTERM that cleans up, and children that do not outlive their parent."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["TERMINATED", "die_with_parent", "terminable"]

#: Exit status after SIGTERM.
TERMINATED = 143
PR_SET_PDEATHSIG = 1


@contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM unwind the stack, so that namespaces are removed as after Ctrl-C.

    Outside the main thread, which alone hears signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def die_with_parent() -> None:
    """Runs in a child before exec: if its parent is killed, it gets SIGTERM."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
