"""Notes: what was odd while a capture was read, counted by reason with its first frame."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One kind of oddity in a capture.

    Attributes:
        code: Stable identifier, such as ``non-first-fragment``.
        text: One sentence for people.
        count: How often it was met.
        frame: The first frame (1-based) that shows it, or ``None`` if it belongs to no frame.
    """

    code: str
    text: str
    count: int
    frame: int | None
