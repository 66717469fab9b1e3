"""Conversations before a few rules: what these say, as if captured at one host or anywhere."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.rules.judging import judge, verdicts
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.spec import catalogue
from mptcp_oracle.verdict import Verdict
from tests.common.conversation import Conversation

__all__ = ["HOSTS", "Said", "cut", "damaged", "said"]

HOSTS = ("initiator", "listener")


class Said(dict[tuple[str, str], Verdict]):
    """Verdicts by the number of the requirement and the host."""

    def outcome(self, number: str, host: int) -> str:
        """The outcome for a role."""
        found = self.get((number, HOSTS[host]))
        return "not_exercised" if found is None else str(found.outcome)

    def outcomes(self, *numbers: str, host: int) -> list[str]:
        """The outcomes of several requirements."""
        return [self.outcome(number, host) for number in numbers]

    def of(self, number: str, host: int) -> Verdict:
        """The verdict for a role."""
        return self[number, HOSTS[host]]

    def failed(self) -> set[tuple[str, str]]:
        """What fails."""
        return {key for key, found in self.items() if str(found.outcome) == "fail"}


def said(
    talk: Conversation,
    rules: Iterable[Rule],
    *,
    at: int | None = None,
    whole: bool = True,
    connection: int = 0,
    octets: bytes | None = None,
) -> Said:
    """What rules say of a connection on a tape.

    Args:
        talk: The conversation.
        rules: The rules.
        at: The role at whose host the capture is said to have been made.
        whole: Whether it is said to be whole.
        connection: Id of the connection.
        octets: Another capture than that of the tape.
    """
    local = [] if at is None else sorted({flow.ends[at][0] for flow in talk.flows})
    with analyze(talk.tape.pcap() if octets is None else octets) as trace:
        ledger = judge(trace, local=local, whole=whole, rules=rules)
        return Said(
            {
                (catalogue()[each.requirement].number, each.host): each
                for each in verdicts(trace, ledger)
                if each.connection == connection
            }
        )


def cut(talk: Conversation, frame: int, octets: int) -> bytes:
    """The capture, of a frame of which the last octets were not captured."""
    whole = talk.tape.pcap()
    at = 24 + sum(16 + len(each) for _, each in talk.tape.frames[: frame - 1])
    size = len(talk.tape.frames[frame - 1][1])
    lengths = struct.pack("<II", size - octets, size)
    return (
        whole[: at + 8]
        + lengths
        + whole[at + 16 : at + 16 + size - octets]
        + whole[at + 16 + size :]
    )


def damaged(talk: Conversation, frame: int) -> None:
    """Make the TCP checksum of a frame of Ethernet and IPv4 wrong."""
    time, octets = talk.tape.frames[frame - 1]
    changed = bytearray(octets)
    changed[14 + 20 + 16] ^= 0x5A
    talk.tape.frames[frame - 1] = (time, bytes(changed))
