"""What the machine offers: programs that a test needs, and whether it may do without."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["in_ci", "tool", "unavailable"]


def in_ci() -> bool:
    """Whether this is an automated run, where nothing that a test needs may be missing."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def unavailable(reason: str) -> None:
    """Skip the test for want of something; in an automated run, fail it."""
    if in_ci():
        pytest.fail(f"{reason}, and an automated run must not do without", pytrace=False)
    pytest.skip(reason)


def tool(name: str) -> str:
    """The path of an external program, such as ``tshark``; without it the test is skipped."""
    path = shutil.which(name)
    if path is None:
        unavailable(f"{name} is not installed")
        raise AssertionError  # unavailable() never returns
    return path
