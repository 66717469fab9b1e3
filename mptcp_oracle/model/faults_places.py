"""What the tables of faults are made of: finders of places, and edits with one change each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from mptcp_oracle.encode import encode
from mptcp_oracle.model.fault import Edit, Find
from mptcp_oracle.model.faults_edit import Draft, Place, fits
from mptcp_oracle.model.trace import ACK, FIN, RST, SYN, ConnectionTruth, Sent, SubflowTruth, Trace
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
    "again",
    "alongside",
    "anything",
    "carriers",
    "connection_of",
    "extra",
    "flawed",
    "followed",
    "gathered",
    "has",
    "is_syn",
    "octets_of",
    "option_of",
    "quiet",
    "rewrite",
    "standing",
    "subflow_of",
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


def anything(_trace: Trace, _sent: Sent) -> bool:
    """A test that every segment passes."""
    return True


def carriers(*kinds: type[Any], where: Test = anything) -> Find:
    """A place for each segment with an option of any of these kinds."""

    def find(trace: Trace) -> Iterator[Place]:
        for sent in trace.segments:
            if has(sent, *kinds) and where(trace, sent):
                yield Place(host=sent.host, segments=(sent.number,))

    return find


def gathered(*kinds: type[Any], where: Test = anything) -> Find:
    """A place for all segments together that one host sent on one subflow with such an option."""

    def find(trace: Trace) -> Iterator[Place]:
        groups: dict[tuple[int, int], list[int]] = {}
        for sent in trace.segments:
            if has(sent, *kinds) and where(trace, sent):
                groups.setdefault((sent.subflow, sent.host), []).append(sent.number)
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
    """Pure ACKs on established subflows, before anything in the connection comes to its end.

    Args:
        where: What else must hold.
        option: One for which there must be room.
    """

    def find(trace: Trace) -> Iterator[Place]:
        over = {each.number for each in trace.connections if each.fallback is not None}
        for sent in trace.segments:
            subflow = trace.subflows[sent.subflow]
            if _ends(sent):
                over.add(subflow.connection)
            if (
                sent.flags == ACK
                and not sent.payload
                and subflow.connection not in over
                and subflow.outcome == "established"
                and not has(sent, *HANDSHAKE)
                and has(sent, Dss)
                and (option is None or fits(sent, option))
                and where(trace, sent)
            ):
                yield Place(host=sent.host, segments=(sent.number,))

    return find


def rewrite(kind: type[T], change: Callable[[T, Draft], Option | None]) -> Edit:
    """Change the options of a kind in every segment of the place, and blame these segments."""

    def edit(draft: Draft, place: Place) -> None:
        for key in place.segments:
            draft.options(
                key, lambda option: change(option, draft) if isinstance(option, kind) else option
            )
            draft.blame(key)

    return edit


def alongside(make: Callable[[Draft, int], Option]) -> Edit:
    """Add an option to every segment of the place, and blame these segments."""

    def edit(draft: Draft, place: Place) -> None:
        for key in place.segments:
            draft.add(key, make(draft, key))
            draft.blame(key)

    return edit


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
