"""Traces: what was sent, what became of it, and the truth about both.

The truth of a segment is in labels beside its header fields: numbers that are relative and never
wrap (a SYN has sequence number 0, the first data octet of a host the DSN 1), the mapping that
its option announces, and for each part of its payload the DSN and the sender's intention. Header
fields and options say what is on the wire; a planted fault makes the two differ.

Roles are 0 for the initiator of the connection and 1 for its listener, in every subflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from mptcp_oracle.options import Option

__all__ = [
    "ACK",
    "CAUSES",
    "FIN",
    "PSH",
    "RST",
    "SYN",
    "Address",
    "ConnectionTruth",
    "Delivery",
    "Endpoint",
    "HostTruth",
    "Mapping",
    "Planted",
    "Range",
    "Sent",
    "SubflowTruth",
    "Trace",
]

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

Address: TypeAlias = IPv4Address | IPv6Address

CAUSES = (
    "new",
    "retransmission",
    "remap",
    "reinjection",
    "redundant",
    "probe",
    "unmapped",
)
"""Why octets were sent: for the first time; again by TCP; again on the same subflow at a new
sequence number; on another subflow in answer to an event, or proactively; to probe a closed
window; under no mapping (TCP Fast Open, after a fallback)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address and a port."""

    address: Address
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A data sequence mapping, as its sender meant it (RFC 8684 section 3.3.1).

    Attributes:
        sequence: Relative subflow sequence number of its first octet, SYN data included; a
            mapping of a DATA_FIN alone has 0.
        dsn: Relative DSN of its first octet.
        octets: Payload octets that it maps, without the DATA_FIN's.
        fin: Whether a DATA_FIN occupies the DSN after them.
        infinite: Whether it has no end (RFC 8684 section 3.7); ``octets`` is then 0.
        by_capable: Whether an MP_CAPABLE with data announces it.
        checksum: Whether its checksum is right; ``None`` without one.
    """

    sequence: int
    dsn: int
    octets: int
    fin: bool = False
    infinite: bool = False
    by_capable: bool = False
    checksum: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Part of a segment's payload with one mapping and one intention.

    Attributes:
        sequence: Relative subflow sequence number of its first octet.
        octets: How many.
        dsn: Relative DSN of the first octet; ``None`` under no mapping.
        cause: One of :data:`CAUSES`.
        trigger: What a reinjection or remap answers (``loss``, ``timeout``, ``subflow_end``,
            ``address_removed``, ``opportunistic`` ...); empty for other causes.
    """

    sequence: int
    octets: int
    dsn: int | None
    cause: str = "new"
    trigger: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One TCP segment, as it leaves its host (or, in a :class:`Delivery`, as it arrives).

    Attributes:
        number: Its place in the trace, from 0.
        time: When it was sent, in nanoseconds of the virtual clock.
        subflow: Number of its subflow in the trace. host: Role of its sender.
        sequence: Relative sequence number. ack: Relative acknowledgment number, ``None``
            without flag ACK.
        flags: TCP flags. window: The field on the wire, unscaled. urgent: The Urgent Pointer.
        options: Its MPTCP options in order, as they are on the wire.
        payload: Its octets.
        mapping: The mapping that its DSS or MP_CAPABLE announces or repeats.
        data_ack: Relative DATA_ACK; ``None`` without one.
        ranges: The truth of its payload, in order and without gaps.
        copied: Whether it is a retransmission by TCP of an earlier segment as a whole.
    """

    number: int
    time: int
    subflow: int
    host: int
    sequence: int
    ack: int | None
    flags: int
    window: int
    options: tuple[Option, ...] = ()
    payload: bytes = b""
    mapping: Mapping | None = None
    data_ack: int | None = None
    ranges: tuple[Range, ...] = ()
    copied: bool = False
    urgent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The arrival of a segment at the other host; a lost one has none, a doubled one has two.

    Attributes:
        time: When, in nanoseconds of the virtual clock.
        segment: What arrived. Its number is that of what was sent; a middlebox may have changed
            the rest, labels with it.
    """

    time: int
    segment: Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTruth:
    """One host of a connection.

    Attributes:
        key: Its key. checksum: Whether it asked for DSS checksums (flag A). c_flag: Whether it
            refuses joins to its initial address (flag C), ``None`` in version 0.
        base: What its relative DSNs count from, 64 bits: the IDSN of its key, unless a fault
            was planted.
    """

    key: int
    checksum: bool
    c_flag: bool | None
    base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTruth:
    """One connection.

    Attributes:
        number: Its place in the trace, from 0.
        version: The negotiated version; what was offered where nothing was negotiated.
        hosts: Initiator and listener.
        fallback: How it became plain TCP (one of :data:`mptcp_oracle.facts.FALLBACKS`), or
            ``None``. fallback_shown: Sets of numbers of segments; each set alone shows it.
        closed: ``data_fin``, ``fastclose``, ``subflows`` (all ended without either) or
            ``None`` for a connection that goes on.
    """

    number: int
    version: int
    hosts: tuple[HostTruth, HostTruth]
    fallback: str | None = None
    fallback_shown: tuple[frozenset[int], ...] = ()
    closed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubflowTruth:
    """One subflow. Pairs are (initiator's, listener's) by their roles in the connection.

    Attributes:
        number: Its place in the trace, from 0. connection: Number of its connection.
        initial: Whether it is the initial subflow. opener: Role of the host that sent the SYN.
        ends: Endpoints. isns: Initial sequence numbers on the wire.
        address_ids: Address IDs as each host states them. nonces: Of a join.
        syn_data: Octets of each SYN that were accepted, outside the data sequence space.
        outcome: ``established``, ``refused``, ``invalid`` (a wrong HMAC or token), or
            ``unanswered``.
    """

    number: int
    connection: int
    initial: bool
    opener: int
    ends: tuple[Endpoint, Endpoint]
    isns: tuple[int, int]
    address_ids: tuple[int, int] = (0, 0)
    nonces: tuple[int, int] = (0, 0)
    syn_data: tuple[int, int] = (0, 0)
    outcome: str = "established"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault in a trace.

    Attributes:
        name: Its name in the table of faults.
        requirements: Ids of the requirements that it must trip.
        host: Role of the host that is to blame.
        segments: Numbers of the segments that are the evidence.
    """

    name: str
    requirements: tuple[str, ...]
    host: int
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Connections, what they sent, and what arrived.

    Attributes:
        connections, subflows: By number.
        segments: In order of sending; ``segments[i].number == i``.
        deliveries: In order of arrival.
        transitions: Ids of the transitions that were taken, in order (``C04``, ``S06`` ...).
        planted: The faults in it.
    """

    connections: tuple[ConnectionTruth, ...]
    subflows: tuple[SubflowTruth, ...]
    segments: tuple[Sent, ...]
    deliveries: tuple[Delivery, ...]
    transitions: tuple[str, ...] = ()
    planted: tuple[Planted, ...] = ()
