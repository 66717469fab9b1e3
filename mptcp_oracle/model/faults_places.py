"""What the tables of faults are made of: finders of places, and edits with one change each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from mptcp_oracle import crypto
from mptcp_oracle.encode import encode
from mptcp_oracle.model.fault import Edit, Find
from mptcp_oracle.model.faults_edit import Draft, Place, fits
from mptcp_oracle.model.trace import (
    ACK,
    FIN,
    RST,
    SYN,
    ConnectionTruth,
    Endpoint,
    Sent,
    SubflowTruth,
    Trace,
)
from mptcp_oracle.options import (
    Dss,
    Flaw,
    Malformed,
    MpCapable,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    Option,
)

__all__ = [
    "HANDSHAKE",
    "Test",
    "ack_only",
    "again",
    "alongside",
    "anything",
    "arrivals",
    "carriers",
    "connection_of",
    "either",
    "extra",
    "flawed",
    "followed",
    "gathered",
    "has",
    "is_syn",
    "lacks",
    "mapped",
    "new_join",
    "octets_of",
    "option_of",
    "plain",
    "quiet",
    "rewrite",
    "standing",
    "subflow_of",
    "unheard_third",
]

T = TypeVar("T")
Test = Callable[[Trace, Sent], bool]
HANDSHAKE = (MpCapable, MpJoinSyn, MpJoinSynAck, MpJoinAck)


def subflow_of(trace: Trace, sent: Sent) -> SubflowTruth:
    """The subflow of a segment."""
    return trace.subflows[sent.subflow]


def connection_of(trace: Trace, sent: Sent) -> ConnectionTruth:
    """The connection of a segment."""
    return trace.connections[trace.subflows[sent.subflow].connection]


def option_of(sent: Sent, kind: type[T]) -> T | None:
    """The first option of a kind in a segment."""
    return next((option for option in sent.options if isinstance(option, kind)), None)


def has(sent: Sent, *kinds: type[Any]) -> bool:
    """Whether a segment has an option of any of these kinds."""
    return any(isinstance(option, kinds) for option in sent.options)


def ack_only(_trace: Trace, sent: Sent) -> bool:
    """Whether all MPTCP options of a segment are one DSS without mapping."""
    return len(sent.options) == 1 and isinstance(sent.options[0], Dss) and sent.mapping is None


def lacks(trace: Trace, sent: Sent, *kinds: type[Option]) -> bool:
    """Whether the connection of a segment never has an option of some kinds."""
    connection = subflow_of(trace, sent).connection
    return not any(
        has(each, *kinds) and subflow_of(trace, each).connection == connection
        for each in trace.segments
    )


def anything(_trace: Trace, _sent: Sent) -> bool:
    """A test that every segment passes."""
    return True


def arrivals(trace: Trace) -> dict[int, int]:
    """When each segment arrived first, by its number."""
    arrived: dict[int, int] = {}
    for delivery in trace.deliveries:
        arrived.setdefault(delivery.segment.number, delivery.time)
    return arrived


def mapped(trace: Trace, sent: Sent) -> bytes | None:
    """The octets under the mapping that a segment announces, if they were all sent."""
    mapping = sent.mapping
    if mapping is None:
        return None
    octets: list[int | None] = [None] * mapping.octets
    for each in trace.segments:
        if (each.subflow, each.host) == (sent.subflow, sent.host) and each.ranges:
            start = each.ranges[0].sequence - mapping.sequence
            for at, octet in enumerate(each.payload, start):
                if 0 <= at < len(octets):
                    octets[at] = octet
    found = bytes(octet for octet in octets if octet is not None)
    return found if len(found) == len(octets) else None


def carriers(*kinds: type[Any], where: Test = anything) -> Find:
    """A place for each segment with an option of any of these kinds."""

    def find(trace: Trace) -> Iterator[Place]:
        for sent in trace.segments:
            if has(sent, *kinds) and where(trace, sent):
                yield Place(host=sent.host, segments=(sent.number,))

    return find


def gathered(*kinds: type[Any], where: Test = anything, wide: bool = False) -> Find:
    """A place for all segments together that one host sent on one subflow with such an option.

    Args:
        kinds: Classes of options.
        where: What else must hold of a segment.
        wide: Whether those of all subflows of a connection are together.
    """

    def find(trace: Trace) -> Iterator[Place]:
        groups: dict[tuple[int, int], list[int]] = {}
        for sent in trace.segments:
            if has(sent, *kinds) and where(trace, sent):
                scope = trace.subflows[sent.subflow].connection if wide else sent.subflow
                groups.setdefault((scope, sent.host), []).append(sent.number)
        for (_, host), numbers in groups.items():
            yield Place(host=host, segments=tuple(numbers))

    return find


def followed(find: Find, later: Test) -> Find:
    """The places after which the same host sends, on the same subflow, something of a kind."""

    def narrowed(trace: Trace) -> Iterator[Place]:
        for place in find(trace):
            last = trace.segments[place.segments[-1]]
            if any(
                sent.subflow == last.subflow and sent.host == last.host and later(trace, sent)
                for sent in trace.segments[last.number + 1 :]
            ):
                yield place

    return narrowed


def _ends(sent: Sent) -> bool:
    """Whether a segment begins the end of something: a subflow, a stream, MPTCP itself."""
    if sent.flags & (FIN | RST) or has(sent, MpFail, MpFastclose):
        return True
    return sent.mapping is not None and (sent.mapping.fin or sent.mapping.infinite)


def quiet(where: Test = anything, *, option: Option | None = None) -> Find:
    """Pure ACKs that arrive on established subflows, before anything comes to its end.

    Args:
        where: What else must hold.
        option: One for which there must be room.
    """

    def find(trace: Trace) -> Iterator[Place]:
        over = {each.number for each in trace.connections if each.fallback is not None}
        arrived = {each.segment.number for each in trace.deliveries}
        for sent in trace.segments:
            subflow = trace.subflows[sent.subflow]
            if _ends(sent):
                over.add(subflow.connection)
            if (
                sent.flags == ACK
                and not sent.payload
                and subflow.connection not in over
                and sent.number in arrived
                and subflow.outcome == "established"
                and not has(sent, *HANDSHAKE)
                and has(sent, Dss)
                and (option is None or fits(sent, option))
                and where(trace, sent)
            ):
                yield Place(host=sent.host, segments=(sent.number,))

    return find


def rewrite(
    kind: type[T], change: Callable[[T, Draft], Option | None], *, lost: bool = False
) -> Edit:
    """Change the options of a kind in every segment of the place, and blame these segments.

    Every option is changed with the same choices, so that copies of a segment stay copies.

    Args:
        kind: Class of the options.
        change: Gives the new option, or ``None`` to take it away.
        lost: Whether the network now loses the segments.
    """

    def edit(draft: Draft, place: Place) -> None:
        made: dict[T, Option | None] = {}

        def changed(option: Option) -> Option | None:
            if not isinstance(option, kind):
                return option
            if option not in made:
                made[option] = change(option, draft)
            return made[option]

        for key in place.segments:
            draft.options(key, changed)
            if lost:
                draft.lose(key)
            draft.blame(key)

    return edit


def either(*finds: Find) -> Find:
    """The places of several finders, one after the other."""

    def find(trace: Trace) -> Iterator[Place]:
        for each in finds:
            yield from each(trace)

    return find


def plain(fallback: str, form: str) -> Find:
    """A handshake segment of each connection with a fallback, which no MPTCP option may follow.

    Args:
        fallback: How it became plain TCP.
        form: ``syn``, ``synack`` (all of them together), or ``third``: the first segment after.
    """

    def find(trace: Trace) -> Iterator[Place]:
        for subflow in trace.subflows:
            if not subflow.initial or trace.connections[subflow.connection].fallback != fallback:
                continue
            flow = [sent for sent in trace.segments if sent.subflow == subflow.number]
            if form == "third":
                found = [sent for sent in flow if not sent.flags & SYN and sent.host == 0][:1]
            else:
                wanted = SYN if form == "syn" else SYN | ACK
                found = [sent for sent in flow if sent.flags & (SYN | ACK) == wanted]
            if found:
                numbers = tuple(sent.number for sent in found)
                yield Place(host=found[0].host, segments=numbers)

    return find


def unheard_third(trace: Trace) -> Iterator[Place]:
    """Third packets without data that the listener can do without.

    They were lost, or the first data under an MP_CAPABLE came before the listener sent anything;
    another packet with an MP_CAPABLE makes the connection.
    """
    for subflow in trace.subflows:
        if not subflow.initial or trace.connections[subflow.connection].fallback is not None:
            continue
        capables = [
            sent
            for sent in trace.segments
            if sent.subflow == subflow.number and not sent.flags & SYN and has(sent, MpCapable)
        ]
        if not capables or capables[0].payload:
            continue
        arrived = arrivals(trace)
        thirds = [sent for sent in capables if not sent.payload]
        lost = [sent.number for sent in thirds if sent.number not in arrived]
        if lost and any(each.number in arrived for each in capables):
            yield Place(host=0, segments=tuple(lost))
        data = [
            arrived[each.number] for each in capables if each.payload and each.number in arrived
        ]
        heard = [arrived[each.number] for each in thirds if each.number in arrived]
        if (
            data
            and heard
            and not any(
                min(heard) <= sent.time <= min(data)
                for sent in trace.segments
                if sent.host == 1
                and trace.subflows[sent.subflow].connection == subflow.connection
                and not sent.flags & SYN
            )
        ):
            yield Place(host=0, segments=tuple(sent.number for sent in thirds))


def alongside(make: Callable[[Draft, int], Option]) -> Edit:
    """Add an option to every segment of the place, and blame these segments."""

    def edit(draft: Draft, place: Place) -> None:
        for key in place.segments:
            draft.add(key, make(draft, key))
            draft.blame(key)

    return edit


def new_join(
    draft: Draft,
    after: int,
    *,
    opener: int,
    target: Endpoint,
    source: Endpoint,
    address_id: int,
) -> int:
    """A host tries to join: a SYN that is lost, sent right after another segment; its key.

    Args:
        draft: The trace.
        after: Key of the segment before it.
        opener: Role of the host that joins.
        target: The peer's end.
        source: Its own end.
        address_id: The Address ID of its end.
    """
    connection = draft.connection_of(after)
    peer = connection.hosts[1 - opener]
    nonce, isn = draft.choices.bits(32), draft.choices.bits(32)
    truth = SubflowTruth(
        number=0,
        connection=connection.number,
        initial=False,
        opener=opener,
        ends=(source, target) if opener == 0 else (target, source),
        isns=(isn, 0) if opener == 0 else (0, isn),
        address_ids=(address_id, 0) if opener == 0 else (0, address_id),
        nonces=(nonce, 0) if opener == 0 else (0, nonce),
        outcome="unanswered",
    )
    token = crypto.token(peer.key, connection.version)
    syn = Sent(
        number=0,
        time=0,
        subflow=0,
        host=opener,
        sequence=0,
        ack=None,
        flags=SYN,
        window=65_535,
        options=(MpJoinSyn(address_id=address_id, token=token, nonce=nonce),),
    )
    return draft.open_subflow(after, truth, syn)


def flawed(option: Option, reason: Flaw, *, octets: bytes | None = None) -> Malformed:
    """An option that is lawful by itself and wrong where it stands; or the octets of one.

    Args:
        option: What can be read in spite of the flaw; not kept if ``octets`` are given.
        reason: The flaw.
        octets: The octets on the wire, where no lawful option has them.
    """
    raw = encode(option) if octets is None else octets
    reading = replace(option, raw=raw) if octets is None else None
    subtype = raw[2] >> 4 if len(raw) > 2 else None
    return Malformed(reason=reason, subtype=subtype, reading=reading, raw=raw)


def standing(trace: Trace, number: int) -> bool:
    """The flag B that a host stands by, on a subflow, after its segments up to one."""
    last = trace.segments[number]
    value = False
    for sent in trace.segments[: number + 1]:
        if (sent.subflow, sent.host) == (last.subflow, last.host):
            for option in sent.options:
                if isinstance(option, MpPrio | MpJoinSyn | MpJoinSynAck):
                    value = option.backup
    return value


def again(draft: Draft, place: Place, *options: Option, plain: bool = False) -> int:
    """Send the pure ACK of a place once more, with options; ``plain`` takes its own away."""
    sent = draft.sent(place.segments[0])
    if plain:
        sent = replace(sent, options=(), data_ack=None)
    return draft.insert(place.segments[0], replace(sent, options=(*sent.options, *options)))


def extra(*shapes: Option | bytes) -> Edit:
    """Send a pure ACK once more, with one of these options (or malformed octets) besides."""

    def edit(draft: Draft, place: Place) -> None:
        shape = draft.choices.pick(shapes)
        if isinstance(shape, bytes):
            shape = octets_of(shape)
        draft.blame(again(draft, place, shape))

    return edit


def octets_of(raw: bytes) -> Malformed:
    """Octets that are no option, with the flaw that a receiver finds first."""
    if raw[1] > len(raw):
        reason = Flaw.CUT_OFF
    elif len(raw) < 3 or raw[1] != len(raw):
        reason = Flaw.LENGTH_OCTET
    else:
        reason = Flaw.LAYOUT
    return Malformed(reason=reason, subtype=raw[2] >> 4 if len(raw) > 2 else None, raw=raw)


def is_syn(sent: Sent) -> bool:
    """Whether a segment is a SYN, not a SYN/ACK."""
    return sent.flags & (SYN | ACK) == SYN
