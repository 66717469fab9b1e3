"""Misleading captures: what is left of a connection agrees on something that is not so.

Where the handshake is missing, the beginning of a half is inferred from mappings that fill their
segments (docs/decisions/0007-proof.md). Once in some ten thousand captures holes leave nothing but
mappings that seem to lie a few octets away from where they do, all alike: no analyzer could know,
and every other inference would be wrong more often. Such frames are left out of composed captures.
"""

from __future__ import annotations

from dataclasses import replace

from mptcp_oracle.model.capture import Capture, Frame
from mptcp_oracle.model.observed_frames import look
from mptcp_oracle.model.observed_handshakes import Handshake
from mptcp_oracle.model.trace import SYN

__all__ = ["honest"]


def honest(capture: Capture) -> Capture:
    """The capture without frames whose mappings seem to lie where they do not.

    The latest such frame goes first, with its copies, until the rest misleads nobody. Planted
    faults may be wrong places, and stay.
    """
    while not capture.trace.planted and _infers(capture):
        flows, _ = look(capture)
        shakes = [Handshake(flow) for flow in flows]
        wrong = [seen for shake in shakes for role in (0, 1) for seen in shake.misplaced(role)]
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


def _infers(capture: Capture) -> bool:
    """Whether the SYN of any host is missing, or has data: else everything has its place."""
    sent = [frame.segment for frame in capture.frames if isinstance(frame, Frame)]
    placed = {(one.subflow, one.host) for one in sent if one.flags & SYN and not one.payload}
    return any((one.subflow, one.host) not in placed for one in sent)
