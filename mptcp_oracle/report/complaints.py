"""Errors for people, on standard error."""

from __future__ import annotations

import click

from mptcp_oracle.errors import OracleError
from mptcp_oracle.report.layout import printable

__all__ = ["say"]


def say(error: BaseException, name: str | None = None) -> None:
    """One error for a person, on standard error."""
    name = name or getattr(error, "filename", None)
    place = f"{name}: " if name else ""
    if isinstance(error, OracleError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = (
            f"{place}not enough memory\n"
            "hint: cut the frames (editcap -s 120) or split the capture (editcap -c 1000000)"
        )
    else:
        text = f"{place}{getattr(error, 'strerror', None) or error}"
    lines = "\n".join(map(printable, text.splitlines()))
    click.echo(f"error: {lines}", err=True)
