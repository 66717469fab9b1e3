"""Octets to option values: the raw walk over TCP options, and the MPTCP decoder.

Both are total: any octets give a result, nothing raises, and no octet is lost (the octets of a
walk join to its input; every value keeps its own). Whether an option is *lawful* at its place in
the connection is not asked here. What is asked, because it decides what the octets mean, is
whether the Length is one that the option has in this version, with these flags, on this kind of
segment; if not, the value is ``Malformed``, as it is for a receiver, with the ``reading`` that
Length and flags alone allow.

Layouts: RFC 8684 section 3, RFC 6824 section 3. All numbers in network byte order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from mptcp_oracle.constants import (
    ADD_ADDR_ECHO,
    ADD_ADDR_HMAC_SIZE,
    BACKUP,
    DSS_ACK,
    DSS_ACK8,
    DSS_DSN8,
    DSS_MAP,
    KIND_END,
    KIND_MPTCP,
    KIND_NOP,
    Subtype,
)
from mptcp_oracle.options import (
    AddAddr,
    Address,
    Dss,
    Experimental,
    Flaw,
    Malformed,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoin,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MpTcprst,
    Option,
    RemoveAddr,
    Unknown,
)

__all__ = ["RawOption", "decode_option", "of_kind", "walk"]


class RawOption(NamedTuple):
    """One TCP option as its octets.

    Attributes:
        offset: Where it starts, in octets from the first option octet of the TCP header.
        kind: The Kind octet.
        raw: Its octets from the Kind on. An End of Option List takes the octets after it along,
            and an option whose Length is no good takes all the rest.
    """

    offset: int
    kind: int
    raw: bytes

    @property
    def malformed(self) -> bool:
        """Whether the Length is missing, below 2, or beyond the octets that there are."""
        if self.kind in (KIND_END, KIND_NOP):
            return False
        return len(self.raw) < 2 or self.raw[1] != len(self.raw)


def walk(options: bytes) -> list[RawOption]:
    """Split the option octets of a TCP header (RFC 9293 section 3.1) into options.

    Kind 0 ends the list and Kind 1 stands alone. An option with a bad Length ends the walk,
    because nobody can tell where the next one starts. Joining the ``raw`` of all options gives
    ``options`` back.
    """
    return [
        RawOption(offset, options[offset], options[offset:after])
        for offset, after in _spans(options)
    ]


def of_kind(options: bytes, kind: int) -> list[bytes]:
    """The options of one kind, as :func:`walk` gives their octets."""
    return [options[offset:after] for offset, after in _spans(options) if options[offset] == kind]


def _spans(options: bytes) -> Iterator[tuple[int, int]]:
    """Where each option begins, and where the next one does."""
    offset, end = 0, len(options)
    while offset < end:
        kind = options[offset]
        if kind == KIND_NOP:
            after = offset + 1
        elif kind == KIND_END or offset + 1 == end:
            after = end
        else:
            after = offset + options[offset + 1]
            if after < offset + 2 or after > end:
                after = end
        yield offset, after
        offset = after


def decode_option(raw: bytes, *, syn: bool, ack: bool, payload: int, version: int | None) -> Option:
    """The meaning of one option of Kind 30.

    Args:
        raw: The option from its Kind octet on, as :func:`walk` gives it.
        syn: Flag SYN of the segment that carries it.
        ack: Flag ACK of that segment.
        payload: Octets of payload in that segment, on the wire.
        version: The MPTCP version of the connection, or ``None`` if it is not known. Then
            ADD_ADDR and MP_PRIO are read as whichever version their octets fit.

    Returns:
        An option value whose ``raw`` is ``raw``. Encoding it gives ``raw`` again.
    """
    size = len(raw)
    if size < 3 or raw[0] != KIND_MPTCP or raw[1] != size:
        return _broken(raw)
    return _DECODERS[raw[2] >> 4](raw, syn, ack, payload, version)


def _broken(raw: bytes) -> Malformed:
    """An option whose first three octets or whose size are not in order."""
    size = len(raw)
    if size == 0 or raw[0] != KIND_MPTCP:
        return Malformed(reason=Flaw.NOT_MPTCP, raw=raw)
    subtype = raw[2] >> 4 if size > 2 else None
    if size < 2 or raw[1] > size:
        return Malformed(reason=Flaw.CUT_OFF, subtype=subtype, raw=raw)
    return Malformed(reason=Flaw.LENGTH_OCTET, subtype=subtype, raw=raw)


_Decoder: TypeAlias = Callable[[bytes, bool, bool, int, int | None], Option]


def _refuse(raw: bytes, reason: Flaw, reading: Option | None = None) -> Malformed:
    return Malformed(reason=reason, subtype=raw[2] >> 4, reading=reading, raw=raw)


def _mp_capable(raw: bytes, syn: bool, ack: bool, payload: int, _: int | None) -> Option:
    """MP_CAPABLE: its own version nibble decides, not the version of the connection."""
    size = len(raw)
    version = raw[2] & 0x0F
    if size not in (4, 12, 20, 22, 24):
        if version > 1:
            return Unknown(subtype=Subtype.MP_CAPABLE, raw=raw)
        return _refuse(raw, Flaw.LAYOUT)
    option = MpCapable(
        version=version,
        flags=raw[3],
        sender_key=int.from_bytes(raw[4:12], "big") if size > 4 else None,
        receiver_key=int.from_bytes(raw[12:20], "big") if size > 12 else None,
        data_length=int.from_bytes(raw[20:22], "big") if size > 20 else None,
        checksum=int.from_bytes(raw[22:24], "big") if size > 22 else None,
        raw=raw,
    )
    if version > 1:
        return option
    if version == 0:
        if size not in (12, 20):
            return _refuse(raw, Flaw.LAYOUT, option)
        fits = size == (12 if syn else 20)
    elif syn:
        fits = size == (12 if ack else 4)
    else:
        fits = size > 20 if payload else size == 20
    return option if fits else _refuse(raw, Flaw.MISPLACED, option)


def _mp_join(raw: bytes, syn: bool, ack: bool, _payload: int, _version: int | None) -> Option:
    size = len(raw)
    nibble = raw[2] & 0x0F
    option: MpJoin
    if size == 12:
        option = MpJoinSyn(
            backup=bool(nibble & BACKUP),
            address_id=raw[3],
            token=int.from_bytes(raw[4:8], "big"),
            nonce=int.from_bytes(raw[8:12], "big"),
            reserved=nibble >> 1,
            raw=raw,
        )
        fits = syn and not ack
    elif size == 16:
        option = MpJoinSynAck(
            backup=bool(nibble & BACKUP),
            address_id=raw[3],
            hmac=raw[4:12],
            nonce=int.from_bytes(raw[12:16], "big"),
            reserved=nibble >> 1,
            raw=raw,
        )
        fits = syn and ack
    elif size == 24:
        option = MpJoinAck(hmac=raw[4:24], reserved=nibble << 8 | raw[3], raw=raw)
        fits = not syn
    else:
        return _refuse(raw, Flaw.LAYOUT)
    return option if fits else _refuse(raw, Flaw.MISPLACED, option)


def _dss_offsets(flags: int) -> tuple[int, int]:
    """Where DATA_ACK and mapping of a DSS end, in octets, given the low 4 flag bits."""
    acked = 4 + ((8 if flags & DSS_ACK8 else 4) if flags & DSS_ACK else 0)
    return acked, acked + ((14 if flags & DSS_DSN8 else 10) if flags & DSS_MAP else 0)


_DSS_OFFSETS = tuple(_dss_offsets(flags) for flags in range(16))


def _dss(raw: bytes, _syn: bool, _ack: bool, _payload: int, _version: int | None) -> Option:
    """DSS: the flags say which fields are there, and room for 2 octets more means a checksum."""
    size = len(raw)
    if size < 4:
        return _refuse(raw, Flaw.LAYOUT)
    flags = raw[3]
    acked, mapped = _DSS_OFFSETS[flags & 0x0F]
    data_ack = int.from_bytes(raw[4:acked], "big") if flags & DSS_ACK else None
    reserved = (raw[2] & 0x0F) << 3 | flags >> 5
    if not flags & DSS_MAP:
        if size != acked:
            return _refuse(raw, Flaw.LAYOUT)
        return Dss(flags=flags & 0x1F, data_ack=data_ack, reserved=reserved, raw=raw)
    if size not in (mapped, mapped + 2):
        return _refuse(raw, Flaw.LAYOUT)
    return Dss(
        flags=flags & 0x1F,
        data_ack=data_ack,
        dsn=int.from_bytes(raw[acked : mapped - 6], "big"),
        ssn=int.from_bytes(raw[mapped - 6 : mapped - 2], "big"),
        dll=int.from_bytes(raw[mapped - 2 : mapped], "big"),
        checksum=int.from_bytes(raw[mapped:], "big") if size > mapped else None,
        reserved=reserved,
        raw=raw,
    )


_ADDRESS_FORMS = {
    8: (4, False, False),
    10: (4, True, False),
    16: (4, False, True),
    18: (4, True, True),
    20: (16, False, False),
    22: (16, True, False),
    28: (16, False, True),
    30: (16, True, True),
}
"""Length of an ADD_ADDR to (octets of the address, has a port, has an HMAC)."""


def _add_addr(raw: bytes, _syn: bool, _ack: bool, _payload: int, version: int | None) -> Option:
    """ADD_ADDR: a nibble of 4 or 6 without HMAC is version 0, all else is version 1."""
    form = _ADDRESS_FORMS.get(len(raw))
    if form is None:
        return _refuse(raw, Flaw.LAYOUT)
    octets, has_port, has_hmac = form
    nibble = raw[2] & 0x0F
    end = 4 + octets
    address: Address = IPv4Address(raw[4:8]) if octets == 4 else IPv6Address(raw[4:20])
    port = int.from_bytes(raw[end : end + 2], "big") if has_port else None
    if not has_hmac and nibble in (4, 6):
        if nibble != address.version:
            return _refuse(raw, Flaw.LAYOUT)
        option = AddAddr(version=0, address_id=raw[3], address=address, port=port, raw=raw)
        return _refuse(raw, Flaw.WRONG_VERSION, option) if version == 1 else option
    echo = bool(nibble & ADD_ADDR_ECHO)
    option = AddAddr(
        version=1,
        echo=echo,
        address_id=raw[3],
        address=address,
        port=port,
        hmac=raw[-ADD_ADDR_HMAC_SIZE:] if has_hmac else None,
        reserved=nibble >> 1,
        raw=raw,
    )
    if echo == has_hmac:
        return _refuse(raw, Flaw.LAYOUT, option)
    return _refuse(raw, Flaw.WRONG_VERSION, option) if version == 0 else option


def _remove_addr(raw: bytes, _syn: bool, _ack: bool, _payload: int, _version: int | None) -> Option:
    if len(raw) < 4:
        return _refuse(raw, Flaw.LAYOUT)
    return RemoveAddr(address_ids=tuple(raw[3:]), reserved=raw[2] & 0x0F, raw=raw)


def _mp_prio(raw: bytes, _syn: bool, _ack: bool, _payload: int, version: int | None) -> Option:
    size = len(raw)
    if size > 4:
        return _refuse(raw, Flaw.LAYOUT)
    nibble = raw[2] & 0x0F
    option = MpPrio(
        backup=bool(nibble & BACKUP),
        address_id=raw[3] if size == 4 else None,
        reserved=nibble >> 1,
        raw=raw,
    )
    if size == 4 and version == 1:
        return _refuse(raw, Flaw.WRONG_VERSION, option)
    return option


def _mp_fail(raw: bytes, _syn: bool, _ack: bool, _payload: int, _version: int | None) -> Option:
    if len(raw) != 12:
        return _refuse(raw, Flaw.LAYOUT)
    reserved = (raw[2] & 0x0F) << 8 | raw[3]
    return MpFail(dsn=int.from_bytes(raw[4:12], "big"), reserved=reserved, raw=raw)


def _mp_fastclose(raw: bytes, _syn: bool, _ack: bool, _payload: int, _v: int | None) -> Option:
    if len(raw) != 12:
        return _refuse(raw, Flaw.LAYOUT)
    reserved = (raw[2] & 0x0F) << 8 | raw[3]
    return MpFastclose(key=int.from_bytes(raw[4:12], "big"), reserved=reserved, raw=raw)


def _mp_tcprst(raw: bytes, _syn: bool, _ack: bool, _payload: int, _version: int | None) -> Option:
    if len(raw) != 4:
        return _refuse(raw, Flaw.LAYOUT)
    return MpTcprst(flags=raw[2] & 0x0F, reason=raw[3], raw=raw)


def _experimental(raw: bytes, _syn: bool, _ack: bool, _payload: int, _v: int | None) -> Option:
    return Experimental(raw=raw)


def _unknown(raw: bytes, _syn: bool, _ack: bool, _payload: int, _version: int | None) -> Option:
    return Unknown(subtype=raw[2] >> 4, raw=raw)


_BY_SUBTYPE: dict[int, _Decoder] = {
    Subtype.MP_CAPABLE: _mp_capable,
    Subtype.MP_JOIN: _mp_join,
    Subtype.DSS: _dss,
    Subtype.ADD_ADDR: _add_addr,
    Subtype.REMOVE_ADDR: _remove_addr,
    Subtype.MP_PRIO: _mp_prio,
    Subtype.MP_FAIL: _mp_fail,
    Subtype.MP_FASTCLOSE: _mp_fastclose,
    Subtype.MP_TCPRST: _mp_tcprst,
    Subtype.MP_EXPERIMENTAL: _experimental,
}
_DECODERS = tuple(_BY_SUBTYPE.get(subtype, _unknown) for subtype in range(16))
