"""The command line on a terminal: colour, width, progress, Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mptcp_oracle.report.progress import Progress
from tests.common.checkout import ROOT
from tests.common.command import COMMAND, in_terminal, run

CAPTURE = ROOT / "corpus/kernel/bulk-two-paths.pcapng"
ESCAPE = "\x1b["


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that go on when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_colour_is_for_terminals_only() -> None:
    """Escape codes appear on a terminal, and nowhere else."""
    status, shown = in_terminal("analyze", CAPTURE)
    assert status == 0
    assert ESCAPE in shown
    assert ESCAPE not in run("analyze", CAPTURE).stdout


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_declined(setting: dict[str, str]) -> None:
    """NO_COLOR and a dumb terminal get plain text, otherwise the same."""
    _, plain = in_terminal("analyze", CAPTURE, **setting)
    assert ESCAPE not in plain
    _, coloured = in_terminal("analyze", CAPTURE)
    for code in ("0", "1", "2", "31", "32", "33", "1;31"):
        coloured = coloured.replace(f"{ESCAPE}{code}m", "")
    assert coloured == plain


def test_an_empty_no_color_means_nothing() -> None:
    """NO_COLOR counts only if it is not empty."""
    assert ESCAPE in in_terminal("analyze", CAPTURE, NO_COLOR="")[1]


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        *((columns, ()) for columns in (50, 72, 80, 100, 140, 200)),
        *((columns, ("--connection", "0")) for columns in (72, 80, 100, 140, 200)),
    ],
)
def test_lines_fit_the_terminal(columns: int, options: tuple[str, ...]) -> None:
    """No line is wider than the terminal, but what is there to be pasted: filters and paths."""
    _, shown = in_terminal("analyze", *options, CAPTURE, columns=columns, NO_COLOR="1")
    pasted = ("filter: ", str(CAPTURE))
    long = [
        line
        for line in shown.splitlines()
        if len(line) > columns and not any(text in line for text in pasted)
    ]
    assert long == []
    assert "filter: " in shown


def test_columns_sets_the_width_of_pipes() -> None:
    """Without a terminal, COLUMNS says how wide the text may be."""
    narrow, wide = (run("analyze", CAPTURE, COLUMNS=text).stdout for text in ("70", "200"))
    assert max(len(line) for line in narrow.splitlines() if "filter" not in line) <= 70
    assert narrow != wide
    assert run("analyze", CAPTURE, COLUMNS="x").stdout == run("analyze", CAPTURE).stdout


def test_standard_input_must_not_be_the_terminal() -> None:
    """``-`` with nothing piped in says so instead of waiting for ever."""
    status, shown = in_terminal("analyze", "-")
    assert status == 2
    assert "standard input is a terminal" in shown


@pytest.mark.parametrize("after", [0.4, 0.9])
def test_ctrl_c_ends_at_once(tmp_path: Path, after: float) -> None:
    """SIGINT ends the command within a second, without a traceback, with status 130."""
    path = tmp_path / "endless"
    os.mkfifo(path)
    process = subprocess.Popen(
        [*COMMAND, "analyze", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What was started in the background of a script ignores SIGINT, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with open(path, "wb") as pipe:  # returns when the command has opened it
        pipe.write(CAPTURE.read_bytes())
        pipe.flush()
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 1
    assert process.returncode == 130
    assert (out, err.strip()) == (b"", b"")


def test_quick_work_shows_no_progress() -> None:
    """Nothing is shown for work of less than a second."""
    file, clock = Terminal(), Clock()
    with Progress("x", file, clock=clock) as progress:
        for done in range(10):
            clock.now += 0.05
            progress(done, 10)
    assert file.getvalue() == ""


def test_progress_is_one_line_that_is_wiped() -> None:
    """On a terminal every update overwrites the last one, and the end leaves nothing."""
    file, clock = Terminal(), Clock()
    with Progress("x", file, clock=clock) as progress:
        for total in (200, 100):
            for done in range(0, total, 50):
                clock.now += 2
                progress(done, total)
    *updates, blank, rest = file.getvalue().split("\r")[1:]
    assert [text.strip() for text in updates] == [
        *(f"x: reading {share}%" for share in (0, 25, 50, 75)),
        *(f"x: finding connections {share}%" for share in (0, 50)),
    ]
    assert blank.strip() == rest == ""
    assert len(blank) >= max(map(len, updates))


def test_progress_may_be_wanted_elsewhere() -> None:
    """Into a file it goes only if it is wanted, one line a second."""
    for wanted, lines in ((None, 0), (False, 0), (True, 3)):
        file, clock = io.StringIO(), Clock()
        with Progress("x", file, wanted=wanted, clock=clock) as progress:
            for done in range(90):
                clock.now += 0.04
                progress(done, 100)
        assert file.getvalue().count("\n") == lines


def test_progress_may_be_unwanted_on_a_terminal() -> None:
    """``--no-progress`` is obeyed."""
    file, clock = Terminal(), Clock()
    with Progress("x", file, wanted=False, clock=clock) as progress:
        clock.now += 5
        progress(1, 2)
    assert file.getvalue() == ""
