"""What rules say of a conversation, as somebody who made its capture would be told."""

from __future__ import annotations

from collections.abc import Iterable

from mptcp_oracle.analysis.entities import ROLES
from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.rules.judging import judge, verdicts
from mptcp_oracle.rules.rule import Rule
from mptcp_oracle.verdict import Verdict
from tests.common.conversation import Conversation

__all__ = ["FAIL", "INCONCLUSIVE", "PASS", "Found", "ruling"]

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"

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
