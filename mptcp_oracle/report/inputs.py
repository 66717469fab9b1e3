"""What the user named on the command line: captures, folders, standard input."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from mptcp_oracle.errors import UsageError
from mptcp_oracle.wire.compression import compression
from mptcp_oracle.wire.pcap import MAGICS
from mptcp_oracle.wire.pcapng import MAGIC

__all__ = ["captures"]

#: Compressed files of a folder count as captures if their name says so.
_NAMED = re.compile(r"\.(pcap|pcapng|cap|ntar|dmp)\d*\.[a-z]+$", re.IGNORECASE)


def captures(names: Iterable[str]) -> list[str]:
    """The captures to analyze, in the order given.

    A folder stands for its capture files, also those in folders below, by sorted path: files that
    begin as a capture does, whatever they are called, and compressed ones by name. Hidden files
    and folders are passed over. What cannot be opened stays in the list, so that reading it says
    why.

    Raises:
        UsageError: A folder without any capture, or standard input named twice.
    """
    found: list[str] = []
    for name in names:
        if name != "-" and os.path.isdir(name):
            inside = sorted(_inside(name))
            if not inside:
                raise UsageError(
                    "there is no capture in this folder",
                    hint="captures are recognised by their first octets; name a file to see what "
                    "is wrong with it",
                    file=name,
                )
            found += inside
        elif name == "-" and name in found:
            raise UsageError("standard input (-) can only be read once")
        else:
            found.append(name)
    return found


def _inside(folder: str) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            full = os.path.join(path, name)
            if not name.startswith(".") and os.path.isfile(full) and _is_capture(full, name):
                yield full


def _is_capture(path: str, name: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except OSError:
        return True
    return head in MAGICS or head == MAGIC or (bool(_NAMED.search(name)) and _packed(head))


def _packed(head: bytes) -> bool:
    return compression(head) is not None
