"""Option values to octets: the only encoder of MPTCP options.

What can be written is written, lawful or not, since faults have to be planted: a version 1 SYN
with a key, an echo with an HMAC, reserved bits. Refused is only what no octets can say: a number
too large for its field, a field without the flag or the field that it needs. For anything beyond
that, :class:`~mptcp_oracle.options.Malformed` with ``raw`` is written as it is.

Layouts: RFC 8684 section 3, RFC 6824 section 3. All numbers in network byte order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from mptcp_oracle.constants import (
    ADD_ADDR_ECHO,
    ADD_ADDR_HMAC_SIZE,
    BACKUP,
    DSS_ACK,
    DSS_MAP,
    JOIN_ACK_HMAC_SIZE,
    JOIN_SYNACK_HMAC_SIZE,
    KIND_MPTCP,
    KIND_NOP,
    OPTION_SPACE,
    Subtype,
)
from mptcp_oracle.errors import UsageError
from mptcp_oracle.options import (
    AddAddr,
    Dss,
    Experimental,
    Malformed,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
    Unknown,
)

__all__ = ["encode", "pad"]


def encode(option: Option) -> bytes:
    """The octets of an option, from Kind to its last one, without padding.

    ``Malformed`` gives its octets unchanged, ``Unknown`` and ``Experimental`` theirs after a
    check of Kind, Length and subtype; the ``raw`` of any other value is not looked at.

    Raises:
        UsageError: A value does not fit its field, or the fields fit no layout together.
    """
    match option:
        case MpCapable():
            return _mp_capable(option)
        case MpJoinSyn():
            body = _uint(option.address_id, 1, "Address ID") + _uint(option.token, 4, "token")
            body += _uint(option.nonce, 4, "nonce")
            return _option(Subtype.MP_JOIN, _with_flag(option.reserved, option.backup), body)
        case MpJoinSynAck():
            body = _uint(option.address_id, 1, "Address ID")
            body += _exactly(option.hmac, JOIN_SYNACK_HMAC_SIZE) + _uint(option.nonce, 4, "nonce")
            return _option(Subtype.MP_JOIN, _with_flag(option.reserved, option.backup), body)
        case MpJoinAck():
            hmac = _exactly(option.hmac, JOIN_ACK_HMAC_SIZE)
            return _reserved_12(Subtype.MP_JOIN, option.reserved, hmac)
        case Dss():
            return _dss(option)
        case AddAddr():
            return _add_addr(option)
        case RemoveAddr():
            if not option.address_ids:
                raise UsageError("a REMOVE_ADDR names at least one Address ID")
            body = b"".join(_uint(each, 1, "Address ID") for each in option.address_ids)
            return _option(Subtype.REMOVE_ADDR, _bits(option.reserved, 4, "reserved bits"), body)
        case MpPrio():
            body = b"" if option.address_id is None else _uint(option.address_id, 1, "Address ID")
            return _option(Subtype.MP_PRIO, _with_flag(option.reserved, option.backup), body)
        case MpFail():
            return _reserved_12(Subtype.MP_FAIL, option.reserved, _uint(option.dsn, 8, "DSN"))
        case MpFastclose():
            return _reserved_12(Subtype.MP_FASTCLOSE, option.reserved, _uint(option.key, 8, "key"))
        case MpTcprst():
            body = _uint(option.reason, 1, "reason")
            return _option(Subtype.MP_TCPRST, _bits(option.flags, 4, "flags"), body)
        case Experimental():
            return _checked(option.raw, Subtype.MP_EXPERIMENTAL)
        case Unknown():
            return _checked(option.raw, option.subtype)
        case Malformed():
            return option.raw
    assert_never(option)  # pragma: no cover


def pad(options: Iterable[bytes]) -> bytes:
    """Encoded TCP options one after the other, filled with NOPs to a multiple of 4 octets.

    Raises:
        UsageError: They need more than the 40 octets that a TCP header has.
    """
    octets = b"".join(options)
    octets += bytes([KIND_NOP]) * (-len(octets) % 4)
    if len(octets) > OPTION_SPACE:
        raise UsageError(
            f"{len(octets)} octets of options do not fit in a TCP header",
            hint=f"it has {OPTION_SPACE} octets for options; use two segments",
        )
    return octets


def _mp_capable(option: MpCapable) -> bytes:
    body = _uint(option.flags, 1, "flags")
    needed = True
    for value, size, what in (
        (option.sender_key, 8, "sender's key"),
        (option.receiver_key, 8, "receiver's key"),
        (option.data_length, 2, "Data-Level Length"),
        (option.checksum, 2, "checksum"),
    ):
        if value is None:
            needed = False
        elif needed:
            body += _uint(value, size, what)
        else:
            raise UsageError(f"an MP_CAPABLE with a {what} lacks a field that stands before it")
    return _option(Subtype.MP_CAPABLE, _bits(option.version, 4, "version"), body)


def _dss(option: Dss) -> bytes:
    mapping = (option.dsn, option.ssn, option.dll)
    if (option.data_ack is not None) != bool(option.flags & DSS_ACK):
        raise UsageError("flag A of a DSS and its DATA_ACK go together")
    if [each is not None for each in mapping] != [bool(option.flags & DSS_MAP)] * 3:
        raise UsageError("flag M of a DSS goes together with DSN, SSN and Data-Level Length")
    reserved = _bits(option.reserved, 7, "reserved bits")
    body = bytes([(reserved & 0x07) << 5 | _bits(option.flags, 5, "flags")])
    if option.data_ack is not None:
        body += _uint(option.data_ack, option.data_ack_size, "DATA_ACK")
    if option.dsn is not None and option.ssn is not None and option.dll is not None:
        body += _uint(option.dsn, option.dsn_size, "DSN") + _uint(option.ssn, 4, "SSN")
        body += _uint(option.dll, 2, "Data-Level Length")
    if option.checksum is not None:
        if option.dsn is None:
            raise UsageError("a DSS has a checksum only together with a mapping")
        body += _uint(option.checksum, 2, "checksum")
    return _option(Subtype.DSS, reserved >> 3, body)


def _add_addr(option: AddAddr) -> bytes:
    body = _uint(option.address_id, 1, "Address ID") + option.address.packed
    if option.port is not None:
        body += _uint(option.port, 2, "port")
    if option.version == 0:
        if option.echo or option.hmac is not None or option.reserved:
            raise UsageError("a version 0 ADD_ADDR has no echo flag, HMAC or reserved bits")
        return _option(Subtype.ADD_ADDR, option.address.version, body)
    if option.version != 1:
        raise UsageError(f"ADD_ADDR has no layout in version {option.version}")
    if option.hmac is not None:
        body += _exactly(option.hmac, ADD_ADDR_HMAC_SIZE)
    reserved = _bits(option.reserved, 3, "reserved bits")
    return _option(Subtype.ADD_ADDR, reserved << 1 | (ADD_ADDR_ECHO if option.echo else 0), body)


def _option(subtype: int, nibble: int, body: bytes) -> bytes:
    """Kind, Length, subtype and the 4 bits that share its octet, then the rest."""
    return bytes([KIND_MPTCP, _bits(3 + len(body), 8, "Length"), subtype << 4 | nibble]) + body


def _reserved_12(subtype: int, reserved: int, body: bytes) -> bytes:
    """An option whose subtype is followed by 12 reserved bits."""
    bits = _bits(reserved, 12, "reserved bits")
    return _option(subtype, bits >> 8, bytes([bits & 0xFF]) + body)


def _with_flag(reserved: int, backup: bool) -> int:
    """The nibble of 3 reserved bits and flag B."""
    return _bits(reserved, 3, "reserved bits") << 1 | (BACKUP if backup else 0)


def _checked(raw: bytes, subtype: int) -> bytes:
    if len(raw) < 3 or raw[0] != KIND_MPTCP or raw[1] != len(raw) or raw[2] >> 4 != subtype:
        raise UsageError(f"octets {raw.hex() or '(none)'} are no option of subtype {subtype:#x}")
    return raw


def _exactly(octets: bytes, size: int) -> bytes:
    if len(octets) != size:
        raise UsageError(f"an HMAC of {len(octets)} octets in a field of {size}")
    return octets


def _bits(value: int, bits: int, what: str) -> int:
    if value < 0 or value >> bits:
        raise UsageError(f"{what} {value} does not fit in {bits} bits")
    return value


def _uint(value: int, size: int, what: str) -> bytes:
    return _bits(value, 8 * size, what).to_bytes(size, "big")
