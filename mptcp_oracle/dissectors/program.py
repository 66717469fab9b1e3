"""Running somebody else's program: bounded in time and output, crashes told from failures."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from mptcp_oracle.dissectors.dissector import CrashError
from mptcp_oracle.errors import AdapterError

__all__ = ["PATIENCE", "Program", "kill", "located", "surroundings"]

PATIENCE = 600.0
"""Seconds that one run may take."""

#: Octets of one line of output, and of standard error that are kept.
LONGEST_LINE, KEPT = 1 << 24, 1 << 14
#: Octets of output that may wait to be read, as far as the system allows.
PIPE = 1 << 20
#: What sanitizers and failed assertions write before they end a process.
CRASHES = re.compile(
    r"(Address|Memory|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error: |"
    r"Assertion .* failed|core dumped"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to run it.

    Attributes:
        command: Its path and the arguments that every run has.
        patience: Seconds until a run is given up.
        settings: Environment variables beside the caller's own.
        harmless: Lines on standard error that mean nothing.
        folders: Names of environment variables that name an empty folder while it runs.
        called: What errors call it; by default the name of its file.
    """

    command: tuple[str, ...]
    patience: float = PATIENCE
    settings: Mapping[str, str] = field(default_factory=dict)
    harmless: re.Pattern[str] = re.compile(r"(?!)")
    folders: tuple[str, ...] = ()
    called: str = ""

    @property
    def name(self) -> str:
        """The program's name."""
        return self.called or os.path.basename(self.command[0])

    def lines(self, *arguments: str, input_file: str | None = None) -> Iterator[str]:
        """Run it and give its output line by line, without their ends.

        Args:
            arguments: After those of ``command``.
            input_file: A file that is its standard input; none by default.

        Raises:
            CrashError: A signal or a sanitizer ended it.
            AdapterError: It does not start, failed, complained, took too long, or wrote a line
                beyond all measure.
        """
        with (
            tempfile.TemporaryDirectory(prefix="mptcp-oracle-") as empty,
            tempfile.TemporaryFile() as errors,
            open(input_file or os.devnull, "rb") as source,
        ):
            environment = {**surroundings(self.folders, empty), **self.settings}
            try:
                process = subprocess.Popen(
                    [*self.command, *arguments],
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,
                    bufsize=PIPE,
                )
            except OSError as error:
                cause = error.strerror or str(error)
                raise AdapterError(f"{self.command[0]} does not run", cause=cause) from error
            late = threading.Event()
            watch = threading.Timer(self.patience, self._give_up, (process, late))
            watch.daemon = True
            watch.start()
            try:
                yield from self._read(process)
                status = process.wait()
            finally:
                watch.cancel()
                kill(process)
            if late.is_set():
                raise AdapterError(
                    f"{self.name} took too long", cause=f"{self.patience:g} s", late=True
                )
            self._judge(status, _tail(errors))

    def version(self) -> str:
        """The first number in the first line that ``--version`` prints.

        Raises:
            AdapterError: It does not run, or there is none.
        """
        first = next(self.lines("--version"), "")
        match = re.search(r"\d+\.\d+(\.\d+)?", first)
        if match is None:
            raise AdapterError(f"{self.name} does not say its version", cause=first)
        return match[0]

    def _read(self, process: subprocess.Popen[bytes]) -> Iterator[str]:
        assert process.stdout is not None
        with process.stdout as output:
            with contextlib.suppress(AttributeError, OSError):
                fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE)
            while line := output.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise AdapterError(
                        f"{self.name} wrote a line of more than {LONGEST_LINE} octets"
                    )
                yield line.decode("utf-8", "replace").rstrip("\r\n")

    def _give_up(self, process: subprocess.Popen[bytes], late: threading.Event) -> None:
        late.set()
        kill(process)

    def _judge(self, status: int, said: str) -> None:
        """Raise unless it ended well."""
        lines = [line for line in said.splitlines() if line and not self.harmless.fullmatch(line)]
        told = "\n".join(lines)
        if (
            status < 0
            or status in (128 + signal.SIGABRT, 128 + signal.SIGSEGV)
            or (status and CRASHES.search(told))
        ):
            raise CrashError(
                f"{self.name} crashed", cause=_ending(status), status=status, said=told
            )
        if status or told:
            cause = "; ".join([_ending(status), *lines[:5]])
            raise AdapterError(f"{self.name} failed", cause=cause)


def located(name: str, path: str | None) -> str:
    """The path of a dissector: the one that is given, or of its name on the search path.

    Raises:
        AdapterError: It is not there.
    """
    found = shutil.which(path or name)
    if found is None:
        raise AdapterError(
            f"{path or name} is not there", hint=f"install it, or name a build: --with {name}=PATH"
        )
    return found


def surroundings(folders: Iterable[str], empty: str) -> dict[str, str]:
    """The caller's environment, with what keeps locale, time zone and preferences out of words.

    Args:
        folders: Names of environment variables that are to name an empty folder.
        empty: Its path.
    """
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **dict.fromkeys(folders, empty)}


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, if it still runs."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(file: IO[bytes]) -> str:
    """The end of a file as text."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - KEPT))
    return file.read().decode("utf-8", "replace").strip()


def _ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
