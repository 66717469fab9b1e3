"""The command ``mptcp-oracle``.

Exit status: 0 done, 2 wrong usage, 3 a capture (or what a command needs) cannot be used, 130
interrupted, 141 nobody reads the output any more. Sub-commands are imported when they are used.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

import click

from mptcp_oracle import __version__
from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.report.complaints import say

__all__ = ["cli", "main"]

USAGE, UNREADABLE, SKIP_COMMIT, INTERRUPTED, UNREAD = 2, 3, 125, 130, 141

EXAMPLES = """
\b
Examples:
  mptcp-oracle analyze capture.pcapng
  mptcp-oracle analyze --connection 0 capture.pcapng
  tcpdump -i any -w - tcp | mptcp-oracle analyze -
"""


def _analyze() -> click.Command:
    from mptcp_oracle.report.command import analyze_command

    return analyze_command


def _facts() -> click.Command:
    from mptcp_oracle.report.command import facts_command

    return facts_command


def _annotate() -> click.Command:
    from mptcp_oracle.report.annotate import annotate_command

    return annotate_command


def _check() -> click.Command:
    from mptcp_oracle.report.check import check_command

    return check_command


def _coverage() -> click.Command:
    from mptcp_oracle.conformance.coverage_command import coverage_command

    return coverage_command


def _diff() -> click.Command:
    from mptcp_oracle.report.diff_command import diff_command

    return diff_command


def _explain() -> click.Command:
    from mptcp_oracle.report.explain import explain_command

    return explain_command


def _hunt() -> click.Command:
    from mptcp_oracle.hunt.command import hunt_command

    return hunt_command


def _record() -> click.Command:
    from mptcp_oracle.live.command import record_command

    return record_command


def _plot() -> click.Command:
    from mptcp_oracle.pictures.plot_command import plot_command

    return plot_command


def _report() -> click.Command:
    from mptcp_oracle.pictures.report_command import report_command

    return report_command


def _probe() -> click.Command:
    from mptcp_oracle.live.active.command import probe_command

    return probe_command


def _corpus() -> click.Command:
    from mptcp_oracle.generators.corpus_command import corpus_command

    return corpus_command


def _generate() -> click.Command:
    from mptcp_oracle.generators.generate_command import generate_command

    return generate_command


#: Commands that are imported only when they are used, with what ``--help`` says of them.
COMMANDS: dict[str, tuple[Callable[[], click.Command], str]] = {
    "analyze": (_analyze, "Show the MPTCP connections of captures, and what was odd."),
    "annotate": (_annotate, "Write a capture again, its failures as comments for Wireshark."),
    "check": (_check, "Judge captures by the requirements of RFC 8684 and RFC 6824."),
    "corpus": (_corpus, "Keep the corpus of captures: its files, index and provenance."),
    "coverage": (_coverage, "List the requirements and their fates; prove the rules."),
    "diff": (_diff, "Compare what tshark, tcpdump or your own dissector says."),
    "explain": (_explain, "Explain a verdict: what the RFC says, what was seen, what follows."),
    "facts": (_facts, "Print everything known about a capture as JSON lines."),
    "generate": (_generate, "Make captures whose truth is known: scenarios, faults, volume."),
    "hunt": (_hunt, "Search for what a dissector gets wrong, and make it small."),
    "plot": (_plot, "Draw one picture of a connection: SVG, PNG, or for xplot."),
    "probe": (_probe, "Probe an MPTCP implementation with a peer that misbehaves."),
    "record": (_record, "Record the local Linux kernel's MPTCP in network namespaces."),
    "report": (_report, "Write a page with pictures of captures, to open in a browser."),
}


class _UnreadError(Exception):
    """Standard output is closed; under this name click leaves it to :func:`main`."""


class _Commands(click.Group):
    """The commands of :data:`COMMANDS`, known by name and one line of help until they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return COMMANDS[cmd_name][0]() if cmd_name in COMMANDS else None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _UnreadError from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mptcp-oracle", message="%(prog)s %(version)s")
def cli() -> None:
    """Read, explain and judge Multipath TCP captures (RFC 8684, RFC 6824).

    `mptcp-oracle COMMAND --help` tells about one command.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    Args:
        arguments: Instead of those of the process.
    """
    # What is built lives until the report is written: no search for dead cycles meanwhile.
    gc.disable()
    _open_streams()
    warnings.showwarning = _note
    status = _run(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    if "--bisect" in given and status not in (0, 1, INTERRUPTED):
        status = SKIP_COMMIT  # `git bisect run` takes all others for a bad commit
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _unwritten(error)
    # Everything is written and closed; taking millions of objects apart one by one would take
    # as long as a second analysis.
    os._exit(status)


def _note(message: Warning | str, *_: object, **__: object) -> None:
    """A warning for a person, without the line of code that it came from."""
    click.echo(f"note: {message}", err=True)


def _open_streams() -> None:
    """Make the standard streams usable, also closed ones and those of small character sets."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str] | None) -> int:
    """Run the command line, and turn whatever a user can cause into an exit status."""
    try:
        status = cli.main(arguments, prog_name="mptcp-oracle", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        # From here on nothing may hold the process up, not even a second Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return INTERRUPTED
    except OracleError as error:
        say(error)
        return USAGE if isinstance(error, UsageError) else UNREADABLE
    except MemoryError as error:
        say(error)
        return UNREADABLE
    except _UnreadError:
        return _unwritten()
    except OSError as error:
        return _unwritten(error)
    except SystemExit as leaving:
        code = leaving.code
        return code if isinstance(code, int) else int(code is not None)
    return status if isinstance(status, int) else 0


def _unwritten(error: OSError | None = None) -> int:
    """Standard output takes no more: say nothing if its reader has left."""
    gone = error is None or isinstance(error, BrokenPipeError)
    if error is not None and not gone:
        say(error)
    # What is still buffered goes nowhere.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return UNREAD if gone else UNREADABLE


if __name__ == "__main__":
    main()
