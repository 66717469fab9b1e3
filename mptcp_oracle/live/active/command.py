"""The command ``mptcp-oracle probe``."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import click

from mptcp_oracle.errors import OracleError, UsageError
from mptcp_oracle.live.active.probing import MakeTarget, Probe, probe, rules
from mptcp_oracle.live.active.results import body, line, status, summary, write_capture
from mptcp_oracle.live.active.rule import ActiveRule
from mptcp_oracle.live.peer.target import Settings, Target
from mptcp_oracle.live.stopping import terminable
from mptcp_oracle.rules.waivers import Waivers, read_waivers, target_of

__all__ = ["make_target", "own_waivers", "probe_command"]

USAGE, UNABLE = 2, 3

EXAMPLES = """
\b
Examples:
  mptcp-oracle probe --list
  sudo mptcp-oracle probe
  sudo mptcp-oracle probe --requirement 8684-3.2 --packets
  sudo mptcp-oracle probe --target veth -o captures --json > found.json
  mptcp-oracle probe --target stack
  mptcp-oracle probe --target stack:unknown-token-answered --requirement 8684-3.2
  sudo mptcp-oracle probe --sequences 10000 --seed 7 -o findings

\b
Exit status:
  0    no violation (with --should: nor warning) that is not waived; with --sequences: no
       finding that is not known
  1    violations, or findings
  2    wrong usage
  3    a need is not met (root, MPTCP, TUN), or the target cannot be set up
  4    nothing could be judged
"""


@click.command("probe", epilog=EXAMPLES)
@click.option(
    "--requirement",
    metavar="PREFIX",
    multiple=True,
    help="Only requirements whose id or number begins so; repeatable.",
)
@click.option(
    "--target",
    metavar="TARGET",
    default="tun",
    show_default=True,
    help="tun or veth: the local kernel, in a namespace; stack[:FAULT]: our own small stack, in "
    "this process; MODULE:NAME: yours, see docs/probing.md.",
)
@click.option(
    "--sequences",
    type=click.IntRange(1, 10_000_000),
    help="Play so many random sequences of legal and illegal events instead, see docs/stateful.md.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides the sequences.")
@click.option("--list", "listing", is_flag=True, help="List the rules, and play none.")
@click.option("--packets", is_flag=True, help="Show every packet of each probe.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for a capture (pcapng) of each probe; made if needed.",
)
@click.option("--should", is_flag=True, help="Let broken SHOULDs count, too.")
@click.option("--no-waivers", is_flag=True, help="Let failures count that are known.")
@click.option("--waivers", metavar="FILE", multiple=True, help="More known failures; repeatable.")
@click.option(
    "--strict-waivers", is_flag=True, help="Fail if a waiver of the target no longer applies."
)
@click.option("--write", metavar="FILE", help="Write the page of all rules and its captures.")
def probe_command(
    *,
    requirement: tuple[str, ...],
    target: str,
    sequences: int | None,
    seed: int,
    listing: bool,
    packets: bool,
    as_json: bool,
    output: Path | None,
    should: bool,
    no_waivers: bool,
    waivers: tuple[str, ...],
    strict_waivers: bool,
    write: str | None,
) -> None:
    """Probe an MPTCP implementation with a peer that misbehaves on purpose.

    Each rule sends what brings a requirement of RFC 8684 out, and says whether the reaction is one
    that the RFC allows. The local kernel is probed in a network namespace of its own, which needs
    root; nothing outside of it is sent to.
    """
    chosen = _chosen(requirement)
    if listing:
        _list(chosen)
        return
    try:
        make = make_target(target)
        sample = make(Settings())
        if target in ("tun", "veth"):
            _require(target)
        if sequences is not None:
            with terminable():
                status_of = _campaign(make, sequences, seed, output)
            sys.exit(status_of)
        known = None if no_waivers else own_waivers(sample, waivers)
        with terminable():
            found = _play(chosen, make, known, None if as_json else _teller(packets))
        if output is not None:
            _captures(found, output, sample)
        if write is not None:
            _write(found, Path(write), sample)
    except OracleError as error:
        click.echo(f"mptcp-oracle probe: {error}", err=True)
        sys.exit(USAGE if isinstance(error, UsageError) else UNABLE)
    if as_json:
        click.echo(json.dumps(body(found, sample)))
    else:
        click.echo(summary(found))
    left = list(known.unused(probed=True)) if known and strict_waivers and not requirement else []
    for each in left:
        click.echo(f"error: {each.place} ({each.requirement}) applies to nothing", err=True)
    sys.exit(status(found, should=should) or bool(left))


def _campaign(make: MakeTarget, count: int, seed: int, output: Path | None) -> int:
    """Play random sequences, tell what came of it, and return the exit status."""
    from mptcp_oracle.live.stateful.campaign import Campaign, run
    from mptcp_oracle.live.stateful.report import lines, write_finding

    def told(each: Campaign) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{each.sequences} of {count}, {each.rate:.0f}/s ", nl=False, err=True)

    found = run(make, count=count, seed=seed, told=told)
    for each_line in lines(found):
        click.echo(each_line)
    try:
        for each in found.findings if output is not None else ():
            write_finding(each, cast("Path", output))
    except OSError as error:
        raise UsageError("the findings cannot be written", cause=str(error)) from error
    return int(any(not each.known for each in found.findings))


def make_target(text: str) -> MakeTarget:
    """What makes the target of a word on the command line.

    Raises:
        UsageError: There is no such target.
    """
    kind, _, rest = text.partition(":")
    if kind == "stack":
        from mptcp_oracle.live.stack import FAULTS, StackTarget

        faults = frozenset([rest]) if rest else frozenset[str]()
        if not faults <= FAULTS.keys():
            hint = "they are: " + ", ".join(FAULTS)
            raise UsageError(f"the stack has no fault {rest}", hint=hint)
        return lambda settings: StackTarget(settings, faults)
    if text in ("tun", "veth"):
        from mptcp_oracle.live.peer.kernel import KernelTarget

        return lambda settings: KernelTarget(settings, text)
    if not rest:
        raise UsageError(
            f"there is no target {text!r}", hint="tun, veth, stack, stack:FAULT or MODULE:NAME"
        )
    try:
        return cast("MakeTarget", pkgutil.resolve_name(text))
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"the target {text} cannot be imported", cause=str(error)) from error


def own_waivers(target: Target, more: tuple[str, ...] = ()) -> Waivers:
    """The waivers that come with the package and those of some files, for a target."""
    folder = files("mptcp_oracle.conformance") / "waivers"
    own = [str(each) for each in folder.iterdir() if each.name.endswith(".toml")]
    name = f"{target.name}@{target.version}"
    waivers = read_waivers([*sorted(own), *more])
    return Waivers(waivers=waivers, targets=(target_of(name),))


def _require(medium: str) -> None:
    from mptcp_oracle.live.peer.kernel import missing

    for error in missing(medium):
        raise error


def _chosen(prefixes: tuple[str, ...]) -> list[ActiveRule]:
    unknown = [each for each in prefixes if not rules(each)]
    if unknown:
        raise UsageError(
            f"there is no active rule for {', '.join(unknown)}", hint="mptcp-oracle probe --list"
        )
    wanted = {id(rule) for each in prefixes or ("",) for rule in rules(each)}
    return [rule for rule in rules() if id(rule) in wanted]


def _play(
    chosen: list[ActiveRule],
    make: MakeTarget,
    known: Waivers | None,
    tell: Callable[[Probe], Any] | None,
) -> list[Probe]:
    found = []
    for rule in chosen:
        found.append(probe(rule, make, known))
        if tell is not None:
            tell(found[-1])
    return found


def _teller(packets: bool) -> Callable[[Probe], None]:
    def tell(each: Probe) -> None:
        click.echo(line(each))
        if packets:
            for packet in each.log.lines:
                click.echo(f"    {packet}")

    return tell


def _list(chosen: list[ActiveRule]) -> None:
    for rule in chosen:
        click.echo(f"{rule.number} {rule.name} ({rule.requirement.level})")
        click.echo(f"    stimulus: {rule.stimulus}")
        click.echo(f"    allowed:  {'; or '.join(rule.allowed)}")


def _captures(found: list[Probe], folder: Path, target: Target) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in found:
            if each.log.frames:
                write_capture(each, folder, target)
    except OSError as error:
        raise UsageError("the captures cannot be written", cause=str(error)) from error


def _write(found: list[Probe], file: Path, target: Target) -> None:
    """The page, what it was made from, and the captures of failures, in a folder beside it."""
    from mptcp_oracle.live.active.page import MARK, page

    if len(found) != len(rules()):
        raise UsageError("the page has all rules", hint="leave --requirement away")
    head = file.read_text("utf-8").partition(MARK)[0] if file.exists() else "# Probing\n"
    folder = file.parent / file.stem
    failed = [each for each in found if each.verdict.outcome == "fail"]
    for old in folder.glob("*.pcapng") if folder.is_dir() else ():
        old.unlink()
    _captures(failed, folder, target)
    told = body(found, target)
    for row in told["probes"]:
        del row["seconds"]
        if row["outcome"] != "fail":
            row["packets"] = []
    (folder / "found.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    file.write_text(page(head, told), encoding="utf-8")
