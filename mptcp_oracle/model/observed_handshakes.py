"""Handshakes: which of a subflow's set-up messages survived, and what they make known.

Who opened it: any SYN, and any of the messages that only one side can send, shows that. Initial
sequence numbers: a host's SYN, the SYN/ACK that acknowledges it, the third packet of a join, for
the listener any third packet, or mappings that the segments with
them fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mptcp_oracle.model.observed_frames import Flow, Seen
from mptcp_oracle.model.trace import ACK, RST, SYN, Mapping
from mptcp_oracle.options import Dss, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, Option

__all__ = ["Handshake", "sets_up", "syn_data"]


class Handshake:
    """What the capture shows of the set-up of one subflow.

    Attributes:
        kind: ``initial`` or ``joined``; ``None`` if no set-up option survived.
        opener: Role of the host that sent the SYN, ``None`` if nothing shows it.
        syn, synack, ack: Frame and option of the last SYN, the last SYN/ACK before a third packet
            and the first third packet with set-up options (an MP_CAPABLE with data is one, too).
        first_syn, first_synack: First frames with these flags, whatever their options.
        origin: By role: the label that relative sequence numbers count from, which is that of the
            SYN unless octets of a SYN are known by their acknowledgment only; ``None`` if
            nothing gives it exactly.
        origin_from: By role: ``handshake`` or ``mappings``.
        placed: By role: whether it is known which octets mappings cover. After data on a SYN,
            filled mappings have to tell whether subflow sequence numbers count it.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.kind: str | None = None
        self.opener: int | None = None
        self.syn: tuple[Seen, MpCapable | MpJoinSyn] | None = None
        self.synack: tuple[Seen, MpCapable | MpJoinSynAck] | None = None
        self.ack: tuple[Seen, MpCapable | MpJoinAck] | None = None
        self.first_syn: Seen | None = None
        self.first_synack: Seen | None = None
        self.origin: list[int | None] = [None, None]
        self.origin_from: list[str | None] = [None, None]
        self.placed = [False, False]
        self._skews: list[tuple[int, int] | None] = [None, None]
        for seen in flow.fresh:
            self._heed(seen)
        for role in (0, 1):
            self._find_origin(role)
            if self.origin[role] is not None:
                self._skews[role] = self._find_skews(role)
                self.placed[role] = self._skews[role] is not None

    def _heed(self, seen: Seen) -> None:
        flags = seen.segment.flags
        if flags & SYN:
            self.opener = self.flow.truth.opener
            if flags & ACK and self.first_synack is None:
                self.first_synack = seen
            elif not flags & ACK and self.first_syn is None:
                self.first_syn = seen
        for option in seen.whole:
            if isinstance(option, MpCapable | MpJoinSyn | MpJoinSynAck | MpJoinAck):
                self.opener = self.flow.truth.opener
                kind = "initial" if isinstance(option, MpCapable) else "joined"
                self.kind = self.kind or kind
                self._place(seen, option)

    def _place(self, seen: Seen, option: MpCapable | MpJoinSyn | MpJoinSynAck | MpJoinAck) -> None:
        if isinstance(option, MpJoinAck) or not seen.segment.flags & SYN:
            if self.ack is None and isinstance(option, MpCapable | MpJoinAck):
                self.ack = (seen, option)
        elif seen.segment.flags & ACK:
            if isinstance(option, MpCapable | MpJoinSynAck) and (
                self.ack is None or self.synack is None
            ):
                self.synack = (seen, option)
        elif isinstance(option, MpCapable | MpJoinSyn):
            self.syn = (seen, option)

    def _find_origin(self, role: int) -> None:
        """Where a host's relative numbers count from."""
        for seen in self.flow.fresh:
            if seen.segment.flags & SYN and seen.segment.host == role:
                self.origin[role], self.origin_from[role] = 0, "handshake"
                return
        for seen in self.flow.fresh:
            found = self._told(seen, role)
            if found is not None:
                self.origin[role], self.origin_from[role] = found, "handshake"
                return
        found = _filled(self._sent_by(role))
        if found is not None:
            self.origin[role], self.origin_from[role] = found, "mappings"

    def _sent_by(self, role: int) -> list[Seen]:
        return [seen for seen in self.flow.fresh if seen.segment.host == role]

    def misplaced(self, role: int) -> list[Seen]:
        """Frames whose mappings are not where they seem to be, though nothing shows that.

        All that the capture has of a half may agree on a wrong place, by chance.
        """
        skews, found = self._skews[role], list[Seen]()
        for run in _runs(self._sent_by(role)) if skews is not None else ():
            place = run.ssn + (self.origin[role] or 0) + (skews or (0, 0))[run.capable]
            if run.place != place and (run.octets or run.endless):
                found += run.frames
        return found

    def _find_skews(self, role: int) -> tuple[int, int] | None:
        """By how much data on a SYN moves the mappings of a half: those of DSS, of MP_CAPABLE.

        None if what is there does not say it.
        """
        frames = self._sent_by(role)
        syns = [seen for seen in frames if seen.segment.flags & SYN]
        offered = next((len(seen.segment.payload) for seen in syns if seen.segment.payload), 0)
        alone = self.kind == "initial" and role == self.opener and not syns
        runs, origin = _runs(frames), self.origin[role] or 0
        if not offered and not (alone and self.origin_from[role] == "handshake"):
            # Without the SYN the mapping of an MP_CAPABLE may begin after data on it.
            early = [run for run in runs if run.capable and self.origin_from[role] == "mappings"]
            fits = any(origin in (run.low, run.high) for run in early)
            known = not early or fits or next(_hints(frames), None) == origin
            return (0, 0) if known else None
        filled = [(run.capable, (run.low or 0) - origin) for run in runs if run.filled]
        shown = {low for capable, low in filled if not capable}
        first = {low for capable, low in filled if capable}
        if not offered:
            return _only({0} if 0 in shown or not shown else shown, {0})
        if self.first_synack is not None:
            accepted = syn_data(self, role)
            numbered = any(not run.capable and not run.ends for run in runs)
            sure = not accepted or not numbered
            return _only({accepted} if sure else shown & {0, accepted}, {accepted})
        within = set(range(offered + 1))
        # Numbers that count SYN data do not say where the mapping of an MP_CAPABLE begins.
        told = first if first or (shown == {0} and any(run.capable for run in runs)) else shown
        return _only((shown or first) & within, told & within)

    def _told(self, seen: Seen, role: int) -> int | None:
        """What a SYN/ACK or a third packet tells of a host's initial sequence number."""
        segment = seen.segment
        if segment.flags & RST or segment.ack is None:
            return None
        if segment.flags & SYN:
            return segment.ack - 1 if segment.host != role else None
        if segment.payload:
            return None
        for option in seen.whole:
            # With MP_CAPABLE it may be sent again after data; with MP_JOIN only before any.
            if isinstance(option, MpJoinAck) and segment.host == role:
                return segment.sequence - 1
            if isinstance(option, MpCapable) and option.receiver_key is None:
                continue
            if isinstance(option, MpJoinAck | MpCapable) and segment.host != role:
                return segment.ack - 1
        return None


def _only(one: set[int], two: set[int]) -> tuple[int, int] | None:
    """The only members of two sets, if each has one."""
    return (*one, *two) if len(one) == len(two) == 1 else None  # type: ignore[return-value]


def _runs(frames: Iterable[Seen]) -> list[_Run]:
    """Segments in a row that carry the same mapping."""
    runs: list[_Run] = []
    for seen in frames:
        for option in seen.whole:
            said = _said(option)
            if said is None or seen.mapping is None:
                continue
            if not runs or runs[-1].said != said:
                ssn = option.ssn if isinstance(option, Dss) else 1
                runs.append(_Run(said, ssn or 0, seen.mapping))
            runs[-1].frames.append(seen)
            if seen.segment.payload and seen.mapping.octets:
                runs[-1].widen(seen.start, seen.start + len(seen.segment.payload))
    return runs


def _hints(frames: Iterable[Seen]) -> Iterator[int]:
    """The origins that third packets with MP_CAPABLE show, if they come before any data."""
    for seen in frames:
        for option in seen.whole:
            third = isinstance(option, MpCapable) and option.receiver_key is not None
            if third and not seen.segment.payload:
                yield seen.segment.sequence - 1


def _filled(frames: list[Seen]) -> int | None:
    """The origin that mappings give, if they prove it.

    A mapping is filled if a run of segments with it is together as long as it is. A filled mapping
    on an MP_CAPABLE is proof; else another mapping has to begin or end with its segments at the
    same place, or a third packet to say the same. No other filled mapping may contradict it.
    """
    runs = _runs(frames)
    filled = [run for run in runs if run.filled]
    if len({run.low for run in filled}) != 1:
        return None
    first = filled[0]
    if first.capable or first.low == next(_hints(frames), None):
        return first.low
    agrees = any(run.ssn != first.ssn and first.low in (run.low, run.high) for run in runs)
    return first.low if agrees else None


def _said(option: Option) -> tuple[object, ...] | None:
    """What an option says of a mapping; ``None`` if it has none."""
    if isinstance(option, MpCapable):
        return None if option.data_length is None else (option.data_length, option.checksum)
    if isinstance(option, Dss) and option.dsn is not None:
        size, fin = option.dsn_size, option.data_fin
        return (option.dsn, size, option.ssn, option.dll, option.checksum, fin)
    return None


class _Run:
    """Segments in a row that carry one mapping.

    Attributes:
        said: What the mapping's option says. ssn, octets: Where the mapping begins, how long.
        place: The label of where it truly begins. endless: Whether it is infinite. ends: Whether it
            is a DATA_FIN alone. frames: The segments.
        low, high: The origins at which it begins, and ends, with the segments.
    """

    def __init__(self, said: tuple[object, ...], ssn: int, mapping: Mapping) -> None:
        self.said, self.ssn, self.octets = said, ssn, mapping.octets
        self.place, self.endless = mapping.sequence, mapping.infinite
        self.ends = mapping.fin and not mapping.octets
        self.frames: list[Seen] = []
        self.low: int | None = None
        self.high: int | None = None

    @property
    def filled(self) -> bool:
        """Whether the segments are together as long as the mapping."""
        return self.low is not None and self.low == self.high

    @property
    def capable(self) -> bool:
        """Whether an MP_CAPABLE carries it."""
        return len(self.said) == 2

    def widen(self, start: int, end: int) -> None:
        """Take in one more segment."""
        low, high = start - self.ssn, end - self.ssn - self.octets
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)


def syn_data(shake: Handshake, host: int) -> int:
    """Octets of a host's SYN that the SYN/ACK accepted, if both are in the capture."""
    syn, synack = shake.first_syn, shake.first_synack
    if syn is None or synack is None or syn.segment.host != host or not syn.segment.payload:
        return 0
    accepted = (synack.segment.ack or 0) - 1
    return accepted if 0 <= accepted <= len(syn.segment.payload) else 0


def sets_up(option: Option) -> bool:
    """Whether an option sets up a subflow; a malformed one is ignored."""
    return isinstance(option, MpCapable | MpJoinSyn | MpJoinSynAck)
