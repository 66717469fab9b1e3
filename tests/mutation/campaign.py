"""Try the mutants of a sample, some at a time, each against the tests that can notice it first."""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import wait
from pathlib import Path

from tests.mutation.child import Outcome, Seen
from tests.mutation.population import ROOT, Mutant
from tests.mutation.server import SCOUT, Job, Server, start

__all__ = ["BrokenTierError", "Campaign"]

#: A test may take this many times its usual processor time, and never less than the second.
PATIENCE, LEAST_SECONDS = 15.0, 3.0


class BrokenTierError(Exception):
    """The tier cannot be collected, or fails without any mutant."""


class Campaign:
    """A tier that is ready, and servers to try mutants against it.

    Args:
        tests: The files with the tests.
        mutated: The files that are mutated, by their paths in the checkout.
        jobs: Mutants at a time.
        despite: Whether tests that fail without a mutant are left out, and not an error.

    Attributes:
        seen: What each test of the tier does. broken: Names and messages of those that fail.
    """

    def __init__(
        self, tests: Sequence[str], mutated: Iterable[str], jobs: int, despite: bool = False
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mptcp-oracle-mutation-")
        scratch = Path(self._folder.name)
        paths = [ROOT / path for path in mutated]
        self._slots: list[dict[str, Server]] = [
            {
                kind: start(kind, tests, paths, scratch / f"{kind}-{slot}")
                for kind in ("cold", "warm")
            }
            for slot in range(jobs)
        ]
        self._early: set[tuple[str, str]] = set()
        for slot in self._slots:
            early = slot["warm"].line.recv()
            if isinstance(early, str):
                raise BrokenTierError(early)
            self._early |= early
        scout = self._slots[0]["warm"].line
        scout.send(SCOUT)
        self.seen: list[Seen] = scout.recv()
        if not isinstance(self.seen, list):
            raise BrokenTierError(f"the tier did not run: {self.seen}")
        broken = [f"{each.name}: {each.failed}" for each in self.seen if each.failed]
        self.broken = broken
        if broken and not despite:
            self.close()
            raise BrokenTierError("these fail without a mutant:\n" + "\n".join(broken[:5]))
        self._names = [each.name for each in self.seen]
        self._limits = [max(LEAST_SECONDS, PATIENCE * each.seconds) for each in self.seen]
        self._reach: dict[tuple[str, str], set[int]] = {}
        self._touch: dict[str, set[int]] = {}
        for index, each in enumerate(self.seen):
            for pair in each.functions:
                self._reach.setdefault(pair, set()).add(index)
                self._touch.setdefault(pair[0], set()).add(index)
        self._kills: dict[str, Counter[int]] = {}
        self._alone: set[int] = set()

    @property
    def seconds(self) -> float:
        """Processor time of the whole tier, while being watched."""
        return sum(each.seconds for each in self.seen)

    def reached(self, mutant: Mutant) -> int:
        """How many tests run the function that a mutant is in."""
        return len(self._reach.get((str(ROOT / mutant.path), mutant.outer), ()))

    def kind(self, mutant: Mutant) -> str:
        """Which server tries a mutant."""
        pair = (str(ROOT / mutant.path), mutant.outer)
        return "warm" if mutant.outer and pair not in self._early else "cold"

    def run(
        self,
        mutants: Iterable[Mutant],
        progress: Callable[[int, Mutant, Outcome], None] = lambda *_: None,
    ) -> dict[Mutant, Outcome]:
        """Try each mutant."""
        found: dict[Mutant, Outcome] = {}
        queue = deque(mutants)
        free = deque(self._slots)
        busy: dict[object, tuple[dict[str, Server], Mutant]] = {}
        while queue or busy:
            while queue and free:
                slot, mutant = free.popleft(), queue.popleft()
                server = slot[self.kind(mutant)]
                server.line.send(self._job(mutant))
                busy[server.line] = (slot, mutant)
            for line in wait(list(busy)):  # type: ignore[call-overload]
                slot, mutant = busy.pop(line)
                free.append(slot)
                outcome = line.recv()
                if outcome.status == "timeout" and self._more_time(slot["warm"], outcome.by):
                    queue.appendleft(mutant)
                    continue
                found[mutant] = outcome
                self._learn(mutant, outcome)
                progress(len(found), mutant, outcome)
        return found

    def _job(self, mutant: Mutant) -> Job:
        """The tests that can notice a mutant, by what they killed before and what they cost.

        A test that never runs the changed function does the same with the change as without. What
        is outside functions, or runs while modules are imported, any test may notice; those go
        first that run something of the file.
        """
        file = str(ROOT / mutant.path)
        kills = self._kills.get(mutant.path, Counter())
        able = {index for index, each in enumerate(self.seen) if not each.failed}
        if self.kind(mutant) == "warm":
            able &= self._reach.get((file, mutant.outer), set())
        first = self._reach.get((file, mutant.outer)) if mutant.outer else self._touch.get(file)
        order = sorted(
            able,
            key=lambda index: (
                index not in (first or ()),
                -kills[index] / (0.01 + self.seen[index].seconds),
                self.seen[index].seconds,
            ),
        )
        return Job(mutant=mutant, order=order, names=self._names, limits=self._limits)

    def _more_time(self, server: Server, name: str) -> bool:
        """Whether a test needs more than we gave it when it runs alone and nothing is mutated.

        Tests share what some of them computed; the usual time of one may be that of a look-up.
        """
        index = self._names.index(name) if name in self._names else -1
        if index < 0 or index in self._alone:
            return False
        self._alone.add(index)
        job = Job(mutant=None, order=[index], names=self._names, limits=[120.0] * len(self._names))
        server.line.send(job)
        needed = PATIENCE * server.line.recv().seconds
        if needed <= self._limits[index]:
            return False
        self._limits[index] = needed
        return True

    def _learn(self, mutant: Mutant, outcome: Outcome) -> None:
        if outcome.status == "killed" and outcome.by in self._names:
            counter = self._kills.setdefault(mutant.path, Counter())
            counter[self._names.index(outcome.by)] += 1

    def close(self) -> None:
        """End the servers."""
        for slot in self._slots:
            for server in slot.values():
                server.stop()
        self._folder.cleanup()
