"""Mismatches: values on the wire that are not what the keys give (docs/facts.md)."""

from __future__ import annotations

from mptcp_oracle.facts import Fact
from mptcp_oracle.model.observed_frames import Seen
from mptcp_oracle.model.observed_groups import Group
from mptcp_oracle.model.observed_handshakes import Handshake

__all__ = ["mismatches"]


def mismatches(group: Group, shakes: dict[int, Handshake], fresh: list[Seen]) -> list[Fact]:
    """The mismatches of a group, by frame."""
    return []
