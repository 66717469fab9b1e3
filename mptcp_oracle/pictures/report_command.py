"""The command ``mptcp-oracle report``: captures as one page for a browser."""

from __future__ import annotations

import gc
import os
import sys

import click

from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.report.check import JUDGING
from mptcp_oracle.report.command import PROGRESS, UNREADABLE, inputs
from mptcp_oracle.report.complaints import say

__all__ = ["report_command", "write"]

EXAMPLES = """
\b
Examples:
  mptcp-oracle report capture.pcapng -o report.html
  mptcp-oracle report --local 10.1.1.1 --whole client.pcap -o report.html
  mptcp-oracle report client.pcap server.pcap -o both.html
  mptcp-oracle report --connection 3 long.pcapng -o third.html

\b
Exit status:
  0    the report is written, whatever was found
  2    wrong usage: no such option, connection or host
  3    a capture cannot be read (the report says so), or the report cannot be written
  130  interrupted
"""


@click.command("report", epilog=EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="REPORT.html",
    required=True,
    help="Where it goes; - is standard output.",
)
@click.option(
    "--connection",
    "only",
    metavar="N",
    type=int,
    multiple=True,
    help="Tell of this one only; negative: an unattached subflow; repeatable.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Connections of a capture that are told of in detail; 0 tells of all that fit.",
)
@JUDGING
@PROGRESS
def report_command(
    *,
    files: tuple[str, ...],
    output: str,
    only: tuple[int, ...],
    limit: int,
    local: tuple[str, ...],
    whole: bool | None,
    waivers: tuple[str, ...],
    target: tuple[str, ...],
    host: str | None,
    progress: bool | None,
) -> None:
    """Write a page with pictures of captures: one HTML file that opens offline in a browser.

    It shows each connection's data sequence numbers over time, what was sent again and why, shares
    of subflows, reordering, round trips, the sequence of control events, and the verdicts with the
    frames that prove them. FILE is a capture, a folder of captures, or - for standard input.
    """
    from mptcp_oracle.oracle import judge
    from mptcp_oracle.pictures.library import plotly_js
    from mptcp_oracle.pictures.report import Report
    from mptcp_oracle.report.progress import Progress
    from mptcp_oracle.rules.waivers import Waivers

    names = inputs(files)
    if only and len(names) > 1:
        raise UsageError(f"--connection goes with one capture, these are {len(names)}")
    known = Waivers.read(waivers, target)
    report = Report(plotly_js(), limit=limit, only=only)
    failed = False
    for at, name in enumerate(names):
        if at:
            gc.collect()  # the command runs without automatic collection
        try:
            with Progress(name, sys.stderr, wanted=progress) as shown:
                judgement = judge(
                    name, progress=shown, local=local, whole=whole, waivers=known, host=host
                )
            with judgement:
                report.add(judgement)
        except UsageError:
            raise
        except (OracleError, OSError, MemoryError) as error:
            say(error, name)
            report.fail(name, _reason(error))
            failed = True
    write(output, report.html().encode("utf-8", "surrogateescape"))
    if failed:
        sys.exit(UNREADABLE)


def _reason(error: BaseException) -> str:
    if isinstance(error, OracleError):
        return error.message
    return getattr(error, "strerror", None) or "not enough memory"


def write(output: str, content: bytes) -> None:
    """Write a file whole or not at all; ``-`` is standard output."""
    if output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    if os.path.exists(output) and not os.path.isfile(output):
        with open(output, "wb") as file:
            file.write(content)
        return
    part = f"{output}.part"
    try:
        with open(part, "wb") as file:
            file.write(content)
        os.replace(part, output)
    except OSError:
        if os.path.exists(part):
            os.unlink(part)
        raise
