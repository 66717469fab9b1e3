"""Repeats a recorded capture as so many further connections.

Each repetition is the recorded connection once more, by another client with other keys: the
client's IPv4 addresses, the keys, the tokens, the joins' HMACs, all data sequence numbers and
DATA_ACKs and the times are changed together, so that every repetition is as valid as the
recording, for any reader, and none has anything to do with another. IPv4 header checksums are
corrected. TCP checksums are not: without the payload nobody can check them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.numbers import CLIENT, Numbers, find_numbers
from benchmarks.pcap import BILLION, FILE_HEADER
from mptcp_oracle.crypto import idsn, join_ack_hmac, join_synack_hmac, token

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST", "repeat"]

VERSION = 1
# The second octet of the client's address: 1 in the recording, 2 is the server's.
FIRST_NEW = 3
MOST = 254
"""How often a capture can be repeated, the recording itself included."""
PAUSE = BILLION


def repeat(source: Path, target: Path, times: int) -> int:
    """Write a capture ``times`` times over, each time as another connection.

    Args:
        source: A pcap file that :func:`benchmarks.recording.record_bulk` made.
        target: The file to write.
        times: How often, the recording itself included.

    Returns:
        Frames written.

    Raises:
        ValueError: ``source`` is no such file, or ``times`` is not in ``[1, MOST]``.
    """
    import numpy as np

    if not 1 <= times <= MOST:
        raise ValueError(f"a capture can be repeated 1 to {MOST} times, not {times}")
    data = source.read_bytes()
    numbers = find_numbers(data, source)
    octets = np.frombuffer(data, dtype=np.uint8)
    records, addresses = np.array(numbers.records), np.array(numbers.addresses)
    checksums = np.array(numbers.networks) + 10
    fields = {key: np.array(found, dtype=np.int64) for key, found in numbers.dsns.items()}
    begin = _get(octets, records, "<u4") * BILLION + _get(octets, records + 4, "<u4")
    period = begin.max() - begin.min() + PAUSE
    with open(target, "wb") as file:
        file.write(data)
        for turn in range(1, times):
            copy = octets.copy()
            seconds, rest = np.divmod(begin + turn * period, BILLION)
            _put(copy, records, "<u4", seconds)
            _put(copy, records + 4, "<u4", rest)
            second = FIRST_NEW + turn - 1
            copy[addresses + 1] = second
            found = _get(octets, checksums, ">u2")
            _put(copy, checksums, ">u2", _shifted(found, CLIENT[1], second))
            keys = _other_keys(numbers, turn)
            for role in (0, 1):
                delta = idsn(keys[role], VERSION) - idsn(numbers.values[role] or 0, VERSION)
                for width in (4, 8):
                    at = fields[role, width]
                    kind = f">u{width}"
                    added = np.uint64(delta % (1 << 8 * width))
                    _put(copy, at, kind, _get(octets, at, kind).astype(np.uint64) + added)
            for place, value in _control(numbers, keys):
                copy[place : place + len(value)] = np.frombuffer(value, dtype=np.uint8)
            file.write(copy[FILE_HEADER.size :].data)
    return times * len(records)


def _get(octets: NDArray[Any], at: NDArray[Any], kind: str) -> NDArray[Any]:
    """Numbers at some offsets; 8-octet ones stay unsigned."""
    import numpy as np

    width = np.dtype(kind).itemsize
    values: NDArray[Any] = octets[at[:, None] + np.arange(width)].view(kind)[:, 0]
    return values.astype(np.int64 if width < 8 else np.uint64)


def _put(octets: NDArray[Any], at: NDArray[Any], kind: str, values: NDArray[Any]) -> None:
    import numpy as np

    width = np.dtype(kind).itemsize
    octets[at[:, None] + np.arange(width)] = (
        values.astype(kind).view(np.uint8).reshape(len(at), width)
    )


def _shifted(checksums: NDArray[Any], old: int, new: int) -> NDArray[Any]:
    """Internet checksums after the change of one low octet (RFC 1624, equation 3)."""
    total = (~checksums & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _other_keys(numbers: Numbers, turn: int) -> tuple[int, int]:
    """The keys of a repetition: always the same ones for the same recording."""

    def other(role: int) -> int:
        label = f"repetition {turn} of {numbers.values[role]}"
        return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big")

    return other(0), other(1)


def _control(numbers: Numbers, keys: tuple[int, int]) -> list[tuple[int, bytes]]:
    """Offset and new octets of every key, token and HMAC."""
    found = [(at, keys[role].to_bytes(8, "big")) for role in (0, 1) for at in numbers.keys[role]]
    for join in numbers.joins.values():
        answer = join_synack_hmac(
            version=VERSION,
            sender_key=keys[1],
            receiver_key=keys[0],
            sender_nonce=join.nonces[1],
            receiver_nonce=join.nonces[0],
        )
        proof = join_ack_hmac(
            version=VERSION,
            sender_key=keys[0],
            receiver_key=keys[1],
            sender_nonce=join.nonces[0],
            receiver_nonce=join.nonces[1],
        )
        found += [(at, token(keys[1], VERSION).to_bytes(4, "big")) for at in join.tokens]
        found += [(at, answer) for at in join.answers]
        found += [(at, proof) for at in join.proofs]
    return found
