"""The commands ``mptcp-oracle analyze`` and ``mptcp-oracle facts``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mptcp_oracle import __version__
from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.report.complaints import say

if TYPE_CHECKING:
    from mptcp_oracle.analysis.entities import Connection, Subflow
    from mptcp_oracle.analysis.trace import Trace

__all__ = ["PROGRESS", "UNREADABLE", "analyze_command", "facts_command", "inputs", "traced"]

UNREADABLE = 3

ANALYZE_EXAMPLES = """
\b
Examples:
  mptcp-oracle analyze capture.pcapng
  mptcp-oracle analyze client.pcap server.pcap captures/
  mptcp-oracle analyze --connection 3 capture.pcapng
  mptcp-oracle analyze --token 4f42400d captures/
  mptcp-oracle analyze --json capture.pcapng | jq '.connections[].state'
  ssh host tcpdump -w - tcp | mptcp-oracle analyze -

\b
Exit status:
  0    every capture was analyzed, whatever was found; "no MPTCP" is a finding
  2    wrong usage: no such option, connection or token
  3    a capture cannot be read; the others were analyzed all the same
  130  interrupted
"""

FACTS_EXAMPLES = """
\b
Examples:
  mptcp-oracle facts capture.pcapng > facts.jsonl
  mptcp-oracle facts capture.pcapng | jq -c 'select(.fact == "subflow")'
  xzcat capture.pcapng.xz | mptcp-oracle facts -

\b
Exit status:
  0    the facts are complete, with their footer
  3    the capture cannot be read
"""


def _token(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """A token: up to eight hexadecimal digits, as `ip mptcp monitor` prints it."""
    if value is None:
        return None
    text = value.lower().removeprefix("0x")
    if not 1 <= len(text) <= 8 or set(text) - set("0123456789abcdef"):
        raise click.BadParameter(f"{value!r} is no token: 1 to 8 hexadecimal digits")
    return int(text, 16)


def _print_schema(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import json

        from mptcp_oracle.report.schema import ANALYZE

        sys.stdout.write(json.dumps(ANALYZE, indent=2) + "\n")
        ctx.exit()


PROGRESS = click.option(
    "--progress/--no-progress",
    default=None,
    help="Show progress on standard error.  [default: if that is a terminal]",
)


@click.command("analyze", epilog=ANALYZE_EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a capture.")
@click.option(
    "--json-schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON Schema of --json and leave.",
)
@click.option(
    "--connection",
    "number",
    metavar="N",
    type=click.IntRange(min=0),
    help="Tell everything about this connection, with its time line.",
)
@click.option(
    "--token", metavar="HEX", callback=_token, help="The same, by the token of either host."
)
@click.option("--all-events", is_flag=True, help="Do not fold long time lines.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Show so many connections of a capture; 0 shows all. JSON has always all.",
)
@PROGRESS
def analyze_command(
    *,
    files: tuple[str, ...],
    as_json: bool,
    number: int | None,
    token: int | None,
    all_events: bool,
    limit: int,
    progress: bool | None,
) -> None:
    """Show the MPTCP connections of captures: subflows, octets, copies, ends, oddities.

    FILE is a capture (pcap or pcapng, also compressed with gzip or zstd), a folder, which stands
    for the captures in it, or - for standard input.
    """
    names = inputs(files)
    if number is not None and token is not None:
        raise UsageError("--connection and --token exclude each other")
    if number is not None and len(names) > 1:
        raise UsageError(
            f"--connection goes with one capture, these are {len(names)}",
            hint="--token finds a connection in several captures",
        )
    failed, found = False, False
    output = sys.stdout
    for at, name in enumerate(names):
        if at:
            gc.collect()  # the command runs without automatic collection
        with traced(name, progress) as trace:
            if trace is None:
                failed = True
                continue
            chosen = _chosen(trace, number, token)
            if chosen is not None and not any(chosen):
                continue
            if found and not as_json:
                output.write("\n")
            found = True
            if as_json:
                from mptcp_oracle.report.json import write

                write(trace, output, *(chosen or ()))
            else:
                for line in _lines(trace, chosen, limit, all_events):
                    output.write(line + "\n")
            output.flush()
    if failed:
        sys.exit(UNREADABLE)
    if token is not None and not found:
        where = "this capture" if len(names) == 1 else "these captures"
        raise UsageError(
            f"no connection with token {token:08x} in {where}",
            hint="tokens are unknown where the handshake with the keys was not captured",
        )


def inputs(files: Sequence[str]) -> list[str]:
    """The captures that FILE arguments stand for; standard input must be no terminal."""
    from mptcp_oracle.report.inputs import captures

    if "-" in files and sys.stdin.isatty():
        raise UsageError(
            "standard input is a terminal, not a capture",
            hint="pipe one in: tcpdump -w - tcp | mptcp-oracle analyze -",
        )
    return captures(files)


@contextmanager
def traced(name: str, progress: bool | None) -> Iterator[Trace | None]:
    """Analyze a capture; say on standard error why it cannot be, and give ``None``."""
    from mptcp_oracle.analysis.trace import analyze
    from mptcp_oracle.report.progress import Progress

    try:
        with Progress(name, sys.stderr, wanted=progress) as shown:
            trace = analyze(name, progress=shown)
    except UsageError:
        raise
    except (OracleError, OSError, MemoryError) as error:
        say(error, name)
        yield None
        return
    with trace:
        yield trace


def _chosen(
    trace: Trace, number: int | None, token: int | None
) -> tuple[list[Connection], list[Subflow]] | None:
    """The connections and unattached subflows that were asked for; ``None`` is all."""
    if number is not None:
        return [trace.connection(number)], []
    if token is None:
        return None
    strays = [
        flow for flow in trace.unattached if flow.join is not None and flow.join.token == token
    ]
    return trace.by_token(token), strays


def _lines(
    trace: Trace,
    chosen: tuple[list[Connection], list[Subflow]] | None,
    limit: int,
    all_events: bool,
) -> Iterable[str]:
    from mptcp_oracle.report.layout import page

    where = page(sys.stdout)
    if chosen is None:
        from mptcp_oracle.report.text import overview

        return overview(trace, where, limit)
    from mptcp_oracle.report.detail import details

    return details(trace, *chosen, where, all_events=all_events)


@click.command("facts", epilog=FACTS_EXAMPLES)
@click.argument("file", metavar="FILE")
@PROGRESS
def facts_command(*, file: str, progress: bool | None) -> None:
    """Print everything known about a capture as JSON lines: one fact a line.

    Connections, subflows, segments, transmissions and observations, between a header and a
    footer; a document without its footer is not complete. FILE is a capture, or - for standard
    input.
    """
    from mptcp_oracle.analysis.serialise import facts
    from mptcp_oracle.facts import write

    if os.path.isdir(file):
        raise UsageError("facts are printed of one capture, not of a folder", file=file)
    for name in inputs([file]):
        with traced(name, progress) as trace:
            if trace is None:
                sys.exit(UNREADABLE)
            write(
                sys.stdout,
                facts(trace),
                capture=trace.capture.name,
                sha256=trace.capture.sha256,
                version=__version__,
            )
