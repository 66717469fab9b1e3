"""What judging costs: ``check`` beside ``analyze``, in turn on the same captures."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cache import Made
from benchmarks.measure import Run, run
from benchmarks.programs import judging, ours
from benchmarks.report import table

__all__ = ["BUDGET", "Cost", "costs", "show"]

BUDGET = 2.0
"""Judging may cost as much again as the analysis, what both take to start aside."""

#: Exit statuses of ``check``: it conforms, there are violations, nothing could be judged.
JUDGED = (0, 1, 4)

#: A pcap file without frames.
NOTHING = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The shortest runs of both commands on one capture.

    Attributes:
        name: The capture. segments: How many it has. analyze, check: The runs.
        starts: The processor time of both on a capture without frames: what they take to start.
    """

    name: str
    segments: int
    analyze: Run
    check: Run
    starts: tuple[float, float]

    @property
    def whole(self) -> float:
        """Processor time of ``check`` by that of ``analyze``."""
        return self.check.processor / self.analyze.processor

    @property
    def ratio(self) -> float:
        """The same without what both take to start."""
        analyze, check = self.starts
        return (self.check.processor - check) / (self.analyze.processor - analyze)


def costs(
    program: str,
    captures: Sequence[tuple[str, Made]],
    rounds: int,
    progress: Callable[[str], None],
) -> list[Cost]:
    """Run both commands in turn on each capture, after one without frames.

    Raises:
        AdapterError: A command failed.
    """
    with TemporaryDirectory(prefix="mptcp-oracle-benchmark-") as folder:
        empty = Path(folder, "empty.pcap")
        empty.write_bytes(NOTHING)
        starts = _shortest(program, "start", empty, rounds, progress)
    found = []
    for name, made in captures:
        analyze, check = _shortest(program, name, made.path, rounds, progress)
        found.append(
            Cost(
                name=name,
                segments=made.segments,
                analyze=analyze,
                check=check,
                starts=(starts[0].processor, starts[1].processor),
            )
        )
    return found


def _shortest(
    program: str, name: str, path: Path, rounds: int, progress: Callable[[str], None]
) -> tuple[Run, Run]:
    """The shortest run of each; the first round, which warms the page cache, does not count."""
    commands = ours(program, path), judging(program, path)
    runs: tuple[list[Run], list[Run]] = ([], [])
    for turn in range(rounds + 1):
        for command, held in zip(commands, runs, strict=True):
            took = run(command, fine=JUDGED)
            if turn:
                held.append(took)
        progress(f"{name}: round {turn} of {rounds}")
    analyze, check = (min(held, key=lambda each: each.processor) for held in runs)
    return analyze, check


def show(found: Sequence[Cost]) -> str:
    """The table."""
    head = ("capture", "segments", "analyze s", "check s", "CPU ratio", "without start",
            "analyze MB", "check MB", f"<= {BUDGET:g} x")  # fmt: skip
    rows = [
        (
            each.name,
            f"{each.segments:,}",
            f"{each.analyze.seconds:.2f}",
            f"{each.check.seconds:.2f}",
            f"{each.whole:.2f}",
            f"{each.ratio:.2f}",
            f"{each.analyze.peak / 1e6:.0f}",
            f"{each.check.peak / 1e6:.0f}",
            "yes" if each.ratio <= BUDGET else "NO",
        )
        for each in found
    ]
    lines = table([head, *rows])
    if found:
        analyze, check = found[0].starts
        lines.append(f"to start, analyze takes {analyze:.2f} s, check {check:.2f} s")
    return "\n".join(lines)
