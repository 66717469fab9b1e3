"""Joins of which one message has an option of a wrong length."""

from __future__ import annotations

import pytest

from mptcp_oracle.analysis.trace import analyze
from tests.common.conversation import Conversation
from tests.common.tape import ACK, SYN

pytestmark = pytest.mark.usefixtures("each_engine")

#: MP_JOIN with a length that no message has.
BAD = bytes([30, 11, 0x10, 1]) + bytes(7)


@pytest.mark.parametrize("message", ["syn", "synack", "third"])
def test_a_malformed_join_proves_nothing_and_breaks_nothing(message: str) -> None:
    """The join is not valid, nobody is accused, and the connection goes on."""
    talk = Conversation()
    flow = talk.opened()
    other = talk.flow()
    if message == "syn":
        other.segment(0, SYN, BAD, seq=0)
    else:
        other.join_syn()
    if message == "synack":
        other.segment(1, SYN | ACK, BAD, seq=0)
    else:
        other.join_synack()
    if message == "third":
        other.segment(0, ACK, BAD)
    else:
        other.join_ack()
    flow.data(0, b"goes on")
    with analyze(talk.tape.pcap()) as trace:
        (connection,) = trace.connections
        assert not [each for each in connection.mismatches if each.what == "join_hmac"]
        results = [each.join.result for each in trace.subflows if each.join is not None]
        assert "valid" not in results
        assert b"".join(map(bytes, trace.stream(0, "initiator"))) == b"goes on"
