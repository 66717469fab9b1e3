"""The command ``mptcp-oracle diff``: what another dissector says, against the oracle's facts."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from mptcp_oracle.errors import AdapterError, OracleError, UsageError
from mptcp_oracle.report.command import PROGRESS, UNREADABLE, inputs
from mptcp_oracle.report.complaints import say

if TYPE_CHECKING:
    from mptcp_oracle.dissectors.dissector import Dissector
    from mptcp_oracle.dissectors.known import Known
    from mptcp_oracle.dissectors.view import View
    from mptcp_oracle.report.differences import Checked
    from mptcp_oracle.report.progress import Progress

__all__ = ["KNOWN", "TWO_PASS", "diff_command"]

DIFFERENT = 1

EXAMPLES = """
\b
Examples:
  mptcp-oracle diff --with tshark capture.pcapng
  mptcp-oracle diff --with tshark=./build/run/tshark captures/
  mptcp-oracle diff --with tcpdump --all capture.pcapng
  mptcp-oracle diff --with facts:theirs.jsonl capture.pcapng
  mptcp-oracle diff --with cmd:"mytool --mptcp-facts {}" captures/
  mptcp-oracle diff --with tshark --shrink minimal/ capture.pcapng
  mptcp-oracle diff --with tshark --json captures/ > before.json
  mptcp-oracle diff --with tshark=./build/run/tshark --baseline before.json captures/

\b
Exit status:
  0  no difference, or only known ones; with --baseline: none that is new
  1  differences that nothing explains, or the dissector crashed
  2  wrong usage
  3  a capture cannot be read, or the dissector does not run, fails or takes too long; the other
     captures were compared all the same
"""


TWO_PASS = click.option(
    "--two-pass", is_flag=True, help="Let tshark make two passes, which see ahead."
)
KNOWN = click.option(
    "--known", metavar="FILE", multiple=True, help="Known differences beside ours; repeatable."
)


@click.command("diff", epilog=EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--with",
    "name",
    metavar="DISSECTOR",
    required=True,
    help='tshark[=PATH], tcpdump[=PATH], dpkt, facts:FILE or cmd:"COMMAND", which prints facts.',
)
@TWO_PASS
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds that the dissector may take for one capture.",
)
@KNOWN
@click.option("--no-known", is_flag=True, help="Take no difference of our catalogue for known.")
@click.option("--all", "everything", is_flag=True, help="List known differences one by one, too.")
@click.option(
    "--shrink",
    metavar="DIR",
    help="Write the fewest frames that show each new difference, with comments, to DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a capture.")
@click.option(
    "--baseline", metavar="OLD.json", help="Fail only on what is not in an earlier --json."
)
@PROGRESS
def diff_command(
    *,
    files: tuple[str, ...],
    name: str,
    two_pass: bool,
    patience: float,
    known: tuple[str, ...],
    no_known: bool,
    everything: bool,
    shrink: str | None,
    as_json: bool,
    baseline: str | None,
    progress: bool | None,
) -> None:
    """Compare what another dissector says of captures with what the oracle knows of them.

    FILE is a capture, a folder of captures, or - for standard input. Every value that both state is
    compared, frame by frame. Differences that a catalogue explains are known; docs/dissectors.md
    tells how to write one, and an adapter.
    """
    from mptcp_oracle.dissectors.choice import chosen
    from mptcp_oracle.dissectors.known import catalogue, covering, read_known
    from mptcp_oracle.report.differences import body, lines, new_since
    from mptcp_oracle.report.layout import page

    passes = 2 if two_pass else 1
    dissector = chosen(name, passes=passes, patience=patience)
    old = None if baseline is None else _read(baseline)
    names = inputs(files)
    if name.startswith("facts:") and len(names) != 1:
        raise UsageError("a document of facts is about one capture")
    if shrink is not None and (name.startswith("facts:") or "-" in names):
        raise UsageError(
            "--shrink asks the dissector about parts of the capture",
            hint="it needs a program, and files",
        )
    version = _Asked(dissector)
    every = (*read_known(known), *(() if no_known else catalogue(dissector.name)))
    own = cache(lambda: covering(every, version.told(), passes))
    bodies, failed, different = [], False, False
    for at, each in enumerate(names):
        with ExitStack() as opened:
            try:
                checked = opened.enter_context(
                    compared(dissector, each, version.told, own, progress)
                )
            except UsageError:
                raise
            except (OracleError, OSError, MemoryError) as error:
                version.told()  # a dissector that does not say its version is no use for others
                say(error, each)
                failed = True
                continue
            different = different or bool(checked.result.new) or checked.crash is not None
            if shrink is not None:
                from mptcp_oracle.report.minimal import minimal

                for path, frames in minimal(dissector, each, checked, own(), Path(shrink)):
                    click.echo(f"{path}: {frames} frames", err=True)
            if as_json or old is not None:
                bodies.append(body(checked))
            if as_json:
                sys.stdout.write(json.dumps(bodies[-1], separators=(",", ":")) + "\n")
            elif old is None:
                sys.stdout.write("\n" if at else "")
                for line in lines(checked, page(sys.stdout), everything=everything):
                    sys.stdout.write(line + "\n")
    if old is not None:
        new = new_since(old, bodies)
        different = bool(new)
        for capture, field, kind in new:
            click.echo(f"new: {field or kind} {kind} ({capture})", err=as_json)
        click.echo(f"{len(new)} new", err=as_json)
    sys.exit(UNREADABLE if failed else DIFFERENT if different else 0)


class _Asked:
    """A dissector's version, asked for while other things are done."""

    def __init__(self, dissector: Dissector) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._version = self._pool.submit(dissector.version)

    def told(self) -> str:
        """The version; nothing goes on beside from then on.

        Raises:
            AdapterError: The dissector does not run, or does not say.
        """
        self._pool.shutdown()
        return self._version.result()


@contextmanager
def compared(
    dissector: Dissector,
    name: str,
    version: Callable[[], str],
    known: Callable[[], tuple[Known, ...]],
    progress: bool | None,
) -> Iterator[Checked]:
    """Compare one capture, which stays open for those that look at the result.

    Args:
        dissector: The dissector.
        name: The capture.
        version: Gives the dissector's version.
        known: Gives what is known of it.
        progress: Whether to show progress; ``None`` on terminals.

    Raises:
        CaptureError: It cannot be read.
        AdapterError: The dissector does not run, fails, or takes too long.
    """
    from mptcp_oracle.diff import heard, judged
    from mptcp_oracle.dissectors.explaining import ahead
    from mptcp_oracle.report.differences import Checked
    from mptcp_oracle.report.progress import Progress

    with _file(name) as path, ExitStack() as opened:
        with (
            Progress(name, sys.stderr, wanted=progress) as shown,
            _uncollected(),
            ahead(dissector.name, known, path) as beside,
            ThreadPoolExecutor(1) as pool,
        ):
            given_up = Event()
            viewed = pool.submit(_viewed, path, name, _until(given_up, shown), opened)
            try:
                said, crash = heard(dissector, path)
            except AdapterError:
                viewed.result()
                raise
            except BaseException:
                given_up.set()
                raise
            view, frames = viewed.result()
            result = judged(dissector, said, crash, view, known(), ahead=beside)
        yield Checked(
            capture=name,
            frames=frames,
            dissector=dissector.name,
            version=version(),
            result=result,
            crash=crash,
        )


class _GivenUpError(Exception):
    """Nobody waits any more."""


def _until(given_up: Event, progress: Progress) -> Callable[[int, int], None]:
    """Progress that ends what makes it, once that is given up."""

    def told(done: int, whole: int) -> None:
        if given_up.is_set():
            raise _GivenUpError
        progress(done, whole)

    return told


def _viewed(
    path: Path, name: str, progress: Callable[[int, int], None], opened: ExitStack
) -> tuple[View, int]:
    """Our facts of a capture, which is opened, and its number of frames."""
    from mptcp_oracle.analysis.trace import analyze
    from mptcp_oracle.dissectors.rows import TraceView

    trace = opened.enter_context(analyze(path, name=name, progress=progress))
    return TraceView(trace, path, progress), trace.capture.frames


def _read(baseline: str) -> list[dict[str, Any]]:
    from mptcp_oracle.report.baseline import read_baseline

    return read_baseline(baseline, "differences", "diff")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: of so many objects that live on it takes half the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def _file(name: str) -> Iterator[Path]:
    """A capture as a file that other programs can read."""
    if name != "-":
        yield Path(name)
        return
    with TemporaryDirectory(prefix="mptcp-oracle-") as folder:
        path = Path(folder, "stdin.pcap")
        path.write_bytes(sys.stdin.buffer.read())
        yield path
