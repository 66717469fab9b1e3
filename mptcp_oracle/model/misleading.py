"""Misleading captures: what is left of a connection agrees on something that is not so.

Where the handshake is missing, the beginning of a half is inferred from mappings that fill their
segments (docs/decisions/0007-proof.md). Once in some ten thousand captures holes leave nothing but
mappings that seem to lie a few octets away from where they do, all alike: no analyzer could know,
and every other inference would be wrong more often. Just so the one option that mapped a host's
last payload may be missing, on an ACK that announced it in advance: what is left is a fallback to
plain TCP. Such frames are left out of composed captures.
"""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.model.capture import Capture, Frame
from mptcp_oracle.model.observed_fallback import shown
from mptcp_oracle.model.observed_frames import Seen, look
from mptcp_oracle.model.observed_groups import groups_of
from mptcp_oracle.model.observed_handshakes import Handshake
from mptcp_oracle.model.observed_payload import Payload
from mptcp_oracle.model.trace import SYN

__all__ = ["honest"]


def honest(capture: Capture) -> Capture:
    """The capture without frames that seem to be what they are not.

    The latest such frame goes first, with its copies, until the rest misleads nobody. Planted
    faults may be wrong places, and stay.
    """
    while not capture.trace.planted:
        wrong = (_misplaced(capture) if _infers(capture) else []) or (
            _fallen(capture) if _ends_plainly(capture) else []
        )
        if not wrong:
            break
        latest = max(wrong, key=lambda seen: seen.number).segment
        kept = (
            each
            for each in capture.frames
            if not isinstance(each, Frame) or each.segment.number != latest.number
        )
        capture = replace(capture, frames=tuple(kept))
    return capture


def _misplaced(capture: Capture) -> list[Seen]:
    """Frames whose mappings seem to lie where they do not."""
    shakes = [Handshake(flow) for flow in look(capture)[0]]
    return [seen for shake in shakes for role in (0, 1) for seen in shake.misplaced(role)]


def _fallen(capture: Capture) -> list[Seen]:
    """Frames that show a fallback of a connection that did not fall back."""
    flows, frames = look(capture)
    shakes = {flow.id: Handshake(flow) for flow in flows}
    found: list[Seen] = []
    for group in groups_of(capture.trace, flows, shakes):
        if group.truth.fallback is None:
            mine = [seen for seen in frames if seen.flow in group.flows]
            fresh = [seen for seen in mine if not seen.again]
            claim = shown(group, shakes, fresh, Payload(group, mine, shakes))
            found += [seen for seen in fresh if claim is not None and seen.number == claim[1]]
    return found


def _ends_plainly(capture: Capture) -> bool:
    """Whether the last payload of any host on a subflow is without option, and so all after it."""
    plain: dict[tuple[int, int], bool] = {}
    for frame in capture.frames:
        if isinstance(frame, Frame):
            segment = frame.segment
            if segment.options or segment.payload:
                plain[segment.subflow, segment.host] = not segment.options
    return any(
        last and capture.trace.connections[capture.trace.subflows[flow].connection].fallback is None
        for (flow, _), last in plain.items()
    )


def _infers(capture: Capture) -> bool:
    """Whether the SYN of any host is missing, or has data: else everything has its place."""
    sent = [frame.segment for frame in capture.frames if isinstance(frame, Frame)]
    placed = {(one.subflow, one.host) for one in sent if one.flags & SYN and not one.payload}
    return any((one.subflow, one.host) not in placed for one in sent)
