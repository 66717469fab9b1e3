"""What an MPTCP option says: one frozen value per option.

The values carry every bit of their option, reserved ones included, so that octets which
decode can be put together again exactly. They have no codec: :mod:`mptcp_oracle.encode`
writes them and :mod:`mptcp_oracle.wire.mptcp` reads them, and the two share nothing but this
module and :mod:`mptcp_oracle.constants`.

Conventions: keys and DSNs are 64-bit integers, tokens, nonces and subflow sequence numbers
32-bit, HMACs octets, all in network byte order on the wire. ``raw`` holds the whole option from
its Kind octet on if the value came from a capture, else nothing; it does not take part in
comparisons, except where the octets are all there is (:class:`Unknown`,
:class:`Experimental`, :class:`Malformed`). Nothing is checked when a value is made: a faulty
host may have sent it. ``encode`` refuses what no octets can say.

Layouts: RFC 8684 section 3 (version 1) and RFC 6824 section 3 (version 0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from mptcp_oracle.constants import (
    CAPABLE_ADDRESS_CLOSED,
    CAPABLE_CHECKSUM,
    CAPABLE_EXTENSION,
    CAPABLE_HMAC,
    DSS_ACK,
    DSS_ACK8,
    DSS_DATA_FIN,
    DSS_DSN8,
    DSS_MAP,
    RESET_TRANSIENT,
)
from mptcp_oracle.errors import UsageError

__all__ = [
    "AddAddr",
    "Address",
    "Dss",
    "Experimental",
    "Flaw",
    "Malformed",
    "MpCapable",
    "MpFail",
    "MpFastclose",
    "MpJoin",
    "MpJoinAck",
    "MpJoinSyn",
    "MpJoinSynAck",
    "MpPrio",
    "MpTcprst",
    "Option",
    "RemoveAddr",
    "Unknown",
    "notation",
]

Address: TypeAlias = IPv4Address | IPv6Address


class Flaw(StrEnum):
    """Why an option is :class:`Malformed`: the first of these that holds, in this order."""

    NOT_MPTCP = "not-mptcp"
    """There is no octet, or the Kind octet is not 30."""
    CUT_OFF = "cut-off"
    """The octets end before the Length does, or before the subtype."""
    LENGTH_OCTET = "length-octet"
    """The Length is below 3, or below the number of octets."""
    LAYOUT = "layout"
    """The subtype, with these flags and in this version, has no layout of this Length."""
    WRONG_VERSION = "wrong-version"
    """The layout is one of the version that was not negotiated."""
    MISPLACED = "misplaced"
    """The layout belongs on another kind of segment (SYN, SYN/ACK, ACK without data, data)."""


def _raw() -> bytes:
    return field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MpCapable:
    """MP_CAPABLE (RFC 8684 section 3.1, RFC 6824 section 3.1).

    Attributes:
        version: The 4-bit version.
        flags: Octet 3, flags A to H as ``CAPABLE_*`` masks.
        sender_key: Key of the host that sends the option; absent on a version 1 SYN.
        receiver_key: Key of the other host; on the third ACK and the first data.
        data_length: Data-Level Length in octets; version 1 first data only.
        checksum: DSS checksum over that data; only together with ``data_length``.
    """

    version: int
    flags: int = CAPABLE_HMAC
    sender_key: int | None = None
    receiver_key: int | None = None
    data_length: int | None = None
    checksum: int | None = None
    raw: bytes = _raw()

    @property
    def checksum_required(self) -> bool:
        """Flag A."""
        return bool(self.flags & CAPABLE_CHECKSUM)

    @property
    def extension(self) -> bool:
        """Flag B."""
        return bool(self.flags & CAPABLE_EXTENSION)

    @property
    def address_closed(self) -> bool:
        """Flag C, which is a crypto bit in version 0 and therefore false there."""
        return self.version > 0 and bool(self.flags & CAPABLE_ADDRESS_CLOSED)

    @property
    def crypto(self) -> int:
        """The crypto algorithm bits as they stand in octet 3: C to H in version 0, else D to H."""
        return self.flags & (0x3F if self.version == 0 else 0x1F)


@dataclass(frozen=True, slots=True, kw_only=True)
class MpJoinSyn:
    """MP_JOIN on a SYN (RFC 8684 section 3.2): ``token`` names the receiver's connection.

    ``reserved`` holds the 3 bits before flag B, as a number 0 to 7.
    """

    backup: bool = False
    address_id: int
    token: int
    nonce: int
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class MpJoinSynAck:
    """MP_JOIN on a SYN/ACK: the left 64 bits of the sender's HMAC, and its nonce.

    ``reserved`` holds the 3 bits before flag B, as a number 0 to 7.
    """

    backup: bool = False
    address_id: int
    hmac: bytes
    nonce: int
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class MpJoinAck:
    """MP_JOIN on the third ACK: 160 bits of the sender's HMAC.

    ``reserved`` holds the 12 bits after the subtype.
    """

    hmac: bytes
    reserved: int = 0
    raw: bytes = _raw()


MpJoin: TypeAlias = MpJoinSyn | MpJoinSynAck | MpJoinAck


@dataclass(frozen=True, slots=True, kw_only=True)
class Dss:
    """Data Sequence Signal (RFC 8684 section 3.3); :meth:`of` sets the flags to fit the fields.

    Attributes:
        flags: The low 5 bits of octet 3 as ``DSS_*`` masks.
        data_ack: DATA_ACK as on the wire (its width is :attr:`data_ack_size`), if flag A.
        dsn: Data sequence number as on the wire (:attr:`dsn_size`), if flag M.
        ssn: Relative subflow sequence number, if flag M.
        dll: Data-Level Length in octets, DATA_FIN included, if flag M; 0 = infinite mapping.
        checksum: Only if flag M, and the Length has room for it.
        reserved: The 7 bits between subtype and flags, as a number.
    """

    flags: int
    data_ack: int | None = None
    dsn: int | None = None
    ssn: int | None = None
    dll: int | None = None
    checksum: int | None = None
    reserved: int = 0
    raw: bytes = _raw()

    @classmethod
    def of(
        cls,
        *,
        data_ack: int | None = None,
        data_ack_size: int = 8,
        dsn: int | None = None,
        dsn_size: int = 8,
        ssn: int = 0,
        dll: int = 0,
        checksum: int | None = None,
        data_fin: bool = False,
    ) -> Dss:
        """A DSS with a DATA_ACK if one is given and a mapping if a DSN is given.

        Sizes are in octets; without ``dsn`` the rest of the mapping is left out.

        Raises:
            UsageError: A size is neither 4 nor 8.
        """
        if data_ack_size not in (4, 8) or dsn_size not in (4, 8):
            raise UsageError("a DATA_ACK or DSN has 4 or 8 octets")
        flags = DSS_DATA_FIN if data_fin else 0
        if data_ack is not None:
            flags |= DSS_ACK | (DSS_ACK8 if data_ack_size == 8 else 0)
        if dsn is None:
            return cls(flags=flags, data_ack=data_ack)
        flags |= DSS_MAP | (DSS_DSN8 if dsn_size == 8 else 0)
        return cls(flags=flags, data_ack=data_ack, dsn=dsn, ssn=ssn, dll=dll, checksum=checksum)

    @property
    def data_ack_size(self) -> int:
        """Octets of the DATA_ACK: 0, 4 or 8."""
        return (8 if self.flags & DSS_ACK8 else 4) if self.flags & DSS_ACK else 0

    @property
    def dsn_size(self) -> int:
        """Octets of the DSN: 0, 4 or 8."""
        return (8 if self.flags & DSS_DSN8 else 4) if self.flags & DSS_MAP else 0

    @property
    def data_fin(self) -> bool:
        """Flag F."""
        return bool(self.flags & DSS_DATA_FIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddr:
    """ADD_ADDR in the layout of ``version`` (RFC 8684 section 3.4.1, RFC 6824 section 3.4.1).

    Version 0 has neither echo nor HMAC; its IPVer nibble follows from the address. In version 1
    an advertisement carries the right 64 bits of an HMAC and an echo does not. ``reserved``
    holds the 3 bits before flag E, as a number 0 to 7.
    """

    version: int = 1
    echo: bool = False
    address_id: int
    address: Address
    port: int | None = None
    hmac: bytes | None = None
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAddr:
    """REMOVE_ADDR (RFC 8684 section 3.4.2): one or more Address IDs; 4 reserved bits."""

    address_ids: tuple[int, ...]
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class MpPrio:
    """MP_PRIO (RFC 8684 section 3.3.8); only version 0 can name an Address ID.

    ``reserved`` holds the 3 bits before flag B, as a number 0 to 7.
    """

    backup: bool
    address_id: int | None = None
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class MpFail:
    """MP_FAIL (RFC 8684 section 3.7) with the 64-bit DSN of the failure; 12 reserved bits."""

    dsn: int
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class MpFastclose:
    """MP_FASTCLOSE (RFC 8684 section 3.5) with the key of its receiver; 12 reserved bits."""

    key: int
    reserved: int = 0
    raw: bytes = _raw()


@dataclass(frozen=True, slots=True, kw_only=True)
class MpTcprst:
    """MP_TCPRST (RFC 8684 section 3.6): ``flags`` is the nibble U V W T, ``reason`` an octet."""

    flags: int = 0
    reason: int
    raw: bytes = _raw()

    @property
    def transient(self) -> bool:
        """Flag T."""
        return bool(self.flags & RESET_TRANSIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experimental:
    """Subtype 0xF, set aside for private experiments; the octets are all that is known."""

    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A subtype that no RFC defines, or an MP_CAPABLE of a later version with its own layout."""

    subtype: int
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """Octets that are no valid MPTCP option where they stand; a receiver has to ignore them.

    Attributes:
        reason: The flaw.
        subtype: The subtype (0 to 15), if there is an octet for it.
        reading: What Length and flags alone make of the octets, if anything: for looking at a
            key or an address in spite of the flaw. Never itself malformed.
        raw: The octets, from the Kind on; more than the option's own if its end is unknown.
    """

    reason: Flaw
    subtype: int | None = None
    reading: Option | None = None
    raw: bytes = b""


Option: TypeAlias = (
    MpCapable
    | MpJoinSyn
    | MpJoinSynAck
    | MpJoinAck
    | Dss
    | AddAddr
    | RemoveAddr
    | MpPrio
    | MpFail
    | MpFastclose
    | MpTcprst
    | Experimental
    | Unknown
    | Malformed
)


def notation(option: Option) -> str:
    """One line for people, in the style of packetdrill: ``dss dack8=… dsn8=… ssn=… dll=…``.

    Keys are 16 hex digits, tokens and nonces 8, checksums ``0x`` and 4, sequence numbers
    decimal. Reserved bits appear only if one of them is set.
    """
    match option:
        case MpCapable():
            words = [f"mp_capable v{option.version} flags [{_letters(option.flags, 'ABCDEFGH')}]"]
            words += _present("sender_key", option.sender_key, "016x")
            words += _present("receiver_key", option.receiver_key, "016x")
            words += _present("dll", option.data_length, "d")
            words += _present("csum", option.checksum, "#06x")
            return " ".join(words)
        case MpJoinSyn():
            words = ["mp_join syn", *_flag("backup", option.backup)]
            words += [f"address_id={option.address_id}", f"token={option.token:08x}"]
            words += [f"nonce={option.nonce:08x}"]
        case MpJoinSynAck():
            words = ["mp_join synack", *_flag("backup", option.backup)]
            words += [f"address_id={option.address_id}", f"hmac={option.hmac.hex()}"]
            words += [f"nonce={option.nonce:08x}"]
        case MpJoinAck():
            words = ["mp_join ack", f"hmac={option.hmac.hex()}"]
        case Dss():
            words = ["dss", *_present(f"dack{option.data_ack_size}", option.data_ack, "d")]
            words += _present(f"dsn{option.dsn_size}", option.dsn, "d")
            words += _present("ssn", option.ssn, "d") + _present("dll", option.dll, "d")
            words += _present("csum", option.checksum, "#06x") + _flag("fin", option.data_fin)
        case AddAddr():
            words = [f"add_addr v{option.version}", *_flag("echo", option.echo)]
            words += [f"address_id={option.address_id}", f"addr={option.address}"]
            words += _present("port", option.port, "d")
            words += [f"hmac={option.hmac.hex()}"] if option.hmac is not None else []
        case RemoveAddr():
            words = ["remove_addr address_id=" + ",".join(map(str, option.address_ids))]
        case MpPrio():
            words = ["mp_prio", *_flag("backup", option.backup)]
            words += _present("address_id", option.address_id, "d")
        case MpFail():
            words = [f"mp_fail dsn8={option.dsn}"]
        case MpFastclose():
            words = [f"mp_fastclose key={option.key:016x}"]
        case MpTcprst():
            words = ["mp_tcprst", *_flag(_letters(option.flags, "UVWT"), option.flags > 0)]
            return " ".join([*words, f"reason={option.reason}"])
        case Experimental():
            return f"mp_experimental {option.raw.hex()}"
        case Unknown():
            return f"subtype {option.subtype:#x} {option.raw.hex()}"
        case Malformed():  # pragma: no branch
            return f"malformed ({option.reason}) {option.raw.hex()}"
    return " ".join(words + (_present("reserved", option.reserved or None, "#x")))


def _letters(flags: int, letters: str) -> str:
    """The letters of the flags that are set, the highest bit first, with blanks between them."""
    top = 1 << len(letters) - 1
    return " ".join(letter for place, letter in enumerate(letters) if flags & top >> place)


def _present(name: str, value: int | None, form: str) -> list[str]:
    return [] if value is None else [f"{name}={value:{form}}"]


def _flag(name: str, is_set: bool) -> list[str]:
    return [name] if is_set else []
