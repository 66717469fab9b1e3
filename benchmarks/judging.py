"""What judging costs: ``check`` beside ``analyze``, in turn on the same captures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.cache import Made
from benchmarks.measure import Run, run
from benchmarks.programs import judging, ours
from benchmarks.report import table

__all__ = ["BUDGET", "Cost", "costs", "show"]

BUDGET = 2.0
"""Judging may cost as much again as the analysis."""

#: Exit statuses of ``check``: it conforms, there are violations, nothing could be judged.
JUDGED = (0, 1, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The shortest runs of both commands on one capture.

    Attributes:
        name: The capture. segments: How many it has. analyze, check: The runs.
    """

    name: str
    segments: int
    analyze: Run
    check: Run

    @property
    def ratio(self) -> float:
        """Processor time of ``check`` by that of ``analyze``."""
        return self.check.processor / self.analyze.processor


def costs(
    program: str, name: str, made: Made, rounds: int, progress: Callable[[str], None]
) -> Cost:
    """Run both commands in turn; the first round, which warms the page cache, does not count.

    Raises:
        AdapterError: A command failed.
    """
    commands = ours(program, made.path), judging(program, made.path)
    runs: tuple[list[Run], list[Run]] = ([], [])
    for turn in range(rounds + 1):
        for command, held in zip(commands, runs, strict=True):
            took = run(command, fine=JUDGED)
            if turn:
                held.append(took)
        progress(f"{name}: round {turn} of {rounds}")
    analyze, check = (min(held, key=lambda each: each.processor) for held in runs)
    return Cost(name=name, segments=made.segments, analyze=analyze, check=check)


def show(found: Sequence[Cost]) -> str:
    """The table."""
    head = ("capture", "segments", "analyze s", "check s", "CPU ratio", "analyze MB", "check MB",
            f"<= {BUDGET:g} x")  # fmt: skip
    rows = [
        (
            each.name,
            f"{each.segments:,}",
            f"{each.analyze.seconds:.2f}",
            f"{each.check.seconds:.2f}",
            f"{each.ratio:.2f}",
            f"{each.analyze.peak / 1e6:.0f}",
            f"{each.check.peak / 1e6:.0f}",
            "yes" if each.ratio <= BUDGET else "NO",
        )
        for each in found
    ]
    return "\n".join(table([head, *rows]))
