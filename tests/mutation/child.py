"""A process for each mutant: it runs the tier until a test fails, and says what came of it."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.swap import Watch

__all__ = ["Outcome", "Seen", "Suite", "supervise", "with_parent"]

#: Octets of address space for one mutant: a loop that only appends ends with a MemoryError.
MOST_MEMORY = 4 << 30
#: Seconds after which a child that uses no processor time is given up.
LONGEST_WAIT = 1800.0
PR_SET_PDEATHSIG = 1
#: Processor seconds for importing and collecting.
IMPORTING = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a mutant.

    Attributes:
        status: ``survived``, ``killed``, ``timeout``, ``crash`` or ``error`` (of this machinery).
        by: The test that was running, or ``import``.
        why: The end of its message.
        tests: How many were run.
        seconds: Processor time of the child.
    """

    status: str
    by: str = ""
    why: str = ""
    tests: int = 0
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Whether the tier noticed it."""
        return self.status in {"killed", "timeout", "crash"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What one test of the tier does when nothing is mutated.

    Attributes:
        name: Its node id. seconds: Processor time.
        functions: Pairs of file and outermost function that ran.
        failed: The end of its message, if it failed.
    """

    name: str
    seconds: float
    functions: frozenset[tuple[str, str]]
    failed: str


class _Failures:
    """Notes reports that say a test failed."""

    def __init__(self) -> None:
        self.first: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.first is None:
            self.first = str(report.longrepr)[-400:]


class Suite:
    """The collected tests of the tier, to be run in any order in a child process.

    Args:
        items: What pytest collected.
        place: Shared memory for the index of the running test.
    """

    def __init__(self, items: Sequence[pytest.Item], place: mmap.mmap) -> None:
        self.items, self._place = list(items), place

    @property
    def names(self) -> list[str]:
        """The tests' node ids."""
        return [item.nodeid for item in self.items]

    def run(self, order: Sequence[int], limits: Sequence[float]) -> Outcome:
        """Run tests until one fails.

        Args:
            order: Their indices.
            limits: Processor seconds for each test, by index; who needs more is ended by a
                signal, and with it the process.
        """
        failures = _Failures()
        config = self.items[0].config
        config.pluginmanager.register(failures)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        for done, index in enumerate(order):
            item = self.items[index]
            after = self.items[order[done + 1]] if done + 1 < len(order) else None
            self._place[:8] = index.to_bytes(8, "little")
            signal.setitimer(signal.ITIMER_PROF, limits[index])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if failures.first is not None:
                return Outcome(status="killed", by=item.nodeid, why=failures.first, tests=done + 1)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return Outcome(status="survived", tests=len(order))

    def scout(self, files: Sequence[Path]) -> list[Seen]:
        """Run every test once and see which functions of the files it runs."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = []
        for at, item in enumerate(self.items):
            failures = _Failures()
            item.config.pluginmanager.register(failures)
            after = self.items[at + 1] if at + 1 < len(self.items) else None
            began = time.process_time()
            with Watch(files) as watch:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            seconds = time.process_time() - began
            item.config.pluginmanager.unregister(failures)
            found.append(Seen(item.nodeid, seconds, frozenset(watch.seen), failures.first or ""))
        return found


def with_parent() -> None:
    """Let this process end when the one that started it does (Linux only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def prepare() -> None:
    """Make a child repeatable and bounded."""
    with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, IMPORTING)
    # The hash table of 4-tuples draws a seed; findings do not depend on it, mutants might.
    os.urandom = random.Random(0).randbytes


def supervise(work: Callable[[], Any], names: Sequence[str], place: mmap.mmap) -> Any:
    """Do the work in a child process.

    Args:
        work: What to do there; its value is handed back.
        names: The tests' node ids, by the index that the child writes to ``place``.
        place: Memory shared with the child.

    Returns:
        The value, or the :class:`Outcome` that describes how the process ended.
    """
    place[:8] = (len(names)).to_bytes(8, "little")
    here, there = Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        here.close()
        _child(work, there)
    there.close()
    value = None
    try:
        if here.poll(LONGEST_WAIT):
            value = here.recv()
    except EOFError:
        pass
    if value is None:
        _kill(pid)
    _, status, usage = os.wait4(pid, 0)
    seconds = usage.ru_utime + usage.ru_stime
    at = int.from_bytes(place[:8], "little")
    running = names[at] if at < len(names) else "import"
    if value is None:
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        slow = ended in {signal.SIGPROF, signal.SIGKILL}
        word = "timeout" if slow else "crash"
        return Outcome(status=word, by=running, why=f"signal {ended}", seconds=seconds)
    if isinstance(value, Outcome):
        fields = {name: getattr(value, name) for name in ("status", "by", "why", "tests")}
        return Outcome(**fields, seconds=seconds)
    return value


def _child(work: Callable[[], Any], there: Connection) -> None:
    try:
        prepare()
        there.send(work())
    except BaseException as error:  # the parent must hear of whatever it was
        there.send(Outcome(status="error", why=f"{type(error).__name__}: {error}"[-400:]))
    finally:
        os._exit(0)


def _kill(pid: int) -> None:
    """End a child that we started and that did not answer; it may just have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
