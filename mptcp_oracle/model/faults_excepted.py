"""Requirements that a capture can decide and no fault of the model breaks, each with the reason."""

from __future__ import annotations

__all__ = ["EXCEPTED"]

SAME_FOUR_TUPLE = (
    "a SYN between addresses and ports in use begins a new incarnation of the same connection of "
    "TCP; nothing on the wire tells a duplicate subflow from one that took the place of the first"
)
OTHER_SSN = (
    "a first mapping at neither of the two subflow sequence numbers maps other octets than those "
    "on its segment; this is the fault of a mapping that misses its segment, here or anywhere"
)

EXCEPTED: dict[str, str] = {
    "8684-3.4.1-18": SAME_FOUR_TUPLE,
    "8684-B-02": OTHER_SSN,
}
"""Ids of the requirements, and why: no single deviation breaks them, or none that a trace shows."""
