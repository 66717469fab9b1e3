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


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((2**64, 1, 1), "DSN 18446744073709551616 does not fit in 64 bits"),
        ((1, 2**32, 1), "SSN 4294967296 does not fit in 32 bits"),
        ((1, -1, 1), "SSN -1 does not fit in 32 bits"),
        ((1, 1, 2**16), "DLL 65536 does not fit in 16 bits"),
    ],
)
def test_what_does_not_fit_is_named(numbers: tuple[int, int, int], text: str) -> None:
    """The error says which number it is, and how many bits there are for it."""
    with pytest.raises(UsageError) as raised:
        crypto.dss_checksum(*numbers)
    assert str(raised.value) == text


@pytest.mark.parametrize("checksum", [-1, 2**16, 2**16 + 5, 2**24])
def test_checksums_that_do_not_fit_are_refused(checksum: int) -> None:
    """A checksum on the wire has 16 bits."""
    with pytest.raises(UsageError, match="does not fit in 16 bits"):
        crypto.dss_checksum_holds(1, 1, 1, checksum, b"")


@pytest.mark.parametrize(
    ("address_id", "port", "what"),
    [(-1, 1, "Address ID"), (256, 1, "Address ID"), (1, -1, "port"), (1, 65536, "port")],
)
def test_addresses_that_do_not_fit_are_refused(address_id: int, port: int, what: str) -> None:
    """An Address ID has 8 bits and a port 16; their limits are lawful."""
    where = ip_address("192.0.2.10")
    for lawful in ((0, 1), (255, 65535)):
        crypto.add_addr_hmac(
            sender_key=1, receiver_key=2, address_id=lawful[0], address=where, port=lawful[1]
        )
    with pytest.raises(
        UsageError, match=f"{what} .* does not fit in {8 if what[0] == 'A' else 16}"
    ):
        crypto.add_addr_hmac(
            sender_key=1, receiver_key=2, address_id=address_id, address=where, port=port
        )


def test_zeros_alone_do_not_hold() -> None:
    """A sum is right if it is all ones (RFC 1071 section 1), which zeros never add up to."""
    assert not crypto.dss_checksum_holds(0, 0, 0, 0)
    assert not crypto.dss_checksum_holds(0, 0, 0, 0, bytes(5))
    assert not crypto.dss_checksum_holds(0, 0, 0, 1)
    assert crypto.dss_checksum_holds(0, 0, 0, 0xFFFF, bytes(5))
    assert crypto.dss_checksum_holds(0, 0, 1, 0xFFFE)


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("size", [65_534, 65_535])
def test_the_longest_payload_is_summed(size: int, odd: bool) -> None:
    """A mapping of 65,535 octets is summed as any other, at either offset."""
    octets = bytes(at * at % 251 for at in range(size))
    whole = bytes(odd) + octets
    total = sum(whole[0::2]) * 256 + sum(whole[1::2])
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    assert crypto.ones_sum(octets, odd=odd) == total
