"""Scenarios in which the client is a tester that breaks rules, and the server is the kernel."""

from __future__ import annotations

from mptcp_oracle.live.scenario import Act, Expect, Scenario, Step, Vantage
from mptcp_oracle.live.scripts import NO_OFFLOAD

__all__ = ["TESTERS"]

FLAGS = ("tester", "join", "no-offload", "fastclose", "full-payload")


def acts(*names: str) -> tuple[Step, ...]:
    """A connection of the tester that begins and ends as it should."""
    return tuple(Act(name) for name in ("connect", "first data", *names, "abort"))


TESTERS: tuple[Scenario, ...] = (
    Scenario(
        name="tester-wrong-hmacs",
        why=(
            "A tester joins with an HMAC that has a wrong bit, and announces an address with "
            "another one. The kernel resets the join and ignores the announcement: what it does "
            "looks unfriendly and is right, and only the tester is to be accused."
        ),
        plan=NO_OFFLOAD,
        vantage=Vantage(host="client"),
        script=acts("join with wrong HMAC", "announce with wrong HMAC", "data", "join", "data"),
        octets=0,
        expects=(Expect(host="server", counter="MPJoinAckHMacFailure"),),
        flags=(*FLAGS, "join-refused", "reset-reason", "add-address"),
    ),
    Scenario(
        name="tester-beyond-window",
        why=(
            "A tester sends data beyond every window that the kernel announced. The kernel drops "
            "it without a word, and acknowledges on the subflow what it will never give a DATA_ACK."
        ),
        plan=NO_OFFLOAD,
        vantage=Vantage(host="client"),
        script=acts("join", "data", "overrun the window"),
        octets=0,
        expects=(Expect(host="server", counter="NoDSSInWindow"),),
        flags=FLAGS,
    ),
    Scenario(
        name="tester-acks-unsent",
        why=(
            "A tester acknowledges data that the kernel never sent, and then takes it back: one "
            "mistake that moves a DATA_ACK, a window, and what had to arrive."
        ),
        plan=NO_OFFLOAD,
        vantage=Vantage(host="client"),
        script=acts("join", "data", "acknowledge what was not sent", "data"),
        octets=0,
        expects=(Expect(host="server", counter="MPJoinAckRx"),),
        flags=FLAGS,
    ),
    Scenario(
        name="tester-wrong-key",
        why=(
            "A tester sends an MP_FASTCLOSE with its own key instead of the kernel's, which "
            "ignores it and goes on. Captured at the kernel."
        ),
        plan=NO_OFFLOAD,
        vantage=Vantage(host="server"),
        script=acts("join", "fast close with wrong key", "data"),
        octets=0,
        expects=(Expect(host="server", counter="MPJoinAckRx"),),
        flags=FLAGS,
    ),
)
