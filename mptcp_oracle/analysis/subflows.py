"""Subflows: what the handshake of each MPTCP stream says (RFC 8684 sections 3.1 and 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mptcp_oracle.analysis.entities import Subflow
from mptcp_oracle.analysis.signals import ACK, RST, SYN, Raw, Signals
from mptcp_oracle.options import Flaw, Malformed, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck
from mptcp_oracle.wire.columns import FLAG_BITS
from mptcp_oracle.wire.segments import Wire

__all__ = ["Handshake", "find_subflows"]

#: Different SYNs, and different SYN/ACKs, of one stream that are kept.
MOST_REPEATS = 4
#: Bits of a half's ``mptcp``: the capturing host sent, or received, some of its segments.
SENT, RECEIVED = 32, 64


@dataclass(slots=True)
class Handshake:
    """The set-up messages of one stream, by their place in it.

    ``syn`` and ``synack`` hold the last valid option of each message with its signal, ``ack``
    the first and ``changed`` the first later MP_CAPABLE with other keys. What differs among
    repeated SYNs and SYN/ACKs (a join's nonce, a stateless listener's key) is kept in ``syns``
    and ``synacks``, :data:`MOST_REPEATS` at most. ``begun`` and ``answered`` say whether the opener
    and the other host sent anything beyond the handshake and RSTs.
    """

    subflow: Subflow
    opener: int | None = None
    syn: tuple[Raw, MpCapable | MpJoinSyn] | None = None
    synack: tuple[Raw, MpCapable | MpJoinSynAck] | None = None
    ack: tuple[Raw, MpCapable | MpJoinAck] | None = None
    changed: tuple[Raw, MpCapable] | None = None
    syns: list[MpCapable | MpJoinSyn] = field(default_factory=list)
    synacks: list[tuple[Raw, MpCapable | MpJoinSynAck]] = field(default_factory=list)
    plain_syn: int | None = None
    plain_synack: int | None = None
    syn_row: int | None = None
    synack_row: int | None = None
    refused: int | None = None
    begun: bool = False
    answered: bool = False

    @property
    def is_join(self) -> bool:
        """Whether any message is an MP_JOIN."""
        return self.subflow.kind == "joined"


def find_subflows(wire: Wire, signals: Signals) -> list[Handshake]:
    """The MPTCP streams of a capture, each with its handshake, by first frame."""
    mptcp, frame = wire.halves["mptcp"], wire.segments["frame"]
    first_row, last_row = wire.halves.of("first_row", "last_row")
    count = wire.halves["count"]
    handshakes: list[Handshake] = []
    for stream in range(wire.streams.rows):
        halves = (2 * stream, 2 * stream + 1)
        if not (mptcp[halves[0]] | mptcp[halves[1]]) & 1:
            continue
        rows = [first_row[half] for half in halves if first_row[half] >= 0]
        first = min(rows)
        sender = wire.segments["half"][first]
        subflow = Subflow(
            id=len(handshakes),
            stream=stream,
            kind=None,
            source=wire.endpoint(sender),
            destination=wire.endpoint(sender ^ 1),
            halves=(sender, sender ^ 1),
            first_frame=frame[first],
            last_frame=frame[max(last_row[half] for half in halves)],
            frames=count[halves[0]] + count[halves[1]],
        )
        handshakes.append(_read(wire, signals, Handshake(subflow)))
    return handshakes


def _read(wire: Wire, signals: Signals, shake: Handshake) -> Handshake:
    """Fill in a handshake from its stream's SYNs and set-up options."""
    stream, subflow = shake.subflow.stream, shake.subflow
    with_option: set[int] = set()
    for raw in signals.options.get(stream, ()):
        if raw.subtype > 1:
            continue
        option = raw.decode(None)
        if (
            isinstance(option, Malformed)
            and option.reason is Flaw.MISPLACED
            and isinstance(option.reading, MpCapable)
            and option.reading.receiver_key is not None
            and not raw.flags & SYN
        ):
            # Receive offload may put a third packet and the data behind it into one.
            option = option.reading
        kind = "initial" if isinstance(option, MpCapable) else "joined"
        if not isinstance(option, MpCapable | MpJoinSyn | MpJoinSynAck | MpJoinAck):
            continue
        with_option.add(raw.row)
        if subflow.kind is None:
            subflow.kind = kind
        elif subflow.kind != kind:
            continue
        _place(shake, raw, option)
    for raw in signals.events.get(stream, ()):
        cut = wire.segments["flags"][raw.row] & FLAG_BITS["options_cut"]
        if raw.flags & SYN and raw.flags & ACK:
            shake.opener = raw.half ^ 1 if shake.opener is None else shake.opener
            shake.synack_row = raw.row if shake.synack_row is None else shake.synack_row
            if raw.row not in with_option and not cut and shake.plain_synack is None:
                shake.plain_synack = raw.row
        elif raw.flags & SYN:
            shake.opener = raw.half if shake.opener is None else shake.opener
            shake.syn_row = raw.row if shake.syn_row is None else shake.syn_row
            if raw.row not in with_option and not cut and shake.plain_syn is None:
                shake.plain_syn = raw.row
    if shake.opener is not None and shake.opener != subflow.halves[0]:
        subflow.halves = (shake.opener, shake.opener ^ 1)
        subflow.source, subflow.destination = subflow.destination, subflow.source
    shake.begun, shake.answered = (_more_than_signs(wire, signals, half) for half in subflow.halves)
    _time(wire, signals, shake)
    return shake


def _more_than_signs(wire: Wire, signals: Signals, half: int) -> bool:
    """Whether a host sent anything but SYNs, RSTs and third packets of a join."""
    events = signals.events.get(half >> 1, ())
    signs = {raw.row for raw in events if raw.half == half and raw.flags & (SYN | RST)}
    thirds = {
        raw.row
        for raw in signals.options.get(half >> 1, ())
        if raw.subtype == 1 and raw.half == half and isinstance(raw.decode(None), MpJoinAck)
    }
    count: int = wire.halves["count"][half]
    return count > len(signs | thirds)


def _place(
    shake: Handshake, raw: Raw, option: MpCapable | MpJoinSyn | MpJoinSynAck | MpJoinAck
) -> None:
    """Put a set-up option where it belongs: SYN, SYN/ACK, or third packet."""
    if isinstance(option, MpCapable):
        form = "ack" if option.receiver_key is not None else "syn"
        if form == "syn" and raw.flags & ACK:
            form = "synack"
    else:
        form = {MpJoinSyn: "syn", MpJoinSynAck: "synack", MpJoinAck: "ack"}[type(option)]
    opener = raw.half ^ 1 if form == "synack" else raw.half
    if shake.opener is None:
        shake.opener = opener
    elif shake.opener != opener:
        return
    if form == "ack":
        if shake.ack is None:
            shake.ack = (raw, option)  # type: ignore[assignment]
        elif (
            shake.changed is None
            and isinstance(option, MpCapable)
            and isinstance(shake.ack[1], MpCapable)
            and (option.sender_key, option.receiver_key)
            != (shake.ack[1].sender_key, shake.ack[1].receiver_key)
        ):
            shake.changed = (raw, option)
    elif form == "synack":
        if len(shake.synacks) < MOST_REPEATS and option not in [each for _, each in shake.synacks]:
            shake.synacks.append((raw, option))  # type: ignore[arg-type]
        if shake.ack is None or shake.synack is None:
            shake.synack = (raw, option)  # type: ignore[assignment]
    else:
        if len(shake.syns) < MOST_REPEATS and option not in shake.syns:
            shake.syns.append(option)  # type: ignore[arg-type]
        shake.syn = (raw, option)  # type: ignore[assignment]


def _places(wire: Wire, subflow: Subflow) -> set[str]:
    """The ends at which the capture was made, by packet types and direction flags; maybe both."""
    own, other = (wire.halves["mptcp"][half] for half in subflow.halves)
    shown = {
        "source": own & SENT or other & RECEIVED,
        "destination": other & SENT or own & RECEIVED,
    }
    return {end for end, bits in shown.items() if bits}


def _time(wire: Wire, signals: Signals, shake: Handshake) -> None:
    """The round trip of the handshake, and a guess from it of where the capture was made."""
    subflow, time = shake.subflow, wire.segments["time"]
    places = _places(wire, subflow)
    told = bool(places)
    if len(places) == 1:
        subflow.vantage = (places.pop(), True)
    tries = [0, 0]
    for raw in signals.events.get(subflow.stream, ()):
        if raw.flags & RST and raw.half == subflow.halves[1] and shake.refused is None:
            shake.refused = raw.row
        elif raw.flags & SYN and not wire.segments["flags"][raw.row] & FLAG_BITS["duplicate"]:
            tries[bool(raw.flags & ACK)] += 1
    if shake.syn_row is None or shake.synack_row is None:
        return
    third = shake.ack[0].row if shake.ack is not None else None
    if third is None or not shake.syn_row < shake.synack_row < third:
        return
    whole = time[third] - time[shake.syn_row]
    far = time[shake.synack_row] - time[shake.syn_row]
    if whole <= 0:
        return
    subflow.round_trip = whole
    if not told and tries == [1, 1]:
        # A handshake message that was sent again may have waited for that at any place.
        if far * 10 >= whole * 8:
            subflow.vantage = ("source", False)
        elif far * 10 <= whole * 2:
            subflow.vantage = ("destination", False)
