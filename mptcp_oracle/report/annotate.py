"""The command ``mptcp-oracle annotate``: verdicts as comments that Wireshark shows."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mptcp_oracle.errors import UsageError
from mptcp_oracle.report.check import JUDGING, judged
from mptcp_oracle.report.command import PROGRESS, UNREADABLE, inputs

if TYPE_CHECKING:
    from mptcp_oracle.verdict import Verdict

__all__ = ["annotate_command", "comments", "summary"]

EXAMPLES = """
\b
Examples:
  mptcp-oracle annotate capture.pcapng -o judged.pcapng
  wireshark -Y frame.comment judged.pcapng
  tshark -r judged.pcapng -Y frame.comment -T fields -e frame.number -e frame.comment

\b
Exit status:
  0  the file was written, whatever was found
  2  wrong usage
  3  the capture cannot be read, or the file cannot be written
"""


@click.command("annotate", epilog=EXAMPLES)
@click.argument("file", metavar="FILE")
@click.option(
    "-o", "--output", metavar="OUT.pcapng", required=True, help="The file to write; - is stdout."
)
@JUDGING
@PROGRESS
def annotate_command(
    *,
    file: str,
    output: str,
    local: tuple[str, ...],
    whole: bool | None,
    waivers: tuple[str, ...],
    target: tuple[str, ...],
    host: str | None,
    progress: bool | None,
) -> None:
    """Write a capture again, with a comment on each frame that shows a failure.

    The packets are the same, octet for octet; a comment on the file sums up. In Wireshark, the
    display filter `frame.comment` shows the frames. FILE is a capture, or - for standard input.
    """
    from mptcp_oracle.report.rewriting import commented
    from mptcp_oracle.rules.waivers import Waivers

    if os.path.isdir(file):
        raise UsageError("one capture is annotated, not a folder", file=file)
    if output != "-" and os.path.exists(output) and os.path.exists(file):
        same = os.path.samefile(output, file)
        if same:
            raise UsageError("the capture would be overwritten", hint="choose another -o")
    known = Waivers.read(waivers, target)
    for name in inputs([file]):
        settings = {"local": local, "whole": whole, "waivers": known, "host": host}
        with judged(name, progress, **settings) as judgement:
            if judgement is None:
                sys.exit(UNREADABLE)
            verdicts = list(judgement.verdicts(passes=False))
            texts = comments(verdicts)
            pieces = commented(
                judgement.trace.capture.data, texts, summary(verdicts, judgement.counts)
            )
            if output == "-":
                for piece in pieces:
                    sys.stdout.buffer.write(piece)
                continue
            with open(output, "wb") as written:
                written.writelines(pieces)
            click.echo(
                f"{output}: {len(texts)} frames with comments; "
                "in Wireshark the display filter frame.comment shows them",
                err=True,
            )


def comments(verdicts: Sequence[Verdict]) -> dict[int, str]:
    """The comments by frame: each failure that the frame is evidence of."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for each in verdicts:
        if each.outcome == "fail":
            word = "expected" if each.waived is not None else each.severity
            text = f"{word}: {each.requirement} ({each.host}): {each.why}"
            for frame in each.frames:
                found[frame].append(text)
    return {frame: "\n".join(texts) for frame, texts in sorted(found.items())}


def summary(verdicts: Sequence[Verdict], counts: dict[str, int]) -> str:
    """The comment on the whole file."""
    from mptcp_oracle.version import __version__

    words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    failed = dict.fromkeys(each.requirement for each in verdicts if each.outcome == "fail")
    lines = [f"judged by mptcp-oracle {__version__}: {words}", *failed]
    return "\n".join(lines)
