"""The command ``mptcp-oracle plot``: one picture as a file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from mptcp_oracle.errors import UsageError
from mptcp_oracle.pictures.report_command import write
from mptcp_oracle.report.command import PROGRESS, UNREADABLE, inputs, traced

if TYPE_CHECKING:
    from mptcp_oracle.analysis.entities import Connection
    from mptcp_oracle.analysis.trace import Trace
    from mptcp_oracle.pictures.view import View

__all__ = ["plot_command"]

KINDS = ("dsn", "share", "reinjection", "sequence")
FORMS = ("svg", "png", "xpl")

EXAMPLES = """
\b
Kinds:
  dsn          data sequence numbers over time, by subflow and by what was sent
  share        goodput of each subflow, and its share of the octets
  reinjection  what was sent again, and its share of the octets
  sequence     the control events as arrows between the hosts (not as an xplot file)

\b
Examples:
  mptcp-oracle plot capture.pcapng --kind dsn -o dsn.svg
  mptcp-oracle plot capture.pcapng --kind share --connection 3 -o share.png
  mptcp-oracle plot capture.pcapng --direction listener -o listener.xpl && xplot listener.xpl

\b
Exit status:
  0    the picture is written
  2    wrong usage, no MPTCP in the capture, or a missing package:
       pip install 'mptcp-oracle[plots]' (SVG and PNG; xplot files need none)
  3    the capture cannot be read, or the picture cannot be written
"""


@click.command("plot", epilog=EXAMPLES)
@click.argument("file", metavar="FILE")
@click.option("--kind", type=click.Choice(KINDS), default="dsn", show_default=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE.svg|png|xpl",
    required=True,
    help="Where it goes; the name says in which format.",
)
@click.option(
    "--connection",
    "number",
    metavar="N",
    type=int,
    help="Which one; negative: an unattached subflow.  [default: the one with the most octets]",
)
@click.option(
    "--direction",
    type=click.Choice(["initiator", "listener"]),
    help="Whose data an xplot file shows.  [default: who sent more]",
)
@PROGRESS
def plot_command(
    *,
    file: str,
    kind: str,
    output: str,
    number: int | None,
    direction: str | None,
    progress: bool | None,
) -> None:
    """Draw one picture of a connection into a file, for papers and for xplot.

    FILE is a capture, or - for standard input. `mptcp-oracle report` has all pictures of all
    connections on one page, which answers to the mouse.
    """
    from mptcp_oracle.pictures.library import require_matplotlib

    form = _form(output)
    if form != "xpl":
        require_matplotlib()
        if direction is not None:
            raise UsageError("--direction is for xplot files; SVG and PNG show both")
    if os.path.isdir(file):
        raise UsageError("one capture is drawn, not a folder", file=file)
    (name,) = inputs([file])
    with traced(name, progress) as trace:
        if trace is None:
            sys.exit(UNREADABLE)
        content = _content(trace, _chosen(trace, number), kind, form, direction)
    write(output, content)


def _form(output: str) -> str:
    """The format that a file's name asks for."""
    form = os.path.splitext(output)[1].removeprefix(".").lower()
    if form not in FORMS:
        raise UsageError(
            f"{output!r} does not say which format it is to be",
            hint=f"end the name with one of {', '.join('.' + each for each in FORMS)}",
        )
    return form


def _chosen(trace: Trace, number: int | None) -> Connection:
    """The connection that was asked for, or the one with the most octets."""
    if number is not None:
        return trace.group(number)
    groups = list(trace.groups())
    if not groups:
        raise UsageError("there is no MPTCP in this capture", file=trace.capture.name)
    return max(groups, key=lambda each: sum(_octets(each)))


def _octets(group: Connection) -> tuple[int, int]:
    """Payload octets that each host sent, copies included."""
    one, other = (sum(host.transmissions.values()) for host in group.hosts)
    return one, other


def _content(trace: Trace, group: Connection, kind: str, form: str, direction: str | None) -> bytes:
    from mptcp_oracle.pictures.series import Readings
    from mptcp_oracle.pictures.view import View

    view = View(Readings(trace), group)
    name = os.path.basename(trace.capture.name) or trace.capture.name
    if form == "xpl":
        return _xplot(view, kind, name, direction)
    from mptcp_oracle.pictures.files import drawing

    return drawing(view, kind, name, form)


def _xplot(view: View, kind: str, name: str, direction: str | None) -> bytes:
    from mptcp_oracle.analysis.entities import ROLES
    from mptcp_oracle.pictures.xplot import lines

    octets = _octets(view.group)
    role = octets.index(max(octets)) if direction is None else ROLES.index(direction)
    text = "".join(line + "\n" for line in lines(view, role, kind, name))
    return text.encode("utf-8", "backslashreplace")
