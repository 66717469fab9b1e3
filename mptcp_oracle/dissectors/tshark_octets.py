"""The octets of one option, read from the front."""

from __future__ import annotations

__all__ = ["Octets", "OutOfBoundsError"]


class OutOfBoundsError(Exception):
    """The option is shorter than its reader expects."""


class Octets:
    """An option's octets.

    Attributes:
        size: How many there are.
    """

    def __init__(self, raw: bytes) -> None:
        self.size = len(raw)
        self._raw = raw
        self._at = 0

    def number(self, width: int) -> int:
        """The next octets as a number.

        Raises:
            OutOfBoundsError: There are not as many.
        """
        begin = self._at
        end = self._at = begin + width
        if end > self.size:
            self._at = begin
            raise OutOfBoundsError
        return int.from_bytes(self._raw[begin:end], "big")

    @property
    def left(self) -> int:
        """How many are not read."""
        return self.size - self._at

    def skip(self, width: int) -> None:
        """Pass over some octets.

        Raises:
            OutOfBoundsError: There are not as many.
        """
        if self._at + width > self.size:
            raise OutOfBoundsError
        self._at += width
