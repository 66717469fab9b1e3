"""Numbers of a fixed width, in Python's endless ones."""

from __future__ import annotations

__all__ = ["signed"]


def signed(value: int, bits: int) -> int:
    """The number with these low bits that fits in two's complement."""
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value
