"""sharkd as a quicker tshark: one process that takes many small captures, one after the other.

Starting tshark takes some 200 ms, loading a small capture into a sharkd that runs some 40. It
dissects every frame once when it loads a capture and again when it is asked, as tshark does with
two passes, and shows a value as a column of Wireshark does. So what it says is a hint about what
tshark will say, good for making a capture small; the last word is tshark's.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mptcp_oracle.dissectors.dissector import CrashError, Field, Words
from mptcp_oracle.dissectors.program import kill, surroundings
from mptcp_oracle.dissectors.tshark_words import innermost
from mptcp_oracle.errors import AdapterError

__all__ = ["Sharkd"]

COLUMNS = 15
"""Fields of one request; a longer line is refused."""

LOADS = 40
"""Captures until another process is started: sharkd keeps some 10 MB of each."""

TRUTH = {"True": "1", "False": "0", "Set": "1", "Not set": "0", "\N{CHECK MARK}": "1"}
#: What a column adds to a number, and how it shows one that has no name.
ADDED = re.compile(r"(\d+) \(.*\)|Unknown \((\w+)\)")


@dataclass(kw_only=True)
class Sharkd:
    """A sharkd that is kept running; after a failure the next capture starts another one.

    Attributes:
        path: The program. preferences: As of tshark. words: By field, numbers of named values.
        asked: The fields that are asked for. known: Those that tshark claims.
        patience: Seconds until an answer is given up. number: The version.
        name, fields, silent: As of tshark.
    """

    path: str
    preferences: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    asked: tuple[str, ...]
    known: frozenset[str]
    patience: float
    number: str
    fields: tuple[Field, ...]
    folders: tuple[str, ...]
    name: str = "tshark"
    silent: bool = True
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)
    _loads: int = field(default=0, init=False, repr=False)
    _empty: TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)

    def version(self) -> str:
        """That of tshark."""
        return self.number

    def claims(self) -> frozenset[str]:
        """As tshark."""
        return self.known

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees a field: in Wireshark, which shows the same."""
        return f"wireshark {capture}"

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame.

        Raises:
            CrashError: It ended. AdapterError: It gave no answer, or none that can be read.
        """
        found: dict[int, dict[str, tuple[str, ...]]] = {}
        if self._loads == LOADS:
            self.close()
        self._loads += 1
        try:
            self._ask("load", file=str(capture))
            for at in range(0, len(self.asked), COLUMNS):
                names = self.asked[at : at + COLUMNS]
                columns = {f"column{place}": f"{each}:0" for place, each in enumerate(names)}
                for row in self._ask("frames", **columns):
                    said = found.setdefault(int(row["num"]), {})
                    for each, text in zip(names, row["c"], strict=True):
                        if text:
                            said[each] = tuple(self._plain(each, text))
        except (AdapterError, KeyError, TypeError, ValueError) as error:
            self.close()
            if isinstance(error, AdapterError):
                raise
            raise AdapterError("sharkd printed no table", cause=str(error)) from error
        for frame, words in sorted(found.items()):
            yield frame, innermost(words)

    def _plain(self, name: str, text: str) -> Iterator[str]:
        """The values of a column as ``tshark -T fields`` prints them."""
        numbers = self.words.get(name, TRUTH)
        for each in text.split(","):
            match = ADDED.fullmatch(each)
            yield match[1] or match[2] if match else numbers.get(each, each)

    def _ask(self, method: str, **parameters: str) -> Any:
        """The result of one request."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        self._count += 1
        body = {"jsonrpc": "2.0", "id": self._count, "method": method, "params": parameters}
        try:
            process.stdin.write(json.dumps(body).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            raise self._crash() from None
        answer = json.loads(self._line(process))
        if "result" not in answer:
            raise AdapterError("sharkd refused a request", cause=str(answer.get("error")))
        return answer["result"]

    def _start(self) -> None:
        self._empty = TemporaryDirectory(prefix="mptcp-oracle-")
        self._process = subprocess.Popen(
            [self.path, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=surroundings(self.folders, self._empty.name),
            start_new_session=True,
        )
        for name, value in self.preferences.items():
            self._ask("setconf", name=name, value=value)

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        """The next line that is not empty."""
        assert process.stdout is not None
        deadline, line = time.monotonic() + self.patience, b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.strip() or not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise AdapterError(
                        "sharkd took too long", cause=f"{self.patience:g} s", late=True
                    )
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    raise self._crash()
                line = (line + part).lstrip()
        return line

    def _crash(self) -> CrashError:
        status = self._process.wait() if self._process is not None else None
        return CrashError("sharkd crashed", cause=f"status {status}", status=status, said="")

    def close(self) -> None:
        """End the process; the next capture starts another one."""
        process, self._process, self._loads = self._process, None, 0
        if process is not None:
            kill(process)
            process.communicate()
        if self._empty is not None:
            self._empty.cleanup()
            self._empty = None
