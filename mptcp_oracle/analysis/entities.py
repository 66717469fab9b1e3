"""What an analysis finds: connections, their hosts and subflows, and what happened to them.

Frame numbers are 1-based as in Wireshark. Relative data sequence numbers count from the IDSN: the
first octet of a direction is 1. ``None`` always means *not known*; the ``unknown`` mapping beside
it gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from mptcp_oracle.options import Option
from mptcp_oracle.wire.notes import Note
from mptcp_oracle.wire.segments import Endpoint

__all__ = [
    "ROLES",
    "AddressEvent",
    "Connection",
    "DataFin",
    "Event",
    "Host",
    "JoinCheck",
    "Mismatch",
    "Scheduler",
    "Subflow",
    "SubflowEnd",
]

#: Index of a host in all pairs: who sent the SYN with MP_CAPABLE, and who answered it.
ROLES = ("initiator", "listener")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Two values that the RFC wants equal and the capture shows different.

    Attributes:
        what: ``token``, ``idsn``, ``echoed_key``, ``join_hmac`` or ``add_addr_hmac``.
        host: Role of the host that sent the wrong value, or ``None``.
        frame: Where it was sent.
        expected: What follows from the keys. seen: What is on the wire. Both as hexadecimal text.
        why: One sentence, with the likely cause where one fits.
        section: Section of RFC 8684.
    """

    what: str
    host: str | None
    frame: int
    expected: str
    seen: str
    why: str
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a connection's story.

    Attributes:
        frame: Where. time: When, in nanoseconds since the epoch.
        subflow: Id of the subflow. host: Role of the sender.
        what: Short text in packetdrill's notation.
        options: The MPTCP options behind it.
    """

    frame: int
    time: int
    subflow: int
    host: str | None
    what: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressEvent:
    """An address announced, echoed or withdrawn (RFC 8684 section 3.4).

    Attributes:
        frame, subflow: Where. host: Role of the sender.
        what: ``add``, ``echo`` or ``remove``.
        address_id: Its Address ID. address, port: What was announced, ``None`` for a removal or
            an option without port.
        hmac: Whether the HMAC is right; ``None`` without one or without keys.
    """

    frame: int
    subflow: int
    host: str
    what: str
    address_id: int
    address: str | None = None
    port: int | None = None
    hmac: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCheck:
    """What is known of the three MP_JOIN messages of a subflow (RFC 8684 section 3.2).

    Attributes:
        token: The token of the SYN, or ``None``. token_right: Whether it is the owner's.
        synack_hmac, ack_hmac: Whether the HMAC is right; ``None`` if it was not seen, or the keys
            or nonces to check it were not.
        result: ``valid``, ``invalid``, ``refused`` or ``unknown``.
    """

    token: int | None
    token_right: bool | None
    synack_hmac: bool | None
    ack_hmac: bool | None
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubflowEnd:
    """How a subflow ended.

    Attributes:
        how: ``fin`` (both sides), ``half_fin`` (one side) or ``reset``.
        by: Role of the host that sent the first FIN or RST, or ``None``.
        reason: MP_TCPRST reason code, or ``None``. frame: The first FIN or the RST.
    """

    how: str
    by: str | None
    reason: int | None
    frame: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFin:
    """The DATA_FIN of one direction (RFC 8684 section 3.3.3).

    Attributes:
        frame: Where it was first sent. dsn: Its own relative DSN, one past the last octet.
        acknowledged: Whether a DATA_ACK beyond it is in the capture.
    """

    frame: int
    dsn: int
    acknowledged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """What the capture shows of one host's scheduler; an observation, never a violation.

    Attributes:
        redundant: Whether it sends data on several subflows on purpose; ``None`` if unknown.
        share: Part of the new octets that a second subflow carried as well, 0 to 1.
        why: The evidence in one sentence.
        lags: Octets of copies by lag behind the previous carrier: ``(microseconds, octets)``,
            lower bounds of the classes.
        reordered: New octets sent below the highest DSN so far, part of all.
        on_backup: New octets sent on a backup subflow while a regular one was alive.
    """

    redundant: bool | None
    share: float | None
    why: str
    lags: tuple[tuple[int, int], ...] = ()
    reordered: float | None = None
    on_backup: int = 0


@dataclass(slots=True, kw_only=True)
class Host:
    """One end of a connection.

    Attributes:
        role: ``initiator`` or ``listener``. endpoint: Its end of the initial subflow.
        key: 64-bit key. token, idsn: What follows from it (RFC 8684 section 3.1).
        base: The number that relative DSNs of this host count from: the IDSN, or what the
            mappings show it to be. c_flag: It asked for no joins to its initial address.
        transmissions: Payload octets it sent, by class. octets: Distinct application octets.
        data_fin: Its DATA_FIN. acknowledged: Highest relative DATA_ACK for its data.
        scheduler: See :class:`Scheduler`. unknown: Attribute name to the reason it is ``None``.
    """

    role: str
    endpoint: Endpoint | None = None
    key: int | None = None
    token: int | None = None
    idsn: int | None = None
    base: int = 0
    c_flag: bool | None = None
    transmissions: dict[str, int] = field(default_factory=dict)
    octets: int = 0
    data_fin: DataFin | None = None
    acknowledged: int | None = None
    scheduler: Scheduler | None = None
    unknown: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Subflow:
    """One TCP subflow.

    Attributes:
        id: Ordinal in the capture, from 0, by first frame.
        stream: Number of the TCP stream (as Wireshark's ``tcp.stream``, duplicates aside).
        kind: ``initial`` or ``joined``; ``None`` if its handshake is not in the capture.
        connection: The connection, or ``None`` while it is not known.
        opener: 0 if the initiator sent the SYN, 1 if the listener did; ``None`` if unknown.
        source_role: The role of ``source``, whether or not it sent a SYN.
        established: Whether it may have carried data: a join neither unanswered, nor refused,
            nor invalid.
        halves: The two half-stream numbers: what the initiator sends, what the listener sends.
        source, destination: Sender and receiver of the SYN (or of the first segment seen).
        first_frame, last_frame, frames: Its segments, capture duplicates aside.
        octets: Payload octets each role sent, TCP retransmissions and probes aside.
        address_ids: Address ID of each role's end. backup: The last B flag each role sent.
        version: As of its connection; without one, as its own handshake says.
        syn_data: Accepted octets of each role's SYN, outside the data sequence space.
        round_trip: Of the handshake, in nanoseconds; 0 if it is not complete.
        vantage: The end at which the capture was made, ``source`` or ``destination``, and whether
            packet types say so; else it is inferred from the handshake's timing.
        isn_from: How each role's initial sequence number is known: ``handshake``, ``mappings``,
            or ``None``.
        join: For a joined subflow. end: ``None`` while open. notes: What was odd.
    """

    id: int
    stream: int
    kind: str | None
    source: Endpoint
    destination: Endpoint
    halves: tuple[int, int]
    connection: Connection | None = field(default=None, repr=False)
    opener: int | None = None
    source_role: int = 0
    established: bool = True
    version: int | None = None
    first_frame: int = 0
    last_frame: int = 0
    frames: int = 0
    octets: tuple[int, int] = (0, 0)
    address_ids: list[int | None] = field(default_factory=lambda: [None, None])
    backup: list[bool | None] = field(default_factory=lambda: [None, None])
    isn_from: tuple[str | None, str | None] = (None, None)
    syn_data: tuple[int, int] = (0, 0)
    round_trip: int = 0
    vantage: tuple[str | None, bool] = (None, False)
    join: JoinCheck | None = None
    end: SubflowEnd | None = None
    notes: list[Note] = field(default_factory=list)

    def captured_at(self, role: int) -> bool:
        """Whether the capture was made at the host of a role, as far as can be told."""
        return self.vantage[0] == ("source" if role == self.source_role else "destination")

    def role_name(self, role: int) -> str | None:
        """The name of a role, or ``None`` where nothing tells who is who."""
        known = self.opener is not None or (self.connection is not None and self.connection.id >= 0)
        return ROLES[role] if known else None

    def sides(self) -> Iterator[tuple[int, int]]:
        """``(role index, half)`` of both directions."""
        return iter(enumerate(self.halves))


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One MPTCP connection.

    Attributes:
        id: Ordinal from 0, by first frame. version: 0 or 1, ``None`` if unknown.
        hosts: Initiator and listener. subflows: In order of their first frames.
        checksum: Whether DSS checksums are in use. state: ``open``, ``closed`` (DATA_FINs
            exchanged), ``fast_closed``, ``fallback`` or ``timed_out``. why: One sentence on it.
        state_frame: The frame that shows it, if one does. fallback: Where it fell back: ``syn``,
            ``synack``, ``third_packet``, ``infinite_mapping`` or ``no_mapping``.
        teller: Makes ``events``. addresses: Announcements and removals.
        mismatches: See :class:`Mismatch`. notes: What was odd.
        checksums: Mappings with a right, a wrong and an incompletely captured checksum.
        unknown: Attribute name to the reason it is ``None``.
    """

    id: int
    version: int | None
    hosts: tuple[Host, Host]
    subflows: list[Subflow] = field(default_factory=list)
    checksum: bool | None = None
    state: str = "open"
    why: str = ""
    state_frame: int | None = None
    fallback: str | None = None
    addresses: list[AddressEvent] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    checksums: tuple[int, int, int] = (0, 0, 0)
    unknown: dict[str, str] = field(default_factory=dict)
    teller: Callable[[], list[Event]] | None = field(default=None, repr=False)
    _events: list[Event] | None = field(default=None, repr=False)

    @property
    def events(self) -> list[Event]:
        """Its story in capture order, told when first asked for."""
        if self._events is None:
            self._events = self.teller() if self.teller is not None else []
        return self._events

    @property
    def initiator(self) -> Host:
        """Who opened the connection."""
        return self.hosts[0]

    @property
    def listener(self) -> Host:
        """Who answered."""
        return self.hosts[1]

    @property
    def initial(self) -> Subflow | None:
        """The initial subflow (Wireshark: master), if it is in the capture."""
        return next((flow for flow in self.subflows if flow.kind == "initial"), None)

    def note(self, code: str, text: str, frame: int | None = None) -> None:
        """Add a note; a code met again is counted, with its first frame."""
        for at, note in enumerate(self.notes):
            if note.code == code:
                self.notes[at] = replace(note, count=note.count + 1)
                return
        self.notes.append(Note(code=code, text=text, count=1, frame=frame))
