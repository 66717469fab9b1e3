"""The command ``mptcp-oracle check``: every requirement, judged."""

from __future__ import annotations

import gc
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.report.command import PROGRESS, UNREADABLE, inputs
from mptcp_oracle.report.complaints import say

if TYPE_CHECKING:
    from mptcp_oracle.oracle import Judgement
    from mptcp_oracle.report.counted import Counted
    from mptcp_oracle.verdict import Verdict

__all__ = ["JUDGING", "check_command", "judged"]

FAILED, UNDECIDED, SKIP_COMMIT = 1, 4, 125
Command = TypeVar("Command", bound=Callable[..., Any])

EXAMPLES = """
\b
Examples:
  mptcp-oracle check capture.pcapng
  mptcp-oracle check --local 10.1.1.1 --whole client.pcap
  mptcp-oracle check --only 8684-3.2 --only 8684-3.4 captures/
  mptcp-oracle check --waivers linux.toml --target linux=10.1.1.1,10.1.2.1 capture.pcapng
  mptcp-oracle check --json captures/ > before.json
  mptcp-oracle check --baseline before.json captures/
  mptcp-oracle check --nstat before.txt --nstat after.txt client.pcapng
  git bisect run mptcp-oracle check --bisect --only 8684-3.2-join-ack-hmac capture.pcapng

\b
Exit status:
  0    no violation (with --should: nor warning) that is not waived
  1    violations; with --baseline: new ones; with --nstat: or contradictions
  2    wrong usage
  3    a capture cannot be read; the others were judged all the same
  4    nothing could be judged: no pass and no failure
  125  with --bisect, instead of all but 0 and 1
"""


def JUDGING(command: Command) -> Command:  # noqa: N802 - a constant list of options
    """The options of all commands that judge."""
    for option in reversed(
        (
            click.option(
                "--local",
                metavar="ADDRESS[/LEN]",
                multiple=True,
                help="The capture was made at the host with this address; repeatable.",
            ),
            click.option(
                "--whole",
                is_flag=True,
                default=None,
                help="The capture lacks no frame that passed there, if the file does not say so.",
            ),
            click.option(
                "--waivers",
                metavar="FILE",
                multiple=True,
                help="Known failures, see docs/waivers.md; repeatable.",
            ),
            click.option(
                "--target",
                metavar="NAME[@VERSION][=ADDRESS,...]",
                multiple=True,
                help="Which hosts the waivers are for.",
            ),
            click.option(
                "--host",
                metavar="initiator|listener|ADDRESS",
                help="Judge this end only; the other may be somebody else's stack or a test tool.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("check", epilog=EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@JUDGING
@click.option(
    "--only", metavar="PREFIX", multiple=True, help="Requirements whose id begins so; repeatable."
)
@click.option("--should", is_flag=True, help="Let broken SHOULDs count, too.")
@click.option("--all", "everything", is_flag=True, help="List what is not exercised, too.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a capture.")
@click.option("--ktap", is_flag=True, help="One document for the kernel's test runners.")
@click.option("--bisect", is_flag=True, help="Exit status for `git bisect run`; needs --only.")
@click.option(
    "--baseline",
    metavar="OLD.json",
    help="Compare with an earlier --json: fixed, new, unchanged.",
)
@click.option(
    "--strict-waivers", is_flag=True, help="Fail if a waiver of a target no longer applies."
)
@click.option(
    "--nstat",
    metavar="FILE",
    multiple=True,
    help="Compare the kernel's counters of the capturing host: changes, or twice: before, after.",
)
@PROGRESS
def check_command(
    *,
    files: tuple[str, ...],
    local: tuple[str, ...],
    whole: bool | None,
    waivers: tuple[str, ...],
    target: tuple[str, ...],
    host: str | None,
    only: tuple[str, ...],
    should: bool,
    everything: bool,
    as_json: bool,
    ktap: bool,
    bisect: bool,
    baseline: str | None,
    strict_waivers: bool,
    nstat: tuple[str, ...],
    progress: bool | None,
) -> None:
    """Judge captures by the requirements of RFC 8684 and RFC 6824.

    FILE is a capture, a folder of captures, or - for standard input. What a host sent is known for
    certain only where the capture was made at that host and lacks nothing: the file can say so
    (packet types, directions, interface statistics), or --local and --whole do.
    """
    from mptcp_oracle.report.verdicts import grave
    from mptcp_oracle.rules.waivers import Waivers

    if ktap and (as_json or baseline is not None):
        other = "--json" if as_json else "--baseline"
        raise UsageError(f"{other} and --ktap exclude each other")
    if bisect and not only:
        raise UsageError("--bisect needs --only ID", hint="or any failure would decide")
    _known(only)
    counters = _counters(nstat, files, ktap=ktap, bisect=bisect, baseline=baseline)
    known = Waivers.read(waivers, target)
    run = _Run(
        names=inputs(files),
        settings={"local": local, "whole": whole, "waivers": known, "host": host},
        only=only,
        everything=everything,
        passes=everything or as_json or ktap or baseline is not None,
        progress=progress,
    )
    old = None if baseline is None else _old(baseline)
    found, decided, shown = 0, False, False
    groups, bodies = [], []
    for checked in run:
        judgement, verdicts, counts, passed = checked
        counted = _counted(judgement, counters, local=local, whole=whole)
        if ktap:
            groups.append((judgement.trace.capture.name, verdicts))
        elif as_json or old is not None:
            from mptcp_oracle.report.verdicts import body

            bodies.append(body(judgement, verdicts, counts))
            if counted is not None:
                bodies[-1]["counters"] = counted.body()
            if as_json:
                sys.stdout.write(json.dumps(bodies[-1], separators=(",", ":")) + "\n")
        if not (ktap or as_json or old is not None):
            _print(checked, first=not shown)
            sys.stdout.writelines(f"{line}\n" for line in (counted.lines() if counted else ()))
            shown = True
        found += len(counted.contradictions) if counted is not None else 0
        found += len(grave(verdicts, should=should))
        failed = any(each.outcome == "fail" for each in verdicts)
        decided = decided or bool(passed) or failed
        if old is None:
            bodies.clear()
    if ktap:
        from mptcp_oracle.report.ktap import document

        sys.stdout.writelines(line + "\n" for line in document(groups, should=should))
        if run.failed:
            sys.stdout.write("Bail out! a capture cannot be read\n")
    if old is not None:
        from mptcp_oracle.report.baseline import changes, failing

        change = changes(failing(old, should=should), failing(bodies, should=should))
        stream = sys.stderr if as_json else sys.stdout
        stream.writelines(line + "\n" for line in change.lines())
        found = len(change.new)
    unused = list(known.unused()) if strict_waivers else []
    for each in unused:
        click.echo(f"error: {each.place} ({each.requirement}) applies to nothing", err=True)
    status = _status(found + len(unused), decided=decided, unreadable=run.failed)
    sys.exit(SKIP_COMMIT if bisect and status > FAILED else status)


def _status(failures: int, *, decided: bool, unreadable: bool) -> int:
    if unreadable:
        return UNREADABLE
    if failures:
        return FAILED
    return 0 if decided else UNDECIDED


def _known(only: Sequence[str]) -> None:
    """Refuse prefixes that choose nothing."""
    from mptcp_oracle.spec import by_id, matching

    for prefix in only:
        if next(matching(prefix), None) is None:
            by_id(prefix)


def _counters(
    nstat: Sequence[str], files: Sequence[str], *, ktap: bool, bisect: bool, baseline: str | None
) -> dict[str, int] | None:
    """The counters to compare with, if any are."""
    if not nstat:
        return None
    from mptcp_oracle.report.counted import read_counters

    for flag, given in (("--ktap", ktap), ("--bisect", bisect), ("--baseline", baseline)):
        if given:
            raise UsageError(f"--nstat and {flag} exclude each other")
    if len(inputs(files)) != 1:
        raise UsageError("--nstat needs a single capture", cause="counters are of one time")
    return read_counters(nstat)


def _counted(
    judgement: Judgement,
    counters: dict[str, int] | None,
    *,
    local: Sequence[str],
    whole: bool | None,
) -> Counted | None:
    if counters is None:
        return None
    from mptcp_oracle.report.counted import count

    return count(judgement.trace, counters, local=local, whole=whole)


def _old(baseline: str) -> list[dict[str, Any]]:
    from mptcp_oracle.report.baseline import read_baseline

    return read_baseline(baseline)


def _print(checked: Checked, *, first: bool) -> None:
    from mptcp_oracle.report.layout import page
    from mptcp_oracle.report.verdicts import lines

    if not first:
        sys.stdout.write("\n")
    for line in lines(*checked, page(sys.stdout)):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def judged(name: str, progress: bool | None, **settings: Any) -> Iterator[Judgement | None]:
    """Judge a capture; say on standard error why it cannot be, and give ``None``."""
    from mptcp_oracle.oracle import judge
    from mptcp_oracle.report.progress import Progress

    try:
        with Progress(name, sys.stderr, wanted=progress) as shown:
            judgement = judge(name, progress=shown, **settings)
    except UsageError:
        raise
    except (OracleError, OSError, MemoryError) as error:
        say(error, name)
        yield None
        return
    with judgement:
        yield judgement


class Checked(NamedTuple):
    """A judgement with its verdicts, how many there are of each kind, and what was kept."""

    judgement: Judgement
    verdicts: list[Verdict]
    counts: dict[str, int]
    passed: Counter[str]


class _Run:
    """The captures of one run, judged one after the other."""

    def __init__(
        self,
        *,
        names: list[str],
        settings: dict[str, Any],
        only: tuple[str, ...],
        everything: bool,
        passes: bool,
        progress: bool | None,
    ) -> None:
        self.names, self.settings, self.only = names, settings, only
        self.everything, self.passes, self.progress = everything, passes, progress
        self.failed = False

    def __iter__(self) -> Iterator[Checked]:
        for at, name in enumerate(self.names):
            if at:
                gc.collect()  # the command runs without automatic collection
            with judged(name, self.progress, **self.settings) as judgement:
                if judgement is None:
                    self.failed = True
                    continue
                options = {"everything": self.everything, "passes": self.passes}
                verdicts = list(judgement.verdicts(only=self.only, **options))
                passed = judgement.passed(only=self.only)
                counts = judgement.summary(verdicts, passed, only=self.only)
                yield Checked(judgement, verdicts, counts, passed)
