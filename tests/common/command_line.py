"""Commands as a person runs them, and the fake dissectors that they may name."""

from __future__ import annotations

import sys
from pathlib import Path

from click.testing import CliRunner, Result

from mptcp_oracle.cli import cli
from tests.common.checkout import ROOT

__all__ = ["FAKES", "fake", "run", "said"]

FAKES = ROOT / "tests" / "adapters" / "fakes.py"


def fake(kind: str) -> str:
    """The name of a fake dissector on the command line."""
    return f"cmd:{sys.executable} {FAKES} {kind} {{}}"


def run(command: str, *arguments: str | int | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [command, *map(str, arguments)], catch_exceptions=True)


def said(result: Result) -> str:
    """What went wrong, as a person sees it."""
    return f"{result.output}{result.exception or ''}"
