"""Settings of a modelled connection: what is fixed before its first event.

Everything that a host would take from chance (keys, nonces, initial sequence numbers, payload) is
here or a pure function of the seed, so that one world and one event have one outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import shake_128
from ipaddress import IPv4Address

from mptcp_oracle.model.trace import Address

__all__ = ["Deviations", "Settings", "content", "drawn", "one_family", "syn_octets", "unmapped"]

BLOCK = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """What one host does wrong; nothing by default. ``*_flip`` are XORed onto the right value.

    Attributes:
        base: 64-bit number that its DSNs count from instead of its IDSN.
        token_flip: Onto the token of its MP_JOIN SYNs (32 bits).
        synack_hmac_flip, ack_hmac_flip: Onto the first 8 octets of its MP_JOIN HMACs.
        add_addr_hmac_flip: Onto the HMAC of its ADD_ADDRs (64 bits).
        echoed_key_flip: Onto the receiver's key in its MP_CAPABLE (64 bits).
        fastclose_key_flip: Onto the key of its MP_FASTCLOSE (64 bits).
        checksum_flip: Onto its DSS checksums (16 bits).
    """

    base: int | None = None
    token_flip: int = 0
    synack_hmac_flip: int = 0
    ack_hmac_flip: int = 0
    add_addr_hmac_flip: int = 0
    echoed_key_flip: int = 0
    fastclose_key_flip: int = 0
    checksum_flip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One connection before its first event. Pairs are (initiator's, listener's).

    Attributes:
        version: What the initiator offers. answers: Highest version that the listener speaks;
            ``None`` if it speaks no MPTCP. lowest: Lowest version that the initiator accepts;
            above all versions, its third packet has no MP_CAPABLE.
        keys: 64-bit keys. checksum: Who asks for DSS checksums (flag A). c_flag: Who refuses
            joins to its initial address (flag C; version 1 only).
        addresses: Addresses of each host; the first is that of the initial subflow.
        address_ids: Their Address IDs; by default their index.
        ports: Ports of the initial subflow. extra_ports: Further ports that the host listens on
            for joins; an ADD_ADDR may name them.
        isns: Initial sequence numbers of the first subflows; those of others follow from the seed.
        nonces: Likewise of their joins. seed: What everything else follows from.
        buffers: Octets of receive buffer, at most 65535.
        unit: Octets of data that an event of :func:`~mptcp_oracle.model.enabling.enabled` sends.
        largest: Most octets of payload in a segment.
        subflows: Most subflows that may ever be opened. accepts: Most subflows that may be open
            at once; a host refuses joins beyond it.
        refuses_late: Whether it does so after the third packet, not after the SYN.
        fast_open: Octets of the SYN's payload that the listener accepts (TCP Fast Open).
        ssn_after_fast_open: Whether the wire's SSNs count accepted SYN data (RFC 8684 section
            3.3.1) or start at 1 after it (appendix B).
        middlebox: Whether ``enabled`` offers what a middlebox does: strip options, change octets.
        deviations: What each host does wrong.
        bounds: ``(name of an event class, how many)``: how often ``enabled`` offers such events;
            without an entry, always.
    """

    version: int = 1
    answers: int | None = 1
    lowest: int = 0
    keys: tuple[int, int] = (0x0102030405060708, 0xDEADBEEFCAFEBABE)
    checksum: tuple[bool, bool] = (False, False)
    c_flag: tuple[bool, bool] = (False, False)
    addresses: tuple[tuple[Address, ...], tuple[Address, ...]] = (
        (IPv4Address("10.0.0.1"), IPv4Address("10.0.1.1"), IPv4Address("10.0.2.1")),
        (IPv4Address("10.0.0.2"), IPv4Address("10.0.1.2"), IPv4Address("10.0.2.2")),
    )
    address_ids: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    ports: tuple[int, int] = (40_000, 80)
    extra_ports: tuple[tuple[int, ...], tuple[int, ...]] = ((41_000,), (8_080,))
    isns: tuple[tuple[int, int], ...] = ()
    nonces: tuple[tuple[int, int], ...] = ()
    seed: int = 0
    buffers: tuple[int, int] = (65_535, 65_535)
    unit: int = 100
    largest: int = 1_400
    subflows: int = 8
    accepts: int = 8
    refuses_late: bool = False
    fast_open: int = 0
    ssn_after_fast_open: bool = True
    middlebox: bool = False
    deviations: tuple[Deviations, Deviations] = (Deviations(), Deviations())
    bounds: tuple[tuple[str, int], ...] = ()

    def address_id(self, host: int, index: int) -> int:
        """The Address ID of one of a host's addresses; that of the first is 0."""
        ids = self.address_ids[host]
        return ids[index] if ids else index

    def isn(self, subflow: int, host: int) -> int:
        """The initial sequence number of a host on a subflow, 32 bits."""
        if subflow < len(self.isns):
            return self.isns[subflow][host]
        return drawn(self.seed, f"isn {subflow} {host}", 32)

    def nonce(self, subflow: int, host: int) -> int:
        """The nonce of a host in a join, 32 bits."""
        if subflow < len(self.nonces):
            return self.nonces[subflow][host]
        return drawn(self.seed, f"nonce {subflow} {host}", 32)


def one_family(settings: Settings) -> Settings:
    """Settings in which every address can join the listener's first one."""
    family = settings.addresses[1][0].version
    first, second = (
        tuple(each for each in addresses if each.version == family)
        for addresses in settings.addresses
    )
    ids = (settings.address_ids[0][: len(first)], settings.address_ids[1][: len(second)])
    return replace(
        settings, addresses=(first, second), address_ids=ids, c_flag=(False, False), subflows=8,
        accepts=8,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def drawn(seed: int, name: str, bits: int) -> int:
    """A number of so many bits (a multiple of 8) that looks random: a function of its arguments."""
    return int.from_bytes(shake_128(f"drawn {seed} {name}".encode()).digest(bits // 8))


@lru_cache(maxsize=256)
def _block(seed: int, stream: str, number: int) -> bytes:
    return shake_128(f"octets {seed} {stream} {number}".encode()).digest(BLOCK)


def _octets(seed: int, stream: str, first: int, count: int) -> bytes:
    number, at = divmod(first, BLOCK)
    octets = _block(seed, stream, number)[at : at + count]
    while len(octets) < count:
        number += 1
        octets += _block(seed, stream, number)[: count - len(octets)]
    return octets


def content(seed: int, host: int, dsn: int, octets: int) -> bytes:
    """The octets that a host's stream has from a relative DSN on."""
    return _octets(seed, "first" if host == 0 else "second", dsn, octets)


def syn_octets(settings: Settings, octets: int) -> bytes:
    """The payload of the initial SYN (TCP Fast Open).

    What the listener accepts lies outside the data sequence space; what it does not is sent again
    as the first octets inside (RFC 8684 appendix B).
    """
    accepted = min(octets, settings.fast_open)
    first = unmapped(settings.seed, 0, 0, 1, accepted)
    return first + content(settings.seed, 0, 1, octets - accepted)


def unmapped(seed: int, subflow: int, host: int, sequence: int, octets: int) -> bytes:
    """The octets of a subflow from a relative sequence number on, where no mapping covers them."""
    return _octets(seed, f"subflow {subflow} {host}", sequence, octets)
