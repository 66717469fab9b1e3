"""The cryptography and the checksum of MPTCP: tokens, IDSNs, HMACs, DSS checksums.

Version 1 (RFC 8684) hashes with SHA-256, version 0 (RFC 6824) with SHA-1. Keys are 64-bit
integers, tokens and nonces 32-bit, all hashed in network byte order. "Sender" is the host whose
option carries the value; so one function serves both ends of a handshake.

Every function raises :class:`~mptcp_oracle.errors.UsageError` for a version other than 0 and 1
and for numbers that do not fit their field.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from mptcp_oracle.constants import (
    ADD_ADDR_HMAC_SIZE,
    JOIN_ACK_HMAC_SIZE,
    JOIN_SYNACK_HMAC_SIZE,
)
from mptcp_oracle.errors import UsageError
from mptcp_oracle.options import Address

__all__ = [
    "add_addr_digest",
    "add_addr_hmac",
    "dss_checksum",
    "dss_checksum_holds",
    "idsn",
    "join_ack_hmac",
    "join_digest",
    "join_synack_hmac",
    "key_digest",
    "ones_sum",
    "token",
]

Octets = bytes | bytearray | memoryview


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


_HASHES: dict[int, tuple[str, Callable[[bytes], bytes]]] = {
    0: ("sha1", _sha1),
    1: ("sha256", _sha256),
}


def _hash_of(version: int) -> tuple[str, Callable[[bytes], bytes]]:
    try:
        return _HASHES[version]
    except KeyError:
        raise UsageError(
            f"MPTCP version {version} has no known hash", hint="versions 0 and 1 are known"
        ) from None


def _octets(value: int, size: int, what: str) -> bytes:
    try:
        return value.to_bytes(size, "big")
    except OverflowError:
        raise UsageError(f"{what} {value} does not fit in {8 * size} bits") from None


def key_digest(key: int, version: int) -> bytes:
    """The whole hash of a key: 20 octets in version 0, 32 in version 1."""
    return _hash_of(version)[1](_octets(key, 8, "key"))


def token(key: int, version: int) -> int:
    """The 32-bit token of the connection whose owner has ``key``: the hash's first 32 bits.

    RFC 8684 section 3.2, RFC 6824 section 3.2.
    """
    return int.from_bytes(key_digest(key, version)[:4], "big")


def idsn(key: int, version: int) -> int:
    """The 64-bit initial data sequence number: the hash's last 64 bits (RFC 8684 section 3.1).

    The IDSN itself is taken by the SYN; the first octet of data has IDSN + 1.
    """
    return int.from_bytes(key_digest(key, version)[-8:], "big")


def join_digest(
    *,
    version: int,
    sender_key: int,
    receiver_key: int,
    sender_nonce: int,
    receiver_nonce: int,
) -> bytes:
    """The untruncated MP_JOIN HMAC that one host sends (RFC 8684 section 3.2, figure 8).

    Keyed with the sender's key and then the receiver's, over the sender's nonce and then the
    receiver's: 20 octets in version 0, 32 in version 1.
    """
    name, _ = _hash_of(version)
    secret = _octets(sender_key, 8, "key") + _octets(receiver_key, 8, "key")
    message = _octets(sender_nonce, 4, "nonce") + _octets(receiver_nonce, 4, "nonce")
    return hmac.digest(secret, message, name)


def join_synack_hmac(
    *,
    version: int,
    sender_key: int,
    receiver_key: int,
    sender_nonce: int,
    receiver_nonce: int,
) -> bytes:
    """The HMAC in the MP_JOIN of a SYN/ACK: the left 64 bits, 8 octets.

    The sender is the host that answers the join.
    """
    return join_digest(
        version=version,
        sender_key=sender_key,
        receiver_key=receiver_key,
        sender_nonce=sender_nonce,
        receiver_nonce=receiver_nonce,
    )[:JOIN_SYNACK_HMAC_SIZE]


def join_ack_hmac(
    *,
    version: int,
    sender_key: int,
    receiver_key: int,
    sender_nonce: int,
    receiver_nonce: int,
) -> bytes:
    """The HMAC in the MP_JOIN of the third ACK: the left 160 bits, 20 octets (all of SHA-1).

    The sender is the host that opened the subflow.
    """
    return join_digest(
        version=version,
        sender_key=sender_key,
        receiver_key=receiver_key,
        sender_nonce=sender_nonce,
        receiver_nonce=receiver_nonce,
    )[:JOIN_ACK_HMAC_SIZE]


def add_addr_digest(
    *,
    sender_key: int,
    receiver_key: int,
    address_id: int,
    address: Address,
    port: int | None = None,
) -> bytes:
    """The untruncated HMAC-SHA256 of a version 1 ADD_ADDR (RFC 8684 section 3.4.1): 32 octets.

    Keyed with the sender's key and then the receiver's, over Address ID, address and port;
    without a port two zero octets stand in its place.
    """
    secret = _octets(sender_key, 8, "key") + _octets(receiver_key, 8, "key")
    message = _octets(address_id, 1, "Address ID") + address.packed + _octets(port or 0, 2, "port")
    return hmac.digest(secret, message, "sha256")


def add_addr_hmac(
    *,
    sender_key: int,
    receiver_key: int,
    address_id: int,
    address: Address,
    port: int | None = None,
) -> bytes:
    """The HMAC in a version 1 ADD_ADDR: the *right* 64 bits, 8 octets (RFC 8684 section 3.4.1)."""
    return add_addr_digest(
        sender_key=sender_key,
        receiver_key=receiver_key,
        address_id=address_id,
        address=address,
        port=port,
    )[-ADD_ADDR_HMAC_SIZE:]


def ones_sum(data: Octets, *, odd: bool = False) -> int:
    """The ones' complement sum of big-endian 16-bit words, folded to 16 bits (RFC 1071).

    ``odd`` says that the piece starts at an odd offset of the whole; pieces summed this way may
    be added and folded in any order. The sum is 0 only if all octets are.
    """
    padding = (len(data) + odd) % 2
    value = int.from_bytes(data, "big") << 8 * padding
    # 2**16 is 1 modulo 0xFFFF, so the remainder is the folded sum; but that never folds to 0.
    return value % 0xFFFF or (0xFFFF if value else 0)


def _covered_sum(dsn: int, ssn: int, dll: int, pieces: tuple[Octets, ...]) -> int:
    header = _octets(dsn, 8, "DSN") + _octets(ssn, 4, "SSN") + _octets(dll, 2, "DLL")
    total = ones_sum(header)
    offset = 0
    for piece in pieces:
        total += ones_sum(piece, odd=offset % 2 == 1)
        offset += len(piece)
    return total % 0xFFFF or (0xFFFF if total else 0)


def dss_checksum(dsn: int, ssn: int, dll: int, *payload: Octets) -> int:
    """The DSS checksum of one mapping (RFC 8684 section 3.3.1), 16 bits.

    It covers a pseudo-header (64-bit DSN whatever width is sent, SSN, the Data-Level Length as
    sent, so with the DATA_FIN, and a zero field) and the mapping's payload, which may be given
    in any number of pieces; an odd payload is padded with one zero octet at its end.

    An infinite mapping (``dll`` 0) has no checksum: its field on the wire is 0, not this value.
    """
    return 0xFFFF - _covered_sum(dsn, ssn, dll, payload)


def dss_checksum_holds(dsn: int, ssn: int, dll: int, checksum: int, *payload: Octets) -> bool:
    """Whether ``checksum`` on the wire fits the mapping; 0x0000 and 0xFFFF are the same number."""
    total = _covered_sum(dsn, ssn, dll, payload) + int.from_bytes(_octets(checksum, 2, "checksum"))
    return total > 0 and total % 0xFFFF == 0
