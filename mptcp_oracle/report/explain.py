"""The command ``mptcp-oracle explain``: one verdict as an argument that a person can follow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mptcp_oracle.errors import UsageError
from mptcp_oracle.report.check import JUDGING, judged
from mptcp_oracle.report.command import PROGRESS, UNREADABLE, inputs

if TYPE_CHECKING:
    from mptcp_oracle.oracle import Judgement
    from mptcp_oracle.report.layout import Page
    from mptcp_oracle.verdict import Verdict

__all__ = ["explain_command", "explanation", "frame_line"]

MAIL_WIDTH = 72
#: Frames of one verdict that are shown.
MOST_FRAMES = 12
_FLAGS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x20, "U"), (0x10, "."))

EXAMPLES = """
\b
Examples:
  mptcp-oracle explain capture.pcapng 8684-3.2-join-ack-hmac
  mptcp-oracle explain --connection 3 capture.pcapng 8684-3.1-10
  mptcp-oracle explain --mail capture.pcapng 8684-3.5 | git send-email ...

\b
Exit status:
  0  there is something to explain
  2  wrong usage: no such requirement or connection
  3  the capture cannot be read
  4  the requirement is not exercised in this capture
"""


@click.command("explain", epilog=EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("requirement", metavar="ID")
@JUDGING
@click.option(
    "--connection",
    "number",
    metavar="N",
    type=int,
    help="This one only; negative: an unattached subflow.",
)
@click.option("--mail", is_flag=True, help="Plain text of 72 columns, for a bug report by mail.")
@PROGRESS
def explain_command(
    *,
    file: str,
    requirement: str,
    local: tuple[str, ...],
    whole: bool | None,
    waivers: tuple[str, ...],
    target: tuple[str, ...],
    host: str | None,
    number: int | None,
    mail: bool,
    progress: bool | None,
) -> None:
    """Explain the verdicts on one requirement: what the RFC says, what was seen, what follows.

    ID is a requirement's id, its number, or the beginning of either (8684-3.2). FILE is a capture,
    or - for standard input.
    """
    from mptcp_oracle.report.layout import Page, page
    from mptcp_oracle.rules.waivers import Waivers
    from mptcp_oracle.spec import by_id, matching

    if os.path.isdir(file):
        raise UsageError("one capture is explained, not a folder", file=file)
    if next(matching(requirement), None) is None:
        by_id(requirement)
    known = Waivers.read(waivers, target)
    where = Page(width=MAIL_WIDTH) if mail else page(sys.stdout)
    for name in inputs([file]):
        settings = {"local": local, "whole": whole, "waivers": known, "host": host}
        with judged(name, progress, **settings) as judgement:
            if judgement is None:
                sys.exit(UNREADABLE)
            if number is not None:
                judgement.trace.group(number)
            found = [
                each
                for each in judgement.verdicts(only=[requirement])
                if number in (None, each.connection)
            ]
            if not found:
                click.echo("this capture does not exercise it", err=True)
                sys.exit(4)
            text = "\n".join(explanation(judgement, found, where, mail=mail)) + "\n"
            sys.stdout.write(text.encode("ascii", "replace").decode() if mail else text)


def explanation(
    judgement: Judgement, verdicts: Sequence[Verdict], page: Page, *, mail: bool = False
) -> Iterator[str]:
    """The lines of an explanation, requirement by requirement."""
    from mptcp_oracle.report.layout import printable
    from mptcp_oracle.spec import catalogue
    from mptcp_oracle.version import __version__

    requirement = ""
    for each in verdicts:
        row = catalogue()[each.requirement]
        if each.requirement != requirement:
            if requirement:
                yield ""
            requirement = each.requirement
            yield page.styled(f"{row.id} ({row.number})", "title")
            yield from page.wrapped(row.summary, "  ")
            yield ""
            yield f"RFC {row.rfc}, section {row.section} ({row.level}):"
            for quote in row.quotes:
                yield from page.wrapped(f'"{quote}"', "  ")
        yield ""
        yield from _argument(judgement, each, page, mail=mail)
    if mail:
        capture = judgement.trace.capture
        yield ""
        yield "-- "
        yield from page.wrapped(f"judged by mptcp-oracle {__version__}")
        yield from page.wrapped(printable(f"{capture.name}, SHA-256 {capture.sha256()}"))


def _argument(judgement: Judgement, verdict: Verdict, page: Page, *, mail: bool) -> Iterator[str]:
    from mptcp_oracle.report.filters import Filters
    from mptcp_oracle.report.layout import printable
    from mptcp_oracle.report.verdicts import place

    trace = judgement.trace
    styles = {"fail": "bad", "warn": "odd", "pass": "good", "inconclusive": "odd"}
    word = str(verdict.outcome).upper().replace("_", " ")
    if verdict.outcome == "fail":
        word += f" ({verdict.severity})"
    yield page.styled(f"{word}: {place(verdict)}", styles.get(verdict.count))
    if verdict.why:
        yield from page.wrapped(printable(verdict.why), "  ")
    if verdict.outcome == "pass" or verdict.unseen:
        looked = f"looked at {verdict.seen} times and kept each time"
        yield f"  {looked}" + (f"; {verdict.unseen} could not be" if verdict.unseen else "")
    if verdict.waived is not None:
        yield from page.wrapped(printable(f"expected: {verdict.waived}"), "  ")
    if not verdict.frames:
        return
    yield ""
    for frame in verdict.frames[:MOST_FRAMES]:
        for line in frame_line(judgement, frame):
            yield from page.wrapped(printable(line), "  ", "      ") if mail else [f"  {line}"]
    connection = trace.group(verdict.connection)
    for mismatch in connection.mismatches:
        if mismatch.frame in verdict.frames:
            yield ""
            yield f"  {mismatch.what} in frame {mismatch.frame}:"
            yield f"    expected {mismatch.expected}"
            yield f"    seen     {mismatch.seen}"
            yield from page.wrapped(printable(mismatch.why), "    ")
    keys = [f"{host.role} {host.key:016x}" for host in connection.hosts if host.key is not None]
    if keys:
        yield ""
        yield from page.wrapped(f"keys: {', '.join(keys)}", "  ")
    if not mail:
        flow = next((each for each in connection.subflows if each.id == verdict.subflow), None)
        filters = Filters(trace)
        shown = filters.connection(connection) if flow is None else filters.subflow(flow)
        yield f"  Wireshark: {shown}"


def frame_line(judgement: Judgement, frame: int) -> Iterator[str]:
    """A frame as tcpdump would print it, then each MPTCP option in packetdrill's notation."""
    from mptcp_oracle.options import notation

    trace = judgement.trace
    segment = trace.frame(frame)
    flow = next(each for each in trace.subflows if each.id == segment.subflow)
    ends = (flow.source, flow.destination)
    source, destination = ends if segment.from_source else ends[::-1]
    flags = "".join(letter for bit, letter in _FLAGS if segment.flags & bit) or "none"
    time = datetime.fromtimestamp(segment.time // 10**9, UTC).strftime("%H:%M:%S")
    words = [
        f"{frame}: {time}.{segment.time % 10**9 // 1000:06d} IP",
        f"{source.address}.{source.port} > {destination.address}.{destination.port}:",
        f"Flags [{flags}], seq {segment.sequence}",
    ]
    line = " ".join(words)
    if segment.payload:
        line += f":{segment.sequence + segment.payload}"
    if segment.ack is not None:
        line += f", ack {segment.ack}"
    yield f"{line}, win {segment.window}, length {segment.payload}"
    for option in segment.options:
        yield f"    {notation(option)}"
