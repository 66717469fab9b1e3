"""A small MPTCP host in this process: right by default, wrong in one named way at a time.

It is what active rules are tried on: each passes on the right host and fails on the one whose
fault it is about. Its clock is virtual, so that minutes of retransmission take no time. It is no
stack for use: no congestion control, no window scale, no TIME-WAIT.
"""

from __future__ import annotations

from mptcp_oracle.live.stack.faults import FAULTS
from mptcp_oracle.live.stack.host import StackTarget

__all__ = ["FAULTS", "StackTarget"]
