"""Fallback: which frames show that a connection became plain TCP (RFC 8684 section 3.7).

A missing option proves nothing by itself, for the frame that had it may be missing. What does:

- ``syn``, ``synack``: a SYN/ACK without MP_CAPABLE; before it, a SYN that leaves it out.
- ``infinite_mapping``: one is declared.
- Else the first payload of a host goes without any option, on the only subflow that was
  established, and the other host acknowledges it. It is called ``third_packet`` if nothing of the
  initiator has an option after its SYN, else ``no_mapping``.
- ``no_mapping``, too: later payload does so, and no MPTCP comes from either host after it.
"""

from __future__ import annotations

from mptcp_oracle.model.observed_frames import Flow, Seen
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_handshakes import Handshake, sets_up, syn_data
from mptcp_oracle.model.observed_joins import established
from mptcp_oracle.model.observed_payload import Payload
from mptcp_oracle.model.observed_spans import Spans
from mptcp_oracle.model.trace import ACK, RST, SYN
from mptcp_oracle.options import MpCapable

__all__ = ["fallback_of", "shown"]


def fallback_of(
    group: Group, shakes: dict[int, Handshake], fresh: list[Seen], payload: Payload
) -> tuple[str, int] | None:
    """How a connection fell back as far as the capture shows it, and the frame that shows it."""
    return shown(group, shakes, fresh, payload) if group.truth.fallback is not None else None


def shown(
    group: Group, shakes: dict[int, Handshake], fresh: list[Seen], payload: Payload
) -> tuple[str, int] | None:
    """How a connection seems to have fallen back, whether it did or not."""
    flow = group.initial
    before = None if flow is None else _in_handshake(flow, shakes[flow.id])
    if before is not None:
        return before
    infinite = [seen.number for seen in fresh if seen.mapping is not None and seen.mapping.infinite]
    lone = [each for each in group.flows if established(group, each, shakes[each.id])]
    plain: list[Seen] = []
    if flow is not None and lone == [flow]:
        found = (_plain_begin(flow, shakes[flow.id], payload, host) for host in (0, 1))
        plain = [seen for seen in found if seen is not None]
    if flow is not None and plain:
        own = [seen for seen in flow.fresh if not seen.segment.host and not _is_sign(seen)]
        shake = shakes[flow.id]
        bare = own and not own[0].cut and not any(seen.marked for seen in own)
        if shake.synack is not None and bare:
            return "third_packet", own[0].number
    if infinite:
        return "infinite_mapping", infinite[0]
    if not plain and len(lone) == 1 and group.id >= 0:
        later = (_plain_from(lone[0], shakes[lone[0].id], payload, host) for host in (0, 1))
        plain = [seen for seen in later if seen is not None]
    return ("no_mapping", min(seen.number for seen in plain)) if plain else None


def _plain_from(flow: Flow, shake: Handshake, payload: Payload, host: int) -> Seen | None:
    """The frame of the first payload without mapping, if both hosts are plain TCP from there on.

    All payload before it has to be in the capture, and the other host has to acknowledge it.
    """
    if shake.origin_from[host] != "handshake":
        return None
    sent = [
        seen
        for seen in flow.fresh
        if seen.segment.host == host and seen.segment.payload and not _is_sign(seen)
    ]
    held: Spans[bool] = Spans()
    for seen in sent:
        held.put(seen.start, seen.start + len(seen.segment.payload), True)
    begin = next(
        (seen for seen in sent if any(under is None for _, _, under in payload.ranges(seen))), None
    )
    if begin is None or begin.cut:
        return None
    first = _first(shake, host)
    acknowledged = _acknowledged(flow, host)
    goes_on = any(seen.marked and seen.number >= begin.number for seen in flow.fresh)
    end = max(seen.start + len(seen.segment.payload) for seen in sent)
    whole = held.holds(min(first, end), end)
    return begin if whole and acknowledged > begin.start and not goes_on else None


def _first(shake: Handshake, host: int) -> int:
    """The label of a host's first payload after its SYN.

    Of a SYN that is not in the capture nobody knows that it had data: what its answer acknowledges
    is where numbers count from.
    """
    return 1 + (shake.origin[host] or 0) + syn_data(shake, host)


def _is_sign(seen: Seen) -> bool:
    return bool(seen.segment.flags & (SYN | RST))


def _acknowledged(flow: Flow, host: int) -> int:
    """The highest acknowledgment of what a host sent; that of a RST is no consent."""
    return max(
        (
            seen.segment.ack or 0
            for seen in flow.fresh
            if seen.segment.host != host and not seen.segment.flags & RST
        ),
        default=0,
    )


def _in_handshake(flow: Flow, shake: Handshake) -> tuple[str, int] | None:
    """A SYN/ACK without MP_CAPABLE, and perhaps a SYN without it."""
    if shake.synack is not None or shake.ack is not None:
        return None
    bare = [
        seen
        for seen in flow.fresh
        if seen.segment.flags & SYN and not seen.cut and not any(map(sets_up, seen.whole))
    ]
    answers = [seen for seen in bare if seen.segment.flags & ACK]
    offers = [seen for seen in bare if not seen.segment.flags & ACK]
    if not answers or not isinstance(shake.syn and shake.syn[1], MpCapable):
        return None
    return ("syn", offers[0].number) if offers else ("synack", answers[0].number)


def _plain_begin(flow: Flow, shake: Handshake, payload: Payload, host: int) -> Seen | None:
    """The frame of a host's first payload, if that is plain TCP and was acknowledged."""
    if shake.origin_from[host] != "handshake":
        return None
    first = _first(shake, host)
    acknowledged = _acknowledged(flow, host)
    sent = [seen for seen in flow.fresh if seen.segment.host == host and seen.segment.payload]
    ((_, _, under),) = payload.halves[flow.id, host].maps.parts(first, first + 1)
    begin = next(
        (
            seen
            for seen in sent
            if seen.start <= first < seen.start + len(seen.segment.payload) and not _is_sign(seen)
        ),
        None,
    )
    if begin is None or under is not None or acknowledged <= first or begin.start != first:
        return None
    marked = [seen.number for seen in flow.fresh if seen.segment.host == host and seen.marked]
    later = bool(marked) and marked[-1] >= begin.number
    return None if later or begin.cut else begin
