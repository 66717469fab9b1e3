"""Many scenarios, several at a time, each worker a process of its own.

Recordings wait most of the time, so that two at a time take half as long even on a small machine;
they share nothing, since each has namespaces of its own.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mptcp_oracle.live.stopping import die_with_parent

__all__ = ["Done", "record_many"]

#: Seconds in which a worker that was told to stop removes its namespaces.
STOP_LIMIT = 30.0
WORKER = (sys.executable, "-m", "mptcp_oracle.live.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one scenario.

    Attributes:
        name: The scenario. error: Why there is no recording, or ``None``.
        capture, sidecar: Its files, if there is a recording.
        seconds: What the attempt took that was kept. attempts: How many it took.
        frames: Frames in the capture. missing: What it lacks of what the scenario claims.
    """

    name: str
    error: str | None = None
    capture: Path | None = None
    sidecar: Path | None = None
    seconds: float = 0.0
    attempts: int = 0
    frames: int = 0
    missing: tuple[str, ...] = ()


def record_many(
    names: Sequence[str], folder: Path, *, jobs: int, **settings: object
) -> Iterator[Done]:
    """Record scenarios, each as soon as a worker is free; in the order in which they end.

    Whatever ends the iteration, no worker and no namespace is left.

    Args:
        names: Of :data:`mptcp_oracle.live.scenarios.SCENARIOS`.
        folder: Where captures and sidecars go.
        jobs: How many are recorded at a time.
        settings: Keyword arguments of :func:`mptcp_oracle.live.recorder.record`.
    """
    waiting = deque(names)
    workers: list[_Worker] = []
    try:
        for _ in range(min(jobs, len(waiting))):
            workers.append(_Worker(folder, settings))
            workers[-1].begin(waiting.popleft())
        while busy := [each for each in workers if each.name is not None]:
            ready, _, _ = select.select([each.answers for each in busy], [], [])
            for at, worker in enumerate(workers):
                if worker.name is None or worker.answers not in ready:
                    continue
                yield worker.finish()
                if not waiting:
                    continue
                if not worker.alive:
                    worker.wait()
                    workers[at] = _Worker(folder, settings)
                workers[at].begin(waiting.popleft())
    finally:
        for worker in workers:
            worker.tell_to_stop()
        for worker in workers:
            worker.wait()


class _Worker:
    """One process of :mod:`mptcp_oracle.live.worker`."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        self.folder = folder
        self.settings = settings
        self.name: str | None = None
        self._process = subprocess.Popen(
            WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Nothing may wait in a buffer: not an answer behind the one that is read, nor a
            # request for a process that has died.
            bufsize=0,
            # A terminal's Ctrl-C is for us, who tell it to stop.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    @property
    def answers(self) -> IO[bytes]:
        """Where it answers."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    def begin(self, name: str) -> None:
        """Ask for a scenario."""
        self.name = name
        request = {"name": name, "folder": str(self.folder), "settings": self.settings}
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died: its answer is empty, and says so
            self._process.stdin.write(json.dumps(request).encode() + b"\n")

    def finish(self) -> Done:
        """Take its answer, which is there."""
        name, self.name = self.name, None
        assert name is not None
        line = self.answers.readline()
        if not line:
            status = self._process.wait()
            return Done(name=name, error=f"scenario {name}: the worker ended with status {status}")
        body: dict[str, Any] = json.loads(line)
        if "error" in body:
            return Done(name=name, error=body["error"])
        return Done(
            **{
                **body,
                "capture": Path(body["capture"]),
                "sidecar": Path(body["sidecar"]),
                "missing": tuple(body["missing"]),
            }
        )

    def tell_to_stop(self) -> None:
        """End it now if it is at work, else with its input."""
        if self.name is not None:
            self._process.terminate()
        self._end_input()

    def wait(self) -> None:
        """Wait until it has cleaned up and ended."""
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._end_input()
        self.answers.close()

    def _end_input(self) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
