"""A raw MPTCP peer: a host of our own making that behaves, or misbehaves, octet by octet.

The core makes and reads octets and keeps the numbers (:mod:`~mptcp_oracle.live.peer.segment`,
:mod:`~mptcp_oracle.live.peer.flow`, :mod:`~mptcp_oracle.live.peer.connection`);
:mod:`~mptcp_oracle.live.peer.peer` plays it over a link, which is a TUN device, a packet socket,
or an implementation in this process.
"""

from __future__ import annotations

from mptcp_oracle.live.peer.connection import Connection
from mptcp_oracle.live.peer.flow import Flow
from mptcp_oracle.live.peer.link import Frame, Link, Log
from mptcp_oracle.live.peer.peer import Peer, StalledError
from mptcp_oracle.live.peer.segment import Segment, packed, parsed

__all__ = [
    "Connection",
    "Flow",
    "Frame",
    "Link",
    "Log",
    "Peer",
    "Segment",
    "StalledError",
    "packed",
    "parsed",
]
