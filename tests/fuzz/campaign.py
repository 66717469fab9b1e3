"""A run: worker processes, what they found, and what is kept of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from mptcp_oracle.engine import KINDS
from tests.common.mutate import mutated
from tests.fuzz.worker import Result, work

__all__ = ["HANG", "Report", "run"]

#: Seconds of silence after which a worker is stopped and its case counts as hanging. Analyses
#: have limits of their own; this one is for what never comes back from the compiled loops.
HANG = 90.0


@dataclass(slots=True)
class Report:
    """Sums over a run.

    Attributes:
        cases: Done. connections, mappings, copies: In how many of them there were any.
        errors: Clean errors by kind. longest: By engine, seconds and case of the longest.
        failures: Case to what was wrong. peak: Octets of memory of the largest process.
    """

    seed: int
    cases: int = 0
    connections: int = 0
    mappings: int = 0
    copies: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    longest: dict[str, tuple[float, int]] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    peak: int = 0

    def add(self, result: Result) -> None:
        """Count one case."""
        self.cases += 1
        self.connections += result.connections
        self.mappings += result.mappings
        self.copies += result.copies
        self.done.update(set(result.done))
        self.peak = max(self.peak, result.peak)
        if result.error:
            self.errors[result.error] += 1
        for kind, seconds in result.seconds.items():
            self.longest[kind] = max(self.longest.get(kind, (0.0, -1)), (seconds, result.index))
        if result.failure:
            self.failures[result.index] = result.failure

    def lines(self) -> list[str]:
        """The report as text."""
        cases = max(self.cases, 1)
        shares = [
            f"{name} in {count} ({100 * count / cases:.1f} %)"
            for name, count in (
                ("connections", self.connections),
                ("mappings", self.mappings),
                ("copies", self.copies),
            )
        ]
        lines = [f"seed {self.seed}: {self.cases} cases; {', '.join(shares)}"]
        lines += [
            f"clean error, {count} times: {text}" for text, count in self.errors.most_common()
        ]
        lines += [
            f"longest case, {kind}: {seconds:.3f} s (case {index})"
            for kind, (seconds, index) in sorted(self.longest.items())
        ]
        lines.append(f"peak memory of a process: {self.peak / 1e6:.0f} MB")
        lines.append(f"failures: {len(self.failures)}")
        return lines

    def keep(self, folder: Path) -> list[Path]:
        """Write the longest cases and those that failed into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = []
        wanted = {f"longest-{kind}": index for kind, (_, index) in self.longest.items()}
        wanted |= {f"failure-{index}": index for index in self.failures}
        for name, index in wanted.items():
            case = mutated(self.seed, index)
            path = folder / f"{name}-seed-{self.seed}-case-{index}.bin"
            path.write_bytes(case.octets)
            text = [f"base: {case.name}", f"done: {', '.join(case.done)}"]
            text.append(self.failures.get(index, ""))
            path.with_suffix(".txt").write_text("\n".join(text))
            kept.append(path)
        return kept


class _Worker:
    """A process that does some of the cases."""

    def __init__(self, context: Any, seed: int, cases: range) -> None:
        self.cases = cases
        self.pipe: Connection
        self.pipe, far = context.Pipe(duplex=False)
        self.current = context.Value("q", cases[0], lock=False)
        self.process = context.Process(
            target=work, args=(far, self.current, seed, cases), daemon=True
        )
        self.process.start()
        far.close()
        self.heard = time.monotonic()

    def end(self) -> str:
        """Wait for the process, stopping it if it hangs; say how it ended, ``""`` if well."""
        if time.monotonic() - self.heard >= HANG:
            self.process.kill()
            self.process.join()
            return f"no result after {HANG:.0f} s"
        self.process.join()
        code = self.process.exitcode
        return "" if code == 0 else f"the process ended with {code}"

    def rest(self) -> range:
        """The cases after the one in progress."""
        return range(self.current.value + self.cases.step, self.cases.stop, self.cases.step)


def run(
    seed: int, cases: int, jobs: int = 1, progress: Callable[[Report], None] | None = None
) -> Report:
    """Put ``cases`` damaged captures through both engines.

    Args:
        seed: Of the sequence of cases.
        cases: How many.
        jobs: Processes.
        progress: Called after each case.
    """
    context = get_context("spawn")
    report = Report(seed)
    shares = [range(first, cases, jobs) for first in range(min(jobs, cases))]
    workers = [_Worker(context, seed, share) for share in shares]
    while workers:
        ready = wait([worker.pipe for worker in workers], timeout=5)
        for worker in list(workers):
            if worker.pipe in ready:
                try:
                    result = worker.pipe.recv()
                except EOFError:
                    pass
                else:
                    worker.heard = time.monotonic()
                    report.add(result)
                    if progress is not None:
                        progress(report)
                    continue
            elif time.monotonic() - worker.heard < HANG:
                continue
            workers.remove(worker)
            how = worker.end()
            if how:
                report.add(Result(index=worker.current.value, failure=how))
                if worker.rest():
                    workers.append(_Worker(context, seed, worker.rest()))
    report.longest = {kind: report.longest[kind] for kind in KINDS if kind in report.longest}
    return report
