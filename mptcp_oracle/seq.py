"""Numbers that wrap: 32-bit TCP sequence numbers, and the extension of short DSNs to 64 bits.

A sequence number has no order of its own, only a signed distance to another one, and that only
while the two are less than half the number space apart (RFC 9293 section 3.4). Hence a type:
plain integers compare the wrong way as soon as a subflow passes 2**32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

from mptcp_oracle.errors import UsageError

__all__ = ["Seq32", "extend", "signed_distance"]


def signed_distance(to: int, origin: int, bits: int) -> int:
    """How far ``to`` lies ahead of ``origin`` modulo ``2**bits``, in ``[-half, half)``.

    Exactly half the number space counts as behind.
    """
    half = 1 << bits - 1
    return ((to - origin + half) & (2 * half - 1)) - half


@dataclass(frozen=True, slots=True)
class Seq32:
    """A TCP sequence or acknowledgment number.

    ``seq + 5`` and ``seq - 5`` wrap; ``seq - other`` is the signed distance in octets, in
    ``[-2**31, 2**31)``; ``<`` and its kin ask for the distance, and two numbers exactly 2**31
    apart are neither before nor after each other. Comparison and subtraction with a plain
    integer, and the sum of two sequence numbers, have no meaning and raise ``TypeError``.

    Attributes:
        value: The number on the wire, in ``[0, 2**32)``.

    Raises:
        UsageError: ``value`` is no integer in that range; :meth:`wrap` reduces any integer.
    """

    value: int

    def __post_init__(self) -> None:
        _check(self.value, 32, "sequence number")

    @classmethod
    def wrap(cls, value: int) -> Seq32:
        """The sequence number congruent to any integer modulo 2**32."""
        return cls(value & 0xFFFFFFFF)

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return str(self.value)

    def __add__(self, octets: int) -> Seq32:
        if not _is_integer(octets):
            return NotImplemented
        return Seq32((self.value + octets) & 0xFFFFFFFF)

    @overload
    def __sub__(self, other: int) -> Seq32: ...
    @overload
    def __sub__(self, other: Seq32) -> int: ...
    def __sub__(self, other: int | Seq32) -> Seq32 | int:
        if isinstance(other, Seq32):
            return signed_distance(self.value, other.value, 32)
        if not _is_integer(other):
            return NotImplemented
        return Seq32((self.value - other) & 0xFFFFFFFF)

    def __lt__(self, other: Seq32) -> bool:
        if not isinstance(other, Seq32):
            return NotImplemented
        return other - self > 0

    def __gt__(self, other: Seq32) -> bool:
        if not isinstance(other, Seq32):
            return NotImplemented
        return self - other > 0

    def __le__(self, other: Seq32) -> bool:
        if not isinstance(other, Seq32):
            return NotImplemented
        return other - self >= 0

    def __ge__(self, other: Seq32) -> bool:
        if not isinstance(other, Seq32):
            return NotImplemented
        return self - other >= 0


def extend(value: int, bits: int, reference: int) -> int:
    """The 64-bit number congruent to ``value`` modulo ``2**bits`` that is nearest ``reference``.

    This is how a 4-octet DSN or DATA_ACK is promoted to 64 bits (RFC 8684 section 3.3.1). The
    64-bit space wraps too, so near its ends the answer may lie on the other side. Of two
    equally near numbers it is the one behind ``reference``.

    Args:
        value: The number on the wire, in ``[0, 2**bits)``.
        bits: Its width, 1 to 64; with 64 the value is the answer.
        reference: A 64-bit number known to be near, such as the last DSN seen.

    Raises:
        UsageError: An argument is outside its range.
    """
    if not (_is_integer(bits) and 1 <= bits <= 64):
        raise UsageError(f"a width of {bits!r} bits makes no sense", hint="1 to 64 bits")
    _check(value, bits, "number")
    _check(reference, 64, "reference")
    return (reference + signed_distance(value, reference, bits)) & 0xFFFFFFFFFFFFFFFF


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(value: int, bits: int, what: str) -> None:
    if not _is_integer(value) or value < 0 or value >> bits:
        raise UsageError(f"{what} {value!r} is no unsigned {bits}-bit integer")
