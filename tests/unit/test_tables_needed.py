"""Whether a copy on another subflow was needed, in scripts of few packets."""

from __future__ import annotations

import pytest

from mptcp_oracle import analyze
from mptcp_oracle.analysis.transmissions import NEEDED, NO_COPY, SPURIOUS, UNKNOWN
from tests.common.conversation import Conversation
from tests.common.tape import Tape


def judged(
    *,
    original_acked: bool = False,
    retransmitted: bool = False,
    seen_acks: bool = True,
    acked_before: bool = False,
    acked_after: bool = True,
    at_sender: bool = True,
) -> list[int]:
    """The verdicts on the transmissions of a script that copies 4 octets to another subflow.

    Args:
        original_acked: The first subflow acknowledges them in the end.
        retransmitted: They were sent on it twice.
        seen_acks: Acknowledgments of the first subflow are captured at all.
        acked_before: A DATA_ACK comes before the copy.
        acked_after: One comes after it.
        at_sender: The capture was made at the sender, and says so.
    """
    talk = Conversation(Tape("sll"), captured_at=0 if at_sender else 1)
    one, two = talk.opened(), talk.joined()
    if not seen_acks:
        del talk.tape.frames[1]
    for _ in range(1 + retransmitted):
        one.data(0, b"data", seq=1, dsn=1, dack=None)
    if acked_before:
        two.ack(1, dack=5)
    two.data(0, b"data", dsn=1, dack=None)
    if acked_after:
        two.ack(1, dack=5)
    if original_acked:
        one.segment(1, 0x10, ack=5)
    with analyze(talk.tape.pcap()) as trace:
        return [int(verdict) for verdict in trace.transmissions.needed]


@pytest.mark.parametrize(
    ("verdict", "settings"),
    [
        (NEEDED, {}),
        (NEEDED, {"retransmitted": True}),
        (SPURIOUS, {"original_acked": True}),
        (UNKNOWN, {"original_acked": True, "retransmitted": True}),
        (SPURIOUS, {"acked_before": True}),
        (SPURIOUS, {"acked_before": True, "acked_after": False}),
        (UNKNOWN, {"acked_before": True, "at_sender": False}),
        (UNKNOWN, {"acked_after": False}),
        (UNKNOWN, {"seen_acks": False}),
    ],
)
def test_a_copy_is_needed_unless_the_first_one_arrived(
    verdict: int, settings: dict[str, bool]
) -> None:
    """Acknowledgments on both levels decide; where they do not, nothing is claimed."""
    *others, copy = judged(**settings)
    assert copy == verdict
    assert set(others) == {NO_COPY}
