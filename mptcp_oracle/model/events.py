"""Events: what can happen to a modelled connection, one value for each.

``host`` is the role of the host that acts (0 the initiator, 1 the listener), ``subflow`` a number
in the world. Widths of numbers are octets: 4 or 8, and 0 for none. A ``data_ack`` of 0 asks for a
segment without DATA_ACK; where the peer needs one to know that options pass (RFC 8684 section
3.7), the host puts it in nevertheless, and one of 4 octets becomes one of 8 where section 3.3.2
requires it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "EVENTS",
    "NETWORK",
    "Acknowledge",
    "Alter",
    "Announce",
    "Close",
    "Connect",
    "Copy",
    "Deliver",
    "Echo",
    "Event",
    "FastClose",
    "Finish",
    "Join",
    "KeepAlive",
    "Lose",
    "Prioritise",
    "Probe",
    "Read",
    "Remap",
    "Repeat",
    "Reset",
    "Retransmit",
    "Send",
    "Stall",
    "Withdraw",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """The initiator opens the connection (C01, S01).

    Attributes:
        data: Octets of payload on the SYN (TCP Fast Open).
    """

    data: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """A segment in flight reaches its receiver, which reacts at once where it has to.

    Attributes:
        number: The segment.
        data: Octets of new data on the third packet, if this is a SYN/ACK (version 1).
        backup: Flag B of a SYN/ACK that answers a join.
        plain: Whether a join is answered by a SYN/ACK without MP_JOIN.
        data_ack: DATA_ACK on a plain ACK that the receiver has to send at once.
    """

    number: int
    data: int = 0
    backup: bool = False
    plain: bool = False
    data_ack: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lose:
    """A segment in flight is lost."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """The network delivers a segment and keeps another copy of it in flight."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A host opens another subflow (S01).

    Attributes:
        local: Index of its own address in the settings. remote: Index of the peer's address.
        port: The peer's port; ``None`` for the one that RFC 8684 section 3.9.1 names.
        source_port: Its own port; ``None`` for a fresh one.
        backup: Flag B.
    """

    host: int
    local: int
    remote: int
    port: int | None = None
    source_port: int | None = None
    backup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A host sends new data, or data that a mapping announced before.

    Attributes:
        octets: Payload. ahead: Octets that a new mapping announces beyond the payload.
        repeat: Whether a segment under an earlier mapping repeats it, where it need not; of the
            infinite mapping of a fallback, whether it begins with the last data that is known to
            have arrived, and not with this segment.
        dsn: Width of the DSN. data_ack: Width of the DATA_ACK.
        fin: Whether a DATA_FIN ends the mapping. push: Flag PSH.
        last: Whether the segment is the subflow's FIN too.
    """

    host: int
    subflow: int
    octets: int
    ahead: int = 0
    repeat: bool = True
    dsn: int = 8
    data_ack: int = 8
    fin: bool = False
    push: bool = True
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """A host sends an ACK without payload.

    Attributes:
        data_ack: Width of the DATA_ACK.
        announce: Octets of a mapping for data that will follow (version 0 only).
    """

    host: int
    subflow: int
    data_ack: int = 8
    announce: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retransmit:
    """TCP sends again what was not acknowledged: a SYN, SYN/ACK, third ACK, data or FIN.

    Attributes:
        sequence: Relative sequence number where it starts; it is one that was sent before.
        plain: Whether the initiator's SYN goes without MP_CAPABLE from now on.
        octets: Payload; ``None`` for as much as the segment had that was sent there.
        dsn, data_ack: Widths.
        fin: Whether the mapping now includes the DATA_FIN that was sent since.
    """

    host: int
    subflow: int
    sequence: int = 0
    octets: int | None = None
    dsn: int = 8
    data_ack: int = 8
    fin: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remap:
    """A host sends old data on the same subflow at new sequence numbers.

    Attributes:
        at: Relative DSN of the first octet; ``octets``, ``dsn`` and ``data_ack`` as in
            :class:`Send`.
        trigger: Why: see :class:`~mptcp_oracle.model.trace.Range`.
    """

    host: int
    subflow: int
    at: int
    octets: int
    dsn: int = 8
    data_ack: int = 8
    trigger: str = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A host sends on this subflow data that another subflow has carried.

    Attributes:
        at, octets, dsn, data_ack: As in :class:`Remap`.
        trigger: What a reinjection answers; empty for a redundant copy.
    """

    host: int
    subflow: int
    at: int
    octets: int
    dsn: int = 8
    data_ack: int = 8
    trigger: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """A host sends its DATA_FIN without payload, for the first time or again (C12, C19, C22).

    Attributes:
        dsn, data_ack: Widths.
        fin: Whether the segment is the subflow's FIN too.
    """

    host: int
    subflow: int
    dsn: int = 8
    data_ack: int = 8
    fin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """A host ends its half of a subflow by FIN (S15).

    Attributes:
        data_ack: Width of the DATA_ACK.
    """

    host: int
    subflow: int
    data_ack: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """A host resets a subflow.

    Attributes:
        reason: MP_TCPRST reason, if the RST has that option (version 1).
        transient: Its flag T.
    """

    host: int
    subflow: int
    reason: int | None = None
    transient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FastClose:
    """A host aborts the connection by MP_FASTCLOSE (C25, C26, C29).

    Attributes:
        subflow: The one that carries it with option A.
        reset: Whether it goes on a RST on all subflows (option R; version 1), or on an ACK on
            one and plain RSTs on the others (option A).
        reason: MP_TCPRST reason beside option R, as Linux has it; ``None`` for none.
    """

    host: int
    subflow: int
    reset: bool = False
    reason: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """A host announces one of its addresses by ADD_ADDR, for the first time or again (A01, A02).

    Attributes:
        address: Index of the address in the settings. port: A port to join, or ``None``.
        data_ack: Width of a DATA_ACK beside it, if there is room for it.
    """

    host: int
    subflow: int
    address: int
    port: int | None = None
    data_ack: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """A host echoes the first ADD_ADDR that it has not echoed yet (A04; version 1)."""

    host: int
    subflow: int
    data_ack: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """A host has lost an address and says so by REMOVE_ADDR on another path (A05).

    Its halves of subflows with this address are dead from then on, without a segment.

    Attributes:
        addresses: Indexes of its addresses in the settings.
    """

    host: int
    subflow: int
    addresses: tuple[int, ...]
    data_ack: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritise:
    """A host changes the priority of a subflow by MP_PRIO (S16).

    Attributes:
        backup: Flag B.
        address: Index of its address whose subflows are meant, if the option is to name an
            Address ID (version 0); else it is this subflow.
    """

    host: int
    subflow: int
    backup: bool
    address: int | None = None
    data_ack: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The application of a host stops reading: its window closes as data arrives (D24)."""

    host: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The application reads again; an ACK tells the peer of the new window (D25).

    Attributes:
        stays: Whether it stops reading once more after this.
    """

    host: int
    subflow: int
    stays: bool = False
    data_ack: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A host probes a closed window the way Linux does (D26).

    One octet at a new sequence number, mapped at the last DSN that was DATA_ACKed, its value that
    of the next octet that was not sent.
    """

    host: int
    subflow: int
    dsn: int = 8
    data_ack: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """A host with nothing outstanding probes whether a subflow still works (S27)."""

    host: int
    subflow: int
    data_ack: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alter:
    """A middlebox changes a segment in flight (N03, N04).

    Attributes:
        octet: Index of the octet of payload that changes; ``None`` to strip all MPTCP options.
        flip: What is XORed onto it, 1 to 255.
    """

    number: int
    octet: int | None = None
    flip: int = 1


Event: TypeAlias = (
    Connect
    | Deliver
    | Lose
    | Repeat
    | Join
    | Send
    | Acknowledge
    | Retransmit
    | Remap
    | Copy
    | Finish
    | Close
    | Reset
    | FastClose
    | Announce
    | Echo
    | Withdraw
    | Prioritise
    | Stall
    | Read
    | Probe
    | KeepAlive
    | Alter
)

EVENTS: tuple[type[Event], ...] = (
    Connect, Deliver, Lose, Repeat, Join, Send, Acknowledge, Retransmit, Remap, Copy, Finish,
    Close, Reset, FastClose, Announce, Echo, Withdraw, Prioritise, Stall, Read, Probe, KeepAlive,
    Alter,
)  # fmt: skip
"""All classes of events, in the order in which they are offered."""

NETWORK: tuple[type[Event], ...] = (Deliver, Lose, Repeat, Alter)
"""Those that are the network's doing."""
