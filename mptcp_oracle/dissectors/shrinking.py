"""Shrinking: the fewest items that still show something, by delta debugging.

Chunks are left out, larger ones first, until no single item can be; the order stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["BUDGET", "shrunk"]

BUDGET = 400
"""Attempts that one shrinking may take."""


def shrunk(
    items: Sequence[int], shows: Callable[[tuple[int, ...]], bool], budget: int = BUDGET
) -> tuple[int, ...]:
    """A part of some items that still shows something and is as small as the budget allows.

    Args:
        items: All of them; they show it.
        shows: Whether a part of them, in their order, still does.
        budget: How often that may be asked.

    Returns:
        The part; if the budget was enough, no item of it can be left out.
    """
    left = budget
    kept = tuple(items)
    size = max(1, len(kept) // 2)
    while kept and left:
        removed = False
        at = 0
        while at < len(kept) and left:
            part = kept[:at] + kept[at + size :]
            left -= 1
            if part and shows(part):
                kept, removed = part, True
            else:
                at += size
        if size > 1:
            size = max(1, min(size, len(kept)) // 2)
        elif not removed:
            break
    return kept
