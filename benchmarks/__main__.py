"""The benchmark's command line: ``python -m benchmarks``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from benchmarks.cache import default_folder, obtain
from benchmarks.measure import compare
from benchmarks.programs import find, known_fields, ours, tshark
from benchmarks.report import Result, judge, machine, render, to_json
from benchmarks.subjects import SUBJECTS, Subject
from mptcp_oracle.errors import OracleError

__all__ = ["main"]

NAMES = [each.name for each in SUBJECTS]


def _say(words: str) -> None:
    click.echo(words, err=True)


def _chosen(names: tuple[str, ...]) -> list[Subject]:
    return [each for each in SUBJECTS if not names or each.name in names]


@click.group()
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_folder,
    help="Folder of the captures (2 GB if all are made).  [default: the user's cache folder]",
)
@click.pass_context
def main(context: click.Context, cache: Path) -> None:
    """Measure mptcp-oracle against tshark on captures of its own making.

    Real captures are recorded in network namespaces, which needs root; all others need nothing.
    """
    context.obj = cache


@main.command("list")
def list_command() -> None:
    """List the captures."""
    for each in SUBJECTS:
        click.echo(f"{each.name:14} {each.segments:>12,} segments  {each.what}")


@main.command("make")
@click.argument("names", metavar="[CAPTURE]...", nargs=-1, type=click.Choice(NAMES))
@click.pass_obj
def make_command(cache: Path, names: tuple[str, ...]) -> None:
    """Make the captures (all, if none is named) and print where they are."""
    for subject in _chosen(names):
        made = obtain(subject, cache, _say)
        click.echo(f"{made.path}  {made.segments} segments, {made.octets} octets")


@main.command("run")
@click.argument("names", metavar="[CAPTURE]...", nargs=-1, type=click.Choice(NAMES))
@click.option("--rounds", type=click.IntRange(1), help="Runs of each program, whatever the size.")
@click.option("--oracle", metavar="PATH", help="The mptcp-oracle to measure.")
@click.option("--tshark", "dissector", metavar="PATH", help="The tshark to measure.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every single run.")
@click.pass_obj
def run_command(
    cache: Path,
    names: tuple[str, ...],
    rounds: int | None,
    oracle: str | None,
    dissector: str | None,
    as_json: bool,
) -> None:
    """Measure both programs on the captures (all, if none is named) and print the table.

    Exit status 1 says that a budget was not met.
    """
    oracle, dissector = find("mptcp-oracle", oracle), find("tshark", dissector)
    fields = known_fields(dissector)
    where = machine(oracle, dissector)
    results: list[Result] = []
    for subject in _chosen(names):
        made = obtain(subject, cache, _say)
        _say(f"{subject.name}: {made.segments} segments")
        mine, other = compare(
            ours(oracle, made.path),
            tshark(dissector, made.path, fields),
            rounds=(rounds or subject.ours, rounds or subject.tshark),
            progress=_say,
        )
        results.append(
            Result(
                subject=subject,
                segments=made.segments,
                octets=made.octets,
                ours=mine,
                tshark=other,
            )
        )
    if as_json:
        click.echo(json.dumps(to_json(results, where), indent=1))
    else:
        click.echo(render(results, where))
    if any(met is False for each in results for _, met in judge(each, results)):
        sys.exit(1)


@main.command("judge")
@click.argument("names", metavar="[CAPTURE]...", nargs=-1, type=click.Choice(NAMES))
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--oracle", metavar="PATH", help="The mptcp-oracle to measure.")
@click.pass_obj
def judge_command(cache: Path, names: tuple[str, ...], rounds: int, oracle: str | None) -> None:
    """Measure check beside analyze on the captures (all, if none is named): what judging costs.

    Exit status 1 says that on one of them it costs more than the analysis.
    """
    from benchmarks.judging import BUDGET, costs, show

    program = find("mptcp-oracle", oracle)
    captures = [(each.name, obtain(each, cache, _say)) for each in _chosen(names)]
    found = costs(program, captures, rounds, _say)
    click.echo(show(found))
    if any(each.ratio > BUDGET for each in found):
        sys.exit(1)


@main.command("report")
@click.argument("names", metavar="[CAPTURE]...", nargs=-1, type=click.Choice(NAMES))
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--oracle", metavar="PATH", help="The mptcp-oracle to measure.")
@click.pass_obj
def report_command(cache: Path, names: tuple[str, ...], rounds: int, oracle: str | None) -> None:
    """Measure report beside check on the captures (all, if none is named), and open the reports.

    Exit status 1 says that one of them takes too long to make or to open, or is too large.
    """
    from benchmarks.picturing import costs, show

    program = find("mptcp-oracle", oracle)
    captures = [(each.name, obtain(each, cache, _say)) for each in _chosen(names)]
    found = costs(program, captures, rounds, _say)
    click.echo(show(found))
    if not all(each.met for each in found):
        sys.exit(1)


@main.command("diff")
@click.argument("names", metavar="[CAPTURE]...", nargs=-1, type=click.Choice(NAMES))
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--oracle", metavar="PATH", help="The mptcp-oracle to measure.")
@click.option("--tshark", "dissector", metavar="PATH", help="The tshark to measure.")
@click.pass_obj
def diff_command(
    cache: Path, names: tuple[str, ...], rounds: int, oracle: str | None, dissector: str | None
) -> None:
    """Measure diff beside tshark alone on the captures (all but the longest, if none is named).

    Exit status 1 says that on one of them it takes more than three times as long.
    """
    from benchmarks.differing import BUDGET, TOO_LONG, costs, show

    names = names or tuple(name for name in NAMES if name not in TOO_LONG)
    oracle, dissector = find("mptcp-oracle", oracle), find("tshark", dissector)
    captures = [(each.name, obtain(each, cache, _say)) for each in _chosen(names)]
    found = costs(oracle, dissector, captures, rounds, _say)
    click.echo(show(found))
    if any(each.ratio > BUDGET for each in found):
        sys.exit(1)


@main.command("stages")
@click.argument("capture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def stages_command(capture: Path) -> None:
    """Print what each stage of the analysis of CAPTURE takes for one segment."""
    from benchmarks.stages import profile, show

    click.echo(show(profile(capture)))


@main.command("generate")
@click.option(
    "--connections",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="Connections of each capture that is timed.",
)
@click.option(
    "--many",
    type=click.IntRange(0),
    default=10_000,
    show_default=True,
    help="Connections whose memory is measured; 0 for none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def generate_command(connections: int, many: int, as_json: bool) -> None:
    """Compare writing generated captures with scapy building each packet; measure the memory.

    Exit status 1 says that a budget was not met.
    """
    from benchmarks.generating import LEAST, costs, memory, show, to_json

    found = costs(connections)
    held = memory(many) if many else None
    click.echo(json.dumps(to_json(found, held), indent=1) if as_json else show(found, held))
    if any(each.ratio < LEAST for each in found):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main(prog_name="python -m benchmarks")
    except OracleError as error:
        click.echo(f"benchmarks: {error}", err=True)
        sys.exit(3)
