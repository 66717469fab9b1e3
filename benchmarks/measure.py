"""Runs both programs over a capture in turn and keeps the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mptcp_oracle.errors import AdapterError

__all__ = ["Figures", "Run", "compare", "run"]

LAUNCHER = Path(__file__).with_name("launch.py")
# Milliseconds between two looks at anonymous memory, in the one run that is not timed.
INTERVAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of a program took.

    Attributes:
        seconds: Wall-clock time from start to end. processor: Processor time of all threads.
        peak: Largest resident set in octets. anonymous: Largest anonymous part of it as far as
            it was looked at, else 0.
    """

    seconds: float
    processor: float
    peak: int
    anonymous: int


@dataclass(slots=True, kw_only=True)
class Figures:
    """All runs of one program over one capture, in order."""

    runs: list[Run] = field(default_factory=list)
    anonymous: int = 0

    @property
    def seconds(self) -> float:
        """The shortest time."""
        return min(each.seconds for each in self.runs)

    @property
    def processor(self) -> float:
        """The shortest processor time."""
        return min(each.processor for each in self.runs)

    @property
    def peak(self) -> int:
        """The largest peak."""
        return max(each.peak for each in self.runs)


def run(command: Sequence[str], *, watch: bool = False, fine: Collection[int] = (0,)) -> Run:
    """Run a command once, alone, its output to /dev/null.

    Args:
        command: Absolute path of a program, and its arguments.
        watch: Look at its anonymous memory all the time, which costs it some time.
        fine: Exit statuses that are no failure.

    Raises:
        AdapterError: It failed.
    """
    with TemporaryDirectory(prefix="mptcp-oracle-benchmark-") as folder:
        errors = Path(folder, "stderr")
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(INTERVAL if watch else 0)]
        done = subprocess.run(
            [*launcher, str(errors), *command],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=_environment(Path(folder)),
        )
        found = json.loads(done.stdout)
        status = found.pop("status")
        if status not in fine:
            raise AdapterError(
                f"{command[0]} failed with exit status {status}",
                cause=errors.read_text(errors="replace").strip()[-500:] or None,
            )
        return Run(**found)


def _environment(folder: Path) -> dict[str, str]:
    """The caller's environment, with an empty Wireshark configuration and no say in bytecode."""
    environment = {
        **os.environ,
        "WIRESHARK_CONFIG_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    # An installed package has its bytecode; without it each start compiles every module again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def compare(
    ours: Sequence[str],
    other: Sequence[str],
    *,
    rounds: tuple[int, int],
    progress: Callable[[str], None],
    fine: Collection[int] = (0,),
) -> tuple[Figures, Figures]:
    """Run two commands in turn, the first one first.

    Before the first round ours runs once to be watched; that also brings the capture into the
    page cache, from which both programs then read it.

    Args:
        ours: A command line; its anonymous memory is watched in the run before.
        other: A command line.
        rounds: How often each runs.
        progress: Told of each run.
        fine: Exit statuses of ours that are no failure.

    Raises:
        AdapterError: A command failed.
    """
    figures = Figures(), Figures()
    figures[0].anonymous = run(ours, watch=True, fine=fine).anonymous
    for turn in range(max(rounds)):
        for which, command in enumerate((ours, other)):
            if turn < rounds[which]:
                took = run(command, fine=(0,) if which else fine)
                figures[which].runs.append(took)
                name = Path(command[0]).name
                progress(f"round {turn + 1}: {name} {took.seconds:.3f} s, {took.peak / 1e6:.0f} MB")
    return figures
