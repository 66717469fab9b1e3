"""Run ``mptcp-oracle`` as users do: as a process of its own, with or without a terminal."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path

__all__ = ["COMMAND", "in_terminal", "plain_environment", "run"]

# Where no compiled engine is installed, its one notice must not disturb.
_QUIET = ("-W", "ignore:mptcp-oracle runs its plain engine:RuntimeWarning")
COMMAND = (sys.executable, *_QUIET, "-m", "mptcp_oracle.cli")
_SECONDS = 60
_STILL = 0.1
"""Seconds after which nothing more comes of a process that has ended."""


def plain_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without what would change output, and others added."""
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "LINES"}}
    return {**kept, "TERM": "xterm", **more}


def run(
    *arguments: str | Path, given: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run with pipes; ``given`` is standard input (by default empty)."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=given or b"",
        capture_output=True,
        env=plain_environment(environment),
        timeout=_SECONDS,
        check=False,
    )
    out, err = (octets.decode() for octets in (done.stdout, done.stderr))
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def in_terminal(*arguments: str | Path, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Run with a terminal of so many columns; give the exit status and all that it showed."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=plain_environment(environment),
    )
    shown, ended, latest = b"", False, time.monotonic() + _SECONDS
    # The terminal stays open here: what is on its way when its last user leaves may get lost.
    while time.monotonic() < latest:
        if select.select([ours], [], [], _STILL)[0]:
            shown += os.read(ours, 65536)
        elif ended:
            break
        else:
            ended = process.poll() is not None
    os.close(theirs)
    os.close(ours)
    return process.wait(_SECONDS), shown.decode().replace("\r\n", "\n")
