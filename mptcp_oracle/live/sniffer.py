"""The capture program of a recording: started in a namespace, heard to be ready, stopped."""

from __future__ import annotations

import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mptcp_oracle.errors import AdapterError
from mptcp_oracle.live.namespaces import Namespace
from mptcp_oracle.live.scenario import Vantage
from mptcp_oracle.live.stopping import die_with_parent
from mptcp_oracle.live.tools import Commands, environment

__all__ = ["CaptureCounts", "Sniffer", "parse_counts"]

# Only TCP, and the ICMP errors that quote it; neighbour discovery and the like stay out.
FILTER = "tcp or icmp"
# Kernel buffer of the capture, in KiB. Each frame takes a slot of the snap length there, rounded
# up to a power of two.
BUFFER = 65_536
READY_LIMIT = 10.0
STOP_LIMIT = 10.0
# The file is complete when it has not grown for this long (seconds), asked at most this often.
QUIET = 0.1
QUIET_LIMIT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureCounts:
    """What the capture program says at its end, in frames.

    Attributes:
        captured: Written to the file.
        received: Passed the filter.
        dropped: Lost in the kernel for want of buffer; ``None`` if the program did not say.
    """

    captured: int | None
    received: int | None
    dropped: int | None


def parse_counts(text: str) -> CaptureCounts:
    """The closing lines of tcpdump as numbers."""

    def number(words: str) -> int | None:
        found = re.search(rf"(\d+) packets? {words}", text)
        return int(found.group(1)) if found else None

    return CaptureCounts(
        captured=number("captured"),
        received=number("received by filter"),
        dropped=number("dropped by kernel"),
    )


@cache
def _stay_root() -> tuple[str, ...]:
    """Options that keep tcpdump root, where it knows them.

    A process that changes its user is no longer told when its parent is killed, and goes on.
    """
    try:
        done = subprocess.run(
            ("tcpdump", "--help"), capture_output=True, env=environment(), timeout=READY_LIMIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return ("-Z", "root") if b"-Z" in done.stdout + done.stderr else ()


class Sniffer:
    """tcpdump on one interface of one namespace; a context manager.

    Entering returns once the program says that it listens; leaving by an exception kills it.

    Args:
        namespace: Where to capture.
        vantage: Interface, snap length (octets) and link type.
        target: The file to write (classic pcap, nanosecond time stamps).
        commands: Where the command line is kept.
    """

    def __init__(
        self, namespace: Namespace, vantage: Vantage, target: Path, commands: Commands
    ) -> None:
        self.target = target
        self.argv = [
            *("ip", "netns", "exec", namespace.name),
            *("tcpdump", "-n", "-i", vantage.interface, "-s", str(vantage.snaplen)),
            *("--time-stamp-precision=nano", "--immediate-mode", "-U", "-B", str(BUFFER)),
            *(("-y", vantage.link) if vantage.link else ()),
            *_stay_root(),
            *("-w", "-", FILTER),
        ]
        self._commands = commands
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None
        self._said = b""

    def __enter__(self) -> Self:
        if self._process is not None:
            raise AdapterError("the capture was begun twice")
        self._commands.note(self.argv)
        self._file = self.target.open("wb")
        try:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=self._file,
                stderr=subprocess.PIPE,
                env=environment(),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            self._await_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kill()

    def stop(self) -> CaptureCounts:
        """Wait until the file is quiet, end the program, and return its counts.

        Raises:
            AdapterError: It had ended before, or does not end.
        """
        process = self._running()
        self._await_quiet()
        if process.poll() is not None:
            raise AdapterError("tcpdump ended early", cause=self._text() or None)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=STOP_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise AdapterError("tcpdump does not end", cause=f"{STOP_LIMIT:.0f} s") from error
        self._said += said
        return parse_counts(self._text())

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AdapterError("the capture was never started")
        return self._process

    def _text(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def _await_ready(self) -> None:
        process = self._running()
        assert process.stderr is not None
        until = time.monotonic() + READY_LIMIT
        while b"listening on" not in self._said:
            left = until - time.monotonic()
            ready, _, _ = select.select([process.stderr], [], [], max(0.0, left))
            piece = process.stderr.read1(4096) if ready else b""  # type: ignore[attr-defined]
            if not piece:
                raise AdapterError("tcpdump does not begin to capture", cause=self._text() or None)
            self._said += piece

    def _await_quiet(self) -> None:
        until = time.monotonic() + QUIET_LIMIT
        size, since = -1, time.monotonic()
        while time.monotonic() < until:
            now = self.target.stat().st_size
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since >= QUIET:
                return
            time.sleep(0.02)

    def _kill(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
        if self._file is not None:
            self._file.close()
