"""Wrapping sequence numbers and the extension of short numbers to 64 bits."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle.errors import UsageError
from mptcp_oracle.seq import Seq32, extend, signed_distance

SPACE = 2**32
numbers = st.integers(0, SPACE - 1)
near = st.integers(-(2**31) + 1, 2**31 - 1)


@given(numbers, st.integers(-(2**70), 2**70))
def test_addition_and_subtraction_of_octets_wrap(value: int, octets: int) -> None:
    """Adding and subtracting octets is arithmetic modulo 2**32."""
    assert (Seq32(value) + octets).value == (value + octets) % SPACE
    assert (Seq32(value) - octets).value == (value - octets) % SPACE


@given(numbers, near)
def test_distance_undoes_addition(value: int, octets: int) -> None:
    """The distance to a number less than half the space away is what was added."""
    assert (Seq32(value) + octets) - Seq32(value) == octets


@given(numbers, near)
def test_order_follows_distance(value: int, octets: int) -> None:
    """Comparisons agree with the signed distance, across the wrap too."""
    here, there = Seq32(value), Seq32(value) + octets
    for compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq):
        assert compare(there, here) is compare(octets, 0)


@given(numbers)
def test_opposite_numbers_have_no_order(value: int) -> None:
    """Two numbers exactly half the space apart are neither before nor after each other."""
    here, there = Seq32(value), Seq32(value) + 2**31
    assert not any((here < there, here > there, here <= there, here >= there, here == there))
    assert here - there == there - here == -(2**31)


@pytest.mark.parametrize("value", [-1, SPACE, True, 1.5, "1", None])
def test_nonsense_is_refused(value: object) -> None:
    """Only an integer that fits 32 bits becomes a sequence number."""
    with pytest.raises(UsageError, match="sequence number"):
        Seq32(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "meaningless",
    [
        lambda seq: seq + seq,
        lambda seq: seq + 1.0,
        lambda seq: seq + True,
        lambda seq: seq - True,
        lambda seq: 1 - seq,
        lambda seq: seq < 5,
        lambda seq: seq <= 5,
        lambda seq: seq > 5,
        lambda seq: seq >= 5,
    ],
)
def test_meaningless_arithmetic_is_refused(meaningless: Callable[[Seq32], object]) -> None:
    """Sums of sequence numbers and comparisons with plain integers raise TypeError."""
    with pytest.raises(TypeError):
        meaningless(Seq32(7))


def test_conversions() -> None:
    """A sequence number wraps any integer, prints as its value, and hashes by it."""
    assert Seq32.wrap(-1) == Seq32(SPACE - 1)
    assert int(Seq32.wrap(SPACE + 3)) == 3
    assert str(Seq32(12)) == "12"
    assert len({Seq32(1), Seq32.wrap(SPACE + 1)}) == 1


def _nearest(value: int, bits: int, reference: int) -> int:
    """The answer by looking at every number near the reference."""
    width = 2**bits
    candidates = [n for n in range(reference - width, reference + width) if n % width == value]
    return min(candidates, key=lambda n: (abs(n - reference), n)) % 2**64


@given(st.data(), st.integers(1, 7))
def test_extend_finds_the_nearest_congruent_number(data: st.DataObject, bits: int) -> None:
    """For small widths, extend agrees with a search through all candidates."""
    value = data.draw(st.integers(0, 2**bits - 1))
    ends = st.integers(0, 300) | st.integers(2**64 - 300, 2**64 - 1)
    reference = data.draw(ends | st.integers(0, 2**64 - 1))
    assert extend(value, bits, reference) == _nearest(value, bits, reference)


@given(st.integers(0, 2**64 - 1), near)
def test_extend_undoes_the_cut_to_32_bits(reference: int, octets: int) -> None:
    """A 64-bit DSN near the reference survives being sent as 4 octets."""
    dsn = (reference + octets) % 2**64
    assert extend(dsn % SPACE, 32, reference) == dsn


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        (0x00000001, 0x0406AC52FFFFFAC4, 0x0406AC5300000001),
        (0xFFFFFAC4, 0x0406AC5300000001, 0x0406AC52FFFFFAC4),
        (0xFFFFFFFF, 0x0000000000000005, 0xFFFFFFFFFFFFFFFF),
        (0x00000005, 0xFFFFFFFFFFFFFFFF, 0x0000000000000005),
        (0x80000000, 0x0000000100000000, 0x0000000080000000),
    ],
    ids=["ahead", "behind", "below-zero", "beyond-the-end", "half-way-counts-as-behind"],
)
def test_extend_at_the_edges(value: int, reference: int, expected: int) -> None:
    """The upper half changes only where the lower one wraps, also at the ends of 64 bits."""
    assert extend(value, 32, reference) == expected


def test_extend_leaves_full_width_alone() -> None:
    """A 64-bit number is its own extension, wherever the reference is."""
    assert extend(2**63, 64, 0) == 2**63
    assert extend(5, 64, 2**63) == 5


@pytest.mark.parametrize(
    ("value", "bits", "reference"),
    [(-1, 32, 0), (SPACE, 32, 0), (0, 0, 0), (0, 65, 0), (0, 32, -1), (0, 32, 2**64), (0, True, 0)],
)
def test_extend_refuses_nonsense(value: int, bits: int, reference: int) -> None:
    """Numbers outside their width raise UsageError."""
    with pytest.raises(UsageError):
        extend(value, bits, reference)


@given(numbers, numbers)
def test_signed_distance_is_congruent_and_bounded(to: int, origin: int) -> None:
    """The signed distance leads from one number to the other and stays within half the space."""
    distance = signed_distance(to, origin, 32)
    assert -(2**31) <= distance < 2**31
    assert (origin + distance - to) % SPACE == 0
