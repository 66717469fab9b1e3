"""The command ``mptcp-oracle generate``."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import click

from mptcp_oracle.errors import AdapterError, OracleError
from mptcp_oracle.model.capture import FORMATS, VANTAGES

__all__ = ["generate_command"]

EXAMPLES = """
\b
Examples:
  mptcp-oracle generate --list
  mptcp-oracle generate --scenario join-announced --vantage listener -o captures
  mptcp-oracle generate --count 1000 --seed 7 --jobs 2 -o fuzz
  mptcp-oracle generate --fault all -o faults
  mptcp-oracle generate --scheduler redundant --scheduler round_robin --subflows 3 -o bulk
  mptcp-oracle generate --count 500 --malformed --one-file -o hostile

\b
Every capture NAME.pcapng has its truth beside it in NAME.truth.jsonl, in the vocabulary of
`mptcp-oracle facts`; index.jsonl lists them all. The same seed gives the same octets on every
machine, and case 17 is the same whatever --count is. What is made is public domain (CC0-1.0).
"""

WIDTH = 100
#: Seconds before progress is shown, and between two updates: on a terminal, elsewhere.
PATIENCE, PAUSE, REPORTS = 1.0, 0.2, 10.0


@click.command("generate", epilog=EXAMPLES)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000_000),
    help="How many cases.  [default: one for each combination of the options below]",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="What everything follows from."
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    help="What kind of connection; repeatable, `all` for every one.  [default: anything]",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME",
    help="Plant a violation; repeatable, `all` for every one.",
)
@click.option(
    "--version",
    "versions",
    multiple=True,
    type=click.Choice(("0", "1")),
    help="MPTCP version that the initiator offers; repeatable.",
)
@click.option(
    "--subflows",
    multiple=True,
    type=click.IntRange(1, 8),
    metavar="N",
    help="Subflows to open; repeatable. Not for scenarios that are scripts.",
)
@click.option(
    "--scheduler",
    "schedulers",
    multiple=True,
    metavar="NAME",
    help="A bulk transfer by this scheduler; repeatable, `all` for every one.",
)
@click.option(
    "--vantage",
    "vantages",
    multiple=True,
    type=click.Choice(VANTAGES),
    help="Where the capture is taken; repeatable.",
)
@click.option(
    "--malformed",
    is_flag=True,
    help="Put malformed options on some segments; such captures have no truth.",
)
@click.option(
    "--format",
    "file",
    type=click.Choice(FORMATS),
    help="File format.  [default: the scenario's, mostly pcapng]",
)
@click.option(
    "--one-file/--many",
    default=False,
    help="All connections in one capture, or a capture for each case.  [default: many]",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("generated"),
    show_default=True,
    help="Folder to make, or an empty one.",
)
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes; the files do not depend on it.",
)
@click.option(
    "--list",
    "listing",
    is_flag=True,
    help="Say what scenarios, schedulers and faults there are, and why.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary (or the list) as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def generate_command(
    *,
    count: int | None,
    seed: int,
    folder: Path,
    force: bool,
    one_file: bool,
    jobs: int,
    listing: bool,
    as_json: bool,
    quiet: bool,
    **wish: Any,
) -> None:
    """Make captures whose truth is known, because it was there first.

    A formal model of MPTCP plays connections; a capture shows what a tap would have seen of
    them, and its truth says what can be known from it. Cases go through all combinations of the
    options given, and begin again when there are more cases than combinations.
    """  # fmt: skip
    width = min(shutil.get_terminal_size((WIDTH, 0)).columns, WIDTH)
    if listing:
        from mptcp_oracle.generators.listing import listed, to_json

        click.echo(json.dumps(to_json()) if as_json else listed(width))
        return
    if find_spec("scapy") is None:
        raise AdapterError(
            "generating captures needs scapy", hint="pip install 'mptcp-oracle[generate]'"
        )
    from mptcp_oracle.generators import batch, summary
    from mptcp_oracle.generators.ordering import order

    # Unlike other commands this one has no end in sight: what is dead has to go.
    gc.enable()
    wish |= {
        "seed": seed,
        "versions": [int(each) for each in wish["versions"]],
        "schedulers": [each.replace("-", "_") for each in wish["schedulers"]],
    }
    cases = count or len(order(**wish).recipes)
    batch.prepare(folder, force=force)
    try:
        with _Progress(quiet=quiet) as watch:
            tally = batch.generate(wish, cases, folder, one_file=one_file, jobs=jobs, watch=watch)
    except OSError as error:
        raise OracleError(
            "cannot be written", cause=error.strerror, file=error.filename or folder
        ) from error
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "seed": seed, **summary.to_json(tally)}))
    else:
        click.echo(f"{folder / batch.INDEX} lists what was written")
        click.echo(summary.show(tally, width))


class _Progress:
    """A line on standard error that says how far the work is; wiped in the end on a terminal."""

    def __init__(self, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._wipes = sys.stderr.isatty()
        self._quiet, self._clock = quiet, clock
        self._next = clock() + (PATIENCE if self._wipes else REPORTS)
        self._shown = ""

    def __call__(self, done: int, total: int) -> None:
        now = self._clock()
        if self._quiet or now < self._next:
            return
        self._next = now + (PAUSE if self._wipes else REPORTS)
        self._shown = f"{done:,} of {total:,} cases"
        click.echo(f"\r{self._shown}" if self._wipes else self._shown, err=True,
                   nl=not self._wipes)  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._wipes and self._shown:
            click.echo("\r" + " " * len(self._shown) + "\r", err=True, nl=False)
