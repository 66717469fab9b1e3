"""Where tshark has to differ: triggers of its known differences, from our facts alone."""

from __future__ import annotations

from mptcp_oracle.dissectors.case import Place

__all__ = ["ack_without_flag"]


def ack_without_flag(place: Place) -> bool:
    """The segment has no flag ACK."""
    segment = place.segment
    return segment is not None and not segment.fact["flags"] & 0x10
