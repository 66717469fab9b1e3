"""The engine's small functions against Python's own numbers, on values at every border.

They exist as functions in the plain form only; the compiled form inlines the same text.
"""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import pytest

from mptcp_oracle import engine
from mptcp_oracle.analysis.dataplane import signed64
from tests.common.numbers import signed

EDGES = sorted({
    sign * (1 << bits) + step
    for bits in (0, 1, 7, 8, 15, 16, 31, 32, 33, 47, 61) for sign in (-1, 1) for step in (-1, 0, 1)
})  # fmt: skip
WIDE = [*EDGES, -(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1]
OCTETS = bytes.fromhex("0001017f80fffeff7fffffff8000000000000000ffffffffffffffff0102030405060708")


@pytest.fixture
def plain() -> SimpleNamespace:
    """The loops as they are written."""
    return engine.loops("plain")


def having(plain: SimpleNamespace, name: str) -> list[object]:
    """The function of a name, of each loop that has one."""
    found = [getattr(loop, name) for loop in vars(plain).values() if hasattr(loop, name)]
    assert found
    return found


@pytest.mark.parametrize(("name", "size"), [("be16", 2), ("be32", 4)])
def test_octets_in_network_order(plain: SimpleNamespace, name: str, size: int) -> None:
    """Two and four octets, at any place, are the number that they spell."""
    for read in having(plain, name):
        for at in range(len(OCTETS) - size + 1):
            assert read(OCTETS, at) == int.from_bytes(OCTETS[at : at + size], "big")


def test_eight_octets_are_a_signed_number(plain: SimpleNamespace) -> None:
    """All 64 bits count, the first one is the sign."""
    for at in range(len(OCTETS) - 7):
        expected = int.from_bytes(OCTETS[at : at + 8], "big", signed=True)
        assert plain.segments.signed64(OCTETS, at) == expected


@pytest.mark.parametrize("big", [True, False])
def test_octets_in_the_order_of_a_file(plain: SimpleNamespace, big: bool) -> None:
    """Words of a capture file are in the order that the file has."""
    order = "big" if big else "little"
    for at in range(len(OCTETS) - 3):
        two, four = OCTETS[at : at + 2], OCTETS[at : at + 4]
        assert plain.records.word16(OCTETS, at, big) == int.from_bytes(two, order)
        assert plain.records.word32(OCTETS, at, big) == int.from_bytes(four, order)


def test_sequence_numbers_wrap_at_32_bits(plain: SimpleNamespace) -> None:
    """A difference of sequence numbers is the nearest one."""
    for fold in having(plain, "signed32"):
        for value in EDGES:
            assert fold(value) == signed(value, 32)


def test_data_sequence_numbers_wrap_at_64_bits(plain: SimpleNamespace) -> None:
    """The difference of two 64-bit numbers has 64 bits."""
    for one, two in product(WIDE, WIDE):
        assert plain.mappings.minus64(one, two) == signed(one - two, 64)


def test_relative_numbers_wrap_at_64_bits() -> None:
    """The nearest number that is congruent modulo 2**64, whatever it is taken from."""
    for one, two in product(WIDE, (-(2**63), -1, 0, 1, 2**63, 2**64)):
        assert signed64(one + two) == signed(one + two, 64)


def test_a_data_fin_is_no_payload(plain: SimpleNamespace) -> None:
    """A mapping's payload is its length without the octet of a DATA_FIN (RFC 8684 3.3.3)."""
    for payload in having(plain, "mapped"):
        for flags, length in product(range(256), (0, 1, 2, 1400, 65535)):
            assert payload(flags, length) == (length - 1 if flags & 16 and length else length)


def test_the_size_of_a_dss_follows_from_its_flags(plain: SimpleNamespace) -> None:
    """Figure 9 of RFC 8684 section 3.3: DATA_ACK of 4 or 8, DSN of 4 or 8, SSN 4 and length 2."""
    for flags in range(256):
        ack = (0, 4, 0, 8)[flags & 3]
        mapping = {0: 0, 4: 4 + 4 + 2, 8: 0, 12: 8 + 4 + 2}[flags & 12]
        assert plain.options.dss_size(flags) == 4 + ack + mapping
