"""What rules say of a conversation, as somebody who made its capture would be told."""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.rules.judging import judge, verdicts
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.verdict import Verdict
from tests.common.conversation import Conversation, Flow
from tests.common.tape import Tape

__all__ = ["FAIL", "GRACE", "INCONCLUSIVE", "PASS", "Found", "begun", "closed", "ruling", "told",
           "two"]  # fmt: skip

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"

GRACE = 1 + 3 * 0.002
"""Seconds after which what has to follow is missing: one, and three round trips of a handshake."""

Found = dict[tuple[str, int], Verdict]


def ruling(
    talk: Conversation, rules: Iterable[Rule], *, at: int | None = None, whole: bool = True
) -> Found:
    """The verdicts by requirement and role.

    Args:
        talk: The conversation.
        rules: Those to apply.
        at: The role at whose host the capture was made, if somebody says so.
        whole: Whether somebody says that it lacks no frame.
    """
    local = [] if at is None else [flow.ends[at][0] for flow in talk.flows]
    with analyze(talk.tape.pcap()) as trace:
        ledger = judge(trace, local=local, whole=whole, rules=tuple(rules))
        return {
            (each.requirement, ROLES.index(each.host)): each for each in verdicts(trace, ledger)
        }


def told(found: Found, requirement: str, role: int) -> str | None:
    """What the outcome for a host is, if there is any."""
    verdict = found.get((requirement, role))
    return None if verdict is None else str(verdict.outcome)


def begun(tape: Tape | None = None, **settings: object) -> tuple[Conversation, Flow]:
    """A conversation in which both hosts have sent data, and acknowledged it."""
    talk = Conversation(tape, **settings)  # type: ignore[arg-type]
    flow = talk.opened()
    flow.data(0, b"a" * 40)
    flow.data(1, b"b" * 60)
    flow.ack(0)
    return talk, flow


def two(
    version: int = 1, tape: Tape | None = None, **settings: object
) -> tuple[Conversation, Flow, Flow]:
    """A conversation of two subflows, on which both hosts have sent data."""
    talk, flow = begun(tape, version=version, **settings)
    other = talk.joined()
    other.data(0, b"c" * 10)
    other.ack(1)
    return talk, flow, other


def closed(flow: Flow) -> None:
    """The DATA_FINs of both hosts, acknowledged."""
    flow.data_fin(0)
    flow.data_fin(1)
    flow.ack(0)
