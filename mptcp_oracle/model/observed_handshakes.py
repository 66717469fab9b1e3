"""Handshakes: which of a subflow's set-up messages survived, and what they make known.

Who opened it: any SYN, and any of the messages that only one side can send, shows that. Initial
sequence numbers: a host's SYN, the SYN/ACK that acknowledges it, a third packet, or mappings that
leave one possibility (each segment lies inside the mapping on it).
"""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle.model.observed_frames import Flow, Seen
from mptcp_oracle.model.trace import ACK, RST, SYN
from mptcp_oracle.options import Dss, MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, Option

__all__ = ["Handshake", "syn_data"]


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
        for seen in flow.fresh:
            self._heed(seen)
        for role in (0, 1):
            self._find_origin(role)

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
        found = _bounded(seen for seen in self.flow.fresh if seen.segment.host == role)
        if found is not None:
            self.origin[role], self.origin_from[role] = found, "mappings"

    def _told(self, seen: Seen, role: int) -> int | None:
        """What a SYN/ACK or a third packet tells of a host's initial sequence number."""
        segment = seen.segment
        if segment.flags & RST or segment.ack is None:
            return None
        if segment.flags & SYN:
            return segment.ack - 1 if segment.host != role else None
        if segment.payload or not any(map(_ends_handshake, seen.whole)):
            return None
        return (segment.sequence if segment.host == role else segment.ack) - 1


def _ends_handshake(option: Option) -> bool:
    """Whether an option stands on the third packet of a handshake."""
    if isinstance(option, MpCapable):
        return option.receiver_key is not None
    return isinstance(option, MpJoinAck)


def _bounded(frames: Iterable[Seen]) -> int | None:
    """The one origin that all segments with a mapping on them allow, if there is just one.

    The mapping on a segment with payload begins at or before it, and ends at or after it.
    """
    most: int | None = None
    least: int | None = None
    for seen in frames:
        segment, mapping = seen.segment, seen.mapping
        if mapping is None or not segment.payload or not mapping.octets:
            continue
        for option in seen.whole:
            if isinstance(option, Dss) and option.ssn is not None:
                first = option.ssn
            elif isinstance(option, MpCapable) and option.data_length is not None:
                first = 1
            else:
                continue
            upper = seen.start - first
            lower = upper + len(segment.payload) - mapping.octets
            most = upper if most is None else min(most, upper)
            least = lower if least is None else max(least, lower)
    return most if most == least else None


def syn_data(shake: Handshake, host: int) -> int:
    """Octets of a host's SYN that the SYN/ACK accepted, if both are in the capture."""
    syn, synack = shake.first_syn, shake.first_synack
    if syn is None or synack is None or syn.segment.host != host or not syn.segment.payload:
        return 0
    accepted = (synack.segment.ack or 0) - 1
    return accepted if 0 <= accepted <= len(syn.segment.payload) else 0
