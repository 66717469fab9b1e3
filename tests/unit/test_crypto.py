"""Hashes, HMACs and the DSS checksum, apart from what the outside vectors cover."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mptcp_oracle import crypto
from mptcp_oracle.errors import UsageError

keys = st.integers(0, 2**64 - 1)
words32 = st.integers(0, 2**32 - 1)
payloads = st.binary(max_size=64)


def _naive_checksum(dsn: int, ssn: int, dll: int, payload: bytes) -> int:
    """The checksum as the RFC words it: word by word, carry by carry."""
    covered = payload + bytes(len(payload) % 2)
    covered += dsn.to_bytes(8) + ssn.to_bytes(4) + dll.to_bytes(2) + bytes(2)
    total = 0
    for place in range(0, len(covered), 2):
        total += covered[place] << 8 | covered[place + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@given(keys, words32, st.integers(0, 2**16 - 1), payloads)
def test_checksum_equals_the_word_by_word_sum(dsn: int, ssn: int, dll: int, payload: bytes) -> None:
    """The checksum is the ones' complement sum, for odd and even payloads alike."""
    assert crypto.dss_checksum(dsn, ssn, dll, payload) == _naive_checksum(dsn, ssn, dll, payload)


@given(keys, words32, st.lists(payloads, max_size=6))
def test_checksum_does_not_depend_on_the_pieces(dsn: int, ssn: int, pieces: list[bytes]) -> None:
    """Cutting a payload at any places, odd ones too, leaves the checksum as it is."""
    whole = b"".join(pieces)
    dll = len(whole)
    expected = crypto.dss_checksum(dsn, ssn, dll, whole)
    assert crypto.dss_checksum(dsn, ssn, dll, *pieces) == expected
    assert crypto.dss_checksum(dsn, ssn, dll, *(memoryview(piece) for piece in pieces)) == expected


@given(payloads, payloads)
def test_sums_of_pieces_add_up(first: bytes, second: bytes) -> None:
    """Sums of pieces, each told whether it starts at an odd offset, add up to the whole's."""
    parts = crypto.ones_sum(first) + crypto.ones_sum(second, odd=len(first) % 2 == 1)
    folded = (parts & 0xFFFF) + (parts >> 16)
    assert folded == crypto.ones_sum(first + second)


@pytest.mark.parametrize(
    ("octets", "total"),
    [(b"", 0), (b"\0\0\0", 0), (b"\xff\xff", 0xFFFF), (b"\xff\xff" * 9, 0xFFFF), (b"\1", 0x100)],
)
def test_sum_is_zero_only_for_zeros(octets: bytes, total: int) -> None:
    """A folded sum keeps 0xFFFF apart from 0, as adding with end-around carry does."""
    assert crypto.ones_sum(octets) == total


@given(keys, words32, st.integers(1, 2**16 - 1), payloads, st.integers(0, 2**16 - 1))
def test_checksum_verification(dsn: int, ssn: int, dll: int, payload: bytes, other: int) -> None:
    """The right checksum holds, and another holds only if it is the other form of zero."""
    right = crypto.dss_checksum(dsn, ssn, dll, payload)
    assert crypto.dss_checksum_holds(dsn, ssn, dll, right, payload)
    same = right == other or {right, other} == {0, 0xFFFF}
    assert crypto.dss_checksum_holds(dsn, ssn, dll, other, payload) is same


def test_both_forms_of_zero_hold() -> None:
    """A sum of 0xFFFF gives checksum 0, and 0xFFFF on the wire says the same."""
    payload = (0xFFFF - 3).to_bytes(2)
    assert crypto.dss_checksum(1, 1, 1, payload) == 0
    for checksum in (0, 0xFFFF):
        assert crypto.dss_checksum_holds(1, 1, 1, checksum, payload)


@given(keys)
def test_token_and_idsn_are_the_ends_of_one_hash(key: int) -> None:
    """Token and IDSN are the first 32 and the last 64 bits of the hash of the key."""
    for version, hashed in (
        (0, hashlib.sha1(key.to_bytes(8))),
        (1, hashlib.sha256(key.to_bytes(8))),
    ):
        digest = hashed.digest()
        assert crypto.key_digest(key, version) == digest
        assert crypto.token(key, version).to_bytes(4) == digest[:4]
        assert crypto.idsn(key, version).to_bytes(8) == digest[-8:]


@given(keys, keys, words32, words32, st.sampled_from([(0, "sha1"), (1, "sha256")]))
def test_join_hmacs_are_ends_of_one_hmac(
    mine: int, yours: int, my_nonce: int, your_nonce: int, form: tuple[int, str]
) -> None:
    """Both join HMACs are left parts of the HMAC over both nonces, the sender's first."""
    version, name = form
    secret = mine.to_bytes(8) + yours.to_bytes(8)
    digest = hmac.new(secret, my_nonce.to_bytes(4) + your_nonce.to_bytes(4), name).digest()
    inputs = {
        "version": version,
        "sender_key": mine,
        "receiver_key": yours,
        "sender_nonce": my_nonce,
        "receiver_nonce": your_nonce,
    }
    assert crypto.join_digest(**inputs) == digest
    assert crypto.join_synack_hmac(**inputs) == digest[:8]
    assert crypto.join_ack_hmac(**inputs) == digest[:20]


@pytest.mark.parametrize("address", ["192.0.2.10", "2001:db8::10"])
def test_missing_port_counts_as_zero(address: str) -> None:
    """An ADD_ADDR without port is authenticated as if its port were 0, unlike any other port."""

    def sign(port: int | None) -> bytes:
        return crypto.add_addr_hmac(
            sender_key=1, receiver_key=2, address_id=3, address=ip_address(address), port=port
        )

    assert sign(None) == sign(0)
    assert sign(None) != sign(1)
    assert len(sign(None)) == 8


@pytest.mark.parametrize("version", [-1, 2, 15])
def test_unknown_versions_are_refused(version: int) -> None:
    """There is no hash for versions other than 0 and 1."""
    with pytest.raises(UsageError, match="version"):
        crypto.token(1, version)


@pytest.mark.parametrize("key", [-1, 2**64])
def test_keys_that_do_not_fit_are_refused(key: int) -> None:
    """A key is an unsigned 64-bit number."""
    with pytest.raises(UsageError, match="key"):
        crypto.idsn(key, 1)


@pytest.mark.parametrize("numbers", [(2**64, 1, 1), (1, 2**32, 1), (1, 1, 2**16), (-1, 1, 1)])
def test_mapping_fields_that_do_not_fit_are_refused(numbers: tuple[int, int, int]) -> None:
    """DSN, SSN and Data-Level Length have 64, 32 and 16 bits."""
    with pytest.raises(UsageError, match="does not fit"):
        crypto.dss_checksum(*numbers, b"")
