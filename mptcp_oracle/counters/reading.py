"""Files of counters: what ``nstat`` prints, as text or JSON, or ``/proc/net/netstat`` itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mptcp_oracle.counters.table import TABLE
from mptcp_oracle.errors import UsageError

__all__ = ["changes", "parse", "read"]

GROUP = "MPTcpExt"
#: Octets of a file that are read; all counters of a host are some 30 KB.
MOST = 4 << 20
HINT = "nstat -aszj (JSON), nstat -asz (text) and cat /proc/net/netstat are understood"


def read(path: str | os.PathLike[str]) -> dict[str, int]:
    """The MPTcpExt counters of a file, by name without the group.

    A file that lists no counter with the value 0 leaves such counters out: they are 0 then. A
    file with zeros has all that its kernel knows.

    Raises:
        UsageError: The file cannot be read, or has no such counters.
    """
    try:
        with Path(path).open("rb") as file:
            octets = file.read(MOST + 1)
    except OSError as error:
        raise UsageError(f"{path}: the counters cannot be read", cause=error.strerror) from error
    if len(octets) > MOST:
        raise UsageError(f"{path}: this is no list of counters", cause="too long", hint=HINT)
    try:
        return parse(octets.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: this is no list of counters", cause="not text", hint=HINT
        ) from error
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", cause=error.cause, hint=error.hint) from error


def parse(text: str) -> dict[str, int]:
    """The MPTcpExt counters in the text of a file; see :func:`read`.

    Raises:
        UsageError: It is no list of counters, or has none of that group.
    """
    listed = _json(text) if text.lstrip().startswith("{") else _lines(text)
    found = {
        name.removeprefix(GROUP): value
        for name, value in listed.items()
        if name.startswith(GROUP) and name != GROUP
    }
    if any(value < 0 for value in found.values()):
        raise UsageError("a counter is negative", hint=HINT)
    every = any(value == 0 for value in listed.values())
    if not found and every:
        raise UsageError("there are no MPTcpExt counters", cause="this kernel has none", hint=HINT)
    return found if every else {row.counter: 0 for row in TABLE} | found


def changes(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What was counted between two readings.

    Raises:
        UsageError: A counter went back: these are not two readings of one running host.
    """
    found = {name: value - before.get(name, 0) for name, value in after.items()}
    back = sorted(name for name, value in found.items() if value < 0 and name != "MPCurrEstab")
    if back:
        raise UsageError(
            f"the counter {back[0]} went back between the two readings",
            hint="give the earlier file first; both must be of the same host, without a restart",
        )
    return found


def _json(text: str) -> dict[str, int]:
    """``{"kernel": {"MPTcpExtAddAddr": 1, …}}``, or the inner object alone."""
    try:
        body = json.loads(text)
    except ValueError as error:
        raise UsageError("this is no list of counters", cause=str(error), hint=HINT) from error
    inner = body.get("kernel", body)
    if not isinstance(inner, dict):
        raise UsageError("this is no list of counters", cause="no object of names", hint=HINT)
    return {
        name: value
        for name, value in inner.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _lines(text: str) -> dict[str, int]:
    """Lines of a name, a number (and a rate), or pairs of lines of ``/proc/net/netstat``."""
    found: dict[str, int] = {}
    heads: dict[str, list[str]] = {}
    told = False
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            told = told or words[:1] == ["#kernel"]
            continue
        if words[0].endswith(":"):
            group, rest = words[0][:-1], words[1:]
            if group not in heads:
                heads[group] = rest
            else:
                pairs = zip(heads.pop(group), rest, strict=False)
                found |= {f"{group}{name}": _number(value, line) for name, value in pairs}
        elif len(words) in (2, 3):
            found[words[0]] = _number(words[1], line)
        else:
            raise UsageError("this is no list of counters", cause=f"line {line[:60]!r}", hint=HINT)
    if not found and not told:
        raise UsageError("this is no list of counters", cause="no counter in it", hint=HINT)
    return found


def _number(word: str, line: str) -> int:
    if not word.lstrip("-").isdecimal():
        raise UsageError("this is no list of counters", cause=f"line {line[:60]!r}", hint=HINT)
    return int(word)
