"""Requirements that a capture can decide and no fault of the model breaks, each with the reason."""

from __future__ import annotations

__all__ = ["EXCEPTED"]

SAME_FOUR_TUPLE = (
    "a SYN between addresses and ports in use begins a new incarnation of the same connection of "
    "TCP; nothing on the wire tells a duplicate subflow from one that took the place of the first"
)
FAST_WRAP = (
    "the numbers would have to wrap within a segment's lifetime: only more than 2^31 octets of new "
    "data in 120 seconds show that, which no generated trace has"
)

EXCEPTED: dict[str, str] = {
    "8684-3.4.1-18": SAME_FOUR_TUPLE,
    "8684-3.3.1-17": FAST_WRAP,
    "6824-3.3.1-21": FAST_WRAP,
}
"""Ids of the requirements, and why: no single deviation breaks them, or none that a trace shows."""
