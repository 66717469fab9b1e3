"""The world: one modelled connection as a frozen value.

Numbers are relative and never wrap: the SYN has sequence number 0, the first data octet DSN 1.
Ranges are pairs ``(first, one past the last)``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

from mptcp_oracle.model.settings import Settings
from mptcp_oracle.model.trace import Endpoint, Mapping, Range, Sent

__all__ = [
    "ALIVE",
    "BOTH_ENDED",
    "CAN_SEND",
    "DATA_OUT",
    "ENDED",
    "JOINING",
    "LISTENS",
    "MPTCP",
    "PLAIN",
    "Half",
    "Host",
    "Path",
    "Record",
    "Spans",
    "Subflow",
    "World",
    "added",
    "changed",
    "opening",
]

T = TypeVar("T")
Spans = tuple[tuple[int, int], ...]

MPTCP = frozenset(
    (
        "M_ESTAB_NEW", "M_ESTAB", "M_FIN_WAIT_1", "M_FIN_WAIT_2", "M_CLOSING", "M_CLOSE_WAIT",
        "M_LAST_ACK", "M_TIME_WAIT", "M_FAIL_SENT",
    )
)  # fmt: skip
"""States of a host in which it may send MPTCP options other than of a handshake."""

LISTENS = frozenset(("M_ESTAB_NEW", "M_ESTAB", "M_FIN_WAIT_1", "M_FIN_WAIT_2", "M_CLOSE_WAIT"))
"""States of a host in which the connection may still gain subflows."""

DATA_OUT = frozenset(("M_ESTAB_NEW", "M_ESTAB", "M_CLOSE_WAIT"))
"""States of a host in which it may send new data: before its DATA_FIN."""

BOTH_ENDED = frozenset(("M_CLOSING", "M_LAST_ACK", "M_TIME_WAIT", "M_CLOSED"))
"""States of a host that has sent its DATA_FIN and received the peer's: for all it knows the
connection is closed (RFC 8684 section 3.3.3)."""

PLAIN = frozenset(("M_INF", "TCP"))
"""States of a host that has left MPTCP; in ``M_INF`` its next data says so."""

JOINING = frozenset(("SYN_SENT", "SYN_RCVD", "PRE_ESTABLISHED"))
"""States of a half whose handshake goes on."""

CAN_SEND = frozenset(("ESTABLISHED", "CLOSE_WAIT"))
"""States of a host's half of a subflow in which it may send new payload."""

ALIVE = frozenset(
    (
        "PRE_ESTABLISHED", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSING",
        "LAST_ACK", "TIME_WAIT",
    )
)  # fmt: skip
"""States of a half that has a peer to talk to."""


ENDED = frozenset(("CLOSED", "GONE"))
"""States of a half that takes part in nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host's view of the whole connection.

    Attributes:
        state: ``M_...``, or ``TCP`` after a fallback (see :mod:`mptcp_oracle.model.tables`).
        base: 64-bit number that its relative DSNs count from.
        snd_una, snd_nxt: First DSN that is not DATA_ACKed; first that no mapping took.
        limit: Highest DSN that the peer's window lets it send, plus 1.
        fin: DSN of its DATA_FIN. orphans: DSNs that a subflow announced but never sent.
        rcv_nxt: Next DSN that it waits for. received: DSNs beyond it that arrived.
        edge: Right edge of its receive window. stalled: Whether its application does not read.
        fin_heard: DSN of the peer's DATA_FIN.
        owed: Whether a DATA_ACK is due. wide: Whether it has to have 8 octets.
        said: Highest DATA_ACK that it sent.
        peer_knows: Whether it knows that the peer has both keys.
        heard: Whether a DSS crossed the initial path, so that it may open subflows.
        announced: Own addresses that it announced: index, port, whether an echo came.
        known: The peer's addresses that it may join: index, port.
        lost: Indexes of the peer's addresses that the peer withdrew.
        echoes: ADD_ADDRs that it has to echo: index, port.
        aborted: Whether it sent or got a valid MP_FASTCLOSE.
        failed: DSN of the mapping whose checksum failed.
    """

    state: str
    base: int = 0
    snd_una: int = 1
    snd_nxt: int = 1
    limit: int = 1
    fin: int | None = None
    orphans: Spans = ()
    rcv_nxt: int = 1
    received: Spans = ()
    edge: int = 1
    stalled: bool = False
    fin_heard: int | None = None
    owed: bool = False
    wide: bool = False
    said: int = 0
    peer_knows: bool = False
    heard: bool = False
    announced: tuple[tuple[int, int | None, bool], ...] = ()
    known: tuple[tuple[int, int | None], ...] = ()
    lost: tuple[int, ...] = ()
    echoes: tuple[tuple[int, int | None], ...] = ()
    aborted: bool = False
    failed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Payload that a host sent on a subflow and may have to send again.

    Attributes:
        sequence, end: Relative sequence numbers. ranges: The truth of it, as sent first.
        mapping: The mapping on its segment, if any.
        last: Whether the segment was the FIN too.
        before: The mapping, announced before, of its octets that its own does not cover.
        payload: Its octets, where they do not follow from the ranges (a probe).
    """

    sequence: int
    end: int
    ranges: tuple[Range, ...]
    mapping: Mapping | None
    payload: bytes | None = None
    last: bool = False
    before: Mapping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One host's end of a subflow.

    Attributes:
        state: A TCP state, ``PRE_ESTABLISHED`` (RFC 8684 section 3.2), or ``GONE`` if its
            address is no longer there.
        snd_una, snd_nxt: First sequence number that is not acknowledged; next to be sent.
        limit: Highest sequence number that the peer's window lets it send, plus 1.
        records: What it sent and may send again, in order.
        ahead: Mapping that covers octets from ``snd_nxt`` on which were not sent yet.
        confirmed: Whether a DATA_ACK for data of this subflow came back on it.
        fin: Sequence number of its FIN.
        rcv_nxt: Next sequence number that it waits for. received: Beyond it, what arrived.
        maps: Mappings of the peer that are still of use.
        fin_heard: Sequence number of the peer's FIN.
        owed: Whether an acknowledgment is due.
        backup: Flag B as it said last. backup_heard: As the peer said last.
        infinite: The infinite mapping that it declared.
        intact: Sequence number and DSN of the last segment that is known to have arrived.
        bad: Octets that arrived changed, where checksums are in use.
        removed: Whether the peer withdrew its address of this subflow.
        plain: Whether it answered a join without MP_JOIN.
    """

    state: str
    snd_una: int = 0
    snd_nxt: int = 0
    limit: int = 0
    records: tuple[Record, ...] = ()
    ahead: Mapping | None = None
    confirmed: bool = False
    fin: int | None = None
    rcv_nxt: int = 0
    received: Spans = ()
    maps: tuple[Mapping, ...] = ()
    fin_heard: int | None = None
    owed: bool = False
    backup: bool = False
    backup_heard: bool = False
    infinite: Mapping | None = None
    intact: tuple[int, int] | None = None
    bad: Spans = ()
    removed: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What is fixed about a subflow once it is opened; pairs are (initiator's, listener's).

    Attributes:
        opener: Role of the host that sent the SYN. ends: Endpoints. local: Indexes of the
            addresses in the settings.
        outcome: As in :class:`~mptcp_oracle.model.trace.SubflowTruth`.
        syn_data: Octets of payload that each SYN carried and the other end accepted.
        offered: Octets of payload that the SYN carried.
    """

    opener: int
    ends: tuple[Endpoint, Endpoint]
    local: tuple[int, int] = (0, 0)
    outcome: str = "unanswered"
    syn_data: tuple[int, int] = (0, 0)
    offered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subflow:
    """A subflow: what is fixed, and both halves by role."""

    path: Path
    halves: tuple[Half, Half]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One connection and the segments on their way.

    Attributes:
        version: As negotiated, or as offered. checksum: Whether DSS checksums are in use.
        hosts: Initiator and listener. subflows: By number; the first is the initial one.
        flight: Segments in flight, in order of sending.
        number: Number of the next segment.
        shown: What shows a fallback: pairs of a word and the number of a segment.
        taken: How often events of each class happened, in the order of
            :data:`~mptcp_oracle.model.events.EVENTS`, if the settings bound any; else empty.
    """

    settings: Settings
    version: int
    checksum: bool
    hosts: tuple[Host, Host]
    subflows: tuple[Subflow, ...] = ()
    flight: tuple[Sent, ...] = ()
    number: int = 0
    shown: tuple[tuple[str, int], ...] = ()
    taken: tuple[int, ...] = ()


def opening(settings: Settings) -> World:
    """The world before its first event: one host closed, the other listening."""
    first, second = settings.buffers
    return World(
        settings=settings,
        version=settings.version,
        checksum=False,
        hosts=(
            Host(state="M_CLOSED", edge=1 + first),
            Host(state="M_LISTEN", edge=1 + second, peer_knows=True),
        ),
    )


_FIELDS: dict[type, tuple[str, ...]] = {
    each: tuple(field.name for field in fields(each)) for each in (Host, Half, Path, Subflow, World)
}
_set = object.__setattr__


def changed(value: T, **changes: object) -> T:
    """The value with some fields changed; like :func:`dataclasses.replace`, but quicker."""
    kind = type(value)
    new = object.__new__(kind)
    for name in _FIELDS[kind]:
        _set(new, name, changes[name] if name in changes else getattr(value, name))
    return new


def added(spans: Spans, first: int, last: int) -> Spans:
    """Sorted, separate ranges with ``[first, last)`` added."""
    if first >= last:
        return spans
    before = [each for each in spans if each[1] < first]
    after = [each for each in spans if each[0] > last]
    for low, high in spans[len(before) : len(spans) - len(after)]:
        first, last = min(first, low), max(last, high)
    return (*before, (first, last), *after)
