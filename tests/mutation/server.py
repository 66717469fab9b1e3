"""Two long-lived processes that fork a child for each mutant.

The *warm* one has imported everything and collected the tests: a child exchanges a function's code
and begins. The *cold* one has imported only what is not the project's: a child imports the mutant
in place of its module, collects, and begins.
"""

from __future__ import annotations

import gc
import mmap
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import pytest
from cosmic_ray.ast import get_ast
from hypothesis import given, settings
from hypothesis.strategies import integers

from tests.mutation.child import Outcome, Suite, supervise, with_parent
from tests.mutation.population import ROOT, Mutant, mutate
from tests.mutation.swap import Importer, Living, Watch, compiled
from tests.mutation.tier import ARGUMENTS, LEFT_OUT

__all__ = ["SCOUT", "Job", "Server", "start"]


LEFT = re.compile("|".join(LEFT_OUT))
#: A cold child first collects the files of so many tests, and so many files at most.
FIRST_TESTS, FIRST_FILES = 40, 3
SCOUT = "scout"
"""Asks a warm server what each test does; it answers with a list of :class:`Seen`."""

#: What a cold server imports beforehand: what the project and its tests use of others.
OUTSIDE = ("click", "cython", "hypothesis.strategies", "hypothesis.extra.numpy", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A mutant to try.

    Attributes:
        mutant: Which; ``None`` changes nothing.
        order: Indices of the tests, in the order in which to run them.
        names: Node id of every test. limits: Processor seconds of each.
    """

    mutant: Mutant | None
    order: Sequence[int]
    names: Sequence[str]
    limits: Sequence[float]


@dataclass(frozen=True, slots=True)
class Server:
    """The other end of a long-lived process; send it a :class:`Job`, receive an ``Outcome``."""

    kind: str
    pid: int
    line: Connection

    def stop(self) -> None:
        """Ask it to end, and wait for it."""
        self.line.send(None)
        os.waitpid(self.pid, 0)


def start(kind: str, tests: Sequence[str], files: Sequence[Path], scratch: Path) -> Server:
    """Start a server; nothing of the project may have been imported before.

    Args:
        kind: ``warm`` or ``cold``. A warm one first sends the set of functions that ran while it
            was preparing.
        tests: The files with the tests.
        files: The files that are mutated.
        scratch: A folder of its own for the tests' temporary files.
    """
    here, there = Pipe()
    pid = os.fork()
    if pid == 0:
        here.close()
        with_parent()
        try:
            _serve(kind, there, tests, files, scratch)
        finally:
            os._exit(0)
    there.close()
    return Server(kind, pid, here)


def _serve(
    kind: str, line: Connection, tests: Sequence[str], files: Sequence[Path], scratch: Path
) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(scratch.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(null, 0)
    os.dup2(log if kind == "warm" else null, 1)
    os.dup2(log if kind == "warm" else null, 2)
    place = mmap.mmap(-1, 8)
    arguments = [*ARGUMENTS, f"--basetemp={scratch}", *tests]
    if kind == "warm":
        _Warm(line, place, files).run(arguments)
    else:
        for name in OUTSIDE:
            import_module(name)
        while (job := line.recv()) is not None:
            line.send(_in_two(job, place, arguments[: -len(tests)], tests))


class _Loop:
    """A pytest plugin that does something else with the collected tests than running them."""

    def __init__(self, place: mmap.mmap) -> None:
        self._place = place

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not LEFT.search(item.nodeid)]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not session.testsfailed:
            self.collected(Suite(session.items, self._place))
        return True

    def collected(self, suite: Suite) -> None:
        """What to do."""
        raise NotImplementedError


class _Warm(_Loop):
    def __init__(self, line: Connection, place: mmap.mmap, files: Sequence[Path]) -> None:
        super().__init__(place)
        self._line, self._files, self._watch = line, files, Watch(files)
        self._texts = {str(path): path.read_text() for path in files}
        self._trees = {file: get_ast(text) for file, text in self._texts.items()}
        self._codes = {file: compiled(text, file) for file, text in self._texts.items()}

    def run(self, arguments: Sequence[str]) -> None:
        block_compiled()
        self._watch.__enter__()
        for path in self._files:
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        status = pytest.main(list(arguments), plugins=[self])
        self._line.send(f"pytest ended with {status!r} instead of collecting the tier")

    def collected(self, suite: Suite) -> None:
        self._watch.__exit__()
        names = suite.names
        _once()
        living = Living(self._codes)
        # What is not looked at again need not be copied into each child.
        gc.collect()
        gc.freeze()
        self._line.send(self._watch.seen)
        while (job := self._line.recv()) is not None:
            if job == SCOUT:
                self._line.send(supervise(lambda: suite.scout(self._files), names, self._place))
                continue
            self._line.send(supervise(lambda: self._try(suite, living, job), names, self._place))
        os._exit(0)

    def _try(self, suite: Suite, living: Living, job: Job) -> Outcome:
        if job.mutant is not None:
            file = str(ROOT / job.mutant.path)
            code = compiled(mutate(job.mutant, self._trees[file]), file)
            if not living.exchange(code, job.mutant.outer):
                return Outcome(status="error", why=f"no function {job.mutant.outer} was found")
        return suite.run(job.order, job.limits)


class _Cold(_Loop):
    def __init__(self, place: mmap.mmap, job: Job) -> None:
        super().__init__(place)
        self._job = job
        self.outcome: Outcome | None = None

    def collected(self, suite: Suite) -> None:
        at = {name: index for index, name in enumerate(suite.names)}
        names = self._job.names
        order = [at[names[index]] for index in self._job.order if names[index] in at]
        # A mutant may take away tests that are made of what the project says of itself, or
        # bring others: that alone is not noticed.
        order += [index for name, index in at.items() if name not in set(names)]
        known = dict(zip(names, self._job.limits, strict=True))
        limits = [known.get(name, 10.0) for name in suite.names]
        self.outcome = suite.run(order, limits)


def _in_two(job: Job, place: mmap.mmap, arguments: Sequence[str], tests: Sequence[str]) -> Outcome:
    """Try the most promising files of tests alone, and all of them if nothing was noticed."""
    promising = Counter(_file(job.names[index]) for index in job.order[:FIRST_TESTS])
    names = [name for name, _ in promising.most_common(FIRST_FILES)]
    chosen = [test for test in tests if _file(test) in names]
    first = replace(job, order=[i for i in job.order if _file(job.names[i]) in names])
    outcome: Outcome = supervise(
        lambda: _cold(first, place, [*arguments, *chosen]), job.names, place
    )
    if outcome.status != "survived":
        return outcome
    return cast(
        "Outcome",
        supervise(lambda: _cold(job, place, [*arguments, *tests]), job.names, place),
    )


def _file(name: str) -> str:
    """The name of the file that a node id or a path is about, without its folder."""
    return Path(name.partition("::")[0]).name


def _cold(job: Job, place: mmap.mmap, arguments: Sequence[str]) -> Outcome:
    block_compiled()
    if job.mutant is not None:
        file = str(ROOT / job.mutant.path)
        sys.meta_path.insert(0, Importer(file, mutate(job.mutant)))
    loop = _Cold(place, job)
    status: Any = pytest.main(list(arguments), plugins=[loop])
    if loop.outcome is not None:
        return loop.outcome
    # No test ran: a test file, or what conftest.py needs, could not be imported. How pytest says
    # so depends on its version; without the mutant everything was imported.
    noticed = job.mutant is not None and status != pytest.ExitCode.NO_TESTS_COLLECTED
    word = "killed" if noticed else "error"
    return Outcome(status=word, by="import", why=f"pytest could not collect: {status!r}")


def _once() -> None:
    """Let Hypothesis do what it does at its first test, so that no child has to."""

    @settings(max_examples=1, database=None)
    @given(integers())
    def nothing(_: int) -> None:
        pass

    nothing()


def block_compiled() -> None:
    """Let the compiled form of the engine be absent: it is not mutated, and knows the answers."""
    for path in (ROOT / "mptcp_oracle" / "engine").glob("*.py"):
        sys.modules[f"mptcp_oracle.engine.compiled.{path.stem}"] = None  # type: ignore[assignment]
