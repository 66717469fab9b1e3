"""Runs one command and prints what it took, as JSON; a program of its own.

Linux counts the memory of the process that starts a command towards the command's own peak, so
whoever starts it must be small: this file imports nothing but what it needs, and is run with
``python -I -S``.

Usage: ``launch.py INTERVAL ERRORS COMMAND...`` where INTERVAL is the number of milliseconds
between two looks at the command's anonymous memory (0: never look), and ERRORS the file that takes
its standard error. Standard input and output are /dev/null.
"""

from __future__ import annotations

import os
import sys
import time

__all__: list[str] = []


def anonymous(pid: int) -> int:
    """Memory of a process that is no file's, in octets; 0 once it is gone."""
    found = 0
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith((b"RssAnon:", b"RssShmem:")):
                    found += int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return found


def main() -> None:
    """Run the command of the command line."""
    interval, errors, command = int(sys.argv[1]) / 1000, sys.argv[2], sys.argv[3:]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    ]
    peak = 0
    begin = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    if interval:
        while (done := os.wait4(pid, os.WNOHANG))[0] == 0:
            peak = max(peak, anonymous(pid))
            time.sleep(interval)
    else:
        done = os.wait4(pid, 0)
    seconds = time.perf_counter() - begin
    _, status, usage = done
    print(
        f'{{"seconds": {seconds:.6f}, "processor": {usage.ru_utime + usage.ru_stime:.6f}, '
        f'"peak": {usage.ru_maxrss * 1024}, "anonymous": {peak}, '
        f'"status": {os.waitstatus_to_exitcode(status)}}}'
    )


if __name__ == "__main__":
    main()
