"""Fake dissectors: programs that are wrong in one way each, to be run as ``cmd:`` or as tshark.

``python fakes.py KIND CAPTURE``; all but the plain failures begin with what is right.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from pathlib import Path

from mptcp_oracle import facts
from mptcp_oracle.analysis.trace import analyze

__all__ = ["KINDS"]


def right(capture: str, change: object = None) -> str:
    """The oracle's own document, every fact changed by a function if one is given."""
    file = io.StringIO()
    with analyze(capture) as trace:
        told = trace.facts()
        if callable(change):
            told = map(change, told)
        facts.write(
            file, told, capture=capture, sha256=trace.capture.sha256(), version="1", tool="fake"
        )
    return file.getvalue()


def always_wrong(capture: str) -> None:
    """Every DATA_ACK is one too high."""

    def change(fact: facts.Fact) -> facts.Fact:
        wrong = fact.get("data_ack") is not None
        return {**fact, "data_ack": fact["data_ack"] + 1} if wrong else fact

    sys.stdout.write(right(capture, change))


def partial(capture: str) -> None:
    """Only flags are stated, rightly."""

    def change(fact: facts.Fact) -> facts.Fact:
        return {key: fact[key] for key in ("fact", "frame", "flags") if key in fact}

    sys.stdout.write(right(capture, change))


def crashes(capture: str) -> None:
    """It ends by a signal in the middle of a line."""
    text = right(capture)
    sys.stdout.write(text[: len(text) // 2])
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGSEGV)


def sanitizer(_: str) -> None:
    """It ends as a build with AddressSanitizer does when it finds something."""
    sys.stderr.write("==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60200000\n")
    sys.exit(1)


def hangs(_: str) -> None:
    """It never ends, and neither does what it has started."""
    if os.fork() == 0:
        time.sleep(600)
    time.sleep(600)


def silent(_: str) -> None:
    """It says nothing and is content."""


def nonsense(_: str) -> None:
    """It prints something else."""
    sys.stdout.write("Dissecting...\ndone.\n")


def fails(_: str) -> None:
    """It complains and gives up."""
    sys.stderr.write("cannot read that\n")
    sys.exit(3)


def endless(_: str) -> None:
    """It writes a line that never ends."""
    while True:
        sys.stdout.write("x" * (1 << 20))


def grumbles(capture: str) -> None:
    """It is right, and reports a bug of its own on one frame, as tshark does."""
    sys.stderr.write(
        "\n ** (tshark:4863) 23:48:03.865554 [Epan WARNING] -- Dissector bug, protocol TCP, in"
        ' packet 58: ./epan/dissectors/packet-tcp.c:3086: failed assertion "mapping"\n'
    )
    sys.stdout.write(right(capture))


KINDS = {
    each.__name__: each
    for each in (
        always_wrong, partial, crashes, sanitizer, hangs, silent, nonsense, fails, endless,
        grumbles,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    KINDS[sys.argv[1]](sys.argv[2])
