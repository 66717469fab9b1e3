"""The command ``mptcp-oracle hunt``: search for what a dissector gets wrong, and make it small."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mptcp_oracle.errors import AdapterError, UsageError
from mptcp_oracle.report.diff_command import KNOWN, TWO_PASS
from mptcp_oracle.report.layout import page, plural, printable

if TYPE_CHECKING:
    from mptcp_oracle.hunt.chase import Chase
    from mptcp_oracle.hunt.finding import Finding

__all__ = ["hunt_command"]

FOUND = 1
#: Seconds before progress is shown, and between two updates: on a terminal, elsewhere.
PAUSE, REPORTS = 0.5, 15.0
UNITS = {"s": 1, "m": 60, "h": 3600}

EXAMPLES = """
\b
Examples:
  mptcp-oracle hunt --with tshark
  mptcp-oracle hunt --with tshark=./build/run/tshark --time 30m --jobs 2 -o hunt
  mptcp-oracle hunt --with tcpdump --captures 2000 --seed 7
  mptcp-oracle hunt --with tshark --no-known --time 30m    # what the catalogue has, found anew
  mptcp-oracle hunt --with cmd:"mytool --facts {}" --database redis://cache.example/0
  mptcp-oracle hunt --reported 004-crash -o hunt

\b
Each finding is a folder with minimal.pcapng (the fewest frames that show it, with a comment on the
guilty one), finding.md (a report for the dissector's authors) and finding.json. A crash may be a
security problem: it is kept in the folder `private`, which git ignores, until --reported says that
its authors know.  The same command goes on with a hunt that was interrupted, and with more --time
or --captures; the same seed finds the same, whatever --jobs is, if captures are the budget.

\b
Exit status: 0 nothing new; 1 findings that the catalogue does not explain, or crashes; 2 wrong
usage; 3 the dissector does not run, or fails.
"""


class Duration(click.ParamType):  # type: ignore[type-arg]  # only newer versions are generic
    """Seconds, or a number with s, m or h."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is no duration; write 90s, 30m or 2h", param, ctx)
        return float(match[1]) * UNITS[match[2] or "s"]


@click.command("hunt", epilog=EXAMPLES)
@click.option(
    "--with",
    "name",
    metavar="DISSECTOR",
    help='tshark[=PATH], tcpdump[=PATH], dpkt, or cmd:"COMMAND", which prints facts.',
)
@TWO_PASS
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after so long: 90s, 30m, 2h.  [default: 10m if nothing else ends it]",
)
@click.option("--captures", type=click.IntRange(1), help="Look at so many captures in all.")
@click.option("--findings", type=click.IntRange(1), help="Stop after so many findings in all.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="What the captures follow from."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes, each with a dissector of its own.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hunt"),
    show_default=True,
    help="Folder of the hunt: a new one, or one to go on with.",
)
@KNOWN
@click.option("--no-known", is_flag=True, help="Hunt also for what our catalogue has.")
@click.option(
    "--database",
    metavar="PLACE",
    help="Share findings with other hunts: a folder, or redis://HOST:PORT/NUMBER.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that the dissector may take for one run.",
)
@click.option("--reported", metavar="NAME", help="Move a private finding to the others, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print each finding as a line of JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def hunt_command(
    *,
    name: str | None,
    two_pass: bool,
    seconds: float | None,
    captures: int | None,
    findings: int | None,
    seed: int,
    jobs: int,
    folder: Path,
    known: tuple[str, ...],
    no_known: bool,
    database: str | None,
    patience: float,
    reported: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Generate captures, and search for what a dissector says of them otherwise than the oracle.

    Captures have many connections, middleboxes, defects as captures have, and malformed options in
    some. Every kind of difference that no catalogue explains is made small and written into a
    folder of its own.
    """
    from mptcp_oracle.hunt.log import Log

    if reported is not None:
        click.echo(Log.opened(folder, {}).publish(reported))
        return
    if name is None:
        raise UsageError("no dissector is named", hint="say --with tshark")
    if name.startswith("facts:"):
        raise UsageError("a document of facts is about one capture", hint='use cmd:"COMMAND"')
    if find_spec("scapy") is None:
        raise AdapterError(
            "hunting makes captures, which needs scapy", hint="pip install 'mptcp-oracle[generate]'"
        )
    from mptcp_oracle.hunt.chase import Budget, Chase, Orders, search
    from mptcp_oracle.hunt.exchange import Exchange
    from mptcp_oracle.hunt.exchange import database as opened

    # Unlike other commands this one has no end in sight: what is dead has to go.
    gc.enable()
    if seconds is None and captures is None and findings is None:
        seconds = 600.0
    orders = Orders(
        name=name,
        seed=seed,
        passes=2 if two_pass else 1,
        patience=patience,
        known=tuple(os.path.abspath(each) for each in known),
        catalogued=not no_known,
    )
    asked = search(orders, folder)
    subject = f"{asked.dissector.name} {asked.version} passes {orders.passes}"
    exchange = None if database is None else Exchange(opened(database), subject)
    log = Log.opened(folder, {"subject": subject, "seed": seed, "catalogue": not no_known})
    status = _Status(quiet=quiet)
    chase = Chase(
        orders=orders,
        log=log,
        budget=Budget(seconds=seconds, captures=captures, findings=findings),
        jobs=jobs,
        exchange=exchange,
        watch=status,
    )
    new = 0
    try:
        for title, finding in chase.go():
            status.wipe()
            new += finding.private or finding.known is None
            _show(title, finding, as_json=as_json)
    except KeyboardInterrupt:
        status.wipe()
        click.echo("interrupted; the same command goes on", err=True)
    status.wipe()
    if not as_json:
        for line in _summary(chase):
            click.echo(line)
    sys.exit(FOUND if new or log.waiting else 0)


def _show(title: str, finding: Finding, *, as_json: bool) -> None:
    """Say that there is a finding; of a private one no more than where it is."""
    if finding.private:
        click.echo(f"{title}: see the folder `private`", err=as_json)
        return
    if as_json:
        click.echo(json.dumps({"name": title, **finding.to_json()}, separators=(",", ":")))
        return
    known = f", known: {finding.known}" if finding.known else ""
    click.echo(f"{title}: {plural(finding.frames, 'frame')}{known}")
    for line in page(sys.stdout).wrapped(printable(finding.sentence), "  "):
        click.echo(line)


def _summary(chase: Chase) -> list[str]:
    """What was found, in a few lines."""
    from mptcp_oracle.hunt.log import PRIVATE

    log = chase.log
    records = log.records()
    known = sorted({each["known"] for each in records if each["known"]})
    unknown = sum(each["known"] is None for each in records)
    private = len(log.names) - len(records)
    lines = [
        f"{plural(log.captures, 'capture')}, {plural(len(log.names), 'finding')} in {log.folder}, "
        f"{chase.seconds:.0f} s",
        f"{unknown} that no catalogue explains, {len(records) - unknown} of "
        f"{plural(len(known), 'known difference')}",
    ]
    if known:
        lines += page(sys.stdout).wrapped(", ".join(known), "  ")
    if log.waiting:
        lines.append(f"{plural(len(log.waiting), 'kind')} were seen and not yet made small")
    if private:
        folder = log.folder / PRIVATE
        lines.append(f"{plural(private, 'finding')} in {folder}: report it to the authors first")
    return lines


class _Status:
    """A line on standard error that says how far the hunt is; wiped in the end on a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._wipes = sys.stderr.isatty()
        self._quiet, self._next, self._shown = quiet, 0.0, 0

    def __call__(self, chase: Chase) -> None:
        if self._quiet or chase.seconds < self._next:
            return
        self._next = chase.seconds + (PAUSE if self._wipes else REPORTS)
        log, budget = chase.log, chase.budget
        rest = f" of {budget.seconds:.0f}" if budget.seconds is not None else ""
        text = (
            f"{chase.seconds:.0f}{rest} s: {log.captures:,} captures, {len(log.names)} findings, "
            f"{len(log.waiting)} kinds waiting"
        )
        click.echo(f"\r{text}" if self._wipes else text, err=True, nl=not self._wipes)
        self._shown = len(text)

    def wipe(self) -> None:
        """Take the line away, so that something else can be shown."""
        if self._wipes and self._shown:
            click.echo("\r" + " " * self._shown + "\r", err=True, nl=False)
            self._shown = 0
