"""What the bodies of ``mptcp-oracle diff --json`` say of differences and of what explains them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["unexplained", "used"]


def unexplained(bodies: Iterable[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The differences that no catalogue explains, each with the name of its capture."""
    return [
        (body["capture"]["name"], difference)
        for body in bodies
        for difference in body["differences"]
        if difference["known"] is None
    ]


def used(bodies: Iterable[dict[str, Any]]) -> set[str | None]:
    """The known differences that occur."""
    return {each["known"] for body in bodies for each in body["differences"]}
