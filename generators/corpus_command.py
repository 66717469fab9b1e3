"""The command ``mptcp-oracle corpus``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click
from mptcp_oracle.generators import corpus as tool
from mptcp_oracle.generators.corpus_sidecars import sidecar_of

from mptcp_oracle.errors import OracleError, UsageError

__all__ = ["corpus_command"]

PROBLEMS, USAGE, UNREADABLE = 1, 2, 3

FOLDER = click.option(
    "--corpus",
    "folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path("corpus"),
    show_default=True,
    help="The corpus folder.",
)


EXAMPLES = """
\b
Examples:
  mptcp-oracle corpus add captures/path-cut.pcapng captures/path-cut.json
  mptcp-oracle corpus check
  mptcp-oracle corpus list --why
"""


@click.group("corpus", epilog=EXAMPLES)
def corpus_command() -> None:
    """Keep the corpus of captures: its files, index and provenance."""


@corpus_command.command("add")
@click.argument("capture", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("sidecar", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--slug", help="Stable name.  [default: the scenario's]")
@click.option("--why", help="Why the corpus needs it.  [default: the scenario's reason]")
@click.option("--family", default="kernel", show_default=True, help="Folder in the corpus.")
@click.option("--flag", "flags", multiple=True, help="A flag; may be repeated.")
@click.option(
    "--shipped/--not-shipped", default=None, help="Make it part of the installed package."
)
@FOLDER
def add_command(
    *,
    capture: Path,
    sidecar: Path | None,
    slug: str | None,
    why: str | None,
    family: str,
    flags: tuple[str, ...],
    shipped: bool | None,
    folder: Path,
) -> None:
    """Copy CAPTURE and its SIDECAR (default: the one beside it) into the corpus.

    The sidecar is the provenance as .json, in the family regression the truth as .truth.jsonl.
    """
    kind = sidecar_of(family)
    sidecar = sidecar or capture.with_name(capture.stem + kind.ending)
    try:
        told = kind.told(_octets(sidecar), sidecar)
        entry = tool.add(
            folder,
            capture,
            sidecar,
            slug=slug or str(told.get("name", "")),
            why=why or str(told.get("why", "")),
            family=family,
            flags=flags or _words(told.get("flags")),
            shipped=bool(told.get("shipped")) if shipped is None else shipped,
        )
    except OracleError as error:
        _leave(error)
    click.echo(f"{entry.file}: {entry.frames} frames, {entry.size} octets")


@corpus_command.command("remove")
@click.argument("slug")
@click.option("--family", default="kernel", show_default=True, help="Folder in the corpus.")
@FOLDER
def remove_command(*, slug: str, family: str, folder: Path) -> None:
    """Take the entry SLUG and its files out of the corpus."""
    try:
        tool.remove(folder, slug, family)
    except OracleError as error:
        _leave(error)


@corpus_command.command("check")
@FOLDER
def check_command(*, folder: Path) -> None:
    """Check index, files, digests and sidecars; exit status 1 if anything is wrong."""
    problems = tool.check(folder)
    for text in problems:
        click.echo(text, err=True)
    if problems:
        sys.exit(PROBLEMS)
    click.echo(f"{len(tool.read_index(folder))} entries, all in order")


@corpus_command.command("list")
@click.option("--why", "reasons", is_flag=True, help="Also say why each entry is there.")
@FOLDER
def list_command(*, reasons: bool, folder: Path) -> None:
    """List the entries with frames, octets and flags; shipped ones are marked with a star."""
    try:
        entries = tool.read_index(folder)
    except OracleError as error:
        _leave(error)
    for entry in entries:
        mark = "*" if entry.shipped else " "
        click.echo(
            f"{mark} {entry.family}/{entry.slug}  {entry.frames} frames  {entry.size} octets  "
            f"{' '.join(entry.flags)}"
        )
        if reasons:
            click.echo(click.wrap_text(entry.why, 96, "    ", "    "))


def _octets(sidecar: Path) -> bytes:
    try:
        return sidecar.read_bytes()
    except OSError as error:
        raise UsageError("cannot be read", cause=error.strerror, file=sidecar) from error


def _words(value: object) -> tuple[str, ...]:
    """A JSON list as words; anything else is none."""
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _leave(error: OracleError) -> NoReturn:
    """Print an error and end with the exit status of its kind."""
    click.echo(f"mptcp-oracle corpus: {error}", err=True)
    sys.exit(USAGE if isinstance(error, UsageError) else UNREADABLE)
