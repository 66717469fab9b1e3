"""The command ``mptcp-oracle record``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.live.batch import Done, record_many
from mptcp_oracle.live.recorder import record
from mptcp_oracle.live.scenario import Scenario
from mptcp_oracle.live.scenarios import SCENARIOS
from mptcp_oracle.live.stopping import terminable
from mptcp_oracle.live.tools import require_needs

__all__ = ["record_command"]

USAGE, UNABLE = 2, 3

EXAMPLES = """
\b
Examples:
  mptcp-oracle record --list
  sudo mptcp-oracle record bulk-two-paths -o captures
  sudo mptcp-oracle record path-cut loss-reinjection --octets 2000000 --snaplen 120
  sudo mptcp-oracle record --all --jobs 2 -o captures

\b
Exit status:
  0    every recording shows what its scenario claims
  2    wrong usage
  3    a need is not met (root, MPTCP, a program), a step failed, or something that
       depends on chance did not happen in any attempt (the recording is kept)
"""


@click.command("record", epilog=EXAMPLES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Record every scenario.")
@click.option("--list", "listing", is_flag=True, help="List the scenarios with their reasons.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for captures and sidecars; made if needed.  [default: the current one]",
)
@click.option(
    "--octets",
    type=click.IntRange(0, 1_000_000_000),
    help="Octets of a full share of data, instead of the scenario's own amount.",
)
@click.option(
    "--snaplen",
    type=click.IntRange(54, 262_144),
    help="Octets kept of each frame, instead of the scenario's own (mostly all).",
)
@click.option(
    "--rate",
    type=click.IntRange(1, 10_000),
    help="Mbit/s of each path, each way, instead of the scenario's own (mostly 10).",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Decides the octets of the streams."
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 20),
    default=5,
    show_default=True,
    help="How often to play what depends on chance until it happens.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many scenarios are recorded at a time, each in namespaces of its own.",
)
@click.option(
    "--keep-pcap", is_flag=True, help="Keep the capture program's own pcap file, not pcapng."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def record_command(
    *,
    names: tuple[str, ...],
    everything: bool,
    listing: bool,
    output: Path,
    octets: int | None,
    snaplen: int | None,
    rate: int | None,
    seed: int,
    attempts: int,
    jobs: int,
    keep_pcap: bool,
    quiet: bool,
) -> None:
    """Record the local Linux kernel's MPTCP in network namespaces of its own.

    Each SCENARIO gives a capture and a provenance sidecar (JSON) beside it: how the capture was
    made, and what is known about its connections without looking at packets. Needs root; all
    traffic stays inside the namespaces, which are removed in the end, whatever happens.
    """
    if listing:
        _print_list()
        return
    try:
        chosen = _choose(names, everything)
        require_needs(filters=any(each.filters for each in chosen) and len(chosen) == 1)
        settings: dict[str, object] = {
            "octets": octets,
            "snaplen": snaplen,
            "rate": rate,
            "seed": seed,
            "attempts": attempts,
            "keep_pcap": keep_pcap,
        }
        with terminable():
            recorded = _one_by_one if jobs == 1 or len(chosen) == 1 else _several
            shown = [_report(each) for each in recorded(chosen, output, jobs, settings, quiet)]
    except OracleError as error:
        click.echo(f"mptcp-oracle record: {error}", err=True)
        sys.exit(USAGE if isinstance(error, UsageError) else UNABLE)
    if not all(shown):
        sys.exit(UNABLE)


def _choose(names: tuple[str, ...], everything: bool) -> list[Scenario]:
    """The scenarios asked for, in the order asked for, each once."""
    if bool(names) == everything:
        raise UsageError(
            "name the scenarios, or say --all",
            cause="both were given" if everything else "nothing was asked for",
            hint="mptcp-oracle record --list shows them",
        )
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise UsageError(
            f"no such scenario: {', '.join(unknown)}", hint="mptcp-oracle record --list"
        )
    return list(SCENARIOS.values() if everything else [SCENARIOS[name] for name in names])


def _speaker(name: str, quiet: bool) -> Callable[[str], None]:
    """Progress on standard error, each line with the scenario's name; or silence."""

    def say(words: str) -> None:
        if not quiet:
            click.echo(f"{name}: {words}", err=True)

    return say


def _one_by_one(
    chosen: list[Scenario], output: Path, jobs: int, settings: dict[str, Any], quiet: bool
) -> Iterator[Done]:
    """Record in this process, with every step told."""
    for scenario in chosen:
        say = _speaker(scenario.name, quiet)
        try:
            made = record(scenario, output, progress=say, **settings)
        except OracleError as error:
            if len(chosen) == 1:
                raise
            yield Done(name=scenario.name, error=str(error))
            continue
        say(f"{made.frames} frames in {made.seconds:.1f} s")
        yield Done(
            name=scenario.name,
            capture=made.capture,
            sidecar=made.sidecar,
            attempts=made.attempts,
            missing=made.missing,
        )


def _several(
    chosen: list[Scenario], output: Path, jobs: int, settings: dict[str, Any], quiet: bool
) -> Iterator[Done]:
    """Record in processes, each scenario told when it is done."""
    for done in record_many([each.name for each in chosen], output, jobs=jobs, **settings):
        if done.error is None:
            _speaker(done.name, quiet)(f"{done.frames} frames in {done.seconds:.1f} s")
        yield done


def _report(done: Done) -> bool:
    """Say where the capture is, and return whether it shows what the scenario claims."""
    if done.error is not None:
        click.echo(f"mptcp-oracle record: {done.error}", err=True)
        return False
    click.echo(str(done.capture))
    if done.missing:
        click.echo(
            f"mptcp-oracle record: {done.name} does not show what it claims "
            f"(missing in {done.attempts} attempts: {', '.join(done.missing)})",
            err=True,
        )
    return not done.missing


def _print_list() -> None:
    for item in SCENARIOS.values():
        click.echo(f"{item.name}  ({item.vantage.host}, {item.vantage.interface})")
        click.echo(click.wrap_text(item.why, 96, "    ", "    "))
